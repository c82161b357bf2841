-- Table:  marts.agent_routing
-- Grain:  one row per task and agent capable of it
-- Reads:  staging.agent_capabilities, staging.agents, staging.mission_tasks, staging.task_executions, staging.mission_runs
-- Shares: escalation_shares: executions with a share of their run's escalations (derive/escalation_shares.py)
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Macros: work_minutes: the duration without the wait for a human (derive/work_minutes.py)
-- Nulls:  a cancelled execution was stopped by somebody else and says nothing of its agent. An unknown duration or a plan
--         without an estimate says nothing of speed, a delivered execution of a run that reports no escalations nothing
--         of quality: these weigh nothing, and the prior fills in. An agent whose status is not known to be `available`
--         comes after those that are.
with

executions as (
    select
        ---------- keys
        task_executions.task_id,
        task_executions.agent_id,

        ---------- what came of it
        task_executions.outcome in ('completed', 'approved') as is_delivered,
        task_executions.outcome in ('failed', 'timed_out', 'rejected', 'escalated') as is_lost,
        mission_runs.escalations is not null as is_reported,

        ---------- measures
        work_minutes(
            task_executions.actual_duration_minutes,
            task_executions.human_delay_minutes,
            mission_limits.friction_durations_include_wait
        ) as work_minutes,
        -- More than one escalation of one execution is still one execution that was at fault.
        least(cast(coalesce(escalation_shares.escalation_share, 0) as decimal(38, 18)), 1) as escalation_share

    from staging.task_executions
    inner join staging.mission_runs on task_executions.run_id = mission_runs.run_id
    inner join mission_limits on task_executions.mission_id = mission_limits.mission_id
    left join escalation_shares
        on
            task_executions.run_id = escalation_shares.run_id
            and task_executions.task_id = escalation_shares.task_id
            and task_executions.attempt = escalation_shares.attempt
),

records as (
    select
        ---------- keys
        task_id,
        agent_id,

        ---------- measures
        count(*) as executions,
        count(*) filter (where is_delivered or is_lost) as ended_executions,
        count(*) filter (where is_delivered) as delivered_executions,
        count(*) filter (where is_lost) as lost_executions,
        count(*) filter (where is_delivered and is_reported) as reported_executions,
        sum(escalation_share) filter (where is_delivered and is_reported) as escalation_shares,
        -- What fails at once is not fast: only a delivered result took a time that can be compared.
        count(work_minutes) filter (where is_delivered) as timed_executions,
        -- As decimals, so that the order of the rows changes no digit.
        cast(sum(cast(work_minutes as decimal(38, 18))) filter (where is_delivered) as double) as work_minutes

    from executions
    group by task_id, agent_id
),

candidates as (
    select
        ---------- keys
        agent_capabilities.task_id,
        agent_capabilities.agent_id,
        coalesce(agents.status = 'available', false) as is_available,

        ---------- what is known
        coalesce(records.executions, 0) as executions,
        coalesce(records.ended_executions, 0) as ended_executions,
        case
            when mission_tasks.estimated_duration_minutes > 0 and records.timed_executions > 0
                then
                    mission_tasks.estimated_duration_minutes
                    / (mission_tasks.estimated_duration_minutes + records.work_minutes / records.timed_executions)
        end as own_speed,
        records.timed_executions,
        -- One minus the mean fault, where a lost execution has a fault of 1 and a delivered one its escalation share.
        -- In two factors, so that a few losses do not stand for many results whose escalations nobody reported.
        case
            when records.lost_executions + records.reported_executions > 0
                then
                    records.delivered_executions
                    / records.ended_executions
                    * case
                        when records.reported_executions > 0
                            then 1 - cast(records.escalation_shares as double) / records.reported_executions
                        else mission_limits.routing_prior_quality_score
                    end
        end as own_quality,
        records.lost_executions + records.reported_executions as known_executions,

        ---------- limits
        mission_limits.routing_speed_weight as speed_weight,
        mission_limits.routing_quality_weight as quality_weight,
        mission_limits.routing_prior_executions as prior_executions,
        mission_limits.routing_prior_speed_score as prior_speed,
        mission_limits.routing_prior_quality_score as prior_quality

    from staging.agent_capabilities
    inner join staging.mission_tasks on agent_capabilities.task_id = mission_tasks.task_id
    inner join mission_limits on mission_tasks.mission_id = mission_limits.mission_id
    left join staging.agents on agent_capabilities.agent_id = agents.agent_id
    left join records
        on agent_capabilities.task_id = records.task_id and agent_capabilities.agent_id = records.agent_id
),

scored as (
    select
        *,
        case
            when own_speed is null then prior_speed
            else
                (timed_executions * own_speed + prior_executions * prior_speed)
                / (timed_executions + prior_executions)
        end as speed_score,
        case
            when own_quality is null then prior_quality
            else
                (known_executions * own_quality + prior_executions * prior_quality)
                / (known_executions + prior_executions)
        end as quality_score
    from candidates
),

weighed as (
    select
        *,
        -- The weights add up to 1 but for rounding; the score may not pass 1 by it.
        least(speed_weight * speed_score + quality_weight * quality_score, 1) as score
    from scored
)

select
    ---------- keys
    task_id,
    agent_id,
    row_number() over (partition by task_id order by is_available desc, score desc, agent_id) as rank,

    ---------- measures
    score,
    speed_score,
    quality_score,
    executions,
    case
        when ended_executions = 0 then 'none'
        when ended_executions < prior_executions then 'thin'
        else 'sufficient'
    end as evidence
from weighed

-- Table:  marts.agent_routing
-- Grain:  one row per task and agent capable of it
-- Reads:  staging.agent_capabilities, staging.agents, staging.mission_tasks, staging.task_executions, staging.mission_runs
-- Shares: escalation_shares: executions with a share of their run's escalations (derive/escalation_shares.py)
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Macros: work_minutes: the duration without the wait for a human (derive/work_minutes.py)
-- Nulls:  an unknown duration or a plan without an estimate says nothing of speed, a run that reports no escalations
--         nothing of quality: these executions weigh nothing and the prior fills in. An agent whose status is not known
--         to be `available` comes after those that are.
with

records as (
    select
        ---------- keys
        task_executions.task_id,
        task_executions.agent_id,

        ---------- measures
        count(*) as executions,
        count(
            work_minutes(
                task_executions.actual_duration_minutes,
                task_executions.human_delay_minutes,
                mission_limits.friction_durations_include_wait
            )
        ) as timed_executions,
        sum(
            work_minutes(
                task_executions.actual_duration_minutes,
                task_executions.human_delay_minutes,
                mission_limits.friction_durations_include_wait
            )
        ) as work_minutes,
        count(mission_runs.escalations) as reported_executions,
        sum(cast(escalation_shares.escalation_share as decimal(38, 18))) as escalation_shares

    from staging.task_executions
    inner join staging.mission_runs on task_executions.run_id = mission_runs.run_id
    inner join mission_limits on task_executions.mission_id = mission_limits.mission_id
    left join escalation_shares
        on
            task_executions.run_id = escalation_shares.run_id
            and task_executions.task_id = escalation_shares.task_id
            and task_executions.attempt = escalation_shares.attempt
    group by task_executions.task_id, task_executions.agent_id
),

candidates as (
    select
        ---------- keys
        agent_capabilities.task_id,
        agent_capabilities.agent_id,
        coalesce(agents.status = 'available', false) as is_available,

        ---------- what is known
        coalesce(records.executions, 0) as executions,
        case
            when mission_tasks.estimated_duration_minutes > 0 and records.timed_executions > 0
                then
                    mission_tasks.estimated_duration_minutes
                    / (mission_tasks.estimated_duration_minutes + records.work_minutes / records.timed_executions)
        end as own_speed,
        records.timed_executions,
        case
            when records.reported_executions > 0
                then greatest(
                    1 - cast(coalesce(records.escalation_shares, 0) as double) / records.reported_executions, 0
                )
        end as own_quality,
        records.reported_executions,

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
                (reported_executions * own_quality + prior_executions * prior_quality)
                / (reported_executions + prior_executions)
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
        when executions = 0 then 'none'
        when executions < prior_executions then 'thin'
        else 'sufficient'
    end as evidence
from weighed

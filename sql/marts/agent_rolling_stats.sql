-- Table:  marts.agent_rolling_stats
-- Grain:  one row per agent and day with activity; derive/agent_rolling_stats.py makes the windows of them
-- Reads:  staging.task_executions, staging.mission_tasks, marts.mission_run_facts
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Shares: escalation_shares: executions with a share of their run's escalations (derive/escalation_shares.py)
-- Nulls:  each sum stands beside the number of executions in which its measure is known; one of them in a run that
--         reports its escalations and has none, or shares none with it, adds 0 to the shares
-- A duration is averaged as it was recorded; whether it outran the estimate is asked of the work alone.
with

executions as (
    select
        ---------- keys
        task_executions.agent_id,
        coalesce(cast(task_executions.finished_at as date), mission_run_facts.run_date) as stat_date,

        ---------- measures
        cast(task_executions.actual_duration_minutes as decimal(18, 9)) as actual_minutes,
        cast(task_executions.human_delay_minutes as decimal(18, 9)) as human_delay_minutes,
        cast(mission_tasks.estimated_duration_minutes as decimal(18, 9)) as estimated_minutes,
        case
            when mission_limits.friction_durations_include_wait
                then cast(task_executions.human_delay_minutes as decimal(18, 9))
            else 0
        end as wait_within_minutes,
        task_executions.outcome,
        mission_run_facts.escalations,
        escalation_shares.escalation_share

    from staging.task_executions
    inner join staging.mission_tasks on task_executions.task_id = mission_tasks.task_id
    inner join marts.mission_run_facts on task_executions.run_id = mission_run_facts.run_id
    inner join mission_limits on task_executions.mission_id = mission_limits.mission_id
    left join escalation_shares
        on
            task_executions.run_id = escalation_shares.run_id
            and task_executions.task_id = escalation_shares.task_id
            and task_executions.attempt = escalation_shares.attempt
)

select
    ---------- keys
    agent_id,
    stat_date,

    ---------- measures, to be added up over days
    count(*) as executions,
    count(actual_minutes) as timed_executions,
    cast(coalesce(sum(actual_minutes), 0) as double) as actual_minutes,
    count(*) filter (where outcome = 'approved') as approvals,
    count(*) filter (where outcome in ('approved', 'rejected')) as approval_decisions,
    count(escalations) as reported_executions,
    cast(coalesce(sum(cast(escalation_share as decimal(38, 18))), 0) as double) as escalation_shares,
    count(actual_minutes - wait_within_minutes - estimated_minutes) as measured_executions,
    count(*) filter (where actual_minutes - wait_within_minutes > estimated_minutes) as overruns,
    count(human_delay_minutes) as waiting_executions,
    cast(coalesce(sum(human_delay_minutes), 0) as double) as human_delay_minutes
from executions
group by agent_id, stat_date

-- Table:  marts.task_friction
-- Grain:  one row per task and run that executed it; derive/task_friction.py makes of them one per task and day
-- Reads:  staging.task_executions, marts.mission_run_facts
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Tasks:  numbered_tasks: staging.mission_tasks by number, in the order of mission and task (derive/task_friction.py)
-- Nulls:  friction is NULL with any unknown part of the run's attempts; what is not known to be a hit is none
with

executions as (
    select
        ---------- keys
        numbered_tasks.task_number,
        mission_run_facts.run_seq,

        ---------- when it became known
        mission_run_facts.run_date,
        case when mission_run_facts.status in ('running', 'blocked') then task_executions.finished_at end
            as finished_while_open,

        ---------- measures
        cast(numbered_tasks.estimated_duration_minutes as decimal(18, 9)) as estimated_minutes,
        cast(task_executions.human_delay_minutes as decimal(18, 9)) as human_delay_minutes,
        case
            when not mission_limits.friction_durations_include_wait
                then cast(task_executions.actual_duration_minutes as decimal(18, 9))
            when task_executions.actual_duration_minutes >= task_executions.human_delay_minutes
                then
                    cast(task_executions.actual_duration_minutes as decimal(18, 9))
                    - cast(task_executions.human_delay_minutes as decimal(18, 9))
            when task_executions.actual_duration_minutes < task_executions.human_delay_minutes then 0
        end as work_minutes,

        ---------- limits; rounded, because 1.05 times an estimate carries crumbs of floating point
        round(mission_limits.friction_overrun_hit_ratio * numbered_tasks.estimated_duration_minutes, 9)
            as overrun_hit_minutes,
        mission_limits.friction_delay_hit_minutes as delay_hit_minutes

    from staging.task_executions
    inner join numbered_tasks on task_executions.task_id = numbered_tasks.task_id
    inner join marts.mission_run_facts on task_executions.run_id = mission_run_facts.run_id
    inner join mission_limits on task_executions.mission_id = mission_limits.mission_id
),

frictions as (
    select
        *,
        case
            when work_minutes > estimated_minutes then work_minutes - estimated_minutes + human_delay_minutes
            when work_minutes <= estimated_minutes then human_delay_minutes
        end as friction_minutes,
        coalesce(work_minutes > overrun_hit_minutes, false)
        or coalesce(human_delay_minutes >= delay_hit_minutes, false) as is_hit
    from executions
)

select
    ---------- keys
    task_number,
    run_seq,
    cast(coalesce(max(finished_while_open), any_value(run_date)) as date) as friction_date,

    ---------- measures
    cast(case when count(*) = count(friction_minutes) then sum(friction_minutes) end as double) as friction_minutes,
    bool_or(is_hit) as is_hit,
    count(work_minutes) as timed_executions,
    cast(coalesce(sum(work_minutes), 0) as double) as work_minutes,
    count(human_delay_minutes) as waiting_executions,
    cast(coalesce(sum(human_delay_minutes), 0) as double) as human_delay_minutes
from frictions
group by task_number, run_seq

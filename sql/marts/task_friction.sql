-- Table:  marts.task_friction
-- Grain:  one row per execution; derive/task_friction.py adds them up by run and makes one per task and day of them
-- Reads:  staging.task_executions, marts.mission_run_facts
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Macros: work_minutes: the duration without the wait for a human (derive/work_minutes.py)
-- Tasks:  numbered_tasks: staging.mission_tasks by number, in the order of mission and task (derive/task_friction.py)
-- Nulls:  friction is NULL with any unknown part; what is not known to be a hit is none
with

executions as (
    select
        ---------- keys
        numbered_tasks.task_number,
        mission_run_facts.run_seq,
        task_executions.attempt,

        ---------- when it became known: with the run's end, or by itself while the run is open
        case
            when mission_run_facts.status in ('running', 'blocked')
                then coalesce(cast(task_executions.finished_at as date), mission_run_facts.run_date)
            else mission_run_facts.run_date
        end as friction_date,

        ---------- measures
        cast(numbered_tasks.estimated_duration_minutes as decimal(18, 9)) as estimated_minutes,
        cast(task_executions.human_delay_minutes as decimal(18, 9)) as human_delay_minutes,
        work_minutes(
            task_executions.actual_duration_minutes,
            task_executions.human_delay_minutes,
            mission_limits.friction_durations_include_wait
        ) as work_minutes,

        ---------- limits; rounded, because 1.05 times an estimate carries crumbs of floating point
        round(mission_limits.friction_overrun_hit_ratio * numbered_tasks.estimated_duration_minutes, 9)
            as overrun_hit_minutes,
        mission_limits.friction_delay_hit_minutes as delay_hit_minutes

    from staging.task_executions
    inner join numbered_tasks on task_executions.task_id = numbered_tasks.task_id
    inner join marts.mission_run_facts on task_executions.run_id = mission_run_facts.run_id
    inner join mission_limits on task_executions.mission_id = mission_limits.mission_id
)

select
    ---------- keys
    task_number,
    run_seq,
    attempt,
    friction_date,

    ---------- measures
    cast(work_minutes as double) as work_minutes,
    cast(human_delay_minutes as double) as human_delay_minutes,
    cast(
        case
            when work_minutes > estimated_minutes then work_minutes - estimated_minutes + human_delay_minutes
            when work_minutes <= estimated_minutes then human_delay_minutes
        end as double
    ) as friction_minutes,
    coalesce(work_minutes > overrun_hit_minutes, false)
    or coalesce(human_delay_minutes >= delay_hit_minutes, false) as is_hit
from executions

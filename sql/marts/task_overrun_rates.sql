-- Table:  marts.task_overrun_rates
-- Grain:  one row per mission and task with at least one execution; derive/task_overrun_rates.py adds the intervals
-- Reads:  staging.task_executions, staging.mission_tasks, staging.risk_events, marts.task_friction
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Macros: work_minutes: the duration without the wait for a human (derive/work_minutes.py)
-- Nulls:  means and quantiles are over known durations; the rate is over the executions whose duration and estimate are
--         both known; a mission whose friction is nowhere known, or nowhere above 0, has no top bottleneck
with

executions as (
    select
        ---------- keys
        task_executions.mission_id,
        task_executions.task_id,

        ---------- measures
        cast(mission_tasks.estimated_duration_minutes as decimal(18, 9)) as estimated_minutes,
        cast(task_executions.human_delay_minutes as decimal(18, 9)) as human_delay_minutes,
        work_minutes(
            task_executions.actual_duration_minutes,
            task_executions.human_delay_minutes,
            mission_limits.friction_durations_include_wait
        ) as work_minutes

    from staging.task_executions
    inner join staging.mission_tasks on task_executions.task_id = mission_tasks.task_id
    inner join mission_limits on task_executions.mission_id = mission_limits.mission_id
),

rates as (
    select
        ---------- keys
        mission_id,
        task_id,

        ---------- measures
        count(*) as executions,
        avg(work_minutes) as mean_actual_minutes,
        median(cast(work_minutes as double)) as median_actual_minutes,
        quantile_cont(cast(work_minutes as double), 0.9) as p90_actual_minutes,
        count(work_minutes - estimated_minutes) as measured_executions,
        count(*) filter (where work_minutes > estimated_minutes) as overrun_count,
        avg(
            case
                when work_minutes > estimated_minutes then work_minutes - estimated_minutes
                when work_minutes <= estimated_minutes then 0
            end
        ) as mean_overrun_minutes,
        avg(human_delay_minutes) as mean_human_delay_minutes

    from executions
    group by mission_id, task_id
),

events as (
    select
        task_id,
        count(*) as risk_events
    from staging.risk_events
    group by task_id
),

latest_days as (
    select
        task_id,
        max(friction_date) as friction_date
    from marts.task_friction
    group by task_id
),

latest_friction as (
    select
        task_friction.task_id,
        task_friction.friction_minutes,
        task_friction.bottleneck_status,
        task_friction.bottleneck_driver,
        row_number() over (
            partition by task_friction.mission_id
            order by round(task_friction.friction_minutes, 9) desc nulls last, task_friction.task_id
        ) = 1 and coalesce(task_friction.friction_minutes > 0, false) as is_top_bottleneck
    from marts.task_friction
    inner join latest_days
        on task_friction.task_id = latest_days.task_id and task_friction.friction_date = latest_days.friction_date
)

select
    ---------- keys
    rates.mission_id,
    rates.task_id,
    mission_tasks.task_name,

    ---------- how long
    rates.executions,
    mission_tasks.estimated_duration_minutes as estimated_minutes,
    rates.mean_actual_minutes,
    rates.median_actual_minutes,
    rates.p90_actual_minutes,

    ---------- how often and how far over the estimate
    rates.measured_executions,
    rates.overrun_count,
    rates.overrun_count / nullif(rates.measured_executions, 0) as overrun_rate,
    rates.mean_overrun_minutes,

    ---------- what else holds it up
    rates.mean_human_delay_minutes,
    coalesce(events.risk_events, 0) as risk_events,
    latest_friction.friction_minutes,
    latest_friction.bottleneck_status,
    latest_friction.bottleneck_driver,
    latest_friction.is_top_bottleneck
from rates
inner join staging.mission_tasks on rates.task_id = mission_tasks.task_id
inner join latest_friction on rates.task_id = latest_friction.task_id
left join events on rates.task_id = events.task_id

-- Table:  marts.risk_signals
-- Grain:  one row per risk that a rule detects; derive/risk_signals.py links the reported events to them: to a task's by
--         run and task, to a KPI's by run and first word, to the whole run's by run and name
-- Reads:  staging.task_executions, staging.mission_tasks, staging.mission_kpis, marts.mission_run_facts, marts.run_kpi_deltas
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Before: earlier_runs: how many earlier runs of the mission have a known duration, and its median (derive/risk_signals.py)
-- Nulls:  what is not known breaks no limit: no signal from an unknown duration, wait, estimate, flag or count
-- Units of observed_value and threshold, by rule:
--   task_overrun       percent over the estimate, the worst attempt; without an estimate above 0 there is no percentage
--   approval_delay     minutes of waiting for an approval, the worst attempt
--   rework             second attempts or rejections, whichever are more; from 1
--   repeated_failures  failed, timed out or escalated executions, or the escalations that the run reports
--   dependency_failed  tasks that it depends on and whose last attempt failed in the run; from 1
--   limit_breached, target_missed  the KPI's own unit, against its floor, ceiling or target
--   long_run           minutes, against the ratio times the median of the mission's earlier runs
-- The threshold is the limit that gave the severity. Comparisons are rounded to 9 decimals: a share of an estimate or a
-- median carries crumbs of floating point.
with

planned_tasks as (
    select
        mission_tasks.task_id,
        mission_tasks.estimated_duration_minutes as estimated_minutes,
        mission_limits.friction_durations_include_wait as has_wait_within,
        mission_limits.risk_rules_task_overrun_min_overrun_minutes as min_overrun_minutes,
        mission_limits.risk_rules_task_overrun_min_overrun_pct as min_overrun_pct,
        least(
            mission_limits.risk_rules_approval_delay_medium_from_minutes,
            mission_limits.risk_rules_approval_delay_high_from_minutes
        ) as min_delay_minutes
    from staging.mission_tasks
    inner join mission_limits on mission_tasks.mission_id = mission_limits.mission_id
),

long_executions as (
    select
        ---------- keys
        task_executions.run_id,
        task_executions.mission_id,
        task_executions.task_id,

        ---------- measures and limits
        planned_tasks.estimated_minutes,
        task_executions.actual_duration_minutes
        - case when planned_tasks.has_wait_within then task_executions.human_delay_minutes else 0 end
        - planned_tasks.estimated_minutes as overrun_minutes,
        planned_tasks.min_overrun_minutes,
        planned_tasks.min_overrun_pct

    from staging.task_executions
    inner join planned_tasks on task_executions.task_id = planned_tasks.task_id
    where
        planned_tasks.estimated_minutes > 0
        and task_executions.actual_duration_minutes > planned_tasks.estimated_minutes
),

overruns as (
    select
        run_id,
        mission_id,
        task_id,
        max(round(100 * overrun_minutes / estimated_minutes, 9)) as overrun_pct
    from long_executions
    where
        round(overrun_minutes, 9) >= min_overrun_minutes
        and round(100 * overrun_minutes / estimated_minutes, 9) >= min_overrun_pct
    group by run_id, mission_id, task_id
),

task_overrun_signals as (
    select
        overruns.run_id,
        overruns.mission_id,
        overruns.task_id,
        overruns.overrun_pct as observed_value,
        case
            when overruns.overrun_pct >= mission_limits.risk_rules_task_overrun_medium_from_pct
                then mission_limits.risk_rules_task_overrun_medium_from_pct
            else mission_limits.risk_rules_task_overrun_min_overrun_pct
        end as threshold,
        case
            when overruns.overrun_pct >= mission_limits.risk_rules_task_overrun_medium_from_pct then 'medium'
            else mission_limits.risk_rules_task_overrun_severity
        end as severity
    from overruns
    inner join mission_limits on overruns.mission_id = mission_limits.mission_id
),

delays as (
    select
        task_executions.run_id,
        task_executions.mission_id,
        task_executions.task_id,
        max(task_executions.human_delay_minutes) as delay_minutes
    from staging.task_executions
    inner join planned_tasks on task_executions.task_id = planned_tasks.task_id
    where
        task_executions.human_approval_required
        and task_executions.human_delay_minutes >= planned_tasks.min_delay_minutes
    group by task_executions.run_id, task_executions.mission_id, task_executions.task_id
),

approval_delay_signals as (
    select
        delays.run_id,
        delays.mission_id,
        delays.task_id,
        delays.delay_minutes as observed_value,
        case
            when delays.delay_minutes >= mission_limits.risk_rules_approval_delay_high_from_minutes
                then mission_limits.risk_rules_approval_delay_high_from_minutes
            else mission_limits.risk_rules_approval_delay_medium_from_minutes
        end as threshold,
        case
            when delays.delay_minutes >= mission_limits.risk_rules_approval_delay_high_from_minutes then 'high'
            else 'medium'
        end as severity
    from delays
    inner join mission_limits on delays.mission_id = mission_limits.mission_id
),

reworks as (
    select
        run_id,
        mission_id,
        task_id,
        greatest(max(attempt) - 1, count(*) filter (where outcome = 'rejected')) as times
    from staging.task_executions
    where attempt > 1 or outcome = 'rejected'
    group by run_id, mission_id, task_id
),

failed_executions as (
    select
        run_id,
        count(*) as failures
    from staging.task_executions
    where outcome in ('failed', 'timed_out', 'escalated')
    group by run_id
),

repeated_failures as (
    select
        mission_run_facts.run_id,
        mission_run_facts.mission_id,
        greatest(coalesce(failed_executions.failures, 0), coalesce(mission_run_facts.escalations, 0)) as times
    from marts.mission_run_facts
    left join failed_executions on mission_run_facts.run_id = failed_executions.run_id
),

failed_attempts as (
    select
        run_id,
        task_id,
        attempt
    from staging.task_executions
    where outcome in ('failed', 'timed_out', 'rejected', 'cancelled')
),

later_attempts as (
    select
        run_id,
        task_id,
        max(attempt) as attempt
    from staging.task_executions
    where attempt > 1
    group by run_id, task_id
),

failed_tasks as (
    select
        failed_attempts.run_id,
        failed_attempts.task_id
    from failed_attempts
    left join later_attempts
        on failed_attempts.run_id = later_attempts.run_id and failed_attempts.task_id = later_attempts.task_id
    where failed_attempts.attempt = coalesce(later_attempts.attempt, failed_attempts.attempt)
),

dependencies as (
    select distinct
        task_id,
        unnest(depends_on) as dependency_id
    from staging.mission_tasks
),

failed_dependencies as (
    select
        failed_tasks.run_id,
        dependencies.task_id,
        count(*) as failed_tasks
    from failed_tasks
    inner join dependencies on failed_tasks.task_id = dependencies.dependency_id
    group by failed_tasks.run_id, dependencies.task_id
),

dependency_failures as (
    select distinct
        task_executions.run_id,
        task_executions.mission_id,
        task_executions.task_id,
        failed_dependencies.failed_tasks
    from staging.task_executions
    inner join failed_dependencies
        on
            task_executions.run_id = failed_dependencies.run_id
            and task_executions.task_id = failed_dependencies.task_id
),

missed_kpis as (
    select
        run_kpi_deltas.run_id,
        run_kpi_deltas.mission_id,
        run_kpi_deltas.kpi_name,
        run_kpi_deltas.kpi_value,
        run_kpi_deltas.target_value,
        mission_kpis.kpi_kind,
        -- Against one target, a larger gap than before is a worse value than before.
        case run_kpi_deltas.direction
            when 'lower_is_better' then run_kpi_deltas.kpi_value > run_kpi_deltas.previous_value
            else run_kpi_deltas.kpi_value < run_kpi_deltas.previous_value
        end as is_worse
    from marts.run_kpi_deltas
    inner join staging.mission_kpis
        on run_kpi_deltas.mission_id = mission_kpis.mission_id and run_kpi_deltas.kpi_name = mission_kpis.kpi_name
    where run_kpi_deltas.gap_to_target > 0
),

long_runs as (
    select
        mission_run_facts.run_id,
        mission_run_facts.mission_id,
        mission_run_facts.total_duration_minutes,
        round(mission_limits.risk_rules_long_run_median_ratio * earlier_runs.median_minutes, 9) as limit_minutes
    from marts.mission_run_facts
    inner join earlier_runs on mission_run_facts.run_id = earlier_runs.run_id
    inner join mission_limits on mission_run_facts.mission_id = mission_limits.mission_id
    where
        mission_run_facts.status in ('completed', 'failed')
        and earlier_runs.runs >= mission_limits.risk_rules_long_run_min_earlier_runs
),

signals as (
    select
        'task_overrun' as rule,
        'task_overrun' as risk_type,
        run_id,
        mission_id,
        task_id,
        null as kpi_name,
        severity,
        observed_value,
        threshold
    from task_overrun_signals

    union all

    select
        'approval_delay' as rule,
        'approval_delay' as risk_type,
        run_id,
        mission_id,
        task_id,
        null as kpi_name,
        severity,
        observed_value,
        threshold
    from approval_delay_signals

    union all

    select
        'rework' as rule,
        'rework' as risk_type,
        reworks.run_id,
        reworks.mission_id,
        reworks.task_id,
        null as kpi_name,
        mission_limits.risk_rules_rework_severity as severity,
        reworks.times as observed_value,
        1 as threshold
    from reworks
    inner join mission_limits on reworks.mission_id = mission_limits.mission_id

    union all

    select
        'repeated_failures' as rule,
        'repeated_failures' as risk_type,
        repeated_failures.run_id,
        repeated_failures.mission_id,
        null as task_id,
        null as kpi_name,
        mission_limits.risk_rules_repeated_failures_severity as severity,
        repeated_failures.times as observed_value,
        mission_limits.risk_rules_repeated_failures_min_count as threshold
    from repeated_failures
    inner join mission_limits on repeated_failures.mission_id = mission_limits.mission_id
    where repeated_failures.times >= mission_limits.risk_rules_repeated_failures_min_count

    union all

    select
        'dependency_failed' as rule,
        'failed_dependency' as risk_type,
        dependency_failures.run_id,
        dependency_failures.mission_id,
        dependency_failures.task_id,
        null as kpi_name,
        mission_limits.risk_rules_dependency_failed_severity as severity,
        dependency_failures.failed_tasks as observed_value,
        1 as threshold
    from dependency_failures
    inner join mission_limits on dependency_failures.mission_id = mission_limits.mission_id

    union all

    select
        'limit_breached' as rule,
        'kpi_limit_breach' as risk_type,
        missed_kpis.run_id,
        missed_kpis.mission_id,
        null as task_id,
        missed_kpis.kpi_name,
        mission_limits.risk_rules_limit_breached_severity as severity,
        missed_kpis.kpi_value as observed_value,
        missed_kpis.target_value as threshold
    from missed_kpis
    inner join mission_limits on missed_kpis.mission_id = mission_limits.mission_id
    where missed_kpis.kpi_kind in ('floor', 'ceiling')

    union all

    select
        'target_missed' as rule,
        'kpi_target_miss' as risk_type,
        missed_kpis.run_id,
        missed_kpis.mission_id,
        null as task_id,
        missed_kpis.kpi_name,
        mission_limits.risk_rules_target_missed_severity as severity,
        missed_kpis.kpi_value as observed_value,
        missed_kpis.target_value as threshold
    from missed_kpis
    inner join mission_limits on missed_kpis.mission_id = mission_limits.mission_id
    where
        missed_kpis.kpi_kind = 'target'
        and coalesce(missed_kpis.is_worse, true)

    union all

    select
        'long_run' as rule,
        'long_run' as risk_type,
        long_runs.run_id,
        long_runs.mission_id,
        null as task_id,
        null as kpi_name,
        mission_limits.risk_rules_long_run_severity as severity,
        long_runs.total_duration_minutes as observed_value,
        long_runs.limit_minutes as threshold
    from long_runs
    inner join mission_limits on long_runs.mission_id = mission_limits.mission_id
    where long_runs.total_duration_minutes > long_runs.limit_minutes
),

named as (
    select
        *,
        coalesce(task_id, kpi_name) as concern
    from signals
)

select
    ---------- keys; a colon within an id is escaped, so that no two signals share one. Few ids have any, and to look for
    -- it costs less than to replace it.
    rule
    || ':' || case
        when contains(run_id, ':') or contains(run_id, '%') then replace(replace(run_id, '%', '%25'), ':', '%3A')
        else run_id
    end
    || case
        when concern is null then ''
        when contains(concern, ':') or contains(concern, '%')
            then ':' || replace(replace(concern, '%', '%25'), ':', '%3A')
        else ':' || concern
    end as signal_id,
    run_id,
    mission_id,
    task_id,
    kpi_name,

    ---------- what it is
    risk_type,
    severity,
    cast(observed_value as double) as observed_value,
    cast(threshold as double) as threshold,
    rule
from named

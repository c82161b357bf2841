-- Table:  marts.mission_run_facts
-- Grain:  one row per run
-- Reads:  staging.mission_runs, staging.task_executions, staging.mission_tasks
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Macros: work_minutes: the duration without the wait for a human (derive/work_minutes.py)
-- Nulls:  a sum is NULL without a log and with any unknown part; greatest() and least() would skip the NULL, so each
--         is asked first. An execution that says not whether it needed approval adds 0 to the delay if it did not wait,
--         and is an unknown part if it waited or says not.
-- Sums are decimal, so that they are exact and do not depend on the order of the rows.
with

tasks as (
    select
        mission_tasks.task_id,
        cast(mission_tasks.estimated_duration_minutes as decimal(18, 9)) as estimated_minutes,
        mission_limits.friction_durations_include_wait as has_wait_within
    from staging.mission_tasks
    inner join mission_limits on mission_tasks.mission_id = mission_limits.mission_id
),

executions as (
    select
        ---------- keys
        task_executions.run_id,
        task_executions.attempt,

        ---------- measures
        tasks.estimated_minutes,
        work_minutes(
            task_executions.actual_duration_minutes,
            task_executions.human_delay_minutes,
            tasks.has_wait_within
        ) as work_minutes,
        case
            when not task_executions.human_approval_required then 0
            when task_executions.human_approval_required or task_executions.human_delay_minutes = 0
                then cast(task_executions.human_delay_minutes as decimal(18, 9))
        end as approval_delay_minutes

    from staging.task_executions
    inner join tasks on task_executions.task_id = tasks.task_id
),

-- Distinct tasks are their first attempts, and those few of which only later attempts were recorded: to count distinct
-- names in every run costs as much as all else here.
repeated_runs as (
    select distinct run_id
    from staging.task_executions
    where attempt > 1
),

tasks_without_first_attempt as (
    select
        task_executions.run_id,
        task_executions.task_id
    from staging.task_executions
    inner join repeated_runs on task_executions.run_id = repeated_runs.run_id
    group by task_executions.run_id, task_executions.task_id
    having min(task_executions.attempt) > 1
),

later_tasks as (
    select
        run_id,
        count(*) as tasks
    from tasks_without_first_attempt
    group by run_id
),

logged_runs as (
    select
        run_id,
        case when count(*) = count(work_minutes) then sum(work_minutes) end as task_minutes,
        case when count(*) = count(approval_delay_minutes) then sum(approval_delay_minutes) end
            as approval_delay_minutes,
        case
            when count(*) = count(work_minutes - estimated_minutes)
                then
                    sum(case when work_minutes > estimated_minutes then work_minutes - estimated_minutes else 0 end)
        end as overrun_minutes,
        count(*) filter (where attempt = 1) as first_attempts
    from executions
    group by run_id
),

-- Apart from the sums, for the same reason: few executions are rework.
reworks as (
    select
        run_id,
        count(distinct task_id) as reworked_tasks
    from staging.task_executions
    where attempt > 1 or outcome = 'rejected'
    group by run_id
),

sequences as (
    select
        run_id,
        row_number() over (partition by mission_id order by start_time, run_id) as run_seq
    from staging.mission_runs
),

runs as (
    select
        ---------- keys
        mission_runs.run_id,
        mission_runs.mission_id,
        sequences.run_seq,

        ---------- state
        mission_runs.start_time,
        mission_runs.end_time,
        mission_runs.status,
        mission_runs.status in ('running', 'blocked') as is_open,

        ---------- measures
        mission_runs.total_duration_minutes,
        cast(mission_runs.total_duration_minutes as decimal(18, 9)) as exact_total_minutes,
        logged_runs.task_minutes,
        logged_runs.approval_delay_minutes,
        logged_runs.overrun_minutes,
        coalesce(logged_runs.first_attempts, 0) + coalesce(later_tasks.tasks, 0) as tasks_executed,
        coalesce(reworks.reworked_tasks, 0) as reworked_tasks,
        mission_runs.human_interventions,
        mission_runs.escalations,
        mission_runs.risk_flagged,

        ---------- points lost; NULL where what they follow from is not known
        mission_runs.human_interventions * mission_limits.autonomy_points_per_intervention as intervention_points,
        mission_runs.escalations * mission_limits.autonomy_points_per_escalation as escalation_points,
        case
            when logged_runs.approval_delay_minutes is not null
                then least(
                    mission_limits.autonomy_max_delay_points,
                    mission_limits.autonomy_points_per_delay_minute * logged_runs.approval_delay_minutes
                )
        end as delay_points,
        case
            when mission_runs.risk_flagged then mission_limits.autonomy_points_for_flagged_share
            when not mission_runs.risk_flagged then 0
        end as flagged_points,
        case
            when mission_runs.status = 'completed' then 100
            when mission_runs.status = 'failed' then mission_limits.autonomy_failed_run_max_points
        end as max_points

    from staging.mission_runs
    inner join mission_limits on mission_runs.mission_id = mission_limits.mission_id
    inner join sequences on mission_runs.run_id = sequences.run_id
    left join logged_runs on mission_runs.run_id = logged_runs.run_id
    left join later_tasks on mission_runs.run_id = later_tasks.run_id
    left join reworks on mission_runs.run_id = reworks.run_id
)

select
    ---------- keys
    run_id,
    mission_id,
    run_seq,
    cast(case when is_open then start_time else coalesce(end_time, start_time) end as date) as run_date,

    ---------- state
    start_time,
    end_time,
    status,

    ---------- minutes
    total_duration_minutes,
    task_minutes,
    approval_delay_minutes,
    overrun_minutes,
    case
        when exact_total_minutes - task_minutes - approval_delay_minutes is not null
            then greatest(exact_total_minutes - task_minutes - approval_delay_minutes, 0)
    end as unattributed_minutes,
    task_minutes / nullif(exact_total_minutes, 0) as flow_efficiency,

    ---------- counts
    tasks_executed,
    reworked_tasks,
    human_interventions,
    escalations,

    ---------- how far it did without people
    risk_flagged,
    case
        when max_points - intervention_points - escalation_points - delay_points - flagged_points is not null
            then least(
                greatest(100 - intervention_points - escalation_points - delay_points - flagged_points, 0), max_points
            )
    end as autonomy_score,
    case
        when is_open then null
        when status != 'completed' then false
        when human_interventions is not null and escalations is not null
            then human_interventions = 0 and escalations = 0
    end as is_touchless
from runs

-- Table:  staging.task_executions
-- Grain:  one row per attempt at a task in a run
-- Reads:  raw.task_execution_logs, raw.set_aside
-- Nulls:  an absent attempt is the first
select
    ---------- keys
    run_id,
    task_id,
    coalesce(attempt, 1) as attempt,

    ---------- attributes
    mission_id,
    agent_id,
    actual_duration_minutes,
    human_approval_required,
    human_delay_minutes,
    outcome,
    started_at,
    finished_at,
    approval_request_time,
    extra_fields
from raw.task_execution_logs
where
    not exists (
        select 1
        from raw.set_aside
        where set_aside.data_set = 'task_execution_logs' and set_aside.record_id = task_execution_logs.rowid
    )
order by run_id, task_id, attempt

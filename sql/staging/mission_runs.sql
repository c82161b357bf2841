-- Table:  staging.mission_runs
-- Grain:  one row per execution of a mission
-- Reads:  raw.mission_runs, raw.set_aside
-- Nulls:  what was not reported stays NULL
select
    ---------- keys
    run_id,

    ---------- attributes
    mission_id,
    start_time,
    end_time,
    status,
    total_duration_minutes,
    human_interventions,
    escalations,
    risk_flagged,
    requested_by,
    priority,
    created_at,
    extra_fields
from raw.mission_runs
where
    not exists (
        select 1
        from raw.set_aside
        where set_aside.data_set = 'mission_runs' and set_aside.record_id = mission_runs.rowid
    )
order by run_id

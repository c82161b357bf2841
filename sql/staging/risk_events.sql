-- Table:  staging.risk_events
-- Grain:  one row per risk event that somebody reported
-- Reads:  raw.mission_risk_events, raw.set_aside
-- Nulls:  what was not reported stays NULL
select
    ---------- keys
    event_id,

    ---------- attributes
    run_id,
    mission_id,
    task_id,
    risk_type,
    severity,
    description,
    detected_at,
    status,
    extra_fields
from raw.mission_risk_events
where
    not exists (
        select 1
        from raw.set_aside
        where set_aside.data_set = 'mission_risk_events' and set_aside.record_id = mission_risk_events.rowid
    )
order by event_id

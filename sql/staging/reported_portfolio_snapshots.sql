-- Table:  staging.reported_portfolio_snapshots
-- Grain:  one row per day of a report
-- Reads:  raw.mission_portfolio_snapshot, raw.set_aside
-- Nulls:  what was not reported stays NULL
select
    ---------- keys
    snapshot_date,

    ---------- attributes
    active_runs,
    completed_runs,
    missions_at_risk,
    avg_kpi_improvement_pct,
    top_bottleneck_task_id,
    top_bottleneck_task_name,
    escalations_last_24h,
    human_interventions_last_24h
from raw.mission_portfolio_snapshot
where
    not exists (
        select 1
        from raw.set_aside
        where
            set_aside.data_set = 'mission_portfolio_snapshot'
            and set_aside.record_id = mission_portfolio_snapshot.rowid
    )
order by snapshot_date

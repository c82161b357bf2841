-- Table:  staging.run_kpis
-- Grain:  one row per run and KPI that the run reports
-- Reads:  raw.mission_runs, raw.set_aside, raw.observed_kpis, staging.mission_kpis
-- Nulls:  a KPI reported as null was not observed and has no row
-- `steps` under a ceiling is counted from the executions; a run's own count of them is somebody's summary.
select
    ---------- keys
    mission_runs.run_id,
    observed_kpis.kpi_name,

    ---------- attributes
    mission_runs.mission_id,
    observed_kpis.kpi_value,
    mission_kpis.kpi_name is not null
    and not (mission_kpis.kpi_name = 'steps' and mission_kpis.kpi_kind = 'ceiling') as is_specified
from raw.observed_kpis
inner join raw.mission_runs on observed_kpis.record_id = mission_runs.rowid
left join staging.mission_kpis
    on mission_runs.mission_id = mission_kpis.mission_id and observed_kpis.kpi_name = mission_kpis.kpi_name
where
    not exists (
        select 1
        from raw.set_aside
        where set_aside.data_set = 'mission_runs' and set_aside.record_id = mission_runs.rowid
    )
order by mission_runs.run_id, observed_kpis.kpi_name

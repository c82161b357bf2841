-- Question: How does each mission's primary KPI develop, run by run, towards its target?
select
    mission_id,
    run_seq,
    run_date,
    kpi_name,
    kpi_value,
    baseline_value,
    target_value,
    round(improvement_vs_previous_pct, 1) as improvement_vs_previous_pct,
    round(improvement_vs_baseline_pct, 1) as improvement_vs_baseline_pct,
    gap_to_target,
    target_status
from marts.run_kpi_deltas
where is_primary
order by mission_id, run_seq

-- Question: How has the whole portfolio moved over the last two weeks?
select
    snapshot_date,
    status,
    missions_at_risk,
    missions_on_track,
    completed_runs,
    active_runs,
    round(autonomy_score, 1) as autonomy_score,
    round(avg_kpi_improvement_pct, 1) as avg_kpi_improvement_pct,
    top_bottleneck_task_name
from marts.portfolio_snapshots
order by snapshot_date desc
limit 14

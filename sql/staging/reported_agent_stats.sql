-- Table:  staging.reported_agent_stats
-- Grain:  one row per agent and day of a report
-- Reads:  raw.agent_performance_stats, raw.set_aside
-- Nulls:  what was not reported stays NULL
select
    ---------- keys
    agent_id,
    last_updated,

    ---------- attributes
    avg_task_duration_minutes,
    approval_rate,
    escalation_rate
from raw.agent_performance_stats
where
    not exists (
        select 1
        from raw.set_aside
        where set_aside.data_set = 'agent_performance_stats' and set_aside.record_id = agent_performance_stats.rowid
    )
order by agent_id, last_updated

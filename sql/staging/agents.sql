-- Table:  staging.agents
-- Grain:  one row per specialized agent
-- Reads:  raw.specialized_agents, raw.set_aside
-- Nulls:  what was not reported stays NULL
select
    ---------- keys
    agent_id,

    ---------- attributes
    name as agent_name,
    description,
    status,
    cast(endpoint as varchar) as endpoint
from raw.specialized_agents
where
    not exists (
        select 1
        from raw.set_aside
        where set_aside.data_set = 'specialized_agents' and set_aside.record_id = specialized_agents.rowid
    )
order by agent_id

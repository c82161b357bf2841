-- Table:  staging.agent_capabilities
-- Grain:  one row per task and agent that is able to do it
-- Reads:  raw.agent_capabilities_matrix, raw.set_aside
-- Nulls:  none
select distinct
    task_id,
    unnest(capable_agents) as agent_id
from raw.agent_capabilities_matrix
where
    not exists (
        select 1
        from raw.set_aside
        where
            set_aside.data_set = 'agent_capabilities_matrix'
            and set_aside.record_id = agent_capabilities_matrix.rowid
    )
order by task_id, agent_id

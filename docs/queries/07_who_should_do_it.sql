-- Question: Which agent should be given each task, and on how much evidence?
select
    mission_tasks.mission_id,
    mission_tasks.task_name,
    agents.agent_name,
    agent_routing.rank,
    round(agent_routing.score, 3) as score,
    agent_routing.executions,
    agent_routing.evidence
from marts.agent_routing
inner join staging.mission_tasks using (task_id)
inner join staging.agents using (agent_id)
order by mission_tasks.mission_id, mission_tasks.task_order, agent_routing.rank

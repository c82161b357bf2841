"""Refuses sound records that refer to something unknown, or whose references contradict each other.

They are asked at every refresh, from raw, so a record whose reference comes late heals by itself. A record that was
refused is unknown to the records that refer to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mission_pipeline.contracts.inputs import InputDataSet
from mission_pipeline.validate.statements import reference_faults
from mission_pipeline.warehouse import Build


@dataclass(frozen=True)
class Reference:
    """A field that must name a row of a staged table. ``source``: the data set that it comes from."""

    field: str
    table: str
    column: str
    rule: str
    source: str


@dataclass(frozen=True)
class Agreement:
    """What a record refers to must be of the record's own mission. ``through``: the reference that says the other."""

    through: str
    rule: str


_MISSION = Reference("mission_id", "staging.missions", "mission_id", "unknown_mission", "business_missions")
_RUN = Reference("run_id", "staging.mission_runs", "run_id", "unknown_run", "mission_runs")
_TASK = Reference("task_id", "staging.mission_tasks", "task_id", "unknown_task", "decomposed_mission_tasks")
_AGENT = Reference("agent_id", "staging.agents", "agent_id", "unknown_agent", "specialized_agents")
_BOTTLENECK = Reference(
    "top_bottleneck_task_id", "staging.mission_tasks", "task_id", "unknown_task", "decomposed_mission_tasks"
)
_OF_ONE_MISSION = (
    Agreement("run_id", "mission_is_not_the_runs"),
    Agreement("task_id", "task_is_not_the_missions"),
)

REFERENCES: dict[str, tuple[tuple[Reference, ...], tuple[Agreement, ...]]] = {
    "decomposed_mission_tasks": ((_MISSION,), ()),
    "agent_capabilities_matrix": ((_TASK,), ()),
    "mission_kpis": ((_MISSION,), ()),
    "mission_runs": ((_MISSION,), ()),
    "task_execution_logs": ((_RUN, _MISSION, _TASK, _AGENT), _OF_ONE_MISSION),
    "mission_risk_events": ((_RUN, _MISSION, _TASK), _OF_ONE_MISSION),
    "agent_performance_stats": ((_AGENT,), ()),
    "mission_portfolio_snapshot": ((_BOTTLENECK,), ()),
}
"""What the records of each data set refer to, and what must agree; the first that fails gives the rule."""

_UNKNOWN_CAPABLE_AGENTS = """
insert into raw.set_aside
with named as (
    select rowid as record_id, unnest(capable_agents) as agent_id
    from raw.agent_capabilities_matrix
    where not exists (
        select 1 from raw.set_aside
        where set_aside.data_set = 'agent_capabilities_matrix'
            and set_aside.record_id = agent_capabilities_matrix.rowid)
)
select 'agent_capabilities_matrix', record_id, 'rejected', 'unknown_agent',
    'capable_agents names what no valid record of specialized_agents does: '
    || string_agg(distinct agent_id, ', ' order by agent_id) || '.'
from named
where agent_id not in (select agent_id from staging.agents)
group by record_id"""


def reject_dangling_records(build: Build, data_set: InputDataSet) -> None:
    """Reject the data set's records whose references do not hold; what they refer to is staged by now.

    A capability record that names an unknown agent is rejected whole, like any other record with an unknown reference.
    """
    references, agreements = REFERENCES[data_set.name]
    build.execute(reference_faults(data_set, references, agreements))
    if data_set.name == "agent_capabilities_matrix":
        build.execute(_UNKNOWN_CAPABLE_AGENTS)

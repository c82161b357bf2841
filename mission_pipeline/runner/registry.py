"""What the raw data says now of missions, plans and agents, and whether a mission can be run. Starts nothing.

The reference data is landed and validated in memory by the same code as in a refresh, so the same rules hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mission_pipeline.contracts.inputs import REFERENCE_DATA_SETS
from mission_pipeline.errors import InputFault, PlanFault
from mission_pipeline.ingest.find import find_raw_files
from mission_pipeline.ingest.land import land_raw_files
from mission_pipeline.policy import Policy
from mission_pipeline.runner.endpoints import EndpointFault, NotAllowed, check_endpoint
from mission_pipeline.runner.model import Agent, KpiTarget, MissionPlan, PlannedTask
from mission_pipeline.validate.stage import stage_valid_reference_data
from mission_pipeline.warehouse import Build, build_in_memory

_OF_ONE_MISSION = ("business_missions", "decomposed_mission_tasks", "mission_kpis")
_PLANS = "decomposed_mission_tasks"
_AGENT_RECORDS = "specialized_agents"

_MISSIONS = "select mission_id, mission_name, owner from staging.missions order by mission_id"
_AGENTS = "select agent_id, agent_name, status, endpoint from staging.agents order by agent_id"
_CAPABILITIES = "select task_id, agent_id from staging.agent_capabilities order by task_id, agent_id"
_TASKS = """
select mission_id, task_id, task_name, task_order, depends_on, estimated_duration_minutes,
    coalesce(requires_human_approval, false) as requires_approval
from staging.mission_tasks order by mission_id, task_order nulls last, task_id"""
# A gate that nobody spoke of is not one that is not needed: what has to be approved must not go on by a slip.
_UNSAID_GATES = """
select mission_id, format('The plan does not say whether {} requires_human_approval: true or false.', task_id)
from staging.mission_tasks where requires_human_approval is null order by mission_id, task_id"""
_KPIS = """
select mission_id, kpi_name, direction, baseline_value, target_value, is_primary, kpi_kind
from staging.mission_kpis order by mission_id, kpi_order"""
_PLAN_FINDINGS = "select mission_id, detail from quality.plan_findings order by mission_id, task_id, fault"
# Only the last file of a reference data set counts: what an earlier one got wrong was replaced.
_REJECTED = """
select rejected_rows.data_set, rejected_rows.file, rejected_rows.row, rejected_rows.reason, rejected_rows.record
from quality.rejected_rows
inner join quality.loaded_files
    on rejected_rows.data_set = loaded_files.data_set and rejected_rows.file = loaded_files.file
where loaded_files.file_order = (
    select max(others.file_order) from quality.loaded_files as others where others.data_set = rejected_rows.data_set
)
order by rejected_rows.data_set, rejected_rows.row"""

FileStamp = tuple[str, int, int, int]
"""Name, number, size and time of a file: what changes when it is written or replaced."""


@dataclass(frozen=True)
class RejectedRecord:
    """A record of the reference data that does not count. Ids and ``capable_agents``: what it names, if readable."""

    data_set: str
    mission_id: str | None
    task_id: str | None
    agent_id: str | None
    capable_agents: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Registry:
    """Missions, plans and agents as the raw data names them at one moment.

    ``agents``: by id. One whose endpoint is wrong or not allowed by the policy has none, and ``refused_endpoints``
    says why; those in ``not_allowed`` are forbidden by the policy alone. ``plans``: by mission, faulty ones included;
    ``plan`` is the way to one that can be run.
    """

    agents: Mapping[str, Agent]
    plans: Mapping[str, MissionPlan]
    refused_endpoints: Mapping[str, str]
    not_allowed: frozenset[str]
    findings: Mapping[str, tuple[str, ...]]
    rejected: tuple[RejectedRecord, ...]
    raw_data: Path
    stamps: tuple[FileStamp, ...] = field(repr=False)

    def plan(self, mission_id: str) -> MissionPlan:
        """Return a mission's plan, if the mission can be run.

        Raises:
            PlanFault: it cannot; the text names every fault, and for an unknown mission those that there are.

        """
        faults = self.faults(mission_id)
        if not faults:
            return self.plans[mission_id]
        if mission_id not in self.plans:
            raise PlanFault(" ".join(faults))
        mend = f"Mend {self.raw_data}"
        if self._is_forbidden(self.plans[mission_id]):
            mend += ", or allow it in [runner] of the policy,"
        raise PlanFault(f"Mission {mission_id} cannot be run. {' '.join(faults)} {mend} and try again.")

    def faults(self, mission_id: str) -> tuple[str, ...]:
        """Return why a mission cannot be run, a sentence each; none if it can."""
        rejected = [
            record.sentence
            for record in self.rejected
            if record.mission_id == mission_id and record.data_set in _OF_ONE_MISSION
        ]
        plan = self.plans.get(mission_id)
        if plan is None:
            return (*rejected, f"There is no mission {mission_id!r} in {self.raw_data}.", self._known_missions())
        if not plan.tasks:
            unread = [r.sentence for r in self.rejected if r.data_set == _PLANS and r.mission_id is None]
            return (*rejected, *unread, f"It has no task in {_PLANS}.")
        tasks = {task.task_id for task in plan.tasks}
        of_tasks = [
            sentence
            for record in self.rejected
            if record.mission_id is None and record.task_id in tasks
            for sentence in (record.sentence, *self._rejected_agents(record.capable_agents))
        ]
        unavailable = [sentence for task in plan.tasks if (sentence := self._nobody_available(task))]
        # A cycle is a finding of each of its tasks, in one sentence.
        return tuple(dict.fromkeys((*rejected, *of_tasks, *self.findings.get(mission_id, ()), *unavailable)))

    def _rejected_agents(self, named: Sequence[str]) -> list[str]:
        """Return what is wrong with the records of agents that are named, and of which none counts."""
        unknown = set(named) - set(self.agents)
        records = [record for record in self.rejected if record.data_set == _AGENT_RECORDS]
        if unknown <= {record.agent_id for record in records}:
            return [record.sentence for record in records if record.agent_id in unknown]
        return [record.sentence for record in records if record.agent_id is None or record.agent_id in unknown]

    def is_stale(self) -> bool:
        """Whether the files of the reference data have changed since; looks at names, sizes and times only."""
        return _stamps(self.raw_data) != self.stamps

    def _known_missions(self) -> str:
        names = ", ".join(f"{plan.mission_id} ({plan.mission_name or 'no name'})" for plan in self.plans.values())
        return f"Those that it has: {names}." if names else "It has none."

    def _is_forbidden(self, plan: MissionPlan) -> bool:
        """Whether the policy alone keeps an agent from a task that nobody else can do."""
        return any(
            self.agents[agent].status == "available" and agent in self.not_allowed
            for task in plan.tasks
            if self._nobody_available(task)
            for agent in task.capable_agents
        )

    def _nobody_available(self, task: PlannedTask) -> str | None:
        if not task.capable_agents or any(self.agents[agent].is_available for agent in task.capable_agents):
            return None
        why = "; ".join(f"{agent} {self._why_not(self.agents[agent])}" for agent in task.capable_agents)
        return f"No agent that is able to do {task.task_id} is available: {why}."

    def _why_not(self, agent: Agent) -> str:
        if agent.status != "available":
            return f"is {agent.status}" if agent.status else "has no status"
        return self.refused_endpoints.get(agent.agent_id, "has no endpoint")


def load_registry(raw_data: Path, policy: Policy, now: datetime) -> Registry:
    """Return what the reference data says now; the raw data is only read, and no warehouse is touched.

    Args:
        raw_data: the folder.
        policy: names primary KPIs, and what endpoints may call.
        now: the clock, UTC without zone.

    Raises:
        InputFault: a file or the folder cannot be used at all.

    """
    stamps = _stamps(raw_data)  # before the files are read: a change meanwhile makes the registry stale, never wrong
    with build_in_memory() as build:
        land_raw_files(build, raw_data, now=now, data_sets=REFERENCE_DATA_SETS)
        stage_valid_reference_data(build, policy, now=now)
        agents, refused, not_allowed = _agents(build, policy)
        return Registry(
            agents=agents,
            plans=_plans(build),
            refused_endpoints=refused,
            not_allowed=not_allowed,
            findings=_grouped([*build.frame(_PLAN_FINDINGS).rows(), *build.frame(_UNSAID_GATES).rows()]),
            rejected=tuple(_rejected(row) for row in build.frame(_REJECTED).iter_rows()),
            raw_data=raw_data,
            stamps=stamps,
        )


def _stamps(raw_data: Path) -> tuple[FileStamp, ...]:
    try:
        files = find_raw_files(raw_data, REFERENCE_DATA_SETS).files
        found = [(file.name, file.path.stat()) for file in files]
    except (InputFault, OSError):
        return ()  # reading them says what is wrong
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def _agents(build: Build, policy: Policy) -> tuple[dict[str, Agent], dict[str, str], frozenset[str]]:
    agents, refused, not_allowed = {}, {}, set()
    for agent_id, name, status, text in build.frame(_AGENTS).iter_rows():
        endpoint = None if text is None else json.loads(text)
        if endpoint is not None:
            try:
                check_endpoint(endpoint, policy)
            except EndpointFault as fault:
                refused[agent_id] = f"has an endpoint that {fault}"
                if isinstance(fault, NotAllowed):
                    not_allowed.add(agent_id)
                endpoint = None
        agents[agent_id] = Agent(agent_id, name, status, endpoint)
    return agents, refused, frozenset(not_allowed)


def _plans(build: Build) -> dict[str, MissionPlan]:
    capable = _grouped(build.frame(_CAPABILITIES).rows())
    tasks: dict[str, list[PlannedTask]] = {}
    for mission_id, task_id, name, order, depends_on, minutes, requires_approval in build.frame(_TASKS).iter_rows():
        task = PlannedTask(
            task_id, name, order, tuple(depends_on), minutes, requires_approval, tuple(capable.get(task_id, ()))
        )
        tasks.setdefault(mission_id, []).append(task)
    kpis: dict[str, list[KpiTarget]] = {}
    for mission_id, *values in build.frame(_KPIS).iter_rows():
        kpis.setdefault(mission_id, []).append(KpiTarget(*values))
    return {
        mission_id: MissionPlan(
            mission_id, name, owner, tuple(tasks.get(mission_id, ())), tuple(kpis.get(mission_id, ()))
        )
        for mission_id, name, owner in build.frame(_MISSIONS).iter_rows()
    }


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for key, value in rows:
        groups.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in groups.items()}


def _rejected(row: tuple[Any, ...]) -> RejectedRecord:
    data_set, file, number, reason, record = row
    values = _values(record)
    capable = values.get("capable_agents")
    return RejectedRecord(
        data_set,
        _named(values, "mission_id"),
        _named(values, "task_id"),
        _named(values, "agent_id"),
        tuple(str(each) for each in capable) if isinstance(capable, list) else (),
        f"Record {number} of {file} was rejected: {reason.rstrip('.')}.",
    )


def _values(record: str) -> dict[str, Any]:
    """Return what a record holds; nothing of one that cannot be read."""
    try:
        values = json.loads(record)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _named(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return None if value is None or isinstance(value, (dict, list)) else str(value)

"""Faults of plans: missing dependency, cycle, an order that contradicts a dependency, a task that nobody can do.

They are findings, not rejects: the telemetry of such a mission is still judged. Pure functions of a plan's tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from mission_pipeline.contracts.quality import PlanFindings
from mission_pipeline.warehouse import Build

_TASKS_AND_AGENTS = """
select mission_tasks.mission_id, mission_tasks.task_id, task_order, depends_on,
    count(agent_capabilities.agent_id) as capable_agents
from staging.mission_tasks
left join staging.agent_capabilities on mission_tasks.task_id = agent_capabilities.task_id
group by all
order by mission_tasks.mission_id, mission_tasks.task_id"""


@dataclass(frozen=True)
class PlannedTask:
    """What the checks ask of a task."""

    task_id: str
    order: int | None
    depends_on: tuple[str, ...]
    capable_agents: int


Finding = tuple[str, str, str]
"""Task, fault, detail."""


def write_plan_findings(build: Build) -> None:
    """Write ``quality.plan_findings`` from the staged plans and capabilities."""
    plans: dict[str, list[PlannedTask]] = {}
    for mission_id, task_id, order, depends_on, agents in build.frame(_TASKS_AND_AGENTS).iter_rows():
        plans.setdefault(mission_id, []).append(PlannedTask(task_id, order, tuple(depends_on), agents))
    rows = [(mission_id, *finding) for mission_id, tasks in plans.items() for finding in plan_faults(tasks)]
    frame = pl.DataFrame(rows, schema=PlanFindings.polars_schema(), orient="row")
    build.replace_table(PlanFindings, frame=frame)


def plan_faults(tasks: Sequence[PlannedTask]) -> list[Finding]:
    """Return every fault of one plan, sorted."""
    known = {task.task_id: task for task in tasks}
    found: set[Finding] = set()
    for task in tasks:
        if task.capable_agents == 0:
            found.add((task.task_id, "no_capable_agent", f"No known agent is able to do {task.task_id}."))
        for other_id in task.depends_on:
            other = known.get(other_id)
            if other is None:
                detail = f"{task.task_id} depends on {other_id}, which is not in the mission's plan."
                found.add((task.task_id, "missing_dependency", detail))
            elif other is not task and None not in (task.order, other.order) and task.order <= other.order:  # type: ignore[operator]
                detail = f"{task.task_id} has the order {task.order}, but depends on {other_id} of order {other.order}."
                found.add((task.task_id, "order_contradicts_dependency", detail))
    for cycle in dependency_cycles(tasks):
        together = f"These tasks wait for each other: {', '.join(cycle)}."
        detail = together if len(cycle) > 1 else f"{cycle[0]} waits for itself."
        found |= {(task_id, "dependency_cycle", detail) for task_id in cycle}
    return sorted(found)


def dependency_cycles(tasks: Sequence[PlannedTask]) -> list[list[str]]:
    """Return the groups of tasks that wait for each other: the strongly connected parts of the plan, sorted.

    By Kosaraju's method: walk along the dependencies, then against them, starting with what was left last.
    """
    waits_for: dict[str, list[str]] = {task.task_id: [] for task in tasks}
    awaited_by: dict[str, list[str]] = {task.task_id: [] for task in tasks}
    for task in tasks:
        for other in task.depends_on:
            if other in waits_for:
                waits_for[task.task_id].append(other)
                awaited_by[other].append(task.task_id)
    left_in_order = [task_id for walk in _walks(waits_for, waits_for) for task_id in walk]
    parts = _walks(awaited_by, reversed(left_in_order))
    return sorted(sorted(part) for part in parts if len(part) > 1 or part[0] in waits_for[part[0]])


def _walks(graph: Mapping[str, Sequence[str]], starts: Iterable[str]) -> list[list[str]]:
    """Walk from every start that no earlier walk met; return what each met first, in the order in which it left it."""
    met: set[str] = set()
    walks = []
    for start in starts:
        if start in met:
            continue
        met.add(start)
        left: list[str] = []
        path = [(start, iter(graph[start]))]  # not recursion: a plan may be a chain of thousands
        while path:
            here, ways = path[-1]
            onward = next((way for way in ways if way not in met), None)
            if onward is None:
                path.pop()
                left.append(here)
            else:
                met.add(onward)
                path.append((onward, iter(graph[onward])))
        walks.append(left)
    return walks

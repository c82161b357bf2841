"""The tasks inside plan records: which are sound, which plan stands per mission, and their rows for staging.

Whether a plan makes sense (dependencies, order, who can do it) is asked in ``plan_checks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from mission_pipeline.contracts.inputs import DECOMPOSED_MISSION_TASKS, MAX_DURATION_MINUTES, InputField
from mission_pipeline.contracts.staging import MissionTasks
from mission_pipeline.validate import rules, set_aside, statements
from mission_pipeline.validate.nested import Drift, Misfit, NamedTwice, as_json, parsed, read_fields
from mission_pipeline.warehouse import Build

TASK_FIELDS = (
    InputField("task_id", "id", is_required=True),
    InputField("task", "text"),
    InputField("order", "count"),
    InputField("depends_on", "ids"),
    InputField("estimated_duration_minutes", "number"),
    InputField("requires_human_approval", "flag"),
)
"""What each element of ``tasks[]`` holds. A null ``depends_on`` means: nothing."""
TASK_OF_ANOTHER_PLAN = "task_of_another_plan"


@dataclass(frozen=True)
class Plan:
    """One plan record with its tasks, as rows of staging."""

    record_id: int
    mission_id: str
    tasks: list[dict[str, Any]]


def reject_faulty_plans(build: Build, drift: Drift) -> list[Plan]:
    """Reject plan records with a bad task; return the others in the order of files and rows."""
    records = build.frame(statements.nested_values(DECOMPOSED_MISSION_TASKS, "tasks"))
    plans, faults = [], []
    for record_id, mission_id, text in records.iter_rows():
        tasks, misfits = _tasks_of(record_id, mission_id, text, drift)
        faults += [(record_id, misfit.rule, misfit.sentence) for misfit in misfits]
        if not misfits:
            plans.append(Plan(record_id, mission_id, tasks))
    found = pl.DataFrame(faults, schema=set_aside.FAULTS, orient="row")
    set_aside.reject(build, DECOMPOSED_MISSION_TASKS, set_aside.verdicts(found))
    return plans


def _tasks_of(record_id: int, mission_id: str, text: str, drift: Drift) -> tuple[list[dict[str, Any]], list[Misfit]]:
    try:
        elements = parsed(text)
    except NamedTwice as repeated:
        return [], [Misfit(rules.NAMED_TWICE, f"tasks {repeated}")]
    known = {field.name for field in TASK_FIELDS}
    tasks: list[dict[str, Any]] = []
    named: set[str | None] = set()
    faults: list[Misfit] = []
    for number, element in enumerate(elements):
        place = f"tasks[{number}]"
        if not isinstance(element, dict):
            faults.append(Misfit(rules.WRONG_TYPE, f"{place} is {as_json(element)}, not an object"))
            continue
        for name in element.keys() - known:
            drift.note(record_id, f"tasks.{name}", "unknown_field", element[name])
        values, misfits = read_fields(place, element, TASK_FIELDS)
        for name, read in values.items():
            if read is not None and read.is_converted:
                drift.note(record_id, f"tasks.{name}", "converted_type", element[name])
        faults += misfits
        value = {name: None if read is None else read.value for name, read in values.items()}
        faults += _faults_of_task(place, value, named)
        named.add(value["task_id"])
        tasks.append(
            {
                "mission_id": mission_id,
                "task_id": value["task_id"],
                "task_name": value["task"],
                "task_order": value["order"],
                "depends_on": list(dict.fromkeys(value["depends_on"] or [])),
                "estimated_duration_minutes": value["estimated_duration_minutes"],
                "requires_human_approval": value["requires_human_approval"],
            }
        )
    return tasks, faults


def _faults_of_task(place: str, value: dict[str, Any], earlier_tasks: set[str | None]) -> list[Misfit]:
    faults = []
    minutes = value["estimated_duration_minutes"]
    if minutes is not None and not 0 <= minutes <= MAX_DURATION_MINUTES:
        limits = f"not between 0 and {MAX_DURATION_MINUTES}"
        faults.append(Misfit(rules.OUT_OF_RANGE, f"{place}.estimated_duration_minutes is {minutes:.15g}, {limits}"))
    if value["task_id"] is not None and value["task_id"] in earlier_tasks:
        faults.append(Misfit(rules.NAMED_TWICE, f"{place}.task_id names {value['task_id']} again"))
    return faults


def stage_plans(build: Build, plans: list[Plan]) -> None:
    """Write ``staging.mission_tasks`` from the plans that stand.

    Plans are taken in the order of files and rows. One that names a task of another mission's plan is rejected; any
    other takes the place of its mission's earlier plan.
    """
    sound = set(build.frame(statements.sound_records(DECOMPOSED_MISSION_TASKS))["record_id"])
    standing: dict[str, Plan] = {}
    mission_of: dict[str, str] = {}
    refused = []
    for plan in plans:
        if plan.record_id not in sound:
            continue
        taken = [
            f"task {task['task_id']} is in the plan of {mission_of[task['task_id']]}"
            for task in plan.tasks
            if mission_of.get(task["task_id"], plan.mission_id) != plan.mission_id
        ]
        if taken:
            refused.append((plan.record_id, TASK_OF_ANOTHER_PLAN, f"{'; '.join(taken)}."))
            continue
        if plan.mission_id in standing:
            for task in standing[plan.mission_id].tasks:
                del mission_of[task["task_id"]]
        standing[plan.mission_id] = plan
        mission_of |= {task["task_id"]: plan.mission_id for task in plan.tasks}
    verdicts = pl.DataFrame(refused, schema=set_aside.VERDICTS, orient="row")
    set_aside.reject(build, DECOMPOSED_MISSION_TASKS, verdicts)
    set_aside.set_aside_replaced(build, DECOMPOSED_MISSION_TASKS)
    rows = sorted(
        (task for plan in standing.values() for task in plan.tasks),
        key=lambda task: (task["mission_id"], task["task_id"]),
    )
    build.replace_table(MissionTasks, frame=pl.DataFrame(rows, schema=MissionTasks.polars_schema()))

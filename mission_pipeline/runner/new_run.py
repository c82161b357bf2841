"""A run as it begins: its plan copied into the store, so that a later change of the raw data does not touch it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mission_pipeline.policy import RunnerPolicy
from mission_pipeline.runner.canonical import plain, to_json
from mission_pipeline.runner.model import MissionPlan
from mission_pipeline.runner.tables import mission_run, mission_task, task_dep


def rank_of(priority: str | None, limits: RunnerPolicy) -> int:
    """Return the place of a run in the order of work: the lowest first; 0 for a word of no list, and for none."""
    word = _as_word(priority or "")
    first = [_as_word(each) for each in limits.priorities_first]
    last = [_as_word(each) for each in limits.priorities_last]
    if word in first:
        return first.index(word) - len(first)
    return last.index(word) + 1 if word in last else 0


def _as_word(priority: str) -> str:
    return priority.strip().casefold()


def insert_run(
    connection: sa.Connection,
    run_id: str,
    plan: MissionPlan,
    *,
    now: datetime,
    mission_input: Mapping[str, Any],
    requested_by: str | None,
    priority: str | None,
    rank: int,
    usual_minutes: float | None,
    previous_kpis: Mapping[str, float],
) -> None:
    """Write a run with its plan; the tasks that depend on nothing can be claimed at once."""
    first = [task for task in plan.tasks if not task.depends_on]
    connection.execute(
        sa.insert(mission_run).values(
            run_id=run_id,
            mission_id=plan.mission_id,
            mission_name=plain(plan.mission_name),
            owner=plain(plan.owner),
            status="running",
            requested_by=plain(requested_by),
            priority=plain(priority),
            created_at=now,
            newest_at=now,
            mission_input=to_json(mission_input),
            kpi_targets=to_json([vars(target) for target in plan.kpis]),
            kpis="{}",
            previous_kpis=to_json(previous_kpis),
            usual_minutes=usual_minutes,
            open_tasks=len(plan.tasks),
            live_tasks=len(first),
            failures=0,
            human_interventions=0,
            escalations=0,
            is_risk_flagged=False,
            records=0,
            version=1,
        )
    )
    connection.execute(
        sa.insert(mission_task),
        [
            {
                "run_id": run_id,
                "task_id": task.task_id,
                "position": position,
                "task_name": plain(task.task_name),
                "task_order": task.task_order,
                "estimated_minutes": task.estimated_minutes,
                "requires_approval": task.requires_approval,
                "capable_agents": to_json(task.capable_agents),
                "status": "pending",
                "open_dependencies": len(set(task.depends_on)),
                "attempt": 1,
                "fence": 0,
                "rank": rank,
                "due_at": None if task.depends_on else now,
            }
            for position, task in enumerate(plan.tasks)
        ],
    )
    dependencies = [
        {"run_id": run_id, "task_id": task.task_id, "depends_on": needed}
        for task in plan.tasks
        for needed in sorted(set(task.depends_on))
    ]
    if dependencies:
        connection.execute(sa.insert(task_dep), dependencies)

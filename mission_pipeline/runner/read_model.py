"""What can be read of the store: the state object of a run, the runs, the gates. Ready for JSON; changes nothing.

What is not known is None. Times are ISO texts in UTC.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mission_pipeline.errors import UnknownApproval, UnknownRun
from mission_pipeline.runner.canonical import iso
from mission_pipeline.runner.model import ENDED_RUNS
from mission_pipeline.runner.tables import approval, mission_run, mission_task, risk_event, task_attempt, task_dep
from mission_pipeline.runner.transitions import waits_for_an_agent

Row = sa.Row[Any]

_DECIDED = ("approved", "rejected")


def has_run(connection: sa.Connection, run_id: str) -> bool:
    """Whether a run has this name."""
    asked = sa.select(mission_run.c.run_id).where(mission_run.c.run_id == run_id)
    return connection.execute(asked).first() is not None


def ended_words(run: Row) -> str:
    """Return how a run ended, to follow its name."""
    if run.status == "cancelled":
        return f"was cancelled already{f', by {run.cancelled_by}' if run.cancelled_by else ''}"
    return "has failed already" if run.status == "failed" else f"is {run.status} already"


def why_too_late(connection: sa.Connection, run_id: str) -> str:
    """Return why a worker's claim counts no more: its run was cancelled, or its lease was over."""
    asked = sa.select(mission_run.c.status, mission_run.c.cancelled_by).where(mission_run.c.run_id == run_id)
    run = connection.execute(asked).one()
    if run.status == "cancelled":
        return f"the run was cancelled{f' by {run.cancelled_by}' if run.cancelled_by else ''}"
    # Only a cancellation ends a run while a task is at work: else another worker did the task first.
    then = "the run has ended" if run.status in ENDED_RUNS else "the task is another worker's"
    return f"its lease was over, and {then}"


def state(connection: sa.Connection, run_id: str) -> dict[str, Any]:
    """Return the state object of a run.

    Raises:
        UnknownRun: no run has this name.
    """
    run = connection.execute(sa.select(mission_run).where(mission_run.c.run_id == run_id)).one_or_none()
    if run is None:
        raise UnknownRun(f"No run is called {run_id!r}. `mission runs` lists them.")
    tasks = _rows(connection, mission_task, run_id, mission_task.c.position)
    attempts = _rows(connection, task_attempt, run_id, task_attempt.c.task_id, task_attempt.c.attempt)
    gates = _rows(connection, approval, run_id, approval.c.requested_at, approval.c.approval_id)
    risks = _rows(connection, risk_event, run_id, risk_event.c.detected_at, risk_event.c.event_id)
    needed: dict[str, list[str]] = {task.task_id: [] for task in tasks}
    for row in _rows(connection, task_dep, run_id, task_dep.c.depends_on):
        needed[row.task_id].append(row.depends_on)
    of_task: dict[str, list[Row]] = {task.task_id: [] for task in tasks}
    for attempt in attempts:
        of_task[attempt.task_id].append(attempt)
    newest_gate = {gate.task_id: gate for gate in gates if gate.status != "void"}
    decided_gate = {(gate.task_id, gate.attempt): gate for gate in gates if gate.status in _DECIDED}
    targets, observed = json.loads(run.kpi_targets), json.loads(run.kpis)
    return {
        "mission_id": run.mission_id,
        "mission_name": run.mission_name,
        "run_id": run.run_id,
        "requested_by": run.requested_by,
        "priority": run.priority,
        "created_at": iso(run.created_at),
        "status": run.status,
        "started_at": iso(run.started_at),
        "ended_at": iso(run.ended_at),
        "cancelled_by": run.cancelled_by,
        "cancel_reason": run.cancel_reason,
        "mission_input": json.loads(run.mission_input),
        "plan_tasks": [_planned(task, needed[task.task_id]) for task in tasks],
        "task_status_by_id": {task.task_id: task.status for task in tasks},
        "waiting_for_agent_by_id": {
            task.task_id: task.error for task in _without_agent(connection, mission_task.c.run_id == run_id)
        },
        "blocked_reason_by_id": {task.task_id: task.blocked_reason for task in tasks if task.blocked_reason},
        "task_results_by_id": {
            task_id: {
                **_result(tried[-1], newest_gate.get(task_id)),
                "attempts": [_tried(attempt, decided_gate.get((task_id, attempt.attempt))) for attempt in tried],
            }
            for task_id, tried in of_task.items()
            if tried
        },
        "capability_lookup": {task.task_id: json.loads(task.capable_agents) for task in tasks},
        "agent_stats": _newest_scores(attempts),
        "routing_by_task_id": {
            task_id: [_choice(attempt) for attempt in tried if attempt.agent_id is not None]
            for task_id, tried in of_task.items()
            if tried
        },
        "hitl_queue": [_waiting(gate) for gate in gates if gate.status == "open"],
        "risk_events": [_risk(event) for event in risks],
        "kpi_targets": targets,
        "kpi_observations": observed,
        "kpi_gap_summary": [_gap(target, observed) for target in targets],
        "human_interventions": run.human_interventions,
        "escalations": run.escalations,
    }


def runs(connection: sa.Connection, limit: int | None) -> list[dict[str, Any]]:
    """Return the runs, the newest first: names, status, times, and how many tasks are completed of how many."""
    newest = connection.execute(
        sa.select(mission_run).order_by(mission_run.c.created_at.desc(), mission_run.c.run_id).limit(limit)
    ).all()
    tasks: dict[str, dict[str, int]] = {run.run_id: {} for run in newest}
    gates: dict[str, int] = {}
    without_agent: Counter[str] = Counter()
    if newest:
        names = sa.select(mission_run.c.run_id).order_by(mission_run.c.created_at.desc(), mission_run.c.run_id)
        chosen = names.limit(limit).subquery()
        for row in connection.execute(
            sa.select(mission_task.c.run_id, mission_task.c.status, sa.func.count().label("tasks"))
            .join(chosen, chosen.c.run_id == mission_task.c.run_id)
            .group_by(mission_task.c.run_id, mission_task.c.status)
        ):
            tasks[row.run_id][row.status] = row.tasks
        for row in connection.execute(
            sa.select(approval.c.run_id, sa.func.count().label("gates"))
            .where(approval.c.status == "open")
            .group_by(approval.c.run_id)
        ):
            gates[row.run_id] = row.gates
        without_agent.update(row.run_id for row in _without_agent(connection))
    return [
        {
            "run_id": run.run_id,
            "mission_id": run.mission_id,
            "mission_name": run.mission_name,
            "status": run.status,
            "requested_by": run.requested_by,
            "priority": run.priority,
            "created_at": iso(run.created_at),
            "started_at": iso(run.started_at),
            "ended_at": iso(run.ended_at),
            "has_ended": run.status in ENDED_RUNS,
            "tasks": sum(tasks[run.run_id].values()),
            "completed_tasks": tasks[run.run_id].get("completed", 0),
            "open_approvals": gates.get(run.run_id, 0),
            "waiting_for_agents": without_agent[run.run_id],
        }
        for run in newest
    ]


def open_approvals(connection: sa.Connection, limit: int | None, *, has_values: bool) -> list[dict[str, Any]]:
    """Return the open gates, the oldest first; ``has_values``: with the results to judge and the missions' inputs."""
    order = [approval.c.requested_at, approval.c.approval_id]
    return _gates(connection, [approval.c.status == "open"], order, limit, has_values=has_values)


def number_of_open_approvals(connection: sa.Connection) -> int:
    """Return how many gates are open."""
    asked = sa.select(sa.func.count()).select_from(approval).where(approval.c.status == "open")
    return int(connection.execute(asked).scalar_one())


def decided_approvals(connection: sa.Connection, limit: int | None, *, has_values: bool) -> list[dict[str, Any]]:
    """Return the gates that were decided, the newest decision first; ``has_values`` as for the open ones."""
    order = [approval.c.decided_at.desc(), approval.c.approval_id]
    return _gates(connection, [approval.c.decided_at.is_not(None)], order, limit, has_values=has_values)


def approval_of(connection: sa.Connection, approval_id: str) -> dict[str, Any]:
    """Return one gate, with all that is needed to judge it.

    Raises:
        UnknownApproval: no gate has this name.
    """
    named = [approval.c.approval_id == approval_id]
    found = _gates(connection, named, [approval.c.approval_id], None, has_values=True)
    if not found:
        raise UnknownApproval(f"No gate is called {approval_id!r}. `mission approvals` lists those that are open.")
    return found[0]


def _gates(
    connection: sa.Connection,
    where: Sequence[sa.ColumnElement[bool]],
    order: Sequence[sa.ColumnElement[Any]],
    limit: int | None,
    *,
    has_values: bool,
) -> list[dict[str, Any]]:
    rows = connection.execute(
        sa.select(
            approval,
            mission_run.c.mission_id,
            mission_run.c.mission_name,
            mission_run.c.owner,
            mission_run.c.status.label("run_status"),
            mission_task.c.task_name,
            task_attempt.c.agent_id,
            task_attempt.c.summary,
            *((task_attempt.c.result, mission_run.c.mission_input) if has_values else ()),
        )
        .join(mission_run, mission_run.c.run_id == approval.c.run_id)
        .join(mission_task, _same(mission_task, "run_id", "task_id"))
        .join(task_attempt, _same(task_attempt, "run_id", "task_id", "attempt"))
        .where(*where)
        .order_by(*order)
        .limit(limit)
    ).all()
    return [
        {**_gate(row), **(_values(row) if has_values else {}), "attempts_before": _attempts_before(connection, row)}
        for row in rows
    ]


def _without_agent(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any, Any, Any]]:
    """Return the tasks that wait because no agent can be asked; ``error`` says who is missing."""
    newest = task_attempt.alias("newest")
    is_newest = sa.and_(*(newest.c[name] == mission_task.c[name] for name in ("run_id", "task_id", "attempt")))
    return connection.execute(
        sa.select(mission_task.c.run_id, mission_task.c.task_id, newest.c.error)
        .join(newest, is_newest)
        .where(waits_for_an_agent(), *where)
        .order_by(mission_task.c.run_id, mission_task.c.position)
    ).all()


def _same(table: sa.Table, *names: str) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == approval.c[name] for name in names))


def _gate(row: Row) -> dict[str, Any]:
    return {
        **_waiting(row),
        "run_id": row.run_id,
        "mission_id": row.mission_id,
        "mission_name": row.mission_name,
        "owner": row.owner,
        "run_status": row.run_status,
        "task_name": row.task_name,
        "status": row.status,
        "attempt": row.attempt,
        "agent_id": row.agent_id,
        "result_sha256": row.result_sha256,
        "summary": row.summary,
        "decided_at": iso(row.decided_at),
        "decided_by": row.decided_by,
        "reason": row.reason,
    }


def _values(row: Row) -> dict[str, Any]:
    """Return what can be large, and takes long for many gates."""
    return {"result": json.loads(row.result), "mission_input": json.loads(row.mission_input)}


def _attempts_before(connection: sa.Connection, gate: Row) -> list[dict[str, Any]]:
    """Return what was tried before: by whom, how it ended, and why a person rejected it."""
    if gate.attempt == 1:
        return []
    before = connection.execute(
        sa.select(task_attempt, approval.c.decided_by, approval.c.reason.label("rejection"))
        .outerjoin(
            approval, sa.and_(_same(task_attempt, "run_id", "task_id", "attempt"), approval.c.status.in_(_DECIDED))
        )
        .where(
            task_attempt.c.run_id == gate.run_id,
            task_attempt.c.task_id == gate.task_id,
            task_attempt.c.attempt < gate.attempt,
        )
        .order_by(task_attempt.c.attempt)
    )
    return [
        {
            "attempt": row.attempt,
            "agent_id": row.agent_id,
            "outcome": row.outcome,
            "error": row.error,
            "decided_by": row.decided_by,
            "reason": row.rejection,
        }
        for row in before
    ]


def _rows(connection: sa.Connection, table: sa.Table, run_id: str, *order: sa.Column[Any]) -> Sequence[Row]:
    return connection.execute(sa.select(table).where(table.c.run_id == run_id).order_by(*order)).all()


def _planned(task: Row, depends_on: list[str]) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "task_name": task.task_name,
        "task_order": task.task_order,
        "depends_on": depends_on,
        "estimated_minutes": task.estimated_minutes,
        "requires_approval": bool(task.requires_approval),
    }


def _result(attempt: Row, gate: Row | None) -> dict[str, Any]:
    has_gate = gate is not None and gate.attempt == attempt.attempt
    return {
        "result": None if attempt.result is None else json.loads(attempt.result),
        "summary": attempt.summary,
        "error": attempt.error,
        "agent_id": attempt.agent_id,
        "attempt": attempt.attempt,
        "outcome": attempt.outcome,
        "work_seconds": attempt.work_seconds,
        "approval": _decided(gate) if has_gate and gate is not None else None,
    }


def _tried(attempt: Row, gate: Row | None) -> dict[str, Any]:
    """Return an attempt in short: by whom, how it ended, and what a person or the time limit decided about it."""
    return {
        "attempt": attempt.attempt,
        "agent_id": attempt.agent_id,
        "outcome": attempt.outcome,
        "error": attempt.error,
        "decided_by": None if gate is None else gate.decided_by,
        "reason": None if gate is None else gate.reason,
    }


def _decided(gate: Row) -> dict[str, Any]:
    return {
        **_waiting(gate),
        "status": gate.status,
        "decided_at": iso(gate.decided_at),
        "decided_by": gate.decided_by,
        "reason": gate.reason,
    }


def _waiting(gate: Row) -> dict[str, Any]:
    return {
        "approval_id": gate.approval_id,
        "task_id": gate.task_id,
        "requested_at": iso(gate.requested_at),
        "reminded_at": iso(gate.reminded_at),
        "escalated_at": iso(gate.escalated_at),
        "escalated_to": gate.escalated_to,
    }


def _choice(attempt: Row) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "agent_id": attempt.agent_id,
        "reason": attempt.reason,
        "scores": json.loads(attempt.scores),
        "warehouse_version": attempt.warehouse_version,
        "is_exploration": bool(attempt.is_exploration),
    }


def _newest_scores(attempts: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """Return for each task the figures of the agents that could be asked, as its newest choice used them."""
    return {attempt.task_id: json.loads(attempt.scores) for attempt in attempts if attempt.scores is not None}


def _risk(event: Row) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "task_id": event.task_id,
        "risk_type": event.risk_type,
        "severity": event.severity,
        "description": event.description,
        "detected_at": iso(event.detected_at),
        "status": event.status,
    }


def _gap(target: Mapping[str, Any], observed: Mapping[str, float]) -> dict[str, Any]:
    """Return how far a KPI is from its target: 0 when met, None while it is not known."""
    value, limit = observed.get(target["kpi_name"]), target["target_value"]
    sign = {"lower_is_better": 1, "higher_is_better": -1}.get(target["direction"])
    gap = None if value is None or limit is None or sign is None else max(sign * (value - limit), 0.0)
    return {
        "kpi_name": target["kpi_name"],
        "value": value,
        "target_value": limit,
        "gap": gap,
        "is_met": None if gap is None else gap == 0,
    }

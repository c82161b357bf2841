"""The records that a run leaves in the raw data, as the contract names them, and their way through the outbox.

A row is written in the same transaction as what it tells. It becomes ready when the run ends: a log whose run is
unknown would be rejected by a refresh. Nothing here touches a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mission_pipeline.runner.canonical import iso, minutes, minutes_between, to_json
from mission_pipeline.runner.model import KpiTarget, TelemetryRow
from mission_pipeline.runner.tables import outbox, store_meta

Row = sa.Row[Any]


def execution_log(run: Row, task: Row, attempt: Row, gate: Row | None) -> dict[str, Any]:
    """Return the log of an attempt that has ended.

    Args:
        run: of ``mission_run``.
        task: of ``mission_task``.
        attempt: of ``task_attempt``, with its agent and its outcome.
        gate: of ``approval``; None where none was opened. What nobody decided has no delay: it is not known.
    """
    delay: float | None = None if task.requires_approval else 0.0
    if gate is not None and gate.decided_at is not None:
        delay = minutes_between(gate.requested_at, gate.decided_at)
    record = {
        "run_id": run.run_id,
        "mission_id": run.mission_id,
        "task_id": task.task_id,
        "attempt": attempt.attempt,
        "agent_id": attempt.agent_id,
        "actual_duration_minutes": None if attempt.work_seconds is None else minutes(attempt.work_seconds),
        "human_approval_required": bool(task.requires_approval),
        "human_delay_minutes": delay,
        "outcome": attempt.outcome,
        "started_at": iso(attempt.started_at),
        "finished_at": iso(attempt.finished_at),
    }
    if gate is not None:
        record["approval_request_time"] = iso(gate.requested_at)
    return record


def counted_kpis(targets: Iterable[KpiTarget]) -> set[str]:
    """Return the KPIs that nobody reports: steps under a ceiling are the tasks that the run executed."""
    return {target.kpi_name for target in targets if (target.kpi_name, target.limit_kind) == ("steps", "ceiling")}


def run_record(run: Row, targets: Iterable[KpiTarget]) -> dict[str, Any]:
    """Return the record of a run that has ended. A run that never started began when it was made.

    A KPI that is counted is left out: the pipeline counts for itself.
    """
    start = run.started_at or run.created_at
    counted = counted_kpis(targets)
    return {
        "run_id": run.run_id,
        "mission_id": run.mission_id,
        "start_time": iso(start),
        "end_time": iso(run.ended_at),
        "status": run.status,
        "total_duration_minutes": round((run.ended_at - start).total_seconds() / 60, 6),
        "kpis": {name: value for name, value in json.loads(run.kpis).items() if name not in counted},
        "human_interventions": run.human_interventions,
        "escalations": run.escalations,
        "risk_flagged": bool(run.is_risk_flagged),
        "requested_by": run.requested_by,
        "priority": run.priority,
        "created_at": iso(run.created_at),
    }


def risk_record(run: Row, event: Row, named_task: str) -> dict[str, Any]:
    """Return the record of a risk event, closed with its run.

    Args:
        run: of ``mission_run``.
        event: of ``risk_event``.
        named_task: stands for the task of an event that concerns the whole run: the contract asks for one.
    """
    return {
        "event_id": event.event_id,
        "run_id": run.run_id,
        "mission_id": run.mission_id,
        "task_id": event.task_id or named_task,
        "risk_type": event.risk_type,
        "severity": event.severity,
        "description": event.description,
        "detected_at": iso(event.detected_at),
        "status": "closed",
    }


def next_version(connection: sa.Connection, data_set: str, key: str) -> int:
    """Return the version of the next record with a key: the first, or one that corrects what was told before."""
    told: int = connection.execute(
        sa.select(sa.func.count()).where(outbox.c.data_set == data_set, outbox.c.record_key == key)
    ).scalar_one()
    return told + 1


def keep(
    connection: sa.Connection, data_set: str, key: str, record: dict[str, Any], now: datetime, version: int = 1
) -> None:
    """Put a record into the outbox. A second one with the same key and version is refused by the table."""
    connection.execute(
        sa.insert(outbox).values(
            run_id=record["run_id"],
            data_set=data_set,
            record_key=key,
            version=version,
            record=to_json(record),
            created_at=now,
            is_pending=False,
        )
    )


def make_ready(connection: sa.Connection, run_id: str) -> None:
    """Number the run's rows that are not ready, its own record first, so that no log arrives before its run.

    The store's counter is locked until the transaction ends: rows become visible in the order of their numbers, and an
    exporter can rely on the pending rows being a sequence.
    """
    waiting = connection.execute(
        sa.select(outbox.c.id)
        .where(outbox.c.run_id == run_id, outbox.c.ready_seq.is_(None))
        .order_by(sa.case((outbox.c.data_set == "mission_runs", 0), else_=1), outbox.c.id)
    ).scalars()
    ids = list(waiting)
    if not ids:
        return
    connection.execute(sa.update(store_meta).values(outbox_seq=store_meta.c.outbox_seq + len(ids)))
    last = connection.execute(sa.select(store_meta.c.outbox_seq)).scalar_one()
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.id == sa.bindparam("row"))
        .values(ready_seq=sa.bindparam("seq"), is_pending=True),
        [{"row": row, "seq": last - len(ids) + place} for place, row in enumerate(ids, start=1)],
    )


def pending(connection: sa.Connection, limit: int) -> list[TelemetryRow]:
    """Return the first rows that wait to be written, in their order."""
    rows = connection.execute(
        sa.select(outbox.c.ready_seq, outbox.c.data_set, outbox.c.record, outbox.c.created_at)
        .where(outbox.c.is_pending.is_(True))
        .order_by(outbox.c.ready_seq)
        .limit(limit)
    )
    return [TelemetryRow(row.ready_seq, row.data_set, row.record, row.created_at) for row in rows]


def told(connection: sa.Connection, data_set: str, month: str) -> list[str]:
    """Return the records of a data set that were written, in their order, of rows made in a month (YYYY-MM)."""
    first = datetime.strptime(month, "%Y-%m")
    until = (first + timedelta(days=31)).replace(day=1)
    rows = connection.execute(
        sa.select(outbox.c.record)
        .where(
            outbox.c.data_set == data_set,
            outbox.c.created_at >= first,
            outbox.c.created_at < until,
            outbox.c.is_pending.is_(False),
            outbox.c.ready_seq.is_not(None),
        )
        .order_by(outbox.c.ready_seq)
    )
    return list(rows.scalars())


def mark_exported(connection: sa.Connection, ids: Iterable[int]) -> None:
    """Note that rows are written. To note it twice changes nothing."""
    marked = [{"seq": seq} for seq in ids]
    if marked:
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.is_pending.is_(True), outbox.c.ready_seq == sa.bindparam("seq"))
            .values(is_pending=False),
            marked,
        )

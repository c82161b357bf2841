"""The store's tables, as the newest migration leaves them. What may be written when is said in transitions.py.

Times are UTC without a zone. JSON is kept as text in one canonical form, so that it can be hashed and is the same in
every database.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

store_meta = sa.Table(
    "store_meta",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("store_id", sa.String(8), nullable=False),
    sa.Column("outbox_seq", sa.BigInteger, nullable=False),  # the last number given to a row that became ready
    sa.Column("created_at", sa.DateTime, nullable=False),
)

mission_run = sa.Table(
    "mission_run",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("mission_id", sa.String, nullable=False),
    sa.Column("mission_name", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("requested_by", sa.Text),
    sa.Column("priority", sa.Text),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("started_at", sa.DateTime),
    sa.Column("ended_at", sa.DateTime),
    sa.Column("newest_at", sa.DateTime, nullable=False),  # a run's own time: it never goes back
    sa.Column("mission_input", sa.Text, nullable=False),
    sa.Column("kpi_targets", sa.Text, nullable=False),
    sa.Column("kpis", sa.Text, nullable=False),  # observed so far
    sa.Column("kpis_by_people", sa.Text, nullable=False, server_default="[]"),  # names: no agent changes these
    sa.Column("previous_kpis", sa.Text, nullable=False),  # of the mission's run before, when this one was made
    sa.Column("usual_minutes", sa.Float),
    sa.Column("open_tasks", sa.Integer, nullable=False),  # not ended
    sa.Column("live_tasks", sa.Integer, nullable=False),  # running, or could run: what moves without a person
    sa.Column("failures", sa.Integer, nullable=False),  # attempts that failed, timed out or were escalated
    sa.Column("human_interventions", sa.Integer, nullable=False),
    sa.Column("escalations", sa.Integer, nullable=False),
    sa.Column("is_risk_flagged", sa.Boolean, nullable=False),
    sa.Column("cancelled_by", sa.Text),
    sa.Column("cancel_reason", sa.Text),
    sa.Column("records", sa.Integer, nullable=False),  # run records written: each later one corrects the one before
    sa.Column("version", sa.Integer, nullable=False),  # grows with every change: the compare-and-set
    sa.Index("mission_run_by_mission", "mission_id", "created_at"),
    sa.Index("mission_run_by_time", "created_at"),
)

_IS_DUE = sa.text("due_at is not null")
_WHERE_DUE: dict[str, Any] = {"sqlite_where": _IS_DUE, "postgresql_where": _IS_DUE}

mission_task = sa.Table(
    "mission_task",
    metadata,
    sa.Column("run_id", sa.String, sa.ForeignKey("mission_run.run_id"), primary_key=True),
    sa.Column("task_id", sa.String, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("task_name", sa.Text),
    sa.Column("task_order", sa.Integer),
    sa.Column("estimated_minutes", sa.Float),
    sa.Column("requires_approval", sa.Boolean, nullable=False),
    sa.Column("capable_agents", sa.Text, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("blocked_reason", sa.String),
    sa.Column("open_dependencies", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("worker_id", sa.Text),
    sa.Column("rank", sa.Integer, nullable=False, server_default="0"),  # by the run's priority: the lowest goes first
    sa.Column("due_at", sa.DateTime),  # from when on it can be claimed: a wait's end, or a lease's; NULL: not at all
    sa.Column("rejection", sa.Text),
    sa.Column("started_at", sa.DateTime),
    sa.Column("ended_at", sa.DateTime),
    sa.Index("mission_task_by_due", "due_at", "run_id", "position"),
    sa.Index("mission_task_by_rank", "rank", "due_at", "run_id", "position", **_WHERE_DUE),
)

task_dep = sa.Table(
    "task_dep",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("task_id", sa.String, primary_key=True),
    sa.Column("depends_on", sa.String, primary_key=True),
    sa.ForeignKeyConstraint(["run_id", "task_id"], ["mission_task.run_id", "mission_task.task_id"]),
    sa.ForeignKeyConstraint(["run_id", "depends_on"], ["mission_task.run_id", "mission_task.task_id"]),
    sa.Index("task_dep_by_dependency", "run_id", "depends_on"),
)

task_attempt = sa.Table(
    "task_attempt",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("task_id", sa.String, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"),  # from workers that were not heard of
    sa.Column("agent_id", sa.String),
    sa.Column("reason", sa.Text),
    sa.Column("scores", sa.Text),
    sa.Column("warehouse_version", sa.Text),
    sa.Column("is_exploration", sa.Boolean),
    sa.Column("chosen_at", sa.DateTime),
    sa.Column("answered_at", sa.DateTime),
    sa.Column("work_seconds", sa.Float),
    sa.Column("result", sa.Text),
    sa.Column("result_sha256", sa.String(64)),
    sa.Column("summary", sa.Text),
    sa.Column("kpis", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("outcome", sa.String),  # NULL until the attempt has ended: decided, where a person decides
    sa.Column("finished_at", sa.DateTime),
    sa.ForeignKeyConstraint(["run_id", "task_id"], ["mission_task.run_id", "mission_task.task_id"]),
)

approval = sa.Table(
    "approval",
    metadata,
    sa.Column("approval_id", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("task_id", sa.String, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("result_sha256", sa.String(64), nullable=False),
    sa.Column("requested_at", sa.DateTime, nullable=False),
    sa.Column("decided_at", sa.DateTime),
    sa.Column("decided_by", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("reminded_at", sa.DateTime),
    sa.Column("escalated_at", sa.DateTime),
    sa.Column("escalated_to", sa.Text),
    sa.ForeignKeyConstraint(
        ["run_id", "task_id", "attempt"], ["task_attempt.run_id", "task_attempt.task_id", "task_attempt.attempt"]
    ),
    sa.Index("approval_by_status", "status", "requested_at"),
    sa.Index("approval_by_decision", "decided_at"),
    sa.Index("approval_by_task", "run_id", "task_id", "attempt"),
)

risk_event = sa.Table(
    "risk_event",
    metadata,
    sa.Column("event_id", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, sa.ForeignKey("mission_run.run_id"), nullable=False),
    sa.Column("task_id", sa.String),
    sa.Column("risk_type", sa.String, nullable=False),
    sa.Column("severity", sa.String, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("detected_at", sa.DateTime, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Index("risk_event_by_run", "run_id"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String, sa.ForeignKey("mission_run.run_id"), nullable=False),
    sa.Column("data_set", sa.String, nullable=False),
    sa.Column("record_key", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("ready_seq", sa.BigInteger),  # NULL until the run has ended: without its run, a log would be rejected
    sa.Column("is_pending", sa.Boolean, nullable=False),
    sa.UniqueConstraint("data_set", "record_key", "version", name="outbox_once"),
    sa.Index("outbox_by_run", "run_id"),
    sa.Index("outbox_by_ready", "is_pending", "ready_seq"),
)

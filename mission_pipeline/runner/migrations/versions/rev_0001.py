"""0001: runs, tasks, attempts, gates, risks and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table of the first release."""
    op.create_table(
        "store_meta",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("store_id", sa.String(8), nullable=False),
        sa.Column("outbox_seq", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "mission_run",
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
        sa.Column("newest_at", sa.DateTime, nullable=False),
        sa.Column("mission_input", sa.Text, nullable=False),
        sa.Column("kpi_targets", sa.Text, nullable=False),
        sa.Column("kpis", sa.Text, nullable=False),
        sa.Column("previous_kpis", sa.Text, nullable=False),
        sa.Column("usual_minutes", sa.Float),
        sa.Column("open_tasks", sa.Integer, nullable=False),
        sa.Column("live_tasks", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("human_interventions", sa.Integer, nullable=False),
        sa.Column("escalations", sa.Integer, nullable=False),
        sa.Column("is_risk_flagged", sa.Boolean, nullable=False),
        sa.Column("cancelled_by", sa.Text),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("mission_run_by_mission", "mission_run", ["mission_id", "created_at"])
    op.create_index("mission_run_by_time", "mission_run", ["created_at"])
    op.create_table(
        "mission_task",
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
        sa.Column("due_at", sa.DateTime),
        sa.Column("rejection", sa.Text),
        sa.Column("started_at", sa.DateTime),
        sa.Column("ended_at", sa.DateTime),
    )
    op.create_index("mission_task_by_due", "mission_task", ["due_at", "run_id", "position"])
    op.create_table(
        "task_dep",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("task_id", sa.String, primary_key=True),
        sa.Column("depends_on", sa.String, primary_key=True),
        sa.ForeignKeyConstraint(["run_id", "task_id"], ["mission_task.run_id", "mission_task.task_id"]),
        sa.ForeignKeyConstraint(["run_id", "depends_on"], ["mission_task.run_id", "mission_task.task_id"]),
    )
    op.create_index("task_dep_by_dependency", "task_dep", ["run_id", "depends_on"])
    op.create_table(
        "task_attempt",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("task_id", sa.String, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
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
        sa.Column("outcome", sa.String),
        sa.Column("finished_at", sa.DateTime),
        sa.ForeignKeyConstraint(["run_id", "task_id"], ["mission_task.run_id", "mission_task.task_id"]),
    )
    op.create_table(
        "approval",
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
        sa.ForeignKeyConstraint(
            ["run_id", "task_id", "attempt"], ["task_attempt.run_id", "task_attempt.task_id", "task_attempt.attempt"]
        ),
    )
    op.create_index("approval_by_status", "approval", ["status", "requested_at"])
    op.create_index("approval_by_decision", "approval", ["decided_at"])
    op.create_index("approval_by_task", "approval", ["run_id", "task_id", "attempt"])
    op.create_table(
        "risk_event",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("run_id", sa.String, sa.ForeignKey("mission_run.run_id"), nullable=False),
        sa.Column("task_id", sa.String),
        sa.Column("risk_type", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("detected_at", sa.DateTime, nullable=False),
        sa.Column("status", sa.String, nullable=False),
    )
    op.create_index("risk_event_by_run", "risk_event", ["run_id"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, sa.ForeignKey("mission_run.run_id"), nullable=False),
        sa.Column("data_set", sa.String, nullable=False),
        sa.Column("record_key", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("ready_seq", sa.BigInteger),
        sa.Column("is_pending", sa.Boolean, nullable=False),
        sa.UniqueConstraint("data_set", "record_key", "version", name="outbox_once"),
    )
    op.create_index("outbox_by_run", "outbox", ["run_id"])
    op.create_index("outbox_by_ready", "outbox", ["is_pending", "ready_seq"])

"""0003: tasks are taken by their run's priority; a person's KPI stands. Tasks that are there keep a middle place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a task's place in the order of work, how often it was taken over, and which KPIs people have given."""
    op.add_column("mission_run", sa.Column("kpis_by_people", sa.Text, nullable=False, server_default="[]"))
    op.add_column("mission_task", sa.Column("rank", sa.Integer, nullable=False, server_default="0"))
    is_due = sa.text("due_at is not null")
    columns = ["rank", "due_at", "run_id", "position"]
    op.create_index("mission_task_by_rank", "mission_task", columns, sqlite_where=is_due, postgresql_where=is_due)
    op.add_column("task_attempt", sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"))

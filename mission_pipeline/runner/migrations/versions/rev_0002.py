"""0002: a gate can be reminded of and escalated. Gates that are open keep waiting: nobody was told of them yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what a gate's reminder and its time limit leave behind."""
    op.add_column("approval", sa.Column("reminded_at", sa.DateTime))
    op.add_column("approval", sa.Column("escalated_at", sa.DateTime))
    op.add_column("approval", sa.Column("escalated_to", sa.Text))

"""Holds what somebody else reported against the telemetry. The comparison is the SQL's; nothing is corrected."""

from __future__ import annotations

from mission_pipeline.contracts.quality import Reconciliation
from mission_pipeline.judge.limits import ROUNDING_MARGIN
from mission_pipeline.warehouse import Build


def reconcile(build: Build) -> None:
    """Write quality.reconciliation; needs marts.agent_rolling_stats and marts.portfolio_snapshots."""
    build.replace_table(Reconciliation, sql="quality/reconciliation", parameters={"rounding_margin": ROUNDING_MARGIN})

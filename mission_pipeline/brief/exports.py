"""Writes computed figures in the form of the reported files, for programs that read those. Computes none of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mission_pipeline.brief.claims import stored
from mission_pipeline.brief.files import write_atomically
from mission_pipeline.warehouse import Build

EXPORTS_FOLDER = "exports"

_PORTFOLIO_SNAPSHOTS = """
select
    snapshot_date,
    active_runs,
    completed_runs,
    missions_at_risk,
    avg_kpi_improvement_pct,
    top_bottleneck_task_id,
    top_bottleneck_task_name,
    escalations_last_24h,
    human_interventions_last_24h
from marts.portfolio_snapshots
order by snapshot_date
"""
_AGENT_STATS = """
select
    agent_id,
    avg_task_duration_minutes,
    approval_rate,
    escalation_rate,
    stat_date as last_updated
from marts.agent_rolling_stats
where stat_window = 'all'
qualify row_number() over (partition by agent_id order by stat_date desc) = 1
order by agent_id
"""


def export_records(build: Build) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each exported file: one per day, and one per agent as of its newest day with activity.

    Figures are rounded to four decimals; one that is not known is null, as in the reported files.
    """
    return {
        "mission_portfolio_snapshot.json": [stored(row) for row in build.frame(_PORTFOLIO_SNAPSHOTS).to_dicts()],
        "agent_performance_stats.json": [stored(row) for row in build.frame(_AGENT_STATS).to_dicts()],
    }


def write_exports(build: Build, warehouse_folder: Path) -> list[Path]:
    """Write the exported files, each whole or not at all; meant for right after publishing.

    Raises:
        WarehouseFault: the folder cannot be written.

    """
    files = []
    for name, records in export_records(build).items():
        file = warehouse_folder / EXPORTS_FOLDER / name
        write_atomically(file, json.dumps(records, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
        files.append(file)
    return files

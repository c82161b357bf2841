"""The newest day with data, peeked from the run files before anything lands: what a refresh is of by default."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from mission_pipeline.contracts.inputs import MAX_LEAD, MISSION_RUNS
from mission_pipeline.ingest import statements
from mission_pipeline.ingest.find import find_raw_files
from mission_pipeline.ingest.read import RefusedByDuckdb, type_records
from mission_pipeline.ingest.read_ahead import ReadAhead
from mission_pipeline.warehouse import build_in_memory


def newest_run_day(raw_data: Path, now: datetime) -> date | None:
    """Return the newest day on which a run ended, or started while open; None without any run.

    Args:
        raw_data: the folder.
        now: the refresh's clock, UTC without zone.

    Raises:
        InputFault: the folder has no runs, or a file of them cannot be used at all.

    """
    days = run_days(raw_data, now)
    return None if days is None else days[1]


def run_days(raw_data: Path, now: datetime, ahead: ReadAhead | None = None) -> tuple[date, date] | None:
    """Return the day on which the first run started, and the newest day with data; None without any run.

    Args and errors are those of ``newest_run_day``. ``ahead`` may be reading the files already.
    """
    found: list[tuple[date, date]] = []
    with build_in_memory() as build:
        for file in find_raw_files(raw_data, (MISSION_RUNS,)).files:
            read_ahead = None if ahead is None else ahead.look(file)
            try:
                type_records(build, file, read_ahead=read_ahead)
            except RefusedByDuckdb:
                type_records(build, file, is_refused=True)
            rows = build.connection.execute(statements.run_days(), {"latest": now + MAX_LEAD}).fetchall()
            found += [(first, newest) for first, newest in rows if first is not None]
    return (min(first for first, _ in found), max(newest for _, newest in found)) if found else None

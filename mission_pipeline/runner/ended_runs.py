"""The runs that have ended, in the order in which they did, for whoever follows a store. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mission_pipeline.runner.database import Database
from mission_pipeline.runner.tables import mission_run, outbox


@dataclass(frozen=True)
class EndedRun:
    """A run and what its first record says. ``seq`` grows with every run that ends in a store."""

    seq: int
    run_id: str
    mission_id: str
    mission_name: str | None
    record: dict[str, Any]


class EndedRuns:
    """An open store, as a follower sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def store_id(self) -> str:
        """Which store it is: after another one has taken its place, ``seq`` begins anew."""
        return self._database.store_id

    def after(self, seq: int, limit: int) -> list[EndedRun]:
        """Return the runs that ended after one, the earliest first. A record that was corrected since counts once."""
        asked = (
            sa.select(outbox.c.ready_seq, outbox.c.record, mission_run)
            .join(mission_run, mission_run.c.run_id == outbox.c.run_id)
            .where(outbox.c.data_set == "mission_runs", outbox.c.version == 1, outbox.c.ready_seq > seq)
            .order_by(outbox.c.ready_seq)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(asked).all()
        return [
            EndedRun(row.ready_seq, row.run_id, row.mission_id, row.mission_name, json.loads(row.record))
            for row in rows
        ]


@contextmanager
def ended_runs_of(url: str, *, wait_seconds: float, now: datetime) -> Iterator[EndedRuns]:
    """Open a store to follow it.

    Raises:
        StoreFault: it cannot be opened or read.
    """
    database = Database(url, wait_seconds=wait_seconds, opened_at=now)
    try:
        yield EndedRuns(database)
    finally:
        database.close()


def trace_of(url: str) -> str | None:
    """Return what changes when a store does: "" while there is none; None of a server, where only asking tells."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    # What was written last stands in the second file until it is taken over into the first. Whoever reads makes an
    # empty one.
    files = [Path(parsed.database), Path(f"{parsed.database}-wal")]
    found = [file.stat() for file in files if file.is_file()]
    return " ".join(f"{stat.st_size} {stat.st_mtime_ns}" for stat in found if stat.st_size)

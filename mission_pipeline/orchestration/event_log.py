"""Dagster's event log in SQLite with connections kept open. What is stored, and where, is Dagster's own.

Dagster opens the file anew for every read and write of an event, which for the 250 events of a refresh takes longer
than the refresh itself (2.3 s against 0.7 s, measured on two cores). ``dagster.yaml`` names this class.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import Connection, Engine, create_engine, event

BUSY_TIMEOUT_SECONDS = 30
OPEN_FILES = 8
"""The index and the runs used last; a page of the UI reads a handful of runs."""


class KeptOpenEventLog(SqliteEventLogStorage):
    """``SqliteEventLogStorage`` that keeps its last few files open."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        """Make the storage that the configuration describes."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine_of(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine_of(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            url = self.conn_string_for_shard(shard)
            engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
            event.listen(engine, "connect", _write_without_waiting)
        self._engines[shard] = engine
        if len(self._engines) > OPEN_FILES:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def dispose(self) -> None:
        """Close every file."""
        with self._db_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
        super().dispose()


def _write_without_waiting(connection: Any, _record: Any) -> None:
    """Leave syncing to the checkpoints: with the write-ahead log a power cut may lose history, but never break it."""
    connection.execute("pragma synchronous = normal")

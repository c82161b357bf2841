"""Reads raw files before their landing asks for them, while a command still loads and a core is idle.

It spares time and decides nothing: a file that was not read ahead, or has changed since, is read when it is landed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mission_pipeline.errors import InputFault
from mission_pipeline.ingest.find import RawFile, find_raw_files
from mission_pipeline.ingest.read import typed_by_duckdb
from mission_pipeline.warehouse import build_in_memory

if TYPE_CHECKING:
    import pyarrow as pa

    from mission_pipeline.warehouse import Build

MOST_BYTES = 400_000_000
"""Of JSON text held in memory at once. Larger files are read when they are landed, by way of the disk if need be."""


@dataclass(frozen=True)
class _Reading:
    """A file that is being read: what it was like when that began, and its typed records; None if DuckDB refuses it."""

    stamp: tuple[int, int, int] | None
    records: Future[pa.Table | None]


class ReadAhead:
    """Files that are being read on a thread of its own, in their order. Each is handed out once."""

    def __init__(self, files: Iterable[RawFile] = ()) -> None:
        """Begin to read the files, as far as they find room in memory."""
        self._readings: dict[Path, _Reading] = {}
        self._in_memory = ExitStack()
        self._build: Build | None = None
        room = MOST_BYTES
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")
        for file in files:
            stamp = _stamp(file.path)
            size = 0 if stamp is None else stamp[1]
            if file.is_gzipped or size > room:
                continue  # how large a gzipped file is shows only when it is read
            room -= size
            self._readings[file.path] = _Reading(stamp, self._reader.submit(self._read, file))
        self._reader.submit(self._in_memory.close)
        self._reader.shutdown(wait=False)

    def _read(self, file: RawFile) -> pa.Table | None:
        if self._build is None:
            self._build = self._in_memory.enter_context(build_in_memory())
        return typed_by_duckdb(self._build, file)

    def look(self, file: RawFile) -> pa.Table | None:
        """Return a file's records, as ``take`` does, and keep them."""
        reading = self._readings.get(file.path)
        if reading is None or reading.stamp is None:
            return None
        records = reading.records.result()
        return records if _stamp(file.path) == reading.stamp else None

    def take(self, file: RawFile) -> pa.Table | None:
        """Hand out a file's typed records. None if it was not read, was refused, or has changed since."""
        records = self.look(file)
        self._readings.pop(file.path, None)
        return records

    def forget(self) -> None:
        """Free what nobody took."""
        self._reader.shutdown(wait=False, cancel_futures=True)  # what is in memory is freed with its last reader
        self._readings.clear()


_begun: ContextVar[ReadAhead | None] = ContextVar("mission_pipeline_read_ahead", default=None)


@contextmanager
def handed_on(ahead: ReadAhead) -> Iterator[None]:
    """Let a landing inside have what is being read."""
    token = _begun.set(ahead)
    try:
        yield
    finally:
        _begun.reset(token)
        ahead.forget()


def begun() -> ReadAhead:
    """Return what was handed on to this landing, or one that reads nothing."""
    return _begun.get() or ReadAhead()


def read_ahead_of(raw_data: Path, published_file: Path) -> ReadAhead:
    """Begin to read the files that are newer than what was published, and so probably new.

    A folder in which nothing can be found is left to the landing, which says what is wrong with it.
    """
    try:
        files = find_raw_files(raw_data).files
    except InputFault:
        return ReadAhead()
    published = _stamp(published_file)
    return ReadAhead(file for file in files if published is None or _is_newer(file.path, published))


def _is_newer(path: Path, published: tuple[int, int, int]) -> bool:
    stamp = _stamp(path)
    return stamp is not None and stamp[2] >= published[2]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced: its number, size and time; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns

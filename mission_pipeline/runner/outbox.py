"""Brings the telemetry from the store's outbox to files of its own in the raw-data folder: every row once, in order.

What is about to be appended is first written, synced, to a journal beside the data sets, which is also the lock. Then
come the appends, synced; then the rows are marked in the store; then the journal is emptied. Whoever comes after a
crash finishes what the journal says, and can tell from the files' sizes how far it got. Comparing the files' ends with
the rows still waiting would not do: a run that ends meanwhile puts its rows, which are older, in front of them.

A full disk, a crash or a torn line loses nothing: a row stays in the outbox until it is marked, and a file that
somebody else has cut short in the middle of a line gets again whatever of it the store remembers.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mission_pipeline.errors import MissionPipelineError
from mission_pipeline.runner.failpoints import NO_FAILPOINTS, Failpoints
from mission_pipeline.runner.model import TelemetryRow

ROWS_AT_ONCE = 1000
"""Rows of one journal: some hundred bytes each."""

_RETRY_SECONDS = 0.02
_TAIL_BYTES = 64 * 1024


class TelemetryNotWritten(MissionPipelineError):
    """The raw-data folder does not take the telemetry now. The store keeps it."""


class Outbox(Protocol):
    """What the exporter needs of a store."""

    @property
    def store_id(self) -> str:
        """Tells this store's files from another's."""

    def pending_telemetry(self, limit: int) -> Sequence[TelemetryRow]:
        """Return the first rows that are ready and not marked, in order."""

    def mark_exported(self, ids: list[int]) -> None:
        """Mark rows, durably; a row that is marked already stays so."""

    def told_telemetry(self, data_set: str, month: str) -> Sequence[str]:
        """Return the lines of a data set that were marked, in order, of rows made in a month (YYYY-MM)."""


@dataclass(frozen=True)
class _Append:
    """Text for the end of one file, whose size was ``size`` bytes when this was planned."""

    file: str
    size: int
    text: str


def export_telemetry(
    store: Outbox, raw_data: Path, *, wait_seconds: float = 30.0, failpoints: Failpoints = NO_FAILPOINTS
) -> int:
    """Append every row that waits to ``<raw_data>/<data set>/runner-<store>-<YYYY-MM>.jsonl``.

    Args:
        store: whose rows.
        raw_data: the raw-data folder.
        wait_seconds: how long to wait for another exporter of the same store; 0 leaves the work to it.
        failpoints: for tests.

    Returns:
        How many rows were appended by this call; 0 where another exporter is at work and is not waited for.

    Raises:
        TelemetryNotWritten: the folder is missing, full or not writable, or another exporter hangs. Nothing is lost.

    """
    if not raw_data.is_dir():
        raise TelemetryNotWritten(
            f"The telemetry cannot be written: {raw_data} is no folder. Name the raw-data folder with --raw-data; "
            "nothing is lost, the runner's store keeps it."
        )
    try:
        with _journal(raw_data / f".runner-{store.store_id}.journal", wait_seconds) as journal:
            return 0 if journal is None else _export(store, raw_data, journal, failpoints)
    except OSError as error:
        place = error.filename or raw_data
        raise TelemetryNotWritten(
            f"The telemetry cannot be written to {place} ({error.strerror or error}). Make room or make it writable; "
            "nothing is lost, the runner's store keeps it until `mission worker --until-idle` can write it."
        ) from error


def _export(store: Outbox, raw_data: Path, journal: int, failpoints: Failpoints) -> int:
    exported = 0
    unfinished = _read_journal(journal)
    if unfinished is not None:
        ids, appends = unfinished
        for append in appends:
            _bring(raw_data, append, Failpoints())
        store.mark_exported(ids)
        os.ftruncate(journal, 0)
        exported += len(ids)
    while rows := store.pending_telemetry(ROWS_AT_ONCE):
        ids = [row.id for row in rows]
        appends = _planned(rows, raw_data, store)
        _write_journal(journal, ids, appends)
        failpoints.reach("before_append")
        for append in appends:
            _bring(raw_data, append, failpoints)
        failpoints.reach("after_append")
        store.mark_exported(ids)
        failpoints.reach("after_mark")
        os.ftruncate(journal, 0)
        exported += len(ids)
    return exported


def _planned(rows: Sequence[TelemetryRow], raw_data: Path, store: Outbox) -> list[_Append]:
    """Return what goes to which file, in the rows' order; each file ends with a whole line from here on."""
    texts: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        texts.setdefault((row.data_set, f"{row.created_at:%Y-%m}"), []).append(f"{row.line}\n")
    appends = []
    for (data_set, month), lines in texts.items():
        name = f"{data_set}/runner-{store.store_id}-{month}.jsonl"
        size, half = _end_of(raw_data / name)
        if half:
            told = [f"{line}\n".encode() for line in store.told_telemetry(data_set, month)]
            size = _mend(raw_data / name, size, half, told)
            lines = [*_lost(raw_data / name, told), *lines]
        appends.append(_Append(name, size, "".join(lines)))
    return appends


def _end_of(path: Path) -> tuple[int, bytes]:
    """Return how many bytes of whole lines a file has, and what follows them; nothing without a file.

    An editor that wrote no last line break has written a record all the same: it gets one.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0, b""
    try:
        size = os.fstat(handle).st_size
        if size == 0 or os.pread(handle, 1, size - 1) == b"\n":
            return size, b""
        tail, start = b"", size
        while start > 0 and b"\n" not in tail:
            step = min(_TAIL_BYTES, start)
            start -= step
            tail = os.pread(handle, step, start) + tail
        last = tail[tail.rfind(b"\n") + 1 :]
        if not _is_object(last):
            return size - len(last), last
        os.pwrite(handle, b"\n", size)
        os.fsync(handle)
        return size + 1, b""
    finally:
        os.close(handle)


def _mend(path: Path, size: int, half: bytes, known: Iterable[bytes]) -> int:
    """Cut half a line that begins a known one; end any other, so that a refresh tells of it. Return the file's size.

    The journal repairs what this program left. Half a line without a journal is somebody else's.
    """
    is_known = any(line.startswith(half) for line in known)
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if is_known:
            os.ftruncate(handle, size)
        else:
            size += len(half)
            os.pwrite(handle, b"\n", size)
            size += 1
        os.fsync(handle)
        return size
    finally:
        os.close(handle)


def _lost(path: Path, told: Sequence[bytes]) -> list[str]:
    """Return the lines that were written to a file and are there no more, in order; one written twice counts twice."""
    with path.open("rb") as file:
        there = Counter(file)
    lost = []
    for line in told:
        if there[line]:
            there[line] -= 1
        else:
            lost.append(line.decode("utf-8"))
    return lost


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _bring(raw_data: Path, append: _Append, failpoints: Failpoints) -> None:
    """Make a file hold the text after its planned size, synced, whatever part of it is there already."""
    path, text = raw_data / append.file, append.text.encode("utf-8")
    is_new = not path.exists()
    path.parent.mkdir(exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        size = os.fstat(handle).st_size
        there = os.pread(handle, len(text), append.size) if size > append.size else b""
        if size < append.size or not text.startswith(there):  # somebody changed it since; what they wrote stays
            start, half = _end_of(path)
            if half:
                start = _mend(path, start, half, text.splitlines(keepends=True))
            missing = text
        else:
            start, missing = append.size + len(there), text[len(there) :]
        if missing and failpoints.is_due("torn_append"):
            _write(handle, missing[: len(missing) // 2], start, path)
            failpoints.die()
        try:
            _write(handle, missing, start, path)
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, start)  # a reader that comes before the repair finds whole lines only
            raise
    finally:
        os.close(handle)
    if is_new:
        for folder in (path.parent, raw_data):
            _sync_folder(folder)


def _write(handle: int, text: bytes, at: int, path: Path) -> None:
    """Write all of it: a disk that fills up takes a part and says so only at the next write."""
    view = memoryview(text)
    try:
        while view:
            written = os.pwrite(handle, view, at)
            view, at = view[written:], at + written
    except OSError as error:
        error.filename = str(path)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _journal(path: Path, wait_seconds: float) -> Iterator[int | None]:
    """Open the journal for this exporter alone; None where another has it and is not waited for.

    Raises:
        TelemetryNotWritten: it was waited for in vain.

    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        end = time.monotonic() + wait_seconds
        while not _has_locked(handle):
            if wait_seconds <= 0:
                yield None
                return
            if time.monotonic() > end:
                raise TelemetryNotWritten(
                    f"Another process has held {path} for {wait_seconds:.0f} s, so the telemetry was not written. "
                    "End that process if it hangs; nothing is lost, the runner's store keeps it."
                )
            time.sleep(_RETRY_SECONDS)
        yield handle
    finally:
        os.close(handle)  # gives the lock back


def _has_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_journal(journal: int) -> tuple[list[int], list[_Append]] | None:
    """Return what a crash left unfinished. A journal that is not whole was written before any append began."""
    content = os.pread(journal, os.fstat(journal).st_size, 0)
    try:
        kept = json.loads(content)
        return list(kept["ids"]), [_Append(**append) for append in kept["appends"]]
    except (ValueError, KeyError, TypeError):
        return None


def _write_journal(journal: int, ids: list[int], appends: list[_Append]) -> None:
    content = json.dumps({"ids": ids, "appends": [vars(append) for append in appends]}).encode()
    os.ftruncate(journal, 0)
    written = 0
    while written < len(content):
        written += os.pwrite(journal, content[written:], written)
    os.fsync(journal)

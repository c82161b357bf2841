"""Puts the records of one raw file into a temporary table, through DuckDB's own reader where that will do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from mission_pipeline.ingest import statements
from mission_pipeline.ingest.content import last_byte, last_line
from mission_pipeline.ingest.find import RawFile
from mission_pipeline.warehouse import ROW_GROUP_ROWS, Build, build_in_memory

if TYPE_CHECKING:
    import pyarrow as pa

_DUCKDB_REFUSALS = (duckdb.InvalidInputException, duckdb.IOException, UnicodeDecodeError)
"""A file in UTF-16 makes DuckDB's message itself undecodable."""


class RefusedByDuckdb(Exception):
    """DuckDB's reader does not take this file as it is; the tolerant one may, or says what is wrong."""

    def __init__(self, file: RawFile) -> None:
        super().__init__(file.name)
        self.file = file


@dataclass(frozen=True)
class StagedRecords:
    """One file's records. ``rows``: how many; ``typed``: the query of what each of them says, in its types."""

    rows: int
    typed: str


def stage_records(
    build: Build, file: RawFile, *, is_refused: bool = False, read_ahead: pa.Table | None = None
) -> StagedRecords:
    """Make a file's records ready to be queried, until the next file's are.

    Args:
        build: the open build file.
        file: the file.
        is_refused: whether DuckDB has refused it already.
        read_ahead: its typed records, if DuckDB has read it already.

    Raises:
        RefusedByDuckdb: only the tolerant reader will do; a transaction is aborted by then.
        InputFault: the file cannot be used at all.

    """
    forget_staged_records(build)
    # DuckDB takes an array that was cut short right after a comma for whole.
    is_closed = file.has_lines or last_byte(file) == b"]"
    if is_closed and not is_refused:
        staged = _by_duckdb(build, file) if read_ahead is None else _by_hand_over(build, read_ahead)
        # DuckDB passes over blank lines; with one between records, the row would not be the line.
        if not file.has_lines or staged.rows == last_line(file):
            return staged
        forget_staged_records(build)
    from mission_pipeline.ingest.tolerant import read_tolerantly  # Polars takes a while to load, and is rarely needed

    read_tolerantly(build, file)
    return _staged(build, file)


def typed_by_duckdb(file: RawFile) -> pa.Table | None:
    """Return a file's records, whole in memory, in their types. None where DuckDB's reader does not take it."""
    with build_in_memory() as build:
        try:
            staged = _by_duckdb(build, file)
        except RefusedByDuckdb:
            return None
        typed = staged.typed
        if staged.rows < ROW_GROUP_ROWS:  # a query is planned twice to become Arrow, which few rows are not worth
            build.execute(statements.keep_typed(typed))
            typed = statements.typed_ahead()
        return build.connection.sql(typed).to_arrow_table(ROW_GROUP_ROWS)


def files_refused_by_duckdb(build: Build, files: Iterable[RawFile]) -> frozenset[RawFile]:
    """Return the files that DuckDB's reader does not take; costs one parse of each."""
    refused = set()
    for file in files:
        try:
            build.scalar(statements.parse_with_duckdb(has_lines=file.has_lines), _where(file))
        except _DUCKDB_REFUSALS:
            refused.add(file)
    return frozenset(refused)


def forget_staged_records(build: Build) -> None:
    """Free what the last file's records take up."""
    build.connection.unregister(statements.TYPED_RECORDS)
    build.execute(f"drop table if exists {statements.STAGED_RECORDS}")


def _by_duckdb(build: Build, file: RawFile) -> StagedRecords:
    try:
        build.execute(statements.stage_with_duckdb(has_lines=file.has_lines), _where(file))
    except _DUCKDB_REFUSALS as error:
        raise RefusedByDuckdb(file) from error
    return _staged(build, file)


def _by_hand_over(build: Build, typed: pa.Table) -> StagedRecords:
    build.connection.register(statements.TYPED_RECORDS, typed)
    return StagedRecords(typed.num_rows, statements.typed_ahead())


def _staged(build: Build, file: RawFile) -> StagedRecords:
    return StagedRecords(int(build.scalar(statements.count_staged())), statements.typed_records(file.data_set))


def _where(file: RawFile) -> dict[str, Any]:
    return {"path": _as_pattern(str(file.path)), "compression": "gzip" if file.is_gzipped else "none"}


def _as_pattern(path: str) -> str:
    """Return a path as a pattern that matches only itself: DuckDB reads every path as one."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)

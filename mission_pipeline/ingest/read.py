"""Puts the typed records of one raw file into a temporary table, through DuckDB's own reader where that will do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import duckdb

from mission_pipeline.ingest import statements
from mission_pipeline.ingest.content import last_byte, last_line
from mission_pipeline.ingest.find import RawFile
from mission_pipeline.warehouse import ROW_GROUP_ROWS, Build

if TYPE_CHECKING:
    import pyarrow as pa

    from mission_pipeline.contracts.inputs import InputDataSet

_DUCKDB_REFUSALS = (duckdb.InvalidInputException, duckdb.IOException, UnicodeDecodeError)
"""A file in UTF-16 makes DuckDB's message itself undecodable."""
FEW_BYTES = 16_000_000
"""A query is planned twice to become Arrow, which a smaller file is not worth: it goes by way of a table."""


class RefusedByDuckdb(Exception):
    """DuckDB's reader does not take this file as it is; the tolerant one may, or says what is wrong."""

    def __init__(self, file: RawFile) -> None:
        super().__init__(file.name)
        self.file = file


def type_records(build: Build, file: RawFile, *, is_refused: bool = False, read_ahead: pa.Table | None = None) -> int:
    """Give a file's records their types, ready to be queried until the next file's are, and return how many they are.

    Args:
        build: the open build file.
        file: the file.
        is_refused: whether DuckDB has refused it already.
        read_ahead: its typed records, if DuckDB has read it already.

    Raises:
        RefusedByDuckdb: only the tolerant reader will do; a transaction is aborted by then.
        InputFault: the file cannot be used at all.

    """
    forget_records(build)
    # DuckDB takes an array that was cut short right after a comma for whole.
    is_closed = file.has_lines or last_byte(file) == b"]"
    if is_closed and not is_refused:
        if read_ahead is None:
            _stage_by_duckdb(build, file)
            rows = _staged_rows(build)
        else:
            build.connection.register(statements.TYPED_RECORDS, read_ahead)
            rows = read_ahead.num_rows
        # DuckDB passes over blank lines; with one between records, the row would not be the line.
        if not file.has_lines or rows == last_line(file):
            if read_ahead is None:
                _decide(build, file.data_set)
            return rows
        forget_records(build)
    from mission_pipeline.ingest.tolerant import read_tolerantly  # Polars takes a while to load, and is rarely needed

    read_tolerantly(build, file)
    _decide(build, file.data_set)
    return _staged_rows(build)


def typed_by_duckdb(build: Build, file: RawFile) -> pa.Table | None:
    """Return a file's records, whole in memory, in their types. None where DuckDB cannot read it as it is.

    For reading beside other work: on one core, with as little work as can be.

    Args:
        build: one in memory; nothing of the file stays in it.
        file: the file.

    """
    # Texts of up to twelve bytes, as most ids are, stand in such columns themselves and are not gathered anew.
    build.execute("set produce_arrow_string_view = true; set arrow_output_version = '1.4'")
    quick = statements.decided_quickly(file.data_set, statements.records_of_file(has_lines=file.has_lines))
    connection = build.connection
    try:
        if file.path.stat().st_size < FEW_BYTES:
            build.execute(statements.keep_typed(quick), _where(file))
        else:
            typed = connection.sql(quick, params=_where(file)).to_arrow_table(ROW_GROUP_ROWS)
            connection.register(statements.TYPED_RECORDS, typed)
            if not build.scalar(statements.count_undecided()):
                return typed
            connection.unregister(statements.TYPED_RECORDS)
            connection.register("partly_decided", typed)
            build.execute(statements.keep_typed("from partly_decided"))
            connection.unregister("partly_decided")
        if build.scalar(statements.count_undecided()):
            _stage_by_duckdb(build, file)
            _decide_the_rest(build, file.data_set)
        return connection.sql(statements.typed_records()).to_arrow_table(ROW_GROUP_ROWS)
    except (*_DUCKDB_REFUSALS, RefusedByDuckdb, OSError):
        return None  # its landing finds the same, and says it
    finally:
        forget_records(build)


def files_refused_by_duckdb(build: Build, files: Iterable[RawFile]) -> frozenset[RawFile]:
    """Return the files that DuckDB's reader does not take; costs one parse of each."""
    refused = set()
    for file in files:
        try:
            build.scalar(statements.parse_with_duckdb(has_lines=file.has_lines), _where(file))
        except _DUCKDB_REFUSALS:
            refused.add(file)
    return frozenset(refused)


def forget_records(build: Build) -> None:
    """Free what the last file's records take up."""
    build.connection.unregister(statements.TYPED_RECORDS)
    build.execute(f"drop table if exists {statements.TYPED_RECORDS}")
    build.execute(f"drop table if exists {statements.STAGED_RECORDS}")


def _stage_by_duckdb(build: Build, file: RawFile) -> None:
    try:
        build.execute(statements.stage_with_duckdb(has_lines=file.has_lines), _where(file))
    except _DUCKDB_REFUSALS as error:
        raise RefusedByDuckdb(file) from error


def _staged_rows(build: Build) -> int:
    return int(build.scalar(statements.count_staged()))


def _decide(build: Build, data_set: InputDataSet) -> None:
    """Give the staged records their types: the quick way, and what it leaves the careful way."""
    build.execute(statements.keep_typed(statements.decided_quickly(data_set)))
    if build.scalar(statements.count_undecided()):
        _decide_the_rest(build, data_set)


def _decide_the_rest(build: Build, data_set: InputDataSet) -> None:
    build.execute(statements.decide_carefully(data_set))
    build.execute(statements.forget_undecided())


def _where(file: RawFile) -> dict[str, Any]:
    return {"path": _as_pattern(str(file.path)), "compression": "gzip" if file.is_gzipped else "none"}


def _as_pattern(path: str) -> str:
    """Return a path as a pattern that matches only itself: DuckDB reads every path as one."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)

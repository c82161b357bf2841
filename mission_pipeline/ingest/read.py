"""Opens one raw file as a source of records for SQL, through DuckDB's own reader where that will do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb

from mission_pipeline.ingest import statements
from mission_pipeline.ingest.content import outline
from mission_pipeline.ingest.find import RawFile
from mission_pipeline.ingest.tolerant import read_tolerantly
from mission_pipeline.warehouse import Build

_DUCKDB_REFUSALS = (duckdb.InvalidInputException, duckdb.IOException, UnicodeDecodeError)
"""A file in UTF-16 makes DuckDB's message itself undecodable."""


class RefusedByDuckdb(Exception):
    """DuckDB's reader does not take this file as it is; the tolerant one may, or says what is wrong."""


@dataclass(frozen=True)
class Source:
    """A query of records (row, json, arrived) and the values that it binds.

    ``expected_records``: how many there must be for ``row`` to be the line; None where that needs no check.
    """

    sql: str
    parameters: dict[str, Any] = field(default_factory=dict)
    expected_records: int | None = None


@contextmanager
def source_of(build: Build, file: RawFile, *, is_refused: bool) -> Iterator[Source]:
    """Give a file's records to one statement.

    Args:
        build: the open build file.
        file: the file.
        is_refused: whether DuckDB has refused it already.

    Raises:
        RefusedByDuckdb: only the tolerant reader will do; a transaction is aborted by then.
        InputFault: the file cannot be used at all.

    """
    found = outline(file)
    is_closed = file.has_lines or found.last_byte == b"]"
    if is_refused or not is_closed:
        read_tolerantly(build, file)
        yield Source(statements.TOLERANT_SOURCE)
        return
    try:
        yield replace(_fast_source(file), expected_records=found.last_line if file.has_lines else None)
    except _DUCKDB_REFUSALS as error:
        raise RefusedByDuckdb(file.name) from error


def files_refused_by_duckdb(build: Build, files: Iterable[RawFile]) -> frozenset[RawFile]:
    """Return the files that DuckDB's reader does not take; costs one parse of each."""
    refused = set()
    for file in files:
        source = _fast_source(file)
        try:
            build.scalar(statements.count_records(source.sql), source.parameters)
        except _DUCKDB_REFUSALS:
            refused.add(file)
    return frozenset(refused)


def _fast_source(file: RawFile) -> Source:
    sql = statements.LINES_SOURCE if file.has_lines else statements.ARRAY_SOURCE
    return Source(sql, {"path": _as_pattern(str(file.path)), "compression": "gzip" if file.is_gzipped else "none"})


def _as_pattern(path: str) -> str:
    """Return a path as a pattern that matches only itself: DuckDB reads every path as one."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)

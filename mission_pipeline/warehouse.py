"""The only room that opens DuckDB: runs SQL files, writes tables through their contracts, publishes. Knows no table."""

from __future__ import annotations

import copy
import fcntl
import os
import re
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from mission_pipeline.errors import ContractBroken, WarehouseFault
from mission_pipeline.settings import SQL_FOLDER

if TYPE_CHECKING:  # Polars and Pandera take half a second to load, which showing a published brief must not wait for
    import polars as pl
    import pyarrow as pa

    from mission_pipeline.contracts.base import TableContract

PUBLISHED_SCHEMAS = ("staging", "marts", "quality")
BATCH_ROWS = 500_000
"""Rows per Polars batch: bounds the memory of a validation, whatever the table's size."""
ROW_GROUP_ROWS = 122_880
"""What DuckDB stores together. Rows handed over in such pieces are written at once, where others wait in memory for
the next checkpoint, which then holds up whoever commits."""
LOCK_WAIT_SECONDS = 30.0
_OTHER_SCHEMAS = """
    select schema_name from duckdb_schemas()
    where not internal and database_name = current_database() and schema_name not in (select unnest($published))
"""
MEMORY_LIMIT = "1200MB"
"""DuckDB spills to disk beyond it; with Python and Polars beside it a refresh stays under 2 GB."""

_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_COMMENT_LINE = re.compile(r"--[^\n]*")


def read_sql(name: str) -> str:
    """Return the text of ``sql/<name>.sql``; ``name`` is such as ``marts/task_overrun_rates``."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def quoted(identifier: str) -> str:
    """Return an identifier quoted for SQL. Values are never pasted; they are bound."""
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    """Return a text literal, for COMMENT ON and ATTACH only, which take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _used(sql: str, parameters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Keep the parameters that the query names: DuckDB refuses the others."""
    names = set(_PARAMETER.findall(_COMMENT_LINE.sub("", sql)))
    chosen = {name: value for name, value in (parameters or {}).items() if name in names}
    return chosen or None


def _ahead(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield batches, of which DuckDB makes the next while one is worked on; few rows are not worth a thread."""
    first = next(reader, None)
    if first is None or first.num_rows < ROW_GROUP_ROWS:
        if first is not None:
            yield first
        yield from reader
        return
    with ThreadPoolExecutor(max_workers=1) as ahead:
        following = ahead.submit(next, reader, None)
        yield first
        while (batch := following.result()) is not None:
            following = ahead.submit(next, reader, None)
            yield batch


@dataclass(frozen=True)
class StageMark:
    """How far a stage has come: the version of its input, and the policy that it worked with, if with any."""

    version: int
    policy_sha256: str | None


@dataclass(frozen=True)
class PublishedView:
    """A view that is published beside the tables: its query, what one row is, and what its columns are."""

    query: str
    comment: str
    column_comments: Mapping[str, str]


class Build:
    """An open build file: every write of a refresh happens here."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement for its effect."""
        self.connection.execute(sql, _used(sql, parameters))

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Return a query's rows, whole: for results that fit in memory."""
        chosen = _used(sql, parameters)
        relation = self.connection.sql(sql, params=chosen) if chosen else self.connection.sql(sql)
        rows: pl.DataFrame = relation.pl()
        return rows

    def table(self, contract: type[TableContract]) -> pl.DataFrame:
        """Return a whole table in its contract's column order."""
        columns = ", ".join(quoted(promise.name) for promise in contract.columns())
        return self.frame(f"select {columns} from {contract.qualified_name()}")

    def scalar(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the first column of the first row, or None without a row."""
        rows = self.connection.execute(sql, _used(sql, parameters)).fetchall()
        return rows[0][0] if rows else None

    def row_count(self, table: str) -> int:
        """Return the number of rows of ``schema.table``."""
        return int(self.scalar(f"select count(*) from {table}"))

    def batches(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Generator[pl.DataFrame]:
        """Yield a query's rows as eager frames of at most ``BATCH_ROWS`` rows."""
        import polars as pl

        chosen = _used(sql, parameters)
        relation = self.connection.sql(sql, params=chosen) if chosen else self.connection.sql(sql)
        for batch in _ahead(relation.to_arrow_reader(BATCH_ROWS)):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame

    @contextmanager
    def beside(self) -> Iterator[Build]:
        """Open the same file a second time, for another thread: it sees what is committed."""
        connection = self.connection.cursor()
        try:
            connection.execute("set TimeZone = 'UTC'")
            yield Build(connection)
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on success, roll back on any error; an inner one joins the outer."""
        if getattr(self, "_is_in_transaction", False):
            yield
            return
        self._is_in_transaction = True
        self.connection.execute("begin transaction")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        else:
            self.connection.execute("commit")
        finally:
            self._is_in_transaction = False

    @contextmanager
    def view_of(self, name: str, frame: pl.DataFrame) -> Iterator[None]:
        """Make a frame readable in SQL under a name for a while."""
        import pyarrow as pa

        rows = frame.rechunk().to_arrow()
        self.connection.register(name, pa.Table.from_batches(rows.to_batches(ROW_GROUP_ROWS), rows.schema))
        try:
            yield
        finally:
            self.connection.unregister(name)

    def replace_table(
        self,
        contract: type[TableContract],
        *,
        sql: str | None = None,
        frame: pl.DataFrame | None = None,
        parameters: Mapping[str, Any] | None = None,
        rows_are_checked: bool = False,
    ) -> int:
        """Write a whole table through its contract and return its number of rows.

        Args:
            contract: the promise; its place, columns, types and comments are used.
            sql: name of a file below ``sql/``, such as ``marts/task_overrun_rates``.
            frame: the rows, where Polars made them; one of ``sql`` and ``frame`` is given.
            parameters: values bound in the SQL.
            rows_are_checked: the rows are copies of what the same promises were asked of just before, so only what
                cannot be said of a row by itself is checked: the columns, their types, and the key.

        Raises:
            ContractBroken: the rows break the contract; the old table stands.

        """
        assert (sql is None) != (frame is None)
        if sql is not None:
            return self._replace(contract, read_sql(sql).rstrip().rstrip(";"), parameters, rows_are_checked)
        assert frame is not None
        with self.view_of("incoming_frame", frame):
            promised = list(contract.polars_schema())
            if not rows_are_checked and sorted(frame.columns) == sorted(promised):
                check_rows(contract, frame.select(promised).iter_slices(BATCH_ROWS))  # sooner than read back
                rows_are_checked = True
            return self._replace(contract, "select * from incoming_frame", None, rows_are_checked)

    def _replace(
        self, contract: type[TableContract], query: str, parameters: Mapping[str, Any] | None, rows_are_checked: bool
    ) -> int:
        schema, table = contract.schema_name(), contract.table_name()
        promised = [promise.name for promise in contract.columns()]
        chosen = _used(query, parameters)
        relation = self.connection.sql(query, params=chosen) if chosen else self.connection.sql(query)
        if sorted(relation.columns) != sorted(promised):
            missing = sorted(set(promised) - set(relation.columns))
            surplus = sorted(set(relation.columns) - set(promised))
            raise ContractBroken(
                f"{contract.qualified_name()}: its query lacks the columns {missing} and has the unpromised {surplus}."
            )
        casts = ", ".join(
            f"cast({quoted(promise.name)} as {promise.duckdb_type}) as {quoted(promise.name)}"
            for promise in contract.columns()
        )
        following = f"{schema}.{quoted(table + '__next')}"
        with self.transaction():
            self.ensure_schema(contract)
            self.connection.execute(
                f"create or replace table {following} as select {casts} from ({query}) as source",
                chosen,
            )
            if rows_are_checked:
                check_key(self, contract, following)
            else:
                check_contract(self, contract, following)
            self.connection.execute(f"drop table if exists {schema}.{quoted(table)}")
            self.connection.execute(f"alter table {following} rename to {quoted(table)}")
            comment_on_table(self.connection, contract)
        return int(self.scalar(f"select count(*) from {schema}.{quoted(table)}"))

    @contextmanager
    def stage(self, stage: str, *, follows: str | None = None, policy_sha256: str | None = None) -> Iterator[None]:
        """Mark a stage as worked through once the body is done; while it works, and if it fails, it has no mark.

        Args:
            stage: its name, such as ``validate``, or the table that it makes.
            follows: the stage whose version it takes over; without one it starts a new version.
            policy_sha256: the policy that it worked with, if with any.

        """
        self.ensure_stage_marks()
        if follows is None:
            version = self.scalar("select coalesce(max(version), 0) + 1 from raw.stage_marks")
        else:
            version = self.scalar("select version from raw.stage_marks where stage = $stage", {"stage": follows})
        # An empty mark keeps the version taken, so that a stage which fails cannot share it with the next.
        self._set_stage_mark(stage, version if follows is None else None, None, is_done=False)
        yield
        self._set_stage_mark(stage, version, policy_sha256, is_done=True)

    def stage_marks(self) -> dict[str, StageMark]:
        """Return the mark of every stage that has been worked through, by its name."""
        self.ensure_stage_marks()
        rows = self.connection.execute(
            "select stage, version, policy_sha256 from raw.stage_marks where is_done and version is not null"
        ).fetchall()
        return {stage: StageMark(version, policy) for stage, version, policy in rows}

    def ensure_stage_marks(self) -> None:
        """Create the empty table of the stages' marks unless it is there."""
        self.connection.execute("create schema if not exists raw")
        self.connection.execute(
            "create table if not exists raw.stage_marks "
            "(stage varchar, version bigint, policy_sha256 varchar, is_done boolean)"
        )

    def _set_stage_mark(self, stage: str, version: int | None, policy_sha256: str | None, *, is_done: bool) -> None:
        with self.transaction():
            self.connection.execute("delete from raw.stage_marks where stage = $stage", {"stage": stage})
            self.connection.execute(
                "insert into raw.stage_marks values ($stage, $version, $policy_sha256, $is_done)",
                {"stage": stage, "version": version, "policy_sha256": policy_sha256, "is_done": is_done},
            )

    def ensure_schema(self, contract: type[TableContract]) -> None:
        """Create the contract's schema unless it is there."""
        self.connection.execute(f"create schema if not exists {contract.schema_name()}")

    def ensure_table(self, contract: type[TableContract]) -> None:
        """Create an empty table, with its comments, unless it is there.

        One that an earlier release made gets the columns that have come since; its rows have NULL there.
        """
        table = contract.qualified_name()
        columns = ", ".join(f"{quoted(p.name)} {p.duckdb_type}" for p in contract.columns())
        with self.transaction():
            self.ensure_schema(contract)
            self.connection.execute(f"create table if not exists {table} ({columns})")
            there = {name for name, *_ in self.connection.execute(f"from {table} limit 0").description}
            for promise in contract.columns():
                if promise.name not in there:
                    self.connection.execute(
                        f"alter table {table} add column {quoted(promise.name)} {promise.duckdb_type}"
                    )
            comment_on_table(self.connection, contract)


def check_key(build: Build, contract: type[TableContract], table: str | None = None) -> None:
    """Check that no two rows of a table share its contract's key.

    Raises:
        ContractBroken: names the table and a key that stands more than once.

    """
    place = table or contract.qualified_name()
    columns = ", ".join(quoted(name) for name in contract.key())
    # Hashes are counted first, which is cheaper than the keys and cannot miss a repeated one.
    if not columns or build.scalar(f"select count(*) = count(distinct hash({columns})) from {place}"):
        return
    repeated = build.frame(
        f"select {columns} from {place} group by {columns} having count(*) > 1 order by all limit 5"
    ).rows()
    if repeated:
        raise ContractBroken(
            f"{contract.qualified_name()}: more than one row for the key ({', '.join(contract.key())}), "
            f"such as {repeated[0]}."
        )


def check_contract(build: Build, contract: type[TableContract], table: str | None = None) -> None:
    """Hold a table against its contract, in eager batches, with its key over all rows.

    Raises:
        ContractBroken: names the table, the column, the rule and up to five values.

    """
    place = table or contract.qualified_name()
    check_key(build, contract, place)
    with closing(build.batches(f"select * from {place}")) as batches:  # no statement runs while one is being read
        check_rows(contract, batches)


def check_rows(contract: type[TableContract], batches: Iterable[pl.DataFrame]) -> None:
    """Hold eager batches of rows against what their contract promises of each row.

    Raises:
        ContractBroken: names the table, the column, the rule and up to five values.

    """
    import pandera.errors

    schema = copy.copy(contract.to_schema())  # a copy: its key is checked over all rows, not batch by batch
    schema.unique = None
    for batch in batches:
        try:
            schema.validate(batch.cast(dict(_polars_types(contract))), lazy=True)
        except pandera.errors.SchemaErrors as errors:
            cases = errors.failure_cases.head(5).select("column", "check", "failure_case").rows()
            raise ContractBroken(
                f"{contract.qualified_name()}: "
                + "; ".join(f"{column} breaks {check} with {value!r}" for column, check, value in cases)
                + "."
            ) from None


def _polars_types(contract: type[TableContract]) -> Sequence[tuple[str, Any]]:
    import polars as pl

    return [(name, dtype) for name, dtype in contract.polars_schema().items() if dtype != pl.List]


def comment_on_table(connection: duckdb.DuckDBPyConnection, contract: type[TableContract], catalog: str = "") -> None:
    """Write the contract's words into the catalogue: the table's grain and each column's description."""
    place = f"{catalog}{contract.schema_name()}.{quoted(contract.table_name())}"
    statements = [f"comment on table {place} is {_literal(contract.grain())}"]
    statements += [
        f"comment on column {place}.{quoted(promise.name)} is {_literal(promise.comment)}"
        for promise in contract.columns()
    ]
    connection.execute("; ".join(statements))


@contextmanager
def build_in_memory() -> Iterator[Build]:
    """Open a build that leaves nothing behind: for looking into the raw data without writing anything."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        yield Build(connection)
    finally:
        connection.close()


class Warehouse:
    """The warehouse's folder: the build file that one refresh writes, and the published file that analysts read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.build_folder = folder / ".build"
        self.build_file = self.build_folder / "mission_control.duckdb"
        self.published_file = folder / "mission_control.duckdb"

    @contextmanager
    def exclusive(self, wait_seconds: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
        """Hold the right to refresh, so that two refreshes never interleave; freed when the process ends, however.

        Raises:
            WarehouseFault: the folder cannot be written, or another refresh holds it for longer than the wait.

        """
        try:
            self.build_folder.mkdir(parents=True, exist_ok=True)
            handle = (self.build_folder / "refresh.lock").open("w")
        except OSError as error:
            raise self._unwritable(error) from error
        deadline = time.monotonic() + wait_seconds
        with handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise WarehouseFault(
                            f"Another refresh has been writing {self.folder} for over {wait_seconds:.0f} s. "
                            "Wait for it to end, then try again."
                        ) from None
                    time.sleep(0.1)
            yield

    @contextmanager
    def build(self) -> Iterator[Build]:
        """Open the build file for writing and close it whatever happens.

        Raises:
            WarehouseFault: it cannot be written, is not a DuckDB file, or stays locked for longer than the wait.

        """
        try:
            self.build_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        build = Build(self._connected())
        try:
            yield build
        finally:
            build.connection.close()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        connection = self._connect_waiting()
        for setting in (
            "set TimeZone = 'UTC'",
            f"set memory_limit = '{MEMORY_LIMIT}'",
            f"set temp_directory = {_literal(str(self.build_folder / 'spill'))}",
        ):
            connection.execute(setting)
        return connection

    def _connect_waiting(self) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                return duckdb.connect(str(self.build_file))
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise self._unwritable(error) from error
                if time.monotonic() > deadline:
                    raise WarehouseFault(
                        f"{self.build_file} is open in another program. Close it there and try again; "
                        f"analysts open {self.published_file.name} instead, which is never locked."
                    ) from error
                time.sleep(0.1)

    def _unwritable(self, error: Exception) -> WarehouseFault:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        return WarehouseFault(
            f"The warehouse {self.folder} cannot be written ({reason}). "
            "Make it writable, or name another folder with --warehouse."
        )

    @contextmanager
    def published(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the published file for reading. Nobody writes it in place, so this blocks no refresh.

        Raises:
            WarehouseFault: nothing was published yet, or the file is damaged.

        """
        if not self.published_file.is_file():
            raise WarehouseFault(f"There is no warehouse at {self.published_file} yet. Run `mission refresh` first.")
        try:
            connection = duckdb.connect(str(self.published_file), read_only=True)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise WarehouseFault(
                f"{self.published_file} cannot be read ({reason}). Run `mission refresh` to publish it again."
            ) from error
        try:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()

    def publish(self, build: Build, views: Mapping[str, PublishedView]) -> None:
        """Copy the build file, take out what analysts do not need, sync it, and rename it over the published one.

        A kill at any moment leaves the old file or the new one, whole. Readers keep what they opened. A copy of the
        bytes takes a tenth of the time that copying the tables takes; the space of what is taken out stays in it.

        Args:
            build: the open build file; its connection is another one afterwards.
            views: qualified name → view, for those that go along.

        Raises:
            WarehouseFault: the folder cannot be written, or the disk is full; the old file stands.

        """
        try:
            self._publish(build, views)
        except OSError as error:
            raise self._unwritable(error) from error

    def _publish(self, build: Build, views: Mapping[str, PublishedView]) -> None:
        staged = self.build_folder / "publishing.duckdb"
        for leftover in (staged, staged.with_name(staged.name + ".wal")):
            leftover.unlink(missing_ok=True)
        build.connection.execute("checkpoint")
        # Closed while it is copied: whoever closes any handle of a file drops all of a process's locks on it.
        build.connection.close()
        try:
            shutil.copyfile(self.build_file, staged)
        finally:
            build.connection = self._connected()
        with closing(duckdb.connect(str(staged))) as connection:
            connection.execute("begin transaction")
            for (schema,) in connection.execute(_OTHER_SCHEMAS, {"published": list(PUBLISHED_SCHEMAS)}).fetchall():
                connection.execute(f"drop schema {quoted(schema)} cascade")
            for name, view in views.items():
                connection.execute(f"create view {name} as {view.query}")
                connection.execute(f"comment on view {name} is {_literal(view.comment)}")
                for column, comment in view.column_comments.items():
                    connection.execute(f"comment on column {name}.{quoted(column)} is {_literal(comment)}")
            connection.execute("commit")
        with staged.open("rb") as handle:
            os.fsync(handle.fileno())
        staged.replace(self.published_file)
        directory = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

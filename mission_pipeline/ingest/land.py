"""Lands the raw files in ``raw`` and keeps the ledger ``quality.loaded_files``: what is new, changed, gone, kept."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from mission_pipeline.contracts.inputs import DATA_SETS, InputDataSet
from mission_pipeline.contracts.quality import LoadedFiles
from mission_pipeline.ingest import statements
from mission_pipeline.ingest.content import Fingerprint, fingerprint
from mission_pipeline.ingest.find import FoundFiles, RawFile, find_raw_files
from mission_pipeline.ingest.read import RefusedByDuckdb, files_refused_by_duckdb, forget_records, type_records
from mission_pipeline.ingest.read_ahead import ReadAhead, begun
from mission_pipeline.warehouse import Build


@dataclass
class LandingReport:
    """What a landing did.

    ``counts``: data set → records landed now. ``notes``: sentences about what was not given or left aside.
    """

    counts: dict[str, int] = field(default_factory=dict)
    files_read: int = 0
    files_unchanged: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Plan:
    """What one landing has to do.

    ``data_sets``: those to land. ``ledger``: the lines of the last landing. ``fingerprints``: being taken while the
    first files are read already. ``ahead``: files that somebody began to read before.
    """

    data_sets: tuple[InputDataSet, ...]
    found: FoundFiles
    ahead: ReadAhead
    fingerprints: dict[RawFile, Future[Fingerprint]]
    ledger: dict[tuple[str, str], dict[str, Any]]
    now: datetime
    rebuild: bool

    def known(self, file: RawFile) -> dict[str, Any] | None:
        """Return the file's line in the ledger, if it was landed before."""
        return self.ledger.get((file.data_set.name, file.name))

    def is_unchanged(self, file: RawFile) -> bool:
        """Tell whether exactly this content was landed before."""
        known = self.known(file)
        return known is not None and known["sha256"] == self.fingerprints[file].result().sha256

    def gone(self, data_set: InputDataSet) -> list[str]:
        """Return the names of files that were landed before and are there no more."""
        present = {file.name for file in self.found.of(data_set)}
        return sorted(name for owner, name in self.ledger if owner == data_set.name and name not in present)


def land_raw_files(
    build: Build,
    raw_data: Path,
    *,
    now: datetime,
    rebuild: bool = False,
    data_sets: tuple[InputDataSet, ...] = DATA_SETS,
) -> LandingReport:
    """Bring ``raw`` and the ledger up to the files present, in one transaction; unchanged files are not read.

    Args:
        build: the open build file.
        raw_data: the folder; it is only read.
        now: the refresh's clock, UTC without zone; noted for the files that are read.
        rebuild: forget what was landed before, vanished records included.
        data_sets: those to land; of the others the tables are there, and stay as they are.

    Raises:
        InputFault: a file or the folder cannot be used at all; ``raw`` stays as it was.

    """
    found = find_raw_files(raw_data, data_sets)
    with ThreadPoolExecutor(max_workers=1) as hashing:
        plan = _Plan(
            data_sets=data_sets,
            found=found,
            ahead=begun(),
            fingerprints={file: hashing.submit(fingerprint, file) for file in found.files},
            ledger={} if rebuild else _ledger(build),
            now=now,
            rebuild=rebuild,
        )
        report = _land_patiently(build, plan)
    plan.ahead.forget()
    return report


def _land_patiently(build: Build, plan: _Plan) -> LandingReport:
    refused: frozenset[RawFile] = frozenset()
    while True:
        try:
            with build.transaction():
                return _land(build, plan, refused)
        except RefusedByDuckdb as error:
            # An error ends DuckDB's transaction, so the landing starts again, knowing the files that need patience.
            to_try = [file for file in plan.found.files if not plan.is_unchanged(file) and file not in refused]
            refused |= {error.file} | files_refused_by_duckdb(build, to_try)


def _ledger(build: Build) -> dict[tuple[str, str], dict[str, Any]]:
    build.ensure_table(LoadedFiles)
    return {(row["data_set"], row["file"]): row for row in build.table(LoadedFiles).iter_rows(named=True)}


def _land(build: Build, plan: _Plan, refused: frozenset[RawFile]) -> LandingReport:
    _ensure_tables(build, plan)
    report = LandingReport(notes=list(plan.found.notes))
    load_number = int(build.scalar("select nextval('raw.load_numbers')"))
    landed = {data_set.name for data_set in plan.data_sets}
    ledger: list[dict[str, Any]] = [line for (owner, _), line in plan.ledger.items() if owner not in landed]
    for data_set in plan.data_sets:
        lines = []
        for file in plan.found.of(data_set):
            known = plan.known(file)
            if known is not None and plan.is_unchanged(file):
                lines.append(_keep_file(build, file, known))
                report.files_unchanged += 1
            else:
                rows = _land_file(build, plan, file, load_number, refused)
                lines.append(_ledger_line(plan, file, rows))
                report.counts[data_set.name] = report.counts.get(data_set.name, 0) + rows
                report.files_read += 1
        read = [file.name for file in plan.found.of(data_set) if not plan.is_unchanged(file)]
        gone = plan.gone(data_set)
        if read or gone:
            _retire(build, data_set, [*read, *gone], load_number)
        if lines and not any(line["rows"] for line in lines):
            report.notes.append(f"{data_set.name} holds no records.")
        ledger += lines
    forget_records(build)
    build.replace_table(LoadedFiles, frame=pl.DataFrame(ledger, schema=LoadedFiles.polars_schema()))
    return report


def _ensure_tables(build: Build, plan: _Plan) -> None:
    if plan.rebuild:
        for data_set in DATA_SETS:
            build.execute(f"drop table if exists {data_set.raw_table}")
    build.execute("create schema if not exists raw")
    build.execute("create sequence if not exists raw.load_numbers")
    for data_set in DATA_SETS:
        build.execute(statements.create_raw_table(data_set))
        _add_new_fields(build, plan, data_set)


def _add_new_fields(build: Build, plan: _Plan, data_set: InputDataSet) -> None:
    """Bring a raw table that an earlier release made up to this one, and have its files read again."""
    known = {name for name, *_ in build.connection.execute(statements.no_rows(data_set)).description}
    is_older = False
    for promised in data_set.fields:
        if promised.name not in known:
            build.execute(statements.add_field(data_set, promised))
            is_older = True
    if is_older:
        for (owner, _), line in plan.ledger.items():
            if owner == data_set.name:
                line["sha256"] = None  # no content is unchanged: what was unknown then is a field now


def _keep_file(build: Build, file: RawFile, known: dict[str, Any]) -> dict[str, Any]:
    """Return the ledger line of an unchanged file; only its place in the order can be new."""
    if known["file_order"] != file.order:
        build.execute(statements.renumber_file(file.data_set), {"file": file.name, "file_order": file.order})
    return {**known, "file_order": file.order}


def _land_file(build: Build, plan: _Plan, file: RawFile, load_number: int, refused: frozenset[RawFile]) -> int:
    """Read one file into its raw table and return its number of records."""
    rows = type_records(build, file, is_refused=file in refused, read_ahead=plan.ahead.take(file))
    build.execute(
        statements.insert_records(file.data_set),
        {"file": file.name, "file_order": file.order, "load_number": load_number},
    )
    return rows


def _ledger_line(plan: _Plan, file: RawFile, rows: int) -> dict[str, Any]:
    found = plan.fingerprints[file].result()
    return {
        "data_set": file.data_set.name,
        "file": file.name,
        "file_order": file.order,
        "sha256": found.sha256,
        "size_bytes": found.size_bytes,
        "rows": rows,
        "loaded_at": plan.now,
    }


def _retire(build: Build, data_set: InputDataSet, files: list[str], load_number: int) -> None:
    """Take earlier contents of the named files out: reference rows for good, others unless nothing replaces them."""
    parameters = {"files": files, "load_number": load_number}
    if not build.scalar(statements.has_earlier_rows(data_set), parameters):
        return
    if data_set.kind == "reference":
        build.execute(statements.delete_earlier_contents(data_set), parameters)
    else:
        build.execute(statements.delete_superseded(data_set), parameters)
        build.execute(statements.mark_vanished(data_set), parameters)

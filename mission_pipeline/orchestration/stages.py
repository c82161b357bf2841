"""What each stage of a refresh does, in terms of the rooms that do it. Knows nothing of Dagster, and no rule.

Each function takes an open build, works one stage through, leaves its mark, and says in a line what it did.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from mission_pipeline.brief.exports import EXPORTS_FOLDER, write_exports
from mission_pipeline.brief.files import refuse_closed_folder
from mission_pipeline.brief.store import (
    BRIEFS_FOLDER,
    StoredBrief,
    facts_of,
    stored_briefs,
    write_brief,
    write_brief_files,
)
from mission_pipeline.contracts.judged import ExecutiveBriefs, PortfolioSnapshots
from mission_pipeline.derive.tables import DERIVED_TABLES, DerivedTable
from mission_pipeline.errors import NothingToJudge, WarehouseFault
from mission_pipeline.ingest.land import land_raw_files
from mission_pipeline.judge.reconciliation import reconcile
from mission_pipeline.judge.tables import judge_days
from mission_pipeline.judge.verdict import verdict_as_of
from mission_pipeline.policy import Policy
from mission_pipeline.settings import Settings
from mission_pipeline.validate.stage import stage_valid_records
from mission_pipeline.warehouse import Build, PublishedView, StageMark, Warehouse, read_sql

INGEST, VALIDATE, JUDGE = "ingest", "validate", "judge"

WEEKLY_SNAPSHOTS = "marts.portfolio_snapshots_weekly"


@dataclass(frozen=True)
class Refresh:
    """One refresh: where it reads and writes, and by which policy it judges."""

    settings: Settings
    policy: Policy

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse that it writes."""
        return Warehouse(self.settings.warehouse)


@dataclass(frozen=True)
class StageReport:
    """What a stage did, in a line, and what the reader of a refresh should know besides."""

    summary: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Publication:
    """The briefs of one refresh, and the files that it put in place."""

    briefs: tuple[StoredBrief, ...]
    published_file: Path
    brief_files: tuple[Path, ...]
    export_files: tuple[Path, ...] = field(default=())


def ingest(build: Build, refresh: Refresh, *, rebuild: bool) -> StageReport:
    """Land the raw files."""
    with build.stage(INGEST):
        landing = land_raw_files(build, refresh.settings.raw_data, now=refresh.settings.now, rebuild=rebuild)
    records = sum(landing.counts.values())
    summary = f"{_counted(landing.files_read, 'file')} read, {_counted(records, 'record')}"
    if landing.files_unchanged:
        summary += f"; {_counted(landing.files_unchanged, 'file')} unchanged"
    return StageReport(summary, tuple(landing.notes))


def validate(build: Build, refresh: Refresh) -> StageReport:
    """Make valid, typed rows of what has landed."""
    with build.stage(VALIDATE, policy_sha256=refresh.policy.sha256):
        stage_valid_records(build, refresh.policy, now=refresh.settings.now)
    valid, rejected = build.connection.execute(
        "select coalesce(sum(rows_valid), 0)::bigint, coalesce(sum(rows_rejected), 0)::bigint from quality.row_counts"
    ).fetchall()[0]
    return StageReport(f"{_counted(valid, 'record')} valid, {rejected:,} rejected")


def derive(build: Build, refresh: Refresh, wanted: Collection[str]) -> StageReport:
    """Write the derived tables that are wanted, by qualified name, each after those it reads, two at a time.

    Two at a time, because half of each is spent outside DuckDB, on one core.
    """
    tables = [table for table in DERIVED_TABLES if table.contract.qualified_name() in wanted]
    writing: dict[str, Future[int]] = {}

    def write(table: DerivedTable) -> int:
        wait([writing[name] for name in table.reads if name in writing])
        if any(writing[name].exception() for name in table.reads if name in writing):
            return 0  # what it reads has failed, and that is the fault to show
        with build.beside() as own:
            return _write_derived(own, refresh.policy, table)

    for contract in {table.contract.schema_name(): table.contract for table in tables}.values():
        build.ensure_schema(contract)
    build.ensure_stage_marks()
    with ThreadPoolExecutor(max_workers=2) as writers:
        for table in tables:
            writing[table.contract.qualified_name()] = writers.submit(write, table)
    rows = sum(each.result() for each in writing.values())
    return StageReport(f"{_counted(len(tables), 'table')}, {_counted(rows, 'row')}")


def _write_derived(build: Build, policy: Policy, table: DerivedTable) -> int:
    with build.stage(table.contract.qualified_name(), follows=VALIDATE, policy_sha256=policy.sha256):
        return table.write(build, policy)


def judge(build: Build, refresh: Refresh, days: Sequence[date]) -> StageReport:
    """Judge every day up to the last of those asked for, or of the newest brief if that is later.

    Raises:
        NothingToJudge: no run had started by the first of the days.

    """
    through = max([*days, *_newest_brief(build)])
    with build.stage(JUDGE, follows=VALIDATE, policy_sha256=refresh.policy.sha256):
        judge_days(build, refresh.policy, through, after_snapshots=reconcile)
    first = build.scalar("select min(snapshot_date) from marts.portfolio_snapshots")
    if first is None or min(days) < first:
        raise nothing_by(min(days), first)
    return StageReport(f"{_counted((through - first).days + 1, 'day')}, {first} to {through}")


def nothing_by(day: date, first: date | None) -> NothingToJudge:
    """Return the fault that no run had started by a day. ``first``: the day on which the first did, if any did."""
    if first is None:
        return NothingToJudge(
            f"There is no usable run up to {day}, so there is nothing to judge. Add records to mission_runs, or choose "
            "a later day; `mission check` says what is wrong with those that are there."
        )
    return NothingToJudge(f"No run had started by {day}; the first started on {first}. Choose that day or later.")


def _newest_brief(build: Build) -> list[date]:
    build.ensure_table(ExecutiveBriefs)
    newest = build.scalar("select max(as_of_date) from marts.executive_briefs")
    return [] if newest is None else [newest]


def brief_and_publish(build: Build, refresh: Refresh, days: Sequence[date]) -> tuple[StageReport, Publication]:
    """Write the briefs of the days, publish the whole warehouse, and put the files beside it.

    The rows come first and go with the snapshot; the files are copies of published rows. So a failure leaves the
    published warehouse and the briefs as they were, and a kill in between is mended by the next refresh.

    Raises:
        WarehouseFault: the build is half a refresh, or a file cannot be written.
        NothingToJudge: a day has not been judged.

    """
    refuse_half_a_refresh(build.stage_marks())
    folder = refresh.settings.warehouse
    for name in (BRIEFS_FOLDER, EXPORTS_FOLDER):
        refuse_closed_folder(folder / name)  # before publishing: what is published and its files belong together
    in_order = sorted(days)  # each brief looks back at the newest one before its day
    briefs = tuple(_brief_of(build, refresh.policy, day) for day in in_order)
    refresh.warehouse.publish(build, published_views())
    every_brief_file = write_brief_files(stored_briefs(build), folder)
    names = {day.isoformat() for day in days}
    publication = Publication(
        briefs=briefs,
        published_file=refresh.warehouse.published_file,
        brief_files=tuple(file for file in every_brief_file if file.stem in names),
        export_files=tuple(write_exports(build, folder)),
    )
    return StageReport(f"{_counted(len(briefs), 'brief')} written, warehouse published"), publication


def _brief_of(build: Build, policy: Policy, day: date) -> StoredBrief:
    """Write the brief of a day; DuckDB reads what it shows while the day is judged in Python."""
    with build.beside() as other, ThreadPoolExecutor(max_workers=1) as reader:
        facts = reader.submit(facts_of, other, day, policy)
        verdict = verdict_as_of(build, policy, day)
        return write_brief(build, verdict, policy, facts.result())


def refuse_half_a_refresh(marks: dict[str, StageMark]) -> None:
    """Refuse to publish tables that were not all made from the same input by the same policy.

    Raises:
        WarehouseFault: names the stages that are behind, and what to do.

    """
    validated = marks.get(VALIDATE)
    ingested = marks.get(INGEST)
    if ingested is None or validated is None or validated.version < ingested.version:
        behind = [INGEST if ingested is None else VALIDATE]
    else:
        followers = [*(table.contract.qualified_name() for table in DERIVED_TABLES), JUDGE]
        behind = [stage for stage in followers if marks.get(stage) != validated]
    if behind:
        raise WarehouseFault(
            f"The build file holds half a refresh: {', '.join(behind)} did not follow the newest data or policy. "
            "Nothing was published. Run `mission refresh`, or the job daily_refresh, which runs every stage."
        )


def published_views() -> dict[str, PublishedView]:
    """Return the views that go along with the tables."""
    comments = {promise.name: promise.comment for promise in PortfolioSnapshots.columns()}
    weekly = PublishedView(
        query=read_sql(WEEKLY_SNAPSHOTS.replace(".", "/")),
        comment="One row per ISO week with a day judged: the last such day, as marts.portfolio_snapshots has it.",
        column_comments={"week_start_date": "Monday of the week. Unit: UTC date.", **comments},
    )
    return {WEEKLY_SNAPSHOTS: weekly}


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

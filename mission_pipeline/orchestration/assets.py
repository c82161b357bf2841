"""The assets: one step per stage, which calls one thing and reports what it did, table by table."""

# No `from __future__ import annotations` here: Dagster reads the types of the steps' parameters themselves.

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from mission_pipeline.contracts.catalog import contract_of
from mission_pipeline.contracts.inputs import FIRST_DAY
from mission_pipeline.errors import ContractBroken, MissionPipelineError
from mission_pipeline.orchestration import stages
from mission_pipeline.orchestration.descriptions import (
    BRIEF_KEY,
    CONTRACT_CHECK,
    PUBLISHED_KEY,
    check_specs_of,
    checks_of,
    key_of,
    published_spec,
    shown,
    specs_of,
    tables_of,
)
from mission_pipeline.orchestration.edges import PUBLISHED
from mission_pipeline.orchestration.findings import Finding
from mission_pipeline.orchestration.resources import RefreshResource, StageDone
from mission_pipeline.orchestration.stages import Publication, StageReport
from mission_pipeline.warehouse import Build

WRITER_POOL = "warehouse_writer"
DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=1)
"""The as-of days; today is among them, since a refresh may judge the day that is going on.

All assets of a step have them or none: Dagster refuses a backfill from the UI over a step of both kinds.
"""
ONE_RUN = dg.BackfillPolicy.single_run()

Results = Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]


class IngestConfig(dg.Config):
    """How to land the raw files."""

    rebuild: bool = Field(
        default=False, description="Start again from the files present; records that vanished from them are forgotten."
    )


@dg.multi_asset(specs=specs_of("ingest"), check_specs=check_specs_of("ingest"), pool=WRITER_POOL)
def ingest(context: dg.AssetExecutionContext, config: IngestConfig, refresh: RefreshResource) -> Results:
    """Land the raw files: those that are unchanged are not read again."""
    work = partial(stages.ingest, refresh=refresh.refresh, rebuild=config.rebuild)
    yield from _reported(context, refresh, "ingest", work, tables_of("ingest"))


@dg.multi_asset(specs=specs_of("validate"), check_specs=check_specs_of("validate"), pool=WRITER_POOL)
def validate(context: dg.AssetExecutionContext, refresh: RefreshResource) -> Results:
    """Make valid, typed rows of the raw records, and keep books on the rest."""
    work = partial(stages.validate, refresh=refresh.refresh)
    yield from _reported(context, refresh, "validate", work, tables_of("validate"))


@dg.multi_asset(
    specs=specs_of("derive", skippable=True),
    check_specs=check_specs_of("derive"),
    can_subset=True,
    pool=WRITER_POOL,
)
def derive(context: dg.AssetExecutionContext, refresh: RefreshResource) -> Results:
    """Write the derived tables that were chosen, each after those it reads."""
    wanted = tuple(table for table in tables_of("derive") if key_of(table) in context.selected_asset_keys)
    work = partial(stages.derive, refresh=refresh.refresh, wanted=wanted)
    yield from _reported(context, refresh, "derive", work, wanted)


@dg.multi_asset(
    specs=specs_of("judge", partitions_def=DAYS),
    check_specs=check_specs_of("judge"),
    backfill_policy=ONE_RUN,
    pool=WRITER_POOL,
)
def judge(context: dg.AssetExecutionContext, refresh: RefreshResource) -> Results:
    """Judge every day up to the one asked for, and compare what others report."""
    days = _days(context)
    work = partial(stages.judge, refresh=refresh.refresh, days=days)
    yield from _reported(context, refresh, "judge", work, tables_of("judge"), days)


@dg.multi_asset(
    specs=[*specs_of("brief", partitions_def=DAYS), published_spec(partitions_def=DAYS)],
    check_specs=check_specs_of("brief"),
    backfill_policy=ONE_RUN,
    pool=WRITER_POOL,
)
def brief(context: dg.AssetExecutionContext, refresh: RefreshResource) -> Results:
    """Write the briefs of the days asked for and publish the warehouse, in one step: there is no half of it."""
    days = _days(context)
    published: list[Publication] = []

    def work(build: Build) -> StageReport:
        report, publication = stages.brief_and_publish(build, refresh.refresh, days)
        published.append(publication)
        return report

    reported = _reported(context, refresh, "brief", work, tables_of("brief"), days)
    for result in reported:
        if isinstance(result, dg.MaterializeResult):
            _show_briefs(context, published[0])
        yield result
    yield dg.MaterializeResult(asset_key=PUBLISHED_KEY, metadata=_shown_publication(published[0]))


def _days(context: dg.AssetExecutionContext) -> list[date]:
    return [date.fromisoformat(key) for key in context.partition_keys]


def _reported(
    context: dg.AssetExecutionContext,
    refresh: RefreshResource,
    stage: str,
    work: Callable[[Build], StageReport],
    tables: Sequence[str],
    days: Sequence[date] = (),
) -> Results:
    """Work a stage through and report each table with its checks; a broken contract is a failed check."""
    try:
        done = refresh.work(stage, work, tables, days)
    except MissionPipelineError as fault:
        if isinstance(fault, ContractBroken) and fault.table in tables:
            yield _contract_result(fault.table, is_kept=False, metadata={"broken": str(fault)}, sentence=str(fault))
        raise dg.Failure(description=str(fault), allow_retries=False) from fault
    context.log.info(f"{stage}: {done.report.summary}")
    for note in done.report.notes:
        context.log.info(note)
    for table in tables:
        yield dg.MaterializeResult(
            asset_key=key_of(table),
            metadata={"dagster/row_count": done.rows[table]},
            check_results=list(_check_results(stage, table, done)),
        )


def _check_results(stage: str, table: str, done: StageDone) -> Iterator[dg.AssetCheckResult]:
    if not table.startswith("raw."):
        contract = contract_of(table)
        yield _contract_result(
            table,
            is_kept=True,
            metadata={
                "rows": done.rows[table],
                "columns": len(contract.columns()),
                "one_row_per": ", ".join(contract.key()),
            },
            sentence=f"{done.rows[table]:,} rows keep the contract.",
        )
    for check in checks_of(stage):
        if check.table == table:
            finding = done.findings[table, check.name]
            severity = dg.AssetCheckSeverity.ERROR if check.is_blocking else dg.AssetCheckSeverity.WARN
            yield dg.AssetCheckResult(
                passed=finding.is_good,
                asset_key=key_of(table),
                check_name=check.name,
                severity=severity,
                description=finding.sentence,
                metadata=shown_finding(finding),
            )


def _contract_result(table: str, *, is_kept: bool, metadata: Mapping[str, Any], sentence: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=is_kept,
        asset_key=key_of(table),
        check_name=CONTRACT_CHECK,
        severity=dg.AssetCheckSeverity.ERROR,
        description=sentence,
        metadata=metadata,
    )


def shown_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding's figures and examples as Dagster shows them."""
    examples = shown(finding.examples)
    return {**finding.figures, **({} if examples is None else {"details": examples})}


def _show_briefs(context: dg.AssetExecutionContext, publication: Publication) -> None:
    """Show each brief on its own day, also where one run writes several."""
    for kept in publication.briefs:
        verdict = kept.brief
        files = [str(file) for file in publication.brief_files if file.stem == kept.as_of.isoformat()]
        context.add_asset_metadata(
            {
                "brief": dg.MetadataValue.md(kept.markdown),
                "status": verdict["status"],
                "primary_driver": verdict["primary_driver"]["headline"],
                "recommended_action": verdict["recommended_action"]["text"],
                "confidence": verdict["confidence"]["level"],
                **{f"{Path(file).suffix[1:]}_file": dg.MetadataValue.path(file) for file in files},
            },
            asset_key=BRIEF_KEY,
            partition_key=kept.as_of.isoformat(),
        )


def _shown_publication(publication: Publication) -> dict[str, Any]:
    return {
        "warehouse": dg.MetadataValue.path(publication.published_file),
        "size_bytes": publication.published_file.stat().st_size,
        "tables": len(PUBLISHED),
        **{file.stem: dg.MetadataValue.path(file) for file in publication.export_files},
    }


ASSETS = (ingest, validate, derive, judge, brief)
"""One step each, in the order in which data flows."""

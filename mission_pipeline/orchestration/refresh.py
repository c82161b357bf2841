"""A refresh from the command: through Dagster, in this process, in the history that the UI shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from mission_pipeline.brief.store import BRIEF_SUFFIXES, BRIEFS_FOLDER
from mission_pipeline.errors import ContractBroken, MissionPipelineError, NothingToJudge, WarehouseFault
from mission_pipeline.ingest.newest_day import run_days
from mission_pipeline.ingest.read_ahead import ReadAhead, handed_on, read_ahead_of
from mission_pipeline.orchestration.home import LOG_FILE
from mission_pipeline.orchestration.observe import Observer, observed_by
from mission_pipeline.orchestration.ui import serve_ui
from mission_pipeline.settings import Settings
from mission_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from dagster import ExecuteInProcessResult

__all__ = ["RefreshOutcome", "run_backfill", "run_refresh", "serve_ui"]

PARTITION_TAG = "dagster/partition"
_SILENT = {"console": {"config": {"log_level": "CRITICAL"}}}
"""Dagster's lines go to its log file (see dagster.yaml); the terminal is for the progress."""
RANGE_START_TAG, RANGE_END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class RefreshOutcome:
    """What a refresh left behind. ``as_of``: the day of the brief, the last one of a backfill."""

    as_of: date
    run_id: str
    published_file: Path
    brief_files: list[Path]
    warnings: list[str]


def run_refresh(
    settings: Settings, *, as_of: date | None, rebuild: bool = False, on_progress: Callable[[str], None]
) -> RefreshOutcome:
    """Refresh the warehouse and write the brief of one day.

    Args:
        settings: where to read and write, and what time it is.
        as_of: the day; by default the newest with data.
        rebuild: start again from the files present.
        on_progress: takes a line for each stage.

    Raises:
        MissionPipelineError: what the user can mend; the published warehouse and briefs are as they were.

    """
    with _reading_ahead(settings) as ahead:
        known_days = _days_with_data(settings, ahead)
        today = settings.now.date()
        if as_of is None and known_days is None:
            raise NothingToJudge(
                f"{settings.raw_data} holds no usable run yet, so there is nothing to judge. Add records to "
                "mission_runs, or name the day with --as-of; `mission check` says what is wrong with those that are "
                "there."
            )
        day = as_of if as_of is not None or known_days is None else min(known_days[1], today)
        assert day is not None
        _refuse_days_that_cannot_be_judged(settings, day, day, known_days)
        return _run(settings, [day], rebuild=rebuild, on_progress=on_progress)


def run_backfill(settings: Settings, *, first: date, last: date, on_progress: Callable[[str], None]) -> RefreshOutcome:
    """Refresh the warehouse and write the briefs of a span of days, each as of its own day, in one run.

    Raises:
        MissionPipelineError: what the user can mend; the published warehouse and briefs are as they were.

    """
    if last < first:
        raise NothingToJudge(f"The last day, {last}, is before the first, {first}. Swap --from and --to.")
    with _reading_ahead(settings) as ahead:
        known_days = _days_with_data(settings, ahead)
        _refuse_days_that_cannot_be_judged(settings, first, last, known_days)
        days = [first + timedelta(days=count) for count in range((last - first).days + 1)]
        return _run(settings, days, rebuild=False, on_progress=on_progress)


@contextmanager
def _reading_ahead(settings: Settings) -> Iterator[ReadAhead]:
    """Begin to read the files, before all else is loaded; what was read is there for the landing inside.

    DuckDB reads outside the interpreter's lock.

    Raises:
        WarehouseFault: the warehouse lies in the raw data, where a refresh only reads.

    """
    if settings.warehouse.resolve().is_relative_to(settings.raw_data.resolve()):
        raise WarehouseFault(
            f"The warehouse {settings.warehouse} lies in the raw-data folder, where a refresh only reads. "
            "Name another folder with --warehouse."
        )
    ahead = read_ahead_of(settings.raw_data, Warehouse(settings.warehouse).published_file)
    with handed_on(ahead):
        yield ahead


def _days_with_data(settings: Settings, ahead: ReadAhead) -> tuple[date, date] | None:
    """Peek into the run files while everything else loads.

    Raises:
        PolicyFault: the policy cannot be used.
        InputFault: a file of runs cannot be used at all.

    """
    from mission_pipeline.policy import load_policy

    load_policy(settings.policy_file)  # its faults first: they show at once
    with ThreadPoolExecutor(max_workers=1) as reader:
        days = reader.submit(run_days, settings.raw_data, settings.now, ahead)
        for module in ("definitions", "event_log"):
            import_module(f"mission_pipeline.orchestration.{module}")
        return days.result()


def _refuse_days_that_cannot_be_judged(
    settings: Settings, first: date, last: date, known_days: tuple[date, date] | None
) -> None:
    """Refuse days in the future, and days before any data, before anything is written."""
    today = settings.now.date()
    if last > today:
        raise NothingToJudge(f"{last} lies in the future: today is {today}, UTC. Choose today or an earlier day.")
    remembered = _first_day_remembered(Warehouse(settings.warehouse))
    first_days = [day for day in (known_days and known_days[0], remembered) if day is not None]
    if not first_days or first < min(first_days):
        from mission_pipeline.orchestration.stages import nothing_by

        raise nothing_by(first, min(first_days, default=None))


def _first_day_remembered(warehouse: Warehouse) -> date | None:
    """Return the day of the first run in a warehouse that was built before, and may know more than the files hold.

    Where that cannot be told, because nothing sound was published, the judgement decides: no day is too early.
    """
    if not warehouse.build_file.exists():
        return None
    if not warehouse.published_file.is_file():
        return date.min
    try:
        with warehouse.published() as connection:
            [(first,)] = connection.execute("select min(cast(start_time as date)) from staging.mission_runs").fetchall()
    except (WarehouseFault, duckdb.Error):
        return date.min  # a damaged file is no reason to refuse: the refresh publishes a sound one in its place
    assert first is None or isinstance(first, date)
    return first


def _run(
    settings: Settings, days: Sequence[date], *, rebuild: bool, on_progress: Callable[[str], None]
) -> RefreshOutcome:
    observer = Observer(on_progress)
    result = _execute(settings, days, rebuild=rebuild, observer=observer)
    if not result.success:
        if _was_interrupted(result):
            raise KeyboardInterrupt  # Ctrl-C: Dagster ends the run in its history and keeps the signal to itself
        raise _fault_of(result, observer, settings)
    folder = settings.warehouse / BRIEFS_FOLDER
    return RefreshOutcome(
        as_of=days[-1],
        run_id=result.run_id,
        published_file=Warehouse(settings.warehouse).published_file,
        brief_files=[folder / f"{day.isoformat()}{suffix}" for day in days for suffix in BRIEF_SUFFIXES],
        warnings=[*observer.notes, *_warnings_of(result)],
    )


def _execute(settings: Settings, days: Sequence[date], *, rebuild: bool, observer: Observer) -> ExecuteInProcessResult:
    from mission_pipeline.orchestration.definitions import defs
    from mission_pipeline.orchestration.instance import history
    from mission_pipeline.orchestration.resources import RefreshResource

    # Tags rather than a partition_key: Dagster would hold the key against the clock, and the clock here is injected.
    tags = (
        {PARTITION_TAG: days[0].isoformat()}
        if len(days) == 1
        else {RANGE_START_TAG: days[0].isoformat(), RANGE_END_TAG: days[-1].isoformat()}
    )
    with history(settings.dagster_home) as instance, observed_by(observer):
        return defs.resolve_job_def("daily_refresh").execute_in_process(
            instance=instance,
            resources={"refresh": RefreshResource.of(settings)},
            run_config={"ops": {"ingest": {"config": {"rebuild": rebuild}}}, "loggers": _SILENT},
            tags=tags,
            raise_on_error=False,
        )


def _fault_of(result: ExecuteInProcessResult, observer: Observer, settings: Settings) -> MissionPipelineError:
    """Return the fault as the stage raised it; of a failed check, its sentence; else what Dagster knows."""
    if observer.faults:
        return observer.faults[-1]
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.blocking:
            return ContractBroken(f"{evaluation.asset_key.to_user_string()}: {evaluation.description}")
    return ContractBroken(
        f"The refresh failed by a fault of this program{_first_error(result)}. Nothing was published. "
        f"{settings.dagster_home / LOG_FILE} has the details, and `mission ui` shows run {result.run_id}."
    )


def _was_interrupted(result: ExecuteInProcessResult) -> bool:
    return any(
        event.step_failure_data.error is not None
        and event.step_failure_data.error.cls_name == "DagsterExecutionInterruptedError"
        for event in result.all_events
        if event.is_step_failure
    )


def _first_error(result: ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure and (error := event.step_failure_data.error) is not None:
            return f" ({(error.cause or error).message.strip().splitlines()[0]})"
    return ""


def _warnings_of(result: ExecuteInProcessResult) -> list[str]:
    return [
        evaluation.description
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.description
    ]

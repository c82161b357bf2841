"""The one resource: the right to refresh, and the open build file, both held for a whole run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

import dagster as dg
import duckdb
from pydantic import Field, PrivateAttr

from mission_pipeline.errors import MissionPipelineError, WarehouseFault
from mission_pipeline.orchestration.findings import CHECKS, Finding
from mission_pipeline.orchestration.observe import tell_fault, tell_stage
from mission_pipeline.orchestration.stages import Refresh, StageReport
from mission_pipeline.policy import load_policy
from mission_pipeline.settings import Settings
from mission_pipeline.warehouse import LOCK_WAIT_SECONDS, Build

TURN_WAIT_SECONDS = 3600.0
"""How long a run from the UI waits for another refresh to end; nobody sits before it."""
HOLDER_NOTE = "refresh.holder"


@dataclass(frozen=True)
class StageDone:
    """A stage that was worked through: what it says, the rows of its tables, and what its checks found."""

    report: StageReport
    rows: Mapping[str, int]
    findings: Mapping[tuple[str, str], Finding]


class RefreshResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where a refresh reads and writes. What is not given comes from the environment or is the default."""

    raw_data: str | None = Field(default=None, description="Folder with the raw data. Default: MISSION_RAW_DATA.")
    warehouse: str | None = Field(default=None, description="Folder of the warehouse. Default: MISSION_WAREHOUSE.")
    policy: str | None = Field(default=None, description="Policy file. Default: MISSION_POLICY.")
    now: str | None = Field(default=None, description="The refresh's clock, an ISO time in UTC. Default: now.")
    wait_seconds: float = Field(default=TURN_WAIT_SECONDS, description="How long to wait for another refresh to end.")

    _refresh: Refresh = PrivateAttr()
    _build: Build = PrivateAttr()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the resource of a command with these settings, which waits less long."""
        return cls(
            raw_data=str(settings.raw_data),
            warehouse=str(settings.warehouse),
            policy=str(settings.policy_file),
            now=settings.now.isoformat(),
            wait_seconds=LOCK_WAIT_SECONDS,
        )

    def settings(self) -> Settings:
        """Return the settings that hold for this run."""
        settings = Settings.from_environment(_path(self.raw_data), _path(self.warehouse), _path(self.policy))
        return settings if self.now is None else replace(settings, now=datetime.fromisoformat(self.now))

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Hold the right to refresh, and the build file, from before the first step until after the last.

        Opened once, DuckDB keeps what one stage wrote in memory for the next.
        """
        with ExitStack() as held:
            with _plain_faults():
                settings = self.settings()
                self._refresh = Refresh(settings, load_policy(settings.policy_file))
                held.enter_context(self._refresh.warehouse.exclusive(self.wait_seconds))
                held.enter_context(_noted_holder(self._refresh.warehouse.build_folder / HOLDER_NOTE, context))
                self._build = held.enter_context(self._refresh.warehouse.build())
            yield self

    @property
    def refresh(self) -> Refresh:
        """The refresh that is going on."""
        return self._refresh

    def work(
        self, stage: str, work: Callable[[Build], StageReport], tables: Sequence[str], days: Sequence[date] = ()
    ) -> StageDone:
        """Work one stage through, and say how it went.

        Raises:
            MissionPipelineError: as the stage raised it; nothing was published.

        """
        started = time.perf_counter()
        with _told_faults(self._refresh.settings.warehouse):
            report = work(self._build)
            rows = {table: self._build.row_count(table) for table in tables}
            findings = {
                (check.table, check.name): check.look(self._build, self._refresh.policy, days)
                for check in CHECKS
                if check.table in tables
            }
        tell_stage(stage, report.summary, time.perf_counter() - started, report.notes)
        return StageDone(report, rows, findings)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


@contextmanager
def _told_faults(warehouse: Path) -> Iterator[None]:
    """Tell the command of a fault; a disk that is full or not writable is one too."""
    try:
        yield
    except MissionPipelineError as fault:
        tell_fault(fault)
        raise
    except (OSError, duckdb.IOException) as error:
        unwritable = WarehouseFault(
            f"The warehouse {warehouse} cannot be written ({getattr(error, 'strerror', None) or error}). "
            "Free some space or make it writable, then refresh again. What was published is as it was."
        )
        tell_fault(unwritable)
        raise unwritable from error


@contextmanager
def _plain_faults() -> Iterator[None]:
    """Show a fault before the first step as its sentence, here as in the steps."""
    try:
        yield
    except MissionPipelineError as fault:
        tell_fault(fault)
        raise dg.Failure(description=str(fault), allow_retries=False) from fault


@contextmanager
def _noted_holder(note: Path, context: Any) -> Iterator[None]:
    """Note which run holds the right to refresh, so that the next one can clear up after it if it was killed.

    Whoever holds the right alone can say so: a run that is still noted has died. Its place in the pool is given back,
    and the UI shows it as failed rather than running for ever.
    """
    if note.is_file():
        _clear_up_after(note.read_text(encoding="utf-8").strip(), context.instance)
    try:
        note.write_text(context.run.run_id, encoding="utf-8")
    except OSError as error:
        raise WarehouseFault(
            f"{note} cannot be written ({error.strerror}). Make the warehouse folder writable."
        ) from error
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _clear_up_after(run_id: str, instance: dg.DagsterInstance) -> None:
    run = instance.get_run_by_id(run_id) if run_id else None
    if run is None:
        return
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    if not run.is_finished:
        instance.report_run_failed(
            run, "The process of this run was killed. It published nothing; the next refresh mends the rest."
        )

"""When a refresh starts by itself: the daily job, its schedule, the sensor on the raw files, the watch on age."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from mission_pipeline.errors import MissionPipelineError
from mission_pipeline.ingest.newest_day import newest_run_day
from mission_pipeline.orchestration.assets import shown_finding
from mission_pipeline.orchestration.descriptions import PUBLISHED_KEY
from mission_pipeline.orchestration.findings import publication_age
from mission_pipeline.policy import load_policy
from mission_pipeline.settings import Settings
from mission_pipeline.warehouse import Warehouse

ONE_DAY = timedelta(days=1)
AGE_CHECK = "published_recently"
_AGE = dg.AssetSelection.checks(dg.AssetCheckKey(PUBLISHED_KEY, AGE_CHECK))

daily_refresh = dg.define_asset_job(
    "daily_refresh",
    selection=dg.AssetSelection.all() - _AGE,
    description="Everything from the raw files to the published warehouse and the brief of one day.",
)
age_watch = dg.define_asset_job(
    "age_watch", selection=_AGE, description="Looks whether the published warehouse is recent; refreshes nothing."
)


@dg.asset_check(
    asset=PUBLISHED_KEY,
    name=AGE_CHECK,
    description="The warehouse was published recently enough; the limit stands in the policy. A failure means that "
    "refreshes stopped or fail: analysts read old figures, whole but old.",
)
def published_recently() -> dg.AssetCheckResult:
    """Compare the age of the published file with the policy's limit."""
    settings = Settings.from_environment()
    finding = publication_age(
        Warehouse(settings.warehouse).published_file, load_policy(settings.policy_file), settings.now
    )
    return dg.AssetCheckResult(
        passed=finding.is_good,
        severity=dg.AssetCheckSeverity.WARN,
        description=finding.sentence,
        metadata=shown_finding(finding),
    )


@dg.schedule(
    job=daily_refresh,
    cron_schedule="0 6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Refreshes daily at 06:00 UTC and judges the day before, whether data came or not.",
)
def daily_at_six(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for the day before."""
    day = day_before(context.scheduled_execution_time)
    return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())


@dg.schedule(
    job=age_watch,
    cron_schedule="0 */6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Looks four times a day whether refreshes still come. Takes a few seconds and writes nothing.",
)
def age_four_times_a_day() -> dg.RunRequest:
    """Ask for the check alone."""
    return dg.RunRequest()


def day_before(scheduled: datetime) -> date:
    """Return the day before a time, both in UTC."""
    return scheduled.astimezone(UTC).date() - ONE_DAY


@dataclass(frozen=True)
class RawFilesSeen:
    """The sensor's memory: the files as last seen, and as last refreshed from."""

    seen: str = ""
    refreshed: str = ""

    @classmethod
    def from_cursor(cls, cursor: str | None) -> RawFilesSeen:
        """Read the memory from the sensor's cursor."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def to_cursor(self) -> str:
        """Return the memory as the sensor's cursor."""
        return json.dumps(asdict(self))

    def look(self, files: str) -> tuple[RawFilesSeen, bool]:
        """Return the new memory, and whether to refresh: once the files differ and have held still for one look.

        A file that is still being written would stop the refresh.
        """
        if files == self.seen and files != self.refreshed:
            return RawFilesSeen(files, files), True
        return RawFilesSeen(files, self.refreshed), False


def fingerprint(raw_data: Path) -> str:
    """Return a hash of the names, sizes and times of all files below a folder. Opens none of them."""
    files = sorted(path for path in raw_data.rglob("*") if path.is_file())
    lines = [
        f"{path.relative_to(raw_data).as_posix()}\0{(stat := path.stat()).st_size}\0{stat.st_mtime_ns}"
        for path in files
    ]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


@dg.sensor(
    job=daily_refresh,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refreshes when the raw files have changed and then held still for a minute; judges the newest day "
    "with data. So what the runner has appended is judged within minutes. The schedule refreshes daily all the same: "
    "a day without data is judged, too.",
)
def raw_files_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for the newest day with data once the files differ from those last refreshed from."""
    settings = Settings.from_environment()
    memory, is_due = RawFilesSeen.from_cursor(context.cursor).look(fingerprint(settings.raw_data))
    if not is_due:
        context.update_cursor(memory.to_cursor())
        return dg.SkipReason("Nothing has changed." if memory.seen == memory.refreshed else "Files are changing.")
    try:
        newest = newest_run_day(settings.raw_data, settings.now)
    except MissionPipelineError as fault:
        context.update_cursor(memory.to_cursor())
        return dg.SkipReason(str(fault))
    today = settings.now.date()
    day = min(newest, today) if newest else today - ONE_DAY
    request = dg.RunRequest(run_key=memory.refreshed, partition_key=day.isoformat())
    return dg.SensorResult(run_requests=[request], cursor=memory.to_cursor())

"""Times the judgement and the brief alone: 300 missions with 100,000 runs, from derived tables to a brief written.

The tables before are made once, by the real stages, and not timed. Every day is judged, as each refresh does. Prints
each part and whether their sum, the median of several turns, is within the promise; the exit code says the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from generate_telemetry import Portfolio, generate

from mission_pipeline.brief.store import stored_briefs, write_brief, write_brief_files
from mission_pipeline.derive.tables import DERIVED_TABLES
from mission_pipeline.judge.verdict import verdict_as_of
from mission_pipeline.orchestration import stages
from mission_pipeline.policy import load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings
from mission_pipeline.warehouse import Build

PROMISED_SECONDS = 5.0
REPLAYED_CLOCK = datetime(2026, 7, 1, 6)
"""The generated telemetry ends the day before, so the same days are judged whenever this runs."""


@dataclass(frozen=True)
class Turn:
    """Seconds of one turn by part, in order, and the seconds that the processors worked for all of it."""

    seconds: dict[str, float]
    processor_seconds: float

    @property
    def total(self) -> float:
        """Seconds of all parts together."""
        return sum(self.seconds.values())


def prepare(build: Build, refresh: stages.Refresh, portfolio: Portfolio) -> date:
    """Generate telemetry and make every table that the judgement reads; return the newest day with a run that ended."""
    generate(refresh.settings.raw_data, portfolio)
    stages.ingest(build, refresh, rebuild=False)
    stages.validate(build, refresh)
    stages.derive(build, refresh, [table.contract.qualified_name() for table in DERIVED_TABLES])
    newest = build.scalar("select max(run_date) from marts.mission_run_facts")
    assert isinstance(newest, date)
    return newest


def turn(build: Build, refresh: stages.Refresh, as_of: date) -> Turn:
    """Judge every day up to one, and write that day's brief."""
    policy = refresh.policy
    seconds: dict[str, float] = {}
    began, worked = time.perf_counter(), time.process_time()

    def done(part: str) -> None:
        nonlocal began
        seconds[part], began = time.perf_counter() - began, time.perf_counter()

    stages.judge(build, refresh, [as_of])
    done("judge every day")
    verdict = verdict_as_of(build, policy, as_of)
    done("verdict and confidence")
    write_brief(build, verdict, policy)
    done("brief composed and kept")
    write_brief_files(stored_briefs(build), refresh.settings.warehouse)
    done("brief files")
    return Turn(seconds, time.process_time() - worked)


def measure(folder: Path, portfolio: Portfolio, turns: int) -> list[Turn]:
    """Return what each turn took. The first also loads modules; all are counted."""
    settings = Settings(folder / "raw_data", folder / "warehouse", SHIPPED_POLICY_FILE, REPLAYED_CLOCK)
    refresh = stages.Refresh(settings, load_policy(SHIPPED_POLICY_FILE))
    with refresh.warehouse.exclusive(), refresh.warehouse.build() as build:
        as_of = prepare(build, refresh, portfolio)
        return [turn(build, refresh, as_of) for _ in range(turns)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--missions", type=int, default=300)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mission-bench-") as folder:
        turns = measure(Path(folder), Portfolio(runs=given.runs, missions=given.missions), given.turns)
    print(f"{given.missions:,} missions, {given.runs:,} runs, {os.cpu_count()} cores, {len(turns)} turns")
    for part in turns[0].seconds:
        each = [one.seconds[part] for one in turns]
        print(f"  {part:26} {statistics.median(each):6.2f} s  (" + ", ".join(f"{one:.2f}" for one in each) + ")")
    median = statistics.median(one.total for one in turns)
    worked = statistics.median(one.processor_seconds for one in turns)
    is_within = median <= PROMISED_SECONDS
    print(
        f"judgement and brief: {median:.2f} s ({worked:.2f} s of processors), median of {len(turns)} "
        f"(promised: {PROMISED_SECONDS:.0f} s): " + ("within" if is_within else "NOT WITHIN")
    )
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())

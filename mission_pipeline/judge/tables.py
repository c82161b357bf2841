"""Writes the judged tables. The judging itself is in ``days``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import polars as pl

from mission_pipeline.contracts.judged import MissionScorecards, MissionTriggers, PolicyLimits, PortfolioSnapshots
from mission_pipeline.judge.days import (
    judge_all_days,
    scorecards_frame,
    snapshots_frame,
    triggers_frame,
)
from mission_pipeline.judge.inputs import read_inputs
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build


def limits_frame(policy: Policy) -> pl.DataFrame:
    """Return every number of the policy, and those of each mission that has its own, all of them, as they hold."""
    owners = [(None, policy), *((mission_id, policy.for_mission(mission_id)) for mission_id in sorted(policy.missions))]
    rows = [(owner, key, value) for owner, own in owners for key, value in own.limits().items()]
    return pl.DataFrame(rows, schema=PolicyLimits.polars_schema(), orient="row")


def judge_days(
    build: Build, policy: Policy, through: date, *, after_snapshots: Callable[[Build], None] = lambda _: None
) -> None:
    """Write scorecards, triggers and snapshots of every day from the first run to ``through``, both included.

    The policy's limits are written beside them. All days are judged again, since a correction may reach back to any of
    them; that costs about a second for a hundred thousand mission-days. Without a run up to ``through`` the judged
    tables are empty.

    Args:
        build: the open build file.
        policy: every limit.
        through: the last day.
        after_snapshots: what is to be done once the snapshots stand; the scorecards may be being written meanwhile.

    """
    build.replace_table(PolicyLimits, frame=limits_frame(policy))
    inputs = read_inputs(build)
    first_day = inputs.first_day
    if first_day is None or through < first_day:
        for contract in (MissionScorecards, MissionTriggers, PortfolioSnapshots):
            build.replace_table(contract, frame=pl.DataFrame(schema=contract.polars_schema()))
        after_snapshots(build)
        return
    days = judge_all_days(inputs, policy, first_day, through)

    def write_scorecards() -> None:
        with build.beside() as own:
            own.replace_table(MissionScorecards, frame=scorecards_frame(days))

    def write_the_others() -> None:
        with build.beside() as own:
            own.replace_table(MissionTriggers, frame=triggers_frame(days))
            own.replace_table(PortfolioSnapshots, frame=snapshots_frame(days))
            after_snapshots(own)

    build.ensure_schema(MissionScorecards)
    with ThreadPoolExecutor(max_workers=2) as writers:  # half of it is spent outside DuckDB, on one core
        for written in [writers.submit(write_scorecards), writers.submit(write_the_others)]:
            written.result()

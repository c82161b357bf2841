"""Writes the judged tables. The judging itself is in ``days``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import polars as pl

from mission_pipeline.contracts.base import TableContract
from mission_pipeline.contracts.judged import MissionScorecards, MissionTriggers, PolicyLimits, PortfolioSnapshots
from mission_pipeline.judge.days import (
    JudgedDays,
    judge_all_days,
    scorecards_frame,
    snapshots_frame,
    triggers_frame,
)
from mission_pipeline.judge.inputs import read_inputs
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build

_FRAMES: dict[type[TableContract], Callable[[JudgedDays], pl.DataFrame]] = {
    MissionScorecards: scorecards_frame,
    MissionTriggers: triggers_frame,
    PortfolioSnapshots: snapshots_frame,
}


def limits_frame(policy: Policy) -> pl.DataFrame:
    """Return every number of the policy, and those of each mission that has its own, all of them, as they hold."""
    owners = [(None, policy), *((mission_id, policy.for_mission(mission_id)) for mission_id in sorted(policy.missions))]
    rows = [(owner, key, value) for owner, own in owners for key, value in own.limits().items()]
    return pl.DataFrame(rows, schema=PolicyLimits.polars_schema(), orient="row")


def judge_days(build: Build, policy: Policy, through: date) -> None:
    """Write scorecards, triggers and snapshots of every day from the first run to ``through``, both included.

    The policy's limits are written beside them. All days are judged again, since a correction may reach back to any of
    them; that costs about a second for a hundred thousand mission-days. Without a run up to ``through`` the judged
    tables are empty.
    """
    build.replace_table(PolicyLimits, frame=limits_frame(policy))
    inputs = read_inputs(build)
    first_day = inputs.first_day
    if first_day is None or through < first_day:
        for contract in _FRAMES:
            build.replace_table(contract, frame=pl.DataFrame(schema=contract.polars_schema()))
        return
    days = judge_all_days(inputs, policy, first_day, through)

    def write(contract: type[TableContract]) -> int:
        with build.beside() as own:
            return own.replace_table(contract, frame=_FRAMES[contract](days))

    build.ensure_schema(MissionScorecards)
    with ThreadPoolExecutor(max_workers=2) as writers:  # half of it is spent outside DuckDB, on one core
        list(writers.map(write, _FRAMES))

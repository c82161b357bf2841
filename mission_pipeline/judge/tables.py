"""Writes the judged tables. The judging itself is in ``days``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import polars as pl

from mission_pipeline.contracts.base import TableContract
from mission_pipeline.contracts.judged import MissionScorecards, MissionTriggers, PortfolioSnapshots
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


def judge_days(build: Build, policy: Policy, through: date) -> None:
    """Write scorecards, triggers and snapshots of every day from the first run to ``through``, both included.

    All days are judged again, since a correction may reach back to any of them; that costs about a second for a
    hundred thousand mission-days. Without a run up to ``through`` the tables are empty.
    """
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

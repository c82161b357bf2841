"""Writes the judged tables. The judging itself is in ``days``."""

from __future__ import annotations

from datetime import date

import polars as pl

from mission_pipeline.contracts.base import TableContract
from mission_pipeline.contracts.judged import MissionScorecards, MissionTriggers, PortfolioSnapshots
from mission_pipeline.judge.days import judge_all_days, scorecards_frame, snapshots_frame, triggers_frame
from mission_pipeline.judge.inputs import read_inputs
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build


def judge_days(build: Build, policy: Policy, through: date) -> None:
    """Write scorecards, triggers and snapshots of every day from the first run to ``through``, both included.

    All days are judged again, since a correction may reach back to any of them; that costs about a second for a
    hundred thousand mission-days. Without a run up to ``through`` the tables are empty.
    """
    contracts: tuple[type[TableContract], ...] = (MissionScorecards, MissionTriggers, PortfolioSnapshots)
    inputs = read_inputs(build)
    first_day = inputs.first_day
    with build.transaction():
        if first_day is None or through < first_day:
            for contract in contracts:
                build.replace_table(contract, frame=pl.DataFrame(schema=contract.polars_schema()))
            return
        days = judge_all_days(inputs, policy, first_day, through)
        # One frame at a time: the scorecards are the largest thing that a refresh holds in memory.
        for contract, frame_of in zip(contracts, (scorecards_frame, triggers_frame, snapshots_frame), strict=True):
            build.replace_table(contract, frame=frame_of(days))

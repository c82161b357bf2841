"""How often a task outruns its estimate, and how sure that rate is. Friction itself is task_friction.py's."""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.derived import TaskOverrunRates
from mission_pipeline.derive.limits import limits_of
from mission_pipeline.intervals import wilson_interval
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build, read_sql


def write_task_overrun_rates(build: Build, policy: Policy) -> int:
    """Write ``marts.task_overrun_rates`` and return its number of rows."""
    with limits_of(build, policy):
        rates = build.frame(read_sql("marts/task_overrun_rates"))
    return build.replace_table(TaskOverrunRates, frame=with_intervals(rates, policy))


def with_intervals(rates: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Add the bounds of each rate's Wilson interval, NULL where nothing was measured.

    Args:
        rates: ``mission_id, overrun_count, measured_executions`` and what else the table has.
        policy: gives the interval's confidence, per mission.
    """
    intervals = [
        wilson_interval(overruns, measured, policy.for_mission(mission_id).confidence.interval_confidence)
        for mission_id, overruns, measured in rates.select(
            "mission_id", "overrun_count", "measured_executions"
        ).iter_rows()
    ]
    return rates.with_columns(
        pl.Series("overrun_rate_low", [i and i.low for i in intervals], dtype=pl.Float64),
        pl.Series("overrun_rate_high", [i and i.high for i in intervals], dtype=pl.Float64),
    )

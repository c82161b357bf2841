"""What an agent did in the windows that end on each of its active days. Ranks no agent, compares with no report."""

from __future__ import annotations

import numpy as np
import polars as pl

from mission_pipeline.contracts.derived import AgentRollingStats
from mission_pipeline.derive.escalation_shares import escalation_shares_of
from mission_pipeline.derive.limits import limits_of
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build, read_sql

WINDOW_DAYS = {"7d": 7, "30d": 30}
"""Calendar days, the last one included. The names are fixed by the contract, so the lengths are no policy."""


def write_agent_rolling_stats(build: Build, policy: Policy) -> int:
    """Write ``marts.agent_rolling_stats`` and return its number of rows."""
    with limits_of(build, policy), escalation_shares_of(build):
        days = build.frame(read_sql("marts/agent_rolling_stats"))
    return build.replace_table(AgentRollingStats, frame=rolling_stats(days))


def rolling_stats(days: pl.DataFrame) -> pl.DataFrame:
    """Return one row per agent, active day and window.

    Args:
        days: one row per agent and active day, as ``sql/marts/agent_rolling_stats.sql`` gives them: counts and sums.

    Returns:
        The rows of ``marts.agent_rolling_stats``; means and rates are over what is known, NULL where nothing is.
    """
    days = days.sort("agent_id", "stat_date")
    keys, measures = ["agent_id", "stat_date"], [name for name in days.columns if name not in ("agent_id", "stat_date")]
    windows = [
        days.select(*keys, pl.lit(name).alias("stat_window"), *_sums_over_days(days, measures, length))
        for name, length in WINDOW_DAYS.items()
    ]
    windows.append(days.select(*keys, pl.lit("all").alias("stat_window"), pl.col(measures).cum_sum().over("agent_id")))
    return pl.concat(windows).select(
        *keys,
        "stat_window",
        "executions",
        _mean("actual_minutes", "timed_executions").alias("avg_task_duration_minutes"),
        "approval_decisions",
        _mean("approvals", "approval_decisions").alias("approval_rate"),
        _mean("escalation_shares", "reported_executions").alias("escalation_rate"),
        _mean("overruns", "measured_executions").alias("overrun_rate"),
        _mean("human_delay_minutes", "waiting_executions").alias("avg_human_delay_minutes"),
    )


def _mean(total: str, count: str) -> pl.Expr:
    return pl.when(pl.col(count) > 0).then(pl.col(total) / pl.col(count))


def _sums_over_days(days: pl.DataFrame, measures: list[str], length: int) -> list[pl.Series]:
    """Add each measure up over the calendar days of each row's window; the rows are sorted by agent and day.

    Each window is added up by itself: differences of running sums would leave crumbs of what has left the window.
    """
    if days.is_empty():
        return [days[name] for name in measures]
    day = days["stat_date"].to_physical().to_numpy().astype(np.int64)
    agent = days["agent_id"].rle_id().to_numpy().astype(np.int64)
    place = agent * (day.max() - day.min() + 1 + length) + (day - day.min())
    first = np.searchsorted(place, place - (length - 1))
    bounds = np.column_stack([first, np.arange(1, len(day) + 1)]).ravel()
    padded = (np.append(days[name].to_numpy(), 0) for name in measures)
    return [
        pl.Series(name, np.add.reduceat(values, bounds)[::2]) for name, values in zip(measures, padded, strict=True)
    ]

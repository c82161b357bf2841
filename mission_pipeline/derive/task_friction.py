"""Friction of each task as of the end of each day: minutes, hits, status and driver. Ranks no task, judges no mission.

A day's figure counts the runs known by its end, in the order of their ``run_seq``. Nearly always these are the first n
runs, so figures that run along the runs hold; only where a run that started earlier became known later is the day's
own set of runs looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mission_pipeline.contracts.derived import TaskFriction
from mission_pipeline.derive.limits import limits_of
from mission_pipeline.history import runs_that_weigh
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build, read_sql

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_PLACES = 1 << 32
"""More than a mission has runs, and more than there are days: one integer orders by task, then by run or day."""
_FIRST_DAY = 1 << 31
"""Days from the one that counts as the first to 1970-01-01."""
_BLOCK = 2_000_000
"""Cells looked up at once, which bounds the memory whatever the number of days."""

_TASKS = """
select
    mission_tasks.mission_id,
    mission_tasks.task_id,
    mission_tasks.estimated_duration_minutes
from staging.mission_tasks
order by mission_tasks.mission_id, mission_tasks.task_id
"""
_EVENTS = """
select
    risk_events.task_id,
    cast(coalesce(risk_events.detected_at, mission_run_facts.run_date) as date) as event_date
from staging.risk_events
inner join marts.mission_run_facts on risk_events.run_id = mission_run_facts.run_id
"""


def write_task_friction(build: Build, policy: Policy) -> int:
    """Write ``marts.task_friction`` and return its number of rows."""
    with limits_of(build, policy) as limits:
        tasks = build.frame(_TASKS).with_row_index("task_number").cast({"task_number": pl.Int64})
        with build.view_of("numbered_tasks", tasks):
            executions = build.frame(read_sql("marts/task_friction"))
    events = build.frame(_EVENTS).join(tasks.select("task_id", "task_number"), on="task_id")
    frictions = friction_by_day(executions, events, tasks.join(limits, on="mission_id"))
    return build.replace_table(TaskFriction, frame=frictions)


def friction_by_day(executions: pl.DataFrame, events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """Return one row per task and day on which a run or an event of it became known.

    Args:
        executions: one row per execution, as ``sql/marts/task_friction.sql`` gives them.
        events: ``task_number, event_date``: reported events that name the task.
        tasks: ``task_number`` from 0 without a gap, ``mission_id, task_id, estimated_duration_minutes`` and the
            ``friction_*`` limits of the task's mission.

    Returns:
        The rows of ``marts.task_friction``, ordered by task and day.
    """
    if executions.is_empty():
        return pl.DataFrame(schema=TaskFriction.polars_schema())
    tasks = tasks.sort("task_number")
    runs = _runs(executions)
    states = _states(runs)
    decay = tasks["friction_decay_per_run"].to_numpy()[runs.tasks]
    recent = tasks["friction_recent_runs"].to_numpy()[runs.tasks]
    frame = pl.DataFrame(
        {
            "task_number": states.tasks,
            "day": states.days,
            "runs_executed": states.counts,
            "runs_measured": states.total((~np.isnan(runs.friction_minutes)).astype(np.int64)),
            "friction_minutes": _friction(states, runs, decay),
            "recent_hits": _recent_hits(states, runs, recent),
            "timed_executions": states.total(runs.timed_executions),
            "work_minutes": states.total(runs.work_minutes),
            "waiting_executions": states.total(runs.waiting_executions),
            "human_delay_minutes": states.total(runs.human_delay_minutes),
        }
    )
    return _with_status(_with_events(frame, events), tasks)


@dataclass(frozen=True)
class _Runs:
    """The runs that executed each task, ordered by task and ``run_seq``; friction is NaN where it is unknown."""

    tasks: Integers
    days: Integers
    friction_minutes: Floats
    is_hit: Flags
    timed_executions: Integers
    work_minutes: Floats
    waiting_executions: Integers
    human_delay_minutes: Floats


def _runs(executions: pl.DataFrame) -> _Runs:
    """Add the attempts of each run at each task up."""
    place = executions["task_number"].to_numpy() * _PLACES + executions["run_seq"].to_numpy()
    order = np.lexsort((executions["attempt"].to_numpy(), place))
    place = place[order]
    is_first = np.diff(place, prepend=-1) != 0
    starts, later = np.flatnonzero(is_first), np.flatnonzero(~is_first)
    first_attempts, later_attempts = order[starts], order[later]
    run_of_later = np.searchsorted(starts, later) - 1

    def together(combine: np.ufunc, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        # Few runs attempt a task again, so it is quicker to bring in their attempts than to go through every run.
        result = values[first_attempts]
        combine.at(result, run_of_later, values[later_attempts])
        return result

    work, delay = executions["work_minutes"].to_numpy(), executions["human_delay_minutes"].to_numpy()
    return _Runs(
        tasks=place[starts] // _PLACES,
        days=together(np.maximum, _day_numbers(executions["friction_date"])),
        friction_minutes=together(np.add, executions["friction_minutes"].to_numpy()),
        is_hit=together(np.logical_or, executions["is_hit"].to_numpy()),
        timed_executions=together(np.add, (~np.isnan(work)).astype(np.int64)),
        work_minutes=together(np.add, np.nan_to_num(work)),
        waiting_executions=together(np.add, (~np.isnan(delay)).astype(np.int64)),
        human_delay_minutes=together(np.add, np.nan_to_num(delay)),
    )


@dataclass(frozen=True)
class _States:
    """What was known of each task by the end of each day with news: one entry per task and day, ordered by both.

    ``last`` is the newest run known (an index of the sorted runs), ``first`` the task's first run, ``counts`` how many
    were known. ``by_day`` orders the runs by task and day, and ``ends`` says where in it each state ends.
    """

    tasks: Integers
    days: Integers
    first: Integers
    last: Integers
    counts: Integers
    by_day: Integers
    ends: Integers

    def total(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Add up a value over the runs known; for floats task by task, so that no task leaves crumbs in another's."""
        ordered = values[self.by_day]
        if values.dtype.kind == "f":
            task = np.repeat(self.tasks, np.diff(self.ends, prepend=-1))
            running = (
                pl.DataFrame({"task": task, "value": ordered})
                .set_sorted("task")
                .select(pl.col("value").cum_sum().over("task"))
            )
            totals: Floats = running["value"].to_numpy()[self.ends]
            return totals
        sums = np.concatenate([[0], np.cumsum(ordered)])
        result: Integers = sums[self.ends + 1] - sums[self.first]
        return result


def _states(runs: _Runs) -> _States:
    task, day = runs.tasks, runs.days
    by_day = np.argsort(task * _PLACES + day, kind="stable")
    ordered_task, ordered_day = task[by_day], day[by_day]
    is_news = (ordered_task[1:] != ordered_task[:-1]) | (ordered_day[1:] != ordered_day[:-1])
    ends = np.flatnonzero(np.append(is_news, True))
    first = np.searchsorted(task, ordered_task[ends])
    return _States(
        tasks=ordered_task[ends],
        days=ordered_day[ends],
        first=first,
        last=np.maximum.accumulate(by_day)[ends],
        counts=ends - first + 1,
        by_day=by_day,
        ends=ends,
    )


def _day_numbers(days: pl.Series) -> Integers:
    """Days since one so early that none is negative."""
    return days.to_physical().to_numpy().astype(np.int64) + _FIRST_DAY


def _newest_known(
    first: Integers, last: Integers, until: Integers, run_days: Integers, lacking: Integers, size: int
) -> Iterator[tuple[slice, Integers, Integers]]:
    """Yield, for blocks of states, the rows of their newest known runs and each one's place from the newest, 0.

    Args:
        first: the task's first row, per state.
        last: the newest row known, per state.
        until: the state's day: a row with a later one is not known yet.
        run_days: the day of each row.
        lacking: how many rows up to ``last`` are not known yet, per state.
        size: how many known rows are wanted; the place of any other is -1.
    """
    width = int(min(size, (last - first).max() + 1) + lacking.max())
    step = max(1, _BLOCK // width)
    for start in range(0, len(first), step):
        block = slice(start, start + step)
        rows = last[block, None] - np.arange(width)
        is_known = rows >= first[block, None]
        rows[~is_known] = 0
        is_known &= run_days[rows] <= until[block, None]
        place = np.cumsum(is_known, axis=1) - 1
        place[~is_known | (place >= size)] = -1
        yield block, rows, place


def _friction(states: _States, runs: _Runs, decay: Floats) -> pl.Series:
    """Average the known friction of the runs known, each older one weighing ``decay`` times the next newer one."""
    is_measured = ~np.isnan(runs.friction_minutes)
    row = np.flatnonzero(is_measured)
    values = runs.friction_minutes[row]
    running = _decayed_means(runs.tasks[row], values, decay[row])

    # The same states among the measured runs alone.
    before = np.searchsorted(row, states.first)
    upto = np.searchsorted(row, states.last, side="right")
    known = states.total(is_measured.astype(np.int64))
    result = np.full(len(known), np.nan)
    is_whole = (known > 0) & (upto - before == known)
    result[is_whole] = running[upto[is_whole] - 1]

    apart = np.flatnonzero((known > 0) & ~is_whole)
    for weight in np.unique(decay[states.first[apart]]):
        chosen = apart[decay[states.first[apart]] == weight]
        blocks = _newest_known(
            before[chosen], upto[chosen] - 1, states.days[chosen], runs.days[row],
            upto[chosen] - before[chosen] - known[chosen], runs_that_weigh(weight),
        )  # fmt: skip
        for block, rows, place in blocks:
            weights = np.where(place >= 0, weight ** np.maximum(place, 0), 0.0)
            result[chosen[block]] = (weights * values[rows]).sum(axis=1) / weights.sum(axis=1)
    return pl.Series(result).fill_nan(None)


def _decayed_means(tasks: Integers, values: Floats, decay: Floats) -> Floats:
    """Return the decayed mean of each run and those before it of its task."""
    value = pl.col("value")
    mean = pl.lit(None, dtype=pl.Float64)
    for share in np.unique(decay):
        decayed = value.cum_sum() / value.cum_count() if share == 1 else value.ewm_mean(alpha=1 - share, adjust=True)
        mean = pl.when(pl.col("decay") == share).then(decayed.over("task")).otherwise(mean)
    means: Floats = (
        pl.DataFrame({"task": tasks, "value": values, "decay": decay})
        .set_sorted("task")
        .select(mean)
        .to_series()
        .to_numpy()
    )
    return means


def _recent_hits(states: _States, runs: _Runs, recent: Integers) -> Integers:
    """Count the hits among the newest runs known."""
    wanted = recent[states.first]
    sums = np.concatenate([[0], np.cumsum(runs.is_hit)])
    result: Integers = sums[states.last + 1] - sums[np.maximum(states.last - wanted + 1, states.first)]

    lacking = states.last - states.first + 1 - states.counts
    apart = np.flatnonzero(lacking)
    for size in np.unique(wanted[apart]):
        chosen = apart[wanted[apart] == size]
        blocks = _newest_known(
            states.first[chosen], states.last[chosen], states.days[chosen], runs.days, lacking[chosen], int(size)
        )
        for block, rows, place in blocks:
            result[chosen[block]] = (runs.is_hit[rows] & (place >= 0)).sum(axis=1)
    return result


def _with_events(states: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Add the events known by then, and a row for each later day on which one became known."""
    state_keys = states["task_number"].to_numpy() * _PLACES + states["day"].to_numpy()
    event_keys = np.sort(events["task_number"].to_numpy() * _PLACES + _day_numbers(events["event_date"]))
    news = np.unique(event_keys)
    keys = np.sort(np.concatenate([state_keys, news[~np.isin(news, state_keys, assume_unique=True)]]))
    task = keys // _PLACES
    latest = np.searchsorted(state_keys, keys, side="right") - 1
    is_executed = (latest >= 0) & (states["task_number"].to_numpy()[latest] == task)
    keys, task, latest = keys[is_executed], task[is_executed], latest[is_executed]
    known: pl.DataFrame = states[latest]
    return known.with_columns(
        day=keys % _PLACES,
        risk_events=np.searchsorted(event_keys, keys, side="right") - np.searchsorted(event_keys, task * _PLACES),
    )


def _with_status(states: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """Say how persistent the bottleneck is and what drives it."""
    hits = pl.col("recent_hits")
    # Rounded, because a mean and 1.05 times an estimate carry crumbs of floating point.
    mean_delay, mean_actual = pl.col("mean_human_delay_minutes").round(9), pl.col("mean_actual_minutes").round(9)
    overrun_limit = (pl.col("friction_overrun_hit_ratio") * pl.col("estimated_duration_minutes")).round(9)
    needed = [
        "task_number",
        "mission_id",
        "task_id",
        "estimated_duration_minutes",
        *(f"friction_{n}" for n in ("overrun_hit_ratio", "delay_hit_minutes")),
        *(f"friction_{n}" for n in ("persistent_hits", "recurring_hits", "isolated_hits")),
    ]
    rows: pl.DataFrame = (
        states.join(tasks.select(needed), on="task_number", maintain_order="left")
        .with_columns(
            friction_date=(pl.col("day") - _FIRST_DAY).cast(pl.Int32).cast(pl.Date),
            mean_actual_minutes=pl.when(pl.col("timed_executions") > 0).then(
                pl.col("work_minutes") / pl.col("timed_executions")
            ),
            mean_human_delay_minutes=pl.when(pl.col("waiting_executions") > 0).then(
                pl.col("human_delay_minutes") / pl.col("waiting_executions")
            ),
        )
        .with_columns(
            bottleneck_status=pl.when(hits >= pl.col("friction_persistent_hits"))
            .then(pl.lit("persistent"))
            .when(hits >= pl.col("friction_recurring_hits"))
            .then(pl.lit("recurring"))
            .when(hits >= pl.col("friction_isolated_hits"))
            .then(pl.lit("isolated"))
            .otherwise(pl.lit("clear")),
            bottleneck_driver=pl.when(mean_delay >= pl.col("friction_delay_hit_minutes"))
            .then(pl.lit("approval_delay"))
            .when(mean_actual > overrun_limit)
            .then(pl.lit("task_overrun"))
            .when(pl.col("risk_events") > 0)
            .then(pl.lit("risk"))
            .otherwise(pl.lit("none")),
        )
        .select(list(TaskFriction.polars_schema()))
    )
    return rows

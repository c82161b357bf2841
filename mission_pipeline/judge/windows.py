"""What a mission is judged by: windows over its runs, as matrices, one line per state. No score and no rule.

A state is a mission as of the end of a day on which something about it became known: a run ended, an event was
detected, a task's friction changed. Between two such days nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mission_pipeline.contracts.inputs import SEVERITIES
from mission_pipeline.history import NO_ROW, as_of_windows
from mission_pipeline.judge.limits import Floats

Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]
_Value = TypeVar("_Value", bound=np.generic)

EVENT_KINDS = (*SEVERITIES, "unknown")
"""Reported events are counted by severity; one without severity makes its run's weight unknown."""

RUN_MEASURES = (
    "is_completed", "human_interventions", "escalations", "approval_delay_minutes", "is_flagged", "is_touchless",
    "total_duration_minutes", "autonomy_score", "kpi_value",
)  # fmt: skip
"""Numbers known of each finished run; NaN where unknown, flags as 0 and 1; ``kpi_value`` is the primary KPI's."""


@dataclass(frozen=True)
class Runs:
    """Finished runs (completed or failed) in the order of mission and run_seq, one array per measure.

    ``missions``: place of the mission in the portfolio. ``days``: run_date. ``missed_limits``: row of the worst floor
    or ceiling that the run missed, in a table of such, or -1. ``events``: per kind of EVENT_KINDS, reported events of
    the run that were detected by its run_date.
    """

    missions: Integers
    days: Days
    measures: dict[str, Floats]
    missed_limits: Integers
    events: dict[str, Floats]

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.missions)

    @cached_property
    def padded_measures(self) -> dict[str, Floats]:
        """The measures with a NaN behind the last run: NO_ROW is -1 and so picks it."""
        return {name: np.append(values, np.nan) for name, values in self.measures.items()}

    @cached_property
    def padded_events(self) -> dict[str, Floats]:
        """The events with a 0 behind the last run, likewise."""
        return {name: np.append(counts, 0.0) for name, counts in self.events.items()}


@dataclass(frozen=True)
class LateEvents:
    """Reported events that were detected after the day on which their run ended."""

    runs: Integers
    days: Days
    kinds: Integers


@dataclass(frozen=True)
class Kpis:
    """The primary KPI of each mission: NaN where there is none or a part is unknown.

    ``signs``: 1 where higher is better, -1 where lower is, 0 where unknown.
    """

    signs: Floats
    baselines: Floats
    targets: Floats


@dataclass(frozen=True)
class States:
    """States in the order of mission and day, as rows of ``Runs``.

    ``run_rows`` and ``observation_rows``: one line per state, oldest first, NO_ROW before the first: the last finished
    runs, and the last of them that observed the primary KPI. ``first_observations``: the first such ever, or NO_ROW.
    ``finished``, ``completed``, ``cancelled``, ``observed``: counts of runs up to then. ``last_days``: when the newest
    finished run ended. ``late_events``: per kind, events beyond those in ``Runs.events``, aligned with ``run_rows``,
    or None where there are none.
    """

    missions: Integers
    days: Days
    run_rows: Integers
    observation_rows: Integers
    first_observations: Integers
    finished: Integers
    completed: Integers
    cancelled: Integers
    observed: Integers
    last_days: Days
    late_events: tuple[tuple[int, Integers, Integers, Floats], ...] = ()

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self.missions)


@dataclass(frozen=True)
class Windows:
    """The numbers of some states, gathered: what scores and triggers are computed from, whatever the runs were."""

    measures: dict[str, Floats]
    is_run: npt.NDArray[np.bool_]
    events: dict[str, Floats]
    kpi_observations: Floats
    kpi_first: Floats
    kpi_sign: Floats
    kpi_baseline: Floats
    kpi_target: Floats
    finished: Integers
    completed: Integers
    cancelled: Integers
    observed: Integers
    missed_limits: Integers


def day_keys(missions: Integers, days: Days) -> Integers:
    """Return one integer per mission and day that orders by both."""
    return missions.astype(np.int64) * (1 << 32) + days.astype("datetime64[D]").astype(np.int64) + (1 << 31)


def rows_as_of(row_keys: Integers, missions: Integers, keys: Integers) -> Integers:
    """Return for each state the last row of its mission up to its day, or NO_ROW.

    Args:
        row_keys: day_keys of the rows, ascending.
        missions: the states' missions.
        keys: the states' day_keys.
    """
    places = np.searchsorted(row_keys, keys, side="right") - 1
    if len(row_keys) == 0:
        return np.full(len(keys), NO_ROW, np.int64)
    is_own = (places >= 0) & (row_keys[places] >> 32 == (keys >> 32))
    return np.where(is_own, places, NO_ROW)


def counts_as_of(row_keys: Integers, keys: Integers) -> Integers:
    """Return for each state how many rows of its mission there were up to its day; ``row_keys`` ascend."""
    up_to = np.searchsorted(row_keys, keys, side="right")
    before = np.searchsorted(row_keys, (keys >> 32) << 32, side="left")
    return (up_to - before).astype(np.int64)


def states_by_day(
    runs: Runs,
    *,
    missions: int,
    first_day: np.datetime64,
    cancelled: tuple[Integers, Days],
    late_events: LateEvents,
    other_news: tuple[Integers, Days],
    size: int,
) -> States:
    """Return every mission's states, from one on the first day, on which nothing may be known yet.

    Args:
        runs: the finished runs.
        missions: how many there are.
        first_day: of the portfolio.
        cancelled: mission and run_date of each cancelled run.
        late_events: events detected after their run had ended.
        other_news: missions and days on which something else changed, such as friction.
        size: how many runs a window holds at the most.
    """
    finished = as_of_windows(runs.missions, runs.days, size)
    everyone = np.arange(missions, dtype=np.int64)
    news_missions = np.concatenate(
        [everyone, finished.groups, cancelled[0], runs.missions[late_events.runs], other_news[0]]
    )
    news_days = np.concatenate(
        [np.full(missions, first_day), finished.days, cancelled[1], late_events.days, other_news[1]]
    ).astype("datetime64[D]")
    keys = np.unique(day_keys(news_missions, news_days))
    state_missions = keys >> 32
    state_days = (keys - (state_missions << 32) - (1 << 31)).astype("datetime64[D]")

    source = rows_as_of(day_keys(finished.groups, finished.days), state_missions, keys)
    run_rows = np.vstack([finished.rows, np.full((1, size), NO_ROW)])[source]

    is_observed = ~np.isnan(runs.measures["kpi_value"])
    rows_observed = np.append(np.flatnonzero(is_observed), NO_ROW)
    observations = as_of_windows(runs.missions[is_observed], runs.days[is_observed], size)
    seen = rows_as_of(day_keys(observations.groups, observations.days), state_missions, keys)
    observation_rows = rows_observed[np.vstack([observations.rows, np.full((1, size), NO_ROW)])[seen]]
    observed = np.append(observations.counts, 0)[seen]

    by_day = np.sort(day_keys(runs.missions, runs.days))
    is_completed = runs.measures["is_completed"] == 1
    states = States(
        missions=state_missions,
        days=state_days,
        run_rows=run_rows,
        observation_rows=observation_rows,
        first_observations=_first_rows(runs, rows_observed[:-1], keys, state_missions),
        finished=np.append(finished.counts, 0)[source],
        completed=counts_as_of(np.sort(day_keys(runs.missions[is_completed], runs.days[is_completed])), keys),
        cancelled=counts_as_of(np.sort(day_keys(*cancelled)), keys),
        observed=observed,
        last_days=np.append(_days_of(by_day), np.datetime64("NaT"))[rows_as_of(by_day, state_missions, keys)],
    )
    return replace(states, late_events=_late_counts(states, runs, late_events, keys))


def _days_of(keys: Integers) -> Days:
    return (keys - ((keys >> 32) << 32) - (1 << 31)).astype("datetime64[D]")


def _first_rows(runs: Runs, rows: Integers, keys: Integers, missions: Integers) -> Integers:
    """Return for each state the first of some rows of its mission, in the runs' order, that was known by its day."""
    if len(rows) == 0:
        return np.full(len(keys), NO_ROW, np.int64)
    row_keys = day_keys(runs.missions[rows], runs.days[rows])
    order = np.argsort(row_keys, kind="stable")
    row_keys, rows = row_keys[order], rows[order]
    # A running minimum within each mission: rows grow with the mission, so taking it backwards over missions is safe
    # once every mission's rows are counted from its own last place.
    group = row_keys >> 32
    shifted = rows - group * (len(runs) + 1)
    first = np.minimum.accumulate(shifted) + group * (len(runs) + 1)
    return np.append(first, NO_ROW)[rows_as_of(row_keys, missions, keys)]


def _late_counts(
    states: States, runs: Runs, late: LateEvents, keys: Integers
) -> tuple[tuple[int, Integers, Integers, Floats], ...]:
    """Place each late event in every window, from its day on, that still holds its run."""
    missions = runs.missions[late.runs]
    place = np.searchsorted(keys, day_keys(missions, late.days), side="left")
    event = np.arange(len(late.runs))
    found: list[tuple[Integers, Integers, Integers]] = []
    while len(event):
        is_there = place < len(keys)
        event, place = event[is_there], place[is_there]
        is_own = states.missions[place] == missions[event]
        event, place = event[is_own], place[is_own]
        line, column = np.nonzero(states.run_rows[place] == late.runs[event][:, None])
        event, place = event[line], place[line]
        found.append((place, column, late.kinds[event]))
        place = place + 1
    counts = []
    for kind in range(len(EVENT_KINDS)):
        lines = np.concatenate([part[0][part[2] == kind] for part in found] or [np.empty(0, np.int64)])
        columns = np.concatenate([part[1][part[2] == kind] for part in found] or [np.empty(0, np.int64)])
        if len(lines):
            order = np.argsort(lines, kind="stable")
            counts.append((kind, lines[order], columns[order], np.ones(len(lines))))
    return tuple(counts)


def chosen_states(states: States, chosen: Integers) -> States:
    """Return some of the states; ``chosen`` ascends."""
    late = []
    for kind, lines, columns, weights in states.late_events:
        place = np.searchsorted(chosen, lines)
        place[place == len(chosen)] = 0
        keep = chosen[place] == lines if len(chosen) else np.zeros(len(lines), bool)
        late.append((kind, place[keep], columns[keep], weights[keep]))
    return States(
        missions=states.missions[chosen],
        days=states.days[chosen],
        run_rows=states.run_rows[chosen],
        observation_rows=states.observation_rows[chosen],
        first_observations=states.first_observations[chosen],
        finished=states.finished[chosen],
        completed=states.completed[chosen],
        cancelled=states.cancelled[chosen],
        observed=states.observed[chosen],
        last_days=states.last_days[chosen],
        late_events=tuple(late),
    )


def states_without(runs: Runs, states: States, state: int, rows: Sequence[int]) -> States:
    """Return one state as it would be had one of its mission's runs not been, for each of some of its last runs.

    The windows of ``states`` must be at least one run longer than any window of the policy, for the oldest run moves
    up. ``runs`` must be as of the state's day, without late events.
    """
    left_out = np.asarray(rows, np.int64)
    run_rows = np.repeat(states.run_rows[state : state + 1], len(left_out), axis=0)
    observation_rows = np.repeat(states.observation_rows[state : state + 1], len(left_out), axis=0)
    is_observed = ~np.isnan(runs.measures["kpi_value"][left_out])
    mission = states.missions[state]
    start, end = int(np.searchsorted(runs.missions, mission)), int(np.searchsorted(runs.missions, mission, "right"))
    observed_rows = start + np.flatnonzero(~np.isnan(runs.measures["kpi_value"][start:end]))
    first = np.full(len(left_out), states.first_observations[state])
    first = np.where(first == left_out, observed_rows[1] if len(observed_rows) > 1 else NO_ROW, first)
    days = runs.days[start:end]
    newest = int(days.argmax())
    others = np.delete(days, newest)
    next_newest = others.max() if len(others) else np.datetime64("NaT", "D")
    last_days = np.where(left_out == start + newest, next_newest, days[newest])
    is_completed = runs.measures["is_completed"][left_out].astype(np.int64)
    return States(
        missions=np.full(len(left_out), mission),
        days=np.full(len(left_out), states.days[state]),
        run_rows=_closed_up(run_rows, left_out),
        observation_rows=_closed_up(observation_rows, left_out),
        first_observations=first,
        finished=states.finished[state] - np.ones(len(left_out), np.int64),
        completed=states.completed[state] - is_completed,
        cancelled=np.full(len(left_out), states.cancelled[state]),
        observed=states.observed[state] - is_observed.astype(np.int64),
        last_days=last_days,
    )


def _closed_up(rows: Integers, left_out: Integers) -> Integers:
    """Take one row out of each line and close the gap from the left."""
    order = np.argsort(rows != left_out[:, None], axis=1, kind="stable")
    taken = np.where(rows == left_out[:, None], NO_ROW, rows)
    return np.take_along_axis(taken, order, axis=1)


def joined_states(parts: Sequence[States]) -> States:
    """Put states without late events below each other."""

    def column(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    names = [name for name in States.__dataclass_fields__ if name != "late_events"]
    return States(**{name: column(name) for name in names})  # type: ignore[arg-type]


def gathered(runs: Runs, kpis: Kpis, states: States) -> Windows:
    """Return the numbers behind the states' windows."""
    padded = runs.padded_measures
    events = {}
    for kind, name in enumerate(EVENT_KINDS):
        counts = runs.padded_events[name][states.run_rows]
        for late_kind, lines, columns, weights in states.late_events:
            if late_kind == kind:
                np.add.at(counts, (lines, columns), weights)
        events[name] = counts
    return Windows(
        measures={name: values[states.run_rows] for name, values in padded.items()},
        is_run=states.run_rows != NO_ROW,
        events=events,
        kpi_observations=padded["kpi_value"][states.observation_rows],
        kpi_first=padded["kpi_value"][states.first_observations],
        kpi_sign=kpis.signs[states.missions],
        kpi_baseline=kpis.baselines[states.missions],
        kpi_target=kpis.targets[states.missions],
        finished=states.finished,
        completed=states.completed,
        cancelled=states.cancelled,
        observed=states.observed,
        missed_limits=np.append(runs.missed_limits, NO_ROW)[states.run_rows[:, -1]],
    )


def taken_windows(windows: Windows, lines: Integers) -> Windows:
    """Return some lines of windows, as copies that may be changed; a line may be taken more than once."""
    made: dict[str, object] = {}
    for field in fields(Windows):
        part = getattr(windows, field.name)
        made[field.name] = {name: v[lines] for name, v in part.items()} if isinstance(part, dict) else part[lines]
    return Windows(**made)  # type: ignore[arg-type]


def repeated_latest_run(windows: Windows) -> Windows:
    """Return the windows after one more run that equals the latest; each line must have one.

    Its reported events are those of the latest too. Where the latest run observed no primary KPI, neither does this.
    """
    latest_kpi = windows.measures["kpi_value"][:, -1]
    is_observed = ~np.isnan(latest_kpi)

    def repeated(values: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
        return np.concatenate([values[:, 1:], values[:, -1:]], axis=1)

    observations = np.concatenate([windows.kpi_observations[:, 1:], latest_kpi[:, None]], axis=1)
    return replace(
        windows,
        measures={name: repeated(values) for name, values in windows.measures.items()},
        is_run=repeated(windows.is_run),
        events={name: repeated(counts) for name, counts in windows.events.items()},
        kpi_observations=np.where(is_observed[:, None], observations, windows.kpi_observations),
        finished=windows.finished + 1,
        completed=windows.completed + (windows.measures["is_completed"][:, -1] == 1),
        observed=windows.observed + is_observed,
    )

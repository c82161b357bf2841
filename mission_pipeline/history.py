"""What was known by the end of each day: windows over rows that have an order and a day. Knows no KPI and no rule."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]

NO_ROW = -1
"""Fills a window that is older than the group's first row."""
_NEGLIGIBLE_BITS = 52
"""A weight below 2^-52 of the newest one changes no figure: a double holds no more."""
_CELLS_AT_ONCE = 4_000_000
"""Bounds the memory of looking back past rows that are not known yet."""


def runs_that_weigh(decay: float) -> int:
    """Return how many of the newest runs can change a mean in which each older one weighs ``decay`` as much."""
    return np.iinfo(np.int32).max if decay == 1 else ceil(_NEGLIGIBLE_BITS / -log2(decay)) + 1


@dataclass(frozen=True)
class AsOfWindows:
    """The last rows of each group as of the end of each day on which something became known of it.

    ``groups`` and ``days`` have one entry per state, ordered by both. ``rows`` has one line per state: indices of
    the input, oldest first, padded on the left with ``NO_ROW``. ``counts`` says how many rows were known in all.
    """

    groups: Integers
    days: Days
    rows: Integers
    counts: Integers


def as_of_windows(groups: Integers, days: Days, size: int) -> AsOfWindows:
    """Return, for each group and each day with news, its last ``size`` rows known by the end of that day.

    Args:
        groups: the group of each row, as integers; the rows are sorted by group, then by their own order
            (for runs: by ``run_seq``), so that a row's index stands for its place.
        days: the day on which each row became known; it may run against the rows' order, for a run that started
            earlier can end later.
        size: how many rows a window holds at the most.
    """
    total = len(groups)
    if total == 0:
        return AsOfWindows(groups, days, np.empty((0, size), np.int64), np.empty(0, np.int64))
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    start_of_row = np.repeat(starts, np.diff(np.r_[starts, total]))

    by_day = np.lexsort((days, groups))
    known = np.arange(total) - start_of_row + 1  # groups stay where they are, so this counts along by_day too
    newest = np.maximum.accumulate(by_day)  # rows grow with the group, so this begins anew in each
    closes_day = np.r_[(groups[1:] != groups[:-1]) | (days[by_day[1:]] != days[by_day[:-1]]), True]
    states = np.flatnonzero(closes_day)
    state_days = days[by_day[states]]
    first, newest, counts = start_of_row[states], newest[states], known[states]
    missing = newest - first + 1 - counts  # earlier rows that become known later

    rows = newest[:, None] + np.arange(1 - size, 1)
    rows[rows < first[:, None]] = NO_ROW
    for state in np.array_split(np.flatnonzero(missing), max(1, int((missing + size).sum()) // _CELLS_AT_ONCE)):
        rows[state] = _windows_with_gaps(days, first[state], newest[state], state_days[state], missing[state], size)
    return AsOfWindows(groups=groups[by_day[states]], days=state_days, rows=rows, counts=counts)


def _windows_with_gaps(
    days: Days, first: Integers, newest: Integers, state_days: Days, missing: Integers, size: int
) -> Integers:
    """Return the windows of states of which some earlier rows are not known yet: look back past those."""
    width = size + int(missing.max(initial=0))
    rows = newest[:, None] + np.arange(1 - width, 1)
    is_known = (rows >= first[:, None]) & (days[np.maximum(rows, 0)] <= state_days[:, None])
    order = np.argsort(is_known, axis=1, kind="stable")[:, -size:]  # the known ones to the right, in their order
    return np.where(np.take_along_axis(is_known, order, axis=1), np.take_along_axis(rows, order, axis=1), NO_ROW)

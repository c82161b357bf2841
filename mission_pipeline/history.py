"""What was known by the end of each day: windows over rows that have an order and a day. Knows no KPI and no rule."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]

NO_ROW = -1
"""Fills a window that is older than the group's first row."""


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
    ends = np.r_[starts[1:], total]
    start_of_row = np.repeat(starts, ends - starts)

    goes_back = np.r_[False, (groups[1:] == groups[:-1]) & (days[1:] < days[:-1])]
    is_in_order = np.repeat(np.add.reduceat(goes_back, starts) == 0, ends - starts)

    # In order: everything known by a day is a prefix, and its last row is the last one of that day.
    closes_day = np.r_[(groups[1:] != groups[:-1]) | (days[1:] != days[:-1]), True]
    last_rows = np.flatnonzero(closes_day & is_in_order)
    windows = last_rows[:, None] + np.arange(1 - size, 1)
    windows[windows < start_of_row[last_rows][:, None]] = NO_ROW
    parts = [(groups[last_rows], days[last_rows], windows, last_rows - start_of_row[last_rows] + 1)]

    for start, end in zip(starts, ends, strict=True):
        if not is_in_order[start]:
            parts.append(_windows_out_of_order(int(groups[start]), days[start:end], int(start), size))

    state_groups, state_days = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    order = np.lexsort((state_days, state_groups))
    return AsOfWindows(
        groups=state_groups[order],
        days=state_days[order],
        rows=np.concatenate([p[2] for p in parts])[order],
        counts=np.concatenate([p[3] for p in parts])[order],
    )


def _windows_out_of_order(group: int, days: Days, offset: int, size: int) -> tuple[Integers, Days, Integers, Integers]:
    """Do the same for one group whose rows become known out of their order, day by day."""
    known: list[int] = []
    windows: list[list[int]] = []
    counts: list[int] = []
    states: list[np.datetime64] = []
    by_day = np.argsort(days, kind="stable")
    for place, row in enumerate(by_day):
        known.insert(bisect_left(known, int(row)), int(row))
        if place + 1 < len(by_day) and days[by_day[place + 1]] == days[row]:
            continue
        last = [offset + index for index in known[-size:]]
        windows.append([NO_ROW] * (size - len(last)) + last)
        counts.append(len(known))
        states.append(days[row])
    return (
        np.full(len(states), group, np.int64),
        np.array(states, dtype=days.dtype),
        np.array(windows, np.int64).reshape(len(states), size),
        np.array(counts, np.int64),
    )

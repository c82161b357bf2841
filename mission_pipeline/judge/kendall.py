"""The exact two-sided Kendall test of values against time, ties among the values included. No tolerance, no label.

scipy's exact test refuses ties and takes one series at a time; here a hundred thousand windows share a few tables.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from mission_pipeline.judge.limits import Floats

_INT64_UP_TO = 20
"""20! is the last factorial below 2**63; beyond it the counts are Python integers."""


@cache
def _orders_by_inversions(length: int) -> npt.NDArray[Any]:
    """How many orders of ``length`` distinct values have 0, 1, 2, … inversions."""
    counts = np.zeros(length * (length - 1) // 2 + 1, np.int64 if length <= _INT64_UP_TO else object)
    counts[0] = 1
    for size in range(2, length + 1):
        counts = np.cumsum(counts)
        counts[size:] = counts[size:] - counts[:-size].copy()
    return counts


@cache
def _orders_with_ties(length: int, tied: tuple[int, ...]) -> npt.NDArray[Any]:
    """The same for values of which groups of the sizes ``tied`` are equal: a Gaussian multinomial coefficient.

    Equal values cannot be inverted, so each group's own inversions are divided out of the distinct case, one group at
    a time, which shares the work among patterns.
    """
    if not tied:
        return _orders_by_inversions(length)
    counts = _orders_with_ties(length, tied[:-1])
    for size in range(2, tied[-1] + 1):  # divide by 1 + q + … + q^(size-1): times (1 - q), over (1 - q^size)
        counts = counts.copy()
        counts[1:] = counts[1:] - counts[:-1].copy()
        padded = np.concatenate([counts, np.zeros(-len(counts) % size, counts.dtype)]).reshape(-1, size)
        counts = np.cumsum(padded, axis=0).reshape(-1)[: len(counts) - (size - 1)]
    return counts


@cache
def p_values_by_score(length: int, tied: tuple[int, ...]) -> Floats:
    """Return the two-sided p value for each |S|, from 0 to the largest that the ties allow.

    Args:
        length: how many values were seen in time's order.
        tied: sizes of the groups of equal values, ascending, those of one value left out.

    Returns:
        ``p[s]``: the probability of a score of at least ``s`` either way if every order is as likely; NaN where no
        order has that score. S is the number of pairs that rise less the number that fall.

    Source:
        Kendall (1970), Rank Correlation Methods, chapter 5, by enumeration instead of its tables; for 5 distinct
        values in perfect order 2/120.
    """
    counts = [int(count) for count in _orders_with_ties(length, tied)]
    total = sum(counts)
    pairs = len(counts) - 1
    result = np.full(pairs + 1, np.nan)
    beyond = 0
    for inversions in range(pairs // 2 + 1):
        score = pairs - 2 * inversions
        beyond += counts[inversions] * (1 if score == 0 else 2)
        result[score] = beyond / total  # of Python integers: rounded once
    return result


@cache
def _tied_sizes(length: int, equal_neighbours: int) -> tuple[int, ...]:
    """Sizes of the groups of equal values; bit i says that sorted values i and i + 1 are equal."""
    bits = (bool(equal_neighbours >> place & 1) for place in range(length - 1))
    return tuple(sorted(1 + len(list(run)) for is_equal, run in groupby(bits) if is_equal))


def kendall_p_values(values: Floats, scores: npt.NDArray[np.int64]) -> Floats:
    """Return the exact two-sided p value of each line.

    Args:
        values: one line per series, oldest first, no NaN; at most 60 columns.
        scores: the lines' Kendall scores S.
    """
    lines, length = values.shape
    result = np.full(lines, np.nan)
    if lines == 0:
        return result
    in_order = np.sort(values, axis=1)
    places = np.left_shift(np.int64(1), np.arange(length - 1, dtype=np.int64))
    patterns = (in_order[:, 1:] == in_order[:, :-1]) @ places
    distinct, which = np.unique(patterns, return_inverse=True)
    tables: dict[tuple[int, ...], int] = {}
    parts: list[Floats] = []
    offsets = np.empty(len(distinct), np.int64)
    next_offset = 0
    for place, pattern in enumerate(distinct.tolist()):
        tied = _tied_sizes(length, pattern)
        if tied not in tables:
            tables[tied] = next_offset
            parts.append(p_values_by_score(length, tied))
            next_offset += len(parts[-1])
        offsets[place] = tables[tied]
    return np.concatenate(parts)[offsets[which] + np.abs(scores)]

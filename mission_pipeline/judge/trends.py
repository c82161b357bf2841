"""Trends of series of runs: label, slope, exact test, and which of many tests hold together. Knows no KPI by name.

Every function takes many windows at once: one line each, oldest value first, NaN for unknown or before the first run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mission_pipeline.contracts.judged import TREND_EVIDENCE, TREND_LABELS
from mission_pipeline.judge.kendall import kendall_p_values
from mission_pipeline.judge.limits import ROUNDING_MARGIN, Flags, Floats, exceeds
from mission_pipeline.policy import TrendPolicy

Codes = npt.NDArray[np.int8]
Integers = npt.NDArray[np.int64]

IMPROVING, FLAT, WORSENING, INSUFFICIENT_DATA = (
    TREND_LABELS.index(label) for label in ("improving", "flat", "worsening", "insufficient_data")
)
DIRECTION_ONLY, SUGGESTIVE, TESTED = (
    TREND_EVIDENCE.index(evidence) for evidence in ("direction_only", "suggestive", "tested")
)


@dataclass(frozen=True)
class Tolerance:
    """The change that a series must exceed to count as moving.

    ``is_relative``: ``amount`` is a share of the reference (an end point's own value, or the window's median).
    """

    amount: float
    is_relative: bool = False


@dataclass(frozen=True)
class Trends:
    """One trend per line.

    ``labels``: codes of TREND_LABELS. ``counts``: known values. ``slopes``: Theil-Sen per run, better is positive,
    NaN below two values. ``p_values``: NaN below the policy's ``line_from_runs``. ``changes``: what the label rests
    on, better is positive, in percent of the reference where the tolerance is relative, else in the series' unit.
    """

    labels: Codes
    counts: Integers
    slopes: Floats
    p_values: Floats
    changes: Floats


def right_aligned(values: Floats) -> tuple[Floats, Integers]:
    """Move each line's known values to its right end, in their order, and count them."""
    is_unknown = np.isnan(values)
    counts = values.shape[1] - is_unknown.sum(axis=1)
    has_hole = (~is_unknown[:, :-1] & is_unknown[:, 1:]).any(axis=1)
    if has_hole.any():
        values = values.copy()
        holes = np.flatnonzero(has_hole)
        order = np.argsort(~is_unknown[holes], axis=1, kind="stable")
        values[holes] = np.take_along_axis(values[holes], order, axis=1)
    return values, counts


def trends_of(values: Floats, sign: Floats | float, tolerance: Tolerance, policy: TrendPolicy) -> Trends:
    """Return the trend of each line's last ``policy.window_runs`` values.

    Args:
        values: one line per series, oldest first; unknown values (NaN) are skipped.
        sign: 1 where higher is better, -1 where lower is; NaN or 0 where nobody knows, then nothing is concluded.
        tolerance: what a change must exceed, strictly, for any label but flat.
        policy: window, and from how many values on a line is fitted instead of comparing end points.

    Source:
        Theil (1950) and Sen (1968): the slope is the median of the slopes of all pairs.
    """
    lines = len(values)
    known, counts = right_aligned(values[:, -policy.window_runs :])
    direction = np.broadcast_to(np.asarray(sign, np.float64), (lines,))
    is_directed = np.isin(direction, (-1.0, 1.0))
    result = Trends(
        labels=np.full(lines, INSUFFICIENT_DATA, np.int8),
        counts=counts.astype(np.int64),
        slopes=np.full(lines, np.nan),
        p_values=np.full(lines, np.nan),
        changes=np.full(lines, np.nan),
    )
    for count in np.unique(counts[is_directed]).tolist():
        if count < 2:
            continue
        chosen = np.flatnonzero((counts == count) & is_directed)
        window = known[chosen, -count:] * direction[chosen, None]
        slopes, scores = _theil_sen(window)
        result.slopes[chosen] = slopes
        if count < policy.line_from_runs:
            labels, changes = _by_end_points(window, tolerance)
        else:
            labels, changes = _by_line(window, slopes, tolerance)
            result.p_values[chosen] = kendall_p_values(window, scores)
        result.labels[chosen] = labels
        result.changes[chosen] = changes
    return result


def _theil_sen(window: Floats) -> tuple[Floats, Integers]:
    """Median slope of all pairs, and Kendall's S, of lines without NaN."""
    lines, length = window.shape
    slopes, scores = np.zeros(lines), np.zeros(lines, np.int64)
    moving = np.flatnonzero(window.max(axis=1) > window.min(axis=1))
    if len(moving) == 0:
        return slopes, scores
    # One line per run and one column per window: whole rows are subtracted at once, however short the windows are.
    by_run = np.ascontiguousarray(window[moving].T)
    pair_slopes = np.empty((length * (length - 1) // 2, len(moving)))
    start = 0
    for lag in range(1, length):
        end = start + length - lag
        np.subtract(by_run[lag:], by_run[:-lag], out=pair_slopes[start:end])
        pair_slopes[start:end] /= lag
        start = end
    scores[moving] = np.sign(pair_slopes).sum(axis=0).astype(np.int64)
    slopes[moving] = medians(np.ascontiguousarray(pair_slopes.T))
    return slopes, scores


def medians(values: Floats) -> Floats:
    """Return the median of each line without NaN; the lines are sorted in place, which is faster than selecting."""
    length = values.shape[1]
    values.sort(axis=1)
    low, high = values[:, (length - 1) // 2], values[:, length // 2]
    middle: Floats = (low + high) / 2
    return middle


def _labels(better: Flags, worse: Flags) -> Codes:
    return np.where(better, IMPROVING, np.where(worse, WORSENING, FLAT)).astype(np.int8)


def _by_end_points(window: Floats, tolerance: Tolerance) -> tuple[Codes, Floats]:
    """Label by the latest value against the previous and against the first; the change is the smaller of the two."""
    latest = window[:, -1]
    changes = []
    is_better, is_worse = np.ones(len(window), bool), np.ones(len(window), bool)
    for reference in (window[:, -2], window[:, 0]):
        change = latest - reference
        limit, scale = _limit(np.abs(reference), tolerance)
        is_better &= exceeds(change, limit, scale)
        is_worse &= exceeds(-change, limit, scale)
        changes.append(_as_percent(change, np.abs(reference)) if tolerance.is_relative else change)
    to_previous, to_first = changes
    smaller = np.where(np.abs(to_previous) <= np.abs(to_first), to_previous, to_first)
    return _labels(is_better, is_worse), smaller


def _by_line(window: Floats, slopes: Floats, tolerance: Tolerance) -> tuple[Codes, Floats]:
    """Label by the fitted change over the window."""
    change = slopes * (window.shape[1] - 1)
    reference = np.abs(medians(window.copy()))
    limit, scale = _limit(reference, tolerance)
    shown = _as_percent(change, reference) if tolerance.is_relative else change
    return _labels(exceeds(change, limit, scale), exceeds(-change, limit, scale)), shown


def _limit(reference: Floats, tolerance: Tolerance) -> tuple[Floats | float, Floats | None]:
    if tolerance.is_relative:
        return tolerance.amount * reference, reference
    return tolerance.amount, None


def _as_percent(change: Floats, reference: Floats) -> Floats:
    with np.errstate(over="ignore"):  # an endless percentage is shown as unknown
        percent: Floats = np.divide(100 * change, reference, out=np.full(len(change), np.nan), where=reference > 0)
    return percent


def suggestive(p_values: Floats, level: float) -> Flags:
    """Whether each test alone rejects; unknown p values never do."""
    return p_values <= level * (1 + ROUNDING_MARGIN)


def holm_rejects(p_values: Floats, families: Integers, level: float) -> Flags:
    """Whether each test still rejects after Holm's correction over all tests of its family.

    Args:
        p_values: NaN where no test was made; those count in no family.
        families: which tests belong together: those of one brief.
        level: probability of any false claim in a family.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, 65-70: of m tests, ordered by p, those before the first
        with p > level / (m - k + 1), k from 1, are rejected.
    """
    result = np.zeros(len(p_values), bool)
    is_made = ~np.isnan(p_values)
    sizes = np.bincount(families[is_made], minlength=int(families.max(initial=-1)) + 1)
    candidates = np.flatnonzero(suggestive(p_values, level))  # no larger p can pass
    candidates = candidates[np.lexsort((p_values[candidates], families[candidates]))]
    family = families[candidates]
    is_first = np.r_[True, family[1:] != family[:-1]][: len(family)]
    starts = np.flatnonzero(is_first)
    rank = np.arange(len(family)) - np.repeat(starts, np.diff(np.r_[starts, len(family)]))
    fails = p_values[candidates] > level / (sizes[family] - rank) * (1 + ROUNDING_MARGIN)
    failures = np.cumsum(fails)
    before: Integers = np.repeat(failures[starts] - fails[starts], np.diff(np.r_[starts, len(family)]))
    result[candidates[failures == before]] = True
    return result

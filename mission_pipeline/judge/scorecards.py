"""Scores of missions from the windows of their runs: means, autonomy, health and its parts, trends, the primary KPI.

``scores_of`` is the one place where a mission is scored: every day, every run left out for the confidence and every
change tried goes through it. It takes numbers and a policy and knows no table, run or day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mission_pipeline.contracts.derived import TARGET_STATUSES
from mission_pipeline.contracts.judged import STABILITY_LABELS, TREND_SERIES
from mission_pipeline.intervals import wilson_interval
from mission_pipeline.judge.limits import Flags, Floats, exceeds
from mission_pipeline.judge.trends import (
    DIRECTION_ONLY,
    FLAT,
    IMPROVING,
    INSUFFICIENT_DATA,
    SUGGESTIVE,
    WORSENING,
    Tolerance,
    Trends,
    right_aligned,
    suggestive,
    trends_of,
)
from mission_pipeline.judge.windows import Windows
from mission_pipeline.policy import Policy, StabilityPoints

Columns = dict[str, npt.NDArray[Any]]

STABLE, MOSTLY_STABLE, VARIABLE, UNSTABLE, TOO_FEW_RUNS = range(len(STABILITY_LABELS))
MET, NEAR, OFF = range(len(TARGET_STATUSES))
UNKNOWN = -1
"""The code of a label that is NULL."""


@dataclass(frozen=True)
class Scores:
    """Scorecard columns, one value per state, and the trends and counts that triggers ask for.

    ``columns``: named as in the contract; labels as codes, unknown numbers as NaN. ``trends``: by TREND_SERIES.
    ``window_runs``: finished runs in the health window. ``flagged_known``: those whose flag is known.
    ``autonomy_runs``: finished runs behind the mission's autonomy score.
    """

    columns: Columns
    trends: dict[str, Trends]
    window_runs: npt.NDArray[np.int64]
    flagged_known: npt.NDArray[np.int64]
    autonomy_runs: npt.NDArray[np.int64]


@dataclass(frozen=True)
class RunMeans:
    """Means per finished run of a window, each over the runs that know it; NaN where none does.

    ``failed_share``: share of the runs that failed.
    """

    interventions: Floats
    escalations: Floats
    approval_delay: Floats
    flagged_share: Floats
    failed_share: Floats


def known_mean(values: Floats) -> Floats:
    """Return each line's mean over its known values; NaN where none is."""
    is_known = ~np.isnan(values)
    totals = np.where(is_known, values, 0.0).sum(axis=1)
    counts = is_known.sum(axis=1)
    mean: Floats = np.divide(totals, counts, out=np.full(len(values), np.nan), where=counts > 0)
    return mean


def run_means(windows: Windows, size: int) -> RunMeans:
    """Return the means over the last ``size`` finished runs."""

    def mean(name: str) -> Floats:
        return known_mean(windows.measures[name][:, -size:])

    return RunMeans(
        interventions=mean("human_interventions"),
        escalations=mean("escalations"),
        approval_delay=mean("approval_delay_minutes"),
        flagged_share=mean("is_flagged"),
        failed_share=1 - mean("is_completed"),
    )


def autonomy_scores(means: RunMeans, policy: Policy) -> Floats:
    """Return the autonomy score that averages over runs give; NaN where a part of it is unknown.

    A failed run is capped; averages over runs are capped by the mean of their runs' caps. So runs that are all alike
    give their mission their own score, whatever became of them.
    """
    rules = policy.autonomy
    delay_points = np.minimum(rules.max_delay_points, rules.points_per_delay_minute * means.approval_delay)
    score = (
        100
        - rules.points_per_intervention * means.interventions
        - rules.points_per_escalation * means.escalations
        - delay_points
        - rules.points_for_flagged_share * means.flagged_share
    )
    cap = 100 - (100 - rules.failed_run_max_points) * means.failed_share
    return np.clip(np.minimum(score, cap), 0, 100)


def friction_scores(means: RunMeans, policy: Policy) -> Floats:
    """Return the health's friction score; NaN where a part of it is unknown."""
    rules = policy.health.friction_points
    delay_points = np.minimum(rules.max_delay_points, rules.points_per_delay_minute * means.approval_delay)
    lost = rules.points_per_intervention * means.interventions + rules.points_per_escalation * means.escalations
    return np.clip(100 - (lost + delay_points), 0, 100)


def event_weights(windows: Windows, policy: Policy) -> Floats:
    """Return the severity weight of the reported events per finished run.

    A run with an event of unknown severity has an unknown weight; the mean is over the other runs.
    """
    rules, size = policy.health.risk_points, policy.health.window_runs
    weights = sum(
        getattr(rules, f"{severity}_weight") * windows.events[severity][:, -size:]
        for severity in ("low", "medium", "high")
    )
    is_known = windows.is_run[:, -size:] & (windows.events["unknown"][:, -size:] == 0)
    return known_mean(np.where(is_known, weights, np.nan))


def risk_scores(flagged_share: Floats, event_weight: Floats, policy: Policy) -> Floats:
    """Return the health's risk score; NaN where a part of it is unknown."""
    rules = policy.health.risk_points
    event_points = np.minimum(rules.max_event_points, rules.points_per_event_weight * event_weight)
    return np.clip(100 - (rules.points_for_flagged_share * flagged_share + event_points), 0, 100)


def residual_shares(values: Floats, min_runs: int) -> Floats:
    """Return the residual standard deviation around each line's least-squares line, over its |mean|.

    Unknown values are left out; the others count as equally spaced. Divided by n - 2, so that a line through three
    points is no proof of steadiness. NaN below ``min_runs`` values, infinite where the mean is 0 and the values vary.
    """
    known, counts = right_aligned(values)
    width = values.shape[1]
    is_known = np.arange(width) >= (width - counts)[:, None]
    enough = counts >= max(min_runs, 3)
    number = np.where(enough, counts, 3).astype(np.float64)

    y = np.where(is_known, known, 0.0)
    mean = y.sum(axis=1) / number
    y = np.where(is_known, y - mean[:, None], 0.0)
    x = np.where(is_known, np.arange(width) - (width - 1 - (number[:, None] - 1) / 2), 0.0)
    slope = (x * y).sum(axis=1) / (number * (number * number - 1) / 12)
    residuals = np.where(is_known, y - slope[:, None] * x, 0.0)
    spread = np.sqrt((residuals * residuals).sum(axis=1) / (number - 2))
    is_constant = np.where(is_known, np.abs(y), 0.0).max(axis=1, initial=0.0) == 0
    spread = np.where(is_constant, 0.0, spread)
    share = np.divide(spread, np.abs(mean), out=np.where(spread > 0, np.inf, 0.0), where=mean != 0)
    known_share: Floats = np.where(enough, share, np.nan)
    return known_share


def stability_codes(duration_share: Floats, kpi_share: Floats, rules: StabilityPoints) -> npt.NDArray[np.int8]:
    """Return the codes of STABILITY_LABELS: the worse of both, of the known one, or too few runs."""
    worse = np.fmax(duration_share, kpi_share)
    codes = np.full(len(worse), STABLE, np.int8)
    codes[exceeds(worse, rules.stable_up_to_share)] = MOSTLY_STABLE
    codes[exceeds(worse, rules.mostly_stable_up_to_share)] = VARIABLE
    codes[exceeds(worse, rules.variable_up_to_share)] = UNSTABLE
    codes[np.isnan(worse)] = TOO_FEW_RUNS
    return codes


def stability_of(windows: Windows, policy: Policy, runs: slice) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
    """Return stability codes and the residual shares of duration and primary KPI over some columns of the window."""
    rules = policy.health.stability_points
    duration = residual_shares(windows.measures["total_duration_minutes"][:, runs], rules.min_runs)
    kpi = residual_shares(windows.measures["kpi_value"][:, runs], rules.min_runs)
    return stability_codes(duration, kpi, rules), duration, kpi


def kpi_columns(windows: Windows, policy: Policy) -> Columns:
    """Return how the latest observed primary KPI stands to its baseline, first value and target."""
    latest = windows.kpi_observations[:, -1]
    sign, target, baseline = windows.kpi_sign, windows.kpi_target, windows.kpi_baseline
    is_directed = np.abs(sign) == 1

    def improvement_on(reference: Floats) -> Floats:
        size = np.abs(reference)
        is_possible = is_directed & (size > 0)
        change = 100 * sign * (latest - reference)
        percent: Floats = np.divide(change, size, out=np.full(len(latest), np.nan), where=is_possible)
        return percent

    gap = np.where(is_directed, np.maximum(0.0, sign * (target - latest)), np.nan)
    gap_pct = np.divide(100 * gap, np.abs(target), out=np.full(len(gap), np.nan), where=np.abs(target) > 0)
    span = baseline - target
    attainment = np.divide(
        baseline - latest, span, out=np.full(len(gap), np.nan), where=is_directed & ~np.isnan(span) & (span != 0)
    )
    is_near = ~exceeds(100 * gap, policy.kpi.near_target_gap_pct * np.abs(target), 100 * np.abs(target))
    status = np.where(np.isnan(gap), UNKNOWN, np.where(gap == 0, MET, np.where(is_near, NEAR, OFF)))
    return {
        "kpi_observations": windows.observed,
        "kpi_baseline_value": baseline,
        "kpi_target_value": target,
        "kpi_first_value": windows.kpi_first,
        "kpi_previous_value": windows.kpi_observations[:, -2],
        "kpi_latest_value": latest,
        "kpi_improvement_vs_baseline_pct": improvement_on(baseline),
        "kpi_improvement_vs_first_pct": improvement_on(windows.kpi_first),
        "kpi_gap_to_target": gap,
        "kpi_gap_to_target_pct": gap_pct,
        "kpi_attainment_share": attainment,
        "kpi_target_status": status.astype(np.int8),
    }


def series_trends(windows: Windows, policy: Policy) -> dict[str, Trends]:
    """Return the trends of the five series, each in the direction of better.

    The KPI's runs over its last observations; the others' over the last finished runs, unknown values skipped.
    """
    rules, of_runs = policy.trend, windows.measures
    count = Tolerance(rules.count_tolerance)
    series: dict[str, tuple[Floats, Floats | float, Tolerance]] = {
        "kpi": (windows.kpi_observations, windows.kpi_sign, Tolerance(rules.relative_tolerance, is_relative=True)),
        "autonomy": (of_runs["autonomy_score"], 1.0, Tolerance(rules.score_tolerance_points)),
        "escalations": (of_runs["escalations"], -1.0, count),
        "approval_delay": (of_runs["approval_delay_minutes"], -1.0, Tolerance(rules.delay_tolerance_minutes)),
        "completion": (of_runs["is_completed"], 1.0, Tolerance(rules.share_tolerance)),
    }
    return {name: trends_of(*series[name], rules) for name in TREND_SERIES}


@lru_cache(maxsize=32)
def _wilson_table(trials: int, confidence: float) -> tuple[Floats, Floats]:
    """Bounds by trials and successes: a window holds few of either."""
    low, high = np.full((trials + 1, trials + 1), np.nan), np.full((trials + 1, trials + 1), np.nan)
    for number in range(1, trials + 1):
        for successes in range(number + 1):
            interval = wilson_interval(successes, number, confidence)
            assert interval is not None
            low[number, successes], high[number, successes] = interval.low, interval.high
    return low, high


def wilson_bounds(
    successes: npt.NDArray[np.int64], trials: npt.NDArray[np.int64], most: int, confidence: float
) -> tuple[Floats, Floats]:
    """Return the Wilson bounds of many rates of at most ``most`` trials; NaN without a trial."""
    low, high = _wilson_table(most, confidence)
    bounds: tuple[Floats, Floats] = low[trials, successes], high[trials, successes]
    return bounds


def scores_of(windows: Windows, policy: Policy) -> Scores:
    """Score each state by one policy.

    Args:
        windows: at least as long as the policy's longest window.
        policy: as it holds for the states' missions.
    """
    health, size = policy.health, policy.health.window_runs
    means = run_means(windows, size)
    for_autonomy = means if policy.autonomy.window_runs == size else run_means(windows, policy.autonomy.window_runs)
    trends = series_trends(windows, policy)
    columns = kpi_columns(windows, policy)
    stability, duration_share, kpi_share = stability_of(windows, policy, slice(-size, None))
    weight = event_weights(windows, policy)
    touchless = windows.measures["is_touchless"][:, -size:]
    touchless_known = (~np.isnan(touchless)).sum(axis=1)
    touchless_runs = (touchless == 1).sum(axis=1)
    low, high = wilson_bounds(touchless_runs, touchless_known, size, policy.confidence.interval_confidence)

    has_finished = windows.finished > 0
    trajectory_points = np.empty(4)
    for label, points in zip(
        (IMPROVING, FLAT, WORSENING, INSUFFICIENT_DATA),
        (
            health.trajectory_points.improving,
            health.trajectory_points.flat,
            health.trajectory_points.worsening,
            health.trajectory_points.insufficient_data,
        ),
        strict=True,
    ):
        trajectory_points[label] = points
    steady = health.stability_points
    stability_points = np.array(
        [steady.stable, steady.mostly_stable, steady.variable, steady.unstable, steady.too_few_runs]
    )
    outcome = np.clip(100 * columns["kpi_attainment_share"], 0, 100)
    trajectory = np.where(has_finished, trajectory_points[trends["kpi"].labels], np.nan)
    friction = friction_scores(means, policy)
    risk = risk_scores(means.flagged_share, weight, policy)
    steadiness = np.where(has_finished, stability_points[stability], np.nan)
    score = (
        health.outcome_weight * outcome
        + health.trajectory_weight * trajectory
        + health.friction_weight * friction
        + health.risk_weight * risk
        + health.stability_weight * steadiness
    )
    columns |= {
        "finished_runs": windows.finished,
        "completed_runs": windows.completed,
        "failed_runs": windows.finished - windows.completed,
        "cancelled_runs": windows.cancelled,
        "health_score": np.clip(score, 0, 100),
        "outcome_score": outcome,
        "trajectory_score": trajectory,
        "friction_score": friction,
        "risk_score": risk,
        "stability_score": steadiness,
        "autonomy_score": autonomy_scores(for_autonomy, policy),
        "touchless_runs": touchless_runs,
        "touchless_known_runs": touchless_known,
        "touchless_rate": known_mean(touchless),
        "touchless_rate_low": low,
        "touchless_rate_high": high,
        "mean_human_interventions": means.interventions,
        "mean_escalations": means.escalations,
        "mean_approval_delay_minutes": means.approval_delay,
        "risk_flagged_share": means.flagged_share,
        "event_weight_per_run": weight,
        "stability_label": stability,
        "duration_residual_share": duration_share,
        "kpi_residual_share": kpi_share,
    }
    for name, trend in trends.items():
        columns |= {
            f"{name}_trend": trend.labels,
            f"{name}_trend_evidence": evidence_codes(trend, policy),
            f"{name}_trend_runs": trend.counts,
            f"{name}_trend_slope": trend.slopes,
            f"{name}_trend_p_value": trend.p_values,
        }
    return Scores(
        columns=columns,
        trends=trends,
        window_runs=windows.is_run[:, -size:].sum(axis=1),
        flagged_known=(~np.isnan(windows.measures["is_flagged"][:, -size:])).sum(axis=1),
        autonomy_runs=windows.is_run[:, -policy.autonomy.window_runs :].sum(axis=1),
    )


def evidence_codes(trend: Trends, policy: Policy) -> npt.NDArray[np.int8]:
    """Return what each trend is worth before it is known how many others its brief tests."""
    is_suggestive = suggestive(trend.p_values, policy.trend.significance_level)
    return np.where(is_suggestive, SUGGESTIVE, DIRECTION_ONLY).astype(np.int8)


def counts_as_worsening(trend: Trends, policy: Policy) -> Flags:
    """Whether a trigger may fire on a trend: worsening, and where a test was made, one that rejects."""
    is_untested = np.isnan(trend.p_values)
    is_credible = is_untested | suggestive(trend.p_values, policy.trend.significance_level)
    counts: Flags = (trend.labels == WORSENING) & is_credible
    return counts

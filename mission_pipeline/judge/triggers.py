"""When a trigger fires for a mission, on how many runs it rests, and what it observed. Severities are the policy's.

| trigger | supporting runs | observed, against |
|---|---|---|
| MISSION_TREND_WORSENING | observations in the KPI's trend | change in percent, minus the tolerance |
| AUTONOMY_REGRESSION | runs in the trend, or behind the score | change in points, minus the tolerance; score, least |
| TARGET_GAP_PERSISTING | observations in the KPI's trend | gap in percent, limit |
| KPI_PLATEAU | observations in the window | spread in percent, limit |
| APPROVAL_DELAY_PERSISTING | runs with a known delay among the last ones | mean minutes, limit |
| ESCALATION_BURDEN_RISING | runs in the trend | change per run, minus the tolerance |
| RISK_CLUSTER_FORMING | runs whose flag is known | share flagged, limit |
| STABILITY_DROPPING | runs in the health window | worst residual share, limit; or newer half, older half |
| REPEATED_BOTTLENECK | hits | hits, least |
| SECONDARY_KPI_MISSED | 1, the latest | value, limit |
| OUTCOMES_DROPPING | runs in the trend, or in the health window | change in share, minus the tolerance; share, least |

A limit below 0 says that a rule fired on a worsening trend. A trend of insufficient data counts as not improving.
A rule that needs an unknown figure does not fire. A level is measured, not tested: its evidence is `direction_only`, or
`suggestive` where its whole interval is past the limit; never `tested`, for it takes no part in Holm's correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mission_pipeline.contracts.derived import BOTTLENECK_STATUSES
from mission_pipeline.contracts.judged import MISSION_TRIGGERS
from mission_pipeline.history import NO_ROW
from mission_pipeline.judge.limits import Flags, Floats, exceeds, reaches
from mission_pipeline.judge.scorecards import (
    TOO_FEW_RUNS,
    UNSTABLE,
    Scores,
    counts_as_worsening,
    known_mean,
    stability_of,
    wilson_bounds,
)
from mission_pipeline.judge.trends import DIRECTION_ONLY, IMPROVING, SUGGESTIVE, Trends
from mission_pipeline.judge.windows import Windows
from mission_pipeline.policy import Policy

Integers = npt.NDArray[np.int64]
RECURRING = BOTTLENECK_STATUSES.index("recurring")


@dataclass(frozen=True)
class Bottlenecks:
    """The top bottleneck of each state: ``statuses`` as codes of BOTTLENECK_STATUSES, -1 without one."""

    statuses: Integers
    hits: Integers


@dataclass(frozen=True)
class MissedLimits:
    """Value and limit of each floor or ceiling that some run missed; ``Windows.missed_limits`` are its rows."""

    values: Floats
    limits: Floats


@dataclass(frozen=True)
class Firing:
    """One trigger over all states: whether it fires, and if so on what.

    ``trend``: the series whose evidence it carries where it fired by trend; None for a rule without a trend.
    """

    fires: Flags
    is_by_trend: Flags
    supporting_runs: Integers
    observed: Floats
    threshold: Floats
    evidence: npt.NDArray[np.int8]
    trend: str | None = None


def _by_level(
    fires: Flags, supporting: Integers, observed: Floats, threshold: float | Floats, evidence: int = DIRECTION_ONLY
) -> Firing:
    lines = len(fires)
    return Firing(
        fires=fires,
        is_by_trend=np.zeros(lines, bool),
        supporting_runs=supporting,
        observed=observed,
        threshold=np.broadcast_to(np.asarray(threshold, np.float64), (lines,)),
        evidence=np.full(lines, evidence, np.int8),
    )


def _by_trend(fires: Flags, trend: Trends, series: str, tolerance: float, scores: Scores) -> Firing:
    lines = len(fires)
    return Firing(
        fires=fires,
        is_by_trend=np.ones(lines, bool),
        supporting_runs=trend.counts,
        observed=trend.changes,
        threshold=np.full(lines, -tolerance),
        evidence=scores.columns[f"{series}_trend_evidence"],
        trend=series,
    )


def _either(by_trend: Firing, by_level: Firing) -> Firing:
    """Fire by trend where that holds, else by level."""
    is_by_trend = by_trend.fires
    return Firing(
        fires=by_trend.fires | by_level.fires,
        is_by_trend=is_by_trend,
        supporting_runs=np.where(is_by_trend, by_trend.supporting_runs, by_level.supporting_runs),
        observed=np.where(is_by_trend, by_trend.observed, by_level.observed),
        threshold=np.where(is_by_trend, by_trend.threshold, by_level.threshold),
        evidence=np.where(is_by_trend, by_trend.evidence, by_level.evidence),
        trend=by_trend.trend,
    )


def triggers_of(
    windows: Windows, scores: Scores, bottlenecks: Bottlenecks, missed: MissedLimits, policy: Policy
) -> dict[str, Firing]:
    """Return each mission trigger over all states, by its name."""
    found = {
        "MISSION_TREND_WORSENING": _mission_trend_worsening(scores, policy),
        "AUTONOMY_REGRESSION": _autonomy_regression(windows, scores, policy),
        "TARGET_GAP_PERSISTING": _target_gap_persisting(scores, policy),
        "KPI_PLATEAU": _kpi_plateau(windows, scores, policy),
        "APPROVAL_DELAY_PERSISTING": _approval_delay_persisting(windows, scores, policy),
        "ESCALATION_BURDEN_RISING": _escalation_burden_rising(scores, policy),
        "RISK_CLUSTER_FORMING": _risk_cluster_forming(scores, policy),
        "STABILITY_DROPPING": _stability_dropping(windows, scores, policy),
        "REPEATED_BOTTLENECK": _repeated_bottleneck(windows, bottlenecks, policy),
        "SECONDARY_KPI_MISSED": _secondary_kpi_missed(windows, missed),
        "OUTCOMES_DROPPING": _outcomes_dropping(windows, scores, policy),
    }
    assert tuple(found) == MISSION_TRIGGERS
    return found


def any_high(firings: Mapping[str, Firing], policy: Policy) -> Flags:
    """Whether a trigger that the policy calls high fires."""
    high = [firing.fires for name, firing in firings.items() if policy.triggers.severity_of(name) == "high"]
    lines = len(next(iter(firings.values())).fires)
    return np.logical_or.reduce(high) if high else np.zeros(lines, bool)


def _mission_trend_worsening(scores: Scores, policy: Policy) -> Firing:
    trend = scores.trends["kpi"]
    return _by_trend(counts_as_worsening(trend, policy), trend, "kpi", 100 * policy.trend.relative_tolerance, scores)


def _autonomy_regression(windows: Windows, scores: Scores, policy: Policy) -> Firing:
    rule, trend = policy.triggers.autonomy_regression, scores.trends["autonomy"]
    enough = windows.finished >= rule.min_runs
    score = scores.columns["autonomy_score"]
    is_low = exceeds(rule.min_score, score) & (trend.labels != IMPROVING)
    return _either(
        _by_trend(
            enough & counts_as_worsening(trend, policy), trend, "autonomy", policy.trend.score_tolerance_points, scores
        ),
        _by_level(enough & is_low, scores.autonomy_runs, score, rule.min_score),
    )


def _target_gap_persisting(scores: Scores, policy: Policy) -> Firing:
    rule, columns, trend = policy.triggers.target_gap_persisting, scores.columns, scores.trends["kpi"]
    size = np.abs(columns["kpi_target_value"])
    # As a product, so that any gap to a target of 0 is over the limit.
    is_wide = exceeds(100 * columns["kpi_gap_to_target"], rule.gap_pct * size, 100 * size)
    return _by_level(
        is_wide & (trend.labels != IMPROVING), trend.counts, columns["kpi_gap_to_target_pct"],
        rule.gap_pct,
    )  # fmt: skip


def _kpi_plateau(windows: Windows, scores: Scores, policy: Policy) -> Firing:
    rule, columns = policy.triggers.kpi_plateau, scores.columns
    values = windows.kpi_observations[:, -policy.trend.window_runs :]
    count = (~np.isnan(values)).sum(axis=1)
    high = np.fmax.reduce(values, axis=1)
    low = np.fmin.reduce(values, axis=1)
    size = np.fmax(np.abs(high), np.abs(low))
    is_close = ~exceeds(100 * (high - low), rule.within_pct * size, 100 * size) & (count > 0)
    spread = np.divide(100 * (high - low), size, out=np.where(count > 0, 0.0, np.nan), where=size > 0)
    return _by_level(
        (count >= rule.min_runs) & is_close & (columns["kpi_gap_to_target"] > 0), count, spread, rule.within_pct
    )


def _approval_delay_persisting(windows: Windows, scores: Scores, policy: Policy) -> Firing:
    rule = policy.triggers.approval_delay_persisting
    recent = windows.measures["approval_delay_minutes"][:, -rule.recent_runs :]
    mean = known_mean(recent)
    is_long = reaches(mean, rule.min_delay_minutes) & (scores.trends["approval_delay"].labels != IMPROVING)
    return _by_level(is_long, (~np.isnan(recent)).sum(axis=1), mean, rule.min_delay_minutes)


def _escalation_burden_rising(scores: Scores, policy: Policy) -> Firing:
    trend = scores.trends["escalations"]
    return _by_trend(counts_as_worsening(trend, policy), trend, "escalations", policy.trend.count_tolerance, scores)


def _risk_cluster_forming(scores: Scores, policy: Policy) -> Firing:
    rule, share = policy.triggers.risk_cluster_forming, scores.columns["risk_flagged_share"]
    fires = (scores.flagged_known >= rule.min_runs) & reaches(share, rule.flagged_share)
    return _by_level(fires, scores.flagged_known, share, rule.flagged_share)


def _stability_dropping(windows: Windows, scores: Scores, policy: Policy) -> Firing:
    """Unstable, or of a worse label in the newer half of the health window; an odd middle run is in neither half."""
    rule, labels = policy.triggers.stability_dropping, scores.columns["stability_label"]
    limit = policy.health.stability_points.variable_up_to_share
    worst = np.fmax(scores.columns["duration_residual_share"], scores.columns["kpi_residual_share"])
    fires = labels == UNSTABLE
    observed, threshold = worst.copy(), np.full(len(worst), limit)
    for runs in np.unique(scores.window_runs[scores.window_runs >= rule.min_runs_for_halves]).tolist():
        half = runs // 2
        older, *older_shares = stability_of(windows, policy, slice(-runs, -runs + half))
        newer, *newer_shares = stability_of(windows, policy, slice(-half, None))
        is_known = (older != TOO_FEW_RUNS) & (newer != TOO_FEW_RUNS)
        is_less_steady = (scores.window_runs == runs) & is_known & (newer > older) & ~fires
        observed = np.where(is_less_steady, np.fmax(*newer_shares), observed)
        threshold = np.where(is_less_steady, np.fmax(*older_shares), threshold)
        fires = fires | is_less_steady
    return _by_level(fires, scores.window_runs, observed, threshold)


def _repeated_bottleneck(windows: Windows, bottlenecks: Bottlenecks, policy: Policy) -> Firing:
    """Cancelled and open runs have friction too, but a mission without a finished run decides nothing."""
    hits = bottlenecks.hits
    fires = (windows.finished > 0) & (bottlenecks.statuses >= RECURRING)
    return _by_level(fires, hits, hits.astype(np.float64), float(policy.friction.recurring_hits))


def _secondary_kpi_missed(windows: Windows, missed: MissedLimits) -> Firing:
    row = windows.missed_limits
    return _by_level(
        row != NO_ROW,
        np.ones(len(row), np.int64),
        np.append(missed.values, np.nan)[row],
        np.append(missed.limits, np.nan)[row],
    )


def _outcomes_dropping(windows: Windows, scores: Scores, policy: Policy) -> Firing:
    rule, trend, size = policy.triggers.outcomes_dropping, scores.trends["completion"], policy.health.window_runs
    completed = (windows.measures["is_completed"][:, -size:] == 1).sum(axis=1)
    share = known_mean(windows.measures["is_completed"][:, -size:])
    _, high = wilson_bounds(completed, scores.window_runs, size, policy.confidence.interval_confidence)
    return _either(
        _by_trend(counts_as_worsening(trend, policy), trend, "completion", policy.trend.share_tolerance, scores),
        _by_level(
            exceeds(rule.min_completed_share, high), scores.window_runs, share, rule.min_completed_share, SUGGESTIVE
        ),
    )

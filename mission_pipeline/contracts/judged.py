"""Contracts of the ``marts`` tables that hold judgements, each as of the end of a day."""

from __future__ import annotations

from typing import Any

import polars as pl

from mission_pipeline.contracts.base import TableContract, column
from mission_pipeline.contracts.derived import BOTTLENECK_DRIVERS, BOTTLENECK_STATUSES, TARGET_STATUSES
from mission_pipeline.contracts.inputs import SEVERITIES
from mission_pipeline.contracts.staging import DIRECTIONS

MISSION_STATUSES = ("ON_TRACK", "WATCH", "ATTENTION_REQUIRED", "NO_DATA")
TREND_LABELS = ("improving", "flat", "worsening", "insufficient_data")
TREND_EVIDENCE = ("direction_only", "suggestive", "tested")
STABILITY_LABELS = ("stable", "mostly_stable", "variable", "unstable", "too_few_runs")
CONFIDENCE_LEVELS = ("HIGH", "MEDIUM", "LOW")
TREND_SERIES = ("kpi", "autonomy", "escalations", "approval_delay", "completion")
MISSION_TRIGGERS = (
    "MISSION_TREND_WORSENING", "AUTONOMY_REGRESSION", "TARGET_GAP_PERSISTING", "KPI_PLATEAU",
    "APPROVAL_DELAY_PERSISTING", "ESCALATION_BURDEN_RISING", "RISK_CLUSTER_FORMING", "STABILITY_DROPPING",
    "REPEATED_BOTTLENECK", "SECONDARY_KPI_MISSED", "OUTCOMES_DROPPING",
)
LEVERS = ("interventions", "escalations", "approval_wait", "overrun", "kpi")
"""What could be otherwise in a mission's next run."""
PORTFOLIO_TRIGGERS = ("PORTFOLIO_MISSIONS_AT_RISK", "PORTFOLIO_ESCALATIONS_24H", "PORTFOLIO_OPEN_RISK_EVENTS")


def _score(description: str) -> float:
    return column(f"{description}; NULL when it cannot be known.", unit="points 0-100", nullable=True, ge=0, le=100)  # type: ignore[no-any-return]


def _count(description: str) -> int:
    return column(description, unit="count", ge=0)  # type: ignore[no-any-return]


def _number(description: str, unit: str = "none", **checks: Any) -> float:
    return column(f"{description}; NULL when unknown.", unit=unit, nullable=True, **checks)  # type: ignore[no-any-return]


def _label(series: str) -> str:
    return column(f"Trend of {series}, in the direction of better.", isin=list(TREND_LABELS))  # type: ignore[no-any-return]


def _evidence(series: str) -> str:
    return column(f"What the trend of {series} is worth; only `tested` is a claim.", isin=list(TREND_EVIDENCE))  # type: ignore[no-any-return]


class MissionScorecards(TableContract):
    """One row per mission and day from the first run to the last day judged."""

    mission_id: str = column("Mission.")
    as_of_date: pl.Date = column("Uses only what ended or was detected before the end of this day.", unit="UTC date")
    status: str = column("Status from health and triggers; NO_DATA without a finished run.", isin=list(MISSION_STATUSES))
    is_at_risk: bool = column("ATTENTION_REQUIRED, or a high trigger.")
    finished_runs: int = _count("Completed and failed runs.")
    completed_runs: int = _count("Completed runs.")
    failed_runs: int = _count("Failed runs.")
    cancelled_runs: int = _count("Cancelled runs.")
    last_run_date: pl.Date = column("Day on which the newest finished run ended; NULL without one.", unit="UTC date", nullable=True)

    health_score: float = _score("Weighted mean of the five scores that follow")
    outcome_score: float = _score("Attainment of the latest observed primary KPI")
    trajectory_score: float = _score("Points for the primary KPI's trend")
    friction_score: float = _score("100 less points for interventions, escalations and approval delay")
    risk_score: float = _score("100 less points for flagged runs and reported events")
    stability_score: float = _score("Points for steadiness around the trend")
    autonomy_score: float = _score("How far the mission does without people, over its last finished runs")
    touchless_runs: int = _count("Finished runs known to be touchless, of those the score looks at.")
    touchless_known_runs: int = _count("Finished runs of which that is known: what touchless_rate divides by.")
    touchless_rate: float = _number("touchless_runs / touchless_known_runs", "share 0-1", ge=0, le=1)
    touchless_rate_low: float = _number("Lower end of its Wilson interval", "share 0-1", ge=0, le=1)
    touchless_rate_high: float = _number("Upper end of its Wilson interval", "share 0-1", ge=0, le=1)
    mean_human_interventions: float = _number("Mean per finished run", "per run", ge=0)
    mean_escalations: float = _number("Mean per finished run", "per run", ge=0)
    mean_approval_delay_minutes: float = _number("Mean per finished run", "minutes per run", ge=0)
    risk_flagged_share: float = _number("Share of finished runs flagged", "share 0-1", ge=0, le=1)
    event_weight_per_run: float = _number("Severity weight of the reported events per finished run", "points per run", ge=0)

    kpi_name: str = column("Primary KPI; NULL when the mission has none.", nullable=True)
    kpi_direction: str = column("Which way is better; NULL without a primary KPI.", nullable=True, isin=list(DIRECTIONS))
    kpi_observations: int = _count("Finished runs that observed it.")
    kpi_baseline_value: float = _number("Its baseline", "KPI's own")
    kpi_target_value: float = _number("Its target", "KPI's own")
    kpi_first_value: float = _number("Its first observed value", "KPI's own")
    kpi_previous_value: float = _number("Its last but one observed value", "KPI's own")
    kpi_latest_value: float = _number("Its latest observed value", "KPI's own")
    kpi_improvement_vs_baseline_pct: float = _number("Improvement of the latest on the baseline, better is positive", "percent")
    kpi_improvement_vs_first_pct: float = _number("Improvement of the latest on the first, better is positive", "percent")
    kpi_gap_to_target: float = _number("What the latest lacks to the target", "KPI's own", ge=0)
    kpi_gap_to_target_pct: float = _number("That, relative to |target|", "percent", ge=0)
    kpi_attainment_share: float = _number("Attainment of the latest, not clipped", "share")
    kpi_target_status: str = column("met, near, off; NULL when unknown or not observed.", nullable=True, isin=list(TARGET_STATUSES))

    kpi_trend: str = _label("the primary KPI")
    kpi_trend_evidence: str = _evidence("the primary KPI")
    kpi_trend_runs: int = _count("Runs in that trend.")
    kpi_trend_slope: float = _number("Theil-Sen slope, better is positive", "KPI's own per run")
    kpi_trend_p_value: float = _number("Two-sided Kendall test against time", "probability", ge=0, le=1)
    autonomy_trend: str = _label("the runs' autonomy score")
    autonomy_trend_evidence: str = _evidence("the runs' autonomy score")
    autonomy_trend_runs: int = _count("Runs in that trend.")
    autonomy_trend_slope: float = _number("Theil-Sen slope, better is positive", "points per run")
    autonomy_trend_p_value: float = _number("Two-sided Kendall test against time", "probability", ge=0, le=1)
    escalations_trend: str = _label("escalations per run")
    escalations_trend_evidence: str = _evidence("escalations per run")
    escalations_trend_runs: int = _count("Runs in that trend.")
    escalations_trend_slope: float = _number("Theil-Sen slope, better is positive", "escalations per run")
    escalations_trend_p_value: float = _number("Two-sided Kendall test against time", "probability", ge=0, le=1)
    approval_delay_trend: str = _label("approval delay per run")
    approval_delay_trend_evidence: str = _evidence("approval delay per run")
    approval_delay_trend_runs: int = _count("Runs in that trend.")
    approval_delay_trend_slope: float = _number("Theil-Sen slope, better is positive", "minutes per run")
    approval_delay_trend_p_value: float = _number("Two-sided Kendall test against time", "probability", ge=0, le=1)
    completion_trend: str = _label("completion of finished runs")
    completion_trend_evidence: str = _evidence("completion of finished runs")
    completion_trend_runs: int = _count("Runs in that trend.")
    completion_trend_slope: float = _number("Theil-Sen slope, better is positive", "share per run")
    completion_trend_p_value: float = _number("Two-sided Kendall test against time", "probability", ge=0, le=1)

    stability_label: str = column("Steadiness, the worse of duration and KPI.", isin=list(STABILITY_LABELS))
    duration_residual_share: float = _number("Residual standard deviation of the duration over |mean|", "share", ge=0)
    kpi_residual_share: float = _number("Residual standard deviation of the primary KPI over |mean|", "share", ge=0)
    top_bottleneck_task_id: str = column("Task with the most friction; NULL when none is known.", nullable=True)
    top_bottleneck_task_name: str = column("Its name; NULL when not known.", nullable=True)
    top_bottleneck_status: str = column("How often it was a hit in its last runs; NULL without one.", nullable=True, isin=list(BOTTLENECK_STATUSES))
    top_bottleneck_driver: str = column("What makes it one; NULL without one.", nullable=True, isin=list(BOTTLENECK_DRIVERS))
    top_bottleneck_friction_minutes: float = _number("Its friction minutes per run", "minutes per run", ge=0)

    class Config:
        """Place and key."""

        name, unique = "marts.mission_scorecards", ["mission_id", "as_of_date"]


class MissionTriggers(TableContract):
    """One row per trigger fired, by day; a portfolio trigger names no mission."""

    as_of_date: pl.Date = column("Day as of whose end it fires.", unit="UTC date")
    mission_id: str = column("Mission; NULL for a trigger of the portfolio.", nullable=True)
    trigger_name: str = column("The rule that fired.", isin=[*MISSION_TRIGGERS, *PORTFOLIO_TRIGGERS])
    severity: str = column("From the policy.", isin=list(SEVERITIES))
    trigger_rank: int = column("Place among the day's triggers; 1 is the primary driver.", ge=1)
    evidence: str = column("What the trend behind it is worth; of a level, `suggestive` where its whole interval is past the limit; `direction_only` where nothing was tested.", isin=list(TREND_EVIDENCE))
    supporting_runs: int = _count("Runs that it rests on.")
    observed_value: float = _number("What was observed", "rule's own")
    threshold: float = _number("The limit that it passed", "rule's own")
    gap_to_target_pct: float = _number("The mission's remaining gap of the primary KPI", "percent", ge=0)
    task_id: str = column("Task concerned; NULL when none is.", nullable=True)
    kpi_name: str = column("KPI concerned; NULL when none is.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "marts.mission_triggers", ["as_of_date", "mission_id", "trigger_name"]


class PortfolioSnapshots(TableContract):
    """One row per day from the first run to the last day judged."""

    snapshot_date: pl.Date = column("Day as of whose end the row holds.", unit="UTC date")
    status: str = column("Status of the portfolio; NO_DATA while no run has finished.", isin=list(MISSION_STATUSES))
    autonomy_score: float = _score("Mean of the missions' autonomy scores")
    active_runs: int = _count("Runs started and not ended by the end of the day.")
    completed_runs: int = _count("Runs completed by then, ever.")
    failed_runs: int = _count("Runs failed by then, ever.")
    cancelled_runs: int = _count("Runs cancelled by then, ever.")
    missions_at_risk: int = _count("Missions that need attention or have a high trigger.")
    missions_on_track: int = _count("Missions ON_TRACK.")
    missions_watch: int = _count("Missions on WATCH.")
    missions_attention_required: int = _count("Missions with ATTENTION_REQUIRED.")
    missions_no_data: int = _count("Missions without a finished run.")
    avg_kpi_improvement_pct: float = _number("Mean over missions of the latest primary KPI against baseline", "percent")
    top_bottleneck_mission_id: str = column("Mission of the task with the most friction; NULL when none is known.", nullable=True)
    top_bottleneck_task_id: str = column("Task with the most friction minutes; NULL when none is known.", nullable=True)
    top_bottleneck_task_name: str = column("Its name; NULL when not known.", nullable=True)
    escalations_last_24h: int = column("Escalations of runs of that calendar day; NULL when one did not report them.", unit="count", nullable=True, ge=0)
    human_interventions_last_24h: int = column("Interventions of runs of that calendar day; NULL when one did not report them.", unit="count", nullable=True, ge=0)
    open_risk_events: int = _count("Reported events detected by then whose latest known status is open.")

    class Config:
        """Place and key."""

        name, unique = "marts.portfolio_snapshots", ["snapshot_date"]


class PolicyLimits(TableContract):
    """One row per number of the policy, and per mission that has its own."""

    mission_id: str = column("Mission with a number of its own; NULL for what holds for all others.", nullable=True)
    limit_key: str = column("Its place in the policy: sections and name, with dots between.")
    limit_value: float = column("The number.", unit="rule's own")

    class Config:
        """Place and key."""

        name, unique = "quality.policy_limits", ["mission_id", "limit_key"]


class VerdictFigures(TableContract):
    """One row per figure or name of a brief that follows from judging and that no other table holds, by day."""

    as_of_date: pl.Date = column("Day that the brief judges.", unit="UTC date")
    part: str = column("Part of the brief that shows it, such as confidence.")
    rank: int = column("Place within that part; from 1.", ge=1)
    figure_name: str = column("What it is.")
    number: float = column("The figure; NULL for a name.", unit="figure's own", nullable=True)
    label: str = column("The name or label; NULL for a figure.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "marts.verdict_figures", ["as_of_date", "part", "rank", "figure_name"]


class ExecutiveBriefs(TableContract):
    """One row per day briefed."""

    as_of_date: pl.Date = column("Day that the brief judges.", unit="UTC date")
    status: str = column("Status of the portfolio.", isin=list(MISSION_STATUSES))
    primary_driver: str = column("Trigger that decides; NULL when none fired.", nullable=True)
    driver_mission_id: str = column("Its mission; NULL without one.", nullable=True)
    driver_headline: str = column("The driver in one sentence.")
    trend_insight: str = column("The trend in one sentence.")
    friction_task_id: str = column("Task of the friction signal; NULL when none is known.", nullable=True)
    friction_signal: str = column("The friction in one sentence.")
    recommended_action: str = column("What to do, in one sentence.")
    confidence_level: str = column("How far the verdict can be trusted.", isin=list(CONFIDENCE_LEVELS))
    confidence_reasons: pl.List(pl.String) = column("Why, worst first; empty when HIGH.")  # type: ignore[valid-type]
    interpretation: str = column("What it means, in one sentence.")
    policy_version: str = column("Version of the policy that judged.")
    policy_sha256: str = column("Its hash.")
    brief_json: str = column("The whole brief, as its JSON file holds it.")
    brief_markdown: str = column("The whole brief, as its Markdown file holds it.")
    brief_html: str = column("The whole brief, as its HTML file holds it; NULL in a brief that is older than the pages.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "marts.executive_briefs", ["as_of_date"]


JUDGED_CONTRACTS: tuple[type[TableContract], ...] = (
    MissionScorecards, MissionTriggers, PortfolioSnapshots, PolicyLimits, VerdictFigures, ExecutiveBriefs,
)

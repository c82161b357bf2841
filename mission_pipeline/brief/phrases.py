"""Plain words for every rule, label and figure. One place, so that every format of the brief speaks alike.

A value that carries a claim is marked in every text made of it; a plain value gives plain text. Knows no table and no
layout. Whoever adds a trigger or a label to the contracts adds its words here; a test compares.
Imports no contract: those load Pandera, and showing a stored brief must not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mission_pipeline.brief.claims import MIDDLE, START, STORED_DECIMALS, bare, marked, plain

Row = Mapping[str, Any]

UNKNOWN = "unknown"

STATUS_WORDS: dict[str, str] = {
    "ON_TRACK": "no action needed",
    "WATCH": "needs a look, not yet an intervention",
    "ATTENTION_REQUIRED": "needs an intervention now",
    "NO_DATA": "no run has finished yet, so nothing can be judged",
}
CONFIDENCE_WORDS: dict[str, str] = {
    "HIGH": "enough history, and the verdict does not hinge on a single run",
    "MEDIUM": "good enough to act on, not to take for certain",
    "LOW": "treat this verdict as a first impression",
}
RUN_STATUS_WORDS: dict[str, str] = {
    "completed": "it ran to its end",
    "failed": "it ended without its result",
    "cancelled": "it was called off before its end",
    "running": "it is still going on",
    "blocked": "it is open, but stands still",
}
OUTCOME_WORDS: dict[str, str] = {
    "completed": "completed",
    "approved": "approved",
    "rejected": "rejected",
    "failed": "failed",
    "escalated": "escalated",
    "timed_out": "timed out",
    "cancelled": "cancelled",
}
TREND_WORDS: dict[str, str] = {
    "improving": "improving",
    "flat": "no clear change",
    "worsening": "worsening",
    "insufficient_data": "too few runs to tell",
}
NO_TREND_WORDS: dict[str, str] = {
    "too_few_runs": TREND_WORDS["insufficient_data"],
    "never_reported": "never reported",
    "no_direction": "no direction",
    "no_main_kpi": "no main KPI",
}
"""Why the trend of a main KPI cannot be told; see ``why_no_trend``."""

STABILITY_WORDS: dict[str, str] = {
    "stable": "steady",
    "mostly_stable": "mostly steady",
    "variable": "varies",
    "unstable": "unsteady",
    "too_few_runs": "too few runs to tell",
}
TARGET_WORDS: dict[str | None, str] = {
    "met": "met",
    "near": "close",
    "off": "missed",
    "not_observed": "not observed",
    None: UNKNOWN,
}
BOTTLENECK_WORDS: dict[str | None, str] = {
    "persistent": "persistent",
    "recurring": "recurring",
    "isolated": "one-off",
    "clear": "clear",
    None: UNKNOWN,
}
DRIVER_WORDS: dict[str | None, str] = {
    "approval_delay": "wait for approval",
    "task_overrun": "task overrun",
    "risk": "reported risk",
    "none": "no single cause",
    None: UNKNOWN,
}
DRIVER_MEANINGS: dict[str, str] = {
    "approval_delay": "work stands still until a person approves it",
    "task_overrun": "the task takes longer than planned",
    "risk": "a risk was reported at this task",
    "none": "it is within plan",
}
TRIGGER_TITLES: dict[str, str] = {
    "MISSION_TREND_WORSENING": "Results worsening",
    "AUTONOMY_REGRESSION": "Autonomy regression",
    "TARGET_GAP_PERSISTING": "Target still out of reach",
    "KPI_PLATEAU": "Results on a plateau",
    "APPROVAL_DELAY_PERSISTING": "Slow approvals",
    "ESCALATION_BURDEN_RISING": "Rising escalations",
    "RISK_CLUSTER_FORMING": "Risks clustering",
    "STABILITY_DROPPING": "Unsteady results",
    "REPEATED_BOTTLENECK": "Repeated bottleneck",
    "SECONDARY_KPI_MISSED": "A limit missed",
    "OUTCOMES_DROPPING": "Too few runs completing",
    "PORTFOLIO_MISSIONS_AT_RISK": "Several missions at risk",
    "PORTFOLIO_ESCALATIONS_24H": "Many escalations in one day",
    "PORTFOLIO_OPEN_RISK_EVENTS": "Many risk events open",
}
"""What a trigger is called. The autonomy score and its like are explained where their figures stand."""

TRIGGER_AREAS: dict[str, str] = {
    "MISSION_TREND_WORSENING": "results",
    "AUTONOMY_REGRESSION": "autonomy",
    "TARGET_GAP_PERSISTING": "results",
    "KPI_PLATEAU": "results",
    "APPROVAL_DELAY_PERSISTING": "approval times",
    "ESCALATION_BURDEN_RISING": "escalations",
    "RISK_CLUSTER_FORMING": "risks",
    "STABILITY_DROPPING": "steadiness",
    "REPEATED_BOTTLENECK": "friction",
    "SECONDARY_KPI_MISSED": "the measure beyond its limit",
    "OUTCOMES_DROPPING": "the share of runs that complete",
    "PORTFOLIO_MISSIONS_AT_RISK": "the missions at risk",
    "PORTFOLIO_ESCALATIONS_24H": "escalations",
    "PORTFOLIO_OPEN_RISK_EVENTS": "the handling of open risk events",
}
"""What has to improve, so that the sentence "not enough until … improve" can be finished."""

RULE_WORDS: dict[str, str] = {
    "task_overrun": "task far over its estimate",
    "approval_delay": "long wait for approval",
    "rework": "work done twice or rejected",
    "repeated_failures": "failures or escalations in one run",
    "dependency_failed": "task done although one before it failed",
    "limit_breached": "limit of a KPI broken",
    "target_missed": "target missed",
    "long_run": "run much longer than usual",
}
RULE_UNITS: dict[str, tuple[str, str] | None] = {
    "task_overrun": ("% over plan", "% over plan"),
    "approval_delay": ("minute", "minutes"),
    "rework": ("time", "times"),
    "repeated_failures": ("case", "cases"),
    "dependency_failed": ("failed task", "failed tasks"),
    "limit_breached": None,
    "target_missed": None,
    "long_run": ("minute", "minutes"),
}
"""Unit of ``observed_value`` and ``threshold``; None: the KPI's own."""

FIELD_WORDS: dict[str, str] = {
    "active_runs": "runs open",
    "completed_runs": "runs completed",
    "missions_at_risk": "missions at risk",
    "avg_kpi_improvement_pct": "mean improvement on the baseline (%)",
    "top_bottleneck_task_id": "worst bottleneck",
    "top_bottleneck_task_name": "worst bottleneck, by name",
    "escalations_last_24h": "escalations on the day",
    "human_interventions_last_24h": "human interventions on the day",
    "avg_task_duration_minutes": "mean task duration (minutes)",
    "approval_rate": "share of decisions approved",
    "escalation_rate": "escalations per task",
}
SOURCE_WORDS: dict[str, str] = {
    "mission_portfolio_snapshot": "reported snapshot",
    "agent_performance_stats": "reported figures of agent",
}
DATA_SET_WORDS: dict[str, str] = {
    "business_missions": "missions",
    "decomposed_mission_tasks": "mission plans",
    "specialized_agents": "agents",
    "agent_capabilities_matrix": "tasks in the capability matrix",
    "mission_kpis": "KPI definitions",
    "mission_runs": "mission runs",
    "task_execution_logs": "task executions",
    "mission_risk_events": "reported risk events",
    "agent_performance_stats": "reported agent figures",
    "mission_portfolio_snapshot": "reported portfolio snapshots",
}
DRIFT_WORDS: dict[str, str] = {
    "unknown_field": "field that nobody specified, kept as it is",
    "converted_type": "value of another type, converted without loss",
    "unspecified_kpi": "KPI that no mission is held to, kept out of the judgement",
}
FAULT_WORDS: dict[str, str] = {
    "missing_dependency": "depends on a task that the plan lacks",
    "dependency_cycle": "depends on itself in a circle",
    "order_contradicts_dependency": "comes before a task that it depends on",
    "no_capable_agent": "no agent is able to do it",
}
_KPI_UNITS: dict[str, tuple[str, str]] = {
    "seconds": ("second", "seconds"),
    "minutes": ("minute", "minutes"),
    "hours": ("hour", "hours"),
    "days": ("day", "days"),
    "weeks": ("week", "weeks"),
    "months": ("month", "months"),
    "pct": ("%", "%"),
    "percent": ("%", "%"),
    "usd": ("USD", "USD"),
    "eur": ("EUR", "EUR"),
}
"""Endings of KPI names that state a unit. A name without one is shown as it is, without a unit."""


def status_words(status: str, confidence: str) -> str:
    """Return what a status asks of its reader; that nothing is needed is not said where too little is known."""
    if status == "ON_TRACK" and confidence == "LOW":
        return "as far as is known; too little is known to rely on it"
    return STATUS_WORDS[status]


SHOWN_DECIMALS = 2
"""A figure that is nothing when rounded to this many places is neither trouble nor an aim: see ``is_shown``."""


def is_shown(value: float | None, decimals: int = SHOWN_DECIMALS) -> bool:
    """Whether a figure is known and more than nothing at the places that a reader is shown."""
    return value is not None and float(f"{abs(bare(value)):.{decimals}f}") > 0


def number(value: float | None, decimals: int = SHOWN_DECIMALS) -> str:
    """Return a figure for reading: at most ``decimals`` places, thousands set apart, no idle zeros; or "unknown".

    What is more than nothing, but too little for these places, is "under 0.01", if the JSON of a brief still tells it
    from nothing.
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return yes_no(value)
    if value > 0 and not is_shown(value, decimals) and is_shown(value, STORED_DECIMALS):
        return marked(value, f"under {10**-decimals:.{decimals}f}")
    text = f"{bare(value):,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return marked(value, "0" if text == "-0" else text)


def points(value: float | None) -> str:
    """Return a 0-100 score with its two decimals, as people compare them."""
    return UNKNOWN if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """Return a percentage of a 0-100 value, with its sign of unit."""
    if value is None:
        return UNKNOWN
    return f"{value:,.2f} %" if value >= 0 or is_shown(value) else f"{marked(value, '0.00')} %"


def share(value: float | None) -> str:
    """Return a 0-1 share as whole per cent: more places would feign precision."""
    return UNKNOWN if value is None else f"{marked(value, f'{100 * value:.0f}')} %"


def counted(count: int | float | None, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun in the right number: "1 run", "2 runs", "unknown runs"."""
    plural = plural or f"{singular}s"
    text = number(count)
    return f"{text} {singular if plain(text) == '1' else plural}"


def minutes(value: float | None) -> str:
    """Return minutes with their unit."""
    return UNKNOWN if value is None else counted(value, "minute")


def at_most(limit: str) -> str:
    """Return an aim: at most this, or, where the figure is too small to be shown, "under 0.01 minutes"."""
    return limit if plain(limit).startswith("under ") else f"at most {limit}"


def yes_no(value: bool | None) -> str:
    """Return a flag in words."""
    return UNKNOWN if value is None else ("yes" if value else "no")


def listed(parts: Sequence[str]) -> str:
    """Join as in speech: "a", "a and b", "a, b and c"."""
    parts = [str(part) for part in parts]
    if len(parts) <= 1:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def capitalised(text: str) -> str:
    """Return the text with its first letter in upper case and the rest as it is, also within a mark.

    An id or a name that it begins with stays as it is written.
    """
    text = str(text)
    first = text.index(MIDDLE) + 1 if text.startswith(START) else 0
    if text[:first].endswith((f"_id{MIDDLE}", f"task_name{MIDDLE}", f"mission_name{MIDDLE}")):
        return text
    return text[:first] + text[first : first + 1].upper() + text[first + 1 :]


def kpi_words(kpi_name: str | None) -> str:
    """Return a KPI's name as one would say it: ``onboarding_time_days`` becomes "onboarding time"."""
    if kpi_name is None:
        return "no KPI"
    stem, _, ending = kpi_name.rpartition("_")
    words = stem if stem and ending.lower() in _KPI_UNITS else bare(kpi_name)
    return marked(kpi_name, words.replace("_", " ").strip() or bare(kpi_name))


def kpi_unit(kpi_name: str | None, value: float | None = None) -> str:
    """Return the unit that a KPI's name states, in the number that the value asks for; "" when it states none."""
    unit = _KPI_UNITS.get((kpi_name or "").rpartition("_")[2].lower())
    if unit is None:
        return ""
    return unit[0] if value == 1 else unit[1]


def kpi_values(kpi_name: str | None, *values: float | None) -> list[str]:
    """Return values of one KPI with its unit and the same number of decimals, so that they compare at a glance.

    There are more decimals than usual, up to those of the JSON, where without them values that differ would look the
    same, or one would look like nothing.
    """
    known = [float(bare(value)) for value in values if value is not None]
    places = next(
        (
            places
            for places in range(SHOWN_DECIMALS, STORED_DECIMALS)
            if len(_rounded(known, places)) == len(_rounded(known, STORED_DECIMALS))
        ),
        STORED_DECIMALS,
    )
    texts = [f"{value:.{places}f}".rstrip("0") for value in known]
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [
        UNKNOWN if value is None else f"{value:,.{decimals}f} {kpi_unit(kpi_name, value)}".rstrip() for value in values
    ]


def _rounded(values: Sequence[float], places: int) -> set[float]:
    """Return the different values, nothing being one of them, that are left at so many places."""
    return {0.0, *(round(value, places) for value in values)}


def percentage_points(gap: float, text: str) -> str:
    """Return a gap between two percentages, of which ``text`` gives the percent: it is in points, not in percent."""
    number = plain(text).removesuffix(" %")
    return marked(gap, f"{number} {'percentage point' if number == '1' else 'percentage points'}")


def evidence_words(evidence: str | None, runs: int | None, *, is_trend: bool = True) -> str:
    """Say how much a trend or trigger is worth. Only ``tested`` is a claim; everything else stays a signal."""
    seen = "few runs" if runs is None else counted(runs, "run")
    if evidence == "tested":
        return f"tested over {seen}: unlikely to be chance"
    if evidence == "suggestive":
        return f"signal from {seen}, likely but not proven"
    if not is_trend:
        return f"seen in {seen}"
    return f"signal from {seen}, not proven"


def task_words(task_id: str | None, task_name: str | None) -> str:
    """Return a task by its id and, where it has one, its name in quotes."""
    if task_id is None:
        return "no task known"
    return f'{task_id} "{task_name}"' if task_name else str(task_id)


def mission_words(mission_id: str | None, mission_name: str | None) -> str:
    """Return a mission by its name, else its id; without either it is the portfolio."""
    return str(mission_name or mission_id or "the portfolio")


def why_no_trend(mission: Mapping[str, Any], direction: str | None) -> str:
    """Return why a mission's main KPI has no trend, as a key of NO_TREND_WORDS; ``direction``: that of the KPI."""
    if not mission["finished_runs"]:
        return "too_few_runs"
    if mission["kpi_name"] is None:
        return "no_main_kpi"
    if direction == "unknown":
        return "no_direction"
    return "never_reported" if mission["kpi_latest_value"] is None else "too_few_runs"


def urgency(mission: Mapping[str, Any]) -> tuple[int, float, str]:
    """Return what sorts missions by how soon they need a look: by status, then by health, then by id."""
    order = ("ATTENTION_REQUIRED", "WATCH", "ON_TRACK", "NO_DATA")
    health = mission["health_score"]
    return order.index(mission["status"]), 101.0 if health is None else health, mission["mission_id"]

"""The risk rules while a mission runs: what was seen and the policy in, risks out. Pure; the same limits as the marts'.

A risk's type is the rule's name; of a KPI it opens with the first word of the KPI's name, by which the marts link a
reported event with what they detect themselves. Comparisons are rounded like the marts': to 9 decimals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mission_pipeline.policy import Policy
from mission_pipeline.runner.model import KpiTarget, Outcome, RiskEvent, Severity

SEVERITY_ORDER: dict[str, int] = {"low": 0, "medium": 1, "high": 2}
KPI_RISKS = ("_limit_breached", "_target_missed")
"""How the types of a KPI's risks end."""
FAILED_OUTCOMES: tuple[Outcome, ...] = ("failed", "timed_out", "escalated")


def task_overrun(policy: Policy, task_id: str, estimated_minutes: float | None, work_minutes: float) -> list[RiskEvent]:
    """Return the risk of an attempt that took far longer than estimated. Without an estimate above 0 there is none."""
    rule = policy.risk_rules.task_overrun
    if estimated_minutes is None or estimated_minutes <= 0 or work_minutes <= estimated_minutes:
        return []
    over_minutes = round(work_minutes - estimated_minutes, 9)
    over_pct = round(100 * (work_minutes - estimated_minutes) / estimated_minutes, 9)
    if over_minutes < rule.min_overrun_minutes or over_pct < rule.min_overrun_pct:
        return []
    severity: Severity = "medium" if over_pct >= rule.medium_from_pct else rule.severity
    said = f"Task {task_id} took {work_minutes:g} minutes, {over_pct:.0f} % over its estimate of {estimated_minutes:g}."
    return [RiskEvent("task_overrun", severity, task_id, said)]


def approval_delay(policy: Policy, task_id: str, waiting_minutes: float) -> list[RiskEvent]:
    """Return the risk of a gate that waits, or waited, this long."""
    rule = policy.risk_rules.approval_delay
    severity: Severity
    if waiting_minutes >= rule.high_from_minutes:
        severity, limit = "high", rule.high_from_minutes
    elif waiting_minutes >= rule.medium_from_minutes:
        severity, limit = "medium", rule.medium_from_minutes
    else:
        return []
    return [
        RiskEvent("approval_delay", severity, task_id, f"Task {task_id} waits {limit:g} minutes or more for approval.")
    ]


def rework(policy: Policy, task_id: str, attempt: int, outcome: Outcome | None) -> list[RiskEvent]:
    """Return the risk of a task that is done again: a rejection, or an attempt after the first."""
    if attempt <= 1 and outcome != "rejected":
        return []
    said = f"Task {task_id} is done again: its result was rejected, or an attempt gave no result."
    return [RiskEvent("rework", policy.risk_rules.rework.severity, task_id, said)]


def repeated_failures(policy: Policy, failures: int, escalations: int) -> list[RiskEvent]:
    """Return the risk of a run with many attempts that failed, timed out or were escalated, or many escalations."""
    rule = policy.risk_rules.repeated_failures
    if max(failures, escalations) < rule.min_count:
        return []
    said = f"The run had {rule.min_count} or more failures or escalations."
    return [RiskEvent("repeated_failures", rule.severity, None, said)]


def missed_kpis(
    policy: Policy, targets: Sequence[KpiTarget], observed: Mapping[str, float], previous: Mapping[str, float]
) -> list[RiskEvent]:
    """Return the risks of KPIs past their floor or ceiling, or that miss their target for the first time or by more.

    Args:
        policy: of the mission.
        targets: the mission's KPIs; one whose direction is not known misses nothing.
        observed: this run's values. A KPI that is not observed is unknown, and no risk.
        previous: the values of the mission's run before; without one, this is the first that is observed.
    """
    found = []
    for target in targets:
        value, limit = observed.get(target.kpi_name), target.target_value
        sign = {"lower_is_better": 1, "higher_is_better": -1}.get(target.direction)
        if value is None or limit is None or sign is None or sign * (value - limit) <= 0:
            continue
        said = f"{target.kpi_name} is {value:g}, its {target.limit_kind} {limit:g}."
        word = target.kpi_name.partition("_")[0]
        if target.limit_kind in ("floor", "ceiling"):
            severity = policy.risk_rules.limit_breached.severity
            found.append(RiskEvent(f"{word}{KPI_RISKS[0]}", severity, None, said, target.kpi_name))
            continue
        before = previous.get(target.kpi_name)
        if before is None or sign * (value - before) > 0:
            severity = policy.risk_rules.target_missed.severity
            found.append(RiskEvent(f"{word}{KPI_RISKS[1]}", severity, None, said, target.kpi_name))
    return found


def long_run(policy: Policy, total_minutes: float, usual_minutes: float | None) -> list[RiskEvent]:
    """Return the risk of a run far longer than is usual. ``usual_minutes``: None where too few runs say what is."""
    rule = policy.risk_rules.long_run
    if usual_minutes is None or total_minutes <= round(rule.median_ratio * usual_minutes, 9):
        return []
    said = f"The run took {total_minutes:g} minutes; {usual_minutes:g} are usual."
    return [RiskEvent("long_run", rule.severity, None, said)]


def has_grown(event: RiskEvent, known_severity: str | None) -> bool:
    """Whether a risk is new, or worse than it was known to be."""
    return known_severity is None or SEVERITY_ORDER[event.severity] > SEVERITY_ORDER[known_severity]

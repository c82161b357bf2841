"""The risk rules of a run that goes on: both sides of each limit, and what is not known is no risk."""

import pytest
from mission_store import DAYS, SCORE, policy_with, shipped_policy

from mission_pipeline.runner import risk
from mission_pipeline.runner.model import KpiTarget


def severities(events):
    return [event.severity for event in events]


@pytest.mark.parametrize(("estimate", "work", "expected"), [
    (10, 10, []), (10, 14.99, []), (10, 15, ["low"]), (10, 19.99, ["low"]), (10, 20, ["medium"]),
    (2, 5.99, []), (2, 6, ["medium"]),  # far over in percent, but 4 minutes are asked for too
    (None, 500, []), (0, 500, []),
])  # fmt: skip
def test_an_overrun_needs_percent_and_minutes_and_an_estimate(estimate, work, expected):
    assert severities(risk.task_overrun(shipped_policy(), "T", estimate, work)) == expected


def test_an_overrun_at_its_limit_is_one_in_spite_of_floating_point():
    policy = policy_with(task_overrun={"min_overrun_minutes": 0.1, "min_overrun_pct": 10.0})
    assert severities(risk.task_overrun(policy, "T", 1.1, 1.21)) == ["low"]  # 1.21 - 1.1 is a crumb less than 0.11


@pytest.mark.parametrize(("minutes", "expected"), [(4.9999, []), (5, ["medium"]), (9.9999, ["medium"]), (10, ["high"])])
def test_a_delay_has_two_limits(minutes, expected):
    assert severities(risk.approval_delay(shipped_policy(), "T", minutes)) == expected


@pytest.mark.parametrize(("attempt", "outcome", "expected"), [
    (1, "approved", []), (1, "failed", []), (1, "rejected", ["medium"]), (2, None, ["medium"]),
])  # fmt: skip
def test_rework_is_a_rejection_or_an_attempt_after_the_first(attempt, outcome, expected):
    assert severities(risk.rework(shipped_policy(), "T", attempt, outcome)) == expected


@pytest.mark.parametrize(("failures", "escalations", "expected"), [(1, 1, []), (2, 0, ["high"]), (0, 2, ["high"])])
def test_two_failures_or_two_escalations_are_many(failures, escalations, expected):
    assert severities(risk.repeated_failures(shipped_policy(), failures, escalations)) == expected


def missed(target, value, previous=None):
    observed = {} if value is None else {target.kpi_name: value}
    before = {} if previous is None else {target.kpi_name: previous}
    return [event.risk_type for event in risk.missed_kpis(shipped_policy(), [target], observed, before)]


@pytest.mark.parametrize(("value", "previous", "expected"), [
    (2, None, []), (2.01, None, ["days_target_missed"]), (3, 3, []), (3, 4, []), (3, 2.9, ["days_target_missed"]), (None, 3, []),
])  # fmt: skip
def test_a_target_is_missed_first_or_by_more_than_before(value, previous, expected):
    assert missed(DAYS, value, previous) == expected


@pytest.mark.parametrize(("value", "expected"), [(4, []), (3.99, ["score_limit_breached"]), (None, [])])
def test_a_floor_is_breached_below_it_whatever_was_before(value, expected):
    assert missed(SCORE, value, 1.0) == expected


def test_a_target_without_a_direction_or_a_value_is_missed_by_nothing():
    assert missed(KpiTarget("days", "unknown", None, 2.0, False, "target"), 9) == []
    assert missed(KpiTarget("days", "lower_is_better", 5.0, None, False, "target"), 9) == []


@pytest.mark.parametrize(("total", "usual", "expected"), [(15, 10, []), (15.01, 10, ["medium"]), (500, None, [])])
def test_a_run_is_long_beyond_one_and_a_half_of_what_is_usual(total, usual, expected):
    assert severities(risk.long_run(shipped_policy(), total, usual)) == expected


def test_a_risk_grows_and_does_not_shrink():
    (event,) = risk.approval_delay(shipped_policy(), "T", 5)
    assert [risk.has_grown(event, known) for known in (None, "low", "medium", "high")] == [True, True, False, False]

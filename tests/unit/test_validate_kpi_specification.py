import pytest

from mission_pipeline.validate.kpi_specification import (
    Entry,
    KpiOddities,
    Specification,
    role_and_name,
    specified_kpis,
)


def kpis(primary=None, oddities=None, **entries):
    specification = Specification(1, "M1", tuple(Entry(*role_and_name(key), value) for key, value in entries.items()))
    return specified_kpis(specification, primary, oddities or KpiOddities())


def one(**entries):
    [row] = kpis(**entries)
    return row["kpi_name"], row["kpi_kind"], row["direction"], row["baseline_value"], row["target_value"]


def primaries(**entries):
    return [row["kpi_name"] for row in kpis(**entries) if row["is_primary"]]


@pytest.mark.parametrize(
    ("key", "form"),
    [
        ("baseline_days", ("baseline", "days")),
        ("target_days", ("target", "days")),
        ("csat_threshold", ("floor", "csat")),
        ("max_steps", ("ceiling", "steps")),
        ("min_touchpoints", ("floor", "touchpoints")),
        ("max_error_threshold", ("ceiling", "error_threshold")),
        ("baseline_max_load", ("baseline", "max_load")),
        ("days", None),
        ("max_", None),
        ("_threshold", None),
        ("maximum", None),
    ],
)
def test_the_form_of_a_name_says_what_is_meant(key, form):
    assert role_and_name(key) == form


def test_the_direction_comes_from_baseline_and_target_never_from_the_name():
    assert one(baseline_days=5, target_days=2) == ("days", "target", "lower_is_better", 5, 2)
    assert one(baseline_days=2, target_days=5) == ("days", "target", "higher_is_better", 2, 5)
    assert one(baseline_days=5, target_days=5) == ("days", "target", "unknown", 5, 5)


def test_a_target_or_a_baseline_alone_has_no_direction():
    assert one(target_days=2) == ("days", "target", "unknown", None, 2)
    assert one(baseline_days=5) == ("days", "target", "unknown", 5, None)


def test_limits_have_their_direction_and_no_baseline():
    assert one(csat_threshold=4) == ("csat", "floor", "higher_is_better", None, 4)
    assert one(min_touchpoints=3) == ("touchpoints", "floor", "higher_is_better", None, 3)
    assert one(max_steps=5) == ("steps", "ceiling", "lower_is_better", None, 5)


def test_the_primary_kpi_is_the_first_with_baseline_and_target():
    assert primaries(max_steps=5, target_a=1, target_b=1, baseline_c=3, baseline_b=2, target_c=1) == ["b"]
    assert primaries(max_steps=5, target_a=1, baseline_b=2) == []


def test_the_policy_may_name_another_primary_kpi():
    entries = {"baseline_a": 2, "target_a": 1, "max_steps": 5}
    assert [row["kpi_name"] for row in kpis("steps", **entries) if row["is_primary"]] == ["steps"]
    oddities = KpiOddities()
    assert [row["kpi_name"] for row in kpis("b", oddities, **entries) if row["is_primary"]] == ["a"]
    assert oddities.unknown_primaries == ["The policy names b as primary KPI of M1, which has no such KPI."]


def test_kpis_are_ordered_as_they_are_first_named():
    rows = kpis(target_b=1, max_a=2, baseline_b=3)
    assert [(row["kpi_name"], row["kpi_order"]) for row in rows] == [("b", 1), ("a", 2)]


def test_a_target_wins_over_a_limit_of_the_same_name_with_a_warning():
    oddities = KpiOddities()
    [row] = kpis(None, oddities, max_cost=9, target_cost=5, baseline_cost=7)
    assert (row["kpi_kind"], row["target_value"]) == ("target", 5)
    assert oddities.forms_passed_over == ["cost of M1 is specified as target and as ceiling 9; the target stands."]


def test_a_limit_wins_over_a_baseline_alone_and_the_first_of_two_limits_stands():
    oddities = KpiOddities()
    [row] = kpis(None, oddities, baseline_load=3, max_load=9, min_load=1)
    assert (row["kpi_kind"], row["baseline_value"], row["target_value"]) == ("ceiling", None, 9)
    assert len(oddities.forms_passed_over) == 2

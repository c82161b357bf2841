"""Figures and labels in words: units, singular and plural, unknown, and that no label is without words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_pipeline.brief import phrases as say
from mission_pipeline.contracts import derived, inputs, judged, quality


def test_every_label_of_the_contracts_has_words():
    assert set(say.STATUS_WORDS) == set(judged.MISSION_STATUSES)
    assert set(say.CONFIDENCE_WORDS) == set(judged.CONFIDENCE_LEVELS)
    assert set(say.RUN_STATUS_WORDS) == set(inputs.RUN_STATUSES)
    assert set(say.OUTCOME_WORDS) == set(inputs.OUTCOMES)
    assert set(say.TREND_WORDS) == set(judged.TREND_LABELS)
    assert set(say.STABILITY_WORDS) == set(judged.STABILITY_LABELS)
    assert set(say.TRIGGER_TITLES) == {*judged.MISSION_TRIGGERS, *judged.PORTFOLIO_TRIGGERS}
    assert set(say.TRIGGER_AREAS) == set(say.TRIGGER_TITLES)
    assert set(say.BOTTLENECK_WORDS) == {*derived.BOTTLENECK_STATUSES, None}
    assert set(say.DRIVER_WORDS) == {*derived.BOTTLENECK_DRIVERS, None}
    assert set(say.DRIVER_MEANINGS) == set(derived.BOTTLENECK_DRIVERS)
    assert set(say.TARGET_WORDS) == {*derived.TARGET_STATUSES, "not_observed", None}
    assert set(say.RULE_WORDS) == set(say.RULE_UNITS) == set(derived.RISK_RULES)
    assert set(say.FAULT_WORDS) == set(quality.PLAN_FAULTS)
    assert set(say.DATA_SET_WORDS) == {data_set.name for data_set in inputs.DATA_SETS}
    reported = {f.name for s in inputs.DATA_SETS if s.kind == "reported" for f in s.fields if f.name not in s.key}
    assert set(say.FIELD_WORDS) == reported


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"), (0, "0"), (1, "1"), (2.0, "2"), (7.3333, "7.33"), (0.5, "0.5"), (1234567.0, "1,234,567"),
        (-0.001, "0"), (-2.5, "-2.5"), (100, "100"), (58.0635, "58.06"), (0.005001, "0.01"), (0.0049, "under 0.01"),
        (0.0014, "under 0.01"), (0.00004, "0"), (8.9e-16, "0"),
    ],
)  # fmt: skip
def test_a_number_has_at_most_two_places_and_no_idle_zeros(value, text):
    assert say.number(value) == text


@given(st.floats(-1e9, 1e9))
def test_a_number_reads_as_its_value(value):
    text = say.number(value).replace(",", "")
    assert (value < 0.005) if text == "under 0.01" else (float(text) == pytest.approx(value, abs=0.005))


@given(st.floats(0.00006, 1e9))
def test_only_nothing_reads_as_nothing(value):
    assert float(say.number(value).replace(",", "").removeprefix("under ")) > 0


@pytest.mark.parametrize(
    ("value", "shown"), [(None, False), (0, False), (0.0049, False), (-0.0049, False), (0.0051, True), (-3, True)]
)
def test_what_rounds_to_nothing_is_not_shown(value, shown):
    assert say.is_shown(value) is shown


def test_an_aim_below_what_is_shown_is_never_at_most_nothing():
    assert say.at_most(say.minutes(10)) == "at most 10 minutes"
    assert say.at_most(say.minutes(0.0014)) == "under 0.01 minutes"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (0.5, "0.5 runs"), (None, "unknown runs")]
)
def test_only_one_is_singular(count, text):
    assert say.counted(count, "run") == text


def test_units_come_with_their_figures():
    assert say.percent(73.3333) == "73.33 %"
    assert say.points(45.95) == "45.95"
    assert say.minutes(1) == "1 minute"
    assert say.minutes(7.3333) == "7.33 minutes"
    assert say.share(0.666) == "67 %"
    assert say.percent(None) == say.points(None) == say.minutes(None) == say.share(None) == "unknown"


def test_values_of_one_kpi_have_its_unit_and_the_same_places():
    assert say.kpi_values("resolution_time_hours", 12.0, 5.2, 3.2) == ["12.0 hours", "5.2 hours", "3.2 hours"]
    assert say.kpi_values("pipeline_days", 14.0, 1.0, None) == ["14 days", "1 day", "unknown"]
    assert say.kpi_values("csat", 4.25, 4.0) == ["4.25", "4.00"]
    assert say.kpi_values("churn_pct", 4.0) == ["4 %"]
    assert say.kpi_values("churn_pct", None) == ["unknown"]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((7.003, 7.0, 0.003), ["7.003", "7.000", "0.003"]),
        ((0.004, 0.002), ["0.004", "0.002"]),
        ((0.004,), ["0.004"]),
        ((3.9996, 4.0), ["3.9996", "4.0000"]),
        ((7.00001, 7.0, 0.00001), ["7", "7", "0"]),  # nor does the JSON know better
        ((5.2333, 5.2351), ["5.23", "5.24"]),
        ((5.0, 5.0, 0.0), ["5", "5", "0"]),
        ((0.1 + 0.2, 0.3), ["0.3", "0.3"]),
    ],
)
def test_values_of_one_kpi_that_differ_look_different(values, texts):
    assert say.kpi_values("csat", *values) == texts


def test_a_percentage_that_is_nothing_has_no_sign():
    assert say.percent(-0.001) == "0.00 %"
    assert say.percent(-0.01) == "-0.01 %"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("onboarding_time_days", "onboarding time"), ("pipeline_days", "pipeline"), ("csat", "csat"), ("days", "days"),
        ("first_touch_rate", "first touch rate"), (None, "no KPI"),
    ],
)  # fmt: skip
def test_a_kpi_is_said_without_its_unit(name, words):
    assert say.kpi_words(name) == words


def test_only_tested_evidence_is_worded_as_a_claim():
    assert say.evidence_words("direction_only", 2) == "signal from 2 runs, not proven"
    assert say.evidence_words("suggestive", 12) == "signal from 12 runs, likely but not proven"
    assert say.evidence_words("tested", 20) == "tested over 20 runs: unlikely to be chance"
    assert say.evidence_words("direction_only", 1) == "signal from 1 run, not proven"
    assert say.evidence_words(None, None) == "signal from few runs, not proven"


def test_parts_are_joined_as_in_speech():
    assert say.listed([]) == ""
    assert say.listed(["a"]) == "a"
    assert say.listed(["a", "b", "c"]) == "a, b and c"

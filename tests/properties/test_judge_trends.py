"""Properties of trends: units, direction and scipy do not matter to what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kendall_score import kendall_score
from scipy import stats

from mission_pipeline.judge.kendall import kendall_p_values
from mission_pipeline.judge.scorecards import residual_shares
from mission_pipeline.judge.trends import FLAT, IMPROVING, INSUFFICIENT_DATA, WORSENING, Tolerance, trends_of

MIRROR = {IMPROVING: WORSENING, WORSENING: IMPROVING, FLAT: FLAT, INSUFFICIENT_DATA: INSUFFICIENT_DATA}
values_of_runs = st.lists(st.integers(1, 10_000).map(lambda n: n / 10), min_size=1, max_size=25)


def one(values, policy, sign=1.0, tolerance=Tolerance(0.05, is_relative=True)):  # noqa: B008
    return trends_of(np.array([values], float), sign, tolerance, policy.trend)


@settings(max_examples=150)
@given(values_of_runs, st.sampled_from([0.001, 0.25, 3.0, 60.0, 1440.0]))
def test_a_trend_does_not_depend_on_the_unit(policy, values, factor):
    assert one(values, policy).labels == one([value * factor for value in values], policy).labels


@settings(max_examples=100)
@given(values_of_runs)
def test_the_mirror_image_of_a_series_has_the_mirror_image_of_its_trend(policy, values):
    there, back = one(values, policy), one(values, policy, sign=-1.0)
    assert MIRROR[int(there.labels[0])] == back.labels[0]
    np.testing.assert_array_equal(there.p_values, back.p_values)
    np.testing.assert_array_equal(there.slopes, -back.slopes)


@settings(max_examples=100)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_the_slope_is_that_of_scipy(policy, values):
    assert one(values, policy).slopes[0] == pytest.approx(stats.theilslopes(values).slope, rel=1e-9, abs=1e-9)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 10_000), min_size=5, max_size=20, unique=True))
def test_without_ties_the_p_value_is_that_of_scipy(values):
    expected = stats.kendalltau(range(len(values)), values, method="exact").pvalue
    assert kendall_p_values(np.array([values], float), np.array([kendall_score(values)]))[0] == pytest.approx(expected)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=5, max_size=20))
def test_with_ties_the_p_values_of_every_order_form_a_distribution(values):
    """Under the null a p value is at most p with a probability of at most p: checked over random orders of one series."""
    rng = np.random.default_rng(3)
    orders = np.array([rng.permutation(values) for _ in range(400)], float)
    p_values = kendall_p_values(orders, np.array([kendall_score(list(order)) for order in orders]))
    assert np.all((p_values > 0) & (p_values <= 1))
    assert (p_values <= 0.05).mean() <= 0.05 + 4 * (0.05 * 0.95 / 400) ** 0.5


@settings(max_examples=80)
@given(st.lists(st.integers(1, 1000).map(float), min_size=3, max_size=10))
def test_the_residual_share_is_that_of_a_fitted_line(values):
    x = np.arange(len(values))
    residuals = np.array(values) - np.polyval(np.polyfit(x, values, 1), x)
    expected = np.sqrt((residuals**2).sum() / (len(values) - 2)) / np.mean(values)
    padded = np.array([[np.nan, np.nan, *values]])
    assert residual_shares(padded, 3)[0] == pytest.approx(expected, abs=1e-9)

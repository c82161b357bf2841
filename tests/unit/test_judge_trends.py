"""Statistics of the judgement against brute force and scipy, and trend labels at both sides of every tolerance."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from kendall_score import kendall_score
from scipy import stats

from mission_pipeline.contracts.judged import TREND_LABELS
from mission_pipeline.judge.kendall import kendall_p_values, p_values_by_score
from mission_pipeline.judge.trends import Tolerance, holm_rejects, trends_of

NAN = float("nan")
RELATIVE = Tolerance(0.05, is_relative=True)
POINTS = Tolerance(5.0)
COUNT = Tolerance(0.5)


def trend(policy, values, tolerance=RELATIVE, sign=1.0):
    """Label, count, slope, p of one series."""
    found = trends_of(np.array([values], float), sign, tolerance, policy.trend)
    return TREND_LABELS[found.labels[0]], int(found.counts[0]), float(found.slopes[0]), float(found.p_values[0])


def label(policy, values, tolerance=RELATIVE, sign=1.0):
    return trend(policy, values, tolerance, sign)[0]


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5], [1, 1, 2, 3, 4], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 2, 2, 3, 3], [1, 2, 2, 2, 3, 4, 4],
        [1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 1, 1, 1, 1],
    ],
)  # fmt: skip
def test_the_p_value_is_the_share_of_all_orders_that_are_as_extreme(values):
    scores = [abs(kendall_score(list(order))) for order in permutations(values)]
    orders = np.array(sorted(set(permutations(values))), float)
    found = kendall_p_values(orders, np.array([kendall_score(list(order)) for order in orders]))
    for order, p_value in zip(orders, found, strict=True):
        least = abs(kendall_score(list(order)))
        assert p_value == pytest.approx(sum(score >= least for score in scores) / len(scores), abs=1e-15)


def test_five_values_in_perfect_order_have_the_p_value_of_the_tables():
    assert p_values_by_score(5, ())[10] == 2 / 120


def test_equal_values_prove_nothing():
    assert p_values_by_score(6, (6,)).tolist() == [1.0]


def test_counts_beyond_64_bits_stay_exact():
    """25 values in perfect order: two of 25! orders."""
    values = np.arange(25.0)
    expected = stats.kendalltau(np.arange(25), values, method="exact").pvalue
    assert kendall_p_values(values[None, :], np.array([300]))[0] == pytest.approx(expected, rel=1e-12)


def test_the_slope_is_the_median_of_all_slopes(policy):
    values = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0]
    assert trend(policy, values)[2] == stats.theilslopes(values).slope


# ---------------------------------------------------------------- end points, up to four runs


@pytest.mark.parametrize("values", [[], [7.0], [NAN, 7.0, NAN]])
def test_fewer_than_two_known_runs_are_insufficient(policy, values):
    found = trend(policy, values or [NAN])
    assert found[0] == "insufficient_data"
    assert found[1] == len([value for value in values if value == value])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100, 105], "flat"), ([100, 105.01], "improving"), ([100, 95], "flat"), ([100, 94.99], "worsening"),
        ([2.0, 1.9], "flat"),  # in binary 2.0 - 1.9 is more than 0.1
        ([0.3, 0.315], "flat"),
        ([100, 120, 121], "flat"),  # far better than the first, but not than the previous
        ([100, 80, 90], "flat"),  # better than the previous, worse than the first
        ([100, 110, 120, 140], "improving"), ([140, 120, 110, 100], "worsening"),
        ([0, 0], "flat"), ([0, 0.001], "improving"), ([-100, -94], "improving"), ([-100, -95], "flat"),
    ],
)  # fmt: skip
def test_end_points_must_differ_by_more_than_the_relative_tolerance(policy, values, expected):
    assert label(policy, values) == expected


def test_lower_is_better_turns_it_round(policy):
    assert label(policy, [10, 8], sign=-1.0) == "improving"
    assert label(policy, [8, 10], sign=-1.0) == "worsening"
    assert trend(policy, [10, 8], sign=-1.0)[2] == 2


@pytest.mark.parametrize(
    ("values", "tolerance", "expected"),
    [
        ([60, 65], POINTS, "flat"), ([60, 65.1], POINTS, "improving"), ([60, 55], POINTS, "flat"),
        ([1, 1.5], COUNT, "flat"), ([1, 2], COUNT, "improving"), ([23.5, 98.2, 99.1], POINTS, "flat"),
        ([7.7, 82.4, 98.2], POINTS, "improving"), ([83.3, 8.6], POINTS, "worsening"),
    ],
)  # fmt: skip
def test_absolute_tolerances(policy, values, tolerance, expected):
    assert label(policy, values, tolerance) == expected


def test_up_to_four_runs_nothing_is_tested(policy):
    assert np.isnan(trend(policy, [1, 2, 3, 4])[3])
    assert trend(policy, [1, 2, 3, 4, 5])[3] == 2 / 120


def test_without_a_direction_nothing_is_concluded(policy):
    assert trend(policy, [1, 2, 3, 4, 5, 6], sign=0.0)[:2] == ("insufficient_data", 6)
    assert label(policy, [1, 2, 3, 4, 5, 6], sign=NAN) == "insufficient_data"


# ---------------------------------------------------------------- the line, from five runs on


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([98, 99, 100, 101, 102], "flat"),  # 4 over the window, 4 % of the median
        ([97.5, 98.75, 100, 101.25, 102.5], "flat"),  # exactly 5 %
        ([97, 98.5, 100, 101.5, 103], "improving"),
        ([103, 101.5, 100, 98.5, 97], "worsening"),
        ([0, 0, 0, 0, 0], "flat"),
        ([-2, -1, 0, 1, 2], "improving"),  # any change is more than 5 % of a median of 0
    ],
)
def test_the_fitted_change_over_the_window_must_exceed_the_tolerance(policy, values, expected):
    assert label(policy, values) == expected


def test_one_outlier_does_not_turn_the_line(policy):
    assert label(policy, [100, 100, 100, 100, 100, 1000]) == "flat"


def test_only_the_last_window_counts(policy):
    rising = list(range(100, 120))
    assert trend(policy, [500.0] * 30 + rising)[:3] == ("improving", 20, 1.0)


def test_unknown_values_are_skipped_and_not_counted(policy):
    assert trend(policy, [1, NAN, 2, NAN, NAN, 3, 4, NAN, 5]) == trend(policy, [1, 2, 3, 4, 5])


# ---------------------------------------------------------------- many tests at once


def holm(p_values, level):
    """Holm's correction by its words."""
    made = sorted(p for p in p_values if p == p)
    last = -1.0
    for place, p in enumerate(made):
        if p > level / (len(made) - place):
            break
        last = p
    return [p == p and p <= last for p in p_values]


def test_holm_takes_all_trends_of_a_day_together():
    p_values = np.array([0.012, 0.03, NAN, 0.02, 0.2, 0.04])
    families = np.array([0, 0, 0, 0, 1, 1])
    # Day 0: three tests, 0.012 ≤ 0.05/3, 0.02 ≤ 0.05/2, 0.03 ≤ 0.05. Day 1: 0.04 > 0.05/2.
    assert holm_rejects(p_values, families, 0.05).tolist() == [True, True, False, True, False, False]


def test_holm_stops_at_the_first_that_fails():
    p_values = np.array([0.001, 0.03, 0.031])
    assert holm_rejects(p_values, np.zeros(3, int), 0.05).tolist() == [True, False, False]
    assert holm([0.001, 0.03, 0.031], 0.05) == [True, False, False]


def test_holm_without_tests():
    assert holm_rejects(np.array([NAN, NAN]), np.zeros(2, int), 0.05).tolist() == [False, False]
    assert holm_rejects(np.empty(0), np.empty(0, int), 0.05).tolist() == []


def test_ties_among_p_values_stand_or_fall_alike():
    rng = np.random.default_rng(7)
    for _ in range(200):
        p_values = rng.choice([0.001, 0.004, 0.01, 0.02, 0.05, 0.3, NAN], size=12)
        families = np.sort(rng.integers(0, 3, size=12))
        expected = [NAN] * 12
        for family in range(3):
            rows = np.flatnonzero(families == family)
            for row, holds in zip(rows, holm(p_values[rows].tolist(), 0.05), strict=True):
                expected[row] = holds
        assert holm_rejects(p_values, families, 0.05).tolist() == expected


def test_ties_are_counted_as_scipy_counts_them():
    """tau-b of scipy and our S agree through the number of pairs that are tied in neither."""
    values = [1, 2, 2, 3, 3, 3, 4]
    untied = 21 - sum(count * (count - 1) // 2 for count in Counter(values).values())
    tau = stats.kendalltau(range(7), values).statistic
    assert kendall_score(values) == pytest.approx(tau * (21 * untied) ** 0.5)

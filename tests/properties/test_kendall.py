"""The judgement's statistics against published worked examples, every order of every pattern of ties, and scipy.

The exhaustive part takes each pattern of ties up to eight values, so nothing of it is left to chance.
"""

from itertools import combinations, permutations
from math import comb, factorial, prod
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kendall_score import kendall_score
from scipy import stats

from mission_pipeline.intervals import wilson_interval
from mission_pipeline.judge.kendall import kendall_p_values, p_values_by_score
from mission_pipeline.judge.scorecards import wilson_bounds
from mission_pipeline.judge.trends import Tolerance, holm_rejects, trends_of


def scores_of(orders):
    """Kendall's S of many series at once: rising pairs less falling ones."""
    return sum(np.sign(orders[:, later] - orders[:, early]) for early, later in combinations(range(orders.shape[1]), 2))


def p_value(values):
    return float(kendall_p_values(np.array([values], float), np.array([kendall_score(list(values))]))[0])


def patterns_of_ties(length, largest=None):
    """Every way to split a number of values into groups of equal ones: sizes, descending."""
    if length == 0:
        yield ()
    for size in range(min(length, largest or length), 0, -1):
        yield from ((size, *rest) for rest in patterns_of_ties(length - size, size))


# ---------------------------------------------------------------- Kendall


@pytest.mark.parametrize("length", range(1, 9))
def test_every_pattern_of_ties_has_the_p_values_of_all_its_orders(length):
    """Orders of the places are as likely as each other; tied values make several of them look the same."""
    orders_of_places = np.array(list(permutations(range(length))), np.int8)
    for sizes in patterns_of_ties(length):
        values = np.repeat(np.arange(len(sizes)), sizes).astype(np.int8)
        sizes_of_scores = np.abs(scores_of(values[orders_of_places])) if length > 1 else np.zeros(1, np.int8)
        found = p_values_by_score(length, tuple(sorted(size for size in sizes if size > 1)))
        for score, p in enumerate(found.tolist()):
            expected = (sizes_of_scores >= score).sum() / factorial(length)
            if (sizes_of_scores == score).any():
                assert p == pytest.approx(expected, abs=1e-15), (sizes, score)
            else:
                assert np.isnan(p), (sizes, score)


KENDALL_TABLE = {
    5: {0: 0.592, 2: 0.408, 4: 0.242, 6: 0.117, 8: 0.042, 10: 0.0083},
    8: {0: 0.548, 2: 0.452, 4: 0.360, 6: 0.274, 8: 0.199, 10: 0.138, 12: 0.089, 14: 0.054, 16: 0.031, 18: 0.016,
        20: 0.0071, 22: 0.0028, 24: 0.00087},
}  # fmt: skip
"""Kendall (1970), Rank Correlation Methods, appendix table 1: the probability of a score of at least S, one-sided."""


@pytest.mark.parametrize(("length", "score"), [(n, s) for n, table in KENDALL_TABLE.items() for s in table])
def test_the_p_values_are_those_of_kendalls_table(length, score):
    one_sided = KENDALL_TABLE[length][score]
    two_sided = p_values_by_score(length, ())[score]
    if score == 0:
        assert two_sided == 1
    else:
        digits = 3 if one_sided >= 0.01 else 4 if one_sided >= 0.001 else 5
        assert two_sided / 2 == pytest.approx(one_sided, abs=0.51 * 10**-digits)


def test_the_worked_example_of_gilbert():
    """Gilbert (1987), Statistical Methods for Environmental Pollution Monitoring, 16.4: 10, 15, 14, 20.

    S is 4; his table A18 gives 0.167 for at least that, one-sided.
    """
    assert kendall_score([10, 15, 14, 20]) == 4
    assert p_value([10, 15, 14, 20]) == pytest.approx(2 * 4 / 24)


@settings(max_examples=60)
@given(st.integers(21, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 2**32))))
def test_long_series_without_ties_have_the_p_value_of_scipy(length_and_seed):
    """Beyond 20 values the counts of orders pass 64 bits; a policy may ask for windows of up to 60 runs."""
    length, seed = length_and_seed
    chance = Random(seed)
    values = list(range(length))
    if chance.random() < 0.5:  # half of them nearly in order: small p values are where digits get lost
        for place in chance.sample(range(length - 1), 4):
            values[place], values[place + 1] = values[place + 1], values[place]
    else:
        chance.shuffle(values)
    expected = stats.kendalltau(range(length), values, method="exact").pvalue
    assert p_value(values) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12))
def test_two_groups_of_equal_values_are_a_rank_sum_test(zeros, ones):
    """With values of two kinds, S counts what the rank-sum test counts: the completion of runs is such a series."""
    if zeros + ones < 5:
        return
    values = [0] * zeros + [1] * ones
    assert p_value(values) == pytest.approx(min(1, 2 / comb(zeros + ones, ones)))
    swapped = [*values[: zeros - 1], 1, 0, *values[zeros + 1 :]]
    places = [place for place, value in enumerate(swapped) if value]
    others = [place for place, value in enumerate(swapped) if not value]
    expected = stats.mannwhitneyu(places, others, method="exact").pvalue
    assert p_value(swapped) == pytest.approx(expected)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=5, max_size=20))
def test_neither_direction_nor_scale_matters_to_the_test(values):
    p = p_value(values)
    assert p_value(values[::-1]) == p
    assert p_value([-value for value in values]) == p
    assert p_value([value**3 + 7 for value in values]) == p
    assert p >= 1 / factorial(len(values)) * prod(factorial(values.count(value)) for value in set(values))


# ---------------------------------------------------------------- Theil and Sen


def slope(policy, values):
    trends = trends_of(np.array([values], float), 1.0, Tolerance(0.05, is_relative=True), policy.trend)
    return float(trends.slopes[0])


def test_the_slope_of_gilberts_example(policy):
    """The six slopes are 5, 2, 10/3, −1, 2.5 and 6: the median lies between 2.5 and 10/3."""
    assert slope(policy, [10, 15, 14, 20]) == pytest.approx((2.5 + 10 / 3) / 2)


@settings(max_examples=80)
@given(
    st.lists(st.one_of(st.none(), st.integers(-50, 50).map(lambda n: n / 4)), min_size=2, max_size=45).filter(
        lambda values: len([value for value in values if value is not None]) >= 2
    )
)
def test_the_slope_of_the_last_known_runs_is_that_of_scipy(policy, values):
    """Unknown values are left out, the window holds the last known ones, and ties are common."""
    window = policy.trend.window_runs
    known = [value for value in values[-window:] if value is not None]
    if len(known) < 2:
        return
    given_values = [np.nan if value is None else value for value in values]
    assert slope(policy, given_values) == pytest.approx(stats.theilslopes(known).slope, abs=1e-12)


# ---------------------------------------------------------------- Wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_newcombes_table(successes, trials, low, high):
    """Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    interval = wilson_interval(successes, trials)
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def test_the_table_of_intervals_is_that_of_scipy():
    """Every rate that ten runs can have, and none at all; the judgement looks bounds up instead of computing them."""
    pairs = [(successes, trials) for trials in range(11) for successes in range(trials + 1)]
    successes, trials = (np.array(part) for part in zip(*pairs, strict=True))
    low, high = wilson_bounds(successes, trials, 10, 0.95)
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    for place, (found, of) in enumerate(pairs[1:], 1):
        expected = stats.binomtest(found, of).proportion_ci(0.95, method="wilson")
        assert (low[place], high[place]) == (
            pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high, abs=1e-12),
        )  # fmt: skip


# ---------------------------------------------------------------- Holm


def holm_by_its_words(p_values, level):
    """Take the smallest p, hold it against level over the number of tests left, and stop at the first that fails."""
    left = {place: p for place, p in enumerate(p_values) if p is not None}
    rejected = set()
    while left:
        place = min(left, key=left.__getitem__)
        if left[place] > level / len(left):
            break
        rejected.add(place)
        del left[place]
    return [place in rejected for place in range(len(p_values))]


def test_the_textbook_example_of_holm():
    """Four hypotheses, 0.01, 0.04, 0.03 and 0.005 at 5 %: the fourth falls, then the first, and the third stops it."""
    p_values = [0.01, 0.04, 0.03, 0.005]
    expected = [True, False, False, True]
    assert holm_by_its_words(p_values, 0.05) == expected
    assert holm_rejects(np.array(p_values), np.zeros(4, int), 0.05).tolist() == expected


@settings(max_examples=150)
@given(
    st.lists(st.lists(st.one_of(st.none(), st.integers(1, 400).map(lambda n: n / 2000)), max_size=14), max_size=4),
    st.sampled_from([0.01, 0.05, 0.1]),
    st.randoms(use_true_random=False),
)
def test_holm_by_its_words_in_each_family(families, level, chance):
    """The families lie mixed in the array, as missions and series do; p values are multiples of 0.0005, so ties occur."""
    tests = [(family, place) for family, p_values in enumerate(families) for place in range(len(p_values))]
    chance.shuffle(tests)
    expected = [holm_by_its_words(p_values, level) for p_values in families]
    found = holm_rejects(
        np.array([np.nan if families[f][p] is None else families[f][p] for f, p in tests], float),
        np.array([family for family, _ in tests], int),
        level,
    )
    assert found.tolist() == [expected[family][place] for family, place in tests]

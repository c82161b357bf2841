import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mission_pipeline.intervals import wilson_interval


def test_three_of_three_is_far_from_certain():
    interval = wilson_interval(3, 3)
    assert interval is not None
    assert interval.low == pytest.approx(0.4385, abs=1e-4)
    assert interval.high == 1.0


def test_without_a_trial_nothing_is_known():
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize(("successes", "trials"), [(4, 3), (-1, 3)])
def test_a_rate_that_cannot_be_is_refused(successes, trials):
    with pytest.raises(ValueError, match="is no rate"):
        wilson_interval(successes, trials)


@given(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.95, 0.99])
)
def test_it_agrees_with_scipy(counts, confidence):
    successes, trials = counts
    ours = wilson_interval(successes, trials, confidence)
    theirs = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)

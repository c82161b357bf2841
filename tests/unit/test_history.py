import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_pipeline.history import NO_ROW, as_of_windows


def windows(rows, size):
    """``rows``: (group, day) in the rows' own order."""
    found = as_of_windows(
        np.array([g for g, _ in rows], np.int64), np.array([d for _, d in rows], "datetime64[D]"), size
    )
    return [
        (int(g), int(d.astype(int)), [int(r) for r in w if r != NO_ROW], int(n))
        for g, d, w, n in zip(found.groups, found.days, found.rows, found.counts, strict=True)
    ]


def test_each_day_with_news_sees_what_was_known_by_its_end():
    assert windows([(0, 1), (0, 1), (0, 3), (1, 2)], size=2) == [
        (0, 1, [0, 1], 2),
        (0, 3, [1, 2], 3),
        (1, 2, [3], 1),
    ]


def test_a_run_that_started_earlier_and_ended_later_takes_its_own_place():
    assert windows([(0, 5), (0, 2), (0, 9)], size=3) == [(0, 2, [1], 1), (0, 5, [0, 1], 2), (0, 9, [0, 1, 2], 3)]


def test_a_window_longer_than_all_rows_does_not_reach_before_the_first():
    assert windows([(0, 4), (0, 1), (0, 2)], size=20) == [(0, 1, [1], 1), (0, 2, [1, 2], 2), (0, 4, [0, 1, 2], 3)]


def test_no_rows_give_no_states():
    assert windows([], size=3) == []


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), max_size=25), st.integers(1, 40))
def test_it_equals_looking_at_each_day_alone(rows, size):
    rows = sorted(rows, key=lambda row: row[0])
    expected = []
    for group in sorted({g for g, _ in rows}):
        for day in sorted({d for g, d in rows if g == group}):
            known = [i for i, (g, d) in enumerate(rows) if g == group and d <= day]
            expected.append((group, day, known[-size:], len(known)))
    assert windows(rows, size) == expected

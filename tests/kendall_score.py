"""Kendall's S of one series, by looking at every pair."""

from itertools import combinations


def kendall_score(values: list[float]) -> int:
    """Return rising pairs less falling ones."""
    pairs = list(combinations(values, 2))
    return sum(bool(later > earlier) for earlier, later in pairs) - sum(
        bool(later < earlier) for earlier, later in pairs
    )

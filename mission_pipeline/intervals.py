"""The interval of a rate. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist


@dataclass(frozen=True)
class Interval:
    """Bounds of a rate, as shares 0-1."""

    low: float
    high: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval | None:
    """Return the Wilson score interval of a rate.

    Args:
        successes: how many of ``trials`` had the property; 0 ≤ successes ≤ trials.
        trials: how often it was looked at.
        confidence: 0-1.

    Returns:
        Bounds as shares 0-1; ``None`` when there was no trial: nothing is known, which is not a rate of 0.

    Raises:
        ValueError: more successes than trials, or a negative number.

    Source:
        Wilson (1927), JASA 22, 209-212; 3 of 3 gives 0.44-1.00. Written out, for scipy.stats takes two seconds to load.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no rate")
    if trials == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / trials
    spread = z * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    middle = rate + z * z / (2 * trials)
    scale = 1 + z * z / trials
    low, high = (middle - spread) / scale, (middle + spread) / scale
    # At the ends the formula gives 0 and 1 but for rounding.
    return Interval(0.0 if successes == 0 else low, 1.0 if successes == trials else high)

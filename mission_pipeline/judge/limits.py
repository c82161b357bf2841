"""Comparisons with limits that decimal figures meet exactly. No limit stands here.

2.0 less 1.9 is 0.10000000000000009 in binary: without a margin it would be more than 5 % of 2.0. Scores are sums of
rounded products, so 85 may come out as 84.99999999999999. Both would turn a verdict by an error of the arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ROUNDING_MARGIN = 1e-9
"""Relative: far above the rounding of a few operations, far below any figure that people report."""


def exceeds(value: Any, limit: Any, scale: Any = None) -> Any:
    """Whether a value is above a limit by more than rounding; False where either is unknown (NaN).

    ``scale``: the size of the numbers compared, where ``limit`` does not tell; by default ``max(1, |limit|)``.
    """
    return np.asarray(value) > np.asarray(limit) + ROUNDING_MARGIN * _scale(limit, scale)


def reaches(value: Any, limit: Any, scale: Any = None) -> Any:
    """Whether a value is at a limit or above, but for rounding; False where either is unknown (NaN)."""
    return np.asarray(value) >= np.asarray(limit) - ROUNDING_MARGIN * _scale(limit, scale)


def _scale(limit: Any, scale: Any) -> Any:
    return np.maximum(1.0, np.abs(limit)) if scale is None else scale

"""Status of missions and of the portfolio, from health, triggers and cut-offs. Codes are places in MISSION_STATUSES."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mission_pipeline.contracts.judged import MISSION_STATUSES
from mission_pipeline.judge.limits import Flags, Floats, reaches
from mission_pipeline.policy import StatusPolicy

Codes = npt.NDArray[np.int8]
Integers = npt.NDArray[np.int64]

ON_TRACK, WATCH, ATTENTION_REQUIRED, NO_DATA = range(len(MISSION_STATUSES))


def mission_statuses(
    health: Floats, has_finished: Flags, has_high_trigger: Flags, on_track_from: Any, watch_from: Any
) -> Codes:
    """Return each mission's status.

    A finished run without a health score, for want of a known KPI or the like, is WATCH: unknown is never success, and
    no proof of failure either. A high trigger caps the status at WATCH: it may be worse, not better.
    """
    codes = np.full(len(health), ATTENTION_REQUIRED, np.int8)
    codes[reaches(health, watch_from) | np.isnan(health)] = WATCH
    codes[reaches(health, on_track_from) & ~has_high_trigger] = ON_TRACK
    codes[~has_finished] = NO_DATA
    return codes


def at_risk(statuses: Codes, has_high_trigger: Flags) -> Flags:
    """Whether a mission needs attention or has a high trigger."""
    is_at_risk: Flags = (statuses == ATTENTION_REQUIRED) | has_high_trigger
    return is_at_risk


def portfolio_statuses(
    on_track: Integers,
    watch: Integers,
    attention: Integers,
    has_trigger: Flags,
    policy: StatusPolicy,
) -> Codes:
    """Return the portfolio's status for counts of missions by status.

    Missions without data decide nothing: they count neither in the portfolio's size nor in its shares. In a small
    portfolio the worst mission decides, in a larger one shares do. A trigger of the portfolio caps it at WATCH.
    """
    judged = on_track + watch + attention
    is_small = judged <= policy.small_portfolio_missions
    size = np.maximum(judged, 1)
    is_attention = np.where(is_small, attention > 0, reaches(attention / size, policy.attention_share))
    is_watch = np.where(is_small, watch > 0, (attention > 0) | reaches(watch / size, policy.watch_share))
    codes = np.where(is_attention, ATTENTION_REQUIRED, np.where(is_watch | has_trigger, WATCH, ON_TRACK))
    return np.where(judged == 0, NO_DATA, codes).astype(np.int8)

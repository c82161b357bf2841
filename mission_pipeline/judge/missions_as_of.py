"""The missions as of one day: one state each, judged, in windows one run longer than any rule looks at.

That spare run lets a run be taken out, as the confidence does, or a next one be added, as the path to ON_TRACK does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np

from mission_pipeline.judge.days import Judged, judge_states, longest_window, policies_of
from mission_pipeline.judge.inputs import Inputs
from mission_pipeline.judge.portfolio import Telemetry, telemetry_by_day
from mission_pipeline.judge.status import Codes
from mission_pipeline.judge.windows import LateEvents, States, states_by_day
from mission_pipeline.policy import Policy


@dataclass(frozen=True)
class MissionsAsOf:
    """The missions as of a day: ``states`` and ``judged`` have one line per mission, in the order of ``inputs``."""

    inputs: Inputs
    policies: list[Policy]
    as_of: date
    states: States
    judged: Judged

    @property
    def statuses(self) -> Codes:
        """The missions' statuses, as codes of MISSION_STATUSES."""
        return self.judged.columns["status"]

    @cached_property
    def telemetry(self) -> Telemetry:
        """What runs and events say of the portfolio on that day."""
        return telemetry_by_day(self.inputs, np.array([self.as_of], "datetime64[D]"))


def missions_as_of(inputs: Inputs, policy: Policy, as_of: date) -> MissionsAsOf:
    """Judge every mission as of a day.

    Args:
        inputs: read with ``through=as_of``.
        policy: the portfolio's.
        as_of: the day judged.
    """
    policies = policies_of(inputs, policy)
    last = np.datetime64(as_of)
    cancelled, _ = inputs.ended("cancelled")
    nothing = np.empty(0, np.int64)
    # With everything known as of one day there is one state per mission.
    all_known = replace(inputs.runs, days=np.full(len(inputs.runs), last))
    states = states_by_day(
        all_known,
        missions=inputs.missions.height,
        first_day=last,
        cancelled=(cancelled, np.full(len(cancelled), last)),
        late_events=LateEvents(nothing, nothing.astype("datetime64[D]"), nothing),
        other_news=(nothing, nothing.astype("datetime64[D]")),
        size=longest_window(policies) + 1,
    )
    inputs = replace(inputs, runs=all_known)
    return MissionsAsOf(inputs, policies, as_of, states, judge_states(inputs, states, policies))

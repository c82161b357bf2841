"""What is due at a gate that waits: a reminder, a time limit, a risk. Pure: the policy and the time in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mission_pipeline.policy import Policy
from mission_pipeline.runner import risk
from mission_pipeline.runner.canonical import minutes_between
from mission_pipeline.runner.model import RiskEvent

Row = sa.Row[Any]

TIME_LIMIT = "time limit"
"""Who decided, where nobody did in time."""


@dataclass(frozen=True)
class DueAtGate:
    """What the policy wants done about a gate that waits."""

    risks: list[RiskEvent]
    is_reminded: bool
    is_escalated: bool
    is_rejected: bool


@dataclass(frozen=True)
class GateNews:
    """What was done about a gate that waits. ``words``: for whoever looks on."""

    run_id: str
    task_id: str
    words: str


def due_at_gate(policy: Policy, gate: Row, now: datetime) -> DueAtGate:
    """Return what is due at an open gate. Each limit holds from its very minute on; 0 minutes is never.

    Args:
        policy: of the gate's mission.
        gate: of ``approval``.
        now: the run's own time.
    """
    limits = policy.runner.gates
    waited = minutes_between(gate.requested_at, now)
    is_over = bool(limits.time_limit_minutes) and waited >= limits.time_limit_minutes
    is_late = bool(limits.reminder_after_minutes) and waited >= limits.reminder_after_minutes
    return DueAtGate(
        risks=risk.approval_delay(policy, gate.task_id, waited),
        is_reminded=is_late and gate.reminded_at is None,
        is_escalated=is_over and limits.on_time_limit == "escalate" and gate.escalated_at is None,
        is_rejected=is_over and limits.on_time_limit == "reject",
    )

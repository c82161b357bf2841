"""The words that the runner's rooms share: a plan, an agent, a call, an answer, a gate. No behaviour, no storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

RunStatus = Literal["running", "blocked", "completed", "failed", "cancelled"]
"""``blocked``: nothing can go on until a person decides at a gate."""
TaskStatus = Literal["pending", "running", "completed", "blocked", "failed"]
BlockedReason = Literal["approval", "dependency_failed", "run_cancelled"]
Outcome = Literal["completed", "approved", "rejected", "failed", "escalated", "timed_out", "cancelled"]
"""Of one attempt, as ``task_execution_logs`` has it."""
GateStatus = Literal["open", "approved", "rejected", "void", "cancelled"]
Verdict = Literal["approved", "rejected"]
Severity = Literal["low", "medium", "high"]

LARGEST_KPI = 1e12
"""A KPI's value is no farther from 0 than this: what is, was measured in error."""
ENDED_RUNS: tuple[RunStatus, ...] = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class PlannedTask:
    """A task of a mission's plan. ``estimated_minutes`` is None where the plan gives none."""

    task_id: str
    task_name: str | None
    task_order: int | None
    depends_on: tuple[str, ...]
    estimated_minutes: float | None
    requires_approval: bool
    capable_agents: tuple[str, ...]


@dataclass(frozen=True)
class KpiTarget:
    """A KPI of a mission, as ``staging.mission_kpis`` has it. ``limit_kind``: target, floor or ceiling."""

    kpi_name: str
    direction: str
    baseline_value: float | None
    target_value: float | None
    is_primary: bool
    limit_kind: str


@dataclass(frozen=True)
class MissionPlan:
    """A mission whose plan has no fault, with its tasks by order, then id."""

    mission_id: str
    mission_name: str | None
    owner: str | None
    tasks: tuple[PlannedTask, ...]
    kpis: tuple[KpiTarget, ...]


@dataclass(frozen=True)
class Agent:
    """An agent as the registry names it. ``endpoint`` says how it is reached; None: it cannot be."""

    agent_id: str
    name: str | None
    status: str | None
    endpoint: Mapping[str, Any] | None

    @property
    def is_available(self) -> bool:
        """Whether the registry says that it takes work, and how."""
        return self.status == "available" and self.endpoint is not None


@dataclass(frozen=True)
class Claim:
    """A task that one worker holds until ``lease_until``. ``fence`` grows with every claim: an older one is void.

    ``tried``: agent of each earlier attempt, in order. ``agent_id``: set when this attempt was given to an agent before
    its worker died; the same agent is called again with the same key, so that it can tell. ``results``: of the tasks
    that it depends on, by task. ``rejection``: why a person rejected an attempt before, None if none did.
    ``takeovers``: how often this attempt was taken from a worker that had not been heard of.
    """

    run_id: str
    mission_id: str
    mission_name: str | None
    task_id: str
    task_name: str | None
    attempt: int
    fence: int
    worker_id: str
    lease_until: datetime
    estimated_minutes: float | None
    requires_approval: bool
    capable_agents: tuple[str, ...]
    tried: tuple[str, ...]
    agent_id: str | None
    mission_input: Mapping[str, Any]
    results: Mapping[str, Any]
    rejection: str | None = None
    takeovers: int = 0

    @property
    def key(self) -> str:
        """The idempotency key of the call."""
        return f"{self.run_id}:{self.task_id}:{self.attempt}"


@dataclass(frozen=True)
class Choice:
    """The agent that an attempt goes to, and why.

    ``scores``: a row per agent that could be asked: agent_id, rank, score, speed_score, quality_score, executions,
    source (``warehouse`` or ``prior``), attempts so far. ``warehouse_version``: of the figures used, None without any.
    """

    agent_id: str
    reason: str
    scores: tuple[Mapping[str, Any], ...]
    warehouse_version: str | None
    is_exploration: bool = False


@dataclass(frozen=True)
class Answer:
    """What an agent gave back: a result to judge, a line about it, and the KPIs that it measured."""

    result: Mapping[str, Any]
    summary: str | None = None
    kpis: Mapping[str, float] = field(default_factory=dict)


class AgentFault(Exception):
    """An attempt that gave no result. ``outcome``: failed, timed_out, or escalated by the agent itself."""

    def __init__(self, message: str, outcome: Outcome = "failed") -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class RiskEvent:
    """A risk that a rule saw while the run went on. ``rule_subject`` tells two of one task and type apart."""

    risk_type: str
    severity: Severity
    task_id: str | None
    description: str
    rule_subject: str = ""


@dataclass(frozen=True)
class Decision:
    """The decision that stands at a gate."""

    approval_id: str
    run_id: str
    task_id: str
    verdict: Verdict
    decided_by: str
    decided_at: datetime
    reason: str | None


@dataclass(frozen=True)
class TelemetryRow:
    """A record that waits to be written to the raw data.

    ``id`` grows in the order in which rows become ready: the pending rows are a sequence. ``line``: the record as
    JSON, without a line end. ``created_at``: names the month of its file.
    """

    id: int
    data_set: str
    line: str
    created_at: datetime

"""The data sets of the raw-data folder: fields, types, keys, what is required. No table of the warehouse.

Types say how a JSON value is read: ``id`` and ``text`` as VARCHAR, ``number`` as DOUBLE, ``count`` as BIGINT,
``flag`` as BOOLEAN, ``time`` as TIMESTAMP (UTC), ``date`` as DATE, ``ids`` as VARCHAR[], ``json`` as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

FieldType = Literal["id", "text", "number", "count", "flag", "time", "date", "ids", "json"]

DUCKDB_INPUT_TYPES: dict[FieldType, str] = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "number": "DOUBLE",
    "count": "BIGINT",
    "flag": "BOOLEAN",
    "time": "TIMESTAMP",
    "date": "DATE",
    "ids": "VARCHAR[]",
    "json": "JSON",
}


@dataclass(frozen=True)
class InputField:
    """One field of an input record. ``is_required``: a record without it, or with null, is rejected."""

    name: str
    type: FieldType
    is_required: bool = False


@dataclass(frozen=True)
class InputDataSet:
    """One data set.

    ``kind``: *reference* (the last file is the whole truth), *telemetry* and *reported* (upserted by ``key``).
    ``is_required``: a refresh without any file of it stops.
    """

    name: str
    kind: Literal["reference", "telemetry", "reported"]
    is_required: bool
    key: tuple[str, ...]
    fields: tuple[InputField, ...]

    @property
    def raw_table(self) -> str:
        """Where its records land in the build file."""
        return f"raw.{self.name}"


def _required(type_: FieldType, *names: str) -> tuple[InputField, ...]:
    return tuple(InputField(name, type_, is_required=True) for name in names)


def _optional(type_: FieldType, *names: str) -> tuple[InputField, ...]:
    return tuple(InputField(name, type_) for name in names)


BUSINESS_MISSIONS = InputDataSet(
    "business_missions", "reference", True, ("mission_id",),
    (*_required("id", "mission_id"), *_optional("text", "mission_name", "description", "owner")),
)
DECOMPOSED_MISSION_TASKS = InputDataSet(
    "decomposed_mission_tasks", "reference", True, ("mission_id",),
    (*_required("id", "mission_id"), *_required("json", "tasks")),
)
SPECIALIZED_AGENTS = InputDataSet(
    "specialized_agents", "reference", True, ("agent_id",),
    (
        *_required("id", "agent_id"), *_optional("text", "name", "description", "status"),
        *_optional("json", "endpoint"),
    ),
)
AGENT_CAPABILITIES_MATRIX = InputDataSet(
    "agent_capabilities_matrix", "reference", True, ("task_id",),
    (*_required("id", "task_id"), *_required("ids", "capable_agents")),
)
MISSION_KPIS = InputDataSet(
    "mission_kpis", "reference", True, ("mission_id",),
    (*_required("id", "mission_id"), *_required("json", "kpis")),
)
MISSION_RUNS = InputDataSet(
    "mission_runs", "telemetry", True, ("run_id",),
    (
        *_required("id", "run_id", "mission_id"), *_required("time", "start_time"), *_optional("time", "end_time"),
        *_required("text", "status"), *_optional("number", "total_duration_minutes"), *_optional("json", "kpis"),
        *_optional("count", "human_interventions", "escalations"), *_optional("flag", "risk_flagged"),
        *_optional("text", "requested_by", "priority"), *_optional("time", "created_at"),
    ),
)
TASK_EXECUTION_LOGS = InputDataSet(
    "task_execution_logs", "telemetry", True, ("run_id", "task_id", "attempt"),
    (
        *_required("id", "run_id", "mission_id", "task_id", "agent_id"), *_optional("count", "attempt"),
        *_optional("number", "actual_duration_minutes"), *_optional("flag", "human_approval_required"),
        *_optional("number", "human_delay_minutes"), *_required("text", "outcome"),
        *_optional("time", "started_at", "finished_at", "approval_request_time"),
    ),
)
MISSION_RISK_EVENTS = InputDataSet(
    "mission_risk_events", "telemetry", False, ("event_id",),
    (
        *_required("id", "event_id", "run_id", "mission_id", "task_id"),
        *_optional("text", "risk_type", "severity", "description"), *_optional("time", "detected_at"),
        *_required("text", "status"),
    ),
)
AGENT_PERFORMANCE_STATS = InputDataSet(
    "agent_performance_stats", "reported", False, ("agent_id", "last_updated"),
    (
        *_required("id", "agent_id"), *_required("date", "last_updated"),
        *_optional("number", "avg_task_duration_minutes", "approval_rate", "escalation_rate"),
    ),
)
MISSION_PORTFOLIO_SNAPSHOT = InputDataSet(
    "mission_portfolio_snapshot", "reported", False, ("snapshot_date",),
    (
        *_required("date", "snapshot_date"), *_optional("count", "active_runs", "completed_runs", "missions_at_risk"),
        *_optional("number", "avg_kpi_improvement_pct"),
        *_optional("text", "top_bottleneck_task_id", "top_bottleneck_task_name"),
        *_optional("count", "escalations_last_24h", "human_interventions_last_24h"),
    ),
)

DATA_SETS: tuple[InputDataSet, ...] = (
    BUSINESS_MISSIONS, DECOMPOSED_MISSION_TASKS, SPECIALIZED_AGENTS, AGENT_CAPABILITIES_MATRIX, MISSION_KPIS,
    MISSION_RUNS, TASK_EXECUTION_LOGS, MISSION_RISK_EVENTS, AGENT_PERFORMANCE_STATS, MISSION_PORTFOLIO_SNAPSHOT,
)
REFERENCE_DATA_SETS = tuple(data_set for data_set in DATA_SETS if data_set.kind == "reference")

RUN_STATUSES = ("completed", "failed", "cancelled", "running", "blocked")
OPEN_RUN_STATUSES = ("running", "blocked")
OUTCOMES = ("completed", "approved", "rejected", "failed", "escalated", "timed_out", "cancelled")
SEVERITIES = ("low", "medium", "high")
EVENT_STATUSES = ("open", "closed")
FIRST_DAY = date(2015, 1, 1)
"""The first day that can be judged. Every day since the first run is, so one mistyped year must not add centuries."""
MAX_LEAD = timedelta(days=1)
"""How far ahead of the refresh's clock a time may lie: clocks differ, and a day is more than any zone's error."""
MAX_DURATION_MINUTES = 10 * 366 * 24 * 60
"""Ten years: a longer duration is a fault of the record, not a fact."""

"""What a record must be by itself, as a Pandera schema per data set, made from the input and the staging contracts.

A field keeps the limits that its column has in ``staging``, so no limit is stated twice. What the record refers to
is not asked here, nor what is inside ``tasks[]`` and ``kpis{}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import pandera.polars as pa
import polars as pl

from mission_pipeline.contracts import staging
from mission_pipeline.contracts.base import TableContract
from mission_pipeline.contracts.inputs import FIRST_DAY, FieldType, InputDataSet, InputField
from mission_pipeline.validate import rules

STAGED_AS: dict[str, type[TableContract]] = {
    "business_missions": staging.Missions,
    "decomposed_mission_tasks": staging.MissionTasks,
    "specialized_agents": staging.Agents,
    "agent_capabilities_matrix": staging.AgentCapabilities,
    "mission_kpis": staging.MissionKpis,
    "mission_runs": staging.MissionRuns,
    "task_execution_logs": staging.TaskExecutions,
    "mission_risk_events": staging.RiskEvents,
    "agent_performance_stats": staging.ReportedAgentStats,
    "mission_portfolio_snapshot": staging.ReportedPortfolioSnapshots,
}
"""The table that a data set's records become."""

_POLARS_TYPES: dict[FieldType, Any] = {
    "id": pl.String,
    "text": pl.String,
    "number": pl.Float64,
    "count": pl.Int64,
    "flag": pl.Boolean,
    "time": pl.Datetime("us"),
    "date": pl.Date,
    "ids": pl.List(pl.String),
    "json": pl.String,
}
_STARTS = {"end_time": "start_time", "finished_at": "started_at"}
"""An end → its start, where a record has both."""
UNSOUND_ID = r"^\s*$|[\x00-\x1f\x7f\x{fffd}]"
"""An id that is blank, or has a control character or the mark of a character that could not be read."""


@dataclass(frozen=True)
class RecordContract:
    """The schema of a data set's records, and what each of its checks means.

    ``fields``: those that something is promised of; any other may be anything that its type allows.
    ``meanings``: (field, number of the check or None for a missing value) → rule and end of the sentence.
    """

    fields: tuple[InputField, ...]
    schema: pa.DataFrameSchema
    meanings: dict[tuple[str, int | None], tuple[str, str]]


def record_contract(data_set: InputDataSet, latest: datetime) -> RecordContract:
    """Return the contract of a data set's records.

    Args:
        data_set: the data set.
        latest: the last moment that a time may name: beyond it lies the future.

    """
    staged = STAGED_AS[data_set.name].to_schema().columns
    fields: list[InputField] = []
    columns: dict[str, pa.Column] = {}
    meanings: dict[tuple[str, int | None], tuple[str, str]] = {}
    for field in data_set.fields:
        limits = staged[field.name].checks if field.name in staged else []
        checks = [*limits, *_checks_of_type(field, latest)]
        if not checks and not field.is_required:
            continue
        fields.append(field)
        columns[field.name] = pa.Column(
            _POLARS_TYPES[field.type], checks=checks, nullable=not field.is_required, coerce=False
        )
        meanings[field.name, None] = (rules.REQUIRED_FIELD_MISSING, "is missing")
        for number, check in enumerate(checks):
            meanings[field.name, number] = _meaning(check)
    return RecordContract(tuple(fields), pa.DataFrameSchema(columns, strict=True), meanings)


def _checks_of_type(field: InputField, latest: datetime) -> list[pa.Check]:
    checks = []
    if field.type == "id":
        checks.append(pa.Check(_is_sound, name=rules.BROKEN_ID))
    if field.name in _STARTS:
        checks.append(pa.Check(_is_not_before_start, name=rules.END_BEFORE_START))
    if field.type == "time":
        checks.append(pa.Check.ge(datetime.combine(FIRST_DAY, time.min)))
        checks.append(pa.Check(lambda data: _is_up_to(data, latest), name=rules.IN_THE_FUTURE))
    if field.type == "date":
        checks.append(pa.Check.ge(FIRST_DAY))
        checks.append(pa.Check(lambda data: _is_up_to(data, latest.date()), name=rules.IN_THE_FUTURE))
    return checks


def _is_sound(data: pa.PolarsData) -> pl.LazyFrame:
    return data.lazyframe.select(~pl.col(data.key).str.contains(UNSOUND_ID))


def _is_not_before_start(data: pa.PolarsData) -> pl.LazyFrame:
    start = _STARTS[data.key]
    return data.lazyframe.select((pl.col(data.key) >= pl.col(start)).fill_null(True).alias(data.key))


def _is_up_to(data: pa.PolarsData, latest: Any) -> pl.LazyFrame:
    return data.lazyframe.select(pl.col(data.key) <= latest)


def _meaning(check: pa.Check) -> tuple[str, str]:
    """Return the rule that a check stands for and what to say after `<field> is <value>`."""
    statistics = check.statistics or {}
    match check.name:
        case rules.BROKEN_ID:
            return rules.BROKEN_ID, "which is blank or has a broken character"
        case rules.END_BEFORE_START:
            return rules.END_BEFORE_START, "before the start"
        case rules.IN_THE_FUTURE:
            return rules.IN_THE_FUTURE, "more than a day ahead of this refresh"
        case "isin":
            return rules.UNKNOWN_VALUE, f"not one of {', '.join(map(str, statistics['allowed_values']))}"
        case "greater_than_or_equal_to":
            return rules.OUT_OF_RANGE, f"below {statistics['min_value']}"
        case "less_than_or_equal_to":
            return rules.OUT_OF_RANGE, f"above {statistics['max_value']}"
        case other:
            raise ValueError(f"no rule is named for the check {other}")

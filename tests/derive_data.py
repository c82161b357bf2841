"""Staging tables for tests of the derived tables: written by hand in few words, or read from the shipped JSON."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from mission_pipeline.contracts.staging import STAGING_CONTRACTS
from mission_pipeline.derive.tables import DERIVED_TABLES
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build

START = "2026-03-01T09:00:00"
DAYS = [f"2026-03-{day:02}T09:00:00" for day in range(1, 11)]
"""The ninth hour of ten days that follow each other; the first is START."""

Rows = list[dict[str, Any]]


def overridden(policy: Policy, missions: dict[str, dict[str, Any]]) -> Policy:
    """The policy with its own values for some missions."""
    return Policy.model_validate({**policy.model_dump(), "missions": missions})


def waits_included(policy: Policy) -> Policy:
    """The policy under the assumption that recorded durations include the wait for a human."""
    values = policy.model_dump()
    values["friction"]["durations_include_wait"] = True
    return Policy.model_validate(values)


def moment(text: str | None) -> datetime | None:
    """A time from its ISO text, UTC, without a zone."""
    return None if text is None else datetime.fromisoformat(text.removesuffix("Z"))


def run(run_id: str, start: str, end: str | None = None, mission: str = "M", **fields: Any) -> dict[str, Any]:
    """A run that completed within its first hour, quietly, unless the fields say otherwise."""
    started = moment(start)
    return {
        "run_id": run_id,
        "mission_id": mission,
        "start_time": started,
        "end_time": moment(end) if end else started,
        "status": "completed",
        "human_interventions": 0,
        "escalations": 0,
        "risk_flagged": False,
        **fields,
    }


def open_run(run_id: str, start: str, mission: str = "M", **fields: Any) -> dict[str, Any]:
    return run(run_id, start, mission=mission, **{"end_time": None, "status": "running", **fields})


def execution(run_id: str, task_id: str, minutes: float | None, mission: str = "M", **fields: Any) -> dict[str, Any]:
    """A completed first attempt without a human by agent A."""
    return {
        "run_id": run_id,
        "task_id": task_id,
        "attempt": 1,
        "mission_id": mission,
        "agent_id": "A",
        "actual_duration_minutes": minutes,
        "human_approval_required": False,
        "human_delay_minutes": 0,
        "outcome": "completed",
        **fields,
    }


def approved(run_id: str, task_id: str, minutes: float | None, delay: float | None, **fields: Any) -> dict[str, Any]:
    """An execution that a human approved after a wait."""
    chosen = {"human_approval_required": True, "human_delay_minutes": delay, "outcome": "approved", **fields}
    return execution(run_id, task_id, minutes, **chosen)


def task(task_id: str, estimate: float | None, mission: str = "M", after: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "mission_id": mission,
        "task_id": task_id,
        "task_name": f"Task {task_id}",
        "depends_on": list(after),
        "estimated_duration_minutes": estimate,
    }


def kpi(name: str, baseline: float | None, target: float | None, mission: str = "M", **fields: Any) -> dict[str, Any]:
    """A primary KPI; its direction follows from its baseline and target."""
    direction = "unknown"
    if baseline is not None and target is not None and baseline != target:
        direction = "lower_is_better" if target < baseline else "higher_is_better"
    return {
        "mission_id": mission,
        "kpi_name": name,
        "kpi_order": 1,
        "kpi_kind": "target",
        "direction": direction,
        "is_primary": direction != "unknown",
        "baseline_value": baseline,
        "target_value": target,
        **fields,
    }


def floor(name: str, limit: float, mission: str = "M") -> dict[str, Any]:
    fields = {"kpi_kind": "floor", "direction": "higher_is_better", "is_primary": False}
    return kpi(name, None, limit, mission, **fields)


def ceiling(name: str, limit: float, mission: str = "M") -> dict[str, Any]:
    fields = {"kpi_kind": "ceiling", "direction": "lower_is_better", "is_primary": False}
    return kpi(name, None, limit, mission, **fields)


def observed(run_id: str, name: str, value: float, mission: str = "M", is_specified: bool = True) -> dict[str, Any]:
    return {
        "run_id": run_id, "mission_id": mission, "kpi_name": name, "kpi_value": value, "is_specified": is_specified,
    }  # fmt: skip


def event(event_id: str, run_id: str, task_id: str, risk_type: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id, "run_id": run_id, "mission_id": "M", "task_id": task_id, "risk_type": risk_type,
        "status": "closed", **fields,
    }  # fmt: skip


def given(build: Build, **tables: Rows) -> None:
    """Write staging tables by name; those not named are empty, and missions follow from what names them."""
    named = {row["mission_id"] for rows in tables.values() for row in rows if "mission_id" in row}
    tables.setdefault("missions", [{"mission_id": mission_id} for mission_id in sorted(named)])
    build.execute("create schema if not exists staging")
    for contract in STAGING_CONTRACTS:
        schema, name = contract.polars_schema(), contract.qualified_name()
        rows = [{column: row.get(column) for column in schema} for row in tables.pop(contract.table_name(), [])]
        # Without the contract's checks, which take longer than all that is tested here.
        with build.view_of("given_rows", pl.DataFrame(rows, schema=schema)):
            build.execute(f"create or replace table {name} as from given_rows")
    assert not tables, f"no such staging tables: {sorted(tables)}"


def derive(build: Build, policy: Any, name: str | None = None) -> None:
    """Write a derived table and those that it reads, or all of them."""
    by_name = {table.contract.qualified_name(): table for table in DERIVED_TABLES}
    wanted = set(by_name)
    if name is not None:
        wanted, found = set(), [f"marts.{name}"]
        while found:
            table = by_name[found.pop()]
            wanted.add(table.contract.qualified_name())
            found += [read for read in table.reads if read in by_name]
    for table in DERIVED_TABLES:
        if table.contract.qualified_name() in wanted:
            table.write(build, policy)


def given_shipped(build: Build, raw_data: Path) -> None:
    """Write the shipped data's staging tables from their JSON."""

    def read(name: str) -> Rows:
        records: Rows = json.loads((raw_data / f"{name}.json").read_text(encoding="utf-8"))
        return records

    runs = read("mission_runs")
    kpis = []
    for mission in read("mission_kpis"):
        of, values = mission["mission_id"], mission["kpis"]
        for key, value in values.items():
            if key.startswith("target_"):
                name = key.removeprefix("target_")
                kpis.append(kpi(name, values[f"baseline_{name}"], value, of))
            elif key.startswith("max_"):
                kpis.append(ceiling(key.removeprefix("max_"), value, of))
            elif key.startswith("min_"):
                kpis.append(floor(key.removeprefix("min_"), value, of))
            elif key.endswith("_threshold"):
                kpis.append(floor(key.removesuffix("_threshold"), value, of))
    given(
        build,
        missions=read("business_missions"),
        mission_tasks=[
            {"mission_id": plan["mission_id"], "task_name": step["task"], **step}
            for plan in read("decomposed_mission_tasks")
            for step in plan["tasks"]
        ],
        agents=[
            {**agent, "agent_name": agent["name"], "endpoint": json.dumps(agent["endpoint"])}
            for agent in read("specialized_agents")
        ],
        agent_capabilities=[
            {"task_id": row["task_id"], "agent_id": agent_id}
            for row in read("agent_capabilities_matrix")
            for agent_id in row["capable_agents"]
        ],
        mission_kpis=kpis,
        mission_runs=[
            {**row, "start_time": moment(row["start_time"]), "end_time": moment(row["end_time"])} for row in runs
        ],
        run_kpis=[
            observed(row["run_id"], name, value, row["mission_id"])
            for row in runs
            for name, value in row["kpis"].items()
        ],
        task_executions=[{"attempt": 1, **row} for row in read("task_execution_logs")],
        risk_events=[{**row, "detected_at": moment(row["detected_at"])} for row in read("mission_risk_events")],
    )

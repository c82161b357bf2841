"""Staging and marts for tests of the judgement, written by hand or from the shipped JSON by an independent few lines."""

import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from mission_pipeline.contracts.catalog import contract_of
from mission_pipeline.warehouse import Build

READ_BY_JUDGE = (
    "staging.missions", "staging.mission_kpis", "staging.mission_tasks", "staging.task_executions", "staging.risk_events",
    "staging.reported_agent_stats", "staging.reported_portfolio_snapshots", "marts.mission_run_facts",
    "marts.run_kpi_deltas", "marts.task_friction", "marts.agent_rolling_stats", "quality.row_counts",
)  # fmt: skip
KPI = "days"


class ManyPortfolios(Build):
    """A build that is given one portfolio after the other, and only read otherwise: what it holds is not written again."""

    def __init__(self) -> None:
        super().__init__(duckdb.connect())
        self.holds: dict[str, pl.DataFrame] = {}


def write(build: Build, qualified_name: str, rows: list[dict[str, Any]], *, is_checked: bool = False) -> None:
    """Write rows with the contract's columns and types, checked or not; what a row does not name is NULL."""
    contract = contract_of(qualified_name)
    schema = contract.polars_schema()
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
    if isinstance(build, ManyPortfolios):
        if qualified_name in build.holds and frame.equals(build.holds[qualified_name], null_equal=True):
            return
        build.holds[qualified_name] = frame
    if is_checked:
        build.replace_table(contract, frame=frame)
        return
    build.execute(f"create schema if not exists {contract.schema_name()}")
    with build.view_of("incoming_rows", frame):
        build.execute(f"create or replace table {qualified_name} as select * from incoming_rows")


def build_in_memory() -> Build:
    """A build without a file: real DuckDB, and quick enough for many small portfolios."""
    return Build(duckdb.connect())


def run(mission_id: str, day: str, **fields: Any) -> dict[str, Any]:
    """A quiet completed run of a mission that took a quarter of an hour; ``day`` is when it ended."""
    return {"mission_id": mission_id, "run_date": date.fromisoformat(day), **fields}


def touchless(row: dict[str, Any]) -> bool | None:
    if row["status"] in ("running", "blocked"):
        return None
    if row["status"] != "completed":
        return False
    known = (row["human_interventions"], row["escalations"])
    if any(value not in (None, 0) for value in known):
        return False
    return None if None in known else True


def autonomy(row: dict[str, Any]) -> float | None:
    parts = (row["human_interventions"], row["escalations"], row["approval_delay_minutes"], row["risk_flagged"])
    if row["status"] not in ("completed", "failed") or None in parts:
        return None
    interventions, escalations, delay, flagged = parts
    score = 100 - 14 * interventions - 18 * escalations - min(35, 0.9 * delay) - 40 * flagged
    return max(0.0, min(50.0 if row["status"] == "failed" else 100.0, score))


def given(
    build: Build,
    runs: list[dict[str, Any]],
    *,
    missions: list[str] | None = None,
    kpis: dict[str, dict[str, Any]] | None = None,
    events: list[dict[str, Any]] = (),  # type: ignore[assignment]
    friction: list[dict[str, Any]] = (),  # type: ignore[assignment]
    limits: list[dict[str, Any]] = (),  # type: ignore[assignment]
    rejected: int = 0,
    **tables: list[dict[str, Any]],
) -> None:
    """Write a portfolio.

    Args:
        build: where.
        runs: made by ``run``; the field ``kpi`` is the primary KPI's value. Their order is run_seq.
        missions: ids; by default those of the runs.
        kpis: by mission: direction, baseline, target of the primary KPI; by default 10 days to 5 for every mission.
        events: fields of risk events by ``run_id``; an event's mission follows.
        friction: rows of marts.task_friction.
        limits: rows of run_kpi_deltas about a floor or ceiling, with ``mission_id``, ``run_id``, ``kpi_name``.
        rejected: of 1,000 records.
        tables: rows of further tables by name without schema.
    """
    ids = missions if missions is not None else sorted({row["mission_id"] for row in runs})
    default = {"direction": "lower_is_better", "baseline_value": 10.0, "target_value": 5.0}
    specified = {mission: default if kpis is None else kpis.get(mission) for mission in ids}
    places: dict[str, int] = defaultdict(int)
    facts, deltas = [], []
    for place, given_run in enumerate(runs):
        places[given_run["mission_id"]] += 1
        day = given_run["run_date"]
        start = datetime(day.year, day.month, day.day, 9)
        row = {
            "run_id": f"{given_run['mission_id']}-{places[given_run['mission_id']]:04}",
            "run_seq": places[given_run["mission_id"]],
            "status": "completed",
            "start_time": start,
            "human_interventions": 0,
            "escalations": 0,
            "risk_flagged": False,
            "approval_delay_minutes": 0.0,
            "total_duration_minutes": 15.0,
            "tasks_executed": 1,
            "reworked_tasks": 0,
            "place": place,
            **given_run,
        }
        row["end_time"] = None if row["status"] in ("running", "blocked") else start + timedelta(minutes=15)
        row["autonomy_score"] = given_run.get("autonomy_score", autonomy(row))
        row["is_touchless"] = touchless(row)
        facts.append(row)
        kpi = specified[row["mission_id"]]
        if kpi is not None and row.get("kpi") is not None:
            deltas.append({
                **row, "kpi_name": KPI, "is_primary": True, "direction": kpi["direction"], "kpi_value": float(row["kpi"]),
                "first_value": float(row["kpi"]),
            })  # fmt: skip
    by_run = {row["run_id"]: row for row in facts}
    deltas += [{**by_run[limit["run_id"]], "is_primary": False, "first_value": 0.0, **limit} for limit in limits]
    write(build, "marts.mission_run_facts", facts)
    write(build, "marts.run_kpi_deltas", deltas)
    write(build, "marts.task_friction", [
        {"runs_executed": 1, "runs_measured": 1, "recent_hits": 0, "risk_events": 0, "bottleneck_status": "clear",
         "bottleneck_driver": "none", **row} for row in friction
    ])  # fmt: skip
    write(build, "staging.missions", [{"mission_id": name, "mission_name": f"Mission {name}"} for name in ids])
    write(build, "staging.mission_kpis", [
        {"mission_id": mission, "kpi_name": KPI, "kpi_order": 1, "kpi_kind": "target", "is_primary": True, **kpi}
        for mission, kpi in specified.items() if kpi is not None
    ] + [
        {"mission_id": mission, "kpi_name": name, "kpi_order": 2, "kpi_kind": "floor", "is_primary": False,
         "direction": "higher_is_better"} for mission, name in sorted({(x["mission_id"], x["kpi_name"]) for x in limits})
    ])  # fmt: skip
    write(build, "staging.risk_events", [
        {"event_id": f"E{place:03}", "mission_id": by_run[row["run_id"]]["mission_id"], "task_id": "T1",
         "severity": "low", "status": "closed", **row} for place, row in enumerate(events)
    ])  # fmt: skip
    write(build, "quality.row_counts", [
        {"data_set": "mission_runs", "files": 1, "rows_in": 1000, "rows_valid": 1000 - rejected,
         "rows_rejected": rejected, "rows_replaced": 0, "rows_retained": 0, "rows_staged": 1000 - rejected}
    ])  # fmt: skip
    for name in ("staging.mission_tasks", "staging.task_executions", "staging.reported_agent_stats", "staging.reported_portfolio_snapshots",
                 "marts.agent_rolling_stats", "quality.reconciliation"):  # fmt: skip
        write(build, name, tables.get(name.split(".")[1], []))


# ---------------------------------------------------------------- the shipped data, derived by an independent few lines


def shipped_rows(raw_data: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the tables that the judgement reads, made from the shipped JSON."""

    def records(name: str) -> list[dict[str, Any]]:
        return json.loads((raw_data / f"{name}.json").read_text(encoding="utf-8"))

    def moment(text: str) -> datetime:
        return datetime.fromisoformat(text.replace("Z", ""))

    tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
    tables["staging.missions"] = [
        {key: row.get(key) for key in ("mission_id", "mission_name", "description", "owner")}
        for row in records("business_missions")
    ]
    estimates = {}
    for plan in records("decomposed_mission_tasks"):
        for task in plan["tasks"]:
            estimates[task["task_id"]] = task["estimated_duration_minutes"]
            tables["staging.mission_tasks"].append({
                **task, "mission_id": plan["mission_id"], "task_name": task["task"], "task_order": task["order"],
                "estimated_duration_minutes": float(task["estimated_duration_minutes"]),
            })  # fmt: skip
    specified = {}
    for row in records("mission_kpis"):
        kpis, mission = row["kpis"], row["mission_id"]
        for order, (key, value) in enumerate(kpis.items(), 1):
            if key.startswith("target_"):
                name = key.removeprefix("target_")
                baseline = kpis[f"baseline_{name}"]
                kpi = ("target", "lower_is_better" if value < baseline else "higher_is_better", True, float(baseline))
            elif key.startswith("baseline_"):
                continue
            elif key.startswith("max_"):
                name = key.removeprefix("max_")
                kpi = ("ceiling", "lower_is_better", False, None)
            else:
                name = key.removeprefix("min_").removesuffix("_threshold")
                kpi = ("floor", "higher_is_better", False, None)
            kind, direction, is_primary, baseline = kpi
            specified[mission, name] = (direction, is_primary, float(value))
            tables["staging.mission_kpis"].append({
                "mission_id": mission, "kpi_name": name, "kpi_order": order, "kpi_kind": kind, "direction": direction,
                "is_primary": is_primary, "baseline_value": baseline, "target_value": float(value),
            })  # fmt: skip
    tables["staging.risk_events"] = [
        {**row, "detected_at": moment(row["detected_at"])} for row in records("mission_risk_events")
    ]
    logs = defaultdict(list)
    for log in records("task_execution_logs"):
        logs[log["run_id"]].append(log)
    runs = sorted(records("mission_runs"), key=lambda r: (r["mission_id"], r["start_time"]))
    places: dict[str, int] = defaultdict(int)
    friction: dict[tuple[str, str], list[tuple[float, bool, float, float]]] = defaultdict(list)
    by_agent: dict[str, list[tuple[date, dict[str, Any], float]]] = defaultdict(list)
    for row in runs:
        mission = row["mission_id"]
        places[mission] += 1
        end = moment(row["end_time"])
        fact = {
            **row, "run_seq": places[mission], "run_date": end.date(), "start_time": moment(row["start_time"]),
            "end_time": end, "tasks_executed": len(logs[row["run_id"]]), "reworked_tasks": 0,
            "total_duration_minutes": float(row["total_duration_minutes"]),
            "approval_delay_minutes": float(sum(
                log["human_delay_minutes"] for log in logs[row["run_id"]] if log["human_approval_required"]
            )),
            "overrun_minutes": float(sum(
                max(0, log["actual_duration_minutes"] - estimates[log["task_id"]]) for log in logs[row["run_id"]]
            )),
        }  # fmt: skip
        fact["autonomy_score"], fact["is_touchless"] = autonomy(fact), touchless(fact)
        tables["marts.mission_run_facts"].append(fact)
        for name, value in {**row["kpis"], "steps": len(logs[row["run_id"]])}.items():
            if (mission, name) not in specified:
                continue
            direction, is_primary, target = specified[mission, name]
            gap = max(0.0, value - target if direction == "lower_is_better" else target - value)
            tables["marts.run_kpi_deltas"].append({
                **fact, "kpi_name": name, "direction": direction, "is_primary": is_primary, "kpi_value": float(value),
                "first_value": 0.0, "target_value": target, "gap_to_target": gap,
                "gap_to_target_pct": 100 * gap / abs(target),
            })  # fmt: skip
        tables["staging.task_executions"] += [{**log, "attempt": 1} for log in logs[row["run_id"]]]
        named = {event["task_id"] for event in tables["staging.risk_events"] if event["run_id"] == row["run_id"]}
        for log in logs[row["run_id"]]:
            task, actual, delay = log["task_id"], log["actual_duration_minutes"], log["human_delay_minutes"]
            hit = actual > 1.05 * estimates[task] or delay >= 5
            seen = friction[mission, task]
            seen.append((max(0, actual - estimates[task]) + delay, hit, actual, delay))
            weights = [0.5 ** (len(seen) - 1 - place) for place in range(len(seen))]
            hits = sum(one[1] for one in seen[-3:])
            mean_actual, mean_delay = (sum(one[k] for one in seen) / len(seen) for k in (2, 3))
            tables["marts.task_friction"].append({
                "mission_id": mission, "task_id": task, "friction_date": end.date(), "runs_executed": len(seen),
                "runs_measured": len(seen), "recent_hits": hits, "risk_events": 0, "mean_actual_minutes": mean_actual,
                "mean_human_delay_minutes": mean_delay,
                "friction_minutes": sum(w * one[0] for w, one in zip(weights, seen, strict=True)) / sum(weights),
                "bottleneck_status": ("clear", "isolated", "recurring", "persistent")[hits],
                "bottleneck_driver": "approval_delay" if mean_delay >= 5
                else "task_overrun" if mean_actual > 1.05 * estimates[task] else "none",
            })  # fmt: skip
            sharing = [x for x in logs[row["run_id"]] if x["task_id"] in named] or logs[row["run_id"]]
            by_agent[log["agent_id"]].append(
                (end.date(), log, row["escalations"] / len(sharing) if log in sharing else 0)
            )
    for agent, done in sorted(by_agent.items()):
        for day in sorted({one[0] for one in done}):
            known = [one for one in done if one[0] <= day]
            decisions = [one[1]["outcome"] for one in known if one[1]["outcome"] in ("approved", "rejected")]
            tables["marts.agent_rolling_stats"].append({
                "agent_id": agent, "stat_date": day, "stat_window": "all", "executions": len(known),
                "avg_task_duration_minutes": sum(one[1]["actual_duration_minutes"] for one in known) / len(known),
                "approval_decisions": len(decisions),
                "approval_rate": decisions.count("approved") / len(decisions) if decisions else None,
                "escalation_rate": sum(one[2] for one in known) / len(known),
            })  # fmt: skip
    for name in ("reported_agent_stats", "reported_portfolio_snapshots"):
        source = {"reported_agent_stats": "agent_performance_stats"}.get(name, "mission_portfolio_snapshot")
        tables[f"staging.{name}"] = [
            {k: date.fromisoformat(v) if k in ("last_updated", "snapshot_date") else v for k, v in row.items()}
            for row in records(source)
        ]
    tables["quality.row_counts"] = [
        {"data_set": "mission_runs", "files": 1, "rows_in": len(runs), "rows_valid": len(runs), "rows_rejected": 0,
         "rows_replaced": 0, "rows_retained": 0, "rows_staged": len(runs)}
    ]  # fmt: skip
    return tables


def given_shipped(build: Build, raw_data: Path) -> None:
    """Write the shipped data's staging and marts, as far as the judgement reads them."""
    for name, rows in shipped_rows(raw_data).items():
        write(build, name, rows, is_checked=True)
    write(build, "quality.reconciliation", [])

"""Raw-data folders for tests: small portfolios, written in the forms that the input contract accepts."""

import gzip
import json
from pathlib import Path
from typing import Any


def write_records(file: Path, records: list[dict[str, Any]]) -> None:
    """Write records as the file's name says: a JSON array, or one object a line, gzipped or not."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_lines = ".jsonl" in file.name or ".ndjson" in file.name
    text = "".join(json.dumps(r) + "\n" for r in records) if is_lines else json.dumps(records, indent=2)
    if file.name.endswith(".gz"):
        file.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))
    else:
        file.write_text(text, encoding="utf-8")


def run(run_id: str, mission_id: str, start: str, end: str | None, **fields: Any) -> dict[str, Any]:
    """A run record; what is not named is completed, quiet and known."""
    return {
        "run_id": run_id,
        "mission_id": mission_id,
        "start_time": start,
        "end_time": end,
        "status": "completed",
        "human_interventions": 0,
        "escalations": 0,
        "risk_flagged": False,
        "kpis": {},
        **fields,
    }


def log(
    run_id: str, mission_id: str, task_id: str, agent_id: str, minutes: float | None, **fields: Any
) -> dict[str, Any]:
    """A log record; what is not named is completed, without a human, at the first attempt."""
    return {
        "run_id": run_id,
        "mission_id": mission_id,
        "task_id": task_id,
        "agent_id": agent_id,
        "actual_duration_minutes": minutes,
        "human_approval_required": False,
        "human_delay_minutes": 0,
        "outcome": "completed",
        **fields,
    }


def approved(delay: float, outcome: str = "approved") -> dict[str, Any]:
    """The fields of an execution that a human decided after a wait in minutes."""
    return {"human_approval_required": True, "human_delay_minutes": delay, "outcome": outcome}


def task(
    task_id: str, order: int, minutes: float | None, after: tuple[str, ...] = (), approval: bool = False
) -> dict[str, Any]:
    """A task of a plan."""
    return {
        "task_id": task_id,
        "task": f"Task {task_id}",
        "order": order,
        "depends_on": list(after),
        "estimated_duration_minutes": minutes,
        "requires_human_approval": approval,
    }


OTHER_PORTFOLIO_RUNS = [
    run("o1", "OPS", "2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z", total_duration_minutes=60,
        kpis={"recovery_minutes": 45}, human_interventions=1),
    run("r1", "SAT", "2026-03-01T11:00:00Z", "2026-03-01T11:30:00Z", total_duration_minutes=30,
        kpis={"renewal_rate_pct": 62, "refunds": 5}),
    run("o2", "OPS", "2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z", total_duration_minutes=30, status="failed",
        human_interventions=2, escalations=2, risk_flagged=True),
    run("o3", "OPS", "2026-03-03T09:00:00Z", "2026-03-03T09:05:00Z", total_duration_minutes=5, status="cancelled"),
    run("o4", "OPS", "2026-03-04T09:00:00Z", None, total_duration_minutes=None, status="running"),
    run("r2", "SAT", "2026-03-04T11:00:00+02:00", "2026-03-04T09:40:00Z", total_duration_minutes=40,
        kpis={"renewal_rate_pct": 70, "refunds": 2}, human_interventions=None),
    run("o5", "OPS", "2026-03-05T22:45:00Z", "2026-03-06T00:15:00Z", total_duration_minutes=90,
        kpis={"recovery_minutes": 40}, risk_flagged=None),
]  # fmt: skip
OTHER_PORTFOLIO_LOGS = [
    log("o1", "OPS", "d1", "B1", 12), log("o1", "OPS", "d2", "B2", 20, **approved(6)),
    log("o2", "OPS", "d1", "B1", 15, outcome="failed"), log("o2", "OPS", "d1", "B2", 8, attempt=2),
    log("o4", "OPS", "d1", "B2", 9),
    log("o5", "OPS", "d1", "B2", 10), log("o5", "OPS", "d2", "B2", 25, **approved(4, "rejected")),
    log("o5", "OPS", "d2", "B2", 22, **approved(3), attempt=2),
    log("r1", "SAT", "s1", "B3", 5), log("r1", "SAT", "s2", "B3", None, **approved(1)),
    log("r2", "SAT", "s1", "B3", 4, outcome="failed"), log("r2", "SAT", "s2", "B4", 8, **approved(2)),
]  # fmt: skip
OTHER_PORTFOLIO_REFERENCE = {
    "business_missions": [
        {"mission_id": "OPS", "mission_name": "Recover faster", "description": "Incidents", "owner": "Operations"},
        {"mission_id": "SAT", "mission_name": "Renew more", "description": "Renewals"},
        {"mission_id": "NEW", "mission_name": "Not started", "description": "Nothing yet"},
    ],
    "decomposed_mission_tasks": [
        {"mission_id": "OPS", "tasks": [task("d1", 1, 10), task("d2", 2, 20, ("d1",), approval=True)]},
        {"mission_id": "SAT", "tasks": [task("s1", 1, 5), task("s2", 2, 8, ("s1",), approval=True)]},
        {"mission_id": "NEW", "tasks": [task("n1", 1, None)]},
    ],
    "specialized_agents": [
        {"agent_id": agent, "name": f"Agent {agent}", "description": "", "status": status}
        for agent, status in (("B1", "available"), ("B2", "available"), ("B3", "available"), ("B4", "maintenance"))
    ],
    "agent_capabilities_matrix": [
        {"task_id": "d1", "capable_agents": ["B1", "B2"]}, {"task_id": "d2", "capable_agents": ["B2"]},
        {"task_id": "s1", "capable_agents": ["B3"]}, {"task_id": "s2", "capable_agents": ["B3", "B4"]},
        {"task_id": "n1", "capable_agents": ["B1"]},
    ],
    "mission_kpis": [
        {"mission_id": "OPS", "kpis": {"baseline_recovery_minutes": 50, "target_recovery_minutes": 30}},
        {"mission_id": "SAT", "kpis": {"max_refunds": 3, "target_renewal_rate_pct": 80, "baseline_renewal_rate_pct": 60}},
        {"mission_id": "NEW", "kpis": {"target_ideas": 5}},
    ],
}  # fmt: skip


def write_reference(raw_data: Path) -> None:
    """Write the other portfolio's reference data."""
    for name, records in OTHER_PORTFOLIO_REFERENCE.items():
        write_records(raw_data / f"{name}.json", records)


def write_other_portfolio(raw_data: Path) -> None:
    """Write the other portfolio in mixed forms: a file, and drops in folders, by line and gzipped."""
    write_reference(raw_data)
    write_records(raw_data / "mission_runs.json", OTHER_PORTFOLIO_RUNS[:2])
    write_records(raw_data / "mission_runs" / "2026-03" / "02.jsonl", OTHER_PORTFOLIO_RUNS[2:4])
    write_records(raw_data / "mission_runs" / "2026-03" / "04.json.gz", OTHER_PORTFOLIO_RUNS[4:])
    write_records(raw_data / "task_execution_logs" / "a.ndjson.gz", OTHER_PORTFOLIO_LOGS[:5])
    write_records(raw_data / "task_execution_logs" / "b.json", OTHER_PORTFOLIO_LOGS[5:])

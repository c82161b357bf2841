"""Writes a large portfolio in the form of raw_data/: the same seed gives the same bytes.

Values are realistic rather than uniform: some missions mature, some stand still, some fall back; tasks run over their
estimate more often in some missions than in others; a few runs fail, are cancelled or are still open. No judgement is
made here and nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
TASKS_PER_MISSION = 5
AGENTS_PER_TASK = 2
KPIS = ("cycle_time_days", "handling_hours", "conversion_pct", "satisfaction_points")


@dataclass(frozen=True)
class Portfolio:
    """How much to write. ``bad_share`` and ``correction_share`` are shares 0-1 of the runs."""

    runs: int = 200_000
    missions: int = 300
    days: int = 180
    seed: int = 20260101
    bad_share: float = 0.0
    correction_share: float = 0.0
    as_lines: bool = False


@dataclass(frozen=True)
class _Mission:
    number: int
    kpi: str
    baseline: float
    target: float
    drift: float
    overrun: float
    failure_rate: float

    @property
    def mission_id(self) -> str:
        return f"M{self.number:04d}"

    def task_id(self, place: int) -> str:
        return f"T{self.number:04d}_{place}"

    def estimate(self, place: int) -> int:
        return 4 + (self.number * 7 + place * 5) % 17


def generate(folder: Path, portfolio: Portfolio) -> dict[str, int]:
    """Write every data set into a folder and return how many records each has."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(portfolio.seed)
    missions = [_mission(number, rng) for number in range(1, portfolio.missions + 1)]
    counts = {}
    for name, records in _reference(missions).items():
        counts[name] = _write(folder / f"{name}.json", records, as_lines=False)
    suffix = "jsonl" if portfolio.as_lines else "json"
    writers = {
        name: _Writer(folder / f"{name}.{suffix}", portfolio.as_lines)
        for name in ("mission_runs", "task_execution_logs", "mission_risk_events")
    }
    corrections: list[dict[str, Any]] = []
    for number in range(1, portfolio.runs + 1):
        run, executions, events = _run(number, missions, portfolio, rng)
        if rng.random() < portfolio.bad_share:
            _spoil(run, executions, rng)
        if rng.random() < portfolio.correction_share:
            corrections.append({**run, "human_interventions": 0})
        writers["mission_runs"].add(run)
        for execution in executions:
            writers["task_execution_logs"].add(execution)
        for event in events:
            writers["mission_risk_events"].add(event)
    for correction in corrections:
        writers["mission_runs"].add(correction)
    for name, writer in writers.items():
        counts[name] = writer.close()
    return counts


def _mission(number: int, rng: random.Random) -> _Mission:
    kpi = KPIS[number % len(KPIS)]
    lower_is_better = kpi in ("cycle_time_days", "handling_hours")
    baseline = round(rng.uniform(8, 40), 1)
    target = round(baseline * (0.5 if lower_is_better else 1.5), 1)
    return _Mission(
        number=number,
        kpi=kpi,
        baseline=baseline,
        target=target,
        drift=rng.choice((1.1, 0.9, 0.7, 0.4, 0.0, -0.2)),
        overrun=rng.choice((0.9, 1.0, 1.0, 1.1, 1.3)),
        failure_rate=rng.choice((0.01, 0.02, 0.05, 0.15)),
    )


def _reference(missions: list[_Mission]) -> dict[str, list[dict[str, Any]]]:
    places = range(1, TASKS_PER_MISSION + 1)
    agents = max(8, len(missions) // 5)
    return {
        "business_missions": [
            {
                "mission_id": m.mission_id,
                "mission_name": f"Mission {m.number}",
                "description": f"Moves {m.kpi} from {m.baseline} to {m.target}.",
                "owner": f"owner-{m.number % 40}",
            }
            for m in missions
        ],
        "decomposed_mission_tasks": [
            {
                "mission_id": m.mission_id,
                "tasks": [
                    {
                        "task_id": m.task_id(place),
                        "task": f"Step {place} of mission {m.number}",
                        "order": place,
                        "depends_on": [m.task_id(place - 1)] if place > 1 else [],
                        "estimated_duration_minutes": m.estimate(place),
                        "requires_human_approval": place in (2, 5),
                    }
                    for place in places
                ],
            }
            for m in missions
        ],
        "specialized_agents": [
            {"agent_id": f"A{n:03d}", "name": f"Agent {n}", "description": "Does its tasks.", "status": "available"}
            for n in range(1, agents + 1)
        ],
        "agent_capabilities_matrix": [
            {"task_id": m.task_id(place), "capable_agents": _agents_of(m, place, agents)}
            for m in missions
            for place in places
        ],
        "mission_kpis": [
            {
                "mission_id": m.mission_id,
                "kpis": {f"baseline_{m.kpi}": m.baseline, f"target_{m.kpi}": m.target, "max_steps": TASKS_PER_MISSION},
            }
            for m in missions
        ],
    }


def _agents_of(mission: _Mission, place: int, agents: int) -> list[str]:
    return [f"A{(mission.number + place + step * 3) % agents + 1:03d}" for step in range(AGENTS_PER_TASK)]


def _run(
    number: int, missions: list[_Mission], portfolio: Portfolio, rng: random.Random
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    mission = missions[(number - 1) % len(missions)]
    progress = number / portfolio.runs
    start = FIRST_DAY + timedelta(days=progress * (portfolio.days - 0.05))
    run_id = f"RUN_{number:07d}"
    is_open = number > portfolio.runs - portfolio.missions // 10
    draw = rng.random()
    status = (
        "running"
        if is_open
        else "failed"
        if draw < mission.failure_rate
        else "cancelled"
        if draw < mission.failure_rate + 0.01
        else "completed"
    )
    executions, agents = [], max(8, len(missions) // 5)
    minutes = 0.0
    for place in range(1, TASKS_PER_MISSION + 1):
        needs_approval = place in (2, 5)
        actual = round(mission.estimate(place) * mission.overrun * rng.lognormvariate(0, 0.25), 1)
        delay = round(rng.expovariate(1 / (2 + 6 * (1 - progress)))) if needs_approval else 0
        minutes += actual + delay
        outcome = "approved" if needs_approval else "completed"
        if status == "failed" and place == TASKS_PER_MISSION:
            outcome = "failed"
        executions.append(
            {
                "run_id": run_id,
                "mission_id": mission.mission_id,
                "task_id": mission.task_id(place),
                "agent_id": rng.choice(_agents_of(mission, place, agents)),
                "actual_duration_minutes": actual,
                "human_approval_required": needs_approval,
                "human_delay_minutes": delay,
                "outcome": outcome,
            }
        )
    total = round(minutes + rng.expovariate(1 / 15)) + 1
    toil = 1.2 - mission.drift * progress
    interventions = _count(toil, rng)
    escalations = _count(toil / 3, rng)
    is_flagged = status == "failed" or rng.random() < 0.1 * toil
    run = {
        "run_id": run_id,
        "mission_id": mission.mission_id,
        "start_time": _stamp(start),
        "end_time": None if is_open else _stamp(start + timedelta(minutes=total)),
        "status": status,
        "total_duration_minutes": None if is_open else total,
        "kpis": {mission.kpi: _kpi_value(mission, progress, rng)} if status == "completed" else {},
        "human_interventions": interventions,
        "escalations": escalations,
        "risk_flagged": is_flagged,
    }
    events = []
    if is_flagged and rng.random() < 0.3:
        events.append(
            {
                "event_id": f"RISK_{number:07d}",
                "run_id": run_id,
                "mission_id": mission.mission_id,
                "task_id": mission.task_id(2),
                "risk_type": rng.choice(("approval_delay", "task_overrun", "sla_breach_risk")),
                "severity": rng.choice(("low", "medium", "high")),
                "description": "Seen by the one who watched the run.",
                "detected_at": _stamp(start + timedelta(minutes=total / 2)),
                "status": "closed",
            }
        )
    return run, executions, events


def _kpi_value(mission: _Mission, progress: float, rng: random.Random) -> float:
    reached = mission.baseline + (mission.target - mission.baseline) * mission.drift * progress
    return round(max(0.1, reached * rng.lognormvariate(0, 0.05)), 2)


def _count(mean: float, rng: random.Random) -> int:
    return min(9, int(rng.expovariate(1 / max(mean, 0.05))))


def _spoil(run: dict[str, Any], executions: list[dict[str, Any]], rng: random.Random) -> None:
    match rng.randrange(4):
        case 0:
            run["status"] = "finished"
        case 1:
            executions[0]["actual_duration_minutes"] = -1
        case 2:
            executions[1]["outcome"] = "done"
        case _:
            executions[2]["task_id"] = "T_UNKNOWN"


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class _Writer:
    """Writes records one by one, a line each: as a JSON array, or as JSON lines."""

    def __init__(self, file: Path, as_lines: bool) -> None:
        self._handle = file.open("w", encoding="utf-8")
        self._as_lines = as_lines
        self._count = 0
        self._encode = json.JSONEncoder().encode
        if not as_lines:
            self._handle.write("[\n")

    def add(self, record: dict[str, Any]) -> None:
        if self._count and not self._as_lines:
            self._handle.write(",\n")
        self._handle.write(self._encode(record) + ("\n" if self._as_lines else ""))
        self._count += 1

    def close(self) -> int:
        if not self._as_lines:
            self._handle.write("\n]\n")
        self._handle.close()
        return self._count


def _write(file: Path, records: list[dict[str, Any]], *, as_lines: bool) -> int:
    writer = _Writer(file, as_lines)
    for record in records:
        writer.add(record)
    return writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write the data sets")
    parser.add_argument("--runs", type=int, default=Portfolio.runs)
    parser.add_argument("--missions", type=int, default=Portfolio.missions)
    parser.add_argument("--days", type=int, default=Portfolio.days)
    parser.add_argument("--seed", type=int, default=Portfolio.seed)
    parser.add_argument("--bad-share", type=float, default=0.0, help="share of runs with a record to be rejected")
    parser.add_argument("--correction-share", type=float, default=0.0, help="share of runs that come twice")
    parser.add_argument("--lines", action="store_true", help="one object a line instead of JSON arrays")
    given = parser.parse_args()
    portfolio = Portfolio(
        given.runs, given.missions, given.days, given.seed, given.bad_share, given.correction_share, given.lines
    )
    for name, records in generate(given.folder, portfolio).items():
        print(f"{name:28} {records:>9,}")


if __name__ == "__main__":
    main()

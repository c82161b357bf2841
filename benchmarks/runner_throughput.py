"""Measures the runner with 1,000 runs in flight: tasks per second until all of them wait for a person, and memory.

The mission has two tasks and then a gate. One worker, by the real command, brings every run to its gate: once with
agents that answer at once, so that what is measured is the runner, and once with agents that take half a second, as
many at a time as there are threads. Then every gate is decided, and the telemetry written. The exit code is 0 only
when each is as promised.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner_faults import Trial, new_trial, now

from mission_pipeline.runner.outbox import export_telemetry
from mission_pipeline.runner.registry import load_registry
from mission_pipeline.runner.store import open_store

PROMISED_TASKS_PER_SECOND = 50
PROMISED_SHARE_OF_IDEAL = 0.7
PROMISED_PEAK_MEGABYTES = 500
PROMISED_DECISIONS_PER_SECOND = 50

MISSION = "MT"
TASKS_TO_THE_GATE = 3
PLAN = {
    MISSION: [
        {"task_id": "T1", "order": 1, "depends_on": [], "requires_human_approval": False},
        {"task_id": "T2", "order": 2, "depends_on": ["T1"], "requires_human_approval": False},
        {"task_id": "T3", "order": 3, "depends_on": ["T2"], "requires_human_approval": True},
    ]
}
AGENT = """
import time
def answer(request):
    time.sleep({seconds})
    return {{"status": "completed", "result": {{"deal": request["task_id"], "score": 7}}, "summary": "scored"}}
"""


@dataclass(frozen=True)
class Throughput:
    """What one worker did until every run waited at its gate.

    ``seconds``: from its first task to its last. ``ideal_seconds``: what the agents alone take, with all threads busy.
    ``starting_seconds``: to start and end the worker. ``processor_seconds``: of the worker and its agents.
    ``deciding_seconds``: for a decision at each gate. ``writing_seconds``: for the telemetry of all runs.
    """

    runs: int
    tasks: int
    threads: int
    seconds: float
    ideal_seconds: float
    starting_seconds: float
    processor_seconds: float
    peak_megabytes: float
    deciding_seconds: float
    writing_seconds: float
    telemetry_rows: int

    @property
    def tasks_per_second(self) -> float:
        """Tasks per second until all runs waited."""
        return self.tasks / self.seconds


def measure(folder: Path, *, runs: int, threads: int, agent_seconds: float) -> Throughput:
    """Run a mission that often, all at the same time, to the gates and through them."""
    endpoint = {"kind": "python", "callable": "trial_agent:answer"}
    trial = new_trial(
        folder,
        missions=PLAN,
        agents={"B1": endpoint, "B2": endpoint},
        policy={"python_modules": '["trial_agent"]', "lease_seconds": "30.0"},
    )
    (folder / "trial_agent.py").write_text(AGENT.format(seconds=agent_seconds))
    policy = trial.policy()
    with open_store(f"sqlite:///{trial.store}", clock=now, policy=policy) as store:
        plan = load_registry(trial.raw_data, policy, now()).plan(MISSION)
        for number in range(runs):
            store.create_run(plan, mission_input={"deals": [number]})
        start = time.perf_counter()
        processor_seconds, peak = _work(trial, threads, {"PYTHONPATH": str(folder)})
        whole = time.perf_counter() - start
        (first, last) = trial.rows("select min(started_at), max(answered_at) from task_attempt")[0]
        seconds = _seconds_between(trial, first, last)
        gates = [gate["approval_id"] for gate in store.open_approvals()]
        start = time.perf_counter()
        for gate in gates:
            store.decide(gate, "approved", by="benchmark")
        deciding = time.perf_counter() - start
        start = time.perf_counter()
        rows = export_telemetry(store, trial.raw_data)
        writing = time.perf_counter() - start
    tasks = trial.rows("select count(*) from task_attempt where answered_at is not null")[0][0]
    assert len(gates) == runs, f"{len(gates)} of {runs} runs came to their gate"
    return Throughput(
        runs, tasks, threads, seconds, agent_seconds * tasks / threads, whole - seconds, processor_seconds, peak,
        deciding, writing, rows,
    )  # fmt: skip


def _seconds_between(trial: Trial, first: str, last: str) -> float:
    ((days,),) = trial.rows("select julianday(?) - julianday(?)", last, first)
    return float(days) * 86_400


def _work(trial: Trial, threads: int, variables: Mapping[str, str]) -> tuple[float, float]:
    """Let one worker bring every run to its gate; return its processor seconds and its peak memory in megabytes."""
    with (trial.folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mission_pipeline", "worker", "--until-idle", "--threads", str(threads),
                *trial.places(),
            ],
            stdout=said, stderr=said, env={**os.environ, **variables},
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(
            f"the worker ended with {process.returncode}: {(trial.folder / 'said.txt').read_text()[-500:]}"
        )
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=4, help="for agents that answer at once")
    parser.add_argument("--slow-threads", type=int, default=16, help="for agents that take their time")
    parser.add_argument("--agent-seconds", type=float, default=0.5)
    given = parser.parse_args()
    kept = []
    print(f"{given.runs:,} runs in flight, {os.cpu_count()} cores")
    for threads, seconds in ((given.threads, 0.0), (given.slow_threads, given.agent_seconds)):
        with tempfile.TemporaryDirectory(prefix="runner-throughput-") as folder:
            found = measure(Path(folder), runs=given.runs, threads=threads, agent_seconds=seconds)
        print(f"agents that take {seconds:g} s, {threads} threads")
        print(
            f"  to the gate     {found.tasks_per_second:8.1f} tasks/s  ({found.tasks:,} tasks in {found.seconds:.1f} s "
            f"after {found.starting_seconds:.1f} s to start; {found.processor_seconds:.1f} s of processors in all)"
        )
        if seconds:
            share = found.ideal_seconds / found.seconds
            print(f"  of the ideal    {100 * share:8.1f} %  ({found.ideal_seconds:.1f} s with every thread busy)")
            kept.append(share >= PROMISED_SHARE_OF_IDEAL)
        else:
            kept.append(found.tasks_per_second >= PROMISED_TASKS_PER_SECOND)
        decisions = found.runs / found.deciding_seconds
        print(f"  decisions       {decisions:8.1f} a second, each ends a run")
        print(
            f"  telemetry       {found.telemetry_rows / found.writing_seconds:8.0f} rows/s  ({found.telemetry_rows:,})"
        )
        print(f"  peak memory     {found.peak_megabytes:8.0f} MB of the worker")
        kept += [decisions >= PROMISED_DECISIONS_PER_SECOND, found.peak_megabytes <= PROMISED_PEAK_MEGABYTES]
    print(
        f"promised: {PROMISED_TASKS_PER_SECOND} tasks/s, {100 * PROMISED_SHARE_OF_IDEAL:.0f} % of the ideal, "
        f"{PROMISED_DECISIONS_PER_SECOND} decisions/s, {PROMISED_PEAK_MEGABYTES} MB: "
        + ("within" if all(kept) else "NOT WITHIN")
    )
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())

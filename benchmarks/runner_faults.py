"""Kills workers and approvers again and again, at random moments and at every named place, and counts what was lost.

A mission with branches, gates, faults and rejections is run many times at once by the real commands, in processes of
their own. Its agents are programs that write down each call, and whether the call came after its result was durable.
After the last kill the runs are brought to their end, and everything is compared: the store, the agents' book, the
decisions that were acknowledged, the telemetry in the raw data. The exit code is 0 only when

- no execution was repeated after its completion was durable,
- every acknowledged decision stands as it was made,
- there is exactly one telemetry row per ended attempt, run and risk event, and no line is torn,
- every run has ended, and every named place was died at.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mission_pipeline.policy import Policy, load_policy
from mission_pipeline.runner.failpoints import FAILPOINTS
from mission_pipeline.runner.registry import Registry, load_registry
from mission_pipeline.runner.store import open_store
from mission_pipeline.settings import SHIPPED_POLICY_FILE

WORKER_PLACES = tuple(name for name in FAILPOINTS if name != "after_decide")
APPROVER_PLACES = ("before_commit", "after_decide", "before_append", "torn_append", "after_append", "after_mark")
RANDOM = "a random moment"
ARMED_SHARE = 0.7
"""Share of the kills that are at a named place; the others are at a random moment."""

PATIENCE_SECONDS = 120
"""A process that takes longer than this hangs."""

AGENT = """
import json, os, sqlite3, sys, time
asked = "select count(*) from task_attempt where answered_at is not null and run_id = ? and task_id = ? and attempt = ?"
book, store, seconds = sys.argv[1:4]
request = json.load(sys.stdin)
key = request["key"]
with open(book, "ab", buffering=0) as file:
    if store.startswith("postgresql:"):
        import psycopg
        reader, asked = psycopg.connect(store), asked.replace("?", "%s")
    else:
        reader = sqlite3.connect("file:" + store + "?mode=ro", uri=True, timeout=60)
    is_durable = reader.execute(asked, (request["run_id"], request["task_id"], request["attempt"])).fetchone()[0]
    reader.close()
    file.write((key + (" REPEATED" if is_durable else "") + chr(10)).encode())
time.sleep(float(seconds))
if request["attempt"] == 1 and request["mission_id"] == "MX" and request["task_id"] == "A" and key[-5] in "0123":
    print("this is not JSON")
else:
    print(json.dumps({"status": "completed", "result": {"key": key}, "summary": "did " + key,
                      "kpis": {"hours": 2.5} if request["task_id"] == "D" else {}}))
"""
MISSIONS: dict[str, list[dict[str, Any]]] = {
    "MX": [
        {"task_id": "A", "order": 1, "depends_on": [], "requires_human_approval": False},
        {"task_id": "B", "order": 1, "depends_on": [], "requires_human_approval": True},
        {"task_id": "C", "order": 2, "depends_on": ["A"], "requires_human_approval": False},
        {"task_id": "D", "order": 3, "depends_on": ["B", "C"], "requires_human_approval": False},
    ],
    "MY": [
        {"task_id": "E", "order": 1, "depends_on": [], "requires_human_approval": False},
        {"task_id": "F", "order": 2, "depends_on": ["E"], "requires_human_approval": True},
    ],
}
"""The first ends with an agent's task, in a worker; the second with a decision, in an approver's command."""


@dataclass(frozen=True)
class Trial:
    """A folder with raw data, a policy, a store and the agents' book, and the commands that work in it.

    ``elsewhere``: address of an empty Postgres database for the store; None for an SQLite file in the folder.
    """

    folder: Path
    elsewhere: str | None = None

    @property
    def raw_data(self) -> Path:
        """The raw-data folder."""
        return self.folder / "raw"

    @property
    def store(self) -> Path:
        """The SQLite file of the store."""
        return self.folder / "warehouse" / ".runner" / "missions.sqlite"

    @property
    def store_url(self) -> str:
        """The address of the store."""
        return self.elsewhere or f"sqlite:///{self.store}"

    @property
    def book(self) -> Path:
        """Where the agents write down each call."""
        return self.folder / "calls.txt"

    def policy(self) -> Policy:
        """The policy of the trial."""
        return load_policy(self.folder / "policy.toml")

    def places(self) -> list[str]:
        """The options with which a command works here."""
        return [
            "--raw-data", str(self.raw_data), "--warehouse", str(self.folder / "warehouse"),
            "--policy", str(self.folder / "policy.toml"),
        ]  # fmt: skip

    def start(self, *arguments: str, **variables: str) -> Command:
        """Start the ``mission`` command in a process of its own."""
        return Command([*arguments, *self.places()], {"MISSION_STORE": self.store_url, **variables}, self.folder)

    def run(self, *arguments: str, **variables: str) -> Command:
        """Run the command to its end."""
        command = self.start(*arguments, **variables)
        command.wait()
        return command

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the store, past the program that keeps it; a value stands where the text has a question mark."""
        if self.elsewhere is not None:
            engine = sa.create_engine(self.elsewhere)
            try:
                with engine.begin() as asked:
                    return [tuple(row) for row in asked.exec_driver_sql(sql.replace("?", "%s"), values)]
            finally:
                engine.dispose()
        connection = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def calls(self) -> list[str]:
        """What the agents wrote down: the key of each call, in order."""
        return self.book.read_text().splitlines() if self.book.exists() else []

    def telemetry(self, data_set: str) -> list[dict[str, Any]]:
        """Return what the runner wrote to the raw data.

        Raises:
            ValueError: a line is torn.

        """
        records = []
        for file in sorted(self.raw_data.glob(f"{data_set}/runner-*.jsonl")):
            text = file.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):
                raise ValueError(f"{file} ends within a line")
            records += [json.loads(line) for line in text.splitlines()]
        return records


def new_trial(
    folder: Path,
    *,
    missions: Mapping[str, Sequence[Mapping[str, Any]]] = MISSIONS,
    work_seconds: float = 0.0,
    agents: Mapping[str, Mapping[str, Any]] | None = None,
    capable: Mapping[str, Sequence[str]] | None = None,
    policy: Mapping[str, str] | None = None,
    store: str | None = None,
) -> Trial:
    """Make a trial.

    Args:
        folder: an empty one, or none yet.
        missions: tasks of each.
        work_seconds: that each of the shipped agents sleeps.
        agents: how each is reached; None for two that write into the book.
        capable: agents of each task; None for all of them.
        policy: lines of the runner's policy that are to be others, by key.
        store: address of an empty Postgres database; None for an SQLite file.

    """
    trial = Trial(folder, store)
    (folder / "warehouse").mkdir(parents=True, exist_ok=True)
    trial.raw_data.mkdir()
    (folder / "agent.py").write_text(AGENT)
    python = [sys.executable, "-I", *(["-S"] if store is None else [])]
    where = str(trial.store) if store is None else store.replace("+psycopg", "")
    command = [*python, str(folder / "agent.py"), str(trial.book), where, str(work_seconds)]
    reached = agents or {name: {"kind": "command", "arguments": command} for name in ("B1", "B2")}
    programs = {endpoint["arguments"][0] for endpoint in reached.values() if endpoint["kind"] == "command"}
    planned = {
        mission: [{"task": f"task {task['task_id']}", "estimated_duration_minutes": 5, **task} for task in tasks]
        for mission, tasks in missions.items()
    }
    kpis = {"baseline_hours": 4, "target_hours": 3, "baseline_cost": 9, "target_cost": 5}
    reference: dict[str, list[dict[str, Any]]] = {
        "business_missions": [
            {"mission_id": mission, "mission_name": "Trial", "description": "Is run often."} for mission in missions
        ],
        "decomposed_mission_tasks": [
            {"mission_id": mission, "tasks": tasks} for mission, tasks in planned.items()
        ],
        "specialized_agents": [
            {"agent_id": name, "name": name, "description": "Writes down each call.", "status": "available",
             "endpoint": endpoint}
            for name, endpoint in reached.items()
        ],
        "agent_capabilities_matrix": [
            {"task_id": task["task_id"], "capable_agents": list((capable or {}).get(task["task_id"], reached))}
            for tasks in missions.values() for task in tasks
        ],
        "mission_kpis": [{"mission_id": mission, "kpis": kpis} for mission in missions],
    }  # fmt: skip
    for name, records in reference.items():
        (trial.raw_data / f"{name}.json").write_text(json.dumps(records))
    changed = {
        "commands": json.dumps(sorted(programs)),
        "lease_seconds": "1.0", "backoff_seconds": "0.05", "max_backoff_seconds": "0.2", **(policy or {}),
    }  # fmt: skip
    lines = SHIPPED_POLICY_FILE.read_text(encoding="utf-8").splitlines()
    for key, value in changed.items():
        (at,) = (number for number, line in enumerate(lines) if line.startswith(f"{key} ="))
        lines[at] = f"{key} = {value}"
    (folder / "policy.toml").write_text("\n".join(lines))
    return trial


# ---------------------------------------------------------------------- processes


class Command:
    """The ``mission`` command in a process of its own, forked from one that has loaded what it needs."""

    def __init__(self, arguments: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
        out = tempfile.mkdtemp(prefix="command-", dir=folder)
        self._files = Path(out) / "stdout", Path(out) / "stderr"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MISSION_")}
        self.process: ForkServerProcess = _context().Process(
            target=_be_the_command, args=(list(arguments), {**kept, **variables}, *map(str, self._files)), daemon=True
        )
        self.process.start()

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return self._files[0].read_text(encoding="utf-8") if self._files[0].exists() else ""

    @property
    def stderr(self) -> str:
        """What it said so far."""
        return self._files[1].read_text(encoding="utf-8") if self._files[1].exists() else ""

    def signal(self, number: int) -> None:
        """Send a signal; to one that has ended, nothing."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Return its exit code, negative for a signal.

        Raises:
            TimeoutError: it has not ended; it is killed.

        """
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"a command took more than {seconds:.0f} s: {self.stderr[-2000:]}")
        return self.process.exitcode


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["mission_pipeline.cli", "mission_pipeline.runner.worker", "mission_pipeline.runner.lines", "alembic.command"]
    )
    return context


def _be_the_command(arguments: list[str], environment: dict[str, str], stdout: str, stderr: str) -> None:
    """Become the command: its streams, its variables, its arguments. Never returns."""
    for name, descriptor in ((stdout, 1), (stderr, 2)):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  until the process ends
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["mission", *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        from mission_pipeline import cli

        cli.main()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


# ---------------------------------------------------------------------- killing


@dataclass
class Tally:
    """What was done to the runs, and what became of them.

    ``kills``: by who was killed and where. ``acknowledged``: the decision that each gate's approver was told of.
    ``faults``: what may not be, a sentence each.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    acknowledged: dict[str, tuple[str, str]] = field(default_factory=dict)
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def number_of_kills(self) -> int:
        """How many processes were killed."""
        return sum(self.kills.values())


class Killer:
    """Keeps runs in flight, and kills who works on them."""

    def __init__(self, trial: Trial, *, seed: int, workers: int) -> None:
        self.trial, self.tally, self._workers = trial, Tally(), workers
        self._random = random.Random(seed)
        self._registry: Registry | None = None
        self._left = {
            *(("worker", place) for place in WORKER_PLACES),
            *(("approver", place) for place in APPROVER_PLACES),
        }

    def kill(self, times: int, deadline_seconds: float) -> None:
        """Kill that many processes, several at a time; places at which nobody has died come first."""
        end = time.monotonic() + deadline_seconds
        while self.tally.number_of_kills < times and time.monotonic() < end:
            self._keep_runs_in_flight()
            started = []
            gates = self._open_gates()
            for gate in self._random.choices(gates, k=3) if gates else ():  # two may race at one of them
                place = self._place("approver")
                started.append(("approver", place, self._approve(gate, place), gate))
            for _ in range(self._workers):
                place = self._place("worker")
                command = self._start("worker", place, "worker", "--until-idle", "--threads", "2")
                started.append(("worker", place, command, ""))
            for who, place, command, gate in started:
                self._end(who, command, place)
                if gate:
                    self._note_decision(gate, command)

    def finish(self) -> None:
        """Bring every run to its end, killing nobody."""
        for _ in range(100):
            worker = self.trial.start("worker", "--until-idle")
            if worker.wait() != 0:
                self.tally.faults.append(f"a worker ended with {worker.process.exitcode}: {worker.stderr[-500:]}")
                return
            gates = self._open_gates()
            if not gates:
                return
            for gate in gates:
                self._note_decision(gate, self._approve(gate, RANDOM))

    def _keep_runs_in_flight(self) -> None:
        """Make a run of each mission, unless workers have enough to do."""
        policy = self.trial.policy()
        with open_store(self.trial.store_url, clock=now, policy=policy) as store:
            waiting = self.trial.rows("select count(distinct run_id) from mission_task where due_at is not null")[0][0]
            if waiting < len(MISSIONS):
                self._registry = self._registry or load_registry(self.trial.raw_data, policy, now())
                for mission in MISSIONS:
                    store.create_run(self._registry.plan(mission), mission_input={})

    def _place(self, who: str) -> str:
        """Return where to kill next: where nobody has died yet, else anywhere."""
        left = sorted(place for each, place in self._left if each == who)
        if left:
            return self._random.choice(left)
        everywhere = WORKER_PLACES if who == "worker" else APPROVER_PLACES
        return self._random.choice(everywhere) if self._random.random() < ARMED_SHARE else RANDOM

    def _start(self, who: str, place: str, *arguments: str) -> Command:
        if place == RANDOM:
            return self.trial.start(*arguments)
        times = self._random.randint(1, 3 if (who, place) not in self._left and who == "worker" else 1)
        return self.trial.start(*arguments, MISSION_FAILPOINT=f"{place}:{times}")

    def _end(self, who: str, command: Command, place: str) -> None:
        if place == RANDOM:
            command.process.join(self._random.uniform(0, 1.5 if who == "worker" else 0.3))
            command.signal(signal.SIGKILL)
        if command.wait() == -signal.SIGKILL:
            self.tally.kills[who, place] += 1
            self._left.discard((who, place))
        elif command.process.exitcode not in (0, 5):
            self.tally.faults.append(f"a {who} ended with {command.process.exitcode}: {command.stderr[-500:]}")

    def _open_gates(self) -> list[str]:
        found = self.trial.rows("select approval_id from approval where status = 'open' order by approval_id")
        return [gate for (gate,) in found]

    def _approve(self, gate: str, place: str) -> Command:
        by = f"person {self._random.randrange(10**9)}"
        attempt = int(gate.rpartition(":")[2])
        if attempt == 1 and self._random.random() < 0.25:
            command = self._start("approver", place, "reject", gate, "--by", by, "--reason", "do better", "--json")
        else:
            command = self._start("approver", place, "approve", gate, "--by", by, "--json")
        return command

    def _note_decision(self, gate: str, command: Command) -> None:
        """Note a decision that somebody was told of: the command ended with 0."""
        code = command.wait()
        if code == 0:
            told = json.loads(command.stdout)
            if gate in self.tally.acknowledged:
                self.tally.faults.append(f"{gate} was decided twice")
            self.tally.acknowledged[gate] = told["verdict"], told["decided_by"]
        elif code == 5:
            self.tally.refused += 1


def now() -> datetime:
    """The time of this machine, UTC, without zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def check(trial: Trial, tally: Tally) -> Tally:
    """Compare what there is with what must be; add a sentence for each difference."""
    faults, rows = tally.faults, trial.rows
    repeated = [line for line in trial.calls() if line.endswith("REPEATED")]
    faults += [f"{line}: the agent was called after its result was durable" for line in repeated]
    decided = {
        gate: (status, by)
        for gate, status, by in rows(
            "select approval_id, status, decided_by from approval where decided_at is not null"
        )
    }
    lost = {gate: told for gate, told in tally.acknowledged.items() if decided.get(gate) != told}
    faults += [f"{gate}: acknowledged as {told}, the store has {decided.get(gate)}" for gate, told in lost.items()]
    open_runs = rows("select run_id, status from mission_run where ended_at is null")
    faults += [f"{run} has not ended: {status}" for run, status in open_runs]
    ended = {
        "mission_runs": "select run_id from mission_run where ended_at is not null",
        # An attempt for which no agent could be asked is no execution.
        "task_execution_logs": "select run_id, task_id, attempt from task_attempt "
        "where outcome is not null and agent_id is not null",
        "mission_risk_events": "select event_id from risk_event",
    }
    keys = {
        "mission_runs": ("run_id",),
        "task_execution_logs": ("run_id", "task_id", "attempt"),
        "mission_risk_events": ("event_id",),
    }
    for data_set, sql in ended.items():
        expected = Counter(rows(sql))
        try:
            written = Counter(tuple(row[key] for key in keys[data_set]) for row in trial.telemetry(data_set))
        except ValueError as error:
            faults.append(f"{data_set}: {error}")
            continue
        faults += [f"{data_set}: {key} is missing" for key in (expected - written)]
        faults += [f"{data_set}: {key} is there {written[key]} times" for key in (written - expected)]
        tally.counts[data_set] = sum(written.values())
    tally.counts["calls"] = len(trial.calls())
    tally.counts["repeated"] = len(repeated)
    tally.counts["lost"] = len(lost)
    tally.counts["open"] = len(open_runs)
    return tally


def survive(trial: Trial, *, kills: int, seed: int, workers: int = 2, deadline_seconds: float = 3600) -> Tally:
    """Kill, finish and check; so many workers share the runs at a time."""
    killer = Killer(trial, seed=seed, workers=workers)
    killer.kill(kills, deadline_seconds)
    killer.finish()
    return check(trial, killer.tally)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--store", help="address of an empty Postgres database; default: a new SQLite file")
    given = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="runner-faults-") as folder:
        trial = new_trial(Path(folder), work_seconds=0.02, store=given.store)
        tally = survive(trial, kills=given.kills, seed=given.seed)
    print(f"{tally.number_of_kills:,} kills in {time.perf_counter() - began:.0f} s")
    for who, places in (("worker", WORKER_PLACES), ("approver", APPROVER_PLACES)):
        for place in (*places, RANDOM):
            print(f"  {who:9} {place:16} {tally.kills[who, place]:6,}")
            if given.kills >= 100 and not tally.kills[who, place]:
                tally.faults.append(f"no {who} died at {place}")
    said = {
        "mission_runs": "runs",
        "task_execution_logs": "executions logged",
        "mission_risk_events": "risk events",
        "calls": "calls of agents",
    }
    print(", ".join(f"{tally.counts.get(key, 0):,} {words}" for key, words in said.items()), end="; ")
    print(f"{len(tally.acknowledged):,} decisions acknowledged, {tally.refused:,} refused as second")
    for fault in tally.faults[:20]:
        print(f"  {fault}")
    print(
        f"repeated after they were durable: {tally.counts.get('repeated', 0)}, decisions lost: "
        f"{tally.counts.get('lost', 0)}, runs that hang: {tally.counts.get('open', 0)}, faults in all: "
        f"{len(tally.faults)}: " + ("NOT WITHIN" if tally.faults else "within")
    )
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())

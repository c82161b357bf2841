"""A store of missions to try things on: a clock that tests move, plans in one line, workers that do as they are told."""

import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from postgres_server import NoPostgres, postgres_url

from mission_pipeline.policy import Policy, load_policy
from mission_pipeline.runner.model import AgentFault, Answer, Choice, KpiTarget, MissionPlan, PlannedTask
from mission_pipeline.runner.store import open_store
from mission_pipeline.runner.tables import metadata
from mission_pipeline.settings import SHIPPED_POLICY_FILE

NINE = datetime(2026, 11, 21, 9)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now=NINE):
        self.now = now

    def __call__(self):
        return self.now

    def move(self, **by):
        self.now += timedelta(**by)


@cache
def shipped_policy():
    return load_policy(SHIPPED_POLICY_FILE)


def policy_with(runner=None, gates=None, missions=None, **rules):
    """The shipped policy with other limits of the runner, its gates, or its risk rules."""
    values = shipped_policy().model_dump()
    values["runner"] |= runner or {}
    values["runner"]["gates"] |= gates or {}
    for name, limits in rules.items():
        values["risk_rules"][name] |= limits
    return Policy.model_validate({**values, "missions": missions or {}})


def task(task_id, *after, gate=False, minutes=10.0, agents=("A1", "A2")):
    return PlannedTask(task_id, f"Task {task_id}", None, after, minutes, gate, agents)


def plan(*tasks, kpis=(), mission_id="M001"):
    return MissionPlan(mission_id, "A mission", "Olga", tasks, kpis)


DAYS = KpiTarget("days", "lower_is_better", 5.0, 2.0, True, "target")
SCORE = KpiTarget("score_csat", "higher_is_better", None, 4.0, False, "floor")
STEPS = KpiTarget("steps", "lower_is_better", None, 2.0, False, "ceiling")
GATED = plan(task("T1"), task("T2", "T1", gate=True), task("T3", "T2"), kpis=(DAYS, SCORE))


@cache
def _empty_store():
    """An empty store, which takes longer to make than to copy; gone when the tests end."""
    folder = TemporaryDirectory(prefix="missions-")
    open_store(f"sqlite:///{folder.name}/missions.sqlite", clock=Clock(), policy=shipped_policy()).close()
    return folder


def new_sqlite(folder):
    """The address of a new store in a folder."""
    file = folder / "missions.sqlite"
    copyfile(Path(_empty_store().name) / "missions.sqlite", file)
    return f"sqlite:///{file}"


@cache
def _postgres():
    url = postgres_url()
    open_store(url, clock=Clock(), policy=shipped_policy()).close()
    return url


def new_postgres():
    """The address of an empty store on a Postgres server; the test is skipped, with the reason, where there is none."""
    try:
        url = _postgres()
    except NoPostgres as reason:
        pytest.skip(str(reason))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        names = ", ".join(table.name for table in metadata.sorted_tables if table.name != "store_meta")
        connection.execute(sa.text(f"truncate {names} restart identity"))
        connection.execute(sa.text("update store_meta set outbox_seq = 0"))
    engine.dispose()
    return url


def _new_postgres_database():
    """The address of a database on the Postgres server in which nothing is yet."""
    try:
        server = postgres_url()
    except NoPostgres as reason:
        pytest.skip(str(reason))
    name = f"new_{secrets.token_hex(4)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


EMPTY = {
    "sqlite": lambda folder: f"sqlite:///{folder}/deep/missions.sqlite",
    "postgres": lambda _: _new_postgres_database(),
}
"""What makes the address of a database without any table, by kind, given a folder."""
STORES = {"sqlite": new_sqlite, "postgres": lambda _: new_postgres()}
"""What makes the address of a new store, by kind, given a folder."""


def all_at_once(*steps):
    """Do steps in as many threads, begun together; return what each returned or raised."""
    begin = threading.Barrier(len(steps))

    def do(step):
        begin.wait()
        try:
            return step()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(do, steps))


class Desk:
    """An open store with a clock; ``work`` and the like are one worker's steps."""

    def __init__(self, url, policy=None):
        self.url = url
        self.clock = Clock()
        self.policy = policy or shipped_policy()
        self.store = open_store(url, clock=self.clock, policy=self.policy)

    def close(self):
        self.store.close()

    def reopen(self, policy=None):
        """As after a restart, maybe with another policy."""
        self.store.close()
        self.policy = policy or self.policy
        self.store = open_store(self.url, clock=self.clock, policy=self.policy)

    def start(self, of_plan=GATED, **options):
        return self.store.create_run(of_plan, mission_input=options.pop("mission_input", {"name": "Ada"}), **options)

    def claim(self, worker="w1", run_id=None, agent="A1"):
        """Claim a task and choose its agent."""
        claim = self.store.claim(worker, run_id)
        if claim is not None:
            assert self.store.choose(claim, Choice(agent, "best", ({"agent_id": agent, "score": 0.5},), "v1"))
        return claim

    def work(self, result=None, *, minutes=1.0, kpis=None, agent="A1", run_id=None):
        """Let one agent do the next task; the clock moves by its minutes. Return the task's id."""
        claim = self.claim(run_id=run_id, agent=agent)
        assert claim is not None, "no task can be claimed"
        self.clock.move(minutes=minutes)
        assert self.store.complete(claim, Answer(result or {"done": claim.task_id}, "Done.", kpis or {}), minutes * 60)
        return claim.task_id

    def fault(self, message="It broke.", outcome="failed", *, minutes=1.0):
        """Let one agent fail at the next task."""
        claim = self.claim()
        assert claim is not None, "no task can be claimed"
        self.clock.move(minutes=minutes)
        assert self.store.fail(claim, AgentFault(message, outcome), minutes * 60)
        return claim

    def work_on(self):
        """Let agents do whatever can be done without a person. Return the tasks, in order."""
        done = []
        while self.store.next_due() is not None:
            self.clock.now = max(self.clock.now, self.store.next_due())
            done.append(self.work())
        return done

    def work_on_as_chosen(self):
        """Likewise, where attempts may have been given to an agent before."""
        while (due := self.store.next_due()) is not None:
            self.clock.now = max(self.clock.now, due)
            claim = self.store.claim("w1")
            self.store.choose(claim, Choice(claim.agent_id or "A1", "best", (), None))
            assert self.store.complete(claim, Answer({"done": claim.task_id}), 60)

    def gate(self):
        """The only open gate."""
        (gate,) = self.store.open_approvals()
        return gate["approval_id"]

    def tasks(self, run_id):
        return self.store.state(run_id)["task_status_by_id"]

    def telemetry(self, data_set):
        """The records that are ready for the raw data."""
        return [json.loads(row.line) for row in self.store.pending_telemetry(10_000) if row.data_set == data_set]

    def logs(self):
        return self.telemetry("task_execution_logs")

    def risks(self, run_id):
        """Type and severity of each risk of a run, by task."""
        events = self.store.state(run_id)["risk_events"]
        return {(event["task_id"], event["risk_type"]): event["severity"] for event in events}

    def sql(self, statement, **values):
        """Run a statement beside the store, as somebody else would."""
        engine = sa.create_engine(self.url)
        try:
            with engine.begin() as connection:
                found = connection.execute(sa.text(statement), values)
                return found.all() if found.returns_rows else []
        finally:
            engine.dispose()

"""Random plans, workers that overlap, die and wake, people who decide: what holds whatever happens, and in which order."""

import json
from datetime import datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from mission_store import DAYS, STORES, Desk, plan, policy_with, task

from mission_pipeline.errors import AlreadyDecided
from mission_pipeline.runner.model import AgentFault, Answer, Choice
from mission_pipeline.runner.tables import (
    approval,
    mission_run,
    mission_task,
    outbox,
    risk_event,
    task_attempt,
    task_dep,
)

POLICY = policy_with({"max_attempts": 2}, {"time_limit_minutes": 90.0, "on_time_limit": "escalate"})
ENDED = {"completed", "failed", "cancelled"}
TABLES = {
    table.name: table for table in (approval, mission_run, mission_task, outbox, risk_event, task_attempt, task_dep)
}


@st.composite
def plans(draw):
    """A plan of up to six tasks, each after any of those before it, some with a gate."""
    tasks = []
    for place in range(draw(st.integers(1, 6))):
        after = draw(st.lists(st.sampled_from(tasks), unique=True, max_size=3)) if tasks else []
        tasks.append(task(f"T{place}", *(each.task_id for each in after), gate=draw(st.integers(0, 3)) == 0))
    return plan(*tasks, kpis=(DAYS,))


class AnyMission(RuleBasedStateMachine):
    """What the store says is compared with what was told it, step by step."""

    store = "sqlite"

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory(prefix="missions-")
        self.desk = Desk(STORES[self.store](Path(self.folder.name)), POLICY)
        if self.store == "sqlite":  # nothing is killed here, so nothing has to be on disk at once
            engine = self.desk.store._database._engine
            sa.event.listen(engine, "connect", lambda raw, _: raw.execute("pragma synchronous = off"))
            engine.dispose()
        self.names = (f"{place:06x}" for place in count())  # by chance, no failure could be told again
        self.plans = {}
        self.held = []  # claims, also those whose fence is lost: their workers do not know yet
        self.kept = {}  # result of each attempt that the store said it kept

    @initialize(first=plans())
    def start_one(self, first):
        with patch("mission_pipeline.runner.store.secrets.token_hex", lambda _: next(self.names)):
            self.plans[self.desk.start(first)] = first

    @precondition(lambda self: len(self.plans) < 3)
    @rule(another=plans())
    def start(self, another):
        self.start_one(another)

    @rule()
    def claim(self):
        claim = self.desk.store.claim("w")
        if claim is None:
            return
        done = self.desk.tasks(claim.run_id)
        needed = {each.task_id: each.depends_on for each in self.plans[claim.run_id].tasks}[claim.task_id]
        assert all(done[before] == "completed" for before in needed)
        assert set(claim.results) == set(needed)
        for earlier in self.held:
            if (earlier.run_id, earlier.task_id) == (claim.run_id, claim.task_id):
                assert earlier.fence < claim.fence
        if claim.agent_id is None:
            assert self.desk.store.choose(claim, Choice("A1", "best", (), None))
        self.held.append(claim)

    @rule()
    def find_nobody(self):
        claim = self.desk.store.claim("w")
        if claim is not None and claim.agent_id is None:
            assert self.desk.store.put_back(claim, "Nobody is there.")
            assert self.desk.tasks(claim.run_id)[claim.task_id] == "pending"

    @precondition(lambda self: self.held)
    @rule(data=st.data(), minutes=st.sampled_from([0, 1, 30]))
    def complete(self, data, minutes):
        claim = data.draw(st.sampled_from(self.held))
        is_newest = self.is_newest(claim)
        answer = Answer({"fence": claim.fence}, None, {"days": float(claim.fence)})
        assert self.desk.store.complete(claim, answer, minutes * 60) is is_newest
        if is_newest:
            assert claim.key not in self.kept
            self.kept[claim.key] = claim.fence
        self.held.remove(claim)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(["failed", "timed_out", "escalated"]))
    def fail(self, data, outcome):
        claim = data.draw(st.sampled_from(self.held))
        is_newest = self.is_newest(claim)
        assert self.desk.store.fail(claim, AgentFault("broken", outcome), 60) is is_newest
        self.held.remove(claim)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data):
        claim = data.draw(st.sampled_from(self.held))
        assert (self.desk.store.renew(claim) is not None) is self.is_newest(claim)

    @precondition(lambda self: self.rows("approval"))
    @rule(data=st.data(), verdict=st.sampled_from(["approved", "rejected"]))
    def decide(self, data, verdict):
        gate = data.draw(st.sampled_from(self.rows("approval")))
        try:
            decision = self.desk.store.decide(
                gate.approval_id, verdict, by="Ann", reason="so", seen_sha256=gate.result_sha256
            )
        except AlreadyDecided:
            assert gate.status != "open"
        else:
            assert gate.status == "open"
            assert decision.verdict == verdict

    @rule(data=st.data(), is_wanted=st.integers(0, 4))
    def cancel(self, data, is_wanted):
        going_on = [run.run_id for run in self.rows("mission_run") if run.status not in ENDED]
        if going_on and is_wanted == 0:
            self.desk.store.cancel(data.draw(st.sampled_from(going_on)), by="Ann")

    @rule(data=st.data(), value=st.floats(0, 5))
    def observe(self, data, value):
        self.desk.store.observe_kpi(data.draw(st.sampled_from(list(self.plans))), "days", value)

    @rule(minutes=st.sampled_from([0.01, 1, 10, 100, 5 * 24 * 60, -1, -5 * 24 * 60]))
    def let_time_pass(self, minutes):
        self.desk.clock.move(minutes=minutes)

    @rule()
    def look_at_gates(self):
        self.desk.store.look_at_gates()
        assert self.desk.store.look_at_gates() == []

    # ------------------------------------------------------------ what always holds

    @invariant()
    def nothing_begins_before_what_it_depends_on(self):
        status = {(each.run_id, each.task_id): each for each in self.rows("mission_task")}
        open_dependencies = dict.fromkeys(status, 0)
        for needed in self.rows("task_dep"):
            before, after = status[needed.run_id, needed.depends_on], status[needed.run_id, needed.task_id]
            open_dependencies[after.run_id, after.task_id] += before.status != "completed"
            assert before.status == "completed" or after.started_at is None
        assert {key: each.open_dependencies for key, each in status.items()} == open_dependencies

    @invariant()
    def counters_equal_what_can_be_counted(self):
        tasks, attempts, gates = self.rows("mission_task"), self.rows("task_attempt"), self.rows("approval")
        risks = self.rows("risk_event")
        for run in self.rows("mission_run"):
            own = [each for each in tasks if each.run_id == run.run_id]
            live = [each for each in own if each.due_at is not None]
            waiting = [each for each in own if each.blocked_reason == "approval"]
            outcomes = [each.outcome for each in attempts if each.run_id == run.run_id and each.agent_id]
            passed = [gate for gate in gates if gate.run_id == run.run_id]
            assert run.open_tasks == sum(each.ended_at is None for each in own)
            assert run.live_tasks == len(live)
            assert {each.status for each in live} <= {"pending", "running"}
            assert run.failures == sum(outcome in ("failed", "timed_out", "escalated") for outcome in outcomes)
            escalated = sum(gate.escalated_at is not None for gate in passed)
            assert run.escalations == escalated + outcomes.count("escalated")
            by_people = sum(
                gate.status == "rejected" or (gate.status == "approved" and gate.escalated_at is not None)
                for gate in passed
            )
            assert run.human_interventions == by_people + (run.cancelled_by is not None)
            assert run.is_risk_flagged == any(risk.run_id == run.run_id for risk in risks)
            assert {gate.task_id for gate in passed if gate.status == "open"} == {each.task_id for each in waiting}
            if run.status in ENDED:
                assert run.open_tasks == run.live_tasks == len(waiting) == 0
                assert run.ended_at >= (run.started_at or run.created_at)
            else:
                assert run.status == ("running" if live else "blocked")
                assert live or waiting

    @invariant()
    def every_attempt_that_ended_has_one_log_and_every_run_that_ended_its_records(self):
        rows = self.rows("outbox")
        logs = sorted(row.record_key for row in rows if row.data_set == "task_execution_logs")
        ended = [each for each in self.rows("task_attempt") if each.outcome and each.agent_id]
        assert logs == sorted(f"{each.run_id}:{each.task_id}:{each.attempt}" for each in ended)
        runs = {run.run_id: run for run in self.rows("mission_run")}
        records = [(row.record_key, row.version) for row in rows if row.data_set == "mission_runs"]
        assert sorted(records) == sorted(
            (run.run_id, place) for run in runs.values() for place in range(1, run.records + 1)
        )
        assert all((run.records > 0) is (run.status in ENDED) for run in runs.values())
        assert all((row.ready_seq is not None) is (runs[row.run_id].status in ENDED) for row in rows)
        ready = sorted(row.ready_seq for row in rows if row.ready_seq is not None)
        assert ready == list(range(1, len(ready) + 1))

    def teardown(self):
        try:
            if self.plans:
                self.bring_to_an_end()
                self.compare_the_records()
        finally:
            self.desk.close()
            self.folder.cleanup()

    def bring_to_an_end(self):
        for _ in range(200):
            self.desk.work_on_as_chosen()
            gates = self.desk.store.open_approvals()
            if not gates:
                break
            for gate in gates:
                self.desk.store.decide(gate["approval_id"], "approved", by="Ann")
        assert {run.status for run in self.rows("mission_run")} <= ENDED
        self.counters_equal_what_can_be_counted()
        self.every_attempt_that_ended_has_one_log_and_every_run_that_ended_its_records()

    def compare_the_records(self):
        """Run aggregates match the logs, and what was kept is what was said to be kept."""
        newest = {record["run_id"]: record for record in self.desk.telemetry("mission_runs")}
        logs = self.desk.logs()
        told = {event["event_id"]: event for event in self.desk.telemetry("mission_risk_events")}
        events = [event for event in told.values() if not event["description"].startswith("Withdrawn")]
        assert set(newest) == set(self.plans)
        assert {event["event_id"] for event in events} == {row.event_id for row in self.rows("risk_event")}
        for run_id, record in newest.items():
            own = [log for log in logs if log["run_id"] == run_id]
            tasks = self.desk.tasks(run_id)
            done = {log["task_id"] for log in own if log["outcome"] in ("completed", "approved")}
            assert done == {task_id for task_id, status in tasks.items() if status == "completed"}
            assert (record["status"] == "completed") is (done == set(tasks))
            assert record["risk_flagged"] is any(event["run_id"] == run_id for event in events)
            rejected = sum(log["outcome"] == "rejected" for log in own)
            assert record["human_interventions"] >= rejected + (record["status"] == "cancelled")
            assert record["escalations"] >= sum(log["outcome"] == "escalated" for log in own)
            for log in own:
                times = (record["start_time"], log["started_at"], log["finished_at"], record["end_time"])
                assert list(times) == sorted(times, key=datetime.fromisoformat)
            delays = [log["human_delay_minutes"] for log in own if log["human_delay_minutes"] is not None]
            assert all(0 <= delay <= record["total_duration_minutes"] for delay in delays)
        for attempt in self.rows("task_attempt"):
            key = f"{attempt.run_id}:{attempt.task_id}:{attempt.attempt}"
            if key in self.kept:
                assert json.loads(attempt.result) == {"fence": self.kept[key]}

    # ------------------------------------------------------------ within

    def rows(self, table):
        with self.desk.store._database.read() as connection:
            return connection.execute(sa.select(TABLES[table]).order_by(*TABLES[table].primary_key)).all()

    def is_newest(self, claim):
        (row,) = (
            each for each in self.rows("mission_task") if (each.run_id, each.task_id) == (claim.run_id, claim.task_id)
        )
        return row.fence == claim.fence and row.status == "running"


TestAnyMission = AnyMission.TestCase
TestAnyMission.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


class AnyMissionOnPostgres(AnyMission):
    """The same on Postgres, where a server is installed."""

    store = "postgres"


TestAnyMissionOnPostgres = AnyMissionOnPostgres.TestCase
TestAnyMissionOnPostgres.settings = settings(max_examples=5, stateful_step_count=25, deadline=None)

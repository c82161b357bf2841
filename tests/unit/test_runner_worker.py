"""The worker in this process, on a real store: what it does when the registry, an agent or the store let it down."""

import json
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from runner_trials import new_trial, now, one_task, tasks

from mission_pipeline.errors import StoreFault
from mission_pipeline.runner.model import AgentFault, Answer
from mission_pipeline.runner.registry import load_registry
from mission_pipeline.runner.routing import Router
from mission_pipeline.runner.store import open_store
from mission_pipeline.runner.worker import Tools, Worker
from mission_pipeline.warehouse import Warehouse


class Clock:
    """The time, which a test may move."""

    ahead = timedelta()

    def __call__(self):
        return now() + self.ahead


@contextmanager
def workshop(trial):
    """Yield a store with a run, what a worker needs, and what it says."""
    policy, clock, said = trial.policy(), Clock(), []
    registry = load_registry(trial.raw_data, policy, clock())
    with open_store(f"sqlite:///{trial.store}", clock=clock, policy=policy) as store:
        run_id = store.create_run(registry.plan("M"), mission_input={})
        tools = Tools(
            load_registry=lambda: load_registry(trial.raw_data, policy, clock()),
            router=Router(Warehouse(trial.folder / "warehouse"), policy),
            policy=policy,
            raw_data=trial.raw_data,
            clock=clock,
            say=said.append,
        )
        yield store, tools, run_id, said, registry


def working(store, tools, **options):
    worker = Worker(store, tools, **{"until_idle": True, "threads": 2, **options})
    worker.work()
    return worker


def write_agents(trial, *agents):
    """Replace the registry's agents, each a name and a status."""
    file = trial.raw_data / "specialized_agents.json"
    (endpoint,) = {json.dumps(agent["endpoint"]) for agent in json.loads(file.read_text())}
    records = [
        {"agent_id": name, "name": name, "status": status, "endpoint": json.loads(endpoint)} for name, status in agents
    ]
    file.write_text(json.dumps(records))


def test_it_does_what_can_be_done_and_counts_it(tmp_path):
    with workshop(new_trial(tmp_path / "trial", missions={"M": tasks(("A", ""), ("B", "A", "gate"))})) as parts:
        store, tools, run_id, said, _ = parts
        worker = working(store, tools)
        assert (worker.tasks_done, worker.at_hand, worker.telemetry_fault) == (2, 0, None)
        assert store.state(run_id)["status"] == "blocked"
        assert [line.split("  ")[1][:8] for line in said] == ["A comple", "B done b"]


def test_attempts_that_come_to_nothing_and_gates_it_acted_on_are_counted(tmp_path):
    gone = {"B1": {"kind": "command", "arguments": [str(tmp_path / "gone")]}}
    missions = {"M": tasks(("A", ""), ("B", "", "gate"))}
    trial = new_trial(tmp_path / "trial", missions=missions, agents=gone, policy={"max_attempts": "2"})
    with workshop(trial) as (store, tools, _, _, _):
        worker = working(store, tools)
        assert (worker.tasks_done, worker.attempts_failed, worker.gates_acted_on) == (0, 4, 0)
    trial = new_trial(tmp_path / "other", missions=one_task("gate"))
    with workshop(trial) as (store, tools, _, _, _):
        working(store, tools)
        tools.clock.ahead = timedelta(minutes=60)
        worker = working(store, tools)
        assert (worker.tasks_done, worker.attempts_failed, worker.gates_acted_on) == (0, 0, 1)


def test_a_task_of_whose_agents_none_is_available_waits_for_one_and_spends_no_attempt(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), policy={"max_backoff_seconds": "60.0"})
    with workshop(trial) as (store, tools, run_id, said, _):
        write_agents(trial, ("B1", "unavailable"), ("B2", "retired"))
        for _ in range(4):  # more often than it may be attempted
            worker = working(store, tools)
        assert (worker.tasks_done, worker.attempts_failed, store.number_of_tasks_without_agent()) == (0, 0, 1)
        state = store.state(run_id)
        assert (state["status"], state["task_status_by_id"]) == ("running", {"T": "pending"})
        assert "of B1, B2 none is available" in state["task_results_by_id"]["T"]["error"]
        assert all("T waits: No agent could be asked: of B1, B2" in line for line in said)
        write_agents(trial, ("B1", "unavailable"), ("B2", "available"))
        working(store, tools)
        assert store.state(run_id)["status"] == "completed"
        assert store.number_of_tasks_without_agent() == 0
        assert trial.rows("select attempt, agent_id, outcome, error from task_attempt") == [
            (1, "B2", "completed", None)
        ]


def test_a_worker_that_stays_says_once_who_is_missing_and_goes_on_when_one_comes(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), policy={"max_backoff_seconds": "0.05"})
    with workshop(trial) as (store, tools, run_id, said, _):
        write_agents(trial, ("B1", "unavailable"), ("B2", "retired"))
        worker = Worker(store, tools, threads=2)
        thread = threading.Thread(target=worker.work)
        thread.start()
        while trial.rows("select coalesce(max(fence), 0) from mission_task") < [(3,)]:
            time.sleep(0.01)
        assert len(said) == 1
        write_agents(trial, ("B1", "available"), ("B2", "retired"))
        while store.state(run_id)["status"] != "completed":
            time.sleep(0.01)
        worker.stop()
        thread.join()
        assert len(said) == 2


def test_what_a_worker_does_at_a_gate_is_said(tmp_path):
    with workshop(new_trial(tmp_path / "trial", missions={"M": tasks(("A", "", "gate"))})) as parts:
        store, tools, run_id, said, _ = parts
        working(store, tools)
        tools.clock.ahead = timedelta(minutes=60)
        working(store, tools)
        assert said[1:] == [
            f"{run_id}  A waits for a person: the wait is a risk of high severity; a reminder, after 60 minutes"
        ]


def test_a_changed_registry_is_noticed_while_a_run_goes_on(tmp_path):
    trial = new_trial(tmp_path / "trial", missions={"M": tasks(("A", ""), ("B", "A"))}, work_seconds=1.2)
    with workshop(trial) as (store, tools, _, _, registry):
        worker = threading.Thread(target=working, args=(store, tools), kwargs={"registry": registry})
        worker.start()
        while not trial.calls():
            time.sleep(0.01)
        write_agents(trial, ("B1", "unavailable"), ("B2", "available"))
        worker.join()
        assert trial.rows("select task_id, agent_id from task_attempt order by task_id") == [("A", "B1"), ("B", "B2")]


@pytest.mark.parametrize(("lost", "ended"), [
    (2, [(1, "B1", "completed", None)]),
    (3, [(1, "B1", "failed", "3 workers in turn were not heard of again while they had this attempt."), (2, "B2", "completed", None)]),
])  # fmt: skip
def test_an_attempt_that_kills_its_workers_fails_at_last(tmp_path, lost, ended):
    limits = {"max_takeovers": "2", "lease_seconds": "30.0", "backoff_seconds": "0.0"}
    trial = new_trial(tmp_path / "trial", missions=one_task(), policy=limits)
    with workshop(trial) as (store, tools, _, _, registry):
        for number in range(lost):
            claim = store.claim(f"one that dies {number}")
            store.choose(claim, tools.router.choose(claim, registry.agents))
            tools.clock.ahead += timedelta(seconds=31)
        working(store, tools)
        assert trial.rows("select attempt, agent_id, outcome, error from task_attempt order by attempt") == ended


def test_an_attempt_whose_agent_has_left_goes_to_another_as_a_new_attempt(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    with workshop(trial) as (store, tools, run_id, said, registry):
        claim = store.claim("one that dies")
        choice = tools.router.choose(claim, registry.agents)
        store.choose(claim, choice)
        tools.clock.ahead = timedelta(minutes=5)  # its lease is over
        other = "B2" if choice.agent_id == "B1" else "B1"
        write_agents(trial, (choice.agent_id, "retired"), (other, "available"))
        agents = json.loads((trial.raw_data / "specialized_agents.json").read_text())
        for agent in agents:
            if agent["agent_id"] == choice.agent_id:
                del agent["endpoint"]
        (trial.raw_data / "specialized_agents.json").write_text(json.dumps(agents))
        working(store, tools)
        assert f"of {choice.agent_id} none is available any more" in said[0]
        assert store.state(run_id)["status"] == "completed"
        assert trial.rows("select attempt, agent_id, outcome from task_attempt order by attempt") == [
            (1, choice.agent_id, "failed"), (2, other, "completed"),
        ]  # fmt: skip


def test_a_registry_that_cannot_be_read_any_more_is_used_as_it_was(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    with workshop(trial) as (store, tools, run_id, said, registry):
        (trial.raw_data / "specialized_agents.json").write_text("{ half")
        working(store, tools, registry=registry)
        assert any("the registry is used as it was" in line for line in said)
        assert store.state(run_id)["status"] == "completed"


def test_a_registry_that_cannot_be_read_at_all_costs_no_task_an_attempt(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    with workshop(trial) as (store, tools, _, _, _):
        whole = (trial.raw_data / "specialized_agents.json").read_text()
        (trial.raw_data / "specialized_agents.json").write_text("{ half")
        with pytest.raises(Exception, match=r"specialized_agents.json"):
            working(store, tools)
        (trial.raw_data / "specialized_agents.json").write_text(whole)
        working(store, tools)
        assert trial.rows("select attempt, outcome from task_attempt") == [(1, "completed")]


def test_an_answer_after_the_lease_is_refused_and_said(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), work_seconds=0.5, policy={"lease_seconds": "30.0"})
    with workshop(trial) as (store, tools, run_id, said, _):
        worker = Worker(store, tools, threads=1, run_id=run_id)
        thread = threading.Thread(target=worker.work)
        thread.start()
        while not trial.calls():
            time.sleep(0.01)
        tools.clock.ahead = timedelta(minutes=1)
        other = store.claim("another")
        store.fail(other, AgentFault("it gave up"), 0.1)
        thread.join()
        assert f"{run_id}  T too late: its lease was over, and the task is another worker's" in said
        assert trial.rows("select attempt, outcome from task_attempt order by attempt") == [
            (1, "failed"), (2, "completed"),
        ]  # fmt: skip


def test_an_answer_after_a_cancel_is_refused_and_it_is_said_who_cancelled(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), work_seconds=0.5)
    with workshop(trial) as (store, tools, run_id, said, _):
        thread = threading.Thread(target=working, args=(store, tools))
        thread.start()
        while not trial.calls():
            time.sleep(0.01)
        store.cancel(run_id, by="Ann")
        thread.join()
        assert said == [f"{run_id}  T too late: the run was cancelled by Ann"]


def test_an_answer_after_another_worker_ended_the_run_is_refused_with_both_reasons(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    with workshop(trial) as (store, tools, run_id, said, _):
        late = store.claim("one that sleeps")
        tools.clock.ahead = timedelta(minutes=5)
        worker = working(store, tools)
        worker._tell(late, False, "")
        assert said[-1] == f"{run_id}  T too late: its lease was over, and the run has ended"


def test_a_lease_lost_before_the_call_costs_no_call(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    with workshop(trial) as (store, tools, run_id, said, registry):

        class Slow(Router):
            def choose(self, claim, agents):
                if claim.fence == 1:
                    tools.clock.ahead = timedelta(minutes=5)
                    assert store.claim("another").fence > claim.fence
                    tools.clock.ahead = timedelta(minutes=10)
                return super().choose(claim, agents)

        slow = Slow(Warehouse(trial.folder / "warehouse"), tools.policy)
        working(store, Tools(**{**vars(tools), "router": slow}), threads=1, registry=registry)
        assert "too late" in said[0]
        assert trial.calls() == [f"{run_id}:T:1"]


def test_a_fault_of_the_store_ends_the_worker_and_reaches_the_caller(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    with workshop(trial) as (store, tools, _, _, registry):
        store.complete = lambda *_: (_ for _ in ()).throw(StoreFault("The store cannot be used."))
        with pytest.raises(StoreFault, match=r"The store cannot be used\."):
            working(store, tools, registry=registry)


def test_an_answer_that_cannot_be_kept_fails_the_attempt_and_not_the_worker(tmp_path, monkeypatch):
    """No adapter of the program gives one; one that is added later may."""

    class Careless:
        def call(self, request, *, timeout_seconds):
            if request["attempt"] == 1:
                return Answer({"score": float("nan")})
            if request["attempt"] == 2:
                raise RuntimeError("a fault of the adapter")
            if request["attempt"] == 3:
                deep = []
                for _ in range(2_000):
                    deep = [deep]
                return Answer({"deep": deep})
            return Answer({"score": 1})

    monkeypatch.setattr("mission_pipeline.runner.worker.adapter_for", lambda agent, policy: Careless())
    trial = new_trial(tmp_path / "trial", missions=one_task(), policy={"max_attempts": "4"})
    with workshop(trial) as (store, tools, run_id, said, registry):
        working(store, tools, registry=registry)
        assert store.state(run_id)["status"] == "completed"
        assert "Its answer cannot be kept" in said[0]
        assert "RuntimeError: a fault of the adapter" in said[1]
        assert "Its answer cannot be kept" in said[2]


def test_a_lease_is_renewed_while_an_agent_works(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), work_seconds=1.2, policy={"lease_seconds": "0.6"})
    with workshop(trial) as (store, tools, _, said, registry):
        working(store, tools, registry=registry)
        # On a machine that stood still for longer than the lease, the answer came too late.
        assert trial.rows("select status, fence from mission_task") == [("completed", 1)] or "too late" in said[0]

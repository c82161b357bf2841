"""Workers and approvers as processes that share a store, die, stop, race and come back."""

import json
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from datetime import datetime

import pytest
from mission_store import EMPTY
from runner_trials import Tally, check, new_trial, one_task, survive, tasks


def eventually(is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def created(trial, mission="M"):
    return json.loads(trial.run("run", mission, "--detach", "--json").stdout)["run_id"]


def gate_of(trial, mission="M"):
    """Bring a run to its gate; return the gate."""
    (gate,) = json.loads(trial.run("run", mission, "--json").stdout)["approvals"]
    return gate


def statuses(trial):
    return Counter(status for (status,) in trial.rows("select status from mission_run"))


def no_faults(trial):
    assert check(trial, Tally()).faults == []


# ---------------------------------------------------------------------- killed


def test_nothing_is_lost_or_done_twice_whoever_dies_wherever(tmp_path):
    """Every named place for worker and approver, and some random moments; 200 of them in the benchmark."""
    tally = survive(new_trial(tmp_path / "trial"), kills=15, seed=7, workers=1)
    assert tally.faults == []
    assert tally.number_of_kills >= 15
    assert len(tally.kills) >= 12
    assert tally.acknowledged


def test_nor_on_postgres(tmp_path):
    tally = survive(new_trial(tmp_path / "trial", store=EMPTY["postgres"](tmp_path)), kills=3, seed=3, workers=1)
    assert tally.faults == []
    assert tally.number_of_kills >= 3


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """A trial that went well, and what its approver was told; nobody changes it."""
    trial = new_trial(tmp_path_factory.mktemp("healthy") / "trial", missions=one_task("gate"))
    gate = gate_of(trial)
    trial.run("approve", gate, "--by", "Ann")
    tally = check(trial, Tally(acknowledged={gate: ("approved", "Ann")}))
    assert tally.faults == []
    return trial, tally


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("delete from approval", "acknowledged as"),
        ("update approval set decided_by = 'somebody else'", "acknowledged as"),
        ("update mission_run set ended_at = null, status = 'running'", "has not ended"),
        ("insert into risk_event select 'more', run_id, null, 't', 'low', '', created_at, 'open' from mission_run", "is missing"),
        ("doubled line", "is there 2 times"),
        ("lost line", "is missing"),
        ("torn line", "ends within a line"),
        ("called again", "after its result was durable"),
    ],
)  # fmt: skip
def test_what_may_not_be_is_noticed(tmp_path, healthy, spoil, said):
    """The counterproof of the test above."""
    trial, tally = type(healthy[0])(shutil.copytree(healthy[0].folder, tmp_path / "trial")), healthy[1]
    (gate,) = tally.acknowledged
    (file,) = trial.raw_data.glob("task_execution_logs/runner-*.jsonl")
    line = file.read_text()
    match spoil:
        case "doubled line":
            file.write_text(2 * line)
        case "lost line":
            file.write_text("")
        case "torn line":
            file.write_text(line + line[:20])
        case "called again":
            trial.book.write_text(trial.book.read_text() + f"{gate} REPEATED\n")
        case _:
            with sqlite3.connect(trial.store) as connection:
                connection.execute(spoil)
            connection.close()
    faults = check(trial, Tally(acknowledged=dict(tally.acknowledged))).faults
    assert any(said in fault for fault in faults)


# ---------------------------------------------------------------------- stopped


def test_a_stopped_worker_that_wakes_after_its_lease_comes_too_late(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), work_seconds=0.3)
    run_id = created(trial)
    sleeper = trial.start("worker", "--until-idle")
    eventually(trial.calls)
    sleeper.signal(signal.SIGSTOP)
    assert trial.run("worker", "--until-idle").process.exitcode == 0  # waits for the lease to end, then does it
    assert statuses(trial) == {"completed": 1}
    kept = trial.rows("select result, answered_at from task_attempt")
    sleeper.signal(signal.SIGCONT)
    assert sleeper.wait() == 0
    assert "too late" in sleeper.stderr
    assert trial.calls() == [f"{run_id}:T:1"] * 2  # the second before the first was durable: with the same key
    assert trial.rows("select result, answered_at from task_attempt") == kept
    no_faults(trial)


def test_a_worker_that_is_asked_to_end_finishes_what_it_has_at_hand(tmp_path):
    trial = new_trial(tmp_path / "trial", missions={"M": tasks(("T", ""), ("U", "T"))}, work_seconds=0.4)
    created(trial)
    working = trial.start("worker")
    eventually(trial.calls)
    working.signal(signal.SIGTERM)
    assert working.wait() == 0
    assert "finishing 1 at hand" in working.stderr
    assert trial.rows("select task_id, status, worker_id is null from mission_task") == [
        ("T", "completed", 1), ("U", "pending", 1),
    ]  # fmt: skip
    assert trial.run("worker", "--until-idle").process.exitcode == 0
    assert statuses(trial) == {"completed": 1}


def test_a_run_that_is_interrupted_says_so_by_130_and_goes_on_with_a_worker(tmp_path):
    trial = new_trial(tmp_path / "trial", missions={"M": tasks(("T", ""), ("U", "T"))}, work_seconds=0.4)
    running = trial.start("run", "M")
    eventually(trial.calls)
    running.signal(signal.SIGINT)
    assert running.wait() == 130
    assert "To go on:  mission worker --until-idle" in running.stdout
    assert "Traceback" not in running.stderr


def test_a_second_signal_leaves_the_task_to_another_worker(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), work_seconds=20)
    created(trial)
    working = trial.start("worker")
    eventually(trial.calls)
    working.signal(signal.SIGINT)
    eventually(lambda: "finishing 1 at hand" in working.stderr)
    working.signal(signal.SIGINT)
    assert working.wait(10) == 130
    assert trial.rows("select status from mission_task") == [("running",)]  # until its lease is over


# ---------------------------------------------------------------------- together


def test_of_approvers_who_race_one_wins_and_the_others_are_told_who(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task("gate"))
    gate = gate_of(trial)
    names = [f"person-{number}" for number in range(4)]
    racing = [trial.start("approve", gate, "--by", name, "--json") for name in names]
    ends = [command.wait() for command in racing]
    assert sorted(ends) == [0, 5, 5, 5]
    winner = names[ends.index(0)]
    for end, command in zip(ends, racing, strict=True):
        assert end == 0 or f"was approved by {winner}" in command.stderr
    assert trial.rows("select decided_by from approval") == [(winner,)]
    no_faults(trial)


def test_workers_share_the_runs_and_do_nothing_twice(tmp_path):
    missions = {"M": tasks(*((f"T{number}", "") for number in range(12)))}
    trial = new_trial(tmp_path / "trial", missions=missions, work_seconds=0.1)
    created(trial)
    workers = [trial.start("worker", "--until-idle", "--threads", "1") for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert statuses(trial) == {"completed": 1}
    calls = Counter(trial.calls())
    assert len(calls) == 12
    assert set(calls.values()) == {1}
    assert sum("done." in worker.stdout for worker in workers) >= 2
    no_faults(trial)


def test_independent_tasks_overlap_and_nothing_starts_before_what_it_depends_on(tmp_path):
    missions = {"M": tasks(("A", ""), ("B", ""), ("C", "A B"))}
    trial = new_trial(tmp_path / "trial", missions=missions, work_seconds=0.5)
    assert trial.run("run", "M", "--json").process.exitcode == 0
    logs = {row["task_id"]: row for row in trial.telemetry("task_execution_logs")}
    assert logs["A"]["started_at"] < logs["B"]["finished_at"]
    assert logs["B"]["started_at"] < logs["A"]["finished_at"]
    assert logs["C"]["started_at"] >= max(logs["A"]["finished_at"], logs["B"]["finished_at"])


def test_a_run_may_be_shared_with_workers_that_are_there_already(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task("gate"))
    working = trial.start("worker")
    gate = gate_of(trial)
    trial.run("reject", gate, "--by", "Ann", "--reason", "shorter")
    second = gate.removesuffix("1") + "2"
    eventually(lambda: trial.rows("select 1 from approval where approval_id = ? and status = 'open'", second))
    assert trial.run("approve", second, "--by", "Ann").process.exitcode == 0
    working.signal(signal.SIGTERM)
    assert working.wait() == 0
    attempts = trial.rows("select attempt, agent_id, outcome from task_attempt order by attempt")
    assert attempts == [(1, "B1", "rejected"), (2, "B2", "approved")]  # the next-ranked one
    no_faults(trial)


# ---------------------------------------------------------------------- time, and what cannot be written


def test_a_clock_that_stands_still_between_request_and_decision_gives_no_delay_below_0(tmp_path):
    trial, now = new_trial(tmp_path / "trial", missions=one_task("gate")), {"MISSION_NOW": "2026-02-07T06:00:00"}
    (gate,) = json.loads(trial.run("run", "M", "--json", **now).stdout)["approvals"]
    for variables in ({"MISSION_NOW": "2026-02-07T05:59:00"}, now):
        trial.run("approve", gate, "--by", "Ann", **variables)
    (log,) = trial.telemetry("task_execution_logs")
    (run,) = trial.telemetry("mission_runs")
    assert log["human_delay_minutes"] == 0
    assert log["started_at"] <= log["approval_request_time"] <= log["finished_at"]
    assert run["start_time"] <= run["end_time"]
    assert datetime.fromisoformat(log["finished_at"]).date().isoformat() == "2026-02-07"


def test_telemetry_that_cannot_be_written_is_one_sentence_and_is_written_later(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task("gate"))
    gate = gate_of(trial)
    in_the_way = trial.raw_data / "mission_runs"
    in_the_way.write_text("a file, where a folder is needed")
    approved = trial.run("approve", gate, "--by", "Ann", "--json")
    assert approved.process.exitcode == 0  # the decision stands
    assert json.loads(approved.stdout)["status"] == "completed"
    assert "nothing is lost" in approved.stderr
    assert len(approved.stderr.splitlines()) == 1
    unable = trial.run("worker", "--until-idle")
    assert unable.process.exitcode == 2
    assert unable.stderr.count("nothing is lost") == 1
    in_the_way.unlink()
    assert trial.run("worker", "--until-idle").process.exitcode == 0
    no_faults(trial)


def test_a_mission_goes_on_while_its_telemetry_cannot_be_written(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    (trial.raw_data / "mission_runs").write_text("in the way")
    ran = trial.run("run", "M", "--json")
    assert ran.process.exitcode == 0
    assert json.loads(ran.stdout)["status"] == "completed"
    assert "nothing is lost" in ran.stderr


# ---------------------------------------------------------------------- agents that fail


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('no JSON')", "not JSON"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import time; time.sleep(60)", "within 0.3 s"),
        ("while True: print('x' * 100000)", "more than"),
    ],
)
def test_an_agent_that_gives_no_answer_fails_its_task_and_never_the_worker(tmp_path, program, said):
    missions = {"M": tasks(("T", ""), ("U", "T"), ("V", ""))}
    good = """print('{"status": "completed", "result": {}}')"""
    agents = {
        name: {"kind": "command", "arguments": [sys.executable, "-I", "-S", "-c", text]}
        for name, text in (("bad", program), ("good", good))
    }
    trial = new_trial(
        tmp_path / "trial",
        missions=missions,
        agents=agents,
        capable={"T": ["bad"], "U": ["good"], "V": ["good"]},
        policy={"max_attempts": "2", "call_seconds": "0.3" if "sleep" in program else "20"},
    )
    ran = trial.run("run", "M", "--json")
    assert ran.process.exitcode == 4
    facts = json.loads(ran.stdout)
    assert facts["status"] == "failed"
    assert facts["task_status_by_id"] == {"T": "failed", "U": "blocked", "V": "completed"}
    assert said in ran.stderr
    logs = trial.telemetry("task_execution_logs")
    assert Counter((row["task_id"], row["outcome"]) for row in logs) == {
        ("T", "timed_out" if "sleep" in program else "failed"): 2,
        ("V", "completed"): 1,
    }
    no_faults(trial)

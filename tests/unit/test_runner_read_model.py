"""What can be read: the state object has every key of the specification, and unknown is None."""

import json

import pytest
from mission_store import DAYS, GATED, SCORE, plan, task

from mission_pipeline.errors import AlreadyDecided, DecisionRefused, RunHasEnded, UnknownApproval, UnknownRun

SPECIFIED = {
    "mission_id", "run_id", "requested_by", "priority", "created_at", "plan_tasks", "task_status_by_id", "task_results_by_id",
    "capability_lookup", "agent_stats", "hitl_queue", "risk_events", "kpi_targets", "kpi_observations", "kpi_gap_summary",
}  # fmt: skip


def test_the_state_of_a_run_that_has_not_begun(desk):
    run_id = desk.start(requested_by="Ada", priority="high")
    state = desk.store.state(run_id)
    assert set(state) >= SPECIFIED
    assert json.loads(json.dumps(state)) == state
    assert (state["status"], state["started_at"], state["ended_at"]) == ("running", None, None)
    assert (state["requested_by"], state["priority"], state["created_at"]) == ("Ada", "high", "2026-11-21T09:00:00Z")
    assert state["plan_tasks"][1] == {
        "task_id": "T2", "task_name": "Task T2", "task_order": None, "depends_on": ["T1"], "estimated_minutes": 10, "requires_approval": True,
    }  # fmt: skip
    assert state["task_status_by_id"] == dict.fromkeys(("T1", "T2", "T3"), "pending")
    assert state["capability_lookup"]["T1"] == ["A1", "A2"]
    assert (state["task_results_by_id"], state["routing_by_task_id"], state["agent_stats"], state["hitl_queue"]) == (
        {},
        {},
        {},
        [],
    )
    assert [gap["is_met"] for gap in state["kpi_gap_summary"]] == [None, None]


def test_the_state_of_a_run_at_its_gate_tells_choices_results_and_what_waits(desk):
    run_id = desk.start()
    desk.fault("No answer.", "timed_out")
    desk.clock.move(seconds=2)
    desk.work({"name": "Ada"}, agent="A2")
    desk.work({"ok": True})
    state = desk.store.state(run_id)
    assert state["status"] == "blocked"
    assert [
        (choice["attempt"], choice["agent_id"], choice["warehouse_version"])
        for choice in state["routing_by_task_id"]["T1"]
    ] == [(1, "A1", "v1"), (2, "A2", "v1")]
    assert state["agent_stats"]["T1"] == [{"agent_id": "A2", "score": 0.5}]  # of the newest choice
    result = state["task_results_by_id"]["T1"]
    assert (result["result"], result["agent_id"], result["attempt"], result["outcome"], result["approval"]) == (
        {"name": "Ada"},
        "A2",
        2,
        "completed",
        None,
    )
    waiting = state["task_results_by_id"]["T2"]
    assert (waiting["result"], waiting["outcome"], waiting["approval"]["status"]) == ({"ok": True}, None, "open")
    (gate,) = state["hitl_queue"]
    assert (gate["approval_id"], gate["task_id"], gate["requested_at"]) == (
        f"{run_id}:T2:1",
        "T2",
        "2026-11-21T09:03:02Z",
    )
    assert "T3" not in state["task_results_by_id"]


def test_a_task_that_waits_for_an_agent_is_named_until_one_is_asked(desk):
    run_id = desk.start(plan(task("A"), task("B", "A")))
    assert desk.store.state(run_id)["waiting_for_agent_by_id"] == {}
    reason = "No agent could be asked: of A1, A2 none is available. The task waits."
    assert desk.store.put_back(desk.store.claim("w1"), reason)
    assert desk.store.state(run_id)["waiting_for_agent_by_id"] == {"A": reason}
    assert [run["waiting_for_agents"] for run in desk.store.runs()] == [1]
    desk.clock.move(hours=1)
    desk.work()
    assert desk.store.state(run_id)["waiting_for_agent_by_id"] == {}
    assert [run["waiting_for_agents"] for run in desk.store.runs()] == [0]


def test_an_attempt_that_failed_is_no_waiting_for_an_agent(desk):
    run_id = desk.start(plan(task("A")))
    desk.fault("No answer.")
    assert desk.store.state(run_id)["waiting_for_agent_by_id"] == {}


def test_a_late_decision_and_a_late_cancel_say_how_the_run_ended_and_by_whom(desk):
    run_id = desk.start(plan(task("A", gate=True)))
    desk.work()
    gate = desk.gate()
    desk.store.cancel(run_id, by="Ben")
    with pytest.raises(AlreadyDecided, match=r"its run was cancelled by Ben\. There is nothing to decide\."):
        desk.store.decide(gate, "approved", by="Ann")
    with pytest.raises(RunHasEnded, match=rf"Run {run_id} was cancelled already, by Ben\. There is nothing"):
        desk.store.cancel(run_id, by="Ann")
    failed = desk.start(plan(task("A")))
    for _ in range(3):
        desk.clock.move(hours=1)
        desk.fault()
    with pytest.raises(RunHasEnded, match=f"Run {failed} has failed already"):
        desk.store.cancel(failed, by="Ann")


@pytest.mark.parametrize("name", ["time limit", " Time  LIMIT ", "TIMELIMIT", "time\u200b limit", "ｔime limit"])
def test_nobody_decides_under_the_name_of_the_time_limit(desk, name):
    run_id = desk.start(plan(task("A", gate=True)))
    desk.work()
    for decide in (
        lambda: desk.store.decide(desk.gate(), "approved", by=name),
        lambda: desk.store.cancel(run_id, by=name),
    ):
        with pytest.raises(DecisionRefused, match="'time limit' stands where nobody decided in time"):
            decide()
    assert desk.store.decide(desk.gate(), "approved", by="Tim Elimit-Time")


@pytest.mark.parametrize(("kpi", "value", "gap", "is_met"), [
    (DAYS, 2.0, 0.0, True), (DAYS, 2.5, 0.5, False), (SCORE, 4.0, 0.0, True), (SCORE, 3.0, 1.0, False), (SCORE, None, None, None),
])  # fmt: skip
def test_a_gap_is_how_much_is_missing_and_unknown_without_a_value(desk, kpi, value, gap, is_met):
    run_id = desk.start(plan(task("A"), kpis=(kpi,)))
    if value is not None:
        desk.store.observe_kpi(run_id, kpi.kpi_name, value)
    assert desk.store.state(run_id)["kpi_gap_summary"] == [
        {"kpi_name": kpi.kpi_name, "value": value, "target_value": kpi.target_value, "gap": gap, "is_met": is_met}
    ]


def test_a_gate_says_what_is_asked_by_whom_since_when_and_what_was_tried_before(desk):
    run_id = desk.start()
    desk.work()
    desk.work({"draft": 1})
    desk.store.decide(desk.gate(), "rejected", by="Ann", reason="too long")
    desk.work({"draft": 2}, agent="A2")
    gate = desk.store.approval(desk.gate())
    assert gate == desk.store.open_approvals()[0]
    assert {name: gate[name] for name in ("run_id", "mission_id", "task_id", "task_name", "agent_id", "attempt", "result", "requested_at", "owner", "mission_input")} == {
        "run_id": run_id, "mission_id": "M001", "task_id": "T2", "task_name": "Task T2", "agent_id": "A2", "attempt": 2,
        "result": {"draft": 2}, "requested_at": "2026-11-21T09:03:00Z", "owner": "Olga", "mission_input": {"name": "Ada"},
    }  # fmt: skip
    assert gate["attempts_before"] == [
        {
            "attempt": 1,
            "agent_id": "A1",
            "outcome": "rejected",
            "error": None,
            "decided_by": "Ann",
            "reason": "too long",
        }
    ]
    assert json.loads(json.dumps(gate)) == gate


def test_the_state_tells_each_attempt_of_a_task_how_it_ended_and_who_decided(desk):
    run_id = desk.start(plan(task("A", gate=True)))
    desk.fault("No answer.", "timed_out")
    desk.clock.move(seconds=2)
    desk.work(agent="A2")
    desk.store.decide(desk.gate(), "rejected", by="Ann", reason="too long")
    desk.work()
    nobody = {"decided_by": None, "reason": None}
    assert desk.store.state(run_id)["task_results_by_id"]["A"]["attempts"] == [
        {"attempt": 1, "agent_id": "A1", "outcome": "timed_out", "error": "No answer.", **nobody},
        {
            "attempt": 2,
            "agent_id": "A2",
            "outcome": "rejected",
            "error": None,
            "decided_by": "Ann",
            "reason": "too long",
        },
        {"attempt": 3, "agent_id": "A1", "outcome": None, "error": None, **nobody},
    ]


def test_what_was_decided_is_listed_the_newest_first_and_what_is_open_the_oldest_first(desk):
    for _ in range(3):
        desk.start(plan(task("A", gate=True)))
        desk.work()
    first, second, third = (gate["approval_id"] for gate in desk.store.open_approvals())
    desk.store.decide(first, "approved", by="Ann")
    desk.clock.move(minutes=1)
    desk.store.decide(third, "approved", by="Bob", reason="fine")
    assert [gate["approval_id"] for gate in desk.store.open_approvals()] == [second]
    assert [(gate["approval_id"], gate["decided_by"], gate["reason"]) for gate in desk.store.decided_approvals()] == [
        (third, "Bob", "fine"),
        (first, "Ann", None),
    ]
    assert [gate["approval_id"] for gate in desk.store.decided_approvals(1)] == [third]


def test_gates_are_listed_as_many_as_asked_for_and_without_their_values_if_nobody_needs_them(desk):
    for _ in range(3):
        desk.start(plan(task("A", gate=True)))
        desk.work()
    first, second, third = desk.store.open_approvals()
    assert desk.store.open_approvals(2) == [first, second]
    assert desk.store.number_of_open_approvals() == 3
    small = {name: value for name, value in first.items() if name not in ("result", "mission_input")}
    assert desk.store.open_approvals(1, has_values=False) == [small]
    for gate in (first, third):
        desk.store.decide(gate["approval_id"], "approved", by="Ann")
    assert desk.store.number_of_open_approvals() == 1
    (decided,) = desk.store.decided_approvals(1)
    small = {name: value for name, value in decided.items() if name not in ("result", "mission_input")}
    assert desk.store.decided_approvals(1, has_values=False) == [small]


def test_runs_are_listed_the_newest_first_with_how_far_they_are(desk):
    assert desk.store.runs() == []
    first = desk.start()
    desk.work_on()
    desk.clock.move(minutes=1)
    second = desk.start(plan(task("A")))
    desk.work_on()
    desk.clock.move(minutes=1)
    third = desk.start(GATED)
    listed = [
        (run["run_id"], run["status"], run["completed_tasks"], run["tasks"], run["open_approvals"], run["has_ended"])
        for run in desk.store.runs()
    ]
    assert listed == [
        (third, "running", 0, 3, 0, False),
        (second, "completed", 1, 1, 0, True),
        (first, "blocked", 1, 3, 1, False),
    ]
    assert [run["run_id"] for run in desk.store.runs(1)] == [third]


def test_what_does_not_exist_is_refused(desk):
    with pytest.raises(UnknownRun, match="`mission runs` lists them"):
        desk.store.state("R")
    with pytest.raises(UnknownApproval, match="`mission approvals` lists"):
        desk.store.approval("R:T:1")

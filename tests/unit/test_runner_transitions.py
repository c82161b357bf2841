"""What may happen to a run: every change, both sides of each limit, and what it leaves in the state and the telemetry."""

import json
from datetime import datetime, timedelta

import pytest
from mission_store import DAYS, GATED, NINE, SCORE, STEPS, STORES, plan, policy_with, task

from mission_pipeline.errors import (
    AlreadyDecided,
    DecisionRefused,
    PlanFault,
    ResultChanged,
    RunHasEnded,
    UnknownApproval,
    UnknownKpi,
    UnknownRun,
)
from mission_pipeline.runner.model import AgentFault, Answer, Choice, KpiTarget

CHOICE = Choice("A1", "best", (), None)


@pytest.fixture(params=STORES)
def new_store(request, tmp_path):
    """Every change is tried on each kind of database."""
    return lambda: STORES[request.param](tmp_path)


# ---------------------------------------------------------------- the plain way


def test_tasks_run_after_what_they_depend_on_and_stop_at_the_gate(desk):
    run_id = desk.start()
    assert desk.work_on() == ["T1", "T2"]
    state = desk.store.state(run_id)
    assert state["status"] == "blocked"
    assert state["task_status_by_id"] == {"T1": "completed", "T2": "blocked", "T3": "pending"}
    assert state["blocked_reason_by_id"] == {"T2": "approval"}
    assert desk.store.next_due() is None
    assert not desk.store.has_work()


def test_an_approval_lets_the_run_go_on_to_its_end(desk):
    run_id = desk.start()
    desk.work_on()
    decision = desk.store.decide(desk.gate(), "approved", by="Ann", reason="fine")
    assert (decision.run_id, decision.task_id, decision.verdict, decision.decided_by) == (
        run_id,
        "T2",
        "approved",
        "Ann",
    )
    assert desk.store.state(run_id)["status"] == "running"
    assert desk.store.has_work(run_id)
    assert desk.work_on() == ["T3"]
    state = desk.store.state(run_id)
    assert state["status"] == "completed"
    assert set(state["task_status_by_id"].values()) == {"completed"}
    assert (state["human_interventions"], state["escalations"]) == (0, 0)


def test_a_call_is_told_the_input_and_the_results_of_what_it_depends_on(desk):
    desk.start(plan(task("A"), task("B"), task("C", "A", "B")))
    desk.work({"of": "A"})
    desk.work({"of": "B"})
    claim = desk.claim()
    assert claim.results == {"A": {"of": "A"}, "B": {"of": "B"}}
    assert claim.mission_input == {"name": "Ada"}
    assert (claim.key, claim.tried, claim.rejection, claim.agent_id) == (f"{claim.run_id}:C:1", (), None, None)


def test_independent_tasks_run_at_the_same_time_and_the_next_waits_for_both(desk):
    run_id = desk.start(plan(task("A"), task("B"), task("C", "A", "B")))
    first, second = desk.claim("w1"), desk.claim("w2")
    assert {first.task_id, second.task_id} == {"A", "B"}
    assert desk.claim("w3") is None
    assert desk.store.complete(first, Answer({}), 1)
    assert desk.claim("w3") is None
    assert desk.store.complete(second, Answer({}), 1)
    assert desk.claim("w3").task_id == "C"
    assert desk.tasks(run_id)["C"] == "running"


def test_a_task_that_names_a_dependency_twice_waits_for_it_once(desk):
    desk.start(plan(task("A"), task("B", "A", "A")))
    assert desk.work_on() == ["A", "B"]


def test_a_plan_without_tasks_is_refused_and_leaves_no_run(desk):
    with pytest.raises(PlanFault, match="has no tasks"):
        desk.start(plan())
    assert desk.store.runs() == []


def test_an_input_that_is_not_json_is_refused_and_leaves_no_run(desk):
    with pytest.raises(ValueError, match="not JSON compliant"):
        desk.start(mission_input={"x": float("nan")})
    assert desk.store.runs() == []


def test_a_claim_may_ask_for_one_run_only(desk):
    first, second = desk.start(), desk.start()
    assert desk.claim(run_id=second).run_id == second
    assert desk.claim(run_id=second) is None
    assert desk.store.next_due(second) == NINE + timedelta(seconds=30)
    assert desk.store.next_due(first) == NINE


def test_what_waits_longest_is_claimed_first(desk):
    first = desk.start()
    desk.clock.move(seconds=1)
    second = desk.start()
    assert [desk.claim().run_id, desk.claim().run_id] == [first, second]


# ---------------------------------------------------------------- leases and fences


def test_a_task_is_held_until_its_lease_is_over_and_not_before(desk):
    desk.start()
    held = desk.claim("w1")
    assert held.lease_until == NINE + timedelta(seconds=30)
    desk.clock.move(seconds=29.999)
    assert desk.store.claim("w2") is None
    desk.clock.move(seconds=0.001)
    taken = desk.store.claim("w2")
    assert (taken.task_id, taken.attempt, taken.fence) == ("T1", 1, held.fence + 1)


def test_the_same_attempt_goes_to_the_same_agent_with_the_same_key(desk):
    desk.start()
    held = desk.claim("w1", agent="A2")
    desk.clock.move(seconds=30)
    taken = desk.store.claim("w2")
    assert (taken.agent_id, taken.key) == ("A2", held.key)
    assert desk.store.choose(taken, Choice("A2", "again", (), None))
    with pytest.raises(ValueError, match="given to A2 before, not to A1"):
        desk.store.choose(taken, CHOICE)


def test_an_attempt_knows_how_often_it_was_taken_over(desk):
    desk.start()
    for takeovers in range(3):
        claim = desk.store.claim(f"w{takeovers}")
        assert (claim.attempt, claim.takeovers) == (1, takeovers)
        desk.clock.move(seconds=31)
    claim = desk.store.claim("w")
    desk.store.choose(claim, Choice("A1", "best", (), None))
    assert desk.store.fail(claim, AgentFault("Its workers were lost."), None)
    desk.clock.move(minutes=1)
    claim = desk.store.claim("w")
    assert (claim.attempt, claim.takeovers) == (2, 0)
    desk.store.put_back(claim, "nobody is there")
    desk.clock.move(minutes=1)
    assert desk.store.claim("w").takeovers == 0  # it waited for an agent: nobody was lost
    desk.store.cancel(claim.run_id, by="Ann", reason=None)
    assert [(log["attempt"], log["actual_duration_minutes"]) for log in desk.logs()] == [(1, None)]


def test_a_lease_that_is_renewed_goes_on(desk):
    desk.start()
    held = desk.claim("w1")
    desk.clock.move(seconds=20)
    assert desk.store.renew(held).lease_until == desk.clock.now + timedelta(seconds=30)
    desk.clock.move(seconds=20)
    assert desk.store.claim("w2") is None


def test_a_worker_that_wakes_after_its_lease_is_refused_everything(desk):
    run_id = desk.start()
    late = desk.claim("w1")
    desk.clock.move(minutes=5)
    newer = desk.store.claim("w2")
    assert desk.store.renew(late) is None
    assert not desk.store.choose(late, CHOICE)
    assert not desk.store.complete(late, Answer({"late": True}), 300)
    assert not desk.store.fail(late, AgentFault("late"), 300)
    assert desk.store.complete(newer, Answer({"late": False}), 1)
    assert not desk.store.complete(newer, Answer({"late": "twice"}), 1)
    assert desk.store.state(run_id)["task_results_by_id"]["T1"]["result"] == {"late": False}


def test_a_worker_that_wakes_after_its_lease_is_heard_where_nobody_took_its_place(desk):
    run_id = desk.start()
    held = desk.claim()
    desk.clock.move(minutes=5)
    assert desk.store.complete(held, Answer({}), 300)
    assert desk.tasks(run_id)["T1"] == "completed"


def test_nothing_is_completed_that_was_given_to_nobody(desk):
    run_id = desk.start()
    claim = desk.store.claim("w1")
    with pytest.raises(ValueError, match="given to nobody"):
        desk.store.complete(claim, Answer({}), 1)
    assert desk.tasks(run_id)["T1"] == "running"


def test_an_answer_that_is_not_json_is_refused_and_the_task_is_still_held(desk):
    run_id = desk.start()
    claim = desk.claim()
    with pytest.raises(ValueError, match="not JSON compliant"):
        desk.store.complete(claim, Answer({"x": float("inf")}), 1)
    assert desk.store.fail(claim, AgentFault("The answer is not JSON."), 1)
    assert desk.tasks(run_id)["T1"] == "pending"


# ---------------------------------------------------------------- faults


def test_a_failed_attempt_is_tried_again_after_a_wait_that_grows(desk):
    desk.start()
    desk.fault("first")
    assert desk.store.next_due() == desk.clock.now + timedelta(seconds=2)
    desk.clock.move(seconds=1.999)
    assert desk.store.claim("w1") is None
    desk.clock.move(seconds=0.001)
    claim = desk.fault("second")
    assert (claim.attempt, claim.tried) == (2, ("A1",))
    assert desk.store.next_due() == desk.clock.now + timedelta(seconds=4)


def test_a_wait_is_never_longer_than_the_policy_says(new_desk):
    desk = new_desk(policy_with({"max_attempts": 9, "max_backoff_seconds": 5.0}))
    desk.start()
    waits = []
    for _ in range(3):
        desk.fault()
        waits.append((desk.store.next_due() - desk.clock.now).total_seconds())
        desk.clock.now = desk.store.next_due()
    assert waits == [2, 4, 5]


def test_after_the_last_attempt_the_task_fails_and_what_depends_on_it_never_runs(new_desk):
    desk = new_desk(policy_with({"backoff_seconds": 0.0}))
    run_id = desk.start(plan(task("A"), task("B", "A"), task("C", "B"), task("D")))
    desk.fault()
    assert desk.work() == "D"  # which waits longer than A's next attempt
    desk.fault()
    assert desk.tasks(run_id)["A"] == "pending"
    desk.fault("It broke again.", "timed_out")
    state = desk.store.state(run_id)
    assert state["status"] == "failed"
    assert state["task_status_by_id"] == {"A": "failed", "B": "blocked", "C": "blocked", "D": "completed"}
    assert state["blocked_reason_by_id"] == {"B": "dependency_failed", "C": "dependency_failed"}
    assert state["task_results_by_id"]["A"]["error"] == "It broke again."
    assert [log["outcome"] for log in desk.logs() if log["task_id"] == "A"] == ["failed", "failed", "timed_out"]


def test_other_branches_go_on_after_a_failure(new_desk):
    desk = new_desk(policy_with({"max_attempts": 1}))
    run_id = desk.start(plan(task("A"), task("B"), task("C", "A"), task("D", "B"), task("E", "A", "B")))
    desk.fault()
    assert desk.store.state(run_id)["status"] == "running"
    assert desk.work_on() == ["B", "D"]
    assert desk.store.state(run_id)["status"] == "failed"
    assert desk.tasks(run_id) == {"A": "failed", "B": "completed", "C": "blocked", "D": "completed", "E": "blocked"}


def test_a_failed_branch_does_not_end_a_run_that_waits_at_a_gate(new_desk):
    desk = new_desk(policy_with({"max_attempts": 1}))
    run_id = desk.start(plan(task("A"), task("B", gate=True)))
    desk.fault()
    desk.work()
    assert desk.store.state(run_id)["status"] == "blocked"
    desk.store.decide(desk.gate(), "approved", by="Ann")
    assert desk.store.state(run_id)["status"] == "failed"


def test_an_attempt_that_nobody_could_be_asked_for_fails_without_a_log(new_desk):
    desk = new_desk(policy_with({"max_attempts": 1}))
    run_id = desk.start(plan(task("A")))
    assert desk.store.fail(desk.store.claim("w1"), AgentFault("No agent is available."), 0)
    state = desk.store.state(run_id)
    assert (state["status"], state["task_results_by_id"]["A"]["error"]) == ("failed", "No agent is available.")
    assert desk.logs() == []
    assert [run["status"] for run in desk.telemetry("mission_runs")] == ["failed"]


def test_a_task_that_is_put_back_waits_without_an_attempt_and_is_no_work_until_then(new_desk):
    desk = new_desk(policy_with({"max_backoff_seconds": 60.0}))
    run_id = desk.start(plan(task("A")))
    claim = desk.store.claim("w1")
    assert desk.store.put_back(claim, "Nobody is there.")
    assert not desk.store.put_back(claim, "Nobody is there.")  # it is held no more
    assert desk.store.state(run_id)["task_results_by_id"]["A"]["error"] == "Nobody is there."
    assert (desk.store.has_work(), desk.store.next_due()) == (False, NINE + timedelta(seconds=60))
    assert desk.store.claim("w1") is None
    desk.clock.move(seconds=60)
    assert desk.store.has_work()
    desk.work()
    assert [(log["attempt"], log["started_at"]) for log in desk.logs()] == [(1, "2026-11-21T09:01:00Z")]
    assert (desk.store.state(run_id)["status"], desk.risks(run_id)) == ("completed", {})


def test_a_task_that_waits_for_an_agent_is_tried_at_once_when_one_may_have_come(new_desk):
    desk = new_desk(policy_with({"max_backoff_seconds": 0.0}))
    desk.start(plan(task("A")))
    desk.store.put_back(desk.store.claim("w1"), "Nobody is there.")
    assert not desk.store.has_work()  # nor for ever at it where the policy has no wait
    desk.store.look_for_agents()
    assert desk.store.has_work()
    assert desk.claim().attempt == 1


def test_an_attempt_that_the_agent_escalates_counts_as_an_escalation(desk):
    run_id = desk.start()
    desk.fault("Not mine to decide.", "escalated")
    state = desk.store.state(run_id)
    assert (state["escalations"], state["human_interventions"]) == (1, 0)


# ---------------------------------------------------------------- decisions


def test_a_second_decision_is_refused_and_names_the_first(desk):
    desk.start()
    desk.work_on()
    gate = desk.gate()
    desk.store.decide(gate, "approved", by="Ann")
    for verdict in ("approved", "rejected"):
        with pytest.raises(AlreadyDecided, match=r"was approved by Ann at 2026-11-21T09:02:00Z") as second:
            desk.store.decide(gate, verdict, by="Bob", reason="no")
        assert second.value.exit_code == 5
        assert second.value.decision.decided_by == "Ann"


def test_a_rejection_leads_to_another_attempt_at_once_which_is_told_why(desk):
    run_id = desk.start()
    desk.work_on()
    desk.store.decide(desk.gate(), "rejected", by="Ann", reason="wrong name")
    assert desk.store.state(run_id)["status"] == "running"
    claim = desk.claim(agent="A2")
    assert (claim.task_id, claim.attempt, claim.tried, claim.rejection) == ("T2", 2, ("A1",), "wrong name")
    desk.store.fail(claim, AgentFault("It broke."), 1)
    desk.clock.move(minutes=1)
    assert desk.claim().rejection == "wrong name"  # a fault in between does not make it unsaid
    assert desk.store.state(run_id)["human_interventions"] == 1


def test_rejections_end_at_the_bound_and_the_task_fails(desk):
    run_id = desk.start()
    desk.work_on()
    for attempt in (1, 2, 3):
        assert desk.gate() == f"{run_id}:T2:{attempt}"
        desk.store.decide(desk.gate(), "rejected", by="Ann", reason="no")
        desk.work_on()
    state = desk.store.state(run_id)
    assert state["status"] == "failed"
    assert state["task_status_by_id"] == {"T1": "completed", "T2": "failed", "T3": "blocked"}
    assert state["human_interventions"] == 3
    assert [log["outcome"] for log in desk.logs()] == ["completed", "rejected", "rejected", "rejected"]


@pytest.mark.parametrize(
    ("by", "reason", "says"),
    [
        ("", "no", "Nobody is named"),
        (" ", "no", "Nobody"),
        ("Ann", None, "needs a reason"),
        ("Ann", " ", "needs a reason"),
        ("\u200b\x07", "no", "Nobody"),
        ("A\x1b[2Jn", "no", "has control characters"),
        ("Ann\nBob", "no", "has control characters"),
        ("A" * 201, "no", "has 201 letters. Give up to 200"),
        ("Ann", "\x00", "needs a reason"),
        ("Ann", "a\x1bb", "has control characters"),
        ("Ann", "n" * 4001, "has 4001 letters. Give up to 4000"),
    ],
)
def test_a_rejection_names_who_and_why(desk, by, reason, says):
    desk.start()
    desk.work_on()
    with pytest.raises(DecisionRefused, match=says):
        desk.store.decide(desk.gate(), "rejected", by=by, reason=reason)
    assert desk.store.open_approvals()


def test_what_people_type_is_kept_without_blanks_around_it_at_its_bounds_and_in_lines(desk):
    run_id = desk.start()
    desk.work_on()
    reason = "one\r\n\ttwo" + "n" * 3991
    decision = desk.store.decide(desk.gate(), "rejected", by=f" {'A' * 200} ", reason=f" {reason}\n")
    assert (decision.decided_by, decision.reason) == ("A" * 200, reason)
    for by, why in (("\x07", "no"), ("Ann", "n" * 4001)):
        with pytest.raises(DecisionRefused) as refused:
            desk.store.cancel(run_id, by=by, reason=why)
        assert refused.value.exit_code == 2
    desk.store.cancel(run_id, by=" Ann ", reason=" ")
    state = desk.store.state(run_id)
    assert (state["cancelled_by"], state["cancel_reason"]) == ("Ann", None)


def test_a_gate_that_does_not_exist_is_refused(desk):
    with pytest.raises(UnknownApproval, match="No gate is called 'R:T:1'"):
        desk.store.decide("R:T:1", "approved", by="Ann")


def test_a_decision_holds_for_what_was_seen(desk):
    desk.start()
    desk.work_on()
    gate = desk.store.approval(desk.gate())
    with pytest.raises(ResultChanged, match="is not the one that you saw") as refused:
        desk.store.decide(gate["approval_id"], "approved", by="Ann", seen_sha256="0" * 64)
    assert (refused.value.exit_code, refused.value.approval_id) == (5, gate["approval_id"])
    desk.store.decide(gate["approval_id"], "approved", by="Ann", seen_sha256=gate["result_sha256"])


def test_a_result_that_was_changed_voids_its_gate_and_opens_another(desk):
    run_id = desk.start()
    desk.work_on()
    gate = desk.store.approval(desk.gate())
    desk.clock.move(minutes=3)
    desk.sql("update task_attempt set result = :result where task_id = 'T2'", result='{"done":"otherwise"}')
    with pytest.raises(ResultChanged, match="the gate is void") as refused:
        desk.store.decide(gate["approval_id"], "approved", by="Ann", seen_sha256=gate["result_sha256"])
    assert desk.tasks(run_id)["T2"] == "blocked"
    assert refused.value.approval_id == desk.gate() != gate["approval_id"]
    assert desk.store.approval(desk.gate())["result"] == {"done": "otherwise"}
    with pytest.raises(AlreadyDecided, match="is void"):
        desk.store.decide(gate["approval_id"], "approved", by="Ann")
    desk.clock.move(minutes=4)
    desk.store.decide(desk.gate(), "approved", by="Ann")
    desk.work_on()
    assert desk.store.state(run_id)["status"] == "completed"
    assert desk.logs()[1]["human_delay_minutes"] == 7  # the wait went on
    assert [log["outcome"] for log in desk.logs()] == ["completed", "approved", "completed"]


# ---------------------------------------------------------------- cancelling


def test_a_run_is_cancelled_before_it_began(desk):
    run_id = desk.start()
    desk.clock.move(minutes=3)
    desk.store.cancel(run_id, by="Ann", reason="not needed")
    state = desk.store.state(run_id)
    assert (state["status"], state["cancelled_by"], state["cancel_reason"]) == ("cancelled", "Ann", "not needed")
    assert set(state["task_status_by_id"].values()) == {"blocked"}
    assert set(state["blocked_reason_by_id"].values()) == {"run_cancelled"}
    assert desk.logs() == []
    (record,) = desk.telemetry("mission_runs")
    assert (record["status"], record["total_duration_minutes"], record["human_interventions"]) == ("cancelled", 3, 1)
    assert desk.claim() is None


def test_a_run_is_cancelled_while_an_agent_works_and_its_late_answer_is_refused(desk):
    run_id = desk.start()
    claim = desk.claim()
    desk.clock.move(minutes=1)
    desk.store.cancel(run_id, by="Ann")
    assert not desk.store.complete(claim, Answer({}), 60)
    assert desk.store.renew(claim) is None
    (log,) = desk.logs()
    assert (log["outcome"], log["actual_duration_minutes"], log["human_delay_minutes"]) == ("cancelled", None, 0)
    assert log["finished_at"] == "2026-11-21T09:01:00Z"


def test_a_run_is_cancelled_at_its_gate_which_closes(desk):
    run_id = desk.start()
    desk.work_on()
    gate = desk.gate()
    desk.store.cancel(run_id, by="Ann")
    assert desk.store.open_approvals() == []
    with pytest.raises(AlreadyDecided, match="its run was cancelled"):
        desk.store.decide(gate, "approved", by="Bob")
    log = desk.logs()[-1]
    assert (log["outcome"], log["actual_duration_minutes"], log["human_delay_minutes"]) == ("cancelled", 1, None)
    assert log["approval_request_time"] == "2026-11-21T09:02:00Z"


def test_a_run_is_cancelled_while_it_waits_for_its_next_attempt(desk):
    run_id = desk.start()
    desk.fault()
    desk.store.cancel(run_id, by="Ann")
    assert [log["outcome"] for log in desk.logs()] == ["failed"]
    assert desk.store.next_due() is None


def test_a_run_that_has_ended_is_not_cancelled(desk):
    run_id = desk.start(plan(task("A")))
    desk.work_on()
    with pytest.raises(RunHasEnded, match="is completed already"):
        desk.store.cancel(run_id, by="Ann")
    with pytest.raises(UnknownRun, match="No run is called 'R'"):
        desk.store.cancel("R", by="Ann")
    with pytest.raises(DecisionRefused, match="Nobody is named who cancels"):
        desk.store.cancel(run_id, by="")


# ---------------------------------------------------------------- gates that wait


def test_tasks_are_taken_by_their_runs_priority_and_then_by_how_long_they_wait(new_desk):
    desk = new_desk(policy_with({"priorities_first": ("urgent", "High"), "priorities_last": ("low",)}))
    words = ("low", None, "HIGH ", "some other word", "urgent", "high")
    run_of = {}
    for word in words:
        desk.clock.move(seconds=1)
        run_of[desk.start(plan(task("A")), priority=word)] = word
    taken = [run_of[desk.claim().run_id] for _ in words]
    assert taken == ["urgent", "HIGH ", "high", None, "some other word", "low"]
    assert desk.claim() is None


def test_an_urgent_task_that_is_not_due_holds_up_nobody(new_desk):
    desk = new_desk()
    desk.start(plan(task("A")), priority="urgent")
    low = desk.start(plan(task("A")), priority="low")
    desk.fault()  # and is tried again, later
    assert desk.claim().run_id == low
    desk.clock.move(minutes=1)
    assert desk.claim().attempt == 2


def at_a_gate(new_desk, **gates):
    desk = new_desk(policy_with(gates=gates))
    run_id = desk.start()
    desk.work_on()
    return desk, run_id


def test_a_gate_is_reminded_of_from_its_very_minute_on_and_once(new_desk):
    desk, _ = at_a_gate(new_desk, reminder_after_minutes=60.0)
    desk.clock.move(minutes=59.99)
    desk.store.look_at_gates()
    assert desk.store.approval(desk.gate())["reminded_at"] is None
    desk.clock.move(minutes=0.01)
    assert len(desk.store.look_at_gates()) == 1
    assert desk.store.approval(desk.gate())["reminded_at"] == "2026-11-21T10:02:00Z"
    desk.clock.move(days=3)
    assert desk.store.look_at_gates() == []


def test_no_reminder_and_no_time_limit_where_the_policy_has_none(new_desk):
    desk, run_id = at_a_gate(new_desk, reminder_after_minutes=0.0, time_limit_minutes=0.0)
    desk.clock.move(days=400)
    desk.store.look_at_gates()
    gate = desk.store.approval(desk.gate())
    assert (gate["status"], gate["reminded_at"], gate["escalated_at"]) == ("open", None, None)
    assert desk.store.state(run_id)["escalations"] == 0


@pytest.mark.parametrize(("escalate_to", "named"), [("", "Olga"), ("Boss", "Boss")])
def test_a_gate_is_escalated_at_its_limit_and_stays_open(new_desk, escalate_to, named):
    desk, run_id = at_a_gate(new_desk, time_limit_minutes=120.0, on_time_limit="escalate", escalate_to=escalate_to)
    desk.clock.move(minutes=119.99)
    desk.store.look_at_gates()
    assert desk.store.approval(desk.gate())["escalated_at"] is None
    desk.clock.move(minutes=0.01)
    assert len(desk.store.look_at_gates()) == 1
    assert desk.store.look_at_gates() == []
    gate = desk.store.approval(desk.gate())
    assert (gate["status"], gate["escalated_to"]) == ("open", named)
    assert desk.store.state(run_id)["escalations"] == 1
    desk.store.decide(desk.gate(), "approved", by="Boss")
    desk.work_on()
    (record,) = desk.telemetry("mission_runs")
    assert (record["escalations"], record["human_interventions"]) == (1, 1)


def test_a_gate_is_rejected_at_its_limit_by_nobody(new_desk):
    desk, run_id = at_a_gate(new_desk, time_limit_minutes=120.0, on_time_limit="reject")
    gate = desk.gate()
    desk.clock.move(minutes=119.99)
    desk.store.look_at_gates()
    assert desk.gate() == gate
    desk.clock.move(minutes=0.01)
    assert len(desk.store.look_at_gates()) == 1
    decided = desk.store.approval(gate)
    assert (decided["status"], decided["decided_by"]) == ("rejected", "time limit")
    assert decided["reason"] == "Nobody decided within 120 minutes."
    state = desk.store.state(run_id)
    assert (state["task_status_by_id"]["T2"], state["human_interventions"], state["status"]) == (
        "pending",
        0,
        "running",
    )


def test_a_rejection_at_the_limit_is_logged_as_cancelled_for_nobody_judged_it(new_desk):
    desk, run_id = at_a_gate(new_desk, time_limit_minutes=60.0, on_time_limit="reject")
    desk.clock.move(minutes=60)
    desk.store.look_at_gates()
    assert ("T2", "rework") not in desk.risks(run_id)
    desk.store.cancel(run_id, by="Ann", reason=None)
    (log,) = (log for log in desk.logs() if log["task_id"] == "T2")
    assert (log["outcome"], log["human_delay_minutes"], log["agent_id"]) == ("cancelled", 60.0, "A1")


def test_the_attempt_after_the_limit_is_rework(new_desk):
    desk, run_id = at_a_gate(new_desk, time_limit_minutes=60.0, on_time_limit="reject")
    desk.clock.move(minutes=60)
    desk.store.look_at_gates()
    desk.work()
    (said,) = (
        event["description"] for event in desk.store.state(run_id)["risk_events"] if event["risk_type"] == "rework"
    )
    assert said == "Task T2 is done again: its result was rejected, or an attempt gave no result."


def test_what_is_done_at_a_gate_is_told_in_words(new_desk):
    desk, run_id = at_a_gate(new_desk, reminder_after_minutes=7.0, time_limit_minutes=60.0, escalate_to="Boss")

    def news(minutes):
        desk.clock.move(minutes=minutes)
        return [(told.run_id, told.task_id, told.words) for told in desk.store.look_at_gates()]

    assert news(4.99) == []
    assert news(0.01) == [(run_id, "T2", "the wait is a risk of medium severity")]
    assert news(2) == [(run_id, "T2", "a reminder, after 7 minutes")]
    assert news(53) == [
        (
            run_id,
            "T2",
            "the wait is a risk of high severity; nobody decided within 60 minutes, so it is escalated to Boss",
        )
    ]
    assert news(60) == []


def test_a_rejection_at_the_limit_is_told_in_words(new_desk):
    desk, _ = at_a_gate(new_desk, reminder_after_minutes=0.0, time_limit_minutes=60.0, on_time_limit="reject")
    desk.clock.move(minutes=60)
    (told,) = desk.store.look_at_gates()
    assert told.words == ("the wait is a risk of high severity; nobody decided within 60 minutes, so it is rejected")


def test_a_gate_has_the_limits_of_its_mission(new_desk):
    missions = {"M001": {"runner": {"gates": {"time_limit_minutes": 5.0}}}}
    desk = new_desk(policy_with(missions=missions))
    own, other = desk.start(), desk.start(plan(task("A", gate=True), mission_id="M002"))
    for _ in range(3):
        desk.work()
    desk.clock.move(minutes=6)
    desk.store.look_at_gates()
    assert (desk.store.state(own)["escalations"], desk.store.state(other)["escalations"]) == (1, 0)


@pytest.mark.parametrize(("minutes", "severity"), [(4.99, None), (5, "medium"), (9.99, "medium"), (10, "high")])
def test_a_delay_is_a_risk_while_the_gate_waits_and_grows(desk, minutes, severity):
    run_id = desk.start()
    desk.work_on()
    desk.clock.move(minutes=minutes)
    desk.store.look_at_gates()
    assert desk.risks(run_id).get(("T2", "approval_delay")) == severity
    desk.clock.move(days=5)
    desk.store.look_at_gates()
    assert desk.risks(run_id)["T2", "approval_delay"] == "high"


def test_a_delay_that_nobody_looked_at_is_a_risk_at_the_decision(desk):
    run_id = desk.start()
    desk.work_on()
    desk.clock.move(minutes=5)
    desk.store.decide(desk.gate(), "approved", by="Ann")
    assert desk.risks(run_id)["T2", "approval_delay"] == "medium"


# ---------------------------------------------------------------- time


def test_a_decision_five_days_later_counts_five_days_and_not_the_agents_time(desk):
    desk.start()
    desk.work_on()
    desk.reopen()
    desk.clock.move(days=5)
    desk.store.decide(desk.gate(), "approved", by="Ann")
    desk.work_on()
    log = desk.logs()[1]
    assert (log["actual_duration_minutes"], log["human_delay_minutes"]) == (1, 5 * 24 * 60)
    assert (log["approval_request_time"], log["finished_at"]) == ("2026-11-21T09:02:00Z", "2026-11-26T09:02:00Z")
    (record,) = desk.telemetry("mission_runs")
    assert record["total_duration_minutes"] == 5 * 24 * 60 + 3


def test_a_clock_set_back_by_five_days_strands_no_task_and_ends_nothing_before_its_start(desk):
    run_id = desk.start(plan(task("A"), task("B", "A", gate=True)))
    desk.claim("w1")  # and dies
    desk.clock.move(days=-5)
    assert desk.store.next_due() == desk.clock.now
    desk.work()
    desk.work()
    desk.store.decide(desk.gate(), "approved", by="Ann")
    assert desk.store.state(run_id)["status"] == "completed"
    (record,) = desk.telemetry("mission_runs")
    assert (record["start_time"], record["end_time"], record["total_duration_minutes"]) == (
        "2026-11-21T09:00:00Z",
        "2026-11-21T09:00:00Z",
        0,
    )
    assert [log["human_delay_minutes"] for log in desk.logs()] == [0, 0]


def test_a_clock_set_ahead_by_five_days_loses_no_answer(desk):
    run_id = desk.start(plan(task("A")))
    claim = desk.claim()
    desk.clock.move(days=5)
    assert desk.store.renew(claim) is not None
    assert desk.store.complete(claim, Answer({}), 60)
    (log,) = desk.logs()
    assert (log["actual_duration_minutes"], desk.store.state(run_id)["status"]) == (1, "completed")


def test_a_clock_a_little_behind_anothers_takes_nobodys_task(desk):
    desk.start()
    desk.claim("w1")
    desk.clock.move(seconds=-10)
    assert desk.store.claim("w2") is None


# ---------------------------------------------------------------- KPIs


def test_a_kpi_that_is_known_later_corrects_the_record(desk):
    run_id = desk.start(plan(task("A"), kpis=(DAYS,)))
    desk.work_on()
    assert desk.store.state(run_id)["kpi_gap_summary"] == [
        {"kpi_name": "days", "value": None, "target_value": 2, "gap": None, "is_met": None}
    ]
    desk.clock.move(days=30)
    desk.store.observe_kpi(run_id, "days", 1.5)
    first, second = desk.telemetry("mission_runs")
    assert (first["kpis"], second["kpis"]) == ({}, {"days": 1.5})
    assert {**first, "kpis": {}} == {**second, "kpis": {}}
    desk.store.observe_kpi(run_id, "days", 1.5)
    assert len(desk.telemetry("mission_runs")) == 2  # nothing new, nothing written


def test_a_kpi_observed_before_the_end_stands_in_the_one_record(desk):
    run_id = desk.start(plan(task("A"), kpis=(DAYS, SCORE)))
    desk.store.observe_kpi(run_id, "score_csat", 4.5)
    desk.work(kpis={"days": 2})
    assert [record["kpis"] for record in desk.telemetry("mission_runs")] == [{"days": 2, "score_csat": 4.5}]


def test_what_a_person_knows_no_agent_changes(desk):
    run_id = desk.start(plan(task("A"), task("B", "A"), kpis=(DAYS, SCORE)))
    desk.work(kpis={"days": 1, "score_csat": 5})
    desk.store.observe_kpi(run_id, "days", 6)
    desk.work(kpis={"days": 9, "score_csat": 4})
    assert [record["kpis"] for record in desk.telemetry("mission_runs")] == [{"days": 6, "score_csat": 4}]
    desk.store.observe_kpi(run_id, "days", 7)
    assert desk.store.state(run_id)["kpi_observations"] == {"days": 7, "score_csat": 4}


def test_a_kpi_that_nobody_specified_is_kept_for_the_refresh_to_tell_of(desk):
    desk.start(plan(task("A"), kpis=(DAYS, STEPS)))
    desk.work(kpis={"days": 1, "dayz": 7, "steps": 9})
    assert [record["kpis"] for record in desk.telemetry("mission_runs")] == [{"days": 1, "dayz": 7}]


@pytest.mark.parametrize(("name", "value", "says"), [
    ("Days", 1, "has no KPI 'Days'. Name one of days, score_csat"), ("steps", 1, "are counted"), ("days", float("nan"), "finite"), ("days", float("inf"), "finite"),
    ("days", 1.1e12, "at most 1e\\+12"), ("days", -1.1e12, "at most 1e\\+12"),
])  # fmt: skip
def test_a_kpi_that_the_mission_does_not_have_or_that_is_no_number_is_refused(desk, name, value, says):
    run_id = desk.start(plan(task("A"), kpis=(DAYS, SCORE, STEPS)))
    with pytest.raises(UnknownKpi, match=says):
        desk.store.observe_kpi(run_id, name, value)
    assert desk.store.state(run_id)["kpi_observations"] == {}
    with pytest.raises(UnknownRun):
        desk.store.observe_kpi("R", "days", 1)


def test_kpis_count_only_of_an_attempt_that_was_approved(desk):
    run_id = desk.start(plan(task("A", gate=True), kpis=(DAYS,)))
    desk.work(kpis={"days": 9})
    desk.store.decide(desk.gate(), "rejected", by="Ann", reason="no")
    desk.work(kpis={"days": 2, "": 1, "a\nb": 2})
    assert desk.store.state(run_id)["kpi_observations"] == {}
    desk.store.decide(desk.gate(), "approved", by="Ann")
    assert desk.store.state(run_id)["kpi_observations"] == {"days": 2}


@pytest.mark.parametrize(
    ("tasks", "is_met"), [((task("A"), task("B")), True), ((task("A"), task("B"), task("C")), False)]
)
def test_steps_are_counted_when_a_run_is_completed(desk, tasks, is_met):
    run_id = desk.start(plan(*tasks, kpis=(STEPS,)))
    desk.work(kpis={"steps": 99})
    assert desk.store.state(run_id)["kpi_gap_summary"][0]["value"] is None
    desk.work_on()
    (gap,) = desk.store.state(run_id)["kpi_gap_summary"]
    assert (gap["value"], gap["is_met"]) == (len(tasks), is_met)
    assert ("steps_limit_breached" in {kind for _, kind in desk.risks(run_id)}) is not is_met


def test_steps_that_are_counted_are_no_part_of_the_record_and_others_are(desk):
    own = KpiTarget("steps", "lower_is_better", 9.0, 5.0, True, "target")  # reported, like any other
    for kpi in (STEPS, own):
        desk.start(plan(task("A"), kpis=(kpi,)))
        desk.work(kpis={"steps": 4})
    assert [record["kpis"] for record in desk.telemetry("mission_runs")] == [{}, {"steps": 4}]


def test_a_target_missed_is_a_risk_the_first_time_and_when_it_is_missed_by_more(desk):
    def missed(value, **options):
        run_id = desk.start(plan(task("A"), kpis=(DAYS,)), **options)
        desk.work(kpis={"days": value})
        desk.clock.move(minutes=1)
        return (None, "days_target_missed") in desk.risks(run_id)

    assert [missed(2), missed(4), missed(3.5), missed(3.5), missed(3.6)] == [False, True, False, False, True]


def test_a_target_missed_is_held_against_the_warehouse_where_the_store_knows_nothing(desk):
    run_id = desk.start(plan(task("A"), kpis=(DAYS,)), previous_kpis={"days": 3.0})
    desk.work(kpis={"days": 3.0})
    assert desk.risks(run_id) == {}


def test_a_risk_of_a_kpi_that_is_known_later_is_told_once(desk):
    run_id = desk.start(plan(task("A"), kpis=(SCORE,)))
    desk.work_on()
    desk.store.observe_kpi(run_id, "score_csat", 3.0)
    desk.store.observe_kpi(run_id, "score_csat", 2.0)
    (event,) = desk.telemetry("mission_risk_events")
    assert event == {
        "event_id": f"{run_id}:run:score_limit_breached:score_csat", "run_id": run_id, "mission_id": "M001", "task_id": "A",
        "risk_type": "score_limit_breached", "severity": "high", "description": "score_csat is 3, its floor 4.",
        "detected_at": "2026-11-21T09:01:00Z", "status": "closed",
    }  # fmt: skip
    assert [record["risk_flagged"] for record in desk.telemetry("mission_runs")] == [False, True, True]


def test_a_risk_that_a_corrected_kpi_no_longer_bears_out_is_withdrawn_and_may_come_back(desk):
    run_id = desk.start(plan(task("A"), kpis=(DAYS, SCORE)))
    desk.work(kpis={"days": 4, "score_csat": 3.0})
    breach, miss = f"{run_id}:run:score_limit_breached:score_csat", f"{run_id}:run:days_target_missed:days"
    desk.store.observe_kpi(run_id, "days", 2)
    assert [event["event_id"] for event in desk.store.state(run_id)["risk_events"]] == [breach]
    desk.store.observe_kpi(run_id, "score_csat", 4.5)
    assert desk.store.state(run_id)["risk_events"] == []
    assert [record["risk_flagged"] for record in desk.telemetry("mission_runs")] == [True, True, False]
    desk.store.observe_kpi(run_id, "days", 5)
    told = [
        (event["event_id"], event["status"], event["description"]) for event in desk.telemetry("mission_risk_events")
    ]
    assert told == [
        (miss, "closed", "days is 4, its target 2."),
        (breach, "closed", "score_csat is 3, its floor 4."),
        (miss, "closed", "Withdrawn, a KPI was corrected. It said: days is 4, its target 2."),
        (breach, "closed", "Withdrawn, a KPI was corrected. It said: score_csat is 3, its floor 4."),
        (miss, "closed", "days is 5, its target 2."),
    ]
    assert list(desk.risks(run_id)) == [(None, "days_target_missed")]
    assert desk.telemetry("mission_runs")[-1]["risk_flagged"] is True


def test_a_corrected_kpi_leaves_the_risks_of_tasks_alone(desk):
    run_id = desk.start(plan(task("A"), kpis=(DAYS,)))
    desk.work(minutes=20, kpis={"days": 4})
    desk.store.observe_kpi(run_id, "days", 1)
    assert list(desk.risks(run_id)) == [("A", "task_overrun")]
    assert desk.telemetry("mission_runs")[-1]["risk_flagged"] is True


# ---------------------------------------------------------------- risks while running


@pytest.mark.parametrize(("minutes", "severity"), [(14.99, None), (15, "low"), (19.99, "low"), (20, "medium")])
def test_an_overrun_is_a_risk_as_soon_as_the_agent_answered(desk, minutes, severity):
    run_id = desk.start()
    desk.work(minutes=minutes)
    assert desk.risks(run_id).get(("T1", "task_overrun")) == severity


def test_a_second_attempt_is_rework_and_two_failures_are_many(desk):
    run_id = desk.start()
    desk.fault()
    assert desk.risks(run_id) == {}
    desk.clock.move(seconds=2)
    desk.fault()
    assert desk.risks(run_id) == {("T1", "rework"): "medium", (None, "repeated_failures"): "high"}


@pytest.mark.parametrize(("usual", "is_long"), [(None, False), (2.0, False), (1.99, True)])
def test_a_run_is_long_beyond_its_usual_minutes(desk, usual, is_long):
    run_id = desk.start(plan(task("A")), usual_minutes=usual)
    desk.work(minutes=3)
    assert ((None, "long_run") in desk.risks(run_id)) is is_long


# ---------------------------------------------------------------- telemetry


def test_a_run_leaves_its_record_first_then_a_log_of_each_attempt_then_its_risks(desk):
    run_id = desk.start(requested_by="Ada", priority="high")
    desk.work(minutes=2)
    desk.work(minutes=16)
    assert desk.store.pending_telemetry(100) == []  # a log whose run is unknown would be rejected
    desk.clock.move(minutes=7)
    desk.store.decide(desk.gate(), "approved", by="Ann")
    desk.work(minutes=0.5, kpis={"days": 2})
    rows = desk.store.pending_telemetry(100)
    assert [row.data_set for row in rows] == [
        "mission_runs",
        *["task_execution_logs"] * 3,
        *["mission_risk_events"] * 2,
    ]
    assert [row.id for row in rows] == [1, 2, 3, 4, 5, 6]
    assert json.loads(rows[0].line) == {
        "run_id": run_id, "mission_id": "M001", "status": "completed", "start_time": "2026-11-21T09:00:00Z",
        "end_time": "2026-11-21T09:25:30Z", "total_duration_minutes": 25.5, "kpis": {"days": 2}, "human_interventions": 0,
        "escalations": 0, "risk_flagged": True, "requested_by": "Ada", "priority": "high", "created_at": "2026-11-21T09:00:00Z",
    }  # fmt: skip
    assert json.loads(rows[2].line) == {
        "run_id": run_id, "mission_id": "M001", "task_id": "T2", "attempt": 1, "agent_id": "A1", "actual_duration_minutes": 16,
        "human_approval_required": True, "human_delay_minutes": 7, "outcome": "approved", "started_at": "2026-11-21T09:02:00Z",
        "finished_at": "2026-11-21T09:25:00Z", "approval_request_time": "2026-11-21T09:18:00Z",
    }  # fmt: skip
    assert json.loads(rows[1].line)["human_delay_minutes"] == 0
    assert [json.loads(row.line)["event_id"] for row in rows[4:]] == [
        f"{run_id}:T2:task_overrun",
        f"{run_id}:T2:approval_delay",
    ]


def test_an_attempt_that_failed_before_its_gate_has_no_known_delay(desk):
    run_id = desk.start(plan(task("A", gate=True)))
    desk.fault(minutes=2)
    desk.store.cancel(run_id, by="Ann")
    (log,) = desk.logs()
    assert (log["outcome"], log["human_approval_required"], log["human_delay_minutes"]) == ("failed", True, None)
    assert (log["actual_duration_minutes"], "approval_request_time" in log) == (2, False)


def test_rows_that_are_marked_are_gone_and_the_next_run_goes_on_counting(desk):
    desk.start(plan(task("A")))
    desk.work_on()
    ids = [row.id for row in desk.store.pending_telemetry(100)]
    assert [row.id for row in desk.store.pending_telemetry(1)] == ids[:1]
    desk.store.mark_exported(ids[:1])
    desk.store.mark_exported(ids[:1])
    desk.store.mark_exported([])
    assert [row.id for row in desk.store.pending_telemetry(100)] == ids[1:]
    desk.store.mark_exported(ids)
    desk.start(plan(task("A")))
    desk.work_on()
    assert [row.id for row in desk.store.pending_telemetry(100)] == [3, 4]


def test_texts_that_no_file_could_hold_are_kept_readable(desk):
    run_id = desk.start(plan(task("A")), requested_by="A\0da \ud800", mission_input={"x": "\0\ud800"})
    claim = desk.claim()
    assert claim.mission_input == {"x": "\0\ud800"}
    desk.store.complete(claim, Answer({"y": "\0\ud800"}, "done\0\ud800"), 1)
    state = desk.store.state(run_id)
    assert state["requested_by"] == "A\ufffdda ?"
    assert state["task_results_by_id"]["A"]["result"] == {"y": "\0\ud800"}
    assert desk.store.pending_telemetry(100)[0].line.encode("ascii")


def test_a_plan_is_copied_and_a_policy_of_today_bounds_a_run_of_yesterday(new_desk):
    desk = new_desk(policy_with({"max_attempts": 3}))
    run_id = desk.start(plan(task("A")))
    desk.fault()
    desk.reopen(policy_with({"max_attempts": 2}))
    desk.clock.move(minutes=1)
    desk.fault()
    assert desk.store.state(run_id)["status"] == "failed"


def test_a_run_is_named_for_its_day(desk):
    desk.clock.now = datetime(2027, 1, 2, 23, 59, 59)
    assert desk.start(GATED).startswith("RUN_2027_01_02_")

"""The commands that run missions: what they print for people and programs, and how they end."""

import json

import pytest
from command import mission, mission_process
from runner_trials import new_trial, one_task, tasks

from mission_pipeline.runner import lines


@pytest.fixture
def trial(tmp_path):
    """A mission of two tasks, the second with a gate."""
    return new_trial(tmp_path / "trial", missions={"M": tasks(("A", ""), ("B", "A", "gate"))})


def command(trial, *arguments, **variables):
    return mission(*arguments, *trial.places(), **variables)


def facts(trial, *arguments):
    result = command(trial, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def did(**counts):
    """What a worker says to a program; what is not named is 0."""
    names = ("tasks_done", "attempts_failed", "gates_acted_on", "waiting_for_people", "waiting_for_agents")
    return {**dict.fromkeys(names, 0), **counts}


def make_agents(trial, **statuses):
    """Give agents of the raw data another status."""
    file = trial.raw_data / "specialized_agents.json"
    agents = json.loads(file.read_text())
    for agent in agents:
        agent["status"] = statuses.get(agent["agent_id"], agent["status"])
    file.write_text(json.dumps(agents))


def fault(result, code=2):
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    (sentence,) = [line for line in result.stderr.splitlines() if " s  " not in line]
    return sentence


def test_a_run_says_where_it_waits_and_what_to_do(trial):
    result = command(trial, "run", "M", "--requested-by", "Ann")
    assert result.returncode == 0, result.stderr
    (run,) = facts(trial, "runs")
    gate = f"{run['run_id']}:B:1"
    printed = result.stdout.splitlines()
    assert f"{run['run_id']} of M Trial waits for a person." in printed
    assert f"A  task A  completed           B1  did {run['run_id']}:A:1" in printed
    assert f"B  task B  waits for a person  B1  did {gate}" in printed
    options = " ".join(trial.places())
    for line in (
        f"status {run['run_id']}",
        "inbox",
        f"approve {gate} --by NAME",
        f"reject {gate} --by NAME --reason TEXT",
    ):
        assert f"  mission {line} {options}" in printed
    assert max(len(line.replace(f" {options}", "")) for line in printed) <= 100


def test_a_run_is_one_object_for_a_program(trial):
    given = facts(trial, "run", "M")
    assert list(given) == [
        "run_id", "mission_id", "status", "task_status_by_id", "blocked_reason_by_id", "waiting_for_agent_by_id", "approvals",
    ]  # fmt: skip
    assert (given["status"], given["approvals"]) == ("blocked", [f"{given['run_id']}:B:1"])
    assert given["blocked_reason_by_id"] == {"B": "approval"}


def test_the_status_shows_the_result_to_judge_and_why_the_agent_was_chosen(trial):
    run_id = facts(trial, "run", "M")["run_id"]
    printed = command(trial, "status", run_id).stdout
    assert f"To judge, B:\n  key: {run_id}:B:1\n" in printed
    assert "  A attempt 1: B1: rank 1 of 2" in printed
    assert "  cost   not observed  target 5\n" in printed
    state = facts(trial, "status", run_id)
    assert (state["run_id"], state["status"]) == (run_id, "blocked")


def test_nothing_to_list_is_said(trial):
    assert "No run yet. Start one:  mission run M001" in command(trial, "runs").stdout
    assert command(trial, "approvals").stdout == "Nothing waits for a person.\n"
    assert command(trial, "approvals", "--decided").stdout == "Nothing was decided yet.\n"
    assert command(trial, "worker", "--until-idle").stdout.startswith("There was nothing to do.\n")
    assert facts(trial, "approvals") == facts(trial, "runs") == []


def test_a_rejection_leads_to_another_attempt_and_the_last_one_fails_the_run(trial):
    run_id = facts(trial, "run", "M")["run_id"]
    for attempt in (1, 2, 3):
        (gate,) = facts(trial, "approvals")
        assert (gate["approval_id"], gate["run_id"], gate["task_id"]) == (f"{run_id}:B:{attempt}", run_id, "B")
        rejected = command(trial, "reject", gate["approval_id"], "--by", "Ann", "--reason", "too long")
        assert rejected.returncode == 0
        assert f"{gate['approval_id']} rejected by Ann." in rejected.stdout
        if attempt < 3:
            assert f"attempt {attempt} rejected by Ann: too long" in rejected.stdout
            assert "To go on:  mission worker --until-idle" in rejected.stdout
            assert facts(trial, "worker", "--until-idle") == did(tasks_done=1, waiting_for_people=1)
    assert "has failed" in rejected.stdout
    assert [row["outcome"] for row in trial.telemetry("task_execution_logs")].count("rejected") == 3
    assert [gate["status"] for gate in facts(trial, "approvals", "--decided")] == ["rejected"] * 3
    assert "too long" in command(trial, "approvals", "--decided").stdout
    assert "What went wrong:  mission status" in rejected.stdout
    printed = command(trial, "status", run_id).stdout
    assert "What went wrong:  mission status" not in printed
    assert "B  task B  failed     B1  attempt 3 rejected by Ann: too long" in printed
    wrong = printed.split("What went wrong:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split(", ")[0] for line in wrong] == [f"  B attempt {number}" for number in (1, 2, 3)]
    assert all(line.endswith(": rejected by Ann: too long") for line in wrong)


def test_a_failed_task_says_its_error(tmp_path):
    missing = {"B1": {"kind": "command", "arguments": [str(tmp_path / "gone")]}}
    trial = new_trial(tmp_path / "trial", missions=one_task(), agents=missing, policy={"max_attempts": "2"})
    result = command(trial, "run", "M", "--json")
    assert result.returncode == 4
    printed = command(trial, "status", json.loads(result.stdout)["run_id"]).stdout
    assert "T  task T  failed  B1  attempt 2 failed: " in printed
    assert "  T attempt 1, B1: failed: " in printed
    assert "mission status" not in printed


def test_a_worker_says_what_it_did_also_where_nothing_was_done_well(tmp_path):
    gone = {"B1": {"kind": "command", "arguments": [str(tmp_path / "gone")]}}
    trial = new_trial(tmp_path / "trial", missions=one_task(), agents=gone, policy={"max_attempts": "2"})
    command(trial, "run", "M", "--detach")
    assert command(trial, "worker", "--until-idle").stdout.startswith("2 attempts failed.\n")
    command(trial, "run", "M", "--detach")
    assert facts(trial, "worker", "--until-idle") == did(attempts_failed=2)


def test_a_worker_says_that_it_acted_on_gates(trial):
    for _ in range(2):
        command(trial, "run", "M", MISSION_NOW="2026-02-07T06:00:00")
    later = {"MISSION_NOW": "2026-02-07T07:30:00"}
    result = command(trial, "worker", "--until-idle", "--json", **later)
    assert json.loads(result.stdout) == did(gates_acted_on=2, waiting_for_people=2)
    assert result.stderr.count("a reminder, after 60 minutes") == 2
    command(trial, "run", "M", "--detach", MISSION_NOW="2026-02-07T06:00:00")
    command(trial, "worker", "--until-idle", MISSION_NOW="2026-02-07T06:00:00")
    printed = command(trial, "worker", "--until-idle", **later).stdout
    assert printed.startswith("1 gate acted on.\n3 results wait for a person:")


def test_a_task_that_waits_for_an_agent_is_shown_with_what_to_do_about_it(trial):
    run_id = facts(trial, "run", "M", "--detach")["run_id"]
    make_agents(trial, B1="paused", B2="retired")
    waiting = {"A": "No agent could be asked: of B1, B2 none is available. The task waits."}
    printed = command(trial, "worker", "--until-idle").stdout.splitlines()
    advice = "Make an agent that is able to do it available in specialized_agents, then run a worker."
    assert printed[:2] == ["Nothing could be done.", "Nothing waits for a person."]
    assert printed[2].startswith("1 task waits for an agent:  mission runs --raw-data")
    assert printed[3] == advice
    assert facts(trial, "worker", "--until-idle") == did(waiting_for_agents=1)
    assert facts(trial, "status", run_id)["waiting_for_agent_by_id"] == waiting
    printed = command(trial, "status", run_id).stdout.splitlines()
    assert printed[0] == f"{run_id} of M Trial waits for an agent."
    assert f"A  task A  waits for an agent    {waiting['A']}" in printed
    assert f"A waits for an agent. {advice}" in printed
    assert "0 of 2 tasks completed, 1 waits for an agent" in command(trial, "runs").stdout
    make_agents(trial, B2="available")
    assert facts(trial, "worker", "--until-idle") == did(tasks_done=2, waiting_for_people=1)
    assert facts(trial, "status", run_id)["waiting_for_agent_by_id"] == {}


def test_a_gate_is_shown_with_how_to_decide_while_other_tasks_go_on(tmp_path):
    trial = new_trial(tmp_path / "trial", missions={"M": tasks(("A", "", "gate"), ("B", "", "gate"))})
    run_id = facts(trial, "run", "M")["run_id"]
    rejected = command(trial, "reject", f"{run_id}:A:1", "--by", "Ann", "--reason", "shorter")
    options = " ".join(trial.places())
    for printed in (rejected.stdout, command(trial, "status", run_id).stdout):
        lines = printed.splitlines()
        assert f"{run_id} of M Trial goes on." in lines
        assert f"  mission approve {run_id}:B:1 --by NAME {options}" in lines
        assert f"  mission reject {run_id}:B:1 --by NAME --reason TEXT {options}" in lines
        assert lines[-1] == f"To go on:  mission worker --until-idle {options}"
        assert f"{run_id}:A:2" not in printed


def test_a_decision_about_another_result_than_the_one_that_was_seen_is_refused(trial):
    facts(trial, "run", "M")
    (gate,) = facts(trial, "approvals")
    other = command(trial, "approve", gate["approval_id"], "--by", "Ann", "--seen", "0" * 64)
    assert "is not the one that you saw" in fault(other, 5)
    decided = facts(trial, "approve", gate["approval_id"], "--by", "Ann", "--seen", gate["result_sha256"])
    assert decided["verdict"] == "approved"


def test_approvals_tell_how_to_decide(trial):
    run_id = facts(trial, "run", "M")["run_id"]
    printed = command(trial, "approvals").stdout
    assert f"{run_id}:B:1  since " in printed
    assert f"Decide here:      mission approve {run_id}:B:1 --by NAME" in printed
    first = "Attempt 1 of 3. If you reject it, another attempt is made, by the next agent in rank if there is one."
    assert f"  {first}" in printed.splitlines()
    assert f"  {first}" in command(trial, "status", run_id).stdout.splitlines()
    assert "1 result waits for a person:  mission approvals" in command(trial, "worker", "--until-idle").stdout


def test_the_terminal_tells_what_was_rejected_before_and_what_the_last_rejection_does(tmp_path):
    plan = tasks(("A", "", "gate"), ("B", "A"))
    trial = new_trial(tmp_path / "trial", missions={"M": plan}, policy={"max_attempts": "2"})
    run_id = facts(trial, "run", "M")["run_id"]
    command(trial, "reject", f"{run_id}:A:1", "--by", "Ann", "--reason", "too long")
    facts(trial, "worker", "--until-idle")
    for arguments in (["approvals"], ["status", run_id]):
        printed = command(trial, *arguments).stdout.splitlines()
        assert (
            "  Attempt 2 of 2. If you reject it, no attempt is left: the task fails, and task B never runs." in printed
        )
        (before,) = [line for line in printed if line.startswith("  Before: ")]
        assert before.startswith("  Before: attempt 1, B")
        assert before.endswith(": rejected by Ann: too long")


def test_a_limit_holds_for_open_gates_and_says_that_there_are_more(trial):
    first = facts(trial, "run", "M")["run_id"]
    facts(trial, "run", "M")
    result = command(trial, "approvals", "--limit", "1", "--json")
    assert [gate["run_id"] for gate in json.loads(result.stdout)] == [first]
    assert result.stderr == "1 more waits, less long: --limit N lists them.\n"
    printed = command(trial, "approvals", "--limit", "1").stdout
    assert printed.count("  since ") == 1
    assert "And 1 more, which waited less long: --limit N lists them." in printed
    assert " more, " not in command(trial, "approvals", "--limit", "2").stdout


def test_a_program_that_decides_too_late_is_told_what_stands(trial):
    run_id = facts(trial, "run", "M")["run_id"]
    gate = f"{run_id}:B:1"
    changed = command(trial, "approve", gate, "--by", "Ann", "--seen", "0" * 64, "--json")
    assert changed.returncode == 5
    assert json.loads(changed.stdout) == {"error": changed.stderr.strip(), "approval_id": gate}
    made = facts(trial, "approve", gate, "--by", "Ann", "--reason", "fine")
    late = command(trial, "reject", gate, "--by", "Bea", "--reason", "no", "--json")
    assert late.returncode == 5
    stands = {name: made[name] for name in ("verdict", "decided_by", "decided_at", "reason")}
    assert (stands["verdict"], stands["decided_by"], stands["reason"]) == ("approved", "Ann", "fine")
    assert json.loads(late.stdout) == {"error": late.stderr.strip(), "decision": stands}
    cancelled = facts(trial, "run", "M")["run_id"]
    facts(trial, "cancel", cancelled)
    nobody = command(trial, "approve", f"{cancelled}:B:1", "--by", "Bea", "--json")
    assert json.loads(nobody.stdout) == {"error": nobody.stderr.strip(), "decision": None}


def test_a_detached_run_waits_for_a_worker(trial):
    detached = command(trial, "run", "M", "--detach")
    assert "goes on" in detached.stdout
    assert "To go on:  mission worker --until-idle" in detached.stdout
    assert trial.calls() == []
    assert facts(trial, "worker", "--until-idle") == did(tasks_done=2, waiting_for_people=1)


def test_a_cancelled_run_is_recorded_and_takes_no_decision(trial):
    run_id = facts(trial, "run", "M")["run_id"]
    cancelled = facts(trial, "cancel", run_id, "--by", "Ann", "--reason", "a mistake")
    assert (cancelled["status"], cancelled["blocked_reason_by_id"]) == ("cancelled", {"B": "run_cancelled"})
    assert [row["status"] for row in trial.telemetry("mission_runs")] == ["cancelled"]
    assert (
        f"{run_id} of M Trial was cancelled by Ann: a mistake" in command(trial, "status", run_id).stdout.splitlines()
    )
    late = command(trial, "approve", f"{run_id}:B:1", "--by", "Bea")
    assert "its run was cancelled by Ann." in fault(late, 5)
    assert f"Run {run_id} was cancelled already, by Ann." in fault(command(trial, "cancel", run_id))


def test_a_kpi_known_later_corrects_the_record_of_the_run(trial):
    run_id = facts(trial, "run", "M")["run_id"]
    facts(trial, "approve", f"{run_id}:B:1", "--by", "Ann")
    said = command(trial, "kpi", run_id, "cost", "-1.5").stdout
    assert "cost  -1.5  target 5  met" in said
    assert "the next `mission refresh` counts it" in said
    command(trial, "kpi", run_id, "cost", "7")
    command(trial, "kpi", run_id, "cost", "-1.5")  # as it was first: the newest line counts
    costs = [row["kpis"].get("cost") for row in trial.telemetry("mission_runs")]
    assert costs == [None, -1.5, 7, -1.5]
    assert "no KPI 'price'" in fault(command(trial, "kpi", run_id, "price", "1"))
    assert "finite" in fault(command(trial, "kpi", run_id, "cost", "nan"))


def test_the_input_is_what_the_agents_get(trial, tmp_path):
    given = tmp_path / "input.json"
    given.write_text('{"deals": [1, 2]}')
    run_id = facts(trial, "run", "M", "--input", given, "--detach")["run_id"]
    assert facts(trial, "status", run_id)["mission_input"] == {"deals": [1, 2]}
    sample = trial.raw_data / "mission_inputs" / "M.json"
    sample.parent.mkdir()
    sample.write_text('{"from": "the sample"}')
    result = command(trial, "run", "M", "--detach", "--json")
    assert "with the sample input" in result.stderr
    assert facts(trial, "status", json.loads(result.stdout)["run_id"])["mission_input"] == {"from": "the sample"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "is no JSON object"),
        ("{", "is not JSON ("),
        ('{"a": NaN}', "has the value NaN, which is no number of JSON. Correct it."),
        ('{"a": 1e999}', "has the number 1e999, which is too large. Correct it."),
        ('{"a": "\\ud800"}', "has half a character in it, \\ud800, which no text can hold. Correct it."),
        (b'{"a": "\xff"}', "is not UTF-8. Correct it."),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', 'gives the name "b" twice in one object. Correct it.'),
        ('{"a": -' + "9" * 5_000 + "}", "has a number of 5,000 digits: 1,000 at most can be kept. Correct it."),
        (
            '{"a": ' + "[" * 100 + "]" * 100 + "}",
            "is nested too deeply: 100 lists and objects within each other at most",
        ),
        (
            "[" * 100_000,
            "is nested too deeply: 100 lists and objects within each other at most can be kept. Correct it.",
        ),
        (None, "cannot be read"),
    ],
)
def test_an_input_that_cannot_be_used_starts_nothing(trial, tmp_path, content, said):
    given = tmp_path / "input.json"
    if content is not None:
        given.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert said in fault(command(trial, "run", "M", "--input", given))
    assert facts(trial, "runs") == []


def test_an_input_that_is_too_large_is_refused_by_its_name(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task(), policy={"max_answer_bytes": "1000"})
    given = tmp_path / "input.json"
    given.write_text(json.dumps({"a": "b" * 991}))
    assert given.stat().st_size == 1000
    facts(trial, "run", "M", "--input", given, "--detach")
    given.write_text(json.dumps({"a": "b" * 992}))
    said = fault(command(trial, "run", "M", "--input", given))
    assert said == (
        f"The input {given} has more than the 1,000 bytes that max_answer_bytes of the policy allows: name a smaller one."
    )
    assert len(facts(trial, "runs")) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", ""], "There is no mission '' in "),
        (["run", "M9"], "There is no mission 'M9'"),
        (["status", "RUN_X"], "No run is called 'RUN_X'"),
        (["cancel", "RUN_X"], "RUN_X"),
        (["kpi", "RUN_X", "cost", "1"], "RUN_X"),
        (["approve", "RUN_X:T:1", "--by", "Ann"], "RUN_X:T:1"),
        (["reject", "RUN_X:T:1", "--by", "Ann", "--reason", ""], "needs a reason"),
        (["approve", "RUN_X:T:1", "--by", " "], "who"),
        (["approve", "RUN_X:T:1", "--by", " Time  Limit"], "stands where nobody decided in time"),
        (["cancel", "RUN_X", "--by", "time limit"], "stands where nobody decided in time"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(trial, arguments, said):
    assert said.lower() in fault(command(trial, *arguments)).lower()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "M9"],
        ["status", "RUN_X"],
        ["approve", "RUN_X:T:1", "--by", "Ann"],
        ["cancel", "RUN_X"],
        ["kpi", "RUN_X", "cost", "1"],
    ],
)
def test_a_fault_leaves_a_program_nothing_to_read_but_its_exit_code_and_the_sentence(trial, arguments):
    fault(command(trial, *arguments, "--json"))


def test_so_does_a_fault_of_the_commands_that_judge(tmp_path):
    (tmp_path / "raw").mkdir()
    for arguments in (["brief"], ["brief", "--run", "R"], ["explain", "status"]):
        assert "There is no warehouse" in fault(mission(*arguments, "--warehouse", tmp_path / "w", "--json"))
    assert "is empty" in fault(mission("check", "--raw-data", tmp_path / "raw", "--json"))


def test_a_worker_that_cannot_write_telemetry_prints_its_facts_all_the_same(trial):
    run_id = facts(trial, "run", "M")["run_id"]
    (trial.raw_data / "mission_runs").write_text("in the way")
    facts(trial, "approve", f"{run_id}:B:1", "--by", "Ann")
    unable = command(trial, "worker", "--until-idle", "--json")
    assert (unable.returncode, json.loads(unable.stdout)) == (2, did())


def test_an_input_of_as_many_levels_as_can_be_kept_is_kept(trial, tmp_path):
    given = tmp_path / "input.json"
    given.write_text('{"a": ' + "[" * 99 + "]" * 99 + ', "b": ' + "9" * 1_000 + "}")
    run_id = facts(trial, "run", "M", "--input", given)["run_id"]
    assert facts(trial, "status", run_id)["mission_input"]["b"] == int("9" * 1_000)


def test_a_plan_with_a_fault_is_refused_before_anything_starts(tmp_path):
    trial = new_trial(tmp_path / "trial", missions={"M": tasks(("A", "B"), ("B", "A"))})
    assert "Mission M cannot be run" in fault(command(trial, "run", "M"))
    assert facts(trial, "runs") == []


def test_a_place_to_die_at_that_is_none_and_a_store_that_is_none_are_told(trial):
    assert "MISSION_FAILPOINT" in fault(command(trial, "runs", MISSION_FAILPOINT="after_lunch"))
    assert "MISSION_STORE" in fault(command(trial, "runs", MISSION_STORE="nothing at all"))


def test_the_store_may_be_elsewhere(trial, tmp_path):
    elsewhere = {"MISSION_STORE": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"}
    assert command(trial, "run", "M", "--detach", **elsewhere).returncode == 0
    assert (tmp_path / "elsewhere.sqlite").exists()
    assert facts(trial, "runs") == []
    assert len(json.loads(command(trial, "runs", "--json", **elsewhere).stdout)) == 1


def test_the_command_itself_runs_a_mission(tmp_path):
    trial = new_trial(tmp_path / "trial", missions=one_task())
    result = mission_process("run", "M", "--json", *trial.places())
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["status"] == "completed"
    assert len(trial.telemetry("mission_runs")) == 1


def test_a_long_result_is_cut_where_a_screen_ends_and_nesting_stays_readable():
    gate = {"approval_id": "R:T:1", "task_id": "T", "requested_at": "2026-02-07T06:00:00Z", "escalated_at": "x"}
    found = {"list": [{"a": 1, "b": [True, None]}, []], "text": "two\nlines", "none": {}, "many": list(range(100))}
    state = {
        "run_id": "R", "mission_id": "M", "mission_name": None, "status": "blocked", "plan_tasks": [],
        "created_at": "2026-02-07T06:00:00Z", "ended_at": None, "requested_by": None, "priority": "high",
        "task_status_by_id": {}, "waiting_for_agent_by_id": {}, "routing_by_task_id": {}, "risk_events": [], "kpi_gap_summary": [], "hitl_queue": [gate],
        "task_results_by_id": {"T": {"result": found, "attempt": 1, "attempts": []}},
    }  # fmt: skip
    shown = lines.of_state(state, "", 3)
    start = shown.index("To judge, T:")
    assert shown[start + 1 : start + 11] == [
        "  list:", "    - a: 1", "      b:", "        - yes", "        - not known", "    - none",
        "  text:", "    two", "    lines", "  none: none",
    ]  # fmt: skip
    assert "  … and 51 lines more, in the inbox or with --json" in shown
    assert any("escalated" in line for line in shown)
    assert "created 2026-02-07 06:00 UTC, priority high" in shown


def test_the_shipped_policy_lets_no_data_start_a_program(policy):
    assert policy.runner.commands == ()

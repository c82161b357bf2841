"""A mission of one agent of each kind, run by the command; what fails goes to the next, what cannot run never starts."""

import json
import sys
from pathlib import Path

import pytest
from agents import reply, serving
from command import mission
from raw_folders import put

from mission_pipeline.runner.adapters import python
from mission_pipeline.settings import SHIPPED_POLICY_FILE

NOW = "2026-02-07T06:00:00"
BROKEN = "import sys; sys.stdin.read(); sys.exit('the printer is on fire')"
COUNTS = (
    "import json, sys\n"
    "asked = json.load(sys.stdin)\n"
    "found = {'key': asked['key'], 'input': asked['input'], 'before': asked['results']['T1']['request']['key']}\n"
    "print(json.dumps({'status': 'completed', 'result': found, 'kpis': {'steps_taken': 2}}))"
)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A mission of three tasks, its agents, and a policy that allows them."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    python.end_child()
    raw = tmp_path / "raw"
    put(raw, "business_missions.json", [{"mission_id": "M", "mission_name": "Mission"}])
    tasks = [
        {"task_id": f"T{n}", "order": n, "depends_on": [f"T{n - 1}"] if n > 1 else [], "requires_human_approval": False}
        for n in (1, 2, 3)
    ]
    put(raw, "decomposed_mission_tasks.json", [{"mission_id": "M", "tasks": tasks}])
    put(raw, "agent_capabilities_matrix.json", [
        {"task_id": "T1", "capable_agents": ["P"]}, {"task_id": "T2", "capable_agents": ["C1", "C2"]},
        {"task_id": "T3", "capable_agents": ["H"]}])  # fmt: skip
    put(raw, "mission_kpis.json", [{"mission_id": "M", "kpis": {}}])
    put(raw, "mission_inputs/M.json", '{"deal": "D-1"}')
    policy = SHIPPED_POLICY_FILE.read_text(encoding="utf-8")
    for old, new in (
        ('python_modules = ["mission_pipeline.runner.shipped_agents"]', 'python_modules = ["sample_agents"]'),
        ("commands = []", f"commands = [{json.dumps(sys.executable)}]"),
        ("\nbackoff_seconds = 2.0", "\nbackoff_seconds = 0.01"),
    ):
        assert policy.count(old) == 1
        policy = policy.replace(old, new)
    (tmp_path / "policy.toml").write_text(policy, encoding="utf-8")
    return ["--raw-data", raw, "--warehouse", tmp_path / "warehouse", "--policy", tmp_path / "policy.toml"]


def agents_of(places, url, **statuses):
    def command(code):
        return {"kind": "command", "arguments": [sys.executable, "-S", "-c", code, "; touch pwned", "$(id)"]}

    endpoints = {
        "P": {"kind": "python", "callable": "sample_agents:echo"},
        "C1": command(BROKEN),
        "C2": command(COUNTS),
        "H": {"kind": "http", "url": url},
    }
    put(places[1], "specialized_agents.json", [
        {"agent_id": name, "status": statuses.get(name, "available"), "endpoint": endpoint}
        for name, endpoint in endpoints.items()])  # fmt: skip


def facts(result, code=0):
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def test_each_kind_of_agent_gets_its_key_and_what_came_before(places):
    heard = []

    def handle(handler, body):
        asked = json.loads(body)
        heard.append((handler.headers["Idempotency-Key"], asked["key"], sorted(asked["results"])))
        reply(handler, json.dumps({"status": "completed", "result": {"sent": True}, "summary": "Sent."}).encode())

    with serving(handle) as url:
        agents_of(places, url)
        ran = mission("run", "M", "--json", *places, MISSION_NOW=NOW)
    run_id = facts(ran)["run_id"]
    state = facts(mission("status", run_id, "--json", *places[2:4], MISSION_NOW=NOW))
    assert state["status"] == "completed"
    results = {task: found["result"] for task, found in state["task_results_by_id"].items()}
    assert results["T1"]["request"]["key"] == f"{run_id}:T1:1"
    assert results["T2"] == {"key": f"{run_id}:T2:2", "input": {"deal": "D-1"}, "before": f"{run_id}:T1:1"}
    assert heard == [(f"{run_id}:T3:1", f"{run_id}:T3:1", ["T2"])]
    tried = state["routing_by_task_id"]["T2"]
    assert [choice["agent_id"] for choice in tried] == ["C1", "C2"]
    assert "rank 1 of 2; score 0.60, the prior: there is no warehouse yet" in tried[0]["reason"]
    assert "Agent C1 ended with exit code 1. Its last words: the printer is on fire" in ran.stderr


def test_an_agent_that_never_answers_well_fails_its_task_and_the_run_with_exit_code_4(places):
    with serving(lambda handler, _: reply(handler, b"<html>", 500)) as url:
        agents_of(places, url)
        ran = mission("run", "M", "--json", *places, MISSION_NOW=NOW)
    found = facts(ran, code=4)
    assert (found["status"], found["task_status_by_id"]["T3"]) == ("failed", "failed")
    assert ran.stderr.count("Agent H answered with status 500: <html>") == 3  # runner.max_attempts


def test_a_module_that_is_not_installed_where_the_worker_runs_is_told_with_what_to_do(places, monkeypatch):
    monkeypatch.delenv("PYTHONPATH")
    python.end_child()
    agents_of(places, "http://127.0.0.1:1/")
    ran = mission("run", "M", "--json", *places, MISSION_NOW=NOW)
    assert facts(ran, code=4)["task_status_by_id"]["T1"] == "failed"
    assert (
        "there is no Python module 'sample_agents' here. Install it where the worker runs, or put its folder on "
        "PYTHONPATH."
    ) in " ".join(ran.stderr.split())


@pytest.mark.parametrize(("arguments", "url", "statuses", "says"), [
    (["X"], "http://127.0.0.1:1/", {}, "There is no mission 'X' in"),
    (["M"], "http://127.0.0.1:1/", {"P": "paused"}, "No agent that is able to do T1 is available: P is paused."),
    (["M"], "http://example.org/", {}, "H has an endpoint that names the host example.org, which runner.http_hosts"),
    (["M"], "http://example.org/", {}, ", or allow it in [runner] of the policy, and try again."),
])  # fmt: skip
def test_what_cannot_run_is_refused_before_anything_starts(places, arguments, url, statuses, says):
    agents_of(places, url, **statuses)
    ran = mission("run", *arguments, *places, MISSION_NOW=NOW)
    assert ran.returncode == 2
    assert says in " ".join(ran.stderr.split())
    assert facts(mission("runs", "--json", *places[2:4], MISSION_NOW=NOW)) == []

"""Which missions can be run: plans, agents and endpoints as the raw data names them, and every reason to refuse."""

from datetime import datetime

import pytest
from agents import with_runner
from raw_folders import NOW, put

from mission_pipeline.errors import InputFault, PlanFault
from mission_pipeline.runner.model import KpiTarget
from mission_pipeline.runner.registry import load_registry

ENDPOINT = {"kind": "python", "callable": "mission_pipeline.runner.shipped_agents.sales:advance_deal"}


def task(task_id, *after, order=None, **fields):
    return {"task_id": task_id, "depends_on": list(after), "order": order, "requires_human_approval": False, **fields}


def agent(agent_id, status="available", endpoint=ENDPOINT):
    return {"agent_id": agent_id, "name": f"Agent {agent_id}", "status": status, "endpoint": endpoint}


def folder(path, *tasks, agents=None, can=None, missions=None, plans=None, kpis=None):
    """Write reference data: a mission M of the tasks, whose every task A can do unless said otherwise."""
    names = [each["task_id"] for each in tasks]
    can = {name: ["A"] for name in names} if can is None else can
    missions = [{"mission_id": "M", "mission_name": "Mission", "owner": "Ada"}] if missions is None else missions
    put(path, "business_missions.json", missions)
    put(path, "decomposed_mission_tasks.json", [{"mission_id": "M", "tasks": list(tasks)}] if plans is None else plans)
    put(path, "specialized_agents.json", [agent("A")] if agents is None else agents)
    put(path, "agent_capabilities_matrix.json", [{"task_id": name, "capable_agents": of} for name, of in can.items()])
    put(path, "mission_kpis.json", [{"mission_id": "M", "kpis": {}}] if kpis is None else kpis)
    return path


@pytest.fixture
def load(tmp_path, policy):
    def loaded(*tasks, policy_=policy, **others):
        return load_registry(folder(tmp_path / "raw", *tasks, **others), policy_, NOW)

    return loaded


def refused(registry, mission_id="M"):
    with pytest.raises(PlanFault) as caught:
        registry.plan(mission_id)
    assert caught.value.exit_code == 2
    return str(caught.value)


# ------------------------------------------------------------------ what is there


def test_a_plan_has_its_tasks_in_order_with_who_can_do_them(load):
    registry = load(
        task("T2", "T1", order=2, task="Second", estimated_duration_minutes=4.5, requires_human_approval=True),
        task("T1", order=1),
        task("T9"),
        agents=[agent("A"), agent("B")],
        can={"T1": ["A"], "T2": ["B", "A"], "T9": ["A"]},
        kpis=[{"mission_id": "M", "kpis": {"baseline_days": 5, "target_days": 2, "max_steps": 4}}],
    )
    plan = registry.plan("M")
    assert (plan.mission_id, plan.mission_name, plan.owner) == ("M", "Mission", "Ada")
    assert [(t.task_id, t.task_order, t.capable_agents) for t in plan.tasks] == [
        ("T1", 1, ("A",)), ("T2", 2, ("A", "B")), ("T9", None, ("A",)),
    ]  # fmt: skip
    second = plan.tasks[1]
    assert (second.task_name, second.depends_on, second.estimated_minutes, second.requires_approval) == (
        "Second", ("T1",), 4.5, True,
    )  # fmt: skip
    assert (plan.tasks[0].estimated_minutes, plan.tasks[0].requires_approval) == (None, False)
    assert plan.kpis == (
        KpiTarget("days", "lower_is_better", 5, 2, True, "target"),
        KpiTarget("steps", "lower_is_better", None, 4, False, "ceiling"),
    )


def test_the_shipped_missions_can_be_run(shipped, policy):
    registry = load_registry(shipped.settings.raw_data, policy, datetime(2026, 2, 7, 6))
    assert {mission: [task.task_id for task in registry.plan(mission).tasks] for mission in registry.plans} == {
        "M001": ["T1", "T2", "T3"], "M002": ["T4", "T5"], "M003": ["T6", "T7", "T8"],
    }  # fmt: skip
    assert all(agent.is_available for agent in registry.agents.values())
    assert registry.refused_endpoints == {}


def test_telemetry_is_not_asked_for(load, tmp_path):
    load(task("T1")).plan("M")
    put(tmp_path / "raw", "mission_runs.json", "not even JSON")
    load(task("T1")).plan("M")


def test_reference_data_that_cannot_be_read_is_refused(load, tmp_path, policy):
    load(task("T1"))
    put(tmp_path / "raw", "specialized_agents.json", "[")
    with pytest.raises(InputFault, match=r"specialized_agents\.json"):
        load_registry(tmp_path / "raw", policy, NOW)


# ------------------------------------------------------------------ who is refused


def test_an_unknown_mission_is_refused_with_those_that_there_are(load, tmp_path):
    assert refused(load(task("T1")), "X") == (
        f"There is no mission 'X' in {tmp_path / 'raw'}. Those that it has: M (Mission)."
    )


def test_no_mission_at_all_is_said(load):
    assert refused(load(missions=[], plans=[], kpis=[])).endswith("It has none.")


def test_a_missing_dependency_is_refused(load):
    assert "T1 depends on T0, which is not in the mission's plan." in refused(load(task("T1", "T0")))


def test_a_cycle_is_refused(load):
    found = refused(load(task("T1", "T3"), task("T2", "T1"), task("T3", "T2")))
    assert found.count("These tasks wait for each other: T1, T2, T3.") == 1
    assert "T1 waits for itself." in refused(load(task("T1", "T1")))


@pytest.mark.parametrize("said", [{"requires_human_approval": None}, {"requires_approval": True}])
def test_a_task_that_does_not_say_whether_it_has_a_gate_is_refused(load, said):
    silent = task("T1", **said)
    if "requires_approval" in said:
        del silent["requires_human_approval"]
    assert "does not say whether T1 requires_human_approval: true or false." in refused(load(silent, task("T2")))
    assert load(task("T1"), task("T2", requires_human_approval=True)).plan("M")


def test_an_order_that_contradicts_a_dependency_is_refused(load):
    found = refused(load(task("T1", "T2", order=1), task("T2", order=2)))
    assert "T1 has the order 1, but depends on T2 of order 2." in found
    assert load(task("T1", "T2", order=2), task("T2", order=1)).plan("M")


def test_a_task_that_nobody_can_do_is_refused(load):
    assert "No known agent is able to do T1." in refused(load(task("T1"), can={}))


def test_a_task_that_nobody_can_do_now_is_refused_with_the_reason_of_each(load, tmp_path):
    folder_ = tmp_path / "raw"
    agents = [
        agent("A", "paused"), agent("B", None), agent("C", endpoint=None),
        agent("D", endpoint={"kind": "python", "callable": "os:system"}), agent("E"),
    ]  # fmt: skip
    found = refused(load(task("T1"), task("T2"), agents=agents, can={"T1": ["A", "B", "C", "D"], "T2": ["A", "E"]}))
    assert found == (
        "Mission M cannot be run. No agent that is able to do T1 is available: A is paused; B has no status; "
        "C has no endpoint; D has an endpoint that names the module os, which runner.python_modules of the policy does "
        f"not allow. Mend {folder_}, or allow it in [runner] of the policy, and try again."
    )


def test_the_policy_is_named_only_where_it_is_the_reason(load, tmp_path):
    ended = f"Mend {tmp_path / 'raw'} and try again."
    forbidden = {"kind": "python", "callable": "os:system"}
    assert refused(load(task("T1"), agents=[agent("A", "paused", forbidden)])).endswith(ended)
    assert refused(load(task("T1"), agents=[agent("A", endpoint={"kind": "pigeon"})])).endswith(ended)
    agents = [agent("A", endpoint=forbidden), agent("B")]
    found = refused(load(task("T1", "T0"), agents=agents, can={"T1": ["A", "B"]}))  # B can do it: another fault
    assert found.endswith(ended)
    assert "or allow it in [runner] of the policy" in refused(load(task("T1"), agents=[agent("A", endpoint=forbidden)]))


def test_an_agent_whose_own_record_was_rejected_is_named_with_what_is_wrong_with_it(load):
    agents = [
        agent("A", endpoint="mission_pipeline.runner.shipped_agents.sales:advance_deal"),
        agent("B", 5),
        agent("C"),
    ]
    found = refused(load(task("T1"), task("T2"), agents=agents, can={"T1": ["A"], "T2": ["C"]}))
    assert "Record 1 of agent_capabilities_matrix.json was rejected: capable_agents names" in found
    assert "Record 1 of specialized_agents.json was rejected: endpoint is" in found
    assert "Record 2 of specialized_agents.json" not in found  # of nobody who is needed
    nameless = {"name": "A", "status": "available"}
    found = refused(load(task("T1"), agents=[nameless, agent("C")], can={"T1": ["A"]}))
    assert "Record 1 of specialized_agents.json was rejected: agent_id is missing" in found


def test_an_agent_whose_endpoint_is_not_allowed_is_never_available(load, policy):
    agents = [agent("A", endpoint={"kind": "http", "url": "http://example.org/"})]
    registry = load(task("T1"), agents=agents)
    assert not registry.agents["A"].is_available
    assert load(task("T1"), agents=agents, policy_=with_runner(policy, http_hosts=["example.org"])).plan("M")


def test_every_fault_is_named_at_once(load):
    found = refused(load(task("T1", "T0"), task("T2", "T2"), can={"T1": ["A"]}, agents=[agent("A", "paused")]))
    for sentence in ("depends on T0", "waits for itself", "No known agent is able to do T2", "A is paused"):
        assert sentence in found


def test_a_mission_without_a_task_is_refused(load):
    assert "It has no task in decomposed_mission_tasks." in refused(load(plans=[]))
    assert "It has no task in decomposed_mission_tasks." in refused(load())


def test_a_rejected_plan_is_refused_with_what_is_wrong(load):
    found = refused(load(plans=[{"mission_id": "M", "tasks": [task("T1", estimated_duration_minutes=-1)]}]))
    assert "Record 1 of decomposed_mission_tasks.json was rejected: tasks[0].estimated_duration_minutes is -1" in found
    good, bad = ({"mission_id": "M", "tasks": [task(name)]} for name in ("T1", None))
    found = refused(load(plans=[good, bad], can={"T1": ["A"]}))  # one plan stands, but is not what was meant last
    assert "Record 2 of decomposed_mission_tasks.json was rejected:" in found


def test_a_plan_that_cannot_even_be_read_is_shown_to_a_mission_without_one(load, tmp_path, policy):
    load(plans=[])
    (tmp_path / "raw" / "decomposed_mission_tasks.json").unlink()
    put(tmp_path / "raw", "decomposed_mission_tasks.jsonl", '{"mission_id": "M", "tasks": [\n')
    found = refused(load_registry(tmp_path / "raw", policy, NOW))
    assert "Record 1 of decomposed_mission_tasks.jsonl was rejected: the line is not JSON." in found


def test_a_rejected_mission_target_or_capability_is_named(load):
    found = refused(load(task("T1"), kpis=[{"mission_id": "M", "kpis": {"target_days": "soon"}}]))
    assert "Record 1 of mission_kpis.json was rejected:" in found
    found = refused(load(task("T1"), missions=[{"mission_id": "M", "owner": {"name": "Ada"}}]))
    assert "Record 1 of business_missions.json was rejected:" in found
    assert "There is no mission 'M'" in found
    found = refused(load(task("T1"), can={"T1": ["A", "Z"]}))
    assert "Record 1 of agent_capabilities_matrix.json was rejected: capable_agents names" in found


def test_what_an_earlier_file_got_wrong_was_replaced(load, tmp_path, policy):
    load(plans=[{"mission_id": "M", "tasks": [task(None)]}], can={"T1": ["A"]})
    put(tmp_path / "raw", "decomposed_mission_tasks/later.json", [{"mission_id": "M", "tasks": [task("T1")]}])
    assert load_registry(tmp_path / "raw", policy, NOW).plan("M")


# ------------------------------------------------------------------ when it changes


def test_a_registry_is_stale_once_a_reference_file_changes_and_not_by_telemetry(load, tmp_path, policy):
    registry = load(task("T1"))
    assert not registry.is_stale()
    put(tmp_path / "raw", "mission_runs.json", [])
    assert not registry.is_stale()
    put(tmp_path / "raw", "specialized_agents/new.json", [])
    assert registry.is_stale()
    assert not load_registry(tmp_path / "raw", policy, NOW).is_stale()


def test_a_registry_whose_folder_is_gone_is_stale(load, tmp_path):
    registry = load(task("T1"))
    (tmp_path / "raw").rename(tmp_path / "elsewhere")
    assert registry.is_stale()

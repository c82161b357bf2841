"""Whatever bytes an agent sends, whatever input a mission gets, whoever was tried: an answer, a fault, a gate that holds."""

import copy
import json
from pathlib import Path

from agents import agent, claim, with_runner
from hypothesis import given
from hypothesis import strategies as st

from mission_pipeline.policy import load_policy
from mission_pipeline.runner.adapters.answers import read_answer
from mission_pipeline.runner.model import AgentFault, Answer
from mission_pipeline.runner.routing import Router
from mission_pipeline.runner.shipped_agents.onboarding import collect_information, schedule_call, verify_documents
from mission_pipeline.runner.shipped_agents.sales import advance_deal
from mission_pipeline.runner.shipped_agents.support import resolve_case
from mission_pipeline.settings import SHIPPED_POLICY_FILE
from mission_pipeline.warehouse import Warehouse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SHIPPED = {
    "M001": [("T1", collect_information), ("T2", verify_documents), ("T3", schedule_call)],
    "M002": [("T4", advance_deal), ("T5", advance_deal)],
    "M003": [("T6", resolve_case), ("T7", resolve_case), ("T8", resolve_case)],
}
SAMPLES = {
    mission: json.loads((Path(__file__).parents[2] / "raw_data" / "mission_inputs" / f"{mission}.json").read_text())
    for mission in SHIPPED
}
POLICY = load_policy(SHIPPED_POLICY_FILE)
EXPLORING = with_runner(POLICY, exploration={"share": 0.5, "seed": 1})


def answer_or_fault(content):
    try:
        return read_answer("A", content)
    except AgentFault as fault:
        return fault


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_fault_with_a_short_sentence(content):
    found = answer_or_fault(content)
    assert isinstance(found, (Answer, AgentFault))
    assert len(str(found)) < 1000


@given(st.fixed_dictionaries({"status": st.just("completed"), "result": st.dictionaries(st.text(max_size=5), JSON)},
                             optional={"summary": JSON, "kpis": JSON, "message": JSON}))  # fmt: skip
def test_what_counts_as_an_answer_can_be_stored(values):
    found = answer_or_fault(json.dumps(values).encode())
    if isinstance(found, AgentFault):
        str(found).encode("utf-8")
        return
    assert json.loads(json.dumps(found.result, allow_nan=False, ensure_ascii=False).encode("utf-8")) == found.result
    assert all(abs(value) < float("inf") for value in found.kpis.values())


@given(st.sampled_from(list(SHIPPED)), st.data())
def test_a_shipped_agent_answers_whatever_its_input_holds(mission_id, data):
    given_input = copy.deepcopy(SAMPLES[mission_id])
    for _ in range(data.draw(st.integers(1, 2))):
        replace_somewhere(given_input, data)
    results = {}
    for task_id, work in SHIPPED[mission_id]:
        rejection = data.draw(st.sampled_from([None, "no"]))
        attempt = data.draw(st.integers(1, 3))
        asked = {
            "task_id": task_id,
            "input": given_input,
            "results": results,
            "rejection": rejection,
            "attempt": attempt,
        }
        answer = work(asked)
        assert answer["status"] in {"completed", "escalated", "failed"}
        if answer["status"] != "completed":
            assert answer["message"]
            return
        assert answer["summary"]
        json.dumps(answer)
        results = {task_id: answer["result"]}


def replace_somewhere(value, data):
    """Put any JSON in the place of one value, or of a part of it."""
    while True:
        places = list(value) if isinstance(value, dict) else range(len(value))
        place = data.draw(st.sampled_from(list(places)))
        inner = value[place]
        if isinstance(inner, (dict, list)) and inner and data.draw(st.booleans()):
            value = inner
            continue
        value[place] = data.draw(JSON)
        return


AGENT_IDS = st.sampled_from("ABCD")


@given(
    st.dictionaries(AGENT_IDS, st.sampled_from(["available", "paused", None])),
    st.lists(AGENT_IDS, unique=True),
    st.lists(AGENT_IDS, max_size=6),
    st.sampled_from([POLICY, EXPLORING]),
)
def test_only_the_able_and_available_are_asked_and_first_those_tried_least(statuses, capable, tried, policy):
    agents = {name: agent(name, status, kind="http", url="http://127.0.0.1/") for name, status in statuses.items()}
    may = {name for name in capable if statuses.get(name) == "available"}
    found = Router(Warehouse(Path("/nowhere")), policy).choose(claim(capable=capable, tried=tried), agents)
    if not may:
        assert found is None
        return
    assert found.agent_id in may
    assert {row["agent_id"] for row in found.scores} == may
    assert [row["rank"] for row in found.scores] == list(range(1, len(may) + 1))
    assert tried.count(found.agent_id) == min(map(tried.count, may))
    assert Router(Warehouse(Path("/nowhere")), policy).choose(claim(capable=capable, tried=tried), agents) == found

"""Which agent an attempt goes to: the gates, the figures of a published warehouse, the prior, exploration."""

import itertools

import polars as pl
import pytest
from agents import agent, claim, with_runner
from derive_data import START, derive, event, execution, given, overridden, run, task
from raw_folders import put
from staged import validate

from mission_pipeline.contracts.quality import LoadedFiles
from mission_pipeline.runner.routing import Router
from mission_pipeline.warehouse import Warehouse

AGENTS = {name: agent(name, kind="http", url="http://127.0.0.1/") for name in "ABCD"}
FILES = {"mission_runs.json": "1" * 64}


def publish(folder, policy, executions, files=FILES, runs=("r",), **tables):
    """Publish a warehouse of executions of the task T1, which all of A, B and C can do and which should take 10 minutes."""
    warehouse = Warehouse(folder)
    with warehouse.build() as build:
        given(
            build,
            mission_tasks=[task("T1", 10)],
            mission_runs=[run(name, START) for name in runs],
            task_executions=executions,
            agents=[{"agent_id": name, "status": "available"} for name in "ABC"],
            agent_capabilities=[{"task_id": "T1", "agent_id": name} for name in "ABC"],
            **tables,
        )
        derive(build, policy, "agent_routing")
        lines = [
            {
                "data_set": "mission_runs",
                "file": file,
                "file_order": order,
                "sha256": sha256,
                "size_bytes": 1,
                "rows": 1,
            }
            for order, (file, sha256) in enumerate(files.items(), start=1)
        ]
        schema = LoadedFiles.polars_schema()
        frame = pl.DataFrame([{**dict.fromkeys(schema), **line} for line in lines], schema=schema)
        build.execute("create schema if not exists quality")
        with build.view_of("given_rows", frame):
            build.execute("create or replace table quality.loaded_files as from given_rows")
        warehouse.publish(build, {})
    return warehouse


def by(agent_id, minutes, times=20, run_id="r", **fields):
    """Executions of T1 by an agent, each of so many minutes."""
    return [
        execution(run_id, "T1", minutes, agent_id=agent_id, attempt=number, **fields) for number in range(1, times + 1)
    ]


@pytest.fixture
def router(tmp_path, policy):
    """A router of a warehouse in which B is fast, A slow, and C unknown."""
    runs = ("a", "b")
    executions = [*by("A", 60, run_id="a"), *by("B", 5, run_id="b")]
    return Router(publish(tmp_path, policy, executions, runs=runs), policy)


def chosen(router, agents=AGENTS, **fields):
    found = router.choose(claim(**{"capable": "ABC", **fields}), agents)
    return found and found.agent_id


def ranked(router, **fields):
    found = router.choose(claim(**{"capable": "ABC", **fields}), AGENTS)
    return [(row["rank"], row["agent_id"]) for row in found.scores]


# ------------------------------------------------------------------ gates


def test_only_who_can_do_the_task_is_asked(router):
    assert chosen(router) == "B"
    assert chosen(router, capable="A") == "A"
    assert chosen(router, capable="D") == "D"
    assert chosen(router, capable="") is None
    assert chosen(router, capable="Z") is None  # nobody that the registry knows


@pytest.mark.parametrize("gone", [agent("B", "paused", kind="http"), agent("B", None, kind="http"), agent("B")])
def test_only_who_is_available_now_is_asked(router, gone):
    found = router.choose(claim(capable="ABC"), {**AGENTS, "B": gone})
    assert found.agent_id == "C"
    assert [row["agent_id"] for row in found.scores] == ["C", "A"]


# ------------------------------------------------------------------ figures


def test_the_choice_shows_its_scores_and_why(router):
    found = router.choose(claim(capable="ABC", tried=("A",)), AGENTS)
    assert found.agent_id == "B"
    assert tuple(found.scores[0]) == (
        "agent_id", "rank", "score", "speed_score", "quality_score", "executions", "source", "attempts",
    )  # fmt: skip
    best, unknown, slow = found.scores
    # Speed 10 / (10 + 5), shrunk by 5 executions of 0.5; quality 1 of 20, shrunk by 5 of 0.7.
    assert best["speed_score"] == pytest.approx((20 * 10 / 15 + 5 * 0.5) / 25)
    assert best["quality_score"] == pytest.approx((20 + 5 * 0.7) / 25)
    assert (best["executions"], best["source"], best["attempts"]) == (20, "warehouse", 0)
    assert (unknown["agent_id"], unknown["score"], unknown["executions"]) == ("C", pytest.approx(0.6), 0)
    assert (slow["agent_id"], slow["attempts"]) == ("A", 1)
    assert found.reason == "rank 1 of 3; score 0.79 from 20 executions"
    assert not found.is_exploration


def test_without_a_warehouse_the_prior_ranks_and_the_id_decides(tmp_path, policy):
    found = Router(Warehouse(tmp_path / "none"), policy).choose(claim(capable="BA"), AGENTS)
    assert [(row["agent_id"], row["score"], row["executions"], row["source"]) for row in found.scores] == [
        ("A", pytest.approx(0.5 * 0.5 + 0.5 * 0.7), 0, "prior"), ("B", pytest.approx(0.6), 0, "prior"),
    ]  # fmt: skip
    assert found.warehouse_version is None
    assert found.reason == "rank 1 of 2; score 0.60, the prior: there is no warehouse yet"


def test_an_agent_that_the_warehouse_does_not_know_has_the_prior_of_its_mission(tmp_path, policy):
    own = overridden(policy, {"M": {"routing": {"prior_speed_score": 0.9, "prior_quality_score": 0.9}}})
    found = Router(publish(tmp_path, policy, by("A", 10)), own).choose(claim(capable="AD"), AGENTS)
    assert [(row["agent_id"], row["source"]) for row in found.scores] == [("D", "prior"), ("A", "warehouse")]
    assert found.reason == "rank 1 of 2; score 0.90, the prior: the warehouse has no figures of it"


@pytest.mark.parametrize("content", [b"", b"no database at all", None])
def test_a_warehouse_that_cannot_be_read_stops_no_run(tmp_path, policy, content):
    warehouse = Warehouse(tmp_path)
    if content is None:
        with warehouse.build() as build:  # a warehouse of a release without these tables
            warehouse.publish(build, {})
    else:
        warehouse.published_file.write_bytes(content)
    found = Router(warehouse, policy).choose(claim(), AGENTS)
    assert (found.agent_id, found.warehouse_version) == ("A", None)
    assert found.reason == "rank 1 of 2; score 0.60, the prior: the warehouse cannot be read"


def test_the_ranking_changes_with_the_published_warehouse(tmp_path, policy):
    router = Router(publish(tmp_path, policy, by("B", 5)), policy)
    assert ranked(router) == [(1, "B"), (2, "A"), (3, "C")]
    publish(tmp_path, policy, [*by("B", 5, outcome="failed"), *by("C", 9, run_id="s")], runs=("r", "s"))
    assert ranked(router) == [(1, "C"), (2, "A"), (3, "B")]
    escalated = [event(f"E{n}", "s", "T1") for n in range(2)]
    publish(
        tmp_path, policy, [*by("B", 5, times=2), *by("C", 9, times=2, run_id="s")],
        runs=("r", "s"), risk_events=escalated,
    )  # fmt: skip
    assert ranked(router)[0] == (1, "B")


def test_the_version_names_files_and_policy(tmp_path, policy):
    def version(files=FILES, policy_=policy):
        publish(tmp_path, policy, by("A", 5), files=files)
        return Router(Warehouse(tmp_path), policy_).choose(claim(), AGENTS).warehouse_version

    first = version()
    assert len(first) == 16
    assert version() == first
    assert version({"mission_runs.json": "2" * 64}) != first
    assert version({**FILES, "mission_runs/a.json": "1" * 64}) != first
    assert version(policy_=policy.model_copy(update={"sha256": "other"})) != first


def refresh(raw, warehouse, policy):
    """From files to a published warehouse, as a refresh does it, without what judges and tells."""
    with warehouse.build() as build:
        validate(build, raw, policy)
        derive(build, policy)
        warehouse.publish(build, {})


def test_a_refresh_after_worse_telemetry_changes_who_is_asked(tmp_path, policy):
    raw = tmp_path / "raw"
    put(raw, "business_missions.json", [{"mission_id": "M"}])
    put(raw, "decomposed_mission_tasks.json", [
        {"mission_id": "M", "tasks": [{"task_id": "T1", "estimated_duration_minutes": 10}]}])  # fmt: skip
    put(raw, "specialized_agents.json", [{"agent_id": name, "status": "available"} for name in "AB"])
    put(raw, "agent_capabilities_matrix.json", [{"task_id": "T1", "capable_agents": ["A", "B"]}])
    put(raw, "mission_kpis.json", [{"mission_id": "M", "kpis": {}}])

    def runs(names, agent_id, **fields):
        put(raw, f"mission_runs/{names}.json", [
            {"run_id": name, "mission_id": "M", "start_time": "2026-02-01T10:00:00Z",
             "end_time": "2026-02-01T10:30:00Z", "status": "completed", "escalations": 0} for name in names])  # fmt: skip
        put(raw, f"task_execution_logs/{names}.json", [
            {"run_id": name, "mission_id": "M", "task_id": "T1", "agent_id": agent_id, "outcome": "completed",
             **fields} for name in names])  # fmt: skip

    runs("abcdef", "B", actual_duration_minutes=5)
    warehouse = Warehouse(tmp_path / "warehouse")
    refresh(raw, warehouse, policy)
    router = Router(warehouse, policy)
    before = router.choose(claim(), AGENTS)
    assert (before.agent_id, before.scores[0]["executions"]) == ("B", 6)
    runs("ghijklmn", "B", actual_duration_minutes=5, outcome="failed")
    refresh(raw, warehouse, policy)
    after = router.choose(claim(), AGENTS)
    assert (after.agent_id, after.scores[1]["executions"]) == ("A", 14)
    assert None not in {before.warehouse_version, after.warehouse_version}
    assert before.warehouse_version != after.warehouse_version


# ------------------------------------------------------------------ further attempts


def test_another_attempt_goes_to_the_next_ranked_and_starts_again_after_the_last(router):
    order = []
    for attempt in range(1, 6):
        order.append(chosen(router, attempt=attempt, tried=tuple(order)))
    assert order == ["B", "C", "A", "B", "C"]


def test_a_further_attempt_of_the_only_agent_says_so(router):
    found = router.choose(claim(capable="A", attempt=2, tried=("A",)), AGENTS)
    assert found.reason == "the only one available; score 0.58 from 20 executions; tried 1 time before"


def test_an_attempt_stays_with_the_agent_that_it_was_given_to(router):
    found = router.choose(claim(capable="ABC", agent_id="A"), AGENTS)
    assert (found.agent_id, found.reason) == ("A", "attempt 1 was given to A before its worker stopped")
    paused = {**AGENTS, "A": agent("A", "paused", kind="http", url="http://127.0.0.1/")}
    assert chosen(router, agents=paused, agent_id="A") == "A"  # it may have begun; it must be able to tell
    assert chosen(router, agents={**AGENTS, "A": agent("A")}, agent_id="A") is None
    assert chosen(router, agents={"B": AGENTS["B"]}, agent_id="A") is None


# ------------------------------------------------------------------ exploration


def explorations(router, claims):
    found = [router.choose(each, AGENTS) for each in claims]
    return [choice.agent_id for choice in found if choice.is_exploration], found


def test_nothing_is_explored_unless_the_policy_says_so(router):
    explored, found = explorations(router, (claim(capable="ABC", run_id=f"R{n}") for n in range(200)))
    assert explored == []
    assert {choice.agent_id for choice in found} == {"B"}


def test_the_set_share_of_attempts_is_explored_evenly_and_the_same_again(router, policy):
    exploring = with_runner(policy, exploration={"share": 0.25, "seed": 7})
    router = Router(router._warehouse, exploring)
    claims = [claim(capable="ABC", run_id=f"R{n}", attempt=a) for n, a in itertools.product(range(1000), (1, 2))]
    explored, found = explorations(router, claims)
    assert 430 <= len(explored) <= 570  # 500 expected, with a standard deviation of 19
    assert set(explored) == {"A", "C"}
    assert 200 <= explored.count("A") <= 300
    assert {choice.agent_id for choice in found if not choice.is_exploration} == {"B"}
    assert all(choice.reason.startswith("exploration; rank ") for choice in found if choice.is_exploration)
    assert explorations(router, claims)[0] == explored
    reseeded = Router(router._warehouse, with_runner(policy, exploration={"share": 0.25, "seed": 8}))
    assert explorations(reseeded, claims)[0] != explored


def test_a_share_of_one_always_explores_but_never_where_there_is_no_other(router, policy):
    always = Router(router._warehouse, with_runner(policy, exploration={"share": 1.0, "seed": 0}))
    assert {chosen(always, run_id=f"R{n}") for n in range(50)} == {"A", "C"}
    assert chosen(always, capable="B") == "B"
    # A further attempt goes to those tried least, explored or not.
    assert {chosen(always, run_id=f"R{n}", tried=("A", "B")) for n in range(20)} == {"C"}


def test_exploration_may_be_set_for_one_mission(router, policy):
    own = overridden(policy, {"M": {"runner": {"exploration": {"share": 1.0, "seed": 0}}}})
    assert chosen(Router(router._warehouse, own)) in {"A", "C"}

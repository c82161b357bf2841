"""Dagster is told of each mission run that has ended, once, from a store that is only read."""

import json
import sqlite3
from types import SimpleNamespace

import dagster as dg
import pytest
from runner_gates import SALES, Clock, store_in, waiting_run

from mission_pipeline.orchestration import mission_runs as module
from mission_pipeline.orchestration.definitions import defs
from mission_pipeline.orchestration.mission_runs import MISSION_RUNS_KEY, mission_runs_ended
from mission_pipeline.runner import ended_runs
from mission_pipeline.runner.model import AgentFault, Choice


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MISSION_WAREHOUSE", str(tmp_path))
    monkeypatch.setenv("MISSION_NOW", "2026-11-21T12:00:00")
    monkeypatch.delenv("MISSION_STORE", raising=False)
    return tmp_path


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def missions(folder, policy, clock):
    with store_in(folder, policy, clock) as opened:
        yield opened


class Follower:
    """The sensor with its cursor, as Dagster's daemon keeps it, and a history that the events go to."""

    def __init__(self):
        self.cursor, self.events, self.instance = None, [], dg.DagsterInstance.ephemeral()

    def look(self):
        context = dg.build_sensor_context(
            cursor=self.cursor, repository_def=defs.get_repository_def(), instance=self.instance
        )
        answer = mission_runs_ended.evaluate_tick(context)
        self.cursor = answer.cursor
        self.events += answer.asset_events
        return SimpleNamespace(told=[_facts(event) for event in answer.asset_events], skipped=answer.skip_message)


def _facts(event):
    assert event.asset_key == MISSION_RUNS_KEY
    return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def follower():
    return Follower()


def approve(missions, run):
    missions.decide(run.gate, "approved", by="Ana")


def test_the_sensor_is_on_and_starts_nothing():
    assert mission_runs_ended.default_status is dg.DefaultSensorStatus.RUNNING
    assert not mission_runs_ended.has_jobs


def test_without_a_store_none_is_made(folder, follower):
    assert follower.look().skipped == "No mission has been run yet."
    assert not (folder / ".runner").exists()


def test_a_run_is_told_once_when_it_has_ended(missions, clock, follower):
    run = waiting_run(missions, requested_by="Ana Lima", priority="high")
    assert follower.look().told == []
    clock.wait(hours=3)
    approve(missions, run)
    [facts] = follower.look().told
    ended = facts.pop("ended_at")
    assert facts == {
        "run_id": run.run_id, "mission_id": "M002", "mission": "Accelerate Sales Pipeline Progression",
        "status": "completed", "minutes": 180.0, "human_interventions": 0, "escalations": 0, "risk_flagged": True,
        "requested_by": "Ana Lima", "priority": "high", "look_at_it": f"mission status {run.run_id}",
    }  # fmt: skip
    assert ended == 1795264200.0  # 2026-11-21 12:30 UTC
    assert follower.look().told == []


def test_nothing_is_opened_while_nothing_has_changed(folder, policy, clock, follower, monkeypatch):
    with store_in(folder, policy, clock) as missions:
        approve(missions, waiting_run(missions))
    assert len(follower.look().told) == 1
    monkeypatch.setattr(module, "ended_runs_of", None)  # calling it would fail
    assert follower.look().skipped == "Nothing has changed."


def test_reading_beside_a_worker_is_no_change(missions, follower, monkeypatch):
    approve(missions, waiting_run(missions))
    follower.look()
    follower.look()
    monkeypatch.setattr(module, "ended_runs_of", None)
    assert follower.look().skipped == "Nothing has changed."


def test_every_run_is_told_whatever_the_number_and_in_order(missions, follower, monkeypatch):
    monkeypatch.setattr(module, "MOST_EVENTS_AT_ONCE", 2)
    runs = [waiting_run(missions) for _ in range(5)]
    for run in runs:
        approve(missions, run)
    told = [facts["run_id"] for _ in range(4) for facts in follower.look().told]
    assert told == [run.run_id for run in runs]


def test_a_run_that_ends_after_a_clock_was_set_back_is_told(missions, clock, follower):
    first, second = waiting_run(missions), waiting_run(missions)
    approve(missions, first)
    assert len(follower.look().told) == 1
    clock.wait(days=-5)
    approve(missions, second)
    assert [facts["run_id"] for facts in follower.look().told] == [second.run_id]


def test_a_failed_and_a_cancelled_run_are_told_too(missions, follower, policy, clock):
    failed = missions.create_run(SALES, mission_input={})
    for _ in range(policy.runner.max_attempts):
        clock.wait(minutes=5)
        claim = missions.claim("worker", failed)
        missions.choose(claim, Choice("A4", "first in rank", (), None))
        missions.fail(claim, AgentFault("no"), 1.0)
    cancelled = waiting_run(missions)
    missions.cancel(cancelled.run_id, by="Ben")
    told = {facts["run_id"]: facts["status"] for facts in follower.look().told}
    assert told == {failed: "failed", cancelled.run_id: "cancelled"}


def test_a_corrected_record_is_the_same_run(missions, follower):
    run = waiting_run(missions)
    approve(missions, run)
    assert len(follower.look().told) == 1
    missions.observe_kpi(run.run_id, "pipeline_days", 28.0)
    assert follower.look().told == []
    late = Follower()
    assert len(late.look().told) == 1


def test_another_store_in_the_same_place_is_followed_from_its_start(folder, policy, clock, follower):
    with store_in(folder, policy, clock) as missions:
        for _ in range(3):
            approve(missions, waiting_run(missions))
    assert len(follower.look().told) == 3
    for file in (folder / ".runner").glob("missions.sqlite*"):
        file.unlink()
    with store_in(folder, policy, clock) as missions:
        approve(missions, waiting_run(missions))
    assert len(follower.look().told) == 1


def test_a_store_that_cannot_be_read_is_said(folder, follower):
    (folder / ".runner").mkdir()
    (folder / ".runner" / "missions.sqlite").write_text("no database " * 100)
    assert "cannot be used" in follower.look().skipped
    assert follower.cursor is None


def test_the_events_stand_on_the_asset_in_dagsters_history(missions, follower):
    approve(missions, waiting_run(missions))
    follower.look()
    for event in follower.events:
        follower.instance.report_runless_asset_event(event)
    kept = follower.instance.get_latest_materialization_event(MISSION_RUNS_KEY)
    assert kept.asset_materialization.metadata["status"].value == "completed"


def test_a_server_is_asked_each_time():
    assert ended_runs.trace_of("postgresql://user@server/missions") is None


def test_the_store_is_not_changed_by_being_followed(folder, policy, clock, follower):
    with store_in(folder, policy, clock) as missions:
        approve(missions, waiting_run(missions))

    def dump():
        with sqlite3.connect(folder / ".runner" / "missions.sqlite") as opened:
            return list(opened.iterdump())

    before = dump()
    follower.look()
    assert dump() == before


def test_the_cursor_is_small_and_readable(missions, follower):
    approve(missions, waiting_run(missions))
    follower.look()
    assert set(json.loads(follower.cursor)) == {"store_id", "seq", "trace"}

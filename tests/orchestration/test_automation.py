"""When a refresh starts by itself, and of which day."""

import json
import os
from datetime import UTC, date, datetime, timedelta, timezone

import dagster as dg
import pytest
from portfolios import run, write_other_portfolio, write_records

from mission_pipeline.orchestration.automation import (
    RawFilesSeen,
    age_four_times_a_day,
    daily_at_six,
    day_before,
    fingerprint,
    raw_files_changed,
)
from mission_pipeline.orchestration.definitions import defs
from mission_pipeline.orchestration.findings import publication_age


def test_the_schedule_asks_for_the_day_before_at_six_utc():
    scheduled = datetime(2026, 2, 7, 6, tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=scheduled, repository_def=defs.get_repository_def())
    requests = daily_at_six.evaluate_tick(context).run_requests
    assert [(each.partition_key, each.run_key) for each in requests] == [("2026-02-06", "2026-02-06")]
    assert daily_at_six.cron_schedule == "0 6 * * *"
    assert daily_at_six.execution_timezone == "UTC"
    assert daily_at_six.default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_day_before_is_a_utc_day():
    assert day_before(datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))) == date(2026, 2, 27)
    assert day_before(datetime(2026, 3, 1, 0, 0, tzinfo=UTC)) == date(2026, 2, 28)


def test_the_watch_on_age_runs_the_check_alone():
    assert age_four_times_a_day.default_status is dg.DefaultScheduleStatus.RUNNING
    [node] = defs.resolve_job_def("age_watch").graph.nodes
    assert node.name == "published_warehouse_published_recently"


def test_the_sensor_waits_until_the_files_hold_still_and_then_refreshes_once():
    memory, is_due = RawFilesSeen().look("a")
    assert not is_due
    memory, is_due = memory.look("b")
    assert not is_due
    memory, is_due = memory.look("b")
    assert is_due
    memory, is_due = memory.look("b")
    assert not is_due
    memory, is_due = RawFilesSeen.from_cursor(memory.to_cursor()).look("c")
    assert not is_due
    _, is_due = memory.look("c")
    assert is_due


def test_files_that_change_and_change_back_need_no_refresh():
    memory = RawFilesSeen("a", "a")
    for files in ("b", "a", "a"):
        memory, is_due = memory.look(files)
        assert not is_due


@pytest.fixture
def raw_data(tmp_path, monkeypatch):
    folder = tmp_path / "raw"
    write_other_portfolio(folder)
    monkeypatch.setenv("MISSION_RAW_DATA", str(folder))
    monkeypatch.setenv("MISSION_NOW", "2026-03-07T06:00:00")
    return folder


def ticks(count, cursor=None):
    """Let the sensor look so many times; return its last answer and its cursor."""
    for _ in range(count):
        context = dg.build_sensor_context(cursor=cursor, repository_def=defs.get_repository_def())
        answer = raw_files_changed.evaluate_tick(context)
        cursor = answer.cursor
    return answer, cursor


def test_the_sensor_asks_for_the_newest_day_with_data(raw_data):
    answer, cursor = ticks(2)
    assert [each.partition_key for each in answer.run_requests] == ["2026-03-06"]
    answer, cursor = ticks(1, cursor)
    assert answer.run_requests == []
    assert answer.skip_message == "Nothing has changed."
    write_records(raw_data / "mission_runs" / "new.json", [run("n", "OPS", "2026-03-07T01:00:00Z", None)])
    answer, cursor = ticks(1, cursor)
    assert answer.skip_message == "Files are changing."
    answer, cursor = ticks(1, cursor)
    assert [each.partition_key for each in answer.run_requests] == ["2026-03-07"]


def test_the_sensor_never_asks_for_a_day_in_the_future(raw_data):
    write_records(raw_data / "mission_runs" / "new.json", [run("n", "OPS", "2026-03-08T01:00:00Z", None)])
    answer, _ = ticks(2)
    assert [each.partition_key for each in answer.run_requests] == ["2026-03-07"]


def test_the_sensor_says_what_is_wrong_with_files_that_cannot_be_read(raw_data):
    (raw_data / "mission_runs.json").write_text("[{", encoding="utf-8")
    answer, _ = ticks(2)
    assert answer.run_requests == []
    assert "mission_runs.json" in answer.skip_message


def test_the_sensor_is_on_by_default_so_that_runs_are_judged_by_themselves():
    assert raw_files_changed.default_status is dg.DefaultSensorStatus.RUNNING


def test_the_sensor_asks_again_whenever_the_runner_has_appended_and_holds_still(raw_data):
    _, cursor = ticks(2)
    file = raw_data / "mission_runs" / "runner-0a1b2c3d-2026-03.jsonl"
    file.parent.mkdir(exist_ok=True)
    for hour in (1, 2):
        record = run(f"r{hour}", "OPS", f"2026-03-07T0{hour}:00:00Z", None)
        with file.open("a", encoding="utf-8") as appended:
            appended.write(json.dumps(record) + "\n")
        answer, cursor = ticks(1, cursor)
        assert answer.skip_message == "Files are changing."
        answer, cursor = ticks(1, cursor)
        assert [each.partition_key for each in answer.run_requests] == ["2026-03-07"]


def test_the_fingerprint_follows_names_sizes_and_times(tmp_path):
    file = tmp_path / "folder" / "a.json"
    file.parent.mkdir()
    seen = [fingerprint(tmp_path)]
    file.write_text("[]")
    os.utime(file, ns=(1, 1))
    seen.append(fingerprint(tmp_path))
    assert fingerprint(tmp_path) == seen[-1]
    os.utime(file, ns=(1, 2))
    seen.append(fingerprint(tmp_path))
    file.write_text("[ ]")
    os.utime(file, ns=(1, 2))
    seen.append(fingerprint(tmp_path))
    file.rename(file.with_name("b.json"))
    seen.append(fingerprint(tmp_path))
    assert len(set(seen)) == len(seen)


def test_the_published_file_is_recent_up_to_the_policys_limit(tmp_path, policy):
    published, at = tmp_path / "mission_control.duckdb", datetime(2026, 2, 7, 6)
    assert not publication_age(published, policy, at).is_good
    published.touch()
    os.utime(published, (at.replace(tzinfo=UTC).timestamp(),) * 2)
    limit = timedelta(hours=policy.freshness.warn_after_hours)
    assert publication_age(published, policy, at + limit).is_good
    late = publication_age(published, policy, at + limit + timedelta(minutes=1))
    assert not late.is_good
    assert "36.0 hours ago" in late.sentence

from datetime import date, datetime

import pytest
from raw_folders import put

from mission_pipeline.errors import InputFault
from mission_pipeline.ingest.newest_day import newest_run_day

NOW = datetime(2026, 2, 7, 6)


def newest(raw_data, *runs, name="mission_runs.json"):
    """Runs as (start, end, status); the folder needs nothing else."""
    fields = ("start_time", "end_time", "status")
    records = [
        {"run_id": f"R{i}", "mission_id": "M1", **dict(zip(fields, run, strict=True))} for i, run in enumerate(runs)
    ]
    put(raw_data, name, records)
    return newest_run_day(raw_data, NOW)


def test_a_run_counts_for_the_day_of_its_end_and_an_open_one_for_its_start(tmp_path):
    assert newest(
        tmp_path,
        ("2026-02-01T23:50:00Z", "2026-02-02T00:10:00Z", "completed"),
        ("2026-01-30T10:00:00Z", None, "running"),
    ) == date(2026, 2, 2)
    assert newest(
        tmp_path,
        ("2026-02-01T10:00:00Z", "2026-02-01T11:00:00Z", "failed"),
        ("2026-02-03T23:59:59Z", None, "blocked"),
    ) == date(2026, 2, 3)


def test_days_are_utc_days(tmp_path):
    assert newest(tmp_path, ("2026-02-01T10:00:00Z", "2026-02-02T00:30:00+01:00", "completed")) == date(2026, 2, 1)


def test_times_up_to_a_day_ahead_of_the_clock_count_and_later_ones_do_not(tmp_path):
    early = ("2026-02-01T10:00:00Z", "2026-02-01T11:00:00Z", "completed")
    assert newest(tmp_path, early, ("2026-02-08T06:00:00Z", None, "running")) == date(2026, 2, 8)
    assert newest(tmp_path, early, ("2026-02-08T06:00:01Z", None, "running")) == date(2026, 2, 1)
    assert newest(tmp_path, early, ("2026-02-07T06:00:00Z", "2026-02-08T06:00:00Z", "completed")) == date(2026, 2, 8)
    assert newest(tmp_path, early, ("2026-02-07T06:00:00Z", "2026-02-08T06:00:01Z", "completed")) == date(2026, 2, 1)


def test_records_that_will_be_rejected_do_not_count(tmp_path):
    assert newest(
        tmp_path,
        ("2026-02-01T10:00:00Z", "2026-02-01T11:00:00Z", "completed"),
        ("2026-02-05T10:00:00Z", "2026-02-05T09:00:00Z", "completed"),
        ("2026-02-05T10:00:00Z", "2026-02-05T11:00:00Z", "unheard of"),
        ("2026-02-05T10:00:00Z", "2026-02-05T11:00:00Z", None),
        (None, "2026-02-05T11:00:00Z", "completed"),
        (5, True, "completed"),
    ) == date(2026, 2, 1)


def test_all_files_are_looked_at_bad_lines_aside(tmp_path):
    newest(tmp_path, ("2026-02-05T10:00:00Z", "2026-02-05T11:00:00Z", "completed"), name="mission_runs/1.jsonl")
    with (tmp_path / "mission_runs" / "1.jsonl").open("a") as file:
        file.write('{"run_id": "torn')
    assert newest(tmp_path, ("2026-02-01T10:00:00Z", None, "running"), name="mission_runs/2.json") == date(2026, 2, 5)


def test_no_run_gives_no_day(tmp_path):
    assert newest(tmp_path) is None


def test_no_runs_file_and_a_broken_one_are_faults(tmp_path):
    put(tmp_path, "business_missions.json", [])
    with pytest.raises(InputFault, match="has no mission_runs"):
        newest_run_day(tmp_path, NOW)
    put(tmp_path, "mission_runs.json", '[{"run_id"')
    with pytest.raises(InputFault, match=r"^mission_runs.json is cut short"):
        newest_run_day(tmp_path, NOW)

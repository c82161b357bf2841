"""Reading ahead: it spares a landing the reading, and never changes what lands."""

import os
from datetime import datetime

import pytest
from raw_folders import land, landed, put, smallest_folder
from shipped_sample import SAMPLE

from mission_pipeline.contracts.inputs import MISSION_RUNS
from mission_pipeline.ingest import land as landing
from mission_pipeline.ingest import read_ahead
from mission_pipeline.ingest.find import find_raw_files
from mission_pipeline.ingest.read_ahead import ReadAhead, handed_on, read_ahead_of
from mission_pipeline.orchestration.refresh import run_refresh
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings


@pytest.fixture
def raw_data(tmp_path):
    return smallest_folder(tmp_path / "raw", without=("mission_runs",))


@pytest.fixture
def taken(monkeypatch):
    """The files that landed from what was read ahead."""
    names = []
    typed = landing.type_records

    def noting(build, file, **options):
        if options["read_ahead"] is not None:
            names.append(file.name)
        return typed(build, file, **options)

    monkeypatch.setattr(landing, "type_records", noting)
    return names


def runs(*run_ids):
    return [{"run_id": run_id} for run_id in run_ids]


def run_files(raw_data):
    return find_raw_files(raw_data, (MISSION_RUNS,)).files


def land_ahead(build, raw_data, ahead):
    with handed_on(ahead):
        return land(build, raw_data)


def test_what_was_read_ahead_lands_without_being_read_again(build, raw_data, taken):
    put(raw_data, "mission_runs.json", runs("R1", "R2"))
    put(raw_data, "mission_runs/a.jsonl", runs("R3"))
    report = land_ahead(build, raw_data, ReadAhead(run_files(raw_data)))
    assert taken == ["mission_runs.json", "mission_runs/a.jsonl"]
    assert report.counts["mission_runs"] == 3
    assert landed(build, "mission_runs", "file, row, run_id") == [
        ("mission_runs.json", 1, "R1"),
        ("mission_runs.json", 2, "R2"),
        ("mission_runs/a.jsonl", 1, "R3"),
    ]


def test_a_file_that_changed_since_is_read_when_it_is_landed(build, raw_data, taken):
    put(raw_data, "mission_runs.json", runs("R1"))
    ahead = ReadAhead(run_files(raw_data))
    [file] = run_files(raw_data)
    assert ahead.look(file).num_rows == 1
    put(raw_data, "mission_runs.json", runs("R2", "R3"))
    land_ahead(build, raw_data, ahead)
    assert taken == []
    assert landed(build, "mission_runs", "run_id") == ["R2", "R3"]


def test_a_file_that_is_gone_since_is_not_looked_at(raw_data):
    path = put(raw_data, "mission_runs.json", runs("R1"))
    ahead = ReadAhead(run_files(raw_data))
    [file] = run_files(raw_data)
    path.unlink()
    assert ahead.look(file) is None


def test_a_file_that_duckdb_refuses_is_left_to_the_tolerant_reader(build, raw_data, taken):
    put(raw_data, "mission_runs.jsonl", '{"run_id": "R1"}\n{torn')
    land_ahead(build, raw_data, ReadAhead(run_files(raw_data)))
    assert taken == []
    assert landed(build, "mission_runs", "run_id") == ["R1", None]


def test_blank_lines_do_not_move_the_rows_of_what_was_read_ahead(build, raw_data):
    put(raw_data, "mission_runs.jsonl", '{"run_id": "R1"}\n\n{"run_id": "R3"}\n')
    land_ahead(build, raw_data, ReadAhead(run_files(raw_data)))
    assert landed(build, "mission_runs", "row, run_id") == [(1, "R1"), (3, "R3")]


def test_only_what_finds_room_in_memory_and_is_not_compressed_is_read_ahead(build, raw_data, taken, monkeypatch):
    sizes = [put(raw_data, f"mission_runs/{name}.json", runs(name * 9)).stat().st_size for name in "abc"]
    put(raw_data, "mission_runs/d.json.gz", runs("d"))
    monkeypatch.setattr(read_ahead, "MOST_BYTES", sizes[0] + sizes[1])
    land_ahead(build, raw_data, ReadAhead(run_files(raw_data)))
    assert taken == ["mission_runs/a.json", "mission_runs/b.json"]
    assert len(landed(build, "mission_runs", "run_id")) == 4


def test_files_older_than_what_was_published_are_not_read_ahead(build, raw_data, taken, tmp_path):
    published = put(tmp_path, "mission_control.duckdb", "any content")
    moment = published.stat().st_mtime_ns
    for name, age in (("old", 1), ("same", 0), ("new", -1)):
        path = put(raw_data, f"mission_runs/{name}.json", runs(name))
        os.utime(path, ns=(moment - age, moment - age))
    land_ahead(build, raw_data, read_ahead_of(raw_data, published))
    assert {"mission_runs/new.json", "mission_runs/same.json"} <= set(taken)
    assert "mission_runs/old.json" not in taken


def test_without_a_published_warehouse_every_file_is_read_ahead(build, raw_data, taken, tmp_path):
    put(raw_data, "mission_runs.json", runs("R1"))
    land_ahead(build, raw_data, read_ahead_of(raw_data, tmp_path / "none"))
    assert sorted(taken) == sorted(file.name for file in find_raw_files(raw_data).files)


def test_a_folder_with_a_fault_is_left_to_the_landing(tmp_path):
    ahead = read_ahead_of(tmp_path / "missing", tmp_path / "none")
    assert ahead._readings == {}


def test_a_refresh_from_the_command_reads_ahead(taken, tmp_path):
    """Dagster runs the landing in between, in the same process."""
    settings = Settings(SAMPLE, tmp_path / "warehouse", SHIPPED_POLICY_FILE, datetime(2026, 2, 7, 6))
    run_refresh(settings, as_of=None, on_progress=lambda _: None)
    assert "mission_runs.json" in taken
    assert "task_execution_logs.json" in taken


def test_what_nobody_took_is_forgotten_when_the_landing_is_done(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1"))
    ahead = ReadAhead(run_files(raw_data))
    (raw_data / "mission_runs.json").unlink()
    put(raw_data, "mission_runs/b.json", runs("R2"))
    land_ahead(build, raw_data, ahead)
    assert ahead._readings == {}


@pytest.mark.parametrize("is_ahead", [True, False], ids=["read ahead", "read when it lands"])
def test_the_row_is_the_line_also_in_a_file_that_several_cores_could_read(build, raw_data, taken, is_ahead):
    """DuckDB shares lines out in pieces of 32 MB; every hundredth record has a misfit, and is looked at again."""
    padding = "x" * 4_000
    lines = [
        {"run_id": f"R{row}", "requested_by": padding, "escalations": [] if row % 100 == 0 else row}
        for row in range(1, 10_001)
    ]
    put(raw_data, "mission_runs.jsonl", lines)
    land_ahead(build, raw_data, ReadAhead(run_files(raw_data) if is_ahead else ()))
    assert taken == (["mission_runs.jsonl"] if is_ahead else [])
    found = landed(build, "mission_runs", "row, run_id, escalations, misfits, json_extract_string(record, '$.run_id')")
    assert found == [
        (row, f"R{row}", None, ["escalations"], f"R{row}") if row % 100 == 0 else (row, f"R{row}", row, None, None)
        for row in range(1, 10_001)
    ]

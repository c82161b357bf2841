import os

import pytest
from raw_folders import put, smallest_folder

from mission_pipeline.contracts.inputs import DATA_SETS, MISSION_RISK_EVENTS, MISSION_RUNS
from mission_pipeline.errors import InputFault
from mission_pipeline.ingest.find import find_raw_files


def names(found, data_set):
    return [file.name for file in found.of(data_set)]


def test_files_come_before_the_folder_and_then_by_relative_path(tmp_path):
    smallest_folder(tmp_path)
    for name in (
        "mission_runs.ndjson.gz",
        "mission_runs.jsonl",
        "mission_runs/b.json",
        "mission_runs/a/2.json",
        "mission_runs/a/10.jsonl",
        "mission_runs/a.json.gz",
    ):
        put(tmp_path, name, [])
    found = find_raw_files(tmp_path)
    assert names(found, MISSION_RUNS) == [
        "mission_runs.json",
        "mission_runs.jsonl",
        "mission_runs.ndjson.gz",
        "mission_runs/a.json.gz",
        "mission_runs/a/10.jsonl",
        "mission_runs/a/2.json",
        "mission_runs/b.json",
    ]
    assert [file.order for file in found.of(MISSION_RUNS)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_files_time_never_decides_the_order(tmp_path):
    smallest_folder(tmp_path, without=("mission_runs",))
    for name, time in (("b", 1), ("a", 2_000_000_000)):
        os.utime(put(tmp_path, f"mission_runs/{name}.json", []), (time, time))
    assert names(find_raw_files(tmp_path), MISSION_RUNS) == ["mission_runs/a.json", "mission_runs/b.json"]


def test_endings_tell_form_and_compression(tmp_path):
    smallest_folder(tmp_path, without=("mission_runs",))
    for ending in ("json", "json.gz", "jsonl", "ndjson.gz"):
        put(tmp_path, f"mission_runs.{ending}", [])
    found = find_raw_files(tmp_path).of(MISSION_RUNS)
    assert [(file.name.partition(".")[2], file.has_lines, file.is_gzipped) for file in found] == [
        ("json", False, False),
        ("json.gz", False, True),
        ("jsonl", True, False),
        ("ndjson.gz", True, True),
    ]


def test_strangers_are_noted_and_explanations_are_not(tmp_path):
    smallest_folder(tmp_path)
    for name in ("notes.txt", "mission_runs.csv", "mission_runs/half.json.tmp", "old/mission_runs.json"):
        put(tmp_path, name, "x")
    for name in ("README.md", "mission_runs/README.md", ".hidden", ".git/config"):
        put(tmp_path, name, "x")
    ignored = [note.split()[0] for note in find_raw_files(tmp_path).notes if "ignored" in note]
    assert ignored == ["mission_runs.csv", "notes.txt", "old", "mission_runs/half.json.tmp"]


def test_a_missing_optional_set_is_said(tmp_path):
    smallest_folder(tmp_path)
    put(tmp_path, "mission_risk_events.json", [])
    assert find_raw_files(tmp_path).notes == (
        "No agent_performance_stats were given.",
        "No mission_portfolio_snapshot were given.",
    )


@pytest.mark.parametrize("data_set", [data_set for data_set in DATA_SETS if data_set.is_required])
def test_a_missing_required_set_is_named_with_the_place(tmp_path, data_set):
    smallest_folder(tmp_path, without=(data_set.name,))
    (tmp_path / data_set.name).mkdir()  # an empty folder gives nothing either
    with pytest.raises(InputFault) as fault:
        find_raw_files(tmp_path)
    assert f"has no {data_set.name}." in str(fault.value)
    assert f"{data_set.name}.json" in str(fault.value)
    assert str(tmp_path) in str(fault.value)


def test_an_optional_set_may_be_missing_altogether(tmp_path):
    assert names(find_raw_files(smallest_folder(tmp_path)), MISSION_RISK_EVENTS) == []


def test_a_missing_an_empty_and_a_false_folder_are_told_apart(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("[]")
    for name, words in (("nowhere", "does not exist"), ("empty", "is empty"), ("file", "is a file")):
        with pytest.raises(InputFault, match=words) as fault:
            find_raw_files(tmp_path / name)
        assert str(tmp_path / name) in str(fault.value)
        assert "--raw-data" in str(fault.value)


def test_a_link_may_point_within_the_folder_but_not_out_of_it(tmp_path):
    raw_data = smallest_folder(tmp_path / "raw", without=("mission_runs",))
    put(raw_data, "mission_runs/day.json", [])
    (raw_data / "mission_runs" / "same.json").symlink_to("day.json")
    assert names(find_raw_files(raw_data), MISSION_RUNS) == ["mission_runs/day.json", "mission_runs/same.json"]
    secret = put(tmp_path, "secret.json", "[]")
    for link, target in (
        ("mission_runs/out.json", secret),
        ("mission_runs/away", tmp_path),
        ("mission_runs.json", secret),
    ):
        (raw_data / link).symlink_to(target)
        with pytest.raises(InputFault, match="leaves the raw-data folder") as fault:
            find_raw_files(raw_data)
        assert link in str(fault.value)
        (raw_data / link).unlink()


def test_the_raw_data_folder_may_itself_be_a_link(tmp_path):
    smallest_folder(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    assert names(find_raw_files(tmp_path / "link"), MISSION_RUNS) == ["mission_runs.json"]


def test_a_link_to_nowhere_and_a_circle_are_faults(tmp_path):
    raw_data = smallest_folder(tmp_path)
    put(raw_data, "mission_runs/day.json", [])
    for target, words in (("nowhere", "leads nowhere"), ("../mission_runs", "a folder that it lies in")):
        (raw_data / "mission_runs" / "link").symlink_to(target)
        with pytest.raises(InputFault, match=words):
            find_raw_files(raw_data)
        (raw_data / "mission_runs" / "link").unlink()


def test_what_has_a_files_name_and_is_none_is_a_fault_and_blocks_nothing(tmp_path):
    raw_data = smallest_folder(tmp_path, without=("mission_runs",))
    os.mkfifo(raw_data / "mission_runs.json")
    with pytest.raises(InputFault, match="not a regular file"):
        find_raw_files(raw_data)
    (raw_data / "mission_runs.json").unlink()
    (raw_data / "mission_runs.json").mkdir()
    with pytest.raises(InputFault, match="not a regular file"):
        find_raw_files(raw_data)


def test_what_missions_are_run_on_is_no_data_set_and_not_worth_a_note(tmp_path):
    smallest_folder(tmp_path)
    put(tmp_path, "mission_inputs/M1.json", "{}")
    put(tmp_path, "mission_runs/mission_inputs/late.json", [])
    found = find_raw_files(tmp_path)
    assert [note for note in found.notes if "ignored" in note] == []
    assert names(found, MISSION_RUNS) == ["mission_runs.json", "mission_runs/mission_inputs/late.json"]

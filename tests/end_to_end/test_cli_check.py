"""``mission check``: every reject with file, row, rule and reason; exit codes; nothing written anywhere."""

import json
import shutil

import pytest
from command import mission, mission_process
from shipped_sample import SAMPLE


def check(raw_data, *arguments, cwd, call=mission):
    return call("check", "--raw-data", raw_data, *arguments, cwd=cwd)


@pytest.fixture
def raw_data(tmp_path):
    """A copy of the shipped data, to be spoiled."""
    folder = tmp_path / "raw data"
    shutil.copytree(SAMPLE, folder)
    return folder


def spoil(folder, data_set, change):
    file = folder / f"{data_set}.json"
    records = json.loads(file.read_text(encoding="utf-8"))
    change(records)
    file.write_text(json.dumps(records), encoding="utf-8")


def everything_below(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("call", [mission, mission_process])
def test_the_shipped_data_has_nothing_to_reject_and_nothing_is_written(raw_data, tmp_path, call):
    before = everything_below(tmp_path)
    result = check(raw_data, cwd=tmp_path, call=call)
    assert (result.returncode, result.stderr) == (0, "")
    assert "mission_runs                     8 records  8 valid, 0 rejected" in result.stdout
    assert result.stdout.endswith("No record would be rejected.\n")
    assert everything_below(tmp_path) == before


def test_every_reject_is_listed_with_file_row_rule_and_reason(raw_data, tmp_path):
    def two_faults(records):
        records[2]["human_interventions"] = -1
        records[4]["status"] = "splendid"

    spoil(raw_data, "mission_runs", two_faults)
    result = check(raw_data, cwd=tmp_path)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    rejected = lines[lines.index("Rejected:") + 1 :]
    [negative, unknown] = [line for line in rejected if line.startswith("  mission_runs.json, row ")]
    assert negative == "  mission_runs.json, row 3: out_of_range: human_interventions is -1, below 0."
    assert unknown.startswith("  mission_runs.json, row 5: unknown_value: ")
    assert "splendid" in unknown
    assert any(line.startswith("  task_execution_logs.json, row 7: unknown_run: ") for line in rejected)
    assert lines[-1].endswith("records would be rejected.")


def test_as_json_the_same_facts(raw_data, tmp_path):
    spoil(raw_data, "mission_risk_events", lambda records: records[0].update(run_id="nowhere", mood="bad"))
    result = check(raw_data, "--json", cwd=tmp_path)
    assert result.returncode == 1
    facts = json.loads(result.stdout)
    [reject] = facts["rejected"]
    assert (reject["data_set"], reject["file"], reject["row"]) == ("mission_risk_events", "mission_risk_events.json", 1)
    assert reject["rule"]
    assert "nowhere" in reject["reason"]
    assert json.loads(reject["record"])["event_id"] == "RISK_001"
    [drift] = facts["schema_drift"]
    assert (drift["data_set"], drift["field"], drift["kind"]) == ("mission_risk_events", "mood", "unknown_field")
    counts = {row["data_set"]: row for row in facts["data_sets"]}
    assert counts["mission_risk_events"]["rows_in"] == 5
    assert counts["mission_risk_events"]["rows_rejected"] == 1


def test_plan_faults_and_drift_are_listed_and_reject_nothing(raw_data, tmp_path):
    def circle(records):
        records[0]["tasks"][0]["depends_on"] = ["T3"]

    spoil(raw_data, "decomposed_mission_tasks", circle)
    spoil(raw_data, "mission_runs", lambda records: records[0].update(weather="fine"))
    result = check(raw_data, cwd=tmp_path)
    assert result.returncode == 0
    assert "Faults of the plans (the telemetry is judged all the same):" in result.stdout
    assert "  M001 T1: depends on itself in a circle: " in result.stdout
    assert (
        'mission_runs.weather: field that nobody specified, kept as it is (1 record, such as "fine")' in result.stdout
    )


def test_a_missing_optional_set_is_said(raw_data, tmp_path):
    (raw_data / "mission_risk_events.json").unlink()
    result = check(raw_data, cwd=tmp_path)
    assert result.returncode == 0
    assert "Notes:" in result.stdout
    assert "mission_risk_events" in result.stdout.partition("Notes:")[2]


@pytest.mark.parametrize(
    ("spoiled", "content"),
    [("mission_runs.json", None), ("mission_runs.json", '[{"run_id": '), ("mission_kpis.json", '{"a": 1}')],
)
def test_a_file_that_cannot_be_read_at_all_exits_with_2_and_names_it(raw_data, tmp_path, spoiled, content):
    if content is None:
        (raw_data / spoiled).unlink()
    else:
        (raw_data / spoiled).write_text(content, encoding="utf-8")
    result = check(raw_data, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert spoiled.removesuffix(".json") in result.stderr


def test_a_folder_that_is_not_there_exits_with_2(tmp_path):
    result = check(tmp_path / "none", cwd=tmp_path)
    assert result.returncode == 2
    assert str(tmp_path / "none") in result.stderr
    assert len(result.stderr.splitlines()) == 1

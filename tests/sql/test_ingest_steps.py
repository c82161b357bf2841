"""Landing again: what is skipped, replaced, kept although it vanished, forgotten; and that a failure changes nothing."""

from datetime import datetime

import pytest
from raw_folders import NOW, SMALLEST, land, landed, put, smallest_folder

from mission_pipeline.contracts.inputs import DATA_SETS
from mission_pipeline.contracts.quality import LoadedFiles
from mission_pipeline.errors import InputFault
from mission_pipeline.ingest import land as landing
from mission_pipeline.warehouse import build_in_memory

LATER = datetime(2026, 2, 8, 6)


def runs(*run_ids, status="completed"):
    return [{"run_id": run_id, "mission_id": "M1", "status": status} for run_id in run_ids]


def logs(*keys):
    fields = ("run_id", "task_id", "attempt")
    return [{name: value for name, value in zip(fields, key, strict=True) if value != "absent"} for key in keys]


@pytest.fixture
def raw_data(tmp_path):
    return smallest_folder(tmp_path / "raw", without=("mission_runs",))


def everything(build):
    """All raw rows and the ledger, without the load number."""
    tables = [
        build.frame(f"select * exclude (load_number) from {data_set.raw_table} order by file, row, is_current").rows()
        for data_set in DATA_SETS
    ]
    return [*tables, build.table(LoadedFiles).sort("data_set", "file").drop("loaded_at").rows()]


def all_runs(build):
    return build.frame("select file, row, run_id, status, is_current from raw.mission_runs order by all").rows()


def test_an_unchanged_file_is_not_read_again(build, raw_data, monkeypatch):
    put(raw_data, "mission_runs/1.json", runs("R1"))
    land(build, raw_data)
    put(raw_data, "mission_runs/2.json", runs("R2"))
    read = []
    typed = landing.type_records
    monkeypatch.setattr(landing, "type_records", lambda b, file, **o: read.append(file.name) or typed(b, file, **o))
    report = land(build, raw_data, now=LATER)
    assert read == ["mission_runs/2.json"]
    assert (report.files_read, report.files_unchanged, report.counts) == (1, 7, {"mission_runs": 1})
    assert landed(build, "mission_runs", "run_id, file_order, load_number") == [("R1", 1, 1), ("R2", 2, 2)]
    loaded = build.table(LoadedFiles).filter(data_set="mission_runs").sort("file")["loaded_at"].to_list()
    assert loaded == [NOW, LATER]


def test_the_same_content_at_another_time_is_unchanged_and_other_content_of_the_same_size_is_not(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1"))
    land(build, raw_data)
    put(raw_data, "mission_runs.json", runs("R1"))
    assert land(build, raw_data).files_read == 0
    put(raw_data, "mission_runs.json", runs("R2"))
    assert land(build, raw_data).files_read == 1


def test_a_file_that_comes_before_another_moves_it(build, raw_data):
    put(raw_data, "mission_runs/2.json", runs("R1", status="running"))
    land(build, raw_data)
    put(raw_data, "mission_runs/1.json", runs("R1"))
    land(build, raw_data)
    assert landed(build, "mission_runs", "file, file_order, load_number") == [
        ("mission_runs/1.json", 1, 2),
        ("mission_runs/2.json", 2, 1),
    ]


def test_a_corrected_file_replaces_its_rows(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1", "R2", status="running"))
    land(build, raw_data)
    put(raw_data, "mission_runs.json", runs("R2", "R1", "R3"))
    land(build, raw_data)
    assert all_runs(build) == [
        ("mission_runs.json", 1, "R2", "completed", True),
        ("mission_runs.json", 2, "R1", "completed", True),
        ("mission_runs.json", 3, "R3", "completed", True),
    ]


def test_a_vanished_record_is_kept_until_it_comes_back(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1", "R2", status="running"))
    land(build, raw_data)
    put(raw_data, "mission_runs.json", runs("R2"))
    land(build, raw_data)
    assert all_runs(build) == [
        ("mission_runs.json", 1, "R1", "running", False),
        ("mission_runs.json", 1, "R2", "completed", True),
    ]
    put(raw_data, "mission_runs/late.json", runs("R1"))
    land(build, raw_data)
    assert all_runs(build) == [
        ("mission_runs.json", 1, "R2", "completed", True),
        ("mission_runs/late.json", 1, "R1", "completed", True),
    ]


def test_a_vanished_file_leaves_its_records_but_not_its_line_in_the_ledger(build, raw_data):
    put(raw_data, "mission_runs/1.json", runs("R1"))
    path = put(raw_data, "mission_runs/2.json", runs("R1", "R2"))
    land(build, raw_data)
    path.unlink()
    land(build, raw_data)
    assert all_runs(build) == [
        ("mission_runs/1.json", 1, "R1", "completed", True),
        ("mission_runs/2.json", 2, "R2", "completed", False),
    ]
    assert build.table(LoadedFiles).filter(data_set="mission_runs")["file"].to_list() == ["mission_runs/1.json"]
    assert land(build, raw_data).files_read == 0
    assert len(all_runs(build)) == 2, "it stays through further refreshes"


def test_a_renamed_file_leaves_nothing_behind(build, raw_data):
    path = put(raw_data, "mission_runs/1.json", runs("R1", "R2"))
    land(build, raw_data)
    path.rename(path.with_name("one.json"))
    land(build, raw_data)
    assert [(file, is_current) for file, *_, is_current in all_runs(build)] == [("mission_runs/one.json", True)] * 2


def test_an_absent_or_null_attempt_is_the_first_when_keys_are_compared(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1"))
    put(raw_data, "task_execution_logs.json", logs(("R1", "T1", "absent"), ("R1", "T1", 2), ("R1", "T2", 1)))
    land(build, raw_data)
    put(raw_data, "task_execution_logs.json", logs(("R1", "T1", 1), ("R1", "T2", None)))
    land(build, raw_data)
    found = build.frame("select run_id, task_id, attempt from raw.task_execution_logs where not is_current").rows()
    assert found == [("R1", "T1", 2)]


def test_a_record_without_its_key_is_not_kept_when_it_vanishes(build, raw_data):
    put(raw_data, "mission_runs.jsonl", '{"run_id": "R1"}\n{torn\n{"status": "completed"}\n{"run_id": true}')
    land(build, raw_data)
    assert len(all_runs(build)) == 4
    put(raw_data, "mission_runs.jsonl", "")
    land(build, raw_data)
    assert all_runs(build) == [("mission_runs.jsonl", 1, "R1", None, False)]


def test_a_reported_figure_that_vanishes_is_kept(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1"))
    days = [{"snapshot_date": "2026-02-02"}, {"snapshot_date": "2026-02-04"}]
    put(raw_data, "mission_portfolio_snapshot.json", days)
    land(build, raw_data)
    put(raw_data, "mission_portfolio_snapshot.json", days[1:])
    land(build, raw_data)
    assert landed(build, "mission_portfolio_snapshot", "snapshot_date::varchar", "not is_current") == ["2026-02-02"]


def test_of_reference_data_the_files_present_are_the_whole_truth(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1"))
    path = put(raw_data, "specialized_agents/old.json", [{"agent_id": "A8"}])
    put(raw_data, "specialized_agents.json", [{"agent_id": "A1"}, {"agent_id": "A2"}])
    land(build, raw_data)
    assert landed(build, "specialized_agents", "agent_id", "true") == ["A1", "A2", "A8"]
    put(raw_data, "specialized_agents.json", [{"agent_id": "A2"}])
    path.unlink()
    land(build, raw_data)
    assert landed(build, "specialized_agents", "agent_id", "true") == ["A2"]


def test_rebuild_starts_again_from_the_files_present(build, raw_data):
    path = put(raw_data, "mission_runs/1.json", runs("R1"))
    put(raw_data, "mission_runs/2.json", runs("R2"))
    land(build, raw_data)
    path.unlink()
    land(build, raw_data)
    report = land(build, raw_data, now=LATER, rebuild=True)
    assert all_runs(build) == [("mission_runs/2.json", 1, "R2", "completed", True)]
    assert (report.files_read, report.files_unchanged) == (7, 0)
    assert set(build.table(LoadedFiles)["loaded_at"]) == {LATER}


def test_load_numbers_only_grow_even_when_rows_are_forgotten(build, raw_data):
    numbers = []
    for agent in ("A1", "A2", "A3"):
        put(raw_data, "mission_runs.json", runs("R1"))
        put(raw_data, "specialized_agents.json", [{"agent_id": agent}])
        land(build, raw_data, rebuild=agent == "A3")
        numbers += landed(build, "specialized_agents", "load_number")
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("name", "content"),
    [("task_execution_logs.json", "[{"), ("task_execution_logs.jsonl.gz", b"no gzip"), ("mission_kpis.json", "{}")],
)
def test_a_refused_file_leaves_everything_as_it_was(build, raw_data, name, content):
    put(raw_data, "mission_runs.json", runs("R1", "R2"))
    land(build, raw_data)
    before = everything(build)
    put(raw_data, "mission_runs.json", runs("R3"))
    put(raw_data, "business_missions.json", [{"mission_id": "M9"}])
    path = raw_data / name
    whole = path.read_bytes() if path.exists() else None
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for rebuild in (False, True):
        with pytest.raises(InputFault, match=f"^{name} "):
            land(build, raw_data, rebuild=rebuild)
        assert everything(build) == before
    path.unlink() if whole is None else path.write_bytes(whole)
    land(build, raw_data)
    assert landed(build, "business_missions", "mission_id") == ["M9"], "and the next landing goes on"


def test_a_file_that_is_torn_while_the_landing_reads_is_read_all_the_same(build, raw_data, monkeypatch):
    for day in ("1", "2"):
        put(raw_data, f"mission_runs/{day}.jsonl", '{"run_id": "R' + day + '"}\n{torn')
    monkeypatch.setattr(landing, "files_refused_by_duckdb", lambda *_: frozenset())  # looked whole when it was tried
    land(build, raw_data)
    assert landed(build, "mission_runs", "run_id") == ["R1", None, "R2", None]


def test_a_missing_required_set_leaves_everything_as_it_was(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1"))
    land(build, raw_data)
    before = everything(build)
    (raw_data / "mission_runs.json").unlink()
    with pytest.raises(InputFault, match="no mission_runs"):
        land(build, raw_data)
    assert everything(build) == before


def test_files_arriving_one_by_one_with_corrections_land_like_all_at_once(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1", "R2", status="running"))
    land(build, raw_data)
    put(raw_data, "mission_runs/b.jsonl", runs("R3"))
    land(build, raw_data)
    put(raw_data, "mission_runs/a.json.gz", runs("R1", "R4"))
    put(raw_data, "mission_runs/b.jsonl", [*runs("R3"), *runs("R2")])
    put(raw_data, "mission_risk_events.json", [{"event_id": "E1"}])
    land(build, raw_data)
    put(raw_data, "mission_runs.json", runs("R1", "R2"))
    put(raw_data, "decomposed_mission_tasks.json", [{"mission_id": "M1", "tasks": []}])
    land(build, raw_data)
    with build_in_memory() as at_once:
        land(at_once, raw_data)
        assert everything(at_once) == everything(build)


def test_the_raw_data_are_only_read(build, raw_data):
    put(raw_data, "mission_runs.json", runs("R1"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in raw_data.rglob("*")}
    land(build, raw_data)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in raw_data.rglob("*")} == before


def test_every_data_set_has_its_raw_table_even_when_nothing_was_given(build, raw_data):
    put(raw_data, "mission_runs.json", SMALLEST["mission_runs"])
    report = land(build, raw_data)
    assert build.scalar("select count(*) from raw.mission_risk_events") == 0
    assert "No mission_risk_events were given." in report.notes

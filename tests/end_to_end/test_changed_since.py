"""A brief stays what it was when late and corrected data comes; what it would be today is said, with the cause."""

import json
from datetime import date, datetime
from types import SimpleNamespace

import duckdb
import pytest
from conftest import copied, once_for_all_workers, work_through
from portfolios import OTHER_PORTFOLIO_LOGS, OTHER_PORTFOLIO_RUNS, log, run, write_records, write_reference

from mission_pipeline.cli import app
from mission_pipeline.errors import MissionPipelineError, PolicyFault, WarehouseFault
from mission_pipeline.orchestration.comparison import compare_day
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings
from mission_pipeline.warehouse import Warehouse

NOW = "2026-03-07T06:00:00"
DAY, DAY_AFTER = date(2026, 3, 4), date(2026, 3, 6)


def settings_of(folder, policy_file=SHIPPED_POLICY_FILE):
    return Settings(folder / "raw", folder / "warehouse", policy_file, datetime.fromisoformat(NOW))


def refresh(folder, day, **options):
    return work_through(folder / "raw", folder / "warehouse", now=NOW, as_of=day, **options)


def stored_row(warehouse, day):
    with warehouse.published() as connection:
        return connection.execute("select * from marts.executive_briefs where as_of_date = ?", [day]).fetchall()


def brief_files(folder, day):
    return {file.name: file.read_bytes() for file in (folder / "warehouse" / "briefs").glob(f"{day}.*")}


def every_file(folder):
    """Each file of the warehouse with its content and the moment of its last change."""
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    """A brief of one day; then a corrected run of before, a late log, and runs of the days after, briefed as well."""

    def make(folder):
        raw = folder / "raw"
        write_reference(raw)
        write_records(raw / "mission_runs.json", OTHER_PORTFOLIO_RUNS[:4])
        write_records(raw / "task_execution_logs" / "a.ndjson.gz", OTHER_PORTFOLIO_LOGS[:4])
        write_records(raw / "task_execution_logs" / "b.json", OTHER_PORTFOLIO_LOGS[8:10])
        warehouse, brief = refresh(folder, DAY)
        before = (stored_row(warehouse, DAY), brief_files(folder, DAY))
        better = {**OTHER_PORTFOLIO_RUNS[0], "kpis": {"recovery_minutes": 35}, "human_interventions": 4}
        write_records(raw / "mission_runs.json", [better, *OTHER_PORTFOLIO_RUNS[1:4]])
        write_records(raw / "mission_runs" / "late.jsonl", OTHER_PORTFOLIO_RUNS[5:])
        write_records(raw / "task_execution_logs" / "late.json", [log("o2", "OPS", "d2", "B2", 55)])
        refresh(folder, DAY_AFTER)
        return brief, before

    folder, (brief, before) = once_for_all_workers(tmp_path_factory, "corrected", make)
    return folder, Warehouse(folder / "warehouse"), brief, before


def test_late_and_corrected_data_leaves_an_old_brief_as_it_was(corrected):
    folder, warehouse, _, before = corrected
    assert len(before[0]) == 1
    assert {f"{DAY}.json", f"{DAY}.md"} <= set(before[1])
    assert (stored_row(warehouse, DAY), brief_files(folder, DAY)) == before


def test_the_comparison_names_the_files_and_the_figures(corrected):
    folder, _, brief, _ = corrected
    found = compare_day(settings_of(folder), DAY)
    assert not found["is_same"]
    assert found["causes"] == {
        "files": [
            {"file": "mission_runs.json", "change": "changed", "rows_then": 4, "rows_today": 4},
            {"file": "mission_runs/late.jsonl", "change": "new", "rows_then": None, "rows_today": 2},
            {"file": "task_execution_logs/late.json", "change": "new", "rows_then": None, "rows_today": 1},
        ],
        "policy": None,
    }
    assert found["not_compared"] == []
    by_path = {each["path"]: each for each in found["differences"]}
    place = [mission["mission_id"] for mission in brief["missions"]].index("OPS")
    kpi = by_path[f"missions[{place}].kpi_latest_value"]
    assert (kpi["then"], kpi["today"]) == (45, 35)
    assert kpi["what"] == 'OPS "Recover faster", KPI latest value'
    friction = [
        each for path, each in by_path.items() if path.startswith("portfolio.friction[") and path.endswith("_minutes")
    ]
    assert any("OPS d2" in each["what"] for each in friction)
    assert not any("renewal_rate_pct" in str(each) for each in found["differences"] if "latest" in each["path"])


def test_a_comparison_writes_nothing(corrected):
    folder, *_ = corrected
    before = every_file(folder / "warehouse")
    compare_day(settings_of(folder), DAY)
    assert every_file(folder / "warehouse") == before


def test_a_brief_of_the_newest_data_would_be_the_same_today(corrected):
    folder, *_ = corrected
    found = compare_day(settings_of(folder), None)
    assert found["as_of"] == str(DAY_AFTER)
    assert (found["is_same"], found["differences"], found["wording"], found["books"]) == (True, [], [], [])
    assert found["causes"] == {"files": [], "policy": None}


def test_the_command_says_it_in_lines_and_as_json(corrected, capsys):
    folder, *_ = corrected
    arguments = ["brief", "--as-of", str(DAY), "--compare", "--warehouse", str(folder / "warehouse")]
    assert app(arguments, standalone_mode=False) in (None, 0)
    text = capsys.readouterr().out
    assert "mission_runs.json: changed, 4 records then, 4 today" in text
    assert 'OPS "Recover faster", KPI latest value' in text
    assert app([*arguments, "--json"], standalone_mode=False) in (None, 0)
    assert json.loads(capsys.readouterr().out) == compare_day(settings_of(folder), DAY)


def test_a_comparison_has_no_page(corrected):
    folder, *_ = corrected
    with pytest.raises(MissionPipelineError, match="--compare gives text or JSON"):
        app(["brief", "--compare", "--format", "html", "--warehouse", str(folder)], standalone_mode=False)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A brief of the first day, with two runs."""

    def make(folder):
        write_reference(folder / "raw")
        write_records(folder / "raw" / "mission_runs.json", OTHER_PORTFOLIO_RUNS[:2])
        write_records(folder / "raw" / "task_execution_logs.json", OTHER_PORTFOLIO_LOGS[:2])
        refresh(folder, date(2026, 3, 1))

    folder, _ = once_for_all_workers(tmp_path_factory, "two runs", make)
    return SimpleNamespace(settings=settings_of(folder))


def test_data_of_later_days_alone_changes_only_the_books(two_runs, tmp_path):
    copied(two_runs, tmp_path)
    later = run("o9", "OPS", "2026-03-05T01:00:00Z", "2026-03-05T02:00:00Z", kpis={"recovery_minutes": 20})
    write_records(tmp_path / "raw" / "mission_runs" / "later.json", [later])
    refresh(tmp_path, date(2026, 3, 5))
    found = compare_day(settings_of(tmp_path), date(2026, 3, 1))
    assert (found["is_same"], found["differences"], found["wording"]) == (True, [], [])
    assert [each["file"] for each in found["causes"]["files"]] == ["mission_runs/later.json"]
    assert {"data_quality.rows_in", "data_quality.rows_valid"} <= {each["path"] for each in found["books"]}


def test_other_limits_than_those_that_judged_are_refused_until_a_refresh(two_runs, tmp_path):
    copied(two_runs, tmp_path)
    text = SHIPPED_POLICY_FILE.read_text(encoding="utf-8")
    other = tmp_path / "other.toml"
    other.write_text(text.replace("on_track_from = 85", "on_track_from = 71"), encoding="utf-8")
    assert other.read_text(encoding="utf-8") != text
    with pytest.raises(PolicyFault, match=r"\(health\.on_track_from differ\)\. Run `mission refresh`"):
        compare_day(settings_of(tmp_path, other), None)
    refresh(tmp_path, date(2026, 3, 5), policy_file=other)
    found = compare_day(settings_of(tmp_path, other), date(2026, 3, 1))
    assert found["causes"]["files"] == []
    assert found["causes"]["policy"]["then"]["sha256"] != found["causes"]["policy"]["today"]["sha256"]
    assert any(each["path"].startswith("path_to_on_track") for each in found["differences"])


def test_a_warehouse_of_another_release_asks_for_a_refresh(two_runs, tmp_path):
    warehouse = copied(two_runs, tmp_path)
    with duckdb.connect(str(warehouse.published_file)) as connection:
        connection.execute("drop table quality.policy_limits")
    with pytest.raises(WarehouseFault, match=r"published by another release.*Run `mission refresh` first"):
        compare_day(settings_of(tmp_path), None)

"""The same data gives the same tables and the same bytes, in whatever order and in however many steps it arrives."""

import json
import random
from datetime import date

import pytest
from conftest import copied, refresh_into, work_through
from portfolios import (
    OTHER_PORTFOLIO_LOGS,
    OTHER_PORTFOLIO_RUNS,
    log,
    run,
    write_other_portfolio,
    write_records,
    write_reference,
)
from shipped_sample import SAMPLE

from mission_pipeline.errors import InputFault

NOW = "2026-03-07T06:00:00"
DAY = date(2026, 3, 6)
HISTORY = {"marts.executive_briefs", "marts.verdict_figures", "quality.loaded_files"}
"""What records when things were done, and so differs between one step and several."""


def tables(warehouse):
    """Every published table as sorted text rows, less those that record the steps themselves."""
    with warehouse.published() as connection:
        names = connection.sql(
            "select schema_name || '.' || table_name from duckdb_tables() where not internal order by 1"
        ).fetchall()
        return {
            name: sorted(map(repr, connection.sql(f"from {name}").fetchall()))
            for (name,) in names
            if name not in HISTORY
        }


def briefs(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "briefs").iterdir())}


def test_two_refreshes_give_byte_identical_briefs(shipped, tmp_path):
    first = briefs(shipped.settings.warehouse)
    assert {"2026-02-06.json", "2026-02-06.md"} <= set(first)
    work_through(SAMPLE, tmp_path / "two", now="2026-02-09T06:00:00", as_of=date(2026, 2, 6))
    assert first == briefs(tmp_path / "two")
    copied(shipped, tmp_path)
    refresh_into(SAMPLE, tmp_path / "warehouse", now="2026-02-10T06:00:00")
    assert first == briefs(tmp_path / "warehouse")


def test_shuffled_records_give_the_same_figures(shipped, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for file in (SAMPLE).glob("*.json"):
        records = json.loads(file.read_text(encoding="utf-8"))
        if file.stem != "mission_kpis":
            random.Random(7).shuffle(records)
        (raw / file.name).write_text(json.dumps(records), encoding="utf-8")
    plain_brief = dict(shipped.brief)
    shuffled, shuffled_brief = work_through(
        raw, tmp_path / "shuffled", now="2026-02-07T06:00:00", as_of=date(2026, 2, 6)
    )
    assert tables(shuffled) == tables(shipped.warehouse)
    for brief in (plain_brief, shuffled_brief):
        del brief["inputs"]  # names the files' hashes, which do differ
        brief["evidence"] = {claim: each for claim, each in brief["evidence"].items() if not claim.startswith("input.")}
    assert shuffled_brief == plain_brief


def test_a_refresh_in_steps_equals_one_from_scratch(tmp_path):
    raw = tmp_path / "raw"
    write_reference(raw)
    corrected = {**OTHER_PORTFOLIO_RUNS[0], "kpis": {"recovery_minutes": 44}, "human_interventions": 3}
    # The logs of o5 come before their run, the run of SAT before its mission's KPIs change, o1 is corrected in place.
    write_records(raw / "mission_runs.json", OTHER_PORTFOLIO_RUNS[:2])
    write_records(raw / "task_execution_logs" / "a.ndjson.gz", OTHER_PORTFOLIO_LOGS)
    work_through(raw, tmp_path / "steps", now=NOW, as_of=DAY)
    write_records(raw / "mission_runs" / "b.jsonl", OTHER_PORTFOLIO_RUNS[2:])
    work_through(raw, tmp_path / "steps", now=NOW, as_of=DAY)
    write_records(raw / "mission_runs.json", [corrected, OTHER_PORTFOLIO_RUNS[1]])
    work_through(raw, tmp_path / "steps", now=NOW, as_of=DAY)
    write_records(raw / "mission_runs" / "c.jsonl", [{**OTHER_PORTFOLIO_RUNS[3], "status": "no such status"}])
    write_records(raw / "mission_runs" / "a.jsonl", [run("o6", "OPS", "2026-03-06T01:00:00Z", "2026-03-06T02:00:00Z")])
    write_records(raw / "task_execution_logs" / "late.json", [log("r2", "SAT", "s1", "B3", 6, attempt=2)])
    _, in_steps, _ = refresh_into(raw, tmp_path / "steps", now=NOW, as_of=DAY)
    at_once, _ = work_through(raw, tmp_path / "scratch", now=NOW, as_of=DAY)
    assert tables(in_steps) == tables(at_once)
    with in_steps.published() as connection:
        assert connection.sql("select rule, count(*) from quality.rejected_rows group by 1").fetchall() == [
            ("unknown_value", 1)
        ]
        assert connection.sql("select kpi_value from staging.run_kpis where run_id = 'o1'").fetchall() == [(44,)]


def test_a_record_that_vanishes_is_kept_until_a_rebuild(other_portfolio, tmp_path):
    raw = tmp_path / "raw"
    copied(other_portfolio, tmp_path)
    (raw / "mission_runs" / "2026-03" / "02.jsonl").unlink()
    warehouse, _ = work_through(raw, tmp_path / "warehouse", now=NOW, as_of=DAY)

    def runs_and_retained():
        with warehouse.published() as connection:
            [(runs,)] = connection.sql("select count(*) from staging.mission_runs").fetchall()
            [(retained,)] = connection.sql(
                "select rows_retained from quality.row_counts where data_set = 'mission_runs'"
            ).fetchall()
        return runs, retained

    assert runs_and_retained() == (7, 2)
    work_through(raw, tmp_path / "warehouse", now=NOW, as_of=DAY, rebuild=True)
    assert runs_and_retained() == (5, 0)


def test_a_failed_refresh_leaves_the_warehouse_and_the_briefs_as_they_were(other_portfolio, tmp_path):
    raw, folder = tmp_path / "raw", tmp_path / "warehouse"
    warehouse = copied(other_portfolio, tmp_path)
    published, written = warehouse.published_file.read_bytes(), briefs(folder)
    (raw / "mission_runs" / "2026-03" / "05.json").write_text('[{"run_id": "o9", "mission_id": ', encoding="utf-8")
    with pytest.raises(InputFault, match=r"mission_runs/2026-03/05\.json"):
        refresh_into(raw, folder, now=NOW)
    assert warehouse.published_file.read_bytes() == published
    assert briefs(folder) == written
    (raw / "mission_runs" / "2026-03" / "05.json").unlink()
    again, _ = work_through(raw, folder, now=NOW, as_of=DAY)
    assert tables(again) == tables(other_portfolio.warehouse)


def test_an_older_day_uses_only_what_had_ended_by_then(tmp_path):
    raw = tmp_path / "raw"
    write_other_portfolio(raw)
    _, then = work_through(raw, tmp_path / "later", now=NOW, as_of=date(2026, 3, 2))
    write_records(raw / "mission_runs.json", OTHER_PORTFOLIO_RUNS[:2])
    (raw / "mission_runs" / "2026-03" / "04.json.gz").unlink()
    write_records(raw / "task_execution_logs" / "b.json", [])
    logs = [record for record in OTHER_PORTFOLIO_LOGS if record["run_id"] in ("o1", "o2", "r1")]
    write_records(raw / "task_execution_logs" / "a.ndjson.gz", logs)
    _, known_then = work_through(raw, tmp_path / "then", now=NOW, as_of=date(2026, 3, 2))
    for key in (
        "status",
        "primary_driver",
        "missions",
        "triggers",
        "portfolio",
        "friction_signal",
        "confidence",
        "win",
    ):
        assert then[key] == known_then[key], key

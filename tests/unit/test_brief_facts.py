"""What a brief shows beside the verdict, from real tables: only what was known by the end of the day, and counted."""

from datetime import date, datetime

import polars as pl
import pytest

from mission_pipeline.brief.facts import read_facts
from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.contracts.derived import MissionRunFacts, RiskSignals, RunKpiDeltas, TaskFriction
from mission_pipeline.contracts.quality import LoadedFiles, Reconciliation, RejectedRows, RowCounts
from mission_pipeline.contracts.staging import MissionKpis, MissionTasks, RiskEvents

DAY = date(2026, 3, 4)
NEXT = date(2026, 3, 5)


@pytest.fixture
def empty_build(build):
    for contract in ALL_CONTRACTS:
        build.ensure_table(contract)
    return build


def write(build, contract, rows):
    """Write rows; a column that is not named is null, 0 or empty, as its contract allows."""
    plain = {
        "VARCHAR": "x", "DOUBLE": 0.0, "BIGINT": 0, "BOOLEAN": False, "DATE": DAY, "TIMESTAMP": datetime(2026, 3, 4),
        "VARCHAR[]": [],
    }  # fmt: skip
    default = {p.name: None if p.is_nullable else plain[p.duckdb_type] for p in contract.columns()}
    schema = {name: pl.List(pl.String) if kind == pl.List else kind for name, kind in contract.polars_schema().items()}
    build.replace_table(contract, frame=pl.DataFrame([{**default, **row} for row in rows], schema=schema))


def run(run_id, seq, day, status="completed", mission_id="M1", **figures):
    return {
        "run_id": run_id, "mission_id": mission_id, "run_seq": seq, "run_date": day, "status": status,
        "start_time": datetime(day.year, day.month, day.day, 9), **figures,
    }  # fmt: skip


def facts(build, as_of=DAY, window_runs=10):
    return read_facts(build, as_of, window_runs=window_runs)


def test_without_any_rows_everything_is_empty_and_counts_are_0(empty_build):
    found = facts(empty_build)
    assert found.kpis == found.friction == found.risks_detected == found.reconciliation == found.inputs == []
    assert found.open_runs == {}
    assert found.run_time["newest_run_date"] is None
    assert found.run_time["runs_with_known_times"] == 0
    assert found.risk_counts == {"detected": 0, "detected_only": 0, "reported": 0, "reported_only": 0}
    assert set(found.row_totals.values()) == {0}


def test_a_kpi_shows_its_latest_value_known_by_the_day_or_that_it_was_not_observed(empty_build):
    specified = {"mission_id": "M1", "kpi_kind": "target", "direction": "lower_is_better", "target_value": 1.0}
    write(empty_build, MissionKpis, [
        {**specified, "kpi_name": "b", "kpi_order": 1}, {**specified, "kpi_name": "a", "kpi_order": 2, "is_primary": True},
        {**specified, "kpi_name": "c", "kpi_order": 3},
    ])  # fmt: skip
    write(empty_build, MissionRunFacts, [
        run("r1", 1, DAY), run("r2", 2, NEXT), run("r3", 3, DAY, "running"),
    ])  # fmt: skip
    observed = {"mission_id": "M1", "direction": "lower_is_better", "target_status": "off"}
    write(empty_build, RunKpiDeltas, [
        {**observed, "run_id": f"r{seq}", "run_seq": seq, "kpi_name": name, "kpi_value": float(seq)}
        for seq, name in ((1, "a"), (2, "a"), (3, "a"), (2, "b"))
    ])  # fmt: skip
    shown = [(kpi["kpi_name"], kpi["latest_value"], kpi["target_status"]) for kpi in facts(empty_build).kpis]
    assert shown == [("a", 1.0, "off"), ("b", None, "not_observed"), ("c", None, "not_observed")]
    shown = [(kpi["kpi_name"], kpi["latest_value"]) for kpi in facts(empty_build, NEXT).kpis]
    assert shown == [("a", 2.0), ("b", 2.0), ("c", None)]


def test_friction_is_the_last_row_up_to_the_day_and_the_most_comes_first(empty_build):
    write(empty_build, MissionTasks, [{"task_id": "T1", "task_name": "One"}])
    row = {"mission_id": "M1", "runs_executed": 1, "bottleneck_status": "clear", "bottleneck_driver": "none"}
    write(empty_build, TaskFriction, [
        {**row, "task_id": "T1", "friction_date": date(2026, 3, 1), "friction_minutes": 9.0},
        {**row, "task_id": "T1", "friction_date": DAY, "friction_minutes": 2.0},
        {**row, "task_id": "T1", "friction_date": NEXT, "friction_minutes": 99.0},
        {**row, "task_id": "T2", "friction_date": DAY, "friction_minutes": 3.0},
        {**row, "task_id": "T3", "friction_date": DAY, "friction_minutes": None},
    ])  # fmt: skip
    shown = [(task["task_id"], task["task_name"], task["friction_minutes"]) for task in facts(empty_build).friction]
    assert shown == [("T2", None, 3.0), ("T1", "One", 2.0), ("T3", None, None)]


def test_run_time_counts_ended_runs_up_to_the_day_and_only_those_that_are_known_whole(empty_build):
    write(empty_build, MissionRunFacts, [
        run("r1", 1, DAY, total_duration_minutes=60.0, unattributed_minutes=20.0),
        run("r2", 2, DAY, "failed", total_duration_minutes=30.0),
        run("r3", 3, DAY, "running", total_duration_minutes=500.0, unattributed_minutes=500.0),
        run("r4", 4, NEXT, total_duration_minutes=500.0, unattributed_minutes=500.0),
    ])  # fmt: skip
    assert facts(empty_build).run_time == {
        "finished_runs": 2, "run_minutes": 90.0, "unattributed_minutes": 20.0, "runs_with_known_times": 1,
        "known_run_minutes": 60.0, "newest_run_date": DAY,
    }  # fmt: skip


def test_a_run_that_ends_later_is_open_at_the_end_of_the_day(empty_build):
    started = datetime(2026, 3, 4, 23, 59)
    write(empty_build, MissionRunFacts, [
        run("r1", 1, DAY), run("r2", 2, DAY, "blocked"), {**run("r3", 3, NEXT), "start_time": started}, run("r4", 4, NEXT),
        run("r5", 1, NEXT, mission_id="M2"),
    ])  # fmt: skip
    assert facts(empty_build).open_runs == {"M1": 2}
    assert facts(empty_build, NEXT).open_runs == {"M1": 1}


def test_risks_are_listed_for_the_last_runs_and_counted_for_all(empty_build):
    write(empty_build, MissionRunFacts, [run("r1", 1, DAY), run("r2", 2, DAY), run("r3", 3, NEXT)])
    signal = {"mission_id": "M1", "rule": "rework", "severity": "medium"}
    write(empty_build, RiskSignals, [
        {**signal, "signal_id": "s1", "run_id": "r1", "reported_event_id": "e1"}, {**signal, "signal_id": "s2", "run_id": "r2"},
        {**signal, "signal_id": "s3", "run_id": "r2", "severity": "high"}, {**signal, "signal_id": "s4", "run_id": "r3"},
    ])  # fmt: skip
    event = {"mission_id": "M1", "task_id": "T1", "status": "closed", "detected_at": datetime(2026, 3, 4, 12)}
    write(empty_build, RiskEvents, [
        {**event, "event_id": "e1", "run_id": "r1"},
        {**event, "event_id": "e2", "run_id": "r1", "status": "open"},
        {**event, "event_id": "e3", "run_id": "r2", "detected_at": None},
        {**event, "event_id": "e4", "run_id": "r2", "detected_at": datetime(2026, 3, 5)},
    ])  # fmt: skip
    found = facts(empty_build, window_runs=1)
    assert [signal["signal_id"] for signal in found.risks_detected] == ["s3", "s2"]
    assert [(event["event_id"], event["is_detected"]) for event in found.risks_reported] == [
        ("e2", False),
        ("e3", False),
    ]
    assert found.risk_counts == {"detected": 3, "detected_only": 2, "reported": 3, "reported_only": 2}
    in_order = [event["event_id"] for event in facts(empty_build).risks_reported]
    assert in_order == ["e2", "e1", "e3"], "open ones first"


def test_of_reported_figures_the_newest_report_up_to_the_day_is_shown_and_all_are_counted(empty_build):
    def figure(source, subject, day, verdict):
        return {"source": source, "subject": subject, "report_date": day, "field": "f", "verdict": verdict}

    snapshot, stats = "mission_portfolio_snapshot", "agent_performance_stats"
    write(empty_build, Reconciliation, [
        figure(snapshot, "2026-03-01", date(2026, 3, 1), "differs"), figure(snapshot, "2026-03-04", DAY, "agrees"),
        figure(snapshot, "2026-03-05", NEXT, "differs"), figure(stats, "A1", date(2026, 3, 2), "differs"),
        figure(stats, "A2", DAY, "not_computable"), figure(stats, "A2", date(2026, 3, 3), "agrees"),
    ])  # fmt: skip
    found = facts(empty_build)
    assert [(row["subject"], row["verdict"]) for row in found.reconciliation] == [
        ("A1", "differs"), ("A2", "not_computable"), ("2026-03-04", "agrees"),
    ]  # fmt: skip
    assert found.reconciliation_counts == {"figures": 5, "agree": 2, "differ": 2, "not_computable": 1}


def test_rejects_are_counted_by_rule_with_the_first_as_an_example(empty_build):
    reject = {"data_set": "mission_runs", "file": "mission_runs.json", "record": "{}"}
    write(empty_build, RejectedRows, [
        {**reject, "row": 7, "rule": "out_of_range", "reason": "seventh"},
        {**reject, "row": 3, "rule": "out_of_range", "reason": "third"},
        {**reject, "row": 1, "rule": "unknown_value", "reason": "first"},
    ])  # fmt: skip
    write(empty_build, RowCounts, [
        {"data_set": "mission_runs", "rows_in": 9, "rows_valid": 6, "rows_rejected": 3},
        {"data_set": "mission_kpis", "rows_in": 2, "rows_valid": 2},
    ])  # fmt: skip
    found = facts(empty_build)
    assert [(row["rule"], row["rows"], row["example"]) for row in found.rejects] == [
        ("out_of_range", 2, "third"), ("unknown_value", 1, "first"),
    ]  # fmt: skip
    assert (found.row_totals["rows_in"], found.row_totals["rows_valid"], found.row_totals["rows_rejected"]) == (
        11,
        8,
        3,
    )


def test_inputs_are_named_in_the_order_in_which_they_were_read(empty_build):
    file = {"sha256": "a" * 64, "rows": 1}
    write(empty_build, LoadedFiles, [
        {**file, "data_set": "mission_runs", "file": "mission_runs/b.json", "file_order": 2},
        {**file, "data_set": "mission_runs", "file": "mission_runs/z.json", "file_order": 1},
        {**file, "data_set": "mission_kpis", "file": "mission_kpis.json", "file_order": 1},
    ])  # fmt: skip
    assert [row["file"] for row in facts(empty_build).inputs] == [
        "mission_kpis.json", "mission_runs/z.json", "mission_runs/b.json",
    ]  # fmt: skip

"""What becomes of a field's value: it fits, it converts without loss and is listed, or it is a misfit and stays NULL."""

import json
from datetime import date, datetime
from itertools import groupby

import pytest
from raw_folders import SMALLEST, land, landed, put, smallest_folder

from mission_pipeline.warehouse import build_in_memory

DATA_SET_OF = {
    "agent_id": "task_execution_logs",
    "outcome": "task_execution_logs",
    "actual_duration_minutes": "task_execution_logs",
    "attempt": "task_execution_logs",
    "human_approval_required": "task_execution_logs",
    "finished_at": "task_execution_logs",
    "last_updated": "agent_performance_stats",
    "capable_agents": "agent_capabilities_matrix",
    "tasks": "decomposed_mission_tasks",
    "kpis": "mission_runs",
}

FITS = [
    ("agent_id", '"A1"', "A1"),
    ("agent_id", '""', ""),
    ("agent_id", '"\\u00e9 é \\ud83d\\ude00"', "é é 😀"),
    ("agent_id", "null", None),
    ("outcome", '"completed"', "completed"),
    ("outcome", '"12"', "12"),
    ("outcome", '"a\\u0000b"', "a\0b"),
    ("outcome", '"�"', "�"),
    ("actual_duration_minutes", "9.5", 9.5),
    ("actual_duration_minutes", "-3", -3.0),
    ("actual_duration_minutes", "0", 0.0),
    ("actual_duration_minutes", "1e2", 100.0),
    ("actual_duration_minutes", "12345678901234567890123", 12345678901234567890123.0),
    ("actual_duration_minutes", "null", None),
    ("attempt", "2", 2),
    ("attempt", "-1", -1),
    ("attempt", "4.0", 4),
    ("attempt", "1e3", 1000),
    ("attempt", "9223372036854775807", 2**63 - 1),
    ("attempt", "9007199254740992.0", 2**53),
    ("attempt", "null", None),
    ("human_approval_required", "true", True),
    ("human_approval_required", "false", False),
    ("human_approval_required", "null", None),
    ("finished_at", '"2026-02-01T10:00:00Z"', datetime(2026, 2, 1, 10)),
    ("finished_at", '"2026-02-01T10:00:00+02:00"', datetime(2026, 2, 1, 8)),
    ("finished_at", '"2026-02-01T00:30:00.25+01:00"', datetime(2026, 1, 31, 23, 30, 0, 250_000)),
    ("finished_at", '"2026-02-01 10:00"', datetime(2026, 2, 1, 10)),
    ("finished_at", '"2026-02-01"', datetime(2026, 2, 1)),
    ("finished_at", '"0001-01-01T00:00:00Z"', datetime(1, 1, 1)),
    ("finished_at", "null", None),
    ("last_updated", '"2026-02-06"', date(2026, 2, 6)),
    ("last_updated", '"2026-02-06T00:00:00Z"', date(2026, 2, 6)),
    ("last_updated", "null", None),
    ("capable_agents", '["A1", "A2"]', ["A1", "A2"]),
    ("capable_agents", "[]", []),
    ("tasks", '[{"task_id":"T1"},7]', '[{"task_id":"T1"},7]'),
    ("tasks", "[]", "[]"),
    ("kpis", '{"lead_days":3.1,"odd":"x"}', '{"lead_days":3.1,"odd":"x"}'),
    ("kpis", "{}", "{}"),
    ("kpis", "null", None),
]


CONVERTS = [
    ("agent_id", "7", "7"),
    ("agent_id", "12345678901234567890123", "12345678901234567890123"),
    ("agent_id", "1.10", "1.10"),
    ("agent_id", "-0.5e1", "-0.5e1"),
    ("outcome", "3", "3"),
    ("actual_duration_minutes", '"12"', 12.0),
    ("actual_duration_minutes", '"-9.5"', -9.5),
    ("actual_duration_minutes", '"1e2"', 100.0),
    ("attempt", '"2"', 2),
    ("attempt", '"2.0"', 2),
    ("attempt", '"9223372036854775807"', 2**63 - 1),
    ("human_approval_required", '"true"', True),
    ("human_approval_required", '"False"', False),
    ("capable_agents", '["A1", 7, 1.5]', ["A1", "7", "1.5"]),
]


MISFITS = [
    *(("agent_id", literal) for literal in ("true", "[]", '{"a": 1}', "NaN", '"a\\u0000"', '"�"', '"a\\uFFFD"')),
    *(("outcome", literal) for literal in ("false", '["completed"]', "{}", "Infinity")),
    *(("actual_duration_minutes", literal) for literal in ("true", "NaN", "-Infinity", "1e400", '"NaN"', '"1e400"')),
    *(("actual_duration_minutes", literal) for literal in ('"inf"', '""', '" "', '"1_000"', '"0x10"', '"1,5"', "[1]")),
    *(("attempt", literal) for literal in ("1.5", '"1.5"', "true", '"one"', "9223372036854775808", "1e19", "[]", "{}")),
    *(("human_approval_required", literal) for literal in ("1", "0", '"yes"', '"1"', '""', "[true]")),
    *(("finished_at", literal) for literal in ('"infinity"', '"-infinity"', '"2026-02-30T00:00:00Z"', '"soon"', '""')),
    *(("finished_at", literal) for literal in ("1767225600", "true", "{}", '"0044-03-15 (BC)"', '"12026-01-01"')),
    *(("last_updated", literal) for literal in ('"2026-02-06T10:00:00Z"', '"infinity"', '"2026-13-01"', "20260206")),
    *(("capable_agents", literal) for literal in ('"A1"', "[null]", "[true]", '[["A1"]]', '{"a": 1}', '["\\u0000"]')),
    *(("tasks", literal) for literal in ('{"task_id": "T1"}', '"[]"', "7")),
    *(("kpis", literal) for literal in ("[]", '"{}"', "7", "true")),
]


CASES = [(field, literal) for field, literal, *_ in (*FITS, *CONVERTS, *MISFITS)]


@pytest.fixture(scope="module")
def fate(tmp_path_factory):
    """Land one record per case, all at once: (field, literal) → typed value, misfits, conversions."""
    raw_data, found = smallest_folder(tmp_path_factory.mktemp("raw")), {}
    by_data_set = groupby(sorted(CASES, key=lambda case: DATA_SET_OF[case[0]]), key=lambda case: DATA_SET_OF[case[0]])
    cases_of = {data_set: list(cases) for data_set, cases in by_data_set}
    for data_set, cases in cases_of.items():
        regular = SMALLEST.get(data_set, [{}])[0]
        records = [json.dumps({**regular, field: "@"}).replace('"@"', literal) for field, literal in cases]
        put(raw_data, f"{data_set}.json", "[" + ",".join(records) + "]")
    with build_in_memory() as build:
        land(build, raw_data)
        for data_set, cases in cases_of.items():
            fields = ", ".join(sorted({field for field, _ in cases}))
            rows = build.frame(
                f"select {fields}, misfits, conversions, record, extra_fields from raw.{data_set} order by row"
            )
            for (field, literal), row in zip(cases, rows.iter_rows(named=True), strict=True):
                faults = row["misfits"] or row["conversions"]
                assert row["extra_fields"] is None
                assert (literal in row["record"]) if faults else row["record"] is None, "kept as it arrived, if need be"
                found[field, literal] = row[field], row["misfits"], row["conversions"]
    return found


@pytest.mark.parametrize(("field", "literal", "value"), FITS)
def test_a_value_of_its_type_fits(fate, field, literal, value):
    assert fate[field, literal] == (value, None, None)


@pytest.mark.parametrize(("field", "literal", "value"), CONVERTS)
def test_a_value_of_another_type_that_loses_nothing_is_taken_and_listed(fate, field, literal, value):
    assert fate[field, literal] == (value, None, [field])


@pytest.mark.parametrize(("field", "literal"), MISFITS)
def test_a_value_that_would_lose_something_is_a_misfit(fate, field, literal):
    assert fate[field, literal] == (None, [field], None)


def test_several_faults_of_one_record_are_all_listed(build, tmp_path):
    raw_data = smallest_folder(tmp_path / "raw", without=("mission_runs",))
    put(raw_data, "mission_runs.jsonl", [{"run_id": 5, "status": [], "escalations": "2", "kpis": 1, "extra": None}])
    land(build, raw_data)
    assert landed(build, "mission_runs", "run_id, escalations, misfits, conversions, extra_fields") == [
        ("5", 2, ["status", "kpis"], ["run_id", "escalations"], '{"extra":null}')
    ]


def test_unknown_fields_are_kept_with_their_values(build, tmp_path):
    raw_data = smallest_folder(tmp_path / "raw", without=("business_missions",))
    record = {
        "mission_id": "M1",
        "team": {"lead": None, "size": 3},
        "Mission_Name": "x",
        "tags": [1, "a"],
        "gone": None,
    }
    put(raw_data, "business_missions.json", [record, {"mission_id": "M2"}])
    land(build, raw_data)
    (extra, kept), second = landed(build, "business_missions", "extra_fields, record")
    assert json.loads(extra) == {name: value for name, value in record.items() if name != "mission_id"}
    assert json.loads(kept) == record
    assert second == (None, None)


@pytest.mark.parametrize(
    "record",
    [
        '{"mission_id":"M1","owner":"a","owner":"b"}',
        '{"mission_id":"M1","owner":"a","owner":7}',
        '{"mission_id":"M1","owner":null,"owner":"b"}',
        '{"mission_id":"M1","owner":"a","owner":"a"}',
        '{"mission_id":"M1","team":1,"team":2}',
        '{"mission_id":"M1","mission_id":"M1"}',
    ],
)
@pytest.mark.parametrize("broken_first", ["", '{"mission_id": "\\udc00"}\n'], ids=["by duckdb", "tolerantly"])
def test_a_name_given_twice_is_a_misfit_and_the_record_is_kept(build, tmp_path, record, broken_first):
    raw_data = smallest_folder(tmp_path / "raw", without=("business_missions",))
    put(raw_data, "business_missions.jsonl", broken_first + record + "\n")
    land(build, raw_data)
    assert landed(build, "business_missions", "misfits, record")[-1] == (["(names)"], record)


def test_absent_and_null_fields_are_unknown_and_no_fault(build, tmp_path):
    raw_data = smallest_folder(tmp_path / "raw", without=("mission_runs",))
    put(raw_data, "mission_runs.json", [{}, {"run_id": None, "kpis": None, "start_time": None}])
    land(build, raw_data)
    assert (
        landed(build, "mission_runs", "run_id, kpis, start_time, misfits, conversions, record")
        == [(None, None, None, None, None, None)] * 2
    )

"""Which of several valid records of one key stands, and how they are counted."""

from raw_folders import put
from staged import LOG, RUN, count, rows, validate, validated, write


def run(**fields):
    return {**RUN, **fields}


def counts(build, data_set):
    return rows(
        build,
        "select files, rows_in, rows_valid, rows_rejected, rows_replaced, rows_retained, rows_staged "
        f"from quality.row_counts where data_set = '{data_set}'",
    )[0]


def test_the_later_row_wins():
    with validated(mission_runs=[run(priority="a"), run(priority="b")]) as build:
        assert rows(build, "select priority from staging.mission_runs") == ["b"]
        assert counts(build, "mission_runs") == (1, 2, 2, 0, 1, 0, 1)
        assert rows(build, "select rule, rows, example_value from quality.data_warnings") == [
            ("replaced_record", 1, "The record of run_id R1 stands more than once.")
        ]


def test_the_later_file_wins_over_the_later_row(build, tmp_path):
    write(tmp_path, mission_runs=[run(run_id="R0"), run(run_id="R0"), run(priority="first")])
    put(tmp_path, "mission_runs/b.jsonl", [run(priority="second")])
    validate(build, tmp_path)
    assert rows(build, "select run_id, priority from staging.mission_runs") == [("R0", None), ("R1", "second")]


def test_a_rejected_record_never_replaces_a_valid_one():
    with validated(mission_runs=[run(priority="a"), run(status="done"), run(mission_id="M9")]) as build:
        assert rows(build, "select priority from staging.mission_runs") == ["a"]
        assert counts(build, "mission_runs") == (1, 3, 1, 2, 0, 0, 1)


def test_an_absent_attempt_is_the_first():
    logs = [LOG, {**LOG, "attempt": 2}, {**LOG, "attempt": 1, "outcome": "failed"}, {**LOG, "attempt": None}]
    with validated(task_execution_logs=logs) as build:
        assert rows(build, "select attempt, outcome from staging.task_executions") == [
            (1, "completed"), (2, "completed"),
        ]  # fmt: skip
        assert counts(build, "task_execution_logs") == (1, 4, 4, 0, 2, 0, 2)


def test_of_reference_data_only_the_last_file_counts(build, tmp_path):
    write(tmp_path, business_missions=[{"mission_id": "M1", "owner": "old"}, {"mission_id": "M2"}, {"owner": "x"}])
    put(tmp_path, "business_missions/new.json", [{"mission_id": "M1", "owner": "new"}])
    validate(build, tmp_path)
    assert rows(build, "select mission_id, owner from staging.missions") == [("M1", "new")]
    assert counts(build, "business_missions") == (2, 4, 3, 1, 2, 0, 1)
    assert rows(build, "from quality.data_warnings") == []


def test_a_last_reference_file_without_records_is_the_truth_too(build, tmp_path):
    write(tmp_path)
    put(tmp_path, "specialized_agents/none.json", [])
    validate(build, tmp_path)
    assert rows(build, "from staging.agents") == []
    assert rows(build, "select data_set, rule from quality.rejected_rows order by 1") == [
        ("agent_capabilities_matrix", "unknown_agent"), ("task_execution_logs", "unknown_agent"),
    ]  # fmt: skip


def test_an_earlier_reference_file_is_not_asked_what_it_refers_to(build, tmp_path):
    write(tmp_path, mission_kpis=[{"mission_id": "GONE", "kpis": {}}])
    put(tmp_path, "mission_kpis/new.json", [{"mission_id": "M1", "kpis": {"max_a": 1}}])
    validate(build, tmp_path)
    assert counts(build, "mission_kpis") == (2, 2, 2, 0, 1, 0, 1)


def test_the_later_plan_of_a_mission_wins_and_gives_its_tasks_free():
    plans = [{"mission_id": "M1", "tasks": [{"task_id": "T1"}, {"task_id": "T2"}]},
             {"mission_id": "M1", "tasks": [{"task_id": "T1"}]},
             {"mission_id": "M2", "tasks": [{"task_id": "T2"}]}]  # fmt: skip
    missions = [{"mission_id": "M1"}, {"mission_id": "M2"}]
    with validated(business_missions=missions, decomposed_mission_tasks=plans) as build:
        assert rows(build, "select mission_id, task_id from staging.mission_tasks") == [("M1", "T1"), ("M2", "T2")]
        assert counts(build, "decomposed_mission_tasks") == (1, 3, 3, 0, 1, 0, 2)


def test_a_vanished_record_stands_and_is_counted_until_its_key_is_back(build, tmp_path):
    write(tmp_path, mission_runs=[RUN, run(run_id="R2", priority="old")])
    validate(build, tmp_path)
    put(tmp_path, "mission_runs.json", [RUN])
    validate(build, tmp_path)
    assert rows(build, "select run_id from staging.mission_runs") == ["R1", "R2"]
    assert counts(build, "mission_runs") == (1, 1, 1, 0, 0, 1, 2)
    assert rows(build, "select rule, rows, example_value from quality.data_warnings") == [
        ("vanished_record", 1, "The record of run_id R2 is in no file any more.")
    ]
    put(tmp_path, "mission_runs.json", [RUN, run(run_id="R2", priority="new")])
    validate(build, tmp_path)
    assert rows(build, "select priority from staging.mission_runs where run_id = 'R2'") == ["new"]
    assert counts(build, "mission_runs") == (1, 2, 2, 0, 0, 0, 2)


def test_a_vanished_record_whose_reference_is_gone_is_left_out_and_not_rejected(build, tmp_path):
    missions = [{"mission_id": "M1"}, {"mission_id": "M2"}]
    write(tmp_path, business_missions=missions, mission_runs=[RUN, run(run_id="R2", mission_id="M2")])
    validate(build, tmp_path)
    put(tmp_path, "mission_runs.json", [RUN])
    put(tmp_path, "business_missions.json", missions[:1])
    validate(build, tmp_path)
    assert rows(build, "select run_id from staging.mission_runs") == ["R1"]
    assert rows(build, "from quality.rejected_rows") == []
    assert counts(build, "mission_runs") == (1, 1, 1, 0, 0, 0, 1)


def test_a_data_set_without_a_file_has_a_row_of_zeros():
    with validated() as build:
        assert counts(build, "mission_risk_events") == (0, 0, 0, 0, 0, 0, 0)
        assert count(build, "mission_runs", "files") == 1

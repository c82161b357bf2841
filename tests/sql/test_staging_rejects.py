"""Records wrong in themselves or in what they refer to: each is refused once, with a rule, a reason and the record."""

import json
from datetime import datetime

import pytest
from raw_folders import land, put
from staged import (
    EVENT,
    LOG,
    NOW,
    POLICY,
    RUN,
    SNAPSHOT,
    STATS,
    count,
    outcome,
    rejects,
    rows,
    tables,
    validate,
    validated,
    write,
)

from mission_pipeline.contracts.inputs import MAX_DURATION_MINUTES
from mission_pipeline.validate import stage


def rules(data_set, *records, **others):
    return [rule for _, rule, _ in outcome(data_set, *records, **others)]


def run(**fields):
    return {**RUN, **fields}


def log(**fields):
    return {**LOG, **fields}


def test_sound_records_are_staged_whole():
    with validated() as build:
        assert rows(build, "from quality.rejected_rows") == []
        assert rows(build, "select run_id, status, start_time from staging.mission_runs") == [
            ("R1", "completed", datetime(2026, 2, 1, 10))
        ]
        assert rows(build, "select run_id, task_id, attempt, agent_id from staging.task_executions") == [
            ("R1", "T1", 1, "A1")
        ]


BAD_LOGS = [
    (log(outcome=None), "required_field_missing", "outcome is missing."),
    (log(outcome="great"), "unknown_value", "outcome is great, not one of completed, approved, rejected, failed, "
     "escalated, timed_out, cancelled."),
    (log(actual_duration_minutes=-0.5), "out_of_range", "actual_duration_minutes is -0.5, below 0."),
    (log(actual_duration_minutes="soon"), "wrong_type",
     'actual_duration_minutes is "soon", not a finite number.'),
    (log(actual_duration_minutes=float("nan")), "wrong_type",
     "actual_duration_minutes is NaN, not a finite number."),
    (log(attempt=0), "out_of_range", "attempt is 0, below 1."),
    (log(attempt=1.5), "wrong_type", "attempt is 1.5, not a whole number."),
    (log(run_id="R\0"), "broken_id", 'run_id is "R\\u0000", not an id of sound characters.'),
    (log(run_id=" "), "broken_id", 'run_id is " ", which is blank or has a broken character.'),
    (log(run_id=""), "broken_id", 'run_id is "", which is blank or has a broken character.'),
    (log(attempt="9" * 400), "wrong_type",
     'attempt is "' + "9" * 79 + " … (402 characters), not a whole number."),
    (log(outcome="x" * 80), "unknown_value", f"outcome is {'x' * 80}, not one of completed, approved, rejected, "
     "failed, escalated, timed_out, cancelled."),
    (log(outcome="x" * 81), "unknown_value", f"outcome is {'x' * 80} … (81 characters), not one of completed, "
     "approved, rejected, failed, escalated, timed_out, cancelled."),
    (log(started_at="2026-02-01T10:05:00Z", finished_at="2026-02-01T10:04:59Z"), "end_before_start",
     "finished_at is 2026-02-01 10:04:59, before the start."),
    (log(finished_at="yesterday"), "wrong_type",
     'finished_at is "yesterday", not a time such as 2026-02-01T14:05:00Z.'),
    ([1], "not_an_object", "the record is not a JSON object."),
    (log(run_id="R9"), "unknown_run", "run_id R9 is in no valid record of mission_runs."),
    (log(mission_id="M9"), "unknown_mission",
     "mission_id M9 is in no valid record of business_missions; "
     "mission_id is M9, but run_id R1 is of mission M1; mission_id is M9, but task_id T1 is of mission M1."),
    (log(task_id="T9"), "unknown_task", "task_id T9 is in no valid record of decomposed_mission_tasks."),
    (log(agent_id="A9"), "unknown_agent", "agent_id A9 is in no valid record of specialized_agents."),
]  # fmt: skip


def test_logs_are_refused_with_rule_and_reason():
    found = outcome("task_execution_logs", *[record for record, _, _ in BAD_LOGS], LOG)
    assert found == [(row, rule, reason) for row, (_, rule, reason) in enumerate(BAD_LOGS, start=1)]


def test_a_record_that_gives_a_name_twice_is_refused(build, tmp_path):
    write(tmp_path, mission_runs=[])
    twice = '{"run_id": "R1", "status": "failed", "note": 1, ' + json.dumps(RUN)[1:-1] + ', "note": 2}'
    put(tmp_path, "mission_runs.jsonl", twice + "\n" + json.dumps(run(run_id="R2")) + "\n")
    (tmp_path / "mission_runs.json").unlink()
    validate(build, tmp_path)
    assert rows(build, "select row, rule, reason from quality.rejected_rows where data_set = 'mission_runs'") == [
        (1, "named_twice", "the record gives more than once: note, run_id, status.")
    ]
    assert rows(build, "select run_id from staging.mission_runs") == ["R2"]


BAD_RUNS = [
    (run(status="done"), "unknown_value"),
    (run(start_time=None), "required_field_missing"),
    (run(mission_id="M9"), "unknown_mission"),
    (run(escalations=-1), "out_of_range"),
    (run(end_time="2026-02-01T09:59:59Z"), "end_before_start"),
    (run(kpis=[1]), "wrong_type"),
    (run(kpis={"days": "many"}), "wrong_type"),
    (run(kpis={"days": True}), "wrong_type"),
    (run(kpis={"days": [1]}), "wrong_type"),
    (run(kpis={"days": float("inf")}), "wrong_type"),
    (run(kpis={"": 1}), "broken_id"),
]


def test_runs_are_refused():
    assert rules("mission_runs", *[record for record, _ in BAD_RUNS]) == [rule for _, rule in BAD_RUNS]


GOOD_RUNS = [
    run(end_time=RUN["start_time"]),
    run(end_time="2026-02-01T11:00:00+01:00"),
    run(kpis=None),
    run(kpis={"days": None}),
    run(total_duration_minutes=MAX_DURATION_MINUTES),
    run(total_duration_minutes=0, human_interventions=0),
]


def test_runs_at_the_boundary_are_valid():
    assert rules("mission_runs", *GOOD_RUNS) == []


def test_a_duration_over_ten_years_is_refused():
    assert rules("mission_runs", run(total_duration_minutes=MAX_DURATION_MINUTES + 1)) == ["out_of_range"]


@pytest.mark.parametrize(
    ("data_set", "record", "fields"),
    [
        ("mission_runs", RUN, ("end_time", "created_at")),
        ("task_execution_logs", LOG, ("started_at", "finished_at", "approval_request_time")),
        ("mission_risk_events", EVENT, ("detected_at",)),
    ],
)
def test_a_time_may_lie_a_day_ahead_of_the_clock_and_no_more(data_set, record, fields):
    just_allowed = [{**record, field: "2026-02-08T06:00:00Z"} for field in fields]
    just_beyond = [{**record, field: "2026-02-08T06:00:01Z"} for field in fields]
    found = outcome(data_set, *just_allowed, *just_beyond, now=NOW)
    assert [(row, rule) for row, rule, _ in found] == [
        (len(fields) + place, "in_the_future") for place in range(1, len(fields) + 1)
    ]
    assert [reason.split()[0] for _, _, reason in found] == list(fields)


def test_a_reported_day_may_lie_a_day_ahead_and_no_more():
    days = ("2026-02-08", "2026-02-09")
    stats = outcome("agent_performance_stats", *[{**STATS, "last_updated": day} for day in days])
    assert [(row, rule) for row, rule, _ in stats] == [(2, "in_the_future")]


BAD_EVENTS = [
    ({**EVENT, "run_id": "R9"}, "unknown_run"),
    ({**EVENT, "mission_id": "M9"}, "unknown_mission"),
    ({**EVENT, "task_id": "T9"}, "unknown_task"),
    ({**EVENT, "severity": "deadly"}, "unknown_value"),
    ({**EVENT, "status": "asleep"}, "unknown_value"),
    ({**EVENT, "status": None}, "required_field_missing"),
]


def test_risk_events_are_refused():
    found = outcome("mission_risk_events", *[record for record, _ in BAD_EVENTS], EVENT)
    assert [(row, rule) for row, rule, _ in found] == [(row, rule) for row, (_, rule) in enumerate(BAD_EVENTS, start=1)]


def test_reported_figures_are_refused_where_they_name_the_unknown_or_leave_their_range():
    assert rules(
        "agent_performance_stats",
        {**STATS, "approval_rate": 1},
        {**STATS, "agent_id": "A9"},
        {**STATS, "approval_rate": 1.01},
    ) == ["unknown_agent", "out_of_range"]
    assert rules(
        "mission_portfolio_snapshot",
        {**SNAPSHOT, "top_bottleneck_task_id": None},
        {**SNAPSHOT, "active_runs": -1},
        {**SNAPSHOT, "top_bottleneck_task_id": "T9"},
        {"snapshot_date": "2026-02-09"},
    ) == ["out_of_range", "unknown_task", "in_the_future"]


TWO_MISSIONS = {
    "business_missions": [{"mission_id": "M1"}, {"mission_id": "M2"}],
    "decomposed_mission_tasks": [
        {"mission_id": "M1", "tasks": [{"task_id": "T1"}]},
        {"mission_id": "M2", "tasks": [{"task_id": "T2"}]},
    ],
    "mission_runs": [RUN, {**RUN, "run_id": "R2", "mission_id": "M2"}],
}


def test_the_mission_of_a_log_must_be_its_runs_and_its_tasks():
    records = [
        log(mission_id="M2", task_id="T2"),
        log(task_id="T2"),
        log(run_id="R2", mission_id="M2", task_id="T2"),
    ]
    assert [(row, rule) for row, rule, _ in outcome("task_execution_logs", *records, **TWO_MISSIONS)] == [
        (1, "mission_is_not_the_runs"),
        (2, "task_is_not_the_missions"),
    ]


def test_the_mission_of_a_risk_event_must_be_its_runs_and_its_tasks():
    records = [{**EVENT, "run_id": "R2"}, {**EVENT, "task_id": "T2"}]
    assert rules("mission_risk_events", *records, **TWO_MISSIONS) == [
        "mission_is_not_the_runs",
        "task_is_not_the_missions",
    ]


def test_a_rejected_record_is_unknown_to_those_that_refer_to_it():
    with validated(mission_runs=[run(status="done")], mission_risk_events=[EVENT]) as build:
        assert rejects(build, "mission_runs") == [(1, "unknown_value")]
        assert rejects(build, "task_execution_logs") == [(1, "unknown_run")]
        assert rejects(build, "mission_risk_events") == [(1, "unknown_run")]


def test_a_record_with_several_faults_is_listed_once_with_all_of_them():
    [(row, rule, reason)] = outcome("mission_runs", run(status="done", escalations=-2, mission_id=None))
    assert (row, rule) == (1, "required_field_missing")
    assert reason.startswith("mission_id is missing; escalations is -2, below 0; status is done, not one of ")


def test_the_rejected_record_is_shown_as_it_arrived():
    whole = run(status="done", end_time="2026-02-01T10:30:00.250Z", total_duration_minutes=30, escalations=1,
                risk_flagged=True, kpis={"days": 1.5, "none": None}, priority='"high"')  # fmt: skip
    with validated(mission_runs=[whole, {**whole, "surprise": [1, None]}, 7]) as build:
        shown = rows(build, "select cast(record as json)::varchar from quality.rejected_rows where data_set = 'mission_runs' order by row")  # fmt: skip
        same = rows(
            build,
            "select cast(record as json) ->> '$.run_id', cast(record as json) ->> '$.end_time', "
            "cast(record as json) -> '$.total_duration_minutes', cast(record as json) -> '$.kpis', "
            "cast(record as json) ->> '$.priority' from quality.rejected_rows "
            "where data_set = 'mission_runs' and row = 1",
        )
    assert same == [("R1", "2026-02-01T10:30:00.25Z", "30", '{"days":1.5,"none":null}', '"high"')]
    assert '"surprise":[1,null]' in shown[1].replace(" ", "")
    assert shown[2] == "7"


def test_a_broken_line_is_refused_and_the_rest_goes_on(build, tmp_path):
    write(tmp_path, mission_runs=[])
    put(tmp_path, "mission_runs/a.jsonl", '{"run_id": "R0", \n' + json.dumps(RUN) + "\n")
    validate(build, tmp_path)
    assert rows(build, "select file, row, rule, record from quality.rejected_rows") == [
        ("mission_runs/a.jsonl", 1, "not_json", '{"run_id": "R0",')
    ]
    assert rows(build, "select run_id from staging.mission_runs") == ["R1"]


BAD_PLANS = [
    (["T1"], "wrong_type", 'tasks[0] is "T1", not an object.'),
    ([{"task_id": None}], "required_field_missing", "tasks[0].task_id is missing."),
    ([{"task_id": "T1"}, {"task_id": "T1"}], "named_twice", "tasks[1].task_id names T1 again."),
    ([{"task_id": "T1", "order": "first"}], "wrong_type", 'tasks[0].order is "first", not a whole number.'),
    ([{"task_id": "T1", "depends_on": "T0"}], "wrong_type", 'tasks[0].depends_on is "T0", not a list of ids.'),
    ([{"task_id": "T1", "estimated_duration_minutes": -1}], "out_of_range",
     f"tasks[0].estimated_duration_minutes is -1, not between 0 and {MAX_DURATION_MINUTES}."),
]  # fmt: skip


def test_a_plan_with_a_bad_task_is_refused_whole():
    plans = [{"mission_id": "M1", "tasks": tasks} for tasks, _, _ in BAD_PLANS]
    assert outcome("decomposed_mission_tasks", *plans) == [
        (row, rule, reason) for row, (_, rule, reason) in enumerate(BAD_PLANS, start=1)
    ]


def test_a_plan_of_an_unknown_mission_is_refused():
    assert rules("decomposed_mission_tasks", {"mission_id": "M9", "tasks": []}) == ["unknown_mission"]


def test_a_task_in_two_plans_refuses_the_later_one():
    plans = [{"mission_id": "M1", "tasks": [{"task_id": "T1"}]},
             {"mission_id": "M2", "tasks": [{"task_id": "T2"}]},
             {"mission_id": "M2", "tasks": [{"task_id": "T3"}, {"task_id": "T1"}]}]  # fmt: skip
    missions = [{"mission_id": "M1"}, {"mission_id": "M2"}]
    with validated(business_missions=missions, decomposed_mission_tasks=plans) as build:
        assert rows(build, "select row, rule, reason from quality.rejected_rows") == [
            (3, "task_of_another_plan", "task T1 is in the plan of M1.")
        ]
        assert rows(build, "select task_id from staging.mission_tasks order by 1") == ["T1", "T2"]


def test_a_capability_of_an_unknown_task_or_agent_is_refused():
    records = [{"task_id": "T9", "capable_agents": ["A1"]}, {"task_id": "T1", "capable_agents": ["A1", "A9", "A8"]}]
    assert outcome("agent_capabilities_matrix", *records) == [
        (1, "unknown_task", "task_id T9 is in no valid record of decomposed_mission_tasks."),
        (2, "unknown_agent", "capable_agents names what no valid record of specialized_agents does: A8, A9."),
    ]


def test_kpi_records_with_a_bad_value_are_refused():
    bad = [{"target_days": "few"}, {"max_steps": float("nan")}, {"target_ ": 1}]
    found = rules("mission_kpis", *[{"mission_id": "M1", "kpis": kpis} for kpis in bad])
    assert found == ["wrong_type", "wrong_type", "broken_id"]


def test_a_time_in_the_future_is_accepted_once_it_is_not(build, tmp_path):
    write(tmp_path, mission_runs=[run(end_time="2026-03-01T00:00:00Z")])
    validate(build, tmp_path)
    assert rejects(build, "mission_runs") == [(1, "in_the_future")]
    validate(build, tmp_path, now=datetime(2026, 3, 1))
    assert rejects(build, "mission_runs") == []
    assert count(build, "task_execution_logs", "rows_valid") == 1


def test_a_late_reference_heals_what_waited_for_it(build, tmp_path):
    write(tmp_path, mission_runs=[])
    validate(build, tmp_path)
    assert rejects(build, "task_execution_logs") == [(1, "unknown_run")]
    put(tmp_path, "mission_runs/late.json", [RUN])
    validate(build, tmp_path)
    assert rejects(build, "task_execution_logs") == []
    assert rows(build, "select run_id from staging.task_executions") == ["R1"]


def test_a_failing_validation_leaves_the_tables_as_they_were(build, tmp_path, monkeypatch):
    validate(build, write(tmp_path))
    before = tables(build)
    put(tmp_path, "mission_runs.json", [run(run_id="R2")])
    land(build, tmp_path)

    def fails(*_):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(stage, "write_row_counts", fails)
    with pytest.raises(RuntimeError, match="in the middle"):
        stage.stage_valid_records(build, POLICY, now=NOW)
    assert tables(build) == before


def test_a_mistyped_year_does_not_add_centuries_of_days_to_judge():
    assert rules("mission_runs", run(start_time="2014-12-31T23:59:59Z", end_time="2026-02-01T11:00:00Z")) == [
        "out_of_range"
    ]
    assert rules("mission_runs", run(start_time="2015-01-01T00:00:00Z", end_time="2026-02-01T11:00:00Z")) == []
    assert rules("mission_portfolio_snapshot", {**SNAPSHOT, "snapshot_date": "0202-02-01"}) == ["out_of_range"]

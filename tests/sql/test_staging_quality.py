"""KPIs as specified and observed, schema drift, plan findings and warnings, in the tables."""

from staged import LOG, POLICY, RUN, rows, validated

PLAN = [{"mission_id": "M1", "tasks": [{"task_id": "T1"}]}]


def run(**fields):
    return {**RUN, **fields}


def drift(**records):
    with validated(**records) as build:
        return rows(build, "from quality.schema_drift order by all")


def warnings(**records):
    with validated(**records) as build:
        return rows(build, "select rule, rows, example_value from quality.data_warnings order by rule")


def test_a_task_is_staged_with_its_plan_fields_and_unknown_ones_are_null():
    tasks = [
        {"task_id": 7, "task": "Seven", "order": "1", "depends_on": None, "estimated_duration_minutes": "2.5",
         "requires_human_approval": "true"},
        {"task_id": "T1", "depends_on": ["7", "7"]},
    ]  # fmt: skip
    with validated(decomposed_mission_tasks=[{"mission_id": "M1", "tasks": tasks}]) as build:
        assert rows(build, "from staging.mission_tasks") == [
            ("M1", "7", "Seven", 1, [], 2.5, True), ("M1", "T1", None, None, ["7"], None, None),
        ]  # fmt: skip
        assert rows(build, "select field, kind, example_value from quality.schema_drift order by all") == [
            ("tasks.estimated_duration_minutes", "converted_type", '"2.5"'),
            ("tasks.order", "converted_type", '"1"'),
            ("tasks.requires_human_approval", "converted_type", '"true"'),
            ("tasks.task_id", "converted_type", "7"),
        ]


def test_the_policy_names_another_primary_kpi():
    kpis = [{"mission_id": "M1", "kpis": {"baseline_a": 2, "target_a": 1, "max_b": 3}}]
    policy = POLICY.model_copy(update={"missions": {"M1": {"primary_kpi": "b"}}})
    with validated(policy, mission_kpis=kpis) as build:
        assert rows(build, "select kpi_name from staging.mission_kpis where is_primary") == ["b"]
    policy = POLICY.model_copy(update={"missions": {"M1": {"primary_kpi": "z"}}})
    with validated(policy, mission_kpis=kpis) as build:
        assert rows(build, "select kpi_name from staging.mission_kpis where is_primary") == ["a"]
        assert rows(build, "select rule from quality.data_warnings") == ["policy_names_an_unknown_kpi"]


def test_observed_kpis_are_staged_and_unspecified_ones_are_drift():
    kpis = [{"mission_id": "M1", "kpis": {"max_steps": 3, "target_a": 1, "csat_threshold": 4}}]
    observed = {"a": 2, "csat": "4.5", "mood": 7, "steps": 9, "unknown": None}
    with validated(mission_kpis=kpis, mission_runs=[run(kpis=observed)]) as build:
        assert rows(build, "select kpi_name, kpi_value, is_specified from staging.run_kpis") == [
            ("a", 2, True), ("csat", 4.5, True), ("mood", 7, False), ("steps", 9, False),
        ]  # fmt: skip
        assert rows(build, "from quality.schema_drift order by all") == [
            ("mission_runs", "kpis.csat", "converted_type", 1, '"4.5"'),
            ("mission_runs", "kpis.mood", "unspecified_kpi", 1, "7.0"),
            ("mission_runs", "kpis.steps", "unspecified_kpi", 1, "9.0"),
        ]


def test_steps_with_a_target_of_their_own_are_specified():
    kpis = [{"mission_id": "M1", "kpis": {"baseline_steps": 9, "target_steps": 3}}]
    with validated(mission_kpis=kpis, mission_runs=[run(kpis={"steps": 4})]) as build:
        assert rows(build, "select kpi_name, is_specified from staging.run_kpis") == [("steps", True)]


def test_a_kpi_is_specified_per_mission():
    missions = [{"mission_id": "M1"}, {"mission_id": "M2"}]
    kpis = [{"mission_id": "M1", "kpis": {"max_a": 3}}]
    runs = [run(kpis={"a": 1}), run(run_id="R2", mission_id="M2", kpis={"a": 1})]
    with validated(business_missions=missions, mission_kpis=kpis, mission_runs=runs) as build:
        assert rows(build, "select run_id, is_specified from staging.run_kpis") == [("R1", True), ("R2", False)]


def test_unknown_fields_are_kept_and_listed():
    runs = [run(mood="good", **{"odd \"name'": {"a": 1}}), run(run_id="R2", mood="bad"), run(run_id="R3", mood=None)]
    with validated(mission_runs=runs) as build:
        assert rows(build, "from quality.schema_drift order by all") == [
            ("mission_runs", "mood", "unknown_field", 3, '"bad"'),
            ("mission_runs", "odd \"name'", "unknown_field", 1, '{"a":1}'),
        ]
        assert rows(build, "select extra_fields from staging.mission_runs where run_id = 'R2'") == ['{"mood":"bad"}']


def test_converted_values_are_listed_with_the_value_as_it_arrived():
    assert drift(mission_runs=[run(escalations="2"), run(run_id=7, escalations="1")]) == [
        ("mission_runs", "escalations", "converted_type", 2, '"1"'),
        ("mission_runs", "run_id", "converted_type", 1, "7"),
    ]


def test_drift_inside_nested_reference_records_counts_records():
    tasks = [{"task_id": "T1", "hue": "red"}, {"task_id": "T2", "hue": "blue"}]
    assert drift(
        decomposed_mission_tasks=[{"mission_id": "M1", "tasks": tasks}],
        mission_kpis=[{"mission_id": "M1", "kpis": {"days": 3, "target_a": "2", "max_b": None}}],
    ) == [
        ("decomposed_mission_tasks", "tasks.hue", "unknown_field", 1, '"blue"'),
        ("mission_kpis", "kpis.days", "unknown_field", 1, "3"),
        ("mission_kpis", "kpis.target_a", "converted_type", 1, '"2"'),
    ]


def test_plan_findings_are_written_and_the_telemetry_still_stands():
    tasks = [{"task_id": "T1", "order": 2, "depends_on": ["T9"]}, {"task_id": "T2", "order": 2, "depends_on": ["T1"]}]
    with validated(decomposed_mission_tasks=[{"mission_id": "M1", "tasks": tasks}]) as build:
        assert rows(build, "select mission_id, task_id, fault from quality.plan_findings order by all") == [
            ("M1", "T1", "missing_dependency"),
            ("M1", "T2", "no_capable_agent"),
            ("M1", "T2", "order_contradicts_dependency"),
        ]
        assert rows(build, "select run_id from staging.task_executions") == ["R1"]


def test_a_duration_may_differ_from_its_times_by_a_minute():
    runs = [run(run_id=f"R{minutes}", total_duration_minutes=minutes) for minutes in (29, 31, 28.9, 31.1, None)]
    [(rule, number, _)] = warnings(mission_runs=[*runs, RUN])
    assert (rule, number) == ("duration_is_not_end_minus_start", 2)


def test_a_contradicting_duration_is_shown():
    assert warnings(mission_runs=[run(end_time="2026-02-01T10:30:00Z", total_duration_minutes=60)]) == [
        ("duration_is_not_end_minus_start", 1,
         "Run R1 reports 60 minutes, but ends 30 minutes after its start."),
    ]  # fmt: skip


def test_tasks_and_delays_may_be_as_long_as_their_run():
    delays = {"R1": 5, "R2": 5.1, "R3": None}
    logs = [{**LOG, "run_id": name, "actual_duration_minutes": 10, "human_delay_minutes": delay}
            for name, delay in delays.items()]  # fmt: skip
    second = [{**LOG, "run_id": name, "attempt": 2, "actual_duration_minutes": 15} for name in delays]
    runs = [run(run_id=name, total_duration_minutes=30) for name in delays]
    assert warnings(mission_runs=runs, task_execution_logs=logs + second) == [
        ("tasks_are_longer_than_the_run", 1, "Run R2 took 30 minutes, but its tasks and delays 30.1 minutes."),
    ]  # fmt: skip


def test_an_open_run_has_no_end_and_an_ended_one_has():
    end = "2026-02-01T10:30:00Z"
    runs = [run(end_time=end), run(run_id="R2", status="running", end_time=None),
            run(run_id="R3", status="blocked", end_time=end), run(run_id="R4", status="failed", end_time=None)]  # fmt: skip
    assert warnings(mission_runs=runs) == [
        ("ended_run_has_no_end", 1, "Run R4 is failed, but has no end_time."),
        ("open_run_has_an_end", 1, "Run R3 is blocked, but has an end_time."),
    ]


def test_the_logs_approval_flag_is_held_against_the_plan():
    cases = [(True, False), (False, True), (True, True), (None, True), (True, None)]
    tasks = [{"task_id": f"T{n}", "requires_human_approval": planned} for n, (_, planned) in enumerate(cases)]
    logs = [{**LOG, "task_id": f"T{n}", "human_approval_required": required} for n, (required, _) in enumerate(cases)]
    matrix = [{"task_id": f"T{n}", "capable_agents": ["A1"]} for n in range(len(cases))]
    assert warnings(
        decomposed_mission_tasks=[{"mission_id": "M1", "tasks": tasks}],
        agent_capabilities_matrix=matrix,
        task_execution_logs=logs,
    ) == [
        (
            "approval_differs_from_the_plan",
            2,
            "Task T0 in run R1 required an approval that the plan does not have.",
        )
    ]


def test_an_agent_that_the_matrix_does_not_name_is_a_warning():
    agents = [{"agent_id": "A1"}, {"agent_id": "A2"}]
    assert warnings(specialized_agents=agents,
                    task_execution_logs=[LOG, {**LOG, "attempt": 2, "agent_id": "A2"}]) == [
        ("agent_is_not_named_by_the_matrix", 1,
         "Agent A2 did task T1 in run R1, but agent_capabilities_matrix does not name it for that task."),
    ]  # fmt: skip


def test_a_kpi_specified_twice_is_a_warning():
    kpis = [{"mission_id": "M1", "kpis": {"target_a": 1, "max_a": 2}}]
    assert [rule for rule, _, _ in warnings(mission_kpis=kpis)] == ["kpi_has_several_forms"]

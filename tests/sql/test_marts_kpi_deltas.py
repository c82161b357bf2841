"""marts.run_kpi_deltas: improvements in the direction of better, gaps, attainment, target status, steps."""

import pytest
from derive_data import DAYS, ceiling, derive, execution, floor, given, kpi, observed, open_run, overridden, run, task


def deltas(build, policy, columns, kpis, runs, observations, executions=(), tasks=()):
    given(
        build, mission_kpis=kpis, mission_runs=runs, run_kpis=observations, task_executions=list(executions),
        mission_tasks=list(tasks),
    )  # fmt: skip
    derive(build, policy, "run_kpi_deltas")
    return build.frame(f"select {columns} from marts.run_kpi_deltas order by mission_id, kpi_name, run_seq").rows()


def series(build, policy, columns, spec, values):
    """One run a day, each with a value of one KPI or none."""
    runs = [run(f"r{place}", DAYS[place]) for place in range(len(values))]
    given_values = [observed(f"r{place}", spec["kpi_name"], v) for place, v in enumerate(values) if v is not None]
    return deltas(build, policy, columns, [spec], runs, given_values)


IMPROVEMENTS = (
    "run_seq, first_value, previous_value, improvement_vs_previous_pct, improvement_vs_first_pct, "
    "improvement_vs_baseline_pct"
)


def test_lower_is_better(build, policy):
    assert series(build, policy, IMPROVEMENTS, kpi("days", 10, 5), [8, 4, 6]) == [
        (1, 8, None, None, 0, 20),
        (2, 8, 8, 50, 50, 60),
        (3, 8, 4, -50, 25, 40),
    ]


def test_higher_is_better(build, policy):
    assert series(build, policy, IMPROVEMENTS, kpi("rate", 50, 80), [60, 75, 30]) == [
        (1, 60, None, None, 0, 20),
        (2, 60, 60, 25, 25, 50),
        (3, 60, 75, -60, -50, -40),
    ]


def test_a_negative_reference_counts_by_its_size(build, policy):
    assert series(build, policy, IMPROVEMENTS, kpi("margin", -10, 10), [-5, 5]) == [
        (1, -5, None, None, 0, 50),
        (2, -5, -5, 200, 200, 150),
    ]


def test_runs_that_do_not_report_the_kpi_are_passed_over(build, policy):
    found = series(build, policy, "run_seq, first_value, previous_value", kpi("days", 10, 5), [None, 8, None, 4])
    assert found == [(2, 8, None), (4, 8, 8)]


def test_nothing_improves_on_zero(build, policy):
    found = series(build, policy, IMPROVEMENTS, kpi("faults", 0, -1), [0, 3])
    assert found == [(1, 0, None, None, None, None), (2, 0, 0, None, None, None)]


def test_a_target_of_zero_is_met_or_off_and_has_no_percentage(build, policy):
    found = series(
        build, policy, "gap_to_target, gap_to_target_pct, attainment_share, target_status", kpi("faults", 4, 0), [1, 0]
    )
    assert found == [(1, None, 0.75, "off"), (0, None, 1, "met")]


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [  # gap, gap %, attainment, status; near ends at 20 percent of the target
        (kpi("days", 10, 5), 5, (0, 0, 1, "met")),
        (kpi("days", 10, 5), 4, (0, 0, 1.2, "met")),
        (kpi("days", 10, 5), 6, (1, 20, 0.8, "near")),
        (kpi("days", 10, 5), 6.01, (1.01, 20.2, 0.798, "off")),
        (kpi("days", 10, 3), 3.6, (0.6, 20, 6.4 / 7, "near")),  # 20.000000000000004 by floating point
        (kpi("days", 10, 5), 12, (7, 140, -0.4, "off")),
        (kpi("rate", 50, 80), 80, (0, 0, 1, "met")),
        (kpi("rate", 50, 80), 64, (16, 20, 14 / 30, "near")),
        (kpi("rate", 50, 80), 63.9, (16.1, 20.125, 13.9 / 30, "off")),
        (kpi("rate", 50, 80), 40, (40, 50, -1 / 3, "off")),
        (floor("csat", 4), 4, (0, 0, None, "met")),
        (floor("csat", 4), 3.9, (0.1, 2.5, None, "near")),
        (floor("csat", 4), 3, (1, 25, None, "off")),
        (ceiling("refunds", 4), 4, (0, 0, None, "met")),
        (ceiling("refunds", 4), 5, (1, 25, None, "off")),
        (kpi("ideas", None, 5), 7, (None, None, None, None)),
        (kpi("ideas", 5, 5), 7, (None, None, None, None)),
        (kpi("ideas", 5, None), 7, (None, None, None, None)),
    ],
)
def test_gap_attainment_and_status(build, policy, spec, value, expected):
    [found] = series(build, policy, "gap_to_target, gap_to_target_pct, attainment_share, target_status", spec, [value])
    assert found == tuple(pytest.approx(figure) if isinstance(figure, (int, float)) else figure for figure in expected)


def test_without_a_direction_nothing_is_better_or_worse(build, policy):
    found = series(build, policy, IMPROVEMENTS, kpi("ideas", 5, 5), [7, 9])
    assert found == [(1, 7, None, None, None, None), (2, 7, 7, None, None, None)]


def test_a_constraint_has_its_limit_as_target_and_no_baseline(build, policy):
    found = series(build, policy, "baseline_value, target_value, is_primary, direction", floor("csat", 4), [5])
    assert found == [(None, 4, False, "higher_is_better")]


def test_every_run_that_reports_counts_whatever_became_of_it(build, policy):
    runs = [run("f", DAYS[0], status="failed"), run("c", DAYS[1], status="cancelled"), open_run("o", DAYS[2])]
    values = [observed(r["run_id"], "days", 9 - place) for place, r in enumerate(runs)]
    assert deltas(build, policy, "run_id, previous_value", [kpi("days", 10, 5)], runs, values) == [
        ("f", None), ("c", 9), ("o", 8),
    ]  # fmt: skip


def test_a_kpi_that_nobody_specified_has_no_row(build, policy):
    values = [observed("r", "days", 9), observed("r", "mood", 3, is_specified=False)]
    found = deltas(build, policy, "kpi_name", [kpi("days", 10, 5)], [run("r", DAYS[0])], values)
    assert found == [("days",)]


def test_missions_with_a_kpi_of_one_name_are_kept_apart(build, policy):
    runs = [run("r", DAYS[0]), run("s", DAYS[1], mission="N")]
    values = [observed("r", "days", 9), observed("s", "days", 7, mission="N")]
    kpis = [kpi("days", 10, 5), kpi("days", 5, 10, mission="N")]
    found = deltas(build, policy, "mission_id, previous_value, improvement_vs_baseline_pct", kpis, runs, values)
    assert found == [("M", None, 10), ("N", None, 40)]


def test_steps_are_the_distinct_tasks_of_completed_runs_with_a_log(build, policy):
    runs = [
        run("done", DAYS[0]), run("failed", DAYS[1], status="failed"), open_run("open", DAYS[2]),
        run("no log", DAYS[3]), run("other", DAYS[4], mission="N"),
    ]  # fmt: skip
    executions = [
        execution("done", "t", 1), execution("done", "t", 1, attempt=2), execution("done", "u", 1),
        execution("failed", "t", 1), execution("open", "t", 1), execution("other", "n", 1, mission="N"),
    ]  # fmt: skip
    tasks = [task("t", 1), task("u", 1), task("n", 1, mission="N")]
    # Its own count of its steps is somebody's summary, and does not stand beside the one from the log.
    reported = [observed("done", "steps", 9), observed("failed", "steps", 4)]
    found = deltas(
        build, policy, "run_id, kpi_value, target_value, target_status", [ceiling("steps", 1)], runs, reported,
        executions, tasks,
    )  # fmt: skip
    assert found == [("done", 2, 1, "off")]


def test_a_mission_may_have_its_own_idea_of_near(build, policy):
    own = overridden(policy, {"M": {"kpi": {"near_target_gap_pct": 30.0}}})
    runs = [run("r", DAYS[0]), run("s", DAYS[0], mission="N")]
    values = [observed("r", "days", 6.5), observed("s", "days", 6.5, mission="N")]
    kpis = [kpi("days", 10, 5), kpi("days", 10, 5, mission="N")]
    assert deltas(build, own, "mission_id, target_status", kpis, runs, values) == [("M", "near"), ("N", "off")]

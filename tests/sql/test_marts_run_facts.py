"""marts.mission_run_facts: sums with unknown parts, autonomy, touchless runs, days, order."""

import pytest
from derive_data import START, approved, derive, execution, given, open_run, run, task, waits_included


def facts(build, policy, columns, runs, executions=(), tasks=(("t", 10), ("u", 20))):
    given(
        build,
        mission_tasks=[task(task_id, estimate) for task_id, estimate in tasks],
        mission_runs=list(runs),
        task_executions=list(executions),
    )
    derive(build, policy, "mission_run_facts")
    return {row[0]: row[1:] for row in build.frame(f"select run_id, {columns} from marts.mission_run_facts").rows()}


def test_minutes_are_summed_over_attempts_and_parts_add_up(build, policy):
    found = facts(
        build,
        policy,
        "task_minutes, approval_delay_minutes, overrun_minutes, unattributed_minutes, flow_efficiency",
        [run("r", START, total_duration_minutes=60)],
        [execution("r", "t", 12), execution("r", "t", 9, attempt=2), approved("r", "u", 21, 4)],
    )
    assert found == {"r": (42, 4, 3, 14, 0.7)}  # 12 + 9 + 21; (12 - 10) + 0 + (21 - 20); 60 - 42 - 4; 42 / 60


def test_sums_are_exact(build, policy):
    tenths = [execution("r", f"t{n}", 0.1) for n in range(3)]
    found = facts(
        build, policy, "task_minutes, unattributed_minutes", [run("r", START, total_duration_minutes=0.3)], tenths,
        [(f"t{n}", 1) for n in range(3)],
    )  # fmt: skip
    assert found == {"r": (0.3, 0)}


def test_a_run_without_a_log_has_no_sums_and_executed_nothing(build, policy):
    found = facts(
        build, policy, "task_minutes, approval_delay_minutes, overrun_minutes, unattributed_minutes, tasks_executed, "
        "reworked_tasks", [run("r", START, total_duration_minutes=60)],
    )  # fmt: skip
    assert found == {"r": (None, None, None, None, 0, 0)}


@pytest.mark.parametrize(
    ("part", "expected"),
    [  # task minutes, approval delay, overrun, unattributed
        (execution("r", "u", None), (None, 0, None, None)),
        (approved("r", "u", 20, None), (32, None, 2, None)),
        (execution("r", "v", 20), (32, 0, None, 28)),  # v has no estimate
        (approved("r", "u", 20, 5, human_approval_required=None), (32, None, 2, None)),
        (approved("r", "u", 20, None, human_approval_required=None), (32, None, 2, None)),
        (approved("r", "u", 20, 0, human_approval_required=None), (32, 0, 2, 28)),
        (execution("r", "u", 20, human_delay_minutes=7), (32, 0, 2, 28)),  # no approval required: no approval delay
        (execution("r", "u", 20, human_delay_minutes=None), (32, 0, 2, 28)),
    ],
)
def test_an_unknown_part_makes_its_sums_unknown_and_no_others(build, policy, part, expected):
    found = facts(
        build, policy, "task_minutes, approval_delay_minutes, overrun_minutes, unattributed_minutes",
        [run("r", START, total_duration_minutes=60)], [execution("r", "t", 12), part],
        [("t", 10), ("u", 20), ("v", None)],
    )  # fmt: skip
    assert found == {"r": expected}


def test_tasks_longer_than_the_run_leave_nothing_unattributed(build, policy):
    found = facts(
        build, policy, "unattributed_minutes, flow_efficiency",
        [run("r", START, total_duration_minutes=10), run("s", START, total_duration_minutes=0), run("u", START)],
        [execution(run_id, "t", 25) for run_id in ("r", "s", "u")],
    )  # fmt: skip
    assert found == {"r": (0, 2.5), "s": (0, None), "u": (None, None)}


def test_an_execution_exactly_at_its_estimate_is_no_overrun(build, policy):
    found = facts(
        build, policy, "overrun_minutes", [run("r", START), run("s", START)],
        [execution("r", "t", 10), execution("s", "t", 10.01)],
    )  # fmt: skip
    assert found == {"r": (0,), "s": (0.01,)}


def test_tasks_are_counted_once_however_often_they_were_tried(build, policy):
    found = facts(
        build,
        policy,
        "tasks_executed, reworked_tasks",
        [run(name, START) for name in ("again", "rejected", "both", "late", "plain")],
        [
            execution("again", "t", 1), execution("again", "t", 1, attempt=2), execution("again", "t", 1, attempt=3),
            execution("rejected", "t", 1, outcome="rejected"), execution("rejected", "u", 1),
            execution("both", "t", 1, outcome="rejected"), execution("both", "t", 1, attempt=2),
            execution("late", "t", 1, attempt=2), execution("late", "t", 1, attempt=3), execution("late", "u", 1),
            execution("plain", "t", 1), execution("plain", "u", 1, outcome="failed"),
        ],
    )  # fmt: skip
    assert found == {"again": (1, 1), "rejected": (2, 1), "both": (1, 1), "late": (2, 1), "plain": (2, 0)}


def test_runs_are_counted_by_start_then_id_within_their_mission(build, policy):
    found = facts(
        build,
        policy,
        "run_seq",
        [
            run("b", "2026-03-02T09:00:00"), run("c", "2026-03-01T09:00:00"), run("a", "2026-03-02T09:00:00"),
            run("z", "2026-02-01T09:00:00", mission="N"),
        ],
    )  # fmt: skip
    assert found == {"c": (1,), "a": (2,), "b": (3,), "z": (1,)}


def test_the_day_is_that_of_the_end_or_of_the_start_while_open(build, policy):
    found = facts(
        build,
        policy,
        "run_date::varchar",
        [
            run("before midnight", "2026-03-01T23:00:00", "2026-03-01T23:59:59"),
            run("at midnight", "2026-03-01T23:00:00", "2026-03-02T00:00:00"),
            open_run("open", "2026-03-01T23:59:59"),
            open_run("blocked", "2026-03-02T00:00:00", status="blocked"),
            {**run("no end", "2026-03-03T10:00:00"), "end_time": None},
        ],
    )
    assert found == {
        "before midnight": ("2026-03-01",),
        "at midnight": ("2026-03-02",),
        "open": ("2026-03-01",),
        "blocked": ("2026-03-02",),
        "no end": ("2026-03-03",),
    }


@pytest.mark.parametrize(
    ("fields", "delay", "expected"),
    [
        ({}, 0, 100),
        ({"human_interventions": 1}, 0, 86),
        ({"escalations": 1}, 0, 82),
        ({"risk_flagged": True}, 0, 60),
        ({}, 10, 91),
        ({}, 38, 65.8),
        ({}, 39, 65),  # 35.1 points for the delay, but no more than 35
        ({"human_interventions": 1, "escalations": 1, "risk_flagged": True}, 100, 0),
        ({"status": "failed"}, 0, 50),
        ({"status": "failed", "human_interventions": 4}, 0, 44),
        ({"status": "cancelled"}, 0, None),
        ({"status": "running", "end_time": None}, 0, None),
        ({"human_interventions": None}, 0, None),
        ({"escalations": None}, 0, None),
        ({"risk_flagged": None}, 0, None),
        ({}, None, None),
        ({"status": "failed", "escalations": None}, 0, None),
    ],
)
def test_autonomy_of_a_run(build, policy, fields, delay, expected):
    found = facts(build, policy, "autonomy_score", [run("r", START, **fields)], [approved("r", "t", 10, delay)])
    assert found == {"r": (None if expected is None else pytest.approx(expected),)}


def test_autonomy_is_unknown_without_a_log(build, policy):
    assert facts(build, policy, "autonomy_score", [run("r", START)]) == {"r": (None,)}


@pytest.mark.parametrize(
    ("status", "interventions", "escalations", "expected"),
    [
        ("completed", 0, 0, True),
        ("completed", 1, 0, False),
        ("completed", 0, 1, False),
        ("completed", None, 0, None),
        ("completed", 0, None, None),
        ("completed", None, 2, None),
        ("failed", 0, 0, False),
        ("failed", None, None, False),
        ("cancelled", 0, 0, False),
        ("running", 0, 0, None),
        ("blocked", 1, 0, None),
    ],
)
def test_touchless(build, policy, status, interventions, escalations, expected):
    fields = {"status": status, "human_interventions": interventions, "escalations": escalations}
    assert facts(build, policy, "is_touchless", [run("r", START, **fields)]) == {"r": (expected,)}


def test_durations_may_include_the_wait(build, policy):
    """With that assumption the work is what remains, and never below 0."""
    found = facts(
        build, waits_included(policy), "task_minutes, approval_delay_minutes, overrun_minutes",
        [run("r", START), run("s", START), run("v", START)],
        [
            approved("r", "t", 16, 4), execution("r", "u", 20), approved("s", "t", 3, 4),
            execution("v", "t", 3, human_delay_minutes=None),
        ],
    )  # fmt: skip
    assert found == {"r": (32, 4, 2), "s": (0, 4, 0), "v": (None, 0, None)}

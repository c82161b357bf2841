"""What to fix: friction by the week, and what a task holds up, in small portfolios written by hand."""

from datetime import date, timedelta

import pytest
from judge_data import build_in_memory, given, given_shipped, run
from shipped_sample import SAMPLE

from mission_pipeline.judge.tables import judge_days
from mission_pipeline.judge.verdict import verdict_as_of
from mission_pipeline.judge.what_to_fix import TASK_FIXES, fixes_as_of
from mission_pipeline.policy import Policy

RAW_DATA = SAMPLE
AS_OF = date(2026, 3, 31)


def runs_ago(mission, *days, **fields):
    """Runs that ended so many days before the day judged, oldest first."""
    return [run(mission, str(AS_OF - timedelta(days=ago)), kpi=5, **fields) for ago in sorted(days, reverse=True)]


def friction(task, minutes, mission="A", **fields):
    return {
        "mission_id": mission,
        "task_id": task,
        "friction_date": date(2026, 1, 1),
        "friction_minutes": minutes,
        **fields,
    }


def task(task_id, *after, mission="A"):
    return {"mission_id": mission, "task_id": task_id, "task_name": f"Task {task_id}", "depends_on": list(after)}


def fixes_of(policy, runs, **portfolio):
    build = build_in_memory()
    given(build, runs, **portfolio)
    judge_days(build, policy, AS_OF)
    return fixes_as_of(build, AS_OF)


@pytest.mark.parametrize(
    ("days_ago", "per_week"),
    [
        ((200, 27, 14, 0), 0.75),  # three in four weeks: the 28th day back is the last that counts
        ((200, 28), 0),
        ((13, 0), 1),  # two in the fortnight since the first run
        ((4, 0), 2),  # a younger mission divides by a week
        ((0,), 1),
    ],
)
def test_runs_per_week(policy, days_ago, per_week):
    [fix] = fixes_of(policy, runs_ago("A", *days_ago), friction=[friction("T1", 6.0)])
    assert fix.runs_per_week == pytest.approx(per_week)
    assert fix.friction_minutes_per_week == pytest.approx(6 * per_week)


def test_only_finished_runs_count_as_runs_per_week(policy):
    runs = [*runs_ago("A", 3), *runs_ago("A", 2, status="failed"), *runs_ago("A", 1, status="cancelled"),
            *runs_ago("A", 0, status="running")]  # fmt: skip
    [fix] = fixes_of(policy, runs, friction=[friction("T1", 6.0)])
    assert fix.runs_per_week == 2


def test_a_mission_may_have_a_window_of_its_own(policy):
    own = Policy.model_validate({
        **policy.model_dump(exclude={"missions", "sha256"}), "missions": {"B": {"what_to_fix": {"weekly_window_days": 14}}},
    })  # fmt: skip
    runs = [*runs_ago("A", 60, 20, 13), *runs_ago("B", 60, 20, 13)]
    found = fixes_of(own, runs, friction=[friction("T1", 6.0), friction("T9", 6.0, "B")])
    assert {fix.mission_id: fix.runs_per_week for fix in found} == {"A": 0.5, "B": 0.5}
    found = fixes_of(own, runs_ago("B", 60, 20, 14), friction=[friction("T9", 6.0, "B")])
    assert found[0].runs_per_week == 0


def test_the_order_is_by_week_then_by_what_is_held_up_and_unknown_comes_last(policy):
    tasks = [task("T1"), task("T2", "T1"), task("T3", "T2"), task("T4"), task("T5"), task("T9", mission="B")]
    rows = [friction("T1", 2.0), friction("T3", 2.0), friction("T4", 3.0), friction("T5", None), friction("T2", 0.0),
            friction("T9", 1.0, "B")]  # fmt: skip
    found = fixes_of(
        policy, [*runs_ago("A", 20, 0), *runs_ago("B", 5, 4, 3, 2, 1, 0)], friction=rows, mission_tasks=tasks
    )
    assert [(fix.task_id, fix.holds_up) for fix in found] == [("T9", 0), ("T4", 0), ("T1", 2), ("T3", 0), ("T5", 0)]
    assert (found[-1].friction_minutes, found[-1].friction_minutes_per_week) == (None, None)


def test_what_is_held_up_is_counted_once_and_a_cycle_ends(policy):
    tasks = [task("T1"), task("T2", "T1"), task("T3", "T1"), task("T4", "T2", "T3"), task("T5", "T6"), task("T6", "T5")]
    found = fixes_of(
        policy, runs_ago("A", 0), friction=[friction(f"T{n}", 1.0) for n in range(1, 7)], mission_tasks=tasks
    )
    assert {fix.task_id: fix.holds_up for fix in found} == {"T1": 3, "T2": 1, "T3": 1, "T4": 0, "T5": 1, "T6": 1}


@pytest.mark.parametrize(("kpi", "is_top"), [(5, False), (9, True)])
def test_the_top_bottleneck_of_a_mission_that_is_not_on_track_is_marked(policy, kpi, is_top):
    runs = [{**one, "kpi": kpi} for one in runs_ago("A", 1, 0)]
    found = fixes_of(policy, runs, friction=[friction("T1", 1.0), friction("T2", 2.0)])
    assert {fix.task_id: fix.is_top_of_mission_not_on_track for fix in found} == {"T1": False, "T2": is_top}


def test_later_runs_and_friction_do_not_exist(policy):
    build = build_in_memory()
    later = {**friction("T1", 99.0), "friction_date": AS_OF + timedelta(days=1)}
    given(
        build, [*runs_ago("A", 1, 0), run("A", str(AS_OF + timedelta(days=1)))], friction=[friction("T1", 4.0), later]
    )
    judge_days(build, policy, AS_OF + timedelta(days=1))
    [fix] = fixes_as_of(build, AS_OF)
    assert (fix.friction_minutes, fix.runs_per_week) == (4, 2)


def test_the_shipped_data(policy):
    """T2 costs less in a run than T5, but M001 ran three times in its first week and M002 twice."""
    build, as_of = build_in_memory(), date(2026, 2, 6)
    given_shipped(build, RAW_DATA)
    judge_days(build, policy, as_of)
    verdict = verdict_as_of(build, policy, as_of)
    first, second = verdict.fixes[:2]
    assert (first.task_id, first.cause, first.runs_per_week, first.holds_up) == ("T2", "task_overrun", 3, 1)
    assert first.friction_minutes_per_week == pytest.approx(3 * 39 / 7)
    assert (second.task_id, second.runs_per_week, second.holds_up) == ("T5", 2, 0)
    assert second.friction_minutes_per_week == pytest.approx(2 * 22 / 3)
    assert (first.is_top_of_mission_not_on_track, second.is_top_of_mission_not_on_track) == (False, True)
    claimed = build.scalar(
        f"select friction_minutes_per_week from ({TASK_FIXES}) as fixes where task_id = $task",
        {"as_of": as_of, "task": "T5"},
    )
    assert claimed == second.friction_minutes_per_week

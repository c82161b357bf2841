"""The wait assumption against the same portfolio derived and judged with the policy's setting on."""

from datetime import date, timedelta

import numpy as np
import pytest
from derive_data import (
    approved,
    derive,
    event,
    execution,
    given,
    given_shipped,
    kpi,
    moment,
    observed,
    run,
    task,
    waits_included,
)
from judge_data import build_in_memory, write
from shipped_sample import SAMPLE

from mission_pipeline.judge.tables import judge_days
from mission_pipeline.judge.verdict import verdict_as_of
from mission_pipeline.policy import Policy

RAW_DATA = SAMPLE
AS_OF = date(2026, 3, 12)


def verdict_of(policy, stage, as_of=AS_OF):
    """Stage a portfolio, derive and judge it, and return its verdict and the newest friction of each task."""
    build = build_in_memory()
    stage(build)
    derive(build, policy)
    for name in ("quality.row_counts", "quality.reconciliation"):
        write(build, name, [])
    judge_days(build, policy, as_of)
    newest = build.frame(
        "select task_id, recent_hits, bottleneck_status, bottleneck_driver, friction_minutes from marts.task_friction "
        "where friction_date <= $as_of qualify row_number() over (partition by task_id order by friction_date desc) = 1",
        {"as_of": as_of},
    )
    return verdict_as_of(build, policy, as_of), {row[0]: row[1:] for row in newest.rows()}


def with_high_bottlenecks(policy):
    values = policy.model_dump()
    values["triggers"]["repeated_bottleneck"]["severity"] = "high"
    return Policy.model_validate(values)


def who(trigger):
    return trigger and (trigger["mission_id"], trigger["trigger_name"])


def test_the_overruns_of_t2_and_t5_of_the_shipped_data_are_explained(policy):
    """T2: 16 - 7, 13 - 4 and 11 - 2 minutes of 10; T5: 7 - 3 and 9 - 6 of 6. One wait of each was too long by itself."""
    verdict, _ = verdict_of(policy, lambda build: given_shipped(build, RAW_DATA), date(2026, 2, 6))
    found = verdict.wait_assumption
    assert [
        (one.task_id, one.runs, one.overrun_hits, one.overrun_hits_then, one.hits, one.hits_then, one.status, one.status_then)
        for one in found.explained
    ] == [
        ("T2", 3, 3, 0, 3, 1, "persistent", "isolated"),
        ("T5", 2, 2, 0, 2, 1, "recurring", "isolated"),
        ("T8", 3, 1, 0, 1, 1, "isolated", "isolated"),
    ]  # fmt: skip
    assert [one.driver for one in found.explained[:2]] == ["task_overrun", "task_overrun"]
    assert "task_overrun" not in {one.driver_then for one in found.explained}
    # Friction is then the wait alone: (2 + 4 / 2 + 7 / 4) / 1.75 and (6 + 3 / 2) / 1.5.
    assert [one.friction_minutes_then for one in found.explained[:2]] == pytest.approx([5.75 / 1.75, 5.0])
    assert (found.changes_driver, found.changes_status, found.status_then) == (False, False, "WATCH")
    assert who(found.driver_then) == ("M002", "AUTONOMY_REGRESSION")


def test_where_the_policy_says_so_already_it_is_no_assumption(policy):
    verdict, _ = verdict_of(waits_included(policy), lambda build: given_shipped(build, RAW_DATA), date(2026, 2, 6))
    assert verdict.wait_assumption is None


def overrunning(build):
    """Two missions on track but for a task each that overruns by its wait in every run."""
    missions, tasks, runs, logs, kpis, values = "MN", [], [], [], [], []
    for mission in missions:
        tasks.append(task(f"t{mission}", 10, mission))
        kpis.append(kpi("days", 10.0, 5.0, mission))
        for place in range(3):
            name = f"{mission}{place}"
            runs.append(run(name, f"2026-03-0{place + 1}T09:00:00", mission=mission, total_duration_minutes=20.0))
            logs.append(approved(name, f"t{mission}", 13, 4, mission=mission))
            values.append(observed(name, "days", 5.0, mission))
    given(build, mission_tasks=tasks, mission_runs=runs, task_executions=logs, mission_kpis=kpis, run_kpis=values)


def test_it_may_take_the_driver_away_and_change_the_status(policy):
    high = with_high_bottlenecks(policy)
    verdict, _ = verdict_of(high, overrunning, date(2026, 3, 3))
    assert (verdict.status, who(verdict.driver)) == ("WATCH", ("M", "REPEATED_BOTTLENECK"))
    found = verdict.wait_assumption
    assert (found.driver_then, found.changes_driver, found.status_then, found.changes_status) == (
        None, True, "ON_TRACK", True,
    )  # fmt: skip
    shared, _ = verdict_of(policy, overrunning, date(2026, 3, 3))
    assert (shared.status, shared.wait_assumption.changes_driver, shared.wait_assumption.changes_status) == (
        "ON_TRACK", True, False,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_it_says_what_the_policys_setting_would_do(policy, seed):
    """Random portfolios with attempts, unknown parts, open runs, plans without an estimate and reported events."""
    high = with_high_bottlenecks(policy)

    def stage(build):
        random = np.random.default_rng(seed)
        tasks, runs, logs, kpis, values, events = [], [], [], [], [], []
        for mission in "MNO":
            estimates = {f"{mission}{number}": float(random.integers(5, 12)) for number in range(3)}
            if mission == "O":
                estimates["O2"] = None
            tasks += [task(name, estimate, mission) for name, estimate in estimates.items()]
            kpis.append(kpi("days", 10.0, 5.0, mission))
            for place in range(random.integers(2, 9)):
                day = date(2026, 3, 1) + timedelta(days=place)
                name, status = (
                    f"{mission}-{place}",
                    random.choice(["completed"] * 5 + ["failed", "cancelled", "running"]),
                )
                start = f"{day}T09:00:00"
                ends = {} if status != "running" else {"end_time": None}
                late = f"{day + timedelta(days=5)}T09:00:00" if random.random() < 0.2 and not ends else None
                runs.append({
                    **run(name, start, late, mission, total_duration_minutes=30.0, status=str(status)), **ends,
                })  # fmt: skip
                values.append(observed(name, "days", 5.0, mission))
                for task_id in estimates:
                    for attempt in range(1, 2 + (random.random() < 0.2)):
                        minutes = None if random.random() < 0.05 else float(random.integers(3, 20))
                        delay = None if random.random() < 0.05 else float(random.choice([0, 0, 2, 4, 5, 8, 25]))
                        done = {"attempt": attempt, "mission": mission, "finished_at": moment(start)}
                        logs.append(
                            execution(name, task_id, minutes, **done)
                            if random.random() < 0.3
                            else approved(name, task_id, minutes, delay, **done)
                        )
                if random.random() < 0.3:
                    events.append(event(f"e{name}", name, f"{mission}0", mission_id=mission, detected_at=moment(start)))
        given(build, mission_tasks=tasks, mission_runs=runs, task_executions=logs, mission_kpis=kpis, run_kpis=values,
              risk_events=events)  # fmt: skip

    verdict, _ = verdict_of(high, stage)
    expected, friction = verdict_of(waits_included(high), stage)
    found = verdict.wait_assumption
    assert found.status_then == expected.status
    assert who(found.driver_then) == who(expected.driver)
    assert found.changes_driver == (who(verdict.driver) != who(expected.driver))
    assert found.changes_status == (verdict.status != expected.status)
    for one in found.explained:
        hits, status, driver, minutes = friction[one.task_id]
        assert (one.hits_then, one.status_then, one.driver_then) == (hits, status, driver)
        assert one.friction_minutes_then == (minutes if minutes is None else pytest.approx(minutes))
        assert one.overrun_hits_then < one.overrun_hits <= one.hits <= one.runs

"""marts.task_friction and marts.task_overrun_rates: minutes by day, hits, drivers, rates and the top bottleneck."""

import pytest
from derive_data import (
    DAYS,
    START,
    approved,
    derive,
    event,
    execution,
    given,
    moment,
    open_run,
    overridden,
    run,
    task,
    waits_included,
)


def staged(build, policy, runs, executions, tasks=None, events=()):
    given(
        build, mission_tasks=tasks or [task("t", 10)], mission_runs=runs, task_executions=list(executions),
        risk_events=list(events),
    )  # fmt: skip
    derive(build, policy, "task_overrun_rates")


def friction(build, columns, task_id="t"):
    return build.frame(
        f"select {columns} from marts.task_friction where task_id = $task order by friction_date", {"task": task_id}
    ).rows()


def rates(build, columns, task_id="t"):
    [row] = build.frame(
        f"select {columns} from marts.task_overrun_rates where task_id = $task", {"task": task_id}
    ).rows()
    return row


def daily(durations):
    """A run a day, with one execution of ``t`` each."""
    runs = [run(f"r{place}", DAYS[place]) for place in range(len(durations))]
    return runs, [execution(f"r{place}", "t", minutes) for place, minutes in enumerate(durations)]


def test_each_older_run_weighs_half_as_much(build, policy):
    staged(build, policy, *daily([14, 10, 12]))
    assert friction(build, "friction_minutes, runs_executed, runs_measured") == [
        (4, 1, 1),
        (pytest.approx((0 + 0.5 * 4) / 1.5), 2, 2),
        (pytest.approx((2 + 0.5 * 0 + 0.25 * 4) / 1.75), 3, 3),
    ]


def test_attempts_of_a_run_are_added_up_and_waiting_counts(build, policy):
    runs = [run("r", DAYS[0])]
    attempts = [approved("r", "t", 12, 3, outcome="rejected"), approved("r", "t", 9, 4, attempt=2)]
    staged(build, policy, runs, attempts)
    assert friction(build, "friction_minutes, recent_hits, mean_actual_minutes, mean_human_delay_minutes") == [
        (9, 1, 10.5, 3.5)  # 2 + 3 + 0 + 4; one run is one hit
    ]


def test_a_run_with_an_unknown_part_is_left_out_of_the_mean(build, policy):
    runs, executions = daily([14, None, 12])
    staged(build, policy, runs, [*executions, execution("r0", "t", 10, attempt=2, human_delay_minutes=None)])
    assert friction(build, "friction_minutes, runs_executed, runs_measured") == [(None, 1, 0), (None, 2, 0), (2, 3, 1)]


def test_a_task_without_an_estimate_has_no_friction_but_may_wait_too_long(build, policy):
    runs = [run("r", DAYS[0])]
    staged(build, policy, runs, [approved("r", "t", 12, 5)], [task("t", None)])
    assert friction(build, "friction_minutes, recent_hits, bottleneck_status, bottleneck_driver") == [
        (None, 1, "isolated", "approval_delay")
    ]


@pytest.mark.parametrize(
    ("minutes", "delay", "hits"),
    [(10.5, 0, 0), (10.51, 0, 1), (10, 4.99, 0), (10, 5, 1), (None, 5, 1), (11, None, 1), (None, None, 0)],
)
def test_a_run_is_a_hit_beyond_105_percent_or_from_5_minutes_of_waiting(build, policy, minutes, delay, hits):
    staged(build, policy, [run("r", DAYS[0])], [approved("r", "t", minutes, delay)])
    assert friction(build, "recent_hits") == [(hits,)]


def test_the_limit_of_a_hit_carries_no_crumbs_of_floating_point(build, policy):
    """In floating point 1.05 times this estimate is a little less than it is."""
    estimate, limit = 1.9, 1.995
    assert 1.05 * estimate < limit
    staged(build, policy, [run("r", START)], [execution("r", "t", limit)], [task("t", estimate)])
    assert friction(build, "recent_hits, bottleneck_driver") == [(0, "none")]


@pytest.mark.parametrize(
    ("durations", "status"),
    [
        ([10, 10, 10], "clear"),
        ([12, 10, 10], "isolated"),
        ([12, 10, 12], "recurring"),
        ([12, 12, 12], "persistent"),
        ([12, 12, 12, 10], "recurring"),
        ([12, 12, 12, 10, 10, 10], "clear"),
    ],
)
def test_status_by_the_hits_of_the_last_three_runs(build, policy, durations, status):
    staged(build, policy, *daily(durations))
    assert friction(build, "bottleneck_status")[-1] == (status,)


@pytest.mark.parametrize(
    ("minutes", "delay", "events", "driver"),
    [
        (20, 5, 1, "approval_delay"),
        (20, 4.9, 1, "task_overrun"),
        (10.5, 4.9, 1, "risk"),
        (10.5, 4.9, 0, "none"),
        (None, None, 0, "none"),
    ],
)
def test_the_driver_is_the_first_that_applies(build, policy, minutes, delay, events, driver):
    reported = [event(f"e{n}", "r", "t", detected_at=moment(DAYS[0])) for n in range(events)]
    staged(build, policy, [run("r", DAYS[0])], [approved("r", "t", minutes, delay)], events=reported)
    assert friction(build, "bottleneck_driver, risk_events") == [(driver, events)]


def test_a_run_is_known_from_the_day_it_ended_and_keeps_its_place(build, policy):
    """r0 started first and ended last: until then only r1 is known, after that r1 is still the newest."""
    runs = [run("r0", DAYS[0], DAYS[4]), run("r1", DAYS[1], DAYS[1]), run("r2", DAYS[5], DAYS[5])]
    executions = [execution("r0", "t", 18), execution("r1", "t", 11), execution("r2", "t", 10)]
    staged(build, policy, runs, executions)
    assert friction(build, "friction_date::varchar, runs_executed, friction_minutes, recent_hits") == [
        ("2026-03-02", 1, 1, 1),
        ("2026-03-05", 2, pytest.approx((1 + 0.5 * 8) / 1.5), 2),
        ("2026-03-06", 3, pytest.approx((0 + 0.5 * 1 + 0.25 * 8) / 1.75), 2),
    ]


def test_an_execution_of_an_open_run_is_known_when_it_finished(build, policy):
    runs = [open_run("o", DAYS[0]), open_run("p", DAYS[1]), run("r", DAYS[0], DAYS[2])]
    executions = [
        execution("o", "t", 10, finished_at=moment("2026-03-02T00:00:00")), execution("p", "t", 10),
        execution("r", "t", 10, finished_at=moment("2026-03-01T10:00:00")),
    ]  # fmt: skip
    staged(build, policy, runs, executions)
    # o when it finished, p on its day, both the second of March; r with the end of its run.
    assert friction(build, "friction_date::varchar, runs_executed") == [("2026-03-02", 2), ("2026-03-03", 3)]


def test_an_event_counts_from_the_day_it_was_detected(build, policy):
    runs = [run("r", DAYS[0]), run("s", DAYS[4])]
    executions = [execution("r", "t", 10), execution("s", "t", 10)]
    events = [
        event("later", "r", "t", detected_at=moment("2026-03-03T00:00:00")),
        event("no time", "s", "t"),  # then the day of its run
        event("other task", "s", "u", detected_at=moment(DAYS[0])),
    ]
    staged(build, policy, runs, executions, [task("t", 10), task("u", 10)], events)
    assert friction(build, "friction_date::varchar, runs_executed, risk_events, bottleneck_driver") == [
        ("2026-03-01", 1, 0, "none"),
        ("2026-03-03", 1, 1, "risk"),  # no run on this day, but what is known of the task changed
        ("2026-03-05", 2, 2, "risk"),
    ]
    assert friction(build, "friction_date", "u") == []  # never executed
    assert rates(build, "risk_events") == (2,)


def test_an_event_before_the_first_run_counts_in_it(build, policy):
    reported = [event("early", "r", "t", detected_at=moment(DAYS[0]))]
    staged(build, policy, [run("r", DAYS[2])], [execution("r", "t", 10)], events=reported)
    assert friction(build, "friction_date::varchar, risk_events") == [("2026-03-03", 1)]


def test_missions_may_have_their_own_friction_limits(build, policy):
    friction_of_m = {"decay_per_run": 1.0, "recent_runs": 2, "delay_hit_minutes": 2.0, "recurring_hits": 1}
    own = overridden(policy, {"M": {"friction": friction_of_m}})
    runs = [run(f"{m}{place}", DAYS[place], mission=m) for m in "MN" for place in range(3)]
    executions = [
        execution(f"{m}{place}", f"t{m}", 10, mission=m, human_delay_minutes=delay)
        for m in "MN"
        for place, delay in enumerate((3, 0, 3))
    ]
    staged(build, own, runs, executions, [task("tM", 10), task("tN", 10, mission="N")])
    columns = "friction_minutes, recent_hits, bottleneck_status, bottleneck_driver"
    assert friction(build, columns, "tM")[-1] == (2, 1, "recurring", "approval_delay")
    assert friction(build, columns, "tN")[-1] == (pytest.approx((3 + 0.25 * 3) / 1.75), 0, "clear", "none")


def test_rates_and_quantiles_of_known_durations(build, policy):
    staged(build, policy, *daily([10, 11, 14, None, 8]))
    found = rates(
        build,
        "executions, measured_executions, overrun_count, overrun_rate, mean_actual_minutes, median_actual_minutes, "
        "p90_actual_minutes, mean_overrun_minutes, estimated_minutes, task_name",
    )
    # 10 is no overrun; the 90th percentile of 8, 10, 11, 14 lies at 2.7 of 3: 11 + 0.7 * 3
    assert found == (5, 4, 2, 0.5, 10.75, 10.5, pytest.approx(13.1), 1.25, 10, "Task t")


def test_the_interval_is_wilsons(build, policy):
    staged(build, policy, *daily([11, 12, 13]))
    assert rates(build, "overrun_rate, round(overrun_rate_low, 2), overrun_rate_high") == (1, 0.44, 1)


def test_nothing_measured_is_no_rate_of_zero(build, policy):
    staged(build, policy, *daily([None]))
    assert rates(
        build,
        "executions, measured_executions, overrun_count, overrun_rate, overrun_rate_low, overrun_rate_high, "
        "mean_actual_minutes, p90_actual_minutes, mean_overrun_minutes, friction_minutes, is_top_bottleneck",
    ) == (1, 0, 0, None, None, None, None, None, None, None, False)


def test_the_top_bottleneck_has_the_most_minutes_and_ties_go_by_name(build, policy):
    tasks = [task(name, 10) for name in "abcd"] + [task("n", 10, mission="N"), task("o", 10, mission="O")]
    runs = [run("r", DAYS[0]), run("s", DAYS[0], mission="N"), run("u", DAYS[0], mission="O")]
    executions = [
        execution("r", "a", 10), execution("r", "c", 13), execution("r", "b", 13), execution("r", "d", None),
        execution("s", "n", 10, mission="N"), execution("u", "o", 11, mission="O"),
    ]  # fmt: skip
    staged(build, policy, runs, executions, tasks)
    found = build.frame("select task_id from marts.task_overrun_rates where is_top_bottleneck order by 1").rows()
    assert found == [("b",), ("o",)]  # a mission without friction has none


def test_the_latest_day_of_friction_is_the_tables(build, policy):
    staged(build, policy, *daily([14, 10]))
    assert (
        rates(build, "friction_minutes, bottleneck_status, bottleneck_driver")
        == friction(build, "friction_minutes, bottleneck_status, bottleneck_driver")[-1]
    )


def test_durations_that_include_the_wait_count_it_once(build, policy):
    runs = [run("r", DAYS[0]), run("s", DAYS[1])]
    staged(build, waits_included(policy), runs, [approved("r", "t", 14.3, 4.3), approved("s", "t", 16, 4)])
    assert friction(build, "friction_minutes, mean_actual_minutes, recent_hits") == [
        (4.3, 10, 0),
        (pytest.approx((6 + 0.5 * 4.3) / 1.5), 11, 1),
    ]
    assert rates(build, "overrun_count, mean_overrun_minutes, mean_actual_minutes") == (1, 1, 11)

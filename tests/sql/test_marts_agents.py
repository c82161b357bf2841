"""marts.agent_rolling_stats and marts.agent_routing: windows, shared escalations, ranks that follow the figures."""

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
    overridden,
    run,
    task,
    waits_included,
)


def stats(build, columns, agent="A", window="all"):
    return build.frame(
        f"select {columns} from marts.agent_rolling_stats where agent_id = $agent and stat_window = $stat_window "
        "order by stat_date",
        {"agent": agent, "stat_window": window},
    ).rows()


def staged(build, policy, runs, executions, events=(), tasks=None):
    given(
        build, mission_tasks=tasks or [task("t", 10), task("u", 10), task("v", 10)], mission_runs=runs,
        task_executions=list(executions), risk_events=list(events),
    )  # fmt: skip
    derive(build, policy, "agent_rolling_stats")


def test_windows_are_calendar_days_with_the_last_one_included(build, policy):
    days = ["2026-01-01", "2026-01-07", "2026-01-08", "2026-01-30", "2026-01-31"]
    runs = [run(day, f"{day}T09:00:00") for day in days]
    staged(build, policy, runs, [execution(day, "t", 10 + place) for place, day in enumerate(days)])
    assert stats(build, "stat_date::varchar, executions", window="7d") == [
        ("2026-01-01", 1),
        ("2026-01-07", 2),  # the seventh day of a window that opens on the first
        ("2026-01-08", 2),  # the eighth: the first has left
        ("2026-01-30", 1),
        ("2026-01-31", 2),
    ]
    assert [n for (n,) in stats(build, "executions", window="30d")] == [1, 2, 3, 4, 4]
    assert stats(build, "executions, avg_task_duration_minutes") == [(1, 10), (2, 10.5), (3, 11), (4, 11.5), (5, 12)]


def test_an_execution_belongs_to_the_day_it_finished_else_to_its_runs(build, policy):
    executions = [
        execution("r", "t", 5, finished_at=moment("2026-02-28T23:59:59")),
        execution("r", "u", 5, finished_at=moment("2026-03-01T00:00:00")),
        execution("r", "v", 5),
    ]
    staged(build, policy, [run("r", "2026-02-28T23:00:00", "2026-03-02T01:00:00")], executions)
    found = stats(build, "stat_date::varchar, executions", window="7d")
    assert found == [("2026-02-28", 1), ("2026-03-01", 2), ("2026-03-02", 3)]


def test_agents_and_days_without_activity_are_kept_apart(build, policy):
    runs = [run("r", DAYS[0]), run("s", DAYS[1])]
    staged(build, policy, runs, [execution("r", "t", 4), execution("s", "t", 6), execution("s", "u", 8, agent_id="B")])
    assert stats(build, "stat_date::varchar, avg_task_duration_minutes") == [("2026-03-01", 4), ("2026-03-02", 5)]
    assert stats(build, "stat_date::varchar, avg_task_duration_minutes", "B") == [("2026-03-02", 8)]


def test_means_and_rates_are_over_what_is_known(build, policy):
    executions = [
        execution("r", "t", None, human_delay_minutes=None), execution("r", "u", 12, human_delay_minutes=4),
        execution("r", "v", 10, human_delay_minutes=0), execution("r", "w", 30, human_delay_minutes=2),
    ]  # fmt: skip
    tasks = [task("t", 10), task("u", 10), task("v", 10), task("w", None)]
    staged(build, policy, [run("r", START)], executions, tasks=tasks)
    columns = "executions, avg_task_duration_minutes, overrun_rate, avg_human_delay_minutes"
    assert stats(build, columns) == [(4, pytest.approx(52 / 3), 0.5, 2)]


def test_nothing_known_is_no_rate_of_zero(build, policy):
    runs = [run("r", START, escalations=None)]
    staged(build, policy, runs, [execution("r", "t", None, human_delay_minutes=None)])
    assert stats(
        build,
        "executions, avg_task_duration_minutes, approval_decisions, approval_rate, escalation_rate, overrun_rate, "
        "avg_human_delay_minutes",
    ) == [(1, None, 0, None, None, None, None)]


def test_approvals_are_counted_against_decisions(build, policy):
    executions = [
        approved("r", "t", 5, 1), approved("r", "u", 5, 1, outcome="rejected"), approved("r", "u", 5, 1, attempt=2),
        approved("r", "v", 5, 1, outcome="timed_out"),
    ]  # fmt: skip
    staged(build, policy, [run("r", START)], executions)
    assert stats(build, "approval_decisions, approval_rate") == [(3, pytest.approx(2 / 3))]


SHARED = [execution("r", "t", 5), approved("r", "u", 5, 1, agent_id="B"), execution("r", "v", 5, agent_id="C")]


@pytest.mark.parametrize(
    ("executions", "events", "expected"),
    [
        (SHARED, [event("e", "r", "v")], {"A": 0, "B": 0, "C": 3}),
        (SHARED, [event("e", "r", "v"), event("f", "r", "t"), event("g", "r", "t")], {"A": 1.5, "B": 0, "C": 1.5}),
        (SHARED, [event("e", "other", "v")], {"A": 0, "B": 3, "C": 0}),
        (SHARED, [event("e", "r", "not executed")], {"A": 0, "B": 3, "C": 0}),
        (
            [{**row, "human_approval_required": None} for row in SHARED],
            [],
            {"A": 1, "B": 1, "C": 1},
        ),
        (
            [*SHARED, execution("r", "v", 5, attempt=2)],
            [event("e", "r", "v")],
            {"A": 0, "B": 0, "C": 3 / 2, "_": 3 / 2},
        ),
    ],
)
def test_a_runs_escalations_are_shared_over_the_executions_they_point_at(build, policy, executions, events, expected):
    """Named by an event; if none is, those that required approval; if none did, all. Rates are per execution."""
    runs = [run("r", START, escalations=3), run("other", START)]
    staged(build, policy, runs, executions, events)
    shares = {"A": 0.0, "_": 0.0}
    for agent in "ABC":
        for executed, rate in stats(build, "executions, escalation_rate", agent):
            shares[agent] = rate * executed
    if "_" in expected:  # the second attempt is A's
        expected = {**expected, "A": expected["_"]}
        assert stats(build, "executions, escalation_rate", "A") == [(2, 0.75)]
    assert {agent: shares[agent] for agent in "ABC"} == pytest.approx({agent: expected[agent] for agent in "ABC"})


def test_shares_add_up_to_the_runs_escalations(build, policy):
    runs = [run("r", START, escalations=1), run("s", START, escalations=2), run("none", START)]
    executions = [execution(r, t, 5, agent_id=a) for r in ("r", "s", "none") for t, a in zip("tuv", "ABC", strict=True)]
    staged(build, policy, runs, executions)
    total = sum(n * rate for agent in "ABC" for n, rate in stats(build, "executions, escalation_rate", agent))
    assert total == pytest.approx(3)


def test_the_escalation_rate_is_over_executions_whose_run_reports_them(build, policy):
    runs = [run("r", START, escalations=None), run("s", START, escalations=1)]
    staged(build, policy, runs, [execution("r", "t", 5), execution("s", "t", 5), execution("s", "u", 5)])
    assert stats(build, "executions, escalation_rate") == [(3, 0.5)]


def test_what_has_left_a_window_leaves_no_crumbs(build, policy):
    runs = [run("r", "2026-01-01T09:00:00", escalations=1), run("s", "2026-03-01T09:00:00")]
    executions = [execution("r", t, 0.1, agent_id=a) for t, a in zip("tuv", "ABC", strict=True)]
    staged(build, policy, runs, [*executions, execution("s", "t", 0.3)])
    assert stats(build, "avg_task_duration_minutes, escalation_rate", window="30d")[-1] == (0.3, 0)


# ---------- routing


def routing(build, policy, executions, agents=("A", "B"), tasks=(("t", 10),), runs=None, statuses=None):
    given(
        build,
        mission_tasks=[task(task_id, estimate) for task_id, estimate in tasks],
        agents=[{"agent_id": agent, "status": (statuses or {}).get(agent, "available")} for agent in agents],
        agent_capabilities=[{"task_id": task_id, "agent_id": agent} for task_id, _ in tasks for agent in agents],
        mission_runs=runs or [run(run_id, START) for run_id in dict.fromkeys(e["run_id"] for e in executions)],
        task_executions=executions,
    )
    derive(build, policy, "agent_routing")
    return build.frame(
        "select task_id, agent_id, score, speed_score, quality_score, executions, evidence from marts.agent_routing "
        "order by task_id, rank"
    ).rows()


def test_speed_is_against_the_tasks_own_estimate_and_shrunk(build, policy):
    executions = [execution(f"r{n}", "t", 5) for n in range(3)] + [execution(f"r{n}", "u", 30) for n in range(3)]
    found = routing(build, policy, executions, ("A",), (("t", 10), ("u", 60)))
    # 10 / (10 + 5) = 60 / (60 + 30); (3 * 2/3 + 5 * 0.5) / (3 + 5); (3 * 1 + 5 * 0.7) / (3 + 5)
    expected = (pytest.approx((0.5625 + 0.8125) / 2), pytest.approx(0.5625), pytest.approx(0.8125), 3, "thin")
    assert found == [("t", "A", *expected), ("u", "A", *expected)]


def test_an_agent_without_executions_gets_the_prior(build, policy):
    assert routing(build, policy, [], ("A",)) == [("t", "A", 0.6, 0.5, 0.7, 0, "none")]


@pytest.mark.parametrize(("executed", "evidence"), [(4, "thin"), (5, "sufficient")])
def test_evidence_is_sufficient_when_it_weighs_as_much_as_the_prior(build, policy, executed, evidence):
    found = routing(build, policy, [execution(f"r{n}", "t", 10) for n in range(executed)], ("A",))
    assert found[0][5:] == (executed, evidence)


def test_one_of_one_does_not_outrank_45_of_50(build, policy):
    runs = [run(f"r{n}", START, escalations=int(n < 5)) for n in range(50)] + [run("one", START)]
    executions = [execution(f"r{n}", "t", 10, agent_id="B") for n in range(50)] + [execution("one", "t", 10)]
    found = routing(build, policy, executions, runs=runs)
    assert [row[1] for row in found] == ["B", "A"]
    assert found[0][4] == pytest.approx((45 + 5 * 0.7) / 55)
    assert found[1][4] == pytest.approx((1 + 5 * 0.7) / 6)


def test_the_order_changes_when_the_figures_change(build, policy):
    def order(minutes_of_a, minutes_of_b):
        executions = [execution(f"a{n}", "t", minutes_of_a) for n in range(6)]
        executions += [execution(f"b{n}", "t", minutes_of_b, agent_id="B") for n in range(6)]
        return [row[1] for row in routing(build, policy, executions)]

    assert order(8, 12) == ["A", "B"]
    assert order(12, 8) == ["B", "A"]
    assert order(10, 10) == ["A", "B"]  # a tie goes by name


def test_escalations_cost_quality(build, policy):
    runs = [run("r", START, escalations=1), run("s", START)]
    executions = [execution("r", "t", 10), execution("s", "t", 10, agent_id="B")]
    found = routing(build, policy, executions, runs=runs)
    assert [(row[1], row[4]) for row in found] == [
        ("B", pytest.approx((1 + 3.5) / 6)),
        ("A", pytest.approx((0 + 3.5) / 6)),
    ]


def test_quality_is_never_below_zero(build, policy):
    found = routing(build, policy, [execution("r", "t", 10)], ("A",), runs=[run("r", START, escalations=9)])
    assert found[0][4] == pytest.approx(3.5 / 6)


def test_only_the_work_at_this_task_counts(build, policy):
    executions = [execution("r", "t", 5), execution("s", "u", 90)]
    found = routing(build, policy, executions, ("A",), (("t", 10), ("u", 10)))
    assert [(row[0], row[3]) for row in found] == [
        ("t", pytest.approx((10 / 15 + 2.5) / 6)),
        ("u", pytest.approx((10 / 100 + 2.5) / 6)),
    ]


def test_only_capable_agents_are_listed_and_the_unavailable_come_last(build, policy):
    executions = [execution(f"a{n}", "t", 5) for n in range(9)] + [execution("x", "t", 1, agent_id="X")]
    found = routing(build, policy, executions, ("A", "B", "C", "D"), statuses={"A": "maintenance", "C": None})
    assert [row[1] for row in found] == ["B", "D", "A", "C"]


@pytest.mark.parametrize(
    ("minutes", "estimate", "escalations", "speed", "quality"),
    [
        (None, 10, 0, 0.5, 4.5 / 6),
        (5, None, 0, 0.5, 4.5 / 6),
        (5, 0, 0, 0.5, 4.5 / 6),
        (0, 10, 0, (1 + 2.5) / 6, 4.5 / 6),
        (5, 10, None, (2 / 3 + 2.5) / 6, 0.7),
    ],
)
def test_what_is_not_known_weighs_nothing(build, policy, minutes, estimate, escalations, speed, quality):
    runs = [run("r", START, escalations=escalations)]
    found = routing(build, policy, [execution("r", "t", minutes)], ("A",), (("t", estimate),), runs=runs)
    assert found[0][3:] == (pytest.approx(speed), pytest.approx(quality), 1, "thin")


def test_weights_come_from_the_policy(build, policy):
    own = overridden(policy, {"M": {"routing": {"speed_weight": 1.0, "quality_weight": 0.0}}})
    [row] = routing(build, own, [execution("r", "t", 5)], ("A",))
    assert row[2] == row[3] == pytest.approx((2 / 3 + 2.5) / 6)


def test_durations_that_include_the_wait_leave_the_work(build, policy):
    executions = [execution("r", "t", 12, human_delay_minutes=4), execution("s", "t", 3, human_delay_minutes=9)]
    [row] = routing(build, waits_included(policy), executions, ("A",))
    assert row[3] == pytest.approx((2 * 10 / (10 + 4) + 2.5) / 7)  # 8 and 0 minutes of work


def works(agent, outcomes, minutes=10.0):
    """An execution of t by an agent for each outcome, in a quiet run of its own."""
    return [execution(f"{agent}{n}", "t", minutes, agent_id=agent, outcome=one) for n, one in enumerate(outcomes)]


@pytest.mark.parametrize("lost", ["failed", "timed_out", "rejected", "escalated"])
def test_an_agent_that_loses_all_its_work_ranks_below_a_mediocre_one(build, policy, lost):
    """Nobody escalated any of it: A is as good as never done, B did three of six."""
    found = routing(build, policy, [*works("A", [lost] * 6), *works("B", ["completed", lost] * 3)])
    assert [(row[1], row[4]) for row in found] == [
        ("B", pytest.approx((3 + 3.5) / 11)),
        ("A", pytest.approx((0 + 3.5) / 11)),
    ]


def test_a_rejection_lowers_quality(build, policy):
    found = routing(build, policy, [*works("A", ["approved", "rejected"]), *works("B", ["approved", "approved"])])
    assert [(row[1], row[4]) for row in found] == [
        ("B", pytest.approx((2 + 3.5) / 7)),
        ("A", pytest.approx((1 + 3.5) / 7)),
    ]


def test_a_lost_execution_is_one_fault_however_often_it_was_escalated(build, policy):
    """r: lost, and escalated twice. s: done, half an escalation. u: done, two escalations, which are one fault."""
    runs = [run("r", START, escalations=2), run("s", START, escalations=1), run("u", START, escalations=2)]
    executions = [
        execution("r", "t", 10, outcome="failed"), execution("s", "t", 10), execution("s", "v", 10, agent_id="B"),
        execution("u", "t", 10),
    ]  # fmt: skip
    tasks = (("t", 10), ("v", 10))
    found = {row[:2]: row[4] for row in routing(build, policy, executions, tasks=tasks, runs=runs)}
    assert found["t", "A"] == pytest.approx((0 + 0.5 + 0 + 3.5) / 8)


def test_a_cancelled_execution_says_nothing_of_its_agent(build, policy):
    found = routing(build, policy, works("A", ["cancelled"] * 6, minutes=1), ("A",))
    assert found == [("t", "A", 0.6, 0.5, 0.7, 6, "none")]
    found = routing(build, policy, works("A", ["completed"] * 4 + ["cancelled"], minutes=10), ("A",))
    assert found[0][3:] == (pytest.approx(0.5), pytest.approx((4 + 3.5) / 9), 5, "thin")


@pytest.mark.parametrize("outcome", ["failed", "timed_out", "rejected", "escalated", "cancelled"])
def test_what_gave_no_result_is_not_fast(build, policy, outcome):
    """Three results in 10 minutes each, as planned; what ended in one minute without a result is no speed."""
    executions = [*works("A", ["completed"] * 3), *works("B", ["completed"] * 3)]
    executions += [execution(f"x{n}", "t", 1, outcome=outcome) for n in range(3)]
    found = {row[1]: row[3] for row in routing(build, policy, executions)}
    assert found == {"A": pytest.approx(0.5), "B": pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("outcomes", "quality"),
    [
        (["completed"] * 6, 0.7),
        (["failed"] * 6, (0 + 3.5) / 11),
        # Half of it is lost, the other half is as good as the prior; only the lost ones are known to weigh.
        (["completed", "failed"] * 3, (3 * 0.5 * 0.7 + 3.5) / 8),
    ],
)
def test_where_no_escalations_are_reported_a_loss_still_counts_and_a_result_is_no_success(
    build, policy, outcomes, quality
):
    runs = [run(f"A{n}", START, escalations=None) for n in range(6)]
    found = routing(build, policy, works("A", outcomes), ("A",), runs=runs)
    assert found[0][4] == pytest.approx(quality)


def test_few_losses_among_many_results_of_unknown_escalations_stay_few(build, policy):
    """One of ten lost; of the nine results one run reports its escalations, none: 0.9, and two executions weigh."""
    runs = [run(f"A{n}", START, escalations=None if n else 0) for n in range(10)]
    found = routing(build, policy, works("A", ["completed"] * 9 + ["failed"]), ("A",), runs=runs)
    assert found[0][4] == pytest.approx((2 * 0.9 + 3.5) / 7)


def test_the_order_changes_when_the_outcomes_change(build, policy):
    def order(outcome_of_a, outcome_of_b):
        executions = [*works("A", [outcome_of_a] * 6), *works("B", [outcome_of_b] * 6)]
        return [row[1] for row in routing(build, policy, executions)]

    assert order("completed", "rejected") == ["A", "B"]
    assert order("timed_out", "completed") == ["B", "A"]
    assert order("completed", "completed") == ["A", "B"]

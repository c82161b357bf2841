"""Another portfolio: other names, a higher-is-better KPI, second attempts, rejections, failed, cancelled and open runs.

Every expected figure is worked out by hand from tests/portfolios.py.
"""

from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def other(other_portfolio):
    def one(sql):
        with other_portfolio.warehouse.published() as connection:
            [row] = connection.sql(sql).fetchall()
        return row

    def many(sql):
        with other_portfolio.warehouse.published() as connection:
            return connection.sql(sql).fetchall()

    return SimpleNamespace(outcome=other_portfolio.outcome, brief=other_portfolio.brief, one=one, many=many)


def test_everything_was_accepted_and_the_newest_day_judged(other):
    assert other.many("select * from quality.rejected_rows") == []
    assert str(other.outcome.as_of) == "2026-03-06"
    assert other.many("select run_id, run_seq, run_date::varchar from marts.mission_run_facts order by run_id") == [
        ("o1", 1, "2026-03-01"), ("o2", 2, "2026-03-02"), ("o3", 3, "2026-03-03"), ("o4", 4, "2026-03-04"),
        ("o5", 5, "2026-03-06"), ("r1", 1, "2026-03-01"), ("r2", 2, "2026-03-04"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("run_id", "expected"),
    [  # task, approval delay, overrun, unattributed, flow, tasks, reworked, autonomy, touchless
        ("o1", (32, 6, 2, 22, 32 / 60, 2, 0, 80.6, False)),
        ("o2", (23, 0, 5, 7, 23 / 30, 1, 1, 0.0, False)),
        ("o3", (None, None, None, None, None, 0, 0, None, False)),
        ("o4", (9, 0, 0, None, None, 1, 0, None, None)),
        ("o5", (57, 7, 7, 26, 57 / 90, 2, 1, None, True)),
        ("r1", (None, 1, None, None, None, 2, 0, 99.1, True)),
        ("r2", (12, 2, 0, 26, 12 / 40, 2, 0, None, None)),
    ],
)
def test_run_facts(other, run_id, expected):
    found = other.one(
        "select task_minutes, approval_delay_minutes, overrun_minutes, unattributed_minutes, flow_efficiency, "
        "tasks_executed, reworked_tasks, autonomy_score, is_touchless "
        f"from marts.mission_run_facts where run_id = '{run_id}'"
    )
    assert found == tuple(pytest.approx(value) if isinstance(value, float) else value for value in expected)


@pytest.mark.parametrize(
    ("run_id", "kpi", "expected"),
    [  # direction, previous, vs previous, vs first, vs baseline, gap, gap %, attainment, status
        ("o1", "recovery_minutes", ("lower_is_better", None, None, 0, 10, 15, 50, 0.25, "off")),
        ("o5", "recovery_minutes", ("lower_is_better", 45, 100 * 5 / 45, 100 * 5 / 45, 20, 10, 100 / 3, 0.5, "off")),
        ("r1", "renewal_rate_pct", ("higher_is_better", None, None, 0, 100 / 30, 18, 22.5, 0.1, "off")),
        (
            "r2",
            "renewal_rate_pct",
            ("higher_is_better", 62, 100 * 8 / 62, 100 * 8 / 62, 100 / 6, 10, 12.5, 0.5, "near"),
        ),
        ("r1", "refunds", ("lower_is_better", None, None, 0, None, 2, 200 / 3, None, "off")),
        ("r2", "refunds", ("lower_is_better", 5, 60, 60, None, 0, 0, None, "met")),
    ],
)
def test_kpi_deltas(other, run_id, kpi, expected):
    found = other.one(
        "select direction, previous_value, improvement_vs_previous_pct, improvement_vs_first_pct, "
        "improvement_vs_baseline_pct, gap_to_target, gap_to_target_pct, attainment_share, target_status "
        f"from marts.run_kpi_deltas where run_id = '{run_id}' and kpi_name = '{kpi}'"
    )
    assert found == tuple(pytest.approx(value) if isinstance(value, (int, float)) else value for value in expected)


def test_task_overrun_rates(other):
    assert other.one(
        "select executions, mean_actual_minutes, median_actual_minutes, p90_actual_minutes, overrun_count, overrun_rate, "
        "mean_overrun_minutes, friction_minutes from marts.task_overrun_rates where task_id = 'd1'"
    ) == (5, pytest.approx(10.8), 10, pytest.approx(13.8), 2, 0.4, pytest.approx(1.4), pytest.approx(0.8))
    assert other.one(
        "select executions, overrun_rate, mean_human_delay_minutes, friction_minutes, bottleneck_status, is_top_bottleneck "
        "from marts.task_overrun_rates where task_id = 'd2'"
    ) == (3, pytest.approx(2 / 3), pytest.approx(13 / 3), pytest.approx((14 + 0.5 * 6) / 1.5), "recurring", True)
    # s2: one duration is unknown, so its first run's friction is; only the second run counts.
    assert other.one(
        "select executions, measured_executions, overrun_count, mean_actual_minutes, friction_minutes "
        "from marts.task_overrun_rates where task_id = 's2'"
    ) == (2, 1, 0, 8, 2)
    assert other.many("select task_id from marts.task_overrun_rates where mission_id = 'NEW'") == []


def test_agents_share_their_runs_escalations(other):
    latest = (
        "select executions, avg_task_duration_minutes, approval_decisions, approval_rate, escalation_rate "
        "from marts.agent_rolling_stats where stat_window = 'all' and agent_id = '{}' order by stat_date desc limit 1"
    )
    # The two escalations of o2: no event names a task, no execution required approval, so its two executions share them.
    assert other.one(latest.format("B1")) == (2, 13.5, 0, None, 0.5)
    assert other.one(latest.format("B2")) == (
        6, pytest.approx(94 / 6), 3, pytest.approx(2 / 3), pytest.approx(1 / 6)
    )  # fmt: skip


def test_a_window_of_seven_days_counts_calendar_days(other):
    found = other.many(
        "select stat_date::varchar, executions from marts.agent_rolling_stats "
        "where stat_window = '7d' and agent_id = 'B1' order by 1"
    )
    assert found == [("2026-03-01", 1), ("2026-03-02", 2)]


def test_only_capable_agents_are_ranked_and_the_unavailable_last(other):
    found = other.many("select task_id, agent_id, rank, executions from marts.agent_routing order by task_id, rank")
    assert [row[:3] for row in found if row[0] in ("d1", "s2")] == [
        ("d1", "B2", 1), ("d1", "B1", 2), ("s2", "B3", 1), ("s2", "B4", 2),
    ]  # fmt: skip
    assert {(row[0], row[1]): row[3] for row in found} == {
        ("d1", "B1"): 2, ("d1", "B2"): 3, ("d2", "B2"): 3, ("s1", "B3"): 2, ("s2", "B3"): 1, ("s2", "B4"): 1,
        ("n1", "B1"): 0,
    }  # fmt: skip


def test_risk_signals(other):
    found = other.many("select rule, run_id, coalesce(task_id, kpi_name), severity from marts.risk_signals")
    assert sorted((rule, run, what or "-", severity) for rule, run, what, severity in found) == [
        ("approval_delay", "o1", "d2", "medium"),
        ("dependency_failed", "r2", "s2", "high"),
        ("limit_breached", "r1", "refunds", "high"),
        ("repeated_failures", "o2", "-", "high"),
        ("rework", "o2", "d1", "medium"),
        ("rework", "o5", "d2", "medium"),
        ("target_missed", "o1", "recovery_minutes", "medium"),
        ("target_missed", "r1", "renewal_rate_pct", "medium"),
        ("task_overrun", "o2", "d1", "low"),
    ]


def test_runs_are_counted_apart_and_add_up(other):
    assert other.many(
        "select snapshot_date::varchar, active_runs, completed_runs, failed_runs, cancelled_runs "
        "from marts.portfolio_snapshots order by 1"
    ) == [
        ("2026-03-01", 0, 2, 0, 0), ("2026-03-02", 0, 2, 1, 0), ("2026-03-03", 0, 2, 1, 1),
        ("2026-03-04", 1, 3, 1, 1), ("2026-03-05", 2, 3, 1, 1), ("2026-03-06", 1, 4, 1, 1),
    ]  # fmt: skip


def test_unknown_interventions_stay_unknown_in_the_day(other):
    assert other.one(
        "select human_interventions_last_24h, escalations_last_24h from marts.portfolio_snapshots "
        "where snapshot_date = date '2026-03-04'"
    ) == (None, 0)


def test_a_mission_without_a_run_decides_nothing(other):
    assert other.one(
        "select status, health_score from marts.mission_scorecards "
        "where mission_id = 'NEW' and as_of_date = date '2026-03-06'"
    ) == ("NO_DATA", None)
    missions = {mission["mission_id"]: mission for mission in other.brief["missions"]}
    assert missions["NEW"]["status"] == "NO_DATA"
    assert other.brief["status"] != "NO_DATA"


def test_a_target_without_a_baseline_has_no_direction(other):
    assert other.one("select direction, is_primary from staging.mission_kpis where mission_id = 'NEW'") == (
        "unknown", False,
    )  # fmt: skip

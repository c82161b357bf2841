"""What the shipped data must show: figures worked out by hand, asserted in the published warehouse and the brief."""

import pytest


def rows(shipped, sql):
    with shipped.warehouse.published() as connection:
        return connection.sql(sql).fetchall()


def test_the_newest_day_with_data_is_judged(shipped):
    assert str(shipped.outcome.as_of) == "2026-02-06"
    assert shipped.brief["as_of"] == "2026-02-06"


def test_the_verdict(shipped):
    brief = shipped.brief
    assert brief["status"] == "WATCH"
    assert brief["primary_driver"]["trigger"] == "AUTONOMY_REGRESSION"
    assert brief["primary_driver"]["mission_id"] == "M002"
    assert brief["primary_driver"]["headline"] == "Autonomy regression in Accelerate Sales Pipeline Progression"
    assert brief["friction_signal"]["task_id"] == "T5"
    assert brief["friction_signal"]["task_name"] == "Draft personalized outreach email"
    assert brief["friction_signal"]["driver"] == "task_overrun"
    assert brief["friction_signal"]["bottleneck_status"] == "recurring"
    assert "T5" in brief["recommended_action"]["text"]
    assert brief["confidence"]["level"] == "MEDIUM"
    assert "M002" in brief["confidence"]["reasons"][0]
    assert "2" in brief["confidence"]["reasons"][0]


def test_every_mission_improves_and_nothing_is_proven(shipped):
    insight = shipped.brief["trend_insight"]
    assert (insight["improving"], insight["flat"], insight["worsening"], insight["insufficient_data"]) == (3, 0, 0, 0)
    assert rows(
        shipped,
        "select mission_id, kpi_trend, kpi_trend_evidence, autonomy_trend from marts.mission_scorecards "
        "where as_of_date = date '2026-02-06' order by mission_id",
    ) == [
        ("M001", "improving", "direction_only", "improving"),
        ("M002", "improving", "direction_only", "worsening"),
        ("M003", "improving", "direction_only", "flat"),
    ]


def test_health_autonomy_and_improvement(shipped):
    found = rows(
        shipped,
        "select status, health_score, autonomy_score, kpi_improvement_vs_baseline_pct, kpi_improvement_vs_first_pct "
        "from marts.mission_scorecards where as_of_date = date '2026-02-06' order by mission_id",
    )
    expected = [
        ("ON_TRACK", 89.31, 62.77, 58.00, 32.26),
        ("WATCH", 79.43, 45.95, 42.86, 20.00),
        ("ON_TRACK", 91.74, 73.60, 73.33, 38.46),
    ]
    for row, wanted in zip(found, expected, strict=True):
        assert row[0] == wanted[0]
        assert row[1:] == pytest.approx(wanted[1:], abs=0.005)


def test_the_portfolio_of_the_day(shipped):
    [(autonomy, at_risk, improvement, completed, active, escalations, interventions, open_events)] = rows(
        shipped,
        "select autonomy_score, missions_at_risk, avg_kpi_improvement_pct, completed_runs, active_runs, "
        "escalations_last_24h, human_interventions_last_24h, open_risk_events "
        "from marts.portfolio_snapshots where snapshot_date = date '2026-02-06'",
    )
    assert autonomy == pytest.approx(60.77, abs=0.005)
    assert improvement == pytest.approx(58.06, abs=0.005)
    assert (at_risk, completed, active, escalations, interventions, open_events) == (1, 8, 0, 0, 0, 0)


def test_there_is_a_snapshot_for_every_day_from_the_first_run(shipped):
    days = rows(shipped, "select snapshot_date::varchar, completed_runs from marts.portfolio_snapshots order by 1")
    assert days == [
        ("2026-02-01", 2), ("2026-02-02", 3), ("2026-02-03", 5), ("2026-02-04", 6), ("2026-02-05", 7), ("2026-02-06", 8),
    ]  # fmt: skip


def test_autonomy_of_each_run(shipped):
    found = rows(
        shipped, "select mission_id, round(autonomy_score, 1) from marts.mission_run_facts order by mission_id, run_seq"
    )
    assert found == [
        ("M001", 7.7), ("M001", 82.4), ("M001", 98.2),
        ("M002", 83.3), ("M002", 8.6),
        ("M003", 23.5), ("M003", 98.2), ("M003", 99.1),
    ]  # fmt: skip


def test_the_triggers_and_no_others(shipped):
    found = rows(
        shipped,
        "select mission_id, trigger_name, severity, task_id from marts.mission_triggers "
        "where as_of_date = date '2026-02-06' order by mission_id, trigger_name",
    )
    assert found == [
        ("M001", "REPEATED_BOTTLENECK", "medium", "T2"),
        ("M002", "AUTONOMY_REGRESSION", "high", found[1][3]),
        ("M002", "ESCALATION_BURDEN_RISING", "medium", found[2][3]),
        ("M002", "REPEATED_BOTTLENECK", "medium", "T5"),
        ("M002", "RISK_CLUSTER_FORMING", "medium", found[4][3]),
    ]


def test_the_top_bottleneck_of_each_mission(shipped):
    found = rows(
        shipped,
        "select mission_id, task_id, bottleneck_status, round(friction_minutes, 2) from marts.task_overrun_rates "
        "where is_top_bottleneck order by mission_id",
    )
    assert found == [
        ("M001", "T2", "persistent", 5.57),
        ("M002", "T5", "recurring", 7.33),
        ("M003", "T8", "isolated", 2.00),
    ]


def test_the_win_names_each_reference_apart(shipped):
    win = shipped.brief["win"]
    assert win["mission_id"] == "M003"
    assert (win["baseline_value"], win["first_value"], win["latest_value"]) == (12.0, 5.2, 3.2)
    assert win["improvement_vs_baseline_pct"] == pytest.approx(73.33, abs=0.005)
    assert win["improvement_vs_first_pct"] == pytest.approx(38.46, abs=0.005)


def test_agents_over_all_time(shipped):
    found = rows(
        shipped,
        "select agent_id, executions, round(avg_task_duration_minutes, 2), escalation_rate "
        "from marts.agent_rolling_stats where stat_window = 'all' and agent_id in ('A4', 'A5') "
        "qualify row_number() over (partition by agent_id order by stat_date desc) = 1 order by agent_id",
    )
    assert found == [("A4", 4, 9.25, 0.25), ("A5", 9, 3.78, pytest.approx(1 / 9))]


def test_reported_figures_that_disagree_with_the_telemetry(shipped):
    found = {
        (subject, field): (reported, computed, verdict)
        for subject, field, reported, computed, verdict in rows(
            shipped, "select subject, field, reported_value, computed_value, verdict from quality.reconciliation"
        )
    }

    def figure(subject_contains, field):
        [match] = [value for (subject, name), value in found.items() if subject_contains in subject and name == field]
        return match

    reported, computed, verdict = figure("A5", "avg_task_duration_minutes")
    assert (float(reported), round(float(computed), 2), verdict) == (4.2, 3.78, "differs")
    reported, computed, verdict = figure("2026-02-06", "missions_at_risk")
    assert (float(reported), float(computed), verdict) == (0, 1, "differs")
    reported, computed, verdict = figure("2026-02-06", "avg_kpi_improvement_pct")
    assert (float(reported), round(float(computed), 2), verdict) == (33, 58.06, "differs")
    reported, computed, verdict = figure("A4", "avg_task_duration_minutes")
    assert verdict == "agrees"  # 9.3 reported, 9.25 computed: half of the last decimal, inclusive


def test_most_of_the_run_time_is_unattributed(shipped):
    [(total, unattributed)] = rows(
        shipped, "select sum(total_duration_minutes), sum(unattributed_minutes) from marts.mission_run_facts"
    )
    assert (total, unattributed) == (381, 215)


def test_nine_risk_signals_and_every_reported_event_is_matched(shipped):
    found = rows(
        shipped,
        "select rule, right(run_id, 3), coalesce(task_id, kpi_name), reported_event_id from marts.risk_signals order by all",
    )
    assert sorted((rule, run, what) for rule, run, what, _ in found) == [
        ("approval_delay", "001", "T2"),
        ("approval_delay", "005", "T5"),
        ("approval_delay", "006", "T8"),
        ("limit_breached", "006", "csat"),
        ("target_missed", "001", "onboarding_time_days"),
        ("target_missed", "004", "pipeline_days"),
        ("target_missed", "006", "resolution_time_hours"),
        ("task_overrun", "001", "T2"),
        ("task_overrun", "005", "T4"),
    ]
    matched = [event for *_, event in found if event is not None]
    assert sorted(matched) == ["RISK_001", "RISK_002", "RISK_003", "RISK_004", "RISK_005"]


def test_nothing_of_the_shipped_data_is_rejected(shipped):
    assert rows(shipped, "select * from quality.rejected_rows") == []
    assert rows(shipped, "select sum(rows_in), sum(rows_staged) from quality.row_counts")[0][0] == sum(
        data_set["rows"] for data_set in shipped.brief["inputs"]
    )

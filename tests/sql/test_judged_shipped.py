"""The judgement of the shipped data, figure by figure, from staging and marts made by an independent few lines."""

from datetime import date

import pytest
from judge_data import given_shipped
from shipped_sample import SAMPLE

from mission_pipeline.judge.reconciliation import reconcile
from mission_pipeline.judge.tables import judge_days
from mission_pipeline.judge.verdict import verdict_as_of
from mission_pipeline.warehouse import Warehouse

RAW_DATA = SAMPLE
AS_OF = date(2026, 2, 6)


@pytest.fixture(scope="module")
def judged(tmp_path_factory, policy):
    with Warehouse(tmp_path_factory.mktemp("shipped")).build() as build:
        given_shipped(build, RAW_DATA)
        judge_days(build, policy, AS_OF)
        reconcile(build)
        yield build


@pytest.fixture(scope="module")
def verdict(judged, policy):
    return verdict_as_of(judged, policy, AS_OF)


def rows(build, sql):
    return build.frame(sql, {"as_of": AS_OF}).rows()


def test_status_driver_friction_and_action(verdict):
    assert verdict.status == "WATCH"
    assert (verdict.driver["trigger_name"], verdict.driver["mission_id"]) == ("AUTONOMY_REGRESSION", "M002")
    assert verdict.driver["evidence"] == "direction_only"
    assert verdict.friction.task_id == "T5"
    assert verdict.friction.task_name == "Draft personalized outreach email"
    assert verdict.friction.bottleneck_status == "recurring"
    assert verdict.friction.bottleneck_driver == "task_overrun"
    assert verdict.action.task_id == "T5"
    assert verdict.action.mission_name == "Accelerate Sales Pipeline Progression"
    assert [(aim.measure, aim.comparison) for aim in verdict.action.aims] == [
        ("autonomy_score", "at_least"), ("mean_human_interventions", "at_most"), ("mean_escalations", "at_most"),
    ]  # fmt: skip
    assert (verdict.action.aims[0].current, verdict.action.aims[0].goal) == (pytest.approx(45.95), 55)


def test_what_the_action_aims_at_is_enough(verdict):
    """With so many fewer interventions and escalations the score of M002 is 55 exactly."""
    _, interventions, escalations = verdict.action.aims
    saved = 14 * (interventions.current - interventions.goal) + 18 * (escalations.current - escalations.goal)
    assert 45.95 + saved == pytest.approx(55)


def test_confidence(verdict):
    assert verdict.confidence.level == "MEDIUM"
    first, second = verdict.confidence.reasons
    assert (first.kind, first.level) == ("few_runs", "MEDIUM")
    assert first.facts == {"mission_id": "M002", "finished_runs": 2, "other_missions": 0}
    assert second.kind == "single_run"
    assert second.facts["status_without"] == "ATTENTION_REQUIRED"
    assert (second.facts["flipping_runs"], second.facts["runs_tried"]) == (2, 2)


def test_trends(verdict):
    assert (verdict.trends.improving, verdict.trends.flat) == (3, 0)
    assert (verdict.trends.worsening, verdict.trends.insufficient_data) == (0, 0)
    assert [(row["kpi_trend"], row["kpi_trend_evidence"], row["autonomy_trend"]) for row in verdict.scorecards] == [
        ("improving", "direction_only", "improving"),
        ("improving", "direction_only", "worsening"),
        ("improving", "direction_only", "flat"),
    ]


def test_the_win_keeps_its_two_references_apart(verdict):
    win = verdict.win
    assert (win.mission_id, win.baseline_value, win.first_value, win.latest_value) == ("M003", 12.0, 5.2, 3.2)
    assert win.improvement_vs_baseline_pct == pytest.approx(73.33, abs=0.005)
    assert win.improvement_vs_first_pct == pytest.approx(38.46, abs=0.005)


def test_scorecards(verdict):
    found = [
        (
            row["status"], row["health_score"], row["autonomy_score"], row["kpi_improvement_vs_baseline_pct"],
            row["kpi_improvement_vs_first_pct"],
        )
        for row in verdict.scorecards
    ]  # fmt: skip
    expected = [
        ("ON_TRACK", 89.31, 62.77, 58.00, 32.26),
        ("WATCH", 79.43, 45.95, 42.86, 20.00),
        ("ON_TRACK", 91.74, 73.60, 73.33, 38.46),
    ]
    for row, wanted in zip(found, expected, strict=True):
        assert row[0] == wanted[0]
        assert row[1:] == pytest.approx(wanted[1:], abs=0.005)


def test_the_parts_of_the_health_of_m002(verdict):
    """Two runs: 1 and 2 interventions, 0 and 1 escalation, 3 and 6 minutes, one flagged, events of weight 3 and 1."""
    row = verdict.scorecards[1]
    assert row["outcome_score"] == pytest.approx(100 * 6 / 7)
    assert row["trajectory_score"] == 92
    assert row["friction_score"] == pytest.approx(100 - (12 * 1.5 + 18 * 0.5 + 0.8 * 4.5))
    assert row["risk_score"] == pytest.approx(100 - (55 * 0.5 + 6 * 2))
    assert (row["stability_score"], row["stability_label"]) == (65, "too_few_runs")


def test_triggers_in_the_order_of_drivers(judged):
    assert rows(
        judged,
        "select trigger_rank, mission_id, trigger_name, severity, task_id from marts.mission_triggers "
        "where as_of_date = $as_of order by trigger_rank",
    ) == [
        (1, "M002", "AUTONOMY_REGRESSION", "high", None),
        (2, "M001", "REPEATED_BOTTLENECK", "medium", "T2"),
        (3, "M002", "ESCALATION_BURDEN_RISING", "medium", None),
        (4, "M002", "REPEATED_BOTTLENECK", "medium", "T5"),
        (5, "M002", "RISK_CLUSTER_FORMING", "medium", None),
    ]


def test_top_bottlenecks(verdict):
    found = [
        (row["top_bottleneck_task_id"], row["top_bottleneck_status"], round(row["top_bottleneck_friction_minutes"], 2))
        for row in verdict.scorecards
    ]
    assert found == [("T2", "persistent", 5.57), ("T5", "recurring", 7.33), ("T8", "isolated", 2.0)]


def test_every_day_from_the_first_run_has_its_snapshot(judged):
    assert rows(
        judged,
        "select snapshot_date::varchar, active_runs, completed_runs, escalations_last_24h, "
        "human_interventions_last_24h, missions_no_data from marts.portfolio_snapshots order by 1",
    ) == [
        ("2026-02-01", 0, 2, 2, 3, 1), ("2026-02-02", 0, 3, 0, 1, 0), ("2026-02-03", 0, 5, 0, 1, 0),
        ("2026-02-04", 0, 6, 1, 2, 0), ("2026-02-05", 0, 7, 0, 0, 0), ("2026-02-06", 0, 8, 0, 0, 0),
    ]  # fmt: skip


def test_the_portfolio_of_the_last_day(verdict):
    snapshot = verdict.snapshot
    assert snapshot["autonomy_score"] == pytest.approx(60.77, abs=0.005)
    assert snapshot["avg_kpi_improvement_pct"] == pytest.approx(58.06, abs=0.005)
    assert (snapshot["missions_at_risk"], snapshot["missions_on_track"], snapshot["missions_watch"]) == (1, 2, 1)
    assert snapshot["top_bottleneck_task_id"] == "T5"
    assert snapshot["open_risk_events"] == 0


def test_what_is_missing_to_on_track(verdict):
    assert [(c.mission_id, c.kind, c.trigger_name, c.needed) for c in verdict.path_to_on_track] == [
        ("M002", "health", None, 85.0), ("M002", "trigger", "AUTONOMY_REGRESSION", -5.0),
    ]  # fmt: skip


def test_tasks_to_fix_are_ranked_by_friction(verdict):
    assert [task.task_id for task in verdict.what_to_fix][:2] == ["T5", "T2"]
    minutes = [task.friction_minutes for task in verdict.what_to_fix]
    assert minutes == sorted(minutes, reverse=True)


def test_reported_figures_beside_the_telemetry(judged):
    found = {
        (subject, field): (reported, computed, verdict)
        for subject, field, reported, computed, verdict in rows(
            judged,
            "select subject, field, reported_value, computed_value, verdict from quality.reconciliation "
            "where report_date = $as_of",
        )
    }
    assert found["A4", "avg_task_duration_minutes"] == ("9.3", "9.25", "agrees")  # half of the last decimal, inclusive
    assert found["A4", "escalation_rate"][2] == "differs"
    assert float(found["A4", "escalation_rate"][1]) == 0.25
    assert found["A5", "avg_task_duration_minutes"][::2] == ("4.2", "differs")
    assert found["A1", "approval_rate"] == ("1", None, "not_computable")
    assert found["2026-02-06", "missions_at_risk"] == ("0", "1", "differs")
    assert found["2026-02-06", "avg_kpi_improvement_pct"][::2] == ("33", "differs")
    assert found["2026-02-06", "completed_runs"] == ("8", "8", "agrees")
    assert found["2026-02-06", "top_bottleneck_task_id"] == ("T8", "T5", "differs")


def test_an_earlier_day_ignores_what_came_later(judged, policy):
    verdict = verdict_as_of(judged, policy, date(2026, 2, 4))
    m001, m002, m003 = verdict.scorecards
    assert (m001["finished_runs"], m002["finished_runs"], m003["finished_runs"]) == (2, 2, 2)
    assert m001["kpi_latest_value"] == 2.6
    assert m003["kpi_trend"] == "improving"
    assert verdict.confidence.reasons[0].facts["finished_runs"] == 2

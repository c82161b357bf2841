"""Reported figures beside the telemetry: what agrees, what differs, what cannot be compared."""

from datetime import date

import pytest
from judge_data import build_in_memory, given, run

from mission_pipeline.judge.reconciliation import reconcile
from mission_pipeline.judge.tables import judge_days

DAY = date(2026, 3, 2)


@pytest.fixture
def reconciled(policy):
    """Reconcile reported agent figures and snapshots with the given computed agent figures."""

    def reconciled(agents=(), computed=(), snapshots=(), runs=(), through=DAY):
        build = build_in_memory()
        given(build, list(runs) or [run("A", "2026-03-01", kpi=5)], reported_agent_stats=list(agents),
              reported_portfolio_snapshots=list(snapshots), agent_rolling_stats=[
            {"stat_window": "all", "executions": 1, "approval_decisions": 0, **row} for row in computed
        ])  # fmt: skip
        judge_days(build, policy, through)
        reconcile(build)
        rows = build.frame("select * from quality.reconciliation").to_dicts()
        return {(row["subject"], row["field"]): row for row in rows}

    return reconciled


def agent(day=DAY, **figures):
    return {"agent_id": "A1", "last_updated": day, **figures}


def stat(day=DAY, **figures):
    return {"agent_id": "A1", "stat_date": day, **figures}


@pytest.mark.parametrize(
    ("reported", "computed", "verdict"),
    [
        (33.0, 33.5, "agrees"), (33.0, 33.51, "differs"), (33.0, 32.5, "agrees"), (9.3, 9.25, "agrees"),
        (9.3, 9.35, "agrees"), (9.3, 9.2499, "differs"), (0.95, 0.955, "agrees"), (0.95, 0.9449, "differs"),
        (0.0, 0.5, "agrees"), (100.0, 100.5, "agrees"), (100.0, 101.0, "differs"), (0.00001, 0.000015, "agrees"),
        (0.00001, 0.000016, "differs"), (13.3, 40 / 3, "agrees"),
    ],
)  # fmt: skip
def test_agrees_within_half_of_the_last_decimal_reported_inclusive(reconciled, reported, computed, verdict):
    found = reconciled([agent(avg_task_duration_minutes=reported)], [stat(avg_task_duration_minutes=computed)])
    [row] = found.values()
    assert row["verdict"] == verdict
    assert row["difference"] == pytest.approx(reported - computed)


def test_figures_are_shown_as_they_were_reported(reconciled):
    found = reconciled(
        [agent(approval_rate=1.0, escalation_rate=0.05)], [stat(approval_rate=0.5, escalation_rate=0.25)]
    )
    assert [(row["reported_value"], row["computed_value"]) for row in found.values()] == [
        ("1", "0.5"),
        ("0.05", "0.25"),
    ]


def test_an_agents_figures_are_those_of_its_last_day_up_to_the_report(reconciled):
    computed = [
        stat(date(2026, 3, 1), avg_task_duration_minutes=5.0),
        stat(date(2026, 3, 3), avg_task_duration_minutes=9.0),
        stat(date(2026, 3, 2), avg_task_duration_minutes=7.0, stat_window="7d"),
    ]
    found = reconciled([agent(avg_task_duration_minutes=5.0)], computed)
    assert found["A1", "avg_task_duration_minutes"]["verdict"] == "agrees"


def test_what_the_telemetry_does_not_give_is_not_computable(reconciled):
    found = reconciled(
        [agent(approval_rate=0.9), {"agent_id": "A2", "last_updated": DAY, "approval_rate": 0.9}],
        [stat(approval_rate=None)],
    )
    for subject in ("A1", "A2"):
        row = found[subject, "approval_rate"]
        assert (row["verdict"], row["computed_value"], row["difference"]) == ("not_computable", None, None)


def test_what_was_not_reported_has_no_row(reconciled):
    assert set(reconciled([agent(approval_rate=0.9)], [stat(approval_rate=0.9, escalation_rate=0.1)])) == {
        ("A1", "approval_rate")
    }
    assert reconciled() == {}


def test_two_reports_of_one_agent_are_two_subjects_in_time(reconciled, policy):
    build_rows = reconciled(
        [agent(date(2026, 3, 1), escalation_rate=0.1), agent(DAY, escalation_rate=0.2)],
        [stat(date(2026, 3, 1), escalation_rate=0.1)],
    )
    assert build_rows["A1", "escalation_rate"]["report_date"] == DAY  # the other row shares subject and field
    assert build_rows["A1", "escalation_rate"]["verdict"] == "differs"


def test_a_snapshot_is_held_against_its_own_day(reconciled):
    runs = [run("A", "2026-03-01", kpi=5, escalations=2), run("A", "2026-03-02", kpi=4)]
    found = reconciled(
        runs=runs,
        snapshots=[
            {"snapshot_date": date(2026, 3, 1), "completed_runs": 1, "escalations_last_24h": 2, "avg_kpi_improvement_pct": 50.0},
            {"snapshot_date": DAY, "completed_runs": 2, "escalations_last_24h": 2, "avg_kpi_improvement_pct": 50.0},
            {"snapshot_date": date(2026, 3, 3), "completed_runs": 2, "top_bottleneck_task_id": "T1"},
        ],
    )  # fmt: skip
    verdicts = {key: row["verdict"] for key, row in found.items()}
    assert verdicts == {
        ("2026-03-01", "completed_runs"): "agrees",
        ("2026-03-01", "escalations_last_24h"): "agrees",
        ("2026-03-01", "avg_kpi_improvement_pct"): "agrees",
        ("2026-03-02", "completed_runs"): "agrees",
        ("2026-03-02", "escalations_last_24h"): "differs",
        ("2026-03-02", "avg_kpi_improvement_pct"): "differs",
        ("2026-03-03", "completed_runs"): "not_computable",
        ("2026-03-03", "top_bottleneck_task_id"): "not_computable",
    }


def test_texts_are_compared_as_texts(policy):
    build = build_in_memory()
    friction = [{"mission_id": "A", "task_id": "T1", "friction_date": date(2026, 3, 1), "friction_minutes": 2.0}]
    given(build, [run("A", "2026-03-01", kpi=5)], friction=friction, reported_portfolio_snapshots=[
        {"snapshot_date": date(2026, 3, 1), "top_bottleneck_task_id": "T1", "top_bottleneck_task_name": "Check"},
        {"snapshot_date": DAY, "top_bottleneck_task_id": "T2"},
    ], mission_tasks=[{"mission_id": "A", "task_id": "T1", "task_name": "Check", "depends_on": []}])  # fmt: skip
    judge_days(build, policy, DAY)
    reconcile(build)
    assert build.frame("select verdict, difference from quality.reconciliation order by subject, field").rows() == [
        ("agrees", None), ("agrees", None), ("differs", None),
    ]  # fmt: skip

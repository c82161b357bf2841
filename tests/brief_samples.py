"""Rows for tests of the brief, small and in sight: the shipped portfolio as the marts hold it, and single missions."""

from dataclasses import replace
from datetime import date

from mission_pipeline.brief.compose import compose_brief
from mission_pipeline.brief.facts import Facts
from mission_pipeline.contracts.judged import TREND_LABELS, MissionScorecards, PortfolioSnapshots
from mission_pipeline.judge import verdict as judge
from mission_pipeline.judge.confidence import Confidence, Reason, RecordCounts

DAY = date(2026, 2, 6)
SALES = "Accelerate Sales Pipeline Progression"


def scorecard(mission_id="M1", name="First mission", **figures):
    """A mission on track: one run, one KPI at its target, nobody had to step in."""
    row = {
        **dict.fromkeys(promise.name for promise in MissionScorecards.columns()),
        "mission_id": mission_id, "mission_name": name, "owner": None, "as_of_date": DAY,
        "status": "ON_TRACK", "is_at_risk": False, "finished_runs": 6, "completed_runs": 6, "failed_runs": 0,
        "cancelled_runs": 0, "last_run_date": DAY, "health_score": 92.0, "outcome_score": 100.0,
        "trajectory_score": 92.0, "friction_score": 90.0, "risk_score": 100.0, "stability_score": 90.0,
        "autonomy_score": 96.0, "touchless_runs": 6, "touchless_known_runs": 6, "touchless_rate": 1.0,
        "touchless_rate_low": 0.61, "touchless_rate_high": 1.0, "mean_human_interventions": 0.0,
        "mean_escalations": 0.0, "mean_approval_delay_minutes": 1.0, "risk_flagged_share": 0.0,
        "kpi_name": "delivery_days", "kpi_baseline_value": 10.0, "kpi_target_value": 5.0, "kpi_first_value": 8.0,
        "kpi_previous_value": 6.0, "kpi_latest_value": 5.0, "kpi_improvement_vs_baseline_pct": 50.0,
        "kpi_improvement_vs_first_pct": 37.5, "kpi_gap_to_target": 0.0, "kpi_gap_to_target_pct": 0.0,
        "kpi_target_status": "met", "stability_label": "stable", "duration_residual_share": 0.05,
        "kpi_residual_share": 0.05, "top_bottleneck_task_id": "T1", "top_bottleneck_status": "clear",
        "top_bottleneck_driver": "none", "top_bottleneck_friction_minutes": 0.0,
    }  # fmt: skip
    for series in ("kpi", "autonomy", "escalations", "approval_delay", "completion"):
        row |= {f"{series}_trend": "flat", f"{series}_trend_evidence": "direction_only", f"{series}_trend_runs": 6}
    assert set(figures) <= set(row), set(figures) - set(row)
    return {**row, **figures}


def empty_scorecard(mission_id="M1", name="First mission"):
    """A mission without a finished run: counts are 0, everything else is unknown."""
    row = dict.fromkeys(scorecard())
    row |= {
        "mission_id": mission_id, "mission_name": name, "as_of_date": DAY, "status": "NO_DATA", "is_at_risk": False,
        "finished_runs": 0, "completed_runs": 0, "failed_runs": 0, "cancelled_runs": 0,
        "touchless_runs": 0, "touchless_known_runs": 0, "stability_label": "too_few_runs",
    }  # fmt: skip
    for series in ("kpi", "autonomy", "escalations", "approval_delay", "completion"):
        row |= {
            f"{series}_trend": "insufficient_data", f"{series}_trend_evidence": "direction_only",
            f"{series}_trend_runs": 0,
        }  # fmt: skip
    return row


def task(mission_id="M1", task_id="T1", name="First task", **figures):
    """A task within its plan."""
    row = {
        "mission_id": mission_id, "task_id": task_id, "task_name": name, "estimated_minutes": 5.0,
        "mean_actual_minutes": 5.0, "mean_human_delay_minutes": 0.0, "friction_minutes": 0.0, "runs_executed": 6,
        "recent_hits": 0, "bottleneck_status": "clear", "bottleneck_driver": "none",
    }  # fmt: skip
    assert set(figures) <= set(row)
    return {**row, **figures}


def trigger(trigger_name, mission=None, **figures):
    """A fired trigger; without a mission it is one of the portfolio."""
    row = {
        "as_of_date": DAY, "mission_id": None, "trigger_name": trigger_name, "severity": "medium", "trigger_rank": 1,
        "evidence": "direction_only", "supporting_runs": 2, "observed_value": 1.0, "threshold": 1.0,
        "gap_to_target_pct": None, "task_id": None, "kpi_name": None,
    }  # fmt: skip
    if mission is not None:
        row["mission_id"] = mission["mission_id"]
    assert set(figures) <= set(row)
    return {**row, **figures}


def few_runs(mission_id="M1", finished_runs=0, other_missions=0, level="MEDIUM"):
    """The reason that a mission has few runs."""
    facts = {"mission_id": mission_id, "finished_runs": finished_runs, "other_missions": other_missions}
    return Reason(level, "few_runs", facts)


def snapshot(**figures):
    """A day of a portfolio of one mission on track."""
    row = {
        **dict.fromkeys(promise.name for promise in PortfolioSnapshots.columns()),
        "snapshot_date": DAY, "status": "ON_TRACK", "autonomy_score": 96.0, "active_runs": 0, "completed_runs": 6,
        "failed_runs": 0, "cancelled_runs": 0, "missions_at_risk": 0, "missions_on_track": 1, "missions_watch": 0,
        "missions_attention_required": 0, "missions_no_data": 0, "avg_kpi_improvement_pct": 50.0,
        "top_bottleneck_mission_id": "M1", "top_bottleneck_task_id": "T1", "top_bottleneck_task_name": "First task",
        "escalations_last_24h": 0, "human_interventions_last_24h": 0, "open_risk_events": 0,
    }  # fmt: skip
    assert set(figures) <= set(row)
    return {**row, **figures}


def facts(**parts):
    """One task within its plan and nothing of note."""
    plain = Facts(
        as_of=DAY,
        open_runs={},
        kpis=[],
        friction=[task()],
        run_time={
            "finished_runs": 6, "run_minutes": 60.0, "unattributed_minutes": 6.0, "runs_with_known_times": 6,
            "known_run_minutes": 60.0, "newest_run_date": DAY,
        },
        risks_detected=[],
        risks_reported=[],
        risk_counts={"detected": 0, "detected_only": 0, "reported": 0, "reported_only": 0},
        reconciliation=[],
        reconciliation_counts={"figures": 0, "agree": 0, "differ": 0, "not_computable": 0},
        row_counts=[],
        row_totals={"rows_in": 10, "rows_valid": 10, "rows_rejected": 0, "rows_replaced": 0, "rows_retained": 0},
        rejects=[],
        drift=[],
        warnings=[],
        plan_findings=[],
        inputs=[{"data_set": "mission_runs", "file": "mission_runs.json", "sha256": "a" * 64, "rows": 10}],
    )  # fmt: skip
    return replace(plain, **parts)


def verdict(
    policy, status="ON_TRACK", level="HIGH", reasons=(), *, missions=None, triggers=(), portfolio=None, tasks=()
):
    """The verdict that follows from rows of the marts, with a confidence of one's own choosing."""
    missions = [scorecard()] if missions is None else missions
    portfolio = snapshot(status=status) if portfolio is None else portfolio
    driver = triggers[0] if triggers else None
    by_mission = {row["mission_id"]: row for row in missions}
    known = [
        judge.TaskFriction(**{name: row[name] for name in judge.TaskFriction.__dataclass_fields__}) for row in tasks
    ]
    friction = judge._friction(driver, by_mission, portfolio, known)
    return judge.Verdict(
        as_of=DAY,
        status=status,
        driver=driver,
        trends=judge.TrendCounts(**{x: sum(row["kpi_trend"] == x for row in missions) for x in TREND_LABELS}),
        friction=friction,
        action=judge._action(driver, by_mission, friction, policy),
        confidence=Confidence(level, tuple(reasons)),
        win=judge._win(missions),
        snapshot=portfolio,
        scorecards=tuple(missions),
        triggers=tuple(triggers),
        what_to_fix=tuple(known),
        path_to_on_track=judge.path_to_on_track(missions, triggers, policy),
        reconciliation=(),
        records=RecordCounts(10, 0),
        policy_version=policy.version,
        policy_sha256=policy.sha256,
    )


def compose(
    policy, status="ON_TRACK", level="HIGH", reasons=(), *, missions=None, triggers=(), portfolio=None, **parts
):
    """A brief of rows: those that the verdict carries, and ``parts`` of the facts beside it."""
    beside = facts(**parts)
    judgement = verdict(
        policy, status, level, reasons, missions=missions, triggers=triggers, portfolio=portfolio, tasks=beside.friction
    )
    return compose_brief(judgement, beside, policy)


def kpi(mission_id, name, **figures):
    """A KPI of a mission, not observed."""
    row = {
        "mission_id": mission_id, "kpi_name": name, "kpi_kind": "target", "direction": "lower_is_better",
        "is_primary": False, "baseline_value": None, "target_value": None, "latest_run_id": None,
        "first_value": None, "latest_value": None, "improvement_vs_baseline_pct": None,
        "improvement_vs_first_pct": None, "gap_to_target": None, "target_status": "not_observed",
    }  # fmt: skip
    assert set(figures) <= set(row)
    return {**row, **figures}


def compose_shipped(policy, **parts):
    """The brief of the shipped portfolio as of 2026-02-06."""
    improving = {"kpi_trend": "improving"}
    m001 = scorecard(
        "M001", "Reduce Customer Onboarding Time", **improving, finished_runs=3, completed_runs=3, kpi_trend_runs=3,
        health_score=89.3095, autonomy_score=62.7667, autonomy_trend="improving", kpi_name="onboarding_time_days",
        kpi_baseline_value=5.0, kpi_first_value=3.1, kpi_previous_value=2.6, kpi_latest_value=2.1,
        kpi_target_value=2.0, kpi_improvement_vs_baseline_pct=58.0, kpi_improvement_vs_first_pct=32.258,
        touchless_runs=1, touchless_known_runs=3, touchless_rate=1 / 3, touchless_rate_low=0.0615,
        touchless_rate_high=0.7923, mean_human_interventions=1.0, mean_escalations=1 / 3,
        mean_approval_delay_minutes=4.3333, top_bottleneck_task_id="T2", top_bottleneck_status="persistent",
    )  # fmt: skip
    m002 = scorecard(
        "M002", SALES, **improving, status="WATCH", is_at_risk=True, finished_runs=2, completed_runs=2,
        kpi_trend_runs=2, health_score=79.4286, autonomy_score=45.95, autonomy_trend="worsening",
        escalations_trend="worsening", kpi_name="pipeline_days", kpi_baseline_value=14.0, kpi_first_value=10.0,
        kpi_previous_value=10.0, kpi_latest_value=8.0, kpi_target_value=7.0, kpi_improvement_vs_baseline_pct=42.8571,
        kpi_improvement_vs_first_pct=20.0, kpi_gap_to_target=1.0, kpi_gap_to_target_pct=14.2857,
        touchless_runs=0, touchless_known_runs=2, touchless_rate=0.0, touchless_rate_low=0.0,
        touchless_rate_high=0.6576, mean_human_interventions=1.5, mean_escalations=0.5,
        mean_approval_delay_minutes=4.5, risk_flagged_share=0.5, top_bottleneck_task_id="T5",
        top_bottleneck_status="recurring", autonomy_trend_runs=2,
    )  # fmt: skip
    m003 = scorecard(
        "M003", "Improve Support Case Resolution", **improving, finished_runs=3, completed_runs=3, kpi_trend_runs=3,
        health_score=91.7381, autonomy_score=73.6, kpi_name="resolution_time_hours", kpi_baseline_value=12.0,
        kpi_first_value=5.2, kpi_previous_value=3.8, kpi_latest_value=3.2, kpi_target_value=4.0,
        kpi_improvement_vs_baseline_pct=73.3333, kpi_improvement_vs_first_pct=38.4615, touchless_runs=2,
        touchless_known_runs=3, touchless_rate=2 / 3, touchless_rate_low=0.2077, touchless_rate_high=0.9385,
        mean_human_interventions=2 / 3, mean_escalations=1 / 3, mean_approval_delay_minutes=2.6667,
        top_bottleneck_task_id="T8", top_bottleneck_status="isolated",
    )  # fmt: skip
    reported = {"source": "mission_portfolio_snapshot", "subject": "2026-02-06", "report_date": DAY}
    rows = {
        "missions": [m001, m002, m003],
        "triggers": [
            trigger("AUTONOMY_REGRESSION", m002, severity="high", gap_to_target_pct=14.2857, observed_value=-74.7,
                    threshold=-5.0),
            trigger("ESCALATION_BURDEN_RISING", m002, trigger_rank=2, gap_to_target_pct=14.2857),
            trigger("REPEATED_BOTTLENECK", m002, trigger_rank=3, task_id="T5", gap_to_target_pct=14.2857),
            trigger("RISK_CLUSTER_FORMING", m002, trigger_rank=4, gap_to_target_pct=14.2857),
            trigger("REPEATED_BOTTLENECK", m001, trigger_rank=5, task_id="T2", supporting_runs=3),
        ],
        "friction": [
            task("M002", "T5", "Draft personalized outreach email", estimated_minutes=6.0, mean_actual_minutes=8.0,
                 mean_human_delay_minutes=4.5, friction_minutes=7.3333, recent_hits=2,
                 bottleneck_status="recurring", bottleneck_driver="task_overrun"),
            task("M001", "T2", "Verify documents", estimated_minutes=10.0, mean_actual_minutes=13.3333,
                 mean_human_delay_minutes=4.3333, friction_minutes=5.5714, recent_hits=3,
                 bottleneck_status="persistent", bottleneck_driver="task_overrun"),
            task("M003", "T8", "Draft resolution message", friction_minutes=2.0, recent_hits=1,
                 mean_human_delay_minutes=2.6667, bottleneck_status="isolated", bottleneck_driver="risk"),
        ],
        "kpis": [
            kpi("M001", "onboarding_time_days", is_primary=True, baseline_value=5.0, target_value=2.0,
                latest_value=2.1, improvement_vs_baseline_pct=58.0, target_status="near", latest_run_id="R"),
            kpi("M001", "steps", kpi_kind="ceiling", target_value=5.0, latest_value=3.0, target_status="met"),
            kpi("M002", "pipeline_days", is_primary=True, baseline_value=14.0, target_value=7.0, latest_value=8.0,
                improvement_vs_baseline_pct=42.8571, target_status="near"),
            kpi("M002", "touchpoints", kpi_kind="floor", direction="higher_is_better", target_value=3.0),
            kpi("M003", "resolution_time_hours", is_primary=True, baseline_value=12.0, target_value=4.0,
                latest_value=3.2, improvement_vs_baseline_pct=73.3333, target_status="met"),
            kpi("M003", "csat", kpi_kind="floor", direction="higher_is_better", target_value=4.0, latest_value=4.4,
                target_status="met"),
        ],
        "portfolio": snapshot(
            status="WATCH", autonomy_score=60.7722, completed_runs=8, missions_at_risk=1, missions_on_track=2,
            missions_watch=1, avg_kpi_improvement_pct=58.0635, top_bottleneck_mission_id="M002",
            top_bottleneck_task_id="T5", top_bottleneck_task_name="Draft personalized outreach email",
        ),
        "run_time": {
            "finished_runs": 8, "run_minutes": 381.0, "unattributed_minutes": 215.0, "runs_with_known_times": 8,
            "known_run_minutes": 381.0, "newest_run_date": DAY,
        },
        "risks_detected": [
            {"signal_id": "s1", "run_id": "RUN_2026_02_01_006", "mission_id": "M003", "task_id": None,
             "kpi_name": "csat", "risk_type": "csat", "severity": "high", "observed_value": 3.9, "threshold": 4.0,
             "rule": "limit_breached", "reported_event_id": "RISK_003"},
            {"signal_id": "s2", "run_id": "RUN_2026_02_04_005", "mission_id": "M002", "task_id": "T5",
             "kpi_name": None, "risk_type": "approval_delay", "severity": "medium", "observed_value": 6.0,
             "threshold": 5.0, "rule": "approval_delay", "reported_event_id": None},
        ],
        "risks_reported": [
            {"event_id": "RISK_003", "run_id": "RUN_2026_02_01_006", "mission_id": "M003", "task_id": "T8",
             "risk_type": "csat_risk", "severity": "high", "status": "closed", "is_detected": True},
        ],
        "risk_counts": {"detected": 2, "detected_only": 1, "reported": 1, "reported_only": 0},
        "reconciliation": [
            {**reported, "field": "missions_at_risk", "reported_value": "0", "computed_value": "1",
             "difference": -1.0, "verdict": "differs"},
            {**reported, "field": "avg_kpi_improvement_pct", "reported_value": "33", "computed_value": "58.063492",
             "difference": -25.063492, "verdict": "differs"},
            {**reported, "field": "completed_runs", "reported_value": "8", "computed_value": "8", "difference": 0.0,
             "verdict": "agrees"},
            {"source": "agent_performance_stats", "subject": "A5", "report_date": DAY,
             "field": "avg_task_duration_minutes", "reported_value": "4.2", "computed_value": "3.7778",
             "difference": 0.4222, "verdict": "differs"},
        ],
        "reconciliation_counts": {"figures": 39, "agree": 12, "differ": 27, "not_computable": 0},
        "row_totals": {"rows_in": 66, "rows_valid": 66, "rows_rejected": 0, "rows_replaced": 0, "rows_retained": 0},
    }  # fmt: skip
    reasons = [few_runs("M002", 2)]
    return compose(policy, "WATCH", "MEDIUM", reasons, **{**rows, **parts})


def named(policy, name):
    """A brief in which everything that has a name is called the same."""
    mission = scorecard(name=name, status="WATCH", owner=name)
    return compose(
        policy, "WATCH", "LOW", [few_runs(finished_runs=1)],
        missions=[mission],
        friction=[task(name=name, bottleneck_status="recurring", bottleneck_driver="task_overrun")],
        triggers=[trigger("AUTONOMY_REGRESSION", mission)],
        rejects=[{"data_set": "mission_runs", "rule": "r", "rows": 1, "example": name}],
    )  # fmt: skip

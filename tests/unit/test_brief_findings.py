"""What is said of a trigger: a trend as far as it is proven, a level as measured, and of the unknown what is known."""

import re

import pytest
from brief_samples import scorecard, snapshot, task, trigger

from mission_pipeline.brief.findings import finding_of

LIMITS = {
    "triggers.autonomy_regression.min_score": 55.0,
    "triggers.outcomes_dropping.min_completed_share": 0.8,
    "triggers.target_gap_persisting.gap_pct": 8.0,
    "triggers.approval_delay_persisting.min_delay_minutes": 5.0,
    "health.stability_points.variable_up_to_share": 0.35,
    "friction.delay_hit_minutes": 5.0,
}


def said(name, mission=None, on_task=None, **figures):
    mission = mission or scorecard()
    return finding_of(trigger(name, mission, **figures), mission, on_task, snapshot(), LIMITS.__getitem__)


def struggling(**figures):
    return scorecard(
        **{
            "autonomy_score": 45.0, "autonomy_trend": "worsening", "mean_human_interventions": 2.0,
            "mean_escalations": 0.5, "kpi_trend": "flat", **figures,
        }
    )  # fmt: skip


def test_autonomy_that_falls_is_a_signal_of_its_trend():
    found = said("AUTONOMY_REGRESSION", struggling(), observed_value=-9.0, threshold=-5.0, supporting_runs=3)
    assert found.why == (
        "Its runs depend on people more than before: the autonomy score (a hundred: no person had to step in) is 45.00, "
        "with 2 human interventions and 0.5 escalations per run (signal from 3 runs, not proven). "
        "It is not yet self-sustaining."
    )
    assert found.aim == "an autonomy score of 55 or more (now 45.00) that no longer falls from run to run."


def test_autonomy_below_its_limit_is_measured_and_no_signal_of_a_trend():
    """The label worsens as well, but proves nothing from five runs on: the level alone fired."""
    found = said("AUTONOMY_REGRESSION", struggling(), observed_value=45.0, threshold=55.0, supporting_runs=6)
    assert found.why == (
        "Its runs still depend on people, and that does not get better: the autonomy score (a hundred: no person had to "
        "step in) is 45.00, with 2 human interventions and 0.5 escalations per run, below the limit of 55 over its last "
        "6 runs. It is not yet self-sustaining."
    )
    assert found.aim == "an autonomy score of 55 or more (now 45.00)."


def test_autonomy_lost_without_people_is_measured_too():
    failing = struggling(
        mean_human_interventions=0.0, mean_escalations=0.0, failed_runs=6, finished_runs=6, completed_runs=0,
        risk_flagged_share=0.0, mean_approval_delay_minutes=0.0,
    )  # fmt: skip
    found = said("AUTONOMY_REGRESSION", failing, observed_value=45.0, threshold=55.0, supporting_runs=6)
    assert "6 of 6 finished runs failed (below the limit of 55 over its last 6 runs)." in found.why
    assert found.action == (
        "Find out what costs First mission its autonomy, and remove it before running the mission more often."
    )


def test_what_rises_as_well_has_its_own_worth():
    def why(threshold, evidence, **figures):
        mission = struggling(
            escalations_trend="worsening",
            escalations_trend_evidence="direction_only",
            escalations_trend_runs=8,
            **figures,
        )
        found = said("AUTONOMY_REGRESSION", mission, threshold=threshold, evidence=evidence, supporting_runs=8)
        return found.why.partition("per run")[2]

    alike = {"approval_delay_trend": "worsening", "approval_delay_trend_evidence": "direction_only"}
    end = " It is not yet self-sustaining."
    assert why(-5.0, "direction_only", **alike) == (
        ". Escalations and the wait for approval rise as well (signal from 8 runs, not proven)." + end
    )
    assert why(-5.0, "tested") == (
        " (tested over 8 runs: unlikely to be chance). Escalations rise as well (a signal, not proven)." + end
    )
    other = {**alike, "approval_delay_trend_evidence": "suggestive"}
    assert why(55.0, "direction_only", **other) == (
        ", below the limit of 55 over its last 8 runs. Escalations rise (a signal, not proven). "
        "The wait for approval rises (likely, but not proven)." + end
    )


def test_outcomes_below_their_limit_are_those_of_the_runs_that_were_looked_at():
    """Of all its runs 85 % completed, of the last ten half."""
    mission = scorecard(finished_runs=60, completed_runs=51, failed_runs=9)
    level = {"observed_value": 0.5, "threshold": 0.8, "supporting_runs": 10, "evidence": "suggestive"}
    assert said("OUTCOMES_DROPPING", mission, **level).why == (
        "50 % of its last 10 finished runs completed, below the limit of 80 % (likely more than chance, but not proven)."
    )
    falling = {"observed_value": -0.3, "threshold": -0.05, "supporting_runs": 20, "evidence": "suggestive"}
    assert said("OUTCOMES_DROPPING", mission, **falling).why == (
        "51 of 60 finished runs completed, 9 failed (limit 80 % completed; signal from 20 runs, likely but not proven)."
    )


@pytest.mark.parametrize(
    ("kpi", "gap", "words"),
    [
        ("lead_hours", 4.0, "is 8 hours, 4 hours (100.00 %) short of the target of 4 hours"),
        ("solved_pct", 4.0, "is 8 %, 4 percentage points (100.00 % of the target) short of the target of 4 %"),
        ("solved_pct", 1.0, "is 8 %, 1 percentage point (100.00 % of the target) short of the target of 4 %"),
        ("solved_pct", 1.5, "is 8.0 %, 1.5 percentage points (100.00 % of the target) short of the target of 4.0 %"),
    ],
)
def test_a_gap_between_percentages_is_in_percentage_points(kpi, gap, words):
    mission = scorecard(
        kpi_name=kpi, kpi_latest_value=8.0, kpi_target_value=4.0, kpi_gap_to_target=gap, kpi_gap_to_target_pct=100.0,
        kpi_trend="flat",
    )  # fmt: skip
    why = said("TARGET_GAP_PERSISTING", mission, threshold=8.0, supporting_runs=7).why
    assert words in why
    assert why.endswith(", and it does not improve (seen in 7 runs).")


def test_one_run_is_too_early_to_say_that_nothing_improves():
    mission = scorecard(kpi_trend="insufficient_data", approval_delay_trend="insufficient_data")
    early = "it is too early to tell whether it improves"
    assert said("TARGET_GAP_PERSISTING", mission, threshold=8.0, supporting_runs=1).why.endswith(f", and {early}.")
    why = said("APPROVAL_DELAY_PERSISTING", mission, observed_value=9.0, threshold=5.0, supporting_runs=1).why
    assert why == f"Its latest run waited 9 minutes on average for approval (limit 5 minutes), and {early}."


def test_levels_are_seen_and_no_signals():
    slow = said(
        "APPROVAL_DELAY_PERSISTING", scorecard(approval_delay_trend="flat"), observed_value=9.0, supporting_runs=3
    )
    assert slow.why == (
        "Its latest 3 runs waited 9 minutes on average for approval (limit 5 minutes), and that does not get better."
    )
    unsteady = scorecard(duration_residual_share=0.61, kpi_residual_share=None)
    assert said("STABILITY_DROPPING", unsteady, supporting_runs=3).why == (
        "Its runs cannot be planned with: around their trend, durations vary by 61 % of the mean (seen in 3 runs)."
    )


@pytest.mark.parametrize(
    ("estimate", "actual", "wait", "words"),
    [
        (None, 12.0, 7.0, "7 minutes of waiting for a person on average, and an unknown time over plan"),
        (10.0, None, 1.0, "1 minute of waiting for a person on average, and an unknown time over plan"),
        (
            10.0,
            12.0,
            None,
            "12 minutes of work on average against a plan of 10 minutes, and an unknown wait for a person",
        ),
        (
            10.0,
            12.0,
            7.0,
            "12 minutes of work on average against a plan of 10 minutes, and 7 minutes of waiting for a person",
        ),
        (None, 12.0, None, "the time over plan and the wait for a person are unknown"),
    ],
)
def test_of_a_task_of_unknown_friction_it_says_what_is_known(estimate, actual, wait, words):
    held_up = task(
        friction_minutes=None, estimated_minutes=estimate, mean_actual_minutes=actual, mean_human_delay_minutes=wait,
        bottleneck_status="recurring", recent_hits=2,
    )  # fmt: skip
    found = said("REPEATED_BOTTLENECK", on_task=held_up)
    assert found.why == (
        f'T1 "First task" is a recurring bottleneck without a single cause: {words}; '
        "2 of its latest runs went beyond what is tolerated."
    )
    assert "unknown" not in found.aim


# ---------- what is too small to be shown

NOTHING = re.compile(
    r"(?<![\d.,])(0(\.0+)? (%|minutes?|days?|hours?)(?! above)|(at most|fewer than|less than|under) 0(?![\d.,]))"
)
"""Nothing at all, told as trouble or as an aim."""


def said_by(limits, name, mission=None, on_task=None, **figures):
    mission = mission or scorecard()
    own = {
        **LIMITS,
        "triggers.risk_cluster_forming.flagged_share": 0.5,
        "triggers.kpi_plateau.within_pct": 2.0,
        **limits,
    }
    found = finding_of(trigger(name, mission, **figures), mission, on_task, snapshot(), own.__getitem__)
    return " ".join((found.why, found.action, found.aim))


INSTANT = {
    "estimated_minutes": 0.001, "mean_actual_minutes": 0.0014, "mean_human_delay_minutes": 0.002,
    "friction_minutes": 0.0024, "recent_hits": 2, "bottleneck_status": "recurring",
}  # fmt: skip
"""Of a task that takes a moment."""


@pytest.mark.parametrize(
    ("words", "limits", "name", "mission", "on_task", "figures"),
    [
        (
            "6 of 6 finished runs failed (below the limit",
            {},
            "AUTONOMY_REGRESSION",
            struggling(
                mean_human_interventions=0.0, mean_escalations=0.0, failed_runs=6, completed_runs=0,
                risk_flagged_share=0.004, mean_approval_delay_minutes=0.004,
            ),
            None,
            {"observed_value": 45.0, "threshold": 55.0},
        ),
        (
            "around their trend, the main KPI varies by 1 % of the mean (",
            {},
            "STABILITY_DROPPING",
            scorecard(duration_residual_share=0.004, kpi_residual_share=0.006),
            None,
            {},
        ),
        (
            "around their trend, they vary more than before (",
            {},
            "STABILITY_DROPPING",
            scorecard(duration_residual_share=0.004, kpi_residual_share=0.0),
            None,
            {},
        ),
        (
            "under 0.01 minutes over plan or waiting per run",
            {},
            "REPEATED_BOTTLENECK",
            None,
            task(**INSTANT, bottleneck_driver="task_overrun"),
            {},
        ),
        (
            '"First task" in less than the 5 minutes that it takes on average now.',
            {},
            "REPEATED_BOTTLENECK",
            None,
            task(**{**INSTANT, "estimated_minutes": 0.0, "mean_actual_minutes": 5.0}, bottleneck_driver="task_overrun"),
            {},
        ),
        (
            '"First task" waits less for a person than the 3 minutes of now on average.',
            {"friction.delay_hit_minutes": 0.0},
            "REPEATED_BOTTLENECK",
            None,
            task(**{**INSTANT, "mean_human_delay_minutes": 3.0}, bottleneck_driver="approval_delay"),
            {},
        ),
        (
            "and without any waiting, in every run.",
            {"friction.delay_hit_minutes": 0.0},
            "REPEATED_BOTTLENECK",
            None,
            task(**INSTANT, bottleneck_driver="none"),
            {},
        ),
        (
            "less waiting for approval per run than the 3 minutes of now.",
            {"triggers.approval_delay_persisting.min_delay_minutes": 0.0},
            "APPROVAL_DELAY_PERSISTING",
            None,
            None,
            {"observed_value": 3.0, "threshold": 0.0},
        ),
        (
            "none of the runs of First mission flagged; it is 30 % now.",
            {"triggers.risk_cluster_forming.flagged_share": 0.0},
            "RISK_CLUSTER_FORMING",
            scorecard(risk_flagged_share=0.3),
            None,
            {},
        ),
        (
            "no escalation in the next run.",
            {},
            "ESCALATION_BURDEN_RISING",
            scorecard(mean_escalations=0.0),
            None,
            {},
        ),
        (
            "is 4.003 days, 0.003 days (9.00 %) short of the target of 4.000 days",
            {},
            "TARGET_GAP_PERSISTING",
            scorecard(
                kpi_latest_value=4.003, kpi_target_value=4.0, kpi_gap_to_target=0.003, kpi_gap_to_target_pct=9.0,
                kpi_trend="flat",
            ),
            None,
            {},
        ),
    ],
)  # fmt: skip
def test_what_rounds_to_nothing_is_neither_trouble_nor_an_aim(words, limits, name, mission, on_task, figures):
    text = said_by(limits, name, mission, on_task, **figures)
    assert words in text
    without_limits = re.sub(r"\((limit|a cluster from) [^)]*\)", "", text)
    assert not NOTHING.search(without_limits), text

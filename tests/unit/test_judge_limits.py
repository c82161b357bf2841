"""Every limit of the judgement on both sides: what is just not enough, and what just is. Windows are made by hand."""

import numpy as np
import pytest

from mission_pipeline.contracts.derived import BOTTLENECK_STATUSES, TARGET_STATUSES
from mission_pipeline.contracts.judged import MISSION_STATUSES, MISSION_TRIGGERS, STABILITY_LABELS
from mission_pipeline.judge.days import judge_windows
from mission_pipeline.judge.portfolio import portfolio_fires
from mission_pipeline.judge.status import mission_statuses, portfolio_statuses
from mission_pipeline.judge.triggers import Bottlenecks, MissedLimits
from mission_pipeline.judge.windows import EVENT_KINDS, RUN_MEASURES, Windows

WIDTH = 20
QUIET = {
    "is_completed": 1.0, "human_interventions": 0.0, "escalations": 0.0, "approval_delay_minutes": 0.0,
    "is_flagged": 0.0, "is_touchless": 1.0, "total_duration_minutes": 15.0, "autonomy_score": 100.0, "kpi_value": 5.0,
}  # fmt: skip
"""A run that nothing is wrong with; the KPI falls from 10 to a target of 5."""


def right(values):
    """One line, oldest first, NaN before the first."""
    return np.array([[np.nan] * (WIDTH - len(values)) + [float(value) for value in values]])


def judged(policy, *, runs=None, bottleneck=None, missed=False, weights=(), **series):
    """Judge one mission by the values of its runs; what is not named is quiet."""
    number = runs or max([len(values) for values in series.values()], default=1)
    measures = {name: right(series.get(name, [QUIET[name]] * number)) for name in RUN_MEASURES}
    kpi = measures["kpi_value"]
    is_run = np.arange(WIDTH)[None, :] >= WIDTH - number
    one = np.ones(1, np.int64)
    windows = Windows(
        measures=measures,
        is_run=is_run,
        events={
            name: np.where(is_run, weights[EVENT_KINDS.index(name)] if weights else 0, 0.0) for name in EVENT_KINDS
        },
        kpi_observations=kpi,
        kpi_first=kpi[:, WIDTH - number],
        kpi_sign=-np.ones(1),
        kpi_baseline=np.array([10.0]),
        kpi_target=np.array([5.0]),
        finished=number * one,
        completed=np.nansum(measures["is_completed"], axis=1).astype(np.int64),
        cancelled=0 * one,
        observed=number * one,
        missed_limits=np.array([0 if missed else -1]),
    )
    status = -1 if bottleneck is None else BOTTLENECK_STATUSES.index(bottleneck)
    bottlenecks = Bottlenecks(statuses=np.array([status]), hits=np.array([max(0, status)]))
    return judge_windows(windows, bottlenecks, MissedLimits(np.array([3.0]), np.array([4.0])), policy)


def around(mean, share):
    """Three values whose residual standard deviation over their mean is the share: one up by two, two down by one."""
    step = share * mean / 6**0.5
    return [mean - step, mean + 2 * step, mean - step]


FLAGS = [1.0, 0.0]
BOTH_SIDES = {
    "worsening by 5 %": ("MISSION_TREND_WORSENING", {"kpi_value": [4, 4.2]}, {"kpi_value": [4, 4.201]}),
    "worsening against the first too": (
        "MISSION_TREND_WORSENING", {"kpi_value": [4.3, 4, 4.3]}, {"kpi_value": [4, 4.1, 4.4]},
    ),
    "worsening on evidence from five runs": (
        "MISSION_TREND_WORSENING", {"kpi_value": [2, 1, 3, 4, 5]}, {"kpi_value": [1, 2, 3, 4, 5]},
    ),
    "autonomy of 55 points": (
        "AUTONOMY_REGRESSION",
        {"human_interventions": [2, 2], "approval_delay_minutes": [170 / 9] * 2},
        {"human_interventions": [2, 2], "approval_delay_minutes": [18.9] * 2},
    ),
    "low autonomy that improves": (
        "AUTONOMY_REGRESSION",
        {"human_interventions": [4, 4], "autonomy_score": [40, 45.1]},
        {"human_interventions": [4, 4], "autonomy_score": [40, 45]},
    ),
    "low autonomy in two runs": ("AUTONOMY_REGRESSION", {"human_interventions": [7]}, {"human_interventions": [7, 7]}),
    "autonomy falling by 5 points": (
        "AUTONOMY_REGRESSION", {"autonomy_score": [80, 75]}, {"autonomy_score": [80, 74.9]},
    ),
    "autonomy falling on evidence": (
        "AUTONOMY_REGRESSION", {"autonomy_score": [90, 95, 80, 75, 70]}, {"autonomy_score": [95, 90, 85, 80, 75]},
    ),
    "a gap of 8 %": ("TARGET_GAP_PERSISTING", {"kpi_value": [5.4, 5.4]}, {"kpi_value": [5.401, 5.401]}),
    "a gap that closes": ("TARGET_GAP_PERSISTING", {"kpi_value": [8, 7.59]}, {"kpi_value": [8, 7.6]}),
    "a plateau of three runs": ("KPI_PLATEAU", {"kpi_value": [6, 6]}, {"kpi_value": [6, 6, 6]}),
    "a plateau within 2 %": ("KPI_PLATEAU", {"kpi_value": [10, 9.799, 9.9]}, {"kpi_value": [10, 9.8, 9.9]}),
    "a plateau short of the target": ("KPI_PLATEAU", {"kpi_value": [5, 5, 5]}, {"kpi_value": [5.001] * 3}),
    "a wait of 5 minutes": (
        "APPROVAL_DELAY_PERSISTING", {"approval_delay_minutes": [4.99] * 3}, {"approval_delay_minutes": [5] * 3},
    ),
    "a wait in the last three runs": (
        "APPROVAL_DELAY_PERSISTING", {"approval_delay_minutes": [90, 0, 0, 14]}, {"approval_delay_minutes": [0, 0, 0, 15]},
    ),
    "a wait that shrinks by a minute": (
        "APPROVAL_DELAY_PERSISTING", {"approval_delay_minutes": [8, 6.9]}, {"approval_delay_minutes": [8, 7]},
    ),
    "escalations rising by half": (
        "ESCALATION_BURDEN_RISING", {"escalations": [1, 1.5]}, {"escalations": [1, 1.51]},
    ),
    "escalations rising on evidence": (
        "ESCALATION_BURDEN_RISING", {"escalations": [1, 0, 2, 3, 4]}, {"escalations": [0, 1, 2, 3, 4]},
    ),
    "half of the runs flagged": (
        "RISK_CLUSTER_FORMING", {"is_flagged": [1, 1, 0, 0, 0]}, {"is_flagged": [1, 1, 0, 0]},
    ),
    "a cluster of two runs": ("RISK_CLUSTER_FORMING", {"is_flagged": [1]}, {"is_flagged": [1, 0]}),
    "unstable from 35 %": (
        "STABILITY_DROPPING",
        {"total_duration_minutes": around(100, 0.3499)},
        {"total_duration_minutes": around(100, 0.3501)},
    ),
    "an unstable KPI": (
        "STABILITY_DROPPING", {"kpi_value": around(5, 0.3499)}, {"kpi_value": around(5, 0.3501)},
    ),
    "less steady in the newer half of eight": (
        "STABILITY_DROPPING",
        {"total_duration_minutes": [100, 100, 100, 100, 118, 88, 112]},
        {"total_duration_minutes": [100, 100, 100, 100, 100, 118, 88, 112]},
    ),
    "a bottleneck of two hits": (
        "REPEATED_BOTTLENECK", {"runs": 3, "bottleneck": "isolated"}, {"runs": 3, "bottleneck": "recurring"},
    ),
    "a limit missed in the latest run": ("SECONDARY_KPI_MISSED", {"missed": False}, {"missed": True}),
    "80 % completed, by the whole interval": (
        "OUTCOMES_DROPPING", {"is_completed": [0] * 4 + [1] * 6}, {"is_completed": [0] * 5 + [1] * 5},
    ),
    "completion falling": ("OUTCOMES_DROPPING", {"is_completed": [1, 0, 1]}, {"is_completed": [1, 1, 0]}),
}  # fmt: skip


@pytest.mark.parametrize(("trigger", "not_enough", "enough"), BOTH_SIDES.values(), ids=BOTH_SIDES)
def test_a_trigger_fires_on_one_side_of_its_limit(policy, trigger, not_enough, enough):
    assert not judged(policy, **not_enough).firings[trigger].fires[0]
    assert judged(policy, **enough).firings[trigger].fires[0]


def test_every_mission_trigger_is_tried_on_both_sides():
    assert {trigger for trigger, _, _ in BOTH_SIDES.values()} == set(MISSION_TRIGGERS)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"kpi_value": [6]}, "near"), ({"kpi_value": [6.001]}, "off"), ({"kpi_value": [5]}, "met"),
        ({"kpi_value": [5.001]}, "near"),
    ],
)  # fmt: skip
def test_target_status(policy, columns, expected):
    assert TARGET_STATUSES[judged(policy, **columns).columns["kpi_target_status"][0]] == expected


@pytest.mark.parametrize(
    ("share", "label"),
    [(0.0999, "stable"), (0.1001, "mostly_stable"), (0.1999, "mostly_stable"), (0.2001, "variable"),
     (0.3499, "variable"), (0.3501, "unstable")],
)  # fmt: skip
def test_stability_labels(policy, share, label):
    columns = judged(policy, total_duration_minutes=around(100, share)).columns
    assert STABILITY_LABELS[columns["stability_label"][0]] == label
    assert columns["duration_residual_share"][0] == pytest.approx(share)


def test_two_runs_are_too_few_for_steadiness(policy):
    assert (
        STABILITY_LABELS[judged(policy, total_duration_minutes=[10, 90]).columns["stability_label"][0]]
        == "too_few_runs"
    )


@pytest.mark.parametrize(
    ("series", "column", "expected"),
    [
        ({"approval_delay_minutes": [38]}, "autonomy_score", 100 - 0.9 * 38),
        ({"approval_delay_minutes": [39]}, "autonomy_score", 65),
        ({"approval_delay_minutes": [49]}, "friction_score", 100 - 0.8 * 49),
        ({"approval_delay_minutes": [51]}, "friction_score", 60),
        ({"human_interventions": [1], "escalations": [2]}, "autonomy_score", 100 - 14 - 36),
        ({"human_interventions": [1], "escalations": [2]}, "friction_score", 100 - 12 - 36),
        ({"human_interventions": [8]}, "autonomy_score", 0),
        ({"human_interventions": [9]}, "friction_score", 0),
        ({"is_flagged": [1, 0, 0, 0]}, "autonomy_score", 90),
        ({"is_flagged": [1, 0, 0, 0]}, "risk_score", 100 - 55 / 4),
        ({"weights": (1, 0, 2, 0)}, "risk_score", 100 - 6 * 7),
        ({"weights": (0, 1, 2, 0)}, "risk_score", 100 - 45),
        ({"weights": (5, 0, 0, 1)}, "risk_score", None),
        ({"is_completed": [0, 1]}, "autonomy_score", 75),
        ({"human_interventions": [10] + [0] * 10}, "autonomy_score", 100),
        ({"human_interventions": [5] + [0] * 9}, "autonomy_score", 93),
        ({"kpi_value": [4]}, "outcome_score", 100),
        ({"kpi_value": [11]}, "outcome_score", 0),
        ({"kpi_value": [8, 7]}, "trajectory_score", 92),
        ({"kpi_value": [8, 8]}, "trajectory_score", 74),
        ({"kpi_value": [7, 8]}, "trajectory_score", 38),
        ({"kpi_value": [8]}, "trajectory_score", 62),
    ],
)
def test_points_and_their_caps(policy, series, column, expected):
    found = judged(policy, **series).columns[column][0]
    assert np.isnan(found) if expected is None else found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("health", "has_high", "expected"),
    [
        (85, False, "ON_TRACK"), (84.99, False, "WATCH"), (70, False, "WATCH"), (69.99, False, "ATTENTION_REQUIRED"),
        (100, True, "WATCH"), (69.99, True, "ATTENTION_REQUIRED"), (84.99999999999999, False, "ON_TRACK"),
        (float("nan"), False, "WATCH"),
    ],
)  # fmt: skip
def test_status_of_a_mission(policy, health, has_high, expected):
    codes = mission_statuses(
        np.array([health]),
        np.array([True]),
        np.array([has_high]),
        policy.health.on_track_from,
        policy.health.watch_from,
    )
    assert MISSION_STATUSES[codes[0]] == expected


@pytest.mark.parametrize(
    ("on_track", "watch", "attention", "has_trigger", "expected"),
    [
        (20, 0, 0, False, "ON_TRACK"), (19, 1, 0, False, "WATCH"), (19, 0, 1, False, "ATTENTION_REQUIRED"),
        (18, 1, 1, True, "ATTENTION_REQUIRED"), (20, 0, 0, True, "WATCH"), (0, 0, 0, True, "NO_DATA"),
        (19, 2, 0, False, "ON_TRACK"), (18, 3, 0, False, "WATCH"),  # 9.5 % and 14.3 % of 21
        (27, 3, 0, False, "WATCH"), (28, 3, 0, False, "ON_TRACK"),  # 10 % of 30, and less of 31
        (39, 0, 2, False, "WATCH"), (38, 0, 2, False, "ATTENTION_REQUIRED"),  # two of 41, and 5 % of 40
        (20, 0, 1, False, "WATCH"), (299, 0, 1, False, "WATCH"), (300, 0, 0, True, "WATCH"),
    ],
)  # fmt: skip
def test_status_of_the_portfolio(policy, on_track, watch, attention, has_trigger, expected):
    counts = (np.array([count]) for count in (on_track, watch, attention))
    codes = portfolio_statuses(*counts, np.array([has_trigger]), policy.status)
    assert MISSION_STATUSES[codes[0]] == expected


@pytest.mark.parametrize(
    ("at_risk", "escalations", "open_events", "fires"),
    [(1, 2, 4, False), (2, 0, 0, True), (0, 3, 0, True), (0, 0, 5, True)],
)
def test_triggers_of_the_portfolio(policy, at_risk, escalations, open_events, fires):
    assert portfolio_fires(at_risk, escalations, open_events, policy) == fires


def test_a_high_trigger_caps_the_status_and_a_medium_one_does_not(policy):
    """Both are in perfect health; one runs at risk."""
    high = judged(policy, kpi_value=[4, 4.4, 4.9], autonomy_score=[100] * 3)
    medium = judged(policy, runs=3, bottleneck="persistent")
    assert [MISSION_STATUSES[one.columns["status"][0]] for one in (high, medium)] == ["WATCH", "ON_TRACK"]
    assert [bool(one.columns["is_at_risk"][0]) for one in (high, medium)] == [True, False]

"""What each day's judgement says of small portfolios written by hand: edges, unknowns, and both sides of each limit."""

from datetime import date, datetime

import pytest
from judge_data import build_in_memory, given, run

from mission_pipeline.errors import NothingToJudge
from mission_pipeline.judge.tables import judge_days
from mission_pipeline.judge.verdict import verdict_as_of
from mission_pipeline.policy import Policy

D1, D2, D3 = "2026-03-01", "2026-03-02", "2026-03-03"
NO_LIMITS = {"direction": "unknown", "baseline_value": 5.0, "target_value": 5.0}


def day(text):
    return date.fromisoformat(text)


def runs_of(mission_id, kpis, first=1, **fields):
    """Runs on successive days of March, one per KPI value; None: not observed."""
    return [run(mission_id, f"2026-03-{first + place:02}", kpi=kpi, **fields) for place, kpi in enumerate(kpis)]


@pytest.fixture
def build():
    return build_in_memory()


@pytest.fixture
def judge(build, policy):
    """Write a portfolio, judge it through a day, and return readers of that day."""

    class Day:
        def __init__(self, runs, through, policy=policy, **portfolio):
            given(build, runs, **portfolio)
            judge_days(build, policy, day(through))
            self.policy, self.through = policy, day(through)

        def card(self, mission_id="A", as_of=None):
            [row] = build.frame(
                "select * from marts.mission_scorecards where mission_id = $mission and as_of_date = $day",
                {"mission": mission_id, "day": day(as_of) if as_of else self.through},
            ).to_dicts()
            return row

        def snapshot(self, as_of=None):
            [row] = build.frame(
                "select * from marts.portfolio_snapshots where snapshot_date = $day",
                {"day": day(as_of) if as_of else self.through},
            ).to_dicts()
            return row

        def triggers(self, mission_id="A"):
            rows = build.frame(
                "select * from marts.mission_triggers where as_of_date = $day "
                "and mission_id is not distinct from $mission order by trigger_rank",
                {"day": self.through, "mission": mission_id},
            ).to_dicts()
            return {row["trigger_name"]: row for row in rows}

        def verdict(self, as_of=None):
            return verdict_as_of(build, self.policy, day(as_of) if as_of else self.through)

    return Day


def changed(policy, missions=None, **sections):
    values = policy.model_dump(exclude={"missions", "sha256"})
    for section, fields in sections.items():
        values[section] |= fields
    return Policy.model_validate({**values, "missions": missions or {}})


# ---------------------------------------------------------------- few runs, or none


def test_a_mission_with_one_quiet_run(judge):
    portfolio = judge([run("A", D1, kpi=5)], D1)
    card = portfolio.card()
    assert card["health_score"] == pytest.approx(0.35 * 100 + 0.25 * 62 + 0.20 * 100 + 0.10 * 100 + 0.10 * 65)
    assert (card["status"], card["kpi_trend"], card["stability_label"]) == (
        "ON_TRACK",
        "insufficient_data",
        "too_few_runs",
    )
    assert (card["autonomy_score"], card["touchless_rate"], card["kpi_previous_value"]) == (100, 1, None)
    assert card["touchless_rate_low"] == pytest.approx(0.2065, abs=1e-4)
    assert portfolio.triggers() == {}
    verdict = portfolio.verdict()
    assert (verdict.status, verdict.driver, verdict.friction, verdict.path_to_on_track) == ("ON_TRACK", None, None, ())
    assert verdict.confidence.level == "LOW"
    assert verdict.confidence.reasons[0].kind == "few_runs"
    assert verdict.confidence.reasons[0].facts == {"mission_id": "A", "finished_runs": 1, "other_missions": 0}


@pytest.mark.parametrize(("status", "fires"), [("cancelled", False), ("failed", True)])
def test_a_bottleneck_of_cancelled_runs_alone_decides_nothing(judge, status, fires):
    portfolio = judge(
        runs_of("A", [None, None], status=status), D2,
        friction=[{"mission_id": "A", "task_id": "T1", "friction_date": day(D2), "runs_measured": 2,
                   "friction_minutes": 9.0, "recent_hits": 2, "bottleneck_status": "recurring"}],
    )  # fmt: skip
    assert ("REPEATED_BOTTLENECK" in portfolio.triggers()) is fires
    assert portfolio.card()["top_bottleneck_task_id"] == "T1"


def test_a_mission_without_a_run_is_there_every_day_and_decides_nothing(judge):
    portfolio = judge(runs_of("A", [5, 5]), D2, missions=["A", "B"])
    for as_of in (D1, D2):
        card = portfolio.card("B", as_of)
        assert (card["status"], card["is_at_risk"], card["finished_runs"]) == ("NO_DATA", False, 0)
        unknown = (
            "health_score",
            "trajectory_score",
            "stability_score",
            "autonomy_score",
            "touchless_rate",
            "last_run_date",
        )
        assert [card[name] for name in unknown] == [None] * 6
    snapshot = portfolio.snapshot()
    assert (snapshot["status"], snapshot["missions_no_data"], snapshot["autonomy_score"]) == ("ON_TRACK", 1, 100)


def test_a_mission_starts_without_data_until_its_first_run_ends(judge):
    portfolio = judge([run("A", D1, kpi=5), run("B", D2, kpi=5)], D2)
    assert portfolio.card("B", D1)["status"] == "NO_DATA"
    assert portfolio.card("B", D2)["status"] == "ON_TRACK"


def test_without_any_run_the_tables_are_empty(judge, build):
    portfolio = judge([], D1, missions=["A"])
    assert build.scalar("select count(*) from marts.mission_scorecards") == 0
    with pytest.raises(NothingToJudge, match="no run yet"):
        portfolio.verdict()


def test_a_day_before_the_first_run_is_refused_with_the_first_day(judge):
    portfolio = judge([run("A", D2, kpi=5)], D2)
    with pytest.raises(NothingToJudge, match="first started on 2026-03-02"):
        portfolio.verdict(D1)


def test_only_open_and_cancelled_runs_are_no_data(judge):
    portfolio = judge([run("A", D1, status="cancelled", kpi=5), run("A", D1, status="running")], D2)
    card = portfolio.card()
    assert (card["status"], card["cancelled_runs"], card["finished_runs"]) == ("NO_DATA", 1, 0)
    assert card["kpi_latest_value"] is None
    snapshot = portfolio.snapshot()
    assert (snapshot["status"], snapshot["active_runs"], snapshot["cancelled_runs"]) == ("NO_DATA", 1, 1)
    assert portfolio.verdict().confidence.level == "LOW"


def test_all_failed(judge):
    portfolio = judge(runs_of("A", [5, 5, 5], status="failed"), D3)
    card = portfolio.card()
    assert (card["failed_runs"], card["completed_runs"], card["touchless_rate"]) == (3, 0, 0)
    assert card["autonomy_score"] == 50  # quiet, but a failed run is not autonomous
    fired = portfolio.triggers()
    assert set(fired) == {"AUTONOMY_REGRESSION", "OUTCOMES_DROPPING"}
    assert (fired["OUTCOMES_DROPPING"]["observed_value"], fired["OUTCOMES_DROPPING"]["threshold"]) == (0, 0.8)
    assert (fired["AUTONOMY_REGRESSION"]["observed_value"], fired["AUTONOMY_REGRESSION"]["threshold"]) == (50, 55)
    assert (fired["OUTCOMES_DROPPING"]["evidence"], fired["AUTONOMY_REGRESSION"]["evidence"]) == (
        "suggestive",
        "direction_only",
    )
    assert card["status"] == "WATCH"  # capped by a high trigger


def test_runs_all_on_one_day(judge):
    portfolio = judge([run("A", D1, kpi=kpi) for kpi in (10, 8, 6)], D1)
    card = portfolio.card()
    assert (card["finished_runs"], card["kpi_first_value"], card["kpi_previous_value"]) == (3, 10, 8)
    assert (card["kpi_latest_value"], card["kpi_trend"]) == (6, "improving")


def test_equal_values(judge):
    portfolio = judge(runs_of("A", [6] * 8), "2026-03-08")
    card = portfolio.card()
    assert (card["kpi_trend"], card["kpi_trend_slope"], card["kpi_trend_p_value"]) == ("flat", 0, 1)
    assert (card["stability_label"], card["kpi_residual_share"], card["duration_residual_share"]) == ("stable", 0, 0)
    assert set(portfolio.triggers()) == {"KPI_PLATEAU", "TARGET_GAP_PERSISTING"}


def test_as_of_a_past_day_later_runs_and_events_do_not_exist(judge, build):
    early = runs_of("A", [10, 9])
    late = [run("A", "2026-03-05", kpi=1, escalations=5, risk_flagged=True)]
    event = {"run_id": "A-0002", "severity": "high", "detected_at": datetime(2026, 3, 4, 12)}
    then = judge(early, D3).card()
    now = judge(early + late, "2026-03-06", events=[event])
    assert now.card(as_of=D3) == then
    assert now.card(as_of="2026-03-04")["event_weight_per_run"] == 1.5  # detected two days after its run
    assert now.card()["event_weight_per_run"] == 1


def test_a_run_that_ends_later_than_a_newer_one_takes_its_place(judge):
    runs = [run("A", "2026-03-04", kpi=10), run("A", D1, kpi=6), run("A", D2, kpi=5)]
    portfolio = judge(runs, "2026-03-04")
    assert portfolio.card(as_of=D2)["kpi_first_value"] == 6
    card = portfolio.card()
    assert (card["kpi_first_value"], card["kpi_latest_value"], str(card["last_run_date"])) == (10, 5, "2026-03-04")


# ---------------------------------------------------------------- KPIs at the edges


def test_a_target_of_zero(judge):
    kpis = {"A": {"direction": "lower_is_better", "baseline_value": 10.0, "target_value": 0.0}}
    portfolio = judge(runs_of("A", [2, 2]), D2, kpis=kpis)
    card = portfolio.card()
    assert (card["kpi_gap_to_target"], card["kpi_gap_to_target_pct"], card["kpi_target_status"]) == (2, None, "off")
    assert card["outcome_score"] == 80
    assert portfolio.triggers()["TARGET_GAP_PERSISTING"]["observed_value"] is None
    met = judge(runs_of("A", [0, 0]), D2, kpis=kpis)
    assert (met.card()["kpi_target_status"], met.card()["outcome_score"]) == ("met", 100)
    assert met.triggers() == {}


def test_a_baseline_equal_to_the_target_has_no_direction_and_is_never_on_track(judge):
    portfolio = judge(runs_of("A", [9, 7, 5]), D3, kpis={"A": NO_LIMITS})
    card = portfolio.card()
    assert (card["kpi_latest_value"], card["kpi_trend"], card["kpi_trend_runs"]) == (5, "insufficient_data", 3)
    unknown = (
        "kpi_improvement_vs_baseline_pct",
        "kpi_gap_to_target",
        "kpi_target_status",
        "outcome_score",
        "health_score",
    )
    assert [card[name] for name in unknown] == [None] * 5
    assert card["status"] == "WATCH"
    [condition] = portfolio.verdict().path_to_on_track
    assert condition.kind == "unknown_health"


def test_a_kpi_that_no_run_observed_is_not_met(judge):
    card = judge(runs_of("A", [None, None]), D2).card()
    assert (card["kpi_observations"], card["kpi_target_status"], card["health_score"], card["status"]) == (
        0, None, None, "WATCH",
    )  # fmt: skip


def test_a_mission_without_a_primary_kpi(judge):
    card = judge(runs_of("A", [1]), D1, kpis={}).card()
    assert (card["kpi_name"], card["kpi_direction"], card["health_score"], card["status"]) == (
        None,
        None,
        None,
        "WATCH",
    )


def test_the_latest_observed_value_counts_even_if_newer_runs_have_none(judge):
    card = judge(runs_of("A", [8, 6, None]), D3).card()
    assert (card["kpi_latest_value"], card["kpi_previous_value"], card["kpi_observations"]) == (6, 8, 2)


@pytest.mark.parametrize(("latest", "status"), [(5, "met"), (4, "met"), (6, "near"), (6.01, "off")])
def test_target_status_at_its_limit_of_20_percent(judge, latest, status):
    assert judge([run("A", D1, kpi=latest)], D1).card()["kpi_target_status"] == status


def test_higher_is_better(judge):
    kpis = {"A": {"direction": "higher_is_better", "baseline_value": 60.0, "target_value": 80.0}}
    card = judge(runs_of("A", [65, 75]), D2, kpis=kpis).card()
    assert card["kpi_trend"] == "improving"
    assert card["outcome_score"] == 75
    assert (card["kpi_gap_to_target"], card["kpi_gap_to_target_pct"]) == (5, 6.25)
    assert card["kpi_improvement_vs_baseline_pct"] == 25
    assert card["kpi_improvement_vs_first_pct"] == pytest.approx(100 * 10 / 65)


# ---------------------------------------------------------------- unknown measures


def test_means_are_over_what_is_known(judge):
    runs = [run("A", D1, kpi=5, human_interventions=2), run("A", D2, kpi=5, human_interventions=None)]
    card = judge(runs, D2).card()
    assert (card["mean_human_interventions"], card["touchless_known_runs"], card["autonomy_trend_runs"]) == (2, 1, 1)
    assert card["friction_score"] == 76


def test_a_score_that_needs_what_nobody_reported_is_unknown(judge):
    card = judge(runs_of("A", [5, 5], human_interventions=None), D2).card()
    assert [card[name] for name in ("autonomy_score", "friction_score", "health_score")] == [None] * 3
    assert (card["risk_score"], card["status"]) == (100, "WATCH")


def test_an_event_of_unknown_severity_leaves_its_run_out_of_the_mean(judge):
    events = [{"run_id": "A-0001", "severity": None}, {"run_id": "A-0002", "severity": "medium"}]
    assert judge(runs_of("A", [5, 5]), D2, events=events).card()["event_weight_per_run"] == 2


def test_only_the_last_ten_finished_runs_are_averaged(judge):
    runs = [run("A", D1, kpi=5, human_interventions=10), *runs_of("A", [5] * 10, first=2)]
    card = judge(runs, "2026-03-11").card()
    assert (card["mean_human_interventions"], card["autonomy_score"]) == (0, 100)
    assert judge(runs[:-1], "2026-03-10").card()["mean_human_interventions"] == 1


# ---------------------------------------------------------------- triggers, both sides


def names(portfolio, mission_id="A"):
    return set(portfolio.triggers(mission_id))


@pytest.mark.parametrize(
    ("kpis", "fires"),
    [([4, 4.2], False), ([4, 4.3], True), ([4, 4.3, 4.2], False), ([1, 2, 3, 4], True), ([2, 1, 3, 2, 4], False)],
)
def test_mission_trend_worsening_fires_by_label_and_from_five_runs_by_evidence(judge, kpis, fires):
    """2, 1, 3, 2, 4 rises by its line, but with p = 0.2 it may well be chance."""
    portfolio = judge(runs_of("A", kpis), f"2026-03-{len(kpis):02}")
    fired = portfolio.triggers()
    assert ("MISSION_TREND_WORSENING" in fired) == fires
    if fires:
        assert fired["MISSION_TREND_WORSENING"]["threshold"] == -5
        assert fired["MISSION_TREND_WORSENING"]["supporting_runs"] == len(kpis)
        assert portfolio.card()["status"] != "ON_TRACK"
    elif len(kpis) == 5:
        assert portfolio.card()["kpi_trend"] == "worsening"


def test_a_tested_trend_is_a_claim(judge):
    """Eight runs in order: p = 2/40320, which survives Holm over the few trends of the day."""
    portfolio = judge(runs_of("A", [1, 2, 3, 4, 5, 6, 7, 8]), "2026-03-08")
    card = portfolio.card()
    assert (card["kpi_trend_evidence"], card["kpi_trend_p_value"]) == ("tested", pytest.approx(2 / 40320))
    assert portfolio.triggers()["MISSION_TREND_WORSENING"]["evidence"] == "tested"


def test_what_one_mission_proves_may_be_only_a_signal_among_many(judge):
    """Five runs in order have p = 1/60: under 5 % alone, not after Holm over five trends of each mission."""
    runs = [one for mission in "ABCD" for one in runs_of(mission, [1, 2, 3, 4, 5])]
    portfolio = judge(runs, "2026-03-05")
    assert portfolio.card()["kpi_trend_evidence"] == "suggestive"
    assert portfolio.triggers()["MISSION_TREND_WORSENING"]["evidence"] == "suggestive"


@pytest.mark.parametrize(("interventions", "fires"), [([3, 3], False), ([4, 3], True), ([4], False), ([6, 1], False)])
def test_autonomy_regression_below_55_points(judge, interventions, fires):
    """3 interventions a run are 58 points; 3.5 are 51. One run alone, or a rising score, does not fire."""
    runs = [run("A", f"2026-03-{place + 1:02}", kpi=5, human_interventions=n) for place, n in enumerate(interventions)]
    if interventions == [4, 3]:
        runs[1]["human_interventions"], runs[0]["human_interventions"] = 4, 4
    assert ("AUTONOMY_REGRESSION" in names(judge(runs, f"2026-03-{len(runs):02}"))) == fires


def test_exactly_55_points_are_enough(judge):
    runs = runs_of("A", [5, 5], human_interventions=2, approval_delay_minutes=170 / 9)
    portfolio = judge(runs, D2)
    assert portfolio.card()["autonomy_score"] == pytest.approx(55)
    assert "AUTONOMY_REGRESSION" not in names(portfolio)


@pytest.mark.parametrize(("latest", "fires"), [(5.4, False), (5.41, True)])
def test_target_gap_over_8_percent(judge, latest, fires):
    assert ("TARGET_GAP_PERSISTING" in names(judge(runs_of("A", [latest, latest]), D2))) == fires


def test_a_gap_that_closes_does_not_persist(judge):
    assert "TARGET_GAP_PERSISTING" not in names(judge(runs_of("A", [9, 7]), D2))


@pytest.mark.parametrize(
    ("kpis", "fires"),
    [([10, 10], False), ([10, 10, 10], True), ([10, 9.8, 9.9], True), ([10, 9.79, 9.9], False), ([5, 5, 5], False)],
)
def test_a_plateau_needs_three_runs_within_2_percent_and_a_target_not_met(judge, kpis, fires):
    assert ("KPI_PLATEAU" in names(judge(runs_of("A", kpis), f"2026-03-{len(kpis):02}"))) == fires


@pytest.mark.parametrize(("delays", "fires"), [([9, 3, 3, 9], True), ([9, 3, 3, 8.9], False), ([9, 6, 4], False)])
def test_approval_delay_of_the_last_three_runs(judge, delays, fires):
    """(3 + 3 + 9) / 3 is 5 exactly; 9, 6, 4 improves."""
    runs = [run("A", f"2026-03-{place + 1:02}", kpi=5, approval_delay_minutes=d) for place, d in enumerate(delays)]
    assert ("APPROVAL_DELAY_PERSISTING" in names(judge(runs, f"2026-03-{len(runs):02}"))) == fires


@pytest.mark.parametrize(("escalations", "fires"), [([0, 1], True), ([1, 1], False), ([1, 0], False)])
def test_escalation_burden_rising(judge, escalations, fires):
    runs = [run("A", f"2026-03-{place + 1:02}", kpi=5, escalations=n) for place, n in enumerate(escalations)]
    assert ("ESCALATION_BURDEN_RISING" in names(judge(runs, D2))) == fires


@pytest.mark.parametrize(("flags", "fires"), [([True], False), ([True, False], True), ([True, False, False], False),
                                              ([True, None], False)])  # fmt: skip
def test_risk_cluster_from_half_of_two_known_runs(judge, flags, fires):
    runs = [run("A", f"2026-03-{place + 1:02}", kpi=5, risk_flagged=flag) for place, flag in enumerate(flags)]
    assert ("RISK_CLUSTER_FORMING" in names(judge(runs, f"2026-03-{len(runs):02}"))) == fires


def durations(*minutes):
    return [
        run("A", f"2026-03-{place + 1:02}", kpi=5, total_duration_minutes=float(m)) for place, m in enumerate(minutes)
    ]


def test_unstable_durations(judge):
    """10, 20, 10: residual 20/√6·√1 around the line is 8.16, over a mean of 13.3 it is 61 %."""
    portfolio = judge(durations(10, 20, 10), D3)
    assert portfolio.card()["stability_label"] == "unstable"
    assert portfolio.card()["duration_residual_share"] == pytest.approx(0.6124, abs=1e-4)
    assert "STABILITY_DROPPING" in names(portfolio)
    assert "STABILITY_DROPPING" not in names(judge(durations(10, 20), D2))


def test_less_steady_in_the_newer_half_of_eight_runs(judge):
    unsteady = (100, 118, 88, 112)
    portfolio = judge(durations(100, 100, 100, 100, *unsteady), "2026-03-08")
    assert portfolio.card()["stability_label"] != "unstable"
    fired = portfolio.triggers()["STABILITY_DROPPING"]
    assert fired["threshold"] == 0
    assert 0.1 < fired["observed_value"] < 0.35
    assert "STABILITY_DROPPING" not in names(judge(durations(100, 100, 100, *unsteady), "2026-03-07"))
    assert "STABILITY_DROPPING" not in names(judge(durations(*unsteady, 100, 100, 100, 100), "2026-03-08"))


@pytest.mark.parametrize(
    ("status", "fires"), [("clear", False), ("isolated", False), ("recurring", True), ("persistent", True)]
)
def test_repeated_bottleneck(judge, status, fires):
    friction = [{"mission_id": "A", "task_id": "T1", "friction_date": day(D1), "friction_minutes": 3.0,
                 "recent_hits": 2, "bottleneck_status": status}]  # fmt: skip
    portfolio = judge([run("A", D1, kpi=5)], D1, friction=friction)
    assert ("REPEATED_BOTTLENECK" in names(portfolio)) == fires
    assert portfolio.card()["top_bottleneck_task_id"] == "T1"


def test_the_top_bottleneck_has_the_most_minutes_as_of_the_day(judge):
    def row(task, on, minutes):
        return {"mission_id": "A", "task_id": task, "friction_date": day(on), "friction_minutes": minutes}

    friction = [row("T1", D1, 4.0), row("T1", D3, 1.0), row("T2", D2, 4.0), row("T3", D1, None), row("T4", D1, 0.0)]
    portfolio = judge([run("A", D1, kpi=5)], D3, friction=friction)
    assert [portfolio.card(as_of=d)["top_bottleneck_task_id"] for d in (D1, D2, D3)] == ["T1", "T1", "T2"]
    assert [portfolio.snapshot(d)["top_bottleneck_task_id"] for d in (D1, D2, D3)] == ["T1", "T1", "T2"]


def test_without_friction_there_is_no_bottleneck(judge):
    friction = [{"mission_id": "A", "task_id": "T1", "friction_date": day(D1), "friction_minutes": 0.0}]
    portfolio = judge([run("A", D1, kpi=5)], D1, friction=friction)
    assert portfolio.card()["top_bottleneck_task_id"] is None
    assert portfolio.snapshot()["top_bottleneck_task_id"] is None


def test_secondary_kpi_missed_in_the_latest_run_only(judge):
    def missed(run_id, value):
        return {"mission_id": "A", "run_id": run_id, "kpi_name": "csat", "direction": "higher_is_better",
                "kpi_value": value, "target_value": 4.0, "gap_to_target": max(0.0, 4 - value),
                "gap_to_target_pct": 25 * max(0.0, 4 - value)}  # fmt: skip

    runs = runs_of("A", [5, 5])
    fired = judge(runs, D2, limits=[missed("A-0001", 4.5), missed("A-0002", 3.8)]).triggers()
    assert fired["SECONDARY_KPI_MISSED"]["kpi_name"] == "csat"
    assert (fired["SECONDARY_KPI_MISSED"]["observed_value"], fired["SECONDARY_KPI_MISSED"]["threshold"]) == (3.8, 4)
    assert names(judge(runs, D2, limits=[missed("A-0001", 3.8), missed("A-0002", 4.0)])) == set()


def test_outcomes_dropping(judge):
    """5 of 10 completed: the Wilson interval ends at 76 %; 6 of 10 at 83 %. Failures come first, so nothing worsens."""

    def portfolio(failed):
        statuses = ["failed"] * failed + ["completed"] * (10 - failed)
        return judge([run("A", f"2026-03-{i + 1:02}", kpi=5, status=s) for i, s in enumerate(statuses)], "2026-03-10")

    fired = portfolio(5).triggers()["OUTCOMES_DROPPING"]
    assert (fired["observed_value"], fired["threshold"], fired["supporting_runs"]) == (0.5, 0.8, 10)
    assert fired["evidence"] == "suggestive"  # the whole interval is below the limit; no test over the day's trends
    assert "OUTCOMES_DROPPING" not in names(portfolio(4))


def test_completion_worsening(judge):
    runs = [run("A", D1, kpi=5), run("A", D2, kpi=5), run("A", D3, kpi=5, status="failed")]
    fired = judge(runs, D3).triggers()
    assert fired["OUTCOMES_DROPPING"]["observed_value"] == -1
    assert fired["OUTCOMES_DROPPING"]["evidence"] == "direction_only"


def test_drivers_are_ranked_by_severity_then_runs_then_gap_then_mission_then_name(judge):
    runs = [
        *runs_of("A", [5, 5], risk_flagged=True),  # medium, 2 runs, no gap
        *runs_of("B", [5.3, 5.3], risk_flagged=True),  # medium, 2 runs, a gap of 6 %
        *runs_of("C", [5, 5, 5], risk_flagged=True),  # medium, 3 runs
        *runs_of("D", [4, 5]),  # high
    ]
    portfolio = judge(runs, D3)
    assert [(row["mission_id"], row["trigger_name"]) for row in portfolio.verdict().triggers] == [
        ("D", "MISSION_TREND_WORSENING"), ("C", "RISK_CLUSTER_FORMING"), ("B", "RISK_CLUSTER_FORMING"),
        ("A", "RISK_CLUSTER_FORMING"),
    ]  # fmt: skip


# ---------------------------------------------------------------- the portfolio


def many(worse, total):
    """Missions of which the first ``worse`` have a far worse health (no gap closed, three interventions a run)."""
    runs = []
    for place in range(total):
        bad = {"kpi": 10, "human_interventions": 3} if place < worse else {"kpi": 5}
        runs += [run(f"M{place:03}", D1, **bad), run(f"M{place:03}", D2, **bad)]
    return runs


@pytest.mark.parametrize(
    ("worse", "total", "status"),
    [(0, 20, "ON_TRACK"), (1, 20, "ATTENTION_REQUIRED"), (1, 21, "WATCH"), (1, 40, "WATCH"), (2, 40, "ATTENTION_REQUIRED"),
     (0, 40, "ON_TRACK")],
)  # fmt: skip
def test_beyond_20_missions_shares_decide(judge, policy, worse, total, status):
    """2 of 40 are 5 %. The trigger for missions at risk is out of the way here."""
    quiet = changed(policy)
    quiet = quiet.model_copy(update={"triggers": quiet.triggers.model_copy(update={
        "portfolio_missions_at_risk": quiet.triggers.portfolio_missions_at_risk.model_copy(update={"min_missions": 1000})
    })})  # fmt: skip
    portfolio = judge(many(worse, total), D2, policy=quiet)
    assert portfolio.snapshot()["missions_attention_required"] == worse
    assert portfolio.snapshot()["status"] == status


def test_missions_without_data_do_not_dilute_the_shares(judge):
    """Two of 30 with data are over 5 %; two of 50 would be under."""
    ids = [f"M{place:03}" for place in range(50)]
    assert judge(many(2, 30), D2, missions=ids).snapshot()["status"] == "ATTENTION_REQUIRED"


def test_two_missions_at_risk_cap_the_portfolio(judge):
    runs = [*runs_of("A", [4, 4.3]), *runs_of("B", [4, 4.3]), *runs_of("C", [5, 5])]
    portfolio = judge(runs, D2)
    assert portfolio.snapshot()["missions_at_risk"] == 2
    fired = portfolio.triggers(None)["PORTFOLIO_MISSIONS_AT_RISK"]
    assert (fired["observed_value"], fired["threshold"], fired["severity"]) == (2, 2, "high")
    assert portfolio.verdict().driver["mission_id"] == "A"  # a cause, not the summary
    assert judge([*runs_of("A", [4, 4.3]), *runs_of("C", [5, 5])], D2).triggers(None) == {}


@pytest.mark.parametrize(("escalations", "status"), [(2, "ON_TRACK"), (3, "WATCH")])
def test_three_escalations_in_a_day_cap_the_portfolio_that_day_only(judge, escalations, status):
    runs = [run(name, D1, kpi=5, escalations=1 if place < escalations else 0) for place, name in enumerate("ABCD")]
    runs += [run(name, D1, kpi=5) for name in "ABCD"]
    portfolio = judge(runs, D2)
    assert portfolio.snapshot(D1)["escalations_last_24h"] == escalations
    assert portfolio.snapshot(D1)["status"] == status
    assert portfolio.snapshot(D2)["escalations_last_24h"] == 0
    assert portfolio.snapshot(D2)["status"] == "ON_TRACK"


def test_what_one_run_did_not_report_leaves_the_sum_unknown_but_not_the_alarm(judge):
    runs = [run("A", D1, kpi=5, escalations=3), run("A", D1, kpi=5, escalations=None, human_interventions=None)]
    portfolio = judge(runs, D1)
    snapshot = portfolio.snapshot()
    assert (snapshot["escalations_last_24h"], snapshot["human_interventions_last_24h"]) == (None, None)
    assert portfolio.triggers(None)["PORTFOLIO_ESCALATIONS_24H"]["observed_value"] == 3


@pytest.mark.parametrize(("open_events", "fires"), [(4, False), (5, True)])
def test_five_open_events_cap_the_portfolio(judge, open_events, fires):
    events = [{"run_id": "A-0001", "status": "open"} for _ in range(open_events)]
    events += [
        {"run_id": "A-0001", "status": "closed"},
        {"run_id": "A-0001", "status": "open", "detected_at": datetime(2026, 3, 2)},
    ]
    portfolio = judge([run("A", D1, kpi=5)], D1, events=events)
    assert portfolio.snapshot()["open_risk_events"] == open_events
    assert ("PORTFOLIO_OPEN_RISK_EVENTS" in portfolio.triggers(None)) == fires


def test_a_run_over_midnight_is_active_until_it_ends(judge):
    runs = [run("A", D2, kpi=5, start_time=datetime(2026, 3, 1, 23)), run("A", D1, status="blocked")]
    portfolio = judge(runs, D2)
    assert [portfolio.snapshot(d)["active_runs"] for d in (D1, D2)] == [2, 1]
    assert [portfolio.snapshot(d)["completed_runs"] for d in (D1, D2)] == [0, 1]


def test_runs_are_counted_apart_and_add_up(judge, build):
    runs = [run("A", D1, status=status) for status in ("completed", "failed", "cancelled", "running", "completed")]
    snapshot = judge(runs, D1).snapshot()
    counts = [snapshot[name] for name in ("completed_runs", "failed_runs", "cancelled_runs", "active_runs")]
    assert counts == [2, 1, 1, 1]


# ---------------------------------------------------------------- policy for one mission


def test_an_override_holds_for_its_mission_alone(judge, policy):
    stricter = changed(policy, missions={"B": {"health": {"on_track_from": 99.0}, "triggers": {
        "risk_cluster_forming": {"severity": "high"}}}})  # fmt: skip
    runs = [one for name in "AB" for one in runs_of(name, [5, 5], risk_flagged=True)]
    portfolio = judge(runs, D2, policy=stricter)
    assert portfolio.triggers("A")["RISK_CLUSTER_FORMING"]["severity"] == "medium"
    assert portfolio.triggers("B")["RISK_CLUSTER_FORMING"]["severity"] == "high"
    assert (portfolio.card("A")["is_at_risk"], portfolio.card("B")["is_at_risk"]) == (False, True)
    assert next(c.needed for c in portfolio.verdict().path_to_on_track if c.mission_id == "B") == 99


# ---------------------------------------------------------------- confidence


def kinds(verdict):
    return [(reason.level, reason.kind) for reason in verdict.confidence.reasons]


def test_six_good_runs_are_enough_for_high_confidence(judge):
    verdict = judge(runs_of("A", [5] * 6), "2026-03-06").verdict()
    assert (verdict.status, verdict.confidence.level, verdict.confidence.reasons) == ("ON_TRACK", "HIGH", ())


@pytest.mark.parametrize(("number", "expected"), [(5, [("MEDIUM", "few_runs")]), (1, [("LOW", "few_runs")])])
def test_few_runs(judge, number, expected):
    found = kinds(judge(runs_of("A", [5] * number), f"2026-03-{number:02}").verdict())
    assert [reason for reason in found if reason[1] == "few_runs"] == expected
    assert found[0] == expected[0]


def test_a_health_that_nobody_knows_is_never_certain(judge):
    """Six failed runs without a KPI: WATCH for caution. Two such missions are one reason."""
    failed = {"status": "failed"}
    verdict = judge(runs_of("A", [None] * 6, **failed), "2026-03-06").verdict()
    assert (verdict.status, verdict.scorecards[0]["health_score"]) == ("WATCH", None)
    assert verdict.confidence.level == "MEDIUM"
    [reason] = [reason for reason in verdict.confidence.reasons if reason.kind == "unknown_health"]
    assert (reason.level, reason.facts) == ("MEDIUM", {"mission_id": "A", "other_missions": 0})
    both = [*runs_of("A", [None] * 6, **failed), *runs_of("B", [None] * 6, **failed)]
    [reason] = [one for one in judge(both, "2026-03-06").verdict().confidence.reasons if one.kind == "unknown_health"]
    assert reason.facts == {"mission_id": "A", "other_missions": 1}


def test_a_known_health_or_one_that_decides_nothing_is_no_reason(judge):
    """A failed six times at a known KPI. Where B needs attention, A of unknown health decides nothing; NEW never ran."""
    known = judge(runs_of("A", [5] * 6, status="failed"), "2026-03-06").verdict()
    assert "unknown_health" not in [kind for _, kind in kinds(known)]
    beside = judge([*runs_of("A", [None] * 6), *runs_of("B", [10] * 6, human_interventions=3)], "2026-03-06").verdict()
    assert beside.status == "ATTENTION_REQUIRED"
    assert "unknown_health" not in [kind for _, kind in kinds(beside)]
    cancelled = judge(runs_of("A", [None], status="cancelled"), D1).verdict()
    assert (cancelled.status, kinds(cancelled)[0]) == ("NO_DATA", ("LOW", "few_runs"))
    assert "unknown_health" not in [kind for _, kind in kinds(cancelled)]


@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        (10, []),
        (11, [("MEDIUM", "rejected_records")]),
        (50, [("MEDIUM", "rejected_records")]),
        (51, [("LOW", "rejected_records")]),
    ],
)
def test_rejected_records(judge, rejected, expected):
    assert kinds(judge(runs_of("A", [5] * 6), "2026-03-06", rejected=rejected).verdict()) == expected


@pytest.mark.parametrize(("through", "expected"), [("2026-03-13", []), ("2026-03-14", [("LOW", "stale_data")])])
def test_stale_data_is_never_silently_on_track(judge, through, expected):
    verdict = judge(runs_of("A", [5] * 6), through).verdict()
    assert (verdict.status, kinds(verdict)) == ("ON_TRACK", expected)


def test_reasons_come_worst_first_then_in_their_order(judge):
    verdict = judge(runs_of("A", [5] * 3), "2026-03-20", rejected=20).verdict()
    assert kinds(verdict) == [("LOW", "stale_data"), ("MEDIUM", "few_runs"), ("MEDIUM", "rejected_records")]


def test_a_status_that_hinges_on_one_run(judge):
    """Without the one flagged run with five interventions the mission would be on track."""
    runs = runs_of("A", [5] * 6)
    runs[3] |= {"human_interventions": 20, "escalations": 5, "risk_flagged": True}
    verdict = judge(runs, "2026-03-06").verdict()
    assert verdict.status == "WATCH"
    [reason] = [reason for reason in verdict.confidence.reasons if reason.kind == "single_run"]
    assert reason.facts["run_id"] == "A-0004"
    assert (reason.facts["flipping_runs"], reason.facts["status_without"]) == (1, "ON_TRACK")


def test_a_status_close_to_a_cut_off(judge):
    """Flat at a KPI between baseline and target: health 86.1, and 89.25 with the cut-off 5 % higher."""
    verdict = judge(runs_of("A", [5.5] * 6), "2026-03-06").verdict()
    assert verdict.scorecards[0]["health_score"] == pytest.approx(0.35 * 90 + 0.25 * 74 + 20 + 10 + 9)
    assert verdict.status == "ON_TRACK"
    [reason] = [reason for reason in verdict.confidence.reasons if reason.kind == "cut_off"]
    assert reason.facts == {"cut_off": "ON_TRACK", "shift_share": 0.05, "status_then": "WATCH"}


def test_only_missions_that_decide_are_asked_for_runs(judge):
    """B is on track with two runs; A decides with six."""
    runs = [*runs_of("A", [10] * 6, human_interventions=3), *runs_of("B", [5, 5])]
    verdict = judge(runs, "2026-03-06").verdict()
    assert verdict.status == "ATTENTION_REQUIRED"
    assert not [reason for reason in verdict.confidence.reasons if reason.kind == "few_runs"]

"""What a brief says: of the shipped portfolio, and of portfolios without driver, without data, on track, stale, large."""

import json
import re
from datetime import date

import pytest
from brief_samples import (
    DAY,
    SALES,
    compose,
    compose_shipped,
    empty_scorecard,
    facts,
    scorecard,
    snapshot,
    task,
    trigger,
)
from hypothesis import given
from hypothesis import strategies as st

from mission_pipeline.brief.claims import plain, value_at
from mission_pipeline.brief.document import document_of, first_screen_of, win_sentence
from mission_pipeline.brief.render import json_of, markdown_of, text_of
from mission_pipeline.contracts.judged import MISSION_TRIGGERS, PORTFOLIO_TRIGGERS
from mission_pipeline.judge.confidence import Reason
from mission_pipeline.policy import load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE

KEYS = [
    "as_of", "status", "interpretation", "primary_driver", "trend_insight", "friction_signal", "recommended_action",
    "confidence", "win", "portfolio", "missions", "triggers", "reconciliation", "data_quality", "what_to_fix",
    "path_to_on_track", "assumptions", "policy", "inputs", "changes", "evidence",
]  # fmt: skip


@pytest.fixture
def shipped_brief(policy):
    return compose_shipped(policy)


def everything(brief):
    """All that a reader could read, in both formats."""
    return f"{markdown_of(brief)}\n{text_of(brief, width=80)}"


def test_the_json_has_the_keys_of_the_contract_in_their_order(shipped_brief):
    assert list(shipped_brief) == KEYS
    assert list(shipped_brief["primary_driver"]) == [
        "trigger", "mission_id", "mission_name", "evidence", "headline", "why",
    ]  # fmt: skip
    assert list(shipped_brief["trend_insight"]) == ["headline", "improving", "flat", "worsening", "insufficient_data"]
    assert list(shipped_brief["friction_signal"]) == [
        "mission_id", "task_id", "task_name", "driver", "bottleneck_status", "headline",
    ]  # fmt: skip
    assert list(shipped_brief["recommended_action"]) == ["text", "owner", "aim"]
    assert list(shipped_brief["confidence"]) == ["level", "reasons"]
    assert list(shipped_brief["win"]) == [
        "mission_id", "kpi_name", "baseline_value", "first_value", "latest_value", "improvement_vs_baseline_pct",
        "improvement_vs_first_pct",
    ]  # fmt: skip
    assert list(shipped_brief["policy"]) == ["version", "sha256"]
    assert list(shipped_brief["inputs"][0]) == ["file", "sha256", "rows"]
    for claim in shipped_brief["evidence"].values():
        assert list(claim) == ["path", "sql", "value", *(["in"] if "in" in claim else [])]


def test_the_shipped_portfolio_in_words(shipped_brief):
    brief = shipped_brief
    assert brief["status"] == "WATCH"
    assert brief["interpretation"] == (
        f"Progress is real, but not enough for ON_TRACK until friction and autonomy improve in {SALES}."
    )
    assert brief["primary_driver"] == {
        "trigger": "AUTONOMY_REGRESSION",
        "mission_id": "M002",
        "mission_name": SALES,
        "evidence": "direction_only",
        "headline": f"Autonomy regression in {SALES}",
        "why": "Its runs depend on people more than before, although its main KPI improves: the autonomy score "
        "(a hundred: no person had to step in) is 45.95, with 1.5 human interventions and 0.5 escalations per run. "
        "Escalations rise as well (signal from 2 runs, not proven). It is not yet self-sustaining.",
    }
    assert brief["trend_insight"] == {
        "headline": "All 3 missions improve on their main KPI (a signal from 2 to 3 runs each, not proven), "
        f"but autonomy worsens in {SALES} (signal from 2 runs, not proven).",
        "improving": 3,
        "flat": 0,
        "worsening": 0,
        "insufficient_data": 0,
    }
    assert brief["friction_signal"] == {
        "mission_id": "M002",
        "task_id": "T5",
        "task_name": "Draft personalized outreach email",
        "driver": "task_overrun",
        "bottleneck_status": "recurring",
        "headline": 'T5 "Draft personalized outreach email": recurring task overrun (the task takes longer than '
        "planned), 7.33 minutes per run over plan or waiting for a person.",
    }
    assert brief["recommended_action"] == {
        "text": 'Reduce interventions and escalations in T5 "Draft personalized outreach email" within the next '
        "execution cycle; re-scope it or add capacity to restore autonomy.",
        "owner": None,
        "aim": "an autonomy score of 55 or more (now 45.95) that no longer falls from run to run; that takes at most "
        "1.05 human interventions and 0.35 escalations per run.",
    }
    assert "reported snapshot" not in brief["interpretation"]


def test_the_path_to_on_track_names_what_is_and_what_has_to_be(shipped_brief):
    first, second = shipped_brief["path_to_on_track"]
    assert first == {
        "mission_id": "M002", "kind": "health", "trigger": None, "lever": None, "current": 79.4286, "needed": 85.0,
        "unit": "points", "is_reachable": None,
        "text": f"the health of {SALES} is 79.43 and has to reach 85 points.",
    }  # fmt: skip
    assert (second["kind"], second["trigger"]) == ("trigger", "AUTONOMY_REGRESSION")
    assert second["text"].startswith("Autonomy regression has to clear: an autonomy score of 55 or more")


def test_what_to_fix_lists_findings_by_rank_and_then_other_tasks_that_hold_runs_up(policy, shipped_brief):
    fixes = shipped_brief["what_to_fix"]
    assert [(fix["rank"], fix["trigger"], fix["mission_id"], fix["task_id"]) for fix in fixes] == [
        (1, "AUTONOMY_REGRESSION", "M002", "T5"),
        (2, "ESCALATION_BURDEN_RISING", "M002", "T5"),
        (3, "REPEATED_BOTTLENECK", "M002", "T5"),
        (4, "RISK_CLUSTER_FORMING", "M002", "T5"),
        (5, "REPEATED_BOTTLENECK", "M001", "T2"),
    ]
    restless = task("M003", "T7", bottleneck_status="recurring", bottleneck_driver="approval_delay")
    more = compose_shipped(policy, friction=[restless, task("M003", "T8", bottleneck_status="isolated")])
    assert [(fix["trigger"], fix["task_id"]) for fix in more["what_to_fix"][5:]] == [(None, "T7")]
    assert more["what_to_fix"][5]["headline"] == "Friction in Improve Support Case Resolution"
    assert fixes[2]["why"] == (
        'T5 "Draft personalized outreach email" is a recurring bottleneck (task overrun): 7.33 minutes over plan or '
        "waiting per run; 2 of its latest runs went beyond what is tolerated."
    )
    assert fixes[2]["aim"] == (
        'T5 "Draft personalized outreach email" within its plan of 6 minutes; it takes 8 minutes on average now.'
    )


def test_the_win_never_mixes_its_two_references(shipped_brief):
    assert plain(win_sentence(shipped_brief)) == (
        "Improve Support Case Resolution: resolution time is 3.2 hours, 73.33 % better than the baseline of 12.0 hours "
        "and 38.46 % better than the first run's 5.2 hours."
    )


def test_a_win_on_the_baseline_that_is_worse_than_the_first_run_says_so(policy):
    fallen = scorecard(kpi_improvement_vs_first_pct=-12.5, kpi_first_value=4.0, kpi_latest_value=4.5)
    brief = compose(policy, missions=[fallen])
    assert "and 12.50 % worse than the first run's 4.0 days" in plain(win_sentence(brief))


def test_a_win_is_not_compared_with_itself(policy):
    figures = {"kpi_improvement_vs_first_pct": 0.0, "kpi_first_value": 5.0}
    alone = plain(win_sentence(compose(policy, missions=[scorecard(**figures, kpi_trend_runs=1)])))
    assert alone == "First mission: delivery is 5 days, 50.00 % better than the baseline of 10 days."
    same = plain(win_sentence(compose(policy, missions=[scorecard(**figures)])))
    assert same.endswith("better than the baseline of 10 days and the same as the first run's.")


@pytest.mark.parametrize(
    ("figures", "end"),
    [
        ({"kpi_improvement_vs_first_pct": 0.003}, "better than the baseline of 10 days and about the same as the first run's."),
        ({"kpi_improvement_vs_first_pct": -0.003}, "better than the baseline of 10 days and about the same as the first run's."),
        (
            {"kpi_improvement_vs_baseline_pct": 0.003, "kpi_improvement_vs_first_pct": None},
            "delivery is 5 days, hardly better than the baseline of 10 days.",
        ),
    ],
)  # fmt: skip
def test_an_improvement_that_rounds_to_nothing_is_no_percentage(policy, figures, end):
    brief = compose(policy, missions=[scorecard(**{"kpi_first_value": 5.0, **figures})])
    assert plain(win_sentence(brief)).endswith(end)


@pytest.mark.parametrize(
    ("minutes", "sentence"),
    [
        ((6.0, 60.0), "6 of 60 minutes of run time (in 6 runs with complete logs) are unexplained"),
        ((0.0, 60.0), "The logs explain where the time of the runs went (in 6 runs with complete logs)."),
        ((0.003, 0.004), "The logs explain where the time of the runs went (in 6 runs with complete logs)."),
        ((0.0, 0.0), "The logs explain where the time of the runs went (in 6 runs with complete logs)."),
    ],
)
def test_unexplained_time_that_rounds_to_nothing_is_none(policy, minutes, sentence):
    unattributed, known = minutes
    time = {
        "finished_runs": 6, "run_minutes": known, "unattributed_minutes": unattributed, "runs_with_known_times": 6,
        "known_run_minutes": known, "newest_run_date": DAY,
    }  # fmt: skip
    shown = everything(compose(policy, run_time=time))
    assert sentence in " ".join(shown.split())
    assert ("unexplained" in shown) == (unattributed > 1)


def test_friction_that_rounds_to_nothing_costs_nothing_a_week(policy):
    instant = task(
        estimated_minutes=0.001, mean_actual_minutes=0.0014, friction_minutes=0.0004, recent_hits=2,
        bottleneck_status="recurring", bottleneck_driver="task_overrun",
    )  # fmt: skip
    brief = compose(
        policy, "WATCH", triggers=[trigger("REPEATED_BOTTLENECK", scorecard(), task_id="T1")], friction=[instant]
    )
    assert "under 0.01 minutes per run over plan" in brief["friction_signal"]["headline"]
    brief["what_to_fix"][0] |= {"friction_minutes_per_week": 0.004, "runs_per_week": 10.0, "holds_up": 0}
    assert "of friction a week" not in everything(brief)
    brief["what_to_fix"][0]["friction_minutes_per_week"] = 0.04
    assert "T1 costs 0.04 minutes of friction a week, at 10 runs a week." in " ".join(everything(brief).split())


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((1, 1, 0, 0), "The rules detect 1 risk in the telemetry (what the runs logged); nobody reported any."),
        ((0, 0, 1, 1), "The rules detect no risk in the telemetry (what the runs logged); 1 event was reported."),
        (
            (3, 2, 2, 1),
            "The rules detect 3 risks in the telemetry (what the runs logged); 2 events were reported. Of these events "
            "1 is also detected and 1 is not; 2 detected risks were reported by nobody.",
        ),
    ],
)
def test_risks_detected_and_reported_are_counted_in_words(policy, counts, sentence):
    names = ("detected", "detected_only", "reported", "reported_only")
    event = {"event_id": "E1", "run_id": "R", "mission_id": "M1", "task_id": "T1", "risk_type": "sla_breach",
             "severity": "high", "status": "open", "is_detected": False}  # fmt: skip
    brief = compose(policy, risk_counts=dict(zip(names, counts, strict=True)), risks_reported=[event])
    [section] = [each for each in document_of(brief).sections if "Risks" in each.title]
    assert plain(section.paragraphs[0]) == sentence
    assert plain(section.items[0].text) == "Sla breach in M1, T1, severity high, open."


def test_stale_data_asks_for_a_run_of_so_many_days(policy):
    brief = compose(policy, level="LOW", run_time={**facts().run_time, "newest_run_date": date(2026, 1, 1)})
    assert brief["recommended_action"]["aim"] == "a run that ended within the last 7 days"


def test_there_is_no_win_where_nothing_is_better_than_its_baseline(policy):
    for value in (None, 0.0, -3.0):
        brief = compose(policy, missions=[scorecard(kpi_improvement_vs_baseline_pct=value)])
        assert set(brief["win"].values()) == {None}
        assert "No mission's main KPI is better than its baseline yet" in everything(brief)


def test_the_reported_snapshot_stands_beside_the_telemetry(shipped_brief):
    assert "| snapshot of 2026-02-06 | missions at risk | 0 | 1 |" in markdown_of(shipped_brief)
    assert "| agent A5, 2026-02-06 | mean task duration (minutes) | 4.2 | 3.78 |" in markdown_of(shipped_brief)
    assert "completed runs" not in markdown_of(shipped_brief).partition("## Where reported")[2].partition("## Data")[0]


def test_every_claim_stands_where_its_path_says(shipped_brief):
    assert len(shipped_brief["evidence"]) > 350
    for claim_id, claim in shipped_brief["evidence"].items():
        within = [place for place in claim.get("in", ()) if place[1] is not None]
        if claim["path"] not in [path for path, _, _ in within]:
            assert value_at(shipped_brief, claim["path"]) == claim["value"], claim_id
        for path, start, end in within:
            assert value_at(shipped_brief, path)[start:end].strip(), claim_id


def test_every_claim_of_a_day_names_that_day(shipped_brief):
    for claim_id, claim in shipped_brief["evidence"].items():
        assert "date '2026-02-06'" in claim["sql"], claim_id
        assert "$" not in claim["sql"], claim_id


def test_the_same_rows_give_the_same_bytes(policy):
    first, second = (compose_shipped(policy) for _ in range(2))
    assert json_of(first) == json_of(second)
    assert markdown_of(first) == markdown_of(json.loads(json_of(second)))
    assert text_of(first) == text_of(json.loads(json_of(second)))


def test_no_time_of_day_stands_in_a_brief(shipped_brief):
    assert not re.search(r"\d\d:\d\d", everything(shipped_brief) + json_of(shipped_brief))


def test_a_portfolio_on_track_calls_for_nothing(policy):
    brief = compose(
        policy,
    )
    assert brief["primary_driver"]["headline"] == "No driver: no rule has fired"
    assert brief["interpretation"] == "The missions are on track, and nothing calls for action."
    assert brief["recommended_action"] == {
        "text": "Keep the course; nothing calls for a change.", "owner": None, "aim": None,
    }  # fmt: skip
    assert brief["friction_signal"]["task_id"] == "T1"
    assert "no bottleneck" in brief["friction_signal"]["headline"]
    assert "Owner" not in everything(brief)
    assert "there is nothing to fix today" in markdown_of(brief)
    assert "It is ON_TRACK." in markdown_of(brief)


def test_on_track_with_a_finding_names_it_as_something_to_keep_an_eye_on(policy):
    mission = scorecard(top_bottleneck_status="recurring")
    slow = task(bottleneck_status="recurring", bottleneck_driver="approval_delay", mean_human_delay_minutes=6.0)
    found = trigger("REPEATED_BOTTLENECK", mission, task_id="T1")
    brief = compose(policy, missions=[mission], friction=[slow], triggers=[found])
    assert brief["interpretation"] == (
        "The missions are on track; what to keep an eye on: repeated bottleneck in First mission."
    )
    assert "a deputy who may approve" in brief["recommended_action"]["text"]


def test_stale_data_is_never_silently_on_track(policy):
    stale_after = policy.confidence.stale_after_days
    for days, is_stale in ((stale_after, False), (stale_after + 1, True)):
        newest = date.fromordinal(DAY.toordinal() - days)
        run_time = {**facts().run_time, "newest_run_date": newest}
        brief = compose(policy, level="LOW" if is_stale else "HIGH", run_time=run_time)
        assert ("not known" in brief["interpretation"]) is is_stale
        assert (str(newest) in brief["interpretation"]) is is_stale
        assert ("Check why no newer telemetry" in brief["recommended_action"]["text"]) is is_stale


def test_stale_data_is_said_beside_a_driver_too(policy):
    run_time = {**facts().run_time, "newest_run_date": date(2026, 1, 1)}
    brief = compose_shipped(policy, run_time=run_time)
    assert "The newest run is of 2026-01-01: the present state is not known." in brief["interpretation"]


def test_a_portfolio_without_data_says_that_nothing_is_known(policy):
    missions = [empty_scorecard("M1"), empty_scorecard("M2", "Second mission")]
    brief = compose(
        policy, "NO_DATA", "LOW", missions=missions, friction=[],
        portfolio=None, run_time=dict.fromkeys(facts().run_time) | {"runs_with_known_times": 0},
    )  # fmt: skip
    assert brief["interpretation"] == "Nothing can be judged yet: no mission has finished a run."
    assert brief["primary_driver"]["headline"] == "No driver: no mission has finished a run yet"
    assert brief["trend_insight"]["headline"].startswith("Too early for a trend")
    assert brief["trend_insight"]["insufficient_data"] == 2
    assert brief["friction_signal"]["headline"].startswith("Unknown")
    assert set(brief["win"].values()) == {None}
    read = everything(brief)
    assert "No driver:" in read
    assert "No task has been executed yet" in read
    for left_over in ("None %", "None minutes", "nan", "NaN"):
        assert left_over not in read


def test_a_portfolio_without_missions_can_be_told(policy):
    brief = compose(policy, "NO_DATA", "LOW", missions=[], friction=[], portfolio=None)
    assert "0 missions: " in markdown_of(brief)


def test_watch_without_a_driver_names_the_weakest_mission_and_its_weakest_part(policy):
    weak = scorecard("M2", "Second mission", status="WATCH", health_score=80.0, outcome_score=40.0, owner="Ada")
    brief = compose(policy, "WATCH", "HIGH", missions=[scorecard(), weak])
    assert brief["primary_driver"]["trigger"] is None
    assert "Second mission is 80.00 of a hundred points" in brief["primary_driver"]["why"]
    assert "the result against its target (40.00)" in brief["primary_driver"]["why"]
    assert brief["recommended_action"]["owner"] == "Ada"
    assert brief["interpretation"].endswith("until the health of Second mission improves.")


def test_without_a_finding_what_to_fix_says_what_is_true(policy):
    weak = scorecard("M2", "Second mission", status="WATCH", health_score=80.0, outcome_score=40.0)
    read = markdown_of(compose(policy, "WATCH", "HIGH", missions=[scorecard(), weak]))
    assert "nothing to fix" not in read
    assert "No rule has fired, yet the status is WATCH. The health of Second mission is 80.00 of a hundred" in read
    assert "Work on the result against its target in Second mission" in read
    unsure = markdown_of(compose(policy, level="LOW"))
    assert "No rule has fired: as far as is known, there is nothing to fix." in unsure
    nothing = compose(policy, "NO_DATA", "LOW", missions=[empty_scorecard()], friction=[], portfolio=None)
    assert "No run has finished yet, so what is to be fixed is not known." in markdown_of(nothing)


def test_a_health_score_that_lacks_figures_names_them(policy):
    blind = scorecard(status="WATCH", health_score=None, friction_score=None, mean_escalations=None)
    brief = compose(policy, "WATCH", missions=[blind])
    assert brief["primary_driver"]["why"] == (
        "The health of First mission is unknown: none of its last runs reports escalations."
    )
    assert brief["path_to_on_track"][0]["text"] == (
        "the health of First mission has to become known: escalations have to be reported; none of its last runs does so."
    )


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, "too few runs to tell"),
        ({"finished_runs": 0, "kpi_latest_value": None}, "too few runs to tell"),
        ({"kpi_latest_value": None}, "never reported"),
        ({"kpi_name": None}, "no main KPI"),
        ({"kpi_trend": "flat"}, "no clear change"),
    ],
)
def test_a_trend_that_cannot_be_told_says_why(policy, figures, words):
    mission = scorecard(**{"kpi_trend": "insufficient_data", **figures})
    [section] = [each for each in document_of(compose(policy, missions=[mission])).sections if "side by" in each.title]
    assert plain(section.table.rows[0][5]) == words


@pytest.mark.parametrize(("finished", "words"), [(1, "too few runs to tell"), (2, "too few runs report it")])
def test_an_autonomy_that_runs_do_not_report_is_not_called_too_few_runs(policy, finished, words):
    mission = scorecard(finished_runs=finished, autonomy_trend="insufficient_data", autonomy_trend_runs=0)
    [section] = [each for each in document_of(compose(policy, missions=[mission])).sections if "Autonomy" in each.title]
    assert plain(section.table.rows[0][2]) == words


@pytest.mark.parametrize(
    ("trends", "opening"),
    [
        (["improving", "flat"], "Progress is real, but not enough for ON_TRACK"),
        (["improving", "worsening"], "Progress is uneven, and not enough for ON_TRACK"),
        (["worsening", "flat"], "Results are slipping"),
        (["flat", "flat"], "Results stand still"),
        (["insufficient_data", "insufficient_data"], "It is too early to speak of progress"),
    ],
)
def test_the_interpretation_follows_the_trends(policy, trends, opening):
    missions = [scorecard(f"M{i}", status="WATCH", kpi_trend=trend) for i, trend in enumerate(trends)]
    brief = compose(policy, "WATCH", missions=missions, triggers=[trigger("KPI_PLATEAU", missions[0])])
    assert brief["interpretation"].startswith(opening)
    assert brief["interpretation"].endswith("until results improve in First mission.")


def test_a_finding_in_a_mission_on_track_is_not_what_keeps_the_portfolio_from_it(policy):
    fine, poor = scorecard("M1"), scorecard("M2", "Second mission", status="ATTENTION_REQUIRED", health_score=60.0)
    poorer = scorecard("M3", "Third mission", status="ATTENTION_REQUIRED", health_score=50.0)
    found = [trigger("REPEATED_BOTTLENECK", fine)]
    brief = compose(policy, "ATTENTION_REQUIRED", missions=[fine, poor], triggers=found)
    assert brief["interpretation"].endswith("until the health of Second mission improves.")
    brief = compose(policy, "ATTENTION_REQUIRED", missions=[fine, poor, poorer], triggers=found)
    assert brief["interpretation"].endswith("until the health of Third mission improves, and 1 other mission recovers.")


def test_missions_at_risk_are_named_worst_first(policy):
    missions = [
        scorecard(f"M{i}", f"Mission {i}", status="WATCH", is_at_risk=True, health_score=80.0 - i) for i in range(5)
    ]
    found = trigger("PORTFOLIO_MISSIONS_AT_RISK", severity="high")
    brief = compose(policy, "WATCH", missions=missions, triggers=[found], portfolio=snapshot(missions_at_risk=5))
    assert brief["primary_driver"]["why"] == (
        "5 missions are at risk (Mission 4, Mission 3, Mission 2 and 2 more): "
        "they need attention or have a finding of high severity."
    )
    assert brief["recommended_action"]["text"].startswith("Begin with Mission 4, the worst off")


def test_the_worst_off_is_the_one_that_is_known_to_be(policy):
    unknown = scorecard("M1", "Unknown", status="WATCH", is_at_risk=True, health_score=None)
    bad = scorecard("M2", "Bad", status="ATTENTION_REQUIRED", is_at_risk=True, health_score=43.0)
    found = trigger("PORTFOLIO_MISSIONS_AT_RISK", severity="high")
    portfolio = snapshot(missions_at_risk=2)
    brief = compose(policy, "ATTENTION_REQUIRED", missions=[unknown, bad], triggers=[found], portfolio=portfolio)
    assert brief["recommended_action"]["text"].startswith("Begin with Bad, the worst off")


def test_a_driver_without_a_known_cost_is_the_first_thing_to_fix_and_never_cut(policy):
    missions = [scorecard(f"M{i:03}", f"Mission {i}", status="WATCH", health_score=80.0) for i in range(150)]
    driver = trigger("PORTFOLIO_ESCALATIONS_24H", severity="high", observed_value=9.0, threshold=3.0)
    others = [trigger("KPI_PLATEAU", mission, trigger_rank=rank) for rank, mission in enumerate(missions, start=2)]
    brief = compose(policy, "WATCH", missions=missions, triggers=[driver, *others])
    assert len(brief["what_to_fix"]) == 100
    assert brief["what_to_fix"][0]["trigger"] == "PORTFOLIO_ESCALATIONS_24H"


def test_trends_are_counted_and_said_in_the_right_number(policy):
    labels = ["improving", "flat", "worsening", "worsening", "insufficient_data"]
    missions = [scorecard(f"M{i}", kpi_trend=label, kpi_trend_runs=4) for i, label in enumerate(labels)]
    headline = compose(policy, "WATCH", missions=missions)["trend_insight"]["headline"]
    assert headline == (
        "Of 5 missions, by their main KPI, 1 improves, 1 shows no clear change, 2 worsen and 1 has too few runs to tell "
        "(a signal from 4 runs each, not proven)."
    )


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (["tested", "tested"], "tested over 9 runs each: unlikely to be chance"),
        (["tested", "direction_only"], "tested for 1 of these 2, for the others a signal, not proven"),
        (["suggestive", "suggestive"], "a signal from 9 runs each, likely but not proven"),
        (["suggestive", "direction_only"], "a signal from 9 runs each, not proven"),
    ],
)
def test_a_trend_is_a_claim_only_where_it_is_tested(policy, evidence, words):
    missions = [
        scorecard(f"M{i}", kpi_trend="improving", kpi_trend_evidence=worth, kpi_trend_runs=9)
        for i, worth in enumerate(evidence)
    ]
    assert f"({words})" in compose(policy, missions=missions)["trend_insight"]["headline"]


def test_one_mission_is_not_all_missions(policy):
    brief = compose(policy, missions=[scorecard(kpi_trend="improving", kpi_trend_runs=1)])
    assert brief["trend_insight"]["headline"].startswith("The mission improves on its main KPI (a signal from 1 run,")
    assert "1 mission: 1 on track" in markdown_of(brief)


@pytest.mark.parametrize("name", [*MISSION_TRIGGERS, *PORTFOLIO_TRIGGERS])
@pytest.mark.parametrize("is_known", [True, False])
def test_every_trigger_can_be_told_whether_its_figures_are_known_or_not(policy, name, is_known):
    is_portfolio = name in PORTFOLIO_TRIGGERS
    mission = scorecard(status="WATCH")
    if not is_known:
        unknown = {
            key: None
            for key in mission
            if key.startswith(("kpi_", "mean_", "top_", "risk_flagged", "autonomy_score", "duration_"))
            and not key.endswith(("_trend", "_evidence", "_runs"))
        }
        mission |= unknown
    found = trigger(
        name, None if is_portfolio else mission, severity="high", kpi_name="csat" if is_known else None,
        **({} if is_known or name == "SECONDARY_KPI_MISSED" else {"observed_value": None, "threshold": None}),
    )  # fmt: skip
    parts = {} if is_known else {"friction": [], "portfolio": snapshot(top_bottleneck_task_id=None)}
    brief = compose(policy, "WATCH", "LOW", missions=[mission], triggers=[found], **parts)
    assert brief["primary_driver"]["trigger"] == name
    driver, action = brief["primary_driver"], brief["recommended_action"]
    for text in (driver["headline"], driver["why"], action["text"], action["aim"], brief["interpretation"]):
        assert not re.search(r"None|nan|_[A-Z]|\{|\}", text.replace("ON_TRACK", "")), text
    assert brief["recommended_action"]["aim"]
    assert name not in everything(brief)  # plain words, not the rule's name
    assert ("First mission" in brief["primary_driver"]["headline"]) is not is_portfolio


def test_the_action_names_mission_task_owner_and_aim(policy):
    mission = scorecard(status="WATCH", owner="Grace", is_at_risk=True)
    found = trigger("APPROVAL_DELAY_PERSISTING", mission, task_id="T1", observed_value=9.5)
    brief = compose(policy, "WATCH", missions=[mission], triggers=[found])
    assert 'T1 "First task"' in brief["recommended_action"]["text"]
    assert brief["recommended_action"]["owner"] == "Grace"
    assert brief["recommended_action"]["aim"] == (
        "less than 5 minutes of waiting for approval per run; it is 9.5 minutes now."
    )
    assert "Owner: Grace" in [plain(detail) for entry in first_screen_of(brief).screen for detail in entry.details]


def test_a_portfolio_trigger_takes_the_friction_of_the_portfolio(policy):
    found = trigger("PORTFOLIO_ESCALATIONS_24H", observed_value=4.0)
    brief = compose(policy, "WATCH", triggers=[found], portfolio=snapshot(escalations_last_24h=4))
    assert brief["primary_driver"]["headline"] == "Many escalations in one day"
    assert brief["primary_driver"]["why"] == "4 escalations on this one day (limit 3)."
    assert brief["primary_driver"]["mission_name"] is None
    assert brief["friction_signal"]["task_id"] == "T1"
    assert brief["interpretation"].endswith("until escalations improve.")


def test_a_driver_mission_without_known_friction_has_none_rather_than_another_missions(policy):
    mission = scorecard(status="WATCH", top_bottleneck_task_id=None)
    found = trigger("MISSION_TREND_WORSENING", mission)
    brief = compose(policy, "WATCH", missions=[mission], triggers=[found], friction=[task("M2", "T9")])
    assert brief["friction_signal"]["task_id"] is None
    assert brief["friction_signal"]["headline"] == "Unknown: no task in First mission has a known duration yet."


def test_a_bottleneck_without_a_single_cause_says_so(policy):
    restless = task(bottleneck_status="recurring", friction_minutes=1.0, recent_hits=2)
    brief = compose(policy, friction=[restless])
    assert brief["friction_signal"]["headline"] == (
        'T1 "First task": recurring bottleneck without a single cause, 1 minute per run over plan or waiting for a person.'
    )
    assert "is a recurring bottleneck without a single cause: 1 minute over plan" in brief["what_to_fix"][0]["why"]


def test_an_override_of_the_policy_reaches_the_aim(tmp_path):
    mission = scorecard("M002", status="WATCH", autonomy_score=58.0)
    found = trigger("AUTONOMY_REGRESSION", mission)
    override = "\n[missions.M002.triggers.autonomy_regression]\nmin_score = 61.0\n"
    (tmp_path / "own.toml").write_text(SHIPPED_POLICY_FILE.read_text(encoding="utf-8") + override, encoding="utf-8")
    own = load_policy(tmp_path / "own.toml")
    brief = compose(own, "WATCH", missions=[mission], triggers=[found])
    assert "an autonomy score of 61 or more" in brief["recommended_action"]["aim"]


def test_what_arrived_and_what_was_refused_is_said(policy):
    brief = compose(
        policy,
        row_totals={"rows_in": 12, "rows_valid": 11, "rows_rejected": 1, "rows_replaced": 1, "rows_retained": 2},
        rejects=[{"data_set": "mission_runs", "rule": "negative_count", "rows": 1, "example": "escalations is -1"}],
        drift=[{"data_set": "mission_runs", "field": "mood", "kind": "unknown_field", "rows": 3}],
        warnings=[{"data_set": "mission_runs", "rule": "total_differs", "rows": 2, "example": "run r1"}],
        plan_findings=[{"mission_id": "M1", "task_id": "T1", "fault": "dependency_cycle", "detail": "T1 → T1."}],
    )  # fmt: skip
    read = markdown_of(brief)
    assert "12 records arrived, 11 are valid, 1 was rejected." in read
    assert "1 record gave way to a later version" in read
    assert "2 records vanished from the files and are kept" in read
    assert "**Rejected: 1 record of mission runs**: negative count; for example: escalations is -1" in read
    assert "mood: field that nobody specified, kept as it is (3 records)." in read
    assert "depends on itself in a circle" in read


def test_a_large_portfolio_is_cut_for_the_reader_and_whole_in_the_json(policy):
    missions = [scorecard(f"M{i:03}", f"Mission {i}", status="WATCH", health_score=50 + i / 10) for i in range(300)]
    found = [trigger("KPI_PLATEAU", mission, trigger_rank=rank) for rank, mission in enumerate(missions[:40], start=1)]
    brief = compose(policy, "WATCH", missions=missions, triggers=found)
    assert len(brief["missions"]) == 300
    assert len(brief["what_to_fix"]) == 40
    assert brief["interpretation"].endswith(", and enough of 299 other missions recover.")
    read = markdown_of(brief)
    assert "… and more missions, in the JSON of this brief or in the warehouse." in read
    assert "… and more findings, in the JSON of this brief or in the warehouse." in read
    assert "M000" in read
    assert len(read.splitlines()) < 200


@given(st.sampled_from(["kpi_improvement_vs_baseline_pct", "health_score", "autonomy_score"]), st.floats(-1e6, 1e6))
def test_figures_are_taken_over_and_only_rounded(policy, column, value):
    brief = compose(policy, missions=[scorecard(**{column: value})])
    assert brief["missions"][0][column] == pytest.approx(value, abs=0.5e-4)


@pytest.mark.parametrize(
    ("others", "end"), [(0, ""), (1, "; unknown too is that of 1 other deciding mission"),
                        (2, "; unknown too is that of 2 other deciding missions")],
)  # fmt: skip
def test_an_unknown_health_is_a_reason_that_says_why(policy, others, end):
    unknown = scorecard(
        status="WATCH", health_score=None, outcome_score=None, kpi_latest_value=None, kpi_trend="insufficient_data",
        kpi_trend_runs=0,
    )  # fmt: skip
    reason = Reason("MEDIUM", "unknown_health", {"mission_id": "M1", "other_missions": others})
    brief = compose(policy, "WATCH", "MEDIUM", [reason], missions=[unknown])
    assert brief["confidence"]["reasons"] == [
        f"the health of First mission (M1) is unknown: no run has reported its main KPI, delivery{end}"
    ]


@pytest.mark.parametrize(
    ("kind", "figures", "sentence"),
    [
        ("few_runs", {"mission_id": "M1", "finished_runs": 1, "other_missions": 1},
         "First mission (M1) has only 1 finished run, and 1 other deciding mission has few too"),
        ("few_runs", {"mission_id": "M1", "finished_runs": 3, "other_missions": 2},
         "First mission (M1) has only 3 finished runs, and 2 other deciding missions have few too"),
        ("rejected_records", {"rows_rejected": 1200, "rows_in": 10000}, "1,200 of 10,000 records (12.0 %) were rejected"),
        ("stale_data", {"newest_run_date": date(2026, 1, 20), "age_days": 17},
         "the newest run ended on 2026-01-20, 17 days before the day judged"),
        ("single_run", {"mission_id": "M1", "run_id": "R7", "status_without": "WATCH", "flipping_runs": 1, "runs_tried": 6},
         "the status hinges on single runs: without R7 of First mission (M1) it would be WATCH"),
        ("cut_off", {"cut_off": "ON_TRACK", "shift_share": -0.05, "status_then": "WATCH"},
         "the status is close to a limit: with the cut-off for ON_TRACK 5 % lower it would be WATCH"),
    ],
)  # fmt: skip
def test_each_reason_of_the_confidence_is_worded_from_its_figures(policy, kind, figures, sentence):
    brief = compose(policy, level="MEDIUM", reasons=[Reason("MEDIUM", kind, figures)])
    assert brief["confidence"]["reasons"] == [sentence]

"""Portfolios at the edges: hardly any data, nothing but failures, targets of 0. Each is judged sensibly and in words.

Every stage of a refresh runs on real files; Dagster, which other tests drive, is left out.
"""

import json
import re
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import pytest
from claim_checks import differing, unproven
from portfolios import log, run, task, write_records

from mission_pipeline.derive.tables import DERIVED_TABLES
from mission_pipeline.errors import NothingToJudge
from mission_pipeline.orchestration import stages
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings

NOW = datetime(2026, 6, 1, 6)
FIRST = date(2026, 3, 1)
HOURS = {"baseline_lead_hours": 10, "target_lead_hours": 5}
UNWORDED = re.compile(
    r"\b(None|nan|NaN|null|NULL|inf|nil|undefined)\b|[{}\ue000-\uf8ff]|\(\s*\)|\s[.;,](\s|$)|\.\s*\.(\s|$)"
)
"""What no sentence of a brief may hold: a value that was not put into words, or an empty place where one should be."""


def runs_of(mission, values, *, days=None, **fields):
    """One quiet run for each value of the KPI `lead_hours`, a day apart; None is not observed."""
    runs = []
    for place, value in enumerate(values):
        day = FIRST + timedelta(days=place if days is None else days[place])
        kpis = {} if value is None else {"lead_hours": value}
        start, end = (f"{day}T{8 + place % 12:02}:{minute}:00Z" for minute in ("00", "30"))
        fields_of_run = {"kpis": kpis, "total_duration_minutes": 30, **fields}
        runs.append(run(f"{mission}-{place + 1:02}", mission, start, end, **fields_of_run))
    return runs


def judged(folder, policy, missions, *, as_of):
    """Refresh a portfolio through every stage, and return its brief, its texts and its rows.

    ``missions``: by id, its KPIs and its runs; each run executes one task of 10 minutes within its estimate.
    """
    every_run = [one for _, runs in missions.values() for one in runs]
    records = {
        "business_missions": [{"mission_id": one, "mission_name": f"Mission {one}", "description": ""} for one in missions],
        "decomposed_mission_tasks": [{"mission_id": one, "tasks": [task(f"{one}t", 1, 10)]} for one in missions],
        "specialized_agents": [{"agent_id": "A", "name": "Agent A", "description": "", "status": "available"}],
        "agent_capabilities_matrix": [{"task_id": f"{one}t", "capable_agents": ["A"]} for one in missions],
        "mission_kpis": [{"mission_id": one, "kpis": kpis} for one, (kpis, _) in missions.items()],
        "mission_runs": every_run,
        "task_execution_logs": [
            log(one["run_id"], one["mission_id"], f"{one['mission_id']}t", "A", 10) for one in every_run
        ],
    }  # fmt: skip
    for name, rows in records.items():
        write_records(folder / "raw" / f"{name}.json", rows)
    refresh = stages.Refresh(Settings(folder / "raw", folder / "warehouse", SHIPPED_POLICY_FILE, NOW), policy)
    with refresh.warehouse.exclusive(), refresh.warehouse.build() as build:
        stages.ingest(build, refresh, rebuild=False)
        stages.validate(build, refresh)
        assert build.scalar("select count(*) from quality.rejected_rows") == 0
        stages.derive(build, refresh, [table.contract.qualified_name() for table in DERIVED_TABLES])
        stages.judge(build, refresh, [as_of])
        _, publication = stages.brief_and_publish(build, refresh, [as_of])
        cards = build.frame("from marts.mission_scorecards where as_of_date = $as_of", {"as_of": as_of}).to_dicts()
        triggers = build.frame(
            "select mission_id, trigger_name from marts.mission_triggers where as_of_date = $as_of order by trigger_rank",
            {"as_of": as_of},
        ).rows()
    [kept] = publication.briefs
    brief = json.loads(kept.json_text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert_worded(brief, kept.markdown)
    with refresh.warehouse.published() as connection:
        assert unproven(brief, connection) == []
        if len(missions) < 10:  # thousands of queries for hundreds of missions
            assert differing(brief, connection) == []
    return SimpleNamespace(
        brief=brief,
        text=kept.markdown,
        cards={card["mission_id"]: card for card in cards},
        triggers=triggers,
        missions={row["mission_id"]: row for row in brief["missions"]},
        reasons=" / ".join(brief["confidence"]["reasons"]),
    )


def texts_of(value, path=""):
    """Every text of the brief but the SQL behind its claims."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            if key != "evidence":
                yield from texts_of(part, f"{path}.{key}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from texts_of(part, f"{path}[{place}]")


def assert_worded(brief, markdown):
    for path, text in [*texts_of(brief), *(("markdown", line) for line in markdown.splitlines())]:
        assert not UNWORDED.search(text), f"{path}: {text}"
        assert text.strip() or path in ("markdown", ".primary_driver.why"), f"{path} is empty"
    for text in (
        brief["interpretation"], brief["primary_driver"]["headline"], brief["trend_insight"]["headline"],
        brief["friction_signal"]["headline"], brief["recommended_action"]["text"],
    ):  # fmt: skip
        assert len(text.split()) >= 2, text


@pytest.fixture
def judge(tmp_path, policy):
    """Judge a portfolio as of the day on which its last run ended, or another."""

    def judge_portfolio(missions, *, as_of=None):
        last = max((one["end_time"][:10] for _, runs in missions.values() for one in runs), default=str(FIRST))
        return judged(tmp_path, policy, missions, as_of=as_of or date.fromisoformat(last))

    return judge_portfolio


def path_of(found):
    """The steps to ON_TRACK as they are read."""
    lines = found.text.partition("## What would turn the status to ON_TRACK")[2].partition("##")[0].splitlines()
    return [line.removeprefix("- ").replace("**", "").replace("\\", "") for line in lines if line.startswith("- ")]


def cells(found, mission):
    """The cells of a mission's row among the missions side by side."""
    return [
        cell.strip()
        for cell in next(line for line in found.text.splitlines() if f"| {mission} | Mission" in line).split("|")
    ]


def driver(found):
    return found.brief["primary_driver"]["trigger"]


def test_one_mission_with_one_run(judge):
    found = judge({"M": (HOURS, runs_of("M", [6]))})
    # 0.35·80 + 0.25·62 + 0.20·100 + 0.10·100 + 0.10·65
    assert found.cards["M"]["health_score"] == pytest.approx(80)
    assert (found.brief["status"], driver(found)) == ("WATCH", "TARGET_GAP_PERSISTING")
    assert found.brief["confidence"]["level"] == "LOW"
    assert "Mission M (M) has only 1 finished run" in found.brief["confidence"]["reasons"][0]
    assert found.brief["trend_insight"]["insufficient_data"] == 1
    assert "known duration" not in found.brief["friction_signal"]["headline"]  # it is known, and there is no friction
    assert "starting with Mission M" not in found.text  # nothing smaller to start with


def test_a_mission_without_runs_beside_one_that_does_well(judge):
    found = judge({"M": (HOURS, runs_of("M", [5] * 6)), "NEW": (HOURS, [])})
    assert (found.brief["status"], driver(found)) == ("ON_TRACK", None)
    assert found.missions["NEW"]["status"] == "NO_DATA"
    assert found.brief["interpretation"] == (
        "The missions that have finished a run are on track, and nothing calls for action."
    )
    assert found.cards["NEW"]["health_score"] is None
    assert found.brief["confidence"]["level"] == "HIGH"
    [line] = [line for line in found.text.splitlines() if line.startswith("| NEW | Mission NEW | NO_DATA |")]
    assert "unknown" in line  # health and autonomy: not 0


def test_no_run_at_all_is_nothing_to_judge(judge):
    with pytest.raises(NothingToJudge, match="no usable run"):
        judge({"M": (HOURS, [])})


def test_all_runs_failed(judge):
    found = judge({"M": (HOURS, runs_of("M", [None] * 6, status="failed"))})
    assert found.brief["status"] != "ON_TRACK"
    assert found.brief["portfolio"]["missions_at_risk"] == 1
    assert found.triggers == [("M", "AUTONOMY_REGRESSION"), ("M", "OUTCOMES_DROPPING")]
    assert found.cards["M"]["autonomy_score"] == 50
    assert found.cards["M"]["health_score"] is None  # no KPI was ever observed: no score is made up
    assert "6 of 6 finished runs failed" in found.brief["primary_driver"]["why"]
    assert found.brief["confidence"] == {
        "level": "MEDIUM",
        "reasons": ["the health of Mission M (M) is unknown: no run has reported its main KPI, lead"],
    }
    assert "interventions" not in found.brief["recommended_action"]["text"]  # there was none
    assert found.brief["win"]["mission_id"] is None


def test_all_runs_cancelled(judge):
    found = judge({"M": (HOURS, runs_of("M", [None] * 3, status="cancelled"))})
    assert (found.brief["status"], driver(found), found.triggers) == ("NO_DATA", None, [])
    assert (found.cards["M"]["finished_runs"], found.cards["M"]["cancelled_runs"]) == (0, 3)
    assert found.brief["confidence"]["level"] == "LOW"
    assert "nothing has been run" not in found.text
    assert "unknown of" not in found.text


def test_a_kpi_that_is_met(judge):
    found = judge({"M": (HOURS, runs_of("M", [8, 7, 6, 5, 4, 4, 4]))})
    assert (found.brief["status"], driver(found)) == ("ON_TRACK", None)
    assert found.cards["M"]["kpi_target_status"] == "met"
    assert found.brief["win"]["improvement_vs_baseline_pct"] == pytest.approx(60)
    assert found.brief["path_to_on_track"] == []


def test_a_kpi_that_can_never_be_met(judge):
    """A percentage with a target above a hundred."""
    runs = runs_of("M", [None] * 6)
    for one in runs:
        one["kpis"] = {"solved_pct": 100}
    found = judge({"M": ({"baseline_solved_pct": 60, "target_solved_pct": 120}, runs)})
    assert found.cards["M"]["kpi_target_status"] == "near"
    assert (found.brief["status"], driver(found)) == ("WATCH", "KPI_PLATEAU")
    assert ("M", "TARGET_GAP_PERSISTING") in found.triggers


def test_a_kpi_that_nobody_observes(judge):
    found = judge({"M": (HOURS, runs_of("M", [None] * 6))})
    assert found.brief["status"] == "WATCH"
    assert found.cards["M"]["kpi_target_status"] is None
    assert found.brief["win"]["mission_id"] is None
    assert "not observed" in found.text
    assert "no run has reported" in found.brief["primary_driver"]["why"]
    assert found.brief["recommended_action"]["text"] == (
        "Have lead, the main KPI of Mission M, reported with its runs; until then its health is not known."
    )
    assert "other mission" not in found.brief["interpretation"]
    assert found.brief["trend_insight"]["headline"] == "No trend: no run has reported the main KPI, lead."
    assert "too early" not in found.brief["interpretation"]
    assert "too few runs" not in found.text
    assert "| never reported |" in found.text
    assert path_of(found) == [
        "M: The health of Mission M has to become known: its main KPI, lead, has to be reported; no run has done so yet."
    ]
    assert "nothing to fix" not in found.text
    assert "No rule has fired, yet the status is WATCH." in found.text


def test_equal_values(judge):
    found = judge({"M": (HOURS, runs_of("M", [7] * 12))})
    card = found.cards["M"]
    assert {card[f"{series}_trend"] for series in ("kpi", "autonomy", "escalations", "approval_delay")} == {"flat"}
    assert card["kpi_trend_p_value"] == 1
    assert card["kpi_trend_evidence"] == "direction_only"
    assert (card["stability_label"], card["kpi_residual_share"]) == ("stable", 0)
    assert (found.brief["status"], driver(found)) == ("WATCH", "KPI_PLATEAU")
    assert found.brief["trend_insight"]["headline"].startswith("The mission shows no clear change")


def test_a_target_of_zero(judge):
    kpis = {"baseline_lead_hours": 10, "target_lead_hours": 0}
    found = judge({"MET": (kpis, runs_of("MET", [9, 6, 4, 2, 1, 0, 0])), "NOT": (kpis, runs_of("NOT", [1] * 7))})
    assert (found.cards["MET"]["kpi_target_status"], found.cards["MET"]["kpi_gap_to_target"]) == ("met", 0)
    assert found.cards["MET"]["kpi_improvement_vs_baseline_pct"] == 100
    # One hour too many is no percentage of zero hours.
    assert (found.cards["NOT"]["kpi_gap_to_target"], found.cards["NOT"]["kpi_gap_to_target_pct"]) == (1, None)
    assert found.cards["NOT"]["kpi_target_status"] == "off"
    assert found.triggers == [("NOT", "KPI_PLATEAU"), ("NOT", "TARGET_GAP_PERSISTING")]
    assert "(unknown)" not in found.text


def test_a_baseline_equal_to_its_target(judge):
    found = judge({"M": ({"baseline_lead_hours": 5, "target_lead_hours": 5}, runs_of("M", [7, 6, 5, 4, 3, 2]))})
    card = found.cards["M"]
    assert (card["kpi_direction"], card["kpi_trend"], card["kpi_target_status"]) == (
        "unknown",
        "insufficient_data",
        None,
    )
    assert card["health_score"] is None
    assert (found.brief["status"], driver(found)) == ("WATCH", None)
    assert found.brief["win"]["mission_id"] is None
    assert found.brief["trend_insight"]["headline"] == (
        "No trend: baseline and target of the main KPI, lead, are both 5 hours and do not say which way is better."
    )
    assert "do not say which way is better" in found.brief["primary_driver"]["why"]
    assert "too early" not in found.brief["interpretation"]
    assert "too few runs" not in found.text
    assert "| no direction |" in found.text
    assert "No direction: baseline and target do not say which way is better." in found.text
    assert "| 2 hours | – | no direction |" in found.text  # of the KPI's target
    assert path_of(found) == [
        "M: The health of Mission M has to become known: its main KPI, lead, needs a baseline and a target that differ; "
        "both are 5 hours now."
    ]


def test_a_target_without_a_baseline(judge):
    found = judge({"M": ({"target_lead_hours": 5}, runs_of("M", [7, 6, 5]))})
    assert (found.brief["status"], driver(found)) == ("WATCH", None)
    assert found.brief["trend_insight"]["headline"] == (
        "No trend: Mission M has no main KPI, which takes both a baseline and a target."
    )
    assert "| no main KPI |" in found.text
    assert "Progress cannot be told" in found.brief["interpretation"]
    assert path_of(found) == [
        "M: The health of Mission M has to become known: its KPI lead needs a baseline beside its target of 5 hours."
    ]


def test_each_mission_without_a_trend_has_its_own_reason(judge):
    found = judge({
        "A": ({"baseline_lead_hours": 5, "target_lead_hours": 5}, runs_of("A", [7, 6, 5, 4, 3, 2])),
        "B": (HOURS, runs_of("B", [None] * 6)), "C": (HOURS, runs_of("C", [6])),
        "D": (HOURS, runs_of("D", [8, 7, 6, 5, 4, 4, 4])), "E": ({"target_lead_hours": 5}, runs_of("E", [7, 6, 5])),
        "F": (HOURS, []),
    })  # fmt: skip
    assert found.brief["trend_insight"]["headline"] == (
        "Of 6 missions, by their main KPI, 1 improves, 2 have too few runs to tell, 1 has never reported it, 1 has a "
        "baseline and a target that do not say which way is better and 1 has none, which takes both a baseline and a "
        "target (tested over 7 runs: unlikely to be chance)."
    )
    assert found.brief["trend_insight"]["insufficient_data"] == 5
    assert [cells(found, mission)[6] for mission in "ABCDEF"] == [
        "no direction", "never reported", "too few runs to tell", "improving", "no main KPI", "too few runs to tell",
    ]  # fmt: skip
    assert not [step for step in path_of(found) if "single figure" in step]


def test_a_mission_that_does_well_is_not_blamed_for_one_of_unknown_health(judge):
    found = judge({"GOOD": (HOURS, runs_of("GOOD", [8, 7, 6, 5, 4, 4, 4])), "M": (HOURS, runs_of("M", [None] * 6))})
    assert (found.brief["status"], driver(found)) == ("WATCH", None)
    assert found.brief["primary_driver"]["why"].startswith("The health of Mission M is unknown")
    assert "Mission M" in found.brief["recommended_action"]["text"]


def test_all_runs_on_one_day(judge):
    found = judge({"M": (HOURS, runs_of("M", [9, 8, 7, 6, 5.5, 5], days=[0] * 6))})
    assert (found.cards["M"]["kpi_trend"], found.cards["M"]["kpi_trend_evidence"]) == ("improving", "tested")
    assert (found.cards["M"]["kpi_first_value"], found.cards["M"]["kpi_latest_value"]) == (9, 5)
    assert (found.brief["status"], driver(found)) == ("ON_TRACK", None)
    assert found.brief["portfolio"]["completed_runs"] == 6


def test_data_that_stopped_a_month_ago(judge):
    found = judge({"M": (HOURS, runs_of("M", [5] * 8))}, as_of=FIRST + timedelta(days=7 + 31))
    assert found.brief["confidence"]["level"] == "LOW"
    assert "the newest run ended on 2026-03-08, 31 days before the day judged" in found.reasons
    screen = found.text.split("\n## ")[0]
    assert "31 days" in screen  # stale data is never silently on track
    assert "no action needed" not in screen
    assert found.brief["portfolio"]["escalations_last_24h"] == 0


def test_three_hundred_missions(judge):
    """Of 300 with data, 12 need attention: 4 %, so the portfolio is to be watched, not red."""
    missions = {}
    for number in range(300):
        mission, is_poor = f"M{number:03}", number < 12
        missions[mission] = (HOURS, runs_of(mission, [10, 10] if is_poor else [7, 5], escalations=int(is_poor)))
    found = judge(missions)
    statuses = [card["status"] for card in found.cards.values()]
    assert (statuses.count("ATTENTION_REQUIRED"), statuses.count("ON_TRACK")) == (12, 288)
    assert found.brief["status"] == "WATCH"
    assert found.brief["portfolio"]["missions_at_risk"] == 12
    assert driver(found) is not None
    assert "11 other deciding missions" in found.reasons

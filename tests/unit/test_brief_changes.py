"""What changed since the last brief: from two briefs' JSON, with older ones that lack keys, and what followed an action."""

from datetime import date

import pytest

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.changes import CLAIMED_CHANGES, LOWER, LastBrief, changes_since
from mission_pipeline.brief.changes_in_words import _MEASURES, changes_in_words
from mission_pipeline.brief.claims import Claims, claim_of, plain, remarked, without_claims

DAY, DAY_BEFORE = date(2026, 2, 6), date(2026, 2, 4)


def kpi(name="pipeline_days", latest=8.0, direction=LOWER):
    return {"kpi_name": name, "direction": direction, "latest_value": latest}


def mission(mission_id="M2", status="WATCH", kpis=(), **figures):
    return {
        "mission_id": mission_id, "mission_name": f"Mission of {mission_id}", "status": status, "kpis": list(kpis),
        "kpi_name": "pipeline_days", "autonomy_score": 45.95, "mean_escalations": 0.5, "completed_runs": 2,
        "finished_runs": 2, **figures,
    }  # fmt: skip


def trigger(name, mission_id="M2", **figures):
    return {"trigger": name, "mission_id": mission_id, "severity": "high", "kpi_name": None, **figures}


def brief(*, status="WATCH", missions=(), triggers=(), friction=(), **parts):
    """The parts of a brief that are compared; its driver is the first of the triggers."""
    driver = triggers[0] if triggers else {"trigger": None, "mission_id": None}
    names = {each["mission_id"]: each["mission_name"] for each in missions}
    bottleneck = friction[0] if friction else {"mission_id": None, "task_id": None, "task_name": None}
    return {
        "status": status,
        "primary_driver": {
            "trigger": driver["trigger"], "mission_id": driver["mission_id"],
            "mission_name": names.get(driver["mission_id"]),
        },
        "friction_signal": {key: bottleneck[key] for key in ("mission_id", "task_id", "task_name")},
        "portfolio": {"friction": list(friction), "missions_at_risk": 2},
        "missions": list(missions),
        "triggers": list(triggers),
        "policy": {"version": "1", "sha256": "p" * 64},
        **parts,
    }  # fmt: skip


def changes(before, now, runs=None):
    """The settled changes, and the evidence."""
    claims = Claims(DAY)
    last = None if before is None else LastBrief(DAY_BEFORE, before, {"M2": 1} if runs is None else runs)
    settled, evidence = claims.settled({"changes": changes_since(last, now, claims)})
    return settled["changes"], evidence


def lines_of(before, now, runs=None):
    """Each line's text and details, by its label."""
    found, evidence = changes(before, now, runs)
    words = changes_in_words(remarked({"changes": found, "evidence": evidence})["changes"])
    return {label: [plain(text), *map(plain, details)] for label, text, details in words.lines}


def test_without_an_earlier_brief_there_is_nothing_and_one_sentence():
    assert changes(None, brief()) == (None, {})
    words = changes_in_words(None)
    assert (words.paragraph, words.lines, words.kpis) == ("There is no earlier brief to compare with.", (), ())


def test_a_brief_that_says_the_same_shows_no_change():
    same = brief(missions=[mission(kpis=[kpi()])], triggers=[trigger("KPI_PLATEAU")])
    found, _ = changes(same, same)
    assert found["previous_as_of"] == "2026-02-04"
    assert found["status"] == {"from": "WATCH", "to": "WATCH"}
    assert found["driver"]["from"] == found["driver"]["to"] == {
        "trigger": "KPI_PLATEAU", "mission_id": "M2", "mission_name": "Mission of M2",
    }  # fmt: skip
    assert [found[key] for key in ("missions", "triggers_gained", "triggers_lost", "kpis", "policy")] == [
        [], [], [], [], None,
    ]  # fmt: skip
    assert lines_of(same, same)["Status"] == ["WATCH, as it was."]
    assert lines_of(same, same)["Primary driver"] == ["Results on a plateau in Mission of M2, as it was."]


def test_status_driver_triggers_and_missions_from_and_to():
    before = brief(missions=[mission("M1", "ON_TRACK"), mission("M9")], triggers=[trigger("KPI_PLATEAU", "M9")])
    now = brief(
        status="ATTENTION_REQUIRED", missions=[mission("M1", "ATTENTION_REQUIRED"), mission("M3", "ON_TRACK")],
        triggers=[trigger("AUTONOMY_REGRESSION", "M1"), trigger("PORTFOLIO_MISSIONS_AT_RISK", None)],
    )  # fmt: skip
    found, _ = changes(before, now)
    assert found["status"] == {"from": "WATCH", "to": "ATTENTION_REQUIRED"}
    assert [(each["mission_id"], each["from"], each["to"]) for each in found["missions"]] == [
        ("M1", "ON_TRACK", "ATTENTION_REQUIRED"), ("M3", None, "ON_TRACK"), ("M9", "WATCH", None),
    ]  # fmt: skip
    assert [(each["trigger"], each["mission_id"]) for each in found["triggers_gained"]] == [
        ("AUTONOMY_REGRESSION", "M1"), ("PORTFOLIO_MISSIONS_AT_RISK", None),
    ]  # fmt: skip
    assert [each["mission_name"] for each in found["triggers_lost"]] == ["Mission of M9"]
    told = lines_of(before, now)
    assert told["Primary driver"] == [
        "Results on a plateau in Mission of M9 then; Autonomy regression in Mission of M1 now."
    ]
    assert told["New findings"] == ["Autonomy regression in Mission of M1; Several missions at risk."]
    assert told["Missions"][0].endswith(
        "Mission of M3: not there then, ON_TRACK now; Mission of M9: WATCH then, not there now."
    )


def test_kpis_that_moved_are_listed_worst_first_and_better_is_positive():
    higher = "higher_is_better"
    before = brief(missions=[
        mission("M1", kpis=[kpi(latest=10.0), kpi("csat", 4.0, higher), kpi("steps", 5.0), kpi("new", None)]),
        mission("M2", kpis=[kpi(latest=8.0), kpi("wins", 0.0, higher), kpi("odd", 1.0, "unknown")]),
    ])  # fmt: skip
    now = brief(missions=[
        mission("M1", kpis=[kpi(latest=7.5), kpi("csat", 3.0, higher), kpi("steps", 5.00004), kpi("new", 2.0)]),
        mission("M2", kpis=[kpi(latest=9.0), kpi("wins", 1.0, higher), kpi("odd", 2.0, "unknown")]),
    ])  # fmt: skip
    found, _ = changes(before, now)
    assert [(each["mission_id"], each["kpi_name"], each["from"], each["to"], each["better_by_pct"]) for each in found["kpis"]] == [
        ("M1", "csat", 4.0, 3.0, -25.0), ("M2", "pipeline_days", 8.0, 9.0, -12.5),
        ("M1", "pipeline_days", 10.0, 7.5, 25.0), ("M1", "new", None, 2.0, None), ("M2", "odd", 1.0, 2.0, None),
        ("M2", "wins", 0.0, 1.0, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("latest", "change"), [(799.99, "hardly better"), (800.01, "hardly worse"), (792.0, "1.00 % better")]
)
def test_a_kpi_that_hardly_moved_moved_by_no_percentage(latest, change):
    before, now = (brief(missions=[mission(kpis=[kpi(latest=value)])]) for value in (800.0, latest))
    [row] = changes_in_words(changes(before, now)[0]).kpis
    assert row[-1] == change
    assert row[2] != row[3]


def test_a_changed_confidence_is_told():
    before, now = brief(confidence={"level": "MEDIUM"}), brief(confidence={"level": "LOW"})
    found, evidence = changes(before, now)
    assert found["confidence"] == {"from": "MEDIUM", "to": "LOW"}
    assert "confidence_level" in evidence["changes.confidence.to"]["sql"]
    assert lines_of(before, now)["Confidence"] == ["MEDIUM then, LOW now."]
    assert lines_of(now, now)["Confidence"] == ["LOW, as it was."]
    assert lines_of(brief(), now)["Confidence"] == ["unknown then, LOW now."]


RISK = {"signal_id": "task_overrun:R1:T5", "run_id": "R1", "mission_id": "M2", "task_id": "T5", "kpi_name": None,
        "rule": "task_overrun", "observed_value": 60.0}  # fmt: skip


def seen(*, runs=2, risk=60.0, first=9.0, latest=8.0, policy="p", **figures):
    """A brief of one mission with one KPI and one detected risk."""
    figures = {"cancelled_runs": 0, "open_runs": 0, "mean_human_interventions": 1.5, **figures}
    told = mission(kpis=[{**kpi(latest=latest), "first_value": first}], finished_runs=runs, **figures)
    found = brief(missions=[told], policy={"version": "1", "sha256": policy})
    found["portfolio"]["risks"] = {"detected": [{**RISK, "observed_value": risk}]}
    return found


def corrected(before, now, runs):
    return {
        (each["figure"], each["kpi_name"], each["run_id"]): (each["from"], each["to"])
        for each in changes(before, now, {"M2": runs})[0]["corrected"]
    }


@pytest.mark.parametrize(
    ("then", "now", "runs", "expected"),
    [
        ({}, {}, 0, {}),
        ({}, {"runs": 3}, 1, {}),  # a newer run, as runs come
        ({}, {"runs": 3}, 0, {("finished_runs", None, None): (2, 3)}),  # it ended by then, and arrived later
        ({}, {"runs": 3}, 2, {("finished_runs", None, None): (2, 1)}),  # one that had counted as finished no longer does
        ({}, {"autonomy_score": 60.0}, 0, {("autonomy_score", None, None): (45.95, 60.0)}),
        ({}, {"autonomy_score": 45.95000001}, 0, {}),
        ({}, {"runs": 3, "autonomy_score": 60.0, "latest": 7.0}, 1, {}),  # what newer runs may have moved is no correction
        ({}, {"autonomy_score": 60.0, "risk": 70.0, "policy": "q"}, 0, {}),  # nor what other limits may have moved
        ({"mean_human_interventions": None}, {}, 0, {("mean_human_interventions", None, None): (None, 1.5)}),
        ({}, {"latest": 7.0}, 0, {("latest_value", "pipeline_days", None): (8.0, 7.0)}),
        ({}, {"latest": 7.0, "cancelled_runs": 1}, 0, {}),  # a run that was cancelled since may report it too
        ({}, {"runs": 3, "first": 9.5}, 1, {("first_value", "pipeline_days", None): (9.0, 9.5)}),
        ({"first": None, "latest": None}, {"runs": 3}, 1, {}),  # observed since for the first time
        ({}, {"runs": 3, "risk": 70.0}, 1, {("risk", None, "R1"): (60.0, 70.0)}),
        ({"open_runs": 1}, {"runs": 3, "risk": 70.0}, 1, {}),  # of a run that was still open
    ],
)  # fmt: skip
def test_figures_that_were_corrected_since_are_told_and_no_others(then, now, runs, expected):
    assert corrected(seen(**then), seen(**now), runs) == expected


def test_corrections_in_words():
    now = seen(runs=3, first=9.5, latest=7.0, risk=70.0, autonomy_score=60.0, mean_human_interventions=1.0)
    assert lines_of(seen(), now, {})["Corrected since"] == [
        "late or corrected records give that day other figures than its brief.",
        "Finished runs of Mission of M2: 2 in that brief, 3 by today's records.",
        "Autonomy of Mission of M2, of a hundred points: 45.95 in that brief, 60.00 by today's records.",
        "Human interventions per run of Mission of M2: 1.5 in that brief, 1 by today's records.",
        "KPI pipeline of Mission of M2, latest value: 8.0 days in that brief, 7.0 days by today's records.".replace(".0", ""),
        "KPI pipeline of Mission of M2, first value: 9.0 days in that brief, 9.5 days by today's records.",
        "Task far over its estimate in R1, T5: 60 % over plan in that brief, 70 % over plan by today's records.",
        "More may differ; this command judges that day again and lists it all: mission brief --as-of 2026-02-04 --compare",
    ]  # fmt: skip
    assert "Corrected since" not in lines_of(seen(), seen(), {})


def test_a_stored_brief_that_does_not_tell_of_corrections_can_be_shown():
    found, _ = changes(seen(), seen())
    older = {key: value for key, value in found.items() if key not in ("confidence", "corrected")}
    assert {"Confidence", "Corrected since"}.isdisjoint(label for label, *_ in changes_in_words(older).lines)


DRAFT = {"mission_id": "M2", "task_id": "T5", "task_name": "Draft", "friction_minutes": 7.3333}


def autonomy(score, escalations=0.5, friction=7.3333):
    return brief(
        missions=[mission(autonomy_score=score, mean_escalations=escalations)],
        triggers=[trigger("AUTONOMY_REGRESSION")], friction=[{**DRAFT, "friction_minutes": friction}],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("score", "runs", "followed_by"),
    [
        (60.0, 2, "less"),
        (40.0, 2, "more"),
        (45.95000001, 1, "unchanged"),
        (60.0, 0, "no_run_since"),
        (None, 1, "unknown"),
    ],
)
def test_what_was_recommended_was_followed_by_less_more_or_nothing(score, runs, followed_by):
    found, _ = changes(autonomy(45.95), autonomy(score), {"M2": runs, "M1": 9})
    assert found["followed"]["followed_by"] == followed_by
    assert found["followed"]["runs_since"] == runs
    assert found["followed"]["measures"][0] == {
        "measure": "autonomy_score", "from": 45.95, "to": None if score is None else pytest.approx(score),
        "followed_by": "less" if followed_by == "no_run_since" else followed_by,
    }  # fmt: skip


def test_the_named_task_and_escalations_are_told_then_and_now():
    [text, *details] = lines_of(autonomy(45.95), autonomy(60.0, 0.25, 9.0))["What was recommended"]
    assert text == (
        'Autonomy regression in Mission of M2, to begin with T5 "Draft": followed by less of it, after 1 finished run '
        "since (what came after, not proof of a cause)."
    )
    assert details == [
        "Autonomy in points: 45.95 then, 60.00 now.", "Escalations per run: 0.5 then, 0.25 now.",
        'Friction of T5 "Draft": 7.33 minutes per run then, 9 now.',
    ]  # fmt: skip


def test_no_run_since_claims_nothing():
    told = lines_of(autonomy(45.95), autonomy(60.0), {"M1": 3})["What was recommended"]
    assert told[0].endswith("no run has finished since, so what it did cannot be seen yet.")
    assert told[1:] == ["Autonomy in points: 45.95 then, 60.00 now."]  # corrected; what is as it was is not repeated


@pytest.mark.parametrize(
    ("name", "mission_id", "figures", "expected"),
    [
        ("KPI_PLATEAU", "M2", {"kpis": [kpi(latest=7.0)]}, ("kpi", 8.0, 7.0, "less")),
        ("OUTCOMES_DROPPING", "M2", {"finished_runs": 4}, ("completed_share", 1.0, 0.5, "more")),
        ("ESCALATION_BURDEN_RISING", "M2", {"mean_escalations": 1.0}, ("mean_escalations", 0.5, 1.0, "more")),
        ("PORTFOLIO_MISSIONS_AT_RISK", None, {}, ("missions_at_risk", 2, 2, "unchanged")),
    ],
)
def test_each_trigger_is_measured_by_its_own_figure(name, mission_id, figures, expected):
    before = brief(missions=[mission(kpis=[kpi()])], triggers=[trigger(name, mission_id)])
    found, _ = changes(before, brief(missions=[mission(**figures)]))
    assert tuple(found["followed"]["measures"][0][key] for key in ("measure", "from", "to", "followed_by")) == expected


def test_a_missed_limit_is_measured_by_the_kpi_that_missed_it():
    before = brief(missions=[mission(kpis=[kpi(), kpi("csat", 3.0, "higher_is_better")])],
                   triggers=[trigger("SECONDARY_KPI_MISSED", kpi_name="csat")])  # fmt: skip
    now = brief(missions=[mission(kpis=[kpi(), kpi("csat", 4.0, "higher_is_better")])])
    [measure] = changes(before, now)[0]["followed"]["measures"]
    assert (measure["kpi_name"], measure["from"], measure["to"], measure["followed_by"]) == ("csat", 3.0, 4.0, "less")


def test_every_trigger_has_a_measure_with_words():
    for name in say.TRIGGER_TITLES:
        task = {**DRAFT}
        before = brief(missions=[mission(kpis=[kpi()], mean_approval_delay_minutes=1.0, risk_flagged_share=0.5,
                                         stability_score=90.0)],
                       triggers=[trigger(name, None if name.startswith("PORTFOLIO_") else "M2")], friction=[task])  # fmt: skip
        before["portfolio"] |= {"escalations_last_24h": 3, "open_risk_events": 5}
        [first, *_] = changes(before, before)[0]["followed"]["measures"]
        assert first["followed_by"] == "unchanged", name
        assert first["measure"] in {*_MEASURES, "kpi", "friction_minutes"}
        assert len(lines_of(before, before)["What was recommended"]) > 1


def test_a_brief_of_an_earlier_release_lacks_keys_and_stops_nothing():
    found, _ = changes({"status": "WATCH"}, autonomy(45.95))
    assert found["status"]["from"] == "WATCH"
    assert (found["driver"]["from"], found["followed"], found["policy"]) == (None, None, None)
    bare_mission = {"mission_id": "M2"}
    old = {"primary_driver": {"trigger": "AUTONOMY_REGRESSION", "mission_id": "M2"}, "missions": [bare_mission]}
    found, _ = changes(old, autonomy(45.95))
    assert found["status"]["from"] is None
    assert found["followed"]["followed_by"] == "unknown"
    assert lines_of(old, autonomy(45.95))["Status"] == ["unknown then, WATCH now."]


def test_a_trigger_that_is_no_longer_known_is_told_by_its_name():
    told = lines_of(brief(missions=[mission()], triggers=[trigger("OLD_RULE")]), brief(missions=[mission()]))
    assert told["Findings gone"] == ["old rule in Mission of M2."]


def test_another_policy_is_said():
    now = brief(policy={"version": "2", "sha256": "q" * 64})
    assert changes(brief(), now)[0]["policy"] == {"from": "1", "to": "2"}
    assert "not every difference comes from the missions" in lines_of(brief(), now)["Policy"][0]


def test_figures_of_the_last_brief_are_claims_of_its_row():
    _, evidence = changes(autonomy(45.95), autonomy(60.0))
    claim = evidence["last_brief.missions[0].autonomy_score"]
    assert claim["path"] == "changes.followed.measures[0].from"
    assert claim["sql"].startswith(
        "select cast(json_extract(brief_json, '$.missions[0].autonomy_score') as double) "
        "from marts.executive_briefs where as_of_date = date '2026-02-04'"
    )
    assert "date '2026-02-06'" in claim["sql"]


def test_no_number_or_name_is_told_without_its_claim():
    before = brief(missions=[mission("M9"), mission(kpis=[kpi(), kpi("csat", 3.0)], autonomy_score=40.0)],
                   triggers=[trigger("AUTONOMY_REGRESSION"), trigger("KPI_PLATEAU", "M9")], friction=[DRAFT])  # fmt: skip
    claims = Claims(DAY)
    now = autonomy(60.0)
    figures = {key: value for key, value in mission("M2", "ON_TRACK").items() if key != "kpis"}
    now["missions"] = [claims.row("mission.M2", figures, "select $column")]
    now["missions"][0]["kpis"] = [kpi(latest=7.0), kpi("csat", 4.0)]
    for each in now["missions"][0]["kpis"]:
        each |= claims.row("kpi", {"kpi_name": each["kpi_name"]}, "select $column")
    now["policy"] = {"version": "2", "sha256": "q"}
    settled, evidence = claims.settled(
        {"changes": changes_since(LastBrief(DAY_BEFORE, before, {"M2": 2}), now, claims)}
    )
    words = changes_in_words(remarked({**settled, "evidence": evidence})["changes"])
    texts = [words.title, *(cell for row in words.kpis for cell in row)]
    texts += [part for label, text, details in words.lines for part in (label, text, *details)]
    for text in texts:
        rest = without_claims(text)
        assert not any(letter.isdigit() for letter in rest), text
        assert not any(name in rest for name in ("Mission of", "Draft", "csat", "pipeline")), text


def test_only_what_is_shown_carries_queries():
    count = CLAIMED_CHANGES + 4
    before = brief(missions=[mission(f"M{n:02}", kpis=[kpi(latest=10.0)]) for n in range(count)])
    now = brief(missions=[mission(f"M{n:02}", "ON_TRACK", kpis=[kpi(latest=9.0)]) for n in range(count)])
    claims = Claims(DAY)
    found = changes_since(LastBrief(DAY_BEFORE, before, {}), now, claims)
    assert sum(claim_of(each["from"]) is not None for each in found["kpis"]) == CLAIMED_CHANGES
    assert sum(claim_of(each["from"]) is not None for each in found["missions"]) == CLAIMED_CHANGES
    assert changes_in_words(found).left_out == {"missions": 4, "KPIs": 4}

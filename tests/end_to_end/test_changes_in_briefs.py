"""What changed since the last brief, on refreshes of real files: which brief is the last, what its claims yield, what is told."""

import shutil
from datetime import date

import pytest
from claim_checks import differing, unclaimed, unproven
from conftest import once_for_all_workers, work_through
from portfolios import OTHER_PORTFOLIO_LOGS, OTHER_PORTFOLIO_RUNS, run, write_records, write_reference

from mission_pipeline.brief.claims import is_same, value_at, without_claims
from mission_pipeline.brief.document import document_of
from mission_pipeline.warehouse import Warehouse

NOW = "2026-03-09T06:00:00"
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 6)


def refresh(folder, day, name="warehouse"):
    return work_through(folder / "raw", folder / name, now=NOW, as_of=day)


def brief_files(folder, name="warehouse"):
    return {file.name: file.read_bytes() for file in sorted((folder / name / "briefs").iterdir())}


@pytest.fixture(scope="module")
def two_briefs(tmp_path_factory):
    """A brief of one day, and of a later one by which more had been run; a test that changes them takes a copy."""

    def make(folder):
        write_reference(folder / "raw")
        better = run("o6", "OPS", "2026-03-06T09:00:00Z", "2026-03-06T10:00:00Z", kpis={"recovery_minutes": 36})
        write_records(folder / "raw" / "mission_runs.json", [*OTHER_PORTFOLIO_RUNS, better])
        write_records(folder / "raw" / "task_execution_logs.json", OTHER_PORTFOLIO_LOGS)
        return [refresh(folder, day)[1] for day in (FIRST, LAST)]

    folder, (first, last) = once_for_all_workers(tmp_path_factory, "two briefs", make)
    return folder, Warehouse(folder / "warehouse"), first, last


def test_the_first_brief_has_nothing_to_compare_with(two_briefs):
    _, _, first, _ = two_briefs
    assert first["changes"] is None
    [section] = [each for each in document_of(first).sections if each.title.startswith("What changed")]
    assert section.paragraphs == ("There is no earlier brief to compare with.",)


def test_a_later_brief_says_what_changed_and_what_followed(two_briefs):
    _, _, first, last = two_briefs
    changes = last["changes"]
    assert changes["previous_as_of"] == str(FIRST)
    assert changes["status"] == {"from": first["status"], "to": last["status"]}
    assert changes["driver"]["from"]["trigger"] == first["primary_driver"]["trigger"]
    moved = {(each["mission_id"], each["kpi_name"]): each for each in changes["kpis"]}
    recovery = moved["OPS", "recovery_minutes"]
    assert (recovery["from"], recovery["to"], recovery["better_by_pct"]) == (45, 36, 20)
    assert moved["SAT", "refunds"]["better_by_pct"] == 60
    followed = changes["followed"]
    assert (followed["trigger"], followed["mission_id"], followed["runs_since"]) == ("AUTONOMY_REGRESSION", "OPS", 2)
    score = followed["measures"][0]
    assert (score["measure"], score["followed_by"]) == ("autonomy_score", followed["followed_by"])
    assert followed["followed_by"] == ("less" if score["to"] > score["from"] else "more")


def test_every_claim_of_the_changes_is_what_its_query_yields(two_briefs):
    _, warehouse, _, last = two_briefs
    claims = {name: claim for name, claim in last["evidence"].items() if claim["path"].startswith("changes")}
    assert {"last_brief.as_of", "changes.runs_since", "changes.OPS.recovery_minutes.better_by_pct"} <= set(claims)
    with warehouse.published() as connection:
        for name, claim in claims.items():
            [(found,)] = connection.execute(claim["sql"]).fetchall()
            assert is_same(claim["value"], found), (name, found)
            assert str(LAST) in claim["sql"], name
            in_place = value_at(last, claim["path"])
            assert in_place == claim["value"] or claim.get("in"), name


def test_a_brief_that_looks_back_is_proven_as_a_whole(two_briefs):
    _, warehouse, _, last = two_briefs
    with warehouse.published() as connection:
        assert unproven(last, connection) == []
        assert differing(last, connection) == []
    assert [path for path in unclaimed(last) if path.startswith("changes")] == []


def test_the_section_tells_no_figure_and_no_name_without_a_claim(two_briefs):
    *_, last = two_briefs
    [section] = [each for each in document_of(last).sections if "What changed" in each.title]
    texts = [section.title, *section.paragraphs, *section.notes]
    texts += [part for item in section.items for part in (item.label, item.text, *item.details)]
    assert section.table is not None
    texts += [cell for row in section.table.rows for cell in row]
    names = ("OPS", "SAT", "Recover", "Renew", "Task", "recovery", "refunds")
    for text in texts:
        fixed = without_claims(text)
        assert not any(letter.isdigit() for letter in fixed), text
        assert not any(name in fixed for name in names), text


def test_the_same_briefs_again_are_the_same_bytes(two_briefs, tmp_path):
    before = brief_files(two_briefs[0])
    shutil.copytree(two_briefs[0], tmp_path, dirs_exist_ok=True)
    refresh(tmp_path, LAST)
    assert brief_files(tmp_path) == before
    refresh(tmp_path, FIRST, "other")
    refresh(tmp_path, LAST, "other")
    assert brief_files(tmp_path, "other") == before


def test_a_day_briefed_later_compares_with_the_newest_brief_before_it(two_briefs, tmp_path):
    folder, _, _, last = two_briefs
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    stored = brief_files(tmp_path)[f"{LAST}.json"]
    between = date(2026, 3, 4)
    _, brief = refresh(tmp_path, between)
    assert brief["changes"]["previous_as_of"] == str(FIRST)
    assert brief_files(tmp_path)[f"{LAST}.json"] == stored
    _, again = refresh(tmp_path, LAST)
    assert again["changes"]["previous_as_of"] == str(between)
    same = ("status", "primary_driver", "missions", "triggers", "portfolio", "recommended_action", "interpretation")
    assert {key: again[key] for key in same} == {key: last[key] for key in same}


def test_a_later_brief_says_which_figures_of_the_last_one_have_been_corrected(tmp_path):
    """One run had ended by the day of the last brief and arrives after it, and another is corrected."""
    write_reference(tmp_path / "raw")
    sat = [one for one in OTHER_PORTFOLIO_RUNS if one["mission_id"] == "SAT"]
    others = [one for one in OTHER_PORTFOLIO_RUNS if one["mission_id"] != "SAT"]
    write_records(tmp_path / "raw" / "mission_runs.json", [*others, *sat])
    write_records(tmp_path / "raw" / "task_execution_logs.json", OTHER_PORTFOLIO_LOGS)
    day = date(2026, 3, 5)
    _, first = refresh(tmp_path, day)
    late = run("o9", "OPS", "2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z", kpis={"recovery_minutes": 44})
    mended = [{**one, "human_interventions": 3, "escalations": 0} for one in sat]
    write_records(tmp_path / "raw" / "mission_runs.json", [*others, *mended, late])
    warehouse, last = refresh(tmp_path, LAST)
    found = {(each["mission_id"], each["figure"]): each for each in last["changes"]["corrected"]}
    assert ("OPS", "finished_runs") in found
    assert found["OPS", "finished_runs"]["to"] == found["OPS", "finished_runs"]["from"] + 1
    assert found["SAT", "mean_human_interventions"]["to"] == 3
    assert last["changes"]["confidence"] == {"from": first["confidence"]["level"], "to": last["confidence"]["level"]}
    with warehouse.published() as connection:
        assert unproven(last, connection) == []
        assert differing(last, connection) == []
    assert unclaimed(last) == []


def test_nothing_is_called_corrected_where_runs_came_as_they_ended(two_briefs):
    *_, last = two_briefs
    assert last["changes"]["corrected"] == []

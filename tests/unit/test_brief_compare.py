"""A stored brief held against its day judged again: elements by what tells them apart, causes by hash, old keys left."""

import pytest

from mission_pipeline.brief.compare import SHOWN_DIFFERENCES, comparison_lines, comparison_of


def brief(**parts):
    """The keys that a comparison needs, and whatever else is named."""
    return {
        "as_of": "2026-02-06",
        "status": "WATCH",
        "policy": {"version": "1", "sha256": "p" * 64},
        "inputs": [{"file": "mission_runs.json", "sha256": "a" * 64, "rows": 8}],
        "evidence": {},
        **parts,
    }


def mission(mission_id, **figures):
    return {"mission_id": mission_id, "mission_name": f"Mission {mission_id}", "health_score": 80.0, **figures}


def places(found):
    return [(each["path"], each["change"]) for each in found]


def test_the_same_brief_has_no_difference_and_says_so():
    found = comparison_of(brief(missions=[mission("M1")]), brief(missions=[mission("M1")]))
    assert found == {
        "as_of": "2026-02-06", "is_same": True, "differences": [], "wording": [], "books": [], "not_compared": [],
        "causes": {"files": [], "policy": None},
    }  # fmt: skip
    assert comparison_lines(found)[2:] == [
        "Nothing differs: judged again, the day would get the same brief.", "", "Every file is what it was.",
    ]  # fmt: skip


def test_a_figure_is_named_by_path_and_in_words_with_both_values():
    kpi = {"kpi_name": "pipeline_days", "latest_value": 8.0}
    then = brief(missions=[mission("M1"), mission("M2", kpis=[kpi])])
    today = brief(status="ON_TRACK", missions=[mission("M1"), mission("M2", kpis=[{**kpi, "latest_value": 7.5}])])
    found = comparison_of(then, today)
    assert found["differences"] == [
        {"path": "status", "what": "status", "change": "differs", "then": "WATCH", "today": "ON_TRACK"},
        {"path": "missions[1].kpis[0].latest_value", "what": 'M2 "Mission M2", KPI pipeline, latest value',
         "change": "differs", "then": 8.0, "today": 7.5},
    ]  # fmt: skip
    assert (
        '  M2 "Mission M2", KPI pipeline, latest value (missions[1].kpis[0].latest_value): 8 then, 7.5 today'
        in comparison_lines(found)
    )


def test_what_decides_is_told_first():
    then = brief(missions=[mission("M1", stability_score=1.0)], portfolio={"completed_runs": 1}, win={"first": 1})
    today = brief(missions=[mission("M1", stability_score=2.0, health_score=81.0)],
                  portfolio={"completed_runs": 2}, win={"first": 2}, status="ON_TRACK")  # fmt: skip
    told = [line.partition(" (")[0].strip() for line in comparison_lines(comparison_of(then, today))[3:8]]
    assert told == ["status", 'M1 "Mission M1", health score', 'M1 "Mission M1", stability score', "completed runs",
                    "win, first"]  # fmt: skip
    same = comparison_lines(comparison_of(then, {**today, "status": "WATCH"}))
    assert "Status, primary driver and confidence would be the same." in same


def test_one_mission_more_does_not_make_those_after_it_differ():
    found = comparison_of(brief(missions=[mission("M2")]), brief(missions=[mission("M1"), mission("M2")]))
    assert places(found["differences"]) == [("missions[0]", "added")]
    assert found["differences"][0]["today"] == mission("M1")
    gone = comparison_of(brief(missions=[mission("M1"), mission("M2")]), brief(missions=[mission("M2")]))
    assert places(gone["differences"]) == [("missions[0]", "gone")]


def test_two_elements_of_one_identity_are_both_held():
    step = {"mission_id": "M1", "kind": "trigger", "trigger": "KPI_PLATEAU"}
    then = brief(path_to_on_track=[{**step, "current": 1.0}, {**step, "current": 2.0}])
    today = brief(path_to_on_track=[{**step, "current": 1.0}, {**step, "current": 3.0}])
    assert places(comparison_of(then, today)["differences"]) == [("path_to_on_track[1].current", "differs")]


def test_unknown_then_and_zero_today_differ():
    found = comparison_of(brief(missions=[mission("M1", autonomy_score=None)]),
                          brief(missions=[mission("M1", autonomy_score=0.0)]))  # fmt: skip
    assert found["differences"][0]["then"] is None
    assert comparison_lines(found)[3].endswith("unknown then, 0 today")


def test_sentences_and_books_stand_apart_from_figures():
    then = brief(interpretation="Progress is real.", data_quality={"rows_in": 10}, changes=None)
    today = brief(interpretation="Results stand still.", data_quality={"rows_in": 12}, changes={"x": 1})
    found = comparison_of(then, today)
    assert found["differences"] == []
    assert places(found["wording"]) == [("interpretation", "differs")]
    assert places(found["books"]) == [("data_quality.rows_in", "differs")]
    assert not found["is_same"]
    only_books = comparison_of(then, {**then, "data_quality": {"rows_in": 12}})
    assert only_books["is_same"]
    assert "  data quality, rows in: 10 then, 12 today" in comparison_lines(only_books)


def test_files_are_held_by_their_hash_and_counted():
    then = brief(inputs=[
        {"file": "b.json", "sha256": "1", "rows": 1}, {"file": "c.json", "sha256": "1", "rows": 3},
        {"file": "d.json", "sha256": "1", "rows": 4},
    ])  # fmt: skip
    today = brief(status="ON_TRACK", inputs=[
        {"file": "a.json", "sha256": "9", "rows": 1}, {"file": "b.json", "sha256": "2", "rows": 2},
        {"file": "d.json", "sha256": "1", "rows": 4},
    ])  # fmt: skip
    found = comparison_of(then, today)
    assert found["causes"]["files"] == [
        {"file": "a.json", "change": "new", "rows_then": None, "rows_today": 1},
        {"file": "b.json", "change": "changed", "rows_then": 1, "rows_today": 2},
        {"file": "c.json", "change": "gone", "rows_then": 3, "rows_today": None},
    ]
    assert comparison_lines(found)[-3:] == [
        "  a.json: new, 1 record", "  b.json: changed, 1 record then, 2 today", "  c.json: gone, it held 3 records",
    ]  # fmt: skip


def test_a_changed_policy_is_a_cause():
    found = comparison_of(brief(), brief(status="ON_TRACK", policy={"version": "2", "sha256": "q" * 64}))
    assert found["causes"]["policy"]["today"]["version"] == "2"
    assert comparison_lines(found)[-1].startswith("The policy changed: version 1 (pppppppppppp) then, version 2")


def test_without_another_input_it_is_the_program_that_differs():
    found = comparison_of(brief(), brief(status="ON_TRACK"))
    assert "release of this program" in comparison_lines(found)[-1]


def test_keys_that_one_release_lacks_are_named_and_not_called_differences():
    then = brief(missions=[mission("M1", old=1)], policy_text="x")
    today = brief(missions=[mission("M1", new=2), mission("M2", new=3)], assumptions=[])
    del then["inputs"]
    found = comparison_of(then, today)
    assert found["not_compared"] == ["assumptions", "missions.new", "missions.old", "policy_text"]
    assert places(found["differences"]) == [("missions[1]", "added")]
    assert "only one of the two briefs holds it" in comparison_lines(found)[-1]


@pytest.mark.parametrize("more", [0, 3])
def test_long_lists_are_cut_with_their_rest_counted(more):
    count = SHOWN_DIFFERENCES + more
    then = brief(missions=[mission(f"M{number:02}") for number in range(count)])
    today = brief(missions=[mission(f"M{number:02}", health_score=1.0) for number in range(count)])
    cut = [line for line in comparison_lines(comparison_of(then, today)) if "more, with --json" in line]
    assert cut == ([f"  … and {more} more, with --json."] if more else [])

"""Next steps in words: what costs most time, single changes that would be enough, an assumption to test."""

from dataclasses import replace

import pytest
from brief_samples import facts, scorecard, snapshot, task, trigger, verdict

from mission_pipeline.brief.claims import plain
from mission_pipeline.brief.compose import compose_brief
from mission_pipeline.brief.document import document_of
from mission_pipeline.judge.path_to_on_track import Lever
from mission_pipeline.judge.wait_assumption import ExplainedTask, WaitAssumption
from mission_pipeline.judge.what_to_fix import TaskFix

MISSIONS = [scorecard("M1", status="WATCH", health_score=80.0), scorecard("M2", "Second mission", owner="Ada")]
TASKS = [
    task("M1", "T1", bottleneck_status="recurring", bottleneck_driver="task_overrun", friction_minutes=2.0),
    task(
        "M2", "T9", "Last task", bottleneck_status="recurring", bottleneck_driver="approval_delay", friction_minutes=1.0
    ),
]


def brief(policy, tasks=TASKS, **parts):
    found = [trigger("REPEATED_BOTTLENECK", MISSIONS[0], task_id="T1")]
    judgement = verdict(
        policy, "WATCH", missions=MISSIONS, triggers=found, portfolio=snapshot(status="WATCH"), tasks=tasks
    )
    return compose_brief(replace(judgement, **parts), facts(friction=tasks), policy)


def fix(mission_id, task_id, minutes, holds_up, is_top=False):
    return TaskFix(mission_id, task_id, None, "task_overrun", 1.0, 2.5, minutes, holds_up, is_top, None)


def section(shown, title):
    [found] = [each for each in document_of(shown).sections if each.title.startswith(title)]
    return found


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [
        ((5.0, 0), (40.0, 0), ["T9", "T1"]),
        ((40.0, 0), (5.0, 9), ["T1", "T9"]),
        ((5.0, 1), (5.0, 2), ["T9", "T1"]),
        ((5.0, 1), (5.0, 1), ["T1", "T9"]),
        ((None, 3), (0.5, 0), ["T9", "T1"]),
    ],
)
def test_what_to_fix_is_ranked_by_friction_a_week_and_then_by_what_it_holds_up(policy, first, second, order):
    shown = brief(policy, fixes=(fix("M1", "T1", *first), fix("M2", "T9", *second)))
    assert [each["task_id"] for each in shown["what_to_fix"]] == order
    assert [each["rank"] for each in shown["what_to_fix"]] == [1, 2]


def test_a_fix_carries_its_cost_and_who_answers_for_it(policy):
    shown = brief(policy, fixes=(fix("M2", "T9", 40.0, 1), fix("M1", "T1", 5.0, 0)))
    first, second = shown["what_to_fix"]
    assert list(first) == [
        "rank", "mission_id", "task_id", "cause", "friction_minutes_per_week", "runs_per_week", "holds_up", "trigger",
        "severity", "headline", "why", "action", "aim", "owner",
    ]  # fmt: skip
    assert (first["cause"], first["trigger"], first["owner"]) == ("approval_delay", None, "Ada")
    assert (first["friction_minutes_per_week"], first["runs_per_week"], first["holds_up"]) == (40.0, 2.5, 1)
    assert (second["trigger"], second["severity"]) == ("REPEATED_BOTTLENECK", "medium")
    told = [plain(item.details[0]) for item in section(shown, "What to fix").items]
    assert told == [
        "T9 costs 40 minutes of friction a week, at 2.5 runs a week, and 1 task of its plan cannot start before it.",
        "T1 costs 5 minutes of friction a week, at 2.5 runs a week.",
    ]


def test_a_task_on_top_of_a_mission_not_on_track_is_listed_however_rare_it_is(policy):
    quiet = [TASKS[0], task("M2", "T9", bottleneck_status="isolated")]
    for is_top in (False, True):
        shown = brief(policy, quiet, fixes=(fix("M2", "T9", 1.0, 0, is_top),))
        assert ("T9" in [each["task_id"] for each in shown["what_to_fix"]]) is is_top


def test_a_lever_says_what_one_next_run_would_take(policy):
    levers = (
        Lever("M1", "interventions", 3.0, 1.0, "count", True),
        Lever("M1", "approval_wait", 12.5, 12.5, "minutes", True),
        Lever("M1", "kpi", 6.0, 4.5, "KPI's own", True),
        Lever("M1", "overrun", 4.0, None, "minutes", False),
    )
    steps = [step for step in brief(policy, levers=levers)["path_to_on_track"] if step["kind"] == "lever"]
    assert [step["text"] for step in steps] == [
        "human interventions at 1 in the next run instead of 3: that alone would make First mission ON_TRACK.",
        "the wait for approval may stay at 12.5 minutes: another run like the latest makes First mission ON_TRACK.",
        "delivery at 4.5 days in the next run instead of 6.0 days: that alone would make First mission ON_TRACK.",
        "the time over plan alone would not make First mission ON_TRACK with its next run.",
    ]
    assert [(step["current"], step["needed"], step["is_reachable"]) for step in steps][2:] == [
        (6, 4.5, True), (4, None, False),
    ]  # fmt: skip


def test_where_no_lever_is_enough_the_reader_is_told_once(policy):
    levers = tuple(Lever("M1", name, 1.0, None, "count", False) for name in ("interventions", "escalations"))
    told = [plain(item.text) for item in section(brief(policy, levers=levers), "What would turn").items]
    assert len([text for text in told if text.startswith("No single figure of its next run")]) == 1
    assert not [text for text in told if "would not make" in text]


EXPLAINED = ExplainedTask("M1", "T1", "First task", 3, 2, 0, 2, 1, "recurring", "isolated", "task_overrun",
                          "approval_delay", 2.0, 1.5)  # fmt: skip


@pytest.mark.parametrize(
    ("assumed", "said"),
    [
        (WaitAssumption((), None, False, "WATCH", False), "no overrun is explained by it, and the verdict stays as it is."),
        (WaitAssumption((EXPLAINED,), {}, False, "WATCH", False),
         'the overruns of T1 "First task" are in part waiting, not work; the primary driver stays the same, and so does'),
        (WaitAssumption((EXPLAINED,), None, True, "ON_TRACK", True), "; then no rule fires, and the status would be ON_TRACK"),
        (WaitAssumption((EXPLAINED,), {"trigger_name": "KPI_PLATEAU", "mission_id": "M2"}, True, "WATCH", False),
         "; the primary driver would be: Results on a plateau in Second mission, and the status stays"),
    ],
)  # fmt: skip
def test_the_assumption_says_what_it_explains_and_what_it_changes(policy, assumed, said):
    if assumed.driver_then == {}:
        assumed = replace(assumed, driver_then={"trigger_name": "REPEATED_BOTTLENECK", "mission_id": "M1"})
    shown = brief(policy, wait_assumption=assumed)
    [entry] = shown["assumptions"]
    assert said in entry["headline"]
    assert entry["changes_driver"] is assumed.changes_driver
    assert [task["overrun_hits_then"] for task in entry["explained"]] == [0] * len(assumed.explained)
    assert entry["headline"] in [plain(text) for text in section(shown, "What it rests on").paragraphs]


def test_where_durations_include_the_wait_there_is_nothing_to_assume(policy):
    assert brief(policy, wait_assumption=None)["assumptions"] == []

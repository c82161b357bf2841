"""Words for next steps that the judgement worked out: single changes that would be enough, assumptions to test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.figures import TASK_THEN
from mission_pipeline.brief.sources import Sources
from mission_pipeline.brief.verdict import Lever, Verdict, WaitAssumption

Row = Mapping[str, Any]

_NAMED_TASKS = 3
"""How many tasks a sentence names before it leaves the rest to the list."""


def levers(verdict: Verdict, sources: Sources) -> list[dict[str, Any]]:
    """Return the single changes of a next run, with those that are not enough, as steps of the path to ON_TRACK."""
    return [_lever(rank, lever, sources) for rank, lever in enumerate(verdict.levers, start=1)]


def _lever(rank: int, lever: Lever, sources: Sources) -> dict[str, Any]:
    mission = sources.missions[lever.mission_id]
    name = say.mission_words(mission["mission_id"], mission["mission_name"])
    current, needed = (sources.figure("lever", rank, figure) for figure in ("current", "needed"))
    measure, now, then = _measured(lever.lever, mission, current, needed)
    if not lever.is_reachable:
        text = f"{measure} alone would not make {name} ON_TRACK with its next run."
    elif needed == current:
        text = f"{measure} may stay at {now}: another run like the latest makes {name} ON_TRACK."
    else:
        text = f"{measure} at {then} in the next run instead of {now}: that alone would make {name} ON_TRACK."
    return {
        "mission_id": mission["mission_id"],
        "kind": "lever",
        "trigger": None,
        "lever": lever.lever,
        "current": current,
        "needed": needed,
        "unit": lever.unit,
        "is_reachable": lever.is_reachable,
        "text": text,
    }


def _measured(lever: str, mission: Row, current: Any, needed: Any) -> tuple[str, str, str]:
    """Return what a lever changes, and the figure now and then, in words."""
    if lever == "kpi":
        now, then = say.kpi_values(mission["kpi_name"], current, needed)
        return say.kpi_words(mission["kpi_name"]), now, then
    if lever in ("interventions", "escalations"):
        measure = {"interventions": "human interventions", "escalations": "escalations"}[lever]
        return measure, say.number(current), say.number(needed)
    measure = {"approval_wait": "the wait for approval", "overrun": "the time over plan"}[lever]
    return measure, say.minutes(current), say.minutes(needed)


def assumptions(verdict: Verdict, sources: Sources) -> list[dict[str, Any]]:
    """Return what the verdict takes for granted and what would be otherwise if it were not so."""
    assumed = verdict.wait_assumption
    if assumed is None:
        return []
    tasks = [
        sources.tasks.get((task.mission_id, task.task_id), {"task_id": task.task_id, "task_name": None})
        for task in assumed.explained
    ]
    then = assumed.driver_then
    mission = {} if then is None else sources.missions.get(then["mission_id"], {})
    return [
        {
            "name": "durations_include_wait",
            "headline": _wait_headline(assumed, tasks, mission),
            "explained": [
                {
                    "mission_id": task.get("mission_id"),
                    "task_id": task["task_id"],
                    "task_name": task["task_name"],
                    **{name: sources.figure("assumption", rank, name) for name in TASK_THEN},
                }
                for rank, task in enumerate(tasks, start=1)
            ],
            "driver_then": None
            if then is None
            else {
                "trigger": then["trigger_name"],
                "mission_id": mission.get("mission_id"),
                "mission_name": mission.get("mission_name") or mission.get("mission_id"),
            },
            "changes_driver": assumed.changes_driver,
            "status_then": assumed.status_then,
            "changes_status": assumed.changes_status,
        }
    ]


def _wait_headline(assumed: WaitAssumption, tasks: list[Any], mission: Row) -> str:
    opening = "If the recorded durations of tasks include the wait for a person"
    if not tasks:
        return f"{opening}, no overrun is explained by it, and the verdict stays as it is."
    names = [say.task_words(task["task_id"], task["task_name"]) for task in tasks[:_NAMED_TASKS]]
    others = ["other tasks"] if len(tasks) > _NAMED_TASKS else []
    sentence = f"{opening}, the overruns of {say.listed([*names, *others])} are in part waiting, not work"
    if not assumed.changes_driver:
        sentence += "; the primary driver stays the same"
    elif assumed.driver_then is None:
        sentence += "; then no rule fires"
    else:
        title = say.TRIGGER_TITLES[assumed.driver_then["trigger_name"]]
        where = f" in {say.mission_words(mission['mission_id'], mission['mission_name'])}" if mission else ""
        sentence += f"; the primary driver would be: {title}{where}"
    status = f"the status would be {assumed.status_then}" if assumed.changes_status else "so does the status"
    link = ", but" if assumed.changes_status and not assumed.changes_driver else ", and"
    if assumed.changes_driver and not assumed.changes_status:
        status = "the status stays"
    return f"{sentence}{link} {status}. Ask those who record them."

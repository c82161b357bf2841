"""Words for what changed since the last brief: lines and a table, without a layout. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.changes import CLAIMED_CHANGES
from mission_pipeline.brief.claims import bare, marked

Json = Mapping[str, Any]
Line = tuple[str, str, tuple[str, ...]]

TITLE = "What changed since the last brief"
KPI_COLUMNS = ("Id", "KPI that moved", "Then", "Now", "Change")

_FOLLOWED_WORDS = {
    "less": "followed by less of it",
    "more": "followed by more of it",
    "unchanged": "followed by no change of it",
    "unknown": "whether there is less of it is not known",
}


@dataclass(frozen=True)
class ChangesInWords:
    """The changes, ready to be laid out: a title, a paragraph, lines of label, text and details, and a table's rows.

    ``kpis``: one row per KPI that moved, in KPI_COLUMNS. ``left_out``: list in words → how many are not told.
    """

    title: str
    paragraph: str | None = None
    lines: tuple[Line, ...] = ()
    kpis: tuple[tuple[str, ...], ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


def changes_in_words(changes: Json | None) -> ChangesInWords:
    """Return a brief's ``changes`` in words; None means that there was no earlier brief."""
    if changes is None:
        return ChangesInWords(TITLE, "There is no earlier brief to compare with.")
    lines: list[Line] = [
        ("Status", _status(changes["status"]), ()),
        ("Primary driver", _driver(changes["driver"]), ()),
    ]
    if changes.get("confidence") is not None:  # a brief of an earlier release does not say
        lines.insert(1, ("Confidence", _status(changes["confidence"]), ()))
    if changes["followed"] is not None:
        lines.append(("What was recommended", *_followed(changes["followed"])))
    if changes["missions"]:
        told = [
            f"{say.mission_words(each['mission_id'], each['mission_name'])}: {each['from'] or 'not there'} then, "
            f"{each['to'] or 'not there'} now"
            for each in changes["missions"][:CLAIMED_CHANGES]
        ]
        lines.append(("Missions", f"{'; '.join(told)}.", ()))
    for key, label in (("triggers_gained", "New findings"), ("triggers_lost", "Findings gone")):
        if changes[key]:
            lines.append((label, f"{'; '.join(_finding(each) for each in changes[key][:CLAIMED_CHANGES])}.", ()))
    if changes.get("corrected"):
        lines.append(("Corrected since", *_corrected(changes)))
    if changes["policy"] is not None:
        text = f"version {changes['policy']['from']} then, {changes['policy']['to']} now, or the same with other limits"
        lines.append(("Policy", f"{text}: not every difference comes from the missions.", ()))
    lists = {
        "missions": "missions",
        "new findings": "triggers_gained",
        "lost findings": "triggers_lost",
        "KPIs": "kpis",
        "corrected figures": "corrected",
    }
    return ChangesInWords(
        title=f"{TITLE} ({changes['previous_as_of']})",
        paragraph=None if changes["kpis"] else "No KPI moved.",
        lines=tuple(lines),
        kpis=tuple(_kpi(each) for each in changes["kpis"][:CLAIMED_CHANGES]),
        left_out={
            what: len(changes[key]) - CLAIMED_CHANGES
            for what, key in lists.items()
            if len(changes.get(key, ())) > CLAIMED_CHANGES
        },
    )


def _status(status: Json) -> str:
    if status["from"] == status["to"]:
        return f"{status['to']}, as it was."
    return f"{status['from'] or say.UNKNOWN} then, {status['to']} now."


def _driver(driver: Json) -> str:
    before, after = driver["from"], driver["to"]
    if before is None and after is None:
        return "none, as it was."
    if before is not None and after is not None and _key(before) == _key(after):
        return f"{_finding(after)}, as it was."
    then, now = (_finding(each) if each is not None else "none" for each in (before, after))
    return f"{then} then; {now} now."


def _key(driver: Json) -> tuple[str | None, str | None]:
    return driver["trigger"], driver["mission_id"]


def _finding(trigger: Json) -> str:
    title: str = say.TRIGGER_TITLES.get(trigger["trigger"], trigger["trigger"].replace("_", " ").lower())
    if trigger["mission_id"] is None:
        return title
    return f"{title} in {say.mission_words(trigger['mission_id'], trigger['mission_name'])}"


def _followed(followed: Json) -> tuple[str, tuple[str, ...]]:
    """Say what followed, without saying that it was the cause; and the figures then and now."""
    where = ""
    if followed["task_id"] is not None:
        where = f", to begin with {say.task_words(followed['task_id'], followed['task_name'])}"
    opening = f"{_finding(followed)}{where}"
    is_still = followed["followed_by"] == "no_run_since"
    told = [each for each in followed["measures"] if not (is_still and each["followed_by"] == "unchanged")]
    details = tuple(_measure(each, followed) for each in told)
    if is_still:
        return f"{opening}: no run has finished since, so what it did cannot be seen yet.", details
    runs = say.counted(followed["runs_since"], "finished run")
    said = f"{opening}: {_FOLLOWED_WORDS[followed['followed_by']]}, after {runs} since"
    return f"{said} (what came after, not proof of a cause).", details


def _measure(measure: Json, followed: Json) -> str:
    name, then, now = measure["measure"], measure["from"], measure["to"]
    if name == "kpi":
        before, after = say.kpi_values(measure["kpi_name"], then, now)
        return f"Its KPI {say.kpi_words(measure['kpi_name'])}: {before} then, {after} now."
    if name == "friction_minutes":
        task = say.task_words(followed["task_id"], followed["task_name"])
        return f"Friction of {task}: {say.minutes(then)} per run then, {say.number(now)} now."
    label, shown = _MEASURES[name]
    return f"{label}: {shown(then)} then, {shown(now)} now."


_MEASURES = {
    "autonomy_score": ("Autonomy in points", say.points),
    "mean_escalations": ("Escalations per run", say.number),
    "mean_approval_delay_minutes": ("Wait for approval in minutes per run", say.number),
    "risk_flagged_share": ("Runs with a risk", say.share),
    "stability_score": ("Steadiness in points", say.points),
    "completed_share": ("Finished runs that completed", say.share),
    "missions_at_risk": ("Missions at risk", say.number),
    "escalations_last_24h": ("Escalations on the day", say.number),
    "open_risk_events": ("Risk events open", say.number),
}


def _corrected(changes: Json) -> tuple[str, tuple[str, ...]]:
    """Say which figures of the last brief are others by the records that have arrived since."""
    command = f"mission brief --as-of {changes['previous_as_of']} --compare"
    return (
        "late or corrected records give that day other figures than its brief.",
        (
            *(_correction(each) for each in changes["corrected"][:CLAIMED_CHANGES]),
            f"More may differ; this command judges that day again and lists it all: {command}",
        ),
    )


def _correction(one: Json) -> str:
    then, now, figure = one["from"], one["to"], one["figure"]
    name = say.mission_words(one["mission_id"], one["mission_name"])
    if figure == "risk":
        unit = say.RULE_UNITS.get(one["rule"])
        if unit is None:
            before, after = say.kpi_values(one["kpi_name"], then, now)
        else:
            before, after = (say.counted(value, *unit) for value in (then, now))
        where = [part for part in (one["run_id"], one["task_id"]) if part is not None]
        if one["kpi_name"] is not None:
            where.append(say.kpi_words(one["kpi_name"]))
        rule = say.capitalised(marked(one["rule"], say.RULE_WORDS.get(one["rule"], one["rule"].replace("_", " "))))
        label = f"{rule} in {', '.join(str(part) for part in where)}"
    elif figure in ("latest_value", "first_value"):
        which = {"latest_value": "latest value", "first_value": "first value"}[figure]
        before, after = say.kpi_values(one["kpi_name"], then, now)
        label = f"KPI {say.kpi_words(one['kpi_name'])} of {name}, {which}"
    else:
        words, shown = _CORRECTED[figure]
        before, after = shown(then), shown(now)
        label = words.format(name)
    return f"{label}: {before} in that brief, {after} by today's records."


_CORRECTED = {
    "finished_runs": ("Finished runs of {}", say.number),
    "autonomy_score": ("Autonomy of {}, of a hundred points", say.points),
    "mean_human_interventions": ("Human interventions per run of {}", say.number),
    "mean_escalations": ("Escalations per run of {}", say.number),
    "mean_approval_delay_minutes": ("Wait for approval per run of {}", say.minutes),
}


def _kpi(kpi: Json) -> tuple[str, ...]:
    then, now = say.kpi_values(kpi["kpi_name"], kpi["from"], kpi["to"])
    better = kpi["better_by_pct"]
    if better is None:
        change = "first observed" if kpi["from"] is None else "no longer observed" if kpi["to"] is None else "moved"
    else:
        much = marked(better, say.percent(abs(bare(better)))) if say.is_shown(better) else "hardly"
        change = f"{much} {'better' if better > 0 else 'worse'}"
    return f"{kpi['mission_id']}", f"{say.kpi_words(kpi['kpi_name'])}", then, now, change

"""Holds a stored brief against the same day judged again with today's data: what differs, and which inputs changed.

Pure functions of two briefs' JSON. Judges nothing, reads nothing and writes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mission_pipeline.brief import phrases as say

Brief = Mapping[str, Any]

SHOWN_DIFFERENCES = 25
"""Lines of each kind in the text; the JSON holds them all."""

_APART = ("as_of", "evidence", "inputs", "policy", "changes")
"""Not held against each other: evidence repeats the figures, inputs and policy are causes, and `changes` speaks of
another brief, which may have been written since."""
_BOOKS = "data_quality"
"""Counts records as of the refresh, not of the day: it grows with every file, whatever the file says."""
_SENTENCES = frozenset({"headline", "why", "action", "aim", "text", "interpretation", "reasons", "said"})
"""Keys whose values are words made of figures that differ on their own."""
_FIRST_SCREEN = ("interpretation", "primary_driver.headline", "trend_insight.headline", "friction_signal.headline",
                 "recommended_action.text")  # fmt: skip
_IDENTITIES: dict[str, tuple[str, ...]] = {
    "missions": ("mission_id",),
    "kpis": ("kpi_name",),
    "triggers": ("trigger", "mission_id"),
    "friction": ("mission_id", "task_id"),
    "detected": ("signal_id",),
    "reported": ("event_id",),
    "reconciliation": ("source", "subject", "report_date", "field"),
    "what_to_fix": ("trigger", "mission_id", "task_id"),
    "path_to_on_track": ("mission_id", "kind", "lever", "trigger"),
    "assumptions": ("name",),
    "explained": ("mission_id", "task_id"),
    "data_sets": ("data_set",),
    "rejected": ("data_set", "rule"),
    "plan_findings": ("mission_id", "task_id", "fault", "detail"),
    "schema_drift": ("data_set", "field", "kind"),
    "warnings": ("data_set", "rule"),
}
"""By what the elements of a list are told apart, so that one more does not make all that follow it differ."""


@dataclass(frozen=True)
class Difference:
    """One place of the brief that would be another today.

    ``path``: in the stored brief, or in today's for what was added. ``what``: the same in words. ``change``: differs,
    added or gone; ``then`` and ``today`` are JSON values, of added and gone elements whole.
    """

    path: str
    what: str
    change: str
    then: Any
    today: Any

    @property
    def is_wording(self) -> bool:
        """Whether it is a sentence, made of figures that stand elsewhere."""
        return any(part.partition("[")[0] in _SENTENCES for part in self.path.split("."))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "path": self.path,
            "what": self.what,
            "change": self.change,
            "then": self.then,
            "today": self.today,
        }


def comparison_of(stored: Brief, today: Brief) -> dict[str, Any]:
    """Return what differs between a stored brief and its day judged again, as JSON.

    Args:
        stored: the brief as it was written; may be of an earlier release, with fewer keys.
        today: the brief of the same day, composed from the warehouse as it is now.

    Returns:
        ``as_of``; ``is_same``; ``differences`` (figures and labels), ``wording`` (sentences made of them) and
        ``books`` (counts of records as of the refresh), each of ``path, what, change, then, today``;
        ``not_compared`` (paths that only one of the two briefs holds); ``causes``: ``files`` (each of ``file,
        change, rows_then, rows_today`` with change new, gone or changed) and ``policy`` (``then`` and ``today`` of
        ``version, sha256``, or None if it is the same).

    """
    found = _Differences()
    kept = {key: value for key, value in stored.items() if key not in _APART}
    found.hold("", (), kept, {key: value for key, value in today.items() if key not in _APART})
    books = [each for each in found.differences if each.path.startswith(_BOOKS)]
    of_the_day = [each for each in found.differences if not each.path.startswith(_BOOKS)]
    return {
        "as_of": stored["as_of"],
        "is_same": not of_the_day,
        "differences": [each.as_json() for each in of_the_day if not each.is_wording],
        "wording": [each.as_json() for each in of_the_day if each.is_wording],
        "books": [each.as_json() for each in books],
        "not_compared": sorted(found.not_compared),
        "causes": {"files": changed_files(stored, today), "policy": _changed_policy(stored, today)},
    }


_ABSENT = object()
_PLACE = re.compile(r"\[\d+\]")


class _Differences:
    """Walks two JSON values side by side."""

    def __init__(self) -> None:
        self.differences: list[Difference] = []
        self.not_compared: set[str] = set()

    def hold(self, path: str, words: tuple[str, ...], then: Any, today: Any) -> None:
        if then is _ABSENT or today is _ABSENT:
            self.not_compared.add(_PLACE.sub("", path))
        elif isinstance(then, dict) and isinstance(today, dict):
            for key in (*(key for key in then if key in today), *sorted(then.keys() ^ today.keys())):
                place = f"{path}.{key}" if path else key
                what = (*words, key.replace("_", " ").replace("kpi", "KPI"))
                self.hold(place, what, then.get(key, _ABSENT), today.get(key, _ABSENT))
        elif isinstance(then, list) and isinstance(today, list):
            self._hold_lists(path, words, then, today)
        elif then != today or isinstance(then, bool) != isinstance(today, bool):
            self.differences.append(Difference(path, _in_words(words), "differs", then, today))

    def _hold_lists(self, path: str, words: tuple[str, ...], then: list[Any], today: list[Any]) -> None:
        key = path.rpartition(".")[2]
        before, after = dict(_by_identity(key, then)), dict(_by_identity(key, today))
        for identity, (place, element) in before.items():
            what = (*words[:-1], _named(key, identity, element))
            if identity in after:
                self.hold(f"{path}[{place}]", what, element, after[identity][1])
            else:
                self.differences.append(Difference(f"{path}[{place}]", _in_words(what), "gone", element, None))
        for identity, (place, element) in after.items():
            if identity not in before:
                what = (*words[:-1], _named(key, identity, element))
                self.differences.append(Difference(f"{path}[{place}]", _in_words(what), "added", None, element))


Identity = tuple[Any, ...]


def _by_identity(key: str, elements: Sequence[Any]) -> Iterator[tuple[Identity, tuple[int, Any]]]:
    """Yield each element's identity with its place and itself; of the same identity each is one more."""
    seen: Counter[Identity] = Counter()
    for place, element in enumerate(elements):
        parts: Identity = (place,)
        if isinstance(element, dict) and key in _IDENTITIES:
            parts = tuple(element.get(name) for name in _IDENTITIES[key])
        seen[parts] += 1
        yield (*parts, seen[parts]), (place, element)


_NOUNS = {"missions": "", "kpis": "KPI", "triggers": "trigger", "friction": "friction of", "detected": "signal",
          "path_to_on_track": "path to ON_TRACK"}  # fmt: skip


def _named(key: str, identity: Identity, element: Any) -> str:
    """Name an element of a list by what tells it apart; without that by its place, from one."""
    if key == "missions":
        return say.task_words(element["mission_id"], element.get("mission_name"))
    noun = _NOUNS.get(key, key.replace("_", " "))
    if key not in _IDENTITIES or not isinstance(element, dict):
        return f"{noun} {identity[0] + 1}"
    if key == "kpis":
        return f"{noun} {say.kpi_words(identity[0])}"
    return " ".join([noun, *(str(part) for part in identity[:-1] if part is not None)])


def _in_words(words: tuple[str, ...]) -> str:
    """Say where: 'M002 "Accelerate Sales", KPI pipeline, latest value'."""
    return ", ".join(words[1:] if len(words) > 1 and words[0] == "portfolio" else words)


def changed_files(stored: Brief, today: Brief) -> list[dict[str, Any]]:
    """Return the files that are not what they were, in the order of their names, with their records then and today."""
    before = {row["file"]: row for row in stored.get("inputs", ())}
    after = {row["file"]: row for row in today.get("inputs", ())}
    changed = []
    for file in sorted(before.keys() | after.keys()):
        then, now = before.get(file), after.get(file)
        if then is not None and now is not None and then["sha256"] == now["sha256"]:
            continue
        changed.append(
            {
                "file": file,
                "change": "new" if then is None else "gone" if now is None else "changed",
                "rows_then": None if then is None else then["rows"],
                "rows_today": None if now is None else now["rows"],
            }
        )
    return changed


def _changed_policy(stored: Brief, today: Brief) -> dict[str, Any] | None:
    then, now = stored.get("policy"), today.get("policy")
    if then is None or now is None or then["sha256"] == now["sha256"]:
        return None
    return {"then": dict(then), "today": dict(now)}


# ---------------------------------------------------------------------- in words


def comparison_lines(comparison: Mapping[str, Any]) -> list[str]:
    """Return a comparison as lines for reading."""
    lines = [f"The brief of {comparison['as_of']}, held against the same day judged again with today's data.", ""]
    differences = comparison["differences"]
    if comparison["is_same"]:
        lines.append("Nothing differs: judged again, the day would get the same brief.")
    elif not differences:
        lines.append("No figure differs; only sentences are worded otherwise.")
    else:
        lines.append(f"{say.capitalised(say.counted(len(differences), 'figure or label', 'figures or labels'))} differ"
                     f"{'s' if len(differences) == 1 else ''}:")  # fmt: skip
        ranked = sorted(differences, key=lambda each: _weight(each["path"]))
        lines += _shown([f"{each['what']} ({each['path']}): {_change(each)}" for each in ranked])
        if all(_weight(each["path"]) for each in differences):
            lines.append("Status, primary driver and confidence would be the same.")
    first_screen = [each for each in comparison["wording"] if each["path"] in _FIRST_SCREEN]
    if first_screen:
        lines += ["", "What the first screen would say today:"]
        lines += [f"  {each['what']}: {_value(each['today'])}" for each in first_screen]
    lines += ["", *_cause_lines(comparison)]
    if comparison["books"]:
        lines += ["", "The books count the records of today, whichever day is judged:"]
        lines += _shown([f"{each['what']}: {_change(each)}" for each in comparison["books"]])
    if comparison["not_compared"]:
        lines += ["", "Not compared, because only one of the two briefs holds it: "
                  f"{', '.join(comparison['not_compared'])}."]  # fmt: skip
    return lines


_WEIGHTS = (
    re.compile(r"(status|primary_driver|confidence)\b"),
    re.compile(r"missions\[\d+\](\.status)?$|triggers\[\d+\]$"),
    re.compile(r"missions\[\d+\]\.(health_score|autonomy_score|kpi_latest_value|kpi_trend|finished_runs)$"),
    re.compile(r"portfolio\.friction\[\d+\](\.friction_minutes|\.bottleneck_status)?$"),
)


def _weight(path: str) -> int:
    """Return how soon a difference is told: what decides first, then statuses, main figures and friction."""
    return next((rank for rank, pattern in enumerate(_WEIGHTS) if pattern.match(path)), len(_WEIGHTS))


def _cause_lines(comparison: Mapping[str, Any]) -> list[str]:
    causes, lines = comparison["causes"], []
    if causes["files"]:
        lines.append("Files that are not what they were:")
        lines += _shown([_file_line(each) for each in causes["files"]])
    else:
        lines.append("Every file is what it was.")
    policy = causes["policy"]
    if policy is not None:
        lines.append(
            f"The policy changed: version {policy['then']['version']} ({policy['then']['sha256'][:12]}) then, "
            f"version {policy['today']['version']} ({policy['today']['sha256'][:12]}) today."
        )
    elif not causes["files"] and not comparison["is_same"]:
        lines.append("The policy is the same, too: what differs is the release of this program that judges.")
    return lines


def _file_line(changed: Mapping[str, Any]) -> str:
    if changed["change"] == "new":
        return f"{changed['file']}: new, {say.counted(changed['rows_today'], 'record')}"
    if changed["change"] == "gone":
        return f"{changed['file']}: gone, it held {say.counted(changed['rows_then'], 'record')}"
    before = say.counted(changed["rows_then"], "record")
    return f"{changed['file']}: changed, {before} then, {say.number(changed['rows_today'])} today"


def _change(difference: Mapping[str, Any]) -> str:
    if difference["change"] == "added":
        return "not in the brief, there today"
    if difference["change"] == "gone":
        return "in the brief, not there today"
    return f"{_value(difference['then'])} then, {_value(difference['today'])} today"


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return say.yes_no(value)
    if isinstance(value, (int, float)):
        return say.number(value, 4)
    if isinstance(value, (dict, list)):
        return ", ".join(str(part) for part in (value.values() if isinstance(value, dict) else value))
    return str(value)


def _shown(lines: Sequence[str]) -> list[str]:
    shown = [f"  {line}" for line in lines[:SHOWN_DIFFERENCES]]
    if len(lines) > SHOWN_DIFFERENCES:
        shown.append(f"  … and {say.counted(len(lines) - SHOWN_DIFFERENCES, 'more', 'more')}, with --json.")
    return shown

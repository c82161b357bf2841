"""Claims: which figure or name of a brief comes from which query on the published warehouse. Runs no query itself.

A claimed value knows its claim's id. Shown in a text, it stands between private marks; so texts are composed as usual,
and one walk over the finished brief finds where each claim stands. The marks never leave this package: the JSON holds
plain texts, and ``evidence`` says where each claim stands in them.

A claim's SQL stands alone, so that anybody can paste it into DuckDB. Values that a program would bind are written out
by type: the as-of day as a date literal, ids as quoted text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any

START, MIDDLE, END = "\ue000", "\ue001", "\ue002"
"""Around a claim in a text: START id MIDDLE text END. Of Unicode's private use; data that holds them is neutralised."""

STORED_DECIMALS = 4
"""Figures in a brief are rounded to this many places; the warehouse keeps them whole."""

_MARK = re.compile(f"{START}([^{MIDDLE}]*){MIDDLE}([^{END}]*){END}")
_NEUTRAL = str.maketrans(dict.fromkeys((START, MIDDLE, END), "\ufffd"))
_PARAMETER = re.compile(r"\$([a-z_]+)")
_TOLERANCE = 0.51 * 10**-STORED_DECIMALS

Place = list[Any]


class ClaimedText(str):
    """A text of a claim; a day is one too. Formatted, it is marked; taken apart, it is plain text."""

    __slots__ = ("claim",)
    claim: str

    def __str__(self) -> str:
        """Return the text between marks."""
        return marked(self, bare(self))

    def __format__(self, spec: str) -> str:
        """Return the formatted text between marks."""
        return marked(self, format(bare(self), spec))


class ClaimedFloat(float):
    """A number of a claim. Formatted, it is marked; computed with, it is a plain number."""

    __slots__ = ("claim",)
    claim: str

    def __str__(self) -> str:
        """Return the number between marks."""
        return marked(self, str(bare(self)))

    def __format__(self, spec: str) -> str:
        """Return the formatted number between marks."""
        return marked(self, format(bare(self), spec))


class ClaimedInt(int):
    """A whole number of a claim. Formatted, it is marked; computed with, it is a plain number."""

    claim: str

    def __str__(self) -> str:
        """Return the number between marks."""
        return marked(self, str(bare(self)))

    def __format__(self, spec: str) -> str:
        """Return the formatted number between marks."""
        return marked(self, format(bare(self), spec))


_CLAIMED = (ClaimedText, ClaimedFloat, ClaimedInt)


def claimed(value: Any, claim: str) -> Any:
    """Return a value that knows its claim. What is unknown (None), empty or a truth value is returned as it is.

    A day becomes its ISO text. A number that is no number becomes None.
    """
    value = plain_value(value)
    if value is None or value == "" or isinstance(value, bool):
        return value
    made: Any
    if isinstance(value, str):
        made = ClaimedText(value)
    elif isinstance(value, float):
        made = ClaimedFloat(value)
    elif isinstance(value, int):
        made = ClaimedInt(value)
    else:
        raise TypeError(f"{value!r} cannot be claimed")
    made.claim = claim
    return made


def claim_of(value: Any) -> str | None:
    """Return the id of the claim that a value carries; None where it carries none."""
    return value.claim if isinstance(value, _CLAIMED) else None


def bare(value: Any) -> Any:
    """Return the same value without its claim."""
    if isinstance(value, ClaimedText):
        return str.__str__(value)
    if isinstance(value, ClaimedFloat):
        return float(value)
    if isinstance(value, ClaimedInt):
        return int(value)
    return value


def marked(value: Any, shown: str) -> str:
    """Return words made from a value (rounded, with its unit, or put differently) as standing for the value's claim.

    A value without a claim gives ``shown`` as it is.
    """
    claim = claim_of(value)
    return shown if claim is None or not shown else f"{START}{claim}{MIDDLE}{plain(shown)}{END}"


def plain(text: str) -> str:
    """Return a text without marks, as it is read."""
    if isinstance(text, ClaimedText):
        return str.__str__(text)
    return _MARK.sub(r"\2", text) if START in text else text


def without_claims(text: str) -> str:
    """Return a text without marks and without what stands between them: its fixed words."""
    return "" if isinstance(text, ClaimedText) else _MARK.sub("", text)


def parts_of(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield a text in pieces: plain text, and the id of its claim or None."""
    if isinstance(text, ClaimedText):
        yield bare(text), text.claim
        return
    end = 0
    for match in _MARK.finditer(text):
        if match.start() > end:
            yield text[end : match.start()], None
        yield match[2], match[1]
        end = match.end()
    if end < len(text):
        yield text[end:], None


def neutral(text: str) -> str:
    """Return text from data without the marks' characters, each replaced by one that shows that something was there."""
    return text if text.isascii() else text.translate(_NEUTRAL)


# ---------------------------------------------------------------------- values and SQL


def plain_value(value: Any) -> Any:
    """Return a single value of the warehouse as a brief works with it: days as ISO text, NaN as unknown."""
    if value is None:
        return None
    if isinstance(value, str):
        return neutral(bare(value))
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return value


def _stored_claim(value: Any) -> Any:
    """Return a claimed value as a brief's JSON holds it; it was made plain when it was claimed."""
    if isinstance(value, ClaimedFloat):
        return round(float(value), STORED_DECIMALS) + 0.0
    return bare(value)


def stored(value: Any) -> Any:
    """Return a value as a brief's JSON holds it: days as ISO text, figures rounded, NaN as unknown; without claims."""
    if isinstance(value, Mapping):
        return {key: stored(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [stored(part) for part in value]
    value = bare(plain_value(value))
    if isinstance(value, float):
        return round(value, STORED_DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    return value


def is_same(claimed_value: Any, found: Any) -> bool:
    """Whether a query's result still is what the brief says, but for the rounding of the JSON."""
    found = stored(found)
    if isinstance(claimed_value, (int, float)) and isinstance(found, (int, float)):
        return bool(abs(claimed_value - found) <= _TOLERANCE)
    return bool(claimed_value == found)


def literal(value: Any) -> str:
    """Return a value as SQL text; only days, whole numbers and text have one.

    Raises:
        TypeError: another type.

    """
    if isinstance(value, str):
        return "'" + str.replace(value, "'", "''") + "'"
    if isinstance(value, date) and not isinstance(value, datetime):
        return f"date '{value.isoformat()}'"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(bare(value))
    raise TypeError(f"{value!r} has no literal")


def written_out(sql: str, parameters: Mapping[str, Any]) -> str:
    """Return the SQL with each ``$name`` replaced, in one pass, so that a value cannot be read as another name."""
    return _PARAMETER.sub(lambda match: literal(parameters[match[1]]), sql)


@cache
def _on_one_line(sql: str) -> str:
    return " ".join(sql.split())


class Claims:
    """Gives the values of one brief or report their claims, and in the end finds where they stand.

    Without a day, queries name none.
    """

    def __init__(self, as_of: date | None = None) -> None:
        self._as_of = as_of
        self._claims: dict[str, tuple[Any, tuple[str, ...], str]] = {}

    def row(
        self,
        prefix: str,
        row: Mapping[str, Any],
        sql: str,
        *,
        expressions: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Return a row with its values claimed as ``prefix.column``.

        Args:
            prefix: such as ``mission.M001``; where ``prefix.column`` is taken, a number is added.
            row: column → value; unknown values and truth values stay without a claim.
            sql: yields one row with one column, ``$column``; may name ``$as_of`` and the other parameters.
            expressions: what to select instead of a column's own name.
            parameters: values for the names.

        """
        prefix = neutral(prefix)
        pieces = self._pieces(sql, parameters)
        found = {}
        for name, value in row.items():
            claim = self._free(f"{prefix}.{name}")
            value = claimed(value, claim)
            if isinstance(value, _CLAIMED):
                expression = expressions.get(name, name) if expressions else name
                self._claims[claim] = (value, pieces, expression)
            found[name] = value
        return found

    def figure(self, claim: str, value: Any, sql: str, **parameters: Any) -> Any:
        """Return one value with a claim of its own; the SQL yields one row with one column."""
        claim = self._free(neutral(claim))
        value = claimed(value, claim)
        if isinstance(value, _CLAIMED):
            self._claims[claim] = (value, self._pieces(sql, parameters), "")
        return value

    def _free(self, name: str) -> str:
        free, number = name, 1
        while free in self._claims:
            number += 1
            free = f"{name}~{number}"
        return free

    def _pieces(self, sql: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the SQL around its column, the values written out."""
        sql = _on_one_line(sql)
        if self._as_of is not None and "$as_of" not in sql:
            sql += " /* as of $as_of */"  # of tables that know no day: what the refresh of that brief found
        values = {"as_of": self._as_of, **parameters}
        return tuple(written_out(piece, values) for piece in sql.split("$column"))

    def settled(self, brief: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Return a composed brief as plain JSON values, and the evidence for every claim that stands in it.

        Each claim is ``{path, sql, value, in}``: ``path`` is where it stands alone, or the first text that holds it;
        ``in`` lists ``[path, start, end]`` of its other places, in characters of the text, or ``[path, null, null]``
        where it is the whole value; it is left out when there is no other.
        """
        alone: dict[str, str] = {}
        places: dict[str, list[Place]] = {}
        seen: dict[str, None] = {}

        def walk(value: Any, path: str) -> Any:
            if isinstance(value, dict):
                return {key: walk(part, f"{path}.{key}" if path else key) for key, part in value.items()}
            if isinstance(value, (list, tuple)):
                return [walk(part, f"{path}[{index}]") for index, part in enumerate(value)]
            if isinstance(value, _CLAIMED):
                seen[value.claim] = None
                if value.claim in alone:
                    places.setdefault(value.claim, []).append([path, None, None])
                else:
                    alone[value.claim] = path
                return _stored_claim(value)
            if isinstance(value, str):
                if START not in value:
                    return value
                pieces, length = [], 0
                for piece, claim in parts_of(value):
                    if claim is not None:
                        seen[claim] = None
                        places.setdefault(claim, []).append([path, length, length + len(piece)])
                    pieces.append(piece)
                    length += len(piece)
                return "".join(pieces)
            return stored(value)

        settled = walk(brief, "")
        evidence = {}
        for claim in seen:
            value, pieces, expression = self._claims[claim]
            where = places.get(claim, [])
            entry = {
                "path": alone.get(claim) or where[0][0],
                "sql": expression.join(pieces),
                "value": _stored_claim(value),
            }
            if where:
                entry["in"] = where
            evidence[claim] = entry
        return settled, evidence


def remarked(brief: Mapping[str, Any]) -> dict[str, Any]:
    """Return a brief's JSON with its claims put back: claimed values where they stand alone, marks within texts.

    The opposite of ``Claims.settled``; ``evidence`` itself is left as it is. A place that does not fit the brief is
    passed over.
    """
    whole: dict[str, str] = {}
    within: dict[str, list[tuple[int, int, str]]] = {}
    for claim, entry in brief.get("evidence", {}).items():
        places = entry.get("in", ())
        if not any(path == entry["path"] and start is not None for path, start, _ in places):
            whole[entry["path"]] = claim
        for path, start, end in places:
            if start is None:
                whole[path] = claim
            else:
                within.setdefault(path, []).append((start, end, claim))

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {key: walk(part, f"{path}.{key}") for key, part in value.items()}
        if isinstance(value, list):
            return [walk(part, f"{path}[{index}]") for index, part in enumerate(value)]
        if path in whole:
            return claimed(value, whole[path])
        if isinstance(value, str):
            text = neutral(value)
            return _with_marks(text, within[path]) if path in within else text
        return value

    return {name: value if name == "evidence" else walk(value, name) for name, value in brief.items()}


def _with_marks(text: str, places: list[tuple[int, int, str]]) -> str:
    pieces, done = [], 0
    for start, end, claim in sorted(places):
        if start < done or end > len(text):
            continue
        pieces += [text[done:start], START, claim, MIDDLE, text[start:end], END]
        done = end
    return "".join([*pieces, text[done:]])


def value_at(brief: Mapping[str, Any], path: str) -> Any:
    """Return what stands in a brief at a path such as ``missions[0].health_score``."""
    value: Any = brief
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        value = value[name] if name else value[int(index)]
    return value

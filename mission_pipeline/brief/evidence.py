"""Claims: which figure of a brief comes from which query on the published warehouse. Runs no query itself.

A claim's SQL stands alone, so that anybody can paste it into DuckDB. Values that a program would bind are written out
by type: the as-of day as a date literal, ids as quoted text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

STORED_DECIMALS = 4
"""Figures in a brief are rounded to this many places; the warehouse keeps them whole."""

_PARAMETER = re.compile(r"\$([a-z_]+)")
_TOLERANCE = 0.51 * 10**-STORED_DECIMALS


class Column(str):
    """The name of a column, from this package's code; written without quotes."""

    __slots__ = ()


def literal(value: Any) -> str:
    """Return a value as SQL text; only dates, whole numbers, text and columns have one."""
    if isinstance(value, Column):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
            raise ValueError(f"{value!r} is no column name")
        return str(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return f"date '{value.isoformat()}'"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise TypeError(f"{value!r} has no literal")


def written_out(sql: str, parameters: Mapping[str, Any]) -> str:
    """Return the SQL with each ``$name`` replaced, in one pass, so that a value cannot be read as another name."""
    return _PARAMETER.sub(lambda match: literal(parameters[match[1]]), " ".join(sql.split()))


def stored(value: Any) -> Any:
    """Return a value as a brief's JSON holds it: days as ISO text, figures rounded, NaN as unknown."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return None
        return round(value, STORED_DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: stored(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [stored(part) for part in value]
    return value


def is_same(claimed: Any, found: Any) -> bool:
    """Whether a query's result still is what the brief says, but for the rounding of the JSON."""
    found = stored(found)
    if isinstance(claimed, (int, float)) and isinstance(found, (int, float)):
        return bool(abs(claimed - found) <= _TOLERANCE)
    return bool(claimed == found)


class Claims:
    """Collects the claims of one brief."""

    def __init__(self, as_of: date) -> None:
        self._as_of = as_of
        self.evidence: dict[str, dict[str, Any]] = {}

    def add(self, claim_id: str, path: str, value: Any, sql: str, **parameters: Any) -> None:
        """Add a claim.

        Args:
            claim_id: such as ``mission.M001.health_score``; unique in the brief.
            path: where it stands in the JSON, such as ``missions[0].health_score``.
            value: what stands there.
            sql: yields one row with one column; names ``$as_of`` and the other parameters.
            parameters: values for the names.

        """
        assert claim_id not in self.evidence, claim_id
        self.evidence[claim_id] = {
            "path": path,
            "sql": written_out(sql, {"as_of": self._as_of, **parameters}),
            "value": stored(value),
        }


def value_at(brief: Mapping[str, Any], path: str) -> Any:
    """Return what stands in a brief at a claim's path."""
    value: Any = brief
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        value = value[name] if name else value[int(index)]
    return value

"""Explains a claim of a stored brief: where it stands, the query behind it, and what that query gives now.

Runs the query on the published warehouse as it is, and the same query again for the rows that it reads.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mission_pipeline.brief.claims import is_same, stored, value_at
from mission_pipeline.errors import MissionPipelineError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN_ROWS = 20
SHOWN_LETTERS = 200
"""Longer values of a row are cut: a stored brief would fill screens."""
_NEAR = 3
_SELECT = re.compile(r"(?is)\bfrom\b|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]")
_COMMENT = re.compile(r"\s*/\*[^*]*\*/\s*$")


@dataclass(frozen=True)
class Explanation:
    """A claim and what became of it.

    ``says``: its value in the brief; ``finds``: what its query gives now, None also where it cannot be run, for which
    ``fault`` has the reason. ``places``: path in the JSON and what stands there. ``rows``: what the query reads, at
    most SHOWN_ROWS of it, None where that cannot be told.
    """

    claim: str
    as_of: str
    says: Any
    finds: Any
    is_changed: bool
    fault: str | None
    places: tuple[tuple[str, Any], ...]
    sql: str
    rows: list[dict[str, Any]] | None

    def facts(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "claim": self.claim,
            "as_of": self.as_of,
            "says": self.says,
            "finds": self.finds,
            "is_changed": self.is_changed,
            "fault": self.fault,
            "places": [{"path": path, "text": text} for path, text in self.places],
            "sql": self.sql,
            "rows": self.rows,
        }


def explained(brief: Mapping[str, Any], name: str, connection: DuckDBPyConnection) -> Explanation:
    """Return a claim of a brief, explained.

    Args:
        brief: its JSON.
        name: the claim's id, or the path of a value that is one.
        connection: to the published warehouse.

    Raises:
        MissionPipelineError: the brief has no such claim; names similar ones.

    """
    claim = _claim_named(brief, name)
    return _explained(brief, claim, connection, with_rows=True)


def changed_claims(brief: Mapping[str, Any], connection: DuckDBPyConnection) -> Iterator[Explanation]:
    """Yield each claim of a brief whose query no longer gives its value; rows are left out."""
    for claim in brief["evidence"]:
        explanation = _explained(brief, claim, connection, with_rows=False)
        if explanation.is_changed:
            yield explanation


def _explained(brief: Mapping[str, Any], claim: str, connection: DuckDBPyConnection, *, with_rows: bool) -> Explanation:
    import duckdb

    entry = brief["evidence"][claim]
    found, fault, is_changed = None, None, True
    try:
        rows = connection.execute(entry["sql"]).fetchall()
    except duckdb.Error as error:
        fault = f"the query cannot be run on this warehouse: {str(error).splitlines()[0]}"
    else:
        if len(rows) == 1 and len(rows[0]) == 1:
            found, is_changed = stored(rows[0][0]), not is_same(entry["value"], rows[0][0])
        else:
            fault = "the warehouse no longer has the row" if not rows else f"the query gives {len(rows)} rows"
    return Explanation(
        claim=claim,
        as_of=brief["as_of"],
        says=entry["value"],
        finds=found,
        is_changed=is_changed,
        fault=fault,
        places=_places(brief, entry) if with_rows else (),
        sql=entry["sql"],
        rows=_rows_read(connection, entry["sql"]) if with_rows else None,
    )


def _claim_named(brief: Mapping[str, Any], name: str) -> str:
    evidence = brief["evidence"]
    if name in evidence:
        return name
    for claim, entry in evidence.items():
        if entry["path"] == name or any(path == name for path, _, _ in entry.get("in", ())):
            return str(claim)
    wanted = name.lower()
    near = [claim for claim in evidence if wanted in claim.lower()][:_NEAR]
    near += difflib.get_close_matches(name, evidence, n=_NEAR)
    which = ", ".join(dict.fromkeys(near)) or "none is similar; the JSON of the brief lists them all under evidence"
    raise MissionPipelineError(f"The brief as of {brief['as_of']} has no claim {name!r}. Similar claims: {which}.")


def _places(brief: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    paths = dict.fromkeys([entry["path"], *(path for path, _, _ in entry.get("in", ()))])
    return tuple((path, value_at(brief, path)) for path in paths)


def rows_query(sql: str) -> str | None:
    """Return the query for the rows that a claim's query reads: the same one, with every column and no sum.

    None where its first ``from`` cannot be found.
    """
    depth = 0
    for match in _SELECT.finditer(sql):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0 and match[0].lower() == "from":
            return f"select * {_COMMENT.sub('', sql[match.start() :])}"
    return None


def _rows_read(connection: DuckDBPyConnection, sql: str) -> list[dict[str, Any]] | None:
    import duckdb

    query = rows_query(sql)
    if query is None:
        return None
    try:
        relation = connection.sql(f"select * from ({query}) limit {SHOWN_ROWS}")  # noqa: S608 - the brief's own query
        rows = relation.fetchall()
    except duckdb.Error:
        return None
    return [dict(zip(relation.columns, map(_shown, row), strict=True)) for row in rows]


def _shown(value: Any) -> Any:
    value = stored(value)
    if isinstance(value, str):
        return value if len(value) <= SHOWN_LETTERS else f"{value[:SHOWN_LETTERS]}…"
    return value if value is None or isinstance(value, (bool, int, float, list, dict)) else str(value)


def lines_of(explanation: Explanation) -> list[str]:
    """Return an explanation as lines of text."""
    lines = [
        f"Claim   {explanation.claim}, as of {explanation.as_of}",
        f"Says    {_as_text(explanation.says)}",
        f"Now     {_now(explanation)}",
        "Stands  " + "\n        ".join(_place(path, value) for path, value in explanation.places),
        f"Query   {explanation.sql}",
    ]
    if explanation.rows is not None:
        number = len(explanation.rows)
        more = f", the first {number} of them" if number == SHOWN_ROWS else ""
        lines.append(f"Rows    that it reads{more}:" if number else "Rows    none: it reads no row now")
        lines += [f"        - {_row(row)}" for row in explanation.rows]
    return "\n".join(lines).split("\n")


def line_of_change(explanation: Explanation) -> str:
    """Return a claim that changed as one line."""
    return f"{explanation.claim}: {_as_text(explanation.says)}, {_now(explanation)}"


def _now(explanation: Explanation) -> str:
    if explanation.fault is not None:
        return f"changed since: {explanation.fault}"
    found = _as_text(explanation.finds)
    return (
        f"changed since: it is {found} now, and was {_as_text(explanation.says)}" if explanation.is_changed else found
    )


def _place(path: str, value: Any) -> str:
    return f"{path}: {value}" if isinstance(value, str) and " " in value else path


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_as_text(value)}" for name, value in row.items() if value is not None)


def _as_text(value: Any) -> str:
    return "unknown" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

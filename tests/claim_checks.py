"""What holds of every brief: nothing in its document goes unproven, and every claim's query gives its value."""

import re

from mission_pipeline.brief.claims import is_same, value_at, without_claims
from mission_pipeline.brief.document import document_of

_NAMES = """
select mission_id from staging.missions union select mission_name from staging.missions
union select owner from staging.missions
union select task_id from staging.mission_tasks union select task_name from staging.mission_tasks
union select agent_id from staging.agents union select agent_name from staging.agents
union select kpi_name from staging.mission_kpis union select run_id from staging.mission_runs
union select event_id from staging.risk_events
"""


def texts_of(document):
    """Every string of a document, with what it is."""
    yield document.title
    for entry in document.screen:
        yield from (entry.label, entry.text, *entry.details)
    for section in document.sections:
        yield section.title
        yield from (*section.paragraphs, *section.notes)
        for item in section.items:
            yield from (item.label, item.text, *item.details)
        if section.table is not None:
            yield from section.table.columns
            for row in section.table.rows:
                yield from row
    yield from document.footer


def unproven(brief, connection, document_of=document_of):
    """Texts of a brief's or report's document that hold a digit or a known name outside its claims."""
    names = {name for (name,) in connection.sql(_NAMES).fetchall() if name}
    is_name = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)")
    fixed = ((text, without_claims(text)) for text in texts_of(document_of(brief)))
    return [text for text, words in fixed if re.search(r"\d", words) or is_name.search(words)]


def differing(brief, connection):
    """Claims of a brief whose query does not give one row and one column with the value, or that stand elsewhere."""
    wrong = []
    for claim, entry in brief["evidence"].items():
        rows = connection.execute(entry["sql"]).fetchall()
        if not (len(rows) == 1 and len(rows[0]) == 1 and is_same(entry["value"], rows[0][0])):
            wrong.append((claim, entry["sql"], entry["value"], rows))
        if not any(start is not None and path == entry["path"] for path, start, _ in entry.get("in", ())):
            assert value_at(brief, entry["path"]) == entry["value"], claim
        for path, start, end in entry.get("in", ()):
            place = value_at(brief, path)
            assert place == entry["value"] if start is None else 0 <= start < end <= len(place), claim
    return wrong


def unclaimed(brief):
    """Paths of numbers and texts that stand alone in the JSON without a claim, besides sentences and labels."""
    known = {entry["path"] for entry in brief["evidence"].values()}
    known |= {path for entry in brief["evidence"].values() for path, start, _ in entry.get("in", ()) if start is None}
    found = []

    def walk(value, path):
        if isinstance(value, dict):
            for key, part in value.items():
                walk(part, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for index, part in enumerate(value):
                walk(part, f"{path}[{index}]")
        elif (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and path not in known
            and not path.endswith("].rank")
        ):
            found.append(path)

    walk({name: part for name, part in brief.items() if name != "evidence"}, "")
    return found

"""Sets a brief's document as one HTML page that needs nothing else: no script, no picture, no address.

Chooses no words of the brief. Whatever is written into the page passes through one function that escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mission_pipeline.brief.claims import parts_of, plain
from mission_pipeline.brief.document import Document, document_of
from mission_pipeline.brief.render import printable

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

_STATUS_CLASSES = {
    "ON_TRACK": "good", "WATCH": "watch", "ATTENTION_REQUIRED": "bad", "NO_DATA": "none",
    "completed": "good", "failed": "bad", "cancelled": "watch", "running": "none", "blocked": "bad",
}  # fmt: skip
"""Of a brief, and of a run's report."""
_SHORT, _LONG_WORD = 22, 30
"""Letters: what stays on one line of a table, and what is no word of a language."""


def html_of(brief: Mapping[str, Any]) -> str:
    """Return the whole brief as one HTML page, each claimed number and name with the id of its claim."""
    return page_of(document_of(brief), as_of=brief["as_of"])


def page_of(document: Document, *, as_of: str | None = None) -> str:
    """Return a document as one HTML page; that of a brief, whose day is given, points to ``mission explain``."""
    claims = _claims_of_screen(document)
    page = _environment().get_template("brief.html.j2").render(document=document, claims=claims, as_of=as_of)
    return re.sub(r"\n{2,}", "\n", page).rstrip("\n") + "\n"


def escaped_html(value: object) -> Markup:
    """Return a value as HTML that shows exactly its printable text; what stands for a claim becomes an element."""
    from markupsafe import Markup, escape

    if isinstance(value, Markup):
        return value
    element = Markup('<span class="claim" data-claim="{0}" title="claim {0}">{1}</span>')
    return Markup("").join(
        escape(printable(text)) if claim is None else element.format(printable(claim), printable(text))
        for text, claim in parts_of(value if isinstance(value, str) else str(value))
    )


def _claims_of_screen(document: Document) -> dict[str, str]:
    """Return what the first screen claims, in the order in which it is read: claim → what is shown of it first."""
    shown: dict[str, str] = {}
    for entry in document.screen:
        for part in (entry.text, *entry.details):
            for text, claim in parts_of(part):
                if claim is not None:
                    shown.setdefault(claim, text)
    return shown


def _anchor(title: str) -> str:
    """Return a section's title as an id for links: "What to fix" becomes ``what-to-fix``."""
    return re.sub(r"[^a-z]+", "-", plain(title).lower()).strip("-")


def _status_class(text: str) -> str:
    """Return the style of a status; "" for any other text."""
    return _STATUS_CLASSES.get(plain(text), "")


def _width_class(text: str) -> str:
    """Return the style of a cell: ``short`` stays on one line, ``long`` may break a word, "" breaks between words."""
    shown = plain(text)
    if len(shown) <= _SHORT:
        return "short"
    return "long" if max(map(len, shown.split()), default=0) > _LONG_WORD else ""


def _attribute(text: str) -> str:
    """Return a text for an attribute, in which no element can stand."""
    return printable(plain(text))


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mission_pipeline.brief"),
        autoescape=True,
        finalize=escaped_html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "anchor": _anchor,
        "status_class": _status_class,
        "attribute": _attribute,
        "width_class": _width_class,
    }
    return environment

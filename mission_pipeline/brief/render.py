"""Sets a brief's document in Markdown and for the terminal. Escapes whatever comes from data; chooses no words."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from mission_pipeline.brief.claims import plain
from mission_pipeline.brief.document import Document, Entry, Section, Table, document_of

if TYPE_CHECKING:
    import jinja2
    from rich.console import Console, RenderableType

_COLUMN_GAP = 2
FILE_WIDTH = 100
"""Width of a text brief that goes to a file."""

_MARKDOWN = re.compile(r"([\\`*\[\]|~$])")
_LONE_UNDERSCORE = re.compile(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
_LINE_START = re.compile(r"^(\d*)([#+=.)-])(?=\s|$|#|-|=)")
_LINK = re.compile(r"(?i)(:)(?=//)|(?<=\bwww)(\.)|(@)")
_STATUS_STYLES = {
    "ON_TRACK": "green", "WATCH": "yellow", "ATTENTION_REQUIRED": "red", "NO_DATA": "cyan",
    "completed": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "blocked": "red",
}  # fmt: skip
"""Of a brief, and of a run's report."""


class _Markup(str):
    """Markdown from this package, which is not escaped again."""

    __slots__ = ()


def printable(text: str) -> str:
    """Return text on one line, without marks and control characters: data can steer neither terminal nor layout."""
    spaced = re.sub(r"\s+", " ", plain(text))
    if spaced.isprintable():  # as nearly every text is
        return spaced
    return "".join(
        " " if unicodedata.category(letter) in ("Zl", "Zp")
        else "�" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn") and letter != "\u00ad"
        else letter
        for letter in spaced
    )  # fmt: skip


def escaped_markdown(value: object) -> str:
    """Return a value as Markdown that shows exactly its text: no emphasis, link, table cell, heading or HTML."""
    if isinstance(value, _Markup):
        return value
    text = printable(str(value))
    text = _MARKDOWN.sub(r"\\\1", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _LONE_UNDERSCORE.sub(r"\\_", text)
    text = _LINE_START.sub(r"\1\\\2", text)
    return _LINK.sub(lambda match: "\\" + match[0], text)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - `finalize` escapes for Markdown, where HTML's rules would not do
        loader=jinja2.PackageLoader("mission_pipeline.brief"),
        finalize=escaped_markdown,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "bullet": _Markup("-"),
        "marker": lambda index: _Markup(f"{index}."),
        "ruler": lambda is_numeric: _Markup("---:" if is_numeric else "---"),
        "stop": lambda label: _Markup("" if plain(label).endswith((".", ":")) else ":"),
    }
    return environment


def as_document(shown: Mapping[str, Any] | Document) -> Document:
    """Return the document of a brief; a document, such as a run's report, is returned as it is."""
    return shown if isinstance(shown, Document) else document_of(shown)


def markdown_of(brief: Mapping[str, Any] | Document) -> str:
    """Return a whole brief or document as Markdown."""
    text = _environment().get_template("brief.md.j2").render(document=as_document(brief))
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def json_of(brief: Mapping[str, Any]) -> str:
    """Return the brief's JSON: keys in the order of the contract, the same bytes for the same brief."""
    from pydantic_core import to_json  # a brief of hundreds of missions is megabytes, which json sets ten times slower

    return to_json(brief, indent=2, inf_nan_mode="null").decode() + "\n"


def print_brief(console: Console, brief: Mapping[str, Any] | Document) -> None:
    """Print the brief on a console, fitted to its width; without a terminal it is plain text."""
    document = as_document(brief)
    for renderable in _screen(document):
        console.print(renderable)
    for section in document.sections:
        for renderable in _section(section, console.width):
            console.print(renderable)
    for line in document.footer:
        console.print(_text(line, "dim"))


def text_of(brief: Mapping[str, Any] | Document, *, width: int = FILE_WIDTH) -> str:
    """Return the whole brief as plain text of a width."""
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(file=buffer, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    print_brief(console, brief)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _text(text: str, style: str = "") -> RenderableType:
    from rich.text import Text

    return Text(printable(text), style=style)


def _screen(document: Document) -> Iterable[RenderableType]:
    from rich.table import Table as Grid
    from rich.text import Text

    yield Text(printable(document.title), style="bold")
    yield Text("")
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for entry in document.screen:
        style = f"bold {_STATUS_STYLES[document.status]}" if entry.label == "Status" else ""
        grid.add_row(Text(entry.label, style="bold"), _text(entry.text, style))
        for detail in entry.details:
            grid.add_row("", _text(f"- {detail}", "dim"))
    yield grid
    yield Text("")


def _section(section: Section, width: int) -> Iterable[RenderableType]:
    from rich.text import Text

    yield Text(printable(section.title), style="bold underline")
    for paragraph in section.paragraphs:
        yield _text(paragraph)
    for index, item in enumerate(section.items, start=1):
        yield _item(f"{index}." if section.is_ranked else "-", item)
    if section.table is not None:
        yield Text("")
        yield _grid(section.table, width)
        if section.notes:
            yield Text("")
    for note in section.notes:
        yield _text(note, "dim")
    yield Text("")


def _item(mark: str, item: Entry) -> RenderableType:
    from rich.table import Table as Grid
    from rich.text import Text

    line = Text(printable(item.label), style="bold")
    line.append("" if plain(item.label).endswith((".", ":")) else ":")
    line.append(f" {printable(item.text)}", style="not bold")
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(mark, line)
    for detail in item.details:
        grid.add_row("", _text(detail))
    return grid


def _grid(table: Table, width: int) -> RenderableType:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    table = replace(table, rows=tuple(tuple(printable(cell) for cell in row) for row in table.rows))
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for column, column_width in zip(table.columns, _column_widths(table, width), strict=True):
        grid.add_column(
            column,
            justify="right" if column in table.numeric else "left",
            overflow="fold",
            width=column_width,
        )
    for row in table.rows:
        grid.add_row(*(Text(cell) for cell in row))
    return grid


def _words(cell: str) -> list[str]:
    """Return what of a cell stays on one line: its words; "under 0.01" is one, lest half of it be read."""
    return [cell] if cell.startswith("under ") else cell.split()


def _column_widths(table: Table, width: int) -> list[int | None]:
    """Share a width among a table's columns so that words stay whole wherever they fit."""
    from rich.cells import cell_len

    columns = list(zip(table.columns, *table.rows, strict=True))
    wanted = [max(cell_len(cell) for cell in cells) for cells in columns]
    needed = [max((cell_len(word) for cell in cells for word in _words(cell)), default=1) for cells in columns]
    free = width - _COLUMN_GAP * (len(columns) - 1)
    if sum(wanted) <= free:
        return list(wanted)
    if sum(needed) > free:
        return [None] * len(columns)
    widths = list(needed)
    while sum(widths) < free:
        lacking = [index for index in range(len(widths)) if widths[index] < wanted[index]]
        widths[max(lacking, key=lambda index: wanted[index] / widths[index])] += 1
    return list(widths)

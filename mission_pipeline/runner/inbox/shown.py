"""Turns what an agent gave back into something that a page can set: texts, lists, fields, tables, cut to a bound.

Nothing here is HTML: the templates escape every text. Whatever is left out is said.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_DEEPEST, _MOST_COLUMNS = 6, 5
"""Of nested values, and of a list set as a table: what goes on beyond is set more plainly."""
_LONG_WORD, _PROSE = 30, 90
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINERS = "\u00ad\u200c\u200d"
"""A soft hyphen, and what Persian, Indic scripts and emoji need between letters. They reorder nothing."""


@dataclass(frozen=True)
class Shown:
    """A value as a page sets it. ``text`` of a text, prose or nothing; ``entries`` of a list or of fields."""

    kind: Literal["text", "prose", "nothing", "list", "fields", "table"]
    text: str = ""
    entries: tuple[tuple[str, Shown], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Shown, ...], ...] = ()


@dataclass
class _Room:
    """How many characters may still be shown, and what had to be left out."""

    characters: int
    left_out: int = field(default=0)

    def take(self, text: str) -> str:
        shown = text[: self.characters]
        self.left_out += len(text) - len(shown)
        self.characters -= len(shown)
        return shown if len(shown) == len(text) else shown + " …"


def shown_value(value: Any, characters: int) -> tuple[Shown, int]:
    """Return a JSON value as a page sets it, and how many characters of its texts were left out."""
    room = _Room(characters)
    return _shown(value, room, 0), room.left_out


def clean(text: str, *, keep_lines: bool = False) -> str:
    """Return a text without what steers a page or hides in it: each control, each mark of direction becomes "�"."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    cleaned = ["".join(_visible(letter) for letter in line) for line in lines]
    return "\n".join(cleaned).strip("\n") if keep_lines else " ".join(" ".join(cleaned).split())


def label_of(name: str) -> str:
    """Return a field's name as words: ``issues_found`` becomes "Issues found"."""
    words = clean(name.replace("_", " "))
    return words[:1].upper() + words[1:] if words else "(no name)"


def _visible(letter: str) -> str:
    if letter == "\t":
        return "  "
    if letter in _JOINERS or unicodedata.category(letter) not in _INVISIBLE:
        return letter
    return "�"


def _shown(value: Any, room: _Room, depth: int) -> Shown:
    if value is None:
        return Shown("nothing", "not known")
    if isinstance(value, str | Sequence | Mapping) and not value:
        return Shown("nothing", "empty" if isinstance(value, str) else "none")
    if isinstance(value, bool):
        return Shown("text", "yes" if value else "no")
    if isinstance(value, int | float):
        return Shown("text", room.take(repr(value)))
    if isinstance(value, str):
        text = room.take(clean(value, keep_lines=True))
        return Shown("prose" if "\n" in text or len(text) > _PROSE else "text", text)
    if depth >= _DEEPEST or not isinstance(value, Mapping | Sequence):
        return Shown("prose", room.take(clean(json.dumps(value, ensure_ascii=False, default=str))))
    if isinstance(value, Mapping):
        return _fields(value, room, depth)
    if columns := _columns(value):
        return _table(value, columns, room, depth)
    return Shown("list", entries=tuple(("", each) for each in _each(value, room, depth)))


def _fields(value: Mapping[Any, Any], room: _Room, depth: int) -> Shown:
    entries = []
    for name, each in sorted(
        value.items(), key=lambda entry: not _is_short(entry[1])
    ):  # an order of names says nothing
        if room.characters <= 0:
            room.left_out += _size(each)
            continue
        label = room.take(label_of(str(name)))
        entries.append((label, _shown(each, room, depth + 1)))
    return Shown("fields", entries=tuple(entries))


def _is_short(value: Any) -> bool:
    """Return whether a value takes one line. Such go first: what an e-mail is about is read before its text.

    The store keeps fields in the order of their names, so no order of the agent's own is lost.
    """
    if isinstance(value, str):
        return len(value) <= _PROSE and "\n" not in value
    return not isinstance(value, Mapping | Sequence) or not value


def _each(values: Iterable[Any], room: _Room, depth: int) -> Iterable[Shown]:
    for each in values:
        if room.characters <= 0:
            room.left_out += _size(each)
        else:
            yield _shown(each, room, depth + 1)


def _columns(values: Sequence[Any]) -> tuple[str, ...]:
    """Return the fields of a list whose elements have few, each plain or a list of plain ones; () of any other."""
    if len(values) < 2 or not all(isinstance(each, Mapping) for each in values):
        return ()
    names = dict.fromkeys(str(name) for each in values for name in each)
    is_plain = all(_is_cell(cell) for each in values for cell in each.values())
    return tuple(names) if is_plain and 1 < len(names) <= _MOST_COLUMNS else ()


def _is_cell(value: Any) -> bool:
    if isinstance(value, list):
        return not any(isinstance(each, Mapping | list) for each in value)
    return not isinstance(value, Mapping)


def _table(values: Sequence[Mapping[str, Any]], columns: tuple[str, ...], room: _Room, depth: int) -> Shown:
    rows = []
    for each in values:
        if room.characters <= 0:
            room.left_out += _size(each)
        else:
            rows.append(
                tuple(
                    _shown(each[column], room, depth + 1) if column in each else Shown("nothing", "–")
                    for column in columns
                )
            )
    return Shown("table", columns=tuple(map(label_of, columns)), rows=tuple(rows))


def _size(value: Any) -> int:
    """Return about how many characters a value has. An approximate count of what is left out says enough."""
    return len(json.dumps(value, ensure_ascii=False, default=str))


def width_class(text: str) -> str:
    """Return ``long`` for a text with a word that is none of a language and may be broken anywhere."""
    return "long" if max(map(len, text.split()), default=0) > _LONG_WORD else ""

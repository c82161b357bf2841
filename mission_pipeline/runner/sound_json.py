"""Reads JSON that is kept, shown and handed on: what another reader would refuse or read otherwise is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

DEEPEST = 100
"""Lists and objects within each other: with far more, Python's own reader and writer give up."""
_MOST_DIGITS = 1_000
_SHOWN_CHARACTERS = 30


class UnsoundJson(ValueError):
    """What is wrong with a content, as the end of a sentence about it: `is …`, `has …` or `gives …`."""


class NotJson(UnsoundJson):
    """The content is no JSON at all."""


def parsed(content: bytes) -> Any:
    """Return the value of a JSON text in UTF-8, with or without a byte-order mark.

    Raises:
        NotJson: it is not JSON.
        UnsoundJson: it holds what nobody could keep: a name twice in one object, a number that is none or too large,
            half a character, more than ``DEEPEST`` levels; or it is not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(
            text, parse_constant=_refused, parse_float=_finite, parse_int=_whole, object_pairs_hook=_named_once
        )
    except UnsoundJson:
        raise
    except UnicodeError:
        raise UnsoundJson("is not UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise NotJson(f"is not JSON ({str(error).rstrip('.')})") from None
    _check_depth(found)
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start]).strip("'")
        raise UnsoundJson(f"has half a character in it, {half}, which no text can hold") from None
    return found


def _refused(constant: str) -> NoReturn:
    raise UnsoundJson(f"has the value {constant}, which is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise UnsoundJson(f"has the number {text[:_SHOWN_CHARACTERS]}, which is too large")
    return number


def _whole(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > _MOST_DIGITS:
        raise UnsoundJson(f"has a number of {digits:,} digits: {_MOST_DIGITS:,} at most can be kept")
    return int(text)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnsoundJson(f'gives the name "{twice[:_SHOWN_CHARACTERS]}" twice in one object')
    return values


def _check_depth(value: Any) -> None:
    """Refuse what is nested too deeply, level by level."""
    level, depth = list(_containers([value])), 1
    while level:
        if depth > DEEPEST:
            raise _too_deep()
        level = [inner for each in level for inner in _containers(each.values() if isinstance(each, dict) else each)]
        depth += 1


def _containers(values: Iterable[Any]) -> Iterator[dict[str, Any] | list[Any]]:
    return (value for value in values if isinstance(value, dict | list))


def _too_deep() -> UnsoundJson:
    return UnsoundJson(f"is nested too deeply: {DEEPEST} lists and objects within each other at most can be kept")

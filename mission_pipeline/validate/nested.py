"""Reads values inside ``tasks[]`` and ``kpis{}`` of reference records by the same rules as ingest reads fields.

For reference data only, whose records are few. The KPIs of runs are read in SQL (``run_kpis.py``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from mission_pipeline.contracts.inputs import FieldType, InputField
from mission_pipeline.validate import rules
from mission_pipeline.validate.record_contracts import UNSOUND_ID
from mission_pipeline.validate.statements import NUMBER_IN_QUOTES

_QUOTED_NUMBER = re.compile(NUMBER_IN_QUOTES)
_UNSOUND_ID = re.compile(UNSOUND_ID.replace(r"\x{fffd}", "\ufffd"))
_MAX_COUNT = 2**63


class NamedTwice(ValueError):
    """An object has one name twice; which value is meant cannot be told."""


@dataclass(frozen=True)
class Misfit:
    """A value that is not what its field must be. ``sentence`` says so, without a full stop."""

    rule: str
    sentence: str


@dataclass(frozen=True)
class Read:
    """A value as its field's type; ``is_converted``: it arrived as another JSON type."""

    value: Any
    is_converted: bool = False


@dataclass
class Drift:
    """Differences from what is specified, found inside records: (field, kind) → record ids and values as arrived."""

    seen: dict[tuple[str, str], dict[int, list[str | None]]] = field(default_factory=dict)

    def note(self, record_id: int, name: str, kind: str, arrived: Any) -> None:
        """Note one difference of one record."""
        text = None if arrived is None else as_json(arrived)
        self.seen.setdefault((name, kind), {}).setdefault(record_id, []).append(text)

    def frame(self) -> pl.DataFrame:
        """Return one row per field and kind, with the number of records and the smallest value."""
        rows = []
        for (name, kind), records in sorted(self.seen.items()):
            values = [value for values in records.values() for value in values if value is not None]
            rows.append((name, kind, len(records), min(values, default=None)))
        types = {"field": pl.String, "kind": pl.String, "rows": pl.Int64, "example_value": pl.String}
        return pl.DataFrame(rows, schema=types, orient="row")


def parsed(text: str) -> Any:
    """Return a JSON value whose numbers keep how they were written.

    Raises:
        NamedTwice: an object names something twice.

    """
    return json.loads(text, parse_float=Decimal, object_pairs_hook=_without_repetition)


def as_json(value: Any) -> str:
    """Return a parsed value as JSON text again."""
    return json.dumps(value, ensure_ascii=False, default=_plain_number)


def _plain_number(value: Decimal) -> float:
    return float(value)


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in pairs:
        if name in named:
            raise NamedTwice(f"names {name} twice")
        named[name] = value
    return named


def read_value(place: str, value: Any, type_: FieldType) -> Read | Misfit:
    """Return a value that is not null as its field's type.

    Args:
        place: where it stands, such as ``tasks[0].order``, for the sentence.
        value: as parsed.
        type_: what it must be.

    """
    match type_:
        case "id" | "text":
            found = _text(value)
            if found is not None and type_ == "id" and _UNSOUND_ID.search(found.value):
                return Misfit(rules.BROKEN_ID, f"{place} is {as_json(value)}, which is blank or has a broken character")
        case "number":
            found = _number(value)
        case "count":
            found = _count(value)
        case "flag":
            found = _flag(value)
        case "ids":
            return _ids(place, value)
        case _:
            raise ValueError(f"no nested field has the type {type_}")
    return found or Misfit(rules.WRONG_TYPE, f"{place} is {as_json(value)}, not {rules.EXPECTED[type_]}")


def read_fields(
    place: str, record: Mapping[str, Any], fields: Sequence[InputField]
) -> tuple[dict[str, Read | None], list[Misfit]]:
    """Return the fields of one nested object, None where absent or null, and what is wrong with them."""
    values: dict[str, Read | None] = {}
    faults = []
    for item in fields:
        arrived = record.get(item.name)
        values[item.name] = None
        if arrived is None:
            if item.is_required:
                faults.append(Misfit(rules.REQUIRED_FIELD_MISSING, f"{place}.{item.name} is missing"))
            continue
        read = read_value(f"{place}.{item.name}", arrived, item.type)
        if isinstance(read, Misfit):
            faults.append(read)
        else:
            values[item.name] = read
    return values, faults


def is_finite_number(value: Any) -> bool:
    """Tell whether a parsed value is a JSON number, and finite as a double."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float | Decimal | str) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _text(value: Any) -> Read | None:
    if isinstance(value, str):
        return Read(value)
    return Read(str(value), is_converted=True) if is_finite_number(value) else None


def _number(value: Any) -> Read | None:
    if is_finite_number(value):
        return Read(float(value))
    if isinstance(value, str) and _QUOTED_NUMBER.fullmatch(value) and _is_finite(value):
        return Read(float(value), is_converted=True)
    return None


def _count(value: Any) -> Read | None:
    is_quoted = isinstance(value, str)
    if not is_finite_number(value) and not (is_quoted and _QUOTED_NUMBER.fullmatch(value) and _is_finite(value)):
        return None
    number = Decimal(value)
    if number != number.to_integral_value() or not -_MAX_COUNT <= number < _MAX_COUNT:
        return None
    return Read(int(number), is_converted=is_quoted)


def _flag(value: Any) -> Read | None:
    if isinstance(value, bool):
        return Read(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return Read(value.lower() == "true", is_converted=True)
    return None


def _ids(place: str, value: Any) -> Read | Misfit:
    if not isinstance(value, list):
        return Misfit(rules.WRONG_TYPE, f"{place} is {as_json(value)}, not {rules.EXPECTED['ids']}")
    texts, is_converted = [], False
    for element in value:
        read = read_value(f"an id in {place}", element, "id")
        if isinstance(read, Misfit):
            return read
        texts.append(read.value)
        is_converted |= read.is_converted
    return Read(texts, is_converted)

"""Values in the one form in which the store keeps and compares them: JSON, its hash, times, minutes, texts."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import datetime
from typing import Any

_PARTS = 10_000  # of a minute: four decimals, less than a hundredth of a second


def to_json(value: Any) -> str:
    """Return a value as JSON, the same text for equal values.

    Raises:
        ValueError: NaN, infinity, or an object that contains itself.
        TypeError: a value that JSON has no form for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(result_json: str) -> str:
    """Return the hash that binds a decision to the result that was seen."""
    return hashlib.sha256(result_json.encode("ascii")).hexdigest()


def plain(text: str | None) -> str | None:
    """Return a text as every database keeps it: without NULs and halves of characters."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", errors="replace").decode("utf-8")


def iso(time: datetime | None) -> str | None:
    """Return a UTC time as ISO text with Z."""
    return None if time is None else time.isoformat() + "Z"


def minutes(seconds: float) -> float:
    """Return seconds as minutes, rounded down, so that parts never add up to more than their whole."""
    return math.floor(round(seconds / 60 * _PARTS, 6)) / _PARTS


def minutes_between(start: datetime, end: datetime) -> float:
    """Return the minutes from one time to another, as ``minutes``."""
    return minutes((end - start).total_seconds())

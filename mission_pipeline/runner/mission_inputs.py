"""What a run works on: a JSON object from a file that somebody names, or the mission's sample in the raw data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from mission_pipeline.errors import InputFault

FOLDER = "mission_inputs"


def sample_input(raw_data: Path, mission_id: str) -> dict[str, Any]:
    """Return ``mission_inputs/<mission>.json`` of the raw data; empty where there is none.

    Raises:
        InputFault: it is there and cannot be used.

    """
    file = raw_data / FOLDER / f"{mission_id}.json"
    # An id may hold anything, a path included; only a file of the folder itself is a sample.
    if file.name != f"{mission_id}.json" or file.parent != raw_data / FOLDER or not file.is_file():
        return {}
    return read_input(file)


def read_input(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file, UTF-8.

    Raises:
        InputFault: the file cannot be read, or holds something else.

    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
        values = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        json.dumps(values, ensure_ascii=False).encode("utf-8")
    except OSError as error:
        raise InputFault(f"The input {file} cannot be read ({error.strerror}). Name an existing file.") from error
    except (ValueError, RecursionError) as error:
        raise InputFault(f"The input {file} is not valid JSON ({error}). Mend that place.") from error
    if not isinstance(values, dict):
        raise InputFault(f"The input {file} is not one JSON object. Put what the mission needs into one, by name.")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:30]} is too large a number")
    return number

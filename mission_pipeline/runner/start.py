"""What a new run begins with: a plan that holds, an input, and how long its mission usually takes. Does no task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from mission_pipeline.errors import InputFault, WarehouseFault
from mission_pipeline.ingest.find import MISSION_INPUTS
from mission_pipeline.policy import Policy
from mission_pipeline.runner.sound_json import UnsoundJson, parsed
from mission_pipeline.warehouse import Warehouse

_USUAL = """
select median(total_duration_minutes), count(*)
from marts.mission_run_facts
where mission_id = ? and total_duration_minutes is not null"""
_NEWEST_KPIS = """
select kpi_name, kpi_value
from marts.run_kpi_deltas
where mission_id = ? and kpi_value is not null
qualify row_number() over (partition by kpi_name order by run_seq desc) = 1
order by kpi_name"""


def mission_input(
    file: Path | None, raw_data: Path, mission_id: str, *, max_bytes: int
) -> tuple[dict[str, Any], Path | None]:
    """Return what the mission is to work on, and the file that it is from.

    Args:
        file: a JSON object; None for the mission's sample in the raw data, or nothing at all where that has none.
        raw_data: the raw-data folder.
        mission_id: of a mission that exists.
        max_bytes: what an input may have: it is kept with the run, and shown.

    Raises:
        InputFault: the file cannot be read, is too large, or holds no JSON object.

    """
    name = f"{mission_id}.json"
    if file is None:
        file = raw_data / MISSION_INPUTS / name
        if Path(name).name != name or not file.is_file():
            return {}, None
    try:
        found = parsed(_content(file, max_bytes))
    except OSError as error:
        raise InputFault(f"The input {file} cannot be read ({error.strerror}). Name another file.") from error
    except UnsoundJson as fault:
        raise InputFault(f"The input {file} {fault}. Correct it.") from fault
    if not isinstance(found, dict):
        raise InputFault(f'The input {file} is no JSON object. Write one, such as {{"deals": []}}.')
    return found, file


def _content(file: Path, max_bytes: int) -> bytes:
    """Return what is in a file; its size is asked first, but a pipe has none."""
    size = file.stat().st_size
    if size <= max_bytes:
        with file.open("rb") as opened:
            content = opened.read(max_bytes + 1)
        if len(content) <= max_bytes:
            return content
    raise InputFault(
        f"The input {file} has more than the {max_bytes:,} bytes that max_answer_bytes of the policy allows: "
        "name a smaller one."
    )


@dataclass(frozen=True)
class History:
    """What the published warehouse knows of a mission's runs so far.

    ``usual_minutes``: their median duration, None where too few are known to say. ``previous_kpis``: the newest
    observed value of each KPI.
    """

    usual_minutes: float | None = None
    previous_kpis: Mapping[str, float] = field(default_factory=dict)


def history_of(mission_id: str, warehouse: Warehouse, policy: Policy) -> History:
    """Return what is known of a mission; nothing where there is no warehouse, or none that can be read."""
    try:
        with warehouse.published() as connection:
            minutes, runs = connection.execute(_USUAL, [mission_id]).fetchone() or (None, 0)
            kpis = connection.execute(_NEWEST_KPIS, [mission_id]).fetchall()
    except (WarehouseFault, duckdb.Error):
        return History()  # a run does not need it; the refresh says what is wrong
    is_enough = runs >= policy.for_mission(mission_id).risk_rules.long_run.min_earlier_runs
    return History(float(minutes) if is_enough and minutes is not None else None, dict(kpis))

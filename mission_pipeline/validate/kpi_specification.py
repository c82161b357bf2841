"""What a mission is held to: reads ``kpis{}`` of the KPI reference, and chooses the primary KPI. Observes nothing.

The forms of a name: ``baseline_<kpi>`` and ``target_<kpi>``; ``max_<x>``, a ceiling of x; ``min_<x>``, a floor of x;
``<kpi>_threshold``, a floor. They are tried in this order, so that ``max_error_threshold`` is a ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from mission_pipeline.contracts.inputs import MISSION_KPIS
from mission_pipeline.contracts.staging import MissionKpis
from mission_pipeline.policy import Policy
from mission_pipeline.validate import rules, set_aside, statements
from mission_pipeline.validate.nested import Drift, Misfit, NamedTwice, parsed, read_value
from mission_pipeline.warehouse import Build

_PREFIXES = {"baseline_": "baseline", "target_": "target", "max_": "ceiling", "min_": "floor"}
_SUFFIX_OF_FLOOR = "_threshold"
_DIRECTION_OF_LIMIT = {"floor": "higher_is_better", "ceiling": "lower_is_better"}


@dataclass(frozen=True)
class Entry:
    """One entry of ``kpis{}`` that fits a form."""

    role: str
    kpi_name: str
    value: float


@dataclass(frozen=True)
class Specification:
    """One KPI record with its entries as written."""

    record_id: int
    mission_id: str
    entries: tuple[Entry, ...]


@dataclass
class KpiOddities:
    """What is odd about the KPIs that stand, in sentences."""

    forms_passed_over: list[str] = field(default_factory=list)
    unknown_primaries: list[str] = field(default_factory=list)


def role_and_name(key: str) -> tuple[str, str] | None:
    """Return what an entry says of which KPI; None when its name fits no form."""
    for prefix, role in _PREFIXES.items():
        if key.startswith(prefix) and len(key) > len(prefix):
            return role, key.removeprefix(prefix)
    if key.endswith(_SUFFIX_OF_FLOOR) and len(key) > len(_SUFFIX_OF_FLOOR):
        return "floor", key.removesuffix(_SUFFIX_OF_FLOOR)
    return None


def reject_faulty_specifications(build: Build, drift: Drift) -> list[Specification]:
    """Reject KPI records with a bad value; return the others in the order of files and rows."""
    records = build.frame(statements.nested_values(MISSION_KPIS, "kpis"))
    specifications, faults = [], []
    for record_id, mission_id, text in records.iter_rows():
        entries, misfits = _entries_of(record_id, text, drift)
        faults += [(record_id, misfit.rule, misfit.sentence) for misfit in misfits]
        if not misfits:
            specifications.append(Specification(record_id, mission_id, tuple(entries)))
    found = pl.DataFrame(faults, schema=set_aside.FAULTS, orient="row")
    set_aside.reject(build, MISSION_KPIS, set_aside.verdicts(found))
    return specifications


def _entries_of(record_id: int, text: str, drift: Drift) -> tuple[list[Entry], list[Misfit]]:
    try:
        values = parsed(text)
    except NamedTwice as repeated:
        return [], [Misfit(rules.NAMED_TWICE, f"kpis {repeated}")]
    entries, faults = [], []
    for key, arrived in values.items():
        form = role_and_name(key)
        if form is None:
            drift.note(record_id, f"kpis.{key}", "unknown_field", arrived)
            continue
        if arrived is None:
            continue  # unknown: nothing is specified
        name = read_value(f"the name kpis.{key}", form[1], "id")
        read = read_value(f"kpis.{key}", arrived, "number")
        faults += [found for found in (name, read) if isinstance(found, Misfit)]
        if isinstance(name, Misfit) or isinstance(read, Misfit):
            continue
        if read.is_converted:
            drift.note(record_id, f"kpis.{key}", "converted_type", arrived)
        entries.append(Entry(*form, read.value))
    return entries, faults


def stage_specifications(build: Build, specifications: Iterable[Specification], policy: Policy) -> KpiOddities:
    """Write ``staging.mission_kpis`` from the records that stand; return what is odd about them."""
    set_aside.set_aside_replaced(build, MISSION_KPIS)
    standing = set(build.frame(statements.sound_records(MISSION_KPIS))["record_id"])
    oddities = KpiOddities()
    rows: list[dict[str, Any]] = []
    for specification in sorted(specifications, key=lambda found: found.mission_id):
        if specification.record_id in standing:
            named = policy.primary_kpi_of(specification.mission_id)
            rows += specified_kpis(specification, named, oddities)
    build.replace_table(MissionKpis, frame=pl.DataFrame(rows, schema=MissionKpis.polars_schema()))
    return oddities


def specified_kpis(
    specification: Specification, primary_by_policy: str | None, oddities: KpiOddities
) -> list[dict[str, Any]]:
    """Return the rows of one mission, in the order in which its KPIs are first named.

    Args:
        specification: the mission's entries.
        primary_by_policy: the primary KPI that the policy names, if any.
        oddities: takes what is odd.

    """
    mission_id = specification.mission_id
    by_name: dict[str, list[Entry]] = {}
    for entry in specification.entries:
        by_name.setdefault(entry.kpi_name, []).append(entry)
    rows = [
        {"mission_id": mission_id, "kpi_name": name, "kpi_order": place, "is_primary": False}
        | _kpi(f"{name} of {mission_id}", entries, oddities)
        for place, (name, entries) in enumerate(by_name.items(), start=1)
    ]
    chosen = next((row for row in rows if row["kpi_name"] == primary_by_policy), None)
    if primary_by_policy is not None and chosen is None:
        oddities.unknown_primaries.append(
            f"The policy names {primary_by_policy} as primary KPI of {mission_id}, which has no such KPI."
        )
    if chosen is None:
        has_both = (row for row in rows if None not in (row["baseline_value"], row["target_value"]))
        chosen = next((row for row in has_both if row["kpi_kind"] == "target"), None)
    if chosen is not None:
        chosen["is_primary"] = True
    return rows


def _kpi(which: str, entries: list[Entry], oddities: KpiOddities) -> dict[str, Any]:
    """Return kind, direction and values of one KPI.

    Of several forms a target wins, then the first limit as written; a baseline says nothing without a target.
    """
    values = {entry.role: entry.value for entry in entries if entry.role in ("baseline", "target")}
    limits = [entry for entry in entries if entry.role in _DIRECTION_OF_LIMIT]
    winner = "target" if "target" in values or not limits else limits[0].role
    passed_over = limits if winner == "target" else [entry for entry in entries if entry is not limits[0]]
    for entry in passed_over:
        oddities.forms_passed_over.append(
            f"{which} is specified as {winner} and as {entry.role} {entry.value:.15g}; the {winner} stands."
        )
    if winner != "target":
        return {
            "kpi_kind": winner,
            "direction": _DIRECTION_OF_LIMIT[winner],
            "baseline_value": None,
            "target_value": limits[0].value,
        }
    baseline, target = values.get("baseline"), values.get("target")
    direction = "unknown"
    if baseline is not None and target is not None and baseline != target:
        direction = "lower_is_better" if target < baseline else "higher_is_better"
    return {"kpi_kind": "target", "direction": direction, "baseline_value": baseline, "target_value": target}

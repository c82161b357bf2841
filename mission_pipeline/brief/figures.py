"""Figures and names of a verdict that no other table holds, kept by day so that a brief's claims can be run.

Chooses and names them; makes none: they come from the judgement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mission_pipeline.brief.verdict import Verdict
    from mission_pipeline.warehouse import Build


FIX_FIGURES = ("friction_minutes_per_week", "runs_per_week", "holds_up")
TASK_THEN = (
    "runs", "overrun_hits", "overrun_hits_then", "hits", "hits_then", "status", "status_then", "driver", "driver_then",
    "friction_minutes", "friction_minutes_then",
)  # fmt: skip
"""Of a task to fix, and of a task whose overruns waiting may explain."""


@dataclass(frozen=True)
class Figure:
    """One of them: a ``number`` or a ``label``, by the part of the brief, the place in it and its name."""

    part: str
    rank: int
    name: str
    number: float | None
    label: str | None


def figures_of(verdict: Verdict) -> list[Figure]:
    """Return the figures and names of a verdict that stand nowhere else; unknown ones are left out."""
    return [
        Figure(part, rank, name, *_number_or_label(value))
        for part, rank, name, value in _values(verdict)
        if value is not None
    ]


def _values(verdict: Verdict) -> Iterator[tuple[str, int, str, Any]]:
    for rank, reason in enumerate(verdict.confidence.reasons, start=1):
        for name, value in reason.facts.items():
            yield "confidence", rank, name, value
    for rank, aim in enumerate(verdict.action.aims if verdict.action is not None else (), start=1):
        yield "action", rank, aim.measure or "goal", aim.goal
    held_up = {condition.mission_id for condition in verdict.path_to_on_track} - {None}
    yield "path", 1, "missions_held_up", len(held_up)
    yield "path", 1, "other_missions_held_up", len(held_up) - 1
    for part, items, names in (
        ("fix", verdict.fixes, FIX_FIGURES),
        ("lever", verdict.levers, ("current", "needed")),
        ("assumption", verdict.wait_assumption.explained if verdict.wait_assumption is not None else (), TASK_THEN),
    ):
        for rank, item in enumerate(items, start=1):
            for name in names:
                yield part, rank, name, getattr(item, name)


def _number_or_label(value: Any) -> tuple[float | None, str | None]:
    if isinstance(value, (int, float)):
        return float(value), None
    return None, value.isoformat() if isinstance(value, date) else str(value)


def write_figures(build: Build, verdict: Verdict) -> None:
    """Replace the day's rows of marts.verdict_figures."""
    import polars as pl

    from mission_pipeline.contracts.judged import VerdictFigures
    from mission_pipeline.warehouse import check_contract

    rows = [
        (verdict.as_of, figure.part, figure.rank, figure.name, figure.number, figure.label)
        for figure in figures_of(verdict)
    ]
    frame = pl.DataFrame(rows, schema=VerdictFigures.polars_schema(), orient="row")
    build.ensure_table(VerdictFigures)
    with build.transaction(), build.view_of("incoming_figures", frame):
        check_contract(build, VerdictFigures, "incoming_figures")
        build.execute("delete from marts.verdict_figures where as_of_date = $as_of", {"as_of": verdict.as_of})
        build.execute("insert into marts.verdict_figures by name select * from incoming_figures")

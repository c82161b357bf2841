"""What a command learns of a run in its own process: progress by stage, notes, and the fault itself. No Dagster.

A run from the UI has no observer: Dagster's own pages show the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from mission_pipeline.errors import MissionPipelineError


@dataclass
class Observer:
    """Gathers what a run says while it works. ``on_progress`` takes one line per stage."""

    on_progress: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    faults: list[MissionPipelineError] = field(default_factory=list)


_observer: ContextVar[Observer | None] = ContextVar("mission_pipeline_observer", default=None)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Let an observer hear of everything that runs inside."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def tell_stage(stage: str, summary: str, seconds: float, notes: tuple[str, ...]) -> None:
    """Say that a stage is done."""
    observer = _observer.get()
    if observer is not None:
        observer.on_progress(f"{stage}: {summary} ({seconds:.1f} s)")
        observer.notes.extend(notes)


def tell_fault(fault: MissionPipelineError) -> None:
    """Keep a fault as it was raised: Dagster passes on only its text."""
    observer = _observer.get()
    if observer is not None:
        observer.faults.append(fault)

"""Missions that are run by the real command, in processes of their own: the trials of ``benchmarks/runner_faults.py``."""

import sys
from pathlib import Path

BENCHMARKS = str(Path(__file__).resolve().parent.parent / "benchmarks")
if BENCHMARKS not in sys.path:
    sys.path.append(BENCHMARKS)  # the processes find it there as well

from runner_faults import Killer, Tally, check, new_trial, now, survive  # noqa: E402

__all__ = ["Killer", "Tally", "check", "new_trial", "now", "one_task", "survive", "tasks"]


def tasks(*rows):
    """Return the tasks of a plan; a row is id, the ids that it depends on with blanks between, and ``gate`` or nothing."""
    return [
        {
            "task_id": task_id,
            "order": number,
            "depends_on": depends_on.split(),
            "requires_human_approval": gate == ["gate"],
        }
        for number, (task_id, depends_on, *gate) in enumerate(rows, start=1)
    ]


def one_task(*gate):
    """Return a mission of one task."""
    return {"M": tasks(("T", "", *gate))}

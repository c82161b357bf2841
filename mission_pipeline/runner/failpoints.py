"""Named places at which a test lets this process die as by ``kill -9``. Nothing happens at them otherwise."""

from __future__ import annotations

import os
import signal
import threading

FAILPOINTS = (
    "after_claim",
    "after_choose",
    "after_call",
    "before_commit",
    "after_complete",
    "after_decide",
    "before_append",
    "torn_append",
    "after_append",
    "after_mark",
)
"""In the order in which a worker comes by; ``before_commit`` is every commit of the store."""


class Failpoints:
    """Kills the process when it comes by a named place: ``after_call``, or ``after_call:3`` for the third time.

    Raises:
        ValueError: there is no place of that name, or the number is not a whole one from 1.

    """

    def __init__(self, armed: str | None = None) -> None:
        name, _, times = (armed or "").partition(":")
        if name and (name not in FAILPOINTS or (times and not times.isdigit()) or times == "0"):
            raise ValueError(f"{armed!r} is none of {', '.join(FAILPOINTS)}, each with :N for the Nth time")
        self._name = name or None
        self._left = int(times or 1)
        self._lock = threading.Lock()

    def is_armed(self, name: str) -> bool:
        """Whether it is this place that the process dies at."""
        return name == self._name

    def is_due(self, name: str) -> bool:
        """Count one more time at this place and return whether it is the last."""
        if name != self._name:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def reach(self, name: str) -> None:
        """Come by a place; return only if the process is to live on."""
        if self.is_due(name):
            self.die()

    def die(self) -> None:
        """End this process at once: no handler, no flush, no lock given back by hand."""
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()  # the signal is on its way


NO_FAILPOINTS = Failpoints()


def watch_commits(failpoints: Failpoints) -> None:
    """Come by ``before_commit`` whenever a database that was opened to write is about to commit."""
    from sqlalchemy import Connection, Engine, event

    @event.listens_for(Engine, "commit")
    def _about_to_commit(connection: Connection) -> None:
        if connection.get_execution_options().get("is_write", False):
            failpoints.reach("before_commit")

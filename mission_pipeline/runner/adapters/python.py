"""Calls agents that are Python functions: ``function(request) -> answer``, both JSON objects, in a process of its own.

Each thread has one child process, kept for all its calls and started anew when an agent hangs, crashes or floods it.
Modules must be installed, or on ``PYTHONPATH``; the current folder is not searched.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mission_pipeline.runner.adapters import python_child
from mission_pipeline.runner.adapters.answers import read_answer, shortened, too_large
from mission_pipeline.runner.adapters.processes import (
    SaidTooMuch,
    TookTooLong,
    end,
    how_it_ended,
    start,
    talk,
    wait_for_exit,
)
from mission_pipeline.runner.model import AgentFault, Answer


class PythonAdapter:
    """A function, as ``module:function``, and how many bytes its answer may have."""

    def __init__(self, agent_id: str, function: str, max_bytes: int) -> None:
        self.agent_id = agent_id
        self.function = function
        self.max_bytes = max_bytes

    def call(self, request: Mapping[str, Any], *, timeout_seconds: float) -> Answer:
        """Call the function in this thread's child process.

        Raises:
            AgentFault: there was no good answer.

        """
        deadline = time.monotonic() + timeout_seconds
        line = json.dumps({"callable": self.function, "request": request}).encode("ascii") + b"\n"
        child = _child_of_this_thread(self.agent_id)
        is_whole = False
        try:
            said = talk(child.process, line, deadline=deadline, max_bytes=self.max_bytes + 2, until_line=True)
            is_whole = said.output.endswith(b"\n")
            if not is_whole:
                wait_for_exit(child.process, deadline)
        except TookTooLong:
            message = f"Agent {self.agent_id} did not answer within {timeout_seconds:g} s."
            raise AgentFault(message, "timed_out") from None
        except SaidTooMuch:
            raise too_large(self.agent_id, self.max_bytes) from None
        finally:
            if not is_whole:
                exit_code = end_child()
        if not is_whole:
            raise AgentFault(f"Agent {self.agent_id} ended {how_it_ended(exit_code)} before it answered.{said.tail()}")
        mark, content = bytes(said.output[:1]), bytes(said.output[1:-1])
        if mark == python_child.NOT_INSTALLED:
            raise AgentFault(
                f"Agent {self.agent_id} cannot be called: there is no Python module {shortened(json.loads(content))!r} "
                "here. Install it where the worker runs, or put its folder on PYTHONPATH."
            )
        if mark == python_child.FAULT:
            raise AgentFault(f"Agent {self.agent_id} raised {shortened(json.loads(content))}")
        return read_answer(self.agent_id, content)


class _Child:
    """A child process; it ends when its thread does, or this process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.end = weakref.finalize(self, end, process)


class _Children(threading.local):
    child: _Child | None = None


_children = _Children()


def _child_of_this_thread(agent_id: str) -> _Child:
    child = _children.child
    if child is not None and child.process.poll() is not None:
        child.end()
        child = None
    if child is None:
        try:
            child = _Child(start([sys.executable, "-P", str(Path(python_child.__file__))]))
        except OSError as error:
            raise AgentFault(f"Agent {agent_id} cannot be called: no process could be started ({error}).") from error
        _children.child = child
    return child


def end_child() -> int:
    """End this thread's child process, if it has one; the next call starts another. Return its exit code, else 0."""
    child, _children.child = _children.child, None
    return 0 if child is None else child.end() or 0

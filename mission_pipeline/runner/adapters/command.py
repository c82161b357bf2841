"""Calls agents that are programs: the request as JSON on the standard input, the answer as JSON on the output.

Each call is a process of its own. No shell is involved, and the program is one that the policy names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mission_pipeline.runner.adapters.answers import read_answer, too_large
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


class CommandAdapter:
    """A program with its arguments, and how many bytes its answer may have."""

    def __init__(self, agent_id: str, arguments: Sequence[str], max_bytes: int) -> None:
        self.agent_id = agent_id
        self.arguments = tuple(arguments)
        self.max_bytes = max_bytes

    def call(self, request: Mapping[str, Any], *, timeout_seconds: float) -> Answer:
        """Run the program once; whatever it started is ended with it.

        Raises:
            AgentFault: there was no good answer.

        """
        deadline = time.monotonic() + timeout_seconds
        message = json.dumps(request).encode("ascii") + b"\n"
        try:
            process = start(self.arguments)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise AgentFault(
                f"Agent {self.agent_id} cannot be called: {self.arguments[0]} cannot be started ({reason})."
            ) from error
        try:
            said = talk(process, message, deadline=deadline, max_bytes=self.max_bytes, until_line=False)
            wait_for_exit(process, deadline)
        except TookTooLong:
            sentence = f"Agent {self.agent_id} did not end within {timeout_seconds:g} s."
            raise AgentFault(sentence, "timed_out") from None
        except SaidTooMuch:
            raise too_large(self.agent_id, self.max_bytes) from None
        finally:
            exit_code = end(process)
        if exit_code:
            raise AgentFault(f"Agent {self.agent_id} ended {how_it_ended(exit_code)}.{said.tail()}")
        return read_answer(self.agent_id, bytes(said.output))

"""Reads what an agent gave back. Strict, for an answer is stored, shown to people and counted."""

from __future__ import annotations

import json
import math
from typing import Any

from mission_pipeline.runner.model import LARGEST_KPI, AgentFault, Answer
from mission_pipeline.runner.sound_json import NotJson, UnsoundJson, parsed

_SHOWN_CHARACTERS = 300
_STATUSES = ("completed", "escalated", "failed")


def read_answer(agent_id: str, content: bytes) -> Answer:
    """Return the answer of an agent.

    Args:
        agent_id: named in the sentences.
        content: one JSON object: ``status`` (completed, escalated or failed), ``result`` (an object, of a completed
            one), and optionally ``summary``, ``kpis`` (numbers by name) and ``message``. Other fields are left aside.

    Raises:
        AgentFault: it is not such an object, or the agent itself says that it failed or escalates.

    """
    values = _parsed(agent_id, content)
    message = _text(agent_id, values, "message")
    status = values.get("status")
    if status == "failed":
        raise AgentFault(f"Agent {agent_id} says that it failed: {shortened(message or '') or 'no reason given'}")
    if status == "escalated":
        raise AgentFault(f"Agent {agent_id} escalates: {shortened(message or '') or 'no reason given'}", "escalated")
    if status != "completed":
        raise _bad(agent_id, f"has the status {_shown(status)}, not one of {', '.join(_STATUSES)}")
    result = values.get("result")
    if not isinstance(result, dict):
        raise _bad(agent_id, f"has the result {_shown(result)}, not an object")
    return Answer(result, _text(agent_id, values, "summary"), _kpis(agent_id, values.get("kpis")))


def too_large(agent_id: str, max_bytes: int) -> AgentFault:
    """Return the fault of an answer that nobody read to its end."""
    return AgentFault(f"Agent {agent_id} gave an answer of more than {max_bytes} bytes.")


def shortened(text: str) -> str:
    """Return the beginning of a long text, on one line, without what nobody could store."""
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ").split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]} …"


def _parsed(agent_id: str, content: bytes) -> dict[str, Any]:
    try:
        values = parsed(content)
    except NotJson as error:
        found = shortened(content[: _SHOWN_CHARACTERS * 4].decode("utf-8", "replace"))
        raise _bad(agent_id, f"{error}: {found or 'nothing'}") from None
    except UnsoundJson as error:
        raise _bad(agent_id, str(error)) from None
    if not isinstance(values, dict):
        raise _bad(agent_id, f"is {_shown(values)}, not an object")
    if b"\\u0000" in content:
        raise _bad(agent_id, "has a NUL character in it")
    return values


def _text(agent_id: str, values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise _bad(agent_id, f"has the {name} {_shown(value)}, not a text")
    return value


def _kpis(agent_id: str, values: Any) -> dict[str, float]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise _bad(agent_id, f"has the kpis {_shown(values)}, not an object")
    kpis = {}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _bad(agent_id, f"has the KPI {shortened(name)} with the value {_shown(value)}, not a number")
        try:
            kpis[name] = float(value)
        except OverflowError:
            kpis[name] = math.inf
        if not abs(kpis[name]) <= LARGEST_KPI:
            raise _bad(agent_id, f"has the KPI {shortened(name)} with a value that is too large")
    return kpis


def _shown(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False))


def _bad(agent_id: str, what: str) -> AgentFault:
    return AgentFault(f"Agent {agent_id} gave a bad answer: it {what.rstrip('.')}.")

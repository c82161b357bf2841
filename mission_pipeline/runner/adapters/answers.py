"""Reads what an agent gave back. Strict, for an answer is stored, shown to people and counted."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from mission_pipeline.runner.model import LARGEST_KPI, AgentFault, Answer

_SHOWN_CHARACTERS = 300
_STATUSES = ("completed", "escalated", "failed")


class _Unsound(ValueError):
    """A value that JSON allows to be written, or Python to be read, and that nobody could use."""


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
        text = content.decode("utf-8")
        values = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_named_once)
        json.dumps(values, ensure_ascii=False).encode("utf-8")  # a lone surrogate is text that nobody can store
    except _Unsound as error:
        raise _bad(agent_id, str(error)) from None
    except RecursionError:
        raise _bad(agent_id, "is nested too deeply") from None
    except UnicodeError:
        raise _bad(agent_id, "is not UTF-8") from None
    except ValueError as error:
        found = shortened(content[: _SHOWN_CHARACTERS * 4].decode("utf-8", "replace"))
        raise _bad(agent_id, f"is not JSON ({shortened(str(error))}): {found or 'nothing'}") from None
    if not isinstance(values, dict):
        raise _bad(agent_id, f"is {_shown(values)}, not an object")
    if "\\u0000" in text:
        raise _bad(agent_id, "has a NUL character in it")
    return values


def _refuse(constant: str) -> NoReturn:
    raise _Unsound(f"has the value {constant}, which is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Unsound(f"has the number {shortened(text)}, which is too large")
    return number


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _Unsound("gives a name twice in one object")
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
            raise _bad(agent_id, f"has the KPI {shortened(name)} with a value that is too large") from None
    return kpis


def _shown(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False))


def _bad(agent_id: str, what: str) -> AgentFault:
    return AgentFault(f"Agent {agent_id} gave a bad answer: it {what.rstrip('.')}.")

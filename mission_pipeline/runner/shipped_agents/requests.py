"""What the shipped agents share: taking what they need from a request, and the form of their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

Request = Mapping[str, Any]
Answer = dict[str, Any]
Work = Callable[[Request], Answer]


class CannotWork(Exception):
    """The request lacks what the task needs. The text is a sentence that says what."""


def agent(tasks: Mapping[str, Work]) -> Work:
    """Return the function of an agent that does each of its tasks, by task id, and says so if it cannot."""

    def answer(request: Request) -> Answer:
        work = tasks.get(request["task_id"])
        if work is None:
            return failed(f"It knows the tasks {', '.join(tasks)}, not {request['task_id']}.")
        try:
            return work(request)
        except CannotWork as lack:
            return failed(str(lack))

    return answer


def completed(result: dict[str, Any], summary: str, kpis: dict[str, float] | None = None) -> Answer:
    """Return the answer of a task that was done; ``summary`` is one line for people."""
    return {"status": "completed", "result": result, "summary": summary, "kpis": kpis or {}}


def escalated(message: str) -> Answer:
    """Return the answer of a task that a person must do."""
    return {"status": "escalated", "message": message}


def failed(message: str) -> Answer:
    """Return the answer of a task that cannot be done."""
    return {"status": "failed", "message": message}


def given(request: Request, name: str) -> dict[str, Any]:
    """Return an object of the mission's input."""
    return _object(request["input"].get(name), f"The input has no object {name}.")


def listed(request: Request, name: str) -> list[dict[str, Any]]:
    """Return a list of objects of the mission's input; empty if it is not there."""
    return objects(request["input"], name, "the input")


def objects(values: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    """Return a list of objects by name; empty if it is not there. ``where`` says whose it is."""
    elements = values.get(name) or []
    sentence = f"{name} of {where} is not a list of objects."
    if not isinstance(elements, list):
        raise CannotWork(sentence)
    return [_object(element, sentence) for element in elements]


def result_of(request: Request, task_id: str) -> dict[str, Any]:
    """Return the result of a task that this one depends on."""
    return _object(request["results"].get(task_id), f"There is no result of {task_id} to go on from.")


def text(values: Mapping[str, Any], name: str) -> str:
    """Return a text by name, without spaces around it; empty if it is not there."""
    value = values.get(name)
    return "" if value is None else str(value).strip()


def day(values: Mapping[str, Any], name: str, where: str) -> date | None:
    """Return a day by name, such as 2026-02-09; None if it is not there."""
    value = text(values, name)
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise CannotWork(f"{name} of {where} is {value}, not a day such as 2026-02-09.") from None


def today(request: Request) -> date:
    """Return the day on which the mission's input stands: agents ask no clock, so that an answer can be had again."""
    found = day(request["input"], "today", "the input")
    if found is None:
        raise CannotWork("The input does not say which day is today.")
    return found


def moment(values: Mapping[str, Any], name: str, where: str) -> datetime:
    """Return a time by name, such as 2026-02-10T09:30, without a zone: of the place that the input is about."""
    value = text(values, name)
    try:
        return datetime.fromisoformat(value).replace(tzinfo=None)
    except ValueError:
        raise CannotWork(f"{name} of {where} is {value or 'missing'}, not a time such as 2026-02-10T09:30.") from None


def _object(value: Any, sentence: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CannotWork(sentence)
    return value

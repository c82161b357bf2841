"""What the pages say of gates, from the store's read model: names, times in words, what follows a decision. No HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mission_pipeline.errors import UnknownApproval
from mission_pipeline.runner.gate_words import (
    attempt_words,
    if_rejected,
    joined,
    outcome_words,
    task_name,
    why_it_ended,
)
from mission_pipeline.runner.inbox.shown import clean, shown_value
from mission_pipeline.runner.waiting_gates import TIME_LIMIT

if TYPE_CHECKING:
    from mission_pipeline.policy import Policy
    from mission_pipeline.runner.store import Missions

_LONGEST_IN_LIST = 240
"""Characters of a summary or a reason."""
_STATUS_WORDS = {
    "open": "open",
    "approved": "approved",
    "rejected": "rejected",
    "void": "void",
    "cancelled": "cancelled",
}
_LONG_STATUS_WORDS = {
    **_STATUS_WORDS,
    "approved": "Approved",
    "rejected": "Rejected",
    "void": "Void: the result was changed, and asked about again",
    "cancelled": "Cancelled with its run: nothing is to be decided any more",
}
_RESULT_HEADINGS = {
    "open": "The result to judge",
    "void": "The result as it was changed: nobody judged it here",
    "cancelled": "The result that waited: nobody judged it",
}
_CLASSES = {
    "approved": "good",
    "completed": "good",
    "rejected": "bad",
    "failed": "bad",
    "timed_out": "bad",
    "escalated": "watch",
}
"""Of a status or an outcome; any other is told without a colour of its own."""


@dataclass(frozen=True)
class When:
    """A time, for a reader and for a machine."""

    words: str
    machine: str


def listed(missions: Missions, policy: Policy, now: datetime, *, just: str | None = None) -> dict[str, Any]:
    """Return what the list shows. ``just``: a gate that was decided a moment ago."""
    limits = policy.runner.inbox
    shown = [_open_row(each, now) for each in missions.open_approvals(limits.open_shown, has_values=False)]
    number = max(missions.number_of_open_approvals(), len(shown))  # one may be decided between the two
    more = number - len(shown)
    return {
        "open": shown,
        "heading": _heading(number),
        "not_shown": f"And {more} more, which waited less long: mission approvals lists them." if more else "",
        "decided": [_decided_row(each) for each in missions.decided_approvals(limits.decided_shown, has_values=False)],
        "just": _just_decided(missions, just),
    }


def shown_gate(missions: Missions, policy: Policy, approval_id: str, now: datetime) -> dict[str, Any]:
    """Return what the page of one gate shows.

    Raises:
        UnknownApproval: there is no such gate.
    """
    gate = missions.approval(approval_id)
    own = policy.for_mission(gate["mission_id"])
    room = own.runner.inbox.shown_characters
    result, left_out = shown_value(gate["result"], room)
    given, input_left_out = shown_value(gate["mission_input"], room)
    state = missions.state(gate["run_id"])
    status = gate["status"]
    attempts = own.runner.max_attempts
    return {
        "approval_id": approval_id,
        "sha256": gate["result_sha256"],
        "is_open": status == "open",
        "status": _STATUS_WORDS.get(status, status),
        "status_words": _LONG_STATUS_WORDS.get(status, status),
        "class": _CLASSES.get(status, "none"),
        "result_heading": _result_heading(gate),
        "question": "May this result go on?",
        "task": task_name(gate),
        "mission": _mission(gate),
        "agent": gate["agent_id"] or "nobody",
        "attempt_words": attempt_words(gate["attempt"], attempts) if gate["attempt"] > 1 else "",
        "summary": clean(gate["summary"] or ""),
        "requested_at": _when(gate["requested_at"]),
        "waits": duration_words(now - _time(gate["requested_at"])),
        "clock_lines": _clock_lines(gate, own) if status == "open" else [],
        "run_id": gate["run_id"],
        "requested_by": state["requested_by"],
        "priority": state["priority"],
        "decided_by": gate["decided_by"],
        "decided_at": _when(gate["decided_at"]) if gate["decided_at"] else None,
        "reason": gate["reason"],
        "result": result,
        "left_out": left_out,
        "input": given,
        "input_left_out": input_left_out,
        "earlier": [_attempt(each) for each in gate["attempts_before"]],
        "based_on": _based_on(state, gate["task_id"], room),
        "if_approved": _if_approved(state, gate["task_id"]),
        "if_rejected": if_rejected(state, gate["task_id"], gate["attempt"], attempts),
    }


def duration_words(waited: timedelta) -> str:
    """Return a duration in words, the two largest units: "3 h 20 min", "5 days 2 h"."""
    minutes = max(int(waited.total_seconds() // 60), 0)
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    said = "1 day" if days == 1 else f"{days} days"
    return f"{said} {hours} h" if hours else said


def _result_heading(gate: Mapping[str, Any]) -> str:
    if gate["decided_by"] == TIME_LIMIT:
        return "The result that nobody judged in time"
    return _RESULT_HEADINGS.get(gate["status"], "The result that was judged")


def _heading(number: int) -> str:
    if number == 0:
        return "Nothing waits for a decision"
    return "One result waits for a decision" if number == 1 else f"{number} results wait for a decision"


def _open_row(gate: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    is_escalated = gate["escalated_at"] is not None
    return {
        "address": _address(gate),
        "task": task_name(gate),
        "mission": _mission(gate),
        "summary": _short(gate["summary"]),
        "waits": duration_words(now - _time(gate["requested_at"])),
        "urgency": "bad" if is_escalated else "watch" if gate["reminded_at"] else "none",
        "escalated": is_escalated,
        "attempt": gate["attempt"],
        "agent": gate["agent_id"] or "nobody",
    }


def _decided_row(gate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": _address(gate),
        "task": task_name(gate),
        "mission": _mission(gate),
        "attempt": gate["attempt"],
        "status": _STATUS_WORDS.get(gate["status"], gate["status"]),
        "class": _CLASSES.get(gate["status"], "none"),
        "decided_by": gate["decided_by"],
        "decided_at": _when(gate["decided_at"]) if gate["decided_at"] else None,
        "reason": _short(gate["reason"]),
    }


def _short(text: str | None) -> str:
    """Return a text of a list; the gate's own page has the whole."""
    shown = clean(text or "")
    return shown if len(shown) <= _LONGEST_IN_LIST else shown[:_LONGEST_IN_LIST] + " …"


def _just_decided(missions: Missions, approval_id: str | None) -> dict[str, str] | None:
    """Return what to say of a decision that was just made; what the address claims is looked up, not believed."""
    if not approval_id:
        return None
    try:
        gate = missions.approval(approval_id)
    except UnknownApproval:
        return None
    if gate["status"] not in ("approved", "rejected"):
        return None
    status = missions.state(gate["run_id"])["status"]
    then = {
        "completed": "The run is complete.",
        "failed": "The run has failed: no attempt was left.",
        "blocked": "The run waits at another gate.",
    }.get(status, "The run goes on where mission worker, or mission run, is at work.")
    return {
        "class": _CLASSES[gate["status"]],
        "words": f"{gate['status'].capitalize()}:",
        "task": task_name(gate),
        "mission": _mission(gate),
        "then": then,
    }


def _clock_lines(gate: Mapping[str, Any], policy: Policy) -> list[str]:
    """Return what the clock has done, or will do, to an open gate."""
    lines = []
    limits = policy.runner.gates
    if gate["escalated_at"]:
        to = clean(gate["escalated_to"] or "") or "nobody in particular"
        lines.append(f"Escalated to {to} at {_when(gate['escalated_at']).words}, since nobody had decided.")
    elif limits.time_limit_minutes:
        due = _time(gate["requested_at"]) + timedelta(minutes=limits.time_limit_minutes)
        then = "it is rejected" if limits.on_time_limit == "reject" else "it is escalated"
        lines.append(f"If nobody decides by {_when(due).words}, {then}.")
    elif gate["reminded_at"]:
        lines.append(f"Overdue since {_when(gate['reminded_at']).words}, by the policy's reminder.")
    return lines


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "attempt": attempt["attempt"],
        "agent": attempt["agent_id"] or "nobody",
        "outcome": outcome_words(attempt),
        "class": _CLASSES.get(attempt["outcome"], "none"),
        "by": attempt["decided_by"],
        "reason": why_it_ended(attempt),
    }


def _based_on(state: Mapping[str, Any], task_id: str, room: int) -> list[tuple[str, Any]]:
    """Return the results of the tasks that a task depends on, each under its name."""
    tasks = {task["task_id"]: task for task in state["plan_tasks"]}
    found = []
    for needed in tasks[task_id]["depends_on"]:
        result = (state["task_results_by_id"].get(needed) or {}).get("result")
        if result is not None:
            name = clean(tasks[needed]["task_name"] or "") or needed
            found.append((f"{name} ({needed})" if name != needed else name, shown_value(result, room)[0]))
    return found


def _if_approved(state: Mapping[str, Any], task_id: str) -> str:
    after = [task for task in state["plan_tasks"] if task_id in task["depends_on"]]
    if after:
        return " ".join(_then(state, task_id, after))
    others = [
        task
        for task in state["plan_tasks"]
        if task["task_id"] != task_id and state["task_status_by_id"][task["task_id"]] != "completed"
    ]
    return "Nothing depends on it; the run goes on with its other tasks." if others else "The run is then complete."


def _then(state: Mapping[str, Any], task_id: str, after: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what an approval of a task lets go on: now, once other tasks are completed, or never."""
    status, named = state["task_status_by_id"], {task["task_id"]: task_name(task) for task in state["plan_tasks"]}
    missing = {
        task["task_id"]: [other for other in task["depends_on"] if other != task_id and status[other] != "completed"]
        for task in after
    }
    if now := [named[each] for each, others in missing.items() if not others]:
        yield f"Next: {joined(now)}."
    for each, others in missing.items():
        if others and status[each] == "blocked":
            yield f"{named[each]} never runs: what it needs beside this has failed."
        elif others:
            are = "is" if len(others) == 1 else "are"
            yield f"{named[each]} follows once {joined([named[other] for other in others])} {are} completed."


def _mission(gate: Mapping[str, Any]) -> str:
    name = clean(gate["mission_name"] or "")
    return f"{name} ({gate['mission_id']})" if name else str(gate["mission_id"])


def _address(gate: Mapping[str, Any]) -> str:
    return f"/gate?id={quote(str(gate['approval_id']), safe='')}"


def _time(given: str | datetime) -> datetime:
    """Return a time of the read model as UTC without a zone."""
    time = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    return time.replace(tzinfo=None)


def _when(given: str | datetime) -> When:
    time = _time(given)
    return When(f"{time:%Y-%m-%d %H:%M}", f"{time:%Y-%m-%dT%H:%M:%SZ}")

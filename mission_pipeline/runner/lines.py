"""What the commands that run missions print for people: short lines, then what to do next. Computes no figure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mission_pipeline.runner.gate_words import attempt_words, ended_words, if_rejected, joined
from mission_pipeline.runner.model import Decision

_RUN_WORDS = {
    "running": "goes on",
    "blocked": "waits for a person",
    "completed": "is completed",
    "failed": "has failed",
    "cancelled": "was cancelled",
}
_BLOCKED_WORDS = {
    "approval": "waits for a person",
    "dependency_failed": "cannot be done",
    "run_cancelled": "cancelled",
}
_MAKE_AVAILABLE = "Make an agent that is able to do it available in specialized_agents, then run a worker."
_WENT_WRONG = ("rejected", "failed", "timed_out", "escalated")
_LONGEST_CELL = 48
_LINES_TO_JUDGE = 60

State = Mapping[str, Any]


def of_run(state: State, options: str) -> list[str]:
    """Return where a run stands, task by task, and what to do next."""
    return [*_head(state), "", *_tasks(state), *_next(state, options)]


def of_state(state: State, options: str, attempts: int) -> list[str]:
    """Return all of a run that a person asks for: also what went wrong, routing, risks and KPIs.

    Args:
        state: of the run.
        options: of the next command.
        attempts: how many the policy allows for a task.
    """
    lines = [*_head(state), *_circumstances(state), "", *_tasks(state)]
    parts = {
        "Why these agents": [
            f"{task} attempt {number}: {choice['agent_id']}: {choice['reason']}"
            for task, choices in state["routing_by_task_id"].items()
            for number, choice in enumerate(choices, start=1)
        ],
        "What went wrong": _went_wrong(state),
        "Risks": [
            f"{event['severity']:<6}  {event['risk_type']}: {event['description']}" for event in state["risk_events"]
        ],
        "KPIs": _kpis(state["kpi_gap_summary"]),
    }
    for title, found in parts.items():
        if found:
            lines += ["", f"{title}:", *(f"  {line}" for line in found)]
    return [*lines, *_to_judge(state), *_next(state, options, shown_of=attempts)]


def of_runs(runs: Sequence[State], options: str) -> list[str]:
    """Return a line per run."""
    if not runs:
        return [f"No run yet. Start one:  mission run M001{options}"]
    rows = [
        (
            run["run_id"],
            run["mission_id"],
            _RUN_WORDS[run["status"]],
            f"{run['completed_tasks']} of {run['tasks']} tasks completed{_without_agent(run['waiting_for_agents'])}",
            f"created {_time(run['created_at'])}",
        )
        for run in runs
    ]
    return [*_table(rows), "", f"More about one:  mission status {shlex.quote(runs[0]['run_id'])}{options}"]


def of_gates(gates: Sequence[State], options: str, told: Mapping[str, list[str]], not_shown: int = 0) -> list[str]:
    """Return what waits for a decision.

    Args:
        gates: open ones, at least one unless nothing waits.
        options: of the next command.
        told: by gate, what its approver has to know, as ``to_know`` has it.
        not_shown: how many more are open.
    """
    if not gates:
        return ["Nothing waits for a person."]
    lines = []
    for gate in gates:
        lines += [
            f"{gate['approval_id']}  since {_time(gate['requested_at'])}{_pressing(gate)}",
            f"  {gate['mission_id']} {gate.get('mission_name') or ''}".rstrip()
            + f", {gate['task_id']} {gate.get('task_name') or ''}".rstrip()
            + (f", by {gate['agent_id']}" if gate.get("agent_id") else ""),
            *([f"  {gate['summary']}"] if gate.get("summary") else []),
            *(f"  {line}" for line in told[gate["approval_id"]]),
            "",
        ]
    if not_shown:
        lines += [f"And {not_shown:,} more, which waited less long: --limit N lists them.", ""]
    first = shlex.quote(gates[0]["approval_id"])
    return [
        *lines,
        f"See the results:  mission inbox{options}",
        f"Decide here:      mission approve {first} --by NAME{options}",
        f"                  mission reject {first} --by NAME --reason TEXT{options}",
    ]


def to_know(state: State, task_id: str, attempt: int, attempts: int) -> list[str]:
    """Return what the approver of a task's result has to know: which attempt, what was tried, what a rejection does.

    Args:
        state: of the run.
        task_id: of the task that waits.
        attempt: whose result waits.
        attempts: how many the policy allows for a task.
    """
    tried = state["task_results_by_id"][task_id]["attempts"]
    then = if_rejected(state, task_id, attempt, attempts)
    said = attempt_words(attempt, attempts)
    return [
        f"{said[0].upper()}{said[1:]}. If you reject it, {then[0].lower()}{then[1:]}",
        *(f"Before: {_tried(each)}" for each in tried if each["attempt"] < attempt),
    ]


def of_decided(gates: Sequence[State]) -> list[str]:
    """Return what was decided before."""
    if not gates:
        return ["Nothing was decided yet."]
    return _table(
        (
            gate["approval_id"],
            gate["status"],
            f"by {gate['decided_by']}" if gate.get("decided_by") else "",
            _time(gate["decided_at"]) if gate.get("decided_at") else "",
            gate.get("reason") or "",
        )
        for gate in gates
    )


def of_decision(decision: Decision, state: State, options: str) -> list[str]:
    """Return what a decision has brought about."""
    said = f"{decision.approval_id} {decision.verdict} by {decision.decided_by}."
    return [said, "", *of_run(state, options)]


def of_worker(facts: Mapping[str, int], options: str) -> list[str]:
    """Return what a worker did, and what it leaves to people.

    Args:
        facts: tasks_done, attempts_failed, gates_acted_on, waiting_for_people, waiting_for_agents.
        options: of the next command.
    """
    counted = [
        _counted(facts["tasks_done"], "task done", "tasks done"),
        _counted(facts["attempts_failed"], "attempt failed", "attempts failed"),
        _counted(facts["gates_acted_on"], "gate acted on", "gates acted on"),
    ]
    people, agents = facts["waiting_for_people"], facts["waiting_for_agents"]
    nothing = "Nothing could be done." if agents else "There was nothing to do."
    did = ", ".join(filter(None, counted))
    lines = [f"{did}." if did else nothing]
    if people:
        lines.append(f"{_counted(people, 'result waits', 'results wait')} for a person:  mission approvals{options}")
    else:
        lines.append("Nothing waits for a person.")
    if agents:
        lines += [
            f"{_counted(agents, 'task waits', 'tasks wait')} for an agent:  mission runs{options}",
            _MAKE_AVAILABLE,
        ]
    return lines


def of_kpi(state: State, name: str) -> list[str]:
    """Return how a KPI stands against its target now."""
    found = [gap for gap in state["kpi_gap_summary"] if gap["kpi_name"] == name]
    lines = [f"Recorded for {state['run_id']}.", *(f"  {line}" for line in _kpis(found))]
    if state["ended_at"] is not None:
        lines.append("Its record was corrected; the next `mission refresh` counts it.")
    return lines


# ---------------------------------------------------------------------- parts


def _head(state: State) -> list[str]:
    name = " ".join(filter(None, (state["mission_id"], state.get("mission_name"))))
    words = "waits for an agent" if state["waiting_for_agent_by_id"] and not _can_go_on(state) else ""
    said = f"{state['run_id']} of {name} {words or _RUN_WORDS[state['status']]}"
    if state["status"] != "cancelled":
        return [f"{said}."]
    by, why = state["cancelled_by"], state["cancel_reason"]
    return [f"{said}{f' by {by}' if by else ''}{f': {why}' if why else '.'}"]


def _can_go_on(state: State) -> bool:
    """Whether a task is at work, or only needs a worker: neither a person nor an agent that is not there."""
    status = state["task_status_by_id"]
    return any(
        status[task["task_id"]] == "running"
        or (
            status[task["task_id"]] == "pending"
            and task["task_id"] not in state["waiting_for_agent_by_id"]
            and all(status[needed] == "completed" for needed in task["depends_on"])
        )
        for task in state["plan_tasks"]
    )


def _circumstances(state: State) -> list[str]:
    parts = [
        f"created {_time(state['created_at'])}",
        f"ended {_time(state['ended_at'])}" if state["ended_at"] else "",
        f"requested by {state['requested_by']}" if state["requested_by"] else "",
        f"priority {state['priority']}" if state["priority"] else "",
    ]
    return [", ".join(filter(None, parts))]


def _tasks(state: State) -> list[str]:
    rows = []
    for task in state["plan_tasks"]:
        task_id = task["task_id"]
        found = state["task_results_by_id"].get(task_id) or {}
        status = state["task_status_by_id"][task_id]
        word = _BLOCKED_WORDS.get(state["blocked_reason_by_id"].get(task_id, ""), status)
        said = found.get("summary") or found.get("error") or ""
        if task_id in state["waiting_for_agent_by_id"]:
            word, said = "waits for an agent", state["waiting_for_agent_by_id"][task_id]
        elif status in ("pending", "running", "failed"):
            said = _newest_end(found)
        rows.append((task_id, task.get("task_name") or "", word, found.get("agent_id") or "", said))
    return _table(rows)


def _newest_end(found: State) -> str:
    """Return how the newest attempt ended, of a task that is done again or has failed; nothing while it goes on."""
    if found.get("outcome") is None:
        return ""
    newest = found["attempts"][-1]
    return f"attempt {newest['attempt']} {ended_words(newest)}"


def _tried(attempt: State) -> str:
    return f"attempt {attempt['attempt']}, {attempt['agent_id'] or 'nobody'}: {ended_words(attempt)}"


def _went_wrong(state: State) -> list[str]:
    """Return the attempts that came to nothing, at a gate, too; those of a task that waits are told where it waits."""
    waiting = {gate["task_id"] for gate in state["hitl_queue"]}
    return [
        f"{task_id} {_tried(attempt)}"
        for task_id, found in state["task_results_by_id"].items()
        if task_id not in waiting
        for attempt in found["attempts"]
        if attempt["outcome"] in _WENT_WRONG
        or (attempt["outcome"] == "cancelled" and attempt["decided_by"] is not None)
    ]


def _to_judge(state: State) -> list[str]:
    """Return the results that wait for a person, readable, cut where a screen ends."""
    lines = []
    for gate in state["hitl_queue"]:
        found = state["task_results_by_id"][gate["task_id"]]["result"]
        shown = list(_outline(found))
        lines += ["", f"To judge, {gate['task_id']}:", *(f"  {line}" for line in shown[:_LINES_TO_JUDGE])]
        if len(shown) > _LINES_TO_JUDGE:
            lines.append(f"  … and {len(shown) - _LINES_TO_JUDGE:,} lines more, in the inbox or with --json")
    return lines


def _outline(value: Any) -> Iterator[str]:
    """Yield a JSON value as indented lines, without its brackets and quotes."""
    entries = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
    for name, each in entries:
        mark = f"{name}:" if isinstance(value, Mapping) else "-"
        if isinstance(each, Mapping | list) and each:
            below = list(_outline(each))
            if mark == "-":
                yield f"- {below[0].lstrip()}"
                yield from (f"  {line}" for line in below[1:])
            else:
                yield mark
                yield from (f"  {line}" for line in below)
        else:
            text = _plain(each).splitlines() or [""]
            if len(text) == 1:
                yield f"{mark} {text[0]}".rstrip()
            else:
                yield mark
                yield from (f"  {line}".rstrip() for line in text)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not known" if value is None else str(value)


def _next(state: State, options: str, *, shown_of: int | None = None) -> list[str]:
    """Return what to do next. ``shown_of``: how many attempts a task has, where all of the run is shown already."""
    run_id = shlex.quote(state["run_id"])
    lines = []
    for gate in state["hitl_queue"]:
        name = shlex.quote(gate["approval_id"])
        attempt = state["task_results_by_id"][gate["task_id"]]["attempt"]
        lines += [
            "",
            f"{gate['task_id']} waits since {_time(gate['requested_at'])}{_pressing(gate)}. Look at it, then decide:",
            *(
                [f"  mission status {run_id}{options}"]
                if shown_of is None
                else [f"  {line}" for line in to_know(state, gate["task_id"], attempt, shown_of)]
            ),
            f"  mission inbox{options}",
            f"  mission approve {name} --by NAME{options}",
            f"  mission reject {name} --by NAME --reason TEXT{options}",
        ]
    if waiting := list(state["waiting_for_agent_by_id"]):
        they = f"{joined(waiting)} {'waits' if len(waiting) == 1 else 'wait'} for an agent."
        lines += ["", f"{they} {_MAKE_AVAILABLE}"]
    if state["status"] == "running":
        lines += [*([] if waiting else [""]), f"To go on:  mission worker --until-idle{options}"]
    if state["status"] == "failed" and shown_of is None:
        lines = ["", f"What went wrong:  mission status {run_id}{options}"]
    if state["status"] == "completed":
        lines = ["", f"To see it in the brief:  mission refresh{options}"]
    return lines


def _pressing(gate: State) -> str:
    if gate.get("escalated_at"):
        to = gate.get("escalated_to")
        return f", escalated{f' to {to}' if to else ''}"
    return ", reminded" if gate.get("reminded_at") else ""


def _without_agent(number: int) -> str:
    return f", {_counted(number, 'waits', 'wait')} for an agent" if number else ""


def _counted(number: int, one: str, several: str) -> str:
    """Return a number of things in words; nothing for 0."""
    return f"{number:,} {one if number == 1 else several}" if number else ""


def _kpis(gaps: Iterable[State]) -> list[str]:
    rows = []
    for gap in gaps:
        value, target = gap["value"], gap["target_value"]
        rows.append(
            (
                gap["kpi_name"],
                "not observed" if value is None else f"{value:g}",
                "" if target is None else f"target {target:g}",
                "" if gap["is_met"] is None else ("met" if gap["is_met"] else f"{gap['gap']:g} to go"),
            )
        )
    return _table(rows)


def _time(text: str) -> str:
    """Return a time without its seconds, in UTC as all of them."""
    return f"{text[:10]} {text[11:16]} UTC"


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines; only the last column may be long."""
    cells = [[_short(cell) for cell in row[:-1]] + [row[-1]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 2]} …"

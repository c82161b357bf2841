"""What pages and the terminal say alike of an attempt and of a gate: how it ended, why, what a rejection leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mission_pipeline.runner.inbox.shown import clean


def attempt_words(attempt: int, attempts: int) -> str:
    """Return which attempt of how many it is; a policy that allows fewer by now does not make it one too many."""
    return f"attempt {attempt} of {max(attempt, attempts)}"


def outcome_words(attempt: Mapping[str, Any]) -> str:
    """Return how an attempt ended."""
    return (attempt["outcome"] or "no result").replace("_", " ")


def why_it_ended(attempt: Mapping[str, Any]) -> str:
    """Return why a person rejected an attempt, or its error; nothing where neither is known."""
    return clean(attempt["reason"] or attempt["error"] or "")


def ended_words(attempt: Mapping[str, Any]) -> str:
    """Return how an attempt ended, by whom it was decided and why, on one line."""
    by, why = clean(attempt["decided_by"] or ""), why_it_ended(attempt)
    return f"{outcome_words(attempt)}{f' by {by}' if by else ''}{f': {why}' if why else ''}"


def if_rejected(state: Mapping[str, Any], task_id: str, attempt: int, attempts: int) -> str:
    """Return what the rejection of an attempt leads to.

    Args:
        state: of the run.
        task_id: of the task that waits.
        attempt: which one waits.
        attempts: how many the policy allows.
    """
    left = attempts - attempt
    if left > 0:
        counted = "The last attempt" if left == 1 else "Another attempt"
        return f"{counted} is made, by the next agent in rank if there is one."
    after = [task_name(task) for task in state["plan_tasks"] if task_id in task["depends_on"]]
    said = "No attempt is left: the task fails"
    return f"{said}, and {joined(after)} never {'runs' if len(after) == 1 else 'run'}." if after else f"{said}."


def joined(names: Sequence[str]) -> str:
    """Return names as a sentence has them: "A, B and C"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def task_name(task: Mapping[str, Any]) -> str:
    """Return a task's name; its id where it has none."""
    return clean(task["task_name"] or "") or str(task["task_id"])

"""What people type at a decision: who they are, and why. One bound of both for every way in; stores nothing."""

from __future__ import annotations

import unicodedata

from mission_pipeline.errors import DecisionRefused
from mission_pipeline.runner.waiting_gates import TIME_LIMIT

LONGEST_NAME, LONGEST_REASON = 200, 4_000
"""Characters of a name and of a reason, at most."""

_CONTROLS = ("Cc", "Zl", "Zp")
_UNSEEN = (*_CONTROLS, "Cf", "Cs", "Co", "Cn")
_OF_A_TEXT = "\t\r\n"
"""Controls that a text of several lines has."""


def has_controls(text: str, *, keep_lines: bool = False) -> bool:
    """Whether a text has control characters in it; with ``keep_lines``, others than line ends and tabs."""
    kept = _OF_A_TEXT if keep_lines else ""
    return any(unicodedata.category(letter) in _CONTROLS and letter not in kept for letter in text)


def checked_name(by: str, does: str) -> str:
    """Return the name of a person who decides, without blanks around it.

    Args:
        by: as it was typed.
        does: what the person does, for the sentence: ``decides``.

    Raises:
        DecisionRefused: nobody is named, or the name is none.
    """
    name = by.strip()
    if is_empty(name):
        raise DecisionRefused(f"Nobody is named who {does}. Say who with --by.")
    if has_controls(name):
        raise DecisionRefused(f"The name of who {does} has control characters in it. Leave them out.")
    if is_the_time_limit(name):
        raise DecisionRefused(f"The name {TIME_LIMIT!r} stands where nobody decided in time. Say who {does} with --by.")
    if len(name) > LONGEST_NAME:
        raise DecisionRefused(f"The name of who {does} has {len(name)} letters. Give up to {LONGEST_NAME}.")
    return name


def is_the_time_limit(name: str) -> bool:
    """Whether a name looks like the one under which the machine rejects, case, blanks and what cannot be seen aside."""
    return _looks(name) == _looks(TIME_LIMIT)


def _looks(name: str) -> str:
    letters = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in letters if not (letter.isspace() or unicodedata.category(letter) in _UNSEEN))


def checked_reason(reason: str | None) -> str | None:
    """Return a reason without blanks around it; None where none was given, or nothing that can be seen.

    Raises:
        DecisionRefused: it has control characters in it, or is too long.
    """
    said = (reason or "").strip()
    if is_empty(said):
        return None
    if has_controls(said, keep_lines=True):
        raise DecisionRefused("The reason has control characters in it. Leave them out.")
    if len(said) > LONGEST_REASON:
        raise DecisionRefused(f"The reason has {len(said)} letters. Give up to {LONGEST_REASON}.")
    return said


def is_empty(text: str) -> bool:
    """Whether nothing of a text can be seen."""
    return not "".join(letter for letter in text if unicodedata.category(letter) not in _UNSEEN).strip()

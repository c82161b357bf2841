"""The child process in which ``python`` agents run: takes a call a line, gives an answer a line. Started as a file.

It imports little, and nothing of this package, so that it starts at once. What agents print goes to the error output.
When the worker is gone, the child ends with whatever it started, in the middle of a call too.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import sys
import threading

ANSWER, FAULT, NOT_INSTALLED = b"=", b"!", b"?"
"""How a line begins; behind it stands JSON: an answer, a text that ends a sentence about the agent, or the name of a
module that is not there."""


class _NotInstalled(Exception):
    """A module that is not found here: the agent's own, or one that it imports."""


def _serve() -> None:
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(calls, lines), daemon=True).start()
    while True:
        call = json.loads(lines.get())
        try:
            answer = _function(call["callable"])(call["request"])
            line = ANSWER + json.dumps(answer).encode("ascii")
        except _NotInstalled as missing:
            line = NOT_INSTALLED + json.dumps(str(missing)).encode("ascii")
        except BaseException as error:  # whatever an agent raises is no end of the child
            line = FAULT + json.dumps(_sentence(error)).encode("ascii")
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        answers.write(line + b"\n")
        answers.flush()


def _listen(calls, lines) -> None:  # type: ignore[no-untyped-def]
    for line in calls:
        lines.put(line)
    os.killpg(0, signal.SIGKILL)  # the worker is gone: nobody waits for this call, nor for what it started


def _function(name: str):  # type: ignore[no-untyped-def]
    module, _, function = name.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise _NotInstalled(error.name or module) from error
    return getattr(loaded, function)


def _sentence(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}{': ' if text else ''}{text[:1000]}"


if __name__ == "__main__":
    _serve()

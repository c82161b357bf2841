"""Talks to a child process with a time limit and bounded memory, and ends it with all that it started.

A process that leaves its process group on purpose is out of reach; none other outlives its call.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mission_pipeline.settings import environment_of_agents

_CHUNK_BYTES = 65_536
_TAIL_BYTES = 2_000
_LOOK_SECONDS = 0.05
"""How often it is asked whether a process has ended whose output somebody else holds open."""


class TookTooLong(Exception):
    """The time was over before the process was done."""


class SaidTooMuch(Exception):
    """The process wrote more than it may."""


@dataclass
class Said:
    """What a process wrote: its output, whole, and the end of its error output."""

    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)

    def tail(self) -> str:
        """Return the end of the error output, to end a sentence with; empty if there was none."""
        text = " ".join(bytes(self.errors).decode("utf-8", "replace").replace("\x00", " ").split())
        return f" Its last words: {text[-500:]}" if text else ""


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program without a shell, in a process group of its own, with pipes at all three ends.

    Raises:
        OSError: it cannot be started.
        ValueError: an argument cannot be handed to a program.

    """
    process = subprocess.Popen(  # noqa: S603  no shell: arguments stay arguments, whatever is in them
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment_of_agents(),
        start_new_session=True,
    )
    with contextlib.suppress(OSError):  # where the machine runs out of memory, the agent goes and not the worker
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000", encoding="ascii")
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


def end(process: subprocess.Popen[bytes]) -> int:
    """End a process with its group, if it has not ended; return its exit code, negative for a signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return code


def wait_for_exit(process: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait until a process has ended by itself, so that its exit code is its own.

    Raises:
        TookTooLong: it has not by the deadline.

    """
    try:
        process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise TookTooLong from None


def how_it_ended(exit_code: int) -> str:
    """Return an exit code in words, to follow `ended`."""
    return f"by signal {-exit_code}" if exit_code < 0 else f"with exit code {exit_code}"


def talk(
    process: subprocess.Popen[bytes], message: bytes, *, deadline: float, max_bytes: int, until_line: bool
) -> Said:
    """Hand a message to a process while reading what it says.

    Args:
        process: made by ``start``.
        message: written to its input; one that does not read it is no fault.
        deadline: by the monotonic clock, in seconds.
        max_bytes: of output.
        until_line: return with the first whole line, and keep the input open; else close the input after the message
            and return when the output ends, or the process does.

    Returns:
        What was said; with ``until_line``, output without a line break means that the process ended within the line.

    Raises:
        TookTooLong: the deadline passed.
        SaidTooMuch: there was more output than allowed.

    """
    said = Said()
    to_write = memoryview(message)
    has_ended = False
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TookTooLong
            ready = {key.fileobj for key, _ in selector.select(min(left, _LOOK_SECONDS))}
            if process.stdin in ready:
                to_write = _write(process.stdin, to_write)
                if not to_write:
                    selector.unregister(process.stdin)
                    if not until_line:
                        _close(process.stdin)
            if process.stderr in ready and not _read(process.stderr, said.errors):
                selector.unregister(process.stderr)
            if len(said.errors) > _TAIL_BYTES:
                del said.errors[:-_TAIL_BYTES]
            if process.stdout in ready and not _read(process.stdout, said.output):
                break
            if len(said.output) > max_bytes:
                raise SaidTooMuch
            if until_line and b"\n" in said.output:
                return said
            if not ready and has_ended:
                break  # something that it started holds the output open
            has_ended = has_ended or (not ready and process.poll() is not None)
        _read_the_rest(process.stderr, said.errors)
    return said


def _write(pipe: IO[bytes], content: memoryview) -> memoryview:
    try:
        return content[os.write(pipe.fileno(), content[:_CHUNK_BYTES]) :]
    except BlockingIOError:
        return content
    except OSError:
        return memoryview(b"")  # it reads no more: what it says and how it ends tells the rest


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()


def _read(pipe: IO[bytes], into: bytearray) -> bool:
    """Read what is there; False at the end."""
    try:
        chunk = os.read(pipe.fileno(), _CHUNK_BYTES)
    except BlockingIOError:
        return True
    into += chunk
    return bool(chunk)


def _read_the_rest(pipe: IO[bytes], into: bytearray) -> None:
    """Read the last words that are there already; bounded, for a process may still be writing."""
    for _ in range(16):
        before = len(into)
        if not _read(pipe, into) or len(into) == before:
            break
    del into[:-_TAIL_BYTES]

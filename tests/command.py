"""The ``mission`` command for tests: called in this process, or in one of its own where the process is what is tested.

An interpreter takes a second to start and to load Dagster. What is printed and the exit code come the same way from
``main`` here; signals, pipes, what is loaded, and what a library writes past Python need a process.
"""

import gc
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mission_pipeline import cli


class Left(BaseException):
    """The command would have ended its process."""

    def __init__(self, code):
        self.code = code


def leave(code):
    raise Left(code)


def environment(**variables):
    """The variables of this process but for those that steer the command, in a terminal of 80 columns."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MISSION_", "COLUMNS"))}
    return {**kept, "COLUMNS": "80", "TERM": "dumb", **variables}


def mission(*arguments, cwd=None, **variables):
    """Call the command in this process; return its exit code and what it printed. A fault of the program is raised."""
    printed, said = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    changed, thresholds = environment(**variables), gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - changed.keys():
            patch.delenv(name)
        for name, value in changed.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        patch.setattr(sys, "argv", ["mission", *map(str, arguments)])
        patch.setattr(sys, "stdout", printed)
        patch.setattr(sys, "stderr", said)
        patch.setattr(cli, "keep_freed_memory", lambda: None)  # this process has other things to do afterwards
        patch.setattr(cli, "_leave", leave)
        try:
            cli.main()
        except Left as left:
            code = left.code
        finally:
            gc.set_threshold(*thresholds)
    stdout, stderr = (stream.buffer.getvalue().decode("utf-8") for stream in (printed, said))
    return SimpleNamespace(returncode=code, stdout=stdout, stderr=stderr)


def mission_process(*arguments, cwd=None, **variables):
    """Run the command in a process of its own; return the same, with whatever it wrote."""
    return subprocess.run(
        [sys.executable, "-m", "mission_pipeline", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=environment(**variables),
    )  # fmt: skip

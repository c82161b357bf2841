"""How the process uses memory: what the C library keeps, and how often Python looks for garbage. Changes no result."""

from __future__ import annotations

import ctypes
import gc

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
"""Parameters of glibc's ``mallopt``."""
_GIBIBYTE, _PAD_BYTES = 1 << 30, 64 << 20


def keep_freed_memory() -> None:
    """Let threads share their memory, and give none of it back while the command runs.

    DuckDB, Polars and numpy free large pieces and ask for them again at once; each time the system would fill them
    with zeros. That took a fifth of a large refresh. Elsewhere than on Linux with glibc it does nothing.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    library.mallopt(_ARENA_MAX, 2)
    library.mallopt(_MMAP_THRESHOLD, _GIBIBYTE)
    library.mallopt(_TRIM_THRESHOLD, _GIBIBYTE)
    library.mallopt(_TOP_PAD, _PAD_BYTES)


def collect_rarely(objects: int) -> None:
    """Let so many new objects come before Python looks for those that nobody needs any more.

    A command loads thousands of classes that stay, and the rows of a large refresh are not Python's to collect: looking
    at them again and again takes three hundredths of it.
    """
    gc.set_threshold(objects, *gc.get_threshold()[1:])

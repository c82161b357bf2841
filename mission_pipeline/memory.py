"""Tells the C library to keep memory that a refresh will soon ask for again. Changes no result."""

from __future__ import annotations

import ctypes

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

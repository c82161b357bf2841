"""Writes a file so that nobody ever sees half of it: a temporary file beside it, synced, then renamed over it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mission_pipeline.errors import WarehouseFault


def write_atomically(path: Path, text: str) -> bool:
    """Write a text file whole or not at all; return whether anything had to be written.

    Raises:
        WarehouseFault: the file or its folder cannot be written.

    """
    content = text.encode("utf-8")
    path = path.resolve()  # a link stays a link to the new content
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)  # a device or a pipe, such as /dev/stdout, cannot be renamed over
            return True
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise WarehouseFault(
            f"{path} cannot be written ({error.strerror or error}). Make its folder writable, or name another place."
        ) from error
    return True


def refuse_closed_folder(folder: Path) -> None:
    """Make the folder unless it is there, and refuse one in which no file can be written.

    Raises:
        WarehouseFault: names the folder.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WarehouseFault(
            f"{folder} cannot be written ({error.strerror or error}). Make it writable, or name another warehouse."
        ) from error


def _current_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_UMASK = _current_umask()
"""mkstemp makes files that only their owner can read; a brief is to be read by everyone whom the umask admits."""

"""What can be told of a file without reading it as JSON: its hash, its lines, whether an array is closed."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import cast

from mission_pipeline.errors import InputFault
from mission_pipeline.ingest.find import RawFile

_CHUNK_BYTES = 1 << 20
_WHITESPACE = b" \t\r\n"


@dataclass(frozen=True)
class Fingerprint:
    """What tells one content of a file from another: the hash of the bytes as stored, and their number."""

    sha256: str
    size_bytes: int


def fingerprint(file: RawFile) -> Fingerprint:
    """Return the hash and size of a file as stored.

    Raises:
        InputFault: it cannot be read.

    """
    digest, size = hashlib.sha256(), 0
    with opened(file, as_stored=True) as handle:
        for chunk in _chunks(file, handle):
            digest.update(chunk)
            size += len(chunk)
    return Fingerprint(digest.hexdigest(), size)


def last_byte(file: RawFile) -> bytes:
    """Return the last byte of a file's content that is no white space, empty for none.

    Raises:
        InputFault: it cannot be read, or is not a whole gzip file (which DuckDB would not always notice).

    """
    if file.is_gzipped:
        found = b""
        with opened(file) as handle:
            for chunk in _chunks(file, handle):
                found = chunk.rstrip(_WHITESPACE)[-1:] or found
        return found
    with opened(file) as handle:
        place = handle.seek(0, os.SEEK_END)
        while place > 0:
            size = min(_CHUNK_BYTES, place)
            place -= size
            handle.seek(place)
            if found := read_on(file, handle, size).rstrip(_WHITESPACE)[-1:]:
                return found
    return b""


def last_line(file: RawFile) -> int:
    """Return the number of the last line that is not blank, 0 for none.

    Raises:
        InputFault: it cannot be read, or is not a whole gzip file (which DuckDB would not always notice).

    """
    newlines, found = 0, 0
    with opened(file) as handle:
        for chunk in _chunks(file, handle):
            if content := chunk.rstrip(_WHITESPACE):
                found = newlines + content.count(b"\n") + 1
            newlines += chunk.count(b"\n")
    return found


def whole_content(file: RawFile) -> bytes:
    """Return a file's content, decompressed.

    Raises:
        InputFault: it cannot be read, or is not a whole gzip file.

    """
    with opened(file) as handle:
        return b"".join(_chunks(file, handle))


def opened(file: RawFile, *, as_stored: bool = False) -> BufferedIOBase:
    """Open a file for reading bytes, decompressed unless told otherwise.

    Raises:
        InputFault: it cannot be read.

    """
    try:
        if file.is_gzipped and not as_stored:
            if file.path.stat().st_size == 0:
                raise InputFault(f"{file.name} is empty, which no gzip file is. Copy it again, or remove it.")
            return cast("BufferedIOBase", gzip.open(file.path, "rb"))
        return file.path.open("rb")
    except OSError as error:
        raise _unreadable(file, error) from error


def _chunks(file: RawFile, handle: BufferedIOBase) -> Iterator[bytes]:
    while chunk := read_on(file, handle, _CHUNK_BYTES):
        yield chunk


def read_on(file: RawFile, handle: BufferedIOBase, size: int) -> bytes:
    """Return the next bytes of an open file; none at its end.

    Raises:
        InputFault: it cannot be read on, or is not a whole gzip file.

    """
    try:
        return handle.read(size)
    except EOFError as error:
        raise InputFault(
            f"{file.name} is cut short: its gzip data end too early. Copy the whole file again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputFault(
            f"{file.name} is not a sound gzip file ({error}). Copy it again, or drop .gz from its name if it is plain."
        ) from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: RawFile, error: OSError) -> InputFault:
    return InputFault(f"{file.name} cannot be read ({error.strerror or error}). Make {file.path} readable.")

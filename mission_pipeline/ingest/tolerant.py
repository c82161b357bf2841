"""Reads, with Python, the files that DuckDB refuses, record by record; or says in words what is wrong and where.

DuckDB refuses a whole file for one bad line or one lone surrogate. Here each record becomes a text that DuckDB can
read, beside the text as it arrived where the two differ. What its fields are worth is decided in SQL, as for any file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import polars as pl

from mission_pipeline.errors import InputFault
from mission_pipeline.ingest import statements
from mission_pipeline.ingest.content import opened, read_on, whole_content
from mission_pipeline.ingest.find import RawFile
from mission_pipeline.warehouse import Build

MAX_RECORD_BYTES = 256 * 1024 * 1024
_BATCH_RECORDS = 20_000
_BATCH_CHARACTERS = 64 * 1024 * 1024
_KINDS = {"{": "an object", '"': "a text", "n": "null", "t": "true", "f": "false"}
"""What a JSON value is, by its first character."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP_MAGIC = b"\x1f\x8b"
_WHITESPACE = " \t\r\n"
_SKIP = re.compile(r"[ \t\r\n]*")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len)  # only the places of records matter, not their values

Record = tuple[int, str, str | None]
"""Row, text that DuckDB reads (or a broken line), and the text as it arrived where it differs."""


def read_tolerantly(build: Build, file: RawFile) -> None:
    """Put a file's records into the staged records.

    Raises:
        InputFault: the file is no JSON array, is in another encoding, or cannot be read; with line and column.

    """
    build.execute(statements.create_staged())
    records = _records_of_lines(file) if file.has_lines else _records_of_array(file)
    for batch in _batched(file, records):
        frame = pl.DataFrame(batch, schema={"row": pl.Int64, "text": pl.String, "arrived": pl.String}, orient="row")
        with build.view_of("ingest_batch", frame):
            build.execute(statements.stage_batch("ingest_batch"))


def _batched(file: RawFile, records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    characters = 0
    for record in records:
        if len(record[1]) > MAX_RECORD_BYTES:
            raise InputFault(
                f"{file.name}: record {record[0]} is larger than {MAX_RECORD_BYTES // 1024**2} MB. Split or remove it."
            )
        batch.append(record)
        characters += len(record[1])
        if len(batch) >= _BATCH_RECORDS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _records_of_lines(file: RawFile) -> Iterator[Record]:
    """Yield each line that is not blank; a line in another encoding is a broken one, shown with escapes."""
    number = 0
    with opened(file) as handle:
        rest = b""
        while chunk := read_on(file, handle, 1 << 20):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                number += 1
                yield from _record_of_line(file, number, line)
            if len(rest) > MAX_RECORD_BYTES:
                raise InputFault(
                    f"{file.name}: line {number + 1} is larger than {MAX_RECORD_BYTES // 1024**2} MB. "
                    "Split or remove it."
                )
        yield from _record_of_line(file, number + 1, rest)


def _record_of_line(file: RawFile, number: int, line: bytes) -> Iterator[Record]:
    if number == 1:
        _refuse_other_encodings(file, line)
        line = line.removeprefix(_BYTE_ORDER_MARK)
    line = line.strip(b" \t\r")
    if not line:
        return
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = line.decode("utf-8", errors="backslashreplace")
        yield number, "", text
    else:
        yield number, *_readable(text)


def _records_of_array(file: RawFile) -> Iterator[Record]:
    text = _text_of_array(file)
    place = _skip(text, 0)
    if not text[place:]:
        raise InputFault(f"{file.name} is empty. A .json file holds one array; write [] if there are no records.")
    if text[place] != "[":
        raise _not_an_array(file, text, place)
    place, row = _skip(text, place + 1), 0
    if text[place : place + 1] != "]":
        while True:
            start = place
            place = _end_of_value(file, text, start)
            row += 1
            yield row, *_readable(text[start:place])
            place = _skip(text, place)
            separator = text[place : place + 1]
            if separator == "]":
                break
            if separator != ",":
                raise _malformed(file, text, place, "a comma or ] is missing")
            comma = place
            place = _skip(text, place + 1)
            if text[place : place + 1] == "]":
                raise _malformed(file, text, comma, "a comma stands before the closing ]")
    place = _skip(text, place + 1)
    if place < len(text):
        raise _malformed(file, text, place, "something follows the array")


def _text_of_array(file: RawFile) -> str:
    content = whole_content(file)
    _refuse_other_encodings(file, content)
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        if error.reason == "unexpected end of data" and error.end == len(content):
            raise _malformed(file, before, len(before), "") from error
        raise InputFault(
            f"{file.name} is not UTF-8: byte 0x{content[error.start]:02x} at {_position(before, len(before))}. "
            "Save it as UTF-8."
        ) from error


def _refuse_other_encodings(file: RawFile, content: bytes) -> None:
    if content.startswith(_GZIP_MAGIC):
        raise InputFault(f"{file.name} is not UTF-8 but gzipped, from line 1, column 1. Add .gz to its name.")
    if content.startswith(_UTF16_MARKS) or b"\0" in content[:4]:
        raise InputFault(f"{file.name} is not UTF-8 but UTF-16 or UTF-32, from line 1, column 1. Save it as UTF-8.")


def _end_of_value(file: RawFile, text: str, start: int) -> int:
    try:
        return _DECODER.raw_decode(text, start)[1]
    except json.JSONDecodeError as error:
        raise _malformed(file, text, error.pos, error.msg) from error
    except RecursionError as error:
        raise _malformed(file, text, start, "a value is nested too deeply") from error


def _skip(text: str, place: int) -> int:
    found = _SKIP.match(text, place)
    assert found is not None
    return found.end()


def _not_an_array(file: RawFile, text: str, place: int) -> InputFault:
    what = _KINDS.get(text[place], "a number" if text[place] in "-0123456789" else "something else")
    try:
        following = _skip(text, _DECODER.raw_decode(text, place)[1])
    except (json.JSONDecodeError, RecursionError):
        following = len(text)
    if text[place] == "{" and text[following : following + 1] == "{":
        ending = ".jsonl.gz" if file.is_gzipped else ".jsonl"
        return InputFault(
            f"{file.name} holds one object a line where an array should be, from {_position(text, place)}. "
            f"Rename it to end in {ending}."
        )
    return InputFault(
        f"{file.name} holds {what} where an array should be, at {_position(text, place)}. "
        "Put its records between [ and ]."
    )


def _malformed(file: RawFile, text: str, place: int, what: str) -> InputFault:
    if what.startswith("Unterminated string"):
        start = _position(text, place)
        return InputFault(f"{file.name} is cut short: a text that begins at {start} never ends. Copy the file again.")
    if _skip(text, place) >= len(text):
        return InputFault(
            f"{file.name} is cut short: it ends at {_position(text, len(text))}. Copy the whole file again."
        )
    return InputFault(f"{file.name} is not valid JSON at {_position(text, place)}: {what}. Mend that place.")


def _position(text: str, place: int) -> str:
    line_start = text.rfind("\n", 0, place) + 1
    return f"line {text.count(chr(10), 0, place) + 1}, column {place - line_start + 1}"


def _readable(text: str) -> tuple[str, str | None]:
    """Return a record's text with U+FFFD for lone surrogates, which DuckDB refuses, and the old text if it changed."""
    if "\\ud" not in text and "\\uD" not in text:
        return text, None
    readable = _ESCAPE.sub(lambda found: "\\ufffd" if found["lone"] else found[0], text)
    return readable, (text if readable != text else None)

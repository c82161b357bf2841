"""One SQL file is one table, and its header says truly what it makes and reads."""

import re
from pathlib import Path

import pytest

from mission_pipeline.contracts.catalog import ALL_CONTRACTS

SQL = Path(__file__).resolve().parents[2] / "sql"
FILES = sorted(SQL.rglob("*.sql"))
CONTRACTS = {contract.qualified_name() for contract in ALL_CONTRACTS}
SCHEMAS = ("raw", "staging", "marts", "quality")
HEADER = re.compile(r"^-- ([A-Z][a-z]+): *(.*)$")
TABLE = re.compile(rf"\b(?:from|join)\s+((?:{'|'.join(SCHEMAS)})\.[a-z_]+)")
PLAIN_NUMBERS = {"0", "1", "2", "100", "0.0", "1.0", "2.0", "100.0"}

files = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SQL)))


def header_of(text: str) -> dict[str, str]:
    """The comment lines at the top, by their word; a line without a word goes on with the one before."""
    found: dict[str, str] = {}
    word = ""
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        match = HEADER.match(line)
        if match:
            word = match[1]
            found[word] = match[2].strip()
        else:
            found[word] += " " + line.removeprefix("--").strip()
    return found


def statement_of(text: str) -> str:
    """The query without its comments and text literals."""
    return re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--[^\n]*", "", text)).lower()


def tables_named_in(text: str) -> set[str]:
    return set(TABLE.findall(statement_of(text)))


def test_there_are_sql_files():
    assert len(FILES) >= 5


@files
def test_a_file_is_named_for_the_table_it_makes(file):
    header = header_of(file.read_text(encoding="utf-8"))
    name = f"{file.parent.name}.{file.stem}"
    if "View" in header:
        assert header["View"] == name
        assert name not in CONTRACTS
    else:
        assert header["Table"] == name
        assert name in CONTRACTS


@files
def test_the_header_names_exactly_the_tables_that_the_query_reads(file):
    text = file.read_text(encoding="utf-8")
    stated = {name.strip(" .") for name in header_of(text)["Reads"].split(",")}
    assert stated == tables_named_in(text)


@files
def test_the_header_names_every_frame_that_is_not_a_table(file):
    """Frames from Polars are read by a bare name; the header says where each comes from."""
    text = file.read_text(encoding="utf-8")
    statement = statement_of(text)
    steps = set(re.findall(r"\b([a-z_]+) as (?:materialized )?\(", statement))
    bare = set(re.findall(r"\b(?:from|join)\s+([a-z_]+)\b(?![.(])", statement)) - {"unnest", "lateral"}
    for name in bare - steps:
        assert re.search(rf"\b{name}\b", " ".join(header_of(text).values())), name


@files
def test_the_header_states_the_grain(file):
    grain = header_of(file.read_text(encoding="utf-8"))["Grain"]
    assert grain.startswith("one row per ")


@files
def test_no_limit_is_typed_into_sql(file):
    """Limits come from the policy, bound by name. Counting, halving and percent are no limits."""
    statement = statement_of(file.read_text(encoding="utf-8"))
    statement = re.sub(r"decimal\(\d+, \d+\)|, 9\)", " ", statement)  # a type's digits, and those that round() keeps
    statement = re.sub(r"\$[a-z_0-9]+|[a-z_]\w*", " ", statement)
    numbers = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?", statement))
    assert numbers <= PLAIN_NUMBERS | FIGURES_OF_THE_CONTRACT.get(file.stem, set())


FIGURES_OF_THE_CONTRACT = {
    "task_overrun_rates": {"0.9"},  # the 90th percentile, as the column's name says
}


def test_the_reader_of_headers_and_queries_sees_what_is_there():
    text = "-- Table:  marts.x\n-- Reads:  staging.a,\n--         marts.b\nselect * from staging.a join marts.b using (k) -- from marts.c\n"
    assert header_of(text) == {"Table": "marts.x", "Reads": "staging.a, marts.b"}
    assert tables_named_in(text) == {"staging.a", "marts.b"}

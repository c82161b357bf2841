"""Every table and column is described with its unit; every limit of the policy is explained and used."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.settings import SHIPPED_POLICY_FILE

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "mission_pipeline"
UNITS = {
    "none", "count", "minutes", "minutes per run", "UTC", "UTC date", "share", "share 0-1", "share per run", "percent",
    "points 0-100", "points 0-1", "points per run", "probability", "per run", "per execution", "escalations per run",
    "bytes", "KPI's own", "KPI's own per run", "rule's own", "figure's own",
}  # fmt: skip
UNIT_OF_ENDING = {
    "_minutes": {"minutes", "minutes per run"},
    "_pct": {"percent"},
    "_share": {"share", "share 0-1"},
    "_rate": {"share 0-1", "per execution"},
    "_date": {"UTC date"},
    "_score": {"points 0-100", "points 0-1"},
    "_value": {"KPI's own", "rule's own", "probability", "none"},
    "_runs": {"count"},
}
PLACES = {"task_order", "kpi_order", "run_seq", "rank", "trigger_rank", "file_order", "row", "attempt"}
"""Numbers that say a place in an order, and so have no unit."""
UNIT_WORDS = {
    "points", "minutes", "pct", "share", "runs", "days", "hours", "weight", "hits", "executions", "missions",
    "escalations", "events", "score", "severity", "level", "ratio", "tolerance", "count",
}  # fmt: skip

contracts = pytest.mark.parametrize("contract", ALL_CONTRACTS, ids=lambda contract: contract.qualified_name())


@contracts
def test_a_table_states_its_grain_and_its_key(contract):
    assert contract.grain().startswith("One row per ")
    assert contract.key()


@contracts
def test_every_column_is_described_and_says_what_null_means(contract):
    for promise in contract.columns():
        assert promise.description.endswith("."), promise.name
        assert ("NULL" in promise.description) == promise.is_nullable, promise.name


@contracts
def test_every_column_has_the_unit_that_its_name_promises(contract):
    for promise in contract.columns():
        assert promise.unit in UNITS, promise.name
        for ending, units in UNIT_OF_ENDING.items():
            if promise.name.endswith(ending) and promise.duckdb_type != "VARCHAR":
                assert promise.unit in units, promise.name
        if promise.duckdb_type in ("DATE", "TIMESTAMP"):
            assert promise.unit.startswith("UTC"), promise.name
        if promise.duckdb_type in ("DOUBLE", "BIGINT") and promise.unit == "none":
            assert promise.name in PLACES, promise.name


def policy_keys() -> list[tuple[str, str, str]]:
    """Section, key and whole line of every setting in the policy file."""
    section, found = "", []
    for line in SHIPPED_POLICY_FILE.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\[([\w.]+)\]", line):
            section = match[1]
        elif match := re.match(r"(\w+) = ", line):
            found.append((section, match[1], line))
    return found


def test_the_reader_of_the_policy_sees_every_key():
    def leaves(table):
        return sum(leaves(value) if isinstance(value, dict) else 1 for value in table.values())

    assert len(policy_keys()) == leaves(tomllib.loads(SHIPPED_POLICY_FILE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("section", "key", "line"), policy_keys(), ids=lambda value: value.split(" = ")[0])
def test_a_policy_key_says_its_unit_or_has_a_comment(section, key, line):
    words = set(key.split("_")) | set(re.split(r"[._]", section))
    assert "#" in line or words & UNIT_WORDS or key == "version"


def names_used_in_code() -> tuple[set[str], set[str]]:
    """Names and texts of the package, but for the policy's own model, and SQL's words; and ends of names put together."""
    found: set[str] = set()
    endings: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        if file == PACKAGE / "policy.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"\w+", node.value))
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[-1], ast.Constant):
                endings.add(node.values[-1].value)
    for file in (REPOSITORY / "sql").rglob("*.sql"):
        found |= set(re.findall(r"\w+", file.read_text(encoding="utf-8")))
    return found, {ending for ending in endings if re.fullmatch(r"_[a-z]{4,}", ending)}


def test_every_policy_key_is_used():
    found, endings = names_used_in_code()
    unused = [
        f"{section}.{key}"
        for section, key, _ in policy_keys()
        if not {key, f"{section.replace('.', '_')}_{key}"} & found
        and not any(key.endswith(ending) for ending in endings)
    ]
    assert not unused

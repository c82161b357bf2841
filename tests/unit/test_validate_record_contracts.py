"""Staged telemetry is not held against its table's contract again, so its records' contract must hold all of it."""

import re
from datetime import datetime

import polars as pl
import pytest

from mission_pipeline.contracts.inputs import DATA_SETS
from mission_pipeline.validate.record_contracts import STAGED_AS, record_contract
from mission_pipeline.warehouse import read_sql

TELEMETRY = [data_set for data_set in DATA_SETS if data_set.kind == "telemetry"]
FILLED = {"attempt": "coalesce(attempt, 1) as attempt"}
"""Staged columns that are no plain copy of their field."""


@pytest.mark.parametrize("data_set", TELEMETRY, ids=lambda data_set: data_set.name)
def test_what_a_telemetry_table_promises_of_a_row_is_asked_of_its_records(data_set):
    asked = record_contract(data_set, datetime(2027, 1, 1)).schema.columns
    for name, promised in STAGED_AS[data_set.name].to_schema().columns.items():
        if promised.checks or not promised.nullable:
            assert all(check in asked[name].checks for check in promised.checks), name
            assert promised.nullable or not asked[name].nullable or name in FILLED, name
            assert promised.dtype.type == asked[name].dtype.type, name


@pytest.mark.parametrize("data_set", TELEMETRY, ids=lambda data_set: data_set.name)
def test_a_telemetry_table_copies_its_records(data_set):
    contract = STAGED_AS[data_set.name]
    text = re.sub(r"--[^\n]*", "", read_sql(f"staging/{contract.table_name()}"))
    selected = text[text.index("select") + len("select") : text.index(f"from {data_set.raw_table}")]
    staged = [" ".join(item.split()) for item in re.split(r",\s*\n", selected)]
    assert staged == [FILLED.get(name, name) for name in contract.polars_schema()]


def test_the_first_attempt_that_stands_for_none_is_one_that_the_table_takes():
    attempt = STAGED_AS["task_execution_logs"].to_schema().columns["attempt"]
    attempt.validate(pl.DataFrame({"attempt": [1]}))

"""A table is written through its contract: what is checked of it, and what is taken to be checked."""

import polars as pl
import pytest

from mission_pipeline.contracts.base import TableContract, column
from mission_pipeline.errors import ContractBroken
from mission_pipeline.warehouse import build_in_memory


class Steps(TableContract):
    """One row per step."""

    run: str = column("Run.")
    step: int = column("Step.", ge=1)

    class Config:
        """Place and key."""

        name, unique = "staging.steps", ["run", "step"]


def steps(*rows):
    return pl.DataFrame(rows, schema=Steps.polars_schema(), orient="row")


@pytest.mark.parametrize("are_checked", [False, True])
def test_a_repeated_key_is_refused_whether_or_not_the_rows_are_checked(are_checked):
    with build_in_memory() as build:
        assert build.replace_table(Steps, frame=steps(("a", 1), ("a", 2), ("b", 1)), rows_are_checked=are_checked) == 3
        with pytest.raises(ContractBroken, match=r"more than one row for the key \(run, step\), such as \('b', 1\)"):
            build.replace_table(Steps, frame=steps(("a", 1), ("b", 1), ("b", 1)), rows_are_checked=are_checked)
        assert build.row_count("staging.steps") == 3


def test_a_repeated_key_with_an_unknown_part_is_refused():
    with build_in_memory() as build, pytest.raises(ContractBroken, match="more than one row for the key"):
        build.replace_table(Steps, frame=steps(("a", None), ("a", None)), rows_are_checked=True)


def test_a_value_that_the_contract_refuses_is_let_in_only_where_the_rows_are_said_to_be_checked():
    with build_in_memory() as build:
        with pytest.raises(ContractBroken, match="step breaks"):
            build.replace_table(Steps, frame=steps(("a", 0)))
        assert build.replace_table(Steps, frame=steps(("a", 0)), rows_are_checked=True) == 1
        with pytest.raises(ContractBroken, match="unpromised"):
            build.replace_table(Steps, frame=steps(("a", 1)).with_columns(more=1), rows_are_checked=True)


def test_a_table_of_an_earlier_release_gets_the_columns_that_have_come_since_and_keeps_its_rows():
    with build_in_memory() as build:
        build.execute("create schema staging")
        build.execute("create table staging.steps as select 'a' as run")
        build.ensure_table(Steps)
        build.ensure_table(Steps)
        assert build.table(Steps).rows() == [("a", None)]
        kinds = "select column_name, data_type, comment from duckdb_columns() where table_name = 'steps' order by all"
        assert build.frame(kinds).rows() == [("run", "VARCHAR", "Run."), ("step", "BIGINT", "Step.")]

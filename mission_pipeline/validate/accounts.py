"""The books of a validation: ``quality.rejected_rows`` and ``quality.row_counts``. Rows in = valid + rejected."""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.inputs import DATA_SETS
from mission_pipeline.contracts.quality import RejectedRows, RowCounts
from mission_pipeline.errors import ContractBroken
from mission_pipeline.validate import statements
from mission_pipeline.warehouse import Build

_FILES_AND_RECORDS = """
select data_set, count(*) as files, cast(sum(rows) as bigint) as rows_in from quality.loaded_files group by data_set"""
_REJECTED = "select data_set, count(*) as rows_rejected from quality.rejected_rows group by data_set"


def write_rejected_rows(build: Build) -> None:
    """Write ``quality.rejected_rows`` from what was set aside."""
    union = " union all ".join(statements.rejected_records(data_set) for data_set in DATA_SETS)
    build.execute(f"create or replace table raw.rejected_records as {union}")
    build.replace_table(RejectedRows, sql="quality/rejected_rows")
    build.execute("drop table raw.rejected_records")


def write_row_counts(build: Build) -> None:
    """Write ``quality.row_counts``. Each figure is counted by itself, so that the sums can be held against each other.

    Raises:
        ContractBroken: a record was lost or counted twice, which is a fault of this program.

    """
    counts = " union all ".join(statements.record_counts(data_set) for data_set in DATA_SETS)
    rows = (
        build.frame(counts)
        .join(build.frame(_FILES_AND_RECORDS), on="data_set", how="left")
        .join(build.frame(_REJECTED), on="data_set", how="left")
        .with_columns(pl.exclude("data_set").fill_null(0))  # no file, or no reject: that is known to be none
        .select(list(RowCounts.polars_schema()))
    )
    lost = rows.filter(
        (pl.col("rows_in") != pl.col("rows_valid") + pl.col("rows_rejected"))
        | (pl.col("rows_staged") != pl.col("rows_valid") - pl.col("rows_replaced") + pl.col("rows_retained"))
    )
    if lost.height:
        raise ContractBroken(f"quality.row_counts: records were lost or counted twice: {lost.to_dicts()[0]}.")
    build.replace_table(RowCounts, frame=rows)

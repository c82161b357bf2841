"""The records that do not stand: ``raw.set_aside``, one row per raw record that staging leaves out, and why.

A record is named by the row id of its raw table, which holds within the transaction of one validation. Why:
``rejected`` (with rule and reason), ``replaced`` (valid, but a later one of its key stands), ``forgotten`` (it
vanished from the files, and another record of its key stands).
"""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.inputs import InputDataSet
from mission_pipeline.validate import statements
from mission_pipeline.validate.rules import RANK
from mission_pipeline.warehouse import Build

FAULTS = {"record_id": pl.Int64, "rule": pl.String, "sentence": pl.String}
"""Columns of a frame of faults: any number of rows per record; ``sentence`` is one part of its reason."""
VERDICTS = {"record_id": pl.Int64, "rule": pl.String, "reason": pl.String}
"""Columns of a frame of verdicts: one row per rejected record."""


def start(build: Build) -> None:
    """Forget what an earlier validation set aside."""
    build.execute("create schema if not exists raw")
    build.execute(
        "create or replace table raw.set_aside "
        "(data_set varchar, record_id bigint, why varchar, rule varchar, reason varchar)"
    )


def verdicts(faults: pl.DataFrame) -> pl.DataFrame:
    """Return one row per record with faults: record_id, the first rule, and all its sentences as the reason."""
    if faults.is_empty():  # the usual case, asked once per data set and batch
        return pl.DataFrame(schema=VERDICTS)
    return (
        faults.unique()
        .with_columns(pl.col("rule").replace_strict(RANK, return_dtype=pl.Int64).alias("rank"))
        .sort("record_id", "rank", "sentence")
        .group_by("record_id", maintain_order=True)
        .agg(pl.col("rule").first(), pl.col("sentence").str.join("; ").alias("reason"))
        .with_columns(pl.col("reason") + ".")
    )


def reject(build: Build, data_set: InputDataSet, rejected: pl.DataFrame) -> None:
    """Reject records: record_id, rule, reason."""
    if rejected.is_empty():
        return
    with build.view_of("rejected_now", rejected):
        build.execute(
            "insert into raw.set_aside select $data_set, record_id, 'rejected', rule, reason from rejected_now",
            {"data_set": data_set.name},
        )


def set_aside_earlier_files(build: Build, data_set: InputDataSet) -> None:
    """Of a reference data set the last file is the whole truth: sound records of earlier ones count as replaced.

    The ledger names the last file, for a last file without a record is the truth too.
    """
    build.execute(statements.set_aside_earlier_files(data_set), {"data_set": data_set.name})


def set_aside_replaced(build: Build, data_set: InputDataSet) -> None:
    """Of the valid records of one key the later file, then the later row stands; a vanished one if no other does."""
    build.execute(statements.set_aside_replaced(data_set), {"data_set": data_set.name})

"""Contracts of ``quality``: what arrived, what was refused, what looks wrong, what others reported differently."""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.base import TableContract, column
from mission_pipeline.contracts.inputs import DATA_SETS

_DATA_SET_NAMES = [data_set.name for data_set in DATA_SETS]
VERDICTS = ("agrees", "differs", "not_computable")
PLAN_FAULTS = ("missing_dependency", "dependency_cycle", "order_contradicts_dependency", "no_capable_agent")


class LoadedFiles(TableContract):
    """One row per file of the raw-data folder as last read: the ledger."""

    data_set: str = column("Data set.", isin=_DATA_SET_NAMES)
    file: str = column("Path within the raw-data folder.")
    file_order: int = column("Place in the data set's order; a later file wins.", ge=1)
    sha256: str = column("Hash of the content; an unchanged file is not read again.")
    size_bytes: int = column("Size as stored.", unit="bytes", ge=0)
    rows: int = column("Records in it.", unit="count", ge=0)
    loaded_at: pl.Datetime("us") = column("When this content was read.", unit="UTC")  # type: ignore[valid-type]

    class Config:
        """Place and key."""

        name, unique = "quality.loaded_files", ["data_set", "file"]


class RejectedRows(TableContract):
    """One row per rejected record; nothing that arrived is lost."""

    data_set: str = column("Data set.", isin=_DATA_SET_NAMES)
    file: str = column("Path within the raw-data folder.")
    row: int = column("Place in the file, from 1: element of the array, or line.", ge=1)
    rule: str = column("The rule that it breaks.")
    reason: str = column("What is wrong, with the field and the value.")
    record: str = column("The record as it arrived.")

    class Config:
        """Place and key."""

        name, unique = "quality.rejected_rows", ["data_set", "file", "row"]


class RowCounts(TableContract):
    """One row per data set: rows in = valid + rejected, and what became of the valid ones."""

    data_set: str = column("Data set.", isin=_DATA_SET_NAMES)
    files: int = column("Files present.", unit="count", ge=0)
    rows_in: int = column("Records in the files present.", unit="count", ge=0)
    rows_valid: int = column("Records accepted.", unit="count", ge=0)
    rows_rejected: int = column("Records in quality.rejected_rows.", unit="count", ge=0)
    rows_replaced: int = column("Accepted records replaced by a later one of the same key or reference file.", unit="count", ge=0)
    rows_retained: int = column("Records that vanished from the files and are kept.", unit="count", ge=0)
    rows_staged: int = column("Records that stand: valid - replaced + retained.", unit="count", ge=0)

    class Config:
        """Place and key."""

        name, unique = "quality.row_counts", ["data_set"]


class SchemaDrift(TableContract):
    """One row per data set, field and kind of difference from what is specified."""

    data_set: str = column("Data set.", isin=_DATA_SET_NAMES)
    field: str = column("Field.")
    kind: str = column("unknown_field, converted_type, unspecified_kpi.", isin=["unknown_field", "converted_type", "unspecified_kpi"])
    rows: int = column("Records concerned.", unit="count", ge=1)
    example_value: str = column("One value, as it arrived; NULL when it was null.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "quality.schema_drift", ["data_set", "field", "kind"]


class PlanFindings(TableContract):
    """One row per fault of a mission's plan; the telemetry is still judged, the runner refuses such a plan."""

    mission_id: str = column("Mission.")
    task_id: str = column("Task concerned.")
    fault: str = column("Kind of fault.", isin=list(PLAN_FAULTS))
    detail: str = column("What is wrong, in one sentence.")

    class Config:
        """Place and key."""

        name, unique = "quality.plan_findings", ["mission_id", "task_id", "fault", "detail"]


class DataWarnings(TableContract):
    """One row per data set and kind of contradiction or oddity; a warning, never a reject."""

    data_set: str = column("Data set.", isin=_DATA_SET_NAMES)
    rule: str = column("What is odd.")
    rows: int = column("Records concerned.", unit="count", ge=1)
    example_value: str = column("One of them, in words.")

    class Config:
        """Place and key."""

        name, unique = "quality.data_warnings", ["data_set", "rule"]


class Reconciliation(TableContract):
    """One row per reported figure, beside what the telemetry gives."""

    source: str = column("Data set that reports it.", isin=_DATA_SET_NAMES)
    subject: str = column("Agent or day.")
    report_date: pl.Date = column("Day of the report.", unit="UTC date")
    field: str = column("Figure.")
    reported_value: str = column("As reported.")
    computed_value: str = column("From the telemetry; NULL when not computable.", nullable=True)
    difference: float = column("reported - computed; NULL for text or when not computable.", unit="figure's own", nullable=True)
    verdict: str = column("agrees (within half of the last decimal reported), differs, not_computable.", isin=list(VERDICTS))

    class Config:
        """Place and key."""

        name, unique = "quality.reconciliation", ["source", "subject", "report_date", "field"]


QUALITY_CONTRACTS: tuple[type[TableContract], ...] = (
    LoadedFiles, RejectedRows, RowCounts, SchemaDrift, PlanFindings, DataWarnings, Reconciliation,
)

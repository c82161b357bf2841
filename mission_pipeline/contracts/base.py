"""What every table contract shares: its place, its key, its columns as DuckDB types. No table is described here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandera.polars as pa
import polars as pl

DUCKDB_TYPES: dict[Any, str] = {
    pl.String: "VARCHAR",
    pl.Float64: "DOUBLE",
    pl.Int64: "BIGINT",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Datetime: "TIMESTAMP",
    pl.List: "VARCHAR[]",
}
"""The only column types that tables use. Timestamps are UTC without a zone; lists hold text."""


@dataclass(frozen=True)
class ColumnPromise:
    """One column of a table as its contract promises it."""

    name: str
    duckdb_type: str
    description: str
    unit: str
    source: str | None
    is_nullable: bool

    @property
    def comment(self) -> str:
        """The column's comment in the warehouse: what it is, in which unit, and that NULL is possible."""
        parts = [self.description]
        if self.unit != "none":
            parts.append(f"Unit: {self.unit}.")
        if self.source is not None:
            parts.append(f"Source: {self.source}.")
        return " ".join(parts)


def column(
    description: str, *, unit: str = "none", source: str | None = None, nullable: bool = False, **checks: Any
) -> Any:
    """Return a Pandera field that carries what the dictionary says about the column.

    Args:
        description: one sentence; of a nullable column it says what NULL means.
        unit: the unit of the values, ``none`` for names and flags.
        source: the table or input that the value comes from, where that is not evident.
        nullable: whether NULL, that is unknown, is allowed.
        checks: Pandera's own, such as ``ge=0`` or ``isin=[...]``.

    """
    return pa.Field(
        description=description, nullable=nullable, metadata={"unit": unit, "source": source}, **checks
    )


class TableContract(pa.DataFrameModel):
    """A table's promise. Subclasses state the grain in their docstring and set ``Config.name`` and ``Config.unique``."""

    class Config:
        """Refuse surprises: no extra column and no silent cast."""

        strict = True
        coerce = False
        ordered = True

    @classmethod
    def qualified_name(cls) -> str:
        """``schema.table``."""
        name = cls.to_schema().name
        assert name is not None
        return str(name)

    @classmethod
    def schema_name(cls) -> str:
        """The schema: ``staging``, ``marts`` or ``quality``."""
        return cls.qualified_name().split(".")[0]

    @classmethod
    def table_name(cls) -> str:
        """The table's name without its schema."""
        return cls.qualified_name().split(".")[1]

    @classmethod
    def key(cls) -> tuple[str, ...]:
        """The columns that identify a row; empty where rows may repeat."""
        unique = cls.to_schema().unique
        return tuple(unique or ())

    @classmethod
    def grain(cls) -> str:
        """The first sentence of the contract: what one row is."""
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def columns(cls) -> tuple[ColumnPromise, ...]:
        """The columns in their fixed order."""
        promises = []
        for name, col in cls.to_schema().columns.items():
            metadata = col.metadata or {}
            promises.append(
                ColumnPromise(
                    name=name,
                    duckdb_type=_duckdb_type(col.dtype.type),
                    description=col.description or "",
                    unit=metadata.get("unit", "none"),
                    source=metadata.get("source"),
                    is_nullable=col.nullable,
                )
            )
        return tuple(promises)

    @classmethod
    def polars_schema(cls) -> dict[str, Any]:
        """Column name → Polars type, to build a frame that fits, empty ones included."""
        return {name: col.dtype.type for name, col in cls.to_schema().columns.items()}


def _duckdb_type(polars_type: Any) -> str:
    return DUCKDB_TYPES[polars_type.base_type() if hasattr(polars_type, "base_type") else polars_type]

"""What Dagster shows of each table: key, group, description, kinds, columns, edges, checks. All from the contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg

from mission_pipeline.contracts.base import ColumnPromise, TableContract
from mission_pipeline.contracts.catalog import ALL_CONTRACTS, contract_of
from mission_pipeline.contracts.inputs import DATA_SETS, DUCKDB_INPUT_TYPES, InputDataSet
from mission_pipeline.orchestration.edges import EXECUTIVE_BRIEF, PUBLISHED, READS, VERDICT_FIGURES
from mission_pipeline.orchestration.findings import CHECKS, Check
from mission_pipeline.settings import SQL_FOLDER

OWNERS = ["team:mission-pipeline"]
CONTRACT_CHECK = "contract"
BRIEF_KEY = dg.AssetKey(["executive_brief"])
PUBLISHED_KEY = dg.AssetKey(["published_warehouse"])
_GROUP_OF_SCHEMA = {"raw": "ingest", "staging": "validate", "quality": "validate", "marts": "derive"}
_JUDGED = (
    "marts.mission_scorecards",
    "marts.mission_triggers",
    "marts.portfolio_snapshots",
    "quality.policy_limits",
    "quality.reconciliation",
)


def group_of(table: str) -> str:
    """Return the stage that makes a table."""
    if table in (EXECUTIVE_BRIEF, VERDICT_FIGURES):
        return "brief"
    if table in _JUDGED:
        return "judge"
    if table == "quality.loaded_files":
        return "ingest"
    return _GROUP_OF_SCHEMA[table.split(".")[0]]


@cache
def tables_of(group: str) -> tuple[str, ...]:
    """Return the tables that a stage makes, by qualified name, each after those it reads, as Dagster wants them."""
    ordered = TopologicalSorter({table: sorted(reads) for table, reads in sorted(READS.items())}).static_order()
    return tuple(table for table in ordered if group_of(table) == group)


def key_of(table: str) -> dg.AssetKey:
    """Return the asset's key: schema and table, but for the brief, which is an asset in its own right."""
    return BRIEF_KEY if table == EXECUTIVE_BRIEF else dg.AssetKey(table.split("."))


def specs_of(group: str, **more: Any) -> list[dg.AssetSpec]:
    """Return the assets of a stage; ``more`` goes into each."""
    return [_spec(table, **more) for table in tables_of(group)]


def published_spec(**more: Any) -> dg.AssetSpec:
    """Return the asset that stands for the published file."""
    return dg.AssetSpec(
        PUBLISHED_KEY,
        deps=[key_of(table) for table in PUBLISHED],
        description="The warehouse that analysts open: `warehouse/mission_control.duckdb`, a whole refresh at any "
        "moment, put in place by a rename. The brief's files and the exports are written beside it.",
        group_name="brief",
        kinds={"duckdb"},
        owners=OWNERS,
        **more,
    )


def _spec(table: str, **more: Any) -> dg.AssetSpec:
    schema, name = table.split(".")
    if schema == "raw":
        data_set = next(each for each in DATA_SETS if each.name == name)
        description, columns, kinds = _raw_description(data_set), _raw_columns(data_set), {"json", "duckdb"}
    else:
        contract = contract_of(table)
        description, columns, kinds = _description(contract), _columns(contract), _kinds(table)
    return dg.AssetSpec(
        key_of(table),
        deps=[key_of(read) for read in READS[table]],
        description=description,
        group_name=group_of(table),
        kinds=kinds,
        owners=OWNERS,
        metadata={"dagster/column_schema": columns, "dagster/table_name": table},
        code_version=_sql_version(table),
        **more,
    )


def _kinds(table: str) -> set[str]:
    if table == EXECUTIVE_BRIEF:
        return {"duckdb", "markdown", "json"}
    return {"duckdb", "sql"} if _sql_file(table).is_file() else {"duckdb", "polars"}


def _sql_file(table: str) -> Any:
    schema, name = table.split(".")
    return SQL_FOLDER / schema / f"{name}.sql"


def _sql_version(table: str) -> str | None:
    """Return a short hash of the table's SQL file, so that the UI says when the query has changed since."""
    file = _sql_file(table)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else None


def _description(contract: type[TableContract]) -> str:
    """Return what one row is; the columns stand below it on the same page, in the column schema."""
    if contract.qualified_name() != EXECUTIVE_BRIEF:
        return contract.grain()
    return (
        "The brief of each day: one status, one driver with its reason, one trend, one friction signal, one action, "
        "and how far to trust it. Each day's materialization shows its text. The table holds one row per day briefed; "
        "the same text lies in `warehouse/briefs/`."
    )


def _columns(contract: type[TableContract]) -> dg.TableSchema:
    columns = [_column(contract, promise) for promise in contract.columns()]
    key = f"one row per {', '.join(contract.key())}"
    return dg.TableSchema(columns=columns, constraints=dg.TableConstraints(other=[key]))


def _column(contract: type[TableContract], promise: ColumnPromise) -> dg.TableColumn:
    checks = [str(check.error) for check in contract.to_schema().columns[promise.name].checks]
    constraints = dg.TableColumnConstraints(
        nullable=promise.is_nullable, unique=contract.key() == (promise.name,), other=checks
    )
    return dg.TableColumn(promise.name, promise.duckdb_type, promise.comment, constraints)


def _raw_description(data_set: InputDataSet) -> str:
    rules = {
        "reference": "The last file is the whole truth.",
        "telemetry": f"Upserted by {', '.join(data_set.key)}; corrections and late records are normal.",
        "reported": f"Somebody else's figures, upserted by {', '.join(data_set.key)}; never used as truth.",
    }
    need = "Required." if data_set.is_required else "Optional."
    return (
        f"Records of `{data_set.name}` as they arrived, one row per record of every file. {need} {rules[data_set.kind]}"
    )


def _raw_columns(data_set: InputDataSet) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                DUCKDB_INPUT_TYPES[field.type],
                "A record without it is rejected." if field.is_required else "May be absent: then it is unknown.",
            )
            for field in data_set.fields
        ]
    )


def checks_of(group: str) -> list[Check]:
    """Return the checks of a stage's tables, besides their contracts."""
    return [check for check in CHECKS if group_of(check.table) == group]


def check_specs_of(group: str) -> list[dg.AssetCheckSpec]:
    """Return the checks of a stage: a blocking one for each contract, and the others."""
    contracts = [contract for contract in ALL_CONTRACTS if group_of(contract.qualified_name()) == group]
    return [*(_contract_check(contract) for contract in contracts), *map(_check_spec, checks_of(group))]


def _contract_check(contract: type[TableContract]) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        CONTRACT_CHECK,
        asset=key_of(contract.qualified_name()),
        blocking=True,
        description="Every row keeps the contract: types, ranges, allowed values, and one row per "
        f"{', '.join(contract.key())}. A failure is a fault of this program: the old table stays, nothing after it "
        "runs, and nothing is published.",
    )


def _check_spec(check: Check) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        check.name, asset=key_of(check.table), blocking=check.is_blocking, description=check.meaning
    )


def shown(rows: Iterable[Any]) -> dg.TableMetadataValue | None:
    """Return rows as a table that Dagster shows; None without rows."""
    records = [{name: _plain(value) for name, value in row.items()} for row in rows]
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records]) if records else None


def _plain(value: Any) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)

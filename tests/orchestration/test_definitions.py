"""The asset graph says what is true: every table, its contract, its columns, what it reads, and how it is checked."""

import re

import dagster as dg
import pytest

from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.contracts.inputs import DATA_SETS
from mission_pipeline.orchestration.assets import ASSETS, WRITER_POOL
from mission_pipeline.orchestration.definitions import defs
from mission_pipeline.orchestration.descriptions import key_of
from mission_pipeline.orchestration.edges import EXECUTIVE_BRIEF, READS
from mission_pipeline.orchestration.findings import CHECKS
from mission_pipeline.settings import SQL_FOLDER

GRAPH = defs.resolve_asset_graph()
NODES = {node.key: node for node in GRAPH.asset_nodes}
PACKAGE = SQL_FOLDER.parent / "mission_pipeline"
TABLE = re.compile(r"\b(?:from|join)\s+((?:raw|staging|marts|quality)\.[a-z_]+)")

contracts = pytest.mark.parametrize("contract", ALL_CONTRACTS, ids=lambda contract: contract.qualified_name())


def test_definitions_are_loadable():
    dg.Definitions.validate_loadable(defs)


def test_every_table_is_an_asset_under_its_name_and_the_brief_is_executive_brief():
    expected = {dg.AssetKey(["raw", data_set.name]) for data_set in DATA_SETS}
    expected |= {dg.AssetKey(c.qualified_name().split(".")) for c in ALL_CONTRACTS}
    expected -= {dg.AssetKey(["marts", "executive_briefs"])}
    expected |= {dg.AssetKey("executive_brief"), dg.AssetKey("published_warehouse")}
    assert set(NODES) == expected | {dg.AssetKey(["runner", "mission_runs"])}


@contracts
def test_an_asset_carries_the_words_of_its_contract(contract):
    node = NODES[key_of(contract.qualified_name())]
    assert node.description
    assert node.kinds
    assert node.owners
    schema = node.metadata["dagster/column_schema"]
    assert [(c.name, c.type, c.description, c.constraints.nullable) for c in schema.columns] == [
        (p.name, p.duckdb_type, p.comment, p.is_nullable) for p in contract.columns()
    ]


@contracts
def test_every_contract_has_a_blocking_check(contract):
    check = GRAPH.get_check_spec(dg.AssetCheckKey(key_of(contract.qualified_name()), "contract"))
    assert check.blocking
    assert check.description


def test_what_is_not_the_programs_fault_only_warns():
    blocking = {check.name for check in CHECKS if check.is_blocking}
    assert blocking == {"conservation_of_rows"}
    for check in CHECKS:
        assert GRAPH.get_check_spec(dg.AssetCheckKey(key_of(check.table), check.name)).blocking is check.is_blocking


def test_assets_stand_in_the_group_of_the_stage_that_makes_them():
    groups = {node.group_name: set() for node in NODES.values()}
    for key, node in NODES.items():
        groups[node.group_name].add(key.to_user_string())
    assert set(groups) == {"ingest", "validate", "derive", "judge", "brief", "runner"}
    assert "raw/mission_runs" in groups["ingest"]
    assert {"staging/mission_runs", "quality/rejected_rows"} <= groups["validate"]
    assert {"marts/run_kpi_deltas", "marts/task_friction"} <= groups["derive"]
    assert groups["judge"] == {
        "marts/mission_scorecards",
        "marts/mission_triggers",
        "marts/portfolio_snapshots",
        "quality/policy_limits",
        "quality/reconciliation",
    }
    assert groups["brief"] == {"executive_brief", "marts/verdict_figures", "published_warehouse"}


def test_what_is_judged_by_day_has_days_and_a_backfill_is_one_run():
    partitioned = {node.group_name for node in NODES.values() if node.is_partitioned}
    assert partitioned == {"judge", "brief"}
    for assets in ASSETS:
        days = {spec.partitions_def for spec in assets.specs}
        assert len(days) == 1, "Dagster refuses a backfill from the UI over a step of both kinds"
        if days != {None}:
            assert assets.backfill_policy == dg.BackfillPolicy.single_run()


def test_edges_are_what_is_read():
    for table, reads in READS.items():
        assert set(NODES[key_of(table)].parent_keys) == {key_of(read) for read in reads}, table
    assert len(NODES[dg.AssetKey("published_warehouse")].parent_keys) == len(ALL_CONTRACTS)


@pytest.mark.parametrize(
    "file", sorted(f for f in SQL_FOLDER.rglob("*.sql") if "weekly" not in f.stem), ids=lambda file: file.stem
)
def test_the_graph_has_an_edge_for_every_table_that_a_sql_file_reads(file):
    """Scratch tables of the build (such as raw.set_aside) are no assets."""
    table = f"{file.parent.name}.{file.stem}"
    read = {name for name in _tables_read(file.read_text(encoding="utf-8")) if name in READS}
    assert read <= set(READS[table])


@pytest.mark.parametrize(
    ("room", "tables"),
    [
        ("judge", ["marts.mission_scorecards", "marts.mission_triggers", "marts.portfolio_snapshots"]),
        ("brief", [EXECUTIVE_BRIEF]),
    ],
)
def test_the_graph_has_an_edge_for_every_table_that_a_room_reads(room, tables):
    own = {*tables, EXECUTIVE_BRIEF, "quality.reconciliation"}
    files = [
        f
        for f in (PACKAGE / room).rglob("*.py")
        if f.stem not in ("exports", "run_facts", "verdict", "what_to_fix", "wait_assumption")
    ]
    read = set().union(*(_tables_read(f.read_text(encoding="utf-8")) for f in files))
    for table in tables:
        assert read - own <= set(READS[table])


def _tables_read(text: str) -> set[str]:
    return set(TABLE.findall(re.sub(r"--[^\n]*", "", text)))


def test_every_step_writes_in_the_pool_of_one():
    job = defs.resolve_job_def("daily_refresh")
    assert {node.name for node in job.graph.nodes} == {"ingest", "validate", "derive", "judge", "brief"}
    assert {node.definition.pool for node in job.graph.nodes} == {WRITER_POOL}


def test_runs_stay_in_one_process():
    assert defs.resolve_job_def("daily_refresh").executor_def.name == "in_process"


def test_mission_runs_are_shown_and_never_executed():
    node = NODES[dg.AssetKey(["runner", "mission_runs"])]
    assert node.is_external
    assert not node.is_executable
    assert node.description
    assert node.kinds
    assert node.owners
    executed = defs.resolve_job_def("daily_refresh").asset_layer.executable_asset_keys
    assert node.key not in executed

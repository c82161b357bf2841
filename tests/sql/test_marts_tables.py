"""What holds of every derived table: its order, what it reads, empty and shuffled staging tables."""

import random
import re
from pathlib import Path

import pytest
from derive_data import derive, given, given_shipped
from shipped_sample import SAMPLE

from mission_pipeline.contracts.derived import DERIVED_CONTRACTS
from mission_pipeline.derive.limits import limits_by_mission
from mission_pipeline.derive.tables import DERIVED_TABLES
from mission_pipeline.settings import SQL_FOLDER
from mission_pipeline.warehouse import Warehouse

NAMES = [table.contract.qualified_name() for table in DERIVED_TABLES]


def test_every_promised_table_is_made():
    assert {table.contract for table in DERIVED_TABLES} == set(DERIVED_CONTRACTS)


def test_each_table_comes_after_those_it_reads():
    for place, table in enumerate(DERIVED_TABLES):
        derived = [name for name in table.reads if name.startswith("marts.")]
        assert set(derived) <= set(NAMES[:place])


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=NAMES)
def test_what_a_table_reads_is_what_its_sql_names_and_no_more(table, build, policy):
    """A table that reads only what it says can be written when nothing else is there."""
    given(build)
    derive(build, policy)
    for name in NAMES:
        if name not in table.reads:
            build.execute(f"drop table {name}")
    for name in ("missions", "mission_tasks", "agents", "agent_capabilities", "mission_kpis", "mission_runs",
                 "run_kpis", "task_executions", "risk_events"):  # fmt: skip
        if f"staging.{name}" not in table.reads:
            build.execute(f"drop table staging.{name}")
    assert table.write(build, policy) == 0
    text = (SQL_FOLDER / f"{table.contract.qualified_name().replace('.', '/')}.sql").read_text(encoding="utf-8")
    assert set(re.findall(r"\b(?:from|join)\s+((?:staging|marts)\.\w+)", text)) <= set(table.reads)


def test_without_any_run_every_table_is_there_and_empty(build, policy):
    given(build)
    derive(build, policy)
    assert [build.scalar(f"select count(*) from {name}") for name in NAMES] == [0] * len(NAMES)


def tables_of(folder: Path, policy, order: random.Random | None):
    with Warehouse(folder).build() as build:
        given_shipped(build, SAMPLE)
        if order is not None:
            for name in ("mission_runs", "task_executions", "run_kpis", "risk_events", "mission_tasks"):
                rows = build.frame(f"select * from staging.{name}")
                shuffled = rows[order.sample(range(rows.height), rows.height)]
                with build.view_of("shuffled", shuffled):
                    build.execute(f"create or replace table staging.{name} as from shuffled")
        derive(build, policy)
        derive(build, policy)  # again: each table is replaced whole
        return {name: sorted(map(repr, build.frame(f"select * from {name}").rows())) for name in NAMES}


def test_the_order_of_the_rows_changes_no_figure(tmp_path, policy):
    assert tables_of(tmp_path / "plain", policy, None) == tables_of(tmp_path / "shuffled", policy, random.Random(3))


def test_limits_of_a_mission_are_the_policys_unless_overridden(policy):
    own = policy.model_validate(
        {**policy.model_dump(), "missions": {"M": {"primary_kpi": "x", "friction": {"decay_per_run": 0.25}}}}
    )
    limits = limits_by_mission(["M", "N"], own)
    assert limits["mission_id"].to_list() == ["M", "N"]
    assert limits["friction_decay_per_run"].to_list() == [0.25, policy.friction.decay_per_run]
    assert limits["risk_rules_long_run_median_ratio"].to_list() == [policy.risk_rules.long_run.median_ratio] * 2


def test_limits_of_no_mission_are_an_empty_frame(policy):
    limits = limits_by_mission([], policy)
    assert limits.height == 0
    assert "autonomy_max_delay_points" in limits.columns

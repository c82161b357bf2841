"""Which tables are read to make each table: the edges of the asset graph. Says nothing of how they are made.

Derived tables state what they read where they are made; a test holds the rest against the queries.
"""

from __future__ import annotations

from collections.abc import Mapping

from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.contracts.inputs import DATA_SETS
from mission_pipeline.derive.tables import DERIVED_TABLES
from mission_pipeline.validate.references import REFERENCES

EXECUTIVE_BRIEF = "marts.executive_briefs"
VERDICT_FIGURES = "marts.verdict_figures"

DATA_SET_OF_STAGING: Mapping[str, str] = {
    "staging.missions": "business_missions",
    "staging.mission_tasks": "decomposed_mission_tasks",
    "staging.agents": "specialized_agents",
    "staging.agent_capabilities": "agent_capabilities_matrix",
    "staging.mission_kpis": "mission_kpis",
    "staging.mission_runs": "mission_runs",
    "staging.task_executions": "task_execution_logs",
    "staging.risk_events": "mission_risk_events",
    "staging.reported_agent_stats": "agent_performance_stats",
    "staging.reported_portfolio_snapshots": "mission_portfolio_snapshot",
}
"""The data set whose records a staged table holds."""

_RAW = tuple(data_set.raw_table for data_set in DATA_SETS)
_JUDGED_FROM = (
    "staging.missions",
    "staging.mission_tasks",
    "staging.mission_kpis",
    "staging.risk_events",
    "marts.mission_run_facts",
    "marts.run_kpi_deltas",
    "marts.task_friction",
)


def _staged_from() -> dict[str, tuple[str, ...]]:
    """Each staged table is made of its data set, and of what that refers to."""
    edges = {}
    for table, data_set in DATA_SET_OF_STAGING.items():
        references, _ = REFERENCES.get(data_set, ((), ()))
        edges[table] = (f"raw.{data_set}", *dict.fromkeys(reference.table for reference in references))
    return edges


READS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((*_RAW, "quality.loaded_files"), ()),
    **_staged_from(),
    "staging.run_kpis": ("raw.mission_runs", "staging.mission_runs", "staging.mission_kpis"),
    "quality.rejected_rows": _RAW,
    "quality.row_counts": (*_RAW, "quality.loaded_files", "quality.rejected_rows"),
    "quality.schema_drift": (*_RAW, "staging.run_kpis"),
    "quality.plan_findings": ("staging.mission_tasks", "staging.agent_capabilities"),
    "quality.data_warnings": (
        *_RAW,
        "staging.mission_runs",
        "staging.task_executions",
        "staging.mission_tasks",
        "staging.agent_capabilities",
    ),
    **{table.contract.qualified_name(): table.reads for table in DERIVED_TABLES},
    "marts.mission_scorecards": _JUDGED_FROM,
    "marts.mission_triggers": _JUDGED_FROM,
    "marts.portfolio_snapshots": _JUDGED_FROM,
    "quality.reconciliation": (
        "staging.reported_agent_stats",
        "staging.reported_portfolio_snapshots",
        "marts.agent_rolling_stats",
        "marts.portfolio_snapshots",
    ),
    "quality.policy_limits": (),
    VERDICT_FIGURES: (
        *_JUDGED_FROM,
        "staging.task_executions",
        "marts.mission_scorecards",
        "marts.mission_triggers",
        "marts.portfolio_snapshots",
        "quality.row_counts",
    ),
    EXECUTIVE_BRIEF: (
        "staging.missions",
        "staging.mission_tasks",
        "staging.mission_kpis",
        "staging.task_executions",
        "staging.risk_events",
        "marts.mission_run_facts",
        "marts.run_kpi_deltas",
        "marts.task_friction",
        "marts.risk_signals",
        "marts.mission_scorecards",
        "marts.mission_triggers",
        "marts.portfolio_snapshots",
        VERDICT_FIGURES,
        "quality.policy_limits",
        "quality.loaded_files",
        "quality.rejected_rows",
        "quality.row_counts",
        "quality.schema_drift",
        "quality.plan_findings",
        "quality.data_warnings",
        "quality.reconciliation",
    ),
}
"""Table → tables read to make it, by qualified names."""

PUBLISHED = tuple(contract.qualified_name() for contract in ALL_CONTRACTS)
"""What publishing copies."""

"""The derived tables in the order in which they are made: what each reads and what writes it. No rule of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mission_pipeline.contracts.base import TableContract
from mission_pipeline.contracts.derived import (
    AgentRollingStats,
    AgentRouting,
    MissionRunFacts,
    RiskSignals,
    RunKpiDeltas,
    TaskFriction,
    TaskOverrunRates,
)
from mission_pipeline.derive.agent_rolling_stats import write_agent_rolling_stats
from mission_pipeline.derive.escalation_shares import escalation_shares_of
from mission_pipeline.derive.limits import limits_of
from mission_pipeline.derive.risk_signals import write_risk_signals
from mission_pipeline.derive.task_friction import write_task_friction
from mission_pipeline.derive.task_overrun_rates import write_task_overrun_rates
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build


@dataclass(frozen=True)
class DerivedTable:
    """One table of ``marts``: its promise, what writes it (returning the rows), and the tables that it reads."""

    contract: type[TableContract]
    write: Callable[[Build, Policy], int]
    reads: tuple[str, ...]


def write_mission_run_facts(build: Build, policy: Policy) -> int:
    """Write ``marts.mission_run_facts`` and return its number of rows."""
    with limits_of(build, policy):
        return build.replace_table(MissionRunFacts, sql="marts/mission_run_facts")


def write_run_kpi_deltas(build: Build, policy: Policy) -> int:
    """Write ``marts.run_kpi_deltas`` and return its number of rows."""
    with limits_of(build, policy):
        return build.replace_table(RunKpiDeltas, sql="marts/run_kpi_deltas")


def write_agent_routing(build: Build, policy: Policy) -> int:
    """Write ``marts.agent_routing`` and return its number of rows."""
    with limits_of(build, policy), escalation_shares_of(build):
        return build.replace_table(AgentRouting, sql="marts/agent_routing")


DERIVED_TABLES: tuple[DerivedTable, ...] = (
    DerivedTable(
        MissionRunFacts,
        write_mission_run_facts,
        ("staging.missions", "staging.mission_tasks", "staging.mission_runs", "staging.task_executions"),
    ),
    DerivedTable(
        AgentRouting,
        write_agent_routing,
        (
            "staging.missions",
            "staging.mission_tasks",
            "staging.agents",
            "staging.agent_capabilities",
            "staging.mission_runs",
            "staging.task_executions",
            "staging.risk_events",
        ),
    ),
    DerivedTable(
        TaskFriction,
        write_task_friction,
        (
            "staging.missions",
            "staging.mission_tasks",
            "staging.task_executions",
            "staging.risk_events",
            "marts.mission_run_facts",
        ),
    ),
    DerivedTable(
        RunKpiDeltas,
        write_run_kpi_deltas,
        ("staging.missions", "staging.mission_kpis", "staging.run_kpis", "marts.mission_run_facts"),
    ),
    DerivedTable(
        RiskSignals,
        write_risk_signals,
        (
            "staging.missions",
            "staging.mission_tasks",
            "staging.mission_kpis",
            "staging.task_executions",
            "staging.risk_events",
            "marts.mission_run_facts",
            "marts.run_kpi_deltas",
        ),
    ),
    DerivedTable(
        TaskOverrunRates,
        write_task_overrun_rates,
        (
            "staging.missions",
            "staging.mission_tasks",
            "staging.task_executions",
            "staging.risk_events",
            "marts.task_friction",
        ),
    ),
    DerivedTable(
        AgentRollingStats,
        write_agent_rolling_stats,
        (
            "staging.missions",
            "staging.mission_tasks",
            "staging.mission_runs",
            "staging.task_executions",
            "staging.risk_events",
            "marts.mission_run_facts",
        ),
    ),
)
"""Every derived table, each after those it reads; those that take long come early, for two are made at a time."""

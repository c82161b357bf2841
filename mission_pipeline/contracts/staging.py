"""Contracts of ``staging``: the input, typed and valid, one table per thing. Nothing derived."""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.base import TableContract, column
from mission_pipeline.contracts.inputs import EVENT_STATUSES, MAX_DURATION_MINUTES, OUTCOMES, RUN_STATUSES, SEVERITIES

DIRECTIONS = ("lower_is_better", "higher_is_better", "unknown")
KPI_KINDS = ("target", "floor", "ceiling")


def _minutes(description: str) -> float:
    return column(description, unit="minutes", nullable=True, ge=0, le=MAX_DURATION_MINUTES)  # type: ignore[no-any-return]


class Missions(TableContract):
    """One row per business mission."""

    mission_id: str = column("Mission, as every other table names it.", source="business_missions")
    mission_name: str = column("What people call the mission; NULL when not given.", nullable=True)
    description: str = column("What the mission is for; NULL when not given.", nullable=True)
    owner: str = column("Who answers for the mission; NULL when nobody is named.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "staging.missions", ["mission_id"]


class MissionTasks(TableContract):
    """One row per task of a mission's plan."""

    mission_id: str = column("Mission that the task belongs to.", source="decomposed_mission_tasks")
    task_id: str = column("Task; unique across missions.")
    task_name: str = column("What people call the task; NULL when not given.", nullable=True)
    task_order: int = column("Place in the plan's order; NULL when not given.", nullable=True)
    depends_on: pl.List(pl.String) = column("Tasks that must be done before this one; empty when none.")  # type: ignore[valid-type]
    estimated_duration_minutes: float = _minutes("Planned duration; NULL when the plan has no estimate.")
    requires_human_approval: bool = column("Whether the plan has a human gate here; NULL when not said.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "staging.mission_tasks", ["task_id"]


class Agents(TableContract):
    """One row per specialized agent."""

    agent_id: str = column("Agent, as every other table names it.", source="specialized_agents")
    agent_name: str = column("What people call the agent; NULL when not given.", nullable=True)
    description: str = column("What the agent does; NULL when not given.", nullable=True)
    status: str = column("Whether it can be given work, such as `available`; NULL when not given.", nullable=True)
    endpoint: str = column("How the mission runner reaches it, as JSON; NULL when it cannot.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "staging.agents", ["agent_id"]


class AgentCapabilities(TableContract):
    """One row per task and agent that is able to do it."""

    task_id: str = column("Task.", source="agent_capabilities_matrix")
    agent_id: str = column("Agent able to do the task.")

    class Config:
        """Place and key."""

        name, unique = "staging.agent_capabilities", ["task_id", "agent_id"]


class MissionKpis(TableContract):
    """One row per mission and KPI that it is held to."""

    mission_id: str = column("Mission.", source="mission_kpis")
    kpi_name: str = column("KPI, as runs report it; `steps` is the observed side of `max_steps`.")
    kpi_order: int = column("Place among the mission's KPIs as written, from 1.", ge=1)
    kpi_kind: str = column(
        "`target` to be reached, `floor` or `ceiling` to be kept.", isin=list(KPI_KINDS)
    )
    direction: str = column(
        "Which way is better; `unknown` for a target without a baseline or equal to it.", isin=list(DIRECTIONS)
    )
    is_primary: bool = column("Whether this is the KPI by which the mission is judged.")
    baseline_value: float = column("Value before the mission; NULL when none.", unit="KPI's own", nullable=True)
    target_value: float = column("Target, floor or ceiling; NULL when only a baseline is given.", unit="KPI's own", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "staging.mission_kpis", ["mission_id", "kpi_name"]


class MissionRuns(TableContract):
    """One row per execution of a mission."""

    run_id: str = column("Run.", source="mission_runs")
    mission_id: str = column("Mission that was run.")
    start_time: pl.Datetime("us") = column("When it started.", unit="UTC")  # type: ignore[valid-type]
    end_time: pl.Datetime("us") = column("When it ended; NULL while open or not reported.", unit="UTC", nullable=True)  # type: ignore[valid-type]
    status: str = column("State of the run.", isin=list(RUN_STATUSES))
    total_duration_minutes: float = _minutes("Reported duration; NULL when not reported.")
    human_interventions: int = column("Times that a human stepped in; NULL when not reported.", unit="count", nullable=True, ge=0)
    escalations: int = column("Times that work was escalated; NULL when not reported.", unit="count", nullable=True, ge=0)
    risk_flagged: bool = column("Whether the run was flagged as risky; NULL when not reported.", nullable=True)
    requested_by: str = column("Who asked for the run; NULL when not reported.", nullable=True)
    priority: str = column("Priority as given; NULL when not reported.", nullable=True)
    created_at: pl.Datetime("us") = column("When it was asked for; NULL when not reported.", unit="UTC", nullable=True)  # type: ignore[valid-type]
    extra_fields: str = column("Fields that nobody specified, as a JSON object; NULL when none.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "staging.mission_runs", ["run_id"]


class RunKpis(TableContract):
    """One row per run and KPI that the run reports."""

    run_id: str = column("Run.", source="mission_runs")
    mission_id: str = column("Mission that was run.")
    kpi_name: str = column("KPI, as the run names it.")
    kpi_value: float = column("Observed value.", unit="KPI's own")
    is_specified: bool = column("Whether the mission is held to this KPI; if not it has no row in the marts.")

    class Config:
        """Place and key."""

        name, unique = "staging.run_kpis", ["run_id", "kpi_name"]


class TaskExecutions(TableContract):
    """One row per attempt at a task in a run."""

    run_id: str = column("Run.", source="task_execution_logs")
    task_id: str = column("Task that was executed.")
    attempt: int = column("Attempt within the run, from 1; 1 when not reported.", ge=1)
    mission_id: str = column("Mission of the run.")
    agent_id: str = column("Agent that did it.")
    actual_duration_minutes: float = _minutes("Duration of the work; NULL when not reported.")
    human_approval_required: bool = column("Whether a human had to approve this execution; NULL when not reported.", nullable=True)
    human_delay_minutes: float = _minutes("Wait for a human; NULL when not reported.")
    outcome: str = column("How it ended.", isin=list(OUTCOMES))
    started_at: pl.Datetime("us") = column("When it started; NULL when not reported.", unit="UTC", nullable=True)  # type: ignore[valid-type]
    finished_at: pl.Datetime("us") = column("When it ended; NULL when not reported.", unit="UTC", nullable=True)  # type: ignore[valid-type]
    approval_request_time: pl.Datetime("us") = column("When approval was asked for; NULL when not reported.", unit="UTC", nullable=True)  # type: ignore[valid-type]
    extra_fields: str = column("Fields that nobody specified, as a JSON object; NULL when none.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "staging.task_executions", ["run_id", "task_id", "attempt"]


class RiskEvents(TableContract):
    """One row per risk event that somebody reported."""

    event_id: str = column("Event.", source="mission_risk_events")
    run_id: str = column("Run in which it was seen.")
    mission_id: str = column("Mission of the run.")
    task_id: str = column("Task that it concerns.")
    risk_type: str = column("Kind of risk in the reporter's words; NULL when not reported.", nullable=True)
    severity: str = column("Severity as reported; NULL when not reported.", nullable=True, isin=list(SEVERITIES))
    description: str = column("What was seen; NULL when not reported.", nullable=True)
    detected_at: pl.Datetime("us") = column("When it was detected; NULL when not reported.", unit="UTC", nullable=True)  # type: ignore[valid-type]
    status: str = column("Latest known state.", isin=list(EVENT_STATUSES))
    extra_fields: str = column("Fields that nobody specified, as a JSON object; NULL when none.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "staging.risk_events", ["event_id"]


class ReportedAgentStats(TableContract):
    """One row per agent and day, as somebody else reported it; never used as truth."""

    agent_id: str = column("Agent.", source="agent_performance_stats")
    last_updated: pl.Date = column("Day of the report.", unit="UTC date")
    avg_task_duration_minutes: float = _minutes("Reported mean duration; NULL when not reported.")
    approval_rate: float = column("Reported approval rate; NULL when not reported.", unit="share 0-1", nullable=True, ge=0, le=1)
    escalation_rate: float = column("Reported escalations per execution; NULL when not reported.", unit="per execution", nullable=True, ge=0)

    class Config:
        """Place and key."""

        name, unique = "staging.reported_agent_stats", ["agent_id", "last_updated"]


class ReportedPortfolioSnapshots(TableContract):
    """One row per day of the portfolio, as somebody else reported it; never used as truth."""

    snapshot_date: pl.Date = column("Day of the report.", source="mission_portfolio_snapshot", unit="UTC date")
    active_runs: int = column("Reported open runs; NULL when not reported.", unit="count", nullable=True, ge=0)
    completed_runs: int = column("Reported completed runs; NULL when not reported.", unit="count", nullable=True, ge=0)
    missions_at_risk: int = column("Reported missions at risk; NULL when not reported.", unit="count", nullable=True, ge=0)
    avg_kpi_improvement_pct: float = column("Reported mean improvement; NULL when not reported.", unit="percent", nullable=True)
    top_bottleneck_task_id: str = column("Reported bottleneck; NULL when not reported.", nullable=True)
    top_bottleneck_task_name: str = column("Its reported name; NULL when not reported.", nullable=True)
    escalations_last_24h: int = column("Reported escalations of the day; NULL when not reported.", unit="count", nullable=True, ge=0)
    human_interventions_last_24h: int = column("Reported interventions of the day; NULL when not reported.", unit="count", nullable=True, ge=0)

    class Config:
        """Place and key."""

        name, unique = "staging.reported_portfolio_snapshots", ["snapshot_date"]


STAGING_CONTRACTS: tuple[type[TableContract], ...] = (
    Missions, MissionTasks, Agents, AgentCapabilities, MissionKpis, MissionRuns, RunKpis, TaskExecutions, RiskEvents,
    ReportedAgentStats, ReportedPortfolioSnapshots,
)

"""Contracts of the ``marts`` tables that follow from the telemetry without any judgement by day."""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.base import TableContract, column
from mission_pipeline.contracts.inputs import RUN_STATUSES, SEVERITIES
from mission_pipeline.contracts.staging import DIRECTIONS

TARGET_STATUSES = ("met", "near", "off")
BOTTLENECK_STATUSES = ("clear", "isolated", "recurring", "persistent")
BOTTLENECK_DRIVERS = ("approval_delay", "task_overrun", "risk", "none")
STAT_WINDOWS = ("7d", "30d", "all")
ROUTING_EVIDENCE = ("none", "thin", "sufficient")
RISK_RULES = (
    "task_overrun", "approval_delay", "rework", "repeated_failures", "dependency_failed", "limit_breached",
    "target_missed", "long_run",
)


class RunKpiDeltas(TableContract):
    """One row per run and specified KPI observed in it."""

    run_id: str = column("Run.")
    mission_id: str = column("Mission of the run.")
    run_seq: int = column("Place among the mission's runs by start_time, run_id; from 1.", ge=1)
    run_date: pl.Date = column("Day of the end, or of the start while open.", unit="UTC date")
    kpi_name: str = column("KPI; `steps` counts the distinct tasks that a completed run executed.")
    direction: str = column("Which way is better.", isin=list(DIRECTIONS))
    is_primary: bool = column("Whether the mission is judged by this KPI.")
    kpi_value: float = column("Observed value.", unit="KPI's own", source="staging.run_kpis")
    baseline_value: float = column("Value before the mission; NULL when none is given.", unit="KPI's own", nullable=True)
    target_value: float = column("Target, or the limit of a floor or ceiling; NULL when none.", unit="KPI's own", nullable=True)
    first_value: float = column("The mission's first observed value.", unit="KPI's own")
    previous_value: float = column("Last earlier observed value; NULL for the first.", unit="KPI's own", nullable=True)
    improvement_vs_previous_pct: float = column("Improvement on the previous value, better is positive; NULL without a previous value or direction, or if it is 0.", unit="percent", nullable=True)
    improvement_vs_first_pct: float = column("Improvement on the first value, better is positive; NULL without a direction or if it is 0.", unit="percent", nullable=True)
    improvement_vs_baseline_pct: float = column("Improvement on the baseline, better is positive; NULL without a baseline or direction, or if it is 0.", unit="percent", nullable=True)
    gap_to_target: float = column("What is missing to the target, 0 when met; NULL without a target or direction.", unit="KPI's own", nullable=True, ge=0)
    gap_to_target_pct: float = column("The gap relative to |target|; NULL without a gap or if the target is 0.", unit="percent", nullable=True, ge=0)
    attainment_share: float = column("(baseline - value) / (baseline - target), not clipped; NULL without a baseline or direction.", unit="share", nullable=True)
    target_status: str = column("met (no gap), near (gap within the policy's share of the target), off; NULL when unknown.", nullable=True, isin=list(TARGET_STATUSES))

    class Config:
        """Place and key."""

        name, unique = "marts.run_kpi_deltas", ["run_id", "kpi_name"]


class MissionRunFacts(TableContract):
    """One row per run."""

    run_id: str = column("Run.")
    mission_id: str = column("Mission that was run.")
    run_seq: int = column("Place among the mission's runs by start_time, run_id; from 1.", ge=1)
    run_date: pl.Date = column("Day of the end, or of the start while open.", unit="UTC date")
    start_time: pl.Datetime("us") = column("When it started.", unit="UTC")  # type: ignore[valid-type]
    end_time: pl.Datetime("us") = column("When it ended; NULL while open or not reported.", unit="UTC", nullable=True)  # type: ignore[valid-type]
    status: str = column("State of the run.", isin=list(RUN_STATUSES))
    total_duration_minutes: float = column("Reported duration; NULL when not reported.", unit="minutes", nullable=True, ge=0)
    task_minutes: float = column("Sum of its executions' durations; NULL without a log or with an unknown part.", unit="minutes", nullable=True, ge=0)
    approval_delay_minutes: float = column("Sum of waits of executions that required approval; NULL without a log or with an unknown part.", unit="minutes", nullable=True, ge=0)
    overrun_minutes: float = column("Sum of minutes over the estimate; NULL without a log or with an unknown part.", unit="minutes", nullable=True, ge=0)
    unattributed_minutes: float = column("Total less tasks less approval delay, never below 0: waiting that no log explains; NULL when a part is unknown.", unit="minutes", nullable=True, ge=0)
    flow_efficiency: float = column("task_minutes / total_duration_minutes, above 1 where tasks overlap; NULL when unknown or the total is 0.", unit="share", nullable=True, ge=0)
    tasks_executed: int = column("Distinct tasks executed.", unit="count", ge=0)
    reworked_tasks: int = column("Distinct tasks with a second attempt or a rejection.", unit="count", ge=0)
    human_interventions: int = column("As reported; NULL when not reported.", unit="count", nullable=True, ge=0)
    escalations: int = column("As reported; NULL when not reported.", unit="count", nullable=True, ge=0)
    risk_flagged: bool = column("As reported; NULL when not reported.", nullable=True)
    autonomy_score: float = column("How far the run did without people; NULL for cancelled and open runs and when a part is unknown.", unit="points 0-100", nullable=True, ge=0, le=100)
    is_touchless: bool = column("Completed with no intervention and no escalation reported; NULL where either is not reported or the run is open.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "marts.mission_run_facts", ["run_id"]


class TaskFriction(TableContract):
    """One row per mission, task and day on which a run's executions of it, or an event of it, became known: friction as of that day."""

    mission_id: str = column("Mission.")
    task_id: str = column("Task.")
    friction_date: pl.Date = column("Day as of whose end the row holds.", unit="UTC date")
    runs_executed: int = column("Runs that executed the task so far.", unit="count", ge=1)
    runs_measured: int = column("Those of them whose friction is known.", unit="count", ge=0)
    friction_minutes: float = column("Minutes over the estimate plus waiting, summed within a run, averaged over runs, each older run counting half; NULL when unknown in every run.", unit="minutes", nullable=True, ge=0)
    recent_hits: int = column("Hits among the last runs that the policy looks at.", unit="count", ge=0)
    mean_actual_minutes: float = column("Mean duration per execution so far; NULL when none is known.", unit="minutes", nullable=True, ge=0)
    mean_human_delay_minutes: float = column("Mean wait per execution so far; NULL when none is known.", unit="minutes", nullable=True, ge=0)
    risk_events: int = column("Reported events that name the task, so far.", unit="count", ge=0)
    bottleneck_status: str = column("How often it was a hit in its last runs.", isin=list(BOTTLENECK_STATUSES))
    bottleneck_driver: str = column("What makes it one.", isin=list(BOTTLENECK_DRIVERS))

    class Config:
        """Place and key."""

        name, unique = "marts.task_friction", ["mission_id", "task_id", "friction_date"]


class TaskOverrunRates(TableContract):
    """One row per mission and task with at least one execution."""

    mission_id: str = column("Mission.")
    task_id: str = column("Task.")
    task_name: str = column("What people call the task; NULL when not given.", nullable=True)
    executions: int = column("Attempts recorded.", unit="count", ge=1)
    estimated_minutes: float = column("Planned duration; NULL when the plan has none.", unit="minutes", nullable=True, ge=0)
    mean_actual_minutes: float = column("Mean of known durations; NULL when none is known.", unit="minutes", nullable=True, ge=0)
    median_actual_minutes: float = column("Median of known durations; NULL when none is known.", unit="minutes", nullable=True, ge=0)
    p90_actual_minutes: float = column("90th percentile of known durations, interpolated; NULL when none is known.", unit="minutes", nullable=True, ge=0)
    measured_executions: int = column("Executions whose duration and estimate are known: what overrun_rate divides by.", unit="count", ge=0)
    overrun_count: int = column("Executions longer than the estimate.", unit="count", ge=0)
    overrun_rate: float = column("overrun_count / measured_executions; NULL when none is measured.", unit="share 0-1", nullable=True, ge=0, le=1)
    overrun_rate_low: float = column("Lower end of its Wilson interval; NULL when none is measured.", unit="share 0-1", nullable=True, ge=0, le=1)
    overrun_rate_high: float = column("Upper end of its Wilson interval; NULL when none is measured.", unit="share 0-1", nullable=True, ge=0, le=1)
    mean_overrun_minutes: float = column("Mean minutes over the estimate, 0 for those within it; NULL when none is measured.", unit="minutes", nullable=True, ge=0)
    mean_human_delay_minutes: float = column("Mean of known waits; NULL when none is known.", unit="minutes", nullable=True, ge=0)
    risk_events: int = column("Reported events that name the task.", unit="count", ge=0)
    friction_minutes: float = column("Latest figure of marts.task_friction; NULL when unknown.", unit="minutes", nullable=True, ge=0)
    bottleneck_status: str = column("Latest status of marts.task_friction.", isin=list(BOTTLENECK_STATUSES))
    bottleneck_driver: str = column("Latest driver of marts.task_friction.", isin=list(BOTTLENECK_DRIVERS))
    is_top_bottleneck: bool = column("Whether it has the most friction minutes of its mission.")

    class Config:
        """Place and key."""

        name, unique = "marts.task_overrun_rates", ["mission_id", "task_id"]


class AgentRollingStats(TableContract):
    """One row per agent, day with activity, and window."""

    agent_id: str = column("Agent.")
    stat_date: pl.Date = column("Last day of the window.", unit="UTC date")
    stat_window: str = column("7d and 30d: that many calendar days up to stat_date; all: every day up to it.", isin=list(STAT_WINDOWS))
    executions: int = column("Executions in the window.", unit="count", ge=1)
    avg_task_duration_minutes: float = column("Mean of known durations; NULL when none is known.", unit="minutes", nullable=True, ge=0)
    approval_decisions: int = column("Executions approved or rejected.", unit="count", ge=0)
    approval_rate: float = column("Approved / decisions; NULL without a decision.", unit="share 0-1", nullable=True, ge=0, le=1)
    escalation_rate: float = column("The agent's shares of its runs' escalations, per execution whose run reports them; NULL when none does.", unit="per execution", nullable=True, ge=0)
    overrun_rate: float = column("Executions over their estimate / executions measured; NULL when none is.", unit="share 0-1", nullable=True, ge=0, le=1)
    avg_human_delay_minutes: float = column("Mean of known waits; NULL when none is known.", unit="minutes", nullable=True, ge=0)

    class Config:
        """Place and key."""

        name, unique = "marts.agent_rolling_stats", ["agent_id", "stat_date", "stat_window"]


class AgentRouting(TableContract):
    """One row per task and agent that is capable of it."""

    task_id: str = column("Task.")
    agent_id: str = column("Capable agent.")
    rank: int = column("Place among the task's agents, 1 is best; ties by agent_id.", ge=1)
    score: float = column("Weighted speed and quality.", unit="points 0-1", ge=0, le=1)
    speed_score: float = column("Speed against the task's own estimate, over executions that delivered, shrunk towards the prior.", unit="points 0-1", ge=0, le=1)
    quality_score: float = column("1 - mean fault per execution, shrunk towards the prior: 1 where it failed, timed out, was rejected or escalated, else its share of its run's escalations, at most 1; cancelled ones are left out.", unit="points 0-1", ge=0, le=1)
    executions: int = column("Executions of this task by this agent, cancelled ones included.", unit="count", ge=0)
    evidence: str = column("From the executions that were not cancelled: none, thin (fewer than the prior weighs), sufficient.", isin=list(ROUTING_EVIDENCE))

    class Config:
        """Place and key."""

        name, unique = "marts.agent_routing", ["task_id", "agent_id"]


class RiskSignals(TableContract):
    """One row per risk that the rules detect in the telemetry."""

    signal_id: str = column("Signal: rule, run and what it concerns.")
    run_id: str = column("Run.")
    mission_id: str = column("Mission of the run.")
    task_id: str = column("Task; NULL when the run as a whole or a KPI is concerned.", nullable=True)
    kpi_name: str = column("KPI; NULL when none is concerned.", nullable=True)
    risk_type: str = column("Kind of risk, as people speak of it.")
    severity: str = column("From the policy.", isin=list(SEVERITIES))
    observed_value: float = column("What was observed, such as minutes for approval_delay.", unit="rule's own")
    threshold: float = column("The limit that it passed.", unit="rule's own")
    rule: str = column("The rule that fired.", isin=list(RISK_RULES))
    reported_event_id: str = column("Event that was reported for the same thing: the same task, the same KPI, or, where the whole run is concerned, under the rule's name; NULL when none was.", nullable=True)

    class Config:
        """Place and key."""

        name, unique = "marts.risk_signals", ["signal_id"]


DERIVED_CONTRACTS: tuple[type[TableContract], ...] = (
    RunKpiDeltas, MissionRunFacts, TaskFriction, TaskOverrunRates, AgentRollingStats, AgentRouting, RiskSignals,
)

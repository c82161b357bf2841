"""The policy's shape: loads policy.toml, refuses what it does not know, and applies one mission's overrides."""

from __future__ import annotations

import copy
import hashlib
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mission_pipeline.errors import PolicyFault

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Points = Annotated[float, Field(ge=0, le=100)]
Runs = Annotated[int, Field(ge=1)]
Severity = Literal["low", "medium", "high"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class KpiPolicy(_Section):
    """How a KPI is held against its target."""

    near_target_gap_pct: NonNegative


class TrendPolicy(_Section):
    """When a series of runs counts as moving."""

    window_runs: Annotated[int, Field(ge=5, le=60)]  # pairs grow with its square, and so does the exact test
    line_from_runs: Annotated[int, Field(ge=3)]
    significance_level: Annotated[float, Field(gt=0, lt=1)]
    relative_tolerance: NonNegative
    score_tolerance_points: NonNegative
    count_tolerance: NonNegative
    delay_tolerance_minutes: NonNegative
    share_tolerance: NonNegative


class AutonomyPolicy(_Section):
    """Points lost by what people had to do."""

    window_runs: Runs
    points_per_intervention: NonNegative
    points_per_escalation: NonNegative
    points_per_delay_minute: NonNegative
    max_delay_points: NonNegative
    points_for_flagged_share: NonNegative
    failed_run_max_points: Points


class TrajectoryPoints(_Section):
    """Points for the primary KPI's trend."""

    improving: Points
    flat: Points
    worsening: Points
    insufficient_data: Points


class FrictionPoints(_Section):
    """Points lost by friction."""

    points_per_intervention: NonNegative
    points_per_escalation: NonNegative
    points_per_delay_minute: NonNegative
    max_delay_points: NonNegative


class RiskPoints(_Section):
    """Points lost by flagged runs and reported events."""

    points_for_flagged_share: NonNegative
    points_per_event_weight: NonNegative
    max_event_points: NonNegative
    low_weight: NonNegative
    medium_weight: NonNegative
    high_weight: NonNegative


class StabilityPoints(_Section):
    """Points for steadiness around the trend."""

    min_runs: Annotated[int, Field(ge=3)]
    stable_up_to_share: NonNegative
    mostly_stable_up_to_share: NonNegative
    variable_up_to_share: NonNegative
    stable: Points
    mostly_stable: Points
    variable: Points
    unstable: Points
    too_few_runs: Points


class HealthPolicy(_Section):
    """Health: five weighted scores and two cut-offs."""

    window_runs: Runs
    outcome_weight: Share
    trajectory_weight: Share
    friction_weight: Share
    risk_weight: Share
    stability_weight: Share
    on_track_from: Points
    watch_from: Points
    trajectory_points: TrajectoryPoints
    friction_points: FrictionPoints
    risk_points: RiskPoints
    stability_points: StabilityPoints

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        weights = (
            self.outcome_weight
            + self.trajectory_weight
            + self.friction_weight
            + self.risk_weight
            + self.stability_weight
        )
        if abs(weights - 1) > 1e-9:
            raise ValueError(f"the five weights must add up to 1, not {weights:g}")
        if self.watch_from > self.on_track_from:
            raise ValueError("watch_from must not be above on_track_from")
        return self


class FrictionPolicy(_Section):
    """What counts as friction and when a bottleneck persists."""

    decay_per_run: Annotated[float, Field(gt=0, le=1)]
    recent_runs: Runs
    overrun_hit_ratio: Positive
    delay_hit_minutes: NonNegative
    persistent_hits: Runs
    recurring_hits: Runs
    isolated_hits: Runs
    durations_include_wait: bool


class WhatToFixPolicy(_Section):
    """How often a mission runs, for friction by the week."""

    weekly_window_days: Annotated[int, Field(ge=7)]
    least_history_days: Annotated[int, Field(ge=1)]


class PathToOnTrackPolicy(_Section):
    """How far a next run's KPI is tried."""

    kpi_gap_factor: Annotated[float, Field(ge=1)]
    kpi_planned_share: NonNegative


class StatusPolicy(_Section):
    """How missions make up the portfolio's status."""

    small_portfolio_missions: Annotated[int, Field(ge=0)]
    attention_share: Share
    watch_share: Share


class SeverityOnly(_Section):
    """A rule without a limit of its own."""

    severity: Severity


class AutonomyRegressionRule(SeverityOnly):
    """When autonomy falls back."""

    min_runs: Runs
    min_score: Points


class TargetGapRule(SeverityOnly):
    """When a gap persists."""

    gap_pct: NonNegative


class PlateauRule(SeverityOnly):
    """When a KPI stands still."""

    min_runs: Annotated[int, Field(ge=2)]
    within_pct: NonNegative


class ApprovalDelayRule(SeverityOnly):
    """When waiting for people persists."""

    recent_runs: Runs
    min_delay_minutes: NonNegative


class RiskClusterRule(SeverityOnly):
    """When flagged runs cluster."""

    min_runs: Runs
    flagged_share: Share


class StabilityRule(SeverityOnly):
    """When steadiness is lost."""

    min_runs_for_halves: Annotated[int, Field(ge=6)]


class OutcomesRule(SeverityOnly):
    """When too few runs complete."""

    min_completed_share: Share


class MissionsAtRiskRule(SeverityOnly):
    """When too many missions are at risk."""

    min_missions: Runs


class EscalationsRule(SeverityOnly):
    """When a day has too many escalations."""

    min_escalations: Runs


class OpenEventsRule(SeverityOnly):
    """When too many reported events are open."""

    min_events: Runs


class TriggersPolicy(_Section):
    """Every trigger by name, in lower case."""

    mission_trend_worsening: SeverityOnly
    autonomy_regression: AutonomyRegressionRule
    target_gap_persisting: TargetGapRule
    kpi_plateau: PlateauRule
    approval_delay_persisting: ApprovalDelayRule
    escalation_burden_rising: SeverityOnly
    risk_cluster_forming: RiskClusterRule
    stability_dropping: StabilityRule
    repeated_bottleneck: SeverityOnly
    secondary_kpi_missed: SeverityOnly
    outcomes_dropping: OutcomesRule
    portfolio_missions_at_risk: MissionsAtRiskRule
    portfolio_escalations_24h: EscalationsRule
    portfolio_open_risk_events: OpenEventsRule

    def severity_of(self, trigger_name: str) -> Severity:
        """Return the severity of a trigger by its name in upper case."""
        rule: SeverityOnly = getattr(self, trigger_name.lower())
        return rule.severity


class ConfidencePolicy(_Section):
    """What a verdict needs before it can be trusted."""

    interval_confidence: Annotated[float, Field(gt=0, lt=1)]
    low_below_runs: Runs
    medium_below_runs: Runs
    low_above_rejected_share: Share
    medium_above_rejected_share: Share
    stale_after_days: Annotated[int, Field(ge=0)]
    leave_out_runs: Annotated[int, Field(ge=0)]
    cut_off_shift_share: Share


class TaskOverrunRule(SeverityOnly):
    """A task far over its estimate."""

    min_overrun_pct: NonNegative
    min_overrun_minutes: NonNegative
    medium_from_pct: NonNegative


class ApprovalDelaySignalRule(_Section):
    """A long wait for a human."""

    medium_from_minutes: NonNegative
    high_from_minutes: NonNegative


class RepeatedFailuresRule(SeverityOnly):
    """Failures or escalations within one run."""

    min_count: Runs


class LongRunRule(SeverityOnly):
    """A run much longer than those before."""

    min_earlier_runs: Runs
    median_ratio: Positive


class RiskRulesPolicy(_Section):
    """Rules that detect risks in single runs."""

    task_overrun: TaskOverrunRule
    approval_delay: ApprovalDelaySignalRule
    rework: SeverityOnly
    repeated_failures: RepeatedFailuresRule
    dependency_failed: SeverityOnly
    limit_breached: SeverityOnly
    target_missed: SeverityOnly
    long_run: LongRunRule


class RoutingPolicy(_Section):
    """How agents are ranked for a task."""

    speed_weight: NonNegative
    quality_weight: NonNegative
    prior_executions: Positive
    prior_speed_score: Share
    prior_quality_score: Share

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if abs(self.speed_weight + self.quality_weight - 1) > 1e-9:
            raise ValueError("speed_weight and quality_weight must add up to 1")
        return self


class GatesPolicy(_Section):
    """What happens while a gate waits for a person. 0 minutes: never."""

    reminder_after_minutes: NonNegative
    time_limit_minutes: NonNegative
    on_time_limit: Literal["escalate", "reject"]
    escalate_to: str


class InboxPolicy(_Section):
    """What the approvers' page shows, and how long it knows somebody."""

    session_hours: Positive
    shown_characters: Annotated[int, Field(ge=1)]
    open_shown: Annotated[int, Field(ge=1)]
    decided_shown: Annotated[int, Field(ge=0)]


class ExplorationPolicy(_Section):
    """How often an attempt goes to another agent than the best."""

    share: Share
    seed: int


class RunnerPolicy(_Section):
    """How missions are run: attempts, waits, leases, and what an agent may be."""

    max_attempts: Annotated[int, Field(ge=1)]
    call_seconds: Positive
    backoff_seconds: NonNegative
    backoff_factor: Annotated[float, Field(ge=1)]
    max_backoff_seconds: NonNegative
    lease_seconds: Positive
    max_takeovers: Annotated[int, Field(ge=1)]
    store_wait_seconds: Positive
    max_answer_bytes: Annotated[int, Field(ge=2)]
    python_modules: tuple[str, ...]
    commands: tuple[str, ...]
    http_hosts: tuple[str, ...]
    priorities_first: tuple[str, ...]
    priorities_last: tuple[str, ...]
    gates: GatesPolicy
    inbox: InboxPolicy
    exploration: ExplorationPolicy

    @model_validator(mode="after")
    def _orders_each_priority_once(self) -> Self:
        words = [word.strip().casefold() for word in (*self.priorities_first, *self.priorities_last)]
        if len(set(words)) < len(words):
            raise ValueError("priorities_first and priorities_last must not name a word twice")
        return self


class FreshnessPolicy(_Section):
    """When the published warehouse counts as old."""

    warn_after_hours: Positive


class Policy(_Section):
    """The whole policy. ``missions`` holds overrides as plain tables; ``for_mission`` applies them."""

    version: str
    kpi: KpiPolicy
    trend: TrendPolicy
    autonomy: AutonomyPolicy
    health: HealthPolicy
    friction: FrictionPolicy
    status: StatusPolicy
    what_to_fix: WhatToFixPolicy
    path_to_on_track: PathToOnTrackPolicy
    triggers: TriggersPolicy
    confidence: ConfidencePolicy
    risk_rules: RiskRulesPolicy
    routing: RoutingPolicy
    runner: RunnerPolicy
    freshness: FreshnessPolicy
    missions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    sha256: str = ""

    def primary_kpi_of(self, mission_id: str) -> str | None:
        """Return the primary KPI that the policy names for a mission, if it names one."""
        name = self.missions.get(mission_id, {}).get("primary_kpi")
        return None if name is None else str(name)

    @cached_property
    def _by_mission(self) -> dict[str, Policy]:
        return {mission_id: self._overridden(mission_id) for mission_id in self.missions}

    def for_mission(self, mission_id: str) -> Policy:
        """Return the policy as it holds for one mission."""
        return self._by_mission.get(mission_id, self)

    def limits(self) -> dict[str, float]:
        """Return every number of the policy by its place: sections and name, with dots between; a switch is 1 or 0."""
        return _numbers(self.model_dump(exclude={"missions", "sha256", "version"}), "")

    def has_own(self, mission_id: str | None) -> bool:
        """Whether a mission has numbers of its own."""
        return mission_id in self.missions

    def _overridden(self, mission_id: str) -> Policy:
        values = self.model_dump(exclude={"missions", "sha256"})
        overrides = {key: value for key, value in self.missions[mission_id].items() if key != "primary_kpi"}
        return Policy.model_validate({**_merged(values, overrides), "sha256": self.sha256})


def _merged(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    merged = copy.copy(base)
    for key, value in overrides.items():
        known = merged.get(key)
        merged[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _numbers(values: dict[str, Any], place: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _numbers(value, f"{place}{name}.")
        elif isinstance(value, (int, float)):
            found[place + name] = float(value)
    return found


def load_policy(file: Path) -> Policy:
    """Return the policy of a TOML file, with its hash.

    Raises:
        PolicyFault: the file is missing, not TOML, or a key is unknown, missing or out of range.

    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PolicyFault(
            f"The policy {file} cannot be read ({error.strerror}). Name an existing file with --policy."
        ) from error
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyFault(f"The policy {file} is not valid TOML: {error}. Mend that place.") from error
    if "sha256" in values:
        raise PolicyFault(f"The policy {file} has an unknown key sha256. Remove it; the hash is computed.")
    try:
        policy = Policy.model_validate({**values, "sha256": hashlib.sha256(content).hexdigest()})
    except ValidationError as error:
        raise PolicyFault(f"The policy {file} is not valid: {_faults(error)}") from error
    for mission_id, own in policy.missions.items():
        shared = _set_for_all(own)
        if shared:
            raise PolicyFault(
                f"The policy {file} is not valid in [missions.{mission_id}]: key {shared[0]} holds for the whole "
                "portfolio. Set it for all missions, or remove it."
            )
        try:
            policy.for_mission(mission_id)
        except ValidationError as error:
            raise PolicyFault(f"The policy {file} is not valid in [missions.{mission_id}]: {_faults(error)}") from error
    return policy


_FOR_ALL = ("version", "sha256", "missions", "status", "freshness")
"""Keys that one mission cannot have for itself: nothing would ask for them."""
_FOR_ONE_TOO = ("interval_confidence",)
"""Of the confidence, which is the portfolio's, what is asked for by mission as well."""

_WORKERS_OWN = (
    "lease_seconds", "store_wait_seconds", "max_answer_bytes", "python_modules", "commands", "http_hosts",
    "priorities_first", "priorities_last",
)  # fmt: skip
"""Of the runner, what a worker or the store has before it knows of a mission."""


def _set_for_all(own: dict[str, Any]) -> list[str]:
    """Return the keys among a mission's own that only the whole portfolio has."""

    def inner(section: str) -> list[str]:
        values = own.get(section)
        return list(values) if isinstance(values, dict) else []

    return [
        *(key for key in own if key in _FOR_ALL),
        *(f"triggers.{key}" for key in inner("triggers") if key.startswith("portfolio_")),
        *(f"confidence.{key}" for key in inner("confidence") if key not in _FOR_ONE_TOO),
        *(f"runner.{key}" for key in inner("runner") if key in _WORKERS_OWN),
    ]


def _faults(error: ValidationError) -> str:
    sentences = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "the section"
        if fault["type"] == "extra_forbidden":
            sentences.append(f"key {key} is unknown. Correct its name or remove it.")
        elif fault["type"] == "missing":
            sentences.append(f"key {key} is missing. Add it; the shipped policy.toml shows it.")
        elif fault["type"] == "value_error":  # of a whole section, whose message names the values
            sentences.append(f"section {key}: {fault['ctx']['error']}.")
        else:
            sentences.append(f"key {key} has the value {fault['input']!r}: {fault['msg']}.")
    return " ".join(sentences)

"""The verdict of a day: everything that a brief says, as facts. Chooses and ranks; words are the brief's.

Reads the judged tables, which must reach to the day, and judges again only for the confidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from mission_pipeline.contracts.judged import PORTFOLIO_TRIGGERS, TREND_LABELS
from mission_pipeline.errors import NothingToJudge
from mission_pipeline.judge.confidence import Confidence, RecordCounts, confidence_as_of
from mission_pipeline.judge.inputs import read_inputs
from mission_pipeline.judge.missions_as_of import missions_as_of
from mission_pipeline.judge.newest_friction import FRICTION_AS_OF
from mission_pipeline.judge.path_to_on_track import Lever, levers_as_of
from mission_pipeline.judge.wait_assumption import WaitAssumption, wait_assumption_as_of
from mission_pipeline.judge.what_to_fix import TaskFix, fixes_as_of
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build

Row = Mapping[str, Any]

_SNAPSHOT = "select * from marts.portfolio_snapshots where snapshot_date = $as_of"
_SCORECARDS = """
select scorecards.*, missions.mission_name, missions.owner
from marts.mission_scorecards as scorecards
left join staging.missions as missions on scorecards.mission_id = missions.mission_id
where scorecards.as_of_date = $as_of
order by scorecards.mission_id
"""
_TRIGGERS = "select * from marts.mission_triggers where as_of_date = $as_of order by trigger_rank"
_TASKS = f"""
with

{FRICTION_AS_OF}

select
    friction.mission_id,
    friction.task_id,
    tasks.task_name,
    friction.friction_minutes,
    friction.recent_hits,
    friction.bottleneck_status,
    friction.bottleneck_driver
from friction
left join staging.mission_tasks as tasks on friction.task_id = tasks.task_id
order by friction.friction_minutes desc nulls last, friction.mission_id, friction.task_id
"""  # noqa: S608 - made of constants
_RECONCILIATION = """
select * from quality.reconciliation where report_date <= $as_of order by source, report_date, subject, field
"""
_RECORDS = """
select
    cast(coalesce(sum(rows_in), 0) as bigint) as rows_in,
    cast(coalesce(sum(rows_rejected), 0) as bigint) as rows_rejected
from quality.row_counts
"""


@dataclass(frozen=True)
class TrendCounts:
    """Missions by the trend of their primary KPI."""

    improving: int
    flat: int
    worsening: int
    insufficient_data: int


@dataclass(frozen=True)
class TaskFriction:
    """A task's friction as of the day; ``friction_minutes`` is None where unknown in every run."""

    mission_id: str
    task_id: str
    task_name: str | None
    friction_minutes: float | None
    recent_hits: int
    bottleneck_status: str
    bottleneck_driver: str


@dataclass(frozen=True)
class Aim:
    """A figure that an action is to change: ``measure`` from ``current`` to ``goal``, which ``comparison`` bounds.

    ``comparison``: at_least, at_most, below, better_than. Figures are in the measure's own unit, None where unknown.
    """

    measure: str
    current: float | None
    goal: float | None
    comparison: str


@dataclass(frozen=True)
class Action:
    """What to do first: the driver's mission, the task to begin with, who answers for it, and what is to change."""

    trigger_name: str
    mission_id: str | None
    mission_name: str | None
    owner: str | None
    task_id: str | None
    task_name: str | None
    aims: tuple[Aim, ...]


@dataclass(frozen=True)
class Win:
    """The mission whose latest primary KPI improves most on its baseline."""

    mission_id: str
    kpi_name: str
    baseline_value: float
    first_value: float | None
    latest_value: float
    improvement_vs_baseline_pct: float
    improvement_vs_first_pct: float | None


@dataclass(frozen=True)
class UnmetCondition:
    """One thing that stands between the portfolio and ON_TRACK; ``mission_id`` is None for one of the portfolio.

    ``kind``: health (``current`` below ``needed`` points), unknown_health (a part of it is not known), trigger (a high
    one, or one of the portfolio, named by ``trigger_name``; ``current`` was observed against ``needed``).
    """

    mission_id: str | None
    mission_name: str | None
    kind: str
    trigger_name: str | None
    current: float | None
    needed: float | None


@dataclass(frozen=True)
class Verdict:
    """The judgement of a day, ready to be put into words.

    ``snapshot``, ``scorecards`` (by mission id, with ``mission_name`` and ``owner``) and ``triggers`` (by rank) are
    rows as they stand in the marts. ``driver`` is the first of the triggers. ``friction`` is the driver mission's top
    bottleneck; without a driver of one mission, the portfolio's. ``what_to_fix``: tasks, most friction first;
    ``fixes``: tasks, most friction by the week first. ``levers``: what would make each mission ON_TRACK in one run.
    ``wait_assumption``: what would be otherwise if durations include the wait for a human; None where they do.
    """

    as_of: date
    status: str
    driver: Row | None
    trends: TrendCounts
    friction: TaskFriction | None
    action: Action | None
    confidence: Confidence
    win: Win | None
    snapshot: Row
    scorecards: tuple[Row, ...]
    triggers: tuple[Row, ...]
    what_to_fix: tuple[TaskFriction, ...]
    path_to_on_track: tuple[UnmetCondition, ...]
    reconciliation: tuple[Row, ...]
    records: RecordCounts
    policy_version: str
    policy_sha256: str
    fixes: tuple[TaskFix, ...] = ()
    levers: tuple[Lever, ...] = ()
    wait_assumption: WaitAssumption | None = None


def verdict_as_of(build: Build, policy: Policy, as_of: date) -> Verdict:
    """Return the verdict of a day that ``judge_days`` has reached.

    Raises:
        NothingToJudge: no run had started by then, or the tables do not reach to that day.
    """

    def rows(sql: str) -> tuple[Row, ...]:
        return tuple(build.frame(sql, {"as_of": as_of}).to_dicts())

    snapshots = rows(_SNAPSHOT)
    if not snapshots:
        raise _nothing(build, as_of)
    snapshot, scorecards, triggers = snapshots[0], rows(_SCORECARDS), rows(_TRIGGERS)
    tasks = tuple(TaskFriction(**row) for row in rows(_TASKS))
    records = RecordCounts(**rows(_RECORDS)[0])
    driver = triggers[0] if triggers else None
    by_mission = {row["mission_id"]: row for row in scorecards}
    friction = _friction(driver, by_mission, snapshot, tasks)
    day = missions_as_of(read_inputs(build, through=as_of), policy, as_of)
    # What DuckDB adds up goes on beside what is judged anew in Python.
    with build.beside() as other, ThreadPoolExecutor(max_workers=1) as worker:
        waiting = worker.submit(wait_assumption_as_of, other, day, policy, driver, snapshot["status"])
        confidence, levers = confidence_as_of(day, policy, records), levers_as_of(day)
        wait_assumption = waiting.result()
    return Verdict(
        as_of=as_of,
        status=snapshot["status"],
        driver=driver,
        trends=TrendCounts(**{label: sum(row["kpi_trend"] == label for row in scorecards) for label in TREND_LABELS}),
        friction=friction,
        action=_action(driver, by_mission, friction, policy),
        confidence=confidence,
        win=_win(scorecards),
        snapshot=snapshot,
        scorecards=scorecards,
        triggers=triggers,
        what_to_fix=tuple(task for task in tasks if task.friction_minutes),
        path_to_on_track=path_to_on_track(scorecards, triggers, policy),
        reconciliation=rows(_RECONCILIATION),
        records=records,
        policy_version=policy.version,
        policy_sha256=policy.sha256,
        fixes=fixes_as_of(build, as_of),
        levers=levers,
        wait_assumption=wait_assumption,
    )


def _nothing(build: Build, as_of: date) -> NothingToJudge:
    first = build.scalar("select min(cast(start_time as date)) from marts.mission_run_facts")
    if first is None:
        return NothingToJudge("There is no run yet, so there is nothing to judge. Add mission_runs to the raw data.")
    if first > as_of:
        return NothingToJudge(f"No run had started by {as_of}; the first started on {first}. Choose that day or later.")
    return NothingToJudge(f"The days up to {as_of} have not been judged yet. Run `mission refresh --as-of {as_of}`.")


def _friction(
    driver: Row | None, by_mission: Mapping[str, Row], snapshot: Row, tasks: Sequence[TaskFriction]
) -> TaskFriction | None:
    mission = by_mission.get(driver["mission_id"]) if driver is not None else None
    if mission is not None:
        chosen = (mission["mission_id"], mission["top_bottleneck_task_id"])
    else:
        chosen = (snapshot["top_bottleneck_mission_id"], snapshot["top_bottleneck_task_id"])
    return next((task for task in tasks if (task.mission_id, task.task_id) == chosen), None)


def _win(scorecards: Sequence[Row]) -> Win | None:
    better = [row for row in scorecards if (row["kpi_improvement_vs_baseline_pct"] or 0) > 0]
    if not better:
        return None
    best = max(better, key=lambda row: row["kpi_improvement_vs_baseline_pct"])  # of equals the first by mission id
    return Win(
        mission_id=best["mission_id"],
        kpi_name=best["kpi_name"],
        **{name: best[f"kpi_{name}"] for name in Win.__dataclass_fields__ if name not in ("mission_id", "kpi_name")},
    )


def _action(
    driver: Row | None, by_mission: Mapping[str, Row], friction: TaskFriction | None, policy: Policy
) -> Action | None:
    if driver is None:
        return None
    mission = by_mission.get(driver["mission_id"], {})
    own_policy = policy.for_mission(driver["mission_id"]) if driver["mission_id"] is not None else policy
    return Action(
        trigger_name=driver["trigger_name"],
        mission_id=driver["mission_id"],
        mission_name=mission.get("mission_name"),
        owner=mission.get("owner"),
        task_id=friction.task_id if friction is not None else None,
        task_name=friction.task_name if friction is not None else None,
        aims=aims_of(driver, mission, own_policy),
    )


def aims_of(trigger: Row, mission: Row, policy: Policy) -> tuple[Aim, ...]:
    """Return the figures that must change for a trigger to fall silent."""
    name, observed, limit = trigger["trigger_name"], trigger["observed_value"], trigger["threshold"]
    if name == "AUTONOMY_REGRESSION":
        return _autonomy_aims(mission, policy)
    if name == "MISSION_TREND_WORSENING":
        return (Aim(mission["kpi_name"], mission["kpi_latest_value"], mission["kpi_previous_value"], "better_than"),)
    if name == "SECONDARY_KPI_MISSED":
        return (Aim(trigger["kpi_name"], observed, limit, "at_least" if observed < limit else "at_most"),)
    if name == "ESCALATION_BURDEN_RISING":
        now = mission["mean_escalations"]
        return (Aim("mean_escalations", now, now, "below"),)
    if name == "OUTCOMES_DROPPING":
        share = policy.triggers.outcomes_dropping.min_completed_share
        return (Aim("completed_share", observed if observed is not None and limit > 0 else None, share, "at_least"),)
    measure, comparison = _LIMITED[name]
    return (Aim(measure, observed, limit, comparison),)


_LIMITED = {
    "TARGET_GAP_PERSISTING": ("kpi_gap_to_target_pct", "at_most"),
    "KPI_PLATEAU": ("kpi_spread_pct", "better_than"),
    "APPROVAL_DELAY_PERSISTING": ("mean_approval_delay_minutes", "below"),
    "RISK_CLUSTER_FORMING": ("risk_flagged_share", "below"),
    "STABILITY_DROPPING": ("residual_share", "at_most"),
    "REPEATED_BOTTLENECK": ("recent_hits", "below"),
    "PORTFOLIO_MISSIONS_AT_RISK": ("missions_at_risk", "below"),
    "PORTFOLIO_ESCALATIONS_24H": ("escalations_last_24h", "below"),
    "PORTFOLIO_OPEN_RISK_EVENTS": ("open_risk_events", "below"),
}
"""Triggers that fall silent when what they observed passes their limit the other way."""


def _autonomy_aims(mission: Row, policy: Policy) -> tuple[Aim, ...]:
    """Return the score to reach, and what interventions and escalations may then be, both cut in the same measure."""
    rules, least = policy.autonomy, policy.triggers.autonomy_regression.min_score
    score, interventions, escalations = (
        mission[name] for name in ("autonomy_score", "mean_human_interventions", "mean_escalations")
    )
    if score is None:
        return (Aim("autonomy_score", None, least, "at_least"),)
    goal = max(least, score)
    lost = rules.points_per_intervention * interventions + rules.points_per_escalation * escalations
    keep = max(0.0, 1 - (goal - score) / lost) if lost > 0 else 1.0
    return (
        Aim("autonomy_score", score, goal, "at_least"),
        Aim("mean_human_interventions", interventions, interventions * keep, "at_most"),
        Aim("mean_escalations", escalations, escalations * keep, "at_most"),
    )


def path_to_on_track(scorecards: Sequence[Row], triggers: Sequence[Row], policy: Policy) -> tuple[UnmetCondition, ...]:
    """Return what keeps each mission, and then the portfolio, from ON_TRACK. Missions without data decide nothing."""
    found = []
    for row in scorecards:
        if row["status"] in ("ON_TRACK", "NO_DATA"):
            continue
        own = policy.for_mission(row["mission_id"])
        needed, health = own.health.on_track_from, row["health_score"]
        who = (row["mission_id"], row["mission_name"])
        if health is None:
            found.append(UnmetCondition(*who, "unknown_health", None, None, needed))
        elif health < needed:
            found.append(UnmetCondition(*who, "health", None, health, needed))
        found += [
            UnmetCondition(*who, "trigger", each["trigger_name"], each["observed_value"], each["threshold"])
            for each in triggers
            if each["mission_id"] == row["mission_id"] and each["severity"] == "high"
        ]
    found += [
        UnmetCondition(None, None, "trigger", each["trigger_name"], each["observed_value"], each["threshold"])
        for each in triggers
        if each["trigger_name"] in PORTFOLIO_TRIGGERS
    ]
    return tuple(found)

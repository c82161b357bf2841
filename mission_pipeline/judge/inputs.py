"""Reads what the judgement needs from the build, once, into arrays and small frames. Judges nothing.

Order is fixed here: missions by id, runs by mission and run_seq, so that nothing later depends on how files arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from mission_pipeline.contracts.derived import BOTTLENECK_STATUSES
from mission_pipeline.history import NO_ROW
from mission_pipeline.judge.limits import Floats
from mission_pipeline.judge.newest_friction import FRICTION_AS_OF
from mission_pipeline.judge.triggers import MissedLimits
from mission_pipeline.judge.windows import (
    EVENT_KINDS,
    RUN_MEASURES,
    Days,
    Integers,
    Kpis,
    LateEvents,
    Runs,
    day_keys,
    rows_as_of,
)
from mission_pipeline.warehouse import Build

_MISSIONS = """
select
    missions.mission_id,
    missions.mission_name,
    missions.owner,
    kpis.kpi_name,
    kpis.direction,
    kpis.baseline_value,
    kpis.target_value
from staging.missions as missions
left join staging.mission_kpis as kpis on missions.mission_id = kpis.mission_id and kpis.is_primary
order by missions.mission_id
"""
_RUNS = """
select
    facts.run_id,
    facts.mission_id,
    facts.run_date,
    cast(facts.start_time as date) as start_date,
    facts.status,
    facts.human_interventions,
    facts.escalations,
    facts.approval_delay_minutes,
    facts.risk_flagged,
    facts.is_touchless,
    facts.total_duration_minutes,
    facts.overrun_minutes,
    facts.autonomy_score,
    deltas.kpi_value
from marts.mission_run_facts as facts
left join marts.run_kpi_deltas as deltas on facts.run_id = deltas.run_id and deltas.is_primary
order by facts.mission_id, facts.run_seq
"""
_MISSED_LIMITS = """
select
    deltas.run_id,
    deltas.kpi_name,
    deltas.kpi_value,
    deltas.target_value
from marts.run_kpi_deltas as deltas
inner join staging.mission_kpis as kpis on deltas.mission_id = kpis.mission_id and deltas.kpi_name = kpis.kpi_name
where kpis.kpi_kind in ('floor', 'ceiling') and not kpis.is_primary and deltas.gap_to_target > 0
qualify row_number() over (
    partition by deltas.run_id order by deltas.gap_to_target_pct desc nulls first, kpis.kpi_order
) = 1
order by deltas.mission_id, deltas.run_id
"""
_EVENTS = """
select
    events.run_id,
    coalesce(cast(events.detected_at as date), facts.run_date) as day,
    coalesce(events.severity, 'unknown') as severity,
    events.status = 'open' as is_open
from staging.risk_events as events
inner join marts.mission_run_facts as facts on events.run_id = facts.run_id
order by day, events.event_id
"""
_FRICTION_COLUMNS = """
select
    friction.mission_id,
    friction.task_id,
    tasks.task_name,
    friction.friction_date,
    friction.friction_minutes,
    friction.recent_hits,
    friction.bottleneck_status,
    friction.bottleneck_driver
from friction
left join staging.mission_tasks as tasks on friction.task_id = tasks.task_id
order by friction.mission_id, friction.task_id, friction.friction_date
"""
_FRICTION = f"with friction as (from marts.task_friction) {_FRICTION_COLUMNS}"
_NEWEST_FRICTION = f"with {FRICTION_AS_OF} {_FRICTION_COLUMNS}"


@dataclass(frozen=True)
class Friction:
    """Rows of task friction in the order of mission, task and day.

    ``slots``: place of the task among its mission's tasks. ``codes``: of BOTTLENECK_STATUSES.
    """

    missions: Integers
    days: Days
    slots: Integers
    minutes: Floats
    hits: Integers
    codes: Integers
    labels: pl.DataFrame

    def top_rows(self, missions: Integers, keys: Integers) -> Integers:
        """Return for each state the row of its mission's top bottleneck as of its day, or NO_ROW.

        The task with the most friction minutes, of equals the first by id; none where no task has any. Equal but for
        rounding is equal: the same minutes added up in another order may differ in the last bit.
        """
        best = np.full(len(keys), NO_ROW, np.int64)
        most = np.zeros(len(keys))
        own_keys = day_keys(self.missions, self.days)
        known_minutes = np.append(self.minutes, np.nan).round(9)
        for slot in range(int(self.slots.max(initial=-1)) + 1):
            rows = np.flatnonzero(self.slots == slot)
            place = rows_as_of(own_keys[rows], missions, keys)
            row = np.where(place == NO_ROW, NO_ROW, rows[place])
            minutes = known_minutes[row]
            is_more = minutes > most
            best, most = np.where(is_more, row, best), np.where(is_more, minutes, most)
        return best


@dataclass(frozen=True)
class Inputs:
    """Everything that is judged.

    ``missions``: mission_id, mission_name, owner, kpi_name, direction, by mission_id; a mission's place in it is its
    number everywhere. ``all_runs``: every run with its mission's number; ``finished_rows``: those of it behind
    ``runs``. ``events``: every reported event, with its day and whether it is open, by day.
    """

    missions: pl.DataFrame
    kpis: Kpis
    all_runs: pl.DataFrame
    finished_rows: Integers
    runs: Runs
    missed: MissedLimits
    missed_names: pl.Series
    events: pl.DataFrame
    late_events: LateEvents
    friction: Friction

    @property
    def first_day(self) -> date | None:
        """The day of the first run, None without one."""
        first = self.all_runs["start_date"].min()
        assert first is None or isinstance(first, date)
        return first

    def ended(self, status: str) -> tuple[Integers, Days]:
        """Return mission and run_date of the runs that ended in a status."""
        runs = self.all_runs.filter(pl.col("status") == status)
        return runs["mission"].to_numpy(), days_of(runs["run_date"])


def days_of(column: pl.Series) -> Days:
    """Return dates as numpy days."""
    return column.to_numpy().astype("datetime64[D]")


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)


def read_inputs(build: Build, through: date | None = None) -> Inputs:
    """Return what is judged.

    Args:
        build: with ``staging`` and the derived ``marts``.
        through: leaves out what ended or was detected later; then no event is late, all being known, and of a task's
            friction the newest row alone is there.
    """
    missions = build.frame(_MISSIONS)
    numbers = missions.select("mission_id").with_row_index("mission").cast({"mission": pl.Int64})
    all_runs = build.frame(_RUNS).join(numbers, on="mission_id", how="inner", maintain_order="left")
    events = build.frame(_EVENTS)
    friction = build.frame(_FRICTION if through is None else _NEWEST_FRICTION, {"as_of": through})
    friction = friction.join(numbers, on="mission_id", how="inner", maintain_order="left")
    if through is not None:
        all_runs = all_runs.filter(pl.col("start_date") <= through)
        all_runs = all_runs.with_columns(
            status=pl.when(pl.col("run_date") > through).then(pl.lit("running")).otherwise(pl.col("status"))
        )
        events = events.filter(pl.col("day") <= through)

    all_runs = all_runs.with_row_index("place").cast({"place": pl.Int64})
    finished = all_runs.filter(pl.col("status").is_in(["completed", "failed"]))
    run_numbers = finished.select("run_id").with_row_index("run").cast({"run": pl.Int64})
    missed = build.frame(_MISSED_LIMITS).with_row_index("missed_row").cast({"missed_row": pl.Int64})
    of_run = run_numbers.join(missed, on="run_id", how="left", maintain_order="left")
    direction = {"higher_is_better": 1.0, "lower_is_better": -1.0}
    runs = Runs(
        missions=finished["mission"].to_numpy(),
        days=days_of(finished["run_date"]),
        measures=_measures(finished),
        missed_limits=of_run["missed_row"].fill_null(NO_ROW).to_numpy(),
        events={name: np.zeros(finished.height) for name in EVENT_KINDS},
    )
    runs, late = _with_events(runs, events.join(run_numbers, on="run_id", how="inner", maintain_order="left"), through)
    return Inputs(
        missions=missions.select("mission_id", "mission_name", "owner", "kpi_name", "direction"),
        kpis=Kpis(
            signs=missions["direction"].replace_strict(direction, default=0.0, return_dtype=pl.Float64).to_numpy(),
            baselines=_floats(missions["baseline_value"]),
            targets=_floats(missions["target_value"]),
        ),
        all_runs=all_runs,
        finished_rows=finished["place"].to_numpy(),
        runs=runs,
        missed=MissedLimits(values=_floats(missed["kpi_value"]), limits=_floats(missed["target_value"])),
        missed_names=missed["kpi_name"],
        events=events,
        late_events=late,
        friction=_friction(friction),
    )


def _measures(finished: pl.DataFrame) -> dict[str, Floats]:
    columns = finished.with_columns(is_completed=pl.col("status") == "completed", is_flagged=pl.col("risk_flagged"))
    return {name: _floats(columns[name]) for name in RUN_MEASURES}


def _with_events(runs: Runs, events: pl.DataFrame, through: date | None) -> tuple[Runs, LateEvents]:
    """Count each run's events by severity, those known by its run_date, and set the late ones apart."""
    rows = events["run"].to_numpy()
    kinds = (
        events["severity"]
        .replace_strict({name: kind for kind, name in enumerate(EVENT_KINDS)}, return_dtype=pl.Int64)
        .to_numpy()
    )
    days = days_of(events["day"])
    is_late = np.zeros(len(rows), bool) if through is not None else days > runs.days[rows]
    counts: dict[str, npt.NDArray[np.float64]] = {}
    for kind, name in enumerate(EVENT_KINDS):
        own = rows[(kinds == kind) & ~is_late]
        counts[name] = np.bincount(own, minlength=len(runs)).astype(np.float64)
    return replace(runs, events=counts), LateEvents(rows[is_late], days[is_late], kinds[is_late])


def _friction(rows: pl.DataFrame) -> Friction:
    slots = rows.select(pl.col("task_id").rank("dense").over("mission") - 1).to_series()
    codes = {name: code for code, name in enumerate(BOTTLENECK_STATUSES)}
    return Friction(
        missions=rows["mission"].to_numpy(),
        days=days_of(rows["friction_date"]),
        slots=slots.cast(pl.Int64).to_numpy(),
        minutes=_floats(rows["friction_minutes"]),
        hits=rows["recent_hits"].to_numpy(),
        codes=rows["bottleneck_status"].replace_strict(codes, return_dtype=pl.Int64).to_numpy(),
        labels=rows.select("task_id", "task_name", "bottleneck_status", "bottleneck_driver"),
    )

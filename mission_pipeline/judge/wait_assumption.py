"""What would be judged otherwise if recorded durations include the wait for a human: an assumption worth testing.

Of all that is judged only a task's friction rests on it, and with that the top bottlenecks, the trigger
REPEATED_BOTTLENECK, and what follows from that trigger. Run durations are recorded apart and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import mul
from typing import Any

import numpy as np
import polars as pl

from mission_pipeline.contracts.derived import BOTTLENECK_STATUSES
from mission_pipeline.contracts.judged import MISSION_STATUSES
from mission_pipeline.history import runs_that_weigh
from mission_pipeline.judge.days import judge_all_days, triggers_frame
from mission_pipeline.judge.inputs import Friction
from mission_pipeline.judge.limits import Floats
from mission_pipeline.judge.missions_as_of import MissionsAsOf
from mission_pipeline.judge.newest_friction import FRICTION_AS_OF
from mission_pipeline.policy import FrictionPolicy, Policy
from mission_pipeline.warehouse import Build

Row = Mapping[str, Any]

_MOST_RUNS = 1_000_000
"""More than a mission has, and as many as DuckDB puts into a list."""

_TASKS_THEN = f"""
with

{FRICTION_AS_OF},

-- Only a task that people made wait can be judged otherwise.
waiting_tasks as (
    select
        friction.mission_id,
        friction.task_id,
        tasks.task_name,
        tasks.estimated_duration_minutes as estimated_minutes,
        friction.friction_minutes,
        friction.recent_hits,
        friction.bottleneck_status,
        friction.bottleneck_driver,
        friction.risk_events,
        round(limits.overrun_hit_ratio * tasks.estimated_duration_minutes, 9) as overrun_hit_minutes,
        limits.delay_hit_minutes
    from friction
    inner join staging.mission_tasks as tasks on friction.task_id = tasks.task_id
    inner join wait_limits as limits on friction.mission_id = limits.mission_id
    where friction.mean_human_delay_minutes > 0
),

executions as (
    select
        logs.task_id,
        facts.run_seq,
        case
            when facts.status in ('running', 'blocked') then coalesce(cast(logs.finished_at as date), facts.run_date)
            else facts.run_date
        end as known_date,
        tasks.estimated_minutes,
        logs.human_delay_minutes as delay_minutes,
        -- Of an unknown part greatest() would know nothing.
        case
            when logs.actual_duration_minutes - logs.human_delay_minutes is not null
                then round(greatest(logs.actual_duration_minutes - logs.human_delay_minutes, 0), 9)
        end as work_minutes,
        coalesce(logs.actual_duration_minutes > tasks.overrun_hit_minutes, false) as is_overrun,
        coalesce(logs.human_delay_minutes >= tasks.delay_hit_minutes, false) as is_delay,
        tasks.overrun_hit_minutes
    from staging.task_executions as logs
    inner join waiting_tasks as tasks on logs.task_id = tasks.task_id
    inner join marts.mission_run_facts as facts on logs.run_id = facts.run_id
),

runs as (
    select
        task_id,
        run_seq,
        case
            when count(*) = count(work_minutes - estimated_minutes)
                then round(sum(greatest(work_minutes - estimated_minutes, 0) + delay_minutes), 9)
        end as friction_minutes,
        bool_or(is_overrun) as is_overrun,
        bool_or(coalesce(work_minutes > overrun_hit_minutes, false)) as is_overrun_then,
        bool_or(is_delay) as is_delay,
        sum(work_minutes) as work_minutes,
        count(work_minutes) as timed_executions,
        sum(delay_minutes) as delay_minutes,
        count(delay_minutes) as waiting_executions
    from executions
    group by task_id, run_seq
    having max(known_date) <= $as_of
),

-- The newest runs, newest first, as lists: quicker than to number all runs.
histories as (
    select
        task_id,
        max_by(is_overrun, run_seq, $recent_runs) as overruns,
        max_by(is_overrun_then, run_seq, $recent_runs) as overruns_then,
        max_by(is_overrun_then or is_delay, run_seq, $recent_runs) as hits_then,
        max_by(friction_minutes, run_seq, $weighing_runs) filter (where friction_minutes is not null)
            as friction_minutes_then,
        round(sum(delay_minutes) / nullif(sum(waiting_executions), 0), 9) as mean_delay_minutes,
        round(sum(work_minutes) / nullif(sum(timed_executions), 0), 9) as mean_work_minutes
    from runs
    group by task_id
)

select
    tasks.mission_id,
    tasks.task_id,
    tasks.task_name,
    histories.overruns,
    histories.overruns_then,
    histories.hits_then,
    histories.friction_minutes_then,
    tasks.recent_hits as hits,
    tasks.bottleneck_status as status,
    tasks.bottleneck_driver as driver,
    case
        when histories.mean_delay_minutes >= tasks.delay_hit_minutes then 'approval_delay'
        when histories.mean_work_minutes > tasks.overrun_hit_minutes then 'task_overrun'
        when tasks.risk_events > 0 then 'risk'
        else 'none'
    end as driver_then,
    tasks.friction_minutes
from waiting_tasks as tasks
inner join histories on tasks.task_id = histories.task_id
order by tasks.mission_id, tasks.task_id
"""  # noqa: S608 - made of constants


@dataclass(frozen=True)
class ExplainedTask:
    """A task that overran in its last runs, and did so less if its durations include the wait for a human.

    ``runs``: the last ones, that the policy looks at. ``overrun_hits``: those of them that overran by more than the
    policy allows; ``hits``: those that did or waited too long. ``status`` and ``driver`` are the bottleneck's. What
    ends on ``_then`` holds under the assumption.
    """

    mission_id: str
    task_id: str
    task_name: str | None
    runs: int
    overrun_hits: int
    overrun_hits_then: int
    hits: int
    hits_then: int
    status: str
    status_then: str
    driver: str
    driver_then: str
    friction_minutes: float | None
    friction_minutes_then: float | None


@dataclass(frozen=True)
class WaitAssumption:
    """What the assumption explains, and whether it changes the verdict.

    ``explained``: by mission and task id. ``driver_then``: the first trigger under the assumption, a row as in
    marts.mission_triggers, None without one. ``status_then``: the portfolio's.
    """

    explained: tuple[ExplainedTask, ...]
    driver_then: Row | None
    changes_driver: bool
    status_then: str
    changes_status: bool


def wait_assumption_as_of(
    build: Build, day: MissionsAsOf, policy: Policy, driver: Row | None, status: str
) -> WaitAssumption | None:
    """Return what would be otherwise as of a day if recorded durations include the wait for a human.

    Args:
        build: with ``staging`` and the derived ``marts``.
        day: the missions as of that day.
        policy: the portfolio's.
        driver: the first of the day's triggers, as judged.
        status: the portfolio's, as judged.

    Returns:
        None where the policy already says so of every mission, for then it is no assumption to test.
    """
    tasks = _tasks_then(build, day)
    if tasks is None:
        return None
    is_otherwise = any(_differs(task) for task in tasks)
    driver_then, status_then = _verdict_then(day, policy, tasks) if is_otherwise else (driver, status)
    return WaitAssumption(
        explained=tuple(task for task in tasks if task.overrun_hits_then < task.overrun_hits),
        driver_then=driver_then,
        changes_driver=_who(driver_then) != _who(driver),
        status_then=status_then,
        changes_status=status_then != status,
    )


def _who(trigger: Row | None) -> tuple[str | None, str] | None:
    return None if trigger is None else (trigger["mission_id"], trigger["trigger_name"])


def _differs(task: ExplainedTask) -> bool:
    return (task.hits, task.friction_minutes) != (task.hits_then, task.friction_minutes_then)


def _tasks_then(build: Build, day: MissionsAsOf) -> list[ExplainedTask] | None:
    """Return the tasks that people made wait, of missions whose durations count as work alone; None without any."""
    rules = {
        mission_id: own.friction
        for mission_id, own in zip(day.inputs.missions["mission_id"], day.policies, strict=True)
        if not own.friction.durations_include_wait
    }
    if not rules:
        return None
    limits = [
        {
            "mission_id": mission_id,
            "overrun_hit_ratio": own.overrun_hit_ratio,
            "delay_hit_minutes": own.delay_hit_minutes,
        }
        for mission_id, own in rules.items()
    ]
    parameters = {
        "as_of": day.as_of,
        "recent_runs": max(own.recent_runs for own in rules.values()),
        "weighing_runs": min(max(runs_that_weigh(own.decay_per_run) for own in rules.values()), _MOST_RUNS),
    }
    with build.view_of("wait_limits", pl.DataFrame(limits)):
        rows = build.frame(_TASKS_THEN, parameters).to_dicts()
    return [_task_then(row, rules[row["mission_id"]]) for row in rows]


def _task_then(row: Row, rules: FrictionPolicy) -> ExplainedTask:
    """Add a task's newest runs up, as marts.task_friction does."""
    overruns, overruns_then, hits_then = (
        row[name][: rules.recent_runs] for name in ("overruns", "overruns_then", "hits_then")
    )
    minutes = row["friction_minutes_then"] or []
    weights = [rules.decay_per_run**place for place in range(len(minutes))]
    lists = ("overruns", "overruns_then", "hits_then", "friction_minutes_then")
    return ExplainedTask(
        **{name: value for name, value in row.items() if name not in lists},
        runs=len(overruns),
        overrun_hits=sum(overruns),
        overrun_hits_then=sum(overruns_then),
        hits_then=sum(hits_then),
        status_then=_status(sum(hits_then), rules),
        friction_minutes_then=sum(map(mul, weights, minutes)) / sum(weights) if minutes else None,
    )


def _status(hits: int, rules: FrictionPolicy) -> str:
    """Name how persistent a bottleneck is, as marts.task_friction does."""
    for status, least in (
        ("persistent", rules.persistent_hits),
        ("recurring", rules.recurring_hits),
        ("isolated", rules.isolated_hits),
    ):
        if hits >= least:
            return status
    return "clear"


def _verdict_then(day: MissionsAsOf, policy: Policy, tasks: list[ExplainedTask]) -> tuple[Row | None, str]:
    """Judge the day again with the tasks' other friction; return the first trigger and the portfolio's status."""
    inputs = replace(day.inputs, friction=_friction_then(day, tasks))
    judged = judge_all_days(inputs, policy, day.as_of, day.as_of)
    triggers = triggers_frame(judged).head(1).to_dicts()
    return (triggers[0] if triggers else None), MISSION_STATUSES[int(judged.portfolio.statuses[0])]


def _friction_then(day: MissionsAsOf, tasks: list[ExplainedTask]) -> Friction:
    """Return each task's newest row of friction, with other figures where the assumption makes them so."""
    friction = day.inputs.friction
    group = friction.missions * (int(friction.slots.max(initial=0)) + 1) + friction.slots
    rows = np.flatnonzero(np.diff(group, append=-1) != 0)
    labels = friction.labels[rows.tolist()]
    place = {task_id: number for number, task_id in enumerate(labels["task_id"])}
    minutes: Floats = friction.minutes[rows].copy()
    hits, codes = friction.hits[rows].copy(), friction.codes[rows].copy()
    statuses, drivers = labels["bottleneck_status"].to_list(), labels["bottleneck_driver"].to_list()
    for task in tasks:
        at = place[task.task_id]
        minutes[at] = np.nan if task.friction_minutes_then is None else task.friction_minutes_then
        hits[at], codes[at] = task.hits_then, BOTTLENECK_STATUSES.index(task.status_then)
        statuses[at], drivers[at] = task.status_then, task.driver_then
    return Friction(
        missions=friction.missions[rows],
        days=np.full(len(rows), np.datetime64(day.as_of)),
        slots=friction.slots[rows],
        minutes=minutes,
        hits=hits,
        codes=codes,
        labels=labels.with_columns(
            bottleneck_status=pl.Series(statuses, dtype=pl.String),
            bottleneck_driver=pl.Series(drivers, dtype=pl.String),
        ),
    )

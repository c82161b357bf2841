"""Tasks to fix, ranked by the time that they cost in a week and by what they hold up. Words are the brief's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from mission_pipeline.judge.newest_friction import FRICTION_AS_OF
from mission_pipeline.warehouse import Build

TASK_FIXES = f"""
with recursive

-- What holds for a mission: its own number of the policy, else the shared one.
weeks as (
    select
        missions.mission_id,
        max(coalesce(own.limit_value, shared.limit_value)) filter (
            where shared.limit_key = 'what_to_fix.weekly_window_days'
        ) as window_days,
        max(coalesce(own.limit_value, shared.limit_value)) filter (
            where shared.limit_key = 'what_to_fix.least_history_days'
        ) as least_days
    from staging.missions as missions
    inner join quality.policy_limits as shared
        on shared.mission_id is null
        and shared.limit_key in ('what_to_fix.weekly_window_days', 'what_to_fix.least_history_days')
    left join quality.policy_limits as own
        on own.mission_id = missions.mission_id and own.limit_key = shared.limit_key
    group by missions.mission_id
),

histories as (
    select
        weeks.mission_id,
        weeks.window_days,
        weeks.least_days,
        date_diff('day', min(cast(facts.start_time as date)), cast($as_of as date)) + 1 as known_days,
        count(*) filter (
            where facts.status in ('completed', 'failed')
            and facts.run_date <= $as_of
            and date_diff('day', facts.run_date, cast($as_of as date)) < weeks.window_days
        ) as recent_runs
    from weeks
    inner join marts.mission_run_facts as facts
        on weeks.mission_id = facts.mission_id and cast(facts.start_time as date) <= $as_of
    group by weeks.mission_id, weeks.window_days, weeks.least_days
),

frequencies as (
    select
        mission_id,
        7 * recent_runs / least(window_days, greatest(known_days, least_days)) as runs_per_week
    from histories
),

-- Every task with each one that cannot start before it; a cycle ends, for a pair is found once.
dependents(task_id, dependent_id) as (
    select
        unnest(tasks.depends_on) as task_id,
        tasks.task_id as dependent_id
    from staging.mission_tasks as tasks
    union
    select
        dependents.task_id,
        followers.dependent_id
    from dependents
    inner join (
        select unnest(tasks.depends_on) as task_id, tasks.task_id as dependent_id from staging.mission_tasks as tasks
    ) as followers on dependents.dependent_id = followers.task_id
),

held_up as (
    select
        task_id,
        count(*) as tasks
    from dependents
    where task_id != dependent_id
    group by task_id
),

{FRICTION_AS_OF}

select
    friction.mission_id,
    friction.task_id,
    tasks.task_name,
    friction.bottleneck_driver as cause,
    friction.friction_minutes,
    frequencies.runs_per_week,
    friction.friction_minutes * frequencies.runs_per_week as friction_minutes_per_week,
    coalesce(held_up.tasks, 0) as holds_up,
    coalesce(
        scorecards.top_bottleneck_task_id = friction.task_id and scorecards.status not in ('ON_TRACK', 'NO_DATA'), false
    ) as is_top_of_mission_not_on_track,
    missions.owner
from friction
left join staging.mission_tasks as tasks on friction.task_id = tasks.task_id
left join staging.missions as missions on friction.mission_id = missions.mission_id
left join frequencies on friction.mission_id = frequencies.mission_id
left join held_up on friction.task_id = held_up.task_id
left join marts.mission_scorecards as scorecards
    on friction.mission_id = scorecards.mission_id and scorecards.as_of_date = $as_of
where friction.friction_minutes is null or friction.friction_minutes > 0
order by
    friction_minutes_per_week desc nulls last, holds_up desc, friction.mission_id, friction.task_id
"""  # noqa: S608 - made of constants
"""All tasks with friction, or with none known, as of ``$as_of``, in their rank: every figure of a ``TaskFix``.

It reads published tables alone, so a claim may select from it: ``select <column> from (TASK_FIXES) as fixes where
mission_id = … and task_id = …``.
"""


@dataclass(frozen=True)
class TaskFix:
    """A task that costs time: how much, how often, and what waits for it.

    ``cause``: of BOTTLENECK_DRIVERS. ``friction_minutes``: per run, None where unknown in every run, and then so is
    ``friction_minutes_per_week``: that times the mission's finished runs per week. ``runs_per_week``: over the last
    days that the policy says, or since the mission's first run. ``holds_up``: tasks of the plan that cannot start
    before this one is done, directly or through others. ``is_top_of_mission_not_on_track``: it is its mission's top
    bottleneck, and the mission is on WATCH or needs attention.
    """

    mission_id: str
    task_id: str
    task_name: str | None
    cause: str
    friction_minutes: float | None
    runs_per_week: float | None
    friction_minutes_per_week: float | None
    holds_up: int
    is_top_of_mission_not_on_track: bool
    owner: str | None


def fixes_as_of(build: Build, as_of: date) -> tuple[TaskFix, ...]:
    """Return the tasks to fix: most friction minutes per week first, then most held up; unknown friction last.

    Reads the judged tables, which must reach to the day. A task without friction is nothing to fix.
    """
    return tuple(TaskFix(**row) for row in build.frame(TASK_FIXES, {"as_of": as_of}).to_dicts())

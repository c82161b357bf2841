"""Each task's friction as of a day, for every query of this room that asks for it. Judges nothing."""

from __future__ import annotations

FRICTION_AS_OF = """
newest as (
    select
        task_id,
        max(friction_date) as friction_date
    from marts.task_friction
    where friction_date <= $as_of
    group by task_id
),

friction as (
    select task_friction.*
    from newest
    inner join marts.task_friction
        on newest.task_id = task_friction.task_id and newest.friction_date = task_friction.friction_date
)
"""
"""Steps of a ``with``: ``friction`` holds each task's newest row of marts.task_friction by the end of ``$as_of``.

Tasks are unique across missions, so a task's newest row is its mission's too.
"""

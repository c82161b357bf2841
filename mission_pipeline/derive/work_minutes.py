"""What an execution's recorded duration says of the work itself, in SQL, once for all tables that ask. Sums nothing."""

from __future__ import annotations

from mission_pipeline.warehouse import Build

_WORK_MINUTES = """
create or replace temporary macro work_minutes(duration_minutes, delay_minutes, has_wait_within) as
case
    when not has_wait_within then cast(duration_minutes as decimal(18, 9))
    when duration_minutes >= delay_minutes
        then cast(duration_minutes as decimal(18, 9)) - cast(delay_minutes as decimal(18, 9))
    when duration_minutes < delay_minutes then 0
end
"""


def define_work_minutes(build: Build) -> None:
    """Make ``work_minutes(duration_minutes, delay_minutes, has_wait_within)`` known to the build's connection.

    Minutes of work as a decimal, exact in sums: the duration, less the wait for a human where the policy says that
    recorded durations include it, and never below 0. NULL where a part that is needed is unknown.
    """
    build.execute(_WORK_MINUTES)

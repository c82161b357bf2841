"""Shares a run's escalations out over its executions, for the agents' figures. Computes no rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from mission_pipeline.warehouse import Build

_ESCALATED_EXECUTIONS = """
select
    task_executions.run_id,
    task_executions.task_id,
    task_executions.attempt,
    mission_runs.escalations,
    risk_events.run_id is not null as is_named,
    coalesce(task_executions.human_approval_required, false) as has_approval
from staging.mission_runs
inner join staging.task_executions on mission_runs.run_id = task_executions.run_id
left join (select distinct run_id, task_id from staging.risk_events) as risk_events
    on task_executions.run_id = risk_events.run_id and task_executions.task_id = risk_events.task_id
where mission_runs.escalations > 0
"""


def share_escalations(executions: pl.DataFrame) -> pl.DataFrame:
    """Return ``run_id, task_id, attempt, escalation_share``, for the executions that have a share.

    A run's escalations are shared equally over its executions that a risk event names; if none, over those that
    required approval; if none, over all.

    Args:
        executions: ``run_id, task_id, attempt, escalations`` (of the run), ``is_named``, ``has_approval``.
    """
    of_run = pl.col("is_named").any().over("run_id"), pl.col("has_approval").any().over("run_id")
    takes_part = pl.when(of_run[0]).then("is_named").when(of_run[1]).then("has_approval").otherwise(True)
    return (
        executions.filter(takes_part)
        .with_columns(escalation_share=pl.col("escalations") / pl.len().over("run_id"))
        .select("run_id", "task_id", "attempt", "escalation_share")
    )


@contextmanager
def escalation_shares_of(build: Build) -> Iterator[None]:
    """Make the shares readable in SQL as ``escalation_shares``, for a while."""
    with build.view_of("escalation_shares", share_escalations(build.frame(_ESCALATED_EXECUTIONS))):
        yield

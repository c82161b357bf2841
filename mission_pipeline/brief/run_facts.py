"""Reads from the published warehouse what a report of one run shows: rows as they stand, chosen and counted by SQL.

Every query yields whole rows for one ``$run_id``, so that a claim can be a query around it: the column of one key.
Phrases nothing and judges nothing: whether something is a risk stands in marts.risk_signals.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from mission_pipeline.errors import NothingToJudge, WarehouseFault

if TYPE_CHECKING:
    from mission_pipeline.warehouse import Warehouse

Row = Mapping[str, Any]

NEAR_MATCHES, SIMILARITY = 3, 0.8
"""How many run ids are offered in place of one that does not exist, and how like it they are (Jaro-Winkler, 0-1)."""

_RUN = """
select
    facts.*,
    missions.mission_name,
    missions.owner,
    runs.requested_by,
    runs.priority
from marts.mission_run_facts as facts
left join staging.missions as missions using (mission_id)
left join staging.mission_runs as runs using (run_id)
where facts.run_id = $run_id
"""
_PLAN = """
select
    count(tasks.task_id) as planned_tasks,
    case
        when count(tasks.task_id) > 0 and count(tasks.task_id) = count(tasks.estimated_duration_minutes)
            then sum(tasks.estimated_duration_minutes)
    end as planned_minutes,
    abs(any_value(runs.total_duration_minutes) - planned_minutes) as minutes_off_plan
from marts.mission_run_facts as runs
left join staging.mission_tasks as tasks using (mission_id)
where runs.run_id = $run_id
"""
_EARLIER = """
select
    count(earlier.run_id) as earlier_runs,
    count(earlier.autonomy_score) as earlier_scored_runs,
    avg(earlier.autonomy_score) as mean_autonomy_score,
    arg_max(earlier.autonomy_score, earlier.run_seq) as previous_autonomy_score,
    arg_max(earlier.run_id, earlier.run_seq) filter (where earlier.autonomy_score is not null) as previous_run_id,
    abs(any_value(runs.autonomy_score) - previous_autonomy_score) as autonomy_change
from marts.mission_run_facts as runs
left join marts.mission_run_facts as earlier
    on runs.mission_id = earlier.mission_id and runs.run_seq > earlier.run_seq
where runs.run_id = $run_id
"""
_EXECUTIONS = """
with

own_limits as (
    select
        limits.limit_key,
        arg_max(limits.limit_value, limits.mission_id is not null) as limit_value
    from quality.policy_limits as limits
    inner join marts.mission_run_facts as runs
        on limits.mission_id is null or limits.mission_id = runs.mission_id
    where runs.run_id = $run_id
    group by limits.limit_key
),

limits as (
    select
        coalesce(max(limit_value) filter (where limit_key = 'friction.durations_include_wait') = 1, false)
            as has_wait_within,
        max(limit_value) filter (where limit_key = 'friction.overrun_hit_ratio') as overrun_ratio
    from own_limits
),

executions as (
    select
        executions.*,
        case
            when limits.has_wait_within
                then case
                    when executions.actual_duration_minutes is not null and executions.human_delay_minutes is not null
                        then greatest(executions.actual_duration_minutes - executions.human_delay_minutes, 0)
                end
            else executions.actual_duration_minutes
        end as work_minutes,
        limits.overrun_ratio
    from staging.task_executions as executions
    cross join limits
    where executions.run_id = $run_id
)

select
    executions.task_id,
    executions.attempt,
    tasks.task_name,
    executions.agent_id,
    agents.agent_name,
    tasks.estimated_duration_minutes as estimated_minutes,
    executions.actual_duration_minutes as actual_minutes,
    executions.work_minutes,
    case
        when executions.work_minutes is not null and tasks.estimated_duration_minutes is not null
            then greatest(executions.work_minutes - tasks.estimated_duration_minutes, 0)
    end as overrun_minutes,
    coalesce(
        executions.work_minutes > round(executions.overrun_ratio * tasks.estimated_duration_minutes, 9), false
    ) as is_over_plan,
    executions.human_approval_required,
    executions.human_delay_minutes,
    executions.outcome,
    executions.started_at,
    executions.finished_at
from executions
left join staging.mission_tasks as tasks using (task_id)
left join staging.agents as agents using (agent_id)
order by
    case when bool_and(executions.started_at is not null) over () then executions.started_at end nulls last,
    tasks.task_order nulls last, executions.task_id, executions.attempt
"""
_TASKS = """
select
    task_id,
    any_value(task_name) as task_name,
    any_value(estimated_minutes) as estimated_minutes,
    count(*) as executions,
    max(work_minutes) as longest_minutes,
    max(human_delay_minutes) as longest_delay_minutes,
    max(executions.overrun_minutes) as largest_overrun_minutes,
    case when count(*) = count(human_delay_minutes) then sum(human_delay_minutes) end as delay_minutes,
    case when count(*) = count(executions.overrun_minutes) then sum(executions.overrun_minutes) end as overrun_minutes,
    case
        when count(*) = count(executions.overrun_minutes + human_delay_minutes)
            then sum(executions.overrun_minutes + human_delay_minutes)
    end as friction_minutes,
    bool_or(is_over_plan) as is_over_plan
from (EXECUTIONS) as executions
group by task_id
order by friction_minutes desc nulls last, task_id
""".replace("EXECUTIONS", _EXECUTIONS)
_NOT_EXECUTED = """
select
    tasks.task_id,
    tasks.task_name,
    tasks.estimated_duration_minutes as estimated_minutes
from marts.mission_run_facts as runs
inner join staging.mission_tasks as tasks using (mission_id)
where
    runs.run_id = $run_id
    and tasks.task_id not in (select task_id from staging.task_executions where run_id = $run_id)
order by tasks.task_order nulls last, tasks.task_id
"""
_DEPENDENTS = """
select
    needs.task_id,
    needs.dependent_id,
    needs.dependent_name
from (
    select
        tasks.task_order,
        tasks.task_id as dependent_id,
        tasks.task_name as dependent_name,
        unnest(tasks.depends_on) as task_id
    from marts.mission_run_facts as runs
    inner join staging.mission_tasks as tasks using (mission_id)
    where runs.run_id = $run_id
) as needs
order by needs.task_id, needs.task_order nulls last, needs.dependent_id
"""
_BEST_AGENTS = """
select
    routing.task_id,
    routing.agent_id,
    agents.agent_name,
    routing.executions
from marts.mission_run_facts as runs
inner join staging.mission_tasks as tasks using (mission_id)
inner join marts.agent_routing as routing using (task_id)
inner join staging.agents as agents using (agent_id)
where runs.run_id = $run_id and agents.status = 'available' and routing.evidence <> 'none'
qualify row_number() over (partition by routing.task_id order by routing.rank) = 1
order by routing.task_id
"""
_KPIS = """
with

earlier as (
    select
        deltas.kpi_name,
        count(*) as earlier_values,
        arg_min(deltas.kpi_value, deltas.run_seq) as first_value,
        arg_max(deltas.kpi_value, deltas.run_seq) as previous_value
    from marts.run_kpi_deltas as deltas
    inner join marts.mission_run_facts as runs
        on deltas.mission_id = runs.mission_id and deltas.run_seq < runs.run_seq
    where runs.run_id = $run_id
    group by deltas.kpi_name
)

select
    kpis.kpi_name,
    kpis.kpi_kind,
    kpis.direction,
    kpis.is_primary,
    kpis.baseline_value,
    kpis.target_value,
    deltas.kpi_value,
    coalesce(earlier.earlier_values, 0) as earlier_values,
    earlier.first_value,
    earlier.previous_value,
    deltas.improvement_vs_previous_pct,
    case when earlier.earlier_values > 0 then deltas.improvement_vs_first_pct end as improvement_vs_first_pct,
    deltas.improvement_vs_baseline_pct,
    deltas.gap_to_target,
    case when deltas.run_id is null then 'not_observed' else deltas.target_status end as target_status
from marts.mission_run_facts as runs
inner join staging.mission_kpis as kpis using (mission_id)
left join marts.run_kpi_deltas as deltas
    on runs.run_id = deltas.run_id and kpis.kpi_name = deltas.kpi_name
left join earlier on kpis.kpi_name = earlier.kpi_name
where runs.run_id = $run_id
order by kpis.is_primary desc, kpis.kpi_order, kpis.kpi_name
"""
_OTHER_KPIS = """
select
    kpi_name,
    kpi_value
from staging.run_kpis
where run_id = $run_id and not is_specified
order by kpi_name
"""
_SIGNALS = """
select
    signals.signal_id,
    signals.rule,
    signals.severity,
    signals.task_id,
    tasks.task_name,
    signals.kpi_name,
    signals.observed_value,
    signals.threshold,
    signals.reported_event_id
from marts.risk_signals as signals
left join staging.mission_tasks as tasks using (task_id)
where signals.run_id = $run_id
order by
    case signals.severity when 'high' then 1 when 'medium' then 2 else 3 end,
    tasks.task_order nulls first, signals.rule, signals.signal_id
"""
_EVENTS = """
select
    events.event_id,
    events.task_id,
    tasks.task_name,
    events.risk_type,
    events.severity,
    events.description,
    events.status,
    events.detected_at,
    signals.rule as matching_rule
from staging.risk_events as events
left join staging.mission_tasks as tasks using (task_id)
left join marts.risk_signals as signals on events.event_id = signals.reported_event_id
where events.run_id = $run_id
order by events.detected_at nulls last, events.event_id
"""
_TOTALS = """
select
    (select count(*) from staging.task_executions where run_id = $run_id) as executions,
    (
        select count(*)
        from staging.task_executions
        where run_id = $run_id and (started_at is null or finished_at is null)
    ) as untimed_executions,
    (select count(*) from marts.risk_signals where run_id = $run_id) as signals,
    (select count(*) from staging.risk_events where run_id = $run_id) as events,
    (select count(*) from staging.risk_events where run_id = $run_id and status = 'open') as open_events,
    (
        select count(distinct reported_event_id) from marts.risk_signals where run_id = $run_id
    ) as matched_events
"""
_NEAR = """
select run_id
from marts.mission_run_facts
where jaro_winkler_similarity(lower(run_id), lower($run_id)) >= $similarity or contains(lower(run_id), lower($run_id))
order by levenshtein(lower(run_id), lower($run_id)), run_id
limit $near_matches
"""
_REJECTED = """
select file, row, reason
from quality.rejected_rows
where data_set = 'mission_runs' and json_valid(record) and json_extract_string(record, '$.run_id') = $run_id
order by file desc, row desc
limit 1
"""

QUERIES: dict[str, str] = {
    "run": _RUN,
    "plan": _PLAN,
    "earlier": _EARLIER,
    "totals": _TOTALS,
    "executions": _EXECUTIONS,
    "tasks": _TASKS,
    "not_executed": _NOT_EXECUTED,
    "dependents": _DEPENDENTS,
    "best_agents": _BEST_AGENTS,
    "kpis": _KPIS,
    "other_kpis": _OTHER_KPIS,
    "signals": _SIGNALS,
    "events": _EVENTS,
}
"""Query of each part of a run's facts; its only parameter is ``$run_id``."""

KEYS: dict[str, tuple[str, ...]] = {
    "executions": ("task_id", "attempt"),
    "tasks": ("task_id",),
    "not_executed": ("task_id",),
    "dependents": ("task_id", "dependent_id"),
    "best_agents": ("task_id",),
    "kpis": ("kpi_name",),
    "other_kpis": ("kpi_name",),
    "signals": ("signal_id",),
    "events": ("event_id",),
}
"""Columns that name one row of a part; the parts that are left out have one row."""

_ONE_COLUMN = "select $column from (QUERY)"


def claim_query(part: str) -> str:
    """Return the query of one column of one row of a part: of ``$column``, ``$run_id`` and the part's keys."""
    wanted = " and ".join(f"{key} = ${key}" for key in KEYS.get(part, ()))
    return _ONE_COLUMN.replace("QUERY", QUERIES[part]) + (f" where {wanted}" if wanted else "")


@dataclass(frozen=True)
class RunFacts:
    """What is known of one run; see the queries above for the columns and order of each part.

    ``tasks`` sums the executions of a task, attempts included, most friction first; ``work_minutes`` are recorded
    minutes without the wait for a person, where the policy says that they include it; ``is_over_plan``: by so much that
    the policy counts it as a hit. ``best_agents`` is the first
    available agent of the routing for each task of the plan. ``not_executed`` is what the plan holds and no log names.
    ``dependents``: a row for each task of the plan and each other that depends on it.
    """

    run_id: str
    run: Row
    plan: Row
    earlier: Row
    totals: Row
    executions: list[Row]
    tasks: list[Row]
    not_executed: list[Row]
    dependents: list[Row]
    best_agents: list[Row]
    kpis: list[Row]
    other_kpis: list[Row]
    signals: list[Row]
    events: list[Row]


def read_run_facts(warehouse: Warehouse, run_id: str) -> RunFacts:
    """Return what the published warehouse knows of a run.

    Raises:
        NothingToJudge: there is no such run; names those whose ids are closest, or why its record was rejected.
        WarehouseFault: nothing was published yet, or the file cannot be read or is of an earlier release.

    """
    with warehouse.published() as connection:
        if not _rows(connection, _RUN, run_id=run_id):
            raise NothingToJudge(_no_such_run(connection, run_id))
        try:
            parts: dict[str, Any] = {name: _rows(connection, sql, run_id=run_id) for name, sql in QUERIES.items()}
        except duckdb.CatalogException as error:
            raise WarehouseFault(
                f"{warehouse.published_file} is of an earlier release and lacks what the report needs. "
                "Run `mission refresh` to publish it again."
            ) from error
    return RunFacts(run_id, **{name: rows if name in KEYS else rows[0] for name, rows in parts.items()})


def _no_such_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> str:
    rejected = _rows(connection, _REJECTED, run_id=run_id)
    if rejected:
        [row] = rejected
        return (
            f"The record of run {run_id} was rejected: {row['reason'].rstrip('.')} ({row['file']}, row {row['row']}). "
            "Correct it and run `mission refresh`."
        )
    found = _rows(connection, _NEAR, run_id=run_id, near_matches=NEAR_MATCHES, similarity=SIMILARITY)
    near = [row["run_id"] for row in found]
    there = ", nor one with an id like it. All are in marts.mission_run_facts of the warehouse."
    if near:
        there = f". Close to it: {', '.join(near)}."
    elif not connection.execute("select 1 from marts.mission_run_facts limit 1").fetchall():
        there = ": the warehouse holds no run yet. Add one and run `mission refresh`."
    return (
        f"There is no run {run_id}{there} "
        "A run that has not ended, or that ended after the last refresh, is not in the warehouse yet: "
        f"`mission status {shlex.quote(run_id)}` shows it, `mission refresh` takes it over once it has ended."
    )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: Any) -> list[Row]:
    found = connection.execute(sql, parameters)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

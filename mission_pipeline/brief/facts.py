"""Reads from the build what a brief shows beside the verdict: rows as they stand in the marts, as of a day.

Every figure is made upstream; here rows are only chosen (what was known by the end of the day) and counted by SQL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from mission_pipeline.brief.changes import LastBrief
from mission_pipeline.warehouse import Build

Row = dict[str, Any]

_OPEN_RUNS = """
select mission_id, count(*) as open_runs
from marts.mission_run_facts
where start_time < $as_of + interval 1 day
    and (status not in ('completed', 'failed', 'cancelled') or run_date > $as_of)
group by mission_id
order by mission_id
"""
_KPIS = """
with

known_runs as (
    select run_id
    from marts.mission_run_facts
    where run_date <= $as_of and status in ('completed', 'failed', 'cancelled')
),

latest as (
    select deltas.*
    from marts.run_kpi_deltas as deltas
    inner join known_runs using (run_id)
    qualify row_number() over (partition by deltas.mission_id, deltas.kpi_name order by deltas.run_seq desc) = 1
)

select
    kpis.mission_id,
    kpis.kpi_name,
    kpis.kpi_kind,
    kpis.direction,
    kpis.is_primary,
    kpis.baseline_value,
    kpis.target_value,
    latest.run_id as latest_run_id,
    latest.first_value,
    latest.kpi_value as latest_value,
    latest.improvement_vs_baseline_pct,
    latest.improvement_vs_first_pct,
    latest.gap_to_target,
    case when latest.run_id is null then 'not_observed' else latest.target_status end as target_status
from staging.mission_kpis as kpis
left join latest using (mission_id, kpi_name)
order by kpis.mission_id, kpis.is_primary desc, kpis.kpi_order, kpis.kpi_name
"""
_FRICTION = """
select
    friction.mission_id,
    friction.task_id,
    tasks.task_name,
    tasks.estimated_duration_minutes as estimated_minutes,
    friction.mean_actual_minutes,
    friction.mean_human_delay_minutes,
    friction.friction_minutes,
    friction.runs_executed,
    friction.recent_hits,
    friction.bottleneck_status,
    friction.bottleneck_driver
from marts.task_friction as friction
left join staging.mission_tasks as tasks using (task_id)
where friction.friction_date <= $as_of
qualify row_number() over (partition by friction.mission_id, friction.task_id order by friction.friction_date desc) = 1
order by friction.friction_minutes desc nulls last, friction.mission_id, friction.task_id
"""
_RUN_TIME = """
select
    count(*) filter (where status in ('completed', 'failed')) as finished_runs,
    sum(total_duration_minutes) as run_minutes,
    sum(unattributed_minutes) as unattributed_minutes,
    count(unattributed_minutes) as runs_with_known_times,
    sum(total_duration_minutes) filter (where unattributed_minutes is not null) as known_run_minutes,
    max(run_date) as newest_run_date
from marts.mission_run_facts
where run_date <= $as_of and status in ('completed', 'failed', 'cancelled')
"""
LISTED_ROWS = 100
"""How many tasks, risks and things to fix a brief holds; the warehouse holds them all."""

_RISKS_DETECTED = """
with

recent_runs as (
    select
        run_id,
        run_date
    from marts.mission_run_facts
    where run_date <= $as_of
    qualify row_number() over (partition by mission_id order by run_seq desc) <= $window_runs
)

select signals.*
from marts.risk_signals as signals
inner join recent_runs using (run_id)
order by
    case signals.severity when 'high' then 1 when 'medium' then 2 else 3 end,
    recent_runs.run_date desc, signals.mission_id, signals.run_id, signals.rule, signals.signal_id
limit $listed_rows
"""
_RISKS_REPORTED = """
with

known_runs as (
    select
        run_id,
        coalesce(end_time, start_time) as seen_at,
        row_number() over (partition by mission_id order by run_seq desc) <= $window_runs as is_recent
    from marts.mission_run_facts
    where run_date <= $as_of
),

linked_events as (
    select distinct reported_event_id as event_id
    from marts.risk_signals
    where reported_event_id is not null
)

select
    events.event_id,
    events.run_id,
    events.mission_id,
    events.task_id,
    events.risk_type,
    events.severity,
    events.status,
    linked_events.event_id is not null as is_detected
from staging.risk_events as events
left join known_runs using (run_id)
left join linked_events using (event_id)
where
    cast(coalesce(events.detected_at, known_runs.seen_at) as date) <= $as_of
    and (events.status = 'open' or known_runs.is_recent)
order by events.status = 'open' desc, events.event_id
limit $listed_rows
"""
_RISK_COUNTS = """
with

known_runs as (
    select
        run_id,
        coalesce(end_time, start_time) as seen_at
    from marts.mission_run_facts
    where run_date <= $as_of
),

known_events as (
    select events.event_id
    from staging.risk_events as events
    left join known_runs using (run_id)
    where cast(coalesce(events.detected_at, known_runs.seen_at) as date) <= $as_of
),

known_signals as (
    select signals.reported_event_id
    from marts.risk_signals as signals
    inner join known_runs using (run_id)
)

select
    (select count(*) from known_signals) as detected,
    (select count(*) from known_signals where reported_event_id is null) as detected_only,
    (select count(*) from known_events) as reported,
    (
        select count(*)
        from known_events
        where event_id not in (select reported_event_id from marts.risk_signals where reported_event_id is not null)
    ) as reported_only
"""
_RECONCILIATION = """
select source, subject, report_date, field, reported_value, computed_value, difference, verdict
from quality.reconciliation
where report_date <= $as_of
qualify
    report_date = max(report_date) over (
        partition by source, case when source = 'agent_performance_stats' then subject end
    )
order by
    case verdict when 'differs' then 1 when 'not_computable' then 2 else 3 end,
    source desc, subject, field
"""
_RECONCILIATION_COUNTS = """
select
    count(*) as figures,
    count(*) filter (where verdict = 'agrees') as agree,
    count(*) filter (where verdict = 'differs') as differ,
    count(*) filter (where verdict = 'not_computable') as not_computable
from quality.reconciliation
where report_date <= $as_of
"""
_ROW_COUNTS = "select * from quality.row_counts order by data_set"
_ROW_TOTALS = """
select
    coalesce(sum(rows_in), 0)::bigint as rows_in,
    coalesce(sum(rows_valid), 0)::bigint as rows_valid,
    coalesce(sum(rows_rejected), 0)::bigint as rows_rejected,
    coalesce(sum(rows_replaced), 0)::bigint as rows_replaced,
    coalesce(sum(rows_retained), 0)::bigint as rows_retained
from quality.row_counts
"""
_REJECTS = """
select data_set, rule, count(*) as rows, arg_min(reason, (file, row)) as example
from quality.rejected_rows
group by data_set, rule
order by rows desc, data_set, rule
"""
_DRIFT = "select data_set, field, kind, rows from quality.schema_drift order by data_set, field, kind"
_WARNINGS = "select data_set, rule, rows, example_value as example from quality.data_warnings order by data_set, rule"
_PLAN_FINDINGS = (
    "select mission_id, task_id, fault, detail from quality.plan_findings order by mission_id, task_id, fault, detail"
)
_INPUTS = "select data_set, file, sha256, rows from quality.loaded_files order by data_set, file_order, file"

_LAST_BRIEF = """
select as_of_date, brief_json
from marts.executive_briefs
where as_of_date < $as_of
order by as_of_date desc
limit 1
"""
_FINISHED_RUNS_SINCE = """
select mission_id, count(*) as runs
from marts.mission_run_facts
where status in ('completed', 'failed') and run_date > $last_as_of and run_date <= $as_of
group by mission_id
order by mission_id
"""


@dataclass(frozen=True)
class Facts:
    """Rows that a brief shows, as of the end of ``as_of``; see the queries above for their columns and order.

    ``open_runs``: mission id → runs open at the end of the day; a mission without one is left out. Risks are listed
    for each mission's last runs, and open events always; ``risk_counts`` counts them all.
    """

    as_of: date
    open_runs: dict[str, int]
    kpis: list[Row]
    friction: list[Row]
    run_time: Row
    risks_detected: list[Row]
    risks_reported: list[Row]
    risk_counts: Row
    reconciliation: list[Row]
    reconciliation_counts: Row
    row_counts: list[Row]
    row_totals: Row
    rejects: list[Row]
    drift: list[Row]
    warnings: list[Row]
    plan_findings: list[Row]
    inputs: list[Row]
    last_brief: LastBrief | None = None


def read_facts(build: Build, as_of: date, *, window_runs: int) -> Facts:
    """Return what a brief of a day shows. Tables of the data's quality are as of this refresh, not of the day.

    Args:
        build: the open build, judged up to the day.
        as_of: the day.
        window_runs: how many of each mission's last runs risks are listed for, at most LISTED_ROWS in all; all are
            counted.

    """

    def rows(sql: str) -> list[Row]:
        return build.frame(sql, {"as_of": as_of, "window_runs": window_runs, "listed_rows": LISTED_ROWS}).to_dicts()

    return Facts(
        as_of=as_of,
        open_runs={row["mission_id"]: row["open_runs"] for row in rows(_OPEN_RUNS)},
        kpis=rows(_KPIS),
        friction=rows(_FRICTION),
        run_time=rows(_RUN_TIME)[0],
        risks_detected=rows(_RISKS_DETECTED),
        risks_reported=rows(_RISKS_REPORTED),
        risk_counts=rows(_RISK_COUNTS)[0],
        reconciliation=rows(_RECONCILIATION),
        reconciliation_counts=rows(_RECONCILIATION_COUNTS)[0],
        row_counts=rows(_ROW_COUNTS),
        row_totals=rows(_ROW_TOTALS)[0],
        rejects=rows(_REJECTS),
        drift=rows(_DRIFT),
        warnings=rows(_WARNINGS),
        plan_findings=rows(_PLAN_FINDINGS),
        inputs=rows(_INPUTS),
        last_brief=_last_brief(build, as_of),
    )


def _last_brief(build: Build, as_of: date) -> LastBrief | None:
    """Return the newest brief of an earlier day, whichever were written after it; None without one."""
    found = build.frame(_LAST_BRIEF, {"as_of": as_of}).rows()
    if not found:
        return None
    [(day, text)] = found
    runs = build.frame(_FINISHED_RUNS_SINCE, {"as_of": as_of, "last_as_of": day}).rows()
    return LastBrief(day, json.loads(text), dict(runs))

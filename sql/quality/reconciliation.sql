-- Table:  quality.reconciliation
-- Grain:  one row per figure that somebody else reported
-- Reads:  staging.reported_agent_stats, marts.agent_rolling_stats, staging.reported_portfolio_snapshots,
--         marts.portfolio_snapshots
-- Nulls:  a figure that was not reported has no row; one that the telemetry does not give is not_computable
-- Binds:  rounding_margin: what the arithmetic itself may be off, relative to the figure
with

agents as (
    select
        reported.agent_id,
        reported.last_updated,
        reported.avg_task_duration_minutes as reported_duration,
        reported.approval_rate as reported_approval_rate,
        reported.escalation_rate as reported_escalation_rate,
        computed.avg_task_duration_minutes as computed_duration,
        computed.approval_rate as computed_approval_rate,
        computed.escalation_rate as computed_escalation_rate
    from staging.reported_agent_stats as reported
    left join marts.agent_rolling_stats as computed
        on
            reported.agent_id = computed.agent_id
            and reported.last_updated >= computed.stat_date
            and computed.stat_window = 'all'
    -- the last day with activity up to the report
    qualify
        row_number() over (
            partition by reported.agent_id, reported.last_updated order by computed.stat_date desc nulls last
        ) = 1
),

days as (
    select
        reported.snapshot_date,
        reported.active_runs as reported_active_runs,
        reported.completed_runs as reported_completed_runs,
        reported.missions_at_risk as reported_missions_at_risk,
        reported.avg_kpi_improvement_pct as reported_improvement,
        reported.top_bottleneck_task_id as reported_task_id,
        reported.top_bottleneck_task_name as reported_task_name,
        reported.escalations_last_24h as reported_escalations,
        reported.human_interventions_last_24h as reported_interventions,
        computed.active_runs as computed_active_runs,
        computed.completed_runs as computed_completed_runs,
        computed.missions_at_risk as computed_missions_at_risk,
        computed.avg_kpi_improvement_pct as computed_improvement,
        computed.top_bottleneck_task_id as computed_task_id,
        computed.top_bottleneck_task_name as computed_task_name,
        computed.escalations_last_24h as computed_escalations,
        computed.human_interventions_last_24h as computed_interventions
    from staging.reported_portfolio_snapshots as reported
    left join marts.portfolio_snapshots as computed on reported.snapshot_date = computed.snapshot_date
),

agent_numbers as (
    select
        agent_id as subject,
        last_updated as report_date,
        'avg_task_duration_minutes' as field,
        reported_duration as reported,
        computed_duration as computed
    from agents
    union all
    select
        agent_id,
        last_updated,
        'approval_rate' as field,
        reported_approval_rate as reported,
        computed_approval_rate as computed
    from agents
    union all
    select
        agent_id,
        last_updated,
        'escalation_rate' as field,
        reported_escalation_rate as reported,
        computed_escalation_rate as computed
    from agents
),

day_numbers as (
    select
        snapshot_date,
        'active_runs' as field,
        reported_active_runs as reported,
        computed_active_runs as computed
    from days
    union all
    select
        snapshot_date,
        'completed_runs' as field,
        reported_completed_runs as reported,
        computed_completed_runs as computed
    from days
    union all
    select
        snapshot_date,
        'missions_at_risk' as field,
        reported_missions_at_risk as reported,
        computed_missions_at_risk as computed
    from days
    union all
    select
        snapshot_date,
        'avg_kpi_improvement_pct' as field,
        reported_improvement as reported,
        computed_improvement as computed
    from days
    union all
    select
        snapshot_date,
        'escalations_last_24h' as field,
        reported_escalations as reported,
        computed_escalations as computed
    from days
    union all
    select
        snapshot_date,
        'human_interventions_last_24h' as field,
        reported_interventions as reported,
        computed_interventions as computed
    from days
),

day_texts as (
    select
        snapshot_date,
        'top_bottleneck_task_id' as field,
        reported_task_id as reported,
        computed_task_id as computed
    from days
    union all
    select
        snapshot_date,
        'top_bottleneck_task_name' as field,
        reported_task_name as reported,
        computed_task_name as computed
    from days
),

numbers as (
    select
        'agent_performance_stats' as source,
        subject,
        report_date,
        field,
        cast(reported as double) as reported,
        cast(computed as double) as computed
    from agent_numbers
    union all
    select
        'mission_portfolio_snapshot' as source,
        cast(snapshot_date as varchar) as subject,
        snapshot_date as report_date,
        field,
        cast(reported as double) as reported,
        cast(computed as double) as computed
    from day_numbers
),

-- the shortest text that reads back as the same number: its decimals are those that were reported
written as (
    select
        *,
        regexp_replace(cast(reported as varchar), '[.]0$', '') as reported_text,
        regexp_replace(cast(computed as varchar), '[.]0$', '') as computed_text
    from numbers
    where reported is not null
),

measured as (
    select
        *,
        greatest(
            length(regexp_extract(reported_text, '^-?[0-9]+[.]?([0-9]*)', 1))
            - coalesce(try_cast(regexp_extract(reported_text, 'e[+]?(-?[0-9]+)$', 1) as bigint), 0),
            0
        ) as decimals
    from written
)

select
    source,
    subject,
    report_date,
    field,
    reported_text as reported_value,
    computed_text as computed_value,
    reported - computed as difference,
    case
        when computed is null then 'not_computable'
        when
            abs(reported - computed)
            <= cast('1e-' || cast(decimals as varchar) as double) / 2 + $rounding_margin * greatest(1, abs(reported))
            then 'agrees'
        else 'differs'
    end as verdict
from measured
union all
select
    'mission_portfolio_snapshot' as source,
    cast(snapshot_date as varchar) as subject,
    snapshot_date as report_date,
    field,
    reported as reported_value,
    computed as computed_value,
    cast(null as double) as difference,
    case
        when computed is null then 'not_computable'
        when reported = computed then 'agrees'
        else 'differs'
    end as verdict
from day_texts
where reported is not null

-- Table:  marts.run_kpi_deltas
-- Grain:  one row per run and specified KPI observed in it
-- Reads:  staging.run_kpis, staging.mission_kpis, marts.mission_run_facts
-- Limits: mission_limits: the policy as it holds for each mission (derive/limits.py)
-- Nulls:  no figure of better or worse without a direction, none against a reference that is NULL or 0; a completed run
--         without a log has no row of `steps`, for its steps are unknown, not none
with

-- Numbered, so that neither the windows nor the joins compare the names of missions and KPIs run by run.
kpis as (
    select
        ---------- keys
        row_number() over (order by mission_kpis.mission_id, mission_kpis.kpi_name) as kpi_number,
        mission_kpis.mission_id,
        mission_kpis.kpi_name,

        ---------- what a value is held to
        mission_kpis.kpi_name = 'steps' and mission_kpis.kpi_kind = 'ceiling' as is_counted,
        mission_kpis.direction,
        mission_kpis.is_primary,
        mission_kpis.baseline_value,
        mission_kpis.target_value,
        case mission_kpis.direction when 'lower_is_better' then -1 when 'higher_is_better' then 1 end as better_sign,
        mission_limits.kpi_near_target_gap_pct as near_target_gap_pct
    from staging.mission_kpis
    inner join mission_limits on mission_kpis.mission_id = mission_limits.mission_id
),

observations as (
    select
        mission_run_facts.run_id,
        mission_run_facts.run_seq,
        mission_run_facts.run_date,
        kpis.kpi_number,
        run_kpis.kpi_value
    from staging.run_kpis
    inner join kpis on run_kpis.mission_id = kpis.mission_id and run_kpis.kpi_name = kpis.kpi_name
    inner join marts.mission_run_facts on run_kpis.run_id = mission_run_facts.run_id
    -- The steps under a ceiling are counted below: a run's own count of them is somebody's summary.
    where run_kpis.is_specified and not kpis.is_counted

    union all

    select
        mission_run_facts.run_id,
        mission_run_facts.run_seq,
        mission_run_facts.run_date,
        kpis.kpi_number,
        mission_run_facts.tasks_executed as kpi_value
    from marts.mission_run_facts
    inner join kpis on mission_run_facts.mission_id = kpis.mission_id
    where
        kpis.is_counted
        and mission_run_facts.status = 'completed'
        and mission_run_facts.tasks_executed > 0
),

ordered as (
    select
        *,
        first_value(kpi_value) over by_run as first_value,
        lag(kpi_value) over by_run as previous_value
    from observations
    window by_run as (partition by kpi_number order by run_seq)
),

held_to as (
    select
        ordered.*,
        kpis.mission_id,
        kpis.kpi_name,
        kpis.direction,
        kpis.is_primary,
        kpis.baseline_value,
        kpis.target_value,
        kpis.better_sign,
        kpis.near_target_gap_pct
    from ordered
    inner join kpis on ordered.kpi_number = kpis.kpi_number
),

measured as (
    select
        *,
        case
            when better_sign is not null and target_value is not null
                then greatest(better_sign * target_value - better_sign * kpi_value, 0)
        end as gap_to_target
    from held_to
),

related as (
    select
        *,
        100 * gap_to_target / nullif(abs(target_value), 0) as gap_to_target_pct
    from measured
)

select
    ---------- keys
    run_id,
    mission_id,
    run_seq,
    run_date,
    kpi_name,
    direction,
    is_primary,

    ---------- values, in the KPI's unit
    kpi_value,
    baseline_value,
    target_value,
    first_value,
    previous_value,

    ---------- better is positive; both sides take the sign, so that no change is 0 and never -0
    100 * (better_sign * kpi_value - better_sign * previous_value) / nullif(abs(previous_value), 0)
        as improvement_vs_previous_pct,
    100 * (better_sign * kpi_value - better_sign * first_value) / nullif(abs(first_value), 0)
        as improvement_vs_first_pct,
    100 * (better_sign * kpi_value - better_sign * baseline_value) / nullif(abs(baseline_value), 0)
        as improvement_vs_baseline_pct,

    ---------- what is missing
    gap_to_target,
    gap_to_target_pct,
    case
        when better_sign is not null then (baseline_value - kpi_value) / nullif(baseline_value - target_value, 0)
    end as attainment_share,
    case
        when gap_to_target is null then null
        when gap_to_target = 0 then 'met'
        -- Rounded, because 3.6 against a target of 3 is 20 percent and a little by floating point.
        when round(gap_to_target_pct, 9) <= near_target_gap_pct then 'near'
        else 'off'
    end as target_status
from related

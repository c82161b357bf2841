"""Observed KPIs: opens ``kpis{}`` of runs into ``raw.observed_kpis``, in SQL, for runs are many. Judges no value."""

from __future__ import annotations

from mission_pipeline.contracts.inputs import MISSION_RUNS
from mission_pipeline.validate import rules, set_aside, statements
from mission_pipeline.validate.record_contracts import UNSOUND_ID
from mission_pipeline.warehouse import Build

_OPEN_KPIS = f"""
create or replace table raw.observed_kpis as
with opened as (
    select rowid as record_id, try_cast(kpis as map(varchar, json)) as named
    from raw.mission_runs
    where kpis is not null and {statements.is_sound("raw.mission_runs")}
),
entries as (
    select record_id, named is null as is_named_twice, unnest(coalesce(map_entries(named), [null])) as entry from opened
),
typed as (
    select record_id, is_named_twice, entry.key as kpi_name, entry.value as arrived, json_type(entry.value) as json_kind
    from entries
)
select record_id, is_named_twice, kpi_name, arrived, json_kind,
    case when json_kind in ('DOUBLE', 'BIGINT', 'UBIGINT') then try_cast(arrived as double)
        when json_kind = 'VARCHAR' and regexp_full_match(arrived ->> '$', '{statements.NUMBER_IN_QUOTES}')
            then try_cast(arrived ->> '$' as double)
    end as kpi_value
from typed
where is_named_twice or json_kind <> 'NULL'"""  # noqa: S608 - made of constants

_FAULTS = """
select record_id,
    case when is_named_twice then $named_twice
        when regexp_matches(kpi_name, $unsound_id) then $broken_id
        else $wrong_type end as rule,
    case when is_named_twice then 'kpis names a KPI twice'
        when regexp_matches(kpi_name, $unsound_id)
            then 'kpis names ' || to_json(kpi_name) || ', which is blank or has a broken character'
        else 'kpis.' || kpi_name || ' is ' || arrived || ', not ' || $expected end as sentence
from raw.observed_kpis
where is_named_twice or kpi_value is null or not isfinite(kpi_value) or regexp_matches(kpi_name, $unsound_id)"""


def reject_faulty_observations(build: Build) -> None:
    """Open the KPIs of sound runs; reject runs with a KPI that is no number. A null KPI was not observed."""
    build.execute(_OPEN_KPIS)
    parameters = {
        "named_twice": rules.NAMED_TWICE,
        "broken_id": rules.BROKEN_ID,
        "wrong_type": rules.WRONG_TYPE,
        "expected": rules.EXPECTED["number"],
        "unsound_id": UNSOUND_ID,
    }
    faults = build.frame(_FAULTS, parameters)
    set_aside.reject(build, MISSION_RUNS, set_aside.verdicts(faults))

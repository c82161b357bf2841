-- Table:  staging.missions
-- Grain:  one row per business mission
-- Reads:  raw.business_missions, raw.set_aside
-- Nulls:  what was not reported stays NULL
select
    ---------- keys
    mission_id,

    ---------- attributes
    mission_name,
    description,
    owner
from raw.business_missions
where
    not exists (
        select 1
        from raw.set_aside
        where set_aside.data_set = 'business_missions' and set_aside.record_id = business_missions.rowid
    )
order by mission_id

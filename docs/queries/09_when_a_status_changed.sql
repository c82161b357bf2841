-- Question: On which days did a mission's status change, and to what?
select
    mission_id,
    as_of_date,
    lag(status) over missions_days as status_before,
    status as status_after,
    round(health_score, 1) as health_score
from marts.mission_scorecards
window missions_days as (partition by mission_id order by as_of_date)
qualify lag(status) over missions_days is distinct from status
order by as_of_date desc, mission_id

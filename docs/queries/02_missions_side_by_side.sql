-- Question: Which missions are healthy today, and what drags the others down?
select
    missions.mission_name,
    mission_scorecards.status,
    mission_scorecards.finished_runs,
    round(mission_scorecards.health_score, 1) as health,
    round(mission_scorecards.outcome_score, 1) as outcome,
    round(mission_scorecards.trajectory_score, 1) as trajectory,
    round(mission_scorecards.friction_score, 1) as friction,
    round(mission_scorecards.risk_score, 1) as risk,
    round(mission_scorecards.stability_score, 1) as stability
from marts.mission_scorecards
inner join staging.missions using (mission_id)
qualify mission_scorecards.as_of_date = max(mission_scorecards.as_of_date) over ()
order by mission_scorecards.health_score nulls first

-- Question: How much of the missions' time is work, how much is waiting for people, and how much explains no log?
select
    mission_id,
    count(*) as finished_runs,
    sum(total_duration_minutes) as total_minutes,
    sum(task_minutes) as task_minutes,
    sum(approval_delay_minutes) as approval_delay_minutes,
    sum(unattributed_minutes) as unattributed_minutes,
    round(100 * sum(unattributed_minutes) / sum(total_duration_minutes), 1) as unattributed_pct
from marts.mission_run_facts
where status in ('completed', 'failed')
group by mission_id
order by unattributed_minutes desc nulls last

-- Question: Which agents work differently in the last 7 days than over all their history?
select
    latest.agent_id,
    latest.stat_date,
    latest.executions as executions_7d,
    round(latest.avg_task_duration_minutes, 2) as minutes_7d,
    round(history.avg_task_duration_minutes, 2) as minutes_all,
    round(latest.escalation_rate, 2) as escalations_7d,
    round(history.escalation_rate, 2) as escalations_all
from marts.agent_rolling_stats as latest
inner join marts.agent_rolling_stats as history
    on
        latest.agent_id = history.agent_id
        and latest.stat_date = history.stat_date
        and history.stat_window = 'all'
where latest.stat_window = '7d'
qualify row_number() over (partition by latest.agent_id order by latest.stat_date desc) = 1
order by latest.agent_id

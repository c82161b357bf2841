-- Question: Which tasks cost the most minutes over plan, and is that more than chance?
select
    mission_id,
    task_name,
    executions,
    estimated_minutes,
    round(mean_actual_minutes, 2) as mean_actual_minutes,
    round(overrun_rate, 2) as overrun_rate,
    round(overrun_rate_low, 2) as at_least,
    round(overrun_rate_high, 2) as at_most,
    round(friction_minutes, 2) as friction_minutes,
    bottleneck_status,
    bottleneck_driver
from marts.task_overrun_rates
order by friction_minutes desc nulls last
limit 10

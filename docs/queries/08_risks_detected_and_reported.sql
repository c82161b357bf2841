-- Question: Which risks did only the rules see, which only people, and which both?
select
    coalesce(risk_signals.run_id, risk_events.run_id) as run_id,
    coalesce(risk_signals.task_id, risk_events.task_id) as task_id,
    risk_signals.risk_type as detected,
    risk_events.risk_type as reported,
    risk_signals.severity as detected_severity,
    risk_events.severity as reported_severity,
    case
        when risk_events.event_id is null then 'detected only'
        when risk_signals.signal_id is null then 'reported only'
        else 'both'
    end as seen_by
from marts.risk_signals
full outer join staging.risk_events on risk_signals.reported_event_id = risk_events.event_id
order by run_id, task_id nulls last, detected, reported

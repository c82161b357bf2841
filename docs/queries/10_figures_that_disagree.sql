-- Question: Which figures that others report does the telemetry contradict, and by how much?
select
    source,
    subject,
    report_date,
    field,
    reported_value,
    computed_value,
    difference
from quality.reconciliation
where verdict = 'differs'
order by source, report_date, subject, field

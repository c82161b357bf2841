"""Contradictions, oddities of valid records: counted in ``quality.data_warnings``, with an example; never refused."""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.inputs import DATA_SETS, OPEN_RUN_STATUSES
from mission_pipeline.contracts.quality import DataWarnings
from mission_pipeline.validate import statements
from mission_pipeline.validate.kpi_specification import KpiOddities
from mission_pipeline.warehouse import Build

ROUNDING_MINUTES = 1.0
"""A duration reported in whole minutes may differ by this much from the times, and says nothing odd."""

_ODD_RUNS = {
    "duration_is_not_end_minus_start": """
select count(*) as rows, min('Run ' || run_id || ' reports ' || format('{:g}', total_duration_minutes)
    || ' minutes, but ends ' || format('{:g}', epoch(end_time - start_time) / 60) || ' minutes after its start.')
from staging.mission_runs
where abs(total_duration_minutes - epoch(end_time - start_time) / 60) > $rounding_minutes""",
    "tasks_are_longer_than_the_run": """
with logged as (
    -- What is known is already longer than the run: what is unknown could only add to it.
    select run_id, coalesce(sum(actual_duration_minutes), 0) + coalesce(sum(human_delay_minutes), 0) as logged_minutes
    from staging.task_executions
    group by run_id
)
select count(*) as rows, min('Run ' || run_id || ' took ' || format('{:g}', total_duration_minutes)
    || ' minutes, but its tasks and delays ' || format('{:g}', logged_minutes) || ' minutes.')
from logged
inner join staging.mission_runs using (run_id)
where round(logged_minutes, 6) > round(total_duration_minutes, 6)""",
    "open_run_has_an_end": """
select count(*) as rows, min('Run ' || run_id || ' is ' || status || ', but has an end_time.')
from staging.mission_runs
where list_contains($open_statuses, status) and end_time is not null""",
    "ended_run_has_no_end": """
select count(*) as rows, min('Run ' || run_id || ' is ' || status || ', but has no end_time.')
from staging.mission_runs
where not list_contains($open_statuses, status) and end_time is null""",
}
_ODD_EXECUTIONS = {
    "approval_differs_from_the_plan": """
select count(*) as rows, min('Task ' || task_id || ' in run ' || run_id || case when human_approval_required
    then ' required an approval that the plan does not have.' else ' required no approval, but the plan has one.' end)
from staging.task_executions
inner join staging.mission_tasks using (task_id)
where human_approval_required <> requires_human_approval""",
    "agent_is_not_named_by_the_matrix": """
select count(*) as rows, min('Agent ' || agent_id || ' did task ' || task_id || ' in run ' || run_id
    || ', but agent_capabilities_matrix does not name it for that task.')
from staging.task_executions
anti join staging.agent_capabilities using (task_id, agent_id)""",
}


def write_data_warnings(build: Build, oddities: KpiOddities) -> None:
    """Write ``quality.data_warnings``; staging and the set-aside records are written by now.

    Records of a reference data set's earlier files are replaced by design and give no warning; two of one key in its
    last file do.
    """
    queries = [
        *(("mission_runs", rule, query) for rule, query in _ODD_RUNS.items()),
        *(("task_execution_logs", rule, query) for rule, query in _ODD_EXECUTIONS.items()),
        *(
            (data_set.name, rule, statements.example_record(data_set, rule))
            for data_set in DATA_SETS
            for rule in ("replaced_record", "vanished_record")
        ),
    ]
    parameters = {"rounding_minutes": ROUNDING_MINUTES, "open_statuses": list(OPEN_RUN_STATUSES)}
    rows: list[tuple[str, str, int, str | None]] = build.frame(statements.warnings_of_all(queries), parameters).rows()
    for rule, sentences in (
        ("kpi_has_several_forms", oddities.forms_passed_over),
        ("policy_names_an_unknown_kpi", oddities.unknown_primaries),
    ):
        rows.append(("mission_kpis", rule, len(sentences), min(sentences, default=None)))
    frame = pl.DataFrame([row for row in rows if row[2] > 0], schema=DataWarnings.polars_schema(), orient="row")
    build.replace_table(DataWarnings, frame=frame.sort("data_set", "rule"))

"""The order of validation: from raw to ``staging`` and ``quality``, in one transaction. Checks nothing itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from mission_pipeline.contracts import inputs, staging
from mission_pipeline.contracts.base import TableContract
from mission_pipeline.contracts.inputs import DATA_SETS, MAX_LEAD, REFERENCE_DATA_SETS, InputDataSet
from mission_pipeline.policy import Policy
from mission_pipeline.validate import set_aside
from mission_pipeline.validate.accounts import write_rejected_rows, write_row_counts
from mission_pipeline.validate.data_warnings import write_data_warnings
from mission_pipeline.validate.drift import write_schema_drift
from mission_pipeline.validate.kpi_specification import KpiOddities, reject_faulty_specifications, stage_specifications
from mission_pipeline.validate.nested import Drift
from mission_pipeline.validate.plan_checks import write_plan_findings
from mission_pipeline.validate.plans import reject_faulty_plans, stage_plans
from mission_pipeline.validate.records import broken_records, reject_faulty_records
from mission_pipeline.validate.references import reject_dangling_records
from mission_pipeline.validate.run_kpis import reject_faulty_observations
from mission_pipeline.warehouse import Build


def stage_valid_records(build: Build, policy: Policy, *, now: datetime) -> None:
    """Write all of ``staging``, and of ``quality`` what validation finds, from the raw records as they are now.

    First every record is asked what it is by itself. Then, in the order in which things refer to each other, records
    that refer to something unknown are refused, and of the valid ones of one key the last stands.

    Args:
        build: the open build file; the raw files have landed.
        policy: says only which KPI is a mission's primary one, where it names one.
        now: the refresh's clock, UTC without zone.

    """
    telemetry = [data_set for data_set in DATA_SETS if data_set not in REFERENCE_DATA_SETS]
    with build.beside() as other, ThreadPoolExecutor(max_workers=1) as checker, build.transaction():
        # Many records are checked while the few of the reference data are staged.
        broken = {name: checker.submit(broken_records, other, name, now + MAX_LEAD) for name in telemetry}
        set_aside.start(build)
        drift, oddities = _stage_reference_data(build, policy, now)
        for data_set in telemetry:
            reject_faulty_records(build, data_set, broken[data_set].result())
        reject_faulty_observations(build)
        for data_set, contract in (
            (inputs.MISSION_RUNS, staging.MissionRuns),
            (inputs.TASK_EXECUTION_LOGS, staging.TaskExecutions),
            (inputs.MISSION_RISK_EVENTS, staging.RiskEvents),
            (inputs.AGENT_PERFORMANCE_STATS, staging.ReportedAgentStats),
            (inputs.MISSION_PORTFOLIO_SNAPSHOT, staging.ReportedPortfolioSnapshots),
        ):
            reject_dangling_records(build, data_set)
            _stage(build, data_set, contract)
        build.replace_table(staging.RunKpis, sql="staging/run_kpis")

        write_rejected_rows(build)
        write_row_counts(build)
        write_schema_drift(build, drift)
        write_plan_findings(build)
        write_data_warnings(build, oddities)
        build.execute("drop table raw.observed_kpis")


def stage_valid_reference_data(build: Build, policy: Policy, *, now: datetime) -> None:
    """Write of ``staging`` missions, plans, agents and KPIs, and what is wrong with them: for whoever needs no more.

    Arguments and rules are those of ``stage_valid_records``.
    """
    with build.transaction():
        set_aside.start(build)
        _stage_reference_data(build, policy, now)
        write_rejected_rows(build)
        write_plan_findings(build)


def _stage_reference_data(build: Build, policy: Policy, now: datetime) -> tuple[dict[str, Drift], KpiOddities]:
    """Stage what telemetry refers to; return what was odd inside it."""
    for data_set in REFERENCE_DATA_SETS:
        reject_faulty_records(build, data_set, broken_records(build, data_set, now + MAX_LEAD))
    drift = {"decomposed_mission_tasks": Drift(), "mission_kpis": Drift()}
    plans = reject_faulty_plans(build, drift["decomposed_mission_tasks"])
    specifications = reject_faulty_specifications(build, drift["mission_kpis"])
    for data_set in REFERENCE_DATA_SETS:
        set_aside.set_aside_earlier_files(build, data_set)

    _stage(build, inputs.BUSINESS_MISSIONS, staging.Missions)
    _stage(build, inputs.SPECIALIZED_AGENTS, staging.Agents)
    reject_dangling_records(build, inputs.DECOMPOSED_MISSION_TASKS)
    stage_plans(build, plans)
    reject_dangling_records(build, inputs.AGENT_CAPABILITIES_MATRIX)
    _stage(build, inputs.AGENT_CAPABILITIES_MATRIX, staging.AgentCapabilities)
    reject_dangling_records(build, inputs.MISSION_KPIS)
    return drift, stage_specifications(build, specifications, policy)


def _stage(build: Build, data_set: InputDataSet, contract: type[TableContract]) -> None:
    """Stage the records that stand.

    Those of telemetry are many, and are staged as they are: what the table promises of them was asked of every record.
    """
    set_aside.set_aside_replaced(build, data_set)
    is_checked = data_set.kind == "telemetry"
    build.replace_table(contract, sql=f"staging/{contract.table_name()}", rows_are_checked=is_checked)

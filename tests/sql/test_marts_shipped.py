"""The derived tables of the shipped data, figure by figure."""

import pytest
from derive_data import derive, given_shipped
from shipped_sample import SAMPLE

from mission_pipeline.warehouse import Warehouse


@pytest.fixture(scope="module")
def rows(tmp_path_factory, policy):
    with Warehouse(tmp_path_factory.mktemp("shipped")).build() as build:
        given_shipped(build, SAMPLE)
        derive(build, policy)
        yield lambda sql: build.frame(sql).rows()


def test_autonomy_of_each_run(rows):
    found = rows(
        "select mission_id, run_seq, round(autonomy_score, 1) from marts.mission_run_facts order by mission_id, run_seq"
    )
    assert found == [
        ("M001", 1, 7.7), ("M001", 2, 82.4), ("M001", 3, 98.2),
        ("M002", 1, 83.3), ("M002", 2, 8.6),
        ("M003", 1, 23.5), ("M003", 2, 98.2), ("M003", 3, 99.1),
    ]  # fmt: skip


def test_215_of_381_minutes_are_unattributed_and_the_parts_add_up(rows):
    assert rows(
        "select sum(total_duration_minutes), sum(unattributed_minutes), "
        "sum(task_minutes) + sum(approval_delay_minutes) + sum(unattributed_minutes) from marts.mission_run_facts"
    ) == [(381, 215, 381)]


def test_the_primary_kpis_against_baseline_and_first_run(rows):
    found = rows(
        "select mission_id, round(improvement_vs_baseline_pct, 2), round(improvement_vs_first_pct, 2), direction "
        "from marts.run_kpi_deltas where is_primary "
        "qualify row_number() over (partition by mission_id order by run_seq desc) = 1 order by mission_id"
    )
    assert found == [
        ("M001", 58.00, 32.26, "lower_is_better"),
        ("M002", 42.86, 20.00, "lower_is_better"),
        ("M003", 73.33, 38.46, "lower_is_better"),
    ]


def test_steps_are_counted_from_the_log(rows):
    found = rows(
        "select mission_id, kpi_value, target_value, target_status from marts.run_kpi_deltas where kpi_name = 'steps'"
    )
    assert found == [("M001", 3, 5, "met")] * 3


def test_no_change_is_zero_and_not_minus_zero(rows):
    found = rows(
        "select cast(improvement_vs_first_pct as varchar) from marts.run_kpi_deltas where previous_value is null"
    )
    assert set(found) == {("0.0",)}


def test_friction_of_each_missions_top_bottleneck(rows):
    assert rows(
        "select mission_id, task_id, round(friction_minutes, 2), bottleneck_status, bottleneck_driver "
        "from marts.task_overrun_rates where is_top_bottleneck order by mission_id"
    ) == [
        ("M001", "T2", 5.57, "persistent", "task_overrun"),
        ("M002", "T5", 7.33, "recurring", "task_overrun"),
        ("M003", "T8", 2.00, "isolated", "risk"),
    ]


def test_friction_as_of_each_day(rows):
    assert rows(
        "select friction_date::varchar, round(friction_minutes, 2), recent_hits from marts.task_friction "
        "where task_id = 'T2' order by friction_date"
    ) == [("2026-02-01", 13, 1), ("2026-02-03", 9, 2), ("2026-02-05", 5.57, 3)]


def test_agents_over_all_time(rows):
    found = rows(
        "select agent_id, executions, round(avg_task_duration_minutes, 2), escalation_rate from marts.agent_rolling_stats "
        "where stat_window = 'all' qualify row_number() over (partition by agent_id order by stat_date desc) = 1 "
        "order by agent_id"
    )
    assert found == [
        ("A1", 3, 5.0, 0), ("A2", 3, 13.33, pytest.approx(1 / 3)), ("A3", 3, 3.33, 0),
        ("A4", 4, 9.25, 0.25), ("A5", 9, 3.78, pytest.approx(1 / 9)),
    ]  # fmt: skip


def test_nine_risk_signals_and_every_reported_event_is_linked(rows):
    found = rows("select rule, right(run_id, 3), coalesce(task_id, kpi_name), severity from marts.risk_signals")
    assert sorted(found) == [
        ("approval_delay", "001", "T2", "medium"),
        ("approval_delay", "005", "T5", "medium"),
        ("approval_delay", "006", "T8", "medium"),
        ("limit_breached", "006", "csat", "high"),
        ("target_missed", "001", "onboarding_time_days", "medium"),
        ("target_missed", "004", "pipeline_days", "medium"),
        ("target_missed", "006", "resolution_time_hours", "medium"),
        ("task_overrun", "001", "T2", "low"),
        ("task_overrun", "005", "T4", "low"),
    ]
    assert rows(
        "select reported_event_id, rule, right(run_id, 3), coalesce(task_id, kpi_name) from marts.risk_signals "
        "where reported_event_id is not null order by all"
    ) == [
        ("RISK_001", "task_overrun", "001", "T2"),
        ("RISK_002", "approval_delay", "005", "T5"),
        ("RISK_003", "limit_breached", "006", "csat"),
        ("RISK_004", "target_missed", "006", "resolution_time_hours"),
        ("RISK_005", "task_overrun", "005", "T4"),
    ]


def test_every_task_has_its_one_capable_agent(rows):
    found = rows("select task_id, agent_id, rank, executions, evidence from marts.agent_routing order by task_id")
    assert [row[:3] for row in found] == [
        ("T1", "A1", 1), ("T2", "A2", 1), ("T3", "A3", 1), ("T4", "A4", 1), ("T5", "A4", 1), ("T6", "A5", 1),
        ("T7", "A5", 1), ("T8", "A5", 1),
    ]  # fmt: skip
    assert {row[4] for row in found} == {"thin"}


def test_nothing_was_lost_so_quality_is_that_of_the_escalations(rows):
    """Run 005 was escalated once, over T4 and T5, and M001's and M003's first runs over T2 and T8 (prior: 5 of 0.7)."""
    found = dict(rows("select task_id, quality_score from marts.agent_routing order by task_id"))
    quiet, escalated_once, escalated_half = (3 + 3.5) / 8, (2 + 3.5) / 8, (1.5 + 3.5) / 7
    assert found == pytest.approx({
        "T1": quiet, "T2": escalated_once, "T3": quiet, "T4": escalated_half, "T5": escalated_half, "T6": quiet,
        "T7": quiet, "T8": escalated_once,
    })  # fmt: skip

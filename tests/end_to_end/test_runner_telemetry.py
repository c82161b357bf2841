"""What runs of every fate leave in the raw data: a refresh takes all of it, and detects the risks that were told."""

from statistics import median

import pytest
from conftest import refresh_into
from mission_store import DAYS, SCORE, STEPS, Desk, new_sqlite, plan, policy_with, task
from raw_folders import put

TASKS = (task("T1", minutes=8.0), task("T2", "T1", gate=True, minutes=6.0), task("T3", "T2", minutes=5.0), task("T4"))
PLAN = plan(*TASKS, kpis=(DAYS, SCORE, STEPS))
REFERENCE = {
    "business_missions": [{"mission_id": "M001", "mission_name": "A mission", "owner": "Olga"}],
    "decomposed_mission_tasks": [
        {
            "mission_id": "M001",
            "tasks": [
                {
                    "task_id": each.task_id, "task": each.task_name, "order": place, "depends_on": list(each.depends_on),
                    "estimated_duration_minutes": each.estimated_minutes, "requires_human_approval": each.requires_approval,
                }
                for place, each in enumerate(TASKS, start=1)
            ],
        }
    ],
    "specialized_agents": [{"agent_id": agent, "name": agent, "status": "available"} for agent in ("A1", "A2")],
    "agent_capabilities_matrix": [{"task_id": each.task_id, "capable_agents": ["A1", "A2"]} for each in TASKS],
    "mission_kpis": [{"mission_id": "M001", "kpis": {"baseline_days": 5, "target_days": 2, "score_csat_threshold": 4.0, "max_steps": 2}}],
}  # fmt: skip


def live(desk):
    """Let runs come to every end, one after the other."""

    def decide(verdict, after):
        desk.clock.move(minutes=after)
        desk.store.look_at_gates()
        desk.store.decide(desk.gate(), verdict, by="Ann", reason="so")

    def through(*, minutes=(1, 1, 1, 1), delay=1, kpis=None):
        run_id = desk.start(PLAN, requested_by="Ada", priority="high")
        for took in minutes[:3]:  # T4 waits for nothing, and is done between
            desk.work(minutes=took)
        decide("approved", delay)
        desk.work(minutes=minutes[3], kpis=kpis)
        desk.clock.move(hours=1)
        return run_id

    through(kpis={"days": 1.5, "score_csat": 4.2})  # breaks the ceiling of steps alone
    through(minutes=(12, 1, 12, 1), delay=5, kpis={"days": 3.0})  # one task a half over, another all over
    through(delay=10, kpis={"days": 2.9, "score_csat": 3.9})
    late = through(kpis={})
    desk.start(PLAN)
    desk.work()
    desk.fault()
    desk.work()
    desk.clock.move(seconds=2)
    desk.work()
    decide("rejected", 2)
    desk.work()
    decide("approved", 2)
    desk.work_on()
    desk.clock.move(hours=1)
    desk.start(PLAN)  # fails
    desk.fault(outcome="timed_out")
    desk.work()  # T4, while T1 waits to be tried again
    while desk.store.next_due():
        desk.clock.now = max(desk.clock.now, desk.store.next_due())
        desk.fault(outcome="timed_out")
    desk.clock.move(hours=1)
    usual = median(record["total_duration_minutes"] for record in desk.telemetry("mission_runs"))
    desk.start(PLAN, usual_minutes=usual)  # escalated by its agent and by the time limit, and long
    desk.fault("Not mine.", "escalated")
    desk.work_on()
    decide("approved", 121)
    desk.work_on()
    desk.clock.move(hours=1)
    for begun in range(4):  # cancelled before it began, while an agent works, at the gate, while it waits to try again
        cancelled = desk.start(PLAN)
        if begun == 1:
            desk.claim()
        if begun == 2:
            desk.work_on()
        if begun == 3:
            desk.fault()
        desk.clock.move(minutes=1)
        desk.store.cancel(cancelled, by="Ann", reason="not needed")
        desk.clock.move(hours=1)
    desk.store.observe_kpi(late, "days", 4.0)
    return late


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lived")
    for name, records in REFERENCE.items():
        put(folder / "raw", f"{name}.json", records)
    desk = Desk(new_sqlite(folder), policy_with(gates={"time_limit_minutes": 120.0}))
    late = live(desk)
    for data_set in ("mission_runs", "task_execution_logs", "mission_risk_events"):
        put(folder / "raw", f"{data_set}/runner.jsonl", desk.telemetry(data_set))
    now = desk.clock.now.isoformat()
    _, warehouse, _ = refresh_into(folder / "raw", folder / "warehouse", now=now, as_of=desk.clock.now.date())
    yield desk, warehouse, late
    desk.close()


def rows(lived, sql):
    with lived[1].published() as connection:
        return connection.execute(sql).fetchall()


def test_a_refresh_rejects_nothing_and_sees_nothing_that_it_does_not_know(lived):
    assert rows(lived, "select data_set, rule, reason, record from quality.rejected_rows") == []
    assert rows(lived, "select * from quality.schema_drift") == []
    # A record was corrected on purpose, and in one run T4 was worked on while T2's gate was open.
    known = {("replaced_record", 1), ("tasks_are_longer_than_the_run", 1)}
    assert set(rows(lived, "select rule, rows from quality.data_warnings")) == known


def test_the_runs_are_what_the_store_says_they_are(lived):
    found = {
        run_id: (status, interventions, escalations, is_flagged)
        for run_id, status, interventions, escalations, is_flagged in rows(
            lived, "select run_id, status, human_interventions, escalations, risk_flagged from staging.mission_runs"
        )
    }
    for run in lived[0].store.runs():
        state = lived[0].store.state(run["run_id"])
        assert found.pop(run["run_id"]) == (
            state["status"], state["human_interventions"], state["escalations"], bool(state["risk_events"]),
        )  # fmt: skip
    assert found == {}


def test_the_risks_that_were_told_are_those_that_the_rules_detect(lived):
    detected = {
        (run_id, task_id or kpi_name, "kpi" if kpi_name else rule, severity)
        for run_id, task_id, kpi_name, rule, severity in rows(
            lived, "select run_id, task_id, kpi_name, rule, severity from marts.risk_signals"
        )
    }
    told = set()
    for run in lived[0].store.runs():
        for event in lived[0].store.state(run["run_id"])["risk_events"]:
            kpi = (
                event["event_id"].rpartition(":")[2] if event["risk_type"].endswith(("_missed", "_breached")) else None
            )
            told.add((run["run_id"], event["task_id"] or kpi, "kpi" if kpi else event["risk_type"], event["severity"]))
    assert told == detected
    assert {kind for _, _, kind, _ in told} == {
        "kpi",
        "task_overrun",
        "approval_delay",
        "rework",
        "repeated_failures",
        "long_run",
    }


def test_a_signal_of_a_task_or_a_kpi_names_the_event_that_told_it(lived):
    linked = rows(
        lived,
        "select rule, task_id, kpi_name, reported_event_id from marts.risk_signals where coalesce(task_id, kpi_name) is not null",
    )
    assert linked
    for rule, task_id, kpi_name, event_id in linked:
        assert event_id is not None, (rule, task_id, kpi_name)
        assert event_id.endswith(f"{rule}:{kpi_name}" if kpi_name else f"{task_id}:{rule}"), event_id


def test_a_kpi_known_later_is_the_one_that_counts(lived):
    assert rows(lived, f"select kpi_value from staging.run_kpis where run_id = '{lived[2]}' and kpi_name = 'days'") == [
        (4.0,)
    ]

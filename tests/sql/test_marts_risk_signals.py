"""marts.risk_signals: each rule on both sides of its limits, and which reported event belongs to which signal."""

import polars as pl
import pytest
from derive_data import (
    DAYS,
    START,
    approved,
    ceiling,
    derive,
    event,
    execution,
    floor,
    given,
    kpi,
    moment,
    observed,
    open_run,
    overridden,
    run,
    task,
    waits_included,
)

from mission_pipeline.derive.risk_signals import with_reported_events

TASKS = [task("t", 10), task("u", 10, after=("t",)), task("v", 10, after=("t", "u"))]


def signals(build, policy, columns="rule, task_id, severity, observed_value, threshold", only=None, **tables):
    tables.setdefault("mission_tasks", TASKS)
    tables.setdefault("mission_runs", [run("r", START)])
    given(build, **tables)
    derive(build, policy, "risk_signals")
    where = "rule = $only" if only else "true"
    return build.frame(
        f"select {columns} from marts.risk_signals where {where} order by signal_id", {"only": only}
    ).rows()


@pytest.mark.parametrize(
    ("estimate", "minutes", "expected"),
    [
        (10, 14.9, []),
        (10, 15, [("low", 50, 50)]),
        (10, 19.9, [("low", 99, 50)]),
        (10, 20, [("medium", 100, 100)]),
        (6, 9.9, []),  # 65 percent, but under 4 minutes
        (6, 10, [("low", pytest.approx(200 / 3), 50)]),
        (4.2, 8.2, [("low", pytest.approx(400 / 4.2), 50)]),  # 3.999999999999999 minutes by floating point
        (8.2, 12.3, [("low", 50, 50)]),  # 49.99999999999999 by floating point
        (4, 12, [("medium", 200, 100)]),
        (100, 140, []),  # 40 minutes, but under 50 percent
        (0, 10, []),  # there is no percentage of nothing
        (None, 100, []),
        (10, None, []),
    ],
)
def test_task_overrun(build, policy, estimate, minutes, expected):
    found = signals(
        build, policy, "severity, observed_value, threshold",
        mission_tasks=[task("t", estimate)], task_executions=[execution("r", "t", minutes)],
    )  # fmt: skip
    assert found == expected


def test_the_worst_attempt_counts_once(build, policy):
    attempts = [approved("r", "t", 16, 6), approved("r", "t", 18, 12, attempt=2), approved("r", "t", 17, 7, attempt=3)]
    assert signals(build, policy, task_executions=attempts) == [
        ("approval_delay", "t", "high", 12, 10),
        ("rework", "t", "medium", 2, 1),
        ("task_overrun", "t", "low", 80, 50),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"delay": 4.99}, []),
        ({"delay": 5}, [("medium", 5, 5)]),
        ({"delay": 9.99}, [("medium", 9.99, 5)]),
        ({"delay": 10}, [("high", 10, 10)]),
        ({"delay": None}, []),
        ({"delay": 30, "human_approval_required": False}, []),
        ({"delay": 30, "human_approval_required": None}, []),
    ],
)
def test_approval_delay(build, policy, fields, expected):
    executions = [approved("r", "t", 10, **fields)]
    assert signals(build, policy, "severity, observed_value, threshold", task_executions=executions) == expected


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([{}], []),
        ([{"outcome": "rejected"}], [1]),
        ([{}, {"attempt": 2}], [1]),
        ([{"outcome": "rejected"}, {"attempt": 2}], [1]),
        ([{"outcome": "rejected"}, {"attempt": 2, "outcome": "rejected"}], [2]),
        ([{"attempt": 2}], [1]),
    ],
)
def test_rework(build, policy, attempts, expected):
    executions = [execution("r", "t", 10, **fields) for fields in attempts]
    found = signals(build, policy, "observed_value, severity", "rework", task_executions=executions)
    assert found == [(times, "medium") for times in expected]


@pytest.mark.parametrize(
    ("outcomes", "escalations", "expected"),
    [
        (["failed"], 1, []),
        (["failed", "timed_out"], 0, [(2, 2, "high")]),
        (["escalated", "failed", "completed"], 0, [(2, 2, "high")]),
        (["rejected", "cancelled", "failed"], 0, []),
        ([], 2, [(2, 2, "high")]),
        (["failed", "failed", "failed"], None, [(3, 2, "high")]),
        ([], None, []),
    ],
)
def test_repeated_failures(build, policy, outcomes, escalations, expected):
    executions = [execution("r", "t", 1, attempt=n, outcome=o) for n, o in enumerate(outcomes, start=1)]
    found = signals(
        build, policy, "observed_value, threshold, severity", "repeated_failures", task_executions=executions,
        mission_runs=[run("r", START, escalations=escalations)],
    )  # fmt: skip
    assert found == expected


@pytest.mark.parametrize(
    ("executions", "expected"),
    [
        ([("t", 1, "failed"), ("u", 1, "completed")], [("u", 1)]),
        ([("t", 1, "timed_out"), ("u", 1, "completed"), ("v", 1, "completed")], [("u", 1), ("v", 1)]),
        ([("t", 1, "rejected"), ("u", 1, "cancelled"), ("v", 1, "completed")], [("u", 1), ("v", 2)]),
        ([("t", 1, "failed"), ("t", 2, "completed"), ("u", 1, "completed")], []),  # it was mended
        ([("t", 1, "completed"), ("t", 2, "failed"), ("u", 1, "completed"), ("u", 2, "completed")], [("u", 1)]),
        ([("t", 1, "escalated"), ("u", 1, "completed")], []),
        ([("t", 1, "failed")], []),
        ([("u", 1, "completed")], []),  # what was not executed did not fail
    ],
)
def test_dependency_failed(build, policy, executions, expected):
    logged = [execution("r", task_id, 1, attempt=attempt, outcome=o) for task_id, attempt, o in executions]
    columns = "task_id, observed_value"
    assert signals(build, policy, columns, "dependency_failed", task_executions=logged) == expected


def test_a_dependency_that_failed_in_another_run_is_no_signal(build, policy):
    found = signals(
        build, policy, only="dependency_failed", mission_runs=[run("r", START), run("s", START)],
        task_executions=[execution("r", "t", 1, outcome="failed"), execution("s", "u", 1)],
    )  # fmt: skip
    assert found == []


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        (floor("csat", 4), 4, []),
        (floor("csat", 4), 3.99, [("csat", "high", 3.99, 4)]),
        (ceiling("csat", 4), 4, []),
        (ceiling("csat", 4), 4.01, [("csat", "high", 4.01, 4)]),
        (kpi("csat", 5, 4, is_primary=False), 9, []),
    ],
)
def test_limit_breached(build, policy, spec, value, expected):
    found = signals(
        build, policy, "kpi_name, severity, observed_value, threshold", "limit_breached", mission_kpis=[spec],
        run_kpis=[observed("r", "csat", value)],
    )  # fmt: skip
    assert found == expected


def test_more_steps_than_the_ceiling_are_a_breach(build, policy):
    executions = [execution("r", "t", 1), execution("r", "u", 1)]
    found = signals(
        build, policy, "rule, kpi_name, observed_value, threshold", mission_kpis=[ceiling("steps", 1)],
        task_executions=executions,
    )  # fmt: skip
    assert found == [("limit_breached", "steps", 2, 1)]


@pytest.mark.parametrize(
    ("spec", "values", "expected"),
    [
        (kpi("days", 10, 5), [6], ["r0"]),
        (kpi("days", 10, 5), [5], []),
        (kpi("days", 10, 5), [8, 7, 7, 8], ["r0", "r3"]),
        (kpi("days", 10, 5), [4, 3, 6, 4], ["r2"]),
        (kpi("days", 10, 5), [4, 4.5], []),  # worse, but not missed
        (kpi("days", 10, 5), [None, 8, None, 9], ["r1", "r3"]),  # the run before is the last that observed it
        (kpi("rate", 50, 80), [60, 70, 65], ["r0", "r2"]),
        (kpi("days", 10, 5, is_primary=False), [9], ["r0"]),  # a target is one, whether it is the main KPI's or not
        (kpi("ideas", None, 5), [9, 1], []),
    ],
)
def test_target_missed(build, policy, spec, values, expected):
    runs = [run(f"r{place}", DAYS[place]) for place in range(len(values))]
    given_values = [observed(f"r{place}", spec["kpi_name"], v) for place, v in enumerate(values) if v is not None]
    found = signals(
        build, policy, "run_id, severity", mission_runs=runs, mission_kpis=[spec], run_kpis=given_values
    )  # fmt: skip
    assert found == [(run_id, "medium") for run_id in expected]


def lasting(*minutes, **last):
    """Runs day by day with their durations; the fields are those of the last."""
    runs = [run(f"r{place}", DAYS[place], total_duration_minutes=m) for place, m in enumerate(minutes)]
    return [*runs[:-1], {**runs[-1], **last}]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (lasting(10, 10, 10, 10, 10, 15), []),
        (lasting(10, 10, 10, 10, 10, 15.1), [("r5", "medium", 15.1, 15)]),
        (lasting(10, 10, 10, 10, 99), []),  # the fifth run
        (lasting(2, 30, 10, 8, 12, 16, 16), [("r5", "medium", 16, 15)]),  # median 10 of 5, then 11 of 6
        (lasting(10, 10, 10, 10, None, 99), []),  # only four of those before are known
        (lasting(10, 10, 10, 10, 10, 99, status="failed"), [("r5", "medium", 99, 15)]),
        (lasting(10, 10, 10, 10, 10, 99, status="cancelled"), []),
        (lasting(10, 10, 10, 10, 10, 99, status="running", end_time=None), []),
        (lasting(10, 10, 10, 10, 10, None), []),
    ],
)
def test_long_run(build, policy, runs, expected):
    columns = "run_id, severity, observed_value, threshold"
    assert signals(build, policy, columns, "long_run", mission_runs=runs) == expected


def test_missions_may_have_their_own_limits(build, policy):
    rules = {"task_overrun": {"min_overrun_pct": 20.0, "min_overrun_minutes": 1.0, "severity": "high"}}
    own = overridden(policy, {"M": {"risk_rules": rules}})
    found = signals(
        build, own, "mission_id, severity, threshold", mission_tasks=[task("t", 10), task("n", 10, mission="N")],
        mission_runs=[run("r", START), run("s", START, mission="N")],
        task_executions=[execution("r", "t", 12), execution("s", "n", 12, mission="N")],
    )  # fmt: skip
    assert found == [("M", "high", 20)]


def test_durations_that_include_the_wait_are_no_overrun_by_waiting(build, policy):
    executions = [approved("r", "t", 19, 4.9), execution("r", "u", 19, human_delay_minutes=4)]
    found = signals(build, waits_included(policy), "task_id, observed_value", task_executions=executions)
    assert found == [("u", 50)]


def test_an_unknown_wait_within_the_duration_is_no_overrun(build, policy):
    executions = [execution("r", "t", 40, human_delay_minutes=None)]
    assert signals(build, waits_included(policy), task_executions=executions) == []


def test_ids_say_what_is_concerned_and_never_collide(build, policy):
    found = signals(
        build, policy, "signal_id", mission_tasks=[task("T", 10), task("1:T", 10)],
        mission_runs=[run("R:1", START), run("R", START), open_run("x%3A", START, escalations=2)],
        task_executions=[execution("R:1", "T", 20), execution("R", "1:T", 20)],
    )  # fmt: skip
    assert found == [("repeated_failures:x%253A",), ("task_overrun:R%3A1:T",), ("task_overrun:R:1%3AT",)]


# ---------- reported events


def links(build, policy, events, **tables):
    found = signals(build, policy, "rule, coalesce(task_id, kpi_name), reported_event_id", risk_events=events, **tables)
    return {(rule, what): event_id for rule, what, event_id in found if event_id is not None}


BOTH = {"task_executions": [approved("r", "t", 20, 8)]}
"""An overrun and an approval delay of one task."""


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event("e", "r", "t", "approval_delay")], {"approval_delay": "e"}),
        ([event("e", "r", "t", "Approval_Wait")], {"approval_delay": "e"}),  # a word in common
        ([event("e", "r", "t", "sla_breach_risk")], {"task_overrun": "e"}),  # none: the rules' order decides
        ([event("e", "r", "t", None)], {"task_overrun": "e"}),
        ([event("e", "r", "u", "approval_delay")], {}),
        ([event("e", "s", "t", "approval_delay")], {}),
        (
            [event("e", "r", "t", "sla_breach_risk"), event("f", "r", "t", "task_overrun")],
            {"task_overrun": "f", "approval_delay": "e"},  # the exact one goes first, the other takes what is left
        ),
        (
            [event(name, "r", "t", "task_overrun") for name in "gef"],
            {"task_overrun": "e", "approval_delay": "f"},
        ),
        (
            [
                event("e", "r", "t", "task_overrun", detected_at=moment(DAYS[1])),
                event("f", "r", "t", "task_overrun", detected_at=moment(DAYS[0])),
            ],
            {"task_overrun": "f", "approval_delay": "e"},
        ),
    ],
)
def test_events_of_a_task_are_linked_closest_first(build, policy, events, expected):
    runs = [run("r", START), run("s", START)]
    found = links(build, policy, events, mission_runs=runs, **BOTH)
    assert {rule: event_id for (rule, _), event_id in found.items()} == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event("e", "r", "t", "csat_risk")], {"csat": "e"}),
        ([event("e", "r", "t", "CSAT_Risk")], {"csat": "e"}),
        ([event("e", "r", "t", "resolution_time_breach")], {"resolution_time_hours": "e"}),
        ([event("e", "r", "t", "resolution_rate_drop")], {"resolution_rate": "e"}),  # more words in common
        ([event("e", "r", "t", "csatisfaction")], {}),
        ([event("e", "r", "t", "time_resolution")], {}),
        ([event("e", "other", "t", "csat_risk")], {}),
        ([event("e", "r", "t", None)], {}),
        ([event("e", "r", "t", "csat_risk"), event("f", "r", "u", "csat_drop")], {"csat": "e"}),
    ],
)
def test_events_of_a_kpi_share_its_first_word(build, policy, events, expected):
    kpis = [floor("csat", 4), floor("resolution_rate", 4), kpi("resolution_time_hours", 9, 4)]
    found = links(
        build, policy, events, mission_runs=[run("r", START), run("other", START)], mission_kpis=kpis,
        run_kpis=[observed("r", "csat", 3), observed("r", "resolution_rate", 3), observed("r", "resolution_time_hours", 5)],
    )  # fmt: skip
    assert {what: event_id for (_, what), event_id in found.items()} == expected


def test_an_event_that_speaks_of_the_kpi_is_not_spent_on_its_task(build, policy):
    found = links(
        build, policy, [event("e", "r", "t", "csat_risk")], mission_kpis=[floor("csat", 4)],
        run_kpis=[observed("r", "csat", 3)], **BOTH,
    )  # fmt: skip
    assert found == {("limit_breached", "csat"): "e"}


def test_every_event_is_linked_once_at_the_most(build, policy):
    events = [event(f"e{n}", "r", "t", kind) for n, kind in enumerate(("approval_delay", "task_overrun", "x", "y"))]
    found = links(build, policy, events, **BOTH)
    assert found == {("approval_delay", "t"): "e0", ("task_overrun", "t"): "e1"}


RUN_AT_RISK = {
    "mission_runs": [run("r", START, escalations=2), run("s", START)],
    "task_executions": [execution("r", "t", 10), execution("r", "u", 10)],
}
"""Two escalations: a risk of the whole run, in which no task is at risk."""


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event("e", "r", "u", "repeated_failures")], {"repeated_failures": "e"}),
        ([event("e", "r", "t", "Repeated_Failures")], {"repeated_failures": "e"}),  # whatever task it names
        ([event("e", "r", "u", "failures")], {}),  # a word in common is not enough
        ([event("e", "r", "u", "repeated_failures_again")], {}),
        ([event("e", "r", "u", "sla_breach_risk")], {}),
        ([event("e", "r", "u", None)], {}),
        ([event("e", "r", "u", "long_run")], {}),
        ([event("e", "s", "u", "repeated_failures")], {}),
        (
            [event("f", "r", "t", "repeated_failures"), event("e", "r", "u", "repeated_failures")],
            {"repeated_failures": "e"},
        ),
        (
            [
                event("e", "r", "t", "repeated_failures", detected_at=moment(DAYS[1])),
                event("f", "r", "u", "repeated_failures", detected_at=moment(DAYS[0])),
            ],
            {"repeated_failures": "f"},
        ),
    ],
)
def test_an_event_of_the_whole_run_has_the_rule_s_name(build, policy, events, expected):
    found = links(build, policy, events, **RUN_AT_RISK)
    assert {rule: event_id for (rule, _), event_id in found.items()} == expected


def test_a_long_run_is_linked_to_the_event_that_names_its_last_task(build, policy):
    runs = lasting(10, 10, 10, 10, 10, 99)
    found = links(
        build, policy, [event("e", "r5", "u", "long_run"), event("f", "r4", "u", "long_run")], mission_runs=runs
    )
    assert found == {("long_run", None): "e"}


def test_an_event_of_the_whole_run_is_not_spent_on_the_task_that_it_names(build, policy):
    tables = {**RUN_AT_RISK, "task_executions": [approved("r", "t", 20, 8)]}
    events = [event("e", "r", "t", "repeated_failures"), event("f", "r", "t", "sla_breach_risk")]
    assert links(build, policy, events, **tables) == {("repeated_failures", None): "e", ("task_overrun", "t"): "f"}


def test_an_event_of_the_whole_run_is_not_spent_on_a_kpi_that_opens_with_the_same_word(build, policy):
    found = links(
        build, policy, [event("e", "r", "t", "repeated_failures")], mission_kpis=[ceiling("repeated_calls", 1)],
        run_kpis=[observed("r", "repeated_calls", 3)], **RUN_AT_RISK,
    )  # fmt: skip
    assert found == {("repeated_failures", None): "e"}


def test_a_task_s_signal_of_the_same_name_goes_before_the_whole_run_s():
    """No rule concerns tasks and runs both; were there one, an event would be of the task that it names."""
    columns = {"run_id": "r", "mission_id": "M", "kpi_name": None, "severity": "high", "observed_value": 9.0,
               "threshold": 5.0, "rule": "rework", "risk_type": "rework"}  # fmt: skip
    signals = pl.DataFrame(
        [{**columns, "signal_id": "a run's", "task_id": None}, {**columns, "signal_id": "of t", "task_id": "t"}],
        schema_overrides={"kpi_name": pl.String, "task_id": pl.String},
    )
    events = pl.DataFrame(
        [
            {"event_id": name, "run_id": "r", "task_id": "t", "risk_type": "rework", "detected_at": START}
            for name in "ef"
        ]
    )
    linked = with_reported_events(signals, events)
    assert dict(linked.select("signal_id", "reported_event_id").iter_rows()) == {"of t": "e", "a run's": "f"}
    linked = with_reported_events(signals, events.head(1))
    assert dict(linked.select("signal_id", "reported_event_id").iter_rows()) == {"of t": "e", "a run's": None}

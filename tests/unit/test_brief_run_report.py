"""The report of one run: what it says of every state, rule and gap, and that every figure and name in it is a claim."""

import re
from datetime import date, datetime

import pytest
from claim_checks import texts_of, unclaimed
from hypothesis import given as for_all
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mission_pipeline.brief.claims import value_at, without_claims
from mission_pipeline.brief.render import markdown_of, text_of
from mission_pipeline.brief.run_facts import RunFacts, read_run_facts
from mission_pipeline.brief.run_report import compose_run_report, observed_words, run_document_of
from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.contracts.derived import RISK_RULES
from mission_pipeline.contracts.inputs import OPEN_RUN_STATUSES, OUTCOMES, RUN_STATUSES
from mission_pipeline.errors import NothingToJudge, WarehouseFault
from mission_pipeline.warehouse import Warehouse

NAME = "Renew 4 contracts"
RULES_OF_TASKS = [rule for rule in RISK_RULES if rule not in ("limit_breached", "target_missed")]
HOSTILE = [
    "*bold*", "a | b", "<script>alert(1)</script>", "[click](http://evil)", "# heading", "1. item", "`code`", "_x_",
    "line\nbreak", "www.evil.org", "\x1b[31mred", "\u202eright-to-left", "\ue000run.status\ue001forged\ue002", "{{ 7*7 }}",
    "a' or '1'='1", "$run_id",
]  # fmt: skip


def execution(
    task_id="T1", *, attempt=1, agent="A1", plan=10, took=10, waited=0, outcome="completed", name=None, timed=True
):
    over = None if None in (plan, took) else max(took - plan, 0)
    return {
        "task_id": task_id, "attempt": attempt, "task_name": name or f"Name of {task_id}", "agent_id": agent,
        "agent_name": f"Name of {agent}", "estimated_minutes": plan, "actual_minutes": took, "work_minutes": took,
        "overrun_minutes": over, "human_approval_required": outcome in ("approved", "rejected"),
        "human_delay_minutes": waited, "outcome": outcome, "started_at": datetime(2026, 3, 2, 9) if timed else None,
        "finished_at": datetime(2026, 3, 2, 9, 10), "is_over_plan": over is not None and took > 1.05 * plan,
    }  # fmt: skip


def tasks_of(executions):
    """The executions summed by task, most friction first, as the query does it."""
    found = {}
    for row in executions:
        found.setdefault(row["task_id"], []).append(row)

    def total(rows, *names):
        values = [[row[name] for name in names] for row in rows]
        return None if any(None in one for one in values) else sum(sum(one) for one in values)

    def largest(rows, name):
        return max((row[name] for row in rows if row[name] is not None), default=None)

    summed = [
        {
            "task_id": task_id, "task_name": rows[0]["task_name"], "estimated_minutes": rows[0]["estimated_minutes"],
            "executions": len(rows), "longest_minutes": largest(rows, "work_minutes"),
            "longest_delay_minutes": largest(rows, "human_delay_minutes"),
            "delay_minutes": total(rows, "human_delay_minutes"), "overrun_minutes": total(rows, "overrun_minutes"),
            "friction_minutes": total(rows, "overrun_minutes", "human_delay_minutes"),
            "largest_overrun_minutes": largest(rows, "overrun_minutes"),
            "is_over_plan": any(row["is_over_plan"] for row in rows),
        }
        for task_id, rows in found.items()
    ]  # fmt: skip
    return sorted(summed, key=lambda task: (-(task["friction_minutes"] or 0), task["task_id"]))


def kpi(name="lead_time_days", value=8.0, *, baseline=14.0, target=7.0, previous=10.0, kind="target", primary=True):
    is_lower = kind == "ceiling" or (kind == "target" and target < baseline)
    gap = None if value is None else max(value - target, 0.0) if is_lower else max(target - value, 0.0)
    known = value is not None and previous is not None
    return {
        "kpi_name": name, "kpi_kind": kind, "direction": "lower_is_better" if is_lower else "higher_is_better",
        "is_primary": primary, "baseline_value": baseline, "target_value": target, "kpi_value": value,
        "earlier_values": 0 if previous is None else 1, "first_value": previous, "previous_value": previous,
        "improvement_vs_previous_pct": 20.0 if known else None, "improvement_vs_first_pct": 20.0 if known else None,
        "improvement_vs_baseline_pct": None if value is None or baseline is None else 42.86, "gap_to_target": gap,
        "target_status": "not_observed" if value is None else "near" if gap else "met",
    }  # fmt: skip


def signal(rule, *, task_id=None, kpi_name=None, severity="medium", observed=6.0, threshold=5.0, event=None):
    return {
        "signal_id": f"{rule}:R2:{task_id or kpi_name}", "rule": rule, "severity": severity, "task_id": task_id,
        "task_name": task_id and f"Name of {task_id}", "kpi_name": kpi_name, "observed_value": observed,
        "threshold": threshold, "reported_event_id": event,
    }  # fmt: skip


def event(event_id="E1", *, task_id="T1", status="closed", matching=None, severity="high", description="It was slow."):
    return {
        "event_id": event_id, "task_id": task_id, "task_name": f"Name of {task_id}", "risk_type": "sla_risk",
        "severity": severity, "description": description, "status": status,
        "detected_at": datetime(2026, 3, 2, 9, 30), "matching_rule": matching,
    }  # fmt: skip


def facts(
    status="completed", *, executions=None, kpis=(), signals=(), events=(), not_executed=(), best_agents=(), dependents=(),
    other_kpis=(), plan=None, earlier=None, mission_name=NAME, **changes,
):  # fmt: skip
    """A run of two tasks in which nothing went wrong, but for what is given."""
    executions = [execution("T1"), execution("T2", agent="A2")] if executions is None else executions
    is_open = status in OPEN_RUN_STATUSES
    run = {
        "run_id": "R2", "mission_id": "M9", "mission_name": mission_name, "owner": None, "run_seq": 2,
        "run_date": date(2026, 3, 2), "start_time": datetime(2026, 3, 2, 9), "status": status,
        "end_time": None if is_open else datetime(2026, 3, 2, 9, 40),
        "total_duration_minutes": None if is_open else 40.0, "task_minutes": 20.0, "approval_delay_minutes": 0.0,
        "overrun_minutes": 0.0, "unattributed_minutes": None if is_open else 0.0, "tasks_executed": len(executions),
        "reworked_tasks": 0, "human_interventions": 0, "escalations": 0, "risk_flagged": False, "is_touchless": True,
        "autonomy_score": None if status not in ("completed", "failed") else 100.0, "requested_by": None,
        "priority": None, **changes,
    }  # fmt: skip
    return RunFacts(
        run_id=run["run_id"],
        run=run,
        plan=plan or {"planned_tasks": 2, "planned_minutes": 20.0, "minutes_off_plan": None if is_open else 20.0},
        earlier=earlier or {
            "earlier_runs": 1, "earlier_scored_runs": 1, "mean_autonomy_score": 60.0,
            "previous_autonomy_score": 60.0, "previous_run_id": "R1",
            "autonomy_change": 40.0 if run["autonomy_score"] else None,
        },
        totals={
            "executions": len(executions),
            "untimed_executions": sum(row["started_at"] is None for row in executions),
            "signals": len(signals), "events": len(events),
            "open_events": sum(event["status"] == "open" for event in events),
            "matched_events": sum(event["matching_rule"] is not None for event in events),
        },
        executions=list(executions),
        tasks=tasks_of(executions),
        not_executed=list(not_executed),
        dependents=list(dependents),
        best_agents=list(best_agents),
        kpis=list(kpis),
        other_kpis=list(other_kpis),
        signals=list(signals),
        events=list(events),
    )  # fmt: skip


def text(given):
    return " ".join(text_of(run_document_of(compose_run_report(given)), width=10_000).split())


def actions(given):
    return compose_run_report(given)["what_to_do_next"]["actions"]


EVENTFUL = facts(
    "failed",
    executions=[
        execution("T1", took=15, outcome="failed"), execution("T1", attempt=2, agent="A2", took=11, waited=6),
        execution("T2", agent="A2", took=None, waited=None, outcome="timed_out", plan=None),
    ],
    kpis=[kpi(), kpi("csat", 3.8, baseline=None, target=4.0, kind="floor", primary=False, previous=None)],
    other_kpis=[{"kpi_name": "throughput", "kpi_value": 3.0}],
    signals=[
        signal("limit_breached", kpi_name="csat", severity="high", observed=3.8, threshold=4.0),
        signal("repeated_failures", severity="high", observed=2.0, threshold=2.0),
        signal("approval_delay", task_id="T1", event="E1"),
        signal("task_overrun", task_id="T1", severity="low", observed=50.0, threshold=50.0),
    ],
    events=[event(matching="approval_delay"), event("E2", status="open", severity=None, task_id="T2")],
    not_executed=[{"task_id": "T3", "task_name": "Name of T3", "estimated_minutes": 7.0}],
    best_agents=[{"task_id": "T1", "agent_id": "A7", "agent_name": "Name of A7", "executions": 3}],
    owner="Jane 2nd", requested_by="Ann 3rd", priority="p1", unattributed_minutes=5.0, human_interventions=3,
    escalations=1, autonomy_score=12.5, risk_flagged=True,
)  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        EVENTFUL,
        facts(executions=[execution("T1", timed=False)], unattributed_minutes=39.0),
        facts(kpis=[kpi()]),
        facts("running", not_executed=[{"task_id": "T3", "task_name": None, "estimated_minutes": None}]),
        facts("blocked", executions=[execution("T1", outcome="rejected", took=12)]),
        facts("cancelled", executions=[], task_minutes=None, total_duration_minutes=None),
        facts(executions=[], kpis=[kpi(value=None)], total_duration_minutes=None, risk_flagged=None, escalations=None),
        *(facts(signals=[signal(rule, task_id="T1", observed=9.0, threshold=7.0)]) for rule in RULES_OF_TASKS),
    ],
)
def test_every_figure_and_name_of_a_report_is_a_claim(given):
    report = compose_run_report(given)
    for shown in texts_of(run_document_of(report)):
        fixed = without_claims(shown)
        assert not re.search(r"\d", fixed), shown
        for name in (NAME, "M9", "R1", "R2", "Name of", "lead time", "csat", "throughput", "Jane", "Ann"):
            assert name not in fixed, shown
    assert unclaimed(report) == []
    for claim_id, claim in report["evidence"].items():
        assert claim["sql"].startswith("select "), claim_id
        assert "$" not in claim["sql"], claim_id
        for path, start, end in claim.get("in", []):
            assert value_at(report, path)[start:end], claim_id


def test_a_run_in_which_nothing_went_wrong_asks_for_nothing():
    report = compose_run_report(facts(kpis=[kpi(value=6.0)]))
    assert report["what_to_do_next"] == {
        "actions": [],
        "nothing": "Nothing: no task ran noticeably over its plan, no rule saw a risk, and no target is missed.",
    }
    assert report["at_risk"]["headline"] == "The rules detect no risk in this run, and nobody reported one."
    assert report["at_risk"]["findings"] == []
    assert report["at_risk"]["unknown"] == []


def test_nothing_to_do_is_not_said_of_what_is_not_known():
    unknown = facts(executions=[execution("T1", took=None)])
    said = compose_run_report(unknown)["what_to_do_next"]["nothing"]
    assert said == "Nothing that the data shows; but not everything is known, as said above."


@pytest.mark.parametrize("status", RUN_STATUSES)
def test_every_status_is_told_in_words(status):
    shown = text(facts(status))
    assert f"Status {status} – " in shown
    assert ("not ended" in shown) == (status in OPEN_RUN_STATUSES)
    assert ("The run has not ended, so neither its time nor its result is final." in shown) == (
        status in OPEN_RUN_STATUSES
    )


def test_time_is_held_against_the_estimates_and_told_apart():
    shown = text(facts(task_minutes=20.0, approval_delay_minutes=1.0, unattributed_minutes=19.0))
    assert "From 2026-03-02 09:00 to 2026-03-02 09:40 UTC." in shown
    assert "It took 40 minutes, 20 minutes more than the 20 minutes that the estimates of its 2 planned tasks" in shown
    assert (
        "20 minutes of work by agents, 1 minute of waiting for a person's approval and 19 minutes that no log" in shown
    )
    exact = {"planned_tasks": 2, "planned_minutes": 40.0, "minutes_off_plan": 0.0}
    assert "It took 40 minutes, just what the estimates of its 2 planned tasks add up to." in text(facts(plan=exact))
    unknown = {"planned_tasks": 2, "planned_minutes": None, "minutes_off_plan": None}
    assert "It took 40 minutes; how long was planned is not known." in text(facts(plan=unknown))


def test_a_kpi_is_held_against_target_earlier_runs_and_baseline():
    assert (
        "Lead time came to 8 days, 1 day above the target of 7 days. That is 20.00 % better than in the only earlier run "
        "that reports it (10 days) and 42.86 % better than before the mission (14 days)."
    ) in text(facts(kpis=[kpi()]))
    first = text(facts(kpis=[kpi(previous=None)]))
    assert "before the mission (14 days). No earlier run of the mission reports it." in first
    several = {**kpi(), "earlier_values": 2, "first_value": 12.0, "improvement_vs_previous_pct": -5.0}
    said = text(facts(kpis=[several]))
    assert (
        "5.00 % worse than in the last earlier run that reports it (10 days), 20.00 % better than in the first (12 days)"
        in said
    )


def test_a_gap_between_percentages_is_in_percentage_points():
    shown = text(facts(kpis=[kpi("renewal_rate_pct", 62.0, baseline=60.0, target=80.0)]))
    assert "renewal rate came to 62 %, 18 percentage points below the target of 80 %" in shown


def test_without_kpis_the_report_says_so():
    assert "No baseline, target or limit is set for this mission." in text(facts())


def test_a_kpi_that_nobody_reported_is_asked_for():
    [action] = actions(facts(kpis=[kpi(value=None)]))
    assert action["headline"] == "Have lead time, the mission's main measure, reported by the next run"
    assert action["why"] == "Whether the run met the target of 7 days is not known."
    assert "Not known: lead time (the run does not report it)." in text(facts(kpis=[kpi(value=None)]))


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_run_without_a_log_asks_for_it(status):
    given = facts(status, executions=[], not_executed=[{"task_id": "T1", "task_name": "One", "estimated_minutes": 1.0}])
    [action] = actions(given)
    assert action["headline"] == "Have the log of this run delivered"
    assert action["aim"] == "one record in the log for each of the 2 planned tasks"
    assert "No log of this run has arrived" in text(given)
    assert 'Planned, but not in the log: T1 "One".' in text(given)


def test_a_cancelled_run_without_a_log_asks_for_nothing():
    given = facts("cancelled", executions=[])
    assert actions(given) == []
    assert "Nothing follows from this run: it was cancelled" in text(given)


def test_an_open_run_goes_on_with_the_next_task_of_the_plan():
    given = facts(
        "running", executions=[execution("T1")],
        not_executed=[{"task_id": "T2", "task_name": "Two", "estimated_minutes": 7.0}],
        best_agents=[{"task_id": "T2", "agent_id": "A5", "agent_name": "Five", "executions": 3}],
    )  # fmt: skip
    [action] = actions(given)
    assert action["headline"] == 'Go on with T2 "Two"; by its record so far agent A5 (Five) does it best'
    assert action["aim"] == 'T2 "Two" is done, in its planned 7 minutes or less'
    assert (action["task_id"], action["agent_id"]) == ("T2", "A5")


def test_an_open_run_with_every_task_in_the_log_waits_for_its_end():
    [action] = actions(facts("running"))
    assert action["headline"] == "Have the end of the run reported"
    assert actions(facts("running", executions=[])) == []


@pytest.mark.parametrize("outcome", [one for one in OUTCOMES if one not in ("completed", "approved")])
def test_a_failed_run_names_the_task_that_lost_its_result_and_its_agent(outcome):
    lost = execution("T2", agent="A2", outcome=outcome)
    [action] = actions(facts("failed", executions=[execution("T1"), lost]))
    words = outcome.replace("_", " ")
    assert action["headline"].startswith(f'Find out why T2 "Name of T2" ended as {words} with agent A2 (Name of A2)')
    assert action["aim"] == 'T2 "Name of T2" ends completed or approved at its first attempt'


@pytest.mark.parametrize(
    ("needs", "named", "why"),
    [
        ((), "T1", "Its result is missing."),
        ((("T2", "T3"),), "T2", 'Its result is missing, and T3 "Name of T3" depends on it.'),
        ((("T1", "T2"), ("T1", "T3")), "T1", 'Its result is missing, and T2 "Name of T2" and T3 "Name of T3" depend on it.'),
    ],
)  # fmt: skip
def test_the_first_lost_task_on_which_others_depend_is_named(needs, named, why):
    lost = [execution(task_id, outcome="failed") for task_id in ("T1", "T2")]
    dependents = [{"task_id": one, "dependent_id": other, "dependent_name": f"Name of {other}"} for one, other in needs]
    [action, *_] = actions(facts("failed", executions=lost, dependents=dependents))
    assert (action["task_id"], action["why"]) == (named, why)


def test_a_task_that_succeeded_at_its_second_attempt_lost_nothing():
    again = [execution("T1", outcome="failed"), execution("T1", attempt=2)]
    found = actions(facts("failed", executions=again))
    assert not [action for action in found if "ended as" in action["headline"]]


def test_the_largest_friction_names_the_agent_whose_attempt_cost_most():
    rejected = execution("T2", agent="A2", took=16, waited=4, outcome="rejected")
    given = facts(executions=[execution("T1", took=12), rejected, execution("T2", attempt=2, agent="A3", took=11)])
    [action] = actions(given)
    assert (action["source"], action["task_id"], action["agent_id"]) == ("friction", "T2", "A2")
    assert action["headline"] == 'Bring T2 "Name of T2", done by agent A2 (Name of A2), back within its plan'
    assert action["why"] == (
        "It held the run up more than any other task: 7 minutes over plan and 4 minutes of waiting for a person."
    )
    assert action["aim"] == "at most 10 minutes of work (now 16)"


def test_only_what_held_the_run_up_most_is_said_to():
    [action] = actions(facts(executions=[execution("T1", took=12), execution("T2", waited=4)]))
    assert action["why"] == "It held the run up: 2 minutes over plan."
    assert 'T1 "Name of T1" held it up by 2 minutes' in text(
        facts(executions=[execution("T1", took=12), execution("T2", waited=4)])
    )


def test_a_trifle_over_plan_is_no_friction_to_act_on():
    assert actions(facts(executions=[execution("T1", took=10.5)])) == []
    assert (
        actions(facts(executions=[execution("T1", took=10.51)]))[0]["aim"] == "at most 10 minutes of work (now 10.51)"
    )


def test_a_second_attempt_of_unknown_length_leaves_the_first_over_plan():
    [action] = actions(facts(executions=[execution("T1", took=30), execution("T1", attempt=2, took=None)]))
    assert action["why"] == "It held the run up more than any other task: at least 20 minutes over plan."


def test_a_wait_that_no_rule_minds_is_no_friction_to_act_on():
    assert actions(facts(executions=[execution("T1", waited=2)])) == []
    [action] = actions(facts(executions=[execution("T1", waited=6)], signals=[signal("approval_delay", task_id="T1")]))
    assert action["headline"].startswith("Shorten the wait for a person at T1")
    assert action["aim"] == "a wait for a person under 5 minutes (now 6)"


def test_another_agent_is_named_where_the_routing_ranks_one_first():
    slow = [execution("T1", took=20)]

    def why(agent):
        best = {"task_id": "T1", "agent_id": agent, "agent_name": "Best", "executions": 3}
        return actions(facts(executions=slow, best_agents=[best]))[0]["why"]

    assert why("A7").endswith("By its record so far, agent A7 (Best) suits this task better.")
    assert "suits" not in why("A1")


def test_at_most_three_actions_each_with_aim_task_and_agent():
    found = actions(EVENTFUL)
    assert [action["source"] for action in found] == ["completion", "friction", "risk"]
    for action in found:
        assert action["task_id"]
        assert action["agent_id"]
        assert re.search(r"\d", action["aim"])
        assert action["owner"] == "Jane 2nd"


def test_friction_then_the_worst_risk_then_the_kpi():
    given = facts(
        executions=[execution("T1", took=30), execution("T2", took=16, agent="A2")], kpis=[kpi()],
        signals=[
            signal("rework", task_id="T2"), signal("task_overrun", task_id="T1"), signal("task_overrun", task_id="T2"),
            signal("target_missed", kpi_name="lead_time_days"),
        ],
    )  # fmt: skip
    assert [(action["source"], action["task_id"]) for action in actions(given)] == [
        ("friction", "T1"), ("risk", "T2"), ("kpi", "T1"),
    ]  # fmt: skip
    assert actions(given)[2]["aim"] == "lead time of at most 7 days in the next run"


def test_what_the_friction_asks_for_is_not_asked_again():
    slow = facts(
        executions=[execution("T1", took=30, waited=9)],
        signals=[signal("approval_delay", task_id="T1"), signal("task_overrun", task_id="T1")],
    )
    [action] = actions(slow)
    assert action["aim"] == "at most 10 minutes of work (now 30) and a wait for a person under 5 minutes (now 9)"


@pytest.mark.parametrize("rule", RISK_RULES)
def test_every_rule_leads_to_an_action_with_a_measurable_aim(rule):
    is_of_kpi = rule in ("limit_breached", "target_missed")
    seen = signal(rule, kpi_name="csat" if is_of_kpi else None, task_id=None if is_of_kpi else "T1")
    floor = kpi("csat", 3.8, baseline=None, target=4.0, kind="floor", primary=False)
    action = actions(facts(signals=[seen], kpis=[floor]))[0]
    assert action["headline"]
    assert action["aim"]
    assert action["task_id"] == "T1"


@pytest.mark.parametrize("rule", ["repeated_failures", "long_run"])
def test_a_risk_of_the_whole_run_begins_with_a_task(rule):
    [action] = actions(facts(signals=[signal(rule)], executions=[execution("T1", outcome="failed"), execution("T2")]))
    assert 'begin with T1 "Name of T1", done by agent A1 (Name of A1)' in action["headline"]
    unlogged = facts(signals=[signal(rule)], executions=[])
    assert actions(unlogged)[-1]["task_id"] is None


def test_an_open_event_that_no_rule_saw_is_listed_and_to_be_settled():
    given = facts(events=[event(status="open"), event("E2")])
    assert "The rules detect no risk in this run; 2 events were reported." in text(given)
    assert 'Reported only: E1: Sla risk at T1 "Name of T1" (severity high, open); no rule detects it.' in text(given)
    [action] = actions(given)
    assert action["headline"] == 'Settle the reported event E1 at T1 "Name of T1", done by agent A1 (Name of A1)'


def test_a_reported_risk_of_the_whole_run_is_one_risk_and_of_no_task():
    given = facts(
        signals=[signal("repeated_failures", severity="high", observed=3.0, threshold=2.0, event="E1")],
        events=[event(task_id="T2", status="open", matching="repeated_failures")],
    )
    shown = text(given)
    assert "The rules detect 1 risk in this run; 1 event was reported, of which 1 matches a detected risk." in shown
    assert "the whole run: failures or escalations in one run, 3 cases (limit: 2 cases); reported as E1" in shown
    assert "nobody reported it" not in shown
    assert "no rule detects it" not in shown
    assert actions(given)[-1]["headline"] == "Settle the reported event E1, which concerns the whole run"


def test_a_signal_says_its_limit_and_who_reported_it():
    given = facts(
        executions=[execution("T1", waited=6)], events=[event(matching="approval_delay")],
        signals=[signal("approval_delay", task_id="T1", event="E1")],
    )  # fmt: skip
    assert (
        'Medium risk: T1 "Name of T1": long wait for approval, 6 minutes (limit: 5 minutes); reported as E1 '
        "(severity high, closed)."
    ) in text(given)
    assert observed_words(signal("rework", task_id="T1")) == ""


def test_a_missed_target_without_a_signal_and_small_delays_are_told():
    shown = text(facts(kpis=[kpi()], executions=[execution("T1", took=11, waited=1)]))
    assert "Target not met: Lead time came to 8 days, 1 day above the target of 7 days." in shown
    assert (
        'Smaller delays, below the limits of the rules: T1 "Name of T1" took 1 minute over plan and waited 1 minute for '
        "a person."
    ) in shown


def test_where_most_of_the_time_went_is_asked_only_if_no_log_says():
    assert actions(facts(unattributed_minutes=20.0)) == []
    [action] = actions(facts(unattributed_minutes=20.5))
    assert action["headline"] == "Find out what the run waited for in 20.5 minutes of its 40 minutes"
    assert action["why"] == "Every task has its start and end in the log: the gaps between them show when."
    untimed = [execution("T1"), execution("T2", agent="A2", timed=False)]
    [action] = actions(facts(unattributed_minutes=30.0, executions=untimed))
    assert action["headline"].endswith(
        'begin by logging start and end of T2 "Name of T2", done by agent A2 (Name of A2)'
    )
    assert action["why"].startswith("1 record of 2 in the log lacks a start or an end")
    assert action["aim"].endswith("and fewer than 30 minutes unexplained")


# ---------- what is too small to be shown

INSTANT = facts(
    executions=[execution("T1", plan=0.001, took=0.0014, waited=0.0021), execution("T2", took=0.0001)],
    kpis=[{**kpi(value=7.00001, previous=7.00002), "improvement_vs_previous_pct": 0.0001}], total_duration_minutes=0.0041, task_minutes=0.0015,
    approval_delay_minutes=0.0021, unattributed_minutes=0.0027, autonomy_score=60.001,
    earlier={"earlier_runs": 1, "earlier_scored_runs": 1, "mean_autonomy_score": 60.0, "previous_autonomy_score": 60.0,
             "previous_run_id": "R1", "autonomy_change": 0.001},
    signals=[signal("long_run", observed=0.0041, threshold=0.0021), signal("approval_delay", task_id="T1", observed=0.0021)],
)  # fmt: skip
"""A run of a quarter of a second."""

NOTHING = re.compile(
    r"(?<![\d.,])(0(\.0+)? (minute|day|hour|point|% (over|better|worse)|of )|(at most|fewer than|less than|under) 0(?![\d.,]))"
)
"""Nothing at all, told as trouble or as an aim."""


def test_what_a_very_short_run_took_is_told_and_what_is_too_small_is_no_trouble():
    shown = text(INSTANT)
    assert (
        "The run completed in under 0.01 minutes; lead time came to 7 days, just above the target of 7 days." in shown
    )
    assert "It took under 0.01 minutes, 20 minutes less than" in shown
    assert (
        "How it was spent: under 0.01 minutes of work by agents and under 0.01 minutes of waiting for a person's approval."
    ) in shown
    assert "Unexplained" not in shown
    assert "Smaller delays" not in shown
    assert "That is about the same as in the only earlier run that reports it (7 days)" in shown
    assert "That is the same as R1 before it." in shown
    assert not NOTHING.search(shown), NOTHING.search(shown)
    [action] = actions(INSTANT)
    assert action["source"] == "kpi"
    report = compose_run_report(INSTANT)
    assert re.search(r" 10 +under 0\.01 +0 +0 +completed", text_of(run_document_of(report), width=80))
    assert unclaimed(report) == []
    assert not [one for one in texts_of(run_document_of(report)) if re.search(r"\d", without_claims(one))]


@pytest.mark.parametrize(
    "changes",
    [
        {"unattributed_minutes": 0.0041},
        {"executions": [execution("T1", plan=0.001, took=0.0014)]},
        {
            "executions": [execution("T1", waited=0.004)],
            "signals": [signal("approval_delay", task_id="T1", observed=0.004)],
        },
        {"signals": [signal("long_run", observed=0.0041, threshold=0.0021)]},
        {
            "executions": [execution("T1", plan=0.002, took=0.004)],
            "signals": [signal("task_overrun", task_id="T1", observed=100, threshold=50)],
        },
    ],
)
def test_nobody_is_asked_to_mend_what_is_too_small_to_be_shown(changes):
    given = facts(total_duration_minutes=0.0041, **changes)
    assert actions(given) == []
    assert "; T1" not in compose_run_report(given)["headline"]


def test_what_a_rule_saw_is_not_denied_where_it_asks_for_nothing():
    report = compose_run_report(facts(signals=[signal("long_run", observed=0.0041, threshold=0.0021)]))
    assert "no rule saw a risk" not in report["what_to_do_next"]["nothing"]
    assert report["what_to_do_next"]["nothing"] == "Nothing that calls for a change; what the rules saw is said above."


def test_an_aim_is_never_nothing_where_the_plan_or_the_limit_is():
    [action] = actions(facts(executions=[execution("T1", plan=0.002, took=5)]))
    assert action["aim"] == "under 0.01 minutes of work (now 5)"
    [action] = actions(facts(executions=[execution("T1", plan=0, took=5)]))
    assert action["aim"] == "less than 5 minutes of work"
    slow = execution("T1", waited=5)
    [action] = actions(facts(executions=[slow], signals=[signal("approval_delay", task_id="T1", threshold=0.0)]))
    assert action["aim"] == "a wait for a person under 5 minutes"
    [action] = actions(facts(signals=[signal("long_run", observed=5.0, threshold=0.004)]))
    assert action["aim"] == "under 0.01 minutes in the next run"
    [action] = actions(facts(signals=[signal("long_run", observed=5.0, threshold=0.0)]))
    assert action["aim"] == "less than 5 minutes in the next run"


def test_a_trifle_beside_a_long_wait_is_not_told():
    given = facts(
        executions=[execution("T1", plan=0.001, took=0.0014, waited=9)],
        signals=[signal("approval_delay", task_id="T1")],
    )
    [action] = actions(given)
    assert action["why"] == "It held the run up more than any other task: 9 minutes of waiting for a person."
    assert action["aim"] == "a wait for a person under 5 minutes (now 9)"


def test_a_long_wait_beside_an_unknown_one_is_told():
    given = facts(
        executions=[execution("T1", waited=9), execution("T1", attempt=2, waited=None)],
        signals=[signal("approval_delay", task_id="T1")],
    )
    assert actions(given)[0]["why"].endswith(": at least 9 minutes of waiting for a person.")


@pytest.mark.parametrize(("took", "said"), [(20.004, "just what the estimates"), (20.006, "0.01 minutes more than")])
def test_a_trifle_beside_the_plan_is_just_the_plan(took, said):
    plan = {"planned_tasks": 2, "planned_minutes": 20.0, "minutes_off_plan": took - 20}
    assert said in text(facts(total_duration_minutes=took, plan=plan))


SMALL = st.one_of(st.just(0.0), st.floats(0, 0.012), st.floats(0, 20))


@for_all(st.data())
def test_nothing_is_never_trouble_nor_an_aim(data):
    def some():
        return data.draw(SMALL)

    plan, took, waited = some(), some(), some()
    executions = [execution("T1", plan=plan, took=took, waited=waited), execution("T2", plan=some(), took=some())]
    signals = []
    if data.draw(st.booleans()):
        threshold = some()
        signals.append(
            signal("long_run", observed=threshold * 1.5 + data.draw(st.floats(0.0001, 9)), threshold=threshold)
        )
    if 0 < plan < took and data.draw(st.booleans()):
        signals.append(signal("task_overrun", task_id="T1", observed=100 * (took - plan) / plan, threshold=50))
    if waited and data.draw(st.booleans()):
        signals.append(
            signal("approval_delay", task_id="T1", observed=waited, threshold=data.draw(st.floats(0, waited)))
        )
    rest = some()
    report = compose_run_report(
        facts(
            executions=executions, signals=signals, kpis=[kpi(value=7 + some(), previous=None)],
            unattributed_minutes=rest, total_duration_minutes=rest + some(),
        )
    )  # fmt: skip
    told = [finding["text"] for finding in report["at_risk"]["findings"]]
    told += [action[part] for action in report["what_to_do_next"]["actions"] for part in ("headline", "why", "aim")]
    told += [part for part in report["headline"].split("; ") if " completed in" not in part]
    for sentence in told:
        assert sentence.strip()
        assert not NOTHING.search(re.sub(r"\(limit: [^)]*\)", "", sentence)), sentence


def test_a_task_over_plan_is_named_though_its_wait_is_not_known():
    given = facts(executions=[execution("T1", took=30, waited=None), execution("T2", took=11)])
    assert 'T1 "Name of T1" held it up by at least 20 minutes over plan or waiting.' in text(given)
    assert actions(given)[0]["task_id"] == "T1"
    assert 'Not known: how long T1 "Name of T1" waited for a person.' in text(given)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"human_interventions": None}, "How often people stepped in was not reported."),
        ({"human_interventions": 1}, "People stepped in once."),
        ({"human_interventions": 3}, "People stepped in 3 times."),
        ({"escalations": 2}, "Work was escalated twice (handed to somebody who decides)."),
        ({"escalations": None}, "Whether work was escalated (handed to somebody who decides) was not reported."),
        ({"autonomy_score": None}, "Its autonomy score is not known: a figure that it needs was not reported."),
        ({}, "That is 40.00 points more than R1 before it (60.00)."),
    ],
)
def test_people_are_told_of_in_words(changes, said):
    assert said in text(facts(**changes))


def test_the_first_run_with_a_score_is_compared_with_nothing():
    nothing = dict.fromkeys(("mean_autonomy_score", "previous_autonomy_score", "previous_run_id", "autonomy_change"))
    shown = text(facts(earlier={"earlier_runs": 0, "earlier_scored_runs": 0, **nothing}))
    assert "No earlier run of the mission has a score to compare it with." in shown


def named(name):
    return facts(
        executions=[{**execution("T1", took=30, name=name), "agent_name": name}], mission_name=name,
        events=[event(description=name, status="open")], kpis=[kpi(f"{name}_days")], owner=name, requested_by=name,
        signals=[signal("target_missed", kpi_name=f"{name}_days")],
    )  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name):
    report, plain = compose_run_report(named(name)), compose_run_report(named("plain"))
    markdown, ordinary = markdown_of(run_document_of(report)), markdown_of(run_document_of(plain))
    assert len(markdown.splitlines()) == len(ordinary.splitlines())

    def kinds(text):
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        return [token.type for token in tokens]

    assert kinds(markdown) == kinds(ordinary)
    assert not re.search(r"<[a-z/!]", markdown)
    assert not re.search(r"(?<!\\)\]\(", markdown)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e\ue000-\ue002]", markdown + text(named(name)))


def test_the_same_facts_give_the_same_report():
    assert compose_run_report(EVENTFUL) == compose_run_report(EVENTFUL)


ROWS = """
insert into staging.missions by name select 'M1' as mission_id;
insert into staging.mission_tasks by name select 'M1' as mission_id, 'T1' as task_id, 10 as estimated_duration_minutes,
    cast([] as varchar[]) as depends_on;
insert into staging.agents by name select 'A1' as agent_id;
insert into marts.mission_run_facts by name select 'R1' as run_id, 'M1' as mission_id, 1 as run_seq,
    date '2026-03-02' as run_date, timestamp '2026-03-02 09:00' as start_time, 'completed' as status,
    1 as tasks_executed, 0 as reworked_tasks;
insert into staging.task_executions by name select 'R1' as run_id, 'M1' as mission_id, 'T1' as task_id, 'A1' as agent_id,
    unnest([1, 2, 3]) as attempt, unnest([17, 3, null]) as actual_duration_minutes,
    unnest([5, 5, 1]) as human_delay_minutes, 'completed' as outcome;
"""


def published(folder, *statements):
    warehouse = Warehouse(folder / "warehouse")
    with warehouse.build() as build:
        for contract in ALL_CONTRACTS:
            build.ensure_table(contract)
        for statement in "".join(statements).split(";")[:-1]:
            build.execute(statement)
        warehouse.publish(build, {})
    return warehouse


@pytest.mark.parametrize(
    ("limits", "expected"),
    [  # mission and whether durations include the wait; minutes of work and over plan of each attempt
        ([], [(17, 7), (3, 0), (None, None)]),
        ([("null", 0)], [(17, 7), (3, 0), (None, None)]),
        ([("null", 1)], [(12, 2), (0, 0), (None, None)]),
        ([("null", 1), ("'M1'", 0)], [(17, 7), (3, 0), (None, None)]),
        ([("null", 0), ("'M1'", 1), ("'M2'", 0)], [(12, 2), (0, 0), (None, None)]),
    ],
)
def test_work_is_without_the_wait_where_the_policy_says_that_durations_include_it(tmp_path, limits, expected):
    rows = [
        f"insert into quality.policy_limits by name select {mission} as mission_id, "
        f"'friction.durations_include_wait' as limit_key, {value} as limit_value;"
        for mission, value in limits
    ]
    found = read_run_facts(published(tmp_path, ROWS, *rows), "R1")
    assert [(row["work_minutes"], row["overrun_minutes"]) for row in found.executions] == expected
    [task] = found.tasks
    assert (task["executions"], task["overrun_minutes"], task["friction_minutes"]) == (3, None, None)
    assert task["largest_overrun_minutes"] == max(over for _, over in expected if over is not None)
    assert not task["is_over_plan"]  # the policy of this warehouse does not say from when on
    assert (found.plan["planned_tasks"], found.plan["planned_minutes"], found.plan["minutes_off_plan"]) == (1, 10, None)
    assert found.earlier["earlier_runs"] == 0


@pytest.mark.parametrize(("ratio", "is_over"), [(1.69, True), (1.7, False)])
def test_over_plan_is_more_than_the_policy_s_ratio(tmp_path, ratio, is_over):
    limit = (
        "insert into quality.policy_limits by name select null as mission_id, "
        f"'friction.overrun_hit_ratio' as limit_key, {ratio} as limit_value;"
    )
    found = read_run_facts(published(tmp_path, ROWS, limit), "R1")
    assert [row["is_over_plan"] for row in found.executions] == [is_over, False, False]
    assert found.tasks[0]["is_over_plan"] is is_over


def test_a_warehouse_without_runs_says_so(tmp_path):
    with pytest.raises(
        NothingToJudge, match=r"There is no run R1: the warehouse holds no run yet\..* `mission status R1`"
    ):
        read_run_facts(published(tmp_path), "R1")
    with pytest.raises(NothingToJudge, match="`mission status 'R 1'` shows it"):
        read_run_facts(published(tmp_path), "R 1")


def test_a_warehouse_of_an_earlier_release_is_to_be_refreshed(tmp_path):
    warehouse = published(tmp_path, ROWS, "drop table quality.policy_limits;")
    with pytest.raises(WarehouseFault, match="of an earlier release"):
        read_run_facts(warehouse, "R1")


@pytest.mark.parametrize(
    ("executions", "evidence", "praised"), [(0, "none", "A1"), (1, "none", "A1"), (1, "thin", "A2")]
)
def test_an_agent_without_a_record_is_not_praised_by_its_record(tmp_path, executions, evidence, praised):
    """The prior ranks A2 before A1, who did the task slowly; a cancelled execution is no record of A2 either."""
    routing = f"""
        insert into staging.agents by name select 'A2' as agent_id;
        update staging.agents set status = 'available';
        insert into marts.agent_routing by name select 'T1' as task_id, unnest(['A2', 'A1']) as agent_id,
            unnest([1, 2]) as rank, unnest([{executions}, 3]) as executions, unnest(['{evidence}', 'thin']) as evidence;
        """
    found = read_run_facts(published(tmp_path, ROWS, routing), "R1")
    assert [row["agent_id"] for row in found.best_agents] == [praised]

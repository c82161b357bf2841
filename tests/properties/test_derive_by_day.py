"""Figures by day equal those worked out for each day alone, from nothing but what was known by its end."""

from datetime import date, timedelta
from statistics import fmean, median

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_pipeline.derive.agent_rolling_stats import rolling_stats
from mission_pipeline.derive.escalation_shares import share_escalations
from mission_pipeline.derive.limits import limits_by_mission
from mission_pipeline.derive.risk_signals import earlier_runs
from mission_pipeline.derive.task_friction import friction_by_day
from mission_pipeline.policy import Policy

FIRST = date(2026, 2, 25)
EXECUTIONS = {
    "task_number": pl.Int64, "run_seq": pl.Int64, "attempt": pl.Int64, "friction_date": pl.Date,
    "work_minutes": pl.Float64, "human_delay_minutes": pl.Float64, "friction_minutes": pl.Float64, "is_hit": pl.Boolean,
}  # fmt: skip
minutes = st.one_of(st.none(), st.integers(0, 40).map(float))


@st.composite
def histories(draw):
    """Runs of two tasks that become known in any order, some with a second attempt, some with unknown parts."""
    rows = []
    for task_number in range(2):
        for run_seq in range(1, draw(st.integers(0, 9)) + 1):
            day = FIRST + timedelta(days=draw(st.integers(0, 5)))
            for attempt in range(1, draw(st.integers(1, 2)) + 1):
                work, delay = draw(minutes), draw(minutes)
                friction = None if work is None or delay is None else max(0.0, work - 10) + delay
                is_hit = (work or 0) > 10.5 or (delay or 0) >= 5
                rows.append((task_number, run_seq, attempt, day, work, delay, friction, is_hit))
    events = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(-1, 7)), max_size=4))
    return draw(st.permutations(rows)), [(task, FIRST + timedelta(days=day)) for task, day in events]


def friction_on(day, executions, decay, recent):
    """What was known of one task by the end of a day, in a few plain lines."""
    runs = {}
    for _, run_seq, _, known, work, delay, friction, is_hit in sorted(executions):
        if known <= day:
            runs.setdefault(run_seq, []).append((work, delay, friction, is_hit))
    newest_first = [runs[run_seq] for run_seq in sorted(runs, reverse=True)]
    known_friction = [
        sum(attempt[2] for attempt in run) for run in newest_first if all(attempt[2] is not None for attempt in run)
    ]
    weights = [decay**place for place in range(len(known_friction))]
    works, delays = (
        [attempt[which] for run in newest_first for attempt in run if attempt[which] is not None] for which in (0, 1)
    )
    return (
        len(runs),
        len(known_friction),
        sum(w * f for w, f in zip(weights, known_friction, strict=True)) / sum(weights) if weights else None,
        sum(any(attempt[3] for attempt in run) for run in newest_first[:recent]),
        fmean(works) if works else None,
        fmean(delays) if delays else None,
    )


LIMITS = st.tuples(st.sampled_from([0.5, 1.0, 0.9, 0.01]), st.integers(1, 5))
"""Of a mission: decay_per_run and recent_runs."""


@settings(max_examples=150)
@given(history=histories(), of_m=LIMITS, of_n=LIMITS)
def test_friction_of_each_day_is_what_was_known_by_its_end(policy, history, of_m, of_n):
    limits = (of_m, of_n)
    executions, events = history
    own = {
        mission: {"friction": {"decay_per_run": decay, "recent_runs": recent}}
        for mission, (decay, recent) in zip("MN", limits, strict=True)
    }
    policy = Policy.model_validate({**policy.model_dump(), "missions": own})
    tasks = pl.DataFrame(
        {
            "task_number": [0, 1],
            "mission_id": ["M", "N"],
            "task_id": ["a", "b"],
            "estimated_duration_minutes": [10.0, 10.0],
        }
    ).join(limits_by_mission(["M", "N"], policy), on="mission_id")
    found = friction_by_day(
        pl.DataFrame(executions, schema=EXECUTIONS, orient="row"),
        pl.DataFrame(events, schema={"task_number": pl.Int64, "event_date": pl.Date}, orient="row"),
        tasks,
    )
    expected = []
    for number, name in enumerate("ab"):
        own = [row for row in executions if row[0] == number]
        news = {row[3] for row in own}
        days = sorted(news | {day for task, day in events if task == number and news and day > min(news)})
        for day in days:
            known_events = sum(task == number and known <= day for task, known in events)
            expected.append((name, day, *friction_on(day, own, *limits[number]), known_events))
    columns = (
        "task_id", "friction_date", "runs_executed", "runs_measured", "friction_minutes", "recent_hits",
        "mean_actual_minutes", "mean_human_delay_minutes", "risk_events",
    )  # fmt: skip
    rows = found.select(columns).rows()
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        assert row == tuple(pytest.approx(figure) if isinstance(figure, float) else figure for figure in wanted)


MEASURES = (
    "executions", "timed_executions", "approvals", "approval_decisions", "reported_executions", "measured_executions",
    "overruns", "waiting_executions",
)  # fmt: skip
SUMS = ("actual_minutes", "escalation_shares", "human_delay_minutes")


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("ABC"), st.integers(0, 45)),
        st.tuples(st.integers(1, 5), st.integers(0, 5), st.floats(0, 1e4)),
        max_size=25,
    )
)
def test_a_window_holds_its_own_days_and_no_others(active):
    days = {agent_day: {**dict.fromkeys(MEASURES, n), "timed_executions": timed, **dict.fromkeys(SUMS, minutes)}
            for agent_day, (n, timed, minutes) in active.items()}  # fmt: skip
    schema = {
        "agent_id": pl.String,
        "stat_date": pl.Date,
        **dict.fromkeys(MEASURES, pl.Int64),
        **dict.fromkeys(SUMS, pl.Float64),
    }
    rows = [{"agent_id": a, "stat_date": FIRST + timedelta(days=d), **values} for (a, d), values in days.items()]
    found = rolling_stats(pl.DataFrame(rows, schema=schema))
    assert found.height == 3 * len(days)
    for agent, stat_date, window, executions, mean in found.select(
        "agent_id", "stat_date", "stat_window", "executions", "avg_task_duration_minutes"
    ).rows():
        last = (stat_date - FIRST).days
        first = last - {"7d": 6, "30d": 29, "all": 10_000}[window]
        inside = [values for (a, d), values in days.items() if a == agent and first <= d <= last]
        timed = sum(values["timed_executions"] for values in inside)
        assert executions == sum(values["executions"] for values in inside)
        assert mean == (pytest.approx(sum(v["actual_minutes"] for v in inside) / timed) if timed else None)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from("MN"), st.one_of(st.none(), st.floats(0, 1e6))), max_size=40))
def test_the_median_of_earlier_runs_is_that_of_what_came_before(rows):
    rows = sorted(rows, key=lambda row: row[0])
    runs = pl.DataFrame(
        [(str(place), *row) for place, row in enumerate(rows)],
        schema={"run_id": pl.String, "mission_id": pl.String, "total_duration_minutes": pl.Float64},
        orient="row",
    )
    for place, (run_id, count, found) in enumerate(earlier_runs(runs).rows()):
        before = [value for mission, value in rows[:place] if mission == rows[place][0] and value is not None]
        assert (run_id, count) == (str(place), len(before))
        assert found == (pytest.approx(median(before)) if before else None)


def test_the_median_of_three_and_of_four_by_hand():
    runs = pl.DataFrame(
        {"run_id": list("abcde"), "mission_id": ["M"] * 5, "total_duration_minutes": [9.0, 1.0, 4.0, 6.0, 0.0]}
    )
    assert earlier_runs(runs)["median_minutes"].to_list() == [None, 9, 5, 4, 5]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from("rst"), st.booleans(), st.booleans()), max_size=12))
def test_escalations_are_shared_out_whole(rows):
    escalations = {"r": 1, "s": 2, "t": 7}
    executions = pl.DataFrame(
        [(r, f"t{n}", 1, escalations[r], named, approval) for n, (r, named, approval) in enumerate(rows)],
        schema={
            "run_id": pl.String, "task_id": pl.String, "attempt": pl.Int64, "escalations": pl.Int64,
            "is_named": pl.Boolean, "has_approval": pl.Boolean,
        },
        orient="row",
    )  # fmt: skip
    shares = share_escalations(executions)
    for run_id, total in escalations.items():
        own = shares.filter(pl.col("run_id") == run_id)["escalation_share"]
        if any(row[0] == run_id for row in rows):
            assert own.sum() == pytest.approx(total)
            assert own.n_unique() == 1
    assert (shares["escalation_share"] > 0).all()

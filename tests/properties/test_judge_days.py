"""Properties of the judged days: the past does not know the future, and single runs can be taken out for real."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from judge_data import ManyPortfolios, autonomy, given, run

from mission_pipeline.judge.confidence import RecordCounts, confidence_as_of
from mission_pipeline.judge.days import judge_all_days, scorecards_frame, snapshots_frame, triggers_frame
from mission_pipeline.judge.inputs import read_inputs
from mission_pipeline.judge.missions_as_of import missions_as_of

FIRST = date(2026, 3, 1)
DAYS = 6
BUILD = ManyPortfolios()

some_runs = st.lists(
    st.builds(
        lambda mission, start, length, **fields: {
            **run(mission, str(FIRST + timedelta(days=start + length)), **fields),
            "start_time": datetime(2026, 3, 1, 9) + timedelta(days=start),
        },
        mission=st.sampled_from("AB"),
        start=st.integers(0, DAYS - 1),
        length=st.sampled_from([0, 0, 0, 1, 4]),
        status=st.sampled_from(["completed"] * 5 + ["failed", "cancelled", "running"]),
        kpi=st.sampled_from([None, 4, 5, 6, 7, 8, 9]),
        human_interventions=st.sampled_from([None, 0, 0, 1, 3]),
        escalations=st.sampled_from([None, 0, 0, 0, 1, 2]),
        approval_delay_minutes=st.sampled_from([None, 0.0, 2.0, 8.0]),
        risk_flagged=st.sampled_from([None, False, False, True]),
        total_duration_minutes=st.sampled_from([None, 10.0, 12.0, 30.0]),
    ),
    min_size=1,
    max_size=26,
)


def in_run_order(runs):
    """Runs sorted as their run_seq has it; the place in a day keeps the order of the list."""
    return sorted(runs, key=lambda one: (one["mission_id"], one["start_time"]))


def events_for(runs, seeds):
    """Some events at some of the runs, detected up to three days after their start."""
    counts, events = {}, []
    for one, seed in zip(runs, seeds, strict=False):
        counts[one["mission_id"]] = counts.get(one["mission_id"], 0) + 1
        if seed % 3 == 0:
            events.append({
                "run_id": f"{one['mission_id']}-{counts[one['mission_id']]:04}",
                "detected_at": one["start_time"] + timedelta(days=seed % 4),
                "severity": ("low", "medium", "high", None)[seed % 7 % 4], "status": ("open", "closed")[seed % 2],
            })  # fmt: skip
    return events


def judged(runs, events, policy, through):
    given(BUILD, runs, missions=["A", "B"], events=events)
    inputs = read_inputs(BUILD)
    days = judge_all_days(inputs, policy, FIRST, through)
    return [scorecards_frame(days), triggers_frame(days), snapshots_frame(days)]


@settings(max_examples=20)
@examples(some_runs, st.lists(st.integers(0, 100), min_size=26, max_size=26), st.integers(0, DAYS))
def test_a_day_is_judged_as_if_nothing_had_come_later(policy, runs, seeds, offset):
    runs = in_run_order(runs)
    events, then = events_for(runs, seeds), FIRST + timedelta(days=offset)
    now = judged(runs, events, policy, FIRST + timedelta(days=DAYS + 4))
    still_open = [
        {**one, "status": "running", "run_date": one["start_time"].date()} if one["run_date"] > then else one
        for one in runs
        if one["start_time"].date() <= then
    ]
    known = [one for one in events if one["detected_at"].date() <= then]
    at_the_time = judged(still_open, known, policy, then)
    for late, early in zip(now, at_the_time, strict=True):
        day = late.columns[0] if late.columns[0] != "mission_id" else "as_of_date"
        assert late.filter(pl.col(day) <= then).equals(early, null_equal=True)


@settings(max_examples=25)
@examples(some_runs, st.lists(st.integers(0, 100), min_size=26, max_size=26))
def test_a_run_left_out_is_as_if_it_had_not_been(policy, runs, seeds):
    """Counts the flips that the confidence reports against judging each smaller portfolio from scratch."""
    runs = in_run_order(runs)
    # Run ids count a mission's runs, so those that stay keep theirs by hand.
    seen = {}
    for one in runs:
        seen[one["mission_id"]] = seen.get(one["mission_id"], 0) + 1
        one["run_id"] = f"{one['mission_id']}-{seen[one['mission_id']]:04}"
    events, through = events_for(runs, seeds), FIRST + timedelta(days=DAYS + 4)

    def statuses(some):
        ids = {one["run_id"] for one in some}
        cards, _, snapshots = judged(some, [e for e in events if e["run_id"] in ids], policy, through)
        last = dict(cards.filter(pl.col("as_of_date") == through).select("mission_id", "status").iter_rows())
        return snapshots["status"][-1], last

    status, missions = statuses(runs)
    confidence = confidence_as_of(
        missions_as_of(read_inputs(BUILD, through=through), policy, through), policy, RecordCounts(1, 0)
    )
    worse = {"NO_DATA": -1, "ON_TRACK": 0, "WATCH": 1, "ATTENTION_REQUIRED": 2}
    deciding = (
        [m for m, s in missions.items() if s == status]
        or [m for m, s in missions.items() if worse[s] > worse[status]]
        or [m for m, s in missions.items() if s != "NO_DATA"]
    )
    finished = [one for one in runs if one["mission_id"] in deciding and one["status"] in ("completed", "failed")]
    tried = [one for m in deciding for one in [f for f in finished if f["mission_id"] == m][-20:]]
    flips = sum(statuses([other for other in runs if other is not one])[0] != status for one in tried)
    found = [reason.facts["flipping_runs"] for reason in confidence.reasons if reason.kind == "single_run"]
    assert found == ([flips] if flips else [])


def known_mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


@settings(max_examples=60)
@examples(some_runs)
def test_means_autonomy_friction_and_outcome_are_those_of_plain_arithmetic(policy, runs):
    runs = in_run_order([{**one, "mission_id": "A"} for one in runs])
    cards, _, _ = judged(runs, [], policy, FIRST + timedelta(days=DAYS + 4))
    card = cards.filter((pl.col("mission_id") == "A") & (pl.col("as_of_date") == FIRST + timedelta(days=DAYS + 4)))
    [card] = card.to_dicts()
    finished = [one for one in runs if one["status"] in ("completed", "failed")]
    last = finished[-10:]
    means = [
        known_mean([one[name] for one in last])
        for name in ("human_interventions", "escalations", "approval_delay_minutes", "risk_flagged")
    ]
    assert (card["finished_runs"], card["failed_runs"]) == (
        len(finished), sum(one["status"] == "failed" for one in finished),
    )  # fmt: skip
    interventions, escalations, delay, flagged = means
    if None in means:
        assert card["autonomy_score"] is None
        assert card["health_score"] is None
    else:
        cap = 100 - 50 * sum(one["status"] == "failed" for one in last) / len(last)
        score = 100 - 14 * interventions - 18 * escalations - min(35, 0.9 * delay) - 40 * flagged
        assert card["autonomy_score"] == pytest.approx(max(0, min(cap, score)))
        friction = 100 - (12 * interventions + 18 * escalations + min(40, 0.8 * delay))
        assert card["friction_score"] == pytest.approx(max(0, friction))
        assert card["risk_score"] == pytest.approx(100 - 55 * flagged)
    observed = [one["kpi"] for one in finished if one["kpi"] is not None]
    assert card["kpi_observations"] == len(observed)
    if observed:
        assert card["outcome_score"] == pytest.approx(max(0, min(100, 100 * (10 - observed[-1]) / 5)))
        assert (card["kpi_first_value"], card["kpi_latest_value"]) == (observed[0], observed[-1])
    parts = [card[f"{name}_score"] for name in ("outcome", "trajectory", "friction", "risk", "stability")]
    if None not in parts:
        assert card["health_score"] == pytest.approx(np.dot([0.35, 0.25, 0.2, 0.1, 0.1], parts))


@settings(max_examples=30)
@examples(
    st.sampled_from(["completed", "failed"]), st.integers(0, 4), st.integers(0, 3), st.booleans(), st.integers(1, 12)
)
def test_runs_that_are_all_alike_give_their_mission_their_own_score(
    policy, status, interventions, escalations, flagged, n
):
    one = run("A", "2026-03-01", kpi=5, status=status, human_interventions=interventions, escalations=escalations,
              risk_flagged=flagged, approval_delay_minutes=2.0)  # fmt: skip
    cards, _, _ = judged([one] * n, [], policy, FIRST)
    assert cards["autonomy_score"][0] == pytest.approx(autonomy(one))


def test_judging_in_pieces_gives_the_same_bits(policy, monkeypatch):
    """The size of a block, and the threads, must not show in any figure."""
    rng = np.random.default_rng(5)
    runs = [
        run(mission, str(FIRST + timedelta(days=int(day))), kpi=float(rng.integers(30, 90)) / 10,
            total_duration_minutes=float(rng.normal(60, 9)), escalations=int(rng.poisson(0.4)))
        for mission in "AB" for day in np.sort(rng.integers(0, 60, 40))
    ]  # fmt: skip
    through = FIRST + timedelta(days=60)
    whole = judged(runs, [], policy, through)
    monkeypatch.setattr("mission_pipeline.judge.days._STATES_AT_ONCE", 3)
    pieces = judged(runs, [], policy, through)
    assert all(one.equals(other, null_equal=True) for one, other in zip(whole, pieces, strict=True))

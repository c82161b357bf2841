"""The path to ON_TRACK of single missions, worked out by hand, and of the shipped data."""

from datetime import date

import pytest
from judge_data import build_in_memory, given, given_shipped, run
from shipped_sample import SAMPLE

from mission_pipeline.judge.inputs import read_inputs
from mission_pipeline.judge.missions_as_of import missions_as_of
from mission_pipeline.judge.path_to_on_track import levers_as_of
from mission_pipeline.policy import Policy

RAW_DATA = SAMPLE


def levers_of(policy, per_run, through=date(2026, 3, 30), kpis=None):
    """Levers of mission A by name, for runs on successive days."""
    build = build_in_memory()
    given(build, [run("A", f"2026-03-{place + 1:02}", **fields) for place, fields in enumerate(per_run)], kpis=kpis)
    found = levers_as_of(missions_as_of(read_inputs(build, through=through), policy, through))
    return {one.lever: one for one in found}


def test_two_noisy_runs_need_a_next_one_with_one_intervention(policy):
    """At target and flat, health is 92.5 - 2.4 a mean intervention: (4 + 4 + 1) / 3 is 3, and 3.125 is the most."""
    levers = levers_of(policy, [{"kpi": 5, "human_interventions": 4}] * 2)
    assert list(levers) == ["interventions", "escalations", "approval_wait", "overrun", "kpi"]
    found = levers["interventions"]
    assert (found.current, found.needed, found.unit, found.is_reachable) == (4, 1, "count", True)
    assert not any(levers[name].is_reachable for name in ("escalations", "approval_wait", "overrun", "kpi"))
    assert levers["escalations"].needed is None


def test_a_wait_that_must_shrink(policy):
    """Two interventions a run leave 2.7 points for 0.16 a mean minute: 16.875, so (20 + 20 + 10.625) / 3."""
    found = levers_of(policy, [{"kpi": 5, "human_interventions": 2, "approval_delay_minutes": 20.0}] * 2)
    wait = found["approval_wait"]
    assert wait.unit == "minutes"
    assert wait.needed == pytest.approx(10.625, abs=0.09)
    assert wait.needed <= 10.625
    assert wait.needed == round(wait.needed, 2)


@pytest.mark.parametrize(("direction", "sign"), [("lower_is_better", 1), ("higher_is_better", -1)])
def test_a_kpi_that_must_come_nearer_to_its_target(policy, direction, sign):
    """Flat at 6.1 health is 84.8; the outcome must reach 27.5 / 0.35, which is a KPI of 6.0714."""
    kpis = {"A": {"direction": direction, "baseline_value": sign * 10.0, "target_value": sign * 5.0}}
    kpi = levers_of(policy, [{"kpi": sign * 6.1}] * 4, kpis=kpis)["kpi"]
    assert (kpi.current, kpi.unit) == (sign * 6.1, "KPI's own")
    assert kpi.needed == pytest.approx(sign * 6.0714, abs=0.0003)
    assert sign * kpi.needed <= 6.07143


def test_another_run_like_the_latest_may_be_enough(policy):
    """Two runs at target with a mean of 3 interventions lack steadiness alone: health 82.8, with a third 85.3."""
    levers = levers_of(policy, [{"kpi": 5, "human_interventions": 3}] * 2)
    assert {name: (one.current, one.needed) for name, one in levers.items() if name != "overrun"} == {
        "interventions": (3, 3), "escalations": (0, 0), "approval_wait": (0, 0), "kpi": (5, 5),
    }  # fmt: skip
    assert all(one.is_reachable for name, one in levers.items() if name != "overrun")


def test_what_is_unknown_in_the_latest_run_is_no_lever(policy):
    levers = levers_of(policy, [{"kpi": 5, "human_interventions": 4}, {"kpi": 5, "human_interventions": None}])
    assert (levers["interventions"].current, levers["interventions"].is_reachable) == (None, False)


def test_the_kpi_lever_starts_from_the_latest_observed_value(policy):
    kpi = levers_of(policy, [{"kpi": 6.1}, {"kpi": 6.1}, {"kpi": 6.1}, {"kpi": None}])["kpi"]
    assert kpi.current == 6.1
    assert kpi.needed == pytest.approx(6.0714, abs=0.0003)


def test_missions_on_track_or_without_data_have_none(policy):
    assert levers_of(policy, [{"kpi": 5}] * 3) == {}
    assert levers_of(policy, [{"status": "cancelled"}]) == {}


def test_a_mission_is_held_to_its_own_policy(policy):
    """A mean of 14 / 3 interventions is a health of 81.3, and an autonomy of 34.7 that no next run lifts to 55."""
    runs = [{"kpi": 5, "human_interventions": count} for count in (6, 4, 4)]
    own = {"health": {"on_track_from": 82.0}, "triggers": {"autonomy_regression": {"severity": "medium"}}}
    values = policy.model_dump(exclude={"missions", "sha256"})
    kinder = Policy.model_validate({**values, "missions": {"A": own}})
    assert not levers_of(policy, runs)["interventions"].is_reachable
    # (14 + 3) / 4 is 4.25, which is 82.3; with the fourth still at 4 it is 81.7.
    assert levers_of(kinder, runs)["interventions"].needed == 3


def test_no_single_lever_brings_m002_of_the_shipped_data_on_track_in_one_run(policy):
    """Its autonomy score of 45.95 stays under 55: without any intervention the next run would make it 54.03."""
    build, as_of = build_in_memory(), date(2026, 2, 6)
    given_shipped(build, RAW_DATA)
    levers = levers_as_of(missions_as_of(read_inputs(build, through=as_of), policy, as_of))
    assert {one.mission_id for one in levers} == {"M002"}
    assert {one.lever: one.current for one in levers if one.lever != "overrun"} == {
        "interventions": 2, "escalations": 1, "approval_wait": 6, "kpi": 8,
    }  # fmt: skip
    assert not any(one.is_reachable for one in levers)
    assert {one.needed for one in levers} == {None}

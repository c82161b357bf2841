"""Friction over long histories: a run that stayed open for months, and more runs than a window holds."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from mission_pipeline.derive import task_friction
from mission_pipeline.derive.limits import limits_by_mission
from mission_pipeline.policy import Policy

RUNS = 300
FIRST = date(2026, 1, 1)


@pytest.mark.parametrize("block", [task_friction._BLOCK, 100])
@pytest.mark.parametrize("decay", [0.5, 0.97, 1.0])
def test_a_run_that_stays_open_for_months_changes_no_day_before_its_end(monkeypatch, policy, decay, block):
    monkeypatch.setattr(task_friction, "_BLOCK", block)
    values = policy.model_dump()
    values["friction"]["decay_per_run"] = decay
    limits = limits_by_mission(["M"], Policy.model_validate(values))
    frictions = np.random.default_rng(5).integers(0, 30, RUNS).astype(float)
    days = [FIRST + timedelta(days=place) for place in range(RUNS)]
    days[3] = days[200]
    unknown = set(range(90, 190))  # a hundred runs in a row whose friction nobody knows
    executions = pl.DataFrame(
        {
            "task_number": [0] * RUNS,
            "run_seq": range(1, RUNS + 1),
            "attempt": [1] * RUNS,
            "friction_date": days,
            "work_minutes": frictions,
            "human_delay_minutes": [0.0] * RUNS,
            "friction_minutes": [None if place in unknown else f for place, f in enumerate(frictions)],
            "is_hit": frictions > 15,
        }
    )
    tasks = pl.DataFrame(
        {"task_number": [0], "mission_id": ["M"], "task_id": ["t"], "estimated_duration_minutes": [0.0]}
    ).join(limits, on="mission_id")
    events = pl.DataFrame(schema={"task_number": pl.Int64, "event_date": pl.Date})
    found = task_friction.friction_by_day(executions, events, tasks)
    assert found.height == RUNS - 1  # the day on which the third run began saw nothing end

    for day, minutes, hits in found.select("friction_date", "friction_minutes", "recent_hits").rows():
        known = [place for place in reversed(range(RUNS)) if days[place] <= day]
        measured = [frictions[place] for place in known if place not in unknown]
        weights = decay ** np.arange(len(measured))
        assert minutes == pytest.approx((weights * measured).sum() / weights.sum())
        assert hits == sum(frictions[place] > 15 for place in known[:3])

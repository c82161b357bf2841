"""How far a verdict can be trusted: its level and the reasons, as facts; the words are the brief's.

Looks at the missions that decide the status and at the data. Judges the portfolio again without single runs, and with
its cut-offs moved; whatever flips the status makes it less certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from mission_pipeline.contracts.judged import CONFIDENCE_LEVELS, MISSION_STATUSES
from mission_pipeline.history import NO_ROW
from mission_pipeline.judge.days import Judged, judge_states
from mission_pipeline.judge.inputs import Inputs, days_of
from mission_pipeline.judge.limits import Flags, exceeds
from mission_pipeline.judge.missions_as_of import MissionsAsOf
from mission_pipeline.judge.portfolio import portfolio_fires
from mission_pipeline.judge.status import (
    ATTENTION_REQUIRED,
    NO_DATA,
    ON_TRACK,
    WATCH,
    Codes,
    at_risk,
    mission_statuses,
    portfolio_statuses,
)
from mission_pipeline.judge.windows import (
    Integers,
    joined_states,
    states_without,
)
from mission_pipeline.policy import ConfidencePolicy, Policy

HIGH, MEDIUM, LOW = CONFIDENCE_LEVELS


@dataclass(frozen=True)
class Reason:
    """Why a verdict is less than certain.

    ``kind``: few_runs, unknown_health, rejected_records, stale_data, single_run, cut_off. ``facts``: the figures and
    names that say so.
    """

    level: str
    kind: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Confidence:
    """The worst level of the reasons, HIGH without any; reasons are ordered by level, worst first, then by kind."""

    level: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class RecordCounts:
    """What arrived, over all data sets."""

    rows_in: int
    rows_rejected: int


def confidence_as_of(day: MissionsAsOf, policy: Policy, records: RecordCounts) -> Confidence:
    """Return how far the verdict of a day can be trusted.

    Args:
        day: the missions as of the day judged.
        policy: the portfolio's.
        records: of this refresh, as the files are now.
    """
    status = _portfolio_status(day, day.statuses, day.judged.columns["is_at_risk"], policy)
    deciding = _deciding(day, status)
    reasons = [
        *_few_runs(day, deciding, policy.confidence),
        *_unknown_health(day, deciding),
        *_rejected(records, policy.confidence),
        *_stale(day.inputs, day.as_of, policy.confidence),
        *_single_run(day, status, deciding, policy),
        *_cut_off(day, status, policy),
    ]
    reasons.sort(key=lambda reason: -CONFIDENCE_LEVELS.index(reason.level))  # stable: keeps the kinds' order
    return Confidence(level=reasons[0].level if reasons else HIGH, reasons=tuple(reasons))


def _portfolio_status(day: MissionsAsOf, statuses: Codes, is_at_risk: Flags, policy: Policy) -> int:
    telemetry = day.telemetry
    fires = portfolio_fires(
        [is_at_risk.sum()], telemetry.known_escalations, telemetry.columns["open_risk_events"], policy
    )
    on_track, watch, attention = (np.array([(statuses == c).sum()]) for c in (ON_TRACK, WATCH, ATTENTION_REQUIRED))
    return int(portfolio_statuses(on_track, watch, attention, fires, policy.status)[0])


def _deciding(day: MissionsAsOf, status: int) -> Integers:
    """Return the missions that decide the status: those that have it.

    Where none has it, since a trigger of the portfolio or the shares of worse missions made it, the worse ones; where
    there are none of those either, every mission with data.
    """
    for chosen in (
        day.statuses == status,
        (day.statuses > status) & (day.statuses != NO_DATA),
        day.statuses != NO_DATA,
    ):
        if chosen.any():
            return np.flatnonzero(chosen)
    return np.empty(0, np.int64)


def _few_runs(day: MissionsAsOf, deciding: Integers, rules: ConfidencePolicy) -> list[Reason]:
    finished = day.states.finished[deciding]
    is_low = finished < rules.low_below_runs
    reasons = []
    for level, chosen in ((LOW, is_low), (MEDIUM, ~is_low & (finished < rules.medium_below_runs))):
        if not chosen.any():
            continue
        missions, counts = deciding[chosen], finished[chosen]
        first = int(np.lexsort((missions, counts))[0])
        reasons.append(
            Reason(
                level,
                "few_runs",
                {
                    "mission_id": day.inputs.missions["mission_id"][int(missions[first])],
                    "finished_runs": int(counts[first]),
                    "other_missions": len(missions) - 1,
                },
            )
        )
    return reasons


def _unknown_health(day: MissionsAsOf, deciding: Integers) -> list[Reason]:
    """Say which deciding mission has no health score though its runs finished: its status is a caution, no measurement.

    Never HIGH, for no other reason can see it: what is unknown neither hinges on a run nor lies close to a cut-off.
    """
    is_unknown = np.isnan(day.judged.columns["health_score"][deciding]) & (day.states.finished[deciding] > 0)
    if not is_unknown.any():
        return []
    missions = deciding[is_unknown]
    facts = {
        "mission_id": day.inputs.missions["mission_id"][int(missions.min())],
        "other_missions": len(missions) - 1,
    }
    return [Reason(MEDIUM, "unknown_health", facts)]


def _rejected(records: RecordCounts, rules: ConfidencePolicy) -> list[Reason]:
    share = records.rows_rejected / records.rows_in if records.rows_in else 0.0
    if not exceeds(share, rules.medium_above_rejected_share):
        return []
    return [
        Reason(
            LOW if exceeds(share, rules.low_above_rejected_share) else MEDIUM,
            "rejected_records",
            {"rows_rejected": records.rows_rejected, "rows_in": records.rows_in},
        )
    ]


def _stale(inputs: Inputs, as_of: date, rules: ConfidencePolicy) -> list[Reason]:
    ended = inputs.all_runs.filter(pl.col("status").is_in(["completed", "failed", "cancelled"]))
    newest = ended["run_date"].max()
    if not isinstance(newest, date) or as_of - newest <= timedelta(days=rules.stale_after_days):
        return []
    return [
        Reason(
            LOW,
            "stale_data",
            {"newest_run_date": newest, "age_days": (as_of - newest).days},
        )
    ]


def _single_run(day: MissionsAsOf, status: int, deciding: Integers, policy: Policy) -> list[Reason]:
    """Judge the portfolio without each of the last runs of each deciding mission, one at a time.

    A run left out takes its reported events and the day's escalations with it. Task friction stays: it changes no
    status unless the policy calls a bottleneck high.
    """
    parts, left_out = [], []
    runs = day.inputs.runs
    for mission in deciding.tolist():
        rows = day.states.run_rows[mission]  # one state per mission, in their order
        rows = rows[rows != NO_ROW][-policy.confidence.leave_out_runs :] if policy.confidence.leave_out_runs else []
        if len(rows):
            parts.append(states_without(runs, day.states, mission, rows))
            left_out.append(np.asarray(rows))
    if not parts:
        return []
    rows = np.concatenate(left_out)
    without = judge_states(day.inputs, joined_states(parts), day.policies)
    changed = _statuses_without(day, without, rows, policy)
    flips = np.flatnonzero(changed != status)
    if len(flips) == 0:
        return []
    # The newest run of the first such mission: the one that a reader knows best.
    first = int(flips[np.lexsort((-rows[flips], runs.missions[rows[flips]]))[0]])
    mission = int(runs.missions[rows[first]])
    run_id = str(day.inputs.all_runs["run_id"][int(day.inputs.finished_rows[rows[first]])])
    status_without = MISSION_STATUSES[int(changed[first])]
    facts = {
        "mission_id": day.inputs.missions["mission_id"][mission],
        "run_id": run_id,
        "status_without": status_without,
        "flipping_runs": len(flips),
        "runs_tried": len(rows),
    }
    return [Reason(MEDIUM, "single_run", facts)]


def _statuses_without(day: MissionsAsOf, without: Judged, rows: Integers, policy: Policy) -> Codes:
    """Return the portfolio's status for each run left out."""
    inputs, missions = day.inputs, without.states.missions
    of_all = inputs.all_runs[inputs.finished_rows[rows]]
    telemetry = day.telemetry
    is_of_day = days_of(of_all["run_date"]) == np.datetime64(day.as_of)
    own_escalations = np.where(is_of_day, of_all["escalations"].fill_null(0).to_numpy(), 0)
    open_events = inputs.events.filter(pl.col("is_open")).group_by("run_id").len()
    own_events = of_all.join(open_events, on="run_id", how="left", maintain_order="left")["len"].fill_null(0).to_numpy()

    old, new = day.statuses[missions], without.columns["status"]
    old_risk, new_risk = day.judged.columns["is_at_risk"], without.columns["is_at_risk"]
    on_track, watch, attention = (
        (day.statuses == code).sum() - (old == code).astype(np.int64) + (new == code)
        for code in (ON_TRACK, WATCH, ATTENTION_REQUIRED)
    )
    fires = portfolio_fires(
        old_risk.sum() - old_risk[missions].astype(np.int64) + new_risk,
        telemetry.known_escalations[0] - own_escalations,
        telemetry.columns["open_risk_events"][0] - own_events.astype(np.int64),
        policy,
    )
    return portfolio_statuses(on_track, watch, attention, fires, policy.status)


def _cut_off(day: MissionsAsOf, status: int, policy: Policy) -> list[Reason]:
    """Judge the portfolio with each cut-off of health moved down and up, one at a time, for every mission."""
    shift = policy.confidence.cut_off_shift_share
    on_track = np.array([own.health.on_track_from for own in day.policies])
    watch = np.array([own.health.watch_from for own in day.policies])
    health, high = day.judged.columns["health_score"], day.judged.has_high_trigger
    for name, factors in (("ON_TRACK", (1.0, 0.0)), ("WATCH", (0.0, 1.0))):
        for direction in (-shift, shift):
            statuses = mission_statuses(
                health,
                day.states.finished > 0,
                high,
                on_track * (1 + factors[0] * direction),
                watch * (1 + factors[1] * direction),
            )
            changed = _portfolio_status(day, statuses, at_risk(statuses, high), policy)
            if changed != status:
                facts = {"cut_off": name, "shift_share": direction, "status_then": MISSION_STATUSES[changed]}
                return [Reason(MEDIUM, "cut_off", facts)]
    return []

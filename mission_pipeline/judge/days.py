"""Judges every state of every mission, and lays the states out on days. Frames of the three judged tables; no I/O."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mission_pipeline.contracts.derived import TARGET_STATUSES
from mission_pipeline.contracts.inputs import SEVERITIES
from mission_pipeline.contracts.judged import (
    MISSION_STATUSES,
    MISSION_TRIGGERS,
    PORTFOLIO_TRIGGERS,
    STABILITY_LABELS,
    TREND_EVIDENCE,
    TREND_LABELS,
    TREND_SERIES,
    MissionScorecards,
    MissionTriggers,
    PortfolioSnapshots,
)
from mission_pipeline.history import NO_ROW
from mission_pipeline.judge.inputs import Inputs
from mission_pipeline.judge.portfolio import PortfolioDays, portfolio_days
from mission_pipeline.judge.scorecards import Columns, scores_of
from mission_pipeline.judge.status import at_risk, mission_statuses
from mission_pipeline.judge.trends import DIRECTION_ONLY, TESTED, holm_rejects
from mission_pipeline.judge.triggers import Bottlenecks, Firing, MissedLimits, any_high, triggers_of
from mission_pipeline.judge.windows import (
    Integers,
    States,
    Windows,
    chosen_states,
    day_keys,
    gathered,
    rows_as_of,
    states_by_day,
)
from mission_pipeline.policy import Policy

_STATES_AT_ONCE = 8192
"""Bounds the memory of the pairs behind the slopes, and keeps them in the processor's cache."""


@dataclass(frozen=True)
class Judged:
    """Judged states: scorecard columns (labels as codes), triggers, and the row of the top bottleneck's friction."""

    states: States
    columns: Columns
    firings: dict[str, Firing]
    has_high_trigger: npt.NDArray[np.bool_]
    top_rows: Integers

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self.states)


def longest_window(policies: list[Policy]) -> int:
    """Return how many runs a window must hold for every rule of some policies."""
    return max(
        max(
            policy.trend.window_runs,
            policy.health.window_runs,
            policy.autonomy.window_runs,
            policy.triggers.approval_delay_persisting.recent_runs,
        )
        for policy in policies
    )


def policies_of(inputs: Inputs, policy: Policy) -> list[Policy]:
    """Return the policy as it holds for each mission, by the mission's number."""
    return [policy.for_mission(mission_id) for mission_id in inputs.missions["mission_id"].to_list()]


def all_states(inputs: Inputs, policies: list[Policy], first_day: date, *, spare_runs: int = 0) -> States:
    """Return every state of every mission; windows are longer than needed by ``spare_runs``."""
    friction = inputs.friction
    return states_by_day(
        inputs.runs,
        missions=inputs.missions.height,
        first_day=np.datetime64(first_day),
        cancelled=inputs.ended("cancelled"),
        late_events=inputs.late_events,
        other_news=(friction.missions, friction.days),
        size=longest_window(policies) + spare_runs,
    )


def judge_states(inputs: Inputs, states: States, policies: list[Policy]) -> Judged:
    """Judge states, each by its mission's policy."""
    keys = day_keys(states.missions, states.days)
    top_rows = inputs.friction.top_rows(states.missions, keys)
    collected = _Collected(len(states))
    chunks = list(_chunks(states, policies))
    workers = min(len(chunks), os.cpu_count() or 1)

    def judge(chunk: tuple[Integers, Policy]) -> tuple[Integers, JudgedWindows]:
        chosen, policy = chunk
        return chosen, _judge_chunk(inputs, chosen_states(states, chosen), top_rows[chosen], policy)

    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:  # numpy computes outside the interpreter's lock
            for chosen, part in pool.map(judge, chunks):
                collected.put(chosen, part)
    else:
        for chunk in chunks:
            collected.put(*judge(chunk))
    return Judged(
        states=states,
        columns=collected.columns,
        firings={name: Firing(**values) for name, values in collected.firings.items()},
        has_high_trigger=collected.has_high_trigger,
        top_rows=top_rows,
    )


def _chunks(states: States, policies: list[Policy]) -> Iterator[tuple[Integers, Policy]]:
    group_of: dict[int, int] = {}
    groups = np.array([group_of.setdefault(id(policy), len(group_of)) for policy in policies], np.int64)
    by_group = {group_of[id(policy)]: policy for policy in policies}
    of_states = groups[states.missions] if len(policies) else np.empty(0, np.int64)
    for group, policy in by_group.items():
        chosen = np.flatnonzero(of_states == group)
        for start in range(0, len(chosen), _STATES_AT_ONCE):
            yield chosen[start : start + _STATES_AT_ONCE], policy


@dataclass(frozen=True)
class JudgedWindows:
    """What some windows come to: scorecard columns with status and risk, triggers, and whether a high one fires."""

    columns: Columns
    firings: dict[str, Firing]
    has_high_trigger: npt.NDArray[np.bool_]


def judge_windows(windows: Windows, bottlenecks: Bottlenecks, missed: MissedLimits, policy: Policy) -> JudgedWindows:
    """Judge windows, whatever the runs were, by one policy."""
    scores = scores_of(windows, policy)
    firings = triggers_of(windows, scores, bottlenecks, missed, policy)
    has_high = any_high(firings, policy)
    statuses = mission_statuses(
        scores.columns["health_score"], windows.finished > 0, has_high, policy.health.on_track_from,
        policy.health.watch_from,
    )  # fmt: skip
    missed_row = np.where(firings["SECONDARY_KPI_MISSED"].fires, windows.missed_limits, NO_ROW)
    columns = scores.columns | {
        "status": statuses,
        "is_at_risk": at_risk(statuses, has_high),
        "missed_row": missed_row,
    }
    return JudgedWindows(columns, firings, has_high)


def bottlenecks_of(inputs: Inputs, top_rows: Integers) -> Bottlenecks:
    """Return the top bottlenecks that rows of task friction are."""
    friction = inputs.friction
    return Bottlenecks(statuses=np.append(friction.codes, NO_ROW)[top_rows], hits=np.append(friction.hits, 0)[top_rows])


def _judge_chunk(inputs: Inputs, states: States, top_rows: Integers, policy: Policy) -> JudgedWindows:
    windows = gathered(inputs.runs, inputs.kpis, states)
    return judge_windows(windows, bottlenecks_of(inputs, top_rows), inputs.missed, policy)


class _Collected:
    """Puts parts at their places in whole arrays."""

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.columns: Columns = {}
        self.firings: dict[str, dict[str, Any]] = {}
        self.has_high_trigger = np.zeros(lines, bool)

    def put(self, chosen: Integers, part: JudgedWindows) -> None:
        for name, values in part.columns.items():
            self._put(self.columns, name, chosen, values)
        for name, firing in part.firings.items():
            kept = self.firings.setdefault(name, {"trend": firing.trend})
            for field in fields(Firing):
                if field.name != "trend":
                    self._put(kept, field.name, chosen, getattr(firing, field.name))
        self.has_high_trigger[chosen] = part.has_high_trigger

    def _put(self, target: dict[str, Any], name: str, chosen: Integers, values: npt.NDArray[Any]) -> None:
        if name not in target:
            target[name] = np.empty(self.lines, values.dtype)
        target[name][chosen] = values


@dataclass(frozen=True)
class JudgedDays:
    """Everything judged, day by day.

    ``state_of``: for each mission (line) and day (column), the state that holds at the day's end. ``evidence``: per
    series, codes of TREND_EVIDENCE by mission and day, after Holm's correction over the day.
    """

    inputs: Inputs
    policies: list[Policy]
    days: npt.NDArray[np.datetime64]
    judged: Judged
    state_of: Integers
    evidence: dict[str, npt.NDArray[np.int8]]
    portfolio: PortfolioDays


def judge_all_days(inputs: Inputs, policy: Policy, first_day: date, through: date) -> JudgedDays:
    """Judge every mission and the portfolio as of the end of each day from the first to the last."""
    policies = policies_of(inputs, policy)
    days = np.arange(np.datetime64(first_day), np.datetime64(through) + 1)
    judged = judge_states(inputs, all_states(inputs, policies, first_day), policies)
    number = inputs.missions.height
    missions = np.repeat(np.arange(number, dtype=np.int64), len(days))
    keys = day_keys(missions, np.tile(days, number))
    state_of = rows_as_of(day_keys(judged.states.missions, judged.states.days), missions, keys)
    state_of = state_of.reshape(number, len(days))
    return JudgedDays(
        inputs=inputs,
        policies=policies,
        days=days,
        judged=judged,
        state_of=state_of,
        evidence=evidence_by_day(judged.columns, state_of, policy.trend.significance_level),
        portfolio=portfolio_days(
            inputs,
            days,
            statuses=judged.columns["status"][state_of],
            is_at_risk=judged.columns["is_at_risk"][state_of],
            autonomy=judged.columns["autonomy_score"][state_of],
            improvement=judged.columns["kpi_improvement_vs_baseline_pct"][state_of],
            top_rows=judged.top_rows[state_of],
            policy=policy,
        ),
    )


def evidence_by_day(columns: Mapping[str, npt.NDArray[Any]], state_of: Integers, level: float) -> dict[str, Any]:
    """Return each trend's evidence by mission and day: Holm's family is all trends of a day, over all five series."""
    p_values = np.stack([columns[f"{series}_trend_p_value"][state_of] for series in TREND_SERIES])
    families = np.broadcast_to(np.arange(state_of.shape[1]), p_values.shape)
    holds = holm_rejects(p_values.ravel(), families.ravel(), level).reshape(p_values.shape)
    evidence = {}
    for place, series in enumerate(TREND_SERIES):
        alone = columns[f"{series}_trend_evidence"][state_of]
        evidence[series] = np.where((alone != DIRECTION_ONLY) & holds[place], TESTED, alone).astype(np.int8)
    return evidence


_LABELS: dict[str, tuple[str, ...]] = {
    "status": MISSION_STATUSES,
    "stability_label": STABILITY_LABELS,
    "kpi_target_status": TARGET_STATUSES,
    **{f"{series}_trend": TREND_LABELS for series in TREND_SERIES},
}
"""Scorecard columns that are computed as codes."""


def labelled(codes: npt.NDArray[Any], labels: tuple[str, ...] | pl.Series) -> pl.Series:
    """Return the labels that codes stand for; NULL for -1."""
    known = pl.Series(labels, dtype=pl.String)
    places = np.where(codes < 0, len(known), codes).astype(np.uint32)
    return pl.concat([known, pl.Series([None], dtype=pl.String)]).gather(places)


def _series(values: npt.NDArray[Any]) -> pl.Series:
    if values.dtype == np.float64:
        finite = np.where(np.isinf(values), np.nan, values)
        return pl.Series(finite, nan_to_null=True)
    if values.dtype.kind == "M":
        return pl.Series(values.astype("datetime64[D]"))
    return pl.Series(values)


def scorecards_frame(days: JudgedDays) -> pl.DataFrame:
    """Return marts.mission_scorecards: a mission's rows by day, missions by id."""
    inputs, judged = days.inputs, days.judged
    flat = days.state_of.ravel()
    missions = np.repeat(np.arange(inputs.missions.height, dtype=np.uint32), len(days.days))
    top = judged.top_rows[flat]
    friction = inputs.friction
    made: dict[str, pl.Series] = {
        "mission_id": inputs.missions["mission_id"].gather(missions),
        "as_of_date": pl.Series(np.tile(days.days, inputs.missions.height)),
        "last_run_date": _series(judged.states.last_days[flat]),
        "kpi_name": inputs.missions["kpi_name"].gather(missions),
        "kpi_direction": inputs.missions["direction"].gather(missions),
        "top_bottleneck_task_id": labelled(top, friction.labels["task_id"]),
        "top_bottleneck_task_name": labelled(top, friction.labels["task_name"]),
        "top_bottleneck_status": labelled(top, friction.labels["bottleneck_status"]),
        "top_bottleneck_driver": labelled(top, friction.labels["bottleneck_driver"]),
        "top_bottleneck_friction_minutes": _series(np.append(friction.minutes, np.nan)[top]),
        **{
            f"{series}_trend_evidence": labelled(codes.ravel(), TREND_EVIDENCE)
            for series, codes in days.evidence.items()
        },
    }
    for name in MissionScorecards.polars_schema():
        if name not in made:
            values = judged.columns[name][flat]
            made[name] = labelled(values, _LABELS[name]) if name in _LABELS else _series(values)
    return _fitted(made, MissionScorecards.polars_schema())


def _fitted(made: Mapping[str, pl.Series], schema: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([made[name].alias(name).cast(dtype) for name, dtype in schema.items()])


def triggers_frame(days: JudgedDays) -> pl.DataFrame:
    """Return marts.mission_triggers: by day, in the order in which they would be the primary driver."""
    parts = [*_mission_trigger_parts(days), *_portfolio_trigger_parts(days)]
    columns: Columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    names = (*MISSION_TRIGGERS, *PORTFOLIO_TRIGGERS)
    alphabetical = np.argsort(np.argsort(names))
    portfolio_last = np.where(columns["mission"] < 0, days.inputs.missions.height, columns["mission"])
    order = np.lexsort(
        (
            alphabetical[columns["name"]],
            portfolio_last,
            -np.nan_to_num(columns["gap"], nan=-1.0),
            -columns["supporting"],
            -columns["severity"],
            columns["day"],
        )
    )
    columns = {name: values[order] for name, values in columns.items()}
    day = columns["day"]
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]][: len(day)])
    rank = np.arange(len(day)) - np.repeat(starts, np.diff(np.r_[starts, len(day)])) + 1
    mission = columns["mission"]
    missions, friction = days.inputs.missions, days.inputs.friction
    is_secondary = columns["name"] == MISSION_TRIGGERS.index("SECONDARY_KPI_MISSED")
    kpi = pl.select(
        pl.when(pl.Series(is_secondary))
        .then(labelled(columns["missed"], days.inputs.missed_names))
        .otherwise(labelled(np.where(np.isin(columns["name"], _OF_PRIMARY_KPI), mission, NO_ROW), missions["kpi_name"]))
    ).to_series()
    return _fitted(
        {
            "as_of_date": _series(days.days[day]),
            "mission_id": labelled(mission, missions["mission_id"]),
            "trigger_name": labelled(columns["name"], names),
            "severity": labelled(columns["severity"], SEVERITIES),
            "trigger_rank": pl.Series(rank),
            "evidence": labelled(columns["evidence"], TREND_EVIDENCE),
            "supporting_runs": pl.Series(columns["supporting"]),
            "observed_value": _series(columns["observed"]),
            "threshold": _series(columns["threshold"]),
            "gap_to_target_pct": _series(columns["gap"]),
            "task_id": labelled(columns["task_row"], friction.labels["task_id"]),
            "kpi_name": kpi,
        },
        MissionTriggers.polars_schema(),
    )


_OF_PRIMARY_KPI = [
    MISSION_TRIGGERS.index(name) for name in ("MISSION_TREND_WORSENING", "TARGET_GAP_PERSISTING", "KPI_PLATEAU")
]
"""Triggers that concern the primary KPI."""


def _mission_trigger_parts(days: JudgedDays) -> Iterator[Columns]:
    judged = days.judged
    for place, (name, firing) in enumerate(judged.firings.items()):
        mission, day = np.nonzero(firing.fires[days.state_of])
        state = days.state_of[mission, day]
        evidence = firing.evidence[state]
        if firing.trend is not None:
            evidence = np.where(firing.is_by_trend[state], days.evidence[firing.trend][mission, day], evidence)
        severities = np.array([SEVERITIES.index(p.triggers.severity_of(name)) for p in days.policies], np.int64)
        is_bottleneck = name == "REPEATED_BOTTLENECK"
        yield {
            "name": np.full(len(state), place),
            "mission": mission,
            "day": day,
            "severity": severities[mission],
            "evidence": evidence,
            "supporting": firing.supporting_runs[state],
            "observed": firing.observed[state],
            "threshold": firing.threshold[state],
            "gap": judged.columns["kpi_gap_to_target_pct"][state],
            "missed": judged.columns["missed_row"][state],
            "task_row": judged.top_rows[state] if is_bottleneck else np.full(len(state), NO_ROW),
        }


def _portfolio_trigger_parts(days: JudgedDays) -> Iterator[Columns]:
    for name, firing in days.portfolio.firings.items():
        day = np.flatnonzero(firing.fires)
        nowhere = np.full(len(day), NO_ROW)
        yield {
            "name": np.full(len(day), len(MISSION_TRIGGERS) + PORTFOLIO_TRIGGERS.index(name)),
            "mission": nowhere,
            "day": day,
            "severity": np.full(len(day), SEVERITIES.index(firing.severity)),
            "evidence": np.full(len(day), DIRECTION_ONLY, np.int8),
            "supporting": firing.supporting_runs[day],
            "observed": firing.observed[day],
            "threshold": np.full(len(day), firing.threshold),
            "gap": np.full(len(day), np.nan),
            "missed": nowhere,
            "task_row": nowhere,
        }


def snapshots_frame(days: JudgedDays) -> pl.DataFrame:
    """Return marts.portfolio_snapshots."""
    portfolio, labels = days.portfolio, days.inputs.friction.labels
    top = portfolio.top_rows
    made = {
        "snapshot_date": pl.Series(days.days),
        "status": labelled(portfolio.statuses, MISSION_STATUSES),
        "top_bottleneck_mission_id": labelled(
            np.append(days.inputs.friction.missions, NO_ROW)[top], days.inputs.missions["mission_id"]
        ),
        "top_bottleneck_task_id": labelled(top, labels["task_id"]),
        "top_bottleneck_task_name": labelled(top, labels["task_name"]),
        **{name: _series(values) for name, values in portfolio.columns.items()},
    }
    return _fitted(made, PortfolioSnapshots.polars_schema())

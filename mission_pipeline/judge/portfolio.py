"""The portfolio of each day: counts, means, its own triggers and its status, from the missions' judgements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mission_pipeline.contracts.judged import PORTFOLIO_TRIGGERS
from mission_pipeline.history import NO_ROW
from mission_pipeline.judge.inputs import Inputs, days_of
from mission_pipeline.judge.limits import Flags, Floats
from mission_pipeline.judge.scorecards import Columns
from mission_pipeline.judge.status import ATTENTION_REQUIRED, NO_DATA, ON_TRACK, WATCH, portfolio_statuses
from mission_pipeline.judge.windows import Days, Integers
from mission_pipeline.policy import Policy

_ENDED = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class PortfolioFiring:
    """One trigger of the portfolio over all days."""

    fires: Flags
    severity: str
    supporting_runs: Integers
    observed: Floats
    threshold: float


@dataclass(frozen=True)
class PortfolioDays:
    """The portfolio by day; ``columns`` are named as in the contract, unknown sums as NaN."""

    statuses: npt.NDArray[np.int8]
    columns: Columns
    firings: dict[str, PortfolioFiring]
    top_rows: Integers


def portfolio_days(
    inputs: Inputs,
    days: Days,
    *,
    statuses: npt.NDArray[np.int8],
    is_at_risk: Flags,
    autonomy: Floats,
    improvement: Floats,
    top_rows: Integers,
    policy: Policy,
) -> PortfolioDays:
    """Judge the portfolio as of each day.

    Args:
        inputs: the runs and events that happened.
        days: every day from the first, without a gap.
        statuses: by mission (line) and day (column), as are the following.
        is_at_risk: whether a mission is.
        autonomy: scores; the portfolio's is the mean of those known.
        improvement: of the latest primary KPI on its baseline, in percent; likewise.
        top_rows: friction rows of the missions' top bottlenecks.
        policy: the portfolio's.
    """
    telemetry = telemetry_by_day(inputs, days)
    counts = {
        "missions_at_risk": is_at_risk.sum(axis=0),
        "missions_on_track": (statuses == ON_TRACK).sum(axis=0),
        "missions_watch": (statuses == WATCH).sum(axis=0),
        "missions_attention_required": (statuses == ATTENTION_REQUIRED).sum(axis=0),
        "missions_no_data": (statuses == NO_DATA).sum(axis=0),
    }
    firings = _firings(counts["missions_at_risk"], telemetry, policy)
    status = portfolio_statuses(
        counts["missions_on_track"],
        counts["missions_watch"],
        counts["missions_attention_required"],
        np.logical_or.reduce([firing.fires for firing in firings.values()]),
        policy.status,
    )
    return PortfolioDays(
        statuses=status,
        columns={
            **counts,
            **telemetry.columns,
            "autonomy_score": _known_mean_by_day(autonomy),
            "avg_kpi_improvement_pct": _known_mean_by_day(improvement),
        },
        firings=firings,
        top_rows=_top_of_all(inputs, top_rows),
    )


@dataclass(frozen=True)
class Telemetry:
    """What the runs and events say of each day, without any judgement.

    ``known_escalations``: those reported, also where another run did not report its own.
    """

    columns: Columns
    known_escalations: Floats
    runs_with_escalations: Integers
    runs_with_open_events: Integers


def telemetry_by_day(inputs: Inputs, days: Days) -> Telemetry:
    """Count runs and events as of each day, and the escalations and interventions of that calendar day."""
    number, first = len(days), days[0]
    runs = inputs.all_runs
    is_ended = runs["status"].is_in(_ENDED).to_numpy()
    ended_on = _place(days_of(runs["run_date"]), first)
    started_on = _place(days_of(runs["start_date"]), first)

    def so_far(places: Integers) -> Integers:
        return np.bincount(np.clip(places, 0, number), minlength=number + 1)[:number].cumsum()

    def with_status(status: str) -> Integers:
        return so_far(ended_on[(runs["status"] == status).to_numpy()])

    escalations, known_escalations = _sum_of_day(runs["escalations"], ended_on, is_ended, number)
    interventions, _ = _sum_of_day(runs["human_interventions"], ended_on, is_ended, number)
    is_of_these_days = is_ended & (ended_on >= 0) & (ended_on < number)
    has_escalations = is_of_these_days & (runs["escalations"].fill_null(0) > 0).to_numpy()
    open_events = inputs.events.filter(pl.col("is_open"))
    first_of_run = open_events.unique("run_id", keep="first", maintain_order=True)
    return Telemetry(
        columns={
            "active_runs": so_far(started_on) - so_far(np.maximum(started_on, ended_on)[is_ended]),
            "completed_runs": with_status("completed"),
            "failed_runs": with_status("failed"),
            "cancelled_runs": with_status("cancelled"),
            "escalations_last_24h": escalations,
            "human_interventions_last_24h": interventions,
            "open_risk_events": so_far(_place(days_of(open_events["day"]), first)),
        },
        known_escalations=known_escalations,
        runs_with_escalations=np.bincount(ended_on[has_escalations], minlength=number)[:number],
        runs_with_open_events=so_far(_place(days_of(first_of_run["day"]), first)),
    )


def _place(days: Days, first: np.datetime64) -> Integers:
    return (days - first).astype(np.int64)


def _sum_of_day(column: pl.Series, places: Integers, is_ended: Flags, number: int) -> tuple[Floats, Floats]:
    """Return the sum over the runs that ended on each day, NaN where one did not report; and the sum of the known."""
    chosen = is_ended & (places >= 0) & (places < number)
    is_unknown = column.is_null().to_numpy()
    values = column.fill_null(0).cast(pl.Float64).to_numpy()
    known: Floats = np.bincount(places[chosen], weights=values[chosen], minlength=number).astype(np.float64)
    unknown = np.bincount(places[chosen & is_unknown], minlength=number)
    return np.where(unknown > 0, np.nan, known), known


def _known_mean_by_day(values: Floats) -> Floats:
    is_known = ~np.isnan(values)
    number = is_known.sum(axis=0)
    total = np.where(is_known, values, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, number, out=np.full(values.shape[1], np.nan), where=number > 0)
    return mean


def _top_of_all(inputs: Inputs, top_rows: Integers) -> Integers:
    """Return each day's friction row with the most minutes; of equals the first mission's."""
    if len(top_rows) == 0:
        return np.full(top_rows.shape[1], NO_ROW, np.int64)
    minutes = np.append(inputs.friction.minutes, -1.0).round(9)[top_rows]
    chosen: Integers = np.take_along_axis(top_rows, minutes.argmax(axis=0)[None, :], axis=0)[0]
    return chosen


def _firings(missions_at_risk: Integers, telemetry: Telemetry, policy: Policy) -> dict[str, PortfolioFiring]:
    """Return the portfolio's triggers.

    Supporting runs: those of the day with escalations; those with an open event. Missions at risk rest on missions,
    whose own triggers stand beside with their runs, so that the summary does not outrank its causes.

    Escalations fire on those known: what a run did not report can only add to them.
    """
    rules = policy.triggers
    found = {
        "PORTFOLIO_MISSIONS_AT_RISK": (
            missions_at_risk.astype(np.float64),
            rules.portfolio_missions_at_risk.min_missions,
            np.zeros(len(missions_at_risk), np.int64),
        ),
        "PORTFOLIO_ESCALATIONS_24H": (
            telemetry.known_escalations,
            rules.portfolio_escalations_24h.min_escalations,
            telemetry.runs_with_escalations,
        ),
        "PORTFOLIO_OPEN_RISK_EVENTS": (
            telemetry.columns["open_risk_events"].astype(np.float64),
            rules.portfolio_open_risk_events.min_events,
            telemetry.runs_with_open_events,
        ),
    }
    assert tuple(found) == PORTFOLIO_TRIGGERS
    return {
        name: PortfolioFiring(
            fires=observed >= limit,
            severity=rules.severity_of(name),
            supporting_runs=supporting,
            observed=observed,
            threshold=float(limit),
        )
        for name, (observed, limit, supporting) in found.items()
    }


def portfolio_fires(missions_at_risk: Any, escalations: Any, open_events: Any, policy: Policy) -> Any:
    """Whether any trigger of the portfolio fires, for counts of some variants."""
    rules = policy.triggers
    return (
        (np.asarray(missions_at_risk) >= rules.portfolio_missions_at_risk.min_missions)
        | (np.asarray(escalations) >= rules.portfolio_escalations_24h.min_escalations)
        | (np.asarray(open_events) >= rules.portfolio_open_risk_events.min_events)
    )

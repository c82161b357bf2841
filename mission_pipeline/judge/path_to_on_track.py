"""What one next run of a mission would have to be like for the mission to be ON_TRACK, one lever at a time.

The next run equals the latest finished one in everything but the lever, its reported events included, and comes after
it. It is judged by the rules that judge every day, and so is every answer: ``needed`` itself gives ON_TRACK, 99 % of
the change does not, nor does a change of one less where things are counted. Task friction stays as it was: it changes
no status unless the policy calls a bottleneck high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mission_pipeline.contracts.judged import LEVERS
from mission_pipeline.judge.days import JudgedWindows, bottlenecks_of, judge_windows
from mission_pipeline.judge.limits import Flags, Floats, reaches
from mission_pipeline.judge.missions_as_of import MissionsAsOf
from mission_pipeline.judge.scorecards import RunMeans, autonomy_scores
from mission_pipeline.judge.status import NO_DATA, ON_TRACK
from mission_pipeline.judge.windows import (
    Integers,
    Windows,
    chosen_states,
    gathered,
    repeated_latest_run,
    taken_windows,
)
from mission_pipeline.policy import Policy

INTERVENTIONS, ESCALATIONS, APPROVAL_WAIT, OVERRUN, KPI = range(len(LEVERS))
UNITS = ("count", "count", "minutes", "minutes", "KPI's own")
"""Of the levers, in their order."""

_MEASURES = {
    INTERVENTIONS: "human_interventions",
    ESCALATIONS: "escalations",
    APPROVAL_WAIT: "approval_delay_minutes",
    KPI: "kpi_value",
}
"""What each lever sets in the next run. The overrun is no part of any rule of the status, so it sets nothing."""
_STEPS = 16
"""Tries between current and best; a span of good values narrower than one step may be missed."""
_PRECISION = 0.002
"""Share of the change: how near the smallest change is found. With the rounding it stays under 1 %."""
_ROUNDING = 0.005
"""Share of the change by which ``needed`` may be rounded on, so that it has few digits."""
_ENOUGH = 0.99
"""Share of the change that must not be enough."""
_ROUNDS = 40
"""Halvings at the most: beyond them a change is next to nothing."""


@dataclass(frozen=True)
class Lever:
    """The smallest change of one figure in a mission's next run that makes the mission ON_TRACK.

    ``lever``: of LEVERS. ``current``: the latest finished run's figure, for the KPI the latest observed; None where
    unknown. ``needed``: None where no value from ``current`` to the best helps, equal to ``current`` where another run
    like the latest is enough. The best is 0; for the KPI it lies beyond the target, as far as the policy says.
    Minutes and KPI values are rounded towards the best, by less than 1 % of the change.
    """

    mission_id: str
    lever: str
    current: float | None
    needed: float | None
    unit: str
    is_reachable: bool


def levers_as_of(day: MissionsAsOf) -> tuple[Lever, ...]:
    """Return every lever of every mission with data that is not ON_TRACK, by mission, in the order of LEVERS."""
    missions = np.flatnonzero((day.statuses != ON_TRACK) & (day.statuses != NO_DATA))
    if len(missions) == 0:
        return ()
    next_runs = _NextRuns(day, missions)
    current, best = next_runs.current(), next_runs.best()
    needed = _needed(next_runs, current, best)
    ids = day.inputs.missions["mission_id"].gather(missions.tolist()).to_list()
    return tuple(
        Lever(
            mission_id=mission_id,
            lever=name,
            current=_known(current[line, lever]),
            needed=_known(needed[line, lever]),
            unit=UNITS[lever],
            is_reachable=bool(~np.isnan(needed[line, lever])),
        )
        for line, mission_id in enumerate(ids)
        for lever, name in enumerate(LEVERS)
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


class _NextRuns:
    """Judges missions with one more run, like the latest but for one lever. ``lines`` count the missions chosen."""

    def __init__(self, day: MissionsAsOf, missions: Integers) -> None:
        self.day, self.missions = day, missions
        windows = gathered(day.inputs.runs, day.inputs.kpis, chosen_states(day.states, missions))
        self.latest_observed = windows.kpi_observations[:, -1]
        self.windows = repeated_latest_run(windows)
        self.lacks_kpi = np.isnan(windows.measures["kpi_value"][:, -1])
        self.bottlenecks = bottlenecks_of(day.inputs, day.judged.top_rows[missions])
        policies = [day.policies[int(mission)] for mission in missions]
        places: dict[int, int] = {}
        self.groups = np.array([places.setdefault(id(policy), len(places)) for policy in policies])
        self.policies = {places[id(policy)]: policy for policy in policies}

    def current(self) -> Floats:
        """The latest run's figure, a line per mission and a column per lever; NaN where unknown."""
        found = np.full((len(self.missions), len(LEVERS)), np.nan)
        for lever, measure in _MEASURES.items():
            found[:, lever] = self.windows.measures[measure][:, -1]
        found[:, KPI] = self.latest_observed
        runs = self.day.inputs.finished_rows[self.day.states.run_rows[self.missions, -1]]
        overruns = self.day.inputs.all_runs["overrun_minutes"][runs.tolist()]
        found[:, OVERRUN] = overruns.fill_null(float("nan")).to_numpy()
        return found

    def best(self) -> Floats:
        """The farthest figure to try: 0, for the KPI beyond the target."""
        found = np.zeros((len(self.missions), len(LEVERS)))
        latest, sign = self.latest_observed, self.windows.kpi_sign
        target, baseline = self.windows.kpi_target, self.windows.kpi_baseline
        factor = np.array([self.policies[group].path_to_on_track.kpi_gap_factor for group in self.groups])
        share = np.array([self.policies[group].path_to_on_track.kpi_planned_share for group in self.groups])
        gap = np.maximum(0.0, sign * (target - latest))
        way = np.fmax(factor * gap, share * np.abs(target - baseline))
        best = latest + sign * way
        is_never_negative = np.fmin(np.fmin(latest, target), baseline) >= 0
        found[:, KPI] = np.where(is_never_negative, np.maximum(best, 0.0), best)
        found[:, KPI][np.abs(sign) != 1] = np.nan
        return found

    def repeated(self) -> tuple[Flags, Floats]:
        """Whether another run like the latest gives ON_TRACK; and the most that a next KPI could make of the health."""
        is_on_track, most = np.zeros(len(self.missions), bool), np.full(len(self.missions), np.nan)
        for lines, policy in self._by_policy(np.arange(len(self.missions))):
            columns = self._judged(taken_windows(self.windows, lines), lines, policy).columns
            health = policy.health
            trajectory, steady = health.trajectory_points, health.stability_points
            is_on_track[lines] = columns["status"] == ON_TRACK
            most[lines] = (
                health.outcome_weight * np.where(np.isnan(columns["outcome_score"]), np.nan, 100.0)
                + health.trajectory_weight * max(trajectory.model_dump().values())
                + health.friction_weight * columns["friction_score"]
                + health.risk_weight * columns["risk_score"]
                + health.stability_weight
                * max(steady.stable, steady.mostly_stable, steady.variable, steady.unstable, steady.too_few_runs)
            )
        return is_on_track, most

    def on_track_from(self) -> Floats:
        """The health that each mission needs."""
        return np.array([self.policies[group].health.on_track_from for group in self.groups])

    def judged(self, lines: Integers, levers: Integers, values: Floats) -> tuple[Flags, Floats]:
        """Whether missions are ON_TRACK, and their health, after a next run with one lever at a value each."""
        is_on_track, health = np.zeros(len(lines), bool), np.full(len(lines), np.nan)
        for chosen, policy in self._by_policy(lines):
            windows = self._with_levers(lines[chosen], levers[chosen], values[chosen], policy)
            columns = self._judged(windows, lines[chosen], policy).columns
            is_on_track[chosen], health[chosen] = columns["status"] == ON_TRACK, columns["health_score"]
        return is_on_track, health

    def _by_policy(self, lines: Integers) -> Iterator[tuple[Integers, Policy]]:
        for group, policy in self.policies.items():
            chosen = np.flatnonzero(self.groups[lines] == group)
            if len(chosen):
                yield chosen, policy

    def _judged(self, windows: Windows, lines: Integers, policy: Policy) -> JudgedWindows:
        bottlenecks = replace(
            self.bottlenecks, statuses=self.bottlenecks.statuses[lines], hits=self.bottlenecks.hits[lines]
        )
        return judge_windows(windows, bottlenecks, self.day.inputs.missed, policy)

    def _with_levers(self, lines: Integers, levers: Integers, values: Floats, policy: Policy) -> Windows:
        windows = taken_windows(self.windows, lines)
        for lever, measure in _MEASURES.items():
            windows.measures[measure][levers == lever, -1] = values[levers == lever]
        has_autonomy = np.flatnonzero(levers != KPI)
        latest = {name: columns[has_autonomy, -1] for name, columns in windows.measures.items()}
        of_run = RunMeans(
            interventions=latest["human_interventions"],
            escalations=latest["escalations"],
            approval_delay=latest["approval_delay_minutes"],
            flagged_share=latest["is_flagged"],
            failed_share=1 - latest["is_completed"],
        )
        windows.measures["autonomy_score"][has_autonomy, -1] = autonomy_scores(of_run, policy)

        is_kpi = levers == KPI
        is_new = np.flatnonzero(is_kpi & self.lacks_kpi[lines])
        windows.kpi_observations[is_new, :-1] = windows.kpi_observations[is_new, 1:]
        windows.observed[is_new] += 1
        windows.kpi_observations[is_kpi, -1] = values[is_kpi]
        return windows


def _needed(next_runs: _NextRuns, current: Floats, best: Floats) -> Floats:
    """Return each lever's smallest change's end, NaN where there is none."""
    needed = np.full(current.shape, np.nan)
    is_repeated, most = next_runs.repeated()
    is_enough_now = np.repeat(is_repeated[:, None], len(LEVERS), axis=1)
    # A run like the latest may observe no KPI; one that observes the latest value again is another.
    unobserved = np.flatnonzero(is_repeated & next_runs.lacks_kpi & ~np.isnan(current[:, KPI]))
    kpi_again = np.full(len(unobserved), KPI)
    is_enough_now[unobserved, KPI] = next_runs.judged(unobserved, kpi_again, current[unobserved, KPI])[0]
    needed[is_enough_now] = current[is_enough_now]

    can_help = ~is_enough_now & ~np.isnan(current) & ~np.isnan(best) & (current != best)
    can_help[:, OVERRUN] = False
    can_help[:, KPI] &= reaches(most, next_runs.on_track_from())
    lines, levers = np.nonzero(can_help)
    # The health only grows while interventions, escalations and waiting fall; a KPI may overshoot a steady series.
    _, at_best = next_runs.judged(lines, levers, best[lines, levers])
    is_enough = (levers == KPI) | reaches(at_best, next_runs.on_track_from()[lines])
    lines, levers = lines[is_enough], levers[is_enough]
    if len(lines):
        search = _Search(next_runs, lines, levers, current[lines, levers], best[lines, levers])
        needed[lines, levers] = search.needed()
    return needed


class _Search:
    """Looks for the smallest change, in shares of the way from current (0) to best (1), of many levers at once."""

    def __init__(self, next_runs: _NextRuns, lines: Integers, levers: Integers, current: Floats, best: Floats) -> None:
        self.next_runs, self.lines, self.levers = next_runs, lines, levers
        self.current, self.best = current, best
        self.is_count = np.isin(levers, (INTERVENTIONS, ESCALATIONS))

    def needed(self) -> Floats:
        """Return the values found, NaN where none is."""
        below, enough = self._first_step()
        found = np.flatnonzero(~np.isnan(enough))
        values = np.full(len(self.lines), np.nan)
        values[found] = self._narrowed(found, below[found], enough[found])
        # Statuses need not follow the lever one way only, so a smaller change is looked for until none is enough.
        again = found[~self.is_count[found]]
        for _ in range(_ROUNDS):
            nearer = self.current[again] + _ENOUGH * (values[again] - self.current[again])
            is_enough = self._is_on_track(again, nearer)
            again, nearer = again[is_enough], nearer[is_enough]
            if len(again) == 0:
                break
            share = (nearer - self.current[again]) / (self.best[again] - self.current[again])
            values[again] = self._narrowed(again, np.zeros(len(again)), share)
        return values

    def _values(self, pairs: Integers, shares: Floats) -> Floats:
        """The lever's values at shares of the way; a count moves by whole steps, at least as far as the share."""
        change = shares * (self.best[pairs] - self.current[pairs])
        values: Floats = self.current[pairs] + np.where(self.is_count[pairs], np.floor(change), change)
        return values

    def _is_on_track(self, pairs: Integers, values: Floats) -> Flags:
        return self.next_runs.judged(self.lines[pairs], self.levers[pairs], values)[0]

    def _first_step(self) -> tuple[Floats, Floats]:
        """Return the last share of the way that is not enough, and the first that is, NaN without one."""
        number = len(self.lines)
        below, enough = np.zeros(number), np.full(number, np.nan)
        open_pairs = np.arange(number)
        for step in range(1, _STEPS + 1):
            share = np.full(len(open_pairs), step / _STEPS)
            is_enough = self._is_on_track(open_pairs, self._values(open_pairs, share))
            enough[open_pairs[is_enough]] = step / _STEPS
            open_pairs = open_pairs[~is_enough]
            below[open_pairs] = step / _STEPS
        return below, enough

    def _narrowed(self, pairs: Integers, below: Floats, enough: Floats) -> Floats:
        """Halve between a share that is not enough and one that is, and return the latter's value, rounded."""
        below, enough = below.copy(), enough.copy()
        for _ in range(_ROUNDS):
            is_near = enough - below <= _PRECISION * enough
            is_near[self.is_count[pairs]] = False
            is_near |= self.is_count[pairs] & (self._values(pairs, enough) + 1 >= self._values(pairs, below))
            wide = np.flatnonzero(~is_near)
            if len(wide) == 0:
                break
            middle = (below[wide] + enough[wide]) / 2
            is_enough = self._is_on_track(pairs[wide], self._values(pairs[wide], middle))
            enough[wide] = np.where(is_enough, middle, enough[wide])
            below[wide] = np.where(is_enough, below[wide], middle)
        return self._rounded(pairs, self._values(pairs, enough))

    def _rounded(self, pairs: Integers, values: Floats) -> Floats:
        current, best = self.current[pairs], self.best[pairs]
        size = np.abs(values - current)
        digits = np.clip(np.ceil(-np.log10(_ROUNDING * np.maximum(size, np.finfo(float).tiny))), 0, 15).astype(int)
        rounded = values.copy()
        for place in np.flatnonzero(~self.is_count[pairs]).tolist():
            scale = 10.0 ** digits[place]
            towards = np.floor if best[place] < current[place] else np.ceil
            # Divided, not multiplied, so that the figure is the one that its few digits stand for.
            rounded[place] = towards(values[place] * scale) / scale
        is_within = np.abs(rounded - current) <= np.abs(best - current)
        rounded = np.where(is_within, rounded, best)
        is_good = self._is_on_track(pairs, rounded)
        kept: npt.NDArray[np.float64] = np.where(is_good, rounded, values)
        return kept

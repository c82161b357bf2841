"""Counts how often a brief would claim a trend where nothing changes: the promise is at most 5 % of briefs.

Portfolios of one to eight missions, five to forty finished runs each, in which every run is drawn alike: noise, ties,
counts, rare failures, and five series that hang together, but no change. The real judgement judges them, all at once.
The exit code is 0 while the share of portfolios with a `tested` trend is at most 5 %, allowing for chance: the lower
end of its 95 % Wilson interval is not above 5 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from mission_pipeline.contracts.catalog import contract_of
from mission_pipeline.contracts.judged import TREND_EVIDENCE, TREND_SERIES
from mission_pipeline.intervals import Interval, wilson_interval
from mission_pipeline.judge.days import evidence_by_day, judge_all_days
from mission_pipeline.judge.inputs import read_inputs
from mission_pipeline.policy import Policy, load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE
from mission_pipeline.warehouse import Build, build_in_memory

PROMISED_SHARE = 0.05
DAY = date(2026, 3, 1)
MOST_MISSIONS = 8
RUNS_PER_MISSION = (5, 40)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FalseClaims:
    """Of so many portfolios, how many had at least one tested trend, and how many at least a suggestive one.

    ``trends``: exact tests made. ``by_series``: portfolios with a tested trend of that series.
    """

    portfolios: int
    trends: int
    tested: int
    suggestive: int
    by_series: dict[str, int]

    @property
    def share(self) -> float:
        """Share of portfolios with a tested trend, 0-1."""
        return self.tested / self.portfolios

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of that share."""
        interval = wilson_interval(self.tested, self.portfolios)
        assert interval is not None
        return interval

    @property
    def is_as_promised(self) -> bool:
        """Whether the promise is kept, as far as chance lets one see."""
        return self.interval.low <= PROMISED_SHARE


def false_claims(portfolios: int, seed: int, policy: Policy, drift: float = 0.0) -> FalseClaims:
    """Judge portfolios without a change and count the claims.

    ``drift`` is for finding out whether the count can fail: KPIs then move by that share of their noise per run.
    """
    rng = np.random.default_rng(seed)
    missions_of = rng.integers(1, MOST_MISSIONS + 1, portfolios)
    with build_in_memory() as build:
        _write_portfolios(build, missions_of, rng, policy, drift)
        days = judge_all_days(read_inputs(build), policy, DAY, DAY)
    columns, state_of = days.judged.columns, days.state_of[:, -1]
    starts = np.cumsum(missions_of) - missions_of
    strongest = np.zeros(portfolios, np.int8)
    has_tested = {series: np.zeros(portfolios, bool) for series in TREND_SERIES}
    for size in range(1, MOST_MISSIONS + 1):
        chosen = np.flatnonzero(missions_of == size)
        # One brief for each portfolio: where the judgement has days, each with a family of tests, here are portfolios.
        states = state_of[starts[chosen][None, :] + np.arange(size)[:, None]]
        evidence = evidence_by_day(columns, states, policy.trend.significance_level)
        for series in TREND_SERIES:
            strongest[chosen] = np.maximum(strongest[chosen], evidence[series].max(axis=0))
            has_tested[series][chosen] = (evidence[series] == TREND_EVIDENCE.index("tested")).any(axis=0)
    return FalseClaims(
        portfolios=portfolios,
        trends=sum(int((~np.isnan(columns[f"{series}_trend_p_value"][state_of])).sum()) for series in TREND_SERIES),
        tested=int((strongest == TREND_EVIDENCE.index("tested")).sum()),
        suggestive=int((strongest >= TREND_EVIDENCE.index("suggestive")).sum()),
        by_series={series: int(found.sum()) for series, found in has_tested.items()},
    )


def _write_portfolios(
    build: Build, missions_of: Integers, rng: np.random.Generator, policy: Policy, drift: float
) -> None:
    """Write the tables that the judgement reads: each mission's runs are drawn from its own distribution."""
    missions = int(missions_of.sum())
    runs_of = rng.integers(RUNS_PER_MISSION[0], RUNS_PER_MISSION[1] + 1, missions)
    mission = np.repeat(np.arange(missions), runs_of)
    runs = len(mission)
    sequence = np.arange(runs) - np.repeat(np.cumsum(runs_of) - runs_of, runs_of) + 1

    def of_mission(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return values[mission]

    interventions = rng.poisson(of_mission(rng.uniform(0, 2, missions)))
    escalations = rng.binomial(interventions + 1, of_mission(rng.uniform(0, 0.4, missions)))
    delay = np.round(rng.exponential(of_mission(rng.uniform(0.5, 10, missions))))
    is_flagged = rng.random(runs) < of_mission(rng.uniform(0, 0.4, missions))
    has_failed = rng.random(runs) < of_mission(rng.uniform(0, 0.3, missions))
    noise = of_mission(rng.uniform(0.02, 0.3, missions))
    # Rounded to whole numbers for some missions, to hundredths for others: few ties and many.
    digits = of_mission(rng.choice([0.0, 2.0], missions))
    kpi = np.round(20 * (1 + noise * (rng.standard_normal(runs) + drift * sequence)) * 10**digits) / 10**digits
    rules = policy.autonomy
    autonomy = (
        100
        - rules.points_per_intervention * interventions
        - rules.points_per_escalation * escalations
        - np.minimum(rules.max_delay_points, rules.points_per_delay_minute * delay)
        - rules.points_for_flagged_share * is_flagged
    ).clip(0, np.where(has_failed, rules.failed_run_max_points, 100.0))

    names = pl.Series([f"M{number:06d}" for number in range(missions)])
    mission_id = names.gather(mission)
    run_id = pl.Series([f"R{number:07d}" for number in range(runs)])
    start = datetime(DAY.year, DAY.month, DAY.day, 9)
    _write(build, "staging.missions", {"mission_id": names, "mission_name": names})
    _write(
        build,
        "staging.mission_kpis",
        {
            "mission_id": names, "kpi_name": "hours", "kpi_order": 1, "kpi_kind": "target", "is_primary": True,
            "direction": "lower_is_better", "baseline_value": 40.0, "target_value": 10.0,
        },
    )  # fmt: skip
    _write(
        build,
        "marts.mission_run_facts",
        {
            "run_id": run_id, "mission_id": mission_id, "run_seq": sequence, "run_date": DAY, "start_time": start,
            "end_time": start, "status": np.where(has_failed, "failed", "completed"),
            "total_duration_minutes": rng.normal(60, 9, runs).round(), "approval_delay_minutes": delay,
            "tasks_executed": 1, "reworked_tasks": 0, "human_interventions": interventions, "escalations": escalations,
            "risk_flagged": is_flagged, "autonomy_score": autonomy,
            "is_touchless": ~has_failed & (interventions == 0) & (escalations == 0),
        },
    )  # fmt: skip
    is_observed = ~has_failed
    _write(
        build,
        "marts.run_kpi_deltas",
        {
            "run_id": run_id.filter(pl.Series(is_observed)), "mission_id": mission_id.filter(pl.Series(is_observed)),
            "run_seq": sequence[is_observed], "run_date": DAY, "kpi_name": "hours", "is_primary": True,
            "direction": "lower_is_better", "kpi_value": kpi[is_observed], "first_value": 0.0,
        },
    )  # fmt: skip
    for name in ("staging.mission_tasks", "staging.risk_events", "marts.task_friction"):
        _write(build, name, {})


def _write(build: Build, qualified_name: str, columns: dict[str, object]) -> None:
    """Write columns and single values under a contract's names and types; what is not given is NULL."""
    contract = contract_of(qualified_name)
    schema = contract.polars_schema()
    arrays = {name: pl.Series(value) for name, value in columns.items() if isinstance(value, (pl.Series, np.ndarray))}
    single = [pl.lit(value).alias(name) for name, value in columns.items() if name not in arrays]
    frame = pl.DataFrame(arrays).with_columns(single)
    frame = frame.select(
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )
    build.ensure_schema(contract)
    with build.view_of("incoming_rows", frame if columns else pl.DataFrame(schema=schema)):
        build.execute(f"create or replace table {qualified_name} as select * from incoming_rows")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portfolios", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20260101)
    given = parser.parse_args()
    began = time.perf_counter()
    found = false_claims(given.portfolios, given.seed, load_policy(SHIPPED_POLICY_FILE))
    print(
        f"{found.portfolios:,} portfolios without a change, {found.trends:,} trends tested, "
        f"{time.perf_counter() - began:.1f} s"
    )
    for series, count in found.by_series.items():
        print(f"  {series:15} a tested trend in {count:,} portfolios")
    print(f"  a signal alone, at least suggestive, in {100 * found.suggestive / found.portfolios:.1f} %")
    print(
        f"briefs with a false claim: {found.tested:,} of {found.portfolios:,}, {100 * found.share:.2f} % "
        f"(95 % interval {100 * found.interval.low:.2f} to {100 * found.interval.high:.2f} %); "
        f"promised: at most {100 * PROMISED_SHARE:.0f} %: " + ("within" if found.is_as_promised else "NOT WITHIN")
    )
    return 0 if found.is_as_promised else 1


if __name__ == "__main__":
    sys.exit(main())

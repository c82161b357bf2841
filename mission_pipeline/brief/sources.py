"""The rows that a brief draws on, each value with its claim: the query that yields it from the published warehouse.

One place for the queries of claims. They read single values, so that anybody can run one; the rows themselves were
read by ``facts`` and by the judgement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from mission_pipeline.brief.claims import Claims
from mission_pipeline.brief.facts import Facts
from mission_pipeline.brief.figures import Figure, figures_of
from mission_pipeline.brief.verdict import Verdict
from mission_pipeline.policy import Policy

Row = Mapping[str, Any]

MISSION_FIGURES = (
    "status", "is_at_risk", "finished_runs", "completed_runs", "failed_runs", "cancelled_runs", "last_run_date",
    "health_score", "outcome_score", "trajectory_score", "friction_score", "risk_score", "stability_score",
    "autonomy_score", "touchless_runs", "touchless_known_runs", "touchless_rate", "touchless_rate_low",
    "touchless_rate_high", "mean_human_interventions", "mean_escalations", "mean_approval_delay_minutes",
    "risk_flagged_share", "kpi_name", "kpi_baseline_value", "kpi_target_value", "kpi_first_value",
    "kpi_previous_value", "kpi_latest_value", "kpi_improvement_vs_baseline_pct", "kpi_improvement_vs_first_pct",
    "kpi_gap_to_target", "kpi_gap_to_target_pct", "kpi_target_status", "kpi_trend", "kpi_trend_evidence",
    "kpi_trend_runs", "autonomy_trend", "autonomy_trend_evidence", "autonomy_trend_runs", "escalations_trend",
    "escalations_trend_evidence", "approval_delay_trend", "approval_delay_trend_evidence", "completion_trend",
    "completion_trend_evidence", "stability_label", "top_bottleneck_task_id", "top_bottleneck_status",
    "top_bottleneck_driver", "top_bottleneck_friction_minutes",
)  # fmt: skip
"""Columns of the scorecard that a brief carries for each mission, under their own names."""

LISTED_MISSION_FIGURES = (
    "status", "is_at_risk", "finished_runs", "health_score", "autonomy_score", "kpi_name", "kpi_latest_value",
    "kpi_improvement_vs_baseline_pct", "kpi_trend", "kpi_trend_evidence", "top_bottleneck_task_id",
)  # fmt: skip
"""Those of a mission that a brief of many lists without telling of it."""
LISTED_KPI_FIGURES = ("kpi_name", "direction", "latest_value")
_MORE_MISSION_FIGURES = ("mission_id", "kpi_observations", "duration_residual_share", "kpi_residual_share")
_MISSION_NAMES = ("mission_name", "owner")

_SCORECARD = "select $column from marts.mission_scorecards where as_of_date = $as_of and mission_id = $mission_id"
_SCORECARDS = "select $column from marts.mission_scorecards where as_of_date = $as_of"
_MISSION = "select $column from staging.missions where mission_id = $mission_id"
_OPEN_RUNS = """
select count(*) from marts.mission_run_facts
where mission_id = $mission_id and start_time < $as_of + interval 1 day
and (status not in ('completed', 'failed', 'cancelled') or run_date > $as_of)
"""
_PORTFOLIO = "select $column from marts.portfolio_snapshots where snapshot_date = $as_of"
_TRIGGER = """
select $column from marts.mission_triggers
where as_of_date = $as_of and trigger_name = $trigger_name and mission_id = $mission_id
"""
_PORTFOLIO_TRIGGER = """
select $column from marts.mission_triggers
where as_of_date = $as_of and trigger_name = $trigger_name and mission_id is null
"""
_FRICTION = """
select $column from marts.task_friction
where mission_id = $mission_id and task_id = $task_id and friction_date <= $as_of order by friction_date desc limit 1
"""
_TASK = "select $column from staging.mission_tasks where task_id = $task_id"
_KPI = "select $column from staging.mission_kpis where mission_id = $mission_id and kpi_name = $kpi_name"
_LATEST_KPI = """
select $column from marts.run_kpi_deltas
where mission_id = $mission_id and kpi_name = $kpi_name and run_id in (
select run_id from marts.mission_run_facts
where run_date <= $as_of and status in ('completed', 'failed', 'cancelled')
) order by run_seq desc limit 1
"""
_RUN_TIME = """
select $column from marts.mission_run_facts
where run_date <= $as_of and status in ('completed', 'failed', 'cancelled')
"""
_RUN_TIME_EXPRESSIONS = {
    "finished_runs": "count(*) filter (where status in ('completed', 'failed'))",
    "run_minutes": "sum(total_duration_minutes)",
    "unattributed_minutes": "sum(unattributed_minutes)",
    "runs_with_known_times": "count(unattributed_minutes)",
    "known_run_minutes": "sum(total_duration_minutes) filter (where unattributed_minutes is not null)",
    "newest_run_date": "max(run_date)",
}
_SIGNAL = "select $column from marts.risk_signals where signal_id = $signal_id"
_EVENT = "select $column from staging.risk_events where event_id = $event_id"
_KNOWN_SIGNALS = """
select count(*) from marts.risk_signals
where run_id in (select run_id from marts.mission_run_facts where run_date <= $as_of)
"""
_KNOWN_EVENTS = """
select count(*) from staging.risk_events as events
left join (
select run_id, coalesce(end_time, start_time) as seen_at from marts.mission_run_facts where run_date <= $as_of
) as runs using (run_id)
where cast(coalesce(events.detected_at, runs.seen_at) as date) <= $as_of
"""
_LINKED = "(select reported_event_id from marts.risk_signals where reported_event_id is not null)"
_RISK_COUNTS = {
    "detected": _KNOWN_SIGNALS,
    "detected_only": _KNOWN_SIGNALS + " and reported_event_id is null",
    "reported": _KNOWN_EVENTS,
    "reported_only": f"{_KNOWN_EVENTS} and event_id not in {_LINKED}",
    "reported_and_detected": f"{_KNOWN_EVENTS} and event_id in {_LINKED}",
}
_REPORTED = """
select $column from quality.reconciliation
where source = $source and subject = $subject and report_date = $report_date and field = $field
"""
_REPORTED_COUNTS = "select $column from quality.reconciliation where report_date <= $as_of"
_REPORTED_COUNT_EXPRESSIONS = {
    "figures": "count(*)",
    "agree": "count(*) filter (where verdict = 'agrees')",
    "differ": "count(*) filter (where verdict = 'differs')",
    "not_computable": "count(*) filter (where verdict = 'not_computable')",
}
_ROW_COUNTS = "select $column from quality.row_counts where data_set = $data_set"
_ROW_TOTALS = "select $column from quality.row_counts"
_REJECTS = "select $column from quality.rejected_rows where data_set = $data_set and rule = $rule"
_REJECT_EXPRESSIONS = {
    "data_set": "any_value(data_set)",
    "rule": "any_value(rule)",
    "rows": "count(*)",
    "example": "arg_min(reason, (file, row))",
}
_PLAN_FINDING = """
select $column from quality.plan_findings
where mission_id = $mission_id and task_id = $task_id and fault = $fault and detail = $detail
"""
_DRIFT = "select $column from quality.schema_drift where data_set = $data_set and field = $field and kind = $kind"
_WARNING = "select $column from quality.data_warnings where data_set = $data_set and rule = $rule"
_INPUT = "select $column from quality.loaded_files where data_set = $data_set and file = $file"
_INPUTS = "select count(*) from quality.loaded_files"
_BRIEF = "select $column from marts.executive_briefs where as_of_date = $as_of"
_LIMIT = "select limit_value from quality.policy_limits where limit_key = $key and mission_id is null"
_OWN_LIMIT = "select limit_value from quality.policy_limits where limit_key = $key and mission_id = $mission_id"
_FIGURE = """
select $column from marts.verdict_figures
where as_of_date = $as_of and part = $part and rank = $rank and figure_name = $name
"""


class Sources:
    """Every row that a brief shows, claimed.

    ``missions``: by mission id, in their order, with name and owner; ``triggers`` by rank; ``tasks``: by mission and
    task id, most friction first; ``kpis``: of each mission, the main one first; the others as in ``Facts``.
    """

    def __init__(self, verdict: Verdict, facts: Facts, policy: Policy) -> None:
        self.claims = claims = Claims(facts.as_of)
        self._policy = policy
        self._limits: dict[tuple[str | None, str], Any] = {}
        self.missions = {row["mission_id"]: self._mission(row, facts) for row in verdict.scorecards}
        self.portfolio = claims.row("portfolio", verdict.snapshot, _PORTFOLIO)
        self.as_of = claims.figure("as_of", facts.as_of, _PORTFOLIO.replace("$column", "snapshot_date"))
        self.status = claims.figure("status", verdict.status, _PORTFOLIO.replace("$column", "status"))
        self.triggers = [self._trigger(row) for row in verdict.triggers]
        self.tasks = _ByNeed({(row["mission_id"], row["task_id"]): row for row in facts.friction}, self._task)
        kpis: dict[str, list[Row]] = defaultdict(list)
        for kpi in facts.kpis:
            kpis[kpi["mission_id"]].append(kpi)
        self.kpis: Mapping[str, list[dict[str, Any]]] = _ByNeed(kpis, lambda rows: [self._kpi(row) for row in rows])
        self.run_time = claims.row("run_time", facts.run_time, _RUN_TIME, expressions=_RUN_TIME_EXPRESSIONS)
        self.signals = self._each("signal", facts.risks_detected, _SIGNAL, "signal_id")
        self.events = self._each("event", facts.risks_reported, _EVENT, "event_id")
        counts = {
            **facts.risk_counts,
            "reported_and_detected": facts.risk_counts["reported"] - facts.risk_counts["reported_only"],
        }
        self.risk_counts = {name: claims.figure(f"risks.{name}", counts[name], _RISK_COUNTS[name]) for name in counts}
        self.reconciliation = self._each(
            "reported", facts.reconciliation, _REPORTED, "source", "subject", "report_date", "field"
        )
        self.reconciliation_counts = claims.row(
            "reported_figures", facts.reconciliation_counts, _REPORTED_COUNTS, expressions=_REPORTED_COUNT_EXPRESSIONS
        )
        self.row_counts = self._each("records", facts.row_counts, _ROW_COUNTS, "data_set")
        self.row_totals = claims.row(
            "records", facts.row_totals, _ROW_TOTALS,
            expressions={name: f"coalesce(sum({name}), 0)" for name in facts.row_totals},
        )  # fmt: skip
        self.rejects = self._each(
            "rejected", facts.rejects, _REJECTS, "data_set", "rule", expressions=_REJECT_EXPRESSIONS
        )
        self.plan_findings = self._each(
            "plan", facts.plan_findings, _PLAN_FINDING, "mission_id", "task_id", "fault", "detail", named_by=3
        )
        self.drift = self._each("drift", facts.drift, _DRIFT, "data_set", "field", "kind")
        self.warnings = self._each(
            "warning", facts.warnings, _WARNING, "data_set", "rule", expressions={"example": "example_value"}
        )
        self.inputs = self._each("input", facts.inputs, _INPUT, "data_set", "file")
        self.files = claims.figure("inputs.files", len(facts.inputs), _INPUTS)
        self.policy = claims.row(
            "policy", {"version": verdict.policy_version, "sha256": verdict.policy_sha256}, _BRIEF,
            expressions={"version": "policy_version", "sha256": "policy_sha256"},
        )  # fmt: skip
        self._figures = _ByNeed(
            {(figure.part, figure.rank, figure.name): figure for figure in figures_of(verdict)}, self._figure
        )

    def limit(self, mission_id: str | None, key: str) -> Any:
        """Return a number of the policy as it holds for a mission, by its place, such as ``health.on_track_from``."""
        owner = mission_id if self._policy.has_own(mission_id) else None
        if (owner, key) not in self._limits:
            policy = self._policy if owner is None else self._policy.for_mission(owner)
            value: Any = policy
            for name in key.split("."):
                value = getattr(value, name)
            claim, sql = f"limit.{owner or 'portfolio'}.{key}", _LIMIT if owner is None else _OWN_LIMIT
            self._limits[owner, key] = self.claims.figure(claim, value, sql, key=key, mission_id=owner)
        return self._limits[owner, key]

    def figure(self, part: str, rank: int, name: str) -> Any:
        """Return a figure or name of the verdict that stands in no other table; None where it is unknown."""
        return self._figures.get((part, rank, name))

    def _figure(self, figure: Figure) -> Any:
        return self.claims.figure(
            f"{figure.part}.{figure.rank}.{figure.name}",
            figure.label if figure.number is None else _whole(figure.number),
            _FIGURE.replace("$column", "number" if figure.label is None else "label"),
            part=figure.part,
            rank=figure.rank,
            name=figure.name,
        )

    def counted(self, claim: str, value: float, expression: str, condition: str = "true", **parameters: Any) -> Any:
        """Return a figure over the day's scorecards, such as how many of them meet a condition."""
        sql = f"{_SCORECARDS.replace('$column', expression)} and {condition}"
        return self.claims.figure(claim, value, sql, **parameters)

    def of_portfolio(self, claim: str, value: Any, expression: str) -> Any:
        """Return a figure that follows from the day's row of the portfolio."""
        return self.claims.figure(claim, value, _PORTFOLIO.replace("$column", expression))

    def rejected_share(self, rejected: int, arrived: int) -> Any:
        """Return the share of the records that were rejected."""
        sql = _ROW_TOTALS.replace("$column", "sum(rows_rejected) / sum(rows_in)")
        return self.claims.figure("records.rejected_share", rejected / arrived, sql)

    def _mission(self, row: Row, facts: Facts) -> dict[str, Any]:
        mission_id, claims = row["mission_id"], self.claims
        prefix = f"mission.{mission_id}"
        figures = {name: row[name] for name in (*_MORE_MISSION_FIGURES, *MISSION_FIGURES)}
        names = {name: row[name] for name in _MISSION_NAMES}
        open_runs = {"open_runs": facts.open_runs.get(mission_id, 0)}
        return {
            **claims.row(prefix, figures, _SCORECARD, mission_id=mission_id),
            **claims.row(prefix, names, _MISSION, mission_id=mission_id),
            **claims.row(prefix, open_runs, _OPEN_RUNS, mission_id=mission_id),
        }

    def _trigger(self, row: Row) -> dict[str, Any]:
        mission_id, name = row["mission_id"], row["trigger_name"]
        if mission_id is None:
            return self.claims.row(f"trigger.portfolio.{name}", row, _PORTFOLIO_TRIGGER, trigger_name=name)
        prefix = f"trigger.{mission_id}.{name}"
        return self.claims.row(prefix, row, _TRIGGER, trigger_name=name, mission_id=mission_id)

    def _task(self, row: Row) -> dict[str, Any]:
        mission_id, task_id, claims = row["mission_id"], row["task_id"], self.claims
        prefix, expressions = f"task.{mission_id}.{task_id}", {"estimated_minutes": "estimated_duration_minutes"}
        plan = {name: value for name, value in row.items() if name in ("task_name", "estimated_minutes")}
        friction = {name: value for name, value in row.items() if name not in plan}
        found = {
            **claims.row(prefix, friction, _FRICTION, mission_id=mission_id, task_id=task_id),
            **claims.row(prefix, plan, _TASK, task_id=task_id, expressions=expressions),
        }
        return {name: found[name] for name in row}

    def _kpi(self, row: Row) -> dict[str, Any]:
        mission_id, name, claims = row["mission_id"], row["kpi_name"], self.claims
        ids, prefix = {"mission_id": mission_id, "kpi_name": name}, f"kpi.{mission_id}.{name}"
        planned = ("kpi_name", "kpi_kind", "direction", "is_primary", "baseline_value", "target_value")
        latest = {key: value for key, value in row.items() if key not in (*planned, "mission_id", "latest_run_id")}
        found = claims.row(prefix, {key: row[key] for key in planned}, _KPI, **ids)
        if row["target_status"] == "not_observed":  # then no row of the marts says so
            return {**found, **latest}
        return {
            **found,
            **claims.row(prefix, latest, _LATEST_KPI, expressions={"latest_value": "kpi_value"}, **ids),
        }

    def _each(
        self,
        prefix: str,
        rows: Iterable[Row],
        sql: str,
        *keys: str,
        named_by: int | None = None,
        expressions: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return rows claimed by their keys; ``named_by``: how many of the keys name the claim."""
        return [
            self.claims.row(
                ".".join([prefix, *(_in_a_name(row[key]) for key in keys[:named_by])]),
                row,
                sql,
                expressions=expressions,
                **{key: row[key] for key in keys},
            )
            for row in rows
        ]


class _ByNeed(Mapping[Any, Any]):
    """Rows that get their claims when they are first asked for: of thousands a brief names a few."""

    def __init__(self, rows: Mapping[Any, Any], claim: Callable[[Any], Any]) -> None:
        self._rows, self._claim = rows, claim
        self._claimed: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        if key not in self._claimed:
            self._claimed[key] = self._claim(self._rows[key])
        return self._claimed[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _in_a_name(key: Any) -> str:
    return key.isoformat() if isinstance(key, date) else str(key)


def _whole(number: float) -> float | int:
    """Counts came as such; the table holds all figures alike."""
    return int(number) if number.is_integer() else number

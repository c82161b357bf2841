"""Composes a brief's JSON, the one source of every format, from the verdict and the facts beside it.

Ranks (which finding first, which win largest) and phrases. Every figure is taken as it stands in a table; figures are
rounded to four decimals in the JSON, and an unknown one is null. No clock: the same inputs give the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.evidence import Claims, Column, stored
from mission_pipeline.brief.facts import Facts
from mission_pipeline.brief.findings import Finding, finding_of, finding_of_task
from mission_pipeline.brief.verdict import Condition, Verdict
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

CLAIMED_MISSION_FIGURES = (
    "status", "health_score", "autonomy_score", "finished_runs", "touchless_rate", "mean_human_interventions",
    "mean_escalations", "mean_approval_delay_minutes", "kpi_latest_value", "kpi_improvement_vs_baseline_pct",
    "kpi_improvement_vs_first_pct", "kpi_gap_to_target_pct", "kpi_trend", "autonomy_trend",
    "top_bottleneck_friction_minutes",
)  # fmt: skip
"""Those of them that the brief shows or argues with, and that so carry their query."""

CLAIMED_TASKS = 15
"""Tasks whose friction carries its query, most friction first; each mission's top bottleneck does so in any case."""

PORTFOLIO_FIGURES = (
    "autonomy_score", "missions_at_risk", "missions_on_track", "missions_watch", "missions_attention_required",
    "missions_no_data", "active_runs", "completed_runs", "failed_runs", "cancelled_runs", "avg_kpi_improvement_pct",
    "top_bottleneck_mission_id", "top_bottleneck_task_id", "top_bottleneck_task_name", "escalations_last_24h",
    "human_interventions_last_24h", "open_risk_events",
)  # fmt: skip

WIN_FIGURES = (
    "baseline_value", "first_value", "latest_value", "improvement_vs_baseline_pct", "improvement_vs_first_pct",
)  # fmt: skip
TRIGGER_FIGURES = (
    "severity", "evidence", "supporting_runs", "observed_value", "threshold", "gap_to_target_pct", "task_id",
    "kpi_name",
)  # fmt: skip

_SCORECARD_SQL = "select $column from marts.mission_scorecards where as_of_date = $as_of and mission_id = $mission_id"
_PORTFOLIO_SQL = "select $column from marts.portfolio_snapshots where snapshot_date = $as_of"
_DRIVER_SQL = "select $column from marts.mission_triggers where as_of_date = $as_of and trigger_rank = 1"
_TREND_SQL = "select count(*) from marts.mission_scorecards where as_of_date = $as_of and kpi_trend = $label"
_FRICTION_SQL = (
    "select $column from marts.task_friction where mission_id = $mission_id and task_id = $task_id "
    "and friction_date <= $as_of order by friction_date desc limit 1"
)
_RUN_TIME_SQL = (
    "select sum($column) from marts.mission_run_facts where run_date <= $as_of "
    "and status in ('completed', 'failed', 'cancelled') and unattributed_minutes is not null"
)
_TRIGGER_SQL = (
    "select $column from marts.mission_triggers where as_of_date = $as_of and trigger_name = $trigger_name "
    "and mission_id is not distinct from $mission_id"
)

_FRICTION_AREAS = ("REPEATED_BOTTLENECK", "APPROVAL_DELAY_PERSISTING")


def compose_brief(verdict: Verdict, facts: Facts, policy: Policy) -> dict[str, Any]:
    """Return the JSON of a brief, with the keys of the contract in their order."""
    return _Composer(verdict, facts, policy).brief()


class _Composer:
    def __init__(self, verdict: Verdict, facts: Facts, policy: Policy) -> None:
        self.verdict, self.facts, self.policy = verdict, facts, policy
        self.missions: dict[str, Row] = {row["mission_id"]: row for row in verdict.scorecards}
        self.tasks = {(task["mission_id"], task["task_id"]): task for task in facts.friction}
        self.kpis: dict[str, list[Row]] = defaultdict(list)
        for kpi in facts.kpis:
            self.kpis[kpi["mission_id"]].append(kpi)
        self.at_risk = self._names_at_risk()
        self.driver = verdict.driver
        self.findings = [self._finding(trigger) for trigger in verdict.triggers]
        self.claims = Claims(facts.as_of)

    def brief(self) -> dict[str, Any]:
        facts = self.facts
        brief: dict[str, Any] = {
            "as_of": facts.as_of,
            "status": self.verdict.status,
            "interpretation": self._interpretation(),
            "primary_driver": self._primary_driver(),
            "trend_insight": self._trend_insight(),
            "friction_signal": self._friction_signal(),
            "recommended_action": self._recommended_action(),
            "confidence": {
                "level": self.verdict.confidence.level,
                "reasons": [reason.sentence for reason in self.verdict.confidence.reasons],
            },
            "win": self._win(),
            "portfolio": self._portfolio(),
            "missions": [self._mission(mission) for mission in self.verdict.scorecards],
            "triggers": [self._trigger(trigger) for trigger in self.verdict.triggers],
            "reconciliation": [dict(row) for row in facts.reconciliation],
            "data_quality": self._data_quality(),
            "what_to_fix": self._what_to_fix(),
            "path_to_on_track": [self._condition(condition) for condition in self.verdict.path_to_on_track],
            "policy": {"version": self.verdict.policy_version, "sha256": self.verdict.policy_sha256},
            "inputs": [{"file": row["file"], "sha256": row["sha256"], "rows": row["rows"]} for row in facts.inputs],
        }
        brief = stored(brief)
        self._claim_all(brief)
        return {**brief, "evidence": self.claims.evidence}

    # ------------------------------------------------------------------ the first screen

    def _primary_driver(self) -> dict[str, Any]:
        if self.driver is None:
            reason = "no mission has finished a run yet" if self.verdict.status == "NO_DATA" else "no rule has fired"
            return {
                "trigger": None,
                "mission_id": None,
                "mission_name": None,
                "evidence": None,
                "headline": f"No driver: {reason}",
                "why": self._why_without_driver(),
            }
        finding = self.findings[0]
        return {
            "trigger": self.driver["trigger_name"],
            "mission_id": self.driver["mission_id"],
            "mission_name": self._mission_name(self.driver["mission_id"]),
            "evidence": self.driver["evidence"],
            "headline": finding.headline,
            "why": finding.why,
        }

    def _why_without_driver(self) -> str:
        weak = self._weakest_mission()
        if self.verdict.status in ("ON_TRACK", "NO_DATA") or weak is None:
            return ""
        part, score = self._weakest_part(weak)
        return (
            f"The health of {self._name(weak)} is {say.points(weak['health_score'])} of 100 points, under the "
            f"{say.number(self.policy.for_mission(weak['mission_id']).health.on_track_from)} that ON_TRACK needs; "
            f"its weakest part is {part} ({say.points(score)})."
        )

    def _weakest_mission(self, among: Collection[str | None] = ()) -> Row | None:
        """The mission of the least health, of those named where any is."""
        judged = [
            mission
            for mission in self.verdict.scorecards
            if mission["health_score"] is not None and (not among or mission["mission_id"] in among)
        ]
        return min(judged, key=lambda mission: (mission["health_score"], mission["mission_id"]), default=None)

    def _weakest_part(self, mission: Row) -> tuple[str, float | None]:
        parts = {
            "the result against its target": mission["outcome_score"],
            "the trend of its results": mission["trajectory_score"],
            "friction": mission["friction_score"],
            "risk": mission["risk_score"],
            "steadiness": mission["stability_score"],
        }
        known = {part: score for part, score in parts.items() if score is not None}
        if not known:
            return "unknown", None
        weakest = min(known, key=lambda part: known[part])
        return weakest, known[weakest]

    def _trend_insight(self) -> dict[str, Any]:
        trends = self.verdict.trends
        counts = {
            "improving": trends.improving,
            "flat": trends.flat,
            "worsening": trends.worsening,
            "insufficient_data": trends.insufficient_data,
        }
        return {"headline": self._trend_headline(counts), **counts}

    def _trend_headline(self, counts: Mapping[str, int]) -> str:
        total = len(self.verdict.scorecards)
        moving = [m for m in self.verdict.scorecards if m["kpi_trend"] in ("improving", "worsening")]
        if counts["insufficient_data"] == total:
            return "Too early for a trend: no mission has two finished runs with its main KPI."
        if counts["improving"] == total:
            opening = (
                "The mission improves on its main KPI"
                if total == 1
                else f"All {total} missions improve on their main KPI"
            )
        else:
            verbs = {
                "improving": ("improves", "improve"),
                "flat": ("shows no clear change", "show no clear change"),
                "worsening": ("worsens", "worsen"),
                "insufficient_data": ("has too few runs to tell", "have too few runs to tell"),
            }
            parts = [
                f"{counts[label]} {one if counts[label] == 1 else many}"
                for label, (one, many) in verbs.items()
                if counts[label]
            ]
            opening = f"Of {say.counted(total, 'mission')}, by their main KPI, {say.listed(parts)}"
        worth = f" ({_worth_of(moving)})" if moving else ""
        falling = [m for m in self.verdict.scorecards if m["autonomy_trend"] == "worsening"]
        if not falling:
            return f"{opening}{worth}."
        which, certainty = f"{len(falling)} missions", "signals, not all proven"
        if len(falling) == 1:
            which = self._name(falling[0])
            certainty = say.evidence_words(falling[0]["autonomy_trend_evidence"], falling[0]["autonomy_trend_runs"])
        elif all(mission["autonomy_trend_evidence"] == "tested" for mission in falling):
            certainty = "tested: unlikely to be chance"
        link = "but" if counts["improving"] else "and"
        return f"{opening}{worth}, {link} autonomy worsens in {which} ({certainty})."

    def _friction_signal(self) -> dict[str, Any]:
        chosen = self.verdict.friction
        task = None if chosen is None else self.tasks.get((chosen.mission_id, chosen.task_id))
        if task is None:
            of_mission = self.driver is not None and self.driver["mission_id"] is not None
            where = f" in {self._mission_name(self.driver['mission_id'])}" if of_mission and self.driver else ""
            return {
                "mission_id": None,
                "task_id": None,
                "task_name": None,
                "driver": None,
                "bottleneck_status": None,
                "headline": f"Unknown: no task{where} has a known duration yet.",
            }
        return {
            "mission_id": task["mission_id"],
            "task_id": task["task_id"],
            "task_name": task["task_name"],
            "driver": task["bottleneck_driver"],
            "bottleneck_status": task["bottleneck_status"],
            "headline": _friction_headline(task),
        }

    def _recommended_action(self) -> dict[str, Any]:
        if self.findings:
            finding, action = self.findings[0], self.verdict.action
            return {"text": finding.action, "owner": action.owner if action is not None else None, "aim": finding.aim}
        if self.verdict.status == "NO_DATA":
            text = "Finish a first run of a mission, or check that its telemetry arrives."
            return {"text": text, "owner": None, "aim": "one finished run of each mission"}
        weak = self._weakest_mission()
        if self.verdict.status == "ON_TRACK" or weak is None:
            if self._is_stale():
                text = "Check why no newer telemetry has arrived; until then take nothing here for the present state."
                return {"text": text, "owner": None, "aim": "a run that ended within the last days"}
            return {"text": "Keep the course; nothing calls for a change.", "owner": None, "aim": None}
        part, _ = self._weakest_part(weak)
        needed = self.policy.for_mission(weak["mission_id"]).health.on_track_from
        return {
            "text": f"Work on {part} in {self._name(weak)}: it is what holds its health down most.",
            "owner": weak["owner"],
            "aim": f"health of {self._name(weak)} at {say.number(needed)} points or more; "
            f"it is {say.points(weak['health_score'])} now.",
        }

    def _interpretation(self) -> str:
        status = self.verdict.status
        if status == "NO_DATA":
            return "Nothing can be judged yet: no mission has finished a run."
        trends = self.verdict.trends
        improving, worsening = trends.improving, trends.worsening
        if status == "ON_TRACK":
            if self._is_stale():
                return (
                    f"The missions were on track when last seen, on {self.facts.run_time['newest_run_date']}; "
                    "nothing newer has arrived, so whether they still are is not known."
                )
            if self.driver is None:
                return "The missions are on track, and nothing calls for action."
            concern = self.findings[0].headline
            return f"The missions are on track; what to keep an eye on: {concern[:1].lower()}{concern[1:]}."
        if improving and not worsening:
            opening = "Progress is real, but not enough for ON_TRACK"
        elif improving:
            opening = "Progress is uneven, and not enough for ON_TRACK"
        elif worsening:
            opening = "Results are slipping, and ON_TRACK is out of reach"
        elif not trends.flat:
            opening = "It is too early to speak of progress, and ON_TRACK is out of reach"
        else:
            opening = "Results stand still, and that is not enough for ON_TRACK"
        sentence = f"{opening} until {self._what_must_improve()}."
        if self._is_stale():
            sentence += (
                f" The newest run is of {self.facts.run_time['newest_run_date']}: the present state is not known."
            )
        return sentence

    def _what_must_improve(self) -> str:
        """What keeps the portfolio from ON_TRACK: the driver's areas where it decides, else the weakest health."""
        blocking = {condition.mission_id for condition in self.verdict.path_to_on_track}
        others = len(blocking - {None})
        if self.driver is not None and (self.driver["mission_id"] in blocking or not blocking):
            said = self._areas_of(self.driver)
            others -= self.driver["mission_id"] is not None and self.driver["mission_id"] in blocking
        else:
            weak = self._weakest_mission(blocking)
            said = "more is known" if weak is None else f"the health of {self._name(weak)} improves"
            others -= weak is not None
        if others > 0 and (self.driver is None or self.driver["mission_id"] is not None):
            # In a large portfolio shares decide: not every mission has to recover.
            is_small = len(self.verdict.scorecards) <= self.policy.status.small_portfolio_missions
            which = say.counted(others, "other mission")
            said += f", and {which if is_small else f'enough of {which}'} recover{'s' if others == 1 else ''}"
        return said

    def _areas_of(self, driver: Row) -> str:
        mission_id = driver["mission_id"]
        holds_up = [
            say.TRIGGER_AREAS[trigger["trigger_name"]]
            for trigger in self.verdict.triggers
            if trigger["mission_id"] == mission_id and trigger["trigger_name"] in _FRICTION_AREAS
        ]
        areas = [*dict.fromkeys([*holds_up, say.TRIGGER_AREAS[driver["trigger_name"]]])]
        is_plural = len(areas) > 1 or areas[0] in _PLURAL_AREAS
        where = f" in {self._mission_name(mission_id)}" if mission_id is not None else ""
        return f"{say.listed(areas)} improve{'' if is_plural else 's'}{where}"

    def _is_stale(self) -> bool:
        newest = self.facts.run_time["newest_run_date"]
        return newest is not None and (self.facts.as_of - newest).days > self.policy.confidence.stale_after_days

    # ------------------------------------------------------------------ what follows

    def _win(self) -> dict[str, Any]:
        win = self.verdict.win
        if win is None:
            return dict.fromkeys(("mission_id", "kpi_name", *WIN_FIGURES))
        return {
            "mission_id": win.mission_id,
            "kpi_name": win.kpi_name,
            "baseline_value": win.baseline_value,
            "first_value": win.first_value,
            "latest_value": win.latest_value,
            "improvement_vs_baseline_pct": win.improvement_vs_baseline_pct,
            "improvement_vs_first_pct": win.improvement_vs_first_pct,
        }

    def _portfolio(self) -> dict[str, Any]:
        time = self.facts.run_time
        return {
            "missions": len(self.verdict.scorecards),
            **{name: self.verdict.snapshot[name] for name in PORTFOLIO_FIGURES},
            "newest_run_date": time["newest_run_date"],
            "run_time": {
                name: time[name]
                for name in ("run_minutes", "known_run_minutes", "unattributed_minutes", "runs_with_known_times")
            },
            "friction": [dict(task) for task in self.facts.friction],
            "risks": {
                "listed_runs": self.policy.friction.recent_runs,
                "counts": dict(self.facts.risk_counts),
                "detected": [dict(signal) for signal in self.facts.risks_detected],
                "reported": [dict(event) for event in self.facts.risks_reported],
            },
        }

    def _mission(self, mission: Row) -> dict[str, Any]:
        return {
            "mission_id": mission["mission_id"],
            "mission_name": mission["mission_name"],
            "owner": mission["owner"],
            "open_runs": self.facts.open_runs.get(mission["mission_id"], 0),
            **{name: mission[name] for name in MISSION_FIGURES},
            "kpis": [
                {name: value for name, value in kpi.items() if name not in ("mission_id", "latest_run_id")}
                for kpi in self.kpis.get(mission["mission_id"], ())
            ],
        }

    def _trigger(self, trigger: Row) -> dict[str, Any]:
        return {
            "trigger": trigger["trigger_name"],
            "mission_id": trigger["mission_id"],
            **{name: trigger[name] for name in TRIGGER_FIGURES},
        }

    def _what_to_fix(self) -> list[dict[str, Any]]:
        """Every finding by rank, then tasks that hold runs up again and again and that no finding names."""
        fixes = [
            {
                "trigger": trigger["trigger_name"],
                "severity": trigger["severity"],
                "mission_id": trigger["mission_id"],
                "task_id": trigger["task_id"],
                "headline": finding.headline,
                "why": finding.why,
                "action": finding.action,
                "aim": finding.aim,
                "owner": self.missions.get(trigger["mission_id"], {}).get("owner"),
            }
            for trigger, finding in zip(self.verdict.triggers, self.findings, strict=True)
        ]
        told = {
            (trigger["mission_id"], trigger["task_id"])
            for trigger in self.verdict.triggers
            if trigger["trigger_name"] == "REPEATED_BOTTLENECK"
        }
        for task in self.facts.friction:
            if (
                task["bottleneck_status"] not in ("recurring", "persistent")
                or (task["mission_id"], task["task_id"]) in told
            ):
                continue
            finding = finding_of_task(task, self._mission_name(task["mission_id"]), self._policy_of(task["mission_id"]))
            fixes.append(
                {
                    "trigger": None,
                    "severity": None,
                    "mission_id": task["mission_id"],
                    "task_id": task["task_id"],
                    "headline": finding.headline,
                    "why": finding.why,
                    "action": finding.action,
                    "aim": finding.aim,
                    "owner": self.missions.get(task["mission_id"], {}).get("owner"),
                }
            )
        return [{"rank": rank, **fix} for rank, fix in enumerate(fixes, start=1)]

    def _condition(self, condition: Condition) -> dict[str, Any]:
        """One thing that stands between the portfolio and ON_TRACK, with its figures and in words."""
        name = say.mission_words(condition.mission_id, condition.mission_name)
        if condition.kind == "health":
            now, needed = say.points(condition.current), say.number(condition.needed)
            text = f"the health of {name} is {now} and has to reach {needed} points."
        elif condition.kind == "unknown_health":
            text = f"the health of {name} has to become known: a figure that it needs was not reported."
        else:
            text = next(
                f"{say.TRIGGER_TITLES[trigger['trigger_name']]} has to clear: {finding.aim}"
                for trigger, finding in zip(self.verdict.triggers, self.findings, strict=True)
                if (trigger["mission_id"], trigger["trigger_name"]) == (condition.mission_id, condition.trigger_name)
            )
        return {
            "mission_id": condition.mission_id,
            "kind": condition.kind,
            "trigger": condition.trigger_name,
            "current": condition.current,
            "needed": condition.needed,
            "text": text,
        }

    def _data_quality(self) -> dict[str, Any]:
        facts = self.facts
        return {
            **facts.row_totals,
            "data_sets": [dict(row) for row in facts.row_counts],
            "rejected": [dict(row) for row in facts.rejects],
            "plan_findings": [dict(row) for row in facts.plan_findings],
            "schema_drift": [dict(row) for row in facts.drift],
            "warnings": [dict(row) for row in facts.warnings],
            "reported_figures": dict(facts.reconciliation_counts),
        }

    # ------------------------------------------------------------------ helpers

    def _finding(self, trigger: Row) -> Finding:
        mission_id = trigger["mission_id"]
        mission = self.missions.get(mission_id)
        task = None
        if mission is not None:
            task_id = trigger["task_id"] or mission["top_bottleneck_task_id"]
            task = self.tasks.get((mission_id, task_id))
        policy = self._policy_of(mission_id)
        is_driver = trigger["trigger_rank"] == 1 and self.verdict.action is not None
        aims = self.verdict.action.aims if self.verdict.action is not None and is_driver else ()
        return finding_of(trigger, mission, task, self.verdict.snapshot, policy, aims, self.at_risk)

    def _names_at_risk(self) -> list[str]:
        at_risk = [mission for mission in self.verdict.scorecards if mission["is_at_risk"]]
        at_risk.sort(key=lambda m: (m["health_score"] is not None, m["health_score"] or 0, m["mission_id"]))
        return [self._name(mission) for mission in at_risk]

    def _policy_of(self, mission_id: str | None) -> Policy:
        return self.policy if mission_id is None else self.policy.for_mission(mission_id)

    def _mission_name(self, mission_id: str | None) -> str | None:
        if mission_id is None:
            return None
        return say.mission_words(mission_id, self.missions.get(mission_id, {}).get("mission_name"))

    def _name(self, mission: Row) -> str:
        return say.mission_words(mission["mission_id"], mission["mission_name"])

    def _claim_all(self, brief: Mapping[str, Any]) -> None:
        """Add the claims of a composed brief: each value as it stands there, with the query that yields it."""
        add = self.claims.add
        add("status", "status", brief["status"], _PORTFOLIO_SQL, column=Column("status"))
        for name in PORTFOLIO_FIGURES:
            value = brief["portfolio"][name]
            add(f"portfolio.{name}", f"portfolio.{name}", value, _PORTFOLIO_SQL, column=Column(name))
        if self.driver is not None:
            for key, column in (("trigger", "trigger_name"), ("mission_id", "mission_id"), ("evidence", "evidence")):
                add(
                    f"driver.{key}", f"primary_driver.{key}", brief["primary_driver"][key], _DRIVER_SQL,
                    column=Column(column),
                )  # fmt: skip
        for label in say.TREND_WORDS:
            add(f"trend.{label}", f"trend_insight.{label}", brief["trend_insight"][label], _TREND_SQL, label=label)
        friction = brief["friction_signal"]
        if friction["task_id"] is not None:
            for key, column in (("driver", "bottleneck_driver"), ("bottleneck_status", "bottleneck_status")):
                add(
                    f"friction.{key}", f"friction_signal.{key}", friction[key], _FRICTION_SQL,
                    column=Column(column), mission_id=friction["mission_id"], task_id=friction["task_id"],
                )  # fmt: skip
        if brief["win"]["mission_id"] is not None:
            for key in WIN_FIGURES:
                add(
                    f"win.{key}", f"win.{key}", brief["win"][key], _SCORECARD_SQL,
                    column=Column(f"kpi_{key}"), mission_id=brief["win"]["mission_id"],
                )  # fmt: skip
        for name, column in (("known_run_minutes", "total_duration_minutes"), ("unattributed_minutes",) * 2):
            add(
                f"run_time.{name}", f"portfolio.run_time.{name}", brief["portfolio"]["run_time"][name], _RUN_TIME_SQL,
                column=Column(column),
            )  # fmt: skip
        for index, task in enumerate(brief["portfolio"]["friction"][:CLAIMED_TASKS]):
            for key in ("friction_minutes", "bottleneck_status"):
                add(
                    f"task.{task['mission_id']}.{task['task_id']}.{key}", f"portfolio.friction[{index}].{key}",
                    task[key], _FRICTION_SQL,
                    column=Column(key), mission_id=task["mission_id"], task_id=task["task_id"],
                )  # fmt: skip
        for index, mission in enumerate(brief["missions"]):
            for name in CLAIMED_MISSION_FIGURES:
                add(
                    f"mission.{mission['mission_id']}.{name}", f"missions[{index}].{name}", mission[name],
                    _SCORECARD_SQL, column=Column(name), mission_id=mission["mission_id"],
                )  # fmt: skip
        for index, trigger in enumerate(brief["triggers"]):
            sql = _TRIGGER_SQL if trigger["mission_id"] is not None else _TRIGGER_SQL.replace("$mission_id", "null")
            add(
                f"trigger.{trigger['mission_id'] or 'portfolio'}.{trigger['trigger']}.observed_value",
                f"triggers[{index}].observed_value", trigger["observed_value"], sql,
                column=Column("observed_value"), trigger_name=trigger["trigger"], mission_id=trigger["mission_id"],
            )  # fmt: skip


_PLURAL_AREAS = ("results", "approval times", "escalations", "risks", "the missions at risk", "open risk events")


def _friction_headline(task: Row) -> str:
    name = say.task_words(task["task_id"], task["task_name"])
    size = f"{say.counted(task['friction_minutes'], 'minute')} per run over plan or waiting for a person"
    status, driver = task["bottleneck_status"], task["bottleneck_driver"]
    if status == "clear":
        return f"{name}: no bottleneck, {size}."
    if driver == "none":
        return f"{name}: {say.BOTTLENECK_WORDS[status]} bottleneck without a single cause, {size}."
    meaning = say.DRIVER_MEANINGS[driver]
    return f"{name}: {say.BOTTLENECK_WORDS[status]} {say.DRIVER_WORDS[driver]} ({meaning}), {size}."


def _worth_of(moving: Sequence[Row]) -> str:
    """How far the trends of several missions can be believed, in words."""
    runs = sorted(mission["kpi_trend_runs"] for mission in moving)
    span = say.counted(runs[0], "run") if runs[0] == runs[-1] else f"{runs[0]} to {say.counted(runs[-1], 'run')}"
    each = " each" if len(moving) > 1 else ""
    tested = _with_evidence(moving, "tested")
    suggestive = _with_evidence(moving, "suggestive")
    if tested == len(moving):
        return f"tested over {span}{each}: unlikely to be chance"
    if tested:
        return f"tested for {tested} of these {len(moving)}, for the others a signal, not proven"
    if suggestive == len(moving):
        return f"a signal from {span}{each}, likely but not proven"
    return f"a signal from {span}{each}, not proven"


def _with_evidence(missions: Iterable[Row], evidence: str) -> int:
    return sum(mission["kpi_trend_evidence"] == evidence for mission in missions)

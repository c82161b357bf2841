"""Composes a brief's JSON, the one source of every format, from the verdict and the facts beside it.

Ranks (which finding first, which win largest) and phrases. Every figure and name is taken as it stands in a table, with
its claim; figures are rounded to four decimals in the JSON, and an unknown one is null. No clock: the same inputs give
the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Any

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.changes import changes_since
from mission_pipeline.brief.claims import bare, marked
from mission_pipeline.brief.facts import LISTED_ROWS, Facts
from mission_pipeline.brief.figures import FIX_FIGURES
from mission_pipeline.brief.findings import Finding, Goal, finding_of, finding_of_task
from mission_pipeline.brief.next_steps import assumptions, levers
from mission_pipeline.brief.sources import LISTED_KPI_FIGURES, LISTED_MISSION_FIGURES, MISSION_FIGURES, Sources
from mission_pipeline.brief.verdict import Condition, Reason, Verdict
from mission_pipeline.policy import Policy

Row = Mapping[str, Any]
_Fixable = tuple[int | None, tuple[str | None, str | None] | None]

TOLD_MISSIONS = 20
"""How many missions a brief tells of in full, those that its document shows; the warehouse holds the rest of all."""

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

_FRICTION_AREAS = ("REPEATED_BOTTLENECK", "APPROVAL_DELAY_PERSISTING")


def compose_brief(verdict: Verdict, facts: Facts, policy: Policy) -> dict[str, Any]:
    """Return the JSON of a brief, with the keys of the contract in their order."""
    return _Composer(verdict, facts, policy).brief()


class _Composer:
    def __init__(self, verdict: Verdict, facts: Facts, policy: Policy) -> None:
        self.verdict, self.facts, self.policy = verdict, facts, policy
        self.sources = Sources(verdict, facts, policy)
        self.missions: Mapping[str | None, Row] = self.sources.missions
        self.scorecards = list(self.sources.missions.values())
        self.directions = {row["mission_id"]: row["kpi_direction"] for row in verdict.scorecards}
        self.tasks = self.sources.tasks
        self.fix_places = {(fix.mission_id, fix.task_id): place for place, fix in enumerate(verdict.fixes, start=1)}
        self.at_risk = self._names_at_risk()
        self.triggers = self.sources.triggers
        self.trigger_places = {
            (trigger["mission_id"], trigger["trigger_name"]): place for place, trigger in enumerate(self.triggers)
        }
        self.driver = self.triggers[0] if verdict.driver is not None else None
        self.told = self._missions_told()
        self._findings: dict[int, Finding] = {}

    def brief(self) -> dict[str, Any]:
        sources = self.sources
        brief: dict[str, Any] = {
            "as_of": sources.as_of,
            "status": sources.status,
            "interpretation": self._interpretation(),
            "primary_driver": self._primary_driver(),
            "trend_insight": self._trend_insight(),
            "friction_signal": self._friction_signal(),
            "recommended_action": self._recommended_action(),
            "confidence": {
                "level": self.verdict.confidence.level,
                "reasons": [
                    self._reason(rank, reason) for rank, reason in enumerate(self.verdict.confidence.reasons, start=1)
                ],
            },
            "win": self._win(),
            "portfolio": self._portfolio(),
            "missions": [self._mission(mission) for mission in self.scorecards],
            "triggers": [self._trigger(trigger) for trigger in self.triggers],
            "reconciliation": sources.reconciliation,
            "data_quality": self._data_quality(),
            "what_to_fix": self._what_to_fix(),
            "path_to_on_track": [
                *(self._condition(condition) for condition in self.verdict.path_to_on_track),
                *levers(self.verdict, sources),
            ],
            "assumptions": assumptions(self.verdict, sources),
            "policy": sources.policy,
            "inputs": [{"file": row["file"], "sha256": row["sha256"], "rows": row["rows"]} for row in sources.inputs],
        }
        brief["changes"] = changes_since(self.facts.last_brief, brief, sources.claims)
        settled, evidence = sources.claims.settled(brief)
        return {**settled, "evidence": evidence}

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
        finding = self._finding_at(0)
        return {
            "trigger": self.driver["trigger_name"],
            "mission_id": self.driver["mission_id"],
            "mission_name": self._known_name(self.driver["mission_id"]),
            "evidence": self.driver["evidence"],
            "headline": finding.headline,
            "why": finding.why,
        }

    def _why_without_driver(self) -> str:
        weak = self._weakest_mission()
        if self.verdict.status in ("ON_TRACK", "NO_DATA"):
            return ""
        if weak is None:
            return " ".join(
                f"The health of {self._name(mission)} is unknown: {self._what_is_unknown(mission)}."
                for mission in self._of_unknown_health()[:1]
            )
        part, score = self._weakest_part(weak)
        return (
            f"The health of {self._name(weak)} is {say.points(weak['health_score'])} of a hundred points, under the "
            f"{say.number(self._on_track_from(weak['mission_id']))} that ON_TRACK needs; "
            f"its weakest part is {part} ({say.points(score)})."
        )

    def _weakest_mission(self, among: Collection[str | None] = ()) -> Row | None:
        """The mission of the least health, of those named where any is, else of those that are not ON_TRACK."""
        judged = [
            mission
            for mission in self.scorecards
            if mission["health_score"] is not None
            and (mission["mission_id"] in among if among else mission["status"] != "ON_TRACK")
        ]
        return min(judged, key=lambda mission: (mission["health_score"], mission["mission_id"]), default=None)

    def _of_unknown_health(self) -> list[Row]:
        return [m for m in self.scorecards if m["health_score"] is None and m["status"] != "NO_DATA"]

    def _what_is_unknown(self, mission: Row) -> str:
        """Why a mission with finished runs has no health score."""
        if mission["outcome_score"] is not None:
            missing = _not_reported(mission)
            if not missing:
                return "a figure that it needs was not reported"
            return f"none of its last runs reports {say.listed(missing)}"
        if mission["kpi_name"] is None:
            return "it has no KPI with both a baseline and a target"
        kpi = say.kpi_words(mission["kpi_name"])
        if self._why_no_trend(mission) == "no_direction":
            return f"baseline and target of its main KPI, {kpi}, do not say which way is better"
        return f"no run has reported its main KPI, {kpi}"

    def _what_makes_known(self, mission: Row) -> str:
        """What has to be mended or reported before a mission with finished runs has a health score."""
        if mission["outcome_score"] is not None:
            missing = _not_reported(mission)
            if not missing:
                return "a figure that it needs has to be reported with every run"
            verb = "has" if missing == ["the wait for approval"] else "have"
            return f"{say.listed(missing)} {verb} to be reported; none of its last runs does so"
        if mission["kpi_name"] is None:
            for found in self.sources.kpis.get(mission["mission_id"], []):
                if found["kpi_kind"] == "target" and found["baseline_value"] is None:
                    [target] = say.kpi_values(found["kpi_name"], found["target_value"])
                    name = say.kpi_words(found["kpi_name"])
                    return f"its KPI {name} needs a baseline beside its target of {target}"
            return "it needs a KPI with both a baseline and a target"
        kpi = f"its main KPI, {say.kpi_words(mission['kpi_name'])},"
        if self._why_no_trend(mission) != "no_direction":
            return f"{kpi} has to be reported; no run has done so yet"
        baseline, target = mission["kpi_baseline_value"], mission["kpi_target_value"]
        if baseline is None or target is None:
            return f"{kpi} needs a {'baseline' if baseline is None else 'target'}; it has none now"
        [both] = say.kpi_values(mission["kpi_name"], target)
        return f"{kpi} needs a baseline and a target that differ; both are {both} now"

    def _how_to_make_known(self, mission: Row) -> str:
        """The same as something to do."""
        name, kpi = self._name(mission), say.kpi_words(mission["kpi_name"])
        if mission["outcome_score"] is None and self._why_no_trend(mission) == "never_reported":
            return f"Have {kpi}, the main KPI of {name}, reported with its runs; until then its health is not known."
        return f"Make the health of {name} known: {self._what_makes_known(mission)}."

    def _why_no_trend(self, mission: Row) -> str:
        return say.why_no_trend(mission, self.directions[mission["mission_id"]])

    def _is_too_early(self) -> bool:
        """Whether more runs are what the trend of any main KPI waits for."""
        return any(self._why_no_trend(mission) == "too_few_runs" for mission in self.scorecards)

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
        trends, sources = self.verdict.trends, self.sources
        counts = {
            label: sources.counted(f"trend.{label}", number, "count(*)", "kpi_trend = $label", label=label)
            for label, number in (
                ("improving", trends.improving),
                ("flat", trends.flat),
                ("worsening", trends.worsening),
                ("insufficient_data", trends.insufficient_data),
            )
        }
        return {"headline": self._trend_headline(counts), **counts}

    def _trend_headline(self, counts: Mapping[str, int]) -> str:
        total = self.sources.counted("trend.missions", len(self.scorecards), "count(*)")
        moving = [m for m in self.scorecards if m["kpi_trend"] in ("improving", "worsening")]
        reasons = self._counts_without_trend()
        if counts["insufficient_data"] == total and len(reasons) <= 1:
            return self._no_trend(next(iter(reasons), "too_few_runs"))
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
                **_WITHOUT_TREND,
            }
            of_each = {**counts, **reasons}
            parts = [
                f"{of_each[label]} {one if of_each[label] == 1 else many}"
                for label, (one, many) in verbs.items()
                if of_each.get(label)
            ]
            opening = f"Of {say.counted(total, 'mission')}, by their main KPI, {say.listed(parts)}"
            if total == 1:
                [label] = [label for label in verbs if of_each.get(label)]
                opening = f"The mission {verbs[label][0]} on its main KPI"
        worth = f" ({self._worth_of(moving)})" if moving else ""
        falling = [m for m in self.scorecards if m["autonomy_trend"] == "worsening"]
        if not falling:
            return f"{opening}{worth}."
        number = self.sources.counted(
            "trend.autonomy_worsening", len(falling), "count(*)", "autonomy_trend = 'worsening'"
        )
        which, certainty = f"{number} missions", "signals, not all proven"
        if len(falling) == 1:
            which = self._name(falling[0])
            certainty = say.evidence_words(falling[0]["autonomy_trend_evidence"], falling[0]["autonomy_trend_runs"])
        elif all(mission["autonomy_trend_evidence"] == "tested" for mission in falling):
            certainty = "tested: unlikely to be chance"
        link = "but" if counts["improving"] else "and"
        return f"{opening}{worth}, {link} autonomy worsens in {which} ({certainty})."

    def _counts_without_trend(self) -> dict[str, int]:
        """How many missions have no trend of their main KPI, by the reason."""
        found = Counter(self._why_no_trend(m) for m in self.scorecards if m["kpi_trend"] == "insufficient_data")
        return {
            reason: self.sources.counted(f"trend.{reason}", found[reason], "count(*)", f"{_NO_TREND} and ({condition})")
            for reason, condition in _WITHOUT_TREND_CONDITIONS.items()
            if found[reason]
        }

    def _no_trend(self, reason: str) -> str:
        """Say why no mission at all has a trend, where the reason is the same for each."""
        if not self.scorecards or reason == "too_few_runs":
            return "Too early for a trend: no mission has two finished runs with its main KPI."
        [mission, *others] = self.scorecards
        if reason == "no_main_kpi":
            if others:
                return "No trend: no mission has a main KPI, which takes both a baseline and a target."
            return f"No trend: {self._name(mission)} has no main KPI, which takes both a baseline and a target."
        if others:
            return {
                "no_direction": "No trend: baseline and target of the main KPIs do not say which way is better.",
                "never_reported": "No trend: no run has reported the main KPI of its mission.",
            }[reason]
        kpi = say.kpi_words(mission["kpi_name"])
        if reason == "never_reported":
            return f"No trend: no run has reported the main KPI, {kpi}."
        both = ""
        if mission["kpi_baseline_value"] is not None and mission["kpi_target_value"] is not None:
            both = f"are both {say.kpi_values(mission['kpi_name'], mission['kpi_target_value'])[0]} and "
        return f"No trend: baseline and target of the main KPI, {kpi}, {both}do not say which way is better."

    def _worth_of(self, moving: Sequence[Row]) -> str:
        """How far the trends of several missions can be believed, in words."""
        counted, condition = self.sources.counted, "kpi_trend in ('improving', 'worsening')"
        runs = [bare(mission["kpi_trend_runs"]) for mission in moving]
        least = counted("trend.least_runs", min(runs), "min(kpi_trend_runs)", condition)
        most = counted("trend.most_runs", max(runs), "max(kpi_trend_runs)", condition)
        span = say.counted(least, "run") if least == most else f"{least} to {say.counted(most, 'run')}"
        each = " each" if len(moving) > 1 else ""
        tested = _with_evidence(moving, "tested")
        if tested == len(moving):
            return f"tested over {span}{each}: unlikely to be chance"
        if tested:
            some = counted("trend.tested", tested, "count(*)", f"{condition} and kpi_trend_evidence = 'tested'")
            all_moving = counted("trend.moving", len(moving), "count(*)", condition)
            return f"tested for {some} of these {all_moving}, for the others a signal, not proven"
        if _with_evidence(moving, "suggestive") == len(moving):
            return f"a signal from {span}{each}, likely but not proven"
        return f"a signal from {span}{each}, not proven"

    def _friction_signal(self) -> dict[str, Any]:
        chosen = self.verdict.friction
        task = None if chosen is None else self.tasks.get((chosen.mission_id, chosen.task_id))
        if task is None:
            of_mission = self.driver is not None and self.driver["mission_id"] is not None
            where = f" in {self._mission_name(self.driver['mission_id'])}" if of_mission and self.driver else ""
            is_known = any(
                task["friction_minutes"] is not None
                for task in self.facts.friction
                if not of_mission or (self.driver and task["mission_id"] == self.driver["mission_id"])
            )
            return {
                "mission_id": None,
                "task_id": None,
                "task_name": None,
                "driver": None,
                "bottleneck_status": None,
                "headline": f"No friction{where}: as far as is known, no task runs over plan or waits for a person."
                if is_known
                else f"Unknown: no task{where} has a known duration yet.",
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
        if self.triggers:
            finding, action = self._finding_at(0), self.verdict.action
            owner = self.missions.get(action.mission_id, {}).get("owner") if action is not None else None
            return {"text": finding.action, "owner": owner, "aim": finding.aim}
        if self.verdict.status == "NO_DATA":
            text = "Finish a first run of a mission, or check that its telemetry arrives."
            return {"text": text, "owner": None, "aim": "one finished run of each mission"}
        weak, unknown = self._weakest_mission(), self._of_unknown_health()
        if self.verdict.status != "ON_TRACK" and weak is None and unknown:
            aim = f"a known health score of {self._name(unknown[0])}"
            return {"text": self._how_to_make_known(unknown[0]), "owner": unknown[0]["owner"], "aim": aim}
        if self.verdict.status == "ON_TRACK" or weak is None:
            if self._is_stale():
                text = "Check why no newer telemetry has arrived; until then take nothing here for the present state."
                days = say.counted(self.sources.limit(None, "confidence.stale_after_days"), "day")
                return {"text": text, "owner": None, "aim": f"a run that ended within the last {days}"}
            return {"text": "Keep the course; nothing calls for a change.", "owner": None, "aim": None}
        part, _ = self._weakest_part(weak)
        needed = self._on_track_from(weak["mission_id"])
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
                    f"The missions were on track when last seen, on {self.sources.run_time['newest_run_date']}; "
                    "nothing newer has arrived, so whether they still are is not known."
                )
            has_unrun = any(mission["status"] == "NO_DATA" for mission in self.scorecards)
            missions = f"The missions{' that have finished a run' if has_unrun else ''} are on track"
            if self.driver is None:
                return f"{missions}, and nothing calls for action."
            concern = self._finding_at(0).headline
            return f"{missions}; what to keep an eye on: {concern[:1].lower()}{concern[1:]}."
        if improving and not worsening:
            opening = "Progress is real, but not enough for ON_TRACK"
        elif improving:
            opening = "Progress is uneven, and not enough for ON_TRACK"
        elif worsening:
            opening = "Results are slipping, and ON_TRACK is out of reach"
        elif not trends.flat:
            opening = "It is too early to speak of progress" if self._is_too_early() else "Progress cannot be told"
            opening += ", and ON_TRACK is out of reach"
        else:
            opening = "Results stand still, and that is not enough for ON_TRACK"
        sentence = f"{opening} until {self._what_must_improve()}."
        if self._is_stale():
            sentence += (
                f" The newest run is of {self.sources.run_time['newest_run_date']}: the present state is not known."
            )
        return sentence

    def _what_must_improve(self) -> str:
        """What keeps the portfolio from ON_TRACK: the driver's areas where it decides, else the weakest health."""
        blocking = {condition.mission_id for condition in self.verdict.path_to_on_track}
        others = held_up = len(blocking - {None})
        if self.driver is not None and (self.driver["mission_id"] in blocking or not blocking):
            said = self._areas_of(self.driver)
            others -= self.driver["mission_id"] is not None and self.driver["mission_id"] in blocking
        else:
            weak = self._weakest_mission(blocking)
            said = "more is known" if weak is None else f"the health of {self._name(weak)} improves"
            others = 0 if weak is None else others - 1  # without one of known health, more must be known of them all
        if others > 0 and (self.driver is None or self.driver["mission_id"] is not None):
            # In a large portfolio shares decide: not every mission has to recover.
            is_small = len(self.scorecards) <= self.policy.status.small_portfolio_missions
            which = say.counted(self._others_held_up(others, held_up), "other mission")
            said += f", and {which if is_small else f'enough of {which}'} recover{'s' if others == 1 else ''}"
        return said

    def _others_held_up(self, others: int, held_up: int) -> Any:
        """Return how many missions besides the one named have to recover, claimed by how many have to in all."""
        name = "missions_held_up" if others == held_up else "other_missions_held_up"
        return self.sources.figure("path", 1, name)

    def _areas_of(self, driver: Row) -> str:
        mission_id = driver["mission_id"]
        holds_up = [
            say.TRIGGER_AREAS[trigger["trigger_name"]]
            for trigger in self.triggers
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

    def _reason(self, rank: int, reason: Reason) -> str:
        """Return why the verdict is less than certain, in words."""

        def fact(name: str) -> Any:
            return self.sources.figure("confidence", rank, name)

        if reason.kind == "few_runs":
            count, others = fact("finished_runs"), fact("other_missions")
            number = f"only {say.counted(count, 'finished run')}" if count else "no finished run"
            sentence = f"{self._name_and_id(reason.facts['mission_id'])} has {number}"
            if others:
                have = "has" if others == 1 else "have"
                sentence += f", and {say.counted(others, 'other deciding mission')} {have} few too"
            return sentence
        if reason.kind == "unknown_health":
            mission_id, others = reason.facts["mission_id"], fact("other_missions")
            why = self._what_is_unknown(self.missions[mission_id])
            sentence = f"the health of {self._name_and_id(mission_id)} is unknown: {why}"
            if others:
                sentence += f"; unknown too is that of {say.counted(others, 'other deciding mission')}"
            return sentence
        if reason.kind == "rejected_records":
            rejected, arrived = fact("rows_rejected"), fact("rows_in")
            share = self.sources.rejected_share(reason.facts["rows_rejected"], reason.facts["rows_in"])
            percent = marked(share, f"{100 * share:.1f} %")
            return f"{say.number(rejected)} of {say.number(arrived)} records ({percent}) were rejected"
        if reason.kind == "stale_data":
            age = say.counted(fact("age_days"), "day")
            return f"the newest run ended on {fact('newest_run_date')}, {age} before the day judged"
        if reason.kind == "single_run":
            return (
                f"the status hinges on single runs: without {fact('run_id')} of "
                f"{self._name_and_id(reason.facts['mission_id'])} it would be {fact('status_without')}"
            )
        assert reason.kind == "cut_off", reason.kind
        shift = fact("shift_share")
        return (
            f"the status is close to a limit: with the cut-off for {fact('cut_off')} "
            f"{marked(shift, f'{100 * abs(shift):g}')} % {'lower' if shift < 0 else 'higher'} it would be "
            f"{fact('status_then')}"
        )

    def _win(self) -> dict[str, Any]:
        win = self.verdict.win
        if win is None:
            return dict.fromkeys(("mission_id", "kpi_name", *WIN_FIGURES))
        mission = self.missions[win.mission_id]
        return {
            "mission_id": mission["mission_id"],
            "kpi_name": mission["kpi_name"],
            **{name: mission[f"kpi_{name}"] for name in WIN_FIGURES},
        }

    def _portfolio(self) -> dict[str, Any]:
        sources = self.sources
        time = sources.run_time
        return {
            "missions": sources.counted("portfolio.missions", len(self.scorecards), "count(*)"),
            **{name: sources.portfolio[name] for name in PORTFOLIO_FIGURES},
            "newest_run_date": time["newest_run_date"],
            "run_time": {
                name: time[name]
                for name in ("run_minutes", "known_run_minutes", "unattributed_minutes", "runs_with_known_times")
            },
            "friction": [self.tasks[ids] for ids in islice(self.tasks, LISTED_ROWS)],
            "risks": {
                "listed_runs": sources.limit(None, "friction.recent_runs"),
                "counts": sources.risk_counts,
                "detected": sources.signals,
                "reported": sources.events,
            },
        }

    def _mission(self, mission: Row) -> dict[str, Any]:
        """A mission with all its figures; of those that are not told of, the few that a list needs."""
        is_told = mission["mission_id"] in self.told
        kpis = self.sources.kpis.get(mission["mission_id"], [])
        return {
            "mission_id": mission["mission_id"],
            "mission_name": mission["mission_name"],
            "owner": mission["owner"],
            "open_runs": mission["open_runs"],
            **{name: mission[name] for name in (MISSION_FIGURES if is_told else LISTED_MISSION_FIGURES)},
            "kpis": kpis if is_told else [{name: kpi[name] for name in LISTED_KPI_FIGURES} for kpi in kpis],
        }

    def _missions_told(self) -> set[str]:
        """The missions that a brief tells of in full: the most urgent, those that it names, and the last driver's."""
        told = {mission["mission_id"] for mission in sorted(self.scorecards, key=say.urgency)[:TOLD_MISSIONS]}
        if self.driver is not None:
            told.add(self.driver["mission_id"])
        if self.verdict.win is not None:
            told.add(self.verdict.win.mission_id)
        if self.facts.last_brief is not None:
            told.add((self.facts.last_brief.brief.get("primary_driver") or {}).get("mission_id"))
        return told

    def _trigger(self, trigger: Row) -> dict[str, Any]:
        return {
            "trigger": trigger["trigger_name"],
            "mission_id": trigger["mission_id"],
            **{name: trigger[name] for name in TRIGGER_FIGURES},
        }

    def _what_to_fix(self) -> list[dict[str, Any]]:
        """Every finding, and every task that holds runs up and that no finding names: what costs most time first.

        A finding costs what its task does, which is its mission's top bottleneck where it names none. The driver is
        never missing: where it rests on no task that costs anything it stands first.
        """
        found: list[_Fixable] = []  # a trigger's place, and the task that it costs
        for place, trigger in enumerate(self.triggers):
            mission = self.missions.get(trigger["mission_id"], {})
            ids = (trigger["mission_id"], trigger["task_id"] or mission.get("top_bottleneck_task_id"))
            found.append((place, ids if ids in self.tasks else None))
        told = {
            (trigger["mission_id"], trigger["task_id"])
            for trigger in self.triggers
            if trigger["trigger_name"] == "REPEATED_BOTTLENECK"
        }
        costs: dict[Any, Any] = {(fix.mission_id, fix.task_id): fix for fix in self.verdict.fixes}
        for task in self.facts.friction:
            ids = (task["mission_id"], task["task_id"])
            is_bottleneck = task["bottleneck_status"] in ("recurring", "persistent")
            if ids not in told and (is_bottleneck or (ids in costs and costs[ids].is_top_of_mission_not_on_track)):
                found.append((None, ids))

        def cost(one: _Fixable) -> tuple[float, int]:
            fix = None if one[1] is None else costs.get(one[1])
            if one[0] == 0 and fix is None:
                return (-inf, 0)
            return (0.0, 0) if fix is None else (-(fix.friction_minutes_per_week or 0.0), -fix.holds_up)

        found.sort(key=cost)  # stable: of equals the driver first
        return [{"rank": rank, **self._fix(*one)} for rank, one in enumerate(found[:LISTED_ROWS], start=1)]

    def _fix(self, trigger_place: int | None, ids: tuple[str | None, str | None] | None) -> dict[str, Any]:
        task = None if ids is None else self.tasks[ids]
        trigger, mission_id = None, None if task is None else task["mission_id"]
        if trigger_place is not None:
            trigger, finding = self.triggers[trigger_place], self._finding_at(trigger_place)
            mission_id = trigger["mission_id"]
        else:
            assert task is not None
            finding = finding_of_task(task, self._mission_name(mission_id), self._limits_of(mission_id))
        place = None if task is None else self.fix_places.get((task["mission_id"], task["task_id"]))
        cost = {name: None if place is None else self.sources.figure("fix", place, name) for name in FIX_FIGURES}
        return {
            "mission_id": mission_id,
            "task_id": None if task is None else task["task_id"],
            "cause": None if task is None else task["bottleneck_driver"],
            **cost,
            "trigger": None if trigger is None else trigger["trigger_name"],
            "severity": None if trigger is None else trigger["severity"],
            "headline": finding.headline,
            "why": finding.why,
            "action": finding.action,
            "aim": finding.aim,
            "owner": self.missions.get(mission_id, {}).get("owner"),
        }

    def _condition(self, condition: Condition) -> dict[str, Any]:
        """One thing that stands between the portfolio and ON_TRACK, with its figures and in words."""
        mission = self.missions.get(condition.mission_id, {})
        name, mission_id = self._mission_name(condition.mission_id), mission.get("mission_id")
        trigger_name, current, needed = None, None, None
        if condition.kind == "health":
            current, needed = mission["health_score"], self._on_track_from(mission_id)
            text = f"the health of {name} is {say.points(current)} and has to reach {say.number(needed)} points."
        elif condition.kind == "unknown_health":
            mission = self.missions[condition.mission_id or ""]
            text = f"the health of {name} has to become known: {self._what_makes_known(mission)}."
            needed = self._on_track_from(mission_id)
        else:
            place = self.trigger_places[condition.mission_id, condition.trigger_name]
            trigger, finding = self.triggers[place], self._finding_at(place)
            trigger_name, current, needed = (trigger[key] for key in ("trigger_name", "observed_value", "threshold"))
            text = f"{say.TRIGGER_TITLES[trigger['trigger_name']]} has to clear: {finding.aim}"
        return {
            "mission_id": mission_id,
            "kind": condition.kind,
            "trigger": trigger_name,
            "lever": None,
            "current": current,
            "needed": needed,
            "unit": "points" if trigger_name is None else None,
            "is_reachable": None,
            "text": text,
        }

    def _data_quality(self) -> dict[str, Any]:
        sources = self.sources
        return {
            "files": sources.files,
            **sources.row_totals,
            "data_sets": sources.row_counts,
            "rejected": sources.rejects,
            "plan_findings": sources.plan_findings,
            "schema_drift": sources.drift,
            "warnings": sources.warnings,
            "reported_figures": sources.reconciliation_counts,
        }

    # ------------------------------------------------------------------ helpers

    def _finding_at(self, place: int) -> Finding:
        """Return the words of a trigger, made when they are first needed: of hundreds a brief tells a few."""
        if place not in self._findings:
            self._findings[place] = self._finding(self.triggers[place])
        return self._findings[place]

    def _finding(self, trigger: Row) -> Finding:
        mission_id = trigger["mission_id"]
        mission = self.missions.get(mission_id)
        task = None
        if mission is not None:
            task_id = trigger["task_id"] or mission["top_bottleneck_task_id"]
            task = self.tasks.get((mission_id, task_id))
        goals: list[Goal] = []
        if trigger["trigger_rank"] == 1 and self.verdict.action is not None:
            goals = [
                Goal(aim.measure, aim.current, self.sources.figure("action", rank, aim.measure or "goal"))
                for rank, aim in enumerate(self.verdict.action.aims, start=1)
            ]
        return finding_of(
            trigger, mission, task, self.sources.portfolio, self._limits_of(mission_id), goals, self.at_risk,
            self._more_at_risk,
        )  # fmt: skip

    def _names_at_risk(self) -> list[str]:
        at_risk = [mission for mission in self.scorecards if mission["is_at_risk"]]
        at_risk.sort(key=say.urgency)
        return [self._name(mission) for mission in at_risk]

    def _more_at_risk(self, named: int) -> Any:
        """Return how many missions are at risk besides those named."""
        expression = f"missions_at_risk - {named}"
        return self.sources.of_portfolio("portfolio.more_missions_at_risk", len(self.at_risk) - named, expression)

    def _limits_of(self, mission_id: str | None) -> Callable[[str], Any]:
        return lambda key: self.sources.limit(mission_id, key)

    def _on_track_from(self, mission_id: str | None) -> Any:
        return self.sources.limit(mission_id, "health.on_track_from")

    def _known_name(self, mission_id: str | None) -> str | None:
        """Return a mission's name, else its id, as a value; None for the portfolio."""
        return self.missions.get(mission_id, {}).get("mission_name") or mission_id

    def _mission_name(self, mission_id: str | None) -> str:
        return say.mission_words(mission_id, self.missions.get(mission_id, {}).get("mission_name"))

    def _name(self, mission: Row) -> str:
        return say.mission_words(mission["mission_id"], mission["mission_name"])

    def _name_and_id(self, mission_id: str) -> str:
        mission = self.missions[mission_id]
        name = mission["mission_name"]
        return f"{name} ({mission['mission_id']})" if name else str(mission["mission_id"])


_WITHOUT_TREND = {
    "too_few_runs": ("has too few runs to tell", "have too few runs to tell"),
    "never_reported": ("has never reported it", "have never reported it"),
    "no_direction": (
        "has a baseline and a target that do not say which way is better",
        "have a baseline and a target that do not say which way is better",
    ),
    "no_main_kpi": (
        "has none, which takes both a baseline and a target",
        "have none, which takes both a baseline and a target",
    ),
}
_NO_TREND = "kpi_trend = 'insufficient_data'"
_WITHOUT_TREND_CONDITIONS = {
    "too_few_runs": "finished_runs = 0 or (kpi_direction <> 'unknown' and kpi_latest_value is not null)",
    "never_reported": "finished_runs > 0 and kpi_direction <> 'unknown' and kpi_latest_value is null",
    "no_direction": "finished_runs > 0 and kpi_direction = 'unknown'",
    "no_main_kpi": "finished_runs > 0 and kpi_name is null",
}
"""The same as ``phrases.why_no_trend``, for the claims; a mission without a main KPI has no direction."""

_PLURAL_AREAS = ("results", "approval times", "escalations", "risks", "the missions at risk")


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


def _not_reported(mission: Row) -> list[str]:
    """What none of the last runs of a mission reports, of all that friction and risk are made of."""
    names = {
        "mean_human_interventions": "human interventions",
        "mean_escalations": "escalations",
        "mean_approval_delay_minutes": "the wait for approval",
        "risk_flagged_share": "risk flags",
    }
    return [words for name, words in names.items() if mission[name] is None]


def _with_evidence(missions: Iterable[Row], evidence: str) -> int:
    return sum(mission["kpi_trend_evidence"] == evidence for mission in missions)

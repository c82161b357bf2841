"""What changed since the last brief, and whether what it recommended was followed by less of the trouble.

Pure functions of two briefs' JSON. The last brief is the newest stored one of an earlier day: what its readers were
told, not what would be said of that day now. So this part alone of a brief depends on which briefs were written before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from mission_pipeline.brief.claims import STORED_DECIMALS, Claims, bare, claim_of

Json = Mapping[str, Any]
_Correction = Callable[[bool], dict[str, Any]]
"""Gives a corrected figure, with the claims of its values if told to: of thousands a reader is shown a few."""

CLAIMED_CHANGES = 15
"""Elements of each list whose figures of the last brief carry their query; a reader is shown no more."""

_EARLIER_SQL = "select {value} from marts.executive_briefs where as_of_date = $previous_as_of"
_EARLIER_TEXT = _EARLIER_SQL.format(value="json_extract_string(brief_json, $path)")
_EARLIER_COUNT = _EARLIER_SQL.format(value="cast(json_extract(brief_json, $path) as bigint)")
_EARLIER_NUMBER = _EARLIER_SQL.format(value="cast(json_extract(brief_json, $path) as double)")
_EARLIER_SHARE = _EARLIER_SQL.format(
    value="cast(json_extract(brief_json, $part) as double) / cast(json_extract(brief_json, $whole) as double)"
)
_LAST_DAY_SQL = "select max(as_of_date) from marts.executive_briefs where as_of_date < $as_of"
_POLICY_SQL = "select policy_version from marts.executive_briefs where as_of_date = $as_of"
_CONFIDENCE_SQL = "select confidence_level from marts.executive_briefs where as_of_date = $as_of"
_FINISHED_THEN_SQL = (
    "select count(*) from marts.mission_run_facts where status in ('completed', 'failed') "
    "and run_date <= $previous_as_of and mission_id = $mission_id"
)
_SCORECARD_SQL = "select {value} from marts.mission_scorecards where as_of_date = $as_of and mission_id = $mission_id"
_PORTFOLIO_SQL = "select {value} from marts.portfolio_snapshots where snapshot_date = $as_of"
_RUNS_SINCE_SQL = (
    "select count(*) from marts.mission_run_facts where status in ('completed', 'failed') "
    "and run_date > $previous_as_of and run_date <= $as_of"
)
_FRICTION_SQL = (
    "select friction_minutes from marts.task_friction where mission_id = $mission_id and task_id = $task_id "
    "and friction_date <= $as_of order by friction_date desc limit 1"
)
_KPI_SQL = (
    "select deltas.kpi_value from marts.run_kpi_deltas as deltas inner join marts.mission_run_facts as runs "
    "using (run_id) where deltas.mission_id = $mission_id and deltas.kpi_name = $kpi_name "
    "and runs.run_date <= $as_of and runs.status in ('completed', 'failed', 'cancelled') "
    "order by deltas.run_seq desc limit 1"
)

_BETTER_SQL = (
    "select 100 * ({less}) / abs(earlier) "  # noqa: S608 - made of the texts above
    f"from (select ({_EARLIER_NUMBER}) as earlier, round(({_KPI_SQL}), {STORED_DECIMALS}) as today)"
)

LOWER, HIGHER = "lower_is_better", "higher_is_better"
_MISSION_MEASURES = {
    "AUTONOMY_REGRESSION": (("autonomy_score", HIGHER), ("mean_escalations", LOWER)),
    "APPROVAL_DELAY_PERSISTING": (("mean_approval_delay_minutes", LOWER),),
    "ESCALATION_BURDEN_RISING": (("mean_escalations", LOWER),),
    "RISK_CLUSTER_FORMING": (("risk_flagged_share", LOWER),),
    "STABILITY_DROPPING": (("stability_score", HIGHER),),
}
"""The figures of a mission's scorecard by which less of a trigger's trouble is seen; the first decides."""
_PORTFOLIO_MEASURES = {
    "PORTFOLIO_MISSIONS_AT_RISK": "missions_at_risk",
    "PORTFOLIO_ESCALATIONS_24H": "escalations_last_24h",
    "PORTFOLIO_OPEN_RISK_EVENTS": "open_risk_events",
}
_FIGURES_OF_FINISHED_RUNS = (
    "autonomy_score", "mean_human_interventions", "mean_escalations", "mean_approval_delay_minutes",
)  # fmt: skip
"""Figures of a mission that stay as they are, by one policy, until another run of it finishes."""
_KPI_TRIGGERS = ("MISSION_TREND_WORSENING", "TARGET_GAP_PERSISTING", "KPI_PLATEAU", "SECONDARY_KPI_MISSED")


@dataclass(frozen=True)
class LastBrief:
    """The newest stored brief of an earlier day.

    ``brief``: its JSON, which may be of an earlier release. ``finished_runs_since``: mission id → runs completed or
    failed after its day, up to the day of the brief that looks back; a mission without one is left out.
    """

    as_of: date
    brief: Json
    finished_runs_since: Mapping[str, int]


def changes_since(last: LastBrief | None, now: Json, claims: Claims) -> dict[str, Any] | None:
    """Return what changed since the last brief, with claimed values; None without one.

    Args:
        last: the last brief.
        now: the brief that is being composed: its other parts, with or without claims.
        claims: takes the claims of the last brief's values.

    Returns:
        ``previous_as_of``; ``status``, ``confidence`` and ``driver`` (``from``, ``to``; a driver is ``trigger,
        mission_id, mission_name``); ``missions`` whose status changed; ``triggers_gained`` and ``triggers_lost``;
        ``kpis`` whose latest value moved, worst first (``from, to, better_by_pct``: positive is better, None where it
        cannot be said); ``corrected``: figures of the last brief that are others by today's records though nothing
        that ended since can have moved them (``figure, from, to``, and ``run_id, task_id, kpi_name, rule`` of what it
        is a figure of); it may miss some, and names none wrongly; ``followed`` (None if the last brief's action had
        nothing to measure); ``policy`` (versions ``from`` and ``to``; None if it is the same).

    """
    if last is None:
        return None
    return _Comparer(last, now, claims).changes()


class _Comparer:
    def __init__(self, last: LastBrief, now: Json, claims: Claims) -> None:
        self.last, self.now, self.claims = last, now, claims
        self.missions = {bare(mission["mission_id"]): mission for mission in now["missions"]}
        self.places = {
            mission["mission_id"]: index for index, mission in enumerate(self._list(self.last.brief, "missions"))
        }
        self.earlier_claims: dict[str, Any] = {}

    def changes(self) -> dict[str, Any]:
        return {
            "previous_as_of": self.claims.figure("last_brief.as_of", self.last.as_of, _LAST_DAY_SQL),
            "status": {"from": self._earlier("status"), "to": self.now["status"]},
            "confidence": self._confidence(),
            "driver": {
                "from": self._driver(self._earlier("primary_driver", is_claimed=False)),
                "to": self._driver(self.now["primary_driver"]),
            },
            "followed": self._followed(),
            "missions": self._mission_statuses(),
            "triggers_gained": self._triggers_gained(),
            "triggers_lost": self._triggers_lost(),
            "kpis": self._kpis(),
            "corrected": self._corrected(),
            "policy": self._policy(),
        }

    # ------------------------------------------------------------------ values of the last brief

    def _earlier(self, *path: str | int, is_claimed: bool = True) -> Any:
        """Return what the last brief says at a path; None where it says nothing, or knows no such key."""
        value: Any = self.last.brief
        for step in path:
            is_there = isinstance(value, list if isinstance(step, int) else Mapping)
            value = (value[step] if isinstance(step, int) else value.get(step)) if is_there else None
        if not is_claimed or value is None or isinstance(value, (Mapping, list)):
            return value
        place = _path(*path)
        if place not in self.earlier_claims:
            sql = _EARLIER_NUMBER if isinstance(value, float) else _EARLIER_TEXT
            sql = _EARLIER_COUNT if isinstance(value, int) else sql
            self.earlier_claims[place] = self.claims.figure(
                f"last_brief{place[1:]}", value, sql, previous_as_of=self.last.as_of, path=place
            )
        return self.earlier_claims[place]

    @staticmethod
    def _list(brief: Json, key: str) -> Sequence[Json]:
        found = brief.get(key)
        return found if isinstance(found, list) else []

    def _name(self, mission_id: str | None) -> Any:
        """The mission's name now; of a mission that is gone the name that it had."""
        if mission_id is None:
            return None
        if mission_id in self.missions:
            return self.missions[mission_id]["mission_name"]
        return self._of_mission(mission_id, "mission_name")

    def _id(self, mission_id: str | None) -> Any:
        if mission_id is None or mission_id not in self.missions:
            return None if mission_id is None else self._of_mission(mission_id, "mission_id") or mission_id
        return self.missions[mission_id]["mission_id"]

    def _of_mission(self, mission_id: str, key: str, *, is_claimed: bool = True) -> Any:
        """Return a figure of a mission in the last brief; None where it did not know the mission."""
        place = self.places.get(mission_id)
        return None if place is None else self._earlier("missions", place, key, is_claimed=is_claimed)

    def _today(self, value: Any, claim: str, sql: str, **parameters: Any) -> Any:
        """Return a value of now with a claim: its own, or one made here."""
        return value if claim_of(value) is not None else self.claims.figure(claim, value, sql, **parameters)

    # ------------------------------------------------------------------ what changed

    def _confidence(self) -> dict[str, Any]:
        level = (self.now.get("confidence") or {}).get("level")
        return {
            "from": self._earlier("confidence", "level"),
            "to": self._today(level, "changes.confidence.to", _CONFIDENCE_SQL),
        }

    def _driver(self, driver: Json | None) -> dict[str, Any] | None:
        if driver is None or driver.get("trigger") is None:
            return None
        mission_id = bare(driver.get("mission_id"))
        return {
            "trigger": bare(driver["trigger"]),
            "mission_id": self._id(mission_id),
            "mission_name": self._name(mission_id),
        }

    def _mission_statuses(self) -> list[dict[str, Any]]:
        before = {mission_id: self._of_mission(mission_id, "status", is_claimed=False) for mission_id in self.places}
        changed = [
            mission_id
            for mission_id in sorted(before.keys() | self.missions.keys())
            if before.get(mission_id) != self.missions.get(mission_id, {}).get("status")
        ]
        return [
            {
                "mission_id": self._id(mission_id),
                "mission_name": self._name(mission_id),
                "from": self._of_mission(mission_id, "status", is_claimed=rank < CLAIMED_CHANGES),
                "to": self.missions.get(mission_id, {}).get("status"),
            }
            for rank, mission_id in enumerate(changed)
        ]

    def _triggers_gained(self) -> list[dict[str, Any]]:
        before = {(each["trigger"], each["mission_id"]) for each in self._list(self.last.brief, "triggers")}
        return [
            self._trigger(each) for each in self.now["triggers"] if (each["trigger"], each["mission_id"]) not in before
        ]

    def _triggers_lost(self) -> list[dict[str, Any]]:
        after = {(each["trigger"], each["mission_id"]) for each in self.now["triggers"]}
        return [
            self._trigger(each)
            for each in self._list(self.last.brief, "triggers")
            if (each["trigger"], each["mission_id"]) not in after
        ]

    def _trigger(self, trigger: Json) -> dict[str, Any]:
        mission_id = bare(trigger["mission_id"])
        return {
            "trigger": bare(trigger["trigger"]),
            "mission_id": self._id(mission_id),
            "mission_name": self._name(mission_id),
            "severity": bare(trigger["severity"]),
        }

    def _kpis(self) -> list[dict[str, Any]]:
        moved = []
        for mission_id, kpi, earlier in self._kpis_of_both():
            before, after = earlier.get("latest_value"), kpi["latest_value"]
            if _rounded(before) != _rounded(after):
                moved.append((mission_id, kpi, earlier, _better_by_pct(before, after, kpi["direction"])))
        moved.sort(key=lambda each: (each[3] is None, each[3] or 0.0, each[0], bare(each[1]["kpi_name"])))
        return [
            self._kpi(mission_id, kpi, better_by, is_claimed=rank < CLAIMED_CHANGES)
            for rank, (mission_id, kpi, _, better_by) in enumerate(moved)
        ]

    def _kpis_of_both(self) -> Iterator[tuple[str, Json, Json]]:
        for mission_id, mission in self.missions.items():
            earlier = self._of_mission(mission_id, "kpis", is_claimed=False) or []
            by_name = {kpi["kpi_name"]: kpi for kpi in earlier}
            for kpi in mission["kpis"]:
                yield mission_id, kpi, by_name.get(bare(kpi["kpi_name"]), {})

    def _kpi(self, mission_id: str, kpi: Json, better_by: float | None, *, is_claimed: bool) -> dict[str, Any]:
        before, path = self._earlier_kpi(mission_id, bare(kpi["kpi_name"]), is_claimed=is_claimed)
        after, ids = kpi["latest_value"], {"mission_id": mission_id, "kpi_name": bare(kpi["kpi_name"])}
        if is_claimed:
            after = self._today(after, f"changes.{mission_id}.{ids['kpi_name']}.to", _KPI_SQL, **ids)
            if better_by is not None:
                better_by = self.claims.figure(
                    f"changes.{mission_id}.{ids['kpi_name']}.better_by_pct",
                    better_by,
                    _BETTER_SQL.format(less="earlier - today" if kpi["direction"] == LOWER else "today - earlier"),
                    previous_as_of=self.last.as_of,
                    path=path,
                    **ids,
                )
        return {
            "mission_id": self._id(mission_id),
            "mission_name": self._name(mission_id),
            "kpi_name": kpi["kpi_name"],
            "direction": kpi["direction"],
            "from": before,
            "to": after,
            "better_by_pct": better_by,
        }

    def _earlier_kpi(self, mission_id: str, kpi_name: str, *, is_claimed: bool = True) -> tuple[Any, str]:
        """Return a KPI's latest value in the last brief and its path there."""
        place = self.places.get(mission_id)
        if place is None:
            return None, ""
        for index, kpi in enumerate(self._of_mission(mission_id, "kpis", is_claimed=False) or []):
            if kpi["kpi_name"] == kpi_name:
                path = ("missions", place, "kpis", index, "latest_value")
                return self._earlier(*path, is_claimed=is_claimed), _path(*path)
        return None, ""

    # ------------------------------------------------------------------ what was corrected since

    def _corrected(self) -> list[dict[str, Any]]:
        """Figures of the last brief that are others now, though no run that ended since can have moved them."""
        policy = self._earlier("policy", "sha256", is_claimed=False)
        is_same_policy = policy is not None and policy == bare(self.now["policy"]["sha256"])
        known = sorted(self.places.keys() & self.missions.keys())
        found = [each for mission_id in known for each in self._corrected_of(mission_id, is_same_policy)]
        if is_same_policy:
            found += self._corrected_risks()
        return [each(rank < CLAIMED_CHANGES) for rank, each in enumerate(found)]

    def _corrected_of(self, mission_id: str, is_same_policy: bool) -> Iterator[_Correction]:
        then, now = self.last.brief["missions"][self.places[mission_id]], self.missions[mission_id]
        since = self.last.finished_runs_since.get(mission_id, 0)
        finished, finished_now = then.get("finished_runs"), bare(now.get("finished_runs"))
        if finished is not None and finished_now is not None and finished != finished_now - since:
            yield self._correction(mission_id, "finished_runs", ("finished_runs",), finished_now - since)
        if not since and is_same_policy:
            for name in _FIGURES_OF_FINISHED_RUNS:
                if name in then and name in now and _rounded(then[name]) != _rounded(now[name]):
                    yield self._correction(mission_id, name, (name,), now[name])
        cancelled = then.get("cancelled_runs")
        has_none_since = not since and cancelled is not None and cancelled == bare(now.get("cancelled_runs"))
        places = {kpi["kpi_name"]: place for place, kpi in enumerate(then.get("kpis") or [])}
        for kpi in now["kpis"]:
            place = places.get(bare(kpi["kpi_name"]))
            before = {} if place is None else then["kpis"][place]
            for name, is_settled in (("latest_value", has_none_since), ("first_value", before.get("first_value"))):
                is_known = is_settled not in (None, False) and name in before and name in kpi
                if is_known and _rounded(before[name]) != _rounded(kpi[name]):
                    path = ("kpis", place, name)
                    yield self._correction(mission_id, name, path, kpi[name], kpi_name=kpi["kpi_name"])

    def _correction(self, mission_id: str, figure: str, path: tuple[Any, ...], to: Any, **of: Any) -> _Correction:
        """Return what makes a correction, with or without the claims of its values."""

        def made(is_claimed: bool) -> dict[str, Any]:
            value = to
            if figure == "finished_runs" and is_claimed:
                value = self.claims.figure(
                    f"changes.{mission_id}.finished_runs.then", to, _FINISHED_THEN_SQL,
                    previous_as_of=self.last.as_of, mission_id=mission_id,
                )  # fmt: skip
            elif figure == "latest_value" and is_claimed:
                ids = {"mission_id": mission_id, "kpi_name": bare(of["kpi_name"])}
                value = self._today(to, f"changes.{mission_id}.{ids['kpi_name']}.corrected", _KPI_SQL, **ids)
            return {
                "mission_id": self._id(mission_id),
                "mission_name": self._name(mission_id),
                "figure": figure,
                **{name: of.get(name) for name in ("run_id", "task_id", "kpi_name", "rule")},
                "from": self._earlier("missions", self.places[mission_id], *path, is_claimed=is_claimed),
                "to": value,
            }

        return made

    def _corrected_risks(self) -> Iterator[_Correction]:
        """Detected risks whose figure is another, in missions that had no run open: runs that had ended by then."""
        risks = self._earlier("portfolio", "risks", "detected", is_claimed=False) or []
        places = {risk["signal_id"]: place for place, risk in enumerate(risks)}
        for risk in (self.now["portfolio"].get("risks") or {}).get("detected") or []:
            place, mission_id = places.get(bare(risk["signal_id"])), bare(risk["mission_id"])
            if place is None or self._of_mission(mission_id, "open_runs", is_claimed=False) != 0:
                continue
            if _rounded(risks[place]["observed_value"]) != _rounded(risk["observed_value"]):
                yield self._corrected_risk(risk, place)

    def _corrected_risk(self, risk: Json, place: int) -> _Correction:
        mission_id = bare(risk["mission_id"])
        path = ("portfolio", "risks", "detected", place, "observed_value")
        return lambda is_claimed: {
            "mission_id": self._id(mission_id),
            "mission_name": self._name(mission_id),
            "figure": "risk",
            **{name: risk[name] for name in ("run_id", "task_id", "kpi_name", "rule")},
            "from": self._earlier(*path, is_claimed=is_claimed),
            "to": risk["observed_value"],
        }

    def _policy(self) -> dict[str, Any] | None:
        before = self._earlier("policy", is_claimed=False) or {}
        after = self.now["policy"]
        if before.get("sha256") in (None, after["sha256"]):
            return None
        return {
            "from": self._earlier("policy", "version"),
            "to": self._today(after["version"], "policy.version", _POLICY_SQL),
        }

    # ------------------------------------------------------------------ what was recommended

    def _followed(self) -> dict[str, Any] | None:
        """The last brief's driver, the runs since, and the figures by which less of it is seen, then and now."""
        driver = self._earlier("primary_driver", is_claimed=False) or {}
        trigger, mission_id = driver.get("trigger"), driver.get("mission_id")
        if trigger is None:
            return None
        task = self._earlier("friction_signal", is_claimed=False) or {}
        task_id = task.get("task_id") if task.get("mission_id") == mission_id else None
        runs = self._runs_since(mission_id)
        measures = list(self._measures(trigger, mission_id, task_id))
        return {
            "trigger": trigger,
            "mission_id": self._id(mission_id),
            "mission_name": self._name(mission_id),
            "task_id": None if task_id is None else self._earlier("friction_signal", "task_id"),
            "task_name": None if task_id is None else self._earlier("friction_signal", "task_name"),
            "runs_since": runs,
            "followed_by": ("no_run_since" if not runs else measures[0]["followed_by"] if measures else "unknown"),
            "measures": measures,
        }

    def _runs_since(self, mission_id: str | None) -> Any:
        since = self.last.finished_runs_since
        if mission_id is None:
            count, sql = sum(since.values()), _RUNS_SINCE_SQL
        else:
            count, sql = since.get(mission_id, 0), f"{_RUNS_SINCE_SQL} and mission_id = $mission_id"
        return self.claims.figure(
            "changes.runs_since", count, sql, previous_as_of=self.last.as_of, mission_id=mission_id or ""
        )

    def _measures(self, trigger: str, mission_id: str | None, task_id: str | None) -> Iterator[dict[str, Any]]:
        if trigger in _PORTFOLIO_MEASURES:
            name = _PORTFOLIO_MEASURES[trigger]
            sql = _PORTFOLIO_SQL.format(value=name)
            after = self._today(self.now["portfolio"][name], f"changes.{name}.to", sql)
            yield _measure(name, self._earlier("portfolio", name), after, LOWER)
        if mission_id is None:
            return
        mission = self.missions.get(mission_id, {})
        if trigger in _KPI_TRIGGERS:
            yield from self._kpi_measure(trigger, mission_id, mission)
        for name, direction in _MISSION_MEASURES.get(trigger, ()):
            sql = _SCORECARD_SQL.format(value=name)
            after = self._today(mission.get(name), f"changes.{mission_id}.{name}.to", sql, mission_id=mission_id)
            yield _measure(name, self._of_mission(mission_id, name), after, direction)
        if trigger == "OUTCOMES_DROPPING":
            yield _measure("completed_share", *self._completed_share(mission_id, mission), HIGHER)
        if task_id is not None:
            yield _measure("friction_minutes", *self._friction(mission_id, task_id), LOWER)

    def _kpi_measure(self, trigger: str, mission_id: str, mission: Json) -> Iterator[dict[str, Any]]:
        fired = [
            each
            for each in self._list(self.last.brief, "triggers")
            if (each["trigger"], each["mission_id"]) == (trigger, mission_id)
        ]
        name = fired[0].get("kpi_name") if fired else None
        name = name or self._of_mission(mission_id, "kpi_name", is_claimed=False)
        kpi = next((each for each in mission.get("kpis", ()) if each["kpi_name"] == name), None)
        if name is not None and kpi is not None:
            ids = {"mission_id": mission_id, "kpi_name": name}
            after = self._today(kpi["latest_value"], f"changes.{mission_id}.{name}.to", _KPI_SQL, **ids)
            before, _ = self._earlier_kpi(mission_id, name)
            yield {**_measure("kpi", before, after, kpi["direction"]), "kpi_name": kpi["kpi_name"]}

    def _completed_share(self, mission_id: str, mission: Json) -> tuple[Any, Any]:
        """The share of a mission's finished runs that completed, in the last brief and now; None where not known."""
        names = ("completed_runs", "finished_runs")
        then = [self._of_mission(mission_id, name, is_claimed=False) for name in names]
        today = [bare(mission.get(name)) for name in names]
        before = after = None
        if then[0] is not None and then[1]:
            part, whole = (_path("missions", self.places[mission_id], name) for name in names)
            before = self.claims.figure(
                "changes.completed_share.from", then[0] / then[1], _EARLIER_SHARE,
                previous_as_of=self.last.as_of, part=part, whole=whole,
            )  # fmt: skip
        if today[0] is not None and today[1]:
            sql = _SCORECARD_SQL.format(value="completed_runs / finished_runs")
            after = self.claims.figure("changes.completed_share.to", today[0] / today[1], sql, mission_id=mission_id)
        return before, after

    def _friction(self, mission_id: str, task_id: str) -> tuple[Any, Any]:
        """A task's friction minutes in the last brief and now; None where not known."""
        before = None
        portfolio = self._earlier("portfolio", is_claimed=False) or {}
        for index, task in enumerate(self._list(portfolio, "friction")):
            if (task["mission_id"], task["task_id"]) == (mission_id, task_id):
                before = self._earlier("portfolio", "friction", index, "friction_minutes")
        after = None
        for task in self.now["portfolio"]["friction"]:
            if (task["mission_id"], task["task_id"]) == (mission_id, task_id):
                ids = {"mission_id": mission_id, "task_id": task_id}
                claim = f"changes.{mission_id}.{task_id}.friction_minutes.to"
                after = self._today(task["friction_minutes"], claim, _FRICTION_SQL, **ids)
        return before, after


def _path(*steps: str | int) -> str:
    """Return a path as SQL's JSON functions read it, such as ``$.missions[0].status``."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _measure(name: str, before: Any, after: Any, direction: str) -> dict[str, Any]:
    """A figure then and now, and whether there is less of the trouble that it stands for."""
    followed_by = "unknown"
    if before is not None and after is not None and direction in (LOWER, HIGHER):
        change = _rounded(after) - _rounded(before)
        worse = change if direction == LOWER else -change
        followed_by = "more" if worse > 0 else "less" if worse < 0 else "unchanged"
    return {"measure": name, "from": before, "to": after, "followed_by": followed_by}


def _rounded(value: Any) -> Any:
    """Return a value as the JSON of a brief holds it, so that one that was rounded then equals itself now."""
    return round(bare(value), STORED_DECIMALS) if isinstance(value, float) else bare(value)


def _better_by_pct(before: float | None, after: float | None, direction: str | None) -> float | None:
    """Return the move in percent of the value before, positive if better; None where it cannot be said."""
    if before is None or after is None or not before or direction not in (LOWER, HIGHER):
        return None
    change = _rounded(after) - _rounded(before)
    return float(100 * (-change if direction == LOWER else change) / abs(before))

"""The report of one run: what happened, what is at risk, what to do next. A JSON first, and a Document made from it.

Chooses and phrases; measures nothing. A risk is what marts.risk_signals says, a target is missed where the marts say
so, and what no log says is called unknown. There is no clock: the same warehouse gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.claims import STORED_DECIMALS, Claims, bare, marked, plain, remarked
from mission_pipeline.brief.document import Document, Entry, Section, Table
from mission_pipeline.brief.run_facts import KEYS, RunFacts, claim_query

Row = Mapping[str, Any]
Action = dict[str, Any]

SHOWN_ACTIONS = 3
"""More than this nobody does after one run."""

OPEN_STATUSES = ("running", "blocked")
LOST_OUTCOMES = ("failed", "timed_out", "escalated", "rejected", "cancelled")
"""How a task's last execution ends when its result is missing."""

_RUN_FIGURES = (
    "start_time", "end_time", "total_duration_minutes", "task_minutes", "approval_delay_minutes", "overrun_minutes",
    "unattributed_minutes", "tasks_executed", "reworked_tasks", "requested_by", "priority",
)  # fmt: skip
_OVERRUN, _WAIT = "task_overrun", "approval_delay"
"""The two rules that concern a task's friction."""
_ALL = ("high", "medium", "low")
_GRAVE = ("high", "medium")
"""Severities; what is low comes after the KPI and the time that nobody can explain."""
_PLAIN_RULES = ("rework", "dependency_failed")
"""Rules without a limit of their own: that it happened is all there is to say."""
_PEOPLE_FIGURES = ("human_interventions", "escalations", "risk_flagged", "is_touchless", "autonomy_score")


def compose_run_report(facts: RunFacts) -> dict[str, Any]:
    """Return the JSON of a run's report: its figures, its sentences, its actions and the query of every claim."""
    return _Composer(facts).report()


class _Composer:
    def __init__(self, facts: RunFacts) -> None:
        self.claims = Claims()
        self.run_id = facts.run_id
        self.run, self.plan = self._one(facts, "run"), self._one(facts, "plan")
        self.earlier, self.totals = self._one(facts, "earlier"), self._one(facts, "totals")
        self.executions, self.tasks = self._many(facts, "executions"), self._many(facts, "tasks")
        self.not_executed, self.kpis = self._many(facts, "not_executed"), self._many(facts, "kpis")
        self.other_kpis, self.signals = self._many(facts, "other_kpis"), self._many(facts, "signals")
        self.events = self._many(facts, "events")
        self.dependents = self._many(facts, "dependents")
        self.best_agents = {row["task_id"]: row for row in self._many(facts, "best_agents")}
        self.main_kpi: Row | None = next((kpi for kpi in self.kpis if kpi["is_primary"]), None)
        self.is_open = self.run["status"] in OPEN_STATUSES

    def _one(self, facts: RunFacts, part: str) -> Row:
        return self.claims.row(part, getattr(facts, part), claim_query(part), run_id=self.run_id)

    def _many(self, facts: RunFacts, part: str) -> list[Row]:
        rows: list[Row] = []
        for row in getattr(facts, part):
            keys = {key: row[key] for key in KEYS[part]}
            prefix = ".".join((part, *map(str, keys.values())))
            rows.append(self.claims.row(prefix, row, claim_query(part), run_id=self.run_id, **keys))
        return rows

    def report(self) -> dict[str, Any]:
        run = self.run
        report = {
            "run_id": run["run_id"],
            "mission_id": run["mission_id"],
            "mission_name": run["mission_name"],
            "owner": run["owner"],
            "status": run["status"],
            "headline": self._headline(),
            "what_happened": {
                **{name: run[name] for name in _RUN_FIGURES},
                **self.plan,
                "time": self._time(),
                "time_split": self._time_split(),
                "executions": self.executions,
                "not_executed": self.not_executed,
                "kpis": self.kpis,
                "kpi_sentences": [*self._kpi_sentences()],
                "other_kpis": self.other_kpis,
                "people": {
                    **{name: run[name] for name in _PEOPLE_FIGURES},
                    **self.earlier,
                    "sentences": [*self._people()],
                },
            },
            "at_risk": {
                **self.totals,
                "headline": self._risk_headline(),
                "signals": self.signals,
                "events": self.events,
                "findings": [*self._findings()],
                "unknown": [*self._unknown()],
            },
            "what_to_do_next": {"actions": self._actions(), "nothing": self._nothing()},
        }
        settled, evidence = self.claims.settled(report)
        return {**settled, "evidence": evidence}

    # ------------------------------------------------------------------ what happened

    def _headline(self) -> str:
        run = self.run
        minutes = None if run["total_duration_minutes"] is None else say.minutes(run["total_duration_minutes"])
        opening = {
            "completed": f"The run completed in {minutes}" if minutes else "The run completed, in a time not reported",
            "failed": f"The run failed after {minutes}" if minutes else "The run failed, after a time not reported",
            "cancelled": f"The run was cancelled after {minutes}" if minutes else "The run was cancelled",
            "running": "The run is still going on, so all of this can change",
            "blocked": "The run is open but stands still, so all of this can change",
        }[run["status"]]
        parts = [opening]
        if self.main_kpi is not None and self.main_kpi["kpi_value"] is not None:
            parts.append(_value_sentence(self.main_kpi))
        elif self.main_kpi is not None and run["status"] == "completed":
            parts.append(f"its main measure, {say.kpi_words(self.main_kpi['kpi_name'])}, was not reported")
        worst = self._friction_task()
        if worst is not None:
            most = "most: " if self._is_costliest(worst) else "by "
            held = worst["friction_minutes"]
            if held is None:
                known = (worst["largest_overrun_minutes"], worst["longest_delay_minutes"])
                most, held = "by at least ", next(minutes for minutes in known if say.is_shown(minutes))
            parts.append(f"{_task(worst)} held it up {most}{say.minutes(held)} over plan or waiting")
        return "; ".join(parts) + "."

    def _time(self) -> str:
        run, plan = self.run, self.plan
        start, end = _moment(run["start_time"]), None if run["end_time"] is None else _moment(run["end_time"])
        if self.is_open:
            sentence = f"Started {start} UTC and not ended yet."
        elif end is None:
            sentence = f"Started {start} UTC; when it ended was not reported."
        else:
            sentence = f"From {start} to {end} UTC."
        total, planned, off = run["total_duration_minutes"], plan["planned_minutes"], plan["minutes_off_plan"]
        if total is not None:
            sentence += f" It took {say.minutes(total)}"
            if off is None:
                sentence += "; how long was planned is not known."
            elif not say.is_shown(off):
                sentence += f", just what the estimates of its {self._planned_tasks()} add up to."
            else:
                more = "more" if total > planned else "less"
                sentence += (
                    f", {say.minutes(off)} {more} than the {say.minutes(planned)} that the estimates of its "
                    f"{self._planned_tasks()} add up to."
                )
        elif not self.is_open:
            sentence += " How long it took was not reported."
        elif planned is not None:
            sentence += f" The estimates of its {self._planned_tasks()} add up to {say.minutes(planned)}."
        return sentence

    def _planned_tasks(self) -> str:
        return say.counted(self.plan["planned_tasks"], "planned task")

    def _time_split(self) -> str:
        run = self.run
        if not self.executions:
            return "No log of this run has arrived: what was done, by whom and how long, is not known."
        work, wait, rest = run["task_minutes"], run["approval_delay_minutes"], run["unattributed_minutes"]
        parts = [
            f"{say.minutes(work)} of work by agents" if work is not None else "an unknown time of work by agents",
            f"{say.minutes(wait)} of waiting for a person's approval"
            if wait is not None
            else "an unknown time of waiting for a person's approval",
        ]
        if say.is_shown(rest) or rest == 0:
            parts.append(f"{say.minutes(rest)} that no log explains")
        return f"{'So far' if self.is_open else 'How it was spent'}: {say.listed(parts)}."

    def _kpi_sentences(self) -> Iterator[str]:
        for kpi in self.kpis:
            if kpi["kpi_value"] is None:
                continue
            previous, first, baseline = say.kpi_values(
                kpi["kpi_name"], kpi["previous_value"], kpi["first_value"], kpi["baseline_value"]
            )
            is_only_one = kpi["earlier_values"] == 1
            parts = [
                _improvement(
                    kpi["improvement_vs_previous_pct"],
                    f"in the only earlier run that reports it ({previous})"
                    if is_only_one
                    else f"in the last earlier run that reports it ({previous})",
                ),
                _improvement(kpi["improvement_vs_first_pct"], f"in the first ({first})")
                if kpi["earlier_values"] > 1
                else "",
                _improvement(kpi["improvement_vs_baseline_pct"], f"before the mission ({baseline})"),
            ]
            compared = say.listed([part for part in parts if part])
            new = "" if kpi["earlier_values"] else " No earlier run of the mission reports it."
            yield f"{say.capitalised(_value_sentence(kpi))}." + (f" That is {compared}." if compared else "") + new

    def _people(self) -> Iterator[str]:
        run, earlier = self.run, self.earlier
        if run["human_interventions"] is None:
            yield "How often people stepped in was not reported."
        elif run["human_interventions"] == 0:
            yield "Nobody had to step in."
        else:
            yield f"People stepped in {_times(run['human_interventions'])}."
        if run["escalations"] is None:
            yield "Whether work was escalated (handed to somebody who decides) was not reported."
        elif run["escalations"] == 0:
            yield "Nothing was escalated (handed to somebody who decides)."
        else:
            yield f"Work was escalated {_times(run['escalations'])} (handed to somebody who decides)."
        score = run["autonomy_score"]
        if score is None:
            yield self._no_score()
            return
        yield f"Autonomy score: {say.points(score)} of a hundred points (a hundred: no person was needed)."
        previous, runs = earlier["previous_autonomy_score"], earlier["earlier_scored_runs"]
        if previous is None:
            yield "No earlier run of the mission has a score to compare it with."
            return
        change = earlier["autonomy_change"]
        more = "more" if score > previous else "fewer"
        compared = (
            f"the same as {earlier['previous_run_id']} before it"
            if not say.is_shown(change)
            else f"{say.points(change)} points {more} than {earlier['previous_run_id']} before it "
            f"({say.points(previous)})"
        )
        mean = (
            f"; the mean of the mission's {say.counted(runs, 'earlier run')} is "
            f"{say.points(earlier['mean_autonomy_score'])}"
            if runs > 1
            else ""
        )
        yield f"That is {compared}{mean}."

    def _no_score(self) -> str:
        if self.is_open:
            return "It has no autonomy score before it ends."
        if self.run["status"] == "cancelled":
            return "A cancelled run has no autonomy score."
        return "Its autonomy score is not known: a figure that it needs was not reported."

    # ------------------------------------------------------------------ what is at risk

    def _risk_headline(self) -> str:
        totals = self.totals
        if not totals["signals"] and not totals["events"]:
            if self.is_open:
                return "So far the rules detect no risk in this run, and nobody reported one; but it has not ended."
            return "The rules detect no risk in this run, and nobody reported one."
        detected = (
            f"The rules detect {say.counted(totals['signals'], 'risk')} in this run"
            if totals["signals"]
            else "The rules detect no risk in this run"
        )
        if not totals["events"]:
            return f"{detected}; nobody reported one."
        if not totals["signals"]:
            return f"{detected}; {_reported(totals['events'])}."
        return (
            f"{detected}; {_reported(totals['events'])}, of which "
            f"{say.number(totals['matched_events'])} {_match(totals['matched_events'])} a detected risk."
        )

    def _findings(self) -> Iterator[dict[str, str]]:
        """Yield what the rules do not name but a reader should know, each as a label and a sentence."""
        if self.is_open:
            yield _finding("Still open", "The run has not ended, so neither its time nor its result is final.")
        seen = {signal["kpi_name"] for signal in self.signals}
        for kpi in self.kpis:
            if kpi["gap_to_target"] and kpi["kpi_name"] not in seen:
                kind = "Target not met" if kpi["kpi_kind"] == "target" else "Limit broken"
                yield _finding(kind, say.capitalised(_value_sentence(kpi)) + ".")
        small = [*self._small_delays()]
        if small:
            yield _finding("Smaller delays, below the limits of the rules", "; ".join(small) + ".")
        rest = self.run["unattributed_minutes"]
        if say.is_shown(rest):
            total = say.minutes(self.run["total_duration_minutes"])
            yield _finding(
                "Unexplained time", f"{say.number(rest)} of {total}: the run waited, and no log says for what."
            )
        if self.executions and self.not_executed and not self.is_open:
            missing = say.listed([_task(task) for task in self.not_executed])
            yield _finding("Not in any log", f"{missing}: planned, but no log of this run names it.")

    def _small_delays(self) -> Iterator[str]:
        for task in self.tasks:
            parts = []
            if say.is_shown(task["overrun_minutes"]) and not self._signal(task, _OVERRUN):
                parts.append(f"took {say.minutes(task['overrun_minutes'])} over plan")
            if say.is_shown(task["delay_minutes"]) and not self._signal(task, _WAIT):
                parts.append(f"waited {say.minutes(task['delay_minutes'])} for a person")
            if parts:
                yield f"{_task(task)} {say.listed(parts)}"

    def _unknown(self) -> Iterator[str]:
        run = self.run
        if not self.executions:
            yield "what was done, by whom and how long: no log has arrived"
        for row in self.executions:
            if row["actual_minutes"] is None:
                yield f"how long {_task(row)} took"
            if row["human_delay_minutes"] is None:
                yield f"how long {_task(row)} waited for a person"
            if row["estimated_minutes"] is None:
                yield f"how long {_task(row)} was planned to take"
        if self.is_open:
            return
        if run["total_duration_minutes"] is None:
            yield "how long the run took"
        for kpi in self.kpis:
            if kpi["kpi_value"] is None:
                yield f"{say.kpi_words(kpi['kpi_name'])} (the run does not report it)"
        if run["human_interventions"] is None:
            yield "how often people stepped in"
        if run["escalations"] is None:
            yield "whether work was escalated"
        if run["risk_flagged"] is None:
            yield "whether the run was flagged as risky"

    # ------------------------------------------------------------------ what to do next

    def _actions(self) -> list[Action]:
        """Return at most three: what stopped the run, its largest friction, its worst risk, its KPI, then others."""
        found: list[Action] = []
        covered: set[tuple[Any, Any, Any]] = set()

        def take(actions: Iterable[Action], most: int | None = None) -> None:
            for action in actions:
                concerns = {(action["task_id"], action["kpi_name"], cause) for cause in action["causes"]}
                if concerns <= covered:
                    continue
                covered.update(concerns)
                found.append({name: value for name, value in action.items() if name != "causes"})
                if most is not None and (most := most - 1) == 0:
                    return

        take(self._on_completion())
        take(self._on_friction())
        take(self._on_signals(_GRAVE), most=1)
        take(self._on_main_kpi())
        take(self._on_unexplained_time())
        take(self._on_signals(_ALL))
        take(self._on_events())
        return found[:SHOWN_ACTIONS]

    def _nothing(self) -> str | None:
        """Say why there is nothing to do; None where there is something."""
        if self._actions():
            return None
        if self.run["status"] == "cancelled":
            return "Nothing follows from this run: it was cancelled, and what is known of it calls for no change."
        if [*self._unknown()]:
            return "Nothing that the data shows; but not everything is known, as said above."
        if self.signals:
            return "Nothing that calls for a change; what the rules saw is said above."
        return "Nothing: no task ran noticeably over its plan, no rule saw a risk, and no target is missed."

    def _on_completion(self) -> Iterator[Action]:
        status = self.run["status"]
        if not self.executions:
            if status in ("completed", "failed"):
                yield self._action(
                    "completion", ("log",),
                    headline="Have the log of this run delivered",
                    why="Without it nobody can tell which task took long, waited or failed.",
                    aim=f"one record in the log for each of the {self._planned_tasks()}",
                )  # fmt: skip
            if not self.is_open:
                return
        if status in ("completed", "cancelled"):
            return
        lost = self._lost_task()
        if lost is not None and status != "running":
            yield self._action(
                "completion", ("lost", "repeated_failures"), lost,
                headline=f"Find out why {_task(lost)} ended as {_outcome(lost['outcome'])} with {_agent(lost)}, "
                + ("and release the run" if self.is_open else "and mend that before the next run"),
                why=self._what_is_missing(lost) + self._better_agent(lost),
                aim=f"{_task(lost)} ends completed or approved at its first attempt",
            )  # fmt: skip
        elif self.not_executed:
            after = self.not_executed[0]
            agent = self.best_agents.get(after["task_id"])
            does = f"; by its record so far {_agent(agent)} does it best" if agent is not None else ""
            planned = after["estimated_minutes"]
            opening = "Go on with" if self.is_open else "Find out why the run ended before"
            yield self._action(
                "completion", ("next",), {**after, "agent_id": None, "agent_name": None, **(agent or {})},
                headline=f"{opening} {_task(after)}{does}",
                why="It is the first planned task that no log names.",
                aim=f"{_task(after)} is done"
                + (f", in its planned {say.minutes(planned)} or less" if planned is not None else ""),
            )  # fmt: skip
        elif self.is_open and self.executions:
            last = self.executions[-1]
            yield self._action(
                "completion", ("end",), last,
                headline="Have the end of the run reported",
                why=f"Every planned task is in the log, the last of them {_task(last)} by {_agent(last)}.",
                aim="an end, a status and the results of the run",
            )  # fmt: skip

    def _lost_task(self) -> Row | None:
        """Return the last execution of the first task without its result on which others depend, else of the first."""
        last = {row["task_id"]: row for row in self.executions}
        lost = [row for row in last.values() if row["outcome"] in LOST_OUTCOMES]
        return next((row for row in lost if self._waiting_for(row)), lost[0] if lost else None)

    def _waiting_for(self, task: Row) -> list[Row]:
        return [row for row in self.dependents if row["task_id"] == task["task_id"]]

    def _what_is_missing(self, lost: Row) -> str:
        waiting = [say.task_words(row["dependent_id"], row["dependent_name"]) for row in self._waiting_for(lost)]
        if not waiting:
            return "Its result is missing."
        verb = "depends" if len(waiting) == 1 else "depend"
        return f"Its result is missing, and {say.listed(waiting)} {verb} on it."

    def _friction_task(self) -> Row | None:
        """Return the task that is known to have cost most, of those far enough over plan or that a rule saw wait.

        What is too little to be shown is no friction, however short the plan was.
        """
        minded = [task for task in self.tasks if _is_far_over_plan(task) or self._long_wait(task) is not None]
        return max(minded, key=_known_cost, default=None)

    def _is_costliest(self, task: Row) -> bool:
        """Whether no other task is known to have cost as much, and none can have: its cost is known."""
        others = [other for other in self.tasks if other is not task]
        return all(other["friction_minutes"] is not None and _known_cost(other) < _known_cost(task) for other in others)

    def _costliest(self, task: Row) -> Row:
        """Return the execution of a task that cost most: its agent is the one to speak of."""
        own = [row for row in self.executions if row["task_id"] == task["task_id"]]
        return max(own, key=lambda row: (row["overrun_minutes"] or 0) + (row["human_delay_minutes"] or 0))

    def _signal(self, task: Row, rule: str) -> Row | None:
        found = (signal for signal in self.signals if (signal["rule"], signal["task_id"]) == (rule, task["task_id"]))
        return next(found, None)

    def _long_wait(self, task: Row) -> Row | None:
        """Return the signal of a task that waited long; None where it did not, or too little for it to be shown."""
        return self._signal(task, _WAIT) if say.is_shown(task["longest_delay_minutes"]) else None

    def _on_friction(self) -> Iterator[Action]:
        task = self._friction_task()
        if task is None:
            return
        wait, overrun, delay = self._long_wait(task), task["largest_overrun_minutes"], task["delay_minutes"]
        costs, aims, causes = [], [], []
        is_over = say.is_shown(overrun)
        if is_over:
            known = task["overrun_minutes"]
            costs.append(
                f"at least {say.minutes(overrun)} over plan" if known is None else f"{say.minutes(known)} over plan"
            )
            aims.append(_plan_aim(task))
            causes.append(_OVERRUN)
        if say.is_shown(delay):
            costs.append(f"{say.minutes(delay)} of waiting for a person")
        elif delay is None and wait is not None:
            costs.append(f"at least {say.minutes(task['longest_delay_minutes'])} of waiting for a person")
        if wait is not None:
            aims.append(_wait_aim(task, wait))
            causes.append(_WAIT)
        did = self._costliest(task)
        most = " more than any other task" if self._is_costliest(task) else ""
        name = f"{_task(task)}, done by {_agent(did)},"
        if is_over and wait is not None:
            headline = f"Bring {name} back within its plan, and shorten its wait for a person"
        elif is_over:
            headline = f"Bring {name} back within its plan"
        else:
            headline = f"Shorten the wait for a person at {_task(task)}, done by {_agent(did)}"
        yield self._action(
            "friction", causes, did,
            headline=headline,
            why=f"It held the run up{most}: {say.listed(costs)}." + self._better_agent(did),
            aim=" and ".join(aims),
        )  # fmt: skip

    def _better_agent(self, task: Row) -> str:
        """Name the first available agent of the routing where it is another than the one that did the task."""
        best = self.best_agents.get(task["task_id"])
        if best is None or best["agent_id"] == task["agent_id"]:
            return ""
        return f" By its record so far, {_agent(best)} suits this task better."

    def _on_unexplained_time(self) -> Iterator[Action]:
        """Ask where the time went, if no log explains most of it: more than half, by the meaning of the word."""
        total, rest = self.run["total_duration_minutes"], self.run["unattributed_minutes"]
        if rest is None or total is None or rest * 2 <= total or not say.is_shown(rest):
            return
        did = next((row for row in self.executions if row["started_at"] is None or row["finished_at"] is None), None)
        if did is None:
            did, start = self.executions[0], ""
            why = "Every task has its start and end in the log: the gaps between them show when."
        else:
            lacking = self.totals["untimed_executions"]
            start = f"; begin by logging start and end of {_task(did)}, done by {_agent(did)}"
            why = (
                f"{say.counted(lacking, 'record')} of {say.number(self.totals['executions'])} in the log "
                f"{'lacks' if lacking == 1 else 'lack'} a start or an end, so nobody can tell when the run waited."
            )
        yield self._action(
            "unexplained", ("unexplained",), did,
            headline=f"Find out what the run waited for in {say.minutes(rest)} of its {say.minutes(total)}{start}",
            why=why,
            aim=f"a start and an end for every task of the next run, and fewer than {say.minutes(rest)} unexplained",
        )  # fmt: skip

    def _on_signals(self, severities: Collection[str]) -> Iterator[Action]:
        """Yield what each signal asks for, worst first; the main KPI's missed target has its own place."""
        for signal in self.signals:
            if signal["severity"] not in severities:
                continue
            rule = signal["rule"]
            task = next((task for task in self.tasks if task["task_id"] == signal["task_id"]), None)
            kpi = next((kpi for kpi in self.kpis if kpi["kpi_name"] == signal["kpi_name"]), None)
            if kpi is not None:
                if not (kpi["is_primary"] and rule == "target_missed"):
                    yield self._kpi_action("risk", kpi, rule)
            elif _is_trifle(signal, task):
                continue  # nobody could see that it became less
            elif task is not None:
                yield self._task_action(signal, task)
            else:
                yield self._run_action(signal)

    def _task_action(self, signal: Row, task: Row) -> Action:
        did = self._costliest(task)
        name, agent = _task(task), _agent(did)
        why = f"The rules saw it: {_rule(signal)}{observed_words(signal)}." + self._better_agent(did)
        headline, aim = {
            "task_overrun": (f"Bring {name}, done by {agent}, back within its plan", _plan_aim(task)),
            "approval_delay": (f"Shorten the wait for a person at {name}, done by {agent}", _wait_aim(task, signal)),
            "rework": (
                f"Get {name}, done by {agent}, right the first time",
                f"{name} is done in one attempt and not rejected",
            ),
            "dependency_failed": (
                f"Hold {name}, done by {agent}, back until what it depends on has succeeded",
                f"{name} never starts after a failed task",
            ),
        }.get(
            signal["rule"],
            (f"Find out what went wrong at {name}, done by {agent}", f"fewer than {_limit(signal)} in the next run"),
        )
        return self._action("risk", (signal["rule"],), did, headline=headline, why=why, aim=aim)

    def _run_action(self, signal: Row) -> Action:
        did = next((row for row in self.executions if row["outcome"] in LOST_OUTCOMES), None)
        if did is None and self.tasks:
            did = self._costliest(self._friction_task() or self.tasks[0])
        start = f"; begin with {_task(did)}, done by {_agent(did)}" if did is not None else ""
        if signal["rule"] == "long_run":
            headline, aim = "Find out why the run took so much longer than usual", say.at_most(_limit(signal))
            if not say.is_shown(signal["threshold"], STORED_DECIMALS):
                aim = f"less than {say.minutes(signal['observed_value'])}"
        else:
            headline, aim = "Find out what went wrong so often in this run", f"fewer than {_limit(signal)}"
        return self._action(
            "risk", (signal["rule"],), did,
            headline=headline + start,
            why=f"The rules saw it: {_rule(signal)}{observed_words(signal)}.",
            aim=f"{aim} in the next run",
        )  # fmt: skip

    def _on_main_kpi(self) -> Iterator[Action]:
        kpi = self.main_kpi
        if kpi is None or self.run["status"] != "completed":
            return
        if kpi["kpi_value"] is None:
            if kpi["target_value"] is not None:
                words, target = say.kpi_words(kpi["kpi_name"]), _target(kpi)
                yield self._action(
                    "kpi", ("kpi",), kpi=kpi,
                    headline=f"Have {words}, the mission's main measure, reported by the next run",
                    why=f"Whether the run met the target of {target} is not known.",
                    aim=f"the next run reports {words}",
                )  # fmt: skip
        elif kpi["gap_to_target"]:
            yield self._kpi_action("kpi", kpi, "target_missed")

    def _kpi_action(self, source: str, kpi: Row, cause: str) -> Action:
        words = say.kpi_words(kpi["kpi_name"])
        worst = self._friction_task()
        task = worst or max(self.tasks, key=lambda task: task["longest_minutes"] or 0, default=None)
        did, start = None, ""
        if task is not None:
            did = self._costliest(task)
            cost = "where this run lost time" if worst is not None else "the longest task of this run"
            start = f"; begin with {_task(did)}, done by {_agent(did)}, {cost}"
        at = "at least" if kpi["direction"] == "higher_is_better" else "at most"
        limit = "target" if kpi["kpi_kind"] == "target" else "limit"
        return self._action(
            source, (cause,), did, kpi=kpi,
            headline=f"Bring {words} to its {limit}{start}",
            why=say.capitalised(_value_sentence(kpi)) + ".",
            aim=f"{words} of {at} {_target(kpi)} in the next run",
        )  # fmt: skip

    def _on_events(self) -> Iterator[Action]:
        of_run = {signal["reported_event_id"] for signal in self.signals if _is_of_run(signal)}
        for event in self.events:
            if event["status"] != "open":
                continue
            did = next((row for row in self.executions if row["task_id"] == event["task_id"]), event)
            agent = f", done by {_agent(did)}" if did.get("agent_id") is not None else ""
            where = ", which concerns the whole run" if event["event_id"] in of_run else f" at {_task(did)}{agent}"
            yield self._action(
                "risk", (event["event_id"],), did,
                headline=f"Settle the reported event {event['event_id']}{where}",
                why=f"{_kind_of(event)}: somebody reported it and it is still open.",
                aim="the event is closed",
            )  # fmt: skip

    def _action(
        self, source: str, causes: Iterable[str], task: Row | None = None, *,
        headline: str, why: str, aim: str, kpi: Row | None = None,
    ) -> Action:  # fmt: skip
        task = task or {}
        return {
            "source": source,
            "causes": tuple(causes),
            "task_id": task.get("task_id"),
            "task_name": task.get("task_name"),
            "agent_id": task.get("agent_id"),
            "agent_name": task.get("agent_name"),
            "kpi_name": None if kpi is None else kpi["kpi_name"],
            "headline": headline,
            "why": why.strip(),
            "aim": aim,
            "owner": self.run["owner"],
        }


# ---------------------------------------------------------------------- words


def _is_trifle(signal: Row, task: Row | None) -> bool:
    """Whether what a rule saw is less than a reader is shown, as of a run of a moment."""
    minutes = {_OVERRUN: "largest_overrun_minutes", _WAIT: "longest_delay_minutes"}.get(signal["rule"])
    cost = signal["observed_value"] if task is None or minutes is None else task[minutes]
    return bool(cost) and not say.is_shown(cost)


def _is_far_over_plan(task: Row) -> bool:
    return task["is_over_plan"] and say.is_shown(task["largest_overrun_minutes"])


def _known_cost(task: Row) -> float:
    return float((task["overrun_minutes"] or 0) + (task["delay_minutes"] or 0))


def _times(count: int) -> str:
    return marked(count, {1: "once", 2: "twice"}.get(count, f"{bare(count)} times"))


def _task(row: Row) -> str:
    return f"{say.task_words(row['task_id'], row['task_name'])}"


def _agent(row: Row) -> str:
    return f"agent {row['agent_id']} ({row['agent_name']})" if row["agent_name"] else f"agent {row['agent_id']}"


def _moment(value: str) -> str:
    """Return a time to the minute; its seconds only where there are some."""
    text = bare(value)
    return marked(value, text[:16] if text.endswith(":00") else text)


def _outcome(value: str) -> str:
    return marked(value, say.OUTCOME_WORDS[value])


def _target(kpi: Row) -> str:
    _, target = say.kpi_values(kpi["kpi_name"], kpi["kpi_value"], kpi["target_value"])
    return target


def _beyond(kpi: Row) -> str:
    return "below" if kpi["direction"] == "higher_is_better" else "above"


def _value_sentence(kpi: Row) -> str:
    """Say a KPI's value and how it stands to its target, without a full stop."""
    words = say.kpi_words(kpi["kpi_name"])
    value, target, gap = say.kpi_values(kpi["kpi_name"], kpi["kpi_value"], kpi["target_value"], kpi["gap_to_target"])
    if kpi["gap_to_target"] and say.kpi_unit(kpi["kpi_name"]) == "%":
        gap = say.percentage_points(kpi["gap_to_target"], gap)
    limit = {"floor": "limit of at least", "ceiling": "limit of at most"}.get(kpi["kpi_kind"], "target of")
    sentence = f"{words} came to {value}"
    if kpi["gap_to_target"] is None:
        return sentence
    if kpi["gap_to_target"]:
        is_shown = say.is_shown(kpi["gap_to_target"], STORED_DECIMALS)
        return f"{sentence}, {gap if is_shown else 'just'} {_beyond(kpi)} the {limit} {target}"
    return f"{sentence}, which {'meets' if kpi['kpi_kind'] == 'target' else 'keeps'} the {limit} {target}"


def _improvement(value: float | None, than: str) -> str:
    if value is None:
        return ""
    if not say.is_shown(value):
        return f"{'the same' if value == 0 else 'about the same'} as {than}"
    return f"{marked(value, say.percent(abs(value)))} {'better' if value > 0 else 'worse'} than {than}"


def _plan_aim(task: Row) -> str:
    planned, longest = task["estimated_minutes"], task["longest_minutes"]
    if planned is not None and not say.is_shown(planned, STORED_DECIMALS):  # a plan without any time for it
        return f"less than {say.minutes(longest)} of work"
    return f"{say.at_most(say.minutes(planned))} of work (now {say.number(longest)})"


def _wait_aim(task: Row, signal: Row) -> str:
    limit, longest = signal["threshold"], task["longest_delay_minutes"]
    if not say.is_shown(limit):
        return f"a wait for a person under {say.minutes(longest)}"
    return f"a wait for a person under {say.minutes(limit)} (now {say.number(longest)})"


def observed_words(signal: Row) -> str:
    """Return what a rule saw, with its unit and the limit that it passed, after a comma; "" for a rule without one."""
    if signal["rule"] in _PLAIN_RULES:
        return ""
    unit = say.RULE_UNITS[signal["rule"]]
    if unit is None:
        observed, limit = say.kpi_values(signal["kpi_name"], signal["observed_value"], signal["threshold"])
        return f", {observed} (limit: {limit})"
    return f", {say.counted(signal['observed_value'], *unit)} (limit: {_limit(signal)})"


def _limit(signal: Row) -> str:
    unit = say.RULE_UNITS[signal["rule"]]
    assert unit is not None, signal["rule"]
    return say.counted(signal["threshold"], *unit)


def _kind_of(event: Row) -> str:
    kind = event["risk_type"]
    return "Risk of unknown kind" if kind is None else say.capitalised(marked(kind, bare(kind).replace("_", " ")))


def _reported(events: int) -> str:
    """Say how many events were reported, by people or by the rules of the runner."""
    return f"{say.counted(events, 'event')} {'was' if events == 1 else 'were'} reported"


def _match(count: int) -> str:
    return "matches" if count == 1 else "match"


def _finding(label: str, text: str) -> dict[str, str]:
    return {"label": label, "text": text}


# ---------------------------------------------------------------------- the document


def run_document_of(report: Mapping[str, Any]) -> Document:
    """Return a run's report as a document: a first screen, then what happened, what is at risk, what to do next."""
    shown = remarked(report)
    title = f"Run {shown['run_id']}"
    if shown["mission_name"] is not None:
        title += f": {shown['mission_name']}"
    return Document(
        title=title,
        status=report["status"],
        screen=_screen(shown),
        sections=(_happened(shown), _results(shown), _with_people(shown), _at_risk(shown), _next(shown)),
        footer=(
            "Made from the published warehouse. The JSON of this report holds, for each figure, the query that yields "
            "it there.",
        ),
    )


def _screen(report: Mapping[str, Any]) -> tuple[Entry, ...]:
    happened, risk, todo = report["what_happened"], report["at_risk"], report["what_to_do_next"]
    mission = f"{say.mission_words(report['mission_id'], report['mission_name'])}"
    if report["mission_name"] is not None:
        mission += f" ({report['mission_id']})"
    owner = f"Owner: {report['owner']}" if report["owner"] else "Owner: nobody is named"
    actions = todo["actions"]
    worst = risk["signals"][0] if risk["signals"] else None
    status = report["status"]
    return (
        Entry("Status", f"{status} – {say.RUN_STATUS_WORDS[status]}"),
        Entry("In one sentence", report["headline"]),
        Entry("Mission", mission, (owner, *_asked(happened))),
        Entry("Time", happened["time"], (happened["time_split"],)),
        Entry("People", " ".join(happened["people"]["sentences"][:3])),  # what they are compared with stands below
        Entry("At risk", risk["headline"], (f"Worst: {_signal_sentence(worst, risk['events'])}",) if worst else ()),
        Entry("Next", actions[0]["headline"] + ".", (f"Aim: {actions[0]['aim']}",))
        if actions
        else Entry("Next", todo["nothing"]),
    )


def _asked(happened: Mapping[str, Any]) -> Iterator[str]:
    if happened["requested_by"] is not None:
        yield f"Asked for by {happened['requested_by']}"
    if happened["priority"] is not None:
        yield f"Priority: {happened['priority']}"


def _happened(report: Mapping[str, Any]) -> Section:
    happened = report["what_happened"]
    title = "What happened, task by task"
    left = happened["not_executed"]
    missing = (f"Planned, but not in the log: {say.listed([_task(task) for task in left])}.",) if left else ()
    if not happened["executions"]:
        return Section(title, (happened["time_split"], *missing))
    rows = tuple(
        (
            _task(row),
            f"{row['agent_id']} {row['agent_name']}" if row["agent_name"] else f"{row['agent_id']}",
            say.number(row["attempt"]),
            say.number(row["estimated_minutes"]),
            say.number(row["actual_minutes"]),
            say.number(row["overrun_minutes"]),
            say.number(row["human_delay_minutes"]),
            _outcome(row["outcome"]),
        )
        for row in happened["executions"]
    )
    columns = ("Task", "Agent", "Attempt", "Planned", "Took", "Over", "Waited", "Outcome")
    return Section(
        title,
        missing,
        table=Table(columns, frozenset({"Attempt", "Planned", "Took", "Over", "Waited"}), rows),
        notes=(
            "Times are in minutes. Planned: the estimate of the plan. Over: minutes beyond it. Waited: for a person. "
            "Attempt: above the first, the task was done again.",
        ),
    )


def _results(report: Mapping[str, Any]) -> Section:
    happened = report["what_happened"]
    title = "What it achieved"
    if not happened["kpis"]:
        return Section(title, ("No baseline, target or limit is set for this mission.",))
    rows = []
    for kpi in happened["kpis"]:
        baseline, target, first, previous, value = say.kpi_values(
            kpi["kpi_name"], kpi["baseline_value"], kpi["target_value"], kpi["first_value"], kpi["previous_value"],
            kpi["kpi_value"],
        )  # fmt: skip
        bound = {"floor": "at least ", "ceiling": "at most "}.get(kpi["kpi_kind"], "")
        rows.append(
            (
                say.kpi_words(kpi["kpi_name"]) + (" (main)" if kpi["is_primary"] else ""),
                "–" if kpi["baseline_value"] is None else baseline,
                "–" if kpi["first_value"] is None else first,
                "–" if kpi["previous_value"] is None else previous,
                "–" if kpi["kpi_value"] is None else value,
                "–" if kpi["target_value"] is None else bound + target,
                _target_status(kpi),
            )
        )
    columns = ("Measure (KPI)", "Baseline", "First", "Before", "This run", "Target", "Target is")
    others = tuple(
        f"Also reported, but no target is set for it: {say.kpi_words(kpi['kpi_name'])}, "
        f"{say.kpi_values(kpi['kpi_name'], kpi['kpi_value'])[0]}."
        for kpi in happened["other_kpis"]
    )
    return Section(
        title,
        (*happened["kpi_sentences"], *others),
        table=Table(columns, frozenset(columns[1:6]), tuple(rows)),
        notes=(
            "Baseline: the value before the mission. First and Before: the first and the last run before this one that "
            "report it. Not observed: this run does not report it, which is not the same as met.",
        ),
    )


def _target_status(kpi: Row) -> str:
    status = kpi["target_status"]
    words = say.TARGET_WORDS[status]
    if kpi["kpi_kind"] != "target" and status in ("near", "off"):
        words = "broken"  # a limit is kept or not; a near miss is a miss
    return words if status is None else marked(status, words)


def _with_people(report: Mapping[str, Any]) -> Section:
    people = report["what_happened"]["people"]
    flagged = {True: "It was flagged as risky.", False: "It was not flagged as risky.", None: ""}[
        people["risk_flagged"]
    ]
    return Section("How far it ran without people", (" ".join(people["sentences"]), *([flagged] if flagged else [])))


def _is_of_run(signal: Row) -> bool:
    """Whether a signal concerns the run as a whole: neither a task of it nor a KPI."""
    return signal["task_id"] is None and signal["kpi_name"] is None


def _signal_sentence(signal: Row, events: Iterable[Row]) -> str:
    where = "the whole run"
    if signal["task_id"] is not None:
        where = _task(signal)
    elif signal["kpi_name"] is not None:
        where = say.kpi_words(signal["kpi_name"])
    event = next((event for event in events if event["event_id"] == signal["reported_event_id"]), None)
    reported = "nobody reported it" if event is None else f"reported as {event['event_id']}{_standing(event)}"
    return f"{where}: {_rule(signal)}{observed_words(signal)}; {reported}."


def _rule(signal: Row) -> str:
    return say.RULE_WORDS[signal["rule"]]


def _standing(event: Row) -> str:
    severity = event["severity"]
    return f" ({'severity unknown' if severity is None else f'severity {severity}'}, {event['status']})"


def _at_risk(report: Mapping[str, Any]) -> Section:
    risk = report["at_risk"]
    items = [
        Entry(say.capitalised(f"{plain(signal['severity'])} risk"), _signal_sentence(signal, risk["events"]))
        for signal in risk["signals"]
    ]
    items += [
        Entry(
            f"Reported only: {event['event_id']}",
            f"{_kind_of(event)} at {_task(event)}{_standing(event)}; no rule detects it."
            + (f" As reported: {event['description']}" if event["description"] else ""),
        )
        for event in risk["events"]
        if event["matching_rule"] is None
    ]
    items += [Entry(finding["label"], finding["text"]) for finding in risk["findings"]]
    if risk["unknown"]:
        items.append(Entry("Not known", f"{'; '.join(risk['unknown'])}."))
    return Section("What is at risk", (risk["headline"],), items=tuple(items))


def _next(report: Mapping[str, Any]) -> Section:
    todo = report["what_to_do_next"]
    if not todo["actions"]:
        return Section("What to do next", (todo["nothing"],))
    return Section(
        "What to do next",
        items=tuple(
            Entry(
                action["headline"] + ".",
                action["why"],
                (f"Aim: {action['aim']}.", *((f"Owner: {action['owner']}.",) if action["owner"] else ())),
            )
            for action in todo["actions"]
        ),
        is_ranked=True,
    )

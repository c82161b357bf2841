"""The open store of the missions: what workers, approvers and commands may ask of it. Each call is one transaction.

What a change does is in ``transitions.py``; what can be read is in ``read_model.py``.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

import sqlalchemy as sa
from sqlalchemy import exc

from mission_pipeline.errors import (
    AlreadyDecided,
    DecisionRefused,
    PlanFault,
    ResultChanged,
    RunHasEnded,
    UnknownApproval,
    UnknownKpi,
    UnknownRun,
)
from mission_pipeline.policy import Policy
from mission_pipeline.runner import read_model, telemetry
from mission_pipeline.runner.canonical import iso, sha256_of
from mission_pipeline.runner.database import Database
from mission_pipeline.runner.model import (
    LARGEST_KPI,
    AgentFault,
    Answer,
    Choice,
    Claim,
    Decision,
    MissionPlan,
    TelemetryRow,
    Verdict,
)
from mission_pipeline.runner.new_run import insert_run, rank_of
from mission_pipeline.runner.risk import has_grown
from mission_pipeline.runner.tables import approval, mission_run, mission_task, risk_event, task_attempt
from mission_pipeline.runner.telemetry import counted_kpis
from mission_pipeline.runner.transitions import RunChange, renew, waits_for_an_agent
from mission_pipeline.runner.typed import checked_name, checked_reason
from mission_pipeline.runner.waiting_gates import GateNews, due_at_gate

_CANDIDATES = 8
"""Tasks looked at for one claim: where several workers ask at once, the first may be gone."""


class Clock(Protocol):
    """What time it is: UTC, without a zone."""

    def __call__(self) -> datetime:
        """Return the time now."""


def open_store(url: str, *, clock: Clock, policy: Policy) -> Missions:
    """Open the store at a database's address, make it if it is new, and bring it up to this release.

    Args:
        url: ``sqlite:///<file>`` or another address that SQLAlchemy knows.
        clock: asked whenever something happens.
        policy: limits, with those of single missions.

    Raises:
        StoreFault: the database cannot be opened, or a newer release made it.
    """
    return Missions(url, clock=clock, policy=policy)


class Missions:
    """The missions that run. Safe to use from several threads and processes.

    Any call raises ``StoreFault`` when the database cannot be used; nothing of that call is kept then.
    """

    def __init__(self, url: str, *, clock: Clock, policy: Policy) -> None:
        self._clock = clock
        self._policy = policy
        self._database = Database(url, wait_seconds=policy.runner.store_wait_seconds, opened_at=clock())
        runners = [policy.runner, *(policy.for_mission(mission_id).runner for mission_id in policy.missions)]
        longest = max(max(runner.lease_seconds, runner.max_backoff_seconds) for runner in runners)
        self._farthest = timedelta(seconds=2 * longest)

    @property
    def store_id(self) -> str:
        """Eight hexadecimal digits, given once: they tell this store's telemetry from another's."""
        return self._database.store_id

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- runs

    def create_run(
        self,
        plan: MissionPlan,
        *,
        mission_input: Mapping[str, Any],
        requested_by: str | None = None,
        priority: str | None = None,
        usual_minutes: float | None = None,
        previous_kpis: Mapping[str, float] | None = None,
    ) -> str:
        """Write a run with a copy of its plan and return its name. Nothing is started yet.

        Args:
            plan: without a fault; the registry sees to that.
            mission_input: what the agents work on; JSON values.
            requested_by: a person or a system.
            priority: in the caller's words; the policy says which words go first, and which last.
            usual_minutes: how long the mission's runs take; None where too few say.
            previous_kpis: the newest values of the mission's KPIs where this store may not know them.

        Raises:
            PlanFault: the plan has no tasks.
            ValueError: the input is not JSON.
        """
        if not plan.tasks:
            raise PlanFault(f"Mission {plan.mission_id} has no tasks. Give its plan one.")
        while True:
            now = self._clock()
            run_id = f"RUN_{now:%Y_%m_%d}_{secrets.token_hex(3)}"
            try:
                with self._database.write() as connection:
                    insert_run(
                        connection,
                        run_id,
                        plan,
                        now=now,
                        mission_input=mission_input,
                        requested_by=requested_by,
                        priority=priority,
                        rank=rank_of(priority, self._policy.runner),
                        usual_minutes=usual_minutes,
                        previous_kpis=previous_kpis or {},
                    )
            except exc.IntegrityError:
                with self._database.read() as connection:
                    is_taken = read_model.has_run(connection, run_id)
                if not is_taken:
                    raise
            else:
                return run_id

    def cancel(self, run_id: str, *, by: str, reason: str | None = None) -> None:
        """End a run now. What its agents still answer is refused; its gates close.

        Raises:
            UnknownRun: no run has this name.
            RunHasEnded: it is over.
            DecisionRefused: nobody is named, or what was typed cannot be kept.
        """
        by, reason = checked_name(by, "cancels"), checked_reason(reason)
        with self._database.write() as connection:
            change = self._locked(connection, run_id)
            if change.has_ended:
                ended = read_model.ended_words(change.run)
                raise RunHasEnded(f"Run {run_id} {ended}. There is nothing to cancel.")
            change.cancel(by=by, reason=reason)
            change.settle()

    def observe_kpi(self, run_id: str, kpi_name: str, value: float) -> None:
        """Write a KPI's value, also after the run's end: then its record is corrected.

        Raises:
            UnknownRun: no run has this name.
            UnknownKpi: its mission has no such KPI, the runner counts it itself, or the value cannot be kept.
        """
        if not math.isfinite(value) or abs(value) > LARGEST_KPI:
            raise UnknownKpi(
                f"The KPI {kpi_name} cannot be {value:g}. Give a finite number of at most {LARGEST_KPI:g} in size."
            )
        with self._database.write() as connection:
            change = self._locked(connection, run_id)
            targets = change.kpi_targets()
            counted = counted_kpis(targets)
            known = [target.kpi_name for target in targets if target.kpi_name not in counted]
            if kpi_name in counted:
                raise UnknownKpi(f"The {kpi_name} of run {run_id} are counted, not reported. Leave them out.")
            if kpi_name not in known:
                names = f"one of {', '.join(known)}" if known else "none: it has no KPIs"
                raise UnknownKpi(f"Mission {change.run.mission_id} has no KPI {kpi_name!r}. Name {names}.")
            change.observe_kpi(kpi_name, float(value))
            change.settle()

    # ---------------------------------------------------------------- workers

    def claim(self, worker_id: str, run_id: str | None = None) -> Claim | None:
        """Give the worker a task that can run now, or one whose worker has not been heard of; None without any.

        Args:
            worker_id: for people who look; the claim's fence is what counts.
            run_id: only of this run.
        """
        now = self._clock()
        with self._database.read() as connection:
            if not self._due(connection, now, run_id):
                return None  # whoever only looks takes no writer's lock
        with self._database.write() as connection:
            for is_patient in (False, True):
                for task in self._due(connection, now, run_id):
                    change = RunChange.lock(connection, task.run_id, now, self._policy, is_patient=is_patient)
                    claim = None if change is None else change.take(task, worker_id)
                    if change is not None and claim is not None:
                        change.settle()
                        return claim
        return None

    def renew(self, claim: Claim) -> Claim | None:
        """Hold a task for another lease. None: the fence is lost, and whatever the agent answers will be refused."""
        with self._database.write() as connection:
            return renew(connection, claim, self._clock(), self._policy)

    def choose(self, claim: Claim, choice: Choice) -> bool:
        """Write the agent of the attempt, before it is called. False: the fence is lost, so do not call it.

        Raises:
            ValueError: the attempt was given to another agent before, who may have begun.
        """
        with self._database.write() as connection:
            return self._locked(connection, claim.run_id).choose(claim, choice)

    def complete(self, claim: Claim, answer: Answer, work_seconds: float) -> bool:
        """Keep an answer: the task is completed, or its gate opens. False: it came too late, and is refused.

        Args:
            claim: the newest for its task.
            answer: with a result that is JSON.
            work_seconds: the agent's time only.

        Raises:
            ValueError: the answer cannot be kept as JSON, or no agent was chosen.
            TypeError: likewise.
        """
        return self._kept(claim, lambda change: change.complete(claim, answer, work_seconds))

    def fail(self, claim: Claim, fault: AgentFault, work_seconds: float | None) -> bool:
        """Keep a fault: the next attempt waits, or the task fails. False: it came too late, and is refused.

        ``work_seconds``: the agent's time; None where it is not known, as of an agent whose worker was lost.
        """
        return self._kept(claim, lambda change: change.fail(claim, fault, work_seconds))

    def why_too_late(self, claim: Claim) -> str:
        """Return why what a claim brings is refused, to follow `too late: `."""
        with self._database.read() as connection:
            return read_model.why_too_late(connection, claim.run_id)

    def put_back(self, claim: Claim, reason: str) -> bool:
        """Let a task wait until an agent can be asked; no attempt is spent. False: it came too late, and is refused.

        Args:
            claim: of an attempt that was given to nobody.
            reason: who is missing, as the state tells it.
        """
        return self._kept(claim, lambda change: change.put_back(claim, reason))

    def look_for_agents(self, run_id: str | None = None) -> None:
        """Let the tasks that wait for an agent be tried now: one may have come."""
        now = self._clock()
        waiting = (mission_task.c.due_at > now, waits_for_an_agent(), *_of_run(run_id))
        with self._database.read() as connection:
            if connection.execute(sa.select(mission_task.c.task_id).where(*waiting).limit(1)).first() is None:
                return  # whoever only looks takes no writer's lock
        with self._database.write() as connection:
            connection.execute(sa.update(mission_task).where(*waiting).values(due_at=now))

    def number_of_tasks_without_agent(self) -> int:
        """Return how many tasks wait because no agent can be asked."""
        asked = sa.select(sa.func.count()).select_from(mission_task).where(waits_for_an_agent())
        with self._database.read() as connection:
            return int(connection.execute(asked).scalar_one())

    def next_due(self, run_id: str | None = None) -> datetime | None:
        """Return when the next task can be claimed: now, at a wait's end, at a lease's end. None: no task at all."""
        now = self._clock()
        with self._database.read() as connection:
            if self._due(connection, now, run_id):
                return now
            return _earliest(connection, run_id)

    def has_work(self, run_id: str | None = None) -> bool:
        """Whether a task is running, could run, or waits for its next attempt: something moves without a person.

        A task that was put back for want of an agent is none until it is due again.
        """
        now = self._clock()
        with self._database.read() as connection:
            earliest = _earliest(connection, run_id)
            if earliest is None or earliest <= now:
                return earliest is not None
            others = sa.select(mission_task.c.task_id).where(
                mission_task.c.due_at > now, ~waits_for_an_agent(), *_of_run(run_id)
            )
            return connection.execute(others.limit(1)).first() is not None

    # ---------------------------------------------------------------- people

    def decide(
        self, approval_id: str, verdict: Verdict, *, by: str, reason: str | None = None, seen_sha256: str | None = None
    ) -> Decision:
        """Decide at a gate. Exactly one decision stands, for the result that was seen.

        Args:
            approval_id: of the gate.
            verdict: a rejection leads to another attempt, as long as the policy allows one.
            by: who decides.
            reason: needed for a rejection; the next attempt is told.
            seen_sha256: hash of the result that was shown; None where nothing was.

        Raises:
            UnknownApproval: no gate has this name.
            AlreadyDecided: the gate is closed; the sentence names who was first.
            ResultChanged: the result is not what the gate was opened for, or not what was seen.
            DecisionRefused: nobody is named, a rejection has no reason, or what was typed cannot be kept.
        """
        by, reason = checked_name(by, "decides"), checked_reason(reason)
        if verdict == "rejected" and reason is None:
            raise DecisionRefused(f"A rejection of {approval_id} needs a reason. Say it: the next attempt is told.")
        with self._database.write() as connection:
            change = self._locked(connection, self._gate(connection, approval_id).run_id)
            gate = self._gate(connection, approval_id)  # as it is now that nobody else can change it
            if gate.status != "open":
                raise _decided_before(gate, change.run)
            shown = connection.execute(
                sa.select(task_attempt.c.result).where(
                    task_attempt.c.run_id == gate.run_id,
                    task_attempt.c.task_id == gate.task_id,
                    task_attempt.c.attempt == gate.attempt,
                )
            ).scalar_one()
            now_sha256 = sha256_of(shown)
            opened = change.reopen(gate, now_sha256) if now_sha256 != gate.result_sha256 else None
            if opened is None:
                if seen_sha256 is not None and seen_sha256 != gate.result_sha256:
                    raise ResultChanged(
                        f"The result at {approval_id} is not the one that you saw. Look at it again, then decide.",
                        approval_id,
                    )
                change.decide(gate, verdict, by=by, reason=reason)
            change.settle()
            stands = self._gate(connection, approval_id)
        if opened is not None:
            raise ResultChanged(
                f"The result at {approval_id} was changed after the gate opened, so the gate is void. "
                f"Look at {opened}, then decide there.",
                opened,
            )
        return _decision(stands)

    def look_at_gates(self) -> list[GateNews]:
        """Do what the policy says about gates that wait: mark, escalate, reject. Return what was done at which."""
        with self._database.read() as connection:
            waiting = connection.execute(
                sa.select(approval, mission_run.c.mission_id, mission_run.c.newest_at, risk_event.c.severity)
                .join(mission_run, mission_run.c.run_id == approval.c.run_id)
                .outerjoin(
                    risk_event,
                    sa.and_(
                        risk_event.c.run_id == approval.c.run_id,
                        risk_event.c.task_id == approval.c.task_id,
                        risk_event.c.risk_type == "approval_delay",
                    ),
                )
                .where(approval.c.status == "open")
                .order_by(approval.c.requested_at, approval.c.approval_id)
            ).all()
        news = []
        for seen in waiting:
            # Most gates just wait: they are only read, and take no writer's lock.
            due = due_at_gate(self._policy.for_mission(seen.mission_id), seen, max(self._clock(), seen.newest_at))
            is_worse = any(has_grown(event, seen.severity) for event in due.risks)
            if not (is_worse or due.is_reminded or due.is_escalated or due.is_rejected):
                continue
            with self._database.write() as connection:
                change = self._locked(connection, seen.run_id)
                gate = self._gate(connection, seen.approval_id)
                done = change.look_at_gate(gate) if gate.status == "open" else []
                if done:
                    change.settle()
                    news.append(GateNews(gate.run_id, gate.task_id, "; ".join(done)))
        return news

    # ---------------------------------------------------------------- telemetry

    def pending_telemetry(self, limit: int) -> list[TelemetryRow]:
        """Return the first rows that wait to be written to the raw data, in their order."""
        with self._database.read() as connection:
            return telemetry.pending(connection, limit)

    def mark_exported(self, ids: Iterable[int]) -> None:
        """Note that rows are written and synced. To note it twice changes nothing."""
        with self._database.write() as connection:
            telemetry.mark_exported(connection, ids)

    def told_telemetry(self, data_set: str, month: str) -> list[str]:
        """Return the lines of a data set that were noted as written, in order, of rows made in a month (YYYY-MM)."""
        with self._database.read() as connection:
            return telemetry.told(connection, data_set, month)

    # ---------------------------------------------------------------- what can be read

    def state(self, run_id: str) -> dict[str, Any]:
        """Return a run's state object, ready for JSON.

        Raises:
            UnknownRun: no run has this name.
        """
        with self._database.read() as connection:
            return read_model.state(connection, run_id)

    def runs(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the runs, the newest first."""
        with self._database.read() as connection:
            return read_model.runs(connection, limit)

    def open_approvals(self, limit: int | None = None, *, has_values: bool = True) -> list[dict[str, Any]]:
        """Return the open gates, the oldest first; ``has_values``: with the results to judge and the inputs."""
        with self._database.read() as connection:
            return read_model.open_approvals(connection, limit, has_values=has_values)

    def max_attempts(self, mission_id: str) -> int:
        """Return how many attempts a task of a mission has, as the policy says now."""
        return self._policy.for_mission(mission_id).runner.max_attempts

    def number_of_open_approvals(self) -> int:
        """Return how many gates are open."""
        with self._database.read() as connection:
            return read_model.number_of_open_approvals(connection)

    def decided_approvals(self, limit: int | None = None, *, has_values: bool = True) -> list[dict[str, Any]]:
        """Return the gates that were decided, the newest decision first; ``has_values`` as for the open ones."""
        with self._database.read() as connection:
            return read_model.decided_approvals(connection, limit, has_values=has_values)

    def approval(self, approval_id: str) -> dict[str, Any]:
        """Return one gate, with all that is needed to judge it.

        Raises:
            UnknownApproval: no gate has this name.
        """
        with self._database.read() as connection:
            return read_model.approval_of(connection, approval_id)

    # ---------------------------------------------------------------- within

    def _kept(self, claim: Claim, make: Callable[[RunChange], bool]) -> bool:
        """Make a change to the claim's run in one transaction, with what follows from it, unless it came too late."""
        with self._database.write() as connection:
            change = self._locked(connection, claim.run_id)
            is_kept = make(change)
            if is_kept:
                change.settle()
            return is_kept

    def _locked(self, connection: sa.Connection, run_id: str) -> RunChange:
        change = RunChange.lock(connection, run_id, self._clock(), self._policy)
        if change is None:
            raise UnknownRun(f"No run is called {run_id!r}. `mission runs` lists them.")
        return change

    def _gate(self, connection: sa.Connection, approval_id: str) -> sa.Row[Any]:
        gate = connection.execute(sa.select(approval).where(approval.c.approval_id == approval_id)).one_or_none()
        if gate is None:
            raise UnknownApproval(f"No gate is called {approval_id!r}. `mission approvals` lists those that are open.")
        return gate

    def _due(self, connection: sa.Connection, now: datetime, run_id: str | None) -> list[sa.Row[Any]]:
        """Return tasks that can be claimed: by their run's priority, and of one priority those that wait longest first.

        A time farther off than any lease or wait was given by a clock that has been set back since: it is over, too.
        """
        due_at = mission_task.c.due_at
        for is_due in (due_at <= now, due_at > now + self._farthest):
            asked = (
                sa.select(mission_task)
                .where(is_due, *_of_run(run_id))
                .order_by(mission_task.c.rank, due_at, mission_task.c.run_id, mission_task.c.position)
                .limit(_CANDIDATES)
            )
            found = connection.execute(asked).all()
            if found:
                return list(found)
        return []


def _of_run(run_id: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if run_id is None else (mission_task.c.run_id == run_id,)


def _earliest(connection: sa.Connection, run_id: str | None) -> datetime | None:
    earliest: datetime | None = connection.execute(
        sa.select(sa.func.min(mission_task.c.due_at)).where(*_of_run(run_id))
    ).scalar_one()
    return earliest


def _decision(gate: sa.Row[Any]) -> Decision:
    return Decision(
        approval_id=gate.approval_id,
        run_id=gate.run_id,
        task_id=gate.task_id,
        verdict=gate.status,
        decided_by=gate.decided_by,
        decided_at=gate.decided_at,
        reason=gate.reason,
    )


def _decided_before(gate: sa.Row[Any], run: sa.Row[Any]) -> AlreadyDecided:
    if gate.status in ("approved", "rejected"):
        return AlreadyDecided(
            f"{gate.approval_id} was {gate.status} by {gate.decided_by} at {iso(gate.decided_at)}. "
            "That decision stands.",
            _decision(gate),
        )
    if gate.status == "void":
        return AlreadyDecided(
            f"{gate.approval_id} is void: its result was changed. `mission approvals` names the gate to decide at."
        )
    by = f" by {run.cancelled_by}" if run.cancelled_by else ""
    return AlreadyDecided(f"{gate.approval_id} is closed: its run was cancelled{by}. There is nothing to decide.")

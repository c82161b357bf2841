"""What may happen to a run: each change in one transaction, under the run's lock. Opens no database, reads no clock.

A run's row is locked first and its version compared last, so that two changes of one run never mix; a task changes only
for the worker whose fence is the newest, a gate only while it is open.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mission_pipeline.errors import StoreFault
from mission_pipeline.policy import Policy
from mission_pipeline.runner import risk, telemetry
from mission_pipeline.runner.canonical import minutes, minutes_between, plain, sha256_of, to_json
from mission_pipeline.runner.model import (
    ENDED_RUNS,
    AgentFault,
    Answer,
    BlockedReason,
    Choice,
    Claim,
    KpiTarget,
    Outcome,
    RiskEvent,
    RunStatus,
    Verdict,
)
from mission_pipeline.runner.tables import approval, mission_run, mission_task, risk_event, task_attempt, task_dep
from mission_pipeline.runner.telemetry import counted_kpis
from mission_pipeline.runner.waiting_gates import TIME_LIMIT, due_at_gate

Row = sa.Row[Any]


def renew(connection: sa.Connection, claim: Claim, clock_now: datetime, policy: Policy) -> Claim | None:
    """Prolong a lease. None: the fence is lost. The run's lock is not needed: nothing but the lease changes."""
    lease_until = clock_now + timedelta(seconds=policy.for_mission(claim.mission_id).runner.lease_seconds)
    renewed = connection.execute(
        sa.update(mission_task)
        .where(*_is(claim), mission_task.c.fence == claim.fence, mission_task.c.status == "running")
        .values(due_at=lease_until)
    )
    return replace(claim, lease_until=lease_until) if renewed.rowcount == 1 else None


def waits_for_an_agent() -> sa.ColumnElement[bool]:
    """Whether a task was put back because no agent could be asked; its attempt says so."""
    said = sa.select(task_attempt.c.attempt).where(
        task_attempt.c.run_id == mission_task.c.run_id,
        task_attempt.c.task_id == mission_task.c.task_id,
        task_attempt.c.attempt == mission_task.c.attempt,
        task_attempt.c.agent_id.is_(None),
        task_attempt.c.error.is_not(None),
    )
    # It is due again some time, which is what the index holds.
    return sa.and_(mission_task.c.due_at.is_not(None), mission_task.c.status == "pending", said.exists())


class RunChange:
    """A run whose row is locked, and what changes of it; ``settle`` ends the change.

    ``now`` is the run's own time: where the clock was set back, it stands still until the clock has caught up, so that
    nothing ends before it began. Leases and waits go by ``clock_now``.
    """

    def __init__(self, connection: sa.Connection, run: Row, clock_now: datetime, policy: Policy) -> None:
        self._connection = connection
        self._policy = policy.for_mission(run.mission_id)
        self.run = run
        self.clock_now = clock_now
        self.now = max(clock_now, run.newest_at)
        self._changed: dict[str, Any] = {}

    @classmethod
    def lock(
        cls,
        connection: sa.Connection,
        run_id: str,
        clock_now: datetime,
        policy: Policy,
        *,
        is_patient: bool = True,
    ) -> RunChange | None:
        """Return the locked run; None if there is none, or another holds it and this call is not patient."""
        asked = sa.select(mission_run).where(mission_run.c.run_id == run_id)
        run = connection.execute(asked.with_for_update(skip_locked=not is_patient)).one_or_none()
        return None if run is None else cls(connection, run, clock_now, policy)

    @property
    def has_ended(self) -> bool:
        """Whether the run had ended before this change."""
        return self.run.status in ENDED_RUNS

    # ---------------------------------------------------------------- a worker's part

    def take(self, task: Row, worker_id: str) -> Claim | None:
        """Give a task to a worker. None: somebody was faster."""
        lease = timedelta(seconds=self._policy.runner.lease_seconds)
        lease_until = self.clock_now + lease
        taken = self._connection.execute(
            sa.update(mission_task)
            .where(
                *_is(task),
                mission_task.c.fence == task.fence,
                mission_task.c.attempt == task.attempt,
                mission_task.c.due_at == task.due_at,
            )
            .values(
                status="running",
                fence=task.fence + 1,
                worker_id=plain(worker_id),
                due_at=lease_until,
                started_at=sa.func.coalesce(mission_task.c.started_at, self.now),
            )
        )
        if taken.rowcount != 1:
            return None
        if self.run.started_at is None:
            self._changed["started_at"] = self.now
        known = self._connection.execute(sa.select(task_attempt).where(*_of(task))).all()
        current = next((attempt for attempt in known if attempt.attempt == task.attempt), None)
        if current is None:
            self._connection.execute(
                sa.insert(task_attempt).values(
                    run_id=task.run_id, task_id=task.task_id, attempt=task.attempt, started_at=self.now
                )
            )
            self._risks(risk.rework(self._policy, task.task_id, task.attempt, None))
        elif current.agent_id is None and current.error is not None:  # it waited for an agent
            self._change_attempt(task, started_at=self.now, error=None)
        takeovers = 0 if current is None else current.takeovers
        if task.status == "running":  # its worker has not been heard of
            takeovers += 1
            self._change_attempt(task, takeovers=takeovers)
        earlier = sorted((attempt for attempt in known if attempt is not current), key=lambda attempt: attempt.attempt)
        return Claim(
            run_id=task.run_id,
            mission_id=self.run.mission_id,
            mission_name=self.run.mission_name,
            task_id=task.task_id,
            task_name=task.task_name,
            attempt=task.attempt,
            takeovers=takeovers,
            fence=task.fence + 1,
            worker_id=worker_id,
            lease_until=lease_until,
            estimated_minutes=task.estimated_minutes,
            requires_approval=task.requires_approval,
            capable_agents=tuple(json.loads(task.capable_agents)),
            tried=tuple(attempt.agent_id for attempt in earlier if attempt.agent_id is not None),
            agent_id=None if current is None else current.agent_id,
            mission_input=json.loads(self.run.mission_input),
            results=self._results_before(task.task_id),
            rejection=task.rejection,
        )

    def choose(self, claim: Claim, choice: Choice) -> bool:
        """Write the agent of an attempt. False: the fence is lost.

        Raises:
            ValueError: the attempt was given to another agent before, who may have begun.
        """
        task = self._held(claim)
        if task is None:
            return False
        attempt = self._attempt(task)
        if attempt.agent_id is not None:
            if attempt.agent_id != choice.agent_id:
                raise ValueError(f"{claim.key} was given to {attempt.agent_id} before, not to {choice.agent_id}")
            return True
        self._change_attempt(
            task,
            agent_id=choice.agent_id,
            reason=plain(choice.reason),
            scores=to_json([dict(row) for row in choice.scores]),
            warehouse_version=choice.warehouse_version,
            is_exploration=choice.is_exploration,
            chosen_at=self.now,
        )
        return True

    def complete(self, claim: Claim, answer: Answer, work_seconds: float) -> bool:
        """Keep an answer: the task is completed, or waits at its gate. False: the fence is lost.

        Raises:
            ValueError: the answer cannot be kept as JSON, or no agent was chosen.
            TypeError: likewise.
        """
        task = self._held(claim)
        if task is None:
            return False
        if self._attempt(task).agent_id is None:
            raise ValueError(f"{claim.key} was given to nobody, so nobody can have answered")
        result, work_seconds = to_json(answer.result), max(work_seconds, 0.0)
        self._change_attempt(
            task,
            answered_at=self.now,
            work_seconds=work_seconds,
            result=result,
            result_sha256=sha256_of(result),
            summary=plain(answer.summary),
            kpis=to_json({name: float(value) for name, value in answer.kpis.items() if _can_be_a_name(name)}),
        )
        self._risks(risk.task_overrun(self._policy, task.task_id, task.estimated_minutes, minutes(work_seconds)))
        self._count(live_tasks=-1)
        if not task.requires_approval:
            self._complete_task(task, self._end_attempt(task, "completed"))
            return True
        self._open_gate(task, f"{task.run_id}:{task.task_id}:{task.attempt}", sha256_of(result), self.now)
        self._change_task(task, status="blocked", blocked_reason="approval", due_at=None, worker_id=None)
        return True

    def fail(self, claim: Claim, fault: AgentFault, work_seconds: float | None) -> bool:
        """Keep a fault: another attempt after a wait, or the task fails. False: the fence is lost.

        ``work_seconds``: the agent's time; None where it is not known, as of an agent whose worker was lost.
        """
        task = self._held(claim)
        if task is None:
            return False
        outcome: Outcome = fault.outcome if fault.outcome in risk.FAILED_OUTCOMES else "failed"
        worked = None if work_seconds is None else max(work_seconds, 0.0)
        self._change_attempt(task, answered_at=self.now, work_seconds=worked, error=plain(str(fault)))
        self._count(live_tasks=-1)
        if self._attempt(task).agent_id is not None:  # what nobody was asked for is no failure of an execution
            self._count(failures=1, escalations=int(outcome == "escalated"))
            if worked is not None:
                self._risks(risk.task_overrun(self._policy, task.task_id, task.estimated_minutes, minutes(worked)))
            self._risks(risk.repeated_failures(self._policy, self._value("failures"), self._value("escalations")))
        self._end_attempt(task, outcome)
        limits = self._policy.runner
        wait = min(limits.backoff_seconds * limits.backoff_factor ** (task.attempt - 1), limits.max_backoff_seconds)
        self._again_or_fail(task, self.clock_now + timedelta(seconds=wait), rejection=task.rejection)
        return True

    def put_back(self, claim: Claim, reason: str) -> bool:
        """Let a task wait because no agent can be asked now: no attempt is spent. False: the fence is lost."""
        task = self._held(claim)
        if task is None:
            return False
        limits = self._policy.runner
        wait = timedelta(seconds=limits.max_backoff_seconds or limits.lease_seconds)
        self._change_attempt(task, error=plain(reason))
        self._change_task(task, status="pending", due_at=self.clock_now + wait, worker_id=None)
        return True

    # ---------------------------------------------------------------- a person's part

    def decide(self, gate: Row, verdict: Verdict, *, by: str, reason: str | None, is_person: bool = True) -> bool:
        """Write the decision at a gate and what follows from it. False: the gate is not open any more."""
        decided = self._connection.execute(
            sa.update(approval)
            .where(approval.c.approval_id == gate.approval_id, approval.c.status == "open")
            .values(status=verdict, decided_at=self.now, decided_by=plain(by), reason=plain(reason))
        )
        if decided.rowcount != 1:
            return False
        task = self._task(gate.task_id)
        if is_person and (verdict == "rejected" or gate.escalated_at is not None):
            self._count(human_interventions=1)
        waited = minutes_between(gate.requested_at, self.now)
        self._risks(risk.approval_delay(self._policy, task.task_id, waited))
        # Nobody judged what a time limit rejects: the work was stopped, and says nothing of its agent.
        attempt = self._end_attempt(task, verdict if is_person else "cancelled", gate.approval_id)
        if verdict == "approved":
            self._complete_task(task, attempt)
        else:
            self._risks(risk.rework(self._policy, task.task_id, task.attempt, attempt.outcome))
            self._again_or_fail(task, self.clock_now, rejection=plain(reason))
        return True

    def reopen(self, gate: Row, result_sha256: str) -> str:
        """Void a gate whose result is not what it was, and open another for what is there now. Return its name."""
        self._connection.execute(
            sa.update(approval)
            .where(approval.c.approval_id == gate.approval_id, approval.c.status == "open")
            .values(status="void")
        )
        task = self._task(gate.task_id)
        gates = self._connection.execute(
            sa.select(sa.func.count()).where(*_of(task, approval), approval.c.attempt == task.attempt)
        ).scalar_one()
        approval_id = f"{task.run_id}:{task.task_id}:{task.attempt}.{gates + 1}"
        self._open_gate(task, approval_id, result_sha256, gate.requested_at)  # for the wait goes on
        return approval_id

    def cancel(self, *, by: str, reason: str | None) -> None:
        """End the run now. What an agent still answers is refused."""
        gates = {
            gate.task_id: gate.approval_id
            for gate in self._connection.execute(
                sa.select(approval).where(approval.c.run_id == self.run.run_id, approval.c.status == "open")
            )
        }
        self._connection.execute(
            sa.update(approval)
            .where(approval.c.run_id == self.run.run_id, approval.c.status == "open")
            .values(status="cancelled")
        )
        for task in self._tasks():
            if task.ended_at is not None:
                continue
            if task.status == "running" or task.blocked_reason == "approval":
                self._end_attempt(task, "cancelled", gates.get(task.task_id))
            self._block(task, "run_cancelled")
        self._changed |= {"cancelled_by": plain(by), "cancel_reason": plain(reason)}
        self._changed |= {"open_tasks": 0, "live_tasks": 0}
        self._count(human_interventions=1)

    def observe_kpi(self, kpi_name: str, value: float) -> None:
        """Write a value that a person knows: no agent changes it. A run that has ended gets a corrected record."""
        known = json.loads(self._value("kpis_by_people"))
        self._changed["kpis_by_people"] = to_json(sorted({*known, kpi_name}))
        self._keep_kpis({kpi_name: value})

    def look_at_gate(self, gate: Row) -> list[str]:
        """Do what the policy says about a gate that waits. Return what was done, in words; nothing if it just waits."""
        limits = self._policy.runner.gates
        due = due_at_gate(self._policy, gate, self.now)
        done = [f"the wait is a risk of {event.severity} severity" for event in due.risks if self._risks([event])]
        limit = f"{limits.time_limit_minutes:g} minutes"
        if due.is_rejected:
            self.decide(gate, "rejected", by=TIME_LIMIT, reason=f"Nobody decided within {limit}.", is_person=False)
            return [*done, f"nobody decided within {limit}, so it is rejected"]
        marks: dict[str, Any] = {}
        if due.is_reminded:
            marks["reminded_at"] = self.now
            done.append(f"a reminder, after {limits.reminder_after_minutes:g} minutes")
        if due.is_escalated:
            named = limits.escalate_to or self.run.owner
            marks |= {"escalated_at": self.now, "escalated_to": plain(named)}
            done.append(f"nobody decided within {limit}, so it is escalated{f' to {named}' if named else ''}")
            self._count(escalations=1)
            self._risks(risk.repeated_failures(self._policy, self._value("failures"), self._value("escalations")))
        if marks:
            marked = self._connection.execute(
                sa.update(approval)
                .where(approval.c.approval_id == gate.approval_id, approval.c.status == "open")
                .values(**marks)
            )
            if marked.rowcount != 1:
                raise StoreFault(f"The gate {gate.approval_id} was changed by somebody else meanwhile. Do it again.")
        return done

    # ---------------------------------------------------------------- the end of a change

    def settle(self) -> None:
        """Write what changed of the run; end it when no task is open; then write its record."""
        if self.has_ended:
            self._correct_record()
        elif self._value("open_tasks") == 0:
            self._end_run()
        else:
            self._changed["status"] = "running" if self._value("live_tasks") else "blocked"
            self._write_run()

    def _end_run(self) -> None:
        tasks = self._tasks()
        status: RunStatus = "completed" if all(task.status == "completed" for task in tasks) else "failed"
        if "cancelled_by" in self._changed:
            status = "cancelled"
        self._changed |= {"status": status, "ended_at": self.now}
        start = self._value("started_at") or self.run.created_at
        if status != "cancelled":
            self._risks(risk.long_run(self._policy, minutes_between(start, self.now), self.run.usual_minutes))
        if status == "completed":  # whose every task was executed
            self._keep_kpis(dict.fromkeys(counted_kpis(self.kpi_targets()), float(len(tasks))))
        self._judge_kpis()
        self._close_risks()
        self._write_record()

    def _correct_record(self) -> None:
        if "kpis" not in self._changed:
            return
        self._withdraw(self._judge_kpis())
        self._close_risks()
        self._write_record()

    def _write_record(self) -> None:
        """Write the run, its record and its risks into the outbox, and let everything of it go."""
        version = self.run.records + 1
        self._changed["records"] = version
        self._write_run()
        run = self._connection.execute(sa.select(mission_run).where(mission_run.c.run_id == self.run.run_id)).one()
        telemetry.keep(
            self._connection,
            "mission_runs",
            run.run_id,
            telemetry.run_record(run, self.kpi_targets()),
            self.now,
            version=version,
        )
        telemetry.make_ready(self._connection, run.run_id)

    def _write_run(self) -> None:
        version = self.run.version
        written = self._connection.execute(
            sa.update(mission_run)
            .where(mission_run.c.run_id == self.run.run_id, mission_run.c.version == version)
            .values(**self._changed, newest_at=self.now, version=version + 1)
        )
        if written.rowcount != 1:
            raise StoreFault(f"Run {self.run.run_id} was changed by somebody else meanwhile. Do it again.")

    # ---------------------------------------------------------------- tasks and attempts

    def _held(self, claim: Claim) -> Row | None:
        """Return the task if the claim is its newest."""
        task = self._task(claim.task_id)
        return task if task.fence == claim.fence and task.status == "running" else None

    def _task(self, task_id: str) -> Row:
        return self._connection.execute(
            sa.select(mission_task).where(mission_task.c.run_id == self.run.run_id, mission_task.c.task_id == task_id)
        ).one()

    def _tasks(self) -> Sequence[Row]:
        return self._connection.execute(
            sa.select(mission_task).where(mission_task.c.run_id == self.run.run_id).order_by(mission_task.c.position)
        ).all()

    def _change_task(self, task: Row, **values: Any) -> None:
        """Change a task that is as it was read: its fence says so."""
        changed = self._connection.execute(
            sa.update(mission_task).where(*_is(task), mission_task.c.fence == task.fence).values(**values)
        )
        if changed.rowcount != 1:
            raise StoreFault(f"Task {task.task_id} of run {task.run_id} was changed by somebody else. Do it again.")

    def _attempt(self, task: Row) -> Row:
        return self._connection.execute(
            sa.select(task_attempt).where(*_of(task), task_attempt.c.attempt == task.attempt)
        ).one()

    def _change_attempt(self, task: Row, **values: Any) -> None:
        self._connection.execute(
            sa.update(task_attempt).where(*_of(task), task_attempt.c.attempt == task.attempt).values(**values)
        )

    def _end_attempt(self, task: Row, outcome: Outcome, approval_id: str | None = None) -> Row:
        """Close the task's attempt, log it and return it. One that no agent got is no execution, and has no log."""
        self._change_attempt(task, outcome=outcome, finished_at=self.now)
        attempt = self._attempt(task)
        if attempt.agent_id is None:
            return attempt
        gate = None
        if approval_id is not None:
            gate = self._connection.execute(sa.select(approval).where(approval.c.approval_id == approval_id)).one()
        record = telemetry.execution_log(self.run, task, attempt, gate)
        key = f"{task.run_id}:{task.task_id}:{attempt.attempt}"
        telemetry.keep(self._connection, "task_execution_logs", key, record, self.now)
        return attempt

    def _open_gate(self, task: Row, approval_id: str, result_sha256: str, requested_at: datetime) -> None:
        self._connection.execute(
            sa.insert(approval).values(
                approval_id=approval_id,
                run_id=task.run_id,
                task_id=task.task_id,
                attempt=task.attempt,
                status="open",
                result_sha256=result_sha256,
                requested_at=requested_at,
            )
        )

    def _complete_task(self, task: Row, attempt: Row) -> None:
        self._change_task(task, status="completed", blocked_reason=None, due_at=None, worker_id=None, ended_at=self.now)
        self._count(open_tasks=-1)
        self._observe(json.loads(attempt.kpis))
        waiting = mission_task.c.task_id.in_(
            sa.select(task_dep.c.task_id).where(
                task_dep.c.run_id == self.run.run_id, task_dep.c.depends_on == task.task_id
            )
        )
        self._connection.execute(
            sa.update(mission_task)
            .where(mission_task.c.run_id == self.run.run_id, waiting)
            .values(open_dependencies=mission_task.c.open_dependencies - 1)
        )
        freed = self._connection.execute(
            sa.update(mission_task)
            .where(
                mission_task.c.run_id == self.run.run_id,
                waiting,
                mission_task.c.status == "pending",
                mission_task.c.open_dependencies == 0,
            )
            .values(due_at=self.clock_now)
        )
        self._count(live_tasks=freed.rowcount)

    def _again_or_fail(self, task: Row, due_at: datetime, *, rejection: str | None) -> None:
        if task.attempt < self._policy.runner.max_attempts:
            self._change_task(
                task,
                status="pending",
                blocked_reason=None,
                attempt=task.attempt + 1,
                due_at=due_at,
                worker_id=None,
                rejection=rejection,
            )
            self._count(live_tasks=1)
            return
        self._change_task(
            task,
            status="failed",
            blocked_reason=None,
            due_at=None,
            worker_id=None,
            rejection=rejection,
            ended_at=self.now,
        )
        self._count(open_tasks=-1)
        for waiting in self._downstream(task.task_id):
            self._block(waiting, "dependency_failed")
            self._count(open_tasks=-1)

    def _downstream(self, task_id: str) -> list[Row]:
        """Return the tasks that depend on a task, near or far, and are not ended."""
        needed_by: dict[str, list[str]] = defaultdict(list)
        for row in self._connection.execute(sa.select(task_dep).where(task_dep.c.run_id == self.run.run_id)):
            needed_by[row.depends_on].append(row.task_id)
        found: set[str] = set()
        unseen = [task_id]
        while unseen:
            new = set(needed_by[unseen.pop()]) - found
            found |= new
            unseen += new
        return [task for task in self._tasks() if task.task_id in found and task.ended_at is None]

    def _block(self, task: Row, reason: BlockedReason) -> None:
        """End a task that will not run, or not run on. Its fence grows: what its worker still brings is refused."""
        self._change_task(
            task,
            status="blocked",
            blocked_reason=reason,
            fence=task.fence + 1,
            due_at=None,
            worker_id=None,
            ended_at=self.now,
        )

    def _results_before(self, task_id: str) -> dict[str, Any]:
        rows = self._connection.execute(
            sa.select(task_attempt.c.task_id, task_attempt.c.result)
            .join(
                task_dep,
                sa.and_(task_dep.c.run_id == task_attempt.c.run_id, task_dep.c.depends_on == task_attempt.c.task_id),
            )
            .where(
                task_dep.c.run_id == self.run.run_id,
                task_dep.c.task_id == task_id,
                task_attempt.c.outcome.in_(("completed", "approved")),
            )
            .order_by(task_attempt.c.task_id)
        )
        return {row.task_id: json.loads(row.result) for row in rows}

    # ---------------------------------------------------------------- KPIs and risks

    def kpi_targets(self) -> list[KpiTarget]:
        """Return the KPIs of the run's mission as they were when it was made."""
        return [KpiTarget(**target) for target in json.loads(self.run.kpi_targets)]

    def _observe(self, kpis: Mapping[str, float]) -> None:
        """Keep what an agent reports, also of a KPI that the mission does not have: the refresh lists that as drift."""
        others = {*counted_kpis(self.kpi_targets()), *json.loads(self._value("kpis_by_people"))}
        self._keep_kpis({name: value for name, value in kpis.items() if name not in others})

    def _keep_kpis(self, kpis: Mapping[str, float]) -> None:
        known = self._value("kpis")
        merged = to_json(json.loads(known) | dict(kpis))
        if merged != known:
            self._changed["kpis"] = merged

    def _judge_kpis(self) -> set[str]:
        """Keep the risks of the KPIs as they are now. Return the names of all that hold."""
        observed = json.loads(self._value("kpis"))
        targets = self.kpi_targets()
        judged = {target.kpi_name for target in targets} & set(observed)
        previous = self._previous_kpis(judged) if judged else {}
        events = risk.missed_kpis(self._policy, targets, observed, previous)
        self._risks(events)
        return {self._event_id(event) for event in events}

    def _withdraw(self, holding: set[str]) -> None:
        """Take back the risks of KPIs that hold no more since one was corrected, also where they were told."""
        events = self._connection.execute(
            sa.select(risk_event).where(risk_event.c.run_id == self.run.run_id).order_by(risk_event.c.event_id)
        ).all()
        gone = [
            event
            for event in events
            if event.risk_type.endswith(risk.KPI_RISKS) and event.task_id is None and event.event_id not in holding
        ]
        for event in gone:
            self._connection.execute(sa.delete(risk_event).where(risk_event.c.event_id == event.event_id))
            record = telemetry.risk_record(self.run, event, self._last_executed_task())
            said = f"Withdrawn, a KPI was corrected. It said: {event.description}"
            self._tell_risk(event.event_id, record | {"description": said})
        self._changed["is_risk_flagged"] = len(events) > len(gone)

    def _tell_risk(self, event_id: str, record: dict[str, Any]) -> None:
        """Put a risk into the outbox: anew where it was told before, was withdrawn, or holds again."""
        version = telemetry.next_version(self._connection, "mission_risk_events", event_id)
        telemetry.keep(self._connection, "mission_risk_events", event_id, record, self.now, version)

    def _previous_kpis(self, names: set[str]) -> dict[str, float]:
        """Return of each KPI what the mission's runs before this one observed last."""
        found: dict[str, float] = {}
        earlier = self._connection.execute(
            sa.select(mission_run.c.kpis)
            .where(
                mission_run.c.mission_id == self.run.mission_id,
                mission_run.c.created_at < self.run.created_at,
                mission_run.c.ended_at.is_not(None),
                mission_run.c.kpis != "{}",
            )
            .order_by(mission_run.c.created_at.desc())
        ).scalars()
        for kpis in earlier:  # mostly one: runs of a mission observe the same KPIs
            found = json.loads(kpis) | found
            if names <= found.keys():
                break
        earlier.close()
        known: dict[str, float] = json.loads(self.run.previous_kpis)
        return known | found

    def _risks(self, events: Iterable[RiskEvent]) -> bool:
        """Keep risks, each once; one that grows keeps its name and gets the higher severity."""
        is_changed = False
        for event in events:
            event_id = self._event_id(event)
            known = self._connection.execute(
                sa.select(risk_event).where(risk_event.c.event_id == event_id)
            ).one_or_none()
            if known is None:
                self._connection.execute(
                    sa.insert(risk_event).values(
                        event_id=event_id,
                        run_id=self.run.run_id,
                        task_id=event.task_id,
                        risk_type=event.risk_type,
                        severity=event.severity,
                        description=plain(event.description),
                        detected_at=self.now,
                        status="open",
                    )
                )
            elif known.status == "open" and risk.has_grown(event, known.severity):
                self._connection.execute(
                    sa.update(risk_event)
                    .where(risk_event.c.event_id == event_id)
                    .values(severity=event.severity, description=plain(event.description))
                )
            else:
                continue
            self._changed["is_risk_flagged"] = is_changed = True
        return is_changed

    def _event_id(self, event: RiskEvent) -> str:
        parts = (self.run.run_id, event.task_id or "run", event.risk_type, event.rule_subject)
        return ":".join(part for part in parts if part)

    def _close_risks(self) -> None:
        """Close the run's open risks and put each into the outbox: its severity will not grow any more."""
        is_open = (risk_event.c.run_id == self.run.run_id, risk_event.c.status == "open")
        events = self._connection.execute(
            sa.select(risk_event).where(*is_open).order_by(risk_event.c.detected_at, risk_event.c.event_id)
        ).all()
        if not events:
            return
        self._connection.execute(sa.update(risk_event).where(*is_open).values(status="closed"))
        named_task = self._last_executed_task()
        for event in events:
            record = telemetry.risk_record(self.run, event, named_task)
            self._tell_risk(event.event_id, record)

    def _last_executed_task(self) -> str:
        """Return the task that the run began last; the plan's first, if it began none."""
        tasks = self._tasks()
        begun = [task for task in tasks if task.started_at is not None]
        last = max(begun, key=lambda task: (task.started_at, task.position)) if begun else tasks[0]
        return str(last.task_id)

    # ---------------------------------------------------------------- counters

    def _value(self, name: str) -> Any:
        return self._changed.get(name, getattr(self.run, name))

    def _count(self, **changes: int) -> None:
        for name, change in changes.items():
            self._changed[name] = self._value(name) + change


def _is(task: Row | Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return (mission_task.c.run_id == task.run_id, mission_task.c.task_id == task.task_id)


def _of(task: Row, table: sa.Table = task_attempt) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.run_id == task.run_id, table.c.task_id == task.task_id)


def _can_be_a_name(name: str) -> bool:
    """Whether a KPI's name can stand in a record: one that cannot would have the whole record rejected."""
    return bool(name.strip()) and name.isprintable()

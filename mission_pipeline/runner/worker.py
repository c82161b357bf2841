"""Works on runs: takes tasks that can be done, chooses an agent, calls it, keeps what it answered. Decides nothing.

Every step is durable in the store before the next begins, so a worker may die at any moment: its lease ends, and
another one takes the same attempt with the same key. An agent is called outside of any transaction.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mission_pipeline.errors import MissionPipelineError
from mission_pipeline.policy import Policy
from mission_pipeline.runner.adapters import Adapter, adapter_for, request_for
from mission_pipeline.runner.failpoints import NO_FAILPOINTS, Failpoints
from mission_pipeline.runner.model import Agent, AgentFault, Answer, Claim
from mission_pipeline.runner.outbox import TelemetryNotWritten, export_telemetry
from mission_pipeline.runner.registry import Registry
from mission_pipeline.runner.routing import Router
from mission_pipeline.runner.store import Missions

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks for work: short while there is some, longer the longer there is none."""

LONGEST_WAIT_FOR_AN_EXPORTER = 30.0
"""Seconds, at the end; before, another one at work is left to it."""

SECONDS_BETWEEN_LOOKS_AT_GATES = 1.0
SECONDS_BETWEEN_LOOKS_AT_THE_REGISTRY = 1.0


@dataclass(frozen=True)
class Tools:
    """What a worker works with; tests put in their own."""

    load_registry: Callable[[], Registry]
    router: Router
    policy: Policy
    raw_data: Path
    clock: Callable[[], datetime]
    failpoints: Failpoints = NO_FAILPOINTS
    say: Callable[[str], None] = lambda _: None


@dataclass
class _Held:
    """The claims at hand."""

    claims: dict[str, Claim] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[None]:
        with self.lock:
            self.claims[claim.key] = claim
        try:
            yield
        finally:
            with self.lock:
                self.claims.pop(claim.key, None)

    def all(self) -> list[Claim]:
        with self.lock:
            return list(self.claims.values())


class Worker:
    """Some threads that do tasks, one that renews their leases, and the caller's, which looks after the rest.

    ``run_id``: work on this run alone, and end when it has ended or waits for people or agents only. ``until_idle``:
    end when all of them have. ``registry``: as it is now, if somebody has read it; else it is read when there is
    something to do.
    """

    def __init__(
        self,
        store: Missions,
        tools: Tools,
        *,
        threads: int = 4,
        run_id: str | None = None,
        until_idle: bool = False,
        registry: Registry | None = None,
    ) -> None:
        self._store, self._tools = store, tools
        self._run_id, self._ends_when_idle = run_id, until_idle or run_id is not None
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._number_of_threads = threads
        self._registry, self._registry_at, self._registry_fault = registry, 0.0, ""
        self._loading = threading.Lock()
        self._missing: dict[tuple[str, str], str] = {}  # of each task that waits for an agent: what was said
        self._held = _Held()
        self._is_stopping = self._was_asked_to_stop = False
        self._finished = threading.Event()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()  # the one thing that a signal's handler may touch
        self._changed = threading.Condition()
        self._changes = 0
        self._done = self._failed = self._acted_on_gates = 0
        self._fault: BaseException | None = None
        self._telemetry_fault: str | None = None

    def stop(self) -> None:
        """Take no further task; ``work`` returns when those at hand are done. May be called from a signal's handler."""
        self._is_stopping = self._was_asked_to_stop = True
        self._bell.put(None)

    @property
    def at_hand(self) -> int:
        """How many tasks are being done."""
        return len(self._held.all())

    @property
    def tasks_done(self) -> int:
        """How many attempts it brought to a result that counts."""
        return self._done

    @property
    def attempts_failed(self) -> int:
        """How many attempts came to nothing under it: failed, timed out, or escalated by their agent."""
        return self._failed

    @property
    def gates_acted_on(self) -> int:
        """How many times it did at a gate what the policy wants: a risk, a reminder, an escalation, a rejection."""
        return self._acted_on_gates

    @property
    def telemetry_fault(self) -> str | None:
        """Why telemetry still waits, as a sentence that was said; None where all of it is written."""
        return self._telemetry_fault

    def work(self) -> None:
        """Work until there is nothing left to do, or until ``stop``. Telemetry that cannot be written waits.

        Raises:
            MissionPipelineError: the store cannot be used; what was done is kept, tasks at hand are taken up again.

        """
        self._export(wait_seconds=0)
        self._store.look_for_agents(self._run_id)
        threads = [
            threading.Thread(target=self._guarded, args=(self._do_tasks, f"{self._name}/{number}"), daemon=True)
            for number in range(1, self._number_of_threads + 1)
        ]
        renewing = threading.Thread(target=self._guarded, args=(self._renew_leases,), daemon=True)
        for thread in (renewing, *threads):
            thread.start()
        try:
            self._look_after_the_rest()
        finally:
            self._is_stopping = True
            self._tell_change()
            if self._was_asked_to_stop and self.at_hand:
                self._tools.say(f"finishing {self.at_hand} at hand; once more leaves them to another worker")
            for thread in threads:
                thread.join()
            self._finished.set()
            renewing.join()
        if self._fault is not None:
            raise self._fault
        self._export(wait_seconds=LONGEST_WAIT_FOR_AN_EXPORTER)

    # ------------------------------------------------------------------ the caller's thread

    def _look_after_the_rest(self) -> None:
        gates_at = 0.0
        pause = SHORTEST_PAUSE
        while not self._is_stopping:
            now = time.monotonic()
            if now >= gates_at:
                gates_at = now + SECONDS_BETWEEN_LOOKS_AT_GATES
                for news in self._store.look_at_gates():
                    self._acted_on_gates += 1
                    self._tools.say(f"{news.run_id}  {news.task_id} waits for a person: {news.words}")
                    self._tell_change()
            self._export(wait_seconds=0)
            if self._ends_when_idle and not self._store.has_work(self._run_id):
                return
            pause = SHORTEST_PAUSE if self._has_heard_the_bell(pause) else min(2 * pause, LONGEST_PAUSE)

    def _has_heard_the_bell(self, seconds: float) -> bool:
        """Wait until something has changed, or that long; return whether it has."""
        has_rung = False
        try:
            self._bell.get(timeout=seconds)
            has_rung = True
            while True:
                self._bell.get_nowait()
        except queue.Empty:
            return has_rung

    def _export(self, *, wait_seconds: float) -> None:
        """Write telemetry where some waits. What hinders it is said once, and tried again: the missions go on."""
        try:
            if self._store.pending_telemetry(1):
                export_telemetry(
                    self._store, self._tools.raw_data, wait_seconds=wait_seconds, failpoints=self._tools.failpoints
                )
            self._telemetry_fault = None
        except TelemetryNotWritten as fault:
            if self._telemetry_fault is None:
                self._tools.say(str(fault))
            self._telemetry_fault = str(fault)

    # ------------------------------------------------------------------ the threads

    def _guarded(self, work: Callable[..., None], *arguments: str) -> None:
        """Let a fault end the whole worker, and reach the caller."""
        try:
            work(*arguments)
        except BaseException as fault:
            self._fault = self._fault or fault
            self._is_stopping = True
            self._tell_change()

    def _renew_leases(self) -> None:
        pause = self._tools.policy.runner.lease_seconds / 3
        while not self._finished.wait(pause):
            for claim in self._held.all():
                # A lost one is done to its end all the same: its answer comes too late and is refused then.
                self._store.renew(claim)

    def _do_tasks(self, worker_id: str) -> None:
        adapters: dict[str, tuple[Agent, Adapter]] = {}
        pause, seen = SHORTEST_PAUSE, self._changes
        while not self._is_stopping:
            claim = self._claim(worker_id)
            if claim is not None:
                with self._held.kept(claim):
                    self._do(claim, adapters)
                self._tell_change()
                pause, seen = SHORTEST_PAUSE, self._changes
                continue
            due = self._store.next_due(self._run_id)
            wait = pause if due is None else min(pause, (due - self._tools.clock()).total_seconds())
            pause = SHORTEST_PAUSE if seen != self._changes else min(2 * pause, LONGEST_PAUSE)
            seen = self._await_change(seen, max(wait, 0.005))

    def _claim(self, worker_id: str) -> Claim | None:
        """Take a task, having read the registry: what cannot be read must not cost a task its time."""
        if self._registry is None and not self._store.has_work(self._run_id):
            return None
        self._look_at_the_registry()
        return self._store.claim(worker_id, self._run_id)

    def _look_at_the_registry(self) -> None:
        """Read the registry, and again once it has changed. One that breaks meanwhile is used as it was."""
        with self._loading:
            if self._registry is None:
                self._registry = self._tools.load_registry()
            if time.monotonic() < self._registry_at:
                return
            self._registry_at = time.monotonic() + SECONDS_BETWEEN_LOOKS_AT_THE_REGISTRY
            if not self._registry.is_stale():
                return
            try:
                self._registry = self._tools.load_registry()
                self._registry_fault = ""
                self._store.look_for_agents(self._run_id)
            except MissionPipelineError as fault:
                if self._registry_fault != str(fault):
                    self._tools.say(f"the registry is used as it was: {fault}")
                self._registry_fault = str(fault)

    def _do(self, claim: Claim, adapters: dict[str, tuple[Agent, Adapter]]) -> None:
        """Do one attempt of a task, from the choice of its agent to its result."""
        reach = self._tools.failpoints.reach
        reach("after_claim")
        takeovers = self._tools.policy.for_mission(claim.mission_id).runner.max_takeovers
        if claim.takeovers > takeovers:
            fault = AgentFault(
                f"{claim.takeovers} workers in turn were not heard of again while they had this attempt."
            )
            self._tell(claim, self._is_kept_as_failed(claim, fault, None), f"failed: {fault}")
            return
        assert self._registry is not None
        agents = self._registry.agents
        choice = self._tools.router.choose(claim, agents)
        if choice is None and claim.agent_id is None:
            self._put_back(claim)
            return
        if choice is None or claim.agent_id not in (None, choice.agent_id):
            fault = AgentFault(f"No agent could be asked: of {claim.agent_id} none is available any more.")
            self._tell(claim, self._is_kept_as_failed(claim, fault, None), f"failed: {fault}")
            return
        self._missing.pop((claim.run_id, claim.task_id), None)
        if not self._store.choose(claim, choice):
            self._tell(claim, False, "")
            return
        reach("after_choose")
        start = time.monotonic()
        answer = self._answer(claim, agents[choice.agent_id], adapters)
        seconds = time.monotonic() - start
        reach("after_call")
        by = f"by {choice.agent_id} in {seconds:.1f} s"
        if not isinstance(answer, AgentFault):
            try:
                is_kept = self._store.complete(claim, answer, seconds)
            except (TypeError, ValueError, RecursionError) as error:
                answer = AgentFault(f"Its answer cannot be kept: {error}")
        if isinstance(answer, AgentFault):
            is_kept = self._is_kept_as_failed(claim, answer, seconds)
            said = f"{answer.outcome.replace('_', ' ')} {by}: {answer}"
        else:
            said = f"{'done ' + by + ', waits for a person' if claim.requires_approval else 'completed ' + by}"
            said += f": {answer.summary}" if answer.summary else ""
            if is_kept:
                with self._changed:
                    self._done += 1
        reach("after_complete")
        self._tell(claim, is_kept, said)

    def _is_kept_as_failed(self, claim: Claim, fault: AgentFault, seconds: float | None) -> bool:
        """Let an attempt fail, and count it; False: it came too late."""
        is_kept = self._store.fail(claim, fault, seconds)
        if is_kept:
            with self._changed:
                self._failed += 1
        return is_kept

    def _put_back(self, claim: Claim) -> None:
        """Let a task wait for an agent, and say once who is missing."""
        reason = f"No agent could be asked: of {', '.join(claim.capable_agents)} none is available. The task waits."
        is_kept = self._store.put_back(claim, reason)
        task = (claim.run_id, claim.task_id)
        if not is_kept or self._missing.get(task) != reason:
            self._tell(claim, is_kept, f"waits: {reason}")
        if is_kept:
            self._missing[task] = reason

    def _answer(self, claim: Claim, agent: Agent, adapters: dict[str, tuple[Agent, Adapter]]) -> Answer | AgentFault:
        """Call the agent. Whatever it does, and whatever is wrong with the way to it, fails the attempt alone."""
        policy = self._tools.policy.for_mission(claim.mission_id)
        try:
            known = adapters.get(agent.agent_id)
            if known is None or known[0] != agent:
                known = adapters[agent.agent_id] = (agent, adapter_for(agent, policy))
            return known[1].call(request_for(claim, claim.rejection), timeout_seconds=policy.runner.call_seconds)
        except AgentFault as fault:
            return fault
        except Exception as fault:
            return AgentFault(f"{type(fault).__name__}: {fault}")

    def _tell(self, claim: Claim, is_kept: bool, said: str) -> None:
        attempt = f" (attempt {claim.attempt})" if claim.attempt > 1 else ""
        said = said if is_kept else f"too late: {self._store.why_too_late(claim)}"
        self._tools.say(f"{claim.run_id}  {claim.task_id}{attempt} {said}")

    # ------------------------------------------------------------------ waking each other

    def _tell_change(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
        self._bell.put(None)

    def _await_change(self, seen: int, seconds: float) -> int:
        """Wait for a change since the one seen, or that long; return the newest."""
        with self._changed:
            if self._changes == seen and not self._is_stopping:
                self._changed.wait(seconds)
            return self._changes

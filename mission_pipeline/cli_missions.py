"""The commands that run missions: read options, call one thing, print what it gave. The approvers' page is not here.

Facts go to standard output, progress and faults to standard error, as with every command of ``mission``. What is slow
to load is loaded by the commands that need it.
"""

from __future__ import annotations

import getpass
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mission_pipeline.cli import (
    JsonOption,
    PolicyOption,
    RawDataOption,
    WarehouseOption,
    _console,
    _leave,
    _print_json,
    _print_lines,
    _progress,
    _say_fault,
    _settings,
    app,
)
from mission_pipeline.errors import DecidedBefore, MissionPipelineError, PlanFault, ResultChanged
from mission_pipeline.settings import Settings

if TYPE_CHECKING:
    from mission_pipeline.runner.failpoints import Failpoints
    from mission_pipeline.runner.model import Decision, Verdict
    from mission_pipeline.runner.store import Missions
    from mission_pipeline.runner.worker import Tools, Worker

RUN_FAILED = 4
"""Exit code of ``mission run`` when the run failed or was cancelled."""

INTERRUPTED = 130

PANEL = "Missions"

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `mission runs` lists it.")]
GateArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the gate, as `mission approvals` lists it.")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides.")]
SeenOption = Annotated[
    str | None,
    typer.Option(
        "--seen",
        metavar="SHA256",
        help="Hash of the result that you judged, as `mission approvals --json` has it: another result is refused.",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", min=1, max=256, metavar="N", help="How many tasks to do at the same time.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many to list at most.")]


@app.command(rich_help_panel=PANEL)
def run(
    mission: Annotated[str, typer.Argument(metavar="MISSION", help="Id of the mission, such as M002.")],
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="JSON object that the mission works on. Default: the mission's sample in mission_inputs/.",
            show_default=False,
        ),
    ] = None,
    requested_by: Annotated[
        str | None, typer.Option("--requested-by", metavar="NAME", help="Who asks for it.", show_default=False)
    ] = None,
    priority: Annotated[
        str | None,
        typer.Option(
            "--priority",
            metavar="P",
            help="Such as high; the policy says which go first, and which last.",
            show_default=False,
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only create it; `mission worker` does it.")] = False,
    threads: ThreadsOption = 4,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a mission until it ends, or waits for a person or an agent.

    A plan with a fault is refused before anything starts. Exit code 0: completed, or waiting; 4: failed or cancelled.
    """
    settings = _settings(raw_data, warehouse, policy)
    say = _progress()
    with _workshop(settings, say) as (store, tools):
        from mission_pipeline.runner.start import history_of, mission_input
        from mission_pipeline.runner.worker import Worker
        from mission_pipeline.warehouse import Warehouse

        if not mission.strip():
            raise PlanFault(f"There is no mission {mission!r} in {settings.raw_data}. Name one, such as M001.")
        limits = tools.policy.for_mission(mission).runner
        given, sample = mission_input(input_file, settings.raw_data, mission, max_bytes=limits.max_answer_bytes)
        registry = tools.load_registry()
        plan = registry.plan(mission)
        history = history_of(mission, Warehouse(settings.warehouse), tools.policy)
        run_id = store.create_run(
            plan,
            mission_input=given,
            requested_by=requested_by,
            priority=priority,
            usual_minutes=history.usual_minutes,
            previous_kpis=history.previous_kpis,
        )
        is_sample = sample is not None and input_file is None
        say(f"{run_id}  {mission} created{f', with the sample input {sample}' if is_sample else ''}")
        was_stopped = False
        if not detach:
            was_stopped = _work(Worker(store, tools, threads=threads, run_id=run_id, registry=registry), say)
        state = store.state(run_id)
    if as_json:
        _print_json(_summary(state))
    else:
        from mission_pipeline.runner import lines

        _print_lines(_console(), ["", *lines.of_run(state, _options(settings, raw_data, warehouse, policy))])
    if was_stopped and state["status"] == "running":
        raise typer.Exit(INTERRUPTED)
    if state["status"] in ("failed", "cancelled"):
        raise typer.Exit(RUN_FAILED)


@app.command(rich_help_panel=PANEL)
def worker(
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when every run has ended, or waits for a person or an agent.")
    ] = False,
    threads: ThreadsOption = 4,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Work on every run that can go on. Several workers share the work; Ctrl-C ends one after the tasks at hand."""
    settings = _settings(raw_data, warehouse, policy)
    say = _progress()
    with _workshop(settings, say) as (store, tools):
        from mission_pipeline.runner.worker import Worker

        working = Worker(store, tools, threads=threads, until_idle=until_idle)
        say(f"working on the runs of {settings.store_url}" + ("" if until_idle else "; Ctrl-C ends it"))
        _work(working, say)
        facts = {
            "tasks_done": working.tasks_done,
            "attempts_failed": working.attempts_failed,
            "gates_acted_on": working.gates_acted_on,
            "waiting_for_people": store.number_of_open_approvals(),
            "waiting_for_agents": store.number_of_tasks_without_agent(),
        }
    options = _options(settings, raw_data, warehouse, policy)
    _show(as_json, facts, lambda lines: lines.of_worker(facts, options))
    if working.telemetry_fault is not None:
        raise typer.Exit(MissionPipelineError.exit_code)


@app.command(rich_help_panel=PANEL)
def runs(
    limit: LimitOption = 20,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs of the runner's store, the newest first."""
    settings = _settings(raw_data, warehouse, policy)
    with _store(settings) as store:
        found = store.runs(limit)
    options = _options(settings, raw_data, warehouse, policy)
    _show(as_json, found, lambda lines: lines.of_runs(found, options))


@app.command(rich_help_panel=PANEL)
def status(
    run_id: RunArgument,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run: its tasks, who does them and why, open gates, risks and KPIs."""
    settings = _settings(raw_data, warehouse, policy)
    with _store(settings) as store:
        state = store.state(run_id)
        attempts = store.max_attempts(state["mission_id"])
    options = _options(settings, raw_data, warehouse, policy)
    _show(as_json, state, lambda lines: lines.of_state(state, options, attempts))


@app.command(rich_help_panel=PANEL)
def approvals(
    decided: Annotated[bool, typer.Option("--decided", help="Those decided, the newest first, instead.")] = False,
    limit: LimitOption = 20,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits for a person to approve or reject it, the oldest first."""
    settings = _settings(raw_data, warehouse, policy)
    options = _options(settings, raw_data, warehouse, policy)
    with _store(settings) as store:
        if decided:
            found = store.decided_approvals(limit, has_values=as_json)
            _show(as_json, found, lambda lines: lines.of_decided(found))
            return
        found = store.open_approvals(limit, has_values=as_json)
        more = max(store.number_of_open_approvals() - len(found), 0)
        attempts = {gate["mission_id"]: store.max_attempts(gate["mission_id"]) for gate in found}
        states = {} if as_json else {run_id: store.state(run_id) for run_id in {gate["run_id"] for gate in found}}

    def shown(lines: Any) -> list[str]:
        told = {
            gate["approval_id"]: lines.to_know(
                states[gate["run_id"]], gate["task_id"], gate["attempt"], attempts[gate["mission_id"]]
            )
            for gate in found
        }
        return list(lines.of_gates(found, options, told, more))

    _show(as_json, found, shown)
    if as_json and more:
        _say_fault(f"{more:,} more {'waits' if more == 1 else 'wait'}, less long: --limit N lists them.")


@app.command(rich_help_panel=PANEL)
def approve(
    approval_id: GateArgument,
    by: ByOption,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = None,
    seen: SeenOption = None,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a result, so that its run goes on. Exit code 5: somebody else decided first, or the result changed."""
    _decide(approval_id, "approved", by, reason, seen, (raw_data, warehouse, policy), as_json)


@app.command(rich_help_panel=PANEL)
def reject(
    approval_id: GateArgument,
    by: ByOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What the next attempt is to do better.")],
    seen: SeenOption = None,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject a result: another attempt is made, within the policy's bound. Exit code 5 as with approve."""
    _decide(approval_id, "rejected", by, reason, seen, (raw_data, warehouse, policy), as_json)


@app.command(rich_help_panel=PANEL)
def cancel(
    run_id: RunArgument,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="NAME", help="Who cancels it. Default: your login name.", show_default=False),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = None,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a run now. What an agent is doing for it at this moment is not used any more."""
    settings = _settings(raw_data, warehouse, policy)
    with _store(settings) as store:
        store.cancel(run_id, by=by or _login_name(), reason=reason)
        _write_telemetry(store, settings)
        state = store.state(run_id)
    options = _options(settings, raw_data, warehouse, policy)
    _show(as_json, _summary(state), lambda lines: lines.of_run(state, options))


@app.command(rich_help_panel=PANEL, context_settings={"ignore_unknown_options": True})
def kpi(
    run_id: RunArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the KPI, as the mission's targets have it.")],
    value: Annotated[float, typer.Argument(metavar="VALUE", help="What was observed.")],
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record an outcome that became known later. The record of a run that has ended is corrected."""
    settings = _settings(raw_data, warehouse, policy)
    with _store(settings) as store:
        store.observe_kpi(run_id, name, value)
        _write_telemetry(store, settings)
        state = store.state(run_id)
    _show(as_json, _summary(state), lambda lines: lines.of_kpi(state, name))


# ---------------------------------------------------------------------- what the commands share


@contextmanager
def _store(settings: Settings, tools: Tools | None = None) -> Iterator[Missions]:
    """Open the store; a worker's clock, policy and failpoints are its tools'."""
    from mission_pipeline.policy import load_policy
    from mission_pipeline.runner.store import open_store

    failpoints = _failpoints(settings) if tools is None else tools.failpoints
    clock = settings.running_clock() if tools is None else tools.clock
    policy = load_policy(settings.policy_file) if tools is None else tools.policy
    store = open_store(settings.store_url, clock=clock, policy=policy)
    if failpoints.is_armed("before_commit"):
        from mission_pipeline.runner.failpoints import watch_commits

        watch_commits(failpoints)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _workshop(settings: Settings, say: Callable[[str], None]) -> Iterator[tuple[Missions, Tools]]:
    """Open the store, with what a worker needs beside it."""
    from mission_pipeline.policy import load_policy
    from mission_pipeline.runner.registry import load_registry
    from mission_pipeline.runner.routing import Router
    from mission_pipeline.runner.worker import Tools
    from mission_pipeline.warehouse import Warehouse

    policy, clock = load_policy(settings.policy_file), settings.running_clock()
    tools = Tools(
        load_registry=lambda: load_registry(settings.raw_data, policy, clock()),
        router=Router(Warehouse(settings.warehouse), policy),
        policy=policy,
        raw_data=settings.raw_data,
        clock=clock,
        failpoints=_failpoints(settings),
        say=say,
    )
    with _store(settings, tools) as store:
        yield store, tools


def _failpoints(settings: Settings) -> Failpoints:
    from mission_pipeline.runner.failpoints import Failpoints

    try:
        return Failpoints(settings.failpoint)
    except ValueError as error:
        raise MissionPipelineError(f"MISSION_FAILPOINT: {error}. Correct it or unset it.") from error


def _work(working: Worker, say: Callable[[str], None]) -> bool:
    """Work until done, or until a signal asks to end; return whether one did.

    The first signal lets the tasks at hand be finished; the second leaves them, and another worker takes them up again
    when their lease is over.
    """
    asked_to_end = False

    def end(number: int, _frame: object) -> None:
        nonlocal asked_to_end
        if asked_to_end:
            _leave(INTERRUPTED if number == signal.SIGINT else 128 + number)
        asked_to_end = True
        working.stop()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        working.work()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return asked_to_end


def _decide(
    approval_id: str,
    verdict: Verdict,
    by: str,
    reason: str | None,
    seen: str | None,
    places: tuple[Path | None, Path | None, Path | None],
    as_json: bool,
) -> None:
    settings = _settings(*places)
    with _store(settings) as store:
        try:
            decision = store.decide(approval_id, verdict, by=by, reason=reason, seen_sha256=seen)
        except DecidedBefore as late:
            if as_json:
                _print_json(_refusal(late))
            raise
        _failpoints(settings).reach("after_decide")
        _write_telemetry(store, settings)
        state = store.state(decision.run_id)
    facts = {
        "approval_id": decision.approval_id,
        "run_id": decision.run_id,
        "task_id": decision.task_id,
        **_decided(decision),
        "status": state["status"],
    }
    options = _options(settings, *places)
    _show(as_json, facts, lambda lines: lines.of_decision(decision, state, options))


def _refusal(late: DecidedBefore) -> dict[str, Any]:
    """Return for a program why its decision does not stand: what stands instead, or the gate to look at."""
    if isinstance(late, ResultChanged):
        return {"error": str(late), "approval_id": late.approval_id}
    decision: Any = getattr(late, "decision", None)
    return {"error": str(late), "decision": None if decision is None else _decided(decision)}


def _decided(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "decided_by": decision.decided_by,
        "decided_at": f"{decision.decided_at.isoformat()}Z",
        "reason": decision.reason,
    }


def _write_telemetry(store: Missions, settings: Settings) -> None:
    """Write what waits, as of a run that ended just now. What hinders it is said; the store keeps the telemetry."""
    from mission_pipeline.runner.outbox import TelemetryNotWritten, export_telemetry

    if not store.pending_telemetry(1):
        return
    try:
        export_telemetry(store, settings.raw_data, failpoints=_failpoints(settings))
    except TelemetryNotWritten as fault:
        _say_fault(str(fault))


def _summary(state: dict[str, Any]) -> dict[str, Any]:
    """Return a run in short: where it stands, why tasks do not go on, and which gates are open."""
    gates = [gate["approval_id"] for gate in state["hitl_queue"]]
    return {
        "run_id": state["run_id"],
        "mission_id": state["mission_id"],
        "status": state["status"],
        "task_status_by_id": state["task_status_by_id"],
        "blocked_reason_by_id": state["blocked_reason_by_id"],
        "waiting_for_agent_by_id": state["waiting_for_agent_by_id"],
        "approvals": gates,
    }


def _show(as_json: bool, facts: Any, lines_of: Callable[[Any], list[str]]) -> None:
    """Print facts as JSON, or the lines that the runner has for them."""
    if as_json:
        _print_json(facts)
        return
    from mission_pipeline.runner import lines

    _print_lines(_console(), lines_of(lines))


def _options(settings: Settings, raw_data: Path | None, warehouse: Path | None, policy: Path | None) -> str:
    """Return the options that the next command needs to find the same places, to be put behind it."""
    import shlex

    given = {
        "--raw-data": raw_data and settings.raw_data,
        "--warehouse": warehouse and settings.warehouse,
        "--policy": policy and settings.policy_file,
    }
    return "".join(f" {option} {shlex.quote(str(place))}" for option, place in given.items() if place)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"

"""The ``mission inbox`` command: opens the store, serves the page, prints the link. Decides nothing itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mission_pipeline.cli import PolicyOption, RawDataOption, WarehouseOption, _settings, app
from mission_pipeline.cli_missions import PANEL

if TYPE_CHECKING:
    from mission_pipeline.runner.store import Missions

PORT = 8400

PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port on this machine; 0 takes any that is free.")
]


@app.command(rich_help_panel=PANEL)
def inbox(
    port: PortOption = PORT,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
) -> None:
    """Open the page where people look at results and approve or reject them. Ctrl-C ends it.

    It answers on this machine alone, and only to whoever has the link that is printed.
    """
    from datetime import timedelta

    from mission_pipeline.policy import load_policy
    from mission_pipeline.runner.inbox.access import Access, kept_token
    from mission_pipeline.runner.inbox.app import Inbox, inbox_app
    from mission_pipeline.runner.inbox.serve import serve
    from mission_pipeline.runner.store import open_store

    settings = _settings(raw_data, warehouse, policy)
    limits, clock = load_policy(settings.policy_file), settings.running_clock()
    missions = open_store(settings.store_url, clock=clock, policy=limits)
    try:
        access = Access(kept_token(settings.warehouse), timedelta(hours=limits.runner.inbox.session_hours))
        shown = Inbox(missions, access, limits, clock, on_decision=_telemetry_writer(missions, settings.raw_data))
        serve(inbox_app(shown), port=port, token=access.token, on_ready=_say_ready)
    finally:
        missions.close()


def _telemetry_writer(missions: Missions, raw_data: Path) -> Callable[[], None]:
    """Return what writes telemetry after a decision that ended its run; no worker may be there to do it.

    What hinders it is said here, not to the approver: the decision stands, and a worker writes the telemetry later.
    """
    from mission_pipeline.runner.outbox import TelemetryNotWritten, export_telemetry

    def write() -> None:
        try:
            if missions.pending_telemetry(1):
                export_telemetry(missions, raw_data, wait_seconds=0)
        except TelemetryNotWritten as fault:
            sys.stderr.write(f"{fault}\n")

    return write


def _say_ready(link: str) -> None:
    """Print the link alone on a line of standard output, so that a script can take it."""
    sys.stderr.write("The inbox is open at this link, until Ctrl-C. Whoever has the link can decide.\n")
    sys.stderr.flush()
    sys.stdout.write(f"{link}\n")
    sys.stdout.flush()

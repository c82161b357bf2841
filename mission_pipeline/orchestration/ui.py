"""Serves Dagster's UI on this machine, with its daemon, on the history that the command writes. Runs no refresh."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from mission_pipeline.errors import MissionPipelineError
from mission_pipeline.orchestration.home import WORKSPACE_FILE, prepare_home
from mission_pipeline.settings import Settings

HOST = "127.0.0.1"
STOP_SECONDS = 20.0


def serve_ui(settings: Settings, *, port: int) -> int:
    """Serve until Ctrl-C; return the exit code.

    The webserver shows what there is; the daemon runs the schedules, the sensor, backfills and queued runs.

    Raises:
        MissionPipelineError: the port is taken, or the history cannot be written.

    """
    _refuse_a_taken_port(port)
    home = prepare_home(settings.dagster_home)
    # A command that a script starts in the background has Ctrl-C switched off, and would hand that on to Dagster.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    process = subprocess.Popen(  # noqa: S603 - the command is this file's own
        [
            *(sys.executable, "-W", "ignore", "-m", "dagster", "dev"),
            *("--host", HOST, "--port", str(port), "--workspace", str(home / WORKSPACE_FILE)),
        ],
        cwd=home,
        env={
            **os.environ,
            "DAGSTER_HOME": str(home),
            "MISSION_RAW_DATA": str(settings.raw_data),
            "MISSION_WAREHOUSE": str(settings.warehouse),
            "MISSION_POLICY": str(settings.policy_file),
        },
        start_new_session=True,  # so that Ctrl-C reaches it once, from here
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return 0


def _refuse_a_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise MissionPipelineError(
                f"Port {port} cannot be used ({error.strerror}). Choose another one with --port."
            ) from error

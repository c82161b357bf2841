"""Real agents for tests of the runner: policies that allow them, requests, servers on loopback, processes that end."""

import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mission_pipeline.policy import Policy
from mission_pipeline.runner.adapters import adapter_for
from mission_pipeline.runner.model import Agent, Claim

REQUEST = {
    "key": "RUN_1:T1:2", "run_id": "RUN_1", "mission_id": "M", "mission_name": "Mission", "task_id": "T1",
    "task_name": "Task", "attempt": 2, "input": {"deal": "D-1"}, "results": {"T0": {"score": 1}}, "rejection": None,
}  # fmt: skip


def with_runner(policy, **values):
    """The policy with other values in its section on the runner."""
    whole = policy.model_dump()
    return Policy.model_validate({**whole, "runner": {**whole["runner"], **values}})


def allowing(policy, **values):
    """A policy under which the agents of tests may be called: this Python, their module, loopback."""
    allowed = {"python_modules": ["sample_agents"], "commands": [sys.executable], "http_hosts": ["127.0.0.1"]}
    return with_runner(policy, **{**allowed, **values})


def agent(agent_id="A", status="available", **endpoint):
    """An agent; without an endpoint it cannot be reached."""
    return Agent(agent_id, None, status, endpoint or None)


def python_agent(name):
    return agent(kind="python", callable=f"sample_agents:{name}")


def script(code, *arguments):
    """An agent that is a Python script, given as text."""
    return agent(kind="command", arguments=[sys.executable, "-S", "-c", code, *arguments])


def call(agent_, policy, request=REQUEST, seconds=10.0):
    """Call an agent by its adapter."""
    return adapter_for(agent_, policy).call(request, timeout_seconds=seconds)


def claim(task_id="T1", attempt=1, capable=("A", "B"), tried=(), agent_id=None, run_id="RUN_1", **fields):
    """A claim as the store hands it out."""
    return Claim(
        run_id=run_id, mission_id="M", mission_name=None, task_id=task_id, task_name=None, attempt=attempt, fence=1,
        worker_id="w", lease_until=datetime(2026, 3, 1), estimated_minutes=None, requires_approval=False,
        capable_agents=tuple(capable), tried=tuple(tried), agent_id=agent_id, mission_input={}, results={}, **fields,
    )  # fmt: skip


@contextmanager
def serving(handle):
    """A real server on loopback: `handle(handler, body)` answers each POST; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            handle(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/task"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(handler, body, status=200, **headers):
    """Send a whole response."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def is_gone(pid):
    """Whether a process has ended; one that only waits to be asked how it ended is gone too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def all_gone(pids, seconds=5.0):
    """Whether processes end within a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(is_gone(pid) for pid in pids):
            return True
        time.sleep(0.01)
    return False

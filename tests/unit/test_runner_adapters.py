"""Calls of real agents: functions in a child process, programs, servers. Whatever they do, a call ends with a sentence."""

import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from agents import REQUEST, agent, all_gone, allowing, call, claim, is_gone, python_agent, reply, script, serving

from mission_pipeline.runner.adapters import adapter_for, python, request_for
from mission_pipeline.runner.model import AgentFault

GOOD = '{"status": "completed", "result": {"ok": true}}'


@pytest.fixture(scope="module")
def allowed(policy):
    return allowing(policy, max_answer_bytes=1000)


@pytest.fixture(autouse=True)
def own_child(monkeypatch):
    """A child process that finds the agents of the tests, and none left of another test."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    python.end_child()
    yield
    python.end_child()


def fault_of(agent_, policy, request=REQUEST, seconds=10.0):
    with pytest.raises(AgentFault) as caught:
        call(agent_, policy, request, seconds)
    return str(caught.value), caught.value.outcome


def noted_pids(file):
    return [int(pid) for pid in file.read_text().split()]


# ------------------------------------------------------------------ what every way has in common


def test_a_request_says_all_that_an_agent_may_know():
    asked = request_for(claim(attempt=2), "too long")
    assert asked == {
        "key": "RUN_1:T1:2", "run_id": "RUN_1", "mission_id": "M", "mission_name": None, "task_id": "T1",
        "task_name": None, "attempt": 2, "input": {}, "results": {}, "rejection": "too long",
    }  # fmt: skip


@pytest.mark.parametrize(("endpoint", "says"), [
    ({}, "it has no endpoint."),
    ({"kind": "shell"}, "an endpoint that has the kind 'shell', not one of python, command, http."),
    ({"kind": ["python"]}, "has the kind ['python'], not one of"),
    ({"kind": "python"}, "has the callable None, not one such as module:function."),
    ({"kind": "python", "callable": "sample_agents"}, "has the callable 'sample_agents', not one such as"),
    ({"kind": "python", "callable": "os:system"}, "names the module os, which runner.python_modules of the policy does not allow."),
    ({"kind": "python", "callable": "sample_agents_2:f"}, "names the module sample_agents_2, which"),
    ({"kind": "python", "callable": "sample_agents:os.system"}, "not one such as module:function."),
    ({"kind": "python", "callable": "sample_agents\n:f"}, "not one such as module:function."),
    ({"kind": "command"}, "has no arguments as a list of texts, the program first."),
    ({"kind": "command", "arguments": []}, "has no arguments as a list"),
    ({"kind": "command", "arguments": "echo hello"}, "has no arguments as a list"),
    ({"kind": "command", "arguments": [sys.executable, 5]}, "has no arguments as a list"),
    ({"kind": "command", "arguments": [sys.executable, "a\x00b"]}, "has no arguments as a list"),
    ({"kind": "command", "arguments": ["/bin/sh", "-c", "true"]}, "names the command /bin/sh, which runner.commands of the policy does not allow."),
    ({"kind": "command", "arguments": [f"{sys.executable} -c"]}, "which runner.commands of the policy does not allow."),
    ({"kind": "http"}, "has the URL None, not one such as http://127.0.0.1:8080/task."),
    ({"kind": "http", "url": "http://example.org/x"}, "names the host example.org, which runner.http_hosts of the policy does not allow."),
    ({"kind": "http", "url": "http://127.0.0.1.example.org/"}, "names the host 127.0.0.1.example.org, which"),
    ({"kind": "http", "url": "http://127.0.0.1@example.org/"}, "has a URL with a user name or password in it."),
    ({"kind": "http", "url": "http://example.org\\@127.0.0.1/"}, "not one such as"),
    ({"kind": "http", "url": "http://127.0.0.1 /"}, "not one such as"),
    ({"kind": "http", "url": "http://127.0.0.1:x/"}, "has the URL http://127.0.0.1:x/, which cannot be read"),
    ({"kind": "http", "url": "http://[::1/"}, "which cannot be read"),
    ({"kind": "http", "url": "file:///etc/passwd"}, "not one such as"),
])  # fmt: skip
def test_data_chooses_nothing_that_the_policy_does_not_allow(allowed, endpoint, says):
    with pytest.raises(AgentFault) as caught:
        adapter_for(agent(**endpoint), allowed)
    assert str(caught.value).startswith("Agent A cannot be called: it has ")
    assert says in str(caught.value)


def test_a_module_within_an_allowed_one_may_be_called(policy):
    within = allowing(policy, python_modules=["mission_pipeline.runner"])
    assert adapter_for(
        agent(kind="python", callable="mission_pipeline.runner.shipped_agents.sales:advance_deal"), within
    )


@pytest.mark.parametrize(
    "asked",
    [
        python_agent("environment"),
        script("import json, os; print(json.dumps({'status': 'completed', 'result': {'names': sorted(os.environ)}}))"),
    ],
    ids=["python", "command"],
)
def test_an_agent_is_not_told_the_settings_of_its_worker(allowed, monkeypatch, asked):
    """The URL of the store may hold a password."""
    monkeypatch.setenv("MISSION_STORE", "postgresql://runner:secret@127.0.0.1/missions")
    monkeypatch.setenv("OF_THE_OPERATOR", "kept")
    names = call(asked, allowed).result["names"]
    assert "OF_THE_OPERATOR" in names
    assert not [name for name in names if name.startswith("MISSION_")]


# ------------------------------------------------------------------ python


def test_a_function_gets_the_request_and_its_child_is_used_again(policy):
    wide = allowing(policy)
    first, second = (call(python_agent("echo"), wide).result for _ in range(2))
    assert first["request"] == REQUEST
    assert first["pid"] == second["pid"] != os.getpid()


def test_each_thread_has_its_child_which_ends_with_it(policy):
    wide, pids = allowing(policy), []

    def work():
        pids.append(call(python_agent("echo"), wide).result["pid"])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 2
    assert all_gone(pids)


def test_what_an_agent_prints_is_no_part_of_its_answer_and_it_can_read_no_call(allowed):
    assert call(python_agent("prints"), allowed).result == {"heard": ""}
    assert call(python_agent("prints"), allowed).result == {"heard": ""}


def test_a_flood_of_prints_stops_nobody(allowed):
    assert call(python_agent("floods_errors"), allowed).result == {"done": True}
    assert call(python_agent("floods_errors"), allowed).result == {"done": True}


@pytest.mark.parametrize(("name", "says"), [
    ("too_large", "Agent A gave an answer of more than 1000 bytes."),
    ("not_a_number", "Agent A gave a bad answer: it has the value NaN, which is no number of JSON."),
    ("a_list", "Agent A gave a bad answer: it is [1, 2], not an object."),
    ("no_json", "Agent A raised TypeError: Object of type set is not JSON serializable"),
    ("raises", "Agent A raised ValueError: the form is empty"),
    ("leaves", "Agent A raised SystemExit: bye"),
    ("is_not_there", "Agent A raised AttributeError: module 'sample_agents' has no attribute 'is_not_there'"),
    ("crashes", "Agent A ended with exit code 3 before it answered. Its last words: about to fall"),
    ("killed", "Agent A ended by signal 9 before it answered."),
    ("half_an_answer", "Agent A ended with exit code 0 before it answered."),
])  # fmt: skip
def test_a_bad_function_fails_the_attempt_and_the_next_call_is_well(allowed, name, says):
    assert fault_of(python_agent(name), allowed) == (says, "failed")
    assert call(python_agent("prints"), allowed).result == {"heard": ""}


def test_a_module_that_is_not_there_fails_the_attempt(policy):
    found, _ = fault_of(agent(kind="python", callable="missing.agents:f"), allowing(policy, python_modules=["missing"]))
    assert found == (
        "Agent A cannot be called: there is no Python module 'missing' here. Install it where the worker runs, or put "
        "its folder on PYTHONPATH."
    )


@pytest.mark.parametrize("name", ["hangs", "deaf"])
def test_a_function_that_hangs_is_ended_with_what_it_started(allowed, tmp_path, name):
    request = {**REQUEST, "input": {"pids": str(tmp_path / "pids")}}
    start = time.monotonic()
    found = fault_of(python_agent(name), allowed, request, seconds=1)
    assert found == ("Agent A did not answer within 1 s.", "timed_out")
    assert time.monotonic() - start < 3
    pids = noted_pids(tmp_path / "pids")
    assert len(pids) == 2
    assert all_gone(pids)
    assert call(python_agent("prints"), allowed).result == {"heard": ""}


def test_a_child_whose_worker_is_killed_ends_in_the_middle_of_a_call(tmp_path):
    code = (
        "from mission_pipeline.runner.adapters.python import PythonAdapter\n"
        f"PythonAdapter('A', 'sample_agents:hangs', 1000).call({{'input': {{'pids': {str(tmp_path / 'pids')!r}}}}}, "
        "timeout_seconds=60)"
    )
    import subprocess

    worker = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 20
    while not (tmp_path / "pids").exists() or len(noted_pids(tmp_path / "pids")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pids = noted_pids(tmp_path / "pids")
    assert not any(is_gone(pid) for pid in pids)
    worker.kill()
    worker.wait()
    assert all_gone(pids)


def test_a_child_that_somebody_killed_between_calls_is_started_anew(policy):
    wide = allowing(policy)
    pid = call(python_agent("echo"), wide).result["pid"]
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # until the last of its threads has ended
    assert call(python_agent("echo"), wide).result["pid"] != pid


def test_a_child_starts_at_once(allowed):
    start = time.monotonic()
    call(python_agent("prints"), allowed)
    assert time.monotonic() - start < 1  # 0.03 s on an idle machine; Polars alone would take half a second


def test_the_shipped_agents_load_little(policy):
    loaded = set(call(python_agent("loaded"), allowing(policy)).result["modules"])
    assert "mission_pipeline.runner.shipped_agents.sales" in loaded
    assert not loaded & {"polars", "duckdb", "pydantic", "dagster", "sqlalchemy", "httpx", "mission_pipeline.policy"}


# ------------------------------------------------------------------ command


def test_a_program_gets_the_request_and_no_shell_sees_its_arguments(policy):
    odd = ["; touch pwned", "$(touch pwned)", "`id`", "a b", "*", ""]
    code = (
        "import json, sys\n"
        "print(json.dumps({'status': 'completed', 'result': {'request': json.load(sys.stdin), 'arguments': sys.argv[1:]}}))"
    )
    found = call(script(code, *odd), allowing(policy)).result
    assert found == {"request": REQUEST, "arguments": odd}


def test_a_program_may_answer_without_reading_a_large_request(allowed):
    request = {**REQUEST, "input": {"text": "x" * 1_000_000}}
    assert call(script(f"print({GOOD!r})"), allowed, request).result == {"ok": True}


@pytest.mark.parametrize(("code", "says"), [
    ("print('hello')", "Agent A gave a bad answer: it is not JSON (Expecting value: line 1 column 1 (char 0)): hello."),
    ("pass", "it is not JSON (Expecting value: line 1 column 1 (char 0)): nothing."),
    ("print('[1]')", "Agent A gave a bad answer: it is [1], not an object."),
    ("print('{\"status\": \"completed\", \"result\": {\"a\": NaN}}')", "it has the value NaN, which is no number of JSON."),
    ("import sys; sys.stdout.write('{\"status\": \"compl'); sys.stdout.flush()", "it is not JSON"),
    ("print('x' * 1001)", "Agent A gave an answer of more than 1000 bytes."),
    ("while True: print('x' * 65536)", "Agent A gave an answer of more than 1000 bytes."),
    ("import sys; sys.exit(3)", "Agent A ended with exit code 3."),
    ("import sys; sys.exit('no database')", "Agent A ended with exit code 1. Its last words: no database"),
    (f"print({GOOD!r}); raise SystemExit(2)", "Agent A ended with exit code 2."),
    ("import os; os.kill(os.getpid(), 9)", "Agent A ended by signal 9."),
    ("import sys; sys.stderr.write('e' * 5_000_000 + 'end'); sys.exit(1)", "Agent A ended with exit code 1. Its last words: eee"),
])  # fmt: skip
def test_a_bad_program_fails_the_attempt(allowed, code, says):
    found, outcome = fault_of(script(code), allowed)
    assert says in found
    assert len(found) < 1000
    assert outcome == "failed"


def test_a_flood_of_errors_does_not_spoil_a_good_answer(allowed):
    code = f"import sys; sys.stderr.write('e' * 5_000_000); print({GOOD!r})"
    assert call(script(code), allowed).result == {"ok": True}


def test_a_program_that_is_not_there_fails_the_attempt(policy):
    missing = agent(kind="command", arguments=["/nowhere/agent"])
    found = fault_of(missing, allowing(policy, commands=["/nowhere/agent"]))
    assert found == (
        "Agent A cannot be called: /nowhere/agent cannot be started (No such file or directory).",
        "failed",
    )


HANG = (
    "import os, subprocess, sys, time\n"
    "started = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
    "open(sys.argv[1], 'w').write(f'{os.getpid()} {started.pid}')\n"
)


@pytest.mark.parametrize(("code", "seconds"), [
    (HANG + "time.sleep(60)", 1),
    (HANG + f"print({GOOD!r}, flush=True); time.sleep(60)", 1),  # half a success is none: nobody knows how it ends
    (HANG + f"print({GOOD!r}, flush=True); os.close(1); time.sleep(60)", 1),
])  # fmt: skip
def test_a_program_that_hangs_is_ended_with_what_it_started(allowed, tmp_path, code, seconds):
    found = fault_of(script(code, str(tmp_path / "pids")), allowed, seconds=seconds)
    assert found == ("Agent A did not end within 1 s.", "timed_out")
    assert all_gone(noted_pids(tmp_path / "pids"))


def test_what_a_program_leaves_running_is_ended_and_delays_nothing(allowed, tmp_path):
    start = time.monotonic()
    answer = call(script(HANG + f"print({GOOD!r})", str(tmp_path / "pids")), allowed, seconds=20)
    assert answer.result == {"ok": True}
    assert time.monotonic() - start < 10
    assert all_gone(noted_pids(tmp_path / "pids"))


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="only Linux has it")
def test_where_memory_runs_out_the_agent_goes_first(policy):
    own = int(Path("/proc/self/oom_score_adj").read_text())
    wide = allowing(policy)
    call(python_agent("echo"), wide)
    pid = call(python_agent("echo"), wide).result["pid"]
    assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) == 1000 > own


def test_calls_leave_no_open_files_behind(allowed):
    call(script(f"print({GOOD!r})"), allowed)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for code in (f"print({GOOD!r})", "print('x' * 5000)", "raise SystemExit(1)"):
        try:
            call(script(code), allowed)
        except AgentFault:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# ------------------------------------------------------------------ http


def http_agent(url):
    return agent(kind="http", url=url)


def test_a_server_gets_the_request_and_the_key_in_a_header(allowed):
    seen = []

    def handle(handler, body):
        seen.append(
            (handler.path, handler.headers["Idempotency-Key"], handler.headers["Content-Type"], json.loads(body))
        )
        reply(handler, GOOD.encode())

    with serving(handle) as url:
        assert call(http_agent(url), allowed).result == {"ok": True}
    assert seen == [("/task", "RUN_1:T1:2", "application/json", REQUEST)]


def test_a_key_beyond_ascii_travels_percent_encoded(allowed):
    seen = []

    def handle(handler, body):
        seen.append((handler.headers["Idempotency-Key"], json.loads(body)["key"]))
        reply(handler, GOOD.encode())

    with serving(handle) as url:
        call(http_agent(url), allowed, {**REQUEST, "key": "RUN_1:Prüfung 1:1"})
    assert seen == [("RUN_1:Pr%C3%BCfung%201:1", "RUN_1:Prüfung 1:1")]


def sends(body=None, status=200, **headers):
    return lambda handler, _: reply(handler, GOOD.encode() if body is None else body, status, **headers)


def endless(handler, _):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65_536)


def half(handler, _):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status": "compl')
    handler.close_connection = True


def hangs_up(handler, _):
    handler.connection.close()


def no_http(handler, _):
    handler.wfile.write(b"SSH-2.0-server\r\n\r\n")
    handler.close_connection = True


def floods_headers(handler, _):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X: " + b"x" * 1000 + b"\r\n")


@pytest.mark.parametrize(("handle", "says"), [
    (floods_headers, "Agent A cannot be reached at http://127.0.0.1:"),
    (sends(b"<html>"), "Agent A gave a bad answer: it is not JSON (Expecting value: line 1 column 1 (char 0)): <html>."),
    (sends(b"[1]"), "Agent A gave a bad answer: it is [1], not an object."),
    (sends(b'{"status": "completed", "result": {"a": NaN}}'), "it has the value NaN, which is no number of JSON."),
    (sends(b"x" * 1001), "Agent A gave an answer of more than 1000 bytes."),
    (endless, "Agent A gave an answer of more than 1000 bytes."),
    (sends(b"busy", 503), "Agent A answered with status 503: busy"),
    (sends(b"", 204), "Agent A answered with status 204."),
    (sends(GOOD.encode(), 404), "Agent A answered with status 404: {"),
    (sends(b"", 302, Location="http://127.0.0.1:1/x"), "Agent A sent the call elsewhere (status 302), which is not followed."),
    (sends(b"\x1f\x8b", 200, Content_Encoding="gzip"), "it is compressed, which was not asked for."),
    (half, "Agent A cannot be reached at http://127.0.0.1:"),
    (hangs_up, "Agent A cannot be reached at http://127.0.0.1:"),
    (no_http, "Agent A cannot be reached at http://127.0.0.1:"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bad_server_fails_the_attempt(allowed, handle, says):
    with serving(quietly(handle)) as url:
        found, outcome = fault_of(http_agent(url), allowed)
    assert says in found
    assert len(found) < 1000
    assert outcome == "failed"


def test_an_answer_that_is_not_read_to_its_end_leaves_nothing_behind(allowed, caplog):
    with serving(quietly(endless)) as url:
        fault_of(http_agent(url), allowed)
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


def quietly(handle):
    """A handler that says nothing when nobody listens any more."""

    def handled(handler, body):
        try:
            handle(handler, body)
        except OSError:
            handler.close_connection = True

    return handled


def test_a_redirect_is_not_followed(allowed):
    reached = []
    with (
        serving(lambda handler, _: (reached.append(1), reply(handler, GOOD.encode()))) as other,
        serving(sends(b"", 307, Location=other)) as url,
    ):
        fault_of(http_agent(url), allowed)
    assert reached == []


def test_nobody_there_fails_the_attempt(allowed):
    with serving(sends()) as url:
        pass
    found, outcome = fault_of(http_agent(url), allowed)
    assert (found, outcome) == (f"Agent A cannot be reached at {url}: All connection attempts failed.", "failed")


def drips(handler, _):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def drips_headers(handler, _):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        handler.wfile.write(f"X-{number}: x\r\n".encode())
        handler.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("handle", [lambda handler, _: time.sleep(3), drips, drips_headers])
def test_the_time_limit_holds_for_the_whole_call(allowed, handle):
    with serving(quietly(handle)) as url:
        start = time.monotonic()
        found = fault_of(http_agent(url), allowed, seconds=0.5)
        assert time.monotonic() - start < 2
    assert found == ("Agent A did not answer within 0.5 s.", "timed_out")


def test_no_proxy_of_the_environment_is_asked(allowed, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(sends()) as url:
        assert call(http_agent(url), allowed).result == {"ok": True}

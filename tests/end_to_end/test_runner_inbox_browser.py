"""The inbox in a real browser, served by the real command; and a mission from its start to the brief that counts it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager

import httpx
import pytest
from chromium import PROGRAM, WHY_NOT, chromium
from command import environment, mission
from runner_gates import Clock, store_in, task, waiting_run, work
from shipped_sample import SAMPLE

from mission_pipeline.runner.inbox.access import kept_token
from mission_pipeline.runner.model import Answer, MissionPlan
from mission_pipeline.warehouse import Warehouse

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT)


@contextmanager
def inbox(folder, *, now, raw_data=None):
    """Run `mission inbox`; yield the link that it prints, then stop it as a service manager would."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mission_pipeline", "inbox", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(MISSION_WAREHOUSE=str(folder), MISSION_NOW=now, MISSION_RAW_DATA=str(raw_data or SAMPLE)),
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert "Traceback" not in said, said


@pytest.fixture
def page(tmp_path):
    with chromium(tmp_path) as opened:
        yield opened


def test_the_command_prints_one_link_that_opens_the_page_and_stops_cleanly(tmp_path):
    with inbox(tmp_path, now="2026-11-21T12:00:00") as link:
        assert link.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert b"Nothing waits for a decision" in opener.open(link, timeout=30).read()
        token = (tmp_path / ".runner" / "inbox-token").read_text().strip()
        assert link.endswith(f"/enter?token={token}")
    assert not list((tmp_path / ".runner").glob("*-wal"))  # the store was closed


def decide_and_stop(port, token, gate, seen):
    """From another thread: open the link once the page answers, approve, then end the command as Ctrl-C would."""
    address = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=address, transport=httpx.HTTPTransport(retries=8)) as browser:
        browser.get("/enter", params={"token": token})  # where nobody answers, nobody must be stopped
        try:
            page = browser.get("/gate", params={"id": gate}).text
            fields = dict(re.findall(r'name="(form|approval_id|seen_sha256)" value="([^"]*)"', page))
            sent = browser.post("/decide", data={**fields, "by": "Ana", "verdict": "approved"})
            seen.append(sent.status_code)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_decision_that_ends_its_run_writes_its_telemetry_where_no_worker_is(tmp_path, policy, is_writable):
    raw, seen = tmp_path / "raw", []
    if is_writable:
        raw.mkdir()
    with store_in(tmp_path, policy, Clock()) as missions:
        run = waiting_run(missions)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=decide_and_stop, args=(port, kept_token(tmp_path), run.gate, seen))
    thread.start()
    try:
        done = mission("inbox", "--port", port, "--warehouse", tmp_path, "--raw-data", raw)
    finally:
        thread.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert done.returncode == 0
    assert seen == [303]
    with store_in(tmp_path, policy, Clock()) as missions:
        assert missions.state(run.run_id)["status"] == "completed"
        assert bool(missions.pending_telemetry(1)) is not is_writable
    if is_writable:
        [file] = (raw / "mission_runs").glob("runner-*.jsonl")
        assert json.loads(file.read_text())["run_id"] == run.run_id
    else:
        assert "The telemetry cannot be written" in done.stderr


def test_ctrl_c_ends_the_command_without_a_word(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "mission_pipeline", "inbox", "--port", "0", "--warehouse", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(said.splitlines()) == 1


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with inbox(tmp_path, now="2026-11-21T12:00:00") as link:
        port = link.split(":")[2].split("/")[0]
        refused = mission("inbox", "--port", port, "--warehouse", tmp_path)
    assert refused.returncode == 2
    assert f"Port {port} cannot be used" in refused.stderr


@needs_chromium
def test_approving_in_the_page_finishes_the_run_and_after_a_refresh_the_brief_counts_it(tmp_path, page):
    raw, folder = tmp_path / "raw", tmp_path / "warehouse"
    shutil.copytree(SAMPLE, raw)
    places = {"MISSION_RAW_DATA": str(raw), "MISSION_WAREHOUSE": str(folder)}

    started = mission("run", "M002", "--requested-by", "Ana", "--json", MISSION_NOW="2026-02-07T08:00:00", **places)
    assert started.returncode == 0, started.stderr
    run = json.loads(started.stdout)
    assert run["status"] == "blocked"
    assert run["task_status_by_id"]["T5"] == "blocked"

    with inbox(folder, now="2026-02-07T11:00:00", raw_data=raw) as link:
        page.show_as(1100, 800, has_script=False)
        page.go(link)
        assert "token" not in page.look("location.href")
        assert "Draft personalized outreach email" in page.text()
        page.click("a.card")
        assert "Tomas Berg" in page.text()
        page.type("#by", "Zoë Lind")
        page.click("button.approve")
        assert "The run is complete." in page.text()
        assert "Nothing waits for a decision" in page.text()

    ended = json.loads(mission("status", run["run_id"], "--json", **places).stdout)
    assert ended["status"] == "completed"
    assert ended["task_results_by_id"]["T5"]["approval"]["decided_by"] == "Zoë Lind"

    refreshed = mission("refresh", "--json", MISSION_NOW="2026-02-08T06:00:00", **places)
    assert refreshed.returncode == 0, refreshed.stderr
    with Warehouse(folder).published() as connection:
        [delay] = connection.execute(
            "select human_delay_minutes from staging.task_executions where run_id = ? and task_id = 'T5'",
            [run["run_id"]],
        ).fetchone()
        [of_run] = connection.execute(
            "select approval_delay_minutes from marts.mission_run_facts where run_id = ?", [run["run_id"]]
        ).fetchone()
        runs = connection.execute("select count(*) from staging.mission_runs where mission_id = 'M002'").fetchone()
    assert delay == pytest.approx(180, abs=2)  # from 08:00 to 11:00, and what the commands took
    assert of_run == pytest.approx(delay)
    assert runs == (3,)
    brief = json.loads(refreshed.stdout)["brief"]
    assert brief["as_of"] == "2026-02-07"
    assert {each["mission_id"]: each["completed_runs"] for each in brief["missions"]}["M002"] == 3


HOSTILE = {
    "html": "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><h1>Approve me</h1>",
    "style": "</style><style>body{display:none}</style>",
    "رسالة": "مرحبا، هذا نص طويل من اليمين إلى اليسار.",
    "long": "y" * 3_000,
    "control": "a\x1b[31mb\x00 \u202egnp.exe",
    "marks": "Z" + "\u0336\u0337\u0338\u0339" * 200,
    "nested": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}},
    "table": [{name: f"{name} " + "w" * 40 for name in "abcde"}] * 3,
    "k" * 500: 1,
}


@needs_chromium
@pytest.mark.parametrize(("width", "is_dark"), [(360, False), (360, True), (1100, False)])
def test_hostile_and_long_results_break_no_page_and_run_nothing(tmp_path, policy, page, width, is_dark):
    long = "أتمتة " + "x" * 200
    plan = MissionPlan("M" * 90, long, None, (task("T" * 90, "<b>" + long, gate=True, agents=("A" * 90,)),), ())
    with store_in(tmp_path, policy, Clock()) as missions:
        run = waiting_run(missions, plan, {}, requested_by="r" * 300, priority="p" * 300, mission_input=HOSTILE)
        missions.decide(run.gate, "rejected", by="b" * 200, reason="n" * 900)
        work(missions, {"T" * 90: Answer(HOSTILE, "s" * 500)}, agents=("A" * 90,))
    with inbox(tmp_path, now="2026-11-21T12:00:00") as link:
        page.show_as(width, 740, is_dark=is_dark)
        page.go(link)
        seen = []
        for step in (lambda: None, lambda: page.click("a.card"), lambda: page.click("button.reject")):
            step()
            assert page.look("document.documentElement.scrollWidth") <= width
            assert page.look("document.scripts.length") == 0
            assert (
                page.look(
                    "[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
                )
                == 0
            )
            seen.append(page.look("document.title"))
        assert "owned" not in seen
        assert "<h1>Approve me</h1>" in page.text()
        assert "Say why it is rejected" in page.text()
        page.look("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.look("document.documentElement.scrollWidth") <= width


@needs_chromium
def test_another_page_can_neither_frame_nor_send_a_decision(tmp_path, policy, page):
    """A page from a file stands for any other site: its form is sent with a foreign origin and without the cookie."""
    with store_in(tmp_path, policy, Clock()) as missions:
        gate = waiting_run(missions).gate
    with inbox(tmp_path, now="2026-11-21T12:00:00") as link:
        page.show_as(1100, 800)
        page.go(link)
        address = link.split("/enter")[0]
        field = page.look(
            f"(r => (r.open('GET', '/gate?id={gate}', false), r.status))(new XMLHttpRequest())"
        )  # nothing may be fetched by script
        assert field == 0
        evil = tmp_path / "evil.html"
        evil.write_text(
            f"<form method=post action='{address}/decide'><input name=approval_id value='{gate}'>"
            "<input name=verdict value=approved><input name=by value=Eve><button>x</button></form>"
            f"<iframe src='{address}/'></iframe>"
        )
        page.go(evil.as_uri())
        page.click("button")
        assert "This request comes from another page." in page.text()
    with store_in(tmp_path, policy, Clock()) as missions:
        assert missions.approval(gate)["status"] == "open"


def test_the_suite_says_why_the_browser_was_not_asked():
    assert "apt-get install chromium" in WHY_NOT
    assert PROGRAM is None or os.access(PROGRAM, os.X_OK)

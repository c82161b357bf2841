"""The inbox, form by form, as a browser without script would use it, on a real store; and as an attacker would."""

import re
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from runner_gates import EMAIL, Clock, store_in, task, waiting_run, work

from mission_pipeline.runner.inbox.access import Access
from mission_pipeline.runner.inbox.app import Inbox, inbox_app
from mission_pipeline.runner.inbox.gates import duration_words
from mission_pipeline.runner.model import AgentFault, Answer, Choice, MissionPlan

TOKEN = "t0" * 24
SCRIPT = "<script>document.title='owned'</script>"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def missions(tmp_path, policy, clock):
    with store_in(tmp_path, policy, clock) as opened:
        yield opened


@contextmanager
def opened(missions, policy, clock, token=TOKEN, **more):
    """Serve an inbox on a port of its own; yield a browser that has been nowhere yet."""
    access = Access(token, timedelta(hours=policy.runner.inbox.session_hours))
    app = inbox_app(Inbox(missions, access, policy, clock, **more))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", server_header=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30) as browser:
                yield browser
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def outside(missions, policy, clock):
    """Somebody on this machine without the token."""
    with opened(missions, policy, clock) as browser:
        yield browser


@pytest.fixture
def browser(outside):
    """Somebody who opened the link."""
    enter(outside)
    return outside


def enter(browser, token=TOKEN):
    assert browser.get(f"/enter?token={token}").status_code == 303


def base_of(browser):
    return str(browser.base_url).rstrip("/")


class Form(HTMLParser):
    """The fields of a page's form, and the buttons that send it."""

    def __init__(self, page):
        super().__init__()
        self.fields, self.buttons, self.action, self._area = {}, [], None, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.action, self.method = attrs["action"], attrs["method"]
        elif tag == "input" and self.action:
            self.fields[attrs["name"]] = attrs.get("value", "")
        elif tag == "textarea":
            self._area, self.fields[attrs["name"]] = attrs["name"], ""
        elif tag == "button":
            self.buttons.append((attrs.get("name"), attrs.get("value")))

    def handle_data(self, data):
        if self._area:
            self.fields[self._area] += data.removeprefix("\n") if not self.fields[self._area] else data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._area = None


def gate_page(browser, gate):
    answer = browser.get(f"/gate?id={quote(gate, safe='')}")
    assert answer.status_code == 200
    return answer.text


def form_of(browser, gate, **typed):
    form = Form(gate_page(browser, gate))
    assert (form.method, form.action) == ("post", "/decide")
    assert form.buttons == [("verdict", "approved"), ("verdict", "rejected")]
    return {**form.fields, **typed}


def send(browser, fields, **headers):
    return browser.post("/decide", data=fields, headers={"origin": base_of(browser), **headers})


def status_of(missions, gate):
    return missions.approval(gate)["status"]


# ---------------------------------------------------------------------- who may look


def test_without_the_token_there_is_an_explanation_and_no_data(outside, missions):
    gate = waiting_run(missions).gate
    for address in ("/", f"/gate?id={gate}"):
        answer = outside.get(address)
        assert answer.status_code == 401
        assert "mission inbox" in answer.text
        assert "Draft" not in answer.text
        assert "RUN_" not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "é"])
def test_a_wrong_token_opens_nothing(outside, token):
    answer = outside.get("/enter", params={"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert outside.post("/enter", data={"token": token}, headers={"origin": base_of(outside)}).status_code == 401


def test_the_link_sets_a_cookie_that_no_script_and_no_other_site_gets_and_leads_away_from_the_token(outside):
    answer = outside.get(f"/enter?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert TOKEN not in cookie
    page = outside.get("/")
    assert page.status_code == 200
    assert TOKEN not in page.text


def test_the_token_can_be_pasted(outside):
    form = Form(outside.get("/").text)
    assert (form.method, form.action) == ("post", "/enter")
    assert outside.post("/enter", data={"token": f" {TOKEN} "}, headers={"origin": base_of(outside)}).status_code == 303
    assert outside.get("/").status_code == 200


def test_a_session_ends_with_its_time_and_with_its_token(browser, missions, policy, clock):
    session = dict(browser.cookies)
    clock.wait(hours=policy.runner.inbox.session_hours)
    assert browser.get("/").status_code == 401
    clock.wait(hours=-policy.runner.inbox.session_hours)
    assert browser.get("/").status_code == 200
    with opened(missions, policy, clock, "u" * 48) as renewed:
        renewed.cookies.update(session)
        assert renewed.get("/").status_code == 401


def test_a_session_outlives_a_restart(browser, missions, policy, clock):
    with opened(missions, policy, clock) as again:
        again.cookies.update(dict(browser.cookies))
        assert again.get("/").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8400", "127.0.0.1.evil.example"])
def test_a_foreign_name_that_points_here_is_refused(browser, host):
    for method, address in (("GET", "/"), ("GET", f"/enter?token={TOKEN}"), ("POST", "/decide"), ("GET", "/inbox.css")):
        answer = browser.request(method, address, headers={"host": host})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3000"])
def test_a_foreign_page_is_refused_even_with_the_cookie_and_the_field(browser, missions, origin):
    gate = waiting_run(missions).gate
    answer = send(browser, form_of(browser, gate, by="Ana", verdict="approved"), origin=origin)
    assert answer.status_code == 403
    assert status_of(missions, gate) == "open"


def test_a_page_that_sends_no_origin_is_told_by_the_browser(browser, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved")
    assert browser.post("/decide", data=fields, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert status_of(missions, gate) == "open"


@pytest.mark.parametrize("field", [None, "", "0" * 64])
def test_a_form_without_the_sessions_field_decides_nothing(browser, missions, field):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved")
    fields |= {} if field is None else {"form": field}
    if field is None:
        del fields["form"]
    answer = send(browser, fields)
    assert answer.status_code == 403
    assert "Nothing was decided" in answer.text
    assert status_of(missions, gate) == "open"


def test_the_field_of_another_session_decides_nothing(browser, missions, policy, clock):
    gate = waiting_run(missions).gate
    with opened(missions, policy, clock) as other:
        enter(other)
        theirs = form_of(other, gate)["form"]
    assert send(browser, form_of(browser, gate, by="Ana", verdict="approved", form=theirs)).status_code == 403
    assert status_of(missions, gate) == "open"


def test_a_form_without_a_session_decides_nothing(browser, outside, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved")
    browser.cookies.clear()
    assert send(browser, fields).status_code == 401
    assert status_of(missions, gate) == "open"


def test_a_get_never_decides(browser, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved")
    for address in ("/decide", "/", "/gate"):
        browser.get(address, params={**fields, "id": gate, "decided": gate})
        browser.head(address, params=fields)
    assert browser.get("/decide", params=fields).status_code == 405
    assert status_of(missions, gate) == "open"


def test_every_answer_forbids_scripts_frames_and_caches(browser, missions):
    gate = waiting_run(missions).gate
    for address in ("/", f"/gate?id={gate}", "/gate?id=none", "/nowhere", "/inbox.css", "/enter?token=x", "/decide"):
        headers = browser.get(address).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'", "style-src": "'self'", "form-action": "'self'", "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }  # fmt: skip
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers


def test_no_page_holds_script_style_of_its_own_or_a_foreign_address(browser, missions):
    gate = waiting_run(missions).gate
    for address in ("/", f"/gate?id={gate}", "/nowhere"):
        page = browser.get(address).text
        assert not re.search(r"<script|<style|\son\w+=|style=|javascript:|https?://", page)


# ---------------------------------------------------------------------- what is shown


def test_the_list_shows_what_waits_and_since_when(browser, missions, clock):
    assert "Nothing waits for a decision" in browser.get("/").text
    waiting_run(missions, requested_by="Ana", priority="high")
    clock.wait(hours=3, minutes=20)
    page = browser.get("/").text
    assert "One result waits for a decision" in page
    assert "Draft personalized outreach email" in page
    assert "Accelerate Sales Pipeline Progression (M002)" in page
    assert "waits 3 h 20 min" in page
    assert "A mail to Ms. Ito." in page


def test_a_gate_shows_everything_that_is_needed_to_judge(browser, missions, clock):
    gate = waiting_run(missions, requested_by="Ana Lima", priority="high").gate
    clock.wait(days=2, hours=1)
    enter(browser)
    page = gate_page(browser, gate)
    for words in (
        "May this result go on?", "Draft personalized outreach email", "Accelerate Sales Pipeline Progression (M002)",
        "A4", "2026-11-21 09:30", "2 days 1 h ago", "asked for by", "Ana Lima", "priority", "high",
        "Your evaluation: the two open points", "thank you for the talk on Tuesday", "decision maker not yet met",
        "Kestrel Freight", "84000", "Analyze deal status (T4)", "evaluation", "The run is then complete.",
        "Another attempt is made",
    ):  # fmt: skip
        assert words in page, words


def test_what_was_tried_before_is_told_with_the_reason_it_was_rejected(browser, missions):
    run = waiting_run(missions)
    missions.decide(run.gate, "rejected", by="Ben", reason="No price is named.")
    work(missions, {"T5": Answer(EMAIL)})
    (gate,) = missions.open_approvals()
    page = gate_page(browser, gate["approval_id"])
    assert "attempt 2 of 3" in page
    assert "No price is named." in page
    assert "Ben" in page
    assert "The last attempt is made" in page


def test_at_the_last_attempt_it_is_said_what_a_rejection_leads_to(browser, missions):
    plan = MissionPlan("M", None, None, (task("a", "First", gate=True), task("b", "Second", after=["a"])), ())
    run = waiting_run(missions, plan, {})
    for _ in range(2):
        missions.decide(missions.open_approvals()[0]["approval_id"], "rejected", by="Ben", reason="No.")
        work(missions, {})
    page = gate_page(browser, missions.open_approvals()[0]["approval_id"])
    assert "No attempt is left: the task fails, and Second never runs." in page
    assert "Next: Second." in page
    assert run.gate


JUNK = {
    "html": SCRIPT + "<img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a>",
    "markdown": "# Title\n**bold** [link](javascript:alert(1)) | a | b |",
    "template": "{{ 7 * 7 }} {% for a in b %} ${7*7}",
    SCRIPT: "a name may be hostile, too",
    "attribute": '" autofocus onfocus=alert(1) x="',
    "controls": "before\x1b[31m\x00after \u202egnp.exe",
    "table": [{"a": SCRIPT, "b": 1}, {"a": "x", "b": 2}],
}


def test_hostile_results_are_shown_as_text(browser, missions):
    plan = MissionPlan("<b>M</b>", SCRIPT, None, (task("<i>T</i>", SCRIPT, gate=True),), ())
    run = waiting_run(
        missions, plan, {"<i>T</i>": Answer(JUNK, SCRIPT)}, requested_by=SCRIPT, priority=SCRIPT, mission_input={SCRIPT: SCRIPT}
    )  # fmt: skip
    missions.decide(run.gate, "rejected", by=SCRIPT, reason=SCRIPT)
    work(missions, {"<i>T</i>": Answer(JUNK, SCRIPT)})
    gate = missions.open_approvals()[0]["approval_id"]
    for page in (browser.get("/").text, gate_page(browser, gate), gate_page(browser, run.gate)):
        assert "<script" not in page
        assert "&lt;script&gt;document.title=" in page
        assert not re.search(r"<(img|i|b)\b|<a href=.javascript", page)
    page = gate_page(browser, gate)
    assert "{{ 7 * 7 }}" in page
    assert "&#34; autofocus onfocus=" in page
    assert "before�[31m�after �gnp.exe" in page
    assert "**bold** [link](javascript:alert(1))" in page
    parser = Form(page)
    assert set(parser.fields) == {"form", "approval_id", "seen_sha256", "by", "reason"}
    assert parser.fields["approval_id"] == gate


def test_what_was_typed_is_shown_as_text(browser, missions):
    gate = waiting_run(missions).gate
    hostile = f'"></textarea>{SCRIPT}'
    answer = send(browser, form_of(browser, gate, by=hostile, reason="", verdict="rejected"))
    assert answer.status_code == 422
    assert "<script" not in answer.text
    assert Form(answer.text).fields["by"] == hostile


def test_a_very_large_result_is_cut_with_a_note_and_the_decision_is_about_the_whole(browser, missions, policy):
    run = waiting_run(missions, answers={"T5": Answer({"body": "word " * 100_000 + "the end"})})
    page = gate_page(browser, run.gate)
    assert len(page) < 2 * policy.runner.inbox.shown_characters
    assert "Not all of it is shown." in page
    assert f"mission status {run.run_id} --json" in page
    assert "the end" not in page
    assert send(browser, form_of(browser, run.gate, by="Ana", verdict="approved")).status_code == 303


def test_a_gate_that_is_not_there_is_explained(browser):
    answer = browser.get("/gate?id=nowhere<script>")
    assert answer.status_code == 404
    assert "<script>" not in answer.text
    assert browser.get("/gate").status_code == 404
    assert browser.get("/nowhere").status_code == 404


def test_more_gates_than_fit_are_counted(browser, missions, policy):
    room = policy.runner.inbox.open_shown
    for _ in range(room + 1):
        waiting_run(missions, MissionPlan("M", None, None, (task("a", gate=True),), ()), {})
    page = browser.get("/").text
    assert page.count('class="card"') == room
    assert f"{room + 1} results wait for a decision" in page
    assert "And 1 more" in page


# ---------------------------------------------------------------------- decisions


def test_an_approval_finishes_the_run_and_the_list_says_so(browser, missions, clock):
    run = waiting_run(missions)
    clock.wait(hours=3)
    answer = send(browser, form_of(browser, run.gate, by="Ana Lima", reason="Good.", verdict="approved"))
    assert answer.status_code == 303
    state = missions.state(run.run_id)
    assert state["status"] == "completed"
    decided = missions.approval(run.gate)
    assert (decided["status"], decided["decided_by"], decided["reason"]) == ("approved", "Ana Lima", "Good.")
    page = browser.get(answer.headers["location"]).text
    assert "Approved:" in page
    assert "The run is complete." in page
    assert "Nothing waits for a decision" in page
    assert "Good." in page


def test_a_rejection_without_a_reason_is_asked_again_and_keeps_what_was_typed(browser, missions):
    gate = waiting_run(missions).gate
    answer = send(browser, form_of(browser, gate, by="Ana Lima", reason="  ", verdict="rejected"))
    assert answer.status_code == 422
    assert "Say why it is rejected" in answer.text
    assert Form(answer.text).fields["by"] == "Ana Lima"
    assert status_of(missions, gate) == "open"
    fields = {**Form(answer.text).fields, "reason": "No price is named.", "verdict": "rejected"}
    assert send(browser, fields).status_code == 303
    assert missions.approval(gate)["reason"] == "No price is named."


def test_a_decision_without_a_name_is_asked_again_and_keeps_the_reason(browser, missions):
    gate = waiting_run(missions).gate
    answer = send(browser, form_of(browser, gate, by=" ", reason="Two\nlines", verdict="approved"))
    assert answer.status_code == 422
    assert "Say who decides." in answer.text
    assert Form(answer.text).fields["reason"] == "Two\nlines"
    assert status_of(missions, gate) == "open"


def test_a_name_or_a_reason_without_end_is_refused(browser, missions):
    gate = waiting_run(missions).gate
    assert send(browser, form_of(browser, gate, by="x" * 201, verdict="approved")).status_code == 422
    assert send(browser, form_of(browser, gate, by="x", reason="y" * 4_001, verdict="rejected")).status_code == 422
    assert send(browser, form_of(browser, gate, by="x", reason="y" * 200_000, verdict="rejected")).status_code == 413
    assert status_of(missions, gate) == "open"


def test_the_name_is_remembered_for_the_next_gate(browser, missions):
    first, second = waiting_run(missions).gate, waiting_run(missions).gate
    send(browser, form_of(browser, first, by='Zoë; Ana "x"', verdict="approved"))
    assert form_of(browser, second)["by"] == 'Zoë; Ana "x"'


def test_a_second_decision_says_who_was_first(browser, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", reason="I like it", verdict="approved")
    missions.decide(gate, "rejected", by="Ben", reason="No price is named.")
    answer = send(browser, fields)
    assert answer.status_code == 409
    assert "came second" in answer.text
    assert "rejected by Ben" in answer.text
    assert not Form(answer.text).buttons
    assert missions.approval(gate)["decided_by"] == "Ben"


def test_a_button_pressed_twice_is_one_decision(browser, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", reason="I like it", verdict="approved")
    assert [send(browser, fields).status_code for _ in range(2)] == [303, 303]
    assert send(browser, {**fields, "by": "Ben"}).status_code == 409


def test_a_changed_result_is_not_decided_and_the_new_one_is_shown(browser, missions, tmp_path):
    import sqlite3

    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", reason="I like it", verdict="approved")
    with sqlite3.connect(tmp_path / ".runner" / "missions.sqlite") as changed:
        changed.execute("update task_attempt set result = ? where task_id = 'T5'", ['{"subject":"Pay me instead"}'])
    answer = send(browser, fields)
    assert answer.status_code == 409
    assert "the result has changed since you looked" in answer.text
    assert "Pay me instead" in answer.text
    again = Form(answer.text)
    assert (again.fields["by"], again.fields["reason"]) == ("Ana", "I like it")
    assert again.fields["approval_id"] != gate
    assert again.fields["seen_sha256"] != fields["seen_sha256"]
    assert status_of(missions, again.fields["approval_id"]) == "open"
    assert send(browser, {**again.fields, "verdict": "approved"}).status_code == 303
    void = gate_page(browser, gate)
    assert "Void" in void
    assert "The result as it was changed: nobody judged it here" in void
    assert "that was judged" not in void


def test_a_page_says_of_a_result_whether_it_was_judged(browser, missions):
    def heading(gate):
        return re.search(r'<h2 id="result">(.*?)</h2>', gate_page(browser, gate))[1]

    decided, cancelled = waiting_run(missions), waiting_run(missions)
    assert heading(decided.gate) == "The result to judge"
    missions.decide(decided.gate, "approved", by="Ana")
    assert heading(decided.gate) == "The result that was judged"
    missions.cancel(cancelled.run_id, by="Ben")
    assert heading(cancelled.gate) == "The result that waited: nobody judged it"


def test_a_result_that_the_time_limit_rejected_is_not_called_judged(tmp_path, policy, clock):
    gates = policy.runner.gates.model_copy(update={"time_limit_minutes": 60.0, "on_time_limit": "reject"})
    strict = policy.model_copy(update={"runner": policy.runner.model_copy(update={"gates": gates})})
    with store_in(tmp_path, strict, clock) as missions, opened(missions, strict, clock) as browser:
        gate = waiting_run(missions).gate
        clock.wait(hours=1)
        missions.look_at_gates()
        enter(browser)
        assert status_of(missions, gate) == "rejected"
        assert "The result that nobody judged in time" in gate_page(browser, gate)


def test_the_next_task_is_named_with_what_else_it_needs(browser, missions):
    """w2 has no more needs, w4 waits for w3 as well, and w6 can never run."""
    tasks = (
        task("w1", gate=True), task("w2", after=["w1"]), task("w3", after=["w2"]), task("w4", after=["w1", "w3"]),
        task("w5"), task("w6", after=["w1", "w5"]),
    )  # fmt: skip
    run_id = missions.create_run(MissionPlan("M", None, None, tasks, ()), mission_input={})
    page = gate_page(browser, work_until_gate(missions, run_id, failing="w5"))
    assert "Next: w2. w4 follows once w3 is completed. w6 never runs: what it needs beside this has failed." in page


def work_until_gate(missions, run_id, *, failing):
    """Do what can be done, one task in vain; return the gate."""
    while (claim := missions.claim("worker", run_id)) is not None or missions.next_due(run_id) is not None:
        if claim is None:
            missions._clock.wait(hours=1)
        else:
            missions.choose(claim, Choice("A4", "first in rank", (), None))
            if claim.task_id == failing:
                missions.fail(claim, AgentFault("It broke."), 1.0)
            else:
                missions.complete(claim, Answer({}), 1.0)
    return missions.open_approvals()[0]["approval_id"]


@pytest.mark.parametrize("name", ["time limit", " TIME\u200b  limit "])
def test_the_name_of_the_time_limit_is_no_persons(browser, missions, name):
    gate = waiting_run(missions).gate
    answer = send(browser, form_of(browser, gate, by=name, verdict="approved"))
    assert answer.status_code == 422
    assert "This name stands where nobody decided in time. Say who decides." in answer.text
    assert status_of(missions, gate) == "open"


def test_a_form_that_shows_another_result_decides_nothing(browser, missions):
    gate = waiting_run(missions).gate
    answer = send(browser, form_of(browser, gate, by="Ana", verdict="approved", seen_sha256="0" * 64))
    assert answer.status_code == 409
    assert status_of(missions, gate) == "open"


@pytest.mark.parametrize("wrong", [{"verdict": "void"}, {"verdict": ""}, {"seen_sha256": ""}])
def test_a_form_that_is_not_whole_decides_nothing(browser, missions, wrong):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved") | wrong
    assert send(browser, fields).status_code == 400
    assert status_of(missions, gate) == "open"


def test_a_field_that_comes_twice_is_none(browser, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana")
    assert send(browser, {**fields, "verdict": ["approved", "rejected"]}).status_code == 400


def test_a_form_in_another_clothing_is_none(browser, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved")
    assert browser.post("/decide", json=fields, headers={"origin": base_of(browser)}).status_code == 415
    assert status_of(missions, gate) == "open"


def test_a_gate_of_a_cancelled_run_cannot_be_decided(browser, missions):
    run = waiting_run(missions)
    fields = form_of(browser, run.gate, by="Ana", verdict="approved")
    missions.cancel(run.run_id, by="Ben", reason="No longer needed.")
    answer = send(browser, fields)
    assert answer.status_code == 409
    assert "its run was cancelled by Ben." in answer.text


def test_a_form_of_too_many_fields_or_of_bytes_that_are_no_form_is_none(browser, missions):
    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved")
    assert send(browser, {**fields, **{f"x{number}": "1" for number in range(30)}}).status_code == 400
    form = {"content-type": "application/x-www-form-urlencoded", "origin": base_of(browser)}
    assert browser.post("/decide", content=b"by=\xff\xfe", headers=form).status_code == 400
    assert status_of(missions, gate) == "open"


def test_a_fault_of_the_program_shows_no_inside_of_it(browser, missions, monkeypatch):
    gate = waiting_run(missions).gate
    monkeypatch.setattr(missions, "approval", lambda _: 1 / 0)
    answer = browser.get(f"/gate?id={gate}")
    assert answer.status_code == 500
    assert "A fault of this program" in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert "content-security-policy" in answer.headers


def test_what_the_address_claims_was_decided_is_looked_up(browser, missions):
    gate = waiting_run(missions).gate
    for claimed in (gate, "nowhere", "<script>"):
        page = browser.get("/", params={"decided": claimed}).text
        assert "banner" not in page
        assert "<script" not in page


def test_the_list_says_how_a_run_goes_on_after_a_decision(browser, missions, policy):
    plan = MissionPlan("M", None, None, (task("a", gate=True), task("b", after=["a"], gate=True)), ())

    def said(run, verdict):
        fields = form_of(browser, run.gate, by="Ana", reason="So.", verdict=verdict)
        return browser.get(send(browser, fields).headers["location"]).text

    assert "The run goes on where mission worker" in said(waiting_run(missions, plan, {}), "approved")
    run = waiting_run(missions, plan, {})
    for _ in range(policy.runner.max_attempts - 1):
        said(run, "rejected")
        work(missions, {}, run_id=run.run_id)
        run.gate = next(gate for gate in missions.open_approvals() if gate["run_id"] == run.run_id)["approval_id"]
    assert "The run has failed: no attempt was left." in said(run, "rejected")


@pytest.mark.parametrize(
    ("waited", "words"),
    [
        ({"seconds": -5}, "under a minute"), ({"seconds": 59}, "under a minute"), ({"minutes": 1}, "1 min"),
        ({"minutes": 59}, "59 min"), ({"minutes": 60}, "1 h"), ({"minutes": 61}, "1 h 1 min"),
        ({"hours": 23, "minutes": 59}, "23 h 59 min"), ({"hours": 24}, "1 day"), ({"hours": 25}, "1 day 1 h"),
        ({"days": 5}, "5 days"),
    ],
)  # fmt: skip
def test_a_wait_is_told_in_its_two_largest_units(waited, words):
    assert duration_words(timedelta(**waited)) == words


def test_what_the_clock_did_to_a_gate_is_told(tmp_path, policy, clock):
    gates = policy.runner.gates.model_copy(update={"time_limit_minutes": 90.0, "escalate_to": "Head of Sales"})
    strict = policy.model_copy(update={"runner": policy.runner.model_copy(update={"gates": gates}), "missions": {}})
    with store_in(tmp_path, strict, clock) as missions, opened(missions, strict, clock) as browser:
        enter(browser)
        gate = waiting_run(missions).gate
        assert "If nobody decides by 2026-11-21 11:00, it is escalated." in gate_page(browser, gate)
        clock.wait(minutes=91)
        missions.look_at_gates()
        assert "Escalated to Head of Sales at 2026-11-21 11:01" in gate_page(browser, gate)
        assert "escalated" in browser.get("/").text


def test_telemetry_is_asked_for_after_a_decision_and_only_then(missions, policy, clock):
    asked = []
    with opened(missions, policy, clock, on_decision=lambda: asked.append(1)) as browser:
        enter(browser)
        run = waiting_run(missions)
        send(browser, form_of(browser, run.gate, by="", verdict="approved"))
        assert not asked
        send(browser, form_of(browser, run.gate, by="Ana", verdict="approved"))
        assert asked == [1]


def test_a_fault_of_the_store_is_one_sentence_and_decides_nothing(browser, missions, monkeypatch):
    from mission_pipeline.errors import StoreFault

    def broken(*_, **__):
        raise StoreFault("The store cannot be used (disk full).")

    gate = waiting_run(missions).gate
    fields = form_of(browser, gate, by="Ana", verdict="approved")
    monkeypatch.setattr(missions, "decide", broken)
    answer = send(browser, fields)
    assert answer.status_code == 503
    assert "disk full" in answer.text
    assert status_of(missions, gate) == "open"

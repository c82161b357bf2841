"""What counts as an answer of an agent, and what fails the attempt with a sentence."""

import json

import pytest

from mission_pipeline.runner.adapters.answers import read_answer, shortened
from mission_pipeline.runner.model import AgentFault, Answer


def read(**values):
    return read_answer("A1", json.dumps({"status": "completed", "result": {}, **values}).encode())


def fault(content):
    with pytest.raises(AgentFault) as caught:
        read_answer("A1", content if isinstance(content, bytes) else content.encode())
    return caught.value


def test_a_whole_answer_is_kept_as_it_is():
    found = read(
        result={"a": [1, None, "é"]}, summary="done", kpis={"days": 2, "rate": 0.5}, message="ignored", other=1
    )
    assert found == Answer({"a": [1, None, "é"]}, "done", {"days": 2.0, "rate": 0.5})


def test_summary_and_kpis_may_be_absent_or_null():
    assert read() == read(summary=None, kpis=None) == Answer({})


@pytest.mark.parametrize(("content", "says"), [
    ("", "it is not JSON (Expecting value: line 1 column 1 (char 0)): nothing."),
    ("Traceback: oh", "it is not JSON (Expecting value: line 1 column 1 (char 0)): Traceback: oh."),
    ('{"status": "completed", "result": {', "it is not JSON"),
    ('{"status": "completed", "result": {}} {}', "it is not JSON (Extra data"),
    (b'{"status": "completed", "result": {"a": "\xff"}}', "it is not UTF-8."),
    ("[1, 2]", "it is [1, 2], not an object."),
    ('"done"', 'it is "done", not an object.'),
    ("null", "it is null, not an object."),
    ('{"status": "completed", "result": {"a": NaN}}', "it has the value NaN, which is no number of JSON."),
    ('{"status": "completed", "result": {"a": -Infinity}}', "it has the value -Infinity, which is no number of JSON."),
    ('{"status": "completed", "result": {"a": 1e999}}', "it has the number 1e999, which is too large."),
    ('{"status": "completed", "result": {"a": "\\ud800"}}', "it has half a character in it, \\ud800, which no text can hold."),
    ('{"status": "completed", "result": {"a": "\\u0000"}}', "it has a NUL character in it."),
    ('{"status": "completed", "status": "failed", "result": {}}', 'it gives the name "status" twice in one object.'),
    ("[" * 100_000, "it is nested too deeply: 100 lists and objects within each other at most can be kept."),
    ('{"a": ' + "9" * 5000 + "}", "it has a number of 5,000 digits: 1,000 at most can be kept."),
    ("{}", "it has the status null, not one of completed, escalated, failed."),
    ('{"status": "done", "result": {}}', 'it has the status "done", not one of completed, escalated, failed.'),
    ('{"status": ["completed"]}', 'it has the status ["completed"], not one of completed, escalated, failed.'),
    ('{"status": "completed"}', "it has the result null, not an object."),
    ('{"status": "completed", "result": "yes"}', 'it has the result "yes", not an object.'),
    ('{"status": "completed", "result": {}, "summary": 5}', "it has the summary 5, not a text."),
    ('{"status": "completed", "result": {}, "message": []}', "it has the message [], not a text."),
    ('{"status": "completed", "result": {}, "kpis": [1]}', "it has the kpis [1], not an object."),
    ('{"status": "completed", "result": {}, "kpis": {"d": "2"}}', 'it has the KPI d with the value "2", not a number.'),
    ('{"status": "completed", "result": {}, "kpis": {"d": true}}', "it has the KPI d with the value true, not a number."),
    ('{"status": "completed", "result": {}, "kpis": {"d": null}}', "it has the KPI d with the value null, not a number."),
    ('{"status": "completed", "result": {}, "kpis": {"d": 1' + "0" * 400 + "}}", "it has the KPI d with a value that is too large."),
    ('{"status": "completed", "result": {}, "kpis": {"d": -1.1e12}}', "it has the KPI d with a value that is too large."),
])  # fmt: skip
def test_a_bad_answer_fails_the_attempt_with_a_sentence(content, says):
    found = fault(content)
    assert str(found).startswith("Agent A1 gave a bad answer: ")
    assert says in str(found)
    assert found.outcome == "failed"


@pytest.mark.parametrize(("status", "outcome", "says"), [
    ("failed", "failed", "Agent A1 says that it failed: "), ("escalated", "escalated", "Agent A1 escalates: "),
])  # fmt: skip
def test_an_agent_may_say_itself_that_it_gives_no_result(status, outcome, says):
    found = fault(json.dumps({"status": status, "message": "No slot is free."}))
    assert (str(found), found.outcome) == (says + "No slot is free.", outcome)
    assert str(fault(json.dumps({"status": status}))) == says + "no reason given"


def test_what_is_shown_of_an_answer_is_short_and_can_be_stored():
    assert len(str(fault("x" * 1_000_000))) < 500
    assert shortened("a\n  b\x00c\ud800") == "a b c?"

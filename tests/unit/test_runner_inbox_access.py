"""The inbox's walls: the token and its file, sessions, the form's field, hosts and origins."""

import hmac
import os
import stat
from datetime import datetime, timedelta

import pytest

from mission_pipeline.errors import MissionPipelineError
from mission_pipeline.runner.inbox import access as module
from mission_pipeline.runner.inbox.access import Access, is_from_elsewhere, kept_token, refusal_of

NOW = datetime(2026, 11, 21, 12)
HOURS = timedelta(hours=12)


def access(token="t" * 43):
    return Access(token, HOURS)


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    token = kept_token(tmp_path)
    assert len(token) >= 43
    assert kept_token(tmp_path) == token
    file = tmp_path / ".runner" / "inbox-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["inbox-token"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_could_read_is_replaced(tmp_path, mode):
    token = kept_token(tmp_path)
    file = tmp_path / ".runner" / "inbox-token"
    file.chmod(mode)
    assert kept_token(tmp_path) != token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "short", "x" * 42 + "é", "a" * 40 + "\n" + "b" * 40])
def test_a_token_that_is_not_whole_is_replaced(tmp_path, text):
    file = tmp_path / ".runner" / "inbox-token"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    assert len(kept_token(tmp_path)) >= 43


def test_the_token_is_not_written_through_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x" * 43)
    elsewhere.chmod(0o600)
    (tmp_path / ".runner").mkdir()
    (tmp_path / ".runner" / "inbox-token").symlink_to(elsewhere)
    with pytest.raises(MissionPipelineError, match="inbox-token"):
        kept_token(tmp_path)


def test_two_inboxes_that_start_together_have_one_token(tmp_path, monkeypatch):
    """The other one is quicker between our look and our write."""
    link, first = os.link, []

    def slow_link(source, target):
        if not first:
            first.append(None)
            first[0] = kept_token(tmp_path)
        link(source, target)

    monkeypatch.setattr(os, "link", slow_link)
    assert kept_token(tmp_path) == first[0] == kept_token(tmp_path)


def test_what_is_secret_is_compared_in_constant_time(monkeypatch):
    compared, really = [], hmac.compare_digest

    def compare(given, known):
        compared.append((given, known))
        return really(given, known)

    monkeypatch.setattr(module.hmac, "compare_digest", compare)
    session = access().new_session(NOW)
    assert access().is_token("t" * 43)
    assert access().is_session(session, NOW)
    assert access().is_form_field(access().form_field(session), session)
    assert len(compared) == 3


def test_only_the_token_fits():
    assert not access().is_token("t" * 42)
    assert not access().is_token("")
    assert not access().is_token("\udc80é")


def test_a_session_lasts_as_long_as_the_policy_says_and_no_second_longer():
    session = access().new_session(NOW)
    assert access().is_session(session, NOW + HOURS - timedelta(seconds=1))
    assert not access().is_session(session, NOW + HOURS)


def test_a_session_cannot_be_made_up_prolonged_or_taken_to_another_token():
    session = access().new_session(NOW)
    issued, nonce, signature = session.split(".")
    for forged in (
        "",
        ".",
        "..",
        f"{int(issued) + 1}.{nonce}.{signature}",
        f"{issued}.{nonce}x.{signature}",
        session[:-1],
    ):
        assert not access().is_session(forged, NOW)
    assert not access("u" * 43).is_session(session, NOW)


def test_a_forms_field_is_of_one_session_and_is_not_the_session_itself():
    one, other = access().new_session(NOW), access().new_session(NOW)
    field = access().form_field(one)
    assert not access().is_form_field(field, other)
    assert not access().is_form_field("", one)
    assert not access().is_form_field(one, one)


def test_two_tokens_use_two_cookies_since_cookies_know_no_port():
    assert access().cookie_name != access("u" * 43).cookie_name


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "localhost:1", "[::1]:8000"])
def test_the_page_answers_on_this_machine(host):
    assert refusal_of({"host": host}) is None
    assert refusal_of({"host": host, "origin": f"http://{host}"}) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "127.0.0.1:8000@evil",
        "127.0.0.2",
    ],
)
def test_a_name_that_only_points_here_is_refused(host):
    assert refusal_of({"host": host})


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:3000", "https://127.0.0.1:8000", "http://localhost:8000"],
)
def test_another_pages_request_is_refused(origin):
    assert refusal_of({"host": "127.0.0.1:8000", "origin": origin})


def test_a_browser_that_names_no_origin_says_whether_a_form_is_foreign():
    assert is_from_elsewhere({"sec-fetch-site": "cross-site"})
    assert is_from_elsewhere({"sec-fetch-site": "same-site"})
    assert not is_from_elsewhere({"sec-fetch-site": "same-origin"})
    assert not is_from_elsewhere({})

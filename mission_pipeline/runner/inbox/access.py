"""Who may look and decide: the token, sessions made from it, the field that closes forgery, hosts and origins.

Knows no page and no store. A session is signed, not stored, so that it outlives a restart; a new token ends them all.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mission_pipeline.errors import MissionPipelineError

TOKEN_FILE = Path(".runner", "inbox-token")
"""Below the warehouse."""
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,200}")
_LOOPBACK_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")
"""Any port: the page may be reached through a tunnel, whose near end has a port of its own."""


@dataclass(frozen=True)
class Access:
    """What the token opens. Everything that is compared is compared in constant time."""

    token: str
    session_lasts: timedelta

    @property
    def cookie_name(self) -> str:
        """Of this token alone: cookies know no port, and two inboxes may be open on one machine."""
        return f"mission_inbox_{self._signed('cookie')[:8]}"

    def is_token(self, given: str) -> bool:
        """Return whether somebody holds the token."""
        return _is_same(given, self.token)

    def new_session(self, now: datetime) -> str:
        """Return a session that begins now, to be kept in a cookie."""
        head = f"{_seconds(now)}.{secrets.token_urlsafe(16)}"
        return f"{head}.{self._signed(f'session {head}')}"

    def is_session(self, given: str, now: datetime) -> bool:
        """Return whether this inbox gave out the session, and it is not over."""
        head, _, signature = given.rpartition(".")
        if not _is_same(signature, self._signed(f"session {head}")):
            return False
        age = _seconds(now) - int(head.partition(".")[0])
        return age < self.session_lasts.total_seconds()

    def form_field(self, session: str) -> str:
        """Return what a form of this session must carry: another site cannot know it."""
        return self._signed(f"form {session}")

    def is_form_field(self, given: str, session: str) -> bool:
        """Return whether a form was made for this session."""
        return _is_same(given, self.form_field(session))

    def _signed(self, text: str) -> str:
        return hmac.new(self.token.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def refusal_of(headers: Mapping[str, str]) -> str | None:
    """Return why a request is not from a page of this machine's inbox; None: it may be.

    A name that an attacker lets point here (DNS rebinding) stands in ``Host``; a foreign page that sends a form stands
    in ``Origin``, or is told by ``Sec-Fetch-Site``.
    """
    host = headers.get("host", "")
    if not _LOOPBACK_HOST.fullmatch(host):
        return "This page answers only at 127.0.0.1 and localhost."
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "This request comes from another page."
    return None


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Return whether a form was sent by a page that is not this one, as far as the browser says so."""
    return headers.get("origin") is None and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def kept_token(warehouse: Path) -> str:
    """Return the token of a warehouse's inbox, made on first use; only this user can read its file.

    A file that others could read holds no secret any more: it is replaced.

    Raises:
        MissionPipelineError: the file cannot be read or written.

    """
    file = warehouse / TOKEN_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if (known := _read_private(file)) is not None:
            return known
        file.unlink(missing_ok=True)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        written = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(token + "\n")
        try:
            # A link fails where another inbox was quicker; then both use that one's token.
            os.link(written, file)
        except FileExistsError:
            token = _read_private(file) or token
        finally:
            written.unlink()
    except OSError as error:
        raise MissionPipelineError(
            f"The token of the inbox, {file}, cannot be kept ({error.strerror}). Make the folder writable."
        ) from error
    return token


def _read_private(file: Path) -> str | None:
    """Return the token; None where there is none, or none that is secret and whole."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, encoding="ascii", errors="replace") as stream:
        status = os.fstat(stream.fileno())
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.getuid():
            return None
        token = stream.read(1_000).strip()
    return token if _TOKEN.fullmatch(token) else None


def _is_same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), known.encode())


def _seconds(now: datetime) -> int:
    return int(now.replace(tzinfo=UTC).timestamp())

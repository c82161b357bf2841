"""The inbox as a web application: who may ask, what is shown, and the one form that decides.

No script is sent and none may run. A page that shows changes nothing; a decision is a POST with the session's field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args
from urllib.parse import parse_qsl, quote, unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mission_pipeline.errors import (
    AlreadyDecided,
    MissionPipelineError,
    ResultChanged,
    UnknownApproval,
)
from mission_pipeline.runner.inbox import gates
from mission_pipeline.runner.inbox.access import Access, is_from_elsewhere, refusal_of
from mission_pipeline.runner.inbox.pages import page, stylesheet
from mission_pipeline.runner.model import Decision, Verdict
from mission_pipeline.runner.typed import LONGEST_NAME, LONGEST_REASON, has_controls, is_empty, is_the_time_limit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mission_pipeline.policy import Policy
    from mission_pipeline.runner.store import Missions

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": a browser would then send forms with the origin "null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LARGEST_FORM = 100_000
"""Bytes: several times what the fields may hold, each letter written as ``%XX%XX%XX%XX``."""
_NAME_COOKIE = "mission_inbox_name"
_NAME_KEPT_SECONDS = 365 * 86_400
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Inbox:
    """What the pages are made of."""

    missions: Missions
    access: Access
    policy: Policy
    clock: Callable[[], datetime]
    on_decision: Callable[[], None] = lambda: None
    """Called after a decision, which may have ended its run."""


class Refused(Exception):
    """A request that gets a page of explanation instead."""

    def __init__(self, status: int, title: str, *lines: str, asks_token: bool = False) -> None:
        super().__init__(title)
        self.response = _message(status, title, *lines, asks_token=asks_token)


def inbox_app(inbox: Inbox) -> ASGIApp:
    """Return the application, with its walls around everything, errors included."""
    pages = _Pages(inbox)
    app = Starlette(
        routes=[
            Route("/", pages.show_list),
            Route("/gate", pages.show_gate),
            Route("/decide", pages.decide, methods=["POST"]),
            Route("/enter", pages.enter_by_link),
            Route("/enter", pages.enter_by_form, methods=["POST"]),
            Route("/inbox.css", _show_stylesheet),
            Route("/favicon.ico", _show_nothing),
        ],
        exception_handlers={
            Refused: _shown_refusal,
            MissionPipelineError: _shown_fault,
            HTTPException: _shown_http_fault,
            Exception: _shown_surprise,
        },
    )
    return _walled(app)


def _walled(app: ASGIApp) -> ASGIApp:
    """Refuse foreign hosts and origins before anything else, and send the same protective headers with every answer."""

    async def walled(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        if scope["type"] != "http":
            return  # nothing else is served
        reason = refusal_of(Request(scope).headers)
        if reason is None:
            await app(scope, receive, send_with_headers)
        else:
            refused = _message(403, "Not from here", reason, "Open the link that mission inbox printed.")
            await refused(scope, receive, send_with_headers)

    return walled


class _Pages:
    """One function per address."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    # ------------------------------------------------------------------ who may look

    def _session(self, request: Request) -> str:
        session = request.cookies.get(self._inbox.access.cookie_name, "")
        if not self._inbox.access.is_session(session, self._inbox.clock()):
            raise Refused(
                401,
                "A key is needed",
                "Open the link that mission inbox printed where it was started, or paste the token at its end.",
                "The token is also kept in the file .runner/inbox-token of the warehouse folder.",
                asks_token=True,
            )
        return session

    def enter_by_link(self, request: Request) -> Response:
        """Exchange the token for a session; the address that follows holds no token."""
        return self._entered(request.query_params.get("token", ""))

    async def enter_by_form(self, request: Request) -> Response:
        """Take the token from the form of the page that asks for it."""
        form = await _form_of(request)
        return self._entered(form.get("token", "").strip())

    def _entered(self, token: str) -> Response:
        access = self._inbox.access
        if not access.is_token(token):
            raise Refused(
                401,
                "This key does not fit",
                "The link is an old one, or not whole. Open the one that mission inbox printed last.",
                asks_token=True,
            )
        response = RedirectResponse("/", status_code=303)
        lasts = int(access.session_lasts.total_seconds())
        session = access.new_session(self._inbox.clock())
        response.set_cookie(access.cookie_name, session, max_age=lasts, httponly=True, samesite="strict")
        return response

    # ------------------------------------------------------------------ what is shown

    def show_list(self, request: Request) -> Response:
        """Show the open gates, and what was decided before."""
        self._session(request)
        inbox = self._inbox
        listed = gates.listed(inbox.missions, inbox.policy, inbox.clock(), just=request.query_params.get("decided"))
        return HTMLResponse(page("list", **listed))

    def show_gate(self, request: Request) -> Response:
        """Show one gate: what is asked, the result, and the form if it is open."""
        session = self._session(request)
        return self._gate(request, session, request.query_params.get("id", ""))

    def _gate(
        self,
        request: Request,
        session: str,
        approval_id: str,
        *,
        status: int = 200,
        typed: Mapping[str, str] = NONE,
        faults: Mapping[str, str] = NONE,
        notice: Mapping[str, str] | None = None,
    ) -> Response:
        inbox = self._inbox
        known = {"by": unquote(request.cookies.get(_NAME_COOKIE, ""))[:LONGEST_NAME], "reason": ""}
        shown = page(
            "gate",
            gate=gates.shown_gate(inbox.missions, inbox.policy, approval_id, inbox.clock()),
            form_field=inbox.access.form_field(session),
            typed={**known, **typed},
            faults={"by": "", "reason": "", **faults},
            notice=notice,
        )
        return HTMLResponse(shown, status)

    # ------------------------------------------------------------------ the decision

    async def decide(self, request: Request) -> Response:
        """Decide at a gate, about the result that the form was made for."""
        session = self._session(request)
        form = await _form_of(request)
        return await run_in_threadpool(self._decided, request, session, form)

    def _decided(self, request: Request, session: str, form: Mapping[str, str]) -> Response:
        inbox = self._inbox
        if not inbox.access.is_form_field(form.get("form", ""), session):
            raise Refused(
                403,
                "Nothing was decided",
                "The form was not made for this session: it is an old one, or another page sent it.",
                "Open the gate again.",
            )
        verdict = _verdict_of(form.get("verdict", ""))
        approval_id, seen = form.get("approval_id", ""), form.get("seen_sha256", "")
        if verdict is None or not seen:
            raise Refused(400, "Nothing was decided", "The form is not whole. Open the gate again.")
        typed = {"by": form.get("by", "").strip(), "reason": form.get("reason", "").strip()}

        def again(status: int, where: str, notice: Mapping[str, str], faults: Mapping[str, str] = NONE) -> Response:
            return self._gate(request, session, where, status=status, typed=typed, faults=faults, notice=notice)

        if faults := _faults_of(verdict, typed):
            return again(422, approval_id, _notice("bad", "Nothing was decided yet.", *faults.values()), faults)
        try:
            inbox.missions.decide(
                approval_id, verdict, by=typed["by"], reason=typed["reason"] or None, seen_sha256=seen
            )
        except AlreadyDecided as late:
            if not _is_same(late.decision, verdict, typed):
                said = _notice("bad", "Your decision came second and does not count.", str(late))
                return again(409, approval_id, said)
        except ResultChanged as changed:
            title = "Nothing was decided: the result has changed since you looked."
            return again(409, changed.approval_id, _notice("watch", title, "Below is the one that counts now."))
        inbox.on_decision()
        response = RedirectResponse(f"/?decided={quote(approval_id, safe='')}", status_code=303)
        name = quote(typed["by"], safe="")
        response.set_cookie(_NAME_COOKIE, name, max_age=_NAME_KEPT_SECONDS, httponly=True, samesite="strict")
        return response


def _notice(style: str, title: str, *sentences: str) -> dict[str, str]:
    return {"class": style, "title": title, "text": " ".join(sentences)}


def _is_same(decision: object, verdict: Verdict, typed: Mapping[str, str]) -> bool:
    """Return whether what stands is what this person just decided: the button was pressed twice."""
    return (
        isinstance(decision, Decision)
        and (decision.verdict, decision.decided_by) == (verdict, typed["by"])
        and (decision.reason or "") == typed["reason"]
    )


def _verdict_of(given: str) -> Verdict | None:
    return next((verdict for verdict in get_args(Verdict) if verdict == given), None)


def _faults_of(verdict: Verdict, typed: Mapping[str, str]) -> dict[str, str]:
    """Return what is missing or too long in what a person typed, by field."""
    faults = {}
    if is_empty(typed["by"]):
        faults["by"] = "Say who decides."
    elif len(typed["by"]) > LONGEST_NAME:
        faults["by"] = f"A name has up to {LONGEST_NAME} letters."
    elif has_controls(typed["by"]):
        faults["by"] = "The name has control characters in it. Leave them out."
    elif is_the_time_limit(typed["by"]):
        faults["by"] = "This name stands where nobody decided in time. Say who decides."
    if verdict == "rejected" and is_empty(typed["reason"]):
        faults["reason"] = "Say why it is rejected, so that the next attempt can do better."
    elif len(typed["reason"]) > LONGEST_REASON:
        faults["reason"] = f"A reason has up to {LONGEST_REASON} letters."
    elif not is_empty(typed["reason"]) and has_controls(typed["reason"], keep_lines=True):
        faults["reason"] = "The reason has control characters in it. Leave them out."
    return faults


async def _form_of(request: Request) -> dict[str, str]:
    """Return a form's fields; one that is sent twice is none.

    Raises:
        Refused: not from this page, not a form, or too large.

    """
    if is_from_elsewhere(request.headers):
        raise Refused(403, "Nothing was decided", "Another page sent this form.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Refused(415, "Not a form", "Only the form of this page is understood.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise Refused(413, "Nothing was decided", "The form is too large. Write a shorter reason.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=20)
    except ValueError as error:
        raise Refused(400, "Nothing was decided", "The form cannot be read.") from error
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def _message(status: int, title: str, *lines: str, asks_token: bool = False) -> HTMLResponse:
    has_link = status not in (401, 403)
    return HTMLResponse(page("message", title=title, lines=lines, asks_token=asks_token, has_link=has_link), status)


def _show_stylesheet(request: Request) -> Response:
    return Response(stylesheet(), media_type="text/css")


def _show_nothing(request: Request) -> Response:
    return Response(status_code=204)


def _shown_refusal(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return refused.response


def _shown_fault(request: Request, fault: Exception) -> Response:
    if isinstance(fault, UnknownApproval):
        return _message(404, "No such gate", str(fault))
    return _message(503, "That did not work", str(fault))


def _shown_http_fault(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    titles = {404: "Nothing is here", 405: "That cannot be done so"}
    return _message(fault.status_code, titles.get(fault.status_code, "That did not work"))


def _shown_surprise(request: Request, fault: Exception) -> Response:
    return _message(500, "A fault of this program", "Nothing was decided. Its log says more.")

"""Agents of the onboarding mission: is the form complete, are the documents in order, when is the first call."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

from mission_pipeline.runner.shipped_agents.requests import (
    Answer,
    CannotWork,
    Request,
    agent,
    completed,
    day,
    escalated,
    given,
    listed,
    moment,
    objects,
    result_of,
    text,
    today,
)

REQUIRED_FIELDS = ("company", "contact_name", "email", "country", "tax_id", "signed_at")
REQUIRED_DOCUMENTS = ("company_registration", "identity", "bank_statement")
STATEMENT_DAYS = 90
"""A bank statement must not be older."""
CALL_MINUTES = 45
"""How long the first call takes, unless the calendar says otherwise."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_COMPANY_FORMS = {"lda", "ltd", "llc", "inc", "gmbh", "sa", "bv", "srl", "ag", "plc"}


def _collect(request: Request) -> Answer:
    """Look whether the customer's form is complete, and write the question that asks for the rest."""
    customer = given(request, "customer")
    form = {name: text(customer, name) for name in sorted({*REQUIRED_FIELDS, *customer})}
    missing = [name for name in REQUIRED_FIELDS if not form[name]]
    unclear = []
    if form["email"] and not _EMAIL.fullmatch(form["email"]):
        unclear.append({"field": "email", "value": form["email"], "why": "It is not an e-mail address."})
    if form["country"] and not re.fullmatch("[A-Z]{2}", form["country"]):
        unclear.append({"field": "country", "value": form["country"], "why": "It is not a code of two letters."})
    to_ask = [*missing, *(each["field"] for each in unclear)]
    question = None
    if to_ask:
        fields = " and ".join(filter(None, [", ".join(map(_words, to_ask[:-1])), _words(to_ask[-1])]))
        question = f"Dear {form['contact_name'] or 'customer'}, to open your account we still need your {fields}."
    result = {"is_complete": not to_ask, "missing": missing, "unclear": unclear, "question": question, "form": form}
    who = form["company"] or "The customer"
    summary = f"{who}: the form is complete" if not to_ask else f"{who}: {len(to_ask)} to ask for: {', '.join(to_ask)}"
    return completed(result, summary)


def _verify(request: Request) -> Answer:
    """Check every required document and say what is wrong with it; a person decides."""
    now = today(request)
    collected = result_of(request, "T1")
    form = collected.get("form")
    if not isinstance(form, dict):
        raise CannotWork("The result of T1 has no form to compare with.")
    by_kind = {text(document, "kind"): document for document in listed(request, "documents")}
    checked, issues = [], []
    for kind in REQUIRED_DOCUMENTS:
        found = _issues_of(kind, by_kind[kind], form, now) if kind in by_kind else ["It was not submitted."]
        checked.append({"document": kind, "is_in_order": not found, "issues": found})
        issues += [f"{_words(kind)}: {issue}" for issue in found]
    if not collected.get("is_complete"):
        issues.append("form: the customer was asked for what is missing or unclear.")
    result: dict[str, Any] = {
        "recommendation": "ask the customer again" if issues else "accept",
        "issues": issues,
        "documents": checked,
    }
    if request["rejection"]:
        result["reviewer_said"] = request["rejection"]
    count = f"{len(issues)} issue{'' if len(issues) == 1 else 's'}" if issues else "everything in order"
    return completed(result, f"{text(form, 'company') or 'The customer'}: {count}")


def _issues_of(kind: str, document: dict[str, Any], form: dict[str, Any], now: date) -> list[str]:
    issues = []
    expires = day(document, "expires_on", f"the document {kind}")
    issued = day(document, "issued_on", f"the document {kind}")
    if expires is not None and expires < now:
        issues.append(f"It expired on {expires}.")
    if issued is not None and issued > now:
        issues.append(f"It is dated {issued}, which is not yet.")
    if kind == "bank_statement":
        if issued is None:
            issues.append("It has no date.")
        elif (now - issued).days > STATEMENT_DAYS:
            issues.append(f"It is {(now - issued).days} days old; at most {STATEMENT_DAYS} are accepted.")
    name, expected = text(document, "name"), text(form, "contact_name" if kind == "identity" else "company")
    if _core(name) != _core(expected):
        issues.append(f"It names {name or 'nobody'}, the form says {expected or 'nobody'}.")
    return issues


def _core(name: str) -> list[str]:
    """Return the words of a name that identify it: without case, points, and the form of a company."""
    words = re.findall(r"\w+", name.replace(".", "").casefold())
    return [word for word in words if word not in _COMPANY_FORMS]


def _schedule(request: Request) -> Answer:
    """Find the first time that suits both sides."""
    calendar = given(request, "calendar")
    minutes = calendar.get("call_minutes", CALL_MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not 0 < minutes <= 24 * 60:
        raise CannotWork(f"call_minutes of the calendar is {minutes}, not a number of minutes within a day.")
    length = timedelta(minutes=minutes)
    customer, team = _windows(calendar, "customer_free"), _windows(calendar, "team_free")
    opens = datetime.combine(today(request), datetime.min.time())
    starts = sorted(
        start
        for first in customer
        for second in team
        if (start := max(first[0], second[0], opens)) + length <= min(first[1], second[1])
    )
    if not starts:
        return escalated(
            f"No time of {minutes:g} minutes suits both sides ({len(customer)} of the customer's, {len(team)} of the "
            "team's were compared). Ask one of them for more."
        )
    start = starts[0]
    customer_form = given(request, "customer")
    signed = moment(customer_form, "signed_at", "the customer")
    days = round((start - signed).total_seconds() / 86_400, 1)
    result = {
        "starts_at": start.isoformat(timespec="minutes"),
        "ends_at": (start + length).isoformat(timespec="minutes"),
        "with": text(customer_form, "contact_name"),
        "other_times": [other.isoformat(timespec="minutes") for other in sorted(set(starts))[1:3]],
        "days_since_signature": days,
    }
    return completed(result, f"Call on {start:%Y-%m-%d} at {start:%H:%M}", {"onboarding_time_days": days})


def _windows(calendar: dict[str, Any], name: str) -> list[tuple[datetime, datetime]]:
    windows = objects(calendar, name, "the calendar")
    return [(moment(window, "from", name), moment(window, "to", name)) for window in windows]


def _words(name: str) -> str:
    return name.replace("_", " ")


collect_information = agent({"T1": _collect})
verify_documents = agent({"T2": _verify})
schedule_call = agent({"T3": _schedule})

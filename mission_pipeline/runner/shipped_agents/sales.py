"""The agent of the sales mission: how a deal stands, by points that can be added up, and the mail that moves it on."""

from __future__ import annotations

from datetime import date
from typing import Any

from mission_pipeline.runner.shipped_agents.requests import (
    Answer,
    CannotWork,
    Request,
    agent,
    completed,
    day,
    given,
    listed,
    result_of,
    text,
    today,
)

START_POINTS = 50
HOT_FROM, WARM_FROM = 70, 40
FRESH_CONTACT_DAYS, STALE_CONTACT_DAYS = 7, 21
LONG_STAGE_DAYS = 14
MOST_QUESTION_POINTS = 15

_SUBJECTS = {"hot": "Next step for {account}", "warm": "Your questions, {account}", "cold": "Still useful, {account}?"}
_OPENINGS = {
    "hot": "Thank you for the good conversation{since}. I would like to agree the last step with you.",
    "warm": "Thank you for your time{since}. I would like to answer what is still open.",
    "cold": "We have not spoken for a while. I would like to know whether this still matters to you.",
}
_ASKS = {
    "hot": "Would {ask} suit you for half an hour, so that we can settle it?",
    "warm": "May I call you on {ask} for twenty minutes?",
    "cold": "A line in reply is enough: shall we go on, later, or not at all?",
}


def _analyze(request: Request) -> Answer:
    """Give the deal its points, each with its reason."""
    deal, now = given(request, "deal"), today(request)
    points = [{"points": START_POINTS, "because": "every deal starts here"}, *_points(deal, _contacts(request), now)]
    score = min(max(sum(each["points"] for each in points), 0), 100)
    temperature = "hot" if score >= HOT_FROM else "warm" if score >= WARM_FROM else "cold"
    questions = _questions(deal)
    result = {
        "temperature": temperature,
        "score": score,
        "points": points,
        "open_questions": questions,
        "next_step": text(deal, "next_step") or (f"Answer: {questions[0]}" if questions else "Agree a next step"),
    }
    return completed(result, f"{text(deal, 'account') or 'The deal'} is {temperature} ({score} of 100)")


def _points(deal: dict[str, Any], contacts: list[date], now: date) -> list[dict[str, Any]]:
    points: list[tuple[int, str]] = []
    if not contacts:
        points.append((-20, "nobody has been in contact"))
    else:
        days = (now - contacts[-1]).days
        if days <= FRESH_CONTACT_DAYS:
            points.append((20, f"last contact {days} days ago"))
        elif days > STALE_CONTACT_DAYS:
            points.append((-20, f"last contact {days} days ago"))
    entered = day(deal, "entered_stage_on", "the deal")
    if entered is not None and (now - entered).days > LONG_STAGE_DAYS:
        points.append((-15, f"{(now - entered).days} days in the stage {text(deal, 'stage') or 'without a name'}"))
    close_by = day(deal, "close_by", "the deal")
    if close_by is not None and close_by < now:
        points.append((-25, f"it should have closed by {close_by}"))
    if deal.get("is_decision_maker") is True:
        points.append((10, "the contact decides"))
    if text(deal, "next_step"):
        points.append((15, "a next step is agreed"))
    questions = _questions(deal)
    if questions:
        lost = min(5 * len(questions), MOST_QUESTION_POINTS)
        points.append((-lost, f"{len(questions)} open question{'' if len(questions) == 1 else 's'}"))
    return [{"points": number, "because": reason} for number, reason in points]


def _draft(request: Request) -> Answer:
    """Write the mail that fits how the deal stands; after a rejection a shorter one, with what the reviewer said."""
    deal, analysis, now = given(request, "deal"), result_of(request, "T4"), today(request)
    temperature = analysis.get("temperature")
    if temperature not in _SUBJECTS:
        raise CannotWork("The result of T4 does not say whether the deal is hot, warm or cold.")
    name, account = text(deal, "contact_name"), text(deal, "account")
    if not name or not account:
        raise CannotWork("The deal has no contact_name or no account to write to.")
    contacts = _contacts(request)
    since = f" on {contacts[-1]}" if contacts else ""
    ask = text(deal, "proposed_call") or "one day this week"
    questions = [] if temperature == "cold" or request["rejection"] else _questions(deal)
    answers = [f"You asked: {question} I will bring the answer." for question in questions]
    paragraphs = [
        f"Dear {name},",
        _OPENINGS[temperature].format(since=since),
        *answers,
        _ASKS[temperature].format(ask=ask),
        f"Kind regards\n{text(deal, 'owner') or 'Your contact'}",
    ]
    result: dict[str, Any] = {
        "email": {
            "to": text(deal, "email") or name,
            "subject": _SUBJECTS[temperature].format(account=account),
            "body": "\n\n".join(paragraphs),
        },
        "because": f"The deal is {temperature}, with {analysis.get('score')} of 100 points on {now}.",
    }
    if request["rejection"]:
        result["reviewer_said"] = request["rejection"]
    touchpoints = len(contacts) + 1  # the mail itself is the next one
    return completed(result, f"A mail to {name} for a {temperature} deal", {"touchpoints": touchpoints})


def _contacts(request: Request) -> list[date]:
    """Return the days of the contacts so far, oldest first."""
    days = (day(contact, "on", "a contact") for contact in listed(request, "contacts"))
    return sorted(found for found in days if found is not None)


def _questions(deal: dict[str, Any]) -> list[str]:
    questions = deal.get("open_questions") or []
    if not isinstance(questions, list):
        raise CannotWork("open_questions of the deal is not a list.")
    return [str(question) for question in questions]


advance_deal = agent({"T4": _analyze, "T5": _draft})

"""The agent of the support mission: what a ticket is about, which article helps, and the answer to send."""

from __future__ import annotations

import re
from typing import Any

from mission_pipeline.runner.shipped_agents.requests import (
    Answer,
    CannotWork,
    Request,
    agent,
    completed,
    given,
    listed,
    result_of,
    text,
)

CATEGORIES = {
    "access": ("login", "log", "password", "locked", "account", "code", "sign"),
    "billing": ("invoice", "charged", "refund", "payment", "price", "card"),
    "delivery": ("parcel", "delivery", "shipped", "arrived", "courier", "tracking"),
    "fault": ("error", "crash", "crashes", "broken", "fails", "slow", "freezes"),
}
"""Category → words that speak for it. Of two with as many, the first; none of them: `other`."""
URGENT_WORDS = ("urgent", "immediately", "down", "nobody", "legal", "cancel")
MOST_ARTICLES = 3


def _categorize(request: Request) -> Answer:
    """Name the category that most of the ticket's words speak for."""
    ticket = given(request, "ticket")
    words = _words_of(ticket)
    if not words:
        raise CannotWork("The ticket has no subject and no text.")
    found = {category: [word for word in of if word in words] for category, of in CATEGORIES.items()}
    category = max(found, key=lambda name: len(found[name]))
    if not found[category]:
        category = "other"
    urgent = [word for word in URGENT_WORDS if word in words]
    result = {
        "category": category,
        "is_urgent": bool(urgent),
        "because_of": {name: of for name, of in found.items() if of},
        "urgent_words": urgent,
    }
    return completed(result, f"Ticket {text(ticket, 'ticket_id')}: {category}{', urgent' if urgent else ''}")


def _retrieve(request: Request) -> Answer:
    """Find the articles that share most words with the ticket; one of its category comes before another of as many."""
    ticket, category = given(request, "ticket"), text(result_of(request, "T6"), "category")
    words = _words_of(ticket)
    ranked = []
    for article in listed(request, "knowledge_base"):
        shared = [word for word in _texts(article, "words") if word.casefold() in words]
        if shared:
            is_of_category = text(article, "category") == category
            ranked.append((-len(shared), not is_of_category, text(article, "article_id"), article, shared))
    ranked.sort(key=lambda entry: entry[:3])
    articles = [
        {
            "article_id": article_id,
            "title": text(article, "title"),
            "shared_words": shared,
            "steps": _texts(article, "steps"),
        }
        for _, _, article_id, article, shared in ranked[:MOST_ARTICLES]
    ]
    if not articles:
        return completed({"articles": [], "is_found": False}, "No article helps; a specialist must answer")
    first = articles[0]
    return completed({"articles": articles, "is_found": True}, f"{first['article_id']}: {first['title']}")


def _draft(request: Request) -> Answer:
    """Write the answer with the steps of the best article; without one, that a specialist takes over."""
    ticket, articles = given(request, "ticket"), result_of(request, "T7").get("articles")
    if not isinstance(articles, list):
        raise CannotWork("The result of T7 has no list of articles.")
    name = text(ticket, "from_name") or "customer"
    # After a rejection the next article is tried, if there is one: the reviewer has seen the first.
    usable = articles[min(request["attempt"] - 1, len(articles) - 1) :] if request["rejection"] else articles
    article = usable[0] if usable else None
    if article is None:
        middle = ["We have not found a ready answer to this. A specialist has your ticket now and will write to you."]
    else:
        steps = [f"{number}. {step}" for number, step in enumerate(_texts(article, "steps"), start=1)]
        middle = ["These steps should help:", "\n".join(steps), "If they do not, reply to this message and we go on."]
    subject = text(ticket, "subject")
    paragraphs = [f"Dear {name},", f"Thank you for writing about “{subject}”.", *middle, "Kind regards\nSupport"]
    result: dict[str, Any] = {
        "message": {"to": text(ticket, "from_email") or name, "subject": f"Re: {subject}",
                    "body": "\n\n".join(paragraphs)},
        "article_id": None if article is None else article.get("article_id"),
        "needs_specialist": article is None,
    }  # fmt: skip
    if request["rejection"]:
        result["reviewer_said"] = request["rejection"]
    source = "hand-over to a specialist" if article is None else f"steps of {article.get('article_id')}"
    return completed(result, f"An answer to {name}: {source}")


def _words_of(ticket: dict[str, Any]) -> set[str]:
    return set(re.findall(r"\w+", f"{text(ticket, 'subject')} {text(ticket, 'text')}".casefold()))


def _texts(values: dict[str, Any], name: str) -> list[str]:
    texts = values.get(name) or []
    if not isinstance(texts, list):
        raise CannotWork(f"{name} of an article is not a list.")
    return [str(each) for each in texts]


resolve_case = agent({"T6": _categorize, "T7": _retrieve, "T8": _draft})

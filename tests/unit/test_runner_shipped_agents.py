"""The agents that ship with the product: worked examples in sight, and both sides of every rule."""

import json
from pathlib import Path

import pytest

from mission_pipeline.runner.shipped_agents.onboarding import collect_information, schedule_call, verify_documents
from mission_pipeline.runner.shipped_agents.sales import advance_deal
from mission_pipeline.runner.shipped_agents.support import resolve_case

INPUTS = Path(__file__).parents[2] / "raw_data" / "mission_inputs"


def asked(task_id, given, results=None, rejection=None, attempt=1):
    return {"task_id": task_id, "input": given, "results": results or {}, "rejection": rejection, "attempt": attempt}


def result(answer):
    assert answer["status"] == "completed", answer
    return answer["result"]


# ------------------------------------------------------------------ T1: is the form complete

CUSTOMER = {
    "company": "Brightwater", "contact_name": "Ines Duarte", "email": "ines@brightwater.example", "country": "PT",
    "tax_id": "PT5", "signed_at": "2026-02-08T10:00",
}  # fmt: skip


def collected(**changes):
    return collect_information(asked("T1", {"customer": {**CUSTOMER, **changes}}))


def test_a_complete_form_asks_for_nothing():
    answer = collected(phone=" 1 ")
    assert answer["summary"] == "Brightwater: the form is complete"
    assert result(answer) == {
        "is_complete": True, "missing": [], "unclear": [], "question": None,
        "form": {**CUSTOMER, "phone": "1"},
    }  # fmt: skip


def test_what_is_missing_or_unclear_is_asked_for_in_one_sentence():
    answer = collected(tax_id="  ", email="ines at brightwater", country="Portugal")
    found = result(answer)
    assert (found["is_complete"], found["missing"]) == (False, ["tax_id"])
    assert [each["field"] for each in found["unclear"]] == ["email", "country"]
    assert found["question"] == ("Dear Ines Duarte, to open your account we still need your tax id, email and country.")
    assert answer["summary"] == "Brightwater: 3 to ask for: tax_id, email, country"
    assert result(collected(tax_id=None))["question"].endswith("we still need your tax id.")


def test_an_empty_form_lacks_everything_that_is_required():
    found = result(collect_information(asked("T1", {"customer": {}})))
    assert found["missing"] == list(CUSTOMER)
    assert found["question"].startswith("Dear customer, ")


# ------------------------------------------------------------------ T2: are the documents in order

DOCUMENTS = {
    "company_registration": {"kind": "company_registration", "name": "Brightwater, Lda."},
    "identity": {"kind": "identity", "name": "ines duarte", "expires_on": "2026-02-09"},
    "bank_statement": {"kind": "bank_statement", "name": "Brightwater", "issued_on": "2025-11-11"},
}
"""In order on 2026-02-09, by a day: the identity's last one, the statement's ninetieth."""


def verified(today="2026-02-09", form=None, rejection=None, **changes):
    documents = [{**document, **changes.get(kind, {})} for kind, document in DOCUMENTS.items()]
    form = form or {"is_complete": True, "form": CUSTOMER}
    given = {"today": today, "documents": [document for document in documents if document["kind"]]}
    return verify_documents(asked("T2", given, {"T1": form}, rejection))


def test_documents_in_order_are_recommended():
    answer = verified()
    assert result(answer) == {
        "recommendation": "accept",
        "issues": [],
        "documents": [{"document": kind, "is_in_order": True, "issues": []} for kind in DOCUMENTS],
    }
    assert answer["summary"] == "Brightwater: everything in order"


@pytest.mark.parametrize(("changes", "issue"), [
    ({"identity": {"expires_on": "2026-02-08"}}, "identity: It expired on 2026-02-08."),
    ({"identity": {"issued_on": "2026-02-10"}}, "identity: It is dated 2026-02-10, which is not yet."),
    ({"identity": {"name": "Inés Duarte"}}, "identity: It names Inés Duarte, the form says Ines Duarte."),
    ({"identity": {"name": None}}, "identity: It names nobody, the form says Ines Duarte."),
    ({"bank_statement": {"issued_on": "2025-11-10"}}, "bank statement: It is 91 days old; at most 90 are accepted."),
    ({"bank_statement": {"issued_on": ""}}, "bank statement: It has no date."),
    ({"company_registration": {"name": "Brightwater Two Ltd"}}, "company registration: It names Brightwater Two Ltd, the form says Brightwater."),
    ({"company_registration": {"kind": ""}}, "company registration: It was not submitted."),
    ({"form": {"is_complete": False, "form": CUSTOMER}}, "form: the customer was asked for what is missing or unclear."),
])  # fmt: skip
def test_each_issue_is_named(changes, issue):
    found = result(verified(**changes))
    assert found["issues"] == [issue]
    assert found["recommendation"] == "ask the customer again"


def test_what_the_reviewer_said_stands_beside_the_next_attempt():
    assert result(verified(rejection="The scan is unreadable."))["reviewer_said"] == "The scan is unreadable."


# ------------------------------------------------------------------ T3: when is the first call


def scheduled(customer_free, team_free, today="2026-02-09", **calendar):
    def windows(pairs):
        return [{"from": f"2026-02-{start}", "to": f"2026-02-{end}"} for start, end in pairs]

    given = {
        "today": today, "customer": CUSTOMER,
        "calendar": {"customer_free": windows(customer_free), "team_free": windows(team_free), **calendar},
    }  # fmt: skip
    return schedule_call(asked("T3", given))


def test_the_first_time_that_suits_both_is_taken():
    answer = scheduled(
        [("11T09:00", "11T12:00"), ("10T10:00", "10T12:00")],
        [("10T11:00", "10T15:00"), ("11T08:00", "11T10:00")],
    )
    assert result(answer) == {
        "starts_at": "2026-02-10T11:00", "ends_at": "2026-02-10T11:45", "with": "Ines Duarte",
        "other_times": ["2026-02-11T09:00"], "days_since_signature": 2.0,
    }  # fmt: skip
    assert answer["kpis"] == {"onboarding_time_days": 2.0}
    assert answer["summary"] == "Call on 2026-02-10 at 11:00"


def test_a_time_that_just_fits_is_taken_and_one_a_minute_short_is_not():
    fits = scheduled([("10T10:00", "10T10:45")], [("10T09:00", "10T12:00")])
    assert result(fits)["starts_at"] == "2026-02-10T10:00"
    short = scheduled([("10T10:00", "10T10:44")], [("10T09:00", "10T12:00")])
    assert short == {
        "status": "escalated",
        "message": "No time of 45 minutes suits both sides (1 of the customer's, 1 of the team's were compared). "
        "Ask one of them for more.",
    }
    assert result(scheduled([("10T10:00", "10T10:44")], [("10T09:00", "10T12:00")], call_minutes=44))


def test_without_a_free_time_or_with_past_ones_only_a_person_must_help():
    assert scheduled([], [("10T09:00", "10T12:00")])["status"] == "escalated"
    assert scheduled([("08T09:00", "08T12:00")], [("08T09:00", "08T12:00")])["status"] == "escalated"


# ------------------------------------------------------------------ T4: how does the deal stand

DEAL = {
    "account": "Northgate", "contact_name": "Tomas Berg", "email": "t@northgate.example", "owner": "Maya Lind",
    "stage": "proposal", "entered_stage_on": "2026-01-26", "close_by": "2026-02-09",
}  # fmt: skip


def analyzed(contact="2026-02-01", **changes):
    contacts = [{"on": contact}] if contact else []
    return advance_deal(asked("T4", {"today": "2026-02-09", "deal": {**DEAL, **changes}, "contacts": contacts}))


def test_a_deal_without_anything_to_say_for_or_against_it_has_its_start_points():
    answer = analyzed()
    assert result(answer) == {
        "temperature": "warm", "score": 50, "points": [{"points": 50, "because": "every deal starts here"}],
        "open_questions": [], "next_step": "Agree a next step",
    }  # fmt: skip
    assert answer["summary"] == "Northgate is warm (50 of 100)"


@pytest.mark.parametrize(("changes", "points", "because"), [
    ({"contact": "2026-02-02"}, 20, "last contact 7 days ago"),
    ({"contact": "2026-01-18"}, -20, "last contact 22 days ago"),
    ({"contact": None}, -20, "nobody has been in contact"),
    ({"entered_stage_on": "2026-01-25"}, -15, "15 days in the stage proposal"),
    ({"close_by": "2026-02-08"}, -25, "it should have closed by 2026-02-08"),
    ({"is_decision_maker": True}, 10, "the contact decides"),
    ({"next_step": "send contract"}, 15, "a next step is agreed"),
    ({"open_questions": ["When?"]}, -5, "1 open question"),
    ({"open_questions": ["a", "b", "c", "d"]}, -15, "4 open questions"),
])  # fmt: skip
def test_each_reason_gives_or_takes_points(changes, points, because):
    found = result(analyzed(**changes))
    assert found["points"][1:] == [{"points": points, "because": because}]
    assert found["score"] == 50 + points


@pytest.mark.parametrize("contact", ["2026-02-01", "2026-01-19"])  # 8 and 21 days ago
def test_a_contact_neither_fresh_nor_stale_changes_nothing(contact):
    assert result(analyzed(contact=contact))["score"] == 50


def test_hot_warm_and_cold_meet_at_their_limits():
    def temperature(**changes):
        found = result(analyzed(**changes))
        return found["score"], found["temperature"]

    assert temperature(contact="2026-02-02") == (70, "hot")
    assert temperature(next_step="x") == (65, "warm")
    assert temperature(is_decision_maker=True, contact=None) == (40, "warm")
    assert temperature(entered_stage_on="2026-01-25") == (35, "cold")
    assert temperature(contact=None, close_by="2026-01-01", entered_stage_on="2025-01-01") == (0, "cold")


# ------------------------------------------------------------------ T5: the mail


def drafted(temperature, rejection=None, **changes):
    given = {
        "today": "2026-02-09",
        "deal": {**DEAL, **changes},
        "contacts": [{"on": "2026-02-04"}, {"on": "2026-01-23"}],
    }
    return advance_deal(asked("T5", given, {"T4": {"temperature": temperature, "score": 75}}, rejection))


def test_a_hot_deal_gets_a_mail_that_asks_for_the_last_step():
    answer = drafted("hot", proposed_call="Thursday at 10:00", open_questions=["Is training included?"])
    assert result(answer) == {
        "email": {
            "to": "t@northgate.example",
            "subject": "Next step for Northgate",
            "body": "Dear Tomas Berg,\n\n"
            "Thank you for the good conversation on 2026-02-04. I would like to agree the last step with you.\n\n"
            "You asked: Is training included? I will bring the answer.\n\n"
            "Would Thursday at 10:00 suit you for half an hour, so that we can settle it?\n\n"
            "Kind regards\nMaya Lind",
        },
        "because": "The deal is hot, with 75 of 100 points on 2026-02-09.",
    }
    assert answer["kpis"] == {"touchpoints": 3}  # two contacts, and this mail
    assert answer["summary"] == "A mail to Tomas Berg for a hot deal"


def test_a_cold_deal_gets_one_that_asks_whether_it_still_matters():
    email = result(drafted("cold", open_questions=["Is training included?"]))["email"]
    assert email["subject"] == "Still useful, Northgate?"
    assert "training" not in email["body"]
    assert "shall we go on, later, or not at all?" in email["body"]


def test_after_a_rejection_the_mail_is_shorter_and_the_reason_stands_beside_it():
    found = result(drafted("warm", rejection="Too long.", open_questions=["Is training included?"]))
    assert "training" not in found["email"]["body"]
    assert found["reviewer_said"] == "Too long."


@pytest.mark.parametrize(("answer", "says"), [
    (lambda: drafted("lukewarm"), "The result of T4 does not say whether the deal is hot, warm or cold."),
    (lambda: drafted("hot", contact_name=""), "The deal has no contact_name or no account to write to."),
    (lambda: drafted("hot", open_questions="why?"), "open_questions of the deal is not a list."),
])  # fmt: skip
def test_a_mail_that_cannot_be_written_is_said(answer, says):
    assert answer() == {"status": "failed", "message": says}


# ------------------------------------------------------------------ T6: what is the ticket about


def categorized(subject, text=""):
    ticket = {"ticket_id": "S-1", "subject": subject, "text": text}
    answer = resolve_case(asked("T6", {"ticket": ticket}))
    return result(answer)["category"], result(answer)["is_urgent"], answer["summary"]


@pytest.mark.parametrize(("subject", "category"), [
    ("I forgot my password", "access"),
    ("Refund of invoice 12", "billing"),
    ("My parcel has not arrived", "delivery"),
    ("The app crashes with an error", "fault"),
    ("Login crashes with an error", "fault"),  # two words to one
    ("Invoice and parcel", "billing"),         # one to one: the first
    ("A word of thanks", "other"),
    ("PASSWORD", "access"),
])  # fmt: skip
def test_the_category_is_the_one_that_most_words_speak_for(subject, category):
    assert categorized(subject) == (category, False, f"Ticket S-1: {category}")


def test_urgent_words_make_a_ticket_urgent():
    assert categorized("Password", "This is URGENT!") == ("access", True, "Ticket S-1: access, urgent")


def test_an_empty_ticket_cannot_be_sorted():
    answer = resolve_case(asked("T6", {"ticket": {"ticket_id": "S-1"}}))
    assert answer == {"status": "failed", "message": "The ticket has no subject and no text."}


# ------------------------------------------------------------------ T7 and T8: the article, the answer

ARTICLES = [
    {"article_id": "KB-3", "title": "Spam", "category": "other", "words": ["mail", "code"], "steps": ["Look there."]},
    {
        "article_id": "KB-1",
        "title": "Codes",
        "category": "access",
        "words": ["Code", "mail"],
        "steps": ["Ask.", "Wait."],
    },
    {"article_id": "KB-2", "title": "Invoices", "category": "billing", "words": ["invoice"], "steps": ["Pay."]},
]
TICKET = {"from_name": "Aylin Kaya", "from_email": "a@example.org", "subject": "No code", "text": "No mail comes."}


def retrieved(*articles):
    return resolve_case(
        asked("T7", {"ticket": TICKET, "knowledge_base": list(articles)}, {"T6": {"category": "access"}})
    )


def answered(articles, rejection=None, attempt=1):
    return resolve_case(asked("T8", {"ticket": TICKET}, {"T7": {"articles": articles}}, rejection, attempt))


def test_the_article_that_shares_most_words_is_first_and_its_category_breaks_a_tie():
    answer = retrieved(*ARTICLES)
    assert [article["article_id"] for article in result(answer)["articles"]] == ["KB-1", "KB-3"]
    assert result(answer)["articles"][0] == {
        "article_id": "KB-1", "title": "Codes", "shared_words": ["Code", "mail"], "steps": ["Ask.", "Wait."],
    }  # fmt: skip
    assert answer["summary"] == "KB-1: Codes"


def test_no_more_than_three_articles_are_given():
    assert (
        len(result(retrieved(*ARTICLES[:2], *({**ARTICLES[0], "article_id": f"X{n}"} for n in range(3))))["articles"])
        == 3
    )


def test_where_no_article_helps_a_specialist_takes_over():
    found = retrieved(ARTICLES[2])
    assert result(found) == {"articles": [], "is_found": False}
    answer = answered([])
    assert result(answer)["needs_specialist"] is True
    assert "A specialist has your ticket now" in result(answer)["message"]["body"]
    assert answer["summary"] == "An answer to Aylin Kaya: hand-over to a specialist"
    assert result(answered([], "Find something.", 2))["needs_specialist"] is True


def test_the_answer_has_the_steps_of_the_first_article():
    answer = answered(result(retrieved(*ARTICLES))["articles"])
    assert result(answer) == {
        "message": {
            "to": "a@example.org",
            "subject": "Re: No code",
            "body": "Dear Aylin Kaya,\n\nThank you for writing about “No code”.\n\nThese steps should help:\n\n"
            "1. Ask.\n2. Wait.\n\nIf they do not, reply to this message and we go on.\n\nKind regards\nSupport",
        },
        "article_id": "KB-1",
        "needs_specialist": False,
    }
    assert answer["summary"] == "An answer to Aylin Kaya: steps of KB-1"


def test_after_a_rejection_the_next_article_is_tried_and_then_the_last_again():
    articles = result(retrieved(*ARTICLES))["articles"]
    tried = [result(answered(articles, "That is not it.", attempt))["article_id"] for attempt in (2, 3)]
    assert tried == ["KB-3", "KB-3"]
    assert result(answered(articles, None, 2))["article_id"] == "KB-1"  # the attempt before only failed
    assert result(answered(articles, "That is not it.", 2))["reviewer_said"] == "That is not it."


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize(("agent", "request_", "says"), [
    (collect_information, asked("T9", {}), "It knows the tasks T1, not T9."),
    (advance_deal, asked("T1", {}), "It knows the tasks T4, T5, not T1."),
    (collect_information, asked("T1", {}), "The input has no object customer."),
    (collect_information, asked("T1", {"customer": ["x"]}), "The input has no object customer."),
    (verify_documents, asked("T2", {}), "The input does not say which day is today."),
    (verify_documents, asked("T2", {"today": "soon"}), "today of the input is soon, not a day such as 2026-02-09."),
    (verify_documents, asked("T2", {"today": "2026-02-09"}), "There is no result of T1 to go on from."),
    (verify_documents, asked("T2", {"today": "2026-02-09"}, {"T1": {}}), "The result of T1 has no form to compare with."),
    (verify_documents, asked("T2", {"today": "2026-02-09", "documents": ["x"]}, {"T1": {"form": {}}}), "documents of the input is not a list of objects."),
    (verify_documents, asked("T2", {"today": "2026-02-09", "documents": {"a": 1}}, {"T1": {"form": {}}}), "documents of the input is not a list of objects."),
    (schedule_call, asked("T3", {"today": "2026-02-09", "calendar": {"call_minutes": "x"}}), "call_minutes of the calendar is x, not a number of minutes within a day."),
    (schedule_call, asked("T3", {"today": "2026-02-09", "calendar": {"team_free": [{"from": "9"}]}}), "from of team_free is 9, not a time such as 2026-02-10T09:30."),
    (resolve_case, asked("T8", {"ticket": {}}, {"T7": {}}), "The result of T7 has no list of articles."),
    (resolve_case, asked("T7", {"ticket": {"text": "a"}, "knowledge_base": [{"words": "a"}]}, {"T6": {}}), "words of an article is not a list."),
])  # fmt: skip
def test_what_a_task_lacks_is_said(agent, request_, says):
    assert agent(request_) == {"status": "failed", "message": says}


SHIPPED = {
    "M001": [("T1", collect_information), ("T2", verify_documents), ("T3", schedule_call)],
    "M002": [("T4", advance_deal), ("T5", advance_deal)],
    "M003": [("T6", resolve_case), ("T7", resolve_case), ("T8", resolve_case)],
}


def run_through(mission_id):
    given = json.loads((INPUTS / f"{mission_id}.json").read_text(encoding="utf-8"))
    answers, results = [], {}
    for task_id, agent in SHIPPED[mission_id]:
        answers.append(agent(asked(task_id, given, results)))
        results = {**results, task_id: result(answers[-1])}
    return answers


def test_the_samples_give_something_to_judge():
    assert {mission: [answer["summary"] for answer in run_through(mission)] for mission in SHIPPED} == {
        "M001": [
            "Brightwater Ceramics: the form is complete",
            "Brightwater Ceramics: 1 issue",
            "Call on 2026-02-10 at 11:00",
        ],
        "M002": ["Northgate Logistics is warm (55 of 100)", "A mail to Tomas Berg for a warm deal"],
        "M003": ["Ticket S-4711: access", "KB-12: Unlock an account", "An answer to Aylin Kaya: steps of KB-12"],
    }
    assert result(run_through("M001")[1])["issues"] == ["bank statement: It is 101 days old; at most 90 are accepted."]


@pytest.mark.parametrize("mission_id", SHIPPED)
def test_the_same_request_gives_the_same_answer(mission_id):
    assert json.dumps(run_through(mission_id)) == json.dumps(run_through(mission_id))

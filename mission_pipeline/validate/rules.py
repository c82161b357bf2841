"""The names of the rules by which records are refused, in the order in which one is chosen. Checks nothing."""

from __future__ import annotations

NOT_JSON = "not_json"
NOT_AN_OBJECT = "not_an_object"
WRONG_TYPE = "wrong_type"
BROKEN_ID = "broken_id"
REQUIRED_FIELD_MISSING = "required_field_missing"
OUT_OF_RANGE = "out_of_range"
UNKNOWN_VALUE = "unknown_value"
END_BEFORE_START = "end_before_start"
IN_THE_FUTURE = "in_the_future"
NAMED_TWICE = "named_twice"

RULES = (
    NOT_JSON,
    NOT_AN_OBJECT,
    WRONG_TYPE,
    BROKEN_ID,
    REQUIRED_FIELD_MISSING,
    OUT_OF_RANGE,
    UNKNOWN_VALUE,
    END_BEFORE_START,
    IN_THE_FUTURE,
    NAMED_TWICE,
)
"""Rules that a record breaks by itself. A record that breaks several is listed once, under the first of these.

The rules about what a record refers to stand in ``references.py``; they are asked of sound records only.
"""
RANK = {rule: place for place, rule in enumerate(RULES)}

EXPECTED = {
    "id": "an id of sound characters",
    "text": "a text",
    "number": "a finite number",
    "count": "a whole number",
    "flag": "true or false",
    "time": "a time such as 2026-02-01T14:05:00Z",
    "date": "a date such as 2026-02-01",
    "ids": "a list of ids",
    "json": "of the form that this field has",
}
"""What a field of each type must be, to end the sentence `<field> is <value>, not …`."""

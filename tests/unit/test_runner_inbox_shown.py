"""What an agent gave back becomes texts, lists, fields and tables; what is left out is counted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_pipeline.runner.inbox.shown import Shown, clean, label_of, shown_value, width_class

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=25,
)


def texts(shown):
    yield shown.text
    yield from shown.columns
    for label, entry in shown.entries:
        yield label
        yield from texts(entry)
    for row in shown.rows:
        for cell in row:
            yield from texts(cell)


def test_a_result_is_set_as_fields_lists_tables_and_lines():
    shown, left_out = shown_value(
        {
            "subject": "Next step",
            "body": "Dear Ms. Ito,\n\nshall we talk?",
            "slots": ["Mon 10:00", "Tue 11:30"],
            "issues_found": [{"document": "passport", "is_valid": False}, {"document": "lease", "is_valid": True}],
            "score": 0.5,
            "note": None,
            "open": [],
        },
        1_000,
    )
    assert left_out == 0
    by_label = dict(shown.entries)
    assert by_label["Subject"] == Shown("text", "Next step")
    assert by_label["Body"] == Shown("prose", "Dear Ms. Ito,\n\nshall we talk?")
    assert [entry.text for _, entry in by_label["Slots"].entries] == ["Mon 10:00", "Tue 11:30"]
    assert by_label["Issues found"].columns == ("Document", "Is valid")
    assert [[cell.text for cell in row] for row in by_label["Issues found"].rows] == [
        ["passport", "no"],
        ["lease", "yes"],
    ]
    assert by_label["Score"].text == "0.5"
    assert by_label["Note"] == Shown("nothing", "not known")
    assert by_label["Open"] == Shown("nothing", "none")


def test_what_takes_one_line_is_read_before_what_takes_many():
    shown, _ = shown_value({"body": "Dear all,\n\nshall we?", "facts": ["a"], "subject": "Talk", "to": "Ito"}, 1_000)
    assert [label for label, _ in shown.entries] == ["Subject", "To", "Body", "Facts"]


def test_elements_that_lack_a_field_are_a_table_with_a_gap():
    shown, _ = shown_value(
        [{"kind": "lease"}, {"kind": "identity", "expires_on": "2029-03-01", "issues": ["old"]}], 100
    )
    assert shown.columns == ("Kind", "Expires on", "Issues")
    assert [cell.text for cell in shown.rows[0]] == ["lease", "–", "–"]
    assert shown.rows[1][2].entries[0][1].text == "old"


@pytest.mark.parametrize("odd", [1, {"c": {"deep": 1}}, {"c": [[1]]}, dict.fromkeys("cdefg", 1)])
def test_elements_with_more_than_a_row_holds_are_no_table(odd):
    shown, _ = shown_value([{"a": 1, "b": 2}, odd], 100)
    assert shown.kind == "list"


def test_what_does_not_fit_is_left_out_and_counted():
    shown, left_out = shown_value({"text": "x" * 50, "more": "y" * 10}, 24)
    assert dict(shown.entries)["Text"].text == "x" * 20 + " …"
    assert left_out == 30 + 12  # what is left of the first, and the second as JSON
    assert shown_value({"text": "x" * 20}, 24)[1] == 0


def test_a_result_of_many_megabytes_is_set_in_little():
    shown, left_out = shown_value({"rows": [{"n": each, "text": "z" * 90} for each in range(20_000)]}, 5_000)
    assert sum(map(len, texts(shown))) < 6_000
    assert left_out > 1_800_000


def test_what_is_nested_too_deeply_is_shown_as_json():
    value = "core"
    for _ in range(30):
        value = {"in": value}
    shown, left_out = shown_value(value, 1_000)
    assert "core" in "".join(texts(shown))
    assert left_out == 0


@given(JSON)
def test_every_letter_that_can_be_seen_is_shown_and_none_that_steers(value):
    shown, left_out = shown_value(value, 100_000)
    assert left_out == 0
    joined = "".join(texts(shown))
    assert not set(joined) & {chr(code) for code in (0, 7, 8, 13, 27, 0x202E, 0x2066, 0x200F, 0x2028)}

    def leaves(each):
        if isinstance(each, dict):
            return [leaf for inner in each.values() for leaf in leaves(inner)]
        return [leaf for inner in each for leaf in leaves(inner)] if isinstance(each, list) else [each]

    if "{" not in joined and "[" not in joined:  # else something stands there as JSON
        for leaf in leaves(value):
            if isinstance(leaf, str):
                assert clean(leaf, keep_lines=True) in joined


@given(JSON, st.integers(0, 200))
def test_no_more_is_shown_than_there_is_room_for(value, room):
    shown, left_out = shown_value(value, room)
    json.dumps(left_out)
    said = [text for text in texts(shown) if text not in ("yes", "no", "not known", "none", "empty", "(no name)")]
    columns = sum(map(len, shown.columns))
    assert sum(len(text.removesuffix(" …")) for text in said) <= room + columns + 200


@pytest.mark.parametrize(
    ("given_", "seen"),
    [
        ("a\u202eb", "a�b"), ("a\x1b[31mb", "a�[31mb"), ("a\x00b", "a�b"), ("tag\U000e0041", "tag�"),
        ("\ufeffa", "�a"), ("می\u200cخواهم", "می\u200cخواهم"), ("👩\u200d🔬", "👩\u200d🔬"), ("a\n b\t c", "a b c"),
    ],
)  # fmt: skip
def test_what_steers_a_page_or_hides_in_it_is_made_visible(given_, seen):
    assert clean(given_) == seen


def test_lines_are_kept_where_they_matter():
    assert clean("a\r\nb\rc\n\n", keep_lines=True) == "a\nb\nc"


def test_a_fields_name_is_said_as_words():
    assert label_of("issues_found") == "Issues found"
    assert label_of("") == "(no name)"
    assert label_of("_\n_") == "(no name)"


def test_a_word_that_is_none_of_a_language_may_be_broken():
    assert width_class("x" * 31) == "long"
    assert width_class("x" * 30 + " y") == ""

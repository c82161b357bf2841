from decimal import Decimal

import pytest

from mission_pipeline.validate.nested import Misfit, NamedTwice, Read, as_json, parsed, read_value


@pytest.mark.parametrize(
    ("text", "type_", "value", "is_converted"),
    [
        ('"T1"', "id", "T1", False),
        ("7", "id", "7", True),
        ("1.10", "id", "1.10", True),
        ("3", "number", 3.0, False),
        ('"3.5"', "number", 3.5, True),
        ("2", "count", 2, False),
        ("2.0", "count", 2, False),
        ('"2"', "count", 2, True),
        ("true", "flag", True, False),
        ('"False"', "flag", False, True),
        ('["a", 1]', "ids", ["a", "1"], True),
        ("[]", "ids", [], False),
    ],
)
def test_values_that_convert_without_loss_are_taken(text, type_, value, is_converted):
    assert read_value("x", parsed(text), type_) == Read(value, is_converted)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("NaN", "number"), ("1e999", "number"), ('"NaN"', "number"), ('" 3"', "number"), ('""', "number"),
        ("true", "number"), ("[]", "number"), ("2.5", "count"), ('"2.5"', "count"), ("9223372036854775808", "count"),
        ("1", "flag"), ('"yes"', "flag"), ("true", "id"), ("{}", "text"), ('"T1"', "ids"), ("[null]", "ids"),
        ('[["a"]]', "ids"),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused_with_place_and_value(text, type_):
    read = read_value("tasks[0].x", parsed(text), type_)
    assert isinstance(read, Misfit)
    assert read.rule == "wrong_type"
    assert "tasks[0].x" in read.sentence


@pytest.mark.parametrize("text", ['""', '"  "', '"a\\u0000"', '"a\\n"', '"\\ufffd"'])
def test_an_id_with_a_broken_character_is_refused(text):
    assert read_value("x", parsed(text), "id").rule == "broken_id"


def test_an_object_that_names_something_twice_is_refused():
    with pytest.raises(NamedTwice, match="names a twice"):
        parsed('[{"a": 1, "a": 2}]')


def test_a_value_is_shown_as_it_was():
    assert as_json(parsed('{"a": [1.5, "é", null]}')) == '{"a": [1.5, "é", null]}'
    assert as_json(Decimal("0.1")) == "0.1"

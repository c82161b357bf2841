"""Claims: literals in SQL, rounding, sameness; a value from data can never end its literal."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_pipeline.brief.evidence import Claims, Column, is_same, literal, stored, value_at, written_out


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (date(2026, 2, 6), "date '2026-02-06'"), (3, "3"), ("M001", "'M001'"), ("O'Brien", "'O''Brien'"),
        (Column("health_score"), "health_score"),
    ],
)  # fmt: skip
def test_a_value_is_written_out_by_its_type(value, sql):
    assert literal(value) == sql


@pytest.mark.parametrize("value", [1.5, True, None, datetime(2026, 2, 6, 1), [1]])
def test_what_has_no_exact_literal_is_refused(value):
    with pytest.raises(TypeError):
        literal(value)


@pytest.mark.parametrize("name", ["a b", "a;b", "", "1a", "A"])
def test_a_column_is_a_plain_name(name):
    with pytest.raises(ValueError, match="no column name"):
        literal(Column(name))


def test_a_value_is_not_read_as_another_parameter():
    sql = written_out("select $first, $second", {"first": "$second", "second": "x"})
    assert sql == "select '$second', 'x'"


@given(st.text())
def test_any_text_comes_back_from_duckdb_as_it_is(text):
    import duckdb

    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return  # refused at the door: no id holds them
    assert duckdb.sql(f"select {literal(text)} as value").fetchall() == [(text,)]


def test_figures_are_rounded_to_four_places_and_the_unknown_is_null():
    assert stored(1 / 3) == 0.3333
    assert stored(float("nan")) is None
    assert stored(float("inf")) is None
    assert str(stored(-0.00001)) == "0.0"
    assert stored(True) is True
    assert stored(7) == 7
    assert stored({"a": [date(2026, 2, 6), 0.12345]}) == {"a": ["2026-02-06", 0.1235]} or stored(0.12345) == 0.1234


@given(st.floats(-1e9, 1e9))
def test_a_figure_is_the_same_after_rounding(value):
    assert is_same(stored(value), value)


def test_a_figure_that_changed_is_not_the_same():
    assert not is_same(0.3333, 0.3335)
    assert is_same(0.3333, 1 / 3)
    assert not is_same(None, 0.0)
    assert not is_same("WATCH", "ON_TRACK")
    assert is_same("2026-02-06", date(2026, 2, 6))


def test_a_claim_holds_path_sql_and_value():
    claims = Claims(date(2026, 2, 6))
    claims.add("a", "x[1].y", 1 / 3, "select $column from t where d = $as_of", column=Column("y"))
    assert claims.evidence == {
        "a": {"path": "x[1].y", "sql": "select y from t where d = date '2026-02-06'", "value": 0.3333}
    }
    assert value_at({"x": [{}, {"y": 5}]}, "x[1].y") == 5

"""Claims: values that know their query, marks in texts, and the way into a brief's JSON and back."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_pipeline.brief.claims import (
    END,
    MIDDLE,
    START,
    Claims,
    bare,
    claim_of,
    claimed,
    is_same,
    literal,
    marked,
    parts_of,
    plain,
    remarked,
    stored,
    value_at,
    without_claims,
    written_out,
)

DAY = date(2026, 2, 6)


@pytest.mark.parametrize(
    ("value", "sql"),
    [(DAY, "date '2026-02-06'"), (3, "3"), ("M001", "'M001'"), ("O'Brien", "'O''Brien'"), (claimed("M1", "a"), "'M1'")],
)
def test_a_value_is_written_out_by_its_type(value, sql):
    assert literal(value) == sql


@pytest.mark.parametrize("value", [1.5, True, None, datetime(2026, 2, 6, 1), [1]])
def test_what_has_no_exact_literal_is_refused(value):
    with pytest.raises(TypeError):
        literal(value)


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
    assert stored({"a": [DAY, (1.23456, None)]}) == {"a": ["2026-02-06", [1.2346, None]]}
    assert type(stored(claimed(7, "a"))) is int


@given(st.floats(-1e9, 1e9))
def test_a_figure_is_the_same_after_rounding(value):
    assert is_same(stored(value), value)


def test_a_figure_that_changed_is_not_the_same():
    assert not is_same(0.3333, 0.3335)
    assert is_same(0.3333, 1 / 3)
    assert not is_same(None, 0.0)
    assert not is_same("WATCH", "ON_TRACK")
    assert is_same("2026-02-06", DAY)


@pytest.mark.parametrize("value", ["M001", 1.5, 3, DAY])
def test_a_claimed_value_is_the_value_until_it_is_shown(value):
    own = claimed(value, "x.y")
    text = value.isoformat() if isinstance(value, date) else value
    assert own == text
    assert hash(own) == hash(text)
    assert f"a {own} b" == f"a {START}x.y{MIDDLE}{text}{END} b" == f"a {own!s} b"
    assert plain(f"a {own} b") == f"a {text} b"
    assert claim_of(bare(own)) is None
    assert bare(own) == text


def test_arithmetic_loses_the_claim_and_formats_keep_it():
    share = claimed(0.256, "s")
    assert claim_of(share * 100) is None
    assert plain(f"{share:.1f}") == "0.3"
    assert list(parts_of(f"{share:.1f} of {marked(share, '26 %')}")) == [("0.3", "s"), (" of ", None), ("26 %", "s")]
    assert without_claims(f"it is {share:.1f}!") == "it is !"
    assert marked(0.5, "half") == "half"


def test_what_is_marked_twice_stands_for_the_outer_claim():
    inner, outer = claimed("T5", "task"), claimed("M1", "mission")
    assert list(parts_of(marked(outer, f"{inner} of it"))) == [("T5 of it", "mission")]


def test_unknown_and_truth_values_carry_no_claim():
    assert claimed(None, "a") is None
    assert claimed(float("nan"), "a") is None
    assert claimed(True, "a") is True


def test_a_brief_is_settled_into_values_places_and_queries():
    claims = Claims(DAY)
    sql = "select $column from t where d = $as_of and m = $mission_id"
    row = claims.row("m.M1", {"share": 1 / 3, "name": "First", "owner": None}, sql, mission_id="M1")
    runs = claims.figure("runs", 2, "select count(*) from runs")
    claims.figure("unused", 9, "select 9")
    brief = {"why": f"{row['name']}: {row['share']:.2f}", "rows": [{"share": row["share"], "again": row["share"]}]}
    settled, evidence = claims.settled({**brief, "reasons": [f"only {runs} runs"], "owner": row["owner"]})
    assert settled == {
        "why": "First: 0.33", "rows": [{"share": 0.3333, "again": 0.3333}], "reasons": ["only 2 runs"], "owner": None,
    }  # fmt: skip
    assert evidence == {
        "m.M1.name": {
            "path": "why", "sql": "select name from t where d = date '2026-02-06' and m = 'M1'", "value": "First",
            "in": [["why", 0, 5]],
        },
        "m.M1.share": {
            "path": "rows[0].share", "sql": "select share from t where d = date '2026-02-06' and m = 'M1'",
            "value": 0.3333, "in": [["why", 7, 11], ["rows[0].again", None, None]],
        },
        "runs": {
            "path": "reasons[0]", "sql": "select count(*) from runs /* as of date '2026-02-06' */", "value": 2,
            "in": [["reasons[0]", 5, 6]],
        },
    }  # fmt: skip
    assert value_at(settled, "rows[0].share") == 0.3333
    back = remarked({**settled, "evidence": evidence})
    assert back["why"] == brief["why"]
    assert claim_of(back["rows"][0]["again"]) == "m.M1.share"
    assert back["reasons"] == [f"only {runs} runs"]


def test_two_things_of_one_name_keep_their_claims_apart():
    claims = Claims(DAY)
    first, second = (claims.row("a.b", {"x": value}, "select $column from t") for value in (1, 2))
    third = claims.figure("a.b.x", 3, "select 3")
    assert len({claim_of(first["x"]), claim_of(second["x"]), claim_of(third)}) == 3


def test_a_value_from_data_cannot_end_its_query_or_become_a_column():
    claims = Claims(DAY)
    name = "$column'; drop table t; --"
    [entry] = claims.settled(claims.row("p", {"x": 1}, "select $column from t where n = $name", name=name))[1].values()
    assert (
        entry["sql"]
        == f"select x from t where n = '{name.replace(chr(39), chr(39) * 2)}' /* as of date '2026-02-06' */"
    )


texts = st.text(alphabet=st.sampled_from(["a", "7", " ", "é", "😀", START, MIDDLE, END, "."]), max_size=6)


@given(
    st.lists(st.tuples(texts, st.one_of(texts, st.integers(), st.floats(allow_nan=False), st.dates())), max_size=6),
    texts,
)
def test_settling_and_marking_again_gives_the_same_places(parts, tail):
    """Whatever the data holds: marks come from claims only, and stand where they stood."""
    claims = Claims(DAY)
    rows = [claims.row(f"p{name}", {"v": value}, "select $column") for name, value in parts]
    texts_only = [remarked({"x": text, "evidence": {}})["x"] for text, _ in parts]  # data without a claim
    sentence = "".join(f"{text}{row['v']}" for text, row in zip(texts_only, rows, strict=True))
    brief = {"leaves": [row["v"] for row in rows], "text": sentence, "deep": {"again": [sentence, tail]}}
    settled, evidence = claims.settled({**brief, "deep": {"again": [sentence, ""]}})
    assert START not in str(settled["text"])
    back = remarked({**settled, "evidence": evidence})
    assert back["text"] == sentence == back["deep"]["again"][0]
    assert [claim_of(leaf) for leaf in back["leaves"]] == [claim_of(leaf) for leaf in brief["leaves"]]
    assert plain(back["text"]) == settled["text"]
    assert Claims(DAY).settled({"x": remarked({"x": tail, "evidence": {}})["x"]}) == (
        {"x": plain(remarked({"x": tail, "evidence": {}})["x"])}, {},
    )  # fmt: skip

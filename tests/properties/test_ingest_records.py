"""However a record is read, the same row lands: by DuckDB or by Python, the quick way or the careful one."""

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_folders import put

from mission_pipeline.contracts.inputs import DATA_SETS
from mission_pipeline.ingest import read, statements
from mission_pipeline.ingest.find import RawFile
from mission_pipeline.ingest.read import RefusedByDuckdb, type_records, typed_by_duckdb
from mission_pipeline.warehouse import build_in_memory

TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["A1", "", "12", "1.50", "true", "FALSE", "NaN", "1e400", "a\0", "�", "2026-02-06", "infinity"]),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda moment: moment.isoformat() + "Z"),
    st.datetimes(timezones=st.just(UTC)).map(str),
    st.dates().map(str),
    st.integers().map(str),
)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.integers(-5, 5).map(float),
    st.sampled_from([2.0**53, 2.0**53 + 2, 2**63, 2**63 - 1, -(2**63), 1e308]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)


def records_of(data_set):
    fields = {field.name: VALUES for field in data_set.fields}
    known = st.fixed_dictionaries({}, optional=fields)
    return st.one_of(
        known,
        st.builds(
            lambda record, more: {**more, **record}, known, st.dictionaries(st.text(max_size=4), VALUES, max_size=2)
        ),
        VALUES,
    )


CASES = st.sampled_from(DATA_SETS).flatmap(
    lambda data_set: st.tuples(st.just(data_set), st.lists(records_of(data_set), max_size=8))
)


@pytest.fixture(scope="module")
def land(tmp_path_factory):
    """Type the records of one file, as a landing does; return them as dictionaries. ``few_bytes``: read it ahead."""
    folder, numbers = tmp_path_factory.mktemp("raw"), count()
    with build_in_memory() as build, build_in_memory() as other:

        def typed(data_set, content, ending, *, is_refused=False, few_bytes=None, only_carefully=False):
            path = put(folder, f"{next(numbers)}.{ending}", content)
            file = RawFile(data_set, path.name, path, 1)
            read_ahead = None
            if few_bytes is not None:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(read, "FEW_BYTES", few_bytes)
                    read_ahead = typed_by_duckdb(other, file)
            try:
                number = type_records(build, file, is_refused=is_refused, read_ahead=read_ahead)
            except RefusedByDuckdb:
                number = type_records(build, file, is_refused=True)
            if only_carefully:
                build.execute(f"update {statements.TYPED_RECORDS} set is_decided = false")
                build.execute(statements.decide_carefully(data_set))
                build.execute(statements.forget_undecided())
            found = build.connection.execute(f"{statements.typed_records()} order by row")
            names = [name for name, *_ in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            assert len(rows) == number
            path.unlink()
            return rows

        yield typed


def as_read(rows):
    """Make NaN, which equals nothing, comparable; none should land at all."""
    return [repr(row) for row in rows]


@settings(max_examples=40)
@given(CASES)
def test_python_and_duckdb_read_the_same_rows_from_any_form(land, case):
    data_set, records = case
    by_duckdb = as_read(land(data_set, records, "json"))
    assert as_read(land(data_set, records, "json", is_refused=True)) == by_duckdb
    assert as_read(land(data_set, records, "jsonl")) == by_duckdb
    assert as_read(land(data_set, records, "jsonl", is_refused=True)) == by_duckdb
    assert as_read(land(data_set, records, "ndjson.gz")) == by_duckdb
    assert as_read(land(data_set, records, "json", few_bytes=10_000_000)) == by_duckdb  # read ahead, as a small file
    assert as_read(land(data_set, records, "json", few_bytes=0)) == by_duckdb  # and as a large one


@settings(max_examples=70)
@given(CASES)
def test_the_quick_way_equals_the_careful_one(land, case):
    data_set, records = case
    assert as_read(land(data_set, records, "json")) == as_read(land(data_set, records, "json", only_carefully=True))


@settings(max_examples=70)
@given(CASES)
def test_no_value_is_lost(land, case):
    """What the typed columns do not say stands in the record as it arrived; fields are never both misfit and typed."""
    data_set, records = case
    for record, row in zip(records, land(data_set, records, "json"), strict=True):
        if not isinstance(record, dict):
            assert row["misfits"] == ["(record)"]
            assert row["record"] == json.dumps(record)
            continue
        known = {field.name for field in data_set.fields}
        misfits, conversions = row["misfits"] or [], row["conversions"] or []
        assert all(row[name] is None for name in misfits)
        assert not set(misfits) & set(conversions)
        for name in known:
            is_given = record.get(name) is not None
            assert (row[name] is not None or name in misfits) == is_given
        extra = {name: value for name, value in record.items() if name not in known}
        assert sorted(json.loads(row["extra_fields"] or "{}")) == sorted(extra)
        is_plain = not (extra or misfits or conversions)
        assert row["record"] == (None if is_plain else json.dumps(record))


@settings(max_examples=30)
@given(CASES, st.randoms(use_true_random=False))
def test_the_order_of_records_decides_nothing_but_their_row(land, case, random):
    data_set, records = case
    shuffled = random.sample(records, len(records))

    def without_row(rows):
        return sorted(repr({**row, "row": None}) for row in rows)

    assert without_row(land(data_set, shuffled, "json")) == without_row(land(data_set, records, "json"))


@settings(max_examples=100)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n\0", codec="utf-8"), max_size=12)), st.sampled_from(DATA_SETS)
)
def test_every_line_that_is_not_blank_lands_at_its_own_row(land, lines, data_set):
    rows = land(data_set, "\n".join(lines), "jsonl")
    expected = [
        number for number, line in enumerate(lines, start=1) if line.removeprefix("﻿" * (number == 1)).strip(" \t\r")
    ]
    assert [row["row"] for row in rows] == expected

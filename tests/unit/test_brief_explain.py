"""Explaining a claim: the rows that its query reads, what changed since, and names that no brief has."""

import duckdb
import pytest

from mission_pipeline.brief.explain import changed_claims, explained, line_of_change, lines_of, rows_query
from mission_pipeline.errors import MissionPipelineError


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select a from t where b = 1", "select * from t where b = 1"),
        ("select sum(a) filter (where x) from t /* as of date '2026-02-06' */", "select * from t"),
        ("select (select max(a) from u) from t", "select * from t"),
        ("select ' from x ' || a from t where b = ' from '", "select * from t where b = ' from '"),
        ("select a from t order by c desc limit 1", "select * from t order by c desc limit 1"),
        ("select 1", None),
    ],
)
def test_the_rows_of_a_query_are_those_that_it_reads(sql, rows):
    assert rows_query(sql) == rows


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.execute("create table t as select * from (values ('a', 1.5), ('b', 2.0)) as rows (name, size)")
        yield opened


def brief(**changes):
    entries = {
        "size.a": {"path": "sizes[0]", "sql": "select size from t where name = 'a'", "value": 1.5,
                   "in": [["why", 2, 5]], **changes},
        "all": {"path": "total", "sql": "select sum(size) from t", "value": 3.5},
    }  # fmt: skip
    return {"as_of": "2026-02-06", "why": "a 1.5 metre", "sizes": [1.5], "total": 3.5, "evidence": entries}


def test_a_claim_shows_its_places_its_query_and_its_rows(connection):
    explanation = explained(brief(), "size.a", connection)
    assert explanation.facts() == {
        "claim": "size.a", "as_of": "2026-02-06", "says": 1.5, "finds": 1.5, "is_changed": False, "fault": None,
        "places": [{"path": "sizes[0]", "text": 1.5}, {"path": "why", "text": "a 1.5 metre"}],
        "sql": "select size from t where name = 'a'", "rows": [{"name": "a", "size": 1.5}],
    }  # fmt: skip
    assert lines_of(explanation)[2:5] == ["Now     1.5", "Stands  sizes[0]", "        why: a 1.5 metre"]
    assert list(changed_claims(brief(), connection)) == []


@pytest.mark.parametrize("path", ["sizes[0]", "why"])
def test_a_path_stands_for_its_claim(connection, path):
    assert explained(brief(), path, connection).claim == "size.a"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update t set size = 9 where name = 'a'", "changed since: it is 9.0 now, and was 1.5"),
        ("update t set size = null where name = 'a'", "changed since: it is unknown now, and was 1.5"),
        ("delete from t where name = 'a'", "changed since: the warehouse no longer has the row"),
        ("insert into t values ('a', 3)", "changed since: the query gives 2 rows"),
        ("drop table t", "changed since: the query cannot be run on this warehouse: Catalog Error"),
    ],
)
def test_what_changed_since_is_said_with_both_values(connection, change, said):
    connection.execute(change)
    explanation = explained(brief(), "size.a", connection)
    assert explanation.is_changed
    assert said in "\n".join(lines_of(explanation))
    assert "size.a" in [each.claim for each in changed_claims(brief(), connection)]
    assert line_of_change(explanation).startswith("size.a: 1.5, changed since")


def test_a_name_that_the_brief_lacks_is_answered_with_similar_ones(connection):
    with pytest.raises(MissionPipelineError, match=r"no claim 'size'. Similar claims: size.a\.$"):
        explained(brief(), "size", connection)
    with pytest.raises(MissionPipelineError, match="none is similar"):
        explained(brief(), "zzz", connection)


def test_a_long_value_is_cut(connection):
    connection.execute("update t set name = repeat('x', 1000)")
    entry = {"sql": "select count(*) from t where size = 2", "value": 1}
    [row] = explained(brief(**entry), "size.a", connection).rows
    assert len(row["name"]) == 201

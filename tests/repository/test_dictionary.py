"""docs/warehouse.md is current, and its sample queries answer on a warehouse made from the shipped data."""

import pytest

from mission_pipeline import dictionary
from mission_pipeline.contracts.catalog import ALL_CONTRACTS

QUERIES = sorted(dictionary.QUERIES_FOLDER.glob("*.sql"))


def test_the_dictionary_is_current():
    assert dictionary.DICTIONARY_FILE.read_text(encoding="utf-8") == dictionary.render_dictionary(), "run `make docs`"


def test_a_stale_dictionary_is_refused_by_the_check(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "warehouse.md"
    stale.write_text("old", encoding="utf-8")
    monkeypatch.setattr(dictionary, "DICTIONARY_FILE", stale)
    monkeypatch.setattr(dictionary, "REPOSITORY", tmp_path)
    assert dictionary.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert dictionary.main([]) == 0
    assert dictionary.main(["--check"]) == 0


def test_every_table_and_column_stands_in_the_dictionary():
    page = dictionary.render_dictionary()
    for contract in ALL_CONTRACTS:
        section = page.split(f"## {contract.qualified_name()}\n")[1].split("\n## ")[0]
        assert contract.grain() in section
        for promise in contract.columns():
            assert f"| `{promise.name}` | {promise.duckdb_type} |" in section


def test_there_are_ten_queries_each_with_its_question():
    assert len(QUERIES) == 10
    for file in QUERIES:
        first = file.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(dictionary.QUESTION)
        assert first.endswith("?")


def answer(shipped, name):
    (file,) = [file for file in QUERIES if file.stem[3:] == name]
    with shipped.warehouse.published() as connection:
        relation = connection.sql(file.read_text(encoding="utf-8"))
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_a_query_answers(shipped, file):
    assert answer(shipped, file.stem[3:])


def test_the_answers_are_those_that_the_data_hold(shipped):
    assert answer(shipped, "the_portfolio_by_day")[0]["missions_at_risk"] == 1
    assert [row["status"] for row in answer(shipped, "missions_side_by_side")] == ["WATCH", "ON_TRACK", "ON_TRACK"]
    assert answer(shipped, "tasks_worth_fixing")[0]["task_name"] == "Draft personalized outreach email"
    assert sum(row["unattributed_minutes"] for row in answer(shipped, "where_the_minutes_go")) == 215
    assert len(answer(shipped, "a_kpi_run_by_run")) == 8
    assert len(answer(shipped, "who_should_do_it")) == 8
    seen = [row["seen_by"] for row in answer(shipped, "risks_detected_and_reported")]
    assert (seen.count("both"), seen.count("detected only"), seen.count("reported only")) == (5, 4, 0)
    assert {"missions_at_risk", "avg_kpi_improvement_pct"} <= {
        row["field"] for row in answer(shipped, "figures_that_disagree")
    }

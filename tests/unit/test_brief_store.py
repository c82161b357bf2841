"""Briefs as kept: one row a day, files whole and only of published rows, exports in the form of the originals."""

import json
import os
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from brief_samples import compose, empty_scorecard, few_runs, snapshot, verdict

from mission_pipeline.brief import store
from mission_pipeline.brief.exports import export_records, write_exports
from mission_pipeline.brief.files import write_atomically
from mission_pipeline.brief.html import html_of
from mission_pipeline.brief.render import json_of, markdown_of
from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.contracts.derived import AgentRollingStats
from mission_pipeline.contracts.judged import ExecutiveBriefs, PortfolioSnapshots
from mission_pipeline.errors import ContractBroken, NothingToJudge, WarehouseFault
from mission_pipeline.warehouse import Warehouse, check_contract


@pytest.fixture
def empty_build(build):
    """A build in which every table is there and empty."""
    for contract in ALL_CONTRACTS:
        build.ensure_table(contract)
    return build


def keep(build, policy, day, status="NO_DATA"):
    judgement = verdict(
        policy, status, "LOW", [few_runs()], missions=[empty_scorecard()],
        portfolio=snapshot(status=status, top_bottleneck_task_id=None),
    )  # fmt: skip
    return store.write_brief(build, replace(judgement, as_of=day), policy)


def test_a_brief_without_any_data_is_kept_as_a_row(empty_build, policy):
    kept = keep(empty_build, policy, date(2026, 2, 6))
    [row] = empty_build.table(ExecutiveBriefs).to_dicts()
    assert row["as_of_date"] == date(2026, 2, 6)
    assert row["status"] == kept.brief["status"] == "NO_DATA"
    assert row["primary_driver"] is None
    assert row["confidence_reasons"] == ["First mission (M1) has no finished run"]
    assert row["brief_json"] == kept.json_text
    assert row["brief_markdown"] == kept.markdown
    assert row["brief_html"] == kept.html == html_of(kept.brief)


def test_a_day_briefed_again_replaces_its_row_and_no_other(empty_build, policy):
    for day in (5, 6, 7):
        keep(empty_build, policy, date(2026, 2, day))
    keep(empty_build, policy, date(2026, 2, 6), status="ON_TRACK")
    days = empty_build.frame("select as_of_date, status from marts.executive_briefs order by 1").rows()
    assert days == [
        (date(2026, 2, 5), "NO_DATA"), (date(2026, 2, 6), "ON_TRACK"), (date(2026, 2, 7), "NO_DATA"),
    ]  # fmt: skip
    assert [kept.as_of.day for kept in store.stored_briefs(empty_build)] == [5, 6, 7]


def test_a_row_that_breaks_the_contract_leaves_the_old_one(empty_build, policy):
    keep(empty_build, policy, date(2026, 2, 6))
    brief = compose(policy, "NO_DATA", "LOW") | {"status": "SPLENDID"}
    with pytest.raises(ContractBroken, match="SPLENDID"):
        store._upsert(empty_build, brief, store.StoredBrief(date(2026, 2, 6), "{}", ""))
    assert empty_build.scalar("select status from marts.executive_briefs") == "NO_DATA"


def test_files_hold_what_the_rows_hold_and_are_left_alone_when_they_do(tmp_path, policy):
    brief = compose(policy)
    kept = store.StoredBrief(date(2026, 2, 6), json_of(brief), markdown_of(brief), html_of(brief))
    files = store.write_brief_files([kept], tmp_path)
    assert [file.name for file in files] == ["2026-02-06.md", "2026-02-06.html", "2026-02-06.json"]
    assert [file.read_text(encoding="utf-8") for file in files] == [kept.markdown, kept.html, kept.json_text]
    before = [file.stat().st_ino for file in files]
    store.write_brief_files([kept], tmp_path)
    assert [file.stat().st_ino for file in files] == before
    files[0].write_text("half a bri", encoding="utf-8")
    store.write_brief_files([kept], tmp_path)
    assert files[0].read_text(encoding="utf-8") == kept.markdown
    assert sorted(path.name for path in files[0].parent.iterdir()) == sorted(file.name for file in files)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    file = tmp_path / "brief.md"
    write_atomically(file, "old")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(WarehouseFault, match=r"brief\.md cannot be written \(No space left on device\)"):
        write_atomically(file, "new")
    assert file.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["brief.md"]


def test_a_file_is_readable_by_others_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.md").write_text("old", encoding="utf-8")
    (tmp_path / "link.md").symlink_to(tmp_path / "real.md")
    assert write_atomically(tmp_path / "link.md", "new") is True
    assert write_atomically(tmp_path / "link.md", "new") is False
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text(encoding="utf-8") == "new"
    assert (tmp_path / "real.md").stat().st_mode & 0o044 == 0o044


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(WarehouseFault, match="cannot be written"):
        write_atomically(tmp_path, "text")


def published(tmp_path, policy, days):
    warehouse = Warehouse(tmp_path / "warehouse")
    with warehouse.build() as build:
        for contract in ALL_CONTRACTS:
            build.ensure_table(contract)
        for day in days:
            keep(build, policy, day)
        warehouse.publish(build, {})
    return warehouse


def test_the_newest_brief_is_the_default_and_a_missing_day_says_which_there_are(tmp_path, policy):
    warehouse = published(tmp_path, policy, [date(2026, 2, day) for day in (1, 2, 3, 6)])
    assert store.published_brief(warehouse, None).as_of == date(2026, 2, 6)
    assert store.published_brief(warehouse, date(2026, 2, 2)).brief["as_of"] == "2026-02-02"
    with pytest.raises(NothingToJudge) as caught:
        store.published_brief(warehouse, date(2026, 2, 5))
    assert str(caught.value) == (
        "There is no brief as of 2026-02-05. There are briefs as of 2026-02-01 to 2026-02-03 and 2026-02-06. "
        "Run `mission refresh --as-of 2026-02-05` to make it."
    )


def make_older(build):
    """Make of a build's briefs what the release before the HTML pages left."""
    build.execute("alter table marts.executive_briefs drop column brief_html")


def test_a_build_of_an_earlier_release_keeps_its_briefs_and_gets_pages_from_now_on(empty_build, policy, tmp_path):
    old = keep(empty_build, policy, date(2026, 2, 5))
    make_older(empty_build)
    new = keep(empty_build, policy, date(2026, 2, 6))
    assert list(store.stored_briefs(empty_build)) == [replace(old, html=None), new]
    check_contract(empty_build, ExecutiveBriefs)
    files = store.write_brief_files(store.stored_briefs(empty_build), tmp_path)
    assert [file.name for file in files] == [
        "2026-02-05.md", "2026-02-05.json", "2026-02-06.md", "2026-02-06.html", "2026-02-06.json",
    ]  # fmt: skip
    again = keep(empty_build, policy, date(2026, 2, 5))
    assert next(store.stored_briefs(empty_build)) == again == old


def test_a_warehouse_that_an_earlier_release_published_shows_its_briefs_and_says_that_they_have_no_page(
    empty_build, policy, tmp_path
):
    old = keep(empty_build, policy, date(2026, 2, 5))
    make_older(empty_build)
    warehouse = Warehouse(tmp_path / "warehouse")
    warehouse.publish(empty_build, {})
    shown = store.published_brief(warehouse, None)
    assert shown == replace(old, html=None)
    with pytest.raises(NothingToJudge) as caught:
        _ = shown.page
    assert str(caught.value) == (
        "The brief as of 2026-02-05 is older than the HTML pages and has none. "
        "Run `mission refresh --as-of 2026-02-05` to make it again, or choose --format md."
    )


def test_a_warehouse_without_a_brief_says_so(tmp_path, policy):
    with pytest.raises(NothingToJudge, match="There is no brief yet"):
        store.published_brief(published(tmp_path, policy, []), None)


def test_days_of_a_span_are_listed_with_their_verdict(tmp_path, policy):
    warehouse = published(tmp_path, policy, [date(2026, 2, day) for day in (1, 2, 3)])
    days = store.published_days(warehouse, date(2026, 2, 2), date(2026, 2, 9))
    assert [day["as_of"] for day in days] == ["2026-02-02", "2026-02-03"]
    assert days[0]["status"] == "NO_DATA"


def test_exports_have_the_form_of_the_original_files(empty_build, tmp_path):
    raw = {name: json.loads((tmp_path.cwd() / "raw_data" / name).read_text(encoding="utf-8")) for name in (
        "mission_portfolio_snapshot.json", "agent_performance_stats.json",
    )}  # fmt: skip
    day, snapshots = date(2026, 2, 6), PortfolioSnapshots.polars_schema()
    snapshot = {
        **{name: 0 for name, kind in snapshots.items() if kind == pl.Int64}, "snapshot_date": day, "status": "WATCH",
        "missions_at_risk": 1, "avg_kpi_improvement_pct": 58.0634921, "top_bottleneck_task_id": "T5",
    }  # fmt: skip
    empty_build.replace_table(PortfolioSnapshots, frame=pl.DataFrame([snapshot], schema=snapshots))
    figures = {"executions": 1, "approval_decisions": 0, "approval_rate": None, "escalation_rate": 0.25}
    stats = [
        {"agent_id": agent, "stat_date": on, "stat_window": window, "avg_task_duration_minutes": minutes, **figures}
        for agent, on, window, minutes in (
            ("A4", date(2026, 2, 2), "all", 8.0), ("A4", date(2026, 2, 4), "all", 9.25),
            ("A4", date(2026, 2, 4), "7d", 1.0), ("A1", day, "all", 5.0),
        )
    ]  # fmt: skip
    schema = AgentRollingStats.polars_schema()
    empty_build.replace_table(AgentRollingStats, frame=pl.DataFrame(stats, schema=schema))
    records = export_records(empty_build)
    assert records["agent_performance_stats.json"] == [
        {"agent_id": "A1", "avg_task_duration_minutes": 5.0, "approval_rate": None, "escalation_rate": 0.25,
         "last_updated": "2026-02-06"},
        {"agent_id": "A4", "avg_task_duration_minutes": 9.25, "approval_rate": None, "escalation_rate": 0.25,
         "last_updated": "2026-02-04"},
    ]  # fmt: skip
    [exported] = records["mission_portfolio_snapshot.json"]
    assert exported["avg_kpi_improvement_pct"] == 58.0635
    for file in write_exports(empty_build, tmp_path):
        written = json.loads(file.read_text(encoding="utf-8"))
        assert written == records[file.name]
        assert list(written[0]) == list(raw[file.name][0])

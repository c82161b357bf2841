"""A refresh from the command: through real Dagster, recorded, all or nothing, and a plain sentence where it fails."""

import errno
import json
import shutil
from dataclasses import replace
from datetime import date, datetime

import dagster as dg
import pytest
from conftest import give_history
from shipped_sample import SAMPLE

from mission_pipeline.contracts.derived import TaskOverrunRates
from mission_pipeline.errors import ContractBroken, NothingToJudge, PolicyFault, WarehouseFault
from mission_pipeline.orchestration import stages
from mission_pipeline.orchestration.definitions import defs
from mission_pipeline.orchestration.instance import history
from mission_pipeline.orchestration.refresh import run_backfill, run_refresh
from mission_pipeline.orchestration.resources import HOLDER_NOTE, RefreshResource
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings
from mission_pipeline.warehouse import Warehouse

NOW = datetime(2026, 2, 7, 6)
BRIEF, PUBLISHED = dg.AssetKey("executive_brief"), dg.AssetKey("published_warehouse")
BRIEF_STAGE = [BRIEF, dg.AssetKey(["marts", "verdict_figures"]), PUBLISHED]


@pytest.fixture
def settings(shipped, tmp_path):
    """A copy of the refreshed warehouse of the shipped data, with an empty history instead of its own."""
    copy = tmp_path / "a warehouse"
    shutil.copytree(shipped.settings.warehouse, copy, ignore=shutil.ignore_patterns(".dagster"))
    give_history(copy)
    return Settings(SAMPLE, copy, SHIPPED_POLICY_FILE, NOW)


def published_files(settings):
    """Every file that readers see, with its content."""
    return {
        file.relative_to(settings.warehouse): file.read_bytes()
        for file in settings.warehouse.rglob("*")
        if file.is_file() and not file.relative_to(settings.warehouse).parts[0].startswith(".")
    }


def refresh(settings, as_of=None, **options):
    return run_refresh(settings, as_of=as_of, on_progress=lambda _: None, **options)


def select(settings, assets, *, day=None):
    """Materialize chosen assets, as a click in the UI would, and return Dagster's result."""
    with history(settings.dagster_home) as instance:
        job = dg.Definitions(
            assets=defs.assets, jobs=[dg.define_asset_job("chosen", selection=list(assets))], resources=defs.resources
        ).resolve_job_def("chosen")
        return job.execute_in_process(
            instance=instance,
            resources={"refresh": RefreshResource.of(settings)},
            raise_on_error=False,
            tags={} if day is None else {"dagster/partition": day},
        )


def test_a_refresh_says_what_each_stage_did(shipped):
    outcome = shipped.outcome
    assert [line.split(":")[0] for line in shipped.said] == ["ingest", "validate", "derive", "judge", "brief"]
    assert outcome.as_of == date(2026, 2, 6)
    assert outcome.published_file.is_file()
    assert [file.name for file in outcome.brief_files] == ["2026-02-06.md", "2026-02-06.html", "2026-02-06.json"]
    assert all(file.is_file() for file in outcome.brief_files)
    assert any("reported figures differ" in warning for warning in outcome.warnings)


def test_the_ui_sees_the_run_its_brief_and_its_checks(shipped):
    outcome = shipped.outcome
    with history(shipped.settings.dagster_home) as instance:
        run = instance.get_run_by_id(outcome.run_id)
        assert (run.job_name, run.status) == ("daily_refresh", dg.DagsterRunStatus.SUCCESS)
        [record] = instance.fetch_materializations(BRIEF, limit=5).records
        shown = record.asset_materialization.metadata
        assert record.partition_key == "2026-02-06"
        assert shown["brief"].value == outcome.brief_files[0].read_text(encoding="utf-8")
        assert shown["status"].value == "WATCH"
        paths = [shown[f"{suffix}_file"].value for suffix in ("md", "html", "json")]
        assert paths == [str(file) for file in outcome.brief_files]
        [published] = instance.fetch_materializations(PUBLISHED, limit=5).records
        assert published.partition_key == "2026-02-06"
        [rows] = instance.fetch_materializations(dg.AssetKey(["staging", "mission_runs"]), limit=5).records
        assert rows.asset_materialization.metadata["dagster/row_count"].value == 8


def test_a_bad_value_fails_its_blocking_check_and_nothing_is_published(settings, monkeypatch):
    """A bad value is planted behind the program's own rules: a share above 1."""
    before = published_files(settings)

    def write_a_bad_value(build, _policy):
        rows = build.table(TaskOverrunRates).with_columns(overrun_rate=1.5)
        return build.replace_table(TaskOverrunRates, frame=rows)

    tables = tuple(
        stages.DerivedTable(table.contract, write_a_bad_value, table.reads)
        if table.contract is TaskOverrunRates
        else table
        for table in stages.DERIVED_TABLES
    )
    monkeypatch.setattr(stages, "DERIVED_TABLES", tables)
    with pytest.raises(ContractBroken, match=r"^marts\.task_overrun_rates: overrun_rate .*1\.5"):
        refresh(settings)
    assert published_files(settings) == before
    with history(settings.dagster_home) as instance:
        [run] = instance.get_runs(limit=5)
        assert run.status is dg.DagsterRunStatus.FAILURE
        evaluations = [
            entry.dagster_event.asset_check_evaluation_data
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        ]
        failed = {(each.asset_key.to_user_string(), each.check_name) for each in evaluations if not each.passed}
        assert failed == {("marts/task_overrun_rates", "contract")}
        steps = {stat.step_key: stat.status.value for stat in instance.get_run_step_stats(run.run_id)}
        assert (steps["validate"], steps["derive"]) == ("SUCCESS", "FAILURE")
        assert not {"judge", "brief"} & set(steps)
    monkeypatch.undo()
    assert refresh(settings).published_file.is_file()


def test_a_lost_record_is_stopped_by_the_conservation_check(settings, monkeypatch):
    before = published_files(settings)
    honest = stages.stage_valid_records

    def lose_a_reject(build, policy, *, now):
        honest(build, policy, now=now)
        build.execute("update quality.row_counts set rows_in = rows_in + 1 where data_set = 'mission_runs'")

    monkeypatch.setattr(stages, "stage_valid_records", lose_a_reject)
    with pytest.raises(ContractBroken, match=r"quality/row_counts: .*mission_runs"):
        refresh(settings)
    assert published_files(settings) == before


def test_a_fault_of_this_program_names_itself_and_the_log(settings, monkeypatch):
    before = published_files(settings)
    monkeypatch.setattr(stages, "reconcile", lambda _: 1 / 0)
    with pytest.raises(ContractBroken, match=r"ZeroDivisionError.*dagster\.log") as caught:
        refresh(settings)
    assert caught.value.exit_code == 1
    assert published_files(settings) == before


def test_a_full_disk_is_a_plain_fault_and_leaves_what_was_published(settings, monkeypatch):
    before = published_files(settings)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Warehouse, "publish", full)
    with pytest.raises(WarehouseFault, match=r"a warehouse cannot be written \(No space left on device\)"):
        refresh(settings, as_of=date(2026, 2, 5))
    assert published_files(settings) == before


def test_a_backfill_writes_the_brief_of_each_day_in_one_run(settings):
    before = published_files(settings)
    outcome = run_backfill(settings, first=date(2026, 2, 3), last=date(2026, 2, 5), on_progress=lambda _: None)
    names = {file.name for file in (settings.warehouse / "briefs").glob("*.md")}
    assert names == {"2026-02-03.md", "2026-02-04.md", "2026-02-05.md", "2026-02-06.md"}
    assert outcome.as_of == date(2026, 2, 5)
    assert len(outcome.brief_files) == 9
    after = published_files(settings)
    brief = next(path for path in before if path.name == "2026-02-06.json")
    assert after[brief] == before[brief]
    with Warehouse(settings.warehouse).published() as connection:
        assert connection.sql("select max(snapshot_date) from marts.portfolio_snapshots").fetchall() == [
            (date(2026, 2, 6),)
        ]
    with history(settings.dagster_home) as instance:
        assert len(instance.get_runs()) == 1
        records = instance.fetch_materializations(BRIEF, limit=5).records
        assert {record.partition_key for record in records} == {"2026-02-03", "2026-02-04", "2026-02-05"}
        for record in records:
            assert record.asset_materialization.metadata["brief"].value.startswith(
                f"# Mission brief as of {record.partition_key}"
            )


@pytest.mark.parametrize(
    ("day", "sentence"),
    [(date(2026, 2, 8), "lies in the future"), (date(2026, 1, 31), "first started on 2026-02-01")],
)
def test_days_without_data_are_refused_before_anything_is_written(tmp_path, day, sentence):
    fresh = Settings(SAMPLE, tmp_path / "warehouse", SHIPPED_POLICY_FILE, NOW)
    with pytest.raises(NothingToJudge, match=sentence) as caught:
        refresh(fresh, as_of=day)
    assert caught.value.exit_code == 2
    with pytest.raises(NothingToJudge, match=sentence):
        run_backfill(fresh, first=day, last=max(day, date(2026, 2, 1)), on_progress=lambda _: None)
    assert not fresh.warehouse.exists()


def test_a_day_before_any_data_leaves_a_warehouse_as_it_was(settings):
    before = published_files(settings)
    with pytest.raises(NothingToJudge, match="first started on 2026-02-01"):
        refresh(settings, as_of=date(2026, 1, 31))
    assert published_files(settings) == before


def test_a_long_backfill_that_begins_before_any_data_is_refused_at_once(settings, monkeypatch):
    monkeypatch.setattr("mission_pipeline.orchestration.refresh._execute", None)  # no run may start
    with pytest.raises(NothingToJudge, match="No run had started by 2016-01-01; the first started on 2026-02-01"):
        run_backfill(settings, first=date(2016, 1, 1), last=date(2026, 2, 3), on_progress=lambda _: None)


def test_a_run_that_only_the_warehouse_remembers_can_be_judged(settings):
    runs = json.loads((settings.raw_data / "mission_runs.json").read_text(encoding="utf-8"))
    later = [run for run in runs if not run["start_time"].startswith("2026-02-01")]
    raw_data = settings.warehouse.parent / "later runs only"
    shutil.copytree(settings.raw_data, raw_data)
    (raw_data / "mission_runs.json").write_text(json.dumps(later), encoding="utf-8")
    fewer = replace(settings, raw_data=raw_data)
    assert refresh(fewer, as_of=date(2026, 2, 1)).as_of == date(2026, 2, 1)


def test_a_damaged_published_file_does_not_stand_in_the_way(settings):
    Warehouse(settings.warehouse).published_file.write_bytes(b"no warehouse")
    assert refresh(settings, as_of=date(2026, 2, 1)).as_of == date(2026, 2, 1)


def test_every_day_from_the_first_with_data_to_today_can_be_judged(settings):
    whole = run_backfill(settings, first=date(2026, 2, 1), last=NOW.date(), on_progress=lambda _: None)
    assert whole.as_of == NOW.date()
    assert {file.name for file in whole.brief_files} == {
        f"2026-02-0{day}.{suffix}" for day in range(1, 8) for suffix in ("md", "html", "json")
    }


def test_a_policy_that_is_not_valid_is_refused_before_anything_is_written(tmp_path):
    bad = tmp_path / "policy.toml"
    bad.write_text(SHIPPED_POLICY_FILE.read_text(encoding="utf-8") + "\n[surprise]\nkey = 1\n", encoding="utf-8")
    with pytest.raises(PolicyFault, match="surprise"):
        refresh(Settings(SAMPLE, tmp_path / "warehouse", bad, NOW))
    assert not (tmp_path / "warehouse").exists()


def test_one_derived_table_can_be_made_alone(settings):
    result = select(settings, [dg.AssetKey(["marts", "agent_routing"])])
    assert result.success
    assert [key.to_user_string() for key in _materialized(result)] == ["marts/agent_routing"]
    assert select(settings, BRIEF_STAGE, day="2026-02-06").success


def _materialized(result):
    return [event.asset_key for event in result.get_asset_materialization_events()]


def test_half_a_refresh_is_not_published(settings):
    before = published_files(settings)
    assert select(settings, _keys("ingest")).success
    refused = select(settings, BRIEF_STAGE, day="2026-02-06")
    assert not refused.success
    [failure] = [event for event in refused.all_events if event.is_step_failure]
    assert "half a refresh: validate" in failure.step_failure_data.user_failure_data.description
    assert "Run `mission refresh`" in failure.step_failure_data.user_failure_data.description
    assert select(settings, _keys("validate")).success
    refused = select(settings, BRIEF_STAGE, day="2026-02-06")
    assert not refused.success
    assert published_files(settings) == before
    for group in ("derive", "judge"):
        assert select(settings, _keys(group), day="2026-02-06").success
    assert select(settings, BRIEF_STAGE, day="2026-02-06").success


def _keys(group):
    return [node.key for node in defs.resolve_asset_graph().asset_nodes if node.group_name == group]


def test_tables_of_two_policies_are_not_published_together(settings, tmp_path):
    other = tmp_path / "policy.toml"
    other.write_text(SHIPPED_POLICY_FILE.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    changed = Settings(settings.raw_data, settings.warehouse, other, NOW)
    assert select(changed, [dg.AssetKey(["marts", "risk_signals"])]).success
    refused = select(settings, BRIEF_STAGE, day="2026-02-06")
    [failure] = [event for event in refused.all_events if event.is_step_failure]
    assert "marts.risk_signals did not follow" in failure.step_failure_data.user_failure_data.description


def test_a_day_that_was_not_judged_is_not_briefed(settings):
    refused = select(settings, BRIEF_STAGE, day="2026-02-07")
    [failure] = [event for event in refused.all_events if event.is_step_failure]
    assert "have not been judged yet" in failure.step_failure_data.user_failure_data.description


def test_a_run_waits_for_the_one_that_is_going_on_and_no_run_writes_to_the_terminal(settings, capfd, monkeypatch):
    """One that waits too long says so. Dagster's lines, of that run and of the next, go to a file."""
    monkeypatch.setattr("mission_pipeline.orchestration.resources.LOCK_WAIT_SECONDS", 0.2)
    with (
        Warehouse(settings.warehouse).exclusive(),
        pytest.raises(WarehouseFault, match="Another refresh has been writing"),
    ):
        refresh(settings)
    refresh(settings)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""
    assert "brief written" in (settings.dagster_home / "dagster.log").read_text(encoding="utf-8")


def test_the_next_run_clears_up_after_one_that_was_killed(settings):
    with history(settings.dagster_home) as instance:
        job = defs.resolve_job_def("daily_refresh")
        killed = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        instance.event_log_storage.initialize_concurrency_limit_to_default("warehouse_writer")
        claim = instance.event_log_storage.claim_concurrency_slot("warehouse_writer", killed.run_id, "derive")
        assert claim.is_claimed
    note = Warehouse(settings.warehouse).build_folder / HOLDER_NOTE
    note.write_text(killed.run_id, encoding="utf-8")
    outcome = refresh(settings)
    assert not note.exists()
    with history(settings.dagster_home) as instance:
        assert instance.get_run_by_id(killed.run_id).status is dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(outcome.run_id).status is dg.DagsterRunStatus.SUCCESS


def test_the_weekly_view_is_the_last_day_judged_of_each_week(shipped):
    with shipped.warehouse.published() as connection:
        rows = connection.sql(
            "select week_start_date, snapshot_date, status from marts.portfolio_snapshots_weekly order by 1"
        ).fetchall()
        daily = dict(connection.sql("select snapshot_date, status from marts.portfolio_snapshots").fetchall())
        uncommented = connection.sql(
            "select column_name from duckdb_columns() where comment is null and schema_name in "
            "('staging', 'marts', 'quality') and database_name = current_database()"
        ).fetchall()
    sunday, friday = date(2026, 2, 1), date(2026, 2, 6)
    assert rows == [(date(2026, 1, 26), sunday, daily[sunday]), (date(2026, 2, 2), friday, daily[friday])]
    assert uncommented == []


@pytest.mark.parametrize("inside", [".", "warehouse"])
def test_a_warehouse_in_the_raw_data_is_refused_before_anything_is_written(tmp_path, inside):
    raw = tmp_path / "raw"
    shutil.copytree(SAMPLE, raw)
    before = sorted(raw.rglob("*"))
    with pytest.raises(WarehouseFault, match="lies in the raw-data folder"):
        refresh(Settings(raw, raw / inside, SHIPPED_POLICY_FILE, NOW))
    assert sorted(raw.rglob("*")) == before


def test_runs_that_are_all_unusable_are_not_called_missing(tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(SAMPLE, raw)
    runs = raw / "mission_runs.json"
    runs.write_text(runs.read_text(encoding="utf-8").replace("RUN_", "RUN\\n"), encoding="utf-8")
    with pytest.raises(NothingToJudge, match="`mission check` says what is wrong"):
        refresh(Settings(raw, tmp_path / "warehouse", SHIPPED_POLICY_FILE, NOW))

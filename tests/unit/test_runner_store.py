"""The store: what is older or newer, what cannot be opened, and what a claim costs with many runs."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from mission_store import EMPTY, GATED, Clock, Desk, all_at_once, new_sqlite, plan, shipped_policy, task

from mission_pipeline.errors import StoreFault
from mission_pipeline.runner import database
from mission_pipeline.runner.model import Answer
from mission_pipeline.runner.store import open_store
from mission_pipeline.runner.tables import metadata

# ---------------------------------------------------------------- releases


def at_revision(url, revision):
    """Make a store as an older release left it."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        database.migrate(connection, revision)
    engine.dispose()


def test_the_tables_are_what_the_migrations_make_and_the_newest_is_known(new_desk):
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == database.NEWEST_REVISION
    engine = sa.create_engine(new_desk().url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


OLD_STORE = {
    "store_meta": [{"id": 1, "store_id": "0a1b2c3d", "outbox_seq": 0, "created_at": "2026-11-20 09:00:00.000000"}],
    "mission_run": [{
        "run_id": "R1", "mission_id": "M001", "mission_name": "A mission", "status": "blocked", "created_at": "2026-11-20 09:00:00.000000",
        "started_at": "2026-11-20 09:00:00.000000", "newest_at": "2026-11-20 09:02:00.000000", "mission_input": '{"name":"Ada"}',
        "kpi_targets": "[]", "kpis": "{}", "previous_kpis": "{}", "open_tasks": 2, "live_tasks": 0, "failures": 0,
        "human_interventions": 0, "escalations": 0, "is_risk_flagged": False, "records": 0, "version": 5,
    }],
    "mission_task": [
        {"run_id": "R1", "task_id": "T1", "position": 0, "requires_approval": True, "capable_agents": '["A1"]', "status": "blocked",
         "blocked_reason": "approval", "open_dependencies": 0, "attempt": 1, "fence": 1, "started_at": "2026-11-20 09:00:00.000000"},
        {"run_id": "R1", "task_id": "T2", "position": 1, "requires_approval": False, "capable_agents": '["A1"]', "status": "pending",
         "open_dependencies": 1, "attempt": 1, "fence": 0},
    ],
    "task_dep": [{"run_id": "R1", "task_id": "T2", "depends_on": "T1"}],
    "task_attempt": [{
        "run_id": "R1", "task_id": "T1", "attempt": 1, "started_at": "2026-11-20 09:00:00.000000", "agent_id": "A1", "reason": "best",
        "scores": "[]", "is_exploration": False, "answered_at": "2026-11-20 09:02:00.000000", "work_seconds": 120.0, "result": '{"ok":true}',
        "result_sha256": "4062edaf750fb8074e7e83e0c9028c94e32468a8b6f1614774328ef045150f93", "kpis": "{}",
    }],
    "approval": [{
        "approval_id": "R1:T1:1", "run_id": "R1", "task_id": "T1", "attempt": 1, "status": "open", "requested_at": "2026-11-20 09:02:00.000000",
        "result_sha256": "4062edaf750fb8074e7e83e0c9028c94e32468a8b6f1614774328ef045150f93",
    }],
}  # fmt: skip


@pytest.fixture(params=EMPTY)
def empty(request, tmp_path):
    """The address of a database without any table, of each kind."""
    (tmp_path / "deep").mkdir()
    return EMPTY[request.param](tmp_path)


def test_a_run_that_was_parked_by_the_first_release_goes_on(empty):
    at_revision(empty, "0001")
    engine = sa.create_engine(empty)
    with engine.begin() as connection:
        for table, rows in OLD_STORE.items():
            for row in rows:
                named = ", ".join(f":{name}" for name in row)
                connection.execute(sa.text(f"insert into {table} ({', '.join(row)}) values ({named})"), row)
    engine.dispose()

    desk = Desk(empty)
    assert desk.store.store_id == "0a1b2c3d"
    assert desk.store.state("R1")["hitl_queue"][0]["reminded_at"] is None
    assert len(desk.store.look_at_gates()) == 1
    assert desk.store.approval("R1:T1:1")["reminded_at"] == "2026-11-21T09:00:00Z"
    desk.store.decide("R1:T1:1", "approved", by="Ann")
    assert desk.work_on() == ["T2"]
    assert [log["human_delay_minutes"] for log in desk.logs()] == [23 * 60 + 58, 0]
    assert desk.store.state("R1")["status"] == "completed"
    desk.close()


def test_those_who_open_a_new_database_at_once_make_one_store(empty):
    stores = all_at_once(*[lambda: open_store(empty, clock=Clock(), policy=shipped_policy())] * 3)
    assert len({store.store_id for store in stores}) == 1
    for store in stores:
        store.close()


def test_the_folder_of_a_store_is_made(tmp_path):
    open_store(f"sqlite:///{tmp_path}/a/b/missions.sqlite", clock=Clock(), policy=shipped_policy()).close()
    assert (tmp_path / "a" / "b" / "missions.sqlite").is_file()


def test_a_store_of_a_newer_release_is_refused_and_left_alone(new_desk):
    desk = new_desk()
    desk.sql("update alembic_version set version_num = '9999'")
    with pytest.raises(StoreFault, match=r"made by a newer release \(revision 9999\)"):
        Desk(desk.url)


# ---------------------------------------------------------------- what cannot be used


def test_a_file_that_is_no_database_is_refused_with_its_place(tmp_path):
    (tmp_path / "missions.sqlite").write_text("not a database, but long enough to look like one" * 50)
    with pytest.raises(StoreFault, match=r"missions\.sqlite cannot be used \(file is not a database\)"):
        Desk(f"sqlite:///{tmp_path}/missions.sqlite")


@pytest.mark.parametrize(("url", "says"), [
    ("nonsense", "not the address of a database"), ("nonsense://x", "not the address of a database"),
        ("mysql+pymysql://x", "driver of the store's database is not installed"),
    ("sqlite://", "names no file"), ("sqlite:////proc/none/missions.sqlite", "cannot be made"),
])  # fmt: skip
def test_an_address_that_cannot_be_opened_is_refused_with_what_to_give(url, says):
    with pytest.raises(StoreFault, match=says):
        Desk(url)


def test_a_password_is_not_shown(monkeypatch):
    with pytest.raises(StoreFault) as fault:
        Desk("postgresql+psycopg://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(fault.value)


def test_a_full_disk_keeps_nothing_of_a_step_and_says_so(new_desk):
    desk = new_desk()
    run_id = desk.start()
    claim = desk.claim()
    before = desk.store.state(run_id)
    desk.store._database._engine.dispose()
    limit = sa.event.listens_for(desk.store._database._engine, "connect")
    limit(lambda connection, _: connection.execute("pragma max_page_count = 1"))
    with pytest.raises(StoreFault, match=r"database or disk is full\)\. Nothing of this step was kept"):
        desk.store.complete(claim, Answer({"much": "x" * 100_000}), 1)
    assert desk.store.state(run_id) == before


def test_a_writer_that_waits_too_long_for_another_says_so(tmp_path):
    policy = shipped_policy()
    policy = policy.model_copy(update={"runner": policy.runner.model_copy(update={"store_wait_seconds": 0.05})})
    desk = Desk(new_sqlite(tmp_path), policy)
    other = sqlite3.connect(tmp_path / "missions.sqlite", isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreFault, match="database is locked"):
        desk.start()
    assert desk.store.claim("w") is None  # who only looks does not wait
    other.execute("rollback")
    assert desk.start()
    other.close()
    desk.close()


def test_a_name_that_is_taken_is_not_given_again(new_desk, monkeypatch):
    names = iter(["aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr("mission_pipeline.runner.store.secrets.token_hex", lambda _: next(names))
    desk = new_desk()
    assert [desk.start(), desk.start()] == ["RUN_2026_11_21_aaaaaa", "RUN_2026_11_21_bbbbbb"]


def test_a_plan_that_contradicts_itself_is_not_kept_in_part(new_desk):
    desk = new_desk()
    with pytest.raises(sa.exc.IntegrityError):
        desk.start(plan(task("A"), task("A")))
    with pytest.raises(sa.exc.IntegrityError):
        desk.start(plan(task("A", "Z")))
    assert desk.store.runs() == []


# ---------------------------------------------------------------- safe, and quick with many runs


def test_what_was_acknowledged_is_on_disk(new_desk):
    desk = new_desk()
    with desk.store._database.read() as connection:
        asked = {
            name: connection.exec_driver_sql(f"pragma {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def statements_of(desk, live):
    """What the store asks of the database while something happens."""
    asked = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        asked.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    engine = desk.store._database._engine
    sa.event.listen(engine, "before_cursor_execute", note)
    live()
    sa.event.remove(engine, "before_cursor_execute", note)
    return [(statement, values) for statement, values in asked if statement.startswith(("SELECT", "UPDATE"))]


def steps_of(desk, statement, values):
    """How SQLite answers a statement."""
    with sqlite3.connect(desk.url.removeprefix("sqlite:///")) as file:
        return [row[3] for row in file.execute(f"explain query plan {statement}", values)]


def test_a_claim_sorts_nothing_however_many_runs_there_are(new_desk):
    desk = new_desk()
    desk.start()
    asked = [(text, values) for text, values in statements_of(desk, desk.claim) if "due_at" in text and "LIMIT" in text]
    assert asked
    for statement, values in asked:
        # In the index's own order, which holds only what is due some time, until there are candidates enough.
        assert steps_of(desk, statement, values) == ["SCAN mission_task USING INDEX mission_task_by_rank"]


def test_nothing_that_happens_reads_a_whole_table(new_desk):
    desk = new_desk()

    def live():
        run_id = desk.start(plan(task("A"), task("B", "A", gate=True), kpis=GATED.kpis))
        desk.fault()
        desk.work_on()
        desk.store.renew(desk.claim(run_id=desk.start()))
        desk.clock.move(hours=2)
        desk.store.look_at_gates()
        desk.store.approval(desk.gate())
        desk.store.decide(desk.gate(), "rejected", by="Ann", reason="no")
        desk.work(run_id=run_id)
        desk.store.decide(desk.gate(), "approved", by="Ann")
        desk.store.observe_kpi(run_id, "days", 1)
        desk.store.cancel(desk.start(), by="Ann")
        desk.store.mark_exported([row.id for row in desk.store.pending_telemetry(10)])
        desk.store.state(run_id)
        desk.store.decided_approvals(10)
        desk.store.has_work()

    whole = {"SCAN store_meta", "SCAN CONSTANT ROW"}  # one row
    for statement, values in statements_of(desk, live):
        for step in steps_of(desk, statement, values):
            assert not step.startswith("SCAN") or "USING" in step or step in whole, (step, statement)


def test_what_was_written_is_remembered_by_data_set_and_month(new_desk):
    desk = new_desk()
    for _ in range(2):
        desk.start(plan(task("A")))
        desk.work()
        desk.clock.move(days=10)  # the second run ends in December
    rows = desk.store.pending_telemetry(10)
    desk.store.mark_exported([row.id for row in rows[:-1]])
    first, _, second, _ = (row.line for row in rows)
    assert desk.store.told_telemetry("mission_runs", "2026-11") == [first]
    assert desk.store.told_telemetry("mission_runs", "2026-12") == [second]
    assert desk.store.told_telemetry("task_execution_logs", "2026-12") == []  # not written yet
    assert desk.store.told_telemetry("mission_runs", "2026-10") == []


def test_a_gate_that_just_waits_costs_no_writing(new_desk):
    desk = new_desk()
    desk.start(GATED)
    desk.work_on()
    other = sqlite3.connect(desk.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("begin immediate")
    assert desk.store.look_at_gates() == []
    other.close()

"""The exporter of telemetry: every row once and in order, whatever dies, fills up or happens at the same time."""

import errno
import json
import os
import resource
import signal
import sqlite3
import threading
from datetime import datetime

import pytest

from mission_pipeline.runner.failpoints import FAILPOINTS, NO_FAILPOINTS, Failpoints
from mission_pipeline.runner.model import TelemetryRow
from mission_pipeline.runner.outbox import TelemetryNotWritten, export_telemetry

FEBRUARY = datetime(2026, 2, 7, 12)
DYING = ["before_append", "torn_append", "after_append", "after_mark"]


class Store:
    """An outbox in an SQLite file, which several processes may open."""

    store_id = "0123abcd"

    def __init__(self, folder):
        self.file = folder / "outbox.sqlite"
        self.ask("create table if not exists outbox (id integer primary key, data_set, line, created_at, is_exported)")

    def ask(self, sql, *values):
        connection = sqlite3.connect(self.file, timeout=30)
        connection.execute("pragma synchronous = off")  # the machine stays up; processes die
        with connection:
            rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

    def put(self, *lines, data_set="mission_runs", at=FEBRUARY, first_id=None):
        self.ask(
            "insert into outbox select ? + key, ?, value, ?, 0 from json_each(?)",
            first_id, data_set, at.isoformat(), json.dumps(lines),
        )  # fmt: skip

    def pending_telemetry(self, limit):
        rows = self.ask(
            "select id, data_set, line, created_at from outbox where not is_exported order by id limit ?", limit
        )
        return [TelemetryRow(*rest, datetime.fromisoformat(at)) for *rest, at in rows]

    def told_telemetry(self, data_set, month):
        sql = "select line from outbox where is_exported and data_set = ? and created_at like ? order by id"
        return [line for (line,) in self.ask(sql, data_set, f"{month}-%")]

    def mark_exported(self, ids):
        self.ask(f"update outbox set is_exported = 1 where id in ({','.join(map(str, ids))})")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def lines(folder, data_set="mission_runs", month="2026-02"):
    return (folder / data_set / f"runner-0123abcd-{month}.jsonl").read_text(encoding="utf-8").splitlines()


def record(number):
    return json.dumps({"run_id": f"R{number}", "note": "ä" * (number % 40)}, ensure_ascii=False)


def dies_exporting(store, raw, failpoint):
    """Export in a process that is killed at a failpoint."""
    child = os.fork()
    if child == 0:
        try:
            export_telemetry(store, raw, failpoints=Failpoints(failpoint))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_each_data_set_and_month_has_a_file_of_its_own(store, raw):
    store.put(record(1), at=datetime(2026, 1, 31, 23, 59, 59))
    store.put(record(2), at=datetime(2026, 2, 1))
    store.put(record(3), data_set="task_execution_logs")
    assert export_telemetry(store, raw) == 3
    assert lines(raw, month="2026-01") == [record(1)]
    assert lines(raw) == [record(2)]
    assert lines(raw, "task_execution_logs") == [record(3)]
    assert export_telemetry(store, raw) == 0


def test_what_is_corrected_and_corrected_back_keeps_its_order(store, raw):
    store.put("A", "B", "A")
    export_telemetry(store, raw)
    store.put("B", "A")
    export_telemetry(store, raw)
    assert lines(raw) == ["A", "B", "A", "B", "A"]


@pytest.mark.parametrize("failpoint", DYING)
def test_an_exporter_that_dies_leaves_no_row_missing_doubled_or_halved(store, raw, failpoint):
    store.put(*map(record, range(3)))
    export_telemetry(store, raw)
    store.put(*map(record, range(3, 9)))
    dies_exporting(store, raw, failpoint)
    export_telemetry(store, raw)
    assert lines(raw) == [record(number) for number in range(9)]
    assert store.pending_telemetry(1) == []


@pytest.mark.parametrize("failpoint", DYING)
def test_rows_that_become_ready_after_a_crash_and_are_older_do_not_double_others(store, raw, failpoint):
    store.put(record(10), record(11), first_id=10)
    dies_exporting(store, raw, failpoint)
    store.put(record(1), first_id=1)  # of a run that ended meanwhile
    store.put(record(12), first_id=12)
    export_telemetry(store, raw)
    assert sorted(lines(raw)) == sorted(map(record, [1, 10, 11, 12]))


@pytest.mark.parametrize("failpoint", DYING)
def test_a_crash_in_the_midst_of_a_correction_keeps_the_last_word(store, raw, failpoint):
    store.put("A")
    export_telemetry(store, raw)
    store.put("B", "A")
    dies_exporting(store, raw, failpoint)
    export_telemetry(store, raw)
    assert lines(raw) == ["A", "B", "A"]


def test_half_a_line_that_stands_whole_before_is_cut_and_a_whole_one_without_an_end_is_kept(store, raw):
    store.put('{"run_id": "R1"}')
    export_telemetry(store, raw)
    file = raw / "mission_runs" / "runner-0123abcd-2026-02.jsonl"
    with file.open("a") as half:
        half.write('{"run_id": "R')
    store.put('{"run_id": "R2"}')
    export_telemetry(store, raw)
    with file.open("a") as by_hand:
        by_hand.write('{"run_id": "by hand"}')
    store.put('{"run_id": "R3"}')
    export_telemetry(store, raw)
    assert [json.loads(line)["run_id"] for line in lines(raw)] == ["R1", "R2", "by hand", "R3"]


def test_half_a_line_that_nobody_knows_becomes_a_line_so_that_a_refresh_tells_of_it(store, raw):
    (raw / "mission_runs").mkdir()
    file = raw / "mission_runs" / "runner-0123abcd-2026-02.jsonl"
    half = '{"' + "x" * 200_000  # longer than what is read at once
    file.write_text('{"run_id": "R1"}\n' + half)
    store.put('{"run_id": "R2"}')
    export_telemetry(store, raw)
    assert lines(raw) == ['{"run_id": "R1"}', half, '{"run_id": "R2"}']


@pytest.mark.parametrize("left", [3, 20, 45, 60, 91])
def test_what_somebody_cut_off_in_the_middle_of_a_line_is_written_again(store, raw, left):
    said = [f'{{"run_id": "R{number}", "is": "it"}}' for number in (1, 2, 1, 3)]  # R1 was corrected back
    store.put(*said)
    store.put(record(1), at=datetime(2026, 3, 1))
    store.put(record(2), data_set="task_execution_logs")
    export_telemetry(store, raw)
    file = raw / "mission_runs" / "runner-0123abcd-2026-02.jsonl"
    os.truncate(file, left)
    store.put('{"run_id": "R4"}')
    export_telemetry(store, raw)
    assert lines(raw) == [*said, '{"run_id": "R4"}']


@pytest.mark.parametrize("change", ["removed", "shortened", "written to"])
def test_a_file_that_somebody_changed_after_a_crash_gets_its_rows(store, raw, change):
    store.put("A", "B")
    export_telemetry(store, raw)
    store.put("C", "D")
    dies_exporting(store, raw, "torn_append")
    file = raw / "mission_runs" / "runner-0123abcd-2026-02.jsonl"
    if change == "removed":
        file.unlink()
    elif change == "shortened":
        file.write_text("A\n")
    else:
        file.write_text('A\nB\n{"by": "hand"}\n')
    export_telemetry(store, raw)
    before = {"removed": [], "shortened": ["A"], "written to": ["A", "B", '{"by": "hand"}']}[change]
    assert lines(raw) == [*before, "C", "D"]


def test_a_row_longer_than_a_page_and_more_rows_than_fit_one_journal(store, raw):
    store.put('{"note": "' + "x" * 100_000 + '"}', *map(record, range(20)))
    store.ask(
        "insert into outbox with recursive n(i) as (select 1 union all select i + 1 from n where i < 2500) "
        "select null, 'mission_runs', '{}', '2026-02-07', 0 from n"
    )
    assert export_telemetry(store, raw) == 2521
    assert len(lines(raw)) == 2521


def test_exporters_in_many_threads_write_every_row_once(store, raw):
    faults = []

    def work(first):
        try:
            for number in range(first, first + 10):
                store.put(record(number))
                export_telemetry(store, raw)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(10 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(lines(raw)) == sorted(map(record, range(60)))


def test_exporters_in_processes_write_every_row_once_while_some_of_them_die(store, raw):
    children = []
    for number in range(6):
        child = os.fork()
        if child == 0:
            failpoints = Failpoints(f"{DYING[number]}:3") if number < 4 else NO_FAILPOINTS
            for one in range(10):
                store.put(record(10 * number + one))
                export_telemetry(store, raw, failpoints=failpoints)
            os._exit(0)
        children.append(child)
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ends[4:] == [0, 0]
    export_telemetry(store, raw)
    written = [line for (line,) in store.ask("select line from outbox order by line")]
    assert sorted(lines(raw)) == written
    assert -signal.SIGKILL in ends


def test_an_exporter_that_is_not_to_wait_leaves_the_work_to_the_one_that_is_at_it(store, raw):
    store.put("A")
    journal = raw / f".runner-{store.store_id}.journal"
    import fcntl

    with journal.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert export_telemetry(store, raw, wait_seconds=0) == 0
        with pytest.raises(TelemetryNotWritten, match=r"Another process has held .* nothing is lost"):
            export_telemetry(store, raw, wait_seconds=0.05)
    assert export_telemetry(store, raw, wait_seconds=0) == 1


def test_a_full_disk_is_one_sentence_and_loses_nothing(store, raw):
    """A limit on the size of files stands for the disk: the system writes a part and then refuses, likewise."""
    store.put(*(record(0) for _ in range(50)))
    export_telemetry(store, raw)
    before = lines(raw)
    store.put(*map(record, range(2000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    child = os.fork()
    if child == 0:  # the limit is of a process
        size = (raw / "mission_runs" / "runner-0123abcd-2026-02.jsonl").stat().st_size
        said = b""
        for room in (10, size + 137):  # for the journal not at all, then for it but for a part of the rows
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            try:
                export_telemetry(store, raw)
            except TelemetryNotWritten as fault:
                said += str(fault).encode() + b"\n"
        (raw.parent / "said").write_bytes(said[: size + 100])
        os._exit(0)
    os.waitpid(child, 0)
    signal.signal(signal.SIGXFSZ, ignored)
    said = (raw.parent / "said").read_text().splitlines()
    assert len(said) == 2
    assert all(os.strerror(errno.EFBIG) in line and "nothing is lost" in line for line in said)
    assert lines(raw) == before  # no half line for a refresh to stumble over
    assert len(store.pending_telemetry(3000)) == 2000
    export_telemetry(store, raw)
    assert lines(raw) == before + [record(number) for number in range(2000)]
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == (soft, hard)


def test_a_raw_data_folder_that_is_missing_is_one_sentence(store, tmp_path):
    store.put("A")
    with pytest.raises(TelemetryNotWritten, match=r"--raw-data; nothing is lost"):
        export_telemetry(store, tmp_path / "none")
    assert store.pending_telemetry(1)


def test_a_failpoint_is_a_known_name_and_a_time():
    assert [Failpoints("after_call:2").is_due(name) for name in ("after_call", "after_claim")] == [False, False]
    counting = Failpoints("after_call:2")
    assert [counting.is_due("after_call") for _ in range(3)] == [False, True, False]
    assert not any(NO_FAILPOINTS.is_due(name) for name in FAILPOINTS)
    for wrong in ("after_lunch", "after_call:0", "after_call:x"):
        with pytest.raises(ValueError, match="is none of after_claim"):
            Failpoints(wrong)

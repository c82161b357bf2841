"""Readers and refreshes do not meet, and a kill at any moment of publishing leaves one whole warehouse."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import polars as pl
import pytest

from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.contracts.staging import Agents
from mission_pipeline.errors import WarehouseFault
from mission_pipeline.orchestration.stages import published_views
from mission_pipeline.warehouse import Warehouse

READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
def agents():
    return connection.execute("select count(*) from staging.agents").fetchall()[0][0]
print(agents(), flush=True)
for _ in sys.stdin:
    print(agents(), flush=True)
"""
KILLED_PUBLISHER = """
import os, shutil, signal, sys
from pathlib import Path
from mission_pipeline.warehouse import Warehouse

place, count = sys.argv[2], int(sys.argv[3])
calls = 0
def dies_at_the_call(original):
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    return wrapped
def dies_halfway(source, target):
    Path(target).write_bytes(Path(source).read_bytes()[: Path(source).stat().st_size // 2])
    os.kill(os.getpid(), signal.SIGKILL)
if place == "fsync":
    os.fsync = dies_at_the_call(os.fsync)
elif place == "rename":
    Path.replace = dies_at_the_call(Path.replace)
elif place == "copy":
    shutil.copyfile = dies_halfway
warehouse = Warehouse(Path(sys.argv[1]))
with warehouse.build() as build:
    warehouse.publish(build, {})
"""


def agents(count):
    return pl.DataFrame([{"agent_id": f"A{number}"} for number in range(count)], schema=Agents.polars_schema())


@pytest.fixture(scope="module")
def published_once(tmp_path_factory):
    made = Warehouse(tmp_path_factory.mktemp("published") / "a warehouse")
    with made.build() as build:
        for contract in ALL_CONTRACTS:
            build.ensure_table(contract)
        build.replace_table(Agents, frame=agents(1))
        made.publish(build, published_views())
        build.replace_table(Agents, frame=agents(2))
    return made


@pytest.fixture
def warehouse(published_once, tmp_path):
    """A published warehouse with one agent, and a build file that has two by now."""
    shutil.copytree(published_once.folder, tmp_path / "a warehouse")
    return Warehouse(tmp_path / "a warehouse")


def published_agents(warehouse):
    with warehouse.published() as connection:
        return connection.execute("select count(*) from staging.agents").fetchall()[0][0]


def test_a_reader_in_another_process_and_a_publisher_do_not_disturb_each_other(warehouse):
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(warehouse.published_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdout.readline() == "1\n"
        with warehouse.build() as build:
            warehouse.publish(build, published_views())
        assert published_agents(warehouse) == 2
        reader.stdin.write("again\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "1\n"  # it keeps what it opened, whole
        with warehouse.build() as build:  # while the build is held open for writing, a new reader opens at once
            build.replace_table(Agents, frame=agents(3))
            assert published_agents(warehouse) == 2
    finally:
        reader.stdin.close()
        reader.wait(10)
        reader.stdout.close()
    assert reader.returncode == 0


@pytest.mark.parametrize(
    ("place", "call", "agents_left"),
    [
        ("copy", 1, 1),  # half of the file is copied
        ("fsync", 1, 1),  # all is copied, nothing is synced
        ("rename", 1, 1),  # just before the rename
        ("fsync", 2, 2),  # just after it
    ],
)
def test_a_kill_while_publishing_leaves_the_old_or_the_new_warehouse_whole(warehouse, place, call, agents_left):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_PUBLISHER, str(warehouse.folder), place, str(call)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert published_agents(warehouse) == agents_left
    with warehouse.published() as connection:
        tables = connection.execute("select count(*) from duckdb_tables() where not internal").fetchall()
        assert tables == [(len(ALL_CONTRACTS),)]
    with warehouse.build() as build:
        warehouse.publish(build, published_views())
    assert published_agents(warehouse) == 2


def test_a_full_disk_while_publishing_leaves_the_old_warehouse(warehouse, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = warehouse.published_file.read_bytes()
    monkeypatch.setattr(shutil, "copyfile", full)
    with warehouse.build() as build:
        with pytest.raises(WarehouseFault, match="No space left on device"):
            warehouse.publish(build, published_views())
        monkeypatch.undo()
        assert warehouse.published_file.read_bytes() == before
        warehouse.publish(build, published_views())
    assert published_agents(warehouse) == 2


def test_only_what_is_promised_is_published(warehouse):
    with warehouse.build() as build:
        build.execute("create schema raw")
        build.execute("create table raw.records as select 1 as row")
        warehouse.publish(build, published_views())
        assert build.scalar("select count(*) from raw.records") == 1
    with warehouse.published() as connection:
        schemas = connection.execute(
            "select schema_name from duckdb_schemas() where not internal order by 1"
        ).fetchall()
        assert schemas == [("marts",), ("quality",), ("staging",)]

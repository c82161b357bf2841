"""Files and folders that the system's permissions close: one sentence, exit 2, and nothing that was published changes.

Permissions do not bind root, so root gives its rights up for the command.
"""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import mission
from shipped_sample import SAMPLE

NOBODY = 65534
NOW = "2026-02-07T06:00:00"


@contextmanager
def as_an_ordinary_user():
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture(scope="module")
def shipped():
    """Raw data and a warehouse made of it, both the ordinary user's; pytest's own folders are closed to that user."""
    folder = Path(tempfile.mkdtemp(prefix="mission-permissions-"))
    folder.chmod(0o755)
    shutil.copytree(SAMPLE, folder / "raw_data")
    # As whoever runs the tests: by then every module is loaded, which the ordinary user might not be allowed to read.
    refreshed = refresh(folder / "raw_data", folder / "warehouse")
    assert refreshed.returncode == 0, refreshed.stderr
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place(shipped):
    """A copy that a test may change and close."""
    folder = Path(tempfile.mkdtemp(prefix="mission-permissions-"))
    shutil.copytree(shipped, folder, dirs_exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


def refresh(raw_data, warehouse):
    return mission("refresh", "--raw-data", raw_data, "--warehouse", warehouse, MISSION_NOW=NOW)


def published(warehouse):
    files = [file for file in sorted(warehouse.rglob("*")) if file.is_file() and ".dagster" not in file.parts]
    return {file.relative_to(warehouse): file.read_bytes() for file in files if ".build" not in file.parts}


def is_refused(place, *words):
    before = published(place / "warehouse")
    with as_an_ordinary_user():
        said = refresh(place / "raw_data", place / "warehouse")
    sentence = said.stderr.splitlines()[-1]
    assert said.returncode == 2, said.stderr
    assert "Traceback" not in said.stderr
    for word in words:
        assert word in sentence
    assert published(place / "warehouse") == before


def test_the_ordinary_user_may_refresh_what_is_open(place):
    with as_an_ordinary_user():
        said = refresh(place / "raw_data", place / "warehouse")
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("name", ["mission_runs.json", "task_execution_logs.json", "business_missions.json"])
def test_a_file_that_may_not_be_read_is_named(place, name):
    (place / "raw_data" / name).chmod(0)
    is_refused(place, name, "cannot be read (Permission denied)", "Make")


def test_a_raw_data_folder_that_may_not_be_listed_is_named(place):
    (place / "raw_data").chmod(0o300)
    is_refused(place, str(place / "raw_data"), "cannot be read (Permission denied)", "Make it readable")


def test_a_folder_of_daily_drops_that_may_not_be_listed_is_named(place):
    drops = place / "raw_data" / "mission_runs"
    drops.mkdir()
    drops.chmod(0)
    is_refused(place, "mission_runs", "cannot be read (Permission denied)", "Make it readable")


@pytest.mark.parametrize("closed", [".", ".build", "briefs", "exports", ".dagster"])
def test_a_warehouse_that_may_not_be_written_is_named(place, closed):
    for path in (place / "warehouse" / closed, *(place / "warehouse" / closed).rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if closed in ("briefs", "exports"):
        (place / "raw_data" / "mission_runs.json").write_text(
            (place / "raw_data" / "mission_runs.json").read_text(encoding="utf-8").replace("3.1", "3.2"),
            encoding="utf-8",
        )
    is_refused(place, str(place / "warehouse"), "cannot be written (Permission denied)", "writable")


def test_a_warehouse_that_may_not_be_made_is_named(place):
    shutil.rmtree(place / "warehouse")
    place.chmod(0o555)
    is_refused(place, str(place / "warehouse"), "cannot be written (Permission denied)", "writable")

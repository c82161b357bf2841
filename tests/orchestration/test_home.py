"""Dagster's home: made on first use, kept where somebody changed it, readable by Dagster's own storage."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log import SqliteEventLogStorage

from mission_pipeline.errors import MissionPipelineError, WarehouseFault
from mission_pipeline.orchestration.event_log import OPEN_FILES, KeptOpenEventLog
from mission_pipeline.orchestration.home import prepare_home
from mission_pipeline.orchestration.instance import history
from mission_pipeline.orchestration.ui import serve_ui
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings


def test_the_home_is_made_with_its_files(tmp_path):
    home = prepare_home(tmp_path / 'a "quoted" place: here' / ".dagster")
    config = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8"))
    assert config["event_log_storage"]["config"]["base_dir"] == str(home / "history" / "runs")
    assert config["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}
    assert config["telemetry"] == {"enabled": False}
    assert config["nux"] == {"enabled": False}
    workspace = yaml.safe_load((home / "workspace.yaml").read_text(encoding="utf-8"))
    assert workspace["load_from"][0]["python_module"]["location_name"] == "mission_pipeline"


def test_a_home_that_moved_is_mended_and_a_changed_one_is_kept(tmp_path):
    home = prepare_home(tmp_path / "home")
    moved = home.rename(tmp_path / "moved")
    assert str(moved) in (prepare_home(moved) / "dagster.yaml").read_text(encoding="utf-8")
    (moved / "dagster.yaml").write_text("nux: {enabled: false}\n", encoding="utf-8")
    prepare_home(moved)
    assert (moved / "dagster.yaml").read_text(encoding="utf-8") == "nux: {enabled: false}\n"


def test_a_home_that_cannot_be_made_is_a_plain_fault(tmp_path):
    (tmp_path / "warehouse").write_text("a file, not a folder", encoding="utf-8")
    with pytest.raises(WarehouseFault, match="cannot be written"):
        prepare_home(tmp_path / "warehouse" / ".dagster")


@dg.op
def nothing():
    pass


@dg.job
def a_job():
    nothing()


def open_files(folder):
    return {link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()} & set(folder.rglob("*.db"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_the_event_log_keeps_few_files_open_closes_them_and_is_dagsters_own(tmp_path):
    with history(tmp_path / "home") as instance:
        assert isinstance(instance.event_log_storage, KeptOpenEventLog)
        runs = [a_job.execute_in_process(instance=instance).run_id for _ in range(OPEN_FILES + 1)]
        assert 0 < len(open_files(tmp_path)) <= OPEN_FILES
        logs = {run_id: len(instance.all_logs(run_id)) for run_id in runs}
    assert not open_files(tmp_path)
    theirs = SqliteEventLogStorage(str(tmp_path / "home" / "history" / "runs"))
    assert {run_id: len(theirs.get_logs_for_run(run_id)) for run_id in runs} == logs
    assert min(logs.values()) > 5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_a_plain_fault(tmp_path):
    settings = Settings(tmp_path, tmp_path / "warehouse", SHIPPED_POLICY_FILE, datetime(2026, 2, 7))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(MissionPipelineError, match="--port"):
            serve_ui(settings, port=taken.getsockname()[1])


SERVE = """
import sys
from datetime import datetime
from pathlib import Path
from mission_pipeline.orchestration.refresh import serve_ui
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings
folder = Path(sys.argv[1])
sys.exit(serve_ui(Settings(folder, folder / "ware house", SHIPPED_POLICY_FILE, datetime(2026, 2, 7)), port=int(sys.argv[2])))
"""


def test_the_ui_serves_on_this_machine_with_its_daemon_until_it_is_interrupted(tmp_path):
    port, log = free_port(), tmp_path / "log"
    with log.open("w") as output:
        serving = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path), str(port)],
            cwd="/",
            stdout=output,
            stderr=output,
            # As a script starts a command in the background: with Ctrl-C switched off.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
    try:
        assert _answers(f"http://127.0.0.1:{port}/server_info", seconds=90), log.read_text()
        assert _says(log, r"daemons: .*SchedulerDaemon", seconds=60)
    finally:
        serving.send_signal(signal.SIGINT)
        try:
            code = serving.wait(40)
        finally:
            serving.kill()
    assert code == 0
    assert "Dagster services shut down" in log.read_text()
    assert not _answers(f"http://127.0.0.1:{port}/server_info", seconds=0)
    assert "Error" not in log.read_text()


def _answers(url, *, seconds):
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)


def _says(log, pattern, *, seconds):
    deadline = time.monotonic() + seconds
    while not re.search(pattern, log.read_text()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)
    return True

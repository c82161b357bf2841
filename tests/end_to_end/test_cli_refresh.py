"""``mission refresh``, ``brief`` and ``backfill`` on the shipped data, as a newcomer runs them."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from command import mission, mission_process
from conftest import once_for_all_workers
from shipped_sample import SAMPLE

NOW = {"MISSION_NOW": "2026-02-07T06:00:00"}


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory):
    """One refresh by the command, as a process: what it printed, and where it wrote."""

    def make(folder):
        return mission_process("refresh", "--raw-data", SAMPLE, "--warehouse", folder / "ware house", **NOW)

    folder, result = once_for_all_workers(tmp_path_factory, "refreshed by the command", make)
    return folder / "ware house", result


def test_a_refresh_prints_progress_the_first_screen_and_where_everything_is(refreshed):
    folder, result = refreshed
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    progress = result.stderr.splitlines()
    assert len(progress) >= 5
    assert all(line.strip()[0].isdigit() and " s  " in line for line in progress), result.stderr
    printed = result.stdout
    assert "Status              WATCH" in printed
    assert "Autonomy regression in Accelerate Sales Pipeline Progression" in printed
    assert "What to fix" not in printed
    briefs = [f"briefs/2026-02-06.{suffix}" for suffix in ("md", "html", "json")]
    for place in (*briefs, "mission_control.duckdb", "exports"):
        assert str(folder / place) in printed
        assert (folder / place).exists()


def test_the_brief_shown_again_is_the_one_that_was_refreshed(refreshed):
    folder, _ = refreshed
    stored = (folder / "briefs" / "2026-02-06.json").read_text(encoding="utf-8")
    assert mission("brief", "--warehouse", folder, "--format", "json").stdout == stored
    markdown = (folder / "briefs" / "2026-02-06.md").read_text(encoding="utf-8")
    assert mission("brief", "--warehouse", folder, "--format", "md").stdout == markdown
    page = (folder / "briefs" / "2026-02-06.html").read_text(encoding="utf-8")
    assert mission("brief", "--warehouse", folder, "--format", "html").stdout == page
    text = mission("brief", "--warehouse", folder).stdout
    assert text.startswith("Mission brief as of 2026-02-06\n")
    assert "What would turn the status to ON_TRACK" in text


def test_exports_have_a_record_per_day_and_per_agent(refreshed):
    folder, _ = refreshed
    days = json.loads((folder / "exports" / "mission_portfolio_snapshot.json").read_text(encoding="utf-8"))
    assert [day["snapshot_date"] for day in days] == [f"2026-02-0{day}" for day in range(1, 7)]
    assert (days[-1]["missions_at_risk"], days[-1]["avg_kpi_improvement_pct"]) == (1, 58.0635)
    agents = json.loads((folder / "exports" / "agent_performance_stats.json").read_text(encoding="utf-8"))
    assert [agent["agent_id"] for agent in agents] == ["A1", "A2", "A3", "A4", "A5"]


def test_a_backfill_makes_the_briefs_of_past_days_and_keeps_the_newest(refreshed, tmp_path):
    raw, folder = SAMPLE, tmp_path / "ware house"
    shutil.copytree(refreshed[0], folder)
    done = mission("refresh", "--raw-data", raw, "--warehouse", folder, "--json", **NOW)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["as_of"] == facts["brief"]["as_of"] == "2026-02-06"
    assert facts["run_id"]
    span = ("--from", "2026-02-01", "--to", "2026-02-03")
    result = mission("backfill", *span, "--raw-data", raw, "--warehouse", folder, "--json", **NOW)
    assert result.returncode == 0, result.stderr
    days = json.loads(result.stdout)["days"]
    assert [day["as_of"] for day in days] == ["2026-02-01", "2026-02-02", "2026-02-03"]
    assert days[0]["status"] == "ATTENTION_REQUIRED"
    kept = sorted(path.name for path in (folder / "briefs").glob("*.json"))
    assert kept == ["2026-02-01.json", "2026-02-02.json", "2026-02-03.json", "2026-02-06.json"]
    missing = mission("brief", "--warehouse", folder, "--as-of", "2026-02-05")
    assert missing.returncode == 2
    assert "2026-02-01 to 2026-02-03 and 2026-02-06" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--as-of", "2026-01-31"], "2026-01-31"),
        (["--as-of", "2027-01-01"], "2027-01-01"),
        (["--raw-data", "none/at/all"], "none/at/all"),
        (["--policy", "no.toml"], "no.toml"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_changes_nothing(tmp_path, arguments, said):
    given = ["--raw-data", SAMPLE] if "--raw-data" not in arguments else []
    result = mission("refresh", *given, *arguments, "--warehouse", tmp_path / "warehouse", **NOW)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    faults = [line for line in result.stderr.splitlines() if " s  " not in line]
    assert len(faults) == 1, result.stderr
    assert said in faults[0]
    assert not (tmp_path / "warehouse" / "mission_control.duckdb").exists()
    assert not (tmp_path / "warehouse" / "briefs").exists()


def test_a_warehouse_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    folder = tmp_path / "file" / "warehouse"
    result = mission_process("refresh", "--raw-data", SAMPLE, "--warehouse", folder, **NOW)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert str(folder) in result.stderr.splitlines()[-1]


def test_an_interrupted_refresh_exits_with_130_and_publishes_nothing(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "mission_pipeline", "refresh", "--raw-data", SAMPLE, "--warehouse", tmp_path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MISSION_NOW": "2026-02-07T06:00:00"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    said = []
    for line in process.stderr:
        said.append(line)
        if " ingest: " in line:  # the stages after it take far longer than the signal
            process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, "".join(said)
    assert "Traceback" not in "".join(said)
    assert process.stdout.read() == ""
    assert not (tmp_path / "mission_control.duckdb").exists()

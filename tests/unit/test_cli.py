"""The command without a refresh: help, stored briefs, faults as one sentence, exit codes, and what it does not load."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date

import duckdb
import pytest
from brief_samples import empty_scorecard, snapshot, verdict
from command import environment, mission, mission_process

from mission_pipeline.brief.store import write_brief
from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.policy import load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE
from mission_pipeline.warehouse import Warehouse

DAYS = [date(2026, 2, day) for day in (5, 6)]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A published warehouse with two briefs that say that there is no data."""
    policy, warehouse = load_policy(SHIPPED_POLICY_FILE), Warehouse(tmp_path_factory.mktemp("cli") / "ware house")
    judgement = verdict(
        policy, "NO_DATA", "LOW", missions=[empty_scorecard()],
        portfolio=snapshot(status="NO_DATA", top_bottleneck_task_id=None),
    )  # fmt: skip
    with warehouse.build() as build:
        for contract in ALL_CONTRACTS:
            build.ensure_table(contract)
        for day in DAYS:
            write_brief(build, replace(judgement, as_of=day), policy)
        warehouse.publish(build, {})
    return warehouse


def assert_one_sentence(result, code, *parts):
    """A fault: its exit code, one line on standard error that names the place, nothing on standard output."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert str(part) in result.stderr


@pytest.mark.parametrize("call", [mission, mission_process])
def test_help_names_every_command_and_the_exit_codes(call):
    result = call("--help")
    assert result.returncode == 0
    for command in ("refresh", "brief", "check", "backfill", "ui"):
        assert re.search(rf"^\W*{command} ", result.stdout, flags=re.M)
    assert "Exit codes: 0 done" in result.stdout


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("refresh", ["--raw-data", "--warehouse", "--as-of", "--policy", "--rebuild", "--json"]),
        ("brief", ["--as-of", "--run", "--format", "--output", "--warehouse", "--json"]),
        ("check", ["--raw-data", "--policy", "--json"]),
        ("backfill", ["--from", "--to", "--raw-data", "--warehouse", "--policy", "--json"]),
        ("ui", ["--port", "--raw-data", "--warehouse", "--policy"]),
    ],
)
def test_help_of_a_command_names_its_options_and_their_variables(command, options):
    help_page = mission(command, "--help").stdout
    for option in options:
        assert option in help_page
        variable = {"--raw-data": "MISSION_RAW_DATA", "--warehouse": "MISSION_WAREHOUSE", "--policy": "MISSION_POLICY"}
        assert variable.get(option, option) in help_page


def test_without_a_command_the_help_is_shown():
    shown = mission()
    assert "Usage:" in shown.stdout + shown.stderr


@pytest.mark.parametrize("call", [mission, mission_process])
def test_the_newest_brief_is_shown_by_default(warehouse, call):
    result = call("brief", "--warehouse", warehouse.folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Mission brief as of 2026-02-06\n")
    assert "Nothing can be judged yet" in result.stdout
    assert "\x1b" not in result.stdout
    assert not [line for line in result.stdout.splitlines() if line != line.rstrip() or len(line) > 80]


def test_a_brief_of_a_day_in_each_format_is_what_was_stored(warehouse):
    with warehouse.published() as connection:
        [(markdown, page, stored)] = connection.execute(
            "select brief_markdown, brief_html, brief_json from marts.executive_briefs where as_of_date = date '2026-02-05'"
        ).fetchall()
    asked = ("brief", "--warehouse", warehouse.folder, "--as-of", "2026-02-05")
    assert mission(*asked, "--format", "md").stdout == markdown
    assert mission(*asked, "--format", "html").stdout == page
    assert mission(*asked, "--format", "json").stdout == stored
    assert mission(*asked, "--json").stdout == stored


def test_a_brief_of_an_earlier_release_is_shown_as_it_wrote_it_and_has_no_page(warehouse, tmp_path):
    shutil.copyfile(warehouse.published_file, tmp_path / warehouse.published_file.name)
    with duckdb.connect(str(tmp_path / warehouse.published_file.name)) as connection:
        connection.execute("alter table marts.executive_briefs drop column brief_html")
        connection.execute("update marts.executive_briefs set brief_json = '{}', brief_markdown = '# As it was'")
    asked = ("brief", "--warehouse", tmp_path)
    assert mission(*asked).stdout == mission(*asked, "--format", "md").stdout == "# As it was"
    assert_one_sentence(mission(*asked, "--format", "html"), 2, "as of 2026-02-06 is older", "--as-of 2026-02-06")


@pytest.mark.parametrize("form", ["text", "md", "html", "json"])
def test_a_brief_can_be_written_to_a_file(warehouse, tmp_path, form):
    file = tmp_path / "brief of the day"
    result = mission("brief", "--warehouse", warehouse.folder, "--format", form, "--output", file)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert "2026-02-06" in file.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["brief of the day"]


def test_the_warehouse_may_come_from_the_environment(warehouse, tmp_path):
    assert mission("brief", MISSION_WAREHOUSE=str(warehouse.folder)).returncode == 0
    other = mission("brief", "--warehouse", tmp_path, MISSION_WAREHOUSE=str(warehouse.folder))
    assert_one_sentence(other, 2, tmp_path, "mission refresh")


def test_a_day_without_a_brief_says_which_days_have_one(warehouse):
    result = mission("brief", "--warehouse", warehouse.folder, "--as-of", "2026-01-01")
    assert_one_sentence(result, 2, "no brief as of 2026-01-01", "2026-02-05 to 2026-02-06")


@pytest.mark.parametrize("call", [mission, mission_process])
def test_a_missing_warehouse_is_one_sentence(tmp_path, call):
    assert_one_sentence(call("brief", "--warehouse", tmp_path / "none"), 2, tmp_path / "none", "mission refresh")


def test_a_damaged_warehouse_is_one_sentence(tmp_path):
    (tmp_path / "mission_control.duckdb").write_bytes(b"not a database" * 1000)
    assert_one_sentence(mission("brief", "--warehouse", tmp_path), 2, "mission_control.duckdb cannot be read")


def test_an_output_that_cannot_be_written_is_one_sentence(warehouse, tmp_path):
    result = mission("brief", "--warehouse", warehouse.folder, "--output", tmp_path)
    assert_one_sentence(result, 2, f"{tmp_path} cannot be written")
    (tmp_path / "file").write_text("", encoding="utf-8")
    below = tmp_path / "file" / "brief.md"
    assert_one_sentence(mission("brief", "--warehouse", warehouse.folder, "--output", below), 2, below)


@pytest.mark.parametrize(
    "arguments",
    [
        ["brief", "--as-of", "yesterday"], ["brief", "--format", "xml"], ["fly"], ["backfill", "--from", "2026-02-01"],
        ["ui", "--port", "0"], ["refresh", "--as-of", "2026-02-30"],
    ],
)  # fmt: skip
def test_a_wrong_option_exits_with_2_and_no_traceback(arguments):
    result = mission(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "Usage" in result.stderr


def test_days_in_the_wrong_order_are_one_sentence():
    result = mission("backfill", "--from", "2026-02-06", "--to", "2026-02-01")
    assert_one_sentence(result, 2, "--to 2026-02-01 is before --from 2026-02-06")


def test_a_clock_that_is_no_time_is_one_sentence():
    assert_one_sentence(mission("brief", MISSION_NOW="soon"), 2, "MISSION_NOW")


def test_a_missing_policy_is_one_sentence(tmp_path):
    assert_one_sentence(mission("check", "--policy", tmp_path / "none.toml"), 2, tmp_path / "none.toml")


def test_a_broken_pipe_is_quiet(warehouse):
    command = f'"{sys.executable}" -m mission_pipeline brief --warehouse "{warehouse.folder}" --format json | true'
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=False)
    assert result.stderr == ""


def test_an_interrupt_exits_with_130_and_no_traceback():
    script = (
        "import sys, time\n"
        "import mission_pipeline.cli as cli\n"
        "def slow(*_, **__):\n"
        "    print('working', flush=True)\n"
        "    time.sleep(30)\n"
        "cli._settings = slow\n"
        "sys.argv = ['mission', 'brief']\n"
        "cli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGINT)
    _, faults = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in faults


@pytest.mark.parametrize("arguments", [["--help"], ["refresh", "--help"], ["brief"]])
def test_help_and_stored_briefs_load_neither_dagster_nor_pandera_nor_polars(warehouse, arguments):
    script = (
        "import sys, atexit\n"
        "heavy = lambda: [m for m in ('dagster', 'pandera', 'polars', 'scipy', 'numpy') if m in sys.modules]\n"
        "atexit.register(lambda: print('LOADED', heavy(), file=sys.stderr))\n"
        f"sys.argv = ['mission', *{arguments!r}]\n"
        "from mission_pipeline.cli import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env=environment(MISSION_WAREHOUSE=str(warehouse.folder)),
    )  # fmt: skip
    assert result.returncode == 0
    assert "LOADED []" in result.stderr


def test_a_stored_brief_is_shown_at_once(warehouse):
    start = time.monotonic()
    assert mission_process("brief", "--warehouse", warehouse.folder).returncode == 0
    assert time.monotonic() - start < 3  # about 0.4 s on a quiet machine


def test_the_brief_as_json_is_json(warehouse):
    parsed = json.loads(mission("brief", "--warehouse", warehouse.folder, "--json").stdout)
    assert parsed["as_of"] == "2026-02-06"

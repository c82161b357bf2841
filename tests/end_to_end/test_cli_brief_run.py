"""``mission brief --run`` on the shipped runs and on a portfolio with every state of a run: its words, and every claim."""

import json
import re
import subprocess
import sys
from datetime import date
from types import SimpleNamespace

import pytest
from claim_checks import differing, unclaimed, unproven
from command import mission, mission_process
from conftest import once_for_all_workers, work_through
from portfolios import (
    OTHER_PORTFOLIO_LOGS,
    OTHER_PORTFOLIO_REFERENCE,
    OTHER_PORTFOLIO_RUNS,
    approved,
    log,
    run,
    task,
    write_records,
)

from mission_pipeline.brief.run_facts import read_run_facts
from mission_pipeline.brief.run_report import compose_run_report, run_document_of
from mission_pipeline.warehouse import Warehouse

HOSTILE = "<b>8 O'Hara | *x*</b> [y](http://z)"
SHIPPED_RUNS = [
    "RUN_2026_02_01_001", "RUN_2026_02_03_002", "RUN_2026_02_05_003", "RUN_2026_02_02_004", "RUN_2026_02_04_005",
    "RUN_2026_02_01_006", "RUN_2026_02_03_007", "RUN_2026_02_06_008",
]  # fmt: skip
REPORT_005_AT_80 = """\
Run RUN_2026_02_04_005: Accelerate Sales Pipeline Progression

Status           completed – it ran to its end
In one sentence  The run completed in 77 minutes; pipeline came to 8 days, 1 day
                 above the target of 7 days; T5 "Draft personalized outreach
                 email" held it up most: 9 minutes over plan or waiting.
Mission          Accelerate Sales Pipeline Progression (M002)
                 - Owner: nobody is named
Time             From 2026-02-04 09:25 to 2026-02-04 10:42 UTC. It took 77
                 minutes, 63 minutes more than the 14 minutes that the estimates
                 of its 2 planned tasks add up to.
                 - How it was spent: 21 minutes of work by agents, 6 minutes of
                 waiting for a person's approval and 50 minutes that no log
                 explains.
People           People stepped in twice. Work was escalated once (handed to
                 somebody who decides). Autonomy score: 8.60 of a hundred points
                 (a hundred: no person was needed).
At risk          The rules detect 2 risks in this run; 2 events were reported,
                 of which 2 match a detected risk.
                 - Worst: T5 "Draft personalized outreach email": long wait for
                 approval, 6 minutes (limit: 5 minutes); reported as RISK_002
                 (severity high, closed).
Next             Bring T5 "Draft personalized outreach email", done by agent A4
                 (Sales Analysis), back within its plan, and shorten its wait
                 for a person.
                 - Aim: at most 6 minutes of work (now 9) and a wait for a
                 person under 5 minutes (now 6)
"""


def make_other(folder):
    raw, reference = folder / "raw", {name: list(rows) for name, rows in OTHER_PORTFOLIO_REFERENCE.items()}
    reference["business_missions"].append(
        {"mission_id": "X'1", "mission_name": HOSTILE, "description": HOSTILE, "owner": HOSTILE}
    )
    reference["decomposed_mission_tasks"].append(
        {"mission_id": "X'1", "tasks": [{**task("x'1", 1, 5), "task": HOSTILE}, task("x'2", 2, 5, ("x'1",))]}
    )
    reference["specialized_agents"].append(
        {"agent_id": "C'1", "name": HOSTILE, "description": "", "status": "available"}
    )
    reference["agent_capabilities_matrix"] += [{"task_id": one, "capable_agents": ["C'1"]} for one in ("x'1", "x'2")]
    reference["mission_kpis"].append(
        {"mission_id": "X'1", "kpis": {"baseline_a|b*c_days": 9, "target_a|b*c_days": 4, "min_touches": 3}}
    )
    for name, records in reference.items():
        write_records(raw / f"{name}.json", records)
    runs = [
        run("h'1", "X'1", "2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z", total_duration_minutes=30,
            kpis={"a|b*c_days": 7, "touches": 1, "unheard_of": 2}, requested_by=HOSTILE, priority="p0",
            human_interventions=3, escalations=2),
        run("h'2", "X'1", "2026-03-03T09:00:00Z", None, status="blocked", total_duration_minutes=None),
        run("n1", "NEW", "2026-03-03T09:00:00Z", "2026-03-03T09:10:00Z", total_duration_minutes=10, escalations=None),
        run("bad", "OPS", "2026-03-03T09:00:00Z", "2026-03-03T08:00:00Z"),
    ]  # fmt: skip
    logs = [
        log("h'1", "X'1", "x'1", "C'1", 16), log("h'1", "X'1", "x'2", "C'1", 8, **approved(7)),
        log("h'2", "X'1", "x'1", "C'1", 4, outcome="rejected"),
    ]  # fmt: skip
    events = [
        {"event_id": f"e'{number}", "run_id": "h'1", "mission_id": "X'1", "task_id": at, "risk_type": kind,
         "severity": "low", "description": HOSTILE, "detected_at": "2026-03-02T09:20:00Z", "status": status}
        for number, at, kind, status in ((1, "x'1", "task_overrun", "closed"), (2, "x'2", HOSTILE, "open"),
                                         (3, "x'1", "weather", "open"), (4, "x'2", "repeated_failures", "open"))
    ]  # fmt: skip
    write_records(raw / "mission_runs.json", OTHER_PORTFOLIO_RUNS + runs)
    write_records(raw / "task_execution_logs.json", OTHER_PORTFOLIO_LOGS + logs)
    write_records(raw / "mission_risk_events.json", events)
    work_through(raw, folder / "warehouse", now="2026-03-07T06:00:00", as_of=date(2026, 3, 6))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The other portfolio, with a mission of hostile names, a blocked run, a rejected run, and reported events."""
    folder, _ = once_for_all_workers(tmp_path_factory, "portfolio of reports", make_other)
    return SimpleNamespace(warehouse=Warehouse(folder / "warehouse"), folder=folder / "warehouse")


def check_claims(warehouse, run_id):
    report = compose_run_report(read_run_facts(warehouse, run_id))
    with warehouse.published() as connection:
        assert unproven(report, connection, run_document_of) == []
        assert differing(report, connection) == []
    assert unclaimed(report) == []
    assert len(report["evidence"]) > 10


@pytest.mark.parametrize("run_id", SHIPPED_RUNS)
def test_every_figure_and_name_of_a_shipped_run_is_a_claim_whose_query_yields_it(shipped, run_id):
    check_claims(shipped.warehouse, run_id)


@pytest.mark.parametrize("run_id", ["o1", "o2", "o3", "o4", "o5", "r1", "r2", "h'1", "h'2", "n1"])
def test_every_figure_and_name_is_a_claim_whatever_became_of_the_run(other, run_id):
    check_claims(other.warehouse, run_id)


def test_the_first_screen_of_a_shipped_run(shipped):
    result = mission_process("brief", "--run", "RUN_2026_02_04_005", "--warehouse", shipped.warehouse.folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(REPORT_005_AT_80)
    assert not [line for line in result.stdout.splitlines() if line != line.rstrip() or len(line) > 80]


@pytest.mark.parametrize(
    ("run_id", "sources"),
    [
        ("RUN_2026_02_01_001", [("friction", "T2"), ("kpi", "T2"), ("unexplained", "T1")]),
        ("RUN_2026_02_04_005", [("friction", "T5"), ("kpi", "T5"), ("unexplained", "T4")]),
        ("RUN_2026_02_01_006", [("friction", "T8"), ("risk", "T8"), ("kpi", "T8")]),
        ("RUN_2026_02_06_008", []),
    ],
)
def test_what_to_do_after_a_shipped_run(shipped, run_id, sources):
    report = compose_run_report(read_run_facts(shipped.warehouse, run_id))
    actions = report["what_to_do_next"]["actions"]
    assert [(action["source"], action["task_id"]) for action in actions] == sources
    assert (report["what_to_do_next"]["nothing"] is None) == bool(sources)


@pytest.mark.parametrize(
    ("run_id", "said"),
    [  # worked out by hand from tests/portfolios.py
        ("o2", ["failed", "Planned, but not in the log: d2", "agent B2 (Agent B2) does it best", "done by agent B1"]),
        ("o3", ["cancelled", "No log of this run has arrived", "A cancelled run has no autonomy score."]),
        ("o4", ["running", "not ended yet", 'Go on with d2 "Task d2"', "So far: 9 minutes of work by agents"]),
        ("o5", ["7 minutes over plan and 7 minutes of waiting for a person", "11.11 % better than in the only earlier run"]),
        ("r1", ["18 percentage points below the target of 80 %", "an unknown time of work", 'how long s2 "Task s2" took']),
        ("r2", ["How often people stepped in was not reported.", "agent B3 (Agent B3) suits this task better"]),
        ("h'1", ["Reported only: e'3: Weather", "unheard of, 2", "reported as e'1 (severity low, closed)", "Limit of"]),
        ("h'1", ["the whole run: failures or escalations in one run, 2 cases (limit: 2 cases); reported as e'4"]),
        ("h'2", ["blocked", "ended as rejected with agent C'1", "and release the run"]),
        ("n1", ["ideas", "not observed", "Have the log of this run delivered", "Whether work was escalated"]),
    ],
)  # fmt: skip
def test_what_is_said_of_each_state_of_a_run(other, run_id, said):
    result = mission("brief", "--run", run_id, "--warehouse", other.folder, COLUMNS="1000")
    assert (result.returncode, result.stderr) == (0, "")
    for part in said:
        assert part.lower() in result.stdout.lower(), result.stdout


def test_each_format_says_the_same_and_goes_to_a_file(other, tmp_path):
    asked = ("brief", "--run", "o5", "--warehouse", other.folder)
    report = json.loads(mission(*asked, "--json").stdout)
    assert report == json.loads(mission(*asked, "--format", "json").stdout)
    assert list(report) == [
        "run_id", "mission_id", "mission_name", "owner", "status", "headline", "what_happened", "at_risk",
        "what_to_do_next", "evidence",
    ]  # fmt: skip
    for form, part in (("md", "## What to do next"), ("html", "<!doctype html>"), ("text", "What to do next")):
        printed = mission(*asked, "--format", form, COLUMNS="100").stdout
        assert part in printed
        file = tmp_path / f"report of o5.{form}"
        written = mission(*asked, "--format", form, "--output", file)
        assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
        assert file.read_text(encoding="utf-8") == printed


@pytest.mark.parametrize("asked", [("brief",), ("brief", "--run", "o5")])
@pytest.mark.parametrize(
    ("ending", "form"),
    [("txt", "text"), ("md", "md"), ("html", "html"), ("json", "json"), ("HTML", "html"), ("report", "text")],
)
def test_the_ending_of_the_file_chooses_the_format(other, tmp_path, asked, ending, form):
    asked = (*asked, "--warehouse", other.folder)
    file = tmp_path / f"brief.{ending}"
    written = mission(*asked, "--output", file)
    assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    named = tmp_path / "named"
    mission(*asked, "--output", named, "--format", form)
    assert file.read_bytes() == named.read_bytes()


@pytest.mark.parametrize("asked", [("brief",), ("brief", "--run", "o5"), ("brief", "--compare")])
@pytest.mark.parametrize(("given", "ending"), [(("--format", "json"), "txt"), (("--json",), "html")])
def test_a_format_that_contradicts_the_ending_of_the_file_is_refused(other, tmp_path, asked, given, ending):
    file = tmp_path / f"brief.{ending}"
    refused = mission(*asked, *given, "--output", file, "--warehouse", other.folder)
    assert_one_sentence(refused, f"{' '.join(given)} and --output {file} contradict each other", "leave out")
    assert not file.exists()


def test_a_comparison_goes_to_a_file_as_text_or_json(other, tmp_path):
    asked = ("brief", "--compare", "--warehouse", other.folder, "--output")
    assert mission(*asked, tmp_path / "compared.json").returncode == 0
    assert json.loads((tmp_path / "compared.json").read_text(encoding="utf-8"))["is_same"] is True
    assert_one_sentence(mission(*asked, tmp_path / "compared.html"), "--compare gives text or JSON", ".txt or .json")


def test_the_help_says_that_the_ending_chooses():
    shown = " ".join(re.sub(r"[^\w.,:]+", " ", mission("brief", "--help").stdout).split())
    assert "Default: by the ending of output, else text" in shown
    assert ".txt, .md, .html, .json" in shown


def test_hostile_names_stay_text_in_markdown_and_page(other):
    asked = ("brief", "--run", "h'1", "--warehouse", other.folder)
    markdown = mission(*asked, "--format", "md").stdout
    assert "<b>" not in markdown
    assert not re.search(r"(?<!\\)\]\(", markdown)
    page = mission(*asked, "--format", "html").stdout
    assert "<b>" not in page
    assert "mission explain" not in page  # its claims are of no stored brief


def assert_one_sentence(result, *parts):
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def test_a_run_that_does_not_exist_offers_those_like_it(shipped, other):
    asked = ("brief", "--warehouse", shipped.warehouse.folder, "--run")
    near = mission(*asked, "RUN_2026_02_04_05")
    assert_one_sentence(near, "There is no run RUN_2026_02_04_05. Close to it: RUN_2026_02_04_005, ")
    assert_one_sentence(mission(*asked, "2026_02_03"), "Close to it: RUN_2026_02_03_002, RUN_2026_02_03_007.")
    assert_one_sentence(mission(*asked, "zz"), "There is no run zz, nor one with an id like it.")
    hint = (
        "A run that has not ended, or that ended after the last refresh, is not in the warehouse yet: "
        "`mission status zz` shows it, `mission refresh` takes it over once it has ended."
    )
    assert mission(*asked, "zz").stderr.endswith(f" {hint}\n")
    assert near.stderr.endswith(f". {hint.replace('zz', 'RUN_2026_02_04_05')}\n")
    rejected = mission("brief", "--warehouse", other.folder, "--run", "bad")
    assert_one_sentence(
        rejected, "The record of run bad was rejected: ", "mission_runs.json, row 11", "mission refresh"
    )


def test_a_run_and_a_day_are_refused_together(other):
    asked = ("brief", "--run", "o5", "--warehouse", other.folder)
    assert_one_sentence(mission(*asked, "--as-of", "2026-03-04"), "leave out --as-of")
    assert_one_sentence(mission(*asked, "--compare"), "leave out --compare")


def test_a_missing_warehouse_is_one_sentence(tmp_path):
    assert_one_sentence(mission("brief", "--run", "o5", "--warehouse", tmp_path), str(tmp_path), "mission refresh")


def test_a_report_loads_neither_dagster_nor_pandera_nor_polars(other):
    script = (
        "import sys, atexit\n"
        "heavy = lambda: [m for m in ('dagster', 'pandera', 'polars', 'scipy', 'numpy') if m in sys.modules]\n"
        "atexit.register(lambda: print('LOADED', heavy(), file=sys.stderr))\n"
        f"sys.argv = ['mission', 'brief', '--run', 'o5', '--warehouse', {str(other.folder)!r}]\n"
        "from mission_pipeline.cli import main\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "LOADED []" in result.stderr

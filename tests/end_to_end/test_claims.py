"""Nothing in a brief goes unproven: of the shipped data, of another portfolio, and of one made to be awkward."""

import json
import os
import shutil
from pathlib import Path

import duckdb
import pytest
from claim_checks import differing, texts_of, unclaimed, unproven
from command import mission, mission_process
from conftest import refreshed_once
from portfolios import approved, log, run, task, write_records

from mission_pipeline.brief.claims import END, MIDDLE, START, plain
from mission_pipeline.brief.document import document_of
from mission_pipeline.brief.render import json_of, markdown_of, text_of

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
MISSIONS = 26
"""More than a small portfolio has, so that shares decide and tables are cut."""


def write_awkward_portfolio(raw_data):
    """Names with quotes, digits and private characters; unknown figures, failures, rejects, drift, faulty plans."""
    ids = [f"M.{number} 'x'" for number in range(MISSIONS)]
    tasks = {mission_id: [f"{mission_id}/a", f"{mission_id}/b$column"] for mission_id in ids}
    write_records(raw_data / "business_missions.json", [
        {"mission_id": mission_id, "mission_name": None if place == 3 else f"Mission {place} \ue000of\ue001 7 | *{place}*",
         "description": "", **({"owner": f"Owner {place}"} if place % 2 else {})}
        for place, mission_id in enumerate(ids)
    ])  # fmt: skip
    write_records(raw_data / "decomposed_mission_tasks.json", [
        {"mission_id": mission_id, "tasks": [task(first, 1, 10), task(second, 2, 5, (first, "gone"), approval=True)]}
        for mission_id, (first, second) in tasks.items()
    ])  # fmt: skip
    agents = [{"agent_id": f"A{n}", "name": f"Agent {n}", "description": "", "status": "available"} for n in range(3)]
    write_records(raw_data / "specialized_agents.json", agents)
    write_records(raw_data / "agent_capabilities_matrix.json", [
        {"task_id": each, "capable_agents": ["A0", "A1"]} for pair in tasks.values() for each in pair
    ])  # fmt: skip
    write_records(raw_data / "mission_kpis.json", [
        {"mission_id": mission_id, "kpis": {"baseline_lead_2_days": 10, "target_lead_2_days": 4, "max_refunds": 2,
                                            "target_unseen": 3}}
        for mission_id in ids
    ])  # fmt: skip
    runs, logs, events = [], [], []
    for place, mission_id in enumerate(ids[:-1]):
        for number in range(1 + place % 7):
            run_id, day = f"R{place}-{number}", f"2026-03-{1 + number:02d}"
            is_bad = (place + number) % 3 == 0
            runs.append(run(
                run_id, mission_id, f"{day}T09:00:00Z", f"{day}T10:00:00Z", total_duration_minutes=60,
                status="failed" if is_bad and place % 2 else "completed",
                human_interventions=None if place == 5 else number, escalations=2 if is_bad else 0, risk_flagged=is_bad,
                kpis={"lead_2_days": 9 - number if place % 2 else 5 + number, "refunds": number, "mood": 1},
                surprise=place,
            ))  # fmt: skip
            first, second = tasks[mission_id]
            logs.append(log(run_id, mission_id, first, "A0", 10 + number * (place % 4)))
            logs.append(log(run_id, mission_id, second, "A2", 5, **approved(number * 2)))
            if is_bad:
                events.append({
                    "event_id": f"E{place}-{number}", "run_id": run_id, "mission_id": mission_id, "task_id": second,
                    "risk_type": "delay 9", "severity": "high", "description": "", "status": "open",
                    "detected_at": f"{day}T09:30:00Z",
                })  # fmt: skip
    runs.append(run("bad 1", ids[0], "2026-03-01T09:00:00Z", "2026-03-01T08:00:00Z"))
    write_records(raw_data / "mission_runs.json", runs)
    write_records(raw_data / "task_execution_logs.json", logs)
    write_records(raw_data / "mission_risk_events.json", events)
    write_records(raw_data / "mission_portfolio_snapshot.json", [{
        "snapshot_date": "2026-03-05", "active_runs": 1, "completed_runs": 2, "missions_at_risk": 3,
        "avg_kpi_improvement_pct": 4.5, "top_bottleneck_task_id": tasks[ids[1]][0],
        "top_bottleneck_task_name": "Task 7", "escalations_last_24h": 0, "human_interventions_last_24h": 0,
    }])  # fmt: skip


@pytest.fixture(scope="session")
def awkward(tmp_path_factory):
    def raw_data_in(folder):
        write_awkward_portfolio(folder / "raw")
        return folder / "raw"

    return refreshed_once(tmp_path_factory, "awkward portfolio", raw_data_in, now="2026-03-08T06:00:00")


PORTFOLIOS = ["shipped", "other_portfolio", "awkward"]


@pytest.fixture(params=PORTFOLIOS)
def briefed(request):
    found = request.getfixturevalue(request.param)
    return found.warehouse, found.brief


@pytest.mark.parametrize("ending", ["txt", "md", "json"])
@pytest.mark.parametrize("name", PORTFOLIOS)
def test_a_brief_reads_as_it_was_last_reviewed(request, name, ending):
    """Golden files, to be read as text when they change; MISSION_WRITE_GOLDEN=1 writes them again.

    The claims are left out: other tests run them.
    """
    brief = request.getfixturevalue(name).brief
    told = {key: value for key, value in brief.items() if key != "evidence"}
    read = {"txt": lambda: text_of(brief), "md": lambda: markdown_of(brief), "json": lambda: json_of(told)}[ending]()
    golden = GOLDEN / f"{name.removesuffix('_portfolio')}.{ending}"
    if os.environ.get("MISSION_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(read, encoding="utf-8")
    assert read == golden.read_text(encoding="utf-8"), f"{golden} differs: read what changed, then write it again"


def test_no_figure_and_no_name_goes_unproven(briefed):
    warehouse, brief = briefed
    with warehouse.published() as connection:
        assert unproven(brief, connection) == []


def test_the_query_of_every_claim_yields_what_the_brief_says(briefed):
    warehouse, brief = briefed
    with warehouse.published() as connection:
        assert differing(brief, connection) == []
    assert all(f"date '{brief['as_of']}'" in claim["sql"] for claim in brief["evidence"].values())


def test_every_number_of_the_json_is_a_claim(briefed):
    _, brief = briefed
    assert unclaimed(brief) == []


def test_marks_never_leave_the_package(briefed):
    _, brief = briefed
    for text in (json_of(brief), markdown_of(brief), text_of(brief)):
        assert not {START, MIDDLE, END} & set(text)
    shown = " ".join(text_of(brief, width=10_000).split())
    for text in texts_of(document_of(brief)):
        assert " ".join(plain(text).replace("\ue000", "").split()) in shown


def test_the_claims_that_people_look_for_are_there(shipped):
    assert {
        "status", "mission.M001.health_score", "mission.M002.autonomy_score", "portfolio.autonomy_score",
        "mission.M003.kpi_improvement_vs_first_pct", "task.M002.T5.bottleneck_status", "mission.M002.mission_name",
        "portfolio.missions_at_risk", "run_time.unattributed_minutes", "task.M002.T5.friction_minutes",
        "trigger.M002.AUTONOMY_REGRESSION.trigger_name", "limit.portfolio.health.on_track_from",
    } <= set(shipped.brief["evidence"])  # fmt: skip


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        ("update marts.mission_scorecards set health_score = 12.5 where mission_id = 'M002'", {"mission.M002.health_score"}),
        ("delete from marts.risk_signals where reported_event_id is null", {"risks.detected", "risks.detected_only"}),
        ("update staging.missions set mission_name = 'Other' where mission_id = 'M001'", {"mission.M001.mission_name"}),
        ("update quality.policy_limits set limit_value = 1 where limit_key = 'health.on_track_from'",
         {"limit.portfolio.health.on_track_from"}),
        ("update marts.task_friction set recent_hits = 9 where task_id = 'T5'", {"task.M002.T5.recent_hits"}),
        ("update marts.verdict_figures set number = 7 where part = 'confidence'", {"confidence.1.finished_runs"}),
    ],
)  # fmt: skip
def test_a_row_that_changes_fails_its_claims(shipped, tmp_path, change, claims):
    """The check can fail, and fails for what was changed."""
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(shipped.warehouse.published_file, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute(change)
        found = {claim for claim, *_ in differing(shipped.brief, connection)}
    assert claims <= found
    assert len(found) < 50


def test_the_command_explains_a_claim_and_runs_them_all(shipped, tmp_path):
    folder = tmp_path / "warehouse"
    folder.mkdir()
    copy = folder / shipped.warehouse.published_file.name
    shutil.copyfile(shipped.warehouse.published_file, copy)
    one = mission_process("explain", "mission.M002.health_score", "--as-of", "2026-02-06", "--warehouse", folder)
    assert (one.returncode, one.stderr) == (0, "")
    assert "Says    79.43\nNow     79.43\n" in one.stdout
    assert "missions[1].health_score" in one.stdout
    whole = mission("explain", "--all", "--warehouse", folder)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout.endswith("0 changed since.\n")
    with duckdb.connect(str(copy)) as connection:
        connection.execute("update marts.mission_scorecards set health_score = 12.5 where mission_id = 'M002'")
    changed = mission("explain", "--all", "--warehouse", folder, "--json")
    assert changed.returncode == 1
    [entry] = json.loads(changed.stdout)["changed"]
    assert (entry["claim"], entry["says"], entry["finds"]) == ("mission.M002.health_score", 79.43, 12.5)
    assert "changed since: it is 12.5 now, and was 79.43" in mission("explain", "--all", "--warehouse", folder).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "Name one claim"), (["status", "--all"], "Name one claim"), (["healt_score"], "Similar claims: ")],
)
def test_what_cannot_be_explained_is_one_sentence(shipped, arguments, said):
    result = mission("explain", *arguments, "--warehouse", shipped.warehouse.folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1

"""The benchmarks' data is what they say, and their promises can be broken as well as kept."""

import hashlib
import importlib.util
import json
import sys
from datetime import datetime
from pathlib import Path

import pytest
import runner_trials  # noqa: F401  so that the benchmark finds the module with the trials

from mission_pipeline.ingest.land import land_raw_files
from mission_pipeline.validate.stage import stage_valid_records

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NOW = datetime(2026, 7, 1, 6)


def module_of(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


generator = module_of("generate_telemetry")
claims = module_of("false_claims")
judgement = module_of("judge_and_brief")  # imports the generator by name
throughput = module_of("runner_throughput")


def hashes(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def portfolio(**changes):
    return generator.Portfolio(**{"runs": 120, "missions": 6, "days": 30, **changes})


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    generator.generate(tmp_path / "a", portfolio())
    generator.generate(tmp_path / "b", portfolio())
    generator.generate(tmp_path / "c", portfolio(seed=1))
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert hashes(tmp_path / "a") != hashes(tmp_path / "c")


@pytest.mark.parametrize("as_lines", [False, True])
def test_it_writes_as_many_records_as_it_says(tmp_path, as_lines):
    counts = generator.generate(tmp_path, portfolio(as_lines=as_lines))
    assert counts["mission_runs"] == 120
    assert counts["task_execution_logs"] == 600
    for name, count in counts.items():
        (file,) = tmp_path.glob(f"{name}.json*")
        text = file.read_text(encoding="utf-8")
        records = text.splitlines() if file.suffix == ".jsonl" else json.loads(text)
        assert len(records) == count


def staged_counts(build, policy, folder):
    land_raw_files(build, folder, now=NOW)
    stage_valid_records(build, policy, now=NOW)
    rows = build.frame("select data_set, rows_rejected, rows_replaced from quality.row_counts").rows()
    return {data_set: (rejected, replaced) for data_set, rejected, replaced in rows}


def test_nothing_of_it_is_rejected_unless_told(build, policy, tmp_path):
    generator.generate(tmp_path / "raw_data", portfolio())
    assert set(staged_counts(build, policy, tmp_path / "raw_data").values()) == {(0, 0)}


def test_spoiled_records_are_rejected_and_corrections_replace(build, policy, tmp_path):
    generator.generate(tmp_path / "raw_data", portfolio(bad_share=0.3, correction_share=0.2))
    counts = staged_counts(build, policy, tmp_path / "raw_data")
    assert counts["task_execution_logs"][0] > 0
    assert counts["mission_runs"][0] > 0
    assert counts["mission_runs"][1] > 0


def test_portfolios_without_a_change_yield_few_claims(policy):
    found = claims.false_claims(300, seed=1, policy=policy)
    assert found.portfolios == 300
    assert found.trends > 3 * 300  # otherwise nothing was tested, and nothing could be claimed
    assert found.is_as_promised
    assert found.suggestive > 5 * found.tested  # so a signal is no claim: without Holm's correction most briefs had one


def test_a_change_in_every_portfolio_is_seen_and_breaks_the_promise(policy):
    """The counterproof: what finds no claims in noise finds them where there is something to find."""
    found = claims.false_claims(100, seed=1, policy=policy, drift=0.3)
    assert found.by_series["kpi"] > 50
    assert not found.is_as_promised


def test_the_same_seed_gives_the_same_claims(policy):
    assert claims.false_claims(40, seed=3, policy=policy) == claims.false_claims(40, seed=3, policy=policy)


def test_the_judgement_and_the_brief_are_timed_part_by_part(tmp_path):
    turns = judgement.measure(tmp_path, portfolio(), turns=2)
    assert len(turns) == 2
    for one in turns:
        assert list(one.seconds) == [
            "judge every day",
            "verdict and confidence",
            "brief composed and kept",
            "brief files",
        ]
        assert all(seconds > 0 for seconds in one.seconds.values())
        assert one.total == pytest.approx(sum(one.seconds.values()))
    assert list((tmp_path / "warehouse" / "briefs").glob("*.json"))


def test_runs_in_flight_all_come_to_their_gates_and_through_them(tmp_path):
    """Faults are tested in tests/end_to_end/test_runner_workers.py, by the benchmark's own functions."""
    found = throughput.measure(tmp_path, runs=4, threads=2, agent_seconds=0.01)
    assert (found.runs, found.tasks) == (4, 12)
    assert found.telemetry_rows == 4 * (3 + 1)  # its executions and its record
    assert found.ideal_seconds == pytest.approx(0.06)
    assert 0 < found.tasks_per_second < 12 / found.seconds * 1.01
    assert found.peak_megabytes > 10

"""No record is lost, order does not matter, and steps equal one go: whatever arrives, in whatever files."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_folders import put
from staged import EVENT, LOG, RUN, rows, tables, validate, write

from mission_pipeline.contracts.inputs import DATA_SETS
from mission_pipeline.contracts.staging import STAGING_CONTRACTS
from mission_pipeline.warehouse import build_in_memory, check_contract

few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""An example is a whole validation of ten data sets, so few are tried, each with many records."""

REFERENCE = {
    "business_missions": [{"mission_id": "M1"}, {"mission_id": "M2"}],
    "decomposed_mission_tasks": [
        {"mission_id": "M1", "tasks": [{"task_id": "T1", "order": 1}, {"task_id": "T2", "order": 2}]},
        {"mission_id": "M2", "tasks": [{"task_id": "T3", "order": 1}]},
    ],
    "specialized_agents": [{"agent_id": "A1"}, {"agent_id": "A2"}],
    "agent_capabilities_matrix": [
        {"task_id": "T1", "capable_agents": ["A1"]},
        {"task_id": "T2", "capable_agents": ["A2", "A1"]},
        {"task_id": "T3", "capable_agents": ["A2"]},
    ],
    "mission_kpis": [{"mission_id": "M1", "kpis": {"max_a": 3}}, {"mission_id": "M2", "kpis": {"target_b": 3}}],
}
JUNK = st.sampled_from([None, -1, 0, 2.5, 1e300, "", "3", "x", "\0", True, [], ["A1"], {}, {"a": 1}, {"a": "?"}])
MISSIONS, TASKS, AGENTS = (
    st.sampled_from(values) for values in (("M1", "M2", "M9"), ("T1", "T2", "T3"), ("A1", "A2", "A9"))
)
RUN_IDS = st.sampled_from([f"R{number}" for number in range(6)])
MINUTES = st.sampled_from([None, 0, 1, 12.5, "7", -3])

runs = st.builds(
    lambda run_id, mission, status, minutes, value: {
        **RUN, "run_id": run_id, "mission_id": mission, "status": status, "total_duration_minutes": minutes,
        "kpis": {"a": value},
    },
    RUN_IDS, MISSIONS, st.sampled_from(["completed", "failed", "running", "odd"]), MINUTES,
    st.sampled_from([None, 1, 2.5, "3", "many"]),
)  # fmt: skip
logs = st.builds(
    lambda run_id, mission, task, agent, attempt, minutes: {
        **LOG, "run_id": run_id, "mission_id": mission, "task_id": task, "agent_id": agent, "attempt": attempt,
        "actual_duration_minutes": minutes,
    },
    RUN_IDS, MISSIONS, TASKS, AGENTS, st.sampled_from([None, 1, 2]), MINUTES,
)  # fmt: skip
events = st.builds(
    lambda event_id, run_id, task: {**EVENT, "event_id": f"E{event_id}", "run_id": run_id, "task_id": task},
    st.integers(0, 5), RUN_IDS, TASKS,
)  # fmt: skip
ANY_RECORD = {
    data_set.name: st.one_of(
        JUNK,
        st.fixed_dictionaries({}, optional={field.name: JUNK for field in data_set.fields} | {"surprise": JUNK}),
    )
    for data_set in DATA_SETS
}


@few
@given(
    sound=st.fixed_dictionaries(
        {"mission_runs": st.lists(runs, max_size=12), "task_execution_logs": st.lists(logs, max_size=25)}
    ),
    odd=st.fixed_dictionaries({name: st.lists(record, max_size=8) for name, record in ANY_RECORD.items()}),
)
def test_every_record_is_staged_replaced_or_rejected(sound, odd):
    arrived = {name: [*REFERENCE.get(name, []), *sound.get(name, []), *odd[name]] for name in odd}
    with tempfile.TemporaryDirectory() as folder, build_in_memory() as build:
        validate(build, write(Path(folder), **arrived))
        counted = {
            row[0]: row[1:]
            for row in rows(
                build,
                "select data_set, rows_in, rows_valid, rows_rejected, rows_replaced, rows_staged from quality.row_counts",
            )
        }
        for name, records in arrived.items():
            rows_in, valid, rejected, replaced, staged = counted[name]
            assert rows_in == len(records) == valid + rejected
            assert staged == valid - replaced
        assert rows(build, "select count(*) from quality.rejected_rows where rule is null or reason = ''") == [0]
        for table, name in (("mission_runs", "mission_runs"), ("task_executions", "task_execution_logs"),
                            ("risk_events", "mission_risk_events"), ("missions", "business_missions"),
                            ("agents", "specialized_agents")):  # fmt: skip
            assert build.scalar(f"select count(*) from staging.{table}") == counted[name][4]
        for contract in STAGING_CONTRACTS:
            check_contract(build, contract)  # also where validation asked the records only, not the table made of them


def by_key(records, *key):
    """One record per key, for with two of one key the later one wins and order does matter."""
    return list({tuple(record.get(name) or 1 for name in key): record for record in records}.values())


@few
@given(
    st.lists(runs, max_size=8).map(lambda found: by_key(found, "run_id")),
    st.lists(logs, max_size=25).map(lambda found: by_key(found, "run_id", "task_id", "attempt")),
    st.lists(events, max_size=6).map(lambda found: by_key(found, "event_id")),
    st.randoms(use_true_random=False),
)
def test_the_order_of_records_with_distinct_keys_changes_nothing_but_their_places(
    run_records, log_records, event_records, random
):
    arrived = {
        **REFERENCE,
        "mission_runs": run_records,
        "task_execution_logs": log_records,
        "mission_risk_events": event_records,
    }
    shuffled = {name: random.sample(records, len(records)) for name, records in arrived.items()}
    found = []
    for records in (arrived, shuffled):
        with tempfile.TemporaryDirectory() as folder, build_in_memory() as build:
            validate(build, write(Path(folder), **records))
            refused = rows(build, "select data_set, rule, reason, record from quality.rejected_rows order by all")
            found.append(({**tables(build), "quality.rejected_rows": None}, refused))
    assert found[0] == found[1]


STEPS = {
    "mission_runs": ["mission_runs.json", "mission_runs/b.jsonl", "mission_runs/a.json"],
    "task_execution_logs": ["task_execution_logs.ndjson", "task_execution_logs/2/x.json", "task_execution_logs/1.json"],
    "mission_risk_events": ["mission_risk_events/e.json"],
}


@settings(few, max_examples=4)
@given(st.data())
def test_steps_equal_one_go(data):
    """Files arrive in any order, are corrected in place (every key stays), and references come late."""
    records = {"mission_runs": runs, "task_execution_logs": logs, "mission_risk_events": events}
    content = {
        file: data.draw(st.lists(records[name], min_size=1, max_size=8), label=file)
        for name, files in STEPS.items()
        for file in files
    }
    steps = data.draw(st.permutations(list(content)), label="order of arrival")
    corrected = steps[0]
    first_version = [
        {**record, "status": "completed"} if "status" in record else record for record in content[corrected]
    ]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        with build_in_memory() as in_steps:
            write(Path(one), **REFERENCE, mission_runs=[], task_execution_logs=[])
            (Path(one) / "task_execution_logs.json").unlink()
            put(Path(one), "task_execution_logs.ndjson", [])
            put(Path(one), corrected, first_version)
            validate(in_steps, Path(one))
            for file in steps[1:]:
                put(Path(one), file, content[file])
                if data.draw(st.booleans(), label=f"refresh after {file}"):
                    validate(in_steps, Path(one))
            put(Path(one), corrected, content[corrected])
            validate(in_steps, Path(one))
            step_by_step = tables(in_steps)
        with build_in_memory() as at_once:
            write(Path(other), **REFERENCE)
            (Path(other) / "task_execution_logs.json").unlink()
            for file, found in content.items():
                put(Path(other), file, found)
            validate(at_once, Path(other))
            assert step_by_step == tables(at_once)

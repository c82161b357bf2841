"""An agent's endpoint: a field of its own, an object or nothing; a warehouse of an earlier release gets it too."""

import json

from raw_folders import NOW, SMALLEST, land, landed, smallest_folder
from staged import outcome, rows, validate, validated, write

ENDPOINT = {"kind": "command", "arguments": ["run", "--it"]}
WITH_ENDPOINT = [{"agent_id": "A1", "endpoint": ENDPOINT}, {"agent_id": "A2"}, {"agent_id": "A3", "endpoint": None}]


def test_an_endpoint_is_staged_as_it_was_written_and_is_no_drift():
    with validated(specialized_agents=WITH_ENDPOINT) as build:
        found = rows(build, "select agent_id, endpoint from staging.agents order by agent_id")
        assert [(agent, text and json.loads(text)) for agent, text in found] == [
            ("A1", ENDPOINT), ("A2", None), ("A3", None),
        ]  # fmt: skip
        assert rows(build, "from quality.schema_drift") == []


def test_an_endpoint_that_is_no_object_rejects_the_agent():
    agents = [
        {"agent_id": "A1"},
        {"agent_id": "A2", "endpoint": "http://127.0.0.1/"},
        {"agent_id": "A3", "endpoint": []},
    ]
    assert outcome("specialized_agents", *agents) == [
        (2, "wrong_type", 'endpoint is "http://127.0.0.1/", not of the form that this field has.'),
        (3, "wrong_type", "endpoint is [], not of the form that this field has."),
    ]


def test_a_raw_table_of_an_earlier_release_gets_the_field_and_its_files_are_read_again(build, tmp_path):
    folder = write(tmp_path / "raw", specialized_agents=WITH_ENDPOINT)
    validate(build, folder)
    build.execute("alter table raw.specialized_agents drop column endpoint")
    report = land(build, folder)
    assert report.counts == {"specialized_agents": 3}
    assert landed(build, "specialized_agents", "endpoint ->> '$.kind'") == ["command", None, None]
    assert land(build, folder).files_read == 0
    validate(build, folder)
    assert rows(build, "select count(endpoint) from staging.agents") == [1]


def test_some_data_sets_may_be_landed_without_the_others(build, tmp_path):
    from mission_pipeline.contracts.inputs import SPECIALIZED_AGENTS
    from mission_pipeline.ingest.land import land_raw_files

    folder = smallest_folder(tmp_path / "raw")
    land(build, folder)
    (folder / "mission_runs.json").unlink()
    (folder / "specialized_agents.json").write_text('[{"agent_id": "A1"}, {"agent_id": "A2"}]')
    report = land_raw_files(build, folder, now=NOW, data_sets=(SPECIALIZED_AGENTS,))
    assert report.counts == {"specialized_agents": 2}
    assert landed(build, "mission_runs", "run_id") == ["R1"]
    assert build.scalar("select count(distinct data_set) from quality.loaded_files") == len(SMALLEST)

"""Validates small raw-data folders for tests, and shows what became of their records."""

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path

from raw_folders import NOW, SMALLEST, land, put

from mission_pipeline.policy import load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE
from mission_pipeline.validate.stage import stage_valid_records
from mission_pipeline.warehouse import build_in_memory

POLICY = load_policy(SHIPPED_POLICY_FILE)

RUN = {**SMALLEST["mission_runs"][0], "end_time": "2026-02-01T10:30:00Z"}
LOG = SMALLEST["task_execution_logs"][0]
EVENT = {"event_id": "E1", "run_id": "R1", "mission_id": "M1", "task_id": "T1", "status": "open"}
SNAPSHOT = {"snapshot_date": "2026-02-01"}
STATS = {"agent_id": "A1", "last_updated": "2026-02-01"}


def write(folder, **records):
    """Write the smallest folder, with the named data sets' records in place of its own."""
    for name, content in {**SMALLEST, "mission_runs": [RUN], **records}.items():
        put(folder, f"{name}.json", content)
    return folder


def validate(build, folder, policy=POLICY, now=NOW):
    """Land a folder and validate it."""
    land(build, folder, now=now)
    stage_valid_records(build, policy, now=now)


@contextmanager
def validated(policy=POLICY, now=NOW, **records):
    """A build with the smallest folder validated, the named data sets' records in place of its own."""
    with tempfile.TemporaryDirectory() as folder, build_in_memory() as build:
        validate(build, write(Path(folder), **records), policy, now)
        yield build


def rows(build, sql):
    """Return a query's rows; one column as a flat list."""
    found = build.frame(sql).rows()
    return [row[0] for row in found] if found and len(found[0]) == 1 else found


def rejects(build, data_set):
    """Return (row, rule) of a data set's rejects."""
    return rows(build, f"select row, rule from quality.rejected_rows where data_set = '{data_set}' order by file, row")


def outcome(data_set, *records, now=NOW, **others):
    """Return (row, rule, reason) of the rejects of one data set's records; all other data is the smallest folder's."""
    with validated(now=now, **{data_set: list(records)}, **others) as build:
        return rows(
            build,
            f"select row, rule, reason from quality.rejected_rows where data_set = '{data_set}' order by row",
        )


def tables(build):
    """Every staged and quality table that does not record the steps themselves, as sorted rows."""
    names = rows(
        build,
        "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('staging', 'quality') "
        "and table_name <> 'loaded_files' order by 1",
    )
    return {name: sorted(map(repr, build.frame(f"from {name}").rows())) for name in names}


def count(build, data_set, column):
    """Return a figure of quality.row_counts."""
    return build.scalar(f"select {column} from quality.row_counts where data_set = '{data_set}'")


def record_of(build, data_set):
    """Return the rejected record of a data set, parsed."""
    return json.loads(build.scalar(f"select record from quality.rejected_rows where data_set = '{data_set}'"))

"""Makes raw-data folders for tests, and shows what landed of them."""

import gzip
import json
from datetime import datetime

from mission_pipeline.ingest.land import land_raw_files

NOW = datetime(2026, 2, 7, 6)

SMALLEST = {
    "business_missions": [{"mission_id": "M1"}],
    "decomposed_mission_tasks": [{"mission_id": "M1", "tasks": [{"task_id": "T1"}]}],
    "specialized_agents": [{"agent_id": "A1"}],
    "agent_capabilities_matrix": [{"task_id": "T1", "capable_agents": ["A1"]}],
    "mission_kpis": [{"mission_id": "M1", "kpis": {}}],
    "mission_runs": [{"run_id": "R1", "mission_id": "M1", "start_time": "2026-02-01T10:00:00Z", "status": "completed"}],
    "task_execution_logs": [
        {"run_id": "R1", "mission_id": "M1", "task_id": "T1", "agent_id": "A1", "outcome": "completed"}
    ],
}
"""One record of each required data set."""


def smallest_folder(raw_data, without=()):
    """Write the smallest complete folder; return it."""
    for name, records in SMALLEST.items():
        if name not in without:
            put(raw_data, f"{name}.json", records)
    return raw_data


def put(raw_data, name, content):
    """Write one file: text or bytes as they are, records in the form that its name promises; return its path."""
    path = raw_data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = name.removesuffix(".gz")
    if not isinstance(content, str | bytes):
        lines = [json.dumps(record) for record in content]
        content = "\n".join([*lines, ""]) if plain.endswith(("jsonl", "ndjson")) else "[" + ",\n".join(lines) + "]"
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(gzip.compress(content) if plain != name else content)
    return path


def land(build, raw_data, now=NOW, rebuild=False):
    """Land a folder; return the report."""
    return land_raw_files(build, raw_data, now=now, rebuild=rebuild)


def landed(build, data_set, columns, where="is_current"):
    """Return columns of what landed, in the order of the files and rows; one column as a flat list."""
    found = build.frame(f"select {columns} from raw.{data_set} where {where} order by file_order, row").rows()
    return [row[0] for row in found] if found and len(found[0]) == 1 else found

"""Times a whole refresh of a large portfolio against what DuckDB needs merely to parse the same bytes.

Prints what was measured and whether it is within the promise; the exit code says the same. Generation is not timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from mission_pipeline.contracts.inputs import DATA_SETS, DUCKDB_INPUT_TYPES

HERE = Path(__file__).resolve().parent
PARSES = 3
MAX_RATIO = 8.0
START_SECONDS = 6.0
MAX_GIGABYTES = 2.0
REPLAYED_CLOCK = "2026-07-01T06:00:00"
"""The generated telemetry ends the day before, so the same days are judged whenever this runs."""


@dataclass(frozen=True)
class Refresh:
    """What one refresh took."""

    seconds: float
    processor_seconds: float
    gigabytes: float
    lines: list[tuple[float, str]]


def parse_seconds(folder: Path) -> float:
    """Return the median time in which DuckDB parses every file with explicit types and counts every column."""
    times = []
    for _ in range(PARSES):
        with duckdb.connect() as connection:
            began = time.perf_counter()
            for data_set in DATA_SETS:
                files = sorted(str(file) for file in folder.glob(f"{data_set.name}.json*"))
                if not files:
                    continue
                types = {field.name: DUCKDB_INPUT_TYPES[field.type] for field in data_set.fields}
                counts = ", ".join(f'count("{name}")' for name in types)
                connection.execute(
                    f"select {counts} from read_json($files, columns = $types)", {"files": files, "types": types}
                ).fetchall()
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def refresh(raw_data: Path, warehouse: Path) -> Refresh:
    """Run the command as a user would; its lines are kept with the second at which they came."""
    command = [sys.executable, "-m", "mission_pipeline", "refresh"]
    command += ["--raw-data", str(raw_data), "--warehouse", str(warehouse)]
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "MISSION_NOW": REPLAYED_CLOCK, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = [(time.perf_counter() - began, line.rstrip()) for line in process.stdout]
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status != 0:
        print("\n".join(line for _, line in lines))
        raise SystemExit(f"The refresh failed with exit code {os.waitstatus_to_exitcode(status)}.")
    return Refresh(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9, lines)


def report(name: str, run: Refresh, parse: float, *, lines: bool) -> bool:
    """Print one refresh's figures and return whether it keeps the promise."""
    if lines:
        for second, line in run.lines:
            print(f"  {second:7.1f} s  {line}")
    ratio = (run.seconds - START_SECONDS) / parse
    is_within = ratio <= MAX_RATIO and run.gigabytes <= MAX_GIGABYTES
    print(
        f"{name}: {run.seconds:.1f} s ({run.processor_seconds:.1f} s of processors), "
        f"that is {ratio:.1f} x parsing + {START_SECONDS:.0f} s (promised: {MAX_RATIO:.0f} x); "
        f"peak memory {run.gigabytes:.2f} GB (promised: {MAX_GIGABYTES:.0f} GB): "
        + ("within" if is_within else "NOT WITHIN")
    )
    return is_within


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200_000, help="runs; each has five executions")
    parser.add_argument("--keep", type=Path, help="a folder for the data and the warehouse, which stays")
    parser.add_argument("--lines", action="store_true", help="JSON lines instead of JSON arrays")
    parser.add_argument("--again", action="store_true", help="refresh a second time, with nothing new")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mission-bench-") as temporary:
        folder = given.keep or Path(temporary)
        raw_data, warehouse = folder / "raw_data", folder / "warehouse"
        if not (raw_data / "business_missions.json").is_file():
            # In a process of its own: a large parent would count as its child's memory.
            command = [sys.executable, str(HERE / "generate_telemetry.py"), str(raw_data), "--runs", str(given.runs)]
            subprocess.run([*command, *(["--lines"] if given.lines else [])], check=True)
        size = sum(file.stat().st_size for file in raw_data.iterdir())
        first = refresh(raw_data, warehouse)
        second = refresh(raw_data, warehouse) if given.again else None
        parse = parse_seconds(raw_data)
        print(
            f"{size / 1e6:,.0f} MB of JSON; parsing alone: {parse:.2f} s (median of {PARSES}), {os.cpu_count()} cores"
        )
        is_within = report("first refresh", first, parse, lines=True)
        if second is not None:
            is_within = report("refresh with nothing new", second, parse, lines=False) and is_within
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())

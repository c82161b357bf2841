"""Mission runs as Dagster sees them: an asset that others make, and the sensor that tells of each run's end.

Nothing is executed here: the runner works on its own, and its store is only read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import dagster as dg

from mission_pipeline.errors import MissionPipelineError
from mission_pipeline.orchestration.descriptions import OWNERS
from mission_pipeline.policy import load_policy
from mission_pipeline.runner.ended_runs import EndedRun, ended_runs_of, trace_of
from mission_pipeline.settings import Settings

MISSION_RUNS_KEY = dg.AssetKey(["runner", "mission_runs"])
MOST_EVENTS_AT_ONCE = 100
"""Of one look. Where more runs have ended, the next look goes on."""

mission_runs = dg.AssetSpec(
    MISSION_RUNS_KEY,
    description="Missions run by `mission run` and `mission worker`: one event per run that has ended, with its "
    "status, its minutes, and how often a person had to step in. Dagster executes none of them. Their telemetry is "
    "appended to the raw files, from which `raw/mission_runs` is made at the next refresh.",
    group_name="runner",
    kinds={"python", "json"},
    owners=OWNERS,
)


@dataclass(frozen=True)
class RunsTold:
    """The sensor's memory: which store, its last run told, and what the store's files looked like when all were."""

    store_id: str = ""
    seq: int = 0
    trace: str = ""

    @classmethod
    def from_cursor(cls, cursor: str | None) -> RunsTold:
        """Read the memory from the sensor's cursor."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def to_cursor(self) -> str:
        """Return the memory as the sensor's cursor."""
        return json.dumps(asdict(self))


@dg.sensor(
    name="mission_runs_ended",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of each mission run that has ended, once. Looks at the store's files, and into them only when "
    "they have changed. Starts nothing.",
)
def mission_runs_ended(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Report the runs that have ended since the last look."""
    settings = Settings.from_environment()
    told = RunsTold.from_cursor(context.cursor)
    try:
        # Taken before the store is read: what is written meanwhile is seen at the next look.
        trace = trace_of(settings.store_url)
        if trace is not None and trace in ("", told.trace):
            return dg.SkipReason("Nothing has changed." if trace else "No mission has been run yet.")
        wait_seconds = load_policy(settings.policy_file).runner.store_wait_seconds
        with ended_runs_of(settings.store_url, wait_seconds=wait_seconds, now=settings.now) as ended:
            if ended.store_id != told.store_id:
                told = RunsTold(ended.store_id)
            runs = ended.after(told.seq, MOST_EVENTS_AT_ONCE)
    except MissionPipelineError as fault:
        return dg.SkipReason(str(fault))
    is_all = len(runs) < MOST_EVENTS_AT_ONCE
    memory = replace(told, seq=runs[-1].seq if runs else told.seq, trace=(trace or "") if is_all else "")
    return dg.SensorResult(asset_events=[event_of(run) for run in runs], cursor=memory.to_cursor())


def event_of(run: EndedRun) -> dg.AssetMaterialization:
    """Return what Dagster shows of a run. What its record does not know is left out."""
    record = run.record
    facts = {
        "run_id": run.run_id,
        "mission_id": run.mission_id,
        "mission": run.mission_name,
        "status": record["status"],
        "minutes": record["total_duration_minutes"],
        "human_interventions": record["human_interventions"],
        "escalations": record["escalations"],
        "risk_flagged": record["risk_flagged"],
        "requested_by": record["requested_by"],
        "priority": record["priority"],
        "ended_at": dg.MetadataValue.timestamp(datetime.fromisoformat(record["end_time"]).astimezone(UTC)),
        "look_at_it": f"mission status {run.run_id}",
    }
    return dg.AssetMaterialization(
        asset_key=MISSION_RUNS_KEY,
        description=f"{run.run_id}: {record['status']}",
        metadata={name: value for name, value in facts.items() if value is not None},
    )

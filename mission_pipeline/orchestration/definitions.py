"""What Dagster loads: ``defs``. Puts together what the other modules define, and defines nothing itself."""

from __future__ import annotations

import dagster as dg

from mission_pipeline.orchestration.assets import ASSETS
from mission_pipeline.orchestration.automation import (
    age_four_times_a_day,
    age_watch,
    daily_at_six,
    daily_refresh,
    published_recently,
    raw_files_changed,
)
from mission_pipeline.orchestration.mission_runs import mission_runs, mission_runs_ended
from mission_pipeline.orchestration.resources import RefreshResource

defs = dg.Definitions(
    assets=[*ASSETS, mission_runs],
    asset_checks=[published_recently],
    jobs=[daily_refresh, age_watch],
    schedules=[daily_at_six, age_four_times_a_day],
    sensors=[raw_files_changed, mission_runs_ended],
    resources={"refresh": RefreshResource()},
    executor=dg.in_process_executor,
)

"""Judges the day of a stored brief again, with the data of the published warehouse, and compares. Writes nothing."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from mission_pipeline.brief.compare import comparison_of
from mission_pipeline.brief.render import json_of
from mission_pipeline.brief.store import composed_brief, stored_brief
from mission_pipeline.errors import PolicyFault
from mission_pipeline.judge.verdict import verdict_as_of
from mission_pipeline.policy import Policy, load_policy
from mission_pipeline.settings import Settings
from mission_pipeline.warehouse import Build, Warehouse


def compare_day(settings: Settings, as_of: date | None) -> dict[str, Any]:
    """Return what differs between the stored brief of a day and the day judged again; see ``comparison_of``.

    Args:
        settings: where the warehouse is, and by which policy its last refresh judged.
        as_of: the day; by default that of the newest brief.

    Raises:
        NothingToJudge: there is no brief of that day; says which days have one.
        PolicyFault: no brief was judged by this policy, so the warehouse was not.
        WarehouseFault: nothing was published yet, or the file cannot be read.

    """
    policy = load_policy(settings.policy_file)
    with Warehouse(settings.warehouse).published() as connection:
        kept = stored_brief(connection, as_of)
        build = Build(connection)
        _refuse_another_policy(build, policy, settings)
        today = composed_brief(build, verdict_as_of(build, policy, kept.as_of), policy)
    return comparison_of(kept.brief, json.loads(json_of(today)))


def _refuse_another_policy(build: Build, policy: Policy, settings: Settings) -> None:
    """Refuse a policy by which no brief was made: half of the comparison would be judged by one, half by another."""
    hashes = build.frame("select distinct policy_sha256 from marts.executive_briefs")["policy_sha256"].to_list()
    if policy.sha256 not in hashes:
        raise PolicyFault(
            f"No brief in {settings.warehouse} was judged by the policy {settings.policy_file}. "
            "Run `mission refresh` with it first, or name the policy of the last refresh with --policy."
        )

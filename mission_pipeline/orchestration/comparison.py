"""Judges the day of a stored brief again, with the data of the published warehouse, and compares. Writes nothing."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import duckdb

from mission_pipeline.brief.compare import comparison_of
from mission_pipeline.brief.render import json_of
from mission_pipeline.brief.store import composed_brief, stored_brief
from mission_pipeline.contracts.judged import PolicyLimits
from mission_pipeline.errors import PolicyFault, WarehouseFault
from mission_pipeline.judge.tables import limits_frame
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
        PolicyFault: the last refresh judged by other limits.
        WarehouseFault: nothing was published yet, or by another release, or the file cannot be read.

    """
    policy = load_policy(settings.policy_file)
    with Warehouse(settings.warehouse).published() as connection:
        kept = stored_brief(connection, as_of)
        build = Build(connection)
        try:
            _refuse_another_policy(build, policy, settings)
            today = composed_brief(build, verdict_as_of(build, policy, kept.as_of), policy)
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise WarehouseFault(
                f"The warehouse {settings.warehouse} was published by another release, which lacks what this one reads "
                f"({str(error).splitlines()[0]}). Run `mission refresh` first."
            ) from error
    return comparison_of(kept.brief, json.loads(json_of(today)))


def _refuse_another_policy(build: Build, policy: Policy, settings: Settings) -> None:
    """Refuse other limits than those that judged: the figures would be of one policy, their words of another."""
    judged_by = set(build.table(PolicyLimits).rows())
    others = sorted({str(key) for _, key, _ in judged_by ^ set(limits_frame(policy).rows())})
    if others:
        raise PolicyFault(
            f"The warehouse {settings.warehouse} was judged by other limits than those of {settings.policy_file} "
            f"({others[0]}{f' and {len(others) - 1} more' if len(others) > 1 else ''} differ). "
            "Run `mission refresh` with it first, or name the policy of the last refresh with --policy."
        )

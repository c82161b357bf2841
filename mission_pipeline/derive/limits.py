"""Hands the policy's limits to SQL and Polars, one row per mission, overrides applied. Knows no rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import polars as pl

from mission_pipeline.derive.work_minutes import define_work_minutes
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build

SECTIONS = ("kpi", "autonomy", "friction", "risk_rules", "routing", "confidence")
"""The sections of the policy that derived tables use."""


def limits_by_mission(mission_ids: list[str], policy: Policy) -> pl.DataFrame:
    """Return one row per mission: ``mission_id`` and each value of ``SECTIONS``, named ``<section>_<key>``.

    A nested key is joined by underscores: ``risk_rules_task_overrun_min_overrun_pct``.
    """
    shared = _flat(policy)
    rows = [
        {"mission_id": i, **(_flat(policy.for_mission(i)) if i in policy.missions else shared)} for i in mission_ids
    ]
    return pl.DataFrame(rows, schema={"mission_id": pl.String, **{k: _type(v) for k, v in shared.items()}})


@contextmanager
def limits_of(build: Build, policy: Policy) -> Iterator[pl.DataFrame]:
    """Make the limits readable in SQL as ``mission_limits``, for a while, and ``work_minutes``, which takes one."""
    define_work_minutes(build)
    missions = build.frame("select mission_id from staging.missions order by mission_id")
    limits = limits_by_mission(missions["mission_id"].to_list(), policy)
    with build.view_of("mission_limits", limits):
        yield limits


def _flat(policy: Policy) -> dict[str, Any]:
    values = policy.model_dump(include=set(SECTIONS))
    return dict(_leaves("", {section: values[section] for section in SECTIONS}))


def _leaves(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(f"{prefix}{key}_", value)
        else:
            yield f"{prefix}{key}", value


def _type(value: Any) -> Any:
    return {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String}[type(value)]

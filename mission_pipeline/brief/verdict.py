"""What a brief needs of a verdict. The judgement's own classes fit these shapes; neither room imports the other."""

# ruff: noqa: D102 - the properties are those of the judgement's classes, which describe them

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol

Row = Mapping[str, Any]


class Trends(Protocol):
    """Missions by the trend of their main KPI."""

    @property
    def improving(self) -> int: ...
    @property
    def flat(self) -> int: ...
    @property
    def worsening(self) -> int: ...
    @property
    def insufficient_data(self) -> int: ...


class Task(Protocol):
    """The task of the friction signal."""

    @property
    def mission_id(self) -> str: ...
    @property
    def task_id(self) -> str: ...


class Aim(Protocol):
    """A figure that an action is to change."""

    @property
    def measure(self) -> str: ...
    @property
    def current(self) -> float | None: ...
    @property
    def goal(self) -> float | None: ...


class Action(Protocol):
    """What to do first."""

    @property
    def owner(self) -> str | None: ...
    @property
    def aims(self) -> Sequence[Aim]: ...


class Reason(Protocol):
    """Why the verdict is less than certain."""

    @property
    def sentence(self) -> str: ...


class Confidence(Protocol):
    """How far the verdict can be trusted."""

    @property
    def level(self) -> str: ...
    @property
    def reasons(self) -> Sequence[Reason]: ...


class Win(Protocol):
    """The largest improvement of a main KPI on its baseline."""

    @property
    def mission_id(self) -> str: ...
    @property
    def kpi_name(self) -> str: ...
    @property
    def baseline_value(self) -> float: ...
    @property
    def first_value(self) -> float | None: ...
    @property
    def latest_value(self) -> float: ...
    @property
    def improvement_vs_baseline_pct(self) -> float: ...
    @property
    def improvement_vs_first_pct(self) -> float | None: ...


class Condition(Protocol):
    """One thing that stands between the portfolio and ON_TRACK; ``kind``: health, unknown_health or trigger."""

    @property
    def mission_id(self) -> str | None: ...
    @property
    def mission_name(self) -> str | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def trigger_name(self) -> str | None: ...
    @property
    def current(self) -> float | None: ...
    @property
    def needed(self) -> float | None: ...


class Verdict(Protocol):
    """The judgement of a day: rows as they stand in the marts, and what was chosen from them."""

    @property
    def as_of(self) -> date: ...
    @property
    def status(self) -> str: ...
    @property
    def driver(self) -> Row | None: ...
    @property
    def trends(self) -> Trends: ...
    @property
    def friction(self) -> Task | None: ...
    @property
    def action(self) -> Action | None: ...
    @property
    def confidence(self) -> Confidence: ...
    @property
    def win(self) -> Win | None: ...
    @property
    def snapshot(self) -> Row: ...
    @property
    def scorecards(self) -> Sequence[Row]: ...
    @property
    def triggers(self) -> Sequence[Row]: ...
    @property
    def path_to_on_track(self) -> Sequence[Condition]: ...
    @property
    def policy_version(self) -> str: ...
    @property
    def policy_sha256(self) -> str: ...

"""Paths and options. The only reader of environment variables, and the only place that asks what time it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_REPOSITORY = _PACKAGE.parent


def _shipped(name: str) -> Path:
    """Return a folder that ships with the product: beside the package in a checkout, inside it in a wheel."""
    in_checkout = _REPOSITORY / name
    return in_checkout if in_checkout.is_dir() else _PACKAGE / "_shipped" / name


SQL_FOLDER = _shipped("sql")
SHIPPED_POLICY_FILE = _PACKAGE / "policy.toml"


def environment_of_agents() -> dict[str, str]:
    """Return the environment that an agent's process is given: all but this program's own, where a password may be."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MISSION_")}


@dataclass(frozen=True)
class Settings:
    """Where a refresh reads and writes, and what time it is for it.

    ``now`` is the injected clock (UTC, without zone): it decides what lies in the future, never what a brief says.
    ``store``: URL of the runner's store, None for the one in the warehouse folder. ``failpoint``: where a test lets the
    runner die.
    """

    raw_data: Path
    warehouse: Path
    policy_file: Path
    now: datetime
    is_now_given: bool = False
    store: str | None = None
    failpoint: str | None = None

    @property
    def store_url(self) -> str:
        """Where the runner keeps its state: ``MISSION_STORE``, else an SQLite file in the warehouse folder."""
        return self.store or f"sqlite:///{self.warehouse / '.runner' / 'missions.sqlite'}"

    def running_clock(self) -> Callable[[], datetime]:
        """Return a clock that goes on from ``now`` where that was given, else the system's; UTC, without zone.

        A refresh has one moment; a mission takes time, and what it took is measured.
        """
        if not self.is_now_given:
            return lambda: datetime.now(UTC).replace(tzinfo=None)
        start = time.monotonic()
        return lambda: self.now + timedelta(seconds=time.monotonic() - start)

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its history, shared by the command and the UI."""
        return self.warehouse / ".dagster"

    @classmethod
    def from_environment(
        cls,
        raw_data: Path | None = None,
        warehouse: Path | None = None,
        policy_file: Path | None = None,
    ) -> Settings:
        """Return the settings: an argument wins over its variable, and that over the default.

        Variables: ``MISSION_RAW_DATA``, ``MISSION_WAREHOUSE``, ``MISSION_POLICY``, ``MISSION_NOW`` (an ISO time,
        for replaying a past refresh), ``MISSION_STORE`` (the runner's store) and ``MISSION_FAILPOINT``. Defaults: the
        folders of the checkout, or of the current folder elsewhere.
        """
        home = _REPOSITORY if (_REPOSITORY / "pyproject.toml").is_file() else Path.cwd()

        def path(argument: Path | None, variable: str, default: Path) -> Path:
            chosen = argument if argument is not None else Path(os.environ.get(variable) or default)
            return chosen.expanduser().absolute()

        default_raw = home / "raw_data" if (home / "raw_data").is_dir() else _shipped("raw_data")
        given_now = os.environ.get("MISSION_NOW")
        now = datetime.fromisoformat(given_now) if given_now else datetime.now(UTC)
        if now.tzinfo is not None:
            now = now.astimezone(UTC).replace(tzinfo=None)
        return cls(
            raw_data=path(raw_data, "MISSION_RAW_DATA", default_raw),
            warehouse=path(warehouse, "MISSION_WAREHOUSE", home / "warehouse"),
            policy_file=path(policy_file, "MISSION_POLICY", SHIPPED_POLICY_FILE),
            now=now,
            is_now_given=bool(given_now),
            store=os.environ.get("MISSION_STORE") or None,
            failpoint=os.environ.get("MISSION_FAILPOINT") or None,
        )

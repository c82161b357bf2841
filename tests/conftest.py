"""Fixtures that every kind of test may use: a build file of its own, and one refresh of the shipped data."""

import json
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from mission_pipeline.policy import load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings
from mission_pipeline.warehouse import Warehouse

settings.register_profile("repository", deadline=None)  # the machines that run this are shared and uneven
settings.load_profile("repository")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def build(tmp_path):
    """An empty build file."""
    with Warehouse(tmp_path / "warehouse").build() as opened:
        yield opened


@pytest.fixture(scope="session")
def policy():
    """The shipped policy."""
    return load_policy(SHIPPED_POLICY_FILE)


def refresh_into(raw_data, folder, *, now, as_of=None, rebuild=False):
    """Refresh by Dagster; return its outcome, the warehouse and the brief's JSON."""
    from mission_pipeline.orchestration.refresh import run_refresh

    chosen = Settings(raw_data, folder, SHIPPED_POLICY_FILE, datetime.fromisoformat(now))
    outcome = run_refresh(chosen, as_of=as_of, rebuild=rebuild, on_progress=lambda _: None)
    brief = json.loads((folder / "briefs" / f"{outcome.as_of}.json").read_text(encoding="utf-8"))
    return outcome, Warehouse(folder), brief


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """One refresh of the shipped data, by Dagster: its outcome, warehouse and the brief's JSON."""
    folder = tmp_path_factory.mktemp("shipped") / "warehouse"
    outcome, warehouse, brief = refresh_into(REPOSITORY / "raw_data", folder, now="2026-02-07T06:00:00")
    return SimpleNamespace(warehouse=warehouse, outcome=outcome, brief=brief)

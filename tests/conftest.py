"""Fixtures that every kind of test may use: a build file of its own, and one refresh of the shipped data."""

import json
from datetime import date, datetime
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
SHIPPED_DAY = date(2026, 2, 6)
NOW = datetime(2026, 2, 7, 6)


@pytest.fixture
def build(tmp_path):
    """An empty build file."""
    with Warehouse(tmp_path / "warehouse").build() as opened:
        yield opened


@pytest.fixture(scope="session")
def policy():
    """The shipped policy."""
    return load_policy(SHIPPED_POLICY_FILE)


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """One refresh of the shipped data, by Dagster: its settings, warehouse and the brief's JSON."""
    from mission_pipeline.orchestration.refresh import run_refresh

    folder = tmp_path_factory.mktemp("shipped") / "warehouse"
    chosen = Settings(REPOSITORY / "raw_data", folder, SHIPPED_POLICY_FILE, NOW)
    outcome = run_refresh(chosen, as_of=None, on_progress=lambda _: None)
    brief = json.loads((folder / "briefs" / "2026-02-06.json").read_text(encoding="utf-8"))
    return SimpleNamespace(settings=chosen, warehouse=Warehouse(folder), outcome=outcome, brief=brief)

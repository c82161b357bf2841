"""Fixtures that every kind of test may use: a build file of its own, and one refresh each of two portfolios."""

import fcntl
import json
import os
import pickle
import shutil
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings
from portfolios import write_other_portfolio
from shipped_sample import SAMPLE

from mission_pipeline.policy import load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE, Settings
from mission_pipeline.warehouse import Warehouse

settings.register_profile("repository", deadline=None)  # the machines that run this are shared and uneven
settings.load_profile("repository")


@pytest.fixture
def build(tmp_path):
    """An empty build file."""
    with Warehouse(tmp_path / "warehouse").build() as opened:
        yield opened


@pytest.fixture(scope="session")
def policy():
    """The shipped policy."""
    return load_policy(SHIPPED_POLICY_FILE)


@cache
def empty_history():
    """An empty history of Dagster's, which takes longer to make than to copy; gone when the tests end."""
    from mission_pipeline.orchestration.instance import history

    folder = tempfile.TemporaryDirectory(prefix="history-")
    with history(Path(folder.name)):
        return folder


def give_history(warehouse):
    """Give a warehouse's folder an empty history, unless it has one."""
    if not (warehouse / ".dagster").exists():
        shutil.copytree(empty_history().name, warehouse / ".dagster")


def refresh_into(raw_data, folder, *, now, as_of=None, rebuild=False):
    """Refresh by Dagster; return its outcome, the warehouse and the brief's JSON."""
    from mission_pipeline.orchestration.refresh import run_refresh

    chosen = Settings(raw_data, folder, SHIPPED_POLICY_FILE, datetime.fromisoformat(now))
    give_history(folder)
    outcome = run_refresh(chosen, as_of=as_of, rebuild=rebuild, on_progress=lambda _: None)
    brief = json.loads((folder / "briefs" / f"{outcome.as_of}.json").read_text(encoding="utf-8"))
    return outcome, Warehouse(folder), brief


def work_through(raw_data, folder, *, now, as_of, rebuild=False, policy_file=SHIPPED_POLICY_FILE):
    """Refresh without Dagster, which takes as long again; return the warehouse and the brief's JSON.

    What stops a refresh by Dagster stops this one.
    """
    from mission_pipeline.orchestration import stages
    from mission_pipeline.orchestration.findings import CHECKS

    settings = Settings(raw_data, folder, policy_file, datetime.fromisoformat(now))
    refresh = stages.Refresh(settings, load_policy(policy_file))
    with refresh.warehouse.exclusive(), refresh.warehouse.build() as build:
        stages.ingest(build, refresh, rebuild=rebuild)
        stages.validate(build, refresh)
        for check in CHECKS:
            assert not check.is_blocking or check.look(build, refresh.policy, [as_of]).is_good, check.name
        stages.derive(build, refresh, [table.contract.qualified_name() for table in stages.DERIVED_TABLES])
        stages.judge(build, refresh, [as_of])
        stages.brief_and_publish(build, refresh, [as_of])
    brief = json.loads((folder / "briefs" / f"{as_of}.json").read_text(encoding="utf-8"))
    return refresh.warehouse, brief


def copied(refreshed, folder):
    """Copy raw data and warehouse of a refresh that is everybody's into a folder, to be changed; return its warehouse."""
    shutil.copytree(refreshed.settings.raw_data, folder / "raw")
    shutil.copytree(refreshed.settings.warehouse, folder / "warehouse")
    return Warehouse(folder / "warehouse")


def once_for_all_workers(tmp_path_factory, name, make):
    """Let the first worker that asks make something in a folder; return the folder and what was made to each of them.

    Nobody changes what is in there: a test that does takes a copy.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    made = folder.with_name(f"{name}.pickle")
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_bytes(pickle.dumps(make(folder)))
    return folder, pickle.loads(made.read_bytes())


def refreshed_once(tmp_path_factory, name, raw_data_in, *, now):
    """One refresh by Dagster: its settings, outcome and progress, its warehouse and the brief's JSON."""

    def make(folder):
        from mission_pipeline.orchestration.refresh import run_refresh

        said = []
        settings = Settings(raw_data_in(folder), folder / "warehouse", SHIPPED_POLICY_FILE, datetime.fromisoformat(now))
        return settings, run_refresh(settings, as_of=None, on_progress=said.append), said

    _, (settings, outcome, said) = once_for_all_workers(tmp_path_factory, name, make)
    brief = json.loads((settings.warehouse / "briefs" / f"{outcome.as_of}.json").read_text(encoding="utf-8"))
    return SimpleNamespace(
        settings=settings, warehouse=Warehouse(settings.warehouse), outcome=outcome, said=said, brief=brief
    )


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """The shipped data, refreshed."""
    return refreshed_once(tmp_path_factory, "shipped data", lambda _: SAMPLE, now="2026-02-07T06:00:00")


@pytest.fixture(scope="session")
def other_portfolio(tmp_path_factory):
    """The other portfolio of tests/portfolios.py, refreshed."""

    def raw_data_in(folder):
        write_other_portfolio(folder / "raw")
        return folder / "raw"

    return refreshed_once(tmp_path_factory, "other portfolio", raw_data_in, now="2026-03-07T06:00:00")

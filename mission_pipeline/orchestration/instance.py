"""Opens Dagster's history, for the command. Knows nothing of what runs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from mission_pipeline.orchestration.home import prepare_home


@contextmanager
def history(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open the history in a folder, made on first use, and close it whatever happens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # that log files are named in dagster.yaml
        instance = dg.DagsterInstance.from_config(str(prepare_home(home)))
        try:
            yield instance
        finally:
            instance.dispose()

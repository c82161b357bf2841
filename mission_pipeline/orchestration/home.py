"""Dagster's home below the warehouse: made on first use, shared by the command and the UI. Opens no history."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from mission_pipeline.errors import WarehouseFault

_SHIPPED = Path(__file__).parent
CONFIG_FILE = "dagster.yaml"
WORKSPACE_FILE = "workspace.yaml"
LOG_FILE = "dagster.log"


def prepare_home(home: Path) -> Path:
    """Make the folder with its two files, unless somebody keeps changed ones there; return the folder.

    Raises:
        WarehouseFault: it cannot be written.

    """
    # A JSON text is a YAML text, whatever stands in the path.
    paths = {"history": json.dumps(str(home / "history" / "runs")), "log_file": json.dumps(str(home / LOG_FILE))}
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name in (CONFIG_FILE, WORKSPACE_FILE):
            _keep_current(home / name, Template(_SHIPPED.joinpath(name).read_text(encoding="utf-8")).substitute(paths))
    except OSError as error:
        raise WarehouseFault(
            f"Dagster's history {home} cannot be written ({error.strerror}). "
            "Make the warehouse folder writable, or name another one with --warehouse."
        ) from error
    return home


def _keep_current(file: Path, content: str) -> None:
    present = file.read_text(encoding="utf-8") if file.is_file() else None
    is_ours = present is None or present.splitlines()[:1] == content.splitlines()[:1]
    if is_ours and present != content:
        file.write_text(content, encoding="utf-8")

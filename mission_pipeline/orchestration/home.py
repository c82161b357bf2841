"""Dagster's home below the warehouse: made on first use, shared by the command and the UI. Opens no history."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from mission_pipeline.errors import WarehouseFault

TEMPLATE_FILE = Path(__file__).with_name("dagster.yaml")
CONFIG_FILE = "dagster.yaml"
LOG_FILE = "dagster.log"


def prepare_home(home: Path) -> Path:
    """Make the folder with its ``dagster.yaml``, unless somebody keeps a changed one there; return the folder.

    Raises:
        WarehouseFault: it cannot be written.

    """
    template = TEMPLATE_FILE.read_text(encoding="utf-8")
    # A JSON text is a YAML text, whatever stands in the path.
    paths = {"history": json.dumps(str(home / "history" / "runs")), "log_file": json.dumps(str(home / LOG_FILE))}
    content = Template(template).substitute(paths)
    config = home / CONFIG_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        present = config.read_text(encoding="utf-8") if config.is_file() else None
        is_ours = present is None or present.splitlines()[:1] == template.splitlines()[:1]
        if is_ours and present != content:
            config.write_text(content, encoding="utf-8")
    except OSError as error:
        raise WarehouseFault(
            f"Dagster's history {home} cannot be written ({error.strerror}). "
            "Make the warehouse folder writable, or name another one with --warehouse."
        ) from error
    return home

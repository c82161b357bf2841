"""The house's walls: which room may import which, and what is done in one room only."""

import ast
from pathlib import Path

import duckdb
import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mission_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = {"ingest", "validate", "derive", "judge", "brief"}
FOUNDATIONS = {"contracts", "policy", "settings", "errors", "warehouse", "history", "intervals"}
MAY_IMPORT = {
    **dict.fromkeys(STAGES, FOUNDATIONS),
    **{foundation: {"contracts", "errors", "settings"} for foundation in FOUNDATIONS},
    "contracts": set(),
    "errors": set(),
    "settings": {"errors"},
    "runner": FOUNDATIONS | {"ingest", "validate"},
    "orchestration": FOUNDATIONS | STAGES | {"runner"},
    "dictionary": FOUNDATIONS | {"orchestration"},
    "__main__": {"cli"},
    "memory": set(),
    "cli": FOUNDATIONS | {"memory", "brief", "orchestration", "ingest", "validate", "cli_missions", "cli_inbox"},
    "cli_missions": FOUNDATIONS | {"cli", "runner"},
    "cli_inbox": FOUNDATIONS | {"cli", "cli_missions", "runner"},
}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> list[str]:
    """Every module that a file imports, wherever in the file, type checking included."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the room"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def relative(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


modules = pytest.mark.parametrize("file", MODULES, ids=relative)


@modules
def test_a_module_imports_only_rooms_that_its_own_may_see(file):
    room = room_of(file)
    if room == "__init__":
        assert not [name for name in imports(file) if name.startswith("mission_pipeline")]
        return
    assert room in MAY_IMPORT, f"{room} is new: say here what it may import"
    seen = {name.split(".")[1] for name in imports(file) if name.startswith("mission_pipeline.")}
    assert seen - {room} <= MAY_IMPORT[room]


@modules
def test_only_orchestration_imports_dagster(file):
    if room_of(file) == "orchestration":
        return
    assert not [name for name in imports(file) if name.split(".")[0].startswith("dagster")]


@modules
def test_only_the_warehouse_opens_duckdb(file):
    """Elsewhere DuckDB's errors may be named, to be caught or raised again, and nothing else of it."""
    if room_of(file) == "warehouse":
        return
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = [dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {name.split(".")[1] for name in named if name.startswith("duckdb.")}
    used |= {name.split(".")[1] for name in imports(file) if name.startswith("duckdb.")}
    not_errors = {name for name in used if not issubclass(getattr(duckdb, name, object), duckdb.Error)}
    assert not_errors <= {"DuckDBPyConnection"}  # as the type of a connection that somebody else opened


@modules
def test_only_the_settings_read_the_environment_and_the_clock(file):
    if room_of(file) == "settings":
        return
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = {dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    forbidden = {"os.getenv", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
    if room_of(file) != "orchestration":  # which hands DAGSTER_HOME to Dagster
        forbidden.add("os.environ")
    assert not named & forbidden


@modules
def test_a_module_opens_by_saying_what_belongs_in_it(file):
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.split("\n")[0].rstrip().endswith((".", ":"))


def test_no_room_is_called_utils():
    assert not [file for file in MODULES if file.stem in {"utils", "util", "helpers", "common", "misc"}]

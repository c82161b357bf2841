"""The environment can be made anywhere: pins agree, the lock names no host, and the commands stand in one list."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (REPOSITORY / "requirements" / "lock.txt").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:work|root|home|Users|opt|srv|mnt)/\w")


def requirements_in() -> list[str]:
    lines = (REPOSITORY / "requirements" / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def locked() -> list[str]:
    return re.findall(r"^([a-z0-9][\w.-]*(?:\[[\w,-]+\])?==\S+)", LOCK, re.MULTILINE)


def tracked_files() -> list[Path]:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [REPOSITORY / name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]


def test_the_lock_is_made_from_the_pins_of_pyproject():
    pins = PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]
    assert requirements_in() == pins
    assert set(pins) <= set(locked()) | {without_extras(line) for line in locked()}


def without_extras(pin: str) -> str:
    """The lock names a package once, with the extras that whoever else needs it asked for."""
    return re.sub(r"\[[\w,-]+\]", "", pin)


def test_the_package_carries_the_sample_and_no_records_of_runs():
    """A folder named as a whole would be packed with whatever the runner has appended in it."""
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(target == f"mission_pipeline/_shipped/{source}" for source, target in included.items())
    sample = {file.relative_to(REPOSITORY) for file in tracked_files() if file.is_relative_to(REPOSITORY / "raw_data")}
    carried = {source for source in included if source.startswith("raw_data")}
    assert carried == {str(file) if len(file.parts) == 2 else str(file.parent) for file in sample}


def test_every_pin_is_exact_and_every_build_tool_is_locked():
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for pin in requirements_in())
    assert set(PYPROJECT["build-system"]["requires"]) <= set(locked())


def test_the_lock_holds_versions_and_hashes_and_no_host():
    for line in LOCK.splitlines():
        assert re.fullmatch(
            r"[a-z0-9][\w.-]*(\[[\w,-]+\])?==[\w.+!]+( ; [^/]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line
        )


def test_no_tracked_file_names_a_place_on_somebodys_machine():
    own = [str(REPOSITORY)] if len(REPOSITORY.parts) > 2 else []
    for file in tracked_files():
        text = file.read_bytes().decode("utf-8", errors="replace")
        assert not MACHINE_PATH.search(text), file
        assert not [place for place in own if place in text], file


def test_every_command_of_the_makefile_is_documented_and_none_is_a_file():
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
    documented = re.findall(r"^([a-z]+):.*  ## .+\.$", MAKEFILE, re.MULTILINE)
    assert documented == phony
    assert {"run", "test", "check", "ui", "bench", "docs", "lock"} <= set(phony)


def test_the_makefile_uses_no_absolute_path():
    """GNU make splits names at spaces, so a path of the checkout must not stand in it."""
    assert "$(CURDIR)" not in MAKEFILE
    assert "$(abspath" not in MAKEFILE


def test_ci_runs_the_same_commands_as_a_developer():
    text = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    assert re.findall(r"^make (\w+)", text, re.MULTILINE) == ["check", "test"]
    assert re.search(r"apt-get install .*chromium; \} \\\n.*\|\| echo", text), "a missing browser fails nothing"
    assert "--cov" in text, "the floor of the coverage is held by CI"
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111


def test_the_licence_is_the_one_that_pyproject_names():
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    text = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_tells_of_this_version():
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)
    assert versions[0] == PYPROJECT["project"]["version"]


def test_the_checker_of_paths_sees_a_path():
    assert MACHINE_PATH.search("see /" + "home/me/data")
    assert not MACHINE_PATH.search("https://example.org/home/x")
    assert not MACHINE_PATH.search("warehouse/" + "work/x")

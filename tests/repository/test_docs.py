"""The docs name commands, options and files that exist, and the README shows the brief that is really printed."""

import io
import re
from pathlib import Path

import pytest
import typer.main
from rich.console import Console

from mission_pipeline.brief.document import first_screen_of
from mission_pipeline.brief.render import print_brief
from mission_pipeline.cli import app
from mission_pipeline.contracts.catalog import ALL_CONTRACTS
from mission_pipeline.orchestration.stages import published_views

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    REPOSITORY / name
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "raw_data/README.md", "warehouse/README.md")
] + [*sorted((REPOSITORY / "docs").rglob("*.md")), REPOSITORY / "benchmarks" / "README.md"]
WRITTEN_PAGES = [page for page in PAGES if page.name != "warehouse.md"]  # the others are generated
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
MADE_BY_A_RUN = ("warehouse/", "briefs/", "exports/", ".build/", ".dagster/", ".runner/", ".venv/")
README_WIDTH = 100

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
written_pages = pytest.mark.parametrize("page", WRITTEN_PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def code_in(page: Path) -> list[str]:
    """Every piece of inline code and every line of a shell block."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return inline + [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def commands_of_mission() -> dict[str, set[str]]:
    group = typer.main.get_command(app)
    return {
        name: {"--help"} | {option for parameter in command.params for option in parameter.opts}
        for name, command in group.commands.items()
    }


@pages
def test_every_make_command_named_exists(page):
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    for code in code_in(page):
        if match := re.match(r"make(?: -C \S+)? ([a-z]+)", code):
            assert match[1] in targets, code


@pages
def test_every_mission_command_and_option_named_exists(page):
    known = commands_of_mission()
    for code in code_in(page):
        if match := re.match(r"(?:\.venv/bin/)?mission ([a-z]+)(.*)", code):
            assert match[1] in known, code
            assert set(re.findall(r"--[a-z-]+", match[2])) <= known[match[1]], code
        elif re.fullmatch(r"--[a-z-]+", code) and "benchmarks" not in str(page):
            assert any(code in options for options in known.values()), code


def test_every_command_is_named_in_the_readme():
    named = " ".join(code_in(REPOSITORY / "README.md"))
    for command in commands_of_mission():
        assert f"mission {command}" in named
    for target in ("run", "test", "check", "ui", "bench"):
        assert f"make {target}" in named


@written_pages
def test_every_file_named_exists(page):
    for code in code_in(page):
        is_path = re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", code) and (
            "/" in code or re.search(r"\.(md|toml|py|sql)$", code)
        )
        if not is_path or (code.startswith(MADE_BY_A_RUN) and code != "warehouse/README.md"):
            continue
        assert (REPOSITORY / code).exists() or (page.parent / code).exists(), code


@written_pages
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[\w-]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@pages
def test_every_table_named_is_promised(page):
    promised = {contract.qualified_name() for contract in ALL_CONTRACTS} | set(published_views())
    for code in code_in(page):
        if re.fullmatch(r"(staging|marts|quality)\.\w+", code):
            assert code in promised, code


def test_every_decision_is_listed():
    folder = REPOSITORY / "docs" / "decisions"
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")))
    assert listed == {file.name for file in folder.glob("*.md")} - {"README.md"}


def test_the_readme_is_short():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_readme_shows_the_brief_that_is_printed(shipped):
    buffer = io.StringIO()
    console = Console(file=buffer, width=README_WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    print_brief(console, first_screen_of(shipped.brief))
    printed = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip()
    shown = re.search(r"```text\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)[
        1
    ].strip()
    assert shown == printed

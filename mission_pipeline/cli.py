"""The ``mission`` command: reads options, calls one thing, prints what it gave. Judges nothing, opens no file.

Facts go to standard output, progress and faults to standard error. What is slow to load (Dagster, Pandera) is loaded
by the commands that need it, so that ``mission brief`` and ``--help`` answer at once.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mission_pipeline.errors import MissionPipelineError
from mission_pipeline.memory import collect_rarely, keep_freed_memory
from mission_pipeline.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from mission_pipeline.brief.document import Document

REJECTS_FOUND = 1
"""Exit code of ``mission check`` when a record would be rejected."""

CLAIMS_CHANGED = 1
"""Exit code of ``mission explain --all`` when the warehouse no longer gives what the brief says."""

app = typer.Typer(
    name="mission",
    help="Shows from telemetry whether missions run by AI agents mature, and what to fix next.\n\n"
    "Start with [bold]mission refresh[/bold]: it reads the raw data, judges it and prints the brief.",
    epilog="Exit codes: 0 done, 1 a fault of this program (for check: records would be rejected; for explain --all: "
    "claims changed), 2 something that you can mend, 4 a mission failed or was cancelled, 5 a decision came second, or "
    "its result has changed, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

DAY_FORMATS = ["%Y-%m-%d"]

RawDataOption = Annotated[
    Path | None,
    typer.Option(
        "--raw-data",
        metavar="DIR",
        help="Folder with the raw data. Also: MISSION_RAW_DATA. Default: raw_data.",
        show_default=False,
    ),
]
WarehouseOption = Annotated[
    Path | None,
    typer.Option(
        "--warehouse",
        metavar="DIR",
        help="Folder of the warehouse, the briefs and the exports. Also: MISSION_WAREHOUSE. Default: warehouse.",
        show_default=False,
    ),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="File with every limit and weight. Also: MISSION_POLICY. Default: the policy that ships.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the facts as JSON instead of text.")]
AsOfOption = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=DAY_FORMATS,
        metavar="YYYY-MM-DD",
        help="Day to judge: only what was known by its end counts. Default: the newest day with data.",
        show_default=False,
    ),
]
BriefDayOption = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=DAY_FORMATS,
        metavar="YYYY-MM-DD",
        help="Day of the brief. Default: the newest.",
        show_default=False,
    ),
]


class BriefFormat(StrEnum):
    """How a brief is shown."""

    text = "text"
    md = "md"
    html = "html"
    json = "json"


def main() -> NoReturn:
    """Run the command; every fault that a user can mend is one sentence on standard error, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 gets "?" for a letter, not a fault
    collect_rarely(100_000)
    keep_freed_memory()
    # Pandera loads Hypothesis where it finds it, which takes 0.1 s and serves tests alone.
    sys.modules.setdefault("hypothesis", None)  # type: ignore[arg-type]
    try:
        app()
    except MissionPipelineError as error:
        _say_fault(str(error))
        _leave(error.exit_code)
    except SystemExit as leaving:
        _leave(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End the process with what is registered for its end, but without taking apart every module that was loaded.

    The system frees their memory at once; Python takes 0.8 s for it after a refresh.
    """
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = code or 1  # nobody reads on; click ends a broken pipe with 1 as well
    os._exit(code)


@app.command()
def refresh(
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    as_of: AsOfOption = None,
    policy: PolicyOption = None,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="Start again from the files present; records that vanished from them are forgotten."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read the raw data, judge it, publish the warehouse and print the brief.

    Runs through Dagster, so that `mission ui` shows it. A refresh that fails changes nothing that is published.
    The exit code is 0 when the warehouse was published, whatever the verdict.
    """
    settings = _settings(raw_data, warehouse, policy)
    say = _progress()
    say(f"reading {settings.raw_data}")
    collect_rarely(1_000_000)  # it ends soon, and what a worker would pile up in months it does not
    from mission_pipeline.orchestration.refresh import run_refresh

    outcome = run_refresh(settings, as_of=_day(as_of), rebuild=rebuild, on_progress=say)
    say("done")
    kept = _published(settings, outcome.as_of)
    places = {
        "warehouse": str(outcome.published_file),
        "briefs": [str(file) for file in outcome.brief_files],
        "exports": str(settings.warehouse / "exports"),
    }
    if as_json:
        facts = {
            "as_of": outcome.as_of.isoformat(),
            "run_id": outcome.run_id,
            **places,
            "warnings": list(outcome.warnings),
            "brief": kept,
        }
        _print_json(facts)
        return
    from mission_pipeline.brief.document import first_screen_of

    console = _console()
    console.print()
    _show(console, first_screen_of(kept))
    for warning in outcome.warnings:
        _print_lines(console, [f"Note: {warning}"])
    _print_lines(
        console,
        [
            f"The whole brief:  mission brief{f' --warehouse {shlex.quote(str(warehouse))}' if warehouse else ''}",
            *(f"Brief:            {file}" for file in places["briefs"]),
            f"Warehouse:        {places['warehouse']}",
            f"Exports:          {places['exports']}",
        ],
    )


@app.command()
def brief(
    as_of: BriefDayOption = None,
    form: Annotated[
        BriefFormat | None,
        typer.Option(
            "--format",
            help="How to show it. Default: by the ending of --output, else text.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write it to this file instead. The endings .txt, .md, .html, .json choose the format.",
            show_default=False,
        ),
    ] = None,
    warehouse: WarehouseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Judge its day again with today's data and say what differs, and why."),
    ] = False,
    policy: PolicyOption = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN_ID",
            help="Report on this run instead: what happened, what is at risk, what to do next.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show a stored brief again, as it was published, or report on one run. Changes nothing."""
    chosen = _brief_format(form, output, as_json=as_json)
    if run is not None:
        if as_of is not None or compare:
            other = "--as-of" if as_of is not None else "--compare"
            raise MissionPipelineError(f"--run reports on one run, whatever the day: leave out {other}, or --run.")
        _report_run(_settings(None, warehouse, None), run, chosen, output)
        return
    if compare:
        if chosen in (BriefFormat.md, BriefFormat.html):
            mend = "leave out --format, or name text or json" if form else "name a file that ends in .txt or .json"
            raise MissionPipelineError(f"--compare gives text or JSON: {mend}.")
        _deliver(_comparison(_settings(None, warehouse, policy), _day(as_of), chosen is BriefFormat.json), output)
        return
    from mission_pipeline.brief.store import published_brief
    from mission_pipeline.warehouse import Warehouse

    settings = _settings(None, warehouse, None)
    kept = published_brief(Warehouse(settings.warehouse), _day(as_of))
    if chosen is BriefFormat.text and kept.html is None:
        chosen = BriefFormat.md  # by an earlier release, whose JSON lacks things that the text is set from
    if chosen is BriefFormat.text and output is None:
        _show(_console(), kept.brief)
        return
    if chosen is BriefFormat.text:
        from mission_pipeline.brief.render import text_of

        text = text_of(kept.brief)
    elif chosen is BriefFormat.html:
        text = kept.page
    else:
        text = kept.markdown if chosen is BriefFormat.md else kept.json_text
    _deliver(text, output)


_FORMATS_BY_ENDING = {
    ".txt": BriefFormat.text,
    ".md": BriefFormat.md,
    ".html": BriefFormat.html,
    ".json": BriefFormat.json,
}


def _brief_format(form: BriefFormat | None, output: Path | None, *, as_json: bool) -> BriefFormat:
    """Return the format that was named, else the one that the file's ending says, else text.

    Raises:
        MissionPipelineError: a format was named, and the file's ending says another.

    """
    named = BriefFormat.json if as_json else form
    by_ending = None if output is None else _FORMATS_BY_ENDING.get(output.suffix.lower())
    if named is not None and by_ending not in (None, named):
        option = "--json" if as_json else f"--format {form}"
        raise MissionPipelineError(
            f"{option} and --output {output} contradict each other: leave out {option}, or let the file end otherwise."
        )
    return named or by_ending or BriefFormat.text


@app.command()
def explain(
    claim: Annotated[
        str | None,
        typer.Argument(metavar="CLAIM", help="Id of a claim, as in the JSON's evidence, or the path of a value."),
    ] = None,
    as_of: BriefDayOption = None,
    every: Annotated[bool, typer.Option("--all", help="Run every claim of the brief, and list those changed.")] = False,
    warehouse: WarehouseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a figure or a name of a brief comes from: its query, what that gives now, and the rows it reads.

    Exit code 0. With --all 1 where the warehouse no longer gives what the brief says.
    """
    if (claim is None) is not every:
        raise MissionPipelineError("Name one claim, such as `mission explain status`, or run them all with --all.")
    from mission_pipeline.brief import explain as explaining
    from mission_pipeline.brief.store import stored_brief
    from mission_pipeline.warehouse import Warehouse

    settings = _settings(None, warehouse, None)
    with Warehouse(settings.warehouse).published() as connection:
        shown = stored_brief(connection, _day(as_of)).brief
        if claim is not None:
            explanation = explaining.explained(shown, claim, connection)
            if as_json:
                _print_json(explanation.facts())
            else:
                _print_lines(_console(), explaining.lines_of(explanation))
            return
        changed = list(explaining.changed_claims(shown, connection))
    number = len(shown["evidence"])
    if as_json:
        facts = {"as_of": shown["as_of"], "claims": number, "changed": [each.facts() for each in changed]}
        _print_json(facts)
    else:
        said = f"{number:,} claims of the brief as of {shown['as_of']}: {len(changed):,} changed since."
        _print_lines(_console(), [*map(explaining.line_of_change, changed), said])
    if changed:
        raise typer.Exit(CLAIMS_CHANGED)


@app.command()
def check(raw_data: RawDataOption = None, policy: PolicyOption = None, as_json: JsonOption = False) -> None:
    """Validate the raw data without writing anything: list what a refresh would reject, and why.

    Exit code 0: no record would be rejected. 1: some would. 2: a file cannot be read at all, or is missing.
    """
    report = _check(_settings(raw_data, None, policy))
    if as_json:
        _print_json(report)
    else:
        _print_lines(_console(), _check_lines(report))
    if report["rejected"]:
        raise typer.Exit(REJECTS_FOUND)


@app.command()
def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=DAY_FORMATS, metavar="YYYY-MM-DD", help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAY_FORMATS, metavar="YYYY-MM-DD", help="Last day.")],
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the briefs of past days, each as of its own day, from the data that is there now."""
    settings = _settings(raw_data, warehouse, policy)
    if last < first:
        raise MissionPipelineError(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}. Exchange the two days.")
    say = _progress()
    say(f"reading {settings.raw_data}")
    collect_rarely(1_000_000)
    from mission_pipeline.orchestration.refresh import run_backfill

    outcome = run_backfill(settings, first=first.date(), last=last.date(), on_progress=say)
    say("done")
    from mission_pipeline.brief.store import published_days
    from mission_pipeline.warehouse import Warehouse

    days = published_days(Warehouse(settings.warehouse), first.date(), last.date())
    if as_json:
        _print_json({"run_id": outcome.run_id, "warnings": list(outcome.warnings), "days": days})
        return
    lines = [f"{day['as_of']}  {day['status']:<18}  {day['driver_headline']}" for day in days]
    _print_lines(
        _console(),
        [
            *lines,
            *(f"Note: {warning}" for warning in outcome.warnings),
            f"Briefs:     {settings.warehouse / 'briefs'}",
            f"Warehouse:  {outcome.published_file}",
        ],
    )


@app.command()
def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on this machine.")] = 3000,
    raw_data: RawDataOption = None,
    warehouse: WarehouseOption = None,
    policy: PolicyOption = None,
) -> None:
    """Open the Dagster UI on this machine, with the history of every refresh. Ctrl-C ends it."""
    settings = _settings(raw_data, warehouse, policy)
    from mission_pipeline.orchestration.refresh import serve_ui

    raise typer.Exit(serve_ui(settings, port=port))


# ---------------------------------------------------------------------- what the commands share


def _settings(raw_data: Path | None, warehouse: Path | None, policy: Path | None) -> Settings:
    try:
        return Settings.from_environment(raw_data, warehouse, policy)
    except ValueError as error:
        raise MissionPipelineError(f"MISSION_NOW is not an ISO time ({error}). Correct it or unset it.") from error


def _day(given: datetime | None) -> date | None:
    return None if given is None else given.date()


def _published(settings: Settings, as_of: date) -> dict[str, Any]:
    from mission_pipeline.brief.store import published_brief
    from mission_pipeline.warehouse import Warehouse

    return published_brief(Warehouse(settings.warehouse), as_of).brief


def _show(console: Console, shown: dict[str, Any] | Document) -> None:
    """Print a brief or document, in colour on a terminal; elsewhere as plain text of the same width."""
    from mission_pipeline.brief.render import print_brief, text_of

    if console.is_terminal:
        print_brief(console, shown)
    else:
        sys.stdout.write(text_of(shown, width=console.width))
        sys.stdout.flush()


def _report_run(settings: Settings, run_id: str, form: BriefFormat, output: Path | None) -> None:
    """Print a run's report, or write it to a file, from the published warehouse."""
    from mission_pipeline.brief import render
    from mission_pipeline.brief.run_facts import read_run_facts
    from mission_pipeline.brief.run_report import compose_run_report, run_document_of
    from mission_pipeline.warehouse import Warehouse

    report = compose_run_report(read_run_facts(Warehouse(settings.warehouse), run_id))
    if form is BriefFormat.json:
        _deliver(render.json_of(report), output)
        return
    document = run_document_of(report)
    if form is BriefFormat.html:
        from mission_pipeline.brief.html import page_of

        _deliver(page_of(document), output)
    elif form is BriefFormat.md:
        _deliver(render.markdown_of(document), output)
    elif output is None:
        _show(_console(), document)
    else:
        _deliver(render.text_of(document), output)


def _comparison(settings: Settings, as_of: date | None, as_json: bool) -> str:
    """Return what differs between a stored brief and its day judged again, as text of a file or of a terminal."""
    from mission_pipeline.brief.compare import comparison_lines
    from mission_pipeline.brief.render import printable
    from mission_pipeline.orchestration.comparison import compare_day

    comparison = compare_day(settings, as_of)
    if as_json:
        return json.dumps(comparison, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    return "".join(f"{printable_keeping_indent(line, printable)}\n" for line in comparison_lines(comparison))


def _deliver(text: str, output: Path | None) -> None:
    """Write a text to standard output, or to the file that was named."""
    if output is None:
        sys.stdout.write(text)
        return
    from mission_pipeline.brief.files import write_atomically

    write_atomically(output.expanduser(), text)


def _console(*, to_stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=to_stderr, highlight=False, soft_wrap=False)


def _print_lines(console: Console, lines: list[str]) -> None:
    """Print lines as they are: no markup, no wrapping, so that paths can be copied."""
    from rich.text import Text

    from mission_pipeline.brief.render import printable

    for line in lines:
        console.print(Text(printable_keeping_indent(line, printable)), soft_wrap=True)


def printable_keeping_indent(line: str, printable: Callable[[str], str]) -> str:
    """Return a line without control characters, its alignment kept."""
    return "  ".join(printable(part) for part in line.split("  "))


def _print_json(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _progress() -> Callable[[str], None]:
    """Return a function that prints a line of progress with the seconds since the start."""
    console, start = _console(to_stderr=True), time.monotonic()

    def say(line: str) -> None:
        _print_lines(console, [f"{time.monotonic() - start:6.1f} s  {line}"])

    return say


def _say_fault(sentence: str) -> None:
    _print_lines(_console(to_stderr=True), [sentence])


def _check(settings: Settings) -> dict[str, Any]:
    """Ingest and validate in a temporary folder and return what was found there."""
    from mission_pipeline.ingest.land import land_raw_files
    from mission_pipeline.policy import load_policy
    from mission_pipeline.validate.stage import stage_valid_records
    from mission_pipeline.warehouse import Warehouse

    policy = load_policy(settings.policy_file)
    with tempfile.TemporaryDirectory(prefix="mission-check-") as folder, Warehouse(Path(folder)).build() as build:
        landing = land_raw_files(build, settings.raw_data, now=settings.now)
        stage_valid_records(build, policy, now=settings.now)

        def rows(sql: str) -> list[dict[str, Any]]:
            return build.frame(sql).to_dicts()

        return {
            "raw_data": str(settings.raw_data),
            "data_sets": rows("select * from quality.row_counts order by data_set"),
            "rejected": rows(
                "select data_set, file, row, rule, reason, record from quality.rejected_rows "
                "order by data_set, file, row"
            ),
            "plan_findings": rows("select * from quality.plan_findings order by all"),
            "schema_drift": rows("select * from quality.schema_drift order by all"),
            "warnings": rows("select * from quality.data_warnings order by all"),
            "notes": list(landing.notes),
        }


def _check_lines(report: dict[str, Any]) -> list[str]:
    from mission_pipeline.brief import phrases as say

    width = max((len(row["data_set"]) for row in report["data_sets"]), default=0)
    lines = [f"Raw data: {report['raw_data']}", ""]
    lines += [
        f"{row['data_set']:<{width}}  {say.counted(row['rows_in'], 'record'):>14}  "
        f"{say.number(row['rows_valid'])} valid, {say.number(row['rows_rejected'])} rejected"
        for row in report["data_sets"]
    ]
    parts = {
        "Rejected": [f"{row['file']}, row {row['row']}: {row['rule']}: {row['reason']}" for row in report["rejected"]],
        "Faults of the plans (the telemetry is judged all the same)": [
            f"{row['mission_id']} {row['task_id']}: {say.FAULT_WORDS[row['fault']]}: {row['detail']}"
            for row in report["plan_findings"]
        ],
        "Unexpected fields and types (kept)": [
            f"{row['data_set']}.{row['field']}: {say.DRIFT_WORDS[row['kind']]} "
            f"({say.counted(row['rows'], 'record')}, such as {row['example_value']})"
            for row in report["schema_drift"]
        ],
        "Warnings (nothing is rejected for these)": [
            f"{row['data_set']}: {row['rule'].replace('_', ' ')} ({say.counted(row['rows'], 'record')}, such as: "
            f"{row['example_value']})"
            for row in report["warnings"]
        ],
        "Notes": report["notes"],
    }
    for title, found in parts.items():
        if found:
            lines += ["", f"{title}:", *(f"  {line}" for line in found)]
    rejected = len(report["rejected"])
    verdict = (
        "No record would be rejected." if not rejected else f"{say.counted(rejected, 'record')} would be rejected."
    )
    return [*lines, "", verdict]


from mission_pipeline import cli_inbox, cli_missions  # noqa: E402, F401  they add commands, made of what stands above

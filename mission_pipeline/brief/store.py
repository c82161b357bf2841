"""Keeps briefs: a row of marts.executive_briefs in the build, and after publishing the files beside the warehouse.

The row comes first and goes with the snapshot; the files are copies of published rows, so a failed refresh leaves
both as they were, and a kill between publishing and writing is mended by the next refresh.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mission_pipeline.brief.files import write_atomically
from mission_pipeline.errors import NothingToJudge
from mission_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mission_pipeline.brief.facts import Facts
    from mission_pipeline.brief.verdict import Verdict
    from mission_pipeline.policy import Policy
    from mission_pipeline.warehouse import Build

BRIEFS_FOLDER = "briefs"
BRIEF_SUFFIXES = (".md", ".html", ".json")
"""The files of a day's brief; a brief that a release without HTML pages made has no ``.html``."""


@dataclass(frozen=True)
class StoredBrief:
    """A brief as it is kept: the day and its texts, byte for byte as in its files.

    ``html`` is None in a brief that was made by a release without HTML pages.
    """

    as_of: date
    json_text: str
    markdown: str
    html: str | None = None

    @property
    def brief(self) -> dict[str, Any]:
        """The brief's JSON."""
        parsed: dict[str, Any] = json.loads(self.json_text)
        return parsed

    @property
    def page(self) -> str:
        """The HTML page.

        Raises:
            NothingToJudge: a release without HTML pages made this brief.

        """
        if self.html is None:
            raise NothingToJudge(
                f"The brief as of {self.as_of} is older than the HTML pages and has none. "
                f"Run `mission refresh --as-of {self.as_of}` to make it again, or choose --format md."
            )
        return self.html


def write_brief(build: Build, verdict: Verdict, policy: Policy, facts: Facts | None = None) -> StoredBrief:
    """Compose the brief of the verdict's day and keep it as that day's row of marts.executive_briefs; write no file.

    ``facts``: of that day and policy, if somebody has read them already.
    """
    from mission_pipeline.brief.document import document_of
    from mission_pipeline.brief.figures import write_figures
    from mission_pipeline.brief.html import page_of
    from mission_pipeline.brief.render import json_of, markdown_of

    write_figures(build, verdict)
    brief = composed_brief(build, verdict, policy, facts)
    document = document_of(brief)  # once for both: the claims of hundreds of missions are put back into it
    page = page_of(document, as_of=brief["as_of"])
    kept = StoredBrief(verdict.as_of, json_of(brief), markdown_of(document), page)
    _upsert(build, brief, kept)
    return kept


def composed_brief(build: Build, verdict: Verdict, policy: Policy, facts: Facts | None = None) -> dict[str, Any]:
    """Return the JSON of the brief of the verdict's day, and write nothing: a build opened for reading will do."""
    from mission_pipeline.brief.compose import compose_brief

    return compose_brief(verdict, facts or facts_of(build, verdict.as_of, policy), policy)


def facts_of(build: Build, as_of: date, policy: Policy) -> Facts:
    """Return what the brief of a day shows beside the verdict."""
    from mission_pipeline.brief.facts import read_facts

    return read_facts(build, as_of, window_runs=policy.friction.recent_runs)


def _upsert(build: Build, brief: dict[str, Any], kept: StoredBrief) -> None:
    """Replace the day's row alone: rewriting years of briefs for each day of a backfill would grow with its square."""
    import polars as pl

    from mission_pipeline.contracts.judged import ExecutiveBriefs
    from mission_pipeline.warehouse import check_contract

    row = {
        "as_of_date": kept.as_of,
        "status": brief["status"],
        "primary_driver": brief["primary_driver"]["trigger"],
        "driver_mission_id": brief["primary_driver"]["mission_id"],
        "driver_headline": brief["primary_driver"]["headline"],
        "trend_insight": brief["trend_insight"]["headline"],
        "friction_task_id": brief["friction_signal"]["task_id"],
        "friction_signal": brief["friction_signal"]["headline"],
        "recommended_action": brief["recommended_action"]["text"],
        "confidence_level": brief["confidence"]["level"],
        "confidence_reasons": brief["confidence"]["reasons"],
        "interpretation": brief["interpretation"],
        "policy_version": brief["policy"]["version"],
        "policy_sha256": brief["policy"]["sha256"],
        "brief_json": kept.json_text,
        "brief_markdown": kept.markdown,
        "brief_html": kept.html,
    }
    schema = {**ExecutiveBriefs.polars_schema(), "confidence_reasons": pl.List(pl.String)}
    frame = pl.DataFrame([row], schema=schema)
    build.ensure_table(ExecutiveBriefs)
    with build.transaction(), build.view_of("incoming_brief", frame):
        check_contract(build, ExecutiveBriefs, "incoming_brief")
        build.execute("delete from marts.executive_briefs where as_of_date = $as_of", {"as_of": kept.as_of})
        build.execute("insert into marts.executive_briefs by name select * from incoming_brief")


def stored_briefs(build: Build) -> Iterator[StoredBrief]:
    """Yield every brief of the build, oldest first; one at a time, for those of years are large together."""
    days = build.frame("select as_of_date from marts.executive_briefs order by as_of_date")["as_of_date"].to_list()
    for day in days:
        [row] = build.frame(
            "select as_of_date, brief_json, brief_markdown, brief_html from marts.executive_briefs "
            "where as_of_date = $as_of",
            {"as_of": day},
        ).rows()
        yield StoredBrief(*row)


def write_brief_files(briefs: Iterable[StoredBrief], warehouse_folder: Path) -> list[Path]:
    """Write ``briefs/<as-of>.md``, ``.html`` and ``.json`` of published briefs, each whole or not at all.

    A file that already says the same is left alone, so passing every published brief is cheap and mends lost files.

    Returns:
        The files, in the order of the days, whether they had to be written or not.

    Raises:
        WarehouseFault: the folder cannot be written.

    """
    files = []
    for kept in briefs:
        for suffix, text in zip(BRIEF_SUFFIXES, (kept.markdown, kept.html, kept.json_text), strict=True):
            if text is not None:
                file = warehouse_folder / BRIEFS_FOLDER / f"{kept.as_of.isoformat()}{suffix}"
                write_atomically(file, text)
                files.append(file)
    return files


def published_brief(warehouse: Warehouse, as_of: date | None) -> StoredBrief:
    """Return the published brief of a day, or the newest.

    Raises:
        NothingToJudge: there is none; says which days have one.
        WarehouseFault: nothing was published yet, or the file cannot be read.

    """
    with warehouse.published() as connection:
        return stored_brief(connection, as_of)


def stored_brief(connection: DuckDBPyConnection, as_of: date | None) -> StoredBrief:
    """Return the brief of a day, or the newest, from an open warehouse.

    Raises:
        NothingToJudge: there is none; says which days have one.

    """
    days = [day for (day,) in connection.execute("select as_of_date from marts.executive_briefs order by 1").fetchall()]
    if not days:
        raise NothingToJudge("There is no brief yet. Run `mission refresh` to make one.")
    chosen = as_of or days[-1]
    if chosen not in days:
        raise NothingToJudge(
            f"There is no brief as of {chosen}. There are briefs as of {spans(days)}. "
            f"Run `mission refresh --as-of {chosen}` to make it."
        )
    # By pattern, since a warehouse that an earlier release published has no column for the page.
    [row] = connection.execute(
        "select columns('^(as_of_date|brief_json|brief_markdown|brief_html)$') from marts.executive_briefs "
        "where as_of_date = $as_of",
        {"as_of": chosen},
    ).fetchall()
    return StoredBrief(*row)


def published_days(warehouse: Warehouse, first: date, last: date) -> list[dict[str, Any]]:
    """Return one line for each published brief of a span of days: the day and its verdict."""
    with warehouse.published() as connection:
        rows = connection.execute(
            "select as_of_date, status, primary_driver, driver_mission_id, driver_headline, confidence_level "
            "from marts.executive_briefs where as_of_date between $first and $last order by as_of_date",
            {"first": first, "last": last},
        ).fetchall()
    names = ("as_of", "status", "primary_driver", "driver_mission_id", "driver_headline", "confidence_level")
    return [dict(zip(names, (row[0].isoformat(), *row[1:]), strict=True)) for row in rows]


def spans(days: Sequence[date]) -> str:
    """Return days in words, runs of consecutive ones as spans: "2026-02-01 to 2026-02-04 and 2026-02-06"."""
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days == 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

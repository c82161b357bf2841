"""What the asset checks look at, besides the contracts: conservation, rejects, drift, plans, reports, age of the data.

Each looks at the build and says in a sentence what it found, with the figures. Knows nothing of Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build

EXAMPLES = 20
"""Rows shown with a finding; the table itself holds them all."""


@dataclass(frozen=True)
class Finding:
    """What a check found. ``figures``: what it compared, by name. ``examples``: rows that show it, if any."""

    is_good: bool
    sentence: str
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Check:
    """One check: the table that it is about, what it means, whether it stops the refresh, and what looks."""

    table: str
    name: str
    meaning: str
    is_blocking: bool
    look: Callable[[Build, Policy, Sequence[date]], Finding]


_CONSERVATION = """
select
    data_set,
    coalesce(counted.rows_in, 0) as rows_in,
    coalesce(counted.rows_valid, 0) as rows_valid,
    coalesce(counted.rows_rejected, 0) as rows_rejected,
    coalesce(counted.rows_replaced, 0) as rows_replaced,
    coalesce(counted.rows_retained, 0) as rows_retained,
    coalesce(counted.rows_staged, 0) as rows_staged,
    cast(coalesce(landed.rows, 0) as bigint) as rows_landed,
    coalesce(listed.rows, 0) as rejects_listed
from quality.row_counts as counted
full join (select data_set, sum(rows) as rows from quality.loaded_files group by data_set) as landed using (data_set)
full join (select data_set, count(*) as rows from quality.rejected_rows group by data_set) as listed using (data_set)
order by data_set
"""
_REJECTS = """
select data_set, rule, count(*) as rows, min(file || ', row ' || row) as example
from quality.rejected_rows
group by data_set, rule
order by rows desc, data_set, rule
"""
_DRIFT = "select data_set, field, kind, rows, example_value from quality.schema_drift order by all"
_PLANS = "select mission_id, task_id, fault, detail from quality.plan_findings order by all"
_WARNINGS = "select data_set, rule, rows, example_value from quality.data_warnings order by all"
_REPORTS = """
select source, subject, report_date, field, reported_value, computed_value, verdict
from quality.reconciliation
where verdict <> 'agrees'
order by verdict, source, report_date, subject, field
"""
_NEWEST_RUN = """
select max(run_date) from marts.mission_run_facts
where status in ('completed', 'failed', 'cancelled') and run_date <= $day
"""


def conservation_of_rows(build: Build, _policy: Policy, _days: Sequence[date]) -> Finding:
    """Hold each data set's books against the files' ledger and the list of rejects."""
    books = build.frame(_CONSERVATION).to_dicts()
    open_books = [row for row in books if not _adds_up(row)]
    figures = {name: sum(row[name] for row in books) for name in ("rows_in", "rows_valid", "rows_rejected")}
    if open_books:
        names = ", ".join(row["data_set"] for row in open_books)
        return Finding(False, f"Records were lost or counted twice in {names}.", figures, open_books)
    sentence = (
        f"{figures['rows_in']:,} records in = {figures['rows_valid']:,} valid + {figures['rows_rejected']:,} rejected."
    )
    return Finding(True, sentence, figures, books)


def _adds_up(row: Mapping[str, int]) -> bool:
    return (
        row["rows_in"] == row["rows_valid"] + row["rows_rejected"]
        and row["rows_in"] == row["rows_landed"]
        and row["rows_rejected"] == row["rejects_listed"]
        and row["rows_staged"] == row["rows_valid"] - row["rows_replaced"] + row["rows_retained"]
    )


def rejected_share(build: Build, policy: Policy, _days: Sequence[date]) -> Finding:
    """Compare the share of rejected records with what a verdict can bear."""
    rows_in = int(build.scalar("select coalesce(sum(rows_in), 0) from quality.row_counts"))
    rejected = int(build.scalar("select count(*) from quality.rejected_rows"))
    share, limit = (rejected / rows_in if rows_in else 0.0), policy.confidence.medium_above_rejected_share
    sentence = f"{rejected:,} of {rows_in:,} records were rejected."
    figures = {"rejected": rejected, "records": rows_in, "share": share, "limit_share": limit}
    return Finding(share <= limit, sentence, figures, build.frame(_REJECTS).head(EXAMPLES).to_dicts())


def schema_drift(build: Build, _policy: Policy, _days: Sequence[date]) -> Finding:
    """List what differs from the specified fields and types."""
    return _nothing_listed(
        build,
        _DRIFT,
        "No field or type differs from what is specified.",
        "field or type differs from what is specified",
        "fields or types differ from what is specified",
    )


def plan_faults(build: Build, _policy: Policy, _days: Sequence[date]) -> Finding:
    """List the faults of the missions' plans."""
    return _nothing_listed(
        build,
        _PLANS,
        "No plan has a fault.",
        "fault in a plan; the runner refuses such a plan",
        "faults in plans; the runner refuses such plans",
    )


def contradictions(build: Build, _policy: Policy, _days: Sequence[date]) -> Finding:
    """List figures that contradict each other."""
    return _nothing_listed(
        build,
        _WARNINGS,
        "No figures contradict each other.",
        "kind of contradiction or oddity",
        "kinds of contradiction or oddity",
    )


def _nothing_listed(build: Build, query: str, none: str, one: str, several: str) -> Finding:
    """Say how many rows a query finds. ``none`` is a whole sentence; ``one`` and ``several`` follow their number."""
    rows = build.frame(query)
    sentence = none if rows.is_empty() else f"{rows.height:,} {one if rows.height == 1 else several}."
    return Finding(rows.is_empty(), sentence, {"found": rows.height}, rows.head(EXAMPLES).to_dicts())


def reported_figures(build: Build, _policy: Policy, _days: Sequence[date]) -> Finding:
    """Compare the figures that others report with those that the telemetry gives."""
    total = int(build.scalar("select count(*) from quality.reconciliation"))
    rows = build.frame(_REPORTS)
    differs = sum(row["verdict"] == "differs" for row in rows.to_dicts())
    sentence = f"{differs:,} of {total:,} reported figures differ from the telemetry."
    figures = {"reported": total, "differ": differs, "not_computable": rows.height - differs}
    return Finding(differs == 0, sentence, figures, rows.head(EXAMPLES).to_dicts())


def newest_run(build: Build, policy: Policy, days: Sequence[date]) -> Finding:
    """Compare the newest finished run with the last day judged."""
    day = max(days)
    newest = build.scalar(_NEWEST_RUN, {"day": day})
    limit = policy.confidence.stale_after_days
    if newest is None:
        return Finding(False, f"No run had ended by {day}.", {"limit_days": limit})
    age = (day - newest).days
    sentence = f"The newest run ended on {newest}, {age:,} days before the day judged, {day}."
    return Finding(age <= limit, sentence, {"age_days": age, "limit_days": limit, "newest_run": str(newest)})


CHECKS: tuple[Check, ...] = (
    Check(
        "quality.row_counts",
        "conservation_of_rows",
        "Nothing is lost: in every data set, records in = valid + rejected, as the files' ledger and the list of "
        "rejects say too. A failure is a fault of this program and stops the refresh.",
        True,
        conservation_of_rows,
    ),
    Check(
        "quality.rejected_rows",
        "rejected_share",
        "Few enough records were rejected to trust the verdict. Rejected records are listed with file, row and rule; "
        "the refresh goes on without them.",
        False,
        rejected_share,
    ),
    Check(
        "quality.schema_drift",
        "no_schema_drift",
        "Fields and types are those that are specified. Unknown fields are kept; a KPI that nobody specified has no "
        "row in the marts.",
        False,
        schema_drift,
    ),
    Check(
        "quality.plan_findings",
        "plans_without_faults",
        "Plans have no missing dependency, no cycle, no contradicting order and no task that nobody can do. "
        "Telemetry is judged all the same.",
        False,
        plan_faults,
    ),
    Check(
        "quality.data_warnings",
        "no_contradictions",
        "Figures of one record or one run do not contradict each other. Contradictions are counted, never rejected.",
        False,
        contradictions,
    ),
    Check(
        "quality.reconciliation",
        "reported_figures_agree",
        "Figures that others report agree with the telemetry, within half of the last decimal reported. "
        "The telemetry is what counts.",
        False,
        reported_figures,
    ),
    Check(
        "marts.executive_briefs",
        "newest_run_is_recent",
        "The newest finished run is recent enough for the day judged. Old data are never silently on track: "
        "they lower the brief's confidence.",
        False,
        newest_run,
    ),
)
"""Every check besides the contracts and the age of the published file."""


def publication_age(published_file: Path, policy: Policy, now: datetime) -> Finding:
    """Compare the age of the published file with what the policy allows.

    Args:
        published_file: the file; it is not opened.
        policy: holds the limit.
        now: UTC without zone.

    """
    limit = policy.freshness.warn_after_hours
    if not published_file.is_file():
        return Finding(False, "Nothing was published yet. Run the job daily_refresh.", {"limit_hours": limit})
    published_at = datetime.fromtimestamp(published_file.stat().st_mtime, UTC).replace(tzinfo=None)
    hours = (now - published_at).total_seconds() / 3600
    sentence = f"The warehouse was published {hours:,.1f} hours ago; the policy's limit is {limit:g} hours."
    return Finding(hours <= limit, sentence, {"age_hours": round(hours, 2), "limit_hours": limit})

"""The brief's JSON as a document without a format: a first screen, sections, tables. Decides nothing.

Made from the JSON alone, so that Markdown, terminal and page cannot disagree. Lays out and shortens. In every text each
figure and each name from the data is marked as its claim; words of this module hold no digit, so none goes unproven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.changes_in_words import KPI_COLUMNS, changes_in_words
from mission_pipeline.brief.claims import bare, marked, remarked

Brief = Mapping[str, Any]

FIX_TITLE = "What to fix, what costs most time first"
SHOWN_MISSIONS = 20
SHOWN_FIXES = 10
SHOWN_ROWS = 15
"""How many lines a reader is shown before "and … more"; the JSON holds them all."""


@dataclass(frozen=True)
class Entry:
    """One line of the first screen: what it is, what it says, and what explains it."""

    label: str
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of texts; ``numeric`` columns are set to the right."""

    columns: tuple[str, ...]
    numeric: frozenset[str]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A titled part: paragraphs, then a list, then a table, then notes."""

    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[Entry, ...] = ()
    is_ranked: bool = False
    table: Table | None = None
    notes: tuple[str, ...] = ()


_FIRST_SCREEN = (
    "as_of",
    "status",
    "interpretation",
    "primary_driver",
    "trend_insight",
    "friction_signal",
    "recommended_action",
    "confidence",
)
"""The parts of a brief that its first screen needs: of hundreds of missions, the others are megabytes."""


@dataclass(frozen=True)
class Document:
    """A whole brief, ready to be set."""

    title: str
    status: str
    screen: tuple[Entry, ...]
    sections: tuple[Section, ...]
    footer: tuple[str, ...] = field(default=())


def document_of(brief: Brief) -> Document:
    """Return the whole document of a brief's JSON; its claims are marked."""
    brief = remarked(brief)
    makers = (
        _what_to_fix,
        _changes,
        _what_went_well,
        _missions,
        _kpis,
        _friction,
        _autonomy,
        _risks,
        _reported,
        _data_quality,
    )
    sections = [section for make in makers if (section := make(brief)) is not None]
    return Document(
        title=_title(brief),
        status=bare(brief["status"]),
        screen=_first_screen(brief),
        sections=(*sections, _path(brief), *filter(None, [_assumptions(brief)])),
        footer=_footer(brief),
    )


def first_screen_of(brief: Brief) -> Document:
    """Return only what an executive reads first: one status, driver, trend, friction, action, and how sure it is."""
    brief = remarked({name: brief[name] for name in (*_FIRST_SCREEN, "evidence") if name in brief})
    return Document(_title(brief), bare(brief["status"]), _first_screen(brief), sections=())


def _title(brief: Brief) -> str:
    return f"Mission brief as of {brief['as_of']}"


def _first_screen(brief: Brief) -> tuple[Entry, ...]:
    driver, action, confidence = brief["primary_driver"], brief["recommended_action"], brief["confidence"]
    friction, trend = brief["friction_signal"], brief["trend_insight"]
    reasons = tuple(say.capitalised(reason) for reason in confidence["reasons"])
    action_details = [f"Aim: {action['aim']}"] if action["aim"] else []
    if action["aim"]:
        action_details.append(f"Owner: {action['owner']}" if action["owner"] else "Owner: none is named")
    return (
        Entry("Status", f"{brief['status']} – {say.status_words(brief['status'], brief['confidence']['level'])}"),
        Entry("In one sentence", brief["interpretation"]),
        Entry("Primary driver", driver["headline"], (driver["why"],) if driver["why"] else ()),
        Entry("Trend", trend["headline"]),
        Entry("Friction", friction["headline"]),
        Entry("Recommended action", action["text"], tuple(action_details)),
        Entry("Confidence", f"{confidence['level']} – {say.CONFIDENCE_WORDS[confidence['level']]}", reasons),
    )


def _more(total: int, shown: int, what: str) -> tuple[str, ...]:
    if total <= shown:
        return ()
    return (f"… and more {what}, in the JSON of this brief or in the warehouse.",)


def _cells(*values: str | None) -> tuple[str, ...]:
    return tuple(str(value) if value else "–" for value in values)


def _what_to_fix(brief: Brief) -> Section:
    fixes = brief["what_to_fix"]
    if not fixes:
        return Section(FIX_TITLE, _nothing_to_fix(brief))
    items = tuple(
        Entry(
            f"{fix['headline']} ({fix['severity']})" if fix["severity"] else fix["headline"],
            fix["why"],
            (*_cost(fix), fix["action"]),
        )
        for fix in fixes[:SHOWN_FIXES]
    )
    return Section(
        FIX_TITLE,
        items=items,
        is_ranked=True,
        notes=_more(len(fixes), SHOWN_FIXES, "findings"),
    )


def _nothing_to_fix(brief: Brief) -> tuple[str, ...]:
    """Say that no rule has fired, and what is wrong all the same."""
    if brief["status"] == "NO_DATA":
        return ("No run has finished yet, so what is to be fixed is not known.",)
    if brief["status"] == "ON_TRACK":
        if brief["confidence"]["level"] == "LOW":
            return ("No rule has fired: as far as is known, there is nothing to fix.",)
        return ("No rule has fired: there is nothing to fix today.",)
    why, action = brief["primary_driver"]["why"], brief["recommended_action"]["text"]
    fired = f"No rule has fired, yet the status is {brief['status']}."
    return (f"{fired} {why} {action}" if why else fired,)


def _cost(fix: Mapping[str, Any]) -> tuple[str, ...]:
    """What a finding's task costs, where that is known; a brief of an earlier release does not say."""
    minutes, task_id = fix.get("friction_minutes_per_week"), fix["task_id"]
    if not say.is_shown(minutes) or task_id is None:
        return ()
    waiting = (
        f", and {say.counted(fix['holds_up'], 'task')} of its plan cannot start before it" if fix["holds_up"] else ""
    )
    runs = say.counted(fix["runs_per_week"], "run")
    return (f"{task_id} costs {say.counted(minutes, 'minute')} of friction a week, at {runs} a week{waiting}.",)


def _changes(brief: Brief) -> Section | None:
    if "changes" not in brief:
        return None  # a brief of an earlier release
    told = changes_in_words(brief["changes"])
    return Section(
        told.title,
        (told.paragraph,) if told.paragraph else (),
        items=tuple(Entry(*line) for line in told.lines),
        table=Table(KPI_COLUMNS, frozenset({"Then", "Now", "Change"}), told.kpis) if told.kpis else None,
        notes=tuple(note for what, count in told.left_out.items() for note in _more(count, 0, what)),
    )


def win_sentence(brief: Brief) -> str:
    """Return the win in one sentence, each reference with its own percentage and value; claims are marked."""
    return _win_sentence(remarked(brief))


def _win_sentence(brief: Brief) -> str:
    win = brief["win"]
    if win["mission_id"] is None:
        return "No mission's main KPI is better than its baseline yet, as far as is known."
    kpi = win["kpi_name"]
    names = {mission["mission_id"]: mission["mission_name"] for mission in brief["missions"]}
    baseline, first, latest = say.kpi_values(kpi, win["baseline_value"], win["first_value"], win["latest_value"])
    on_baseline = win["improvement_vs_baseline_pct"]
    much = say.percent(on_baseline) if say.is_shown(on_baseline) else "hardly"
    sentence = (
        f"{say.mission_words(win['mission_id'], names.get(win['mission_id']))}: {say.kpi_words(kpi)} is {latest}, "
        f"{much} better than the baseline of {baseline}"
    )
    gain = win["improvement_vs_first_pct"]
    of_runs = {mission["mission_id"]: mission.get("kpi_trend_runs") for mission in brief["missions"]}
    if gain == 0:  # of a single run the first value is the latest
        sentence += "" if of_runs.get(win["mission_id"]) == 1 else " and the same as the first run's"
    elif gain is not None and not say.is_shown(gain):
        sentence += " and about the same as the first run's"
    elif gain is not None:
        change = "better" if gain >= 0 else "worse"
        sentence += f" and {marked(gain, say.percent(abs(gain)))} {change} than the first run's {first}"
    return sentence + "."


def _what_went_well(brief: Brief) -> Section:
    return Section("What went well", (_win_sentence(brief),))


def _missions(brief: Brief) -> Section:
    missions = brief["missions"]
    ranked = sorted(missions, key=say.urgency)
    shown = ranked if len(ranked) <= SHOWN_MISSIONS else ranked[:SHOWN_MISSIONS]
    if len(ranked) <= SHOWN_MISSIONS:
        shown = list(missions)
    rows = tuple(
        _cells(
            mission["mission_id"],
            mission["mission_name"],
            mission["status"],
            say.points(mission["health_score"]),
            say.points(mission["autonomy_score"]),
            _kpi_trend(mission),
            say.number(mission["finished_runs"]),
        )
        for mission in shown
    )
    return Section(
        "The missions side by side",
        (_portfolio_sentence(brief),),
        table=Table(
            ("Id", "Mission", "Status", "Health", "Autonomy", "Trend", "Runs"),
            frozenset({"Health", "Autonomy", "Runs"}),
            rows,
        ),
        notes=(
            *_more(len(ranked), len(shown), "missions"),
            "Health: up to a hundred points from results, trend, friction, risk and steadiness. "
            "Autonomy: a hundred points mean that no person had to step in. "
            "Trend: of the main KPI. Runs: finished runs."
            + "".join(note for words, note in _TREND_NOTES.items() if any(row[5] == words for row in rows)),
        ),
    )


_TREND_NOTES = {
    say.NO_TREND_WORDS["no_direction"]: " No direction: baseline and target do not say which way is better.",
    say.NO_TREND_WORDS["no_main_kpi"]: " No main KPI: none has both a baseline and a target.",
    say.NO_TREND_WORDS["never_reported"]: " Never reported: no run says what the main KPI came to.",
}


def _kpi_trend(mission: Mapping[str, Any]) -> str:
    if mission["kpi_trend"] != "insufficient_data":
        return say.TREND_WORDS[mission["kpi_trend"]]
    directions = {kpi["kpi_name"]: kpi["direction"] for kpi in mission["kpis"]}
    return say.NO_TREND_WORDS[say.why_no_trend(mission, directions.get(mission["kpi_name"]))]


def _autonomy_trend(mission: Mapping[str, Any]) -> str:
    """The trend of the score by run; too few runs are not to blame where enough have finished."""
    if mission["autonomy_trend"] == "insufficient_data" and mission["finished_runs"] > 1:
        return "too few runs report it"
    return say.TREND_WORDS[mission["autonomy_trend"]]


def _portfolio_sentence(brief: Brief) -> str:
    figures = brief["portfolio"]
    parts = [
        f"{say.number(figures['missions_on_track'])} on track",
        f"{say.number(figures['missions_watch'])} to watch",
        f"{say.number(figures['missions_attention_required'])} in need of attention",
    ]
    if figures["missions_no_data"]:
        parts.append(f"{say.number(figures['missions_no_data'])} without data")
    runs = [
        f"{say.number(figures['completed_runs'])} completed",
        f"{say.number(figures['failed_runs'])} failed",
        f"{say.number(figures['cancelled_runs'])} cancelled",
        f"{say.number(figures['active_runs'])} open",
    ]
    return (
        f"{say.counted(figures['missions'], 'mission')}: {say.listed(parts)}. "
        f"Runs so far: {say.listed(runs)}. "
        f"Autonomy of the portfolio: {_of_a_hundred(figures['autonomy_score'])}. "
        f"Mean improvement of the main KPIs on their baselines: {say.percent(figures['avg_kpi_improvement_pct'])}."
    )


def is_told(mission: Mapping[str, Any]) -> bool:
    """Whether a brief tells of a mission in full; of many missions it lists the rest with a few figures."""
    return "mean_human_interventions" in mission


def _of_a_hundred(points: float | None) -> str:
    return say.UNKNOWN if points is None else f"{say.points(points)} of a hundred points"


def _kpis(brief: Brief) -> Section | None:
    rows = []
    for mission in brief["missions"]:
        for kpi in mission["kpis"] if is_told(mission) else ():
            name = kpi["kpi_name"]
            baseline, target, latest = say.kpi_values(
                name, kpi["baseline_value"], kpi["target_value"], kpi["latest_value"]
            )
            bound = {"floor": "at least ", "ceiling": "at most "}.get(kpi["kpi_kind"], "")
            rows.append(
                _cells(
                    mission["mission_id"],
                    say.kpi_words(name) + (" (main)" if kpi["is_primary"] else ""),
                    None if kpi["baseline_value"] is None else baseline,
                    None if kpi["target_value"] is None else bound + target,
                    None if kpi["target_status"] == "not_observed" else latest,
                    None
                    if kpi["improvement_vs_baseline_pct"] is None
                    else say.percent(kpi["improvement_vs_baseline_pct"]),
                    say.NO_TREND_WORDS["no_direction"]
                    if kpi["direction"] == "unknown" and kpi["target_status"] is None
                    else say.TARGET_WORDS[kpi["target_status"]],
                )
            )
    if not rows:
        return None
    columns = ("Id", "KPI", "Baseline", "Target", "Latest", "Better by", "Target is")
    return Section(
        "KPIs against baseline and target",
        table=Table(columns, frozenset({"Baseline", "Target", "Latest", "Better by"}), tuple(rows[:SHOWN_ROWS])),
        notes=(
            *_more(len(rows), SHOWN_ROWS, "KPIs"),
            "Better by: improvement of the latest value on the baseline; with a minus it is worse. "
            "Close: missed, but not by much. "
            "Not observed: no run has reported it, which is not the same as met.",
        ),
    )


def _friction(brief: Brief) -> Section:
    tasks = brief["portfolio"]["friction"]
    if not tasks:
        return Section("Friction", ("No task has been executed yet, so no friction is known.",))
    rows = tuple(
        _cells(
            task["mission_id"],
            say.task_words(task["task_id"], task["task_name"]),
            say.number(task["friction_minutes"]),
            None if task["mean_actual_minutes"] is None else say.number(task["mean_actual_minutes"]),
            None if task["estimated_minutes"] is None else say.number(task["estimated_minutes"]),
            None if task["mean_human_delay_minutes"] is None else say.number(task["mean_human_delay_minutes"]),
            _bottleneck(task),
        )
        for task in tasks[:SHOWN_ROWS]
    )
    columns = ("Id", "Task", "Friction", "Takes", "Planned", "Waits", "Bottleneck")
    return Section(
        "Friction",
        _time_sentences(brief),
        table=Table(columns, frozenset({"Friction", "Takes", "Planned", "Waits"}), rows),
        notes=(
            *_more(len(tasks), SHOWN_ROWS, "tasks"),
            "All in minutes. Friction: minutes over plan plus minutes of waiting for a person, per run, "
            "recent runs counting more. Takes and Waits: mean per execution. "
            "Bottleneck: how often the task ran over plan or waited long in its last runs, and why.",
        ),
    )


def _bottleneck(task: Mapping[str, Any]) -> str:
    status, driver = task["bottleneck_status"], task["bottleneck_driver"]
    if status in (None, "clear"):
        return say.BOTTLENECK_WORDS[status]
    return (
        say.BOTTLENECK_WORDS[status]
        if driver == "none"
        else f"{say.BOTTLENECK_WORDS[status]} {say.DRIVER_WORDS[driver]}"
    )


def _time_sentences(brief: Brief) -> tuple[str, ...]:
    time = brief["portfolio"]["run_time"]
    if not time["runs_with_known_times"]:
        return ("How the time of the runs was spent is not known: no run has a complete log.",)
    if not say.is_shown(time["unattributed_minutes"]):
        runs = say.counted(time["runs_with_known_times"], "run")
        return (f"The logs explain where the time of the runs went (in {runs} with complete logs).",)
    return (
        f"{say.number(time['unattributed_minutes'])} of {say.counted(time['known_run_minutes'], 'minute')} of run time "
        f"(in {say.counted(time['runs_with_known_times'], 'run')} with complete logs) are unexplained: "
        "the run waited and no log says why.",
    )


def _autonomy(brief: Brief) -> Section | None:
    missions = [mission for mission in brief["missions"] if mission["finished_runs"]]
    if not missions:
        return None
    told = [mission for mission in missions if is_told(mission)]
    rows = tuple(
        _cells(
            mission["mission_id"],
            say.points(mission["autonomy_score"]),
            _autonomy_trend(mission),
            _touchless(mission),
            say.number(mission["mean_human_interventions"]),
            say.number(mission["mean_escalations"]),
            say.number(mission["mean_approval_delay_minutes"]),
        )
        for mission in told[:SHOWN_MISSIONS]
    )
    columns = ("Id", "Autonomy", "Trend", "Touchless", "Interventions", "Escalations", "Approval wait")
    return Section(
        "Autonomy: how far the missions run without people",
        table=Table(columns, frozenset({"Autonomy", "Interventions", "Escalations", "Approval wait"}), rows),
        notes=(
            *_more(len(missions), len(rows), "missions"),
            "Touchless: runs completed without any intervention or escalation, with the range in which the true share "
            "likely lies. Interventions and escalations per run, approval wait in minutes per run.",
        ),
    )


def _touchless(mission: Mapping[str, Any]) -> str:
    known = mission["touchless_known_runs"]
    if not known:
        return say.UNKNOWN
    low, high = mission["touchless_rate_low"], mission["touchless_rate_high"]
    if low is None or high is None:
        return f"{mission['touchless_runs']} of {known}"
    span = f" ({marked(low, f'{100 * low:.0f}')}-{marked(high, f'{100 * high:.0f}')} %)"
    return f"{mission['touchless_runs']} of {known}{span}"


def _risks(brief: Brief) -> Section:
    risks = brief["portfolio"]["risks"]
    counts, detected = risks["counts"], risks["detected"]
    title = "Risks detected and reported"
    if not counts["detected"] and not counts["reported"]:
        return Section(title, ("The rules detect no risk, and nobody reported one.",))
    unmatched = [event for event in risks["reported"] if not event["is_detected"]]
    both, only_reported, only_detected = (
        counts[name] for name in ("reported_and_detected", "reported_only", "detected_only")
    )
    found = say.counted(counts["detected"], "risk") if counts["detected"] else "no risk"
    told = "nobody reported any"
    if counts["reported"]:
        told = f"{say.counted(counts['reported'], 'event')} {_was(counts['reported'])} reported"
    lead = f"The rules detect {found} in the telemetry (what the runs logged); {told}."
    if counts["detected"] and counts["reported"]:
        lead += (
            f" Of these events {say.number(both)} {_is(both)} also detected and {say.number(only_reported)} "
            f"{_is(only_reported)} not; {say.counted(only_detected, 'detected risk')} {_was(only_detected)} reported "
            "by nobody."
        )
    rows = tuple(
        _cells(
            signal["severity"],
            signal["mission_id"],
            signal["run_id"],
            _where(signal),
            marked(signal["rule"], say.RULE_WORDS[signal["rule"]]),
            _observed(signal),
            signal["reported_event_id"] or "nobody",
        )
        for signal in detected[:SHOWN_ROWS]
    )
    columns = ("Severity", "Id", "Run", "Where", "What", "Observed (limit)", "Reported as")
    left_out = counts["detected"] - len(detected)
    return Section(
        title,
        (lead,),
        items=tuple(
            Entry(
                f"Reported only: {event['event_id']}",
                f"{_kind_of(event)} in {event['mission_id']}, {event['task_id']}, "
                f"severity {event['severity'] or say.UNKNOWN}, {event['status']}.",
            )
            for event in unmatched[:SHOWN_ROWS]
        ),
        table=Table(columns, frozenset(), rows) if rows else None,
        notes=(
            *_more(len(detected), SHOWN_ROWS, "detected risks"),
            *(("Each limit is in the unit of what was observed.",) if rows else ()),
            *(
                (
                    f"Listed are those of the last {say.counted(risks['listed_runs'], 'run')} of each mission; all are "
                    "in marts.risk_signals of the warehouse.",
                )
                if left_out
                else ()
            ),
        ),
    )


def _kind_of(event: Mapping[str, Any]) -> str:
    kind = event["risk_type"]
    return "Risk of unknown kind" if kind is None else say.capitalised(_in_words(kind))


def _where(signal: Mapping[str, Any]) -> str:
    if signal["task_id"]:
        return str(signal["task_id"])
    return say.kpi_words(signal["kpi_name"]) if signal["kpi_name"] else "the whole run"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _observed(signal: Mapping[str, Any]) -> str:
    unit = say.RULE_UNITS[signal["rule"]]
    if unit is None:
        observed, limit = say.kpi_values(signal["kpi_name"], signal["observed_value"], signal["threshold"])
        return f"{observed} ({limit})"
    return f"{say.counted(signal['observed_value'], *unit)} ({say.number(signal['threshold'])})"


def _reported(brief: Brief) -> Section:
    counts = brief["data_quality"]["reported_figures"]
    title = "Where reported figures disagree with the telemetry"
    if not counts["figures"]:
        return Section(title, ("Nobody reported figures of their own up to this day, so there is nothing to compare.",))
    disagreeing = [row for row in brief["reconciliation"] if row["verdict"] != "agrees"]
    lead = (
        f"Of {say.counted(counts['figures'], 'reported figure')} up to this day, {say.number(counts['agree'])} "
        f"agree{'s' if counts['agree'] == 1 else ''} with the telemetry, {say.number(counts['differ'])} "
        f"differ{'s' if counts['differ'] == 1 else ''} and {say.number(counts['not_computable'])} cannot be computed. "
        "The brief uses the telemetry."
    )
    if not disagreeing:
        return Section(title, (lead, "The latest reports agree throughout."))
    rows = tuple(
        _cells(
            _subject(row),
            marked(row["field"], say.FIELD_WORDS.get(row["field"], row["field"].replace("_", " "))),
            _figure(row["reported_value"]),
            _figure(row["computed_value"]) if row["computed_value"] is not None else "not computable",
        )
        for row in disagreeing[:SHOWN_ROWS]
    )
    return Section(
        title,
        (lead,),
        table=Table(("Report", "Figure", "Reported", "Telemetry"), frozenset({"Reported", "Telemetry"}), rows),
        notes=(*_more(len(disagreeing), SHOWN_ROWS, "figures"), "Shown is the latest report of each kind."),
    )


def _subject(row: Mapping[str, Any]) -> str:
    if row["source"] == "mission_portfolio_snapshot":
        return f"snapshot of {row['report_date']}"
    return f"agent {row['subject']}, {row['report_date']}"


def _figure(text: str) -> str:
    try:
        return marked(text, say.number(float(text)))
    except ValueError:
        return str(text)


def _data_quality(brief: Brief) -> Section:
    quality = brief["data_quality"]
    lead = [
        f"{say.counted(quality['rows_in'], 'record')} arrived, {say.number(quality['rows_valid'])} "
        f"{_is(quality['rows_valid'])} valid, {say.number(quality['rows_rejected'])} "
        f"{_was(quality['rows_rejected'])} rejected."
    ]
    if quality["rows_replaced"]:
        lead.append(f"{say.counted(quality['rows_replaced'], 'record')} gave way to a later version of the same thing.")
    if quality["rows_retained"]:
        lead.append(
            f"{say.counted(quality['rows_retained'], 'record')} vanished from the files and "
            f"{_is(quality['rows_retained'])} kept from earlier refreshes."
        )
    items = [
        Entry(
            f"Rejected: {say.counted(row['rows'], 'record')} of {_data_set(row)}",
            f"{_in_words(row['rule'])}; for example: {row['example']}",
        )
        for row in quality["rejected"]
    ]
    items += [
        Entry(
            f"Plan of {row['mission_id']}",
            f"{row['task_id']} {_fault(row['fault'])}: {row['detail']}",
        )
        for row in quality["plan_findings"]
    ]
    items += [
        Entry(
            f"Unexpected in {_data_set(row)}",
            f"{row['field']}: {marked(row['kind'], say.DRIFT_WORDS.get(row['kind'], row['kind']))} "
            f"({say.counted(row['rows'], 'record')}).",
        )
        for row in quality["schema_drift"]
    ]
    items += [
        Entry(
            f"Odd in {_data_set(row)}",
            f"{_in_words(row['rule'])} ({say.counted(row['rows'], 'record')}); for example: {row['example']}",
        )
        for row in quality["warnings"]
    ]
    if not items:
        lead.append("Nothing odd was found: no plan fault, no unexpected field, no contradiction.")
    return Section(
        "Data quality", (" ".join(lead),), items=tuple(items[:SHOWN_ROWS]), notes=_more(len(items), SHOWN_ROWS, "notes")
    )


def _data_set(row: Mapping[str, Any]) -> str:
    name: str = row["data_set"]
    return marked(name, say.DATA_SET_WORDS.get(name, name))


def _fault(name: str) -> str:
    return marked(name, say.FAULT_WORDS.get(name, name))


def _in_words(name: str) -> str:
    """Return a name from the code, such as that of a rule, as one would say it."""
    return marked(name, name.replace("_", " "))


_NOT_IN_ONE_RUN = (
    "No single figure of its next run is enough by itself, however good: it takes several, or more than one run."
)


def _path(brief: Brief) -> Section:
    steps = brief["path_to_on_track"]
    title = "What would turn the status to ON_TRACK"
    if brief["status"] == "ON_TRACK":
        return Section(title, ("It is ON_TRACK.",))
    if not steps:
        return Section(title, ("The first finished run of each mission: until then nothing can be judged.",))
    told = [
        Entry(str(step["mission_id"] or "Portfolio"), say.capitalised(step["text"]))
        for step in steps
        if step.get("is_reachable") is not False
    ]
    helped = {step["mission_id"] for step in steps if step.get("is_reachable")}
    # No run helps a mission whose health is unknown before what is missing has been mended, which its step says.
    helped |= {step["mission_id"] for step in steps if step["kind"] == "unknown_health"}
    stuck = dict.fromkeys(step["mission_id"] for step in steps if step.get("is_reachable") is False)
    told += [Entry(str(mission_id), _NOT_IN_ONE_RUN) for mission_id in stuck if mission_id not in helped]
    return Section(
        title,
        items=tuple(told[:SHOWN_ROWS]),
        notes=_more(len(told), SHOWN_ROWS, "steps"),
    )


def _assumptions(brief: Brief) -> Section | None:
    assumed = brief.get("assumptions")
    return Section("What it rests on", tuple(each["headline"] for each in assumed)) if assumed else None


def _footer(brief: Brief) -> tuple[str, ...]:
    policy, quality = brief["policy"], brief["data_quality"]
    short = marked(policy["sha256"], policy["sha256"][:12])
    return (
        f"Judged by policy {policy['version']} (hash {short}), from {say.counted(quality['files'], 'file')} with "
        f"{say.counted(quality['rows_in'], 'record')}. The JSON of this brief names each file and, for every figure "
        "and name, the query that yields it from the warehouse.",
    )

"""Links the risks that the rules detect with those reported. The rules themselves are in sql/marts/risk_signals.sql."""

from __future__ import annotations

import polars as pl

from mission_pipeline.contracts.derived import RISK_RULES, RiskSignals
from mission_pipeline.derive.limits import limits_of
from mission_pipeline.policy import Policy
from mission_pipeline.warehouse import Build, read_sql

_RUNS = """
select
    mission_run_facts.run_id,
    mission_run_facts.mission_id,
    mission_run_facts.total_duration_minutes
from marts.mission_run_facts
order by mission_run_facts.mission_id, mission_run_facts.run_seq
"""
_EVENTS = """
select
    risk_events.event_id,
    risk_events.run_id,
    risk_events.task_id,
    risk_events.risk_type,
    risk_events.detected_at
from staging.risk_events
"""

_SAME_NAME, _SAME_NAME_OF_RUN, _SAME_KPI, _SAME_WORD, _SAME_TASK = range(5)
"""How close an event is to a signal, the closest first: it names the same task, and its type is the rule's name; the
signal is of the whole run, and the event's type is its name; the event's type opens like the KPI's name; it names the
same task and shares a word with the rule's name or type (`approval_wait`, `approval_delay`); it names the same task."""


def write_risk_signals(build: Build, policy: Policy) -> int:
    """Write ``marts.risk_signals`` and return its number of rows."""
    with limits_of(build, policy), build.view_of("earlier_runs", earlier_runs(build.frame(_RUNS))):
        signals = build.frame(read_sql("marts/risk_signals"))
    return build.replace_table(RiskSignals, frame=with_reported_events(signals, build.frame(_EVENTS)))


def earlier_runs(runs: pl.DataFrame) -> pl.DataFrame:
    """Return, for each run, how many earlier runs of its mission have a known duration, and the median of those.

    Args:
        runs: ``run_id, mission_id, total_duration_minutes``, ordered by mission and ``run_seq``.

    Returns:
        ``run_id, runs, median_minutes``; the median is NULL where no earlier duration is known.
    """
    minutes = pl.col("total_duration_minutes")
    # Where a duration is not known, the median after that run is the one before it.
    median = minutes.rolling_median(window_size=max(runs.height, 1), min_samples=1).forward_fill()
    return runs.select(
        "run_id",
        runs=minutes.cum_count().shift(1, fill_value=0).over("mission_id").cast(pl.Int64),
        median_minutes=median.shift(1).over("mission_id"),
    )


def with_reported_events(signals: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Add ``reported_event_id``: the event that somebody reported for the same thing, or NULL.

    An event concerns a task's signal if it names the same run and task, and a KPI's signal if it names the same run and
    its type shares its first word with the KPI's name. An event has to name some task, also where the run as a whole is
    concerned: it is of the whole run's signal if it names the same run and its type is the name of the rule or of its
    kind of risk, whatever the task. The closest pair is linked first; an event is linked to one signal at the most, a
    signal to one event. Ties go by the order of the rules, the signal, the time and the event.

    Args:
        signals: the rows of ``marts.risk_signals`` but for that column.
        events: ``event_id, run_id, task_id, risk_type, detected_at``.
    """
    pairs = _pairs(signals, events)
    event_of: dict[str, str] = {}
    linked: set[str] = set()
    for signal_id, event_id in pairs.select("signal_id", "event_id").iter_rows():
        if signal_id not in event_of and event_id not in linked:
            event_of[signal_id] = event_id
            linked.add(event_id)
    links = pl.DataFrame(
        {"signal_id": list(event_of), "reported_event_id": list(event_of.values())},
        schema={"signal_id": pl.String, "reported_event_id": pl.String},
    )
    return signals.join(links, on="signal_id", how="left")


def _pairs(signals: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the signals and events that concern the same thing, the closest first."""
    names = (
        signals.join(events, on="run_id", how="semi")
        .select(
            "signal_id",
            "run_id",
            "task_id",
            "kpi_name",
            "rule",
            "risk_type",
            signal_words=pl.concat_list(pl.col("rule").str.split("_"), pl.col("risk_type").str.split("_")),
            kpi_words=pl.col("kpi_name").str.to_lowercase().str.split("_"),
            rule_order=pl.col("rule").replace_strict(
                list(RISK_RULES), list(range(len(RISK_RULES))), return_dtype=pl.Int64
            ),
        )
        .with_columns(first_word=pl.col("kpi_words").list.first())
    )
    reported = events.select(
        "event_id",
        "run_id",
        "task_id",
        "detected_at",
        event_type=pl.col("risk_type").str.to_lowercase(),
        event_words=pl.col("risk_type").str.to_lowercase().str.split("_"),
    ).with_columns(first_word=pl.col("event_words").list.first())

    shared = pl.col("event_words").list.set_intersection("signal_words").list.len()
    of_task = names.join(reported, on=["run_id", "task_id"]).with_columns(
        closeness=pl.when(pl.col("event_type") == pl.col("rule"))
        .then(_SAME_NAME)
        .when(shared > 0)
        .then(_SAME_WORD)
        .otherwise(_SAME_TASK),
        shared_words=shared.fill_null(0),
    )
    of_kpi = names.join(reported, on=["run_id", "first_word"]).with_columns(
        closeness=pl.lit(_SAME_KPI),
        shared_words=pl.col("event_words").list.set_intersection("kpi_words").list.len(),
    )
    event_type, is_of_run = pl.col("event_type"), pl.col("task_id").is_null() & pl.col("kpi_name").is_null()
    of_run = (
        names.filter(is_of_run)
        .join(reported, on="run_id")
        .filter((event_type == pl.col("rule")) | (event_type == pl.col("risk_type")))
        .with_columns(closeness=pl.lit(_SAME_NAME_OF_RUN), shared_words=pl.lit(0, dtype=pl.get_index_type()))
    )
    columns = ["signal_id", "event_id", "closeness", "shared_words", "rule_order", "detected_at"]
    return pl.concat([of_task.select(columns), of_kpi.select(columns), of_run.select(columns)]).sort(
        "closeness",
        "shared_words",
        "rule_order",
        "signal_id",
        "detected_at",
        "event_id",
        descending=[False, True, False, False, False, False],
        nulls_last=True,
    )

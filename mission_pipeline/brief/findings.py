"""Words for each trigger: why it matters, what to do about it, and by what it will be seen to have worked.

One function per trigger and question would hide what belongs together: a ``Finding`` holds all of one trigger's words.
Figures come from the trigger, the mission's scorecard and the policy; none is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mission_pipeline.brief import phrases as say
from mission_pipeline.brief.claims import STORED_DECIMALS, bare, marked

Row = Mapping[str, Any]
Limits = Callable[[str], Any]
"""Gives a number of the policy by its place, such as ``health.on_track_from``."""

_NAMED_MISSIONS = 3
"""How many missions a sentence names before it counts the rest."""


@dataclass(frozen=True)
class Finding:
    """A trigger in words. ``aim`` can be measured by the next runs."""

    headline: str
    why: str
    action: str
    aim: str


@dataclass(frozen=True)
class Goal:
    """What a figure is, and what it has to become."""

    measure: str
    current: float | None
    goal: float | None


@dataclass(frozen=True)
class _Case:
    """What the words of one trigger draw on. ``mission`` is empty for a trigger of the portfolio."""

    trigger: Row
    mission: Row
    portfolio: Row
    limit: Limits
    task: Row
    aims: Mapping[str, Goal]
    at_risk: Sequence[str]
    more_at_risk: Callable[[int], Any]

    @property
    def name(self) -> str:
        return say.mission_words(self.trigger["mission_id"], self.mission.get("mission_name"))

    @property
    def place(self) -> str:
        """Where to act: the task if one is known, with its mission; else the mission."""
        if not self.task:
            return self.name
        return say.task_words(self.task["task_id"], self.task["task_name"])

    @property
    def beginning(self) -> str:
        """Where in the mission to begin, if a task is known."""
        return f", starting with {self.place}" if self.task else ""

    @property
    def kpi(self) -> str:
        return say.capitalised(say.kpi_words(self.mission.get("kpi_name")))

    def kpi_values(self, *columns: str) -> list[str]:
        return say.kpi_values(self.mission.get("kpi_name"), *(self.mission.get(column) for column in columns))

    @property
    def worth(self) -> str:
        """What the trend that fired is worth."""
        return say.evidence_words(self.trigger["evidence"], self.trigger["supporting_runs"])

    @property
    def seen(self) -> str:
        """On how much a level rests. It is measured, so it is no signal that might be wrong."""
        return say.evidence_words(self.trigger["evidence"], self.trigger["supporting_runs"], is_trend=False)

    @property
    def is_by_level(self) -> bool:
        """Whether a rule that looks at a trend and at a level fired by its level.

        A share or score can only be below a limit above zero; the limit of a worsening trend is never above it.
        """
        threshold = self.trigger["threshold"]
        return threshold is not None and bool(threshold > 0)

    def lasts(self, trend: str, subject: str) -> str:
        """Say that something does not improve, unless there are too few runs to know."""
        if self.mission[trend] == "insufficient_data":
            return "it is too early to tell whether it improves"
        return subject


def finding_of(
    trigger: Row,
    mission: Row | None,
    task: Row | None,
    portfolio: Row,
    limits: Limits,
    aims: Sequence[Goal] = (),
    at_risk: Sequence[str] = (),
    more_at_risk: Callable[[int], Any] = lambda named: None,
) -> Finding:
    """Return the words of a fired trigger.

    Args:
        trigger: its row of ``marts.mission_triggers``.
        mission: its mission's scorecard with ``mission_name``; None for a trigger of the portfolio.
        task: the task to act on, as a row of the friction table; None when none is known.
        portfolio: the day's row of ``marts.portfolio_snapshots``.
        limits: the policy's as they hold for the mission.
        aims: figures that the verdict wants changed, where it names any.
        at_risk: names of the missions at risk, worst first.
        more_at_risk: how many are at risk besides the first few.

    """
    goals = {aim.measure: aim for aim in aims}
    case = _Case(trigger, mission or {}, portfolio, limits, task or {}, goals, at_risk, more_at_risk)
    why, action, aim = _WORDS[trigger["trigger_name"]](case)
    title = say.TRIGGER_TITLES[trigger["trigger_name"]]
    headline = f"{title} in {case.name}" if mission else title
    return Finding(headline, say.capitalised(why), say.capitalised(action), aim)


Words = tuple[str, str, str]


def _mission_trend_worsening(case: _Case) -> Words:
    latest, previous, first = case.kpi_values("kpi_latest_value", "kpi_previous_value", "kpi_first_value")
    return (
        f"{case.kpi} moves the wrong way: {latest} now, {previous} in the run before, {first} in the first run "
        f"({case.worth}).",
        f"find what changed in {case.name} since the run before{case.beginning}, "
        "and undo or repair it before the next run.",
        f"{case.kpi} back at {previous} or better in the next run; it is {latest} now.",
    )


def _autonomy_regression(case: _Case) -> Words:
    mission, limit = case.mission, case.limit("triggers.autonomy_regression.min_score")
    score = say.points(mission["autonomy_score"])
    runs = say.counted(case.trigger["supporting_runs"], "run")
    below = f"below the limit of {say.number(limit)} over its last {runs}"
    aim = _autonomy_goal(case, limit, score)
    causes_alone = _autonomy_lost_without_people(case)
    if causes_alone:
        return (
            f"nobody had to step in, and still the autonomy score (a hundred: no person had to step in) is {score}: "
            f"{say.listed(causes_alone)} ({below if case.is_by_level else case.worth}). It is not yet self-sustaining.",
            f"find out what costs {case.name} its autonomy{case.beginning}, and remove it before running the mission "
            "more often.",
            f"{aim}.",
        )
    how = (
        "still depend on people, and that does not get better"
        if case.is_by_level
        else "depend on people more than before"
    )
    despite = ", although its main KPI improves" if mission["kpi_trend"] == "improving" else ""
    rising = _what_rises(case)
    extent = f", {below}" if case.is_by_level else f" ({case.worth})"
    if not case.is_by_level and list(rising) == [case.trigger["evidence"]]:
        # Said once, at the end, where it holds for all that is said here.
        extent, others = "", f". {rising[case.trigger['evidence']]} as well ({case.worth})"
    else:
        as_well = "" if case.is_by_level else " as well"
        others = "".join(f". {what}{as_well} ({_OWN_WORTH[evidence]})" for evidence, what in rising.items())
    return (
        f"its runs {how}{despite}: the autonomy score (a hundred: no person had to step in) is {score}, with "
        f"{say.counted(mission['mean_human_interventions'], 'human intervention')} and "
        f"{say.counted(mission['mean_escalations'], 'escalation')} per run{extent}{others}. "
        "It is not yet self-sustaining.",
        f"reduce interventions and escalations in {case.place} within the next execution cycle; "
        "re-scope it or add capacity to restore autonomy.",
        f"{aim}{_autonomy_means(case)}.",
    )


_OWN_WORTH = {
    "direction_only": "a signal, not proven",
    "suggestive": "likely, but not proven",
    "tested": "tested: unlikely to be chance",
}
"""What a trend beside the one that fired is worth; over how many runs it goes is not among a brief's figures."""


def _what_rises(case: _Case) -> dict[str, str]:
    """What people do more and more besides, by what the trends of it are worth."""
    names: dict[str, list[str]] = {}
    for series, name in (("escalations", "escalations"), ("approval_delay", "the wait for approval")):
        if case.mission[f"{series}_trend"] == "worsening":
            names.setdefault(bare(case.mission[f"{series}_trend_evidence"]), []).append(name)
    return {
        evidence: f"{say.capitalised(say.listed(rising))} {'rises' if rising[0].startswith('the') else 'rise'}"
        for evidence, rising in names.items()
    }


def _autonomy_lost_without_people(case: _Case) -> list[str]:
    """What lowers the score of a mission in whose runs nobody intervened and nothing was escalated; else nothing."""
    mission = case.mission
    if mission["mean_human_interventions"] != 0 or mission["mean_escalations"] != 0:
        return []
    causes = []
    if mission["failed_runs"]:
        finished = say.counted(mission["finished_runs"], "finished run")
        causes.append(f"{say.number(mission['failed_runs'])} of {finished} failed")
    if say.is_shown(mission["mean_approval_delay_minutes"]):
        causes.append(f"approvals take {say.minutes(mission['mean_approval_delay_minutes'])} per run")
    if say.is_shown(mission["risk_flagged_share"]):
        share = mission["risk_flagged_share"]
        causes.append(f"{marked(share, f'{100 * share:.0f} %')} of its runs are flagged as risky")
    return causes


def _autonomy_goal(case: _Case, limit: float, score: str) -> str:
    value = case.mission["autonomy_score"]
    if value is not None and value >= limit:
        return f"an autonomy score that stops falling (now {score}) and stays at {say.number(limit)} or more"
    goal = f"an autonomy score of {say.number(limit)} or more (now {score})"
    return goal if case.is_by_level else f"{goal} that no longer falls from run to run"


def _autonomy_means(case: _Case) -> str:
    """What the score would take, where the verdict says so."""
    steps, passed_up = case.aims.get("mean_human_interventions"), case.aims.get("mean_escalations")
    if steps is None or passed_up is None or steps.goal == steps.current:
        return ""
    return (
        f"; that takes at most {say.counted(steps.goal, 'human intervention')} and "
        f"{say.counted(passed_up.goal, 'escalation')} per run"
    )


def _target_gap_persisting(case: _Case) -> Words:
    latest, target, gap = case.kpi_values("kpi_latest_value", "kpi_target_value", "kpi_gap_to_target")
    limit = say.percent(case.limit("triggers.target_gap_persisting.gap_pct"))
    gap_pct = case.mission["kpi_gap_to_target_pct"]  # unknown where the target is nothing at all
    percent = "" if gap_pct is None else f" ({say.percent(gap_pct)})"
    if case.mission["kpi_gap_to_target"] is not None and say.kpi_unit(case.mission.get("kpi_name")) == "%":
        gap = say.percentage_points(case.mission["kpi_gap_to_target"], gap)
        percent = "" if gap_pct is None else f" ({say.percent(gap_pct)} of the target)"
    return (
        f"{case.kpi} is {latest}, {gap}{percent} short of the target of {target}, and "
        f"{case.lasts('kpi_trend', f'it does not improve ({case.seen})')}.",
        f"decide how {case.name} is to close the gap{case.beginning}, or set a target that can be reached.",
        f"{case.kpi} within {limit} of the target of {target}; it is {latest} now.",
    )


def _kpi_plateau(case: _Case) -> Words:
    latest, target = case.kpi_values("kpi_latest_value", "kpi_target_value")
    within = say.number(case.limit("triggers.kpi_plateau.within_pct"))
    return (
        f"{case.kpi} has stood at about {latest} for {say.counted(case.trigger['supporting_runs'], 'run')} "
        f"(all within {within} % of each other), and the target of {target} is not met.",
        f"change how {case.name} works{case.beginning}: more of the same no longer helps.",
        f"{case.kpi} better than {latest} by more than {within} % in the next run.",
    )


def _approval_delay_persisting(case: _Case) -> Words:
    least = case.limit("triggers.approval_delay_persisting.min_delay_minutes")
    limit, observed = say.minutes(least), say.minutes(case.trigger["observed_value"])
    runs = case.trigger["supporting_runs"]
    return (
        f"its latest {'run' if runs == 1 else say.counted(runs, 'run')} waited {observed} on average for approval "
        f"(limit {limit}), and {case.lasts('approval_delay_trend', 'that does not get better')}.",
        f"shorten the approval of {case.place}: name a deputy who may approve, or approve less of it.",
        f"less than {limit} of waiting for approval per run; it is {observed} now."
        if say.is_shown(least)
        else f"less waiting for approval per run than the {observed} of now.",
    )


def _escalation_burden_rising(case: _Case) -> Words:
    mean, average = say.counted(case.mission["mean_escalations"], "escalation"), case.mission["mean_escalations"]
    return (
        f"more and more of its work is passed up to people: {mean} per run on average, and rising ({case.worth}).",
        f"find out why {case.place} is escalated, and let the agent decide those cases by a rule.",
        f"fewer escalations in the next run than the average of {say.number(average)}."
        if say.is_shown(average)
        else "no escalation in the next run.",
    )


def _risk_cluster_forming(case: _Case) -> Words:
    least = case.limit("triggers.risk_cluster_forming.flagged_share")
    limit = say.share(least)
    flagged = say.share(case.mission["risk_flagged_share"])
    return (
        f"{flagged} of its runs were flagged as risky (a cluster from {limit} on; {case.seen}).",
        f"look at the flagged runs of {case.name} together{case.beginning}, and remove what they share.",
        f"{f'less than {limit}' if say.is_shown(least) else 'none'} of the runs of {case.name} flagged; "
        f"it is {flagged} now.",
    )


def _stability_dropping(case: _Case) -> Words:
    duration, kpi = case.mission["duration_residual_share"], case.mission["kpi_residual_share"]
    limit = say.share(case.limit("health.stability_points.variable_up_to_share"))
    known = [("durations vary", duration), ("the main KPI varies", kpi)]
    spread = say.listed([f"{what} by {say.share(by)} of the mean" for what, by in known if say.is_shown(by)])
    return (
        f"its runs cannot be planned with: around their trend, {spread or 'they vary more than before'} ({case.seen}).",
        f"find what differs from run to run in {case.name}{case.beginning}, and even it out.",
        f"both varying by at most {limit} of the mean.",
    )


def _repeated_bottleneck(case: _Case) -> Words:
    if not case.task:
        return (
            f"one task holds {case.name} up again and again.",
            f"give the slowest task of {case.name} more capacity.",
            "no task over its plan in the next run.",
        )
    return _words_of_task(case.task, case.limit)


def finding_of_task(task: Row, mission_name: str, limits: Limits) -> Finding:
    """Return the words for a task that holds runs up and that no trigger names."""
    why, action, aim = _words_of_task(task, limits)
    headline = f"Friction in {mission_name}"
    return Finding(headline, say.capitalised(why), say.capitalised(action), aim)


def _words_of_task(task: Row, limits: Limits) -> Words:
    name = say.task_words(task["task_id"], task["task_name"])
    status, driver = say.BOTTLENECK_WORDS[task["bottleneck_status"]], task["bottleneck_driver"]
    estimate, actual, wait = (
        task[column] for column in ("estimated_minutes", "mean_actual_minutes", "mean_human_delay_minutes")
    )
    longest_wait = limits("friction.delay_hit_minutes")
    is_planned = estimate is None or say.is_shown(estimate, STORED_DECIMALS)
    is_limited = say.is_shown(longest_wait)
    action, aim = {
        "approval_delay": (
            f"shorten the approval of {name}: name a deputy who may approve, or approve less of it.",
            f"{name} waits less than {say.minutes(longest_wait)} for a person; "
            f"it is {say.minutes(wait)} on average now."
            if is_limited
            else f"{name} waits less for a person than the {say.minutes(wait)} of now on average.",
        ),
        "risk": (
            f"remove the cause of the risks reported at {name}.",
            f"no new risk reported at {name}.",
        ),
        "none": (
            f"watch {name} in the next runs.",
            f"{name} within its plan{f' of {say.minutes(estimate)}' if estimate and is_planned else ''}, and "
            f"{f'less than {say.minutes(longest_wait)} of' if is_limited else 'without any'} waiting, in every run.",
        ),
    }.get(
        driver,
        (
            f"re-scope {name} or give it more capacity, or plan it with the time that it takes.",
            f"{name} within its plan of {say.minutes(estimate)}; it takes {say.minutes(actual)} on average now."
            if is_planned
            else f"{name} in less than the {say.minutes(actual)} that it takes on average now.",
        ),
    )
    cause = f" ({say.DRIVER_WORDS[driver]})" if driver != "none" else " without a single cause"
    hits = say.counted(task["recent_hits"], "of its latest runs", "of its latest runs")
    minutes = _time_lost(task)
    return (
        f"{name} holds its mission up most, though none of its latest runs went beyond what is tolerated: {minutes}."
        if task["bottleneck_status"] == "clear"
        else f"{name} is a {status} bottleneck{cause}: {minutes}; {hits} went beyond what is tolerated.",
        action,
        aim,
    )


def _time_lost(task: Row) -> str:
    """Say what a task costs; where the sum is unknown, what is known of its parts."""
    if task["friction_minutes"] is not None:
        return f"{say.counted(task['friction_minutes'], 'minute')} over plan or waiting per run"
    estimate, actual, wait = (
        task[column] for column in ("estimated_minutes", "mean_actual_minutes", "mean_human_delay_minutes")
    )
    waiting = None if wait is None else f"{say.minutes(wait)} of waiting for a person"
    if estimate is not None and actual is not None:
        work = f"{say.minutes(actual)} of work on average against a plan of {say.minutes(estimate)}"
        return f"{work}, and {waiting or 'an unknown wait for a person'}"
    if waiting is not None:
        return f"{waiting} on average, and an unknown time over plan"
    return "the time over plan and the wait for a person are unknown"


def _secondary_kpi_missed(case: _Case) -> Words:
    name = case.trigger["kpi_name"]
    observed, limit = say.kpi_values(name, case.trigger["observed_value"], case.trigger["threshold"])
    words = say.capitalised(say.kpi_words(name))
    return (
        f"{words} was {observed} in the latest run; its limit is {limit}.",
        f"bring {say.kpi_words(name)} back within its limit, starting with {case.place}.",
        f"{words} within the limit of {limit} in the next run; it is {observed} now.",
    )


def _outcomes_dropping(case: _Case) -> Words:
    mission, limit = case.mission, say.share(case.limit("triggers.outcomes_dropping.min_completed_share"))
    action, aim = (
        f"find why runs of {case.name} fail{case.beginning}, before running it more often.",
        f"at least {limit} of the finished runs of {case.name} completed.",
    )
    if case.is_by_level:
        share = say.share(case.trigger["observed_value"])
        runs = say.counted(case.trigger["supporting_runs"], "finished run")
        worth = "likely more than chance, but not proven"
        return f"{share} of its last {runs} completed, below the limit of {limit} ({worth}).", action, aim
    done = f"{say.number(mission['completed_runs'])} of {say.counted(mission['finished_runs'], 'finished run')}"
    return (
        f"{done} completed, {say.number(mission['failed_runs'])} failed (limit {limit} completed; {case.worth}).",
        action,
        aim,
    )


def _missions_at_risk(case: _Case) -> Words:
    limit = case.limit("triggers.portfolio_missions_at_risk.min_missions")
    count = case.portfolio["missions_at_risk"]
    names = list(case.at_risk[:_NAMED_MISSIONS])
    others = [f"{say.number(case.more_at_risk(len(names)))} more"] if len(case.at_risk) > len(names) else []
    which = f" ({say.listed([*names, *others])})" if names else ""
    first = f"begin with {names[0]}" if names else "take them one by one"
    return (
        f"{say.counted(count, 'mission')} {'is' if count == 1 else 'are'} at risk{which}: "
        "they need attention or have a finding of high severity.",
        f"{first}, the worst off, and start nothing new until fewer missions are at risk.",
        f"fewer than {say.counted(limit, 'mission')} at risk (now {say.number(count)}).",
    )


def _escalations_24h(case: _Case) -> Words:
    limit = case.limit("triggers.portfolio_escalations_24h.min_escalations")
    count = say.counted(case.portfolio["escalations_last_24h"], "escalation")
    return (
        f"{count} on this one day (limit {limit}).",
        "have one person go through the day's escalations together and remove what they share.",
        f"fewer than {say.counted(limit, 'escalation')} a day.",
    )


def _open_risk_events(case: _Case) -> Words:
    limit = case.limit("triggers.portfolio_open_risk_events.min_events")
    count = say.counted(case.portfolio["open_risk_events"], "reported risk event")
    return (
        f"{count} still open (limit {limit}).",
        "give every open risk event an owner and a day, and close those that are settled.",
        f"fewer than {say.counted(limit, 'event')} open.",
    )


_WORDS: dict[str, Callable[[_Case], Words]] = {
    "MISSION_TREND_WORSENING": _mission_trend_worsening,
    "AUTONOMY_REGRESSION": _autonomy_regression,
    "TARGET_GAP_PERSISTING": _target_gap_persisting,
    "KPI_PLATEAU": _kpi_plateau,
    "APPROVAL_DELAY_PERSISTING": _approval_delay_persisting,
    "ESCALATION_BURDEN_RISING": _escalation_burden_rising,
    "RISK_CLUSTER_FORMING": _risk_cluster_forming,
    "STABILITY_DROPPING": _stability_dropping,
    "REPEATED_BOTTLENECK": _repeated_bottleneck,
    "SECONDARY_KPI_MISSED": _secondary_kpi_missed,
    "OUTCOMES_DROPPING": _outcomes_dropping,
    "PORTFOLIO_MISSIONS_AT_RISK": _missions_at_risk,
    "PORTFOLIO_ESCALATIONS_24H": _escalations_24h,
    "PORTFOLIO_OPEN_RISK_EVENTS": _open_risk_events,
}

"""The judgement a second time: from raw records to scores, triggers, status and driver, in the plainest Python.

Written from the rules and not from the product, of which it imports nothing; every limit of the shipped policy stands
here as a number. Slow, and for small portfolios only: test_judge_oracle.py compares the two on every day.
"""

from collections import defaultdict
from datetime import date, datetime
from itertools import combinations
from math import inf, sqrt
from statistics import NormalDist, median

FINISHED, OPEN = ("completed", "failed"), ("running", "blocked")
SERIES = ("kpi", "autonomy", "escalations", "approval_delay", "completion")
HIGH = (
    "MISSION_TREND_WORSENING", "AUTONOMY_REGRESSION", "PORTFOLIO_MISSIONS_AT_RISK", "PORTFOLIO_ESCALATIONS_24H",
    "PORTFOLIO_OPEN_RISK_EVENTS",
)  # fmt: skip
STEADINESS = ((0.10, "stable"), (0.20, "mostly_stable"), (0.35, "variable"), (inf, "unstable"))
POINTS = {
    "improving": 92, "flat": 74, "worsening": 38, "insufficient_data": 62,
    "stable": 90, "mostly_stable": 78, "variable": 62, "unstable": 40, "too_few_runs": 65,
}  # fmt: skip


def known(values):
    return [value for value in values if value is not None]


def mean(values):
    values = known(values)
    return sum(values) / len(values) if values else None


def total(values):
    """A sum with an unknown part is unknown."""
    values = list(values)
    return None if None in values else sum(values)


def clipped(value, most=100):
    return max(0, min(most, value))


def above(value, limit, size=None):
    """Above by more than decimal figures in binary lose."""
    return value > limit + 1e-9 * (max(1, abs(limit)) if size is None else size)


def moment(text):
    return None if text is None else datetime.fromisoformat(text.replace("Z", ""))


def wilson_high(successes, trials):
    z = NormalDist().inv_cdf(0.975)
    rate = successes / trials
    middle = rate + z * z / (2 * trials)
    return (middle + z * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))) / (1 + z * z / trials)


# ---------------------------------------------------------------- trends


def gaussian_binomial(n, k, kept):
    """Orders of n values of two kinds, k of one kind, by their inversions."""
    if k in (0, n):
        return [1]
    if (n, k) not in kept:
        without, after = gaussian_binomial(n - 1, k - 1, kept), gaussian_binomial(n - 1, k, kept)
        counts = [0] * max(len(without), len(after) + k)
        for place, count in enumerate(without):
            counts[place] += count
        for place, count in enumerate(after):
            counts[place + k] += count
        kept[n, k] = counts
    return kept[n, k]


def kendall_p(values):
    """Two-sided and exact: the share of all orders of these values that are at least as far from even."""
    score = sum((later > early) - (later < early) for early, later in combinations(values, 2))
    counts, placed = [1], 0
    for value in set(values):
        placed += values.count(value)
        of_group, both = gaussian_binomial(placed, values.count(value), {}), defaultdict(int)
        for i, left in enumerate(counts):
            for j, right in enumerate(of_group):
                both[i + j] += left * right
        counts = [both[place] for place in range(max(both) + 1)]
    pairs = len(counts) - 1
    extreme = sum(count for inversions, count in enumerate(counts) if abs(pairs - 2 * inversions) >= abs(score))
    return extreme / sum(counts)


def trend(values, better, tolerance, is_relative=False):
    """``better``: 1 if higher is better, -1 if lower is, None if nobody knows."""
    result = {"label": "insufficient_data", "n": len(values), "p": None, "evidence": "direction_only", "slope": None}
    if len(values) < 2 or better is None:
        return result
    values = [value * better for value in values]
    places = range(len(values))
    result["slope"] = median((values[j] - values[i]) / (j - i) for i, j in combinations(places, 2))
    if len(values) < 5:
        changes = [(values[-1] - reference, abs(reference)) for reference in (values[-2], values[0])]
    else:
        result["p"] = kendall_p(values)
        changes = [(result["slope"] * (len(values) - 1), abs(median(values)))]
    for label, sign in (("improving", 1), ("worsening", -1)):
        if all(
            above(sign * change, tolerance * size if is_relative else tolerance, size if is_relative else None)
            for change, size in changes
        ):
            result["label"] = label
            return result
    result["label"] = "flat"
    return result


def weigh_evidence(trends):
    """Holm's correction over all trends of one brief."""
    tests = sorted((one for one in trends if one["p"] is not None), key=lambda one: one["p"])
    holds = True
    for place, one in enumerate(tests):
        holds = holds and one["p"] <= 0.05 / (len(tests) - place) * (1 + 1e-9)
        one["evidence"] = "tested" if holds else "suggestive" if one["p"] <= 0.05 else "direction_only"


def residual_share(values):
    """Residual standard deviation around a least-squares line over |mean|; None below three values."""
    values = known(values)
    n = len(values)
    if n < 3:
        return None
    middle, place = sum(values) / n, (n - 1) / 2
    slope = sum((i - place) * (v - middle) for i, v in enumerate(values)) / sum((i - place) ** 2 for i in range(n))
    spread = sqrt(sum((v - middle - slope * (i - place)) ** 2 for i, v in enumerate(values)) / (n - 2))
    return 0 if len(set(values)) == 1 else inf if middle == 0 else spread / abs(middle)


# ---------------------------------------------------------------- the portfolio


def specified(kpis):
    """Return the KPIs of a mission by name: better, baseline, target, is_limit; and the primary KPI's name."""
    found, primary = {}, None
    for key, value in kpis.items():
        if key.startswith("target_"):
            name, baseline = key[7:], kpis.get("baseline_" + key[7:])
            better = None if baseline in (None, value) else 1 if value > baseline else -1
            found[name] = (better, baseline, value, False)
            primary = primary or (name if baseline is not None else None)
        elif key.startswith("max_"):
            found[key[4:]] = (-1, None, value, True)
        elif key.startswith("min_"):
            found[key[4:]] = (1, None, value, True)
        elif key.endswith("_threshold"):
            found[key[:-10]] = (1, None, value, True)
    return found, primary


class Oracle:
    """Knows a portfolio's records; ``day`` judges it."""

    def __init__(self, records):
        self.missions = [one["mission_id"] for one in records["business_missions"]]
        self.kpis = {one: ({}, None) for one in self.missions}
        self.kpis |= {one["mission_id"]: specified(one["kpis"]) for one in records["mission_kpis"]}
        self.tasks = defaultdict(dict)
        for plan in records["decomposed_mission_tasks"]:
            for task in plan["tasks"]:
                self.tasks[plan["mission_id"]][task["task_id"]] = task["estimated_duration_minutes"]
        logs = defaultdict(list)
        for log in records["task_execution_logs"]:
            logs[log["run_id"]].append(log)
        self.runs = [
            self.run(record, logs[record["run_id"]])
            for record in sorted(records["mission_runs"], key=lambda one: (moment(one["start_time"]), one["run_id"]))
        ]
        date_of = {run["run_id"]: run["date"] for run in self.runs}
        self.events = [
            {**one, "day": moment(one["detected_at"]).date() if one["detected_at"] else date_of[one["run_id"]]}
            for one in records["mission_risk_events"]
        ]

    def run(self, record, logs):
        start, end, status = moment(record["start_time"]), moment(record["end_time"]), record["status"]
        waits = [log["human_delay_minutes"] for log in logs if log["human_approval_required"]]
        run = {**record, "logs": logs, "delay": total(waits) if logs else None, "autonomy": None}
        run["start_day"], run["date"] = start.date(), (start if status in OPEN or end is None else end).date()
        parts = (run["human_interventions"], run["escalations"], run["delay"], run["risk_flagged"])
        if status in FINISHED and None not in parts:
            score = 100 - 14 * parts[0] - 18 * parts[1] - min(35, 0.9 * parts[2]) - 40 * parts[3]
            run["autonomy"] = clipped(score, 50 if status == "failed" else 100)
        run["observed"] = {name: value for name, value in (record["kpis"] or {}).items() if value is not None}
        if status == "completed" and logs:
            run["observed"]["steps"] = len({log["task_id"] for log in logs})
        return run

    def day(self, day):
        """Return the missions' cards by id, the triggers in the order of the driver, and the portfolio's figures."""
        cards = {mission: self.card(mission, day) for mission in self.missions}
        weigh_evidence([one for card in cards.values() for one in card["trends"].values()])
        triggers = []
        for mission, card in cards.items():
            own = self.triggers(mission, card) if card["finished"] else {}
            is_high = any(name in HIGH for name in own)
            health = card["health"]
            if not card["finished"]:
                card["status"] = "NO_DATA"
            elif health is not None and not above(70, health):
                card["status"] = "WATCH" if is_high or above(85, health) else "ON_TRACK"
            else:
                card["status"] = "WATCH" if health is None else "ATTENTION_REQUIRED"
            card["is_at_risk"] = is_high or card["status"] == "ATTENTION_REQUIRED"
            triggers += [(mission, name, *fired, card["gap_pct"]) for name, fired in own.items()]
        portfolio, own = self.portfolio(cards, day)
        triggers += [(None, name, supporting, "direction_only", None) for name, supporting in own.items()]
        triggers.sort(
            key=lambda one: (one[1] not in HIGH, -one[2], -(-1 if one[4] is None else one[4]), one[0] or "~", one[1])
        )
        return cards, [fired for *fired, _ in triggers], portfolio

    def card(self, mission, day):
        kpis, primary = self.kpis[mission]
        better, baseline, target, _ = kpis.get(primary, (None, None, None, False))
        finished = [
            run for run in self.runs
            if run["mission_id"] == mission and run["status"] in FINISHED and run["date"] <= day
        ]  # fmt: skip
        last, window = finished[-10:], finished[-20:]
        observed = [run["observed"][primary] for run in finished if primary in run["observed"]]
        trends = {
            "kpi": trend(observed[-20:], better, 0.05, is_relative=True),
            "autonomy": trend(known(run["autonomy"] for run in window), 1, 5),
            "escalations": trend(known(run["escalations"] for run in window), -1, 0.5),
            "approval_delay": trend(known(run["delay"] for run in window), -1, 1),
            "completion": trend([int(run["status"] == "completed") for run in window], 1, 0.05),
        }
        card = {"trends": trends, "finished": finished, "last": last, "observed": observed, "window": window}
        interventions, escalations, delay, flagged = (
            mean(run[name] for run in last) for name in ("human_interventions", "escalations", "delay", "risk_flagged")
        )
        is_known = None not in (interventions, escalations, delay)
        cap = 100 - 50 * (mean(run["status"] == "failed" for run in last) or 0)
        card["autonomy"] = (
            clipped(100 - 14 * interventions - 18 * escalations - min(35, 0.9 * delay) - 40 * flagged, cap)
            if is_known and flagged is not None
            else None
        )
        has_direction = better is not None and bool(observed)
        latest = observed[-1] if observed else None
        card["gap"] = max(0, better * (target - latest)) if has_direction else None
        card["gap_pct"] = 100 * card["gap"] / abs(target) if has_direction and target else None
        card["improvement"] = (
            100 * better * (latest - baseline) / abs(baseline) if has_direction and baseline else None
        )  # fmt: skip
        card["steadiness"] = self.steadiness(last, primary)
        weight = mean(self.event_weight(run, day) for run in last)
        parts = (
            clipped(100 * (baseline - latest) / (baseline - target)) if has_direction else None,
            POINTS[trends["kpi"]["label"]],
            clipped(100 - (12 * interventions + 18 * escalations + min(40, 0.8 * delay))) if is_known else None,
            None if flagged is None or weight is None else clipped(100 - (55 * flagged + min(45, 6 * weight))),
            POINTS[card["steadiness"]],
        )
        weights = (0.35, 0.25, 0.20, 0.10, 0.10)
        is_judged = bool(finished) and None not in parts
        card["health"] = sum(w * part for w, part in zip(weights, parts, strict=True)) if is_judged else None
        card["bottleneck"] = self.bottleneck(mission, day)
        return card

    def steadiness(self, runs, primary):
        shares = known(
            [residual_share(run["total_duration_minutes"] for run in runs),
             residual_share(run["observed"].get(primary) for run in runs)]
        )  # fmt: skip
        if not shares:
            return "too_few_runs"
        return next(label for limit, label in STEADINESS if not above(max(shares), limit) or limit == inf)

    def event_weight(self, run, day):
        events = [one["severity"] for one in self.events if one["run_id"] == run["run_id"] and one["day"] <= day]
        return None if None in events else sum(("low", "medium", "high").index(one) + 1 for one in events)

    def bottleneck(self, mission, day):
        """The task with the most friction minutes as of a day: (minutes, task, hits in its last three runs) or None."""
        found = []
        for task, estimate in self.tasks[mission].items():
            frictions, hits = [], []
            for run in (one for one in self.runs if one["mission_id"] == mission):
                logs = [log for log in run["logs"] if log["task_id"] == task]
                if not logs or max(self.known_on(run, log) for log in logs) > day:
                    continue
                frictions.append(total(self.friction(log, estimate) for log in logs))
                hits.append(any(self.is_hit(log, estimate) for log in logs))
            newest_first = known(reversed(frictions))
            if any(newest_first):
                weights = [0.5**age for age in range(len(newest_first))]
                minutes = sum(w * f for w, f in zip(weights, newest_first, strict=True)) / sum(weights)
                found.append((minutes, task, sum(hits[-3:])))
        return (
            min(found, key=lambda one: (-round(one[0], 9), one[1])) if found else None
        )  # equal but for rounding is equal

    def known_on(self, run, log):
        """A run's executions are known with its end; those of an open run each by itself."""
        by_itself = run["status"] in OPEN and log["finished_at"]
        return moment(log["finished_at"]).date() if by_itself else run["date"]

    def friction(self, log, estimate):
        actual, delay = log["actual_duration_minutes"], log["human_delay_minutes"]
        return None if None in (actual, delay, estimate) else max(0, actual - estimate) + delay

    def is_hit(self, log, estimate):
        actual, delay = log["actual_duration_minutes"], log["human_delay_minutes"]
        is_slow = None not in (actual, estimate) and above(actual, 1.05 * estimate)
        return is_slow or (delay is not None and delay >= 5)

    def triggers(self, mission, card):
        """Return the fired triggers: the runs each rests on, and its evidence.

        A trend brings its own; a level is measured and not tested, but likely where its whole interval is past the limit.
        """
        kpis, primary = self.kpis[mission]
        trends, last, values = card["trends"], card["last"], card["observed"][-20:]
        flags = known(run["risk_flagged"] for run in last)
        delays = known(run["delay"] for run in card["finished"][-3:])
        completed = sum(run["status"] == "completed" for run in last)
        fired = {}

        def worsens(series):
            return trends[series]["label"] == "worsening" and (
                trends[series]["n"] < 5 or trends[series]["evidence"] != "direction_only"
            )

        def improves(series):
            return trends[series]["label"] == "improving"

        def by_trend(series):
            return trends[series]["n"], trends[series]["evidence"]

        def by_level(supporting, evidence="direction_only"):
            return supporting, evidence

        if worsens("kpi"):
            fired["MISSION_TREND_WORSENING"] = by_trend("kpi")
        if len(card["finished"]) >= 2:
            if worsens("autonomy"):
                fired["AUTONOMY_REGRESSION"] = by_trend("autonomy")
            elif card["autonomy"] is not None and above(55, card["autonomy"]) and not improves("autonomy"):
                fired["AUTONOMY_REGRESSION"] = by_level(len(last))
        is_wide = bool(card["gap"]) if card["gap_pct"] is None else above(card["gap_pct"], 8, 100)
        if is_wide and not improves("kpi"):
            fired["TARGET_GAP_PERSISTING"] = by_level(trends["kpi"]["n"])
        if card["gap"] and len(values) >= 3:
            size = max(abs(value) for value in values)
            if not above(max(values) - min(values), 0.02 * size, size):
                fired["KPI_PLATEAU"] = by_level(len(values))
        if delays and not above(5, mean(delays)) and not improves("approval_delay"):
            fired["APPROVAL_DELAY_PERSISTING"] = by_level(len(delays))
        if worsens("escalations"):
            fired["ESCALATION_BURDEN_RISING"] = by_trend("escalations")
        if len(flags) >= 2 and mean(flags) >= 0.5:
            fired["RISK_CLUSTER_FORMING"] = by_level(len(flags))
        half, labels = len(last) // 2, [label for _, label in STEADINESS]
        older, newer = self.steadiness(last[:half], primary), self.steadiness(last[len(last) - half :], primary)
        is_less_steady = "too_few_runs" not in (older, newer) and labels.index(newer) > labels.index(older)
        if card["steadiness"] == "unstable" or (len(last) >= 8 and is_less_steady):
            fired["STABILITY_DROPPING"] = by_level(len(last))
        if card["bottleneck"] and card["bottleneck"][2] >= 2:
            fired["REPEATED_BOTTLENECK"] = by_level(card["bottleneck"][2])
        for name, value in card["finished"][-1]["observed"].items():
            better, _, limit, is_limit = kpis.get(name, (None, None, None, False))
            if is_limit and better * (limit - value) > 0:
                fired["SECONDARY_KPI_MISSED"] = by_level(1)
        if worsens("completion"):
            fired["OUTCOMES_DROPPING"] = by_trend("completion")
        elif above(0.8, wilson_high(completed, len(last))):
            fired["OUTCOMES_DROPPING"] = by_level(len(last), "suggestive")
        return fired

    def portfolio(self, cards, day):
        counts = {
            status: sum(card["status"] == status for card in cards.values())
            for status in ("ATTENTION_REQUIRED", "WATCH", "ON_TRACK", "NO_DATA")
        }
        ended = [run for run in self.runs if run["status"] not in OPEN and run["date"] <= day]
        escalated = [run for run in ended if run["date"] == day and run["escalations"]]
        events = [event for event in self.events if event["status"] == "open" and event["day"] <= day]
        at_risk = sum(card["is_at_risk"] for card in cards.values())
        fired = {}
        if at_risk >= 2:
            fired["PORTFOLIO_MISSIONS_AT_RISK"] = 0  # rests on missions: never before its causes
        if sum(run["escalations"] for run in escalated) >= 3:
            fired["PORTFOLIO_ESCALATIONS_24H"] = len(escalated)
        if len(events) >= 5:
            fired["PORTFOLIO_OPEN_RISK_EVENTS"] = len({event["run_id"] for event in events})
        judged = len(cards) - counts["NO_DATA"]
        attention, watch = (counts[status] / max(judged, 1) for status in ("ATTENTION_REQUIRED", "WATCH"))
        is_large = judged > 20
        if not judged:
            status = "NO_DATA"
        elif attention and (not is_large or attention >= 0.05):
            status = "ATTENTION_REQUIRED"
        elif fired or attention or (watch and (not is_large or watch >= 0.10)):
            status = "WATCH"
        else:
            status = "ON_TRACK"
        figures = {
            "status": status, "missions_at_risk": at_risk, "open_risk_events": len(events),
            "autonomy_score": mean(card["autonomy"] for card in cards.values()),
            "avg_kpi_improvement_pct": mean(card["improvement"] for card in cards.values()),
            "active_runs": sum(run["start_day"] <= day for run in self.runs) - len(ended),
            "escalations_last_24h": total(run["escalations"] for run in ended if run["date"] == day),
        }  # fmt: skip
        return figures, fired

    def of_unknown_health(self, cards, status):
        """The missions that decide a status, have finished runs and no health: they keep the confidence under HIGH.

        Those that have the status decide it; where none has, the worse ones; where none is worse, all with data.
        """
        order = ("ON_TRACK", "WATCH", "ATTENTION_REQUIRED")
        judged = {mission: card for mission, card in cards.items() if card["finished"]}
        if not judged:
            return []
        same = [mission for mission, card in judged.items() if card["status"] == status]
        worse = [mission for mission, card in judged.items() if order.index(card["status"]) > order.index(status)]
        return sorted(mission for mission in same or worse or judged if judged[mission]["health"] is None)

    def days(self, through: date):
        first = min(run["start_day"] for run in self.runs)
        return [date.fromordinal(number) for number in range(first.toordinal(), through.toordinal() + 1)]

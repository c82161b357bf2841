"""Runs that wait at gates, made through the store's own doors: a plan, a worker's claim, an agent's answer."""

from datetime import datetime, timedelta
from types import SimpleNamespace

from mission_pipeline.runner.model import Answer, Choice, KpiTarget, MissionPlan, PlannedTask
from mission_pipeline.runner.store import open_store

START = datetime(2026, 11, 21, 9, 30)
EMAIL = {
    "subject": "Your evaluation: the two open points",
    "to": "Ms. Ito, Kestrel Freight",
    "body": "Dear Ms. Ito,\n\nthank you for the talk on Tuesday. Two points were open: the rollout plan, and who signs.\n"
    "I attach a plan for six weeks. May I have twenty minutes on Thursday?\n\nKind regards\nSam",
    "facts_used": ["last contact 12 days ago", "decision maker not yet met"],
    "tone": "warm",
    "words": 46,
}


class Clock:
    """A clock that a test moves."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now

    def wait(self, **duration):
        self.now += timedelta(**duration)


def task(task_id, name=None, *, after=(), gate=False, agents=("A4", "A5")):
    return PlannedTask(task_id, name, None, tuple(after), 6.0, gate, tuple(agents))


SALES = MissionPlan(
    "M002",
    "Accelerate Sales Pipeline Progression",
    None,
    (
        task("T4", "Analyze deal status"),
        task("T5", "Draft personalized outreach email", after=["T4"], gate=True),
    ),
    (KpiTarget("pipeline_days", "lower_is_better", 45.0, 30.0, True, "target"),),
)


def store_in(folder, policy, clock):
    return open_store(f"sqlite:///{folder / '.runner' / 'missions.sqlite'}", clock=clock, policy=policy)


def work(missions, answers, *, agents=("A4", "A5", "A1"), run_id=None):
    """Do whatever can be done: each task's answers in turn, by the agents in turn."""
    tried = {}
    while (claim := missions.claim("worker", run_id)) is not None:
        number = tried[claim.task_id] = claim.attempt
        agent = agents[(number - 1) % len(agents)]
        missions.choose(claim, Choice(agent, "first in rank", (), None))
        given = answers.get(claim.task_id, {"done": True})
        given = given[min(number - 1, len(given) - 1)] if isinstance(given, list) else given
        answer = given if isinstance(given, Answer) else Answer(given)
        missions.complete(claim, answer, 42.0)


def waiting_run(missions, plan=SALES, answers=None, **more):
    """A run that waits at its first gate; return its id and that of the gate."""
    given = {
        "T4": Answer({"stage": "evaluation", "score": 61}, "Evaluation; two risks."),
        "T5": Answer(EMAIL, "A mail to Ms. Ito."),
    }
    run_id = missions.create_run(
        plan, mission_input=more.pop("mission_input", {"customer": "Kestrel Freight", "value": 84_000}), **more
    )
    work(missions, given if answers is None else answers, run_id=run_id)
    gates = [gate for gate in missions.open_approvals() if gate["run_id"] == run_id]
    return SimpleNamespace(run_id=run_id, gate=gates[0]["approval_id"] if gates else None)

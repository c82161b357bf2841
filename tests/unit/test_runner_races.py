"""Who acts at once on one store, by real threads on a real database: one wins, the others are told."""

import pytest
from mission_store import STORES, Desk, all_at_once, plan, task

from mission_pipeline.errors import AlreadyDecided
from mission_pipeline.runner.model import Answer, Choice

CHOICE = Choice("A1", "best", (), None)


@pytest.fixture(params=STORES)
def new_store(request, tmp_path):
    """Every race is tried on each kind of database."""
    return lambda: STORES[request.param](tmp_path)


def test_workers_that_claim_at_once_get_a_task_each_and_nobody_the_same(new_desk):
    desk = new_desk()
    for _ in range(6):
        desk.start(plan(task("A")))
    workers = [Desk(desk.url) for _ in range(2)] * 4  # threads that share a store, and stores that share a file
    claims = all_at_once(
        *(lambda store=worker.store, name=name: store.claim(f"w{name}") for name, worker in enumerate(workers))
    )
    got = [claim.run_id for claim in claims if claim is not None]
    assert len(got) == len(set(got)) == 6
    assert claims.count(None) == 2
    for worker in set(workers):
        worker.close()


def test_of_approvers_who_decide_at_once_one_wins_and_the_others_are_told_who(new_desk):
    desk = new_desk()
    run_id = desk.start()
    desk.work_on()
    gate = desk.gate()
    desks = [Desk(desk.url) for _ in range(2)] * 3
    answers = all_at_once(
        *(
            lambda store=each.store, name=name: store.decide(
                gate, "approved" if name % 2 else "rejected", by=f"P{name}", reason="so"
            )
            for name, each in enumerate(desks)
        )
    )
    won = [answer for answer in answers if not isinstance(answer, Exception)]
    lost = [answer for answer in answers if isinstance(answer, AlreadyDecided)]
    assert (len(won), len(lost)) == (1, 5)
    assert all(answer.decision == won[0] for answer in lost)
    assert desk.store.approval(gate)["decided_by"] == won[0].decided_by
    assert desk.tasks(run_id)["T2"] == ("completed" if won[0].verdict == "approved" else "pending")
    for each in set(desks):
        each.close()


def test_a_result_and_a_cancellation_at_once_leave_one_truth(new_desk):
    desk = new_desk()
    for _ in range(10):
        run_id = desk.start(plan(task("A")))
        claim = desk.claim(run_id=run_id)
        is_kept, refused = all_at_once(
            lambda claim=claim: desk.store.complete(claim, Answer({}), 1),
            lambda run_id=run_id: desk.store.cancel(run_id, by="Ann"),
        )
        status = desk.store.state(run_id)["status"]
        assert status == ("completed" if is_kept else "cancelled")
        assert (refused is None) is not is_kept
    assert len(desk.logs()) == len(desk.telemetry("mission_runs")) == 10


def test_many_threads_bring_many_runs_to_their_end(new_desk):
    desk = new_desk()
    diamond = plan(task("A"), task("B", "A"), task("C", "A"), task("D", "B", "C"))
    runs = [desk.start(diamond) for _ in range(5)]

    def work():
        while desk.store.has_work():
            claim = desk.store.claim("w")
            if claim is not None:
                assert desk.store.choose(claim, CHOICE)
                assert desk.store.complete(claim, Answer({}), 1)

    assert all_at_once(work, work, work) == [None] * 3
    assert {desk.store.state(run_id)["status"] for run_id in runs} == {"completed"}
    assert len({(log["run_id"], log["task_id"], log["attempt"]) for log in desk.logs()}) == len(desk.logs()) == 20

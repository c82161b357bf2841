from hypothesis import given, settings
from hypothesis import strategies as st

from mission_pipeline.validate.plan_checks import PlannedTask, dependency_cycles, plan_faults


def task(task_id, order=None, after=(), agents=1):
    return PlannedTask(task_id, order, tuple(after), agents)


def faults(*tasks):
    return [(task_id, fault) for task_id, fault, _ in plan_faults(tasks)]


def test_a_sound_plan_has_no_faults():
    assert faults(task("a", 1), task("b", 2, ["a"]), task("c", 3, ["a", "b"])) == []
    assert faults() == []


def test_a_dependency_that_is_not_in_the_plan_is_missing():
    assert plan_faults([task("a", after=["z"])]) == [
        ("a", "missing_dependency", "a depends on z, which is not in the mission's plan.")
    ]


def test_every_task_on_a_cycle_is_named_and_those_beside_it_are_not():
    tasks = [task("before"), task("a", after=["c", "before"]), task("b", after=["a"]), task("c", after=["b"]),
             task("after", after=["c"])]  # fmt: skip
    assert dependency_cycles(tasks) == [["a", "b", "c"]]
    assert faults(*tasks) == [(name, "dependency_cycle") for name in "abc"]


def test_a_task_between_two_cycles_is_on_none():
    tasks = [task("a", after=["b"]), task("b", after=["a"]), task("between", after=["a"]),
             task("c", after=["d", "between"]), task("d", after=["c"])]  # fmt: skip
    assert dependency_cycles(tasks) == [["a", "b"], ["c", "d"]]


def test_a_task_that_waits_for_itself_is_a_cycle_and_no_contradiction_of_order():
    assert plan_faults([task("a", 1, ["a"])]) == [("a", "dependency_cycle", "a waits for itself.")]


def test_an_order_contradicts_a_dependency_unless_it_is_greater():
    contradiction = [("b", "order_contradicts_dependency")]
    assert faults(task("a", 2), task("b", 1, ["a"])) == contradiction
    assert faults(task("a", 2), task("b", 2, ["a"])) == contradiction
    assert faults(task("a", 2), task("b", 3, ["a"])) == []
    assert faults(task("a", None), task("b", 1, ["a"])) == []
    assert faults(task("a", 1), task("b", None, ["a"])) == []


def test_a_task_without_an_able_agent_is_found():
    assert faults(task("a", agents=0), task("b", agents=1)) == [("a", "no_capable_agent")]


def test_a_long_chain_is_checked_without_recursion():
    tasks = [task(f"t{n:05}", n, [f"t{n - 1:05}"] if n else []) for n in range(20_000)]
    assert plan_faults(tasks) == []


PLANS = st.dictionaries(st.sampled_from("abcdefg"), st.sets(st.sampled_from("abcdefgz")))
"""Task → what it depends on, by chance; ``z`` is in no plan."""


def reached_from(start, plan):
    """Every task that one waits for, however indirectly, by asking again until nothing is new."""
    reached = set()
    while found := {other for task_id in {start, *reached} for other in plan.get(task_id, ())} - reached:
        reached |= found
    return reached


@settings(deadline=None, max_examples=300)
@given(PLANS)
def test_tasks_are_on_a_cycle_if_each_waits_for_the_other(plan):
    reached = {task_id: reached_from(task_id, plan) for task_id in plan}
    groups = {
        tuple(sorted(other for other in plan if other in reached[task_id] and task_id in reached[other]))
        for task_id in plan
        if task_id in reached[task_id]
    }
    tasks = [task(task_id, after=others) for task_id, others in plan.items()]
    assert dependency_cycles(tasks) == sorted(map(list, groups))


def test_a_long_cycle_is_one_group():
    tasks = [task(f"t{n:05}", after=[f"t{(n + 1) % 20_000:05}"]) for n in range(20_000)]
    assert dependency_cycles(tasks) == [[planned.task_id for planned in tasks]]

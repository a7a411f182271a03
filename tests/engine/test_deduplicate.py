"""Plans of a dedup that outlive the memory they were made for."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.dedup.collisions import CollisionTask, plan_collisions
from gpurefine.engine.deduplicate import task_for_budget


@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=20), st.integers(1 << 14, 1 << 22))
@example([0, 50_000, 3], 1 << 14)
def test_with_the_memory_of_the_plan_the_tasks_are_those_of_the_plan(slices, budget):
    rows = np.array(slices)
    tasks = plan_collisions(rows, 2, budget)
    assert [task_for_budget(task.first, task.last, rows, 2, budget) for task in tasks] == tasks


def test_less_memory_takes_more_passes_and_more_memory_fewer():
    rows = np.array([10, 100_000, 20_000])
    few, many = (task_for_budget(0, 3, rows, 2, budget).passes for budget in (1 << 20, 1 << 18))
    assert 1 < few < many
    assert task_for_budget(0, 3, rows, 2, 1 << 30) == CollisionTask(0, 3, 1)

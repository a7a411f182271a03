"""Collide tasks: their plan, their memory, and keys that many documents share."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from memory import measure

from gpurefine.dedup.collisions import CollisionTask, collide, plan_collisions
from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.keys import SLICES, slice_rows, write_key_file
from gpurefine.dedup.linking import bytes_a_key
from gpurefine.errors import RunError

MIB = 1 << 20


def key_file(path, high, documents=None):
    """A key file whose low halves follow from the high ones."""
    documents = np.arange(len(high), dtype=np.uint64) if documents is None else documents
    write_key_file(path, [high, high * np.uint64(3)], documents, ["high", "low"])
    return path


def edges(path):
    """The edges of a file in their order, (n, 2)."""
    file = ColumnFile(path)
    return file.read(0, len(file.rows)).T


@given(
    rows=st.lists(st.integers(0, 200_000), min_size=1, max_size=40),
    columns=st.integers(1, 3),
    budget=st.integers(100_000, 8 * MIB),
)
@example(rows=[0, 0, 0], columns=2, budget=MIB)
@example(rows=[0, 10**8, 5, 0, 5], columns=2, budget=64 * MIB)
def test_a_plan_covers_each_slice_once_within_the_budget(rows, columns, budget):
    tasks = plan_collisions(np.array(rows, np.int64), columns, budget)
    covered = [part for task in tasks for part in range(task.first, task.last)]
    assert covered == sorted(set(covered))
    assert {part for part, count in enumerate(rows) if count} <= set(covered)
    for task in tasks:
        held = sum(rows[task.first : task.last])
        assert task.passes == 1 or (task.last == task.first + 1 and held > (task.passes - 1) * 1000)
        assert held / task.passes * bytes_a_key(columns) <= budget
    for one, other in itertools.pairwise(tasks):
        # a border between two tasks is there because both do not fit
        both = sum(rows[one.first : other.first + 1])
        assert both * bytes_a_key(columns) > budget / 2


def test_a_million_equal_keys_and_some_others(tmp_path):
    high = np.full(1_000_000, 7 << 56, np.uint64)
    high[::1000] = np.arange(1000, dtype=np.uint64) + (np.uint64(7) << np.uint64(56))
    paths = [key_file(tmp_path / f"{n}.keys", high[n::2], np.arange(n, len(high), 2, np.uint64)) for n in range(2)]
    # documents 0 and 1, 3, ... have the first key; the other 999 keys are alone
    task, budget = CollisionTask(0, SLICES, passes=4), MIB
    counts = collide(task, paths, tmp_path / "edges", budget)
    assert counts == {"rows": 1_000_000, "edges": 999_000, "shared": 1}
    found = edges(tmp_path / "edges")
    assert (found[:, 0] == 0).all()
    assert len(np.unique(found[:, 1])) == 999_000


def test_no_keys_no_files(tmp_path):
    empty = key_file(tmp_path / "empty.keys", np.empty(0, np.uint64))
    assert plan_collisions(slice_rows([empty]), 2, MIB) == plan_collisions(slice_rows([]), 2, MIB) == []
    for paths in ([empty], []):
        assert collide(CollisionTask(0, SLICES), paths, tmp_path / "edges", MIB)["edges"] == 0
        assert edges(tmp_path / "edges").shape == (0, 2)


def test_a_damaged_key_file_is_named_and_no_edge_file_is_left(tmp_path):
    path = key_file(tmp_path / "a.keys", np.arange(100, dtype=np.uint64))
    data = bytearray(path.read_bytes())
    data[99] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"a\.keys is damaged: the checksum of slice 0, column 'high'"):
        collide(CollisionTask(0, SLICES), [path], tmp_path / "edges", MIB)
    assert [each.name for each in tmp_path.iterdir()] == ["a.keys"]


MEASURE = """
    from gpurefine.dedup.collisions import CollisionTask, collide, plan_collisions
    from gpurefine.dedup.keys import SLICES, slice_rows

    small, large, out, budget = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    collide(CollisionTask(0, SLICES), [small], out, budget)  # the kernel is compiled
    before = current_memory()
    tasks = plan_collisions(slice_rows([large]), 2, budget)
    for task in tasks:
        collide(task, [large], out, budget)
    print(peak_memory() - before, len(tasks), max(task.passes for task in tasks))
"""


@pytest.mark.parametrize(
    ("megabytes", "skewed"),
    [
        (8, False),
        (8, True),
        pytest.param(64, False, marks=pytest.mark.slow),
        pytest.param(64, True, marks=pytest.mark.slow),
    ],
)
def test_peak_memory_stays_under_the_budget_for_keys_ten_times_as_large(tmp_path, megabytes, skewed):
    budget = megabytes * MIB
    high = np.random.default_rng(0).integers(0, 2**64, 10 * budget // 24, dtype=np.uint64)
    if skewed:
        # half of all documents have one key, and most others lie in its slice, too
        high >>= np.uint64(8)
        high[::2] = 5
    key_file(tmp_path / "small", high[:100])
    key_file(tmp_path / "large", high)
    growth, tasks, passes = measure(MEASURE, tmp_path / "small", tmp_path / "large", tmp_path / "edges", budget)
    assert growth < budget
    if skewed:
        # a slice above the budget takes all of it; a plan that were ten times too careful would pass the line above
        assert growth > budget / 4
        assert passes > 8
    else:
        # slice by slice, a task needs less than what its slices have together
        assert tasks > 8

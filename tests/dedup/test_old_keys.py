"""Keys of old runs in the search for collisions: against all pairs, whatever budget and passes; memory."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory import measure

from gpurefine.dedup import collisions, linking
from gpurefine.dedup.collisions import CollisionTask, collide, plan_collisions
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import open_key_writer, slice_rows, write_key_file
from gpurefine.dedup.oldkeys import OldKeyFile

MIB = 1 << 20
KEYS = [0, 1, 2, 3, 4, 5, 2**64 - 1, 1 << 56, (1 << 56) + 1]


def write_bands(path, partition, rows):
    with open_key_writer(path, ["key"], len(rows[0]) if rows else 2, partition) as writer:
        writer.add(np.array(rows, np.uint64).reshape(-1, 2).T)
    return path


def write_table(path, partition, rows):
    high, low = np.array(rows, np.uint64).reshape(-1, 2).T
    numbers = (np.uint64(partition) << np.uint64(32)) + np.arange(len(rows), dtype=np.uint64)
    write_key_file(path, [high, low], numbers, ["high", "low"])
    return path


def joined(numbers, alike):
    """Sets of two or more that pairs join, by walking."""
    left, found = set(numbers), []
    while left:
        members, border = set(), {min(left)}
        while border:
            members |= border
            border = {other for one in border for other in left - members if alike(one, other)}
        left -= members
        if len(members) > 1:
            found.append(members)
    return sorted(found, key=min)


partition_lists = st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS)), max_size=7), max_size=3)


@pytest.mark.parametrize("banded", [True, False])
@settings(max_examples=60)
@given(
    own=partition_lists.filter(len),
    old=st.lists(partition_lists, max_size=3),
    passes=st.integers(1, 3),
    budget=st.sampled_from([50, MIB]),
    chunk=st.sampled_from([1, 3, 1 << 18]),
)
@example(own=[[(1, 2)]], old=[[[(1, 2), (1, 2)]], [[(1, 2)]]], passes=1, budget=MIB, chunk=1)  # one and many old copies
@example(own=[[(3, 4)]], old=[[[(1, 2), (1, 2)]]], passes=1, budget=MIB, chunk=1)  # old documents alone
@example(own=[[(1, 2)]], old=[[[(1, 5), (4, 2)]]], passes=2, budget=50, chunk=1)  # two old ones that a new one joins
@example(own=[[]], old=[[[(1, 2)]]], passes=1, budget=MIB, chunk=1)
def test_components_are_those_of_pairs_with_a_document_of_this_run(banded, own, old, passes, budget, chunk):
    write = write_bands if banded else write_table
    documents, mine, files = {}, set(), []
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(collisions, "LEAST_TASK_KEYS", 1)
        patch.setattr(linking, "CHUNK_ROWS", chunk)
        patch.setattr(linking, "LEAST_CHUNK_ROWS", 1)
        paths = [write(folder / f"{number}.keys", number, rows) for number, rows in enumerate(own)]
        for number, rows in enumerate(own):
            documents |= {(number << 32) + row: keys for row, keys in enumerate(rows)}
        mine |= documents.keys()
        first = len(own)
        for run, parts in enumerate(old):
            for number, rows in enumerate(parts):
                path = write(folder / f"old-{run}-{number}.keys", number, rows)
                files.append(OldKeyFile(path, first << 32))
                documents |= {(first + number << 32) + row: keys for row, keys in enumerate(rows)}
            first += len(parts)
        edges = []
        for number, task in enumerate(plan_collisions(slice_rows(paths), 2, budget, 2 if banded else 0, 4)):
            edges.append(folder / f"{number}.edges")
            task = CollisionTask(task.first, task.last, max(passes, task.passes))
            collide(task, paths, edges[-1], budget, old=files)
        connect(edges, folder / "labels.parquet", MIB)
        found = {}
        for row in pq.read_table(folder / "labels.parquet").to_pylist():
            found.setdefault(row["root"], set()).add(row["document"])

    def alike(one, other):
        if one not in mine and other not in mine:
            return False
        pairs = zip(documents[one], documents[other], strict=True)
        if banded:
            return any(here == there != 0 for here, there in pairs)
        return documents[one] == documents[other]

    assert sorted(found.values(), key=min) == joined(documents, alike)
    # a cluster is named by a document of this run, so that its survivor is found with those of this run
    assert all(root in mine for root in found)


MEASURE = """
    from gpurefine.dedup.collisions import collide, plan_collisions
    from gpurefine.dedup.keys import key_bands, slice_rows
    from gpurefine.dedup.oldkeys import OldKeyFile

    own, old, folder, budget = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    tasks = plan_collisions(slice_rows([own]), 1, budget, key_bands(own))
    for path in (own, old):
        before = current_memory()
        files = [OldKeyFile(path, (1 + number) << 32) for number in range(1 if path == own else 3)]
        found = sum(collide(task, [own], folder / "edges", budget, old=files)["edges"] for task in tasks)
        growth = peak_memory() - before
    print(growth, found)
"""


def test_memory_does_not_grow_with_old_keys(tmp_path):
    random = np.random.default_rng(0)
    budget, bands = 8 * MIB, 8
    sizes = {"own": 20_000, "old": 1_000_000}
    for name, documents in sizes.items():
        with open_key_writer(tmp_path / name, ["key"], bands, 0) as writer:
            for begin in range(0, documents, 20_000):
                keys = random.integers(1, 2**64, (bands, 20_000), dtype=np.uint64)
                if name == "own":
                    mine = keys
                elif begin == 0:
                    keys[0, :5_000] = mine[0, :5_000]
                writer.add(keys)
    assert (tmp_path / "old").stat().st_size > 7 * budget
    growth, edges = measure(MEASURE, tmp_path / "own", tmp_path / "old", tmp_path, budget)
    # each of the three old runs has the same 5,000 copies
    assert edges == 15_000
    assert growth < budget

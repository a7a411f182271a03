"""Bands from key files to components, against brute force over all pairs; forests, budgets, memory, damage."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory import measure

from gpurefine.dedup import bandkeys, collisions, linking
from gpurefine.dedup.bandcollisions import forest_documents
from gpurefine.dedup.collisions import MOST_PASSES, CollisionTask, collide, plan_collisions
from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.components import connect
from gpurefine.dedup.keys import join_key_files, open_key_writer, slice_rows
from gpurefine.errors import DamagedFileError, RunError

GOLDEN = [
    case
    for line in (Path(__file__).parents[1] / "golden" / "clusters.jsonl").read_text("utf-8").splitlines()
    if (case := json.loads(line))["rule"] == "clusters_from_bands"
]
MIB = 1 << 20


def key_files(folder, partitions):
    """Key files of partitions, each uint64 (bands, documents)."""
    paths = []
    for number, keys in enumerate(partitions):
        paths.append(folder / f"{number}.keys")
        with open_key_writer(paths[-1], ["key"], len(keys), number) as writer:
            writer.add(keys)
    return paths


def clusters(folder, paths, bands, budget=MIB, tasks=32, passes=1):
    """Sets of document numbers with more than one member, the counts of all tasks, and how many tasks there were."""
    edge_paths, counts = [], {"rows": 0, "edges": 0, "shared": 0}
    for number, task in enumerate(plan_collisions(slice_rows(paths), 1, budget, bands, tasks)):
        edge_paths.append(folder / f"{number}.edges")
        again = CollisionTask(task.first, task.last, max(passes, task.passes))
        for name, count in collide(again, paths, edge_paths[-1], budget).items():
            counts[name] += count
    connect(edge_paths, folder / "labels.parquet", MIB)
    found = {}
    for row in pq.read_table(folder / "labels.parquet").to_pylist():
        found.setdefault(row["root"], set()).add(row["document"])
    assert all(root == min(members) for root, members in found.items())
    return list(found.values()), counts, len(edge_paths)


def brute_force(documents):
    """Clusters of {number: keys by band}: all pairs that share a key other than 0 in one band, joined by walking."""
    left, found = dict(documents), []
    while left:
        members, border = set(), {next(iter(left))}
        while border:
            members |= border
            border = {
                other
                for one in border
                for other, keys in left.items()
                if any(mine == theirs != 0 for mine, theirs in zip(documents[one], keys, strict=True))
            } - members
        for member in members:
            del left[member]
        if len(members) > 1:
            found.append(members)
    return sorted(found, key=min)


@st.composite
def partitions(draw):
    """Partitions of documents with few different keys in a few bands."""
    bands = draw(st.integers(1, 5))
    key = st.sampled_from([0, *range(1, draw(st.integers(2, 12))), 2**64 - 1])
    documents = st.lists(st.lists(key, min_size=bands, max_size=bands), max_size=8)
    return [
        np.array(part, np.uint64).reshape(-1, bands).T for part in draw(st.lists(documents, min_size=1, max_size=5))
    ]


@settings(max_examples=80, deadline=None)
@given(
    parts=partitions(),
    joined=st.integers(1, 3),
    block=st.integers(1, 9),
    tasks=st.integers(1, 6),
    passes=st.integers(1, 3),
    budget=st.sampled_from([50, 200, MIB]),
    chunk=st.sampled_from([1, 3, 1 << 18]),
)
@example(
    parts=[np.array([[1, 2], [2, 1]], np.uint64)], joined=1, block=9, tasks=1, passes=1, budget=MIB, chunk=9
)  # equal keys in different bands
@example(parts=[np.zeros((2, 5), np.uint64)], joined=1, block=9, tasks=1, passes=1, budget=MIB, chunk=9)
@example(parts=[np.zeros((3, 0), np.uint64)], joined=1, block=9, tasks=1, passes=1, budget=MIB, chunk=9)
def test_components_are_those_of_all_pairs_that_share_a_band(parts, joined, block, tasks, passes, budget, chunk):
    bands = len(parts[0])
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(bandkeys, "BLOCK_BYTES", 8 * bands * block)
        patch.setattr(collisions, "LEAST_TASK_KEYS", 1)
        patch.setattr(linking, "CHUNK_ROWS", chunk)
        patch.setattr(linking, "LEAST_CHUNK_ROWS", 1)
        paths = key_files(folder, parts)
        if joined > 1:
            groups = [paths[begin : begin + joined] for begin in range(0, len(paths), joined)]
            paths = [folder / f"joined-{number}" for number in range(len(groups))]
            for group, path in zip(groups, paths, strict=True):
                join_key_files(group, path)
        found, counts, tasks_made = clusters(folder, paths, bands, budget, tasks, passes)
    documents = {
        (part << 32) + row: keys.T[row].tolist() for part, keys in enumerate(parts) for row in range(keys.shape[1])
    }
    expected = brute_force(documents)
    assert sorted(found, key=min) == expected
    assert counts["rows"] == len(documents) * bands
    forest = sum(len(members) - 1 for members in expected)
    assert forest <= counts["edges"]
    if budget == MIB:
        assert counts["edges"] <= forest * tasks_made
    assert sum(map(len, expected)) <= counts["edges"] + counts["shared"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_golden_buckets(tmp_path, case):
    # a key that names its band stands in a band of its own, others stand in all bands they could collide in
    names = sorted({key for keys in case["input"] for key in keys})
    bands = np.array([[int(name in keys) for keys in case["input"]] for name in names], np.uint64)
    found, _, _ = clusters(tmp_path, key_files(tmp_path, [bands]), len(names))
    alone = set(range(len(case["input"]))).difference(*found)
    assert sorted([*map(sorted, found), *([each] for each in alone)]) == case["expected"]


def test_a_million_identical_documents_and_some_others(tmp_path):
    documents, bands = 1_000_000, 6
    keys = np.full((bands, documents), 7, np.uint64)
    keys[:, ::1000] = np.arange(1000, 2000, dtype=np.uint64)
    paths = key_files(tmp_path, [keys[:, :300_000], keys[:, 300_000:]])
    counts = collide(CollisionTask(0, bands), paths, tmp_path / "edges", 64 * MIB)
    # n - 1 for the n = 999,000 equal ones, however many bands there are
    assert counts == {"rows": bands * documents, "edges": 998_999, "shared": bands}
    edges = ColumnFile(tmp_path / "edges")
    left, right = edges.read(0, len(edges.rows))
    assert set(left.tolist()) == {1}
    numbers = np.r_[np.arange(300_000), (1 << 32) + np.arange(700_000)]
    identical = np.arange(documents) % 1000 != 0
    np.testing.assert_array_equal(np.sort(right), numbers[identical][1:])


def test_exact_duplicates_cost_an_edge_a_task_and_not_one_a_band(tmp_path):
    keys = np.random.default_rng(0).integers(1, 2**64, (450, 500), dtype=np.uint64)
    paths = key_files(tmp_path, [keys, keys])
    counts = collide(CollisionTask(0, 15), paths, tmp_path / "edges", MIB)
    assert counts == {"rows": 15_000, "edges": 500, "shared": 15 * 500}
    # a budget without room for the forest: correct, and as many edges as there are collisions
    assert collide(CollisionTask(0, 15), paths, tmp_path / "edges", 1000)["edges"] > 15 * 400


@given(documents=st.integers(0, 10**7), bands=st.integers(1, 500), budget=st.integers(4, 64), tasks=st.integers(1, 40))
@example(documents=0, bands=450, budget=64, tasks=32)
@example(documents=10**7, bands=450, budget=64, tasks=32)
def test_a_plan_covers_each_band_once_in_equal_tasks(documents, bands, budget, tasks):
    plan = plan_collisions(np.full(bands, documents, np.int64), 1, budget * MIB, bands, tasks)
    assert [band for task in plan for band in range(task.first, task.last)] == (list(range(bands)) if documents else [])
    assert len(plan) <= min(tasks, bands)
    sizes = {task.last - task.first for task in plan}
    assert not sizes or max(sizes) - min(sizes) <= 1
    for task in plan:
        forest = 4 * forest_documents(documents, budget * MIB)
        assert forest + 16 / 0.75 * documents / task.passes <= budget * MIB


def test_a_large_collection_gets_as_many_tasks_as_asked_for_and_a_small_one_fewer():
    assert len(plan_collisions(np.full(450, 10**6), 1, 64 * MIB, 450)) == 32
    assert len(plan_collisions(np.full(450, 10**6), 1, 64 * MIB, 450, tasks=100)) == 100
    assert len(plan_collisions(np.full(450, 10**4), 1, 64 * MIB, 450)) == 4
    assert len(plan_collisions(np.full(450, 1000), 1, 64 * MIB, 450)) == 1


@pytest.mark.parametrize("bands", [0, 450])
def test_a_budget_that_is_far_too_small_is_refused_with_one_that_does(bands):
    rows = np.full(bands or 1, 10**9)
    with pytest.raises(RunError, match=r"1,000,000,000 keys .* times is the limit: give more --memory") as caught:
        plan_collisions(rows, 1, MIB, bands)
    enough = int(str(caught.value).split("so that a task has ")[1].split()[0].replace(",", ""))
    assert enough < 10 * (10**9 * 22 / MOST_PASSES)
    assert plan_collisions(rows, 1, enough, bands)[0].passes > MOST_PASSES / 4


def test_a_smaller_budget_than_planned_takes_more_passes(tmp_path):
    keys = np.random.default_rng(0).integers(1, 1000, (2, 20_000), dtype=np.uint64)
    paths = key_files(tmp_path, [keys])
    results = []
    for budget in (64 * MIB, 50_000):
        collide(CollisionTask(0, 2), paths, tmp_path / "edges", budget)
        connect([tmp_path / "edges"], tmp_path / "labels", MIB)
        results.append(pq.read_table(tmp_path / "labels"))
    assert results[0].equals(results[1])


def test_a_damaged_or_foreign_key_file_is_named_and_no_edge_file_is_left(tmp_path):
    (path,) = key_files(tmp_path, [np.ones((3, 10), np.uint64)])
    whole = path.read_bytes()
    with pytest.raises(DamagedFileError, match=r"0\.keys is damaged: it has 3 bands, not 4 or more"):
        collide(CollisionTask(0, 4), [path], tmp_path / "edges", MIB)
    data = bytearray(whole)
    data[8 + 8 + 80 + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=r"0\.keys is damaged: the checksum of slice 2, column 'key'") as caught:
        collide(CollisionTask(0, 3), [path], tmp_path / "edges", MIB)
    assert caught.value.path == path
    assert [each.name for each in tmp_path.iterdir()] == ["0.keys"]
    # a band that the task does not take is not read
    assert collide(CollisionTask(0, 1), [path], tmp_path / "edges", MIB)["edges"] == 9


MEASURE = """
    from gpurefine.dedup.collisions import collide, plan_collisions
    from gpurefine.dedup.components import connect
    from gpurefine.dedup.keys import key_bands, slice_rows

    small, large, folder, budget = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])

    def run(path):
        tasks = plan_collisions(slice_rows([path]), 1, budget, key_bands(path))
        edges = [folder / f"{number}.edges" for number in range(len(tasks))]
        before = current_memory()
        found = sum(collide(task, [path], out, budget)["edges"] for task, out in zip(tasks, edges))
        colliding, before = peak_memory() - before, current_memory()
        documents = connect(edges, folder / "labels", budget)["documents"]
        return len(tasks), max(task.passes for task in tasks), found, documents, colliding, peak_memory() - before

    run(small)  # the kernels are compiled
    print(*run(large))
"""

#: What connect takes beside its budget, for edges that are read and labels that are written, however many there are.
BESIDES = 40 * MIB


@pytest.mark.parametrize(
    ("megabytes", "bands", "documents"),
    [
        (4, 8, 700_000),
        pytest.param(64, 450, 200_000, marks=pytest.mark.slow),
        pytest.param(64, 14, 6_500_000, marks=pytest.mark.slow),
    ],
)
def test_peak_memory_stays_under_a_tenth_of_the_keys(tmp_path, megabytes, bands, documents):
    budget = megabytes * MIB
    write_synthetic(tmp_path / "small", bands, 1000)
    write_synthetic(tmp_path / "large", bands, documents)
    assert (tmp_path / "large").stat().st_size > 10 * budget
    tasks, passes, edges, connected, colliding, connecting = measure(
        MEASURE, tmp_path / "small", tmp_path / "large", tmp_path, budget
    )
    assert colliding < budget
    assert connecting < budget + BESIDES
    # one in ten documents is the copy of another
    assert connected == documents // 10 * 2
    assert edges >= documents // 10 * tasks
    if bands < 450:
        # a band of all documents takes several times the budget; a task that used little of it would not show that
        assert passes >= 4
        assert colliding > budget / 2


def write_synthetic(path, bands, documents):
    """Random keys; each tenth document is equal to the one before."""
    random = np.random.default_rng(0)
    with open_key_writer(path, ["key"], bands, 0) as writer:
        for begin in range(0, documents, 10_000):
            keys = random.integers(1, 2**64, (bands, min(10_000, documents - begin)), dtype=np.uint64)
            keys[:, 9::10] = keys[:, 8::10]
            writer.add(keys)

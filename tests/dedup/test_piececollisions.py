"""Keys of pieces to marks and spans: any budget, partitioning and number of tasks, against dictionaries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import measure

from gpurefine.dedup import piececollisions
from gpurefine.dedup.collisions import CollisionTask
from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.keys import SLICES, slice_rows
from gpurefine.dedup.marks import read_marks
from gpurefine.dedup.piececollisions import collide_pieces, plan_pieces
from gpurefine.dedup.piecekeys import PieceKeyWriter, copies_inside, document_starts
from gpurefine.dedup.pieces import Pieces, first_place
from gpurefine.dedup.spanfiles import find_spans, read_spans
from gpurefine.errors import RunError

MIB = 1 << 20

keys = st.sampled_from([(0, 0), (0, 1), (1 << 63, 0), (2**64 - 1, 7)])
documents = st.tuples(st.lists(keys, max_size=6), st.integers(0, 2))


def write(folder, partition, documents, ordered):
    """Key file of documents of (keys, order)."""
    paths = folder / f"{partition}.keys", folder / f"{partition}.pieces"
    with PieceKeyWriter(*paths, partition, ordered) as writer:
        for keys_of, order in documents:
            table = np.array(keys_of, np.uint64).reshape(-1, 2).T
            again = np.array([key in keys_of[:number] for number, key in enumerate(keys_of)], bool)
            pieces = Pieces(table, np.array([0, len(keys_of)]), again=again)
            writer.add(pieces, np.array([order], np.uint64) if ordered else None)
    return paths


def leaving(partitions, ordered, keep_one):
    """(partition, document, piece) of what leaves, by a dictionary."""
    holders = {}
    for partition, documents_of in enumerate(partitions):
        for document, (keys_of, order) in enumerate(documents_of):
            for piece, key in enumerate(keys_of):
                holders.setdefault(key, []).append((order if ordered else 0, partition, document, piece))
    gone = set()
    for places in holders.values():
        of_documents = {place[1:3] for place in places}
        kept = {min(places)} if keep_one or len(of_documents) == 1 else set()
        gone |= {place[1:] for place in places if place not in kept}
    return gone


@given(
    partitions=st.lists(st.lists(documents, max_size=4), min_size=1, max_size=3),
    ordered=st.booleans(),
    keep_one=st.booleans(),
    tasks=st.integers(1, 3),
)
def test_spans_are_what_a_dictionary_says(tmp_path_factory, partitions, ordered, keep_one, tasks):
    folder, count = tmp_path_factory.mktemp("pieces"), len(partitions)
    paths = [write(folder, number, documents_of, ordered) for number, documents_of in enumerate(partitions)]
    key_paths = [path for path, _ in paths]
    planned = plan_pieces(slice_rows(key_paths), ordered, 64 * MIB, tasks)
    marks = [folder / f"marks-{number}" for number in range(len(planned))]
    for task, path in zip(planned, marks, strict=True):
        collide_pieces(task, key_paths, path, count, keep_one, 64 * MIB)
    starts = [document_starts(path) for _, path in paths]
    again = [copies_inside(path) for _, path in paths]
    found = find_spans(marks, 0, range(count), starts, again, 1, folder / "spans", 1)
    gone = set()
    for partition in range(count):
        rows, bounds = read_spans(folder / "spans", partition)
        for row, (first, last) in zip(rows.tolist(), bounds.tolist(), strict=True):
            gone |= {(partition, row, piece) for piece in range(first, last)}
    assert gone == leaving(partitions, ordered, keep_one)
    assert found["pieces"] == len(gone)
    assert found["documents"] == len({place[:2] for place in gone})


@given(rows=st.lists(st.integers(0, 10_000), min_size=1, max_size=30), tasks=st.integers(1, 9), ordered=st.booleans())
def test_a_plan_covers_each_slice_once(rows, tasks, ordered):
    planned = plan_pieces(np.array(rows, np.int64), ordered, 64 * MIB, tasks)
    covered = [part for task in planned for part in range(task.first, task.last)]
    assert covered == sorted(set(covered))
    assert {part for part, count in enumerate(rows) if count} <= set(covered)
    assert len(planned) <= 2 * tasks


def test_a_budget_that_is_too_small_is_told_with_one_that_does(tmp_path, monkeypatch):
    path = many_keys(tmp_path, 500_000, 1)
    monkeypatch.setattr(piececollisions, "FIRST_SHARES", 1)
    monkeypatch.setattr(piececollisions, "MOST_PASSES", 1)
    with pytest.raises(RunError, match=r"read 2 times or more .* so that a task has 2,000 bytes or more"):
        collide_pieces(CollisionTask(0, SLICES), [path], tmp_path / "marks", 1, True, 1000)
    assert not (tmp_path / "marks").exists()


def test_many_copies_of_few_keys_are_read_as_often_as_few_keys(tmp_path, monkeypatch):
    path = many_keys(tmp_path, 500_000, 250_000)
    monkeypatch.setattr(piececollisions, "FIRST_SHARES", 1)
    monkeypatch.setattr(piececollisions, "MOST_PASSES", 1)
    counts = collide_pieces(CollisionTask(0, SLICES), [path], tmp_path / "marks", 1, True, 100_000)
    assert counts["marks"] == 500_000 - 2


def many_keys(folder, count, copies):
    """A key file of ``count`` pieces in documents of 100, each key ``copies`` times."""
    numbers = np.arange(count, dtype=np.uint64) % np.uint64(count // copies)
    high = numbers * np.uint64(0x9E3779B97F4A7C15)
    path = folder / "0.keys"
    with PieceKeyWriter(path, folder / "0.pieces", 0, False) as writer:
        writer.add(Pieces(np.stack([high, numbers]), np.arange(0, count + 1, 100)), None)
    return path


@pytest.mark.parametrize("copies", [1, 2, 500_000])
def test_several_passes_find_what_one_finds(tmp_path, copies):
    path = many_keys(tmp_path, 500_000, copies)
    for budget in (64 * MIB, MIB // 2):
        counts = collide_pieces(CollisionTask(0, SLICES), [path], tmp_path / "marks", 1, True, budget)
        assert counts == {"rows": 500_000, "marks": 500_000 - 500_000 // copies}
        found = np.sort(np.concatenate([np.empty(0, np.uint64), *read_marks([tmp_path / "marks"], 0)]))
        assert (found == np.arange(500_000 // copies, 500_000, dtype=np.uint64) + np.uint64(first_place(0))).all()


@pytest.mark.parametrize("copies", [1, 2_000_000])
def test_memory_is_set_by_the_budget(tmp_path, copies):
    many_keys(tmp_path, 2_000_000, copies)
    program = """
        from gpurefine.dedup.collisions import CollisionTask
        from gpurefine.dedup.piececollisions import collide_pieces
        folder = Path(sys.argv[1])
        run = lambda: collide_pieces(CollisionTask(0, 256), [folder / "0.keys"], folder / "marks", 1, False, 8 << 20)
        run()
        before = current_memory()
        run()
        print(peak_memory() - before)
    """
    (grown,) = measure(program, tmp_path)
    assert grown < 14 * MIB


def test_files_name_their_columns(tmp_path):
    path, _ = write(tmp_path, 3, [([(5, 6)], 9)], True)
    assert ColumnFile(path).columns[:3] == ("high", "low", "order")
    assert ColumnFile(path).read(0, SLICES).T.tolist() == [[5, 6, 9, 3 << 40]]

"""Candidates of documents from key files, against buckets in a dictionary; nothing but the documents decides."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from memory import measure

from gpurefine.dedup import candidates as module
from gpurefine.dedup.candidates import Groups, collide_candidates, select_candidates
from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.keys import join_key_files, open_key_writer
from gpurefine.dedup.orders import write_orders
from gpurefine.errors import DamagedFileError, RunError

MIB = 1 << 20
SCHEMA = pa.schema(
    [("id", pa.large_string()), ("file", pa.large_string()), ("offset", pa.int64()), ("text_hash", pa.binary(16))]
)


def document(name, file="f", offset=0, digest=b"\0" * 16):
    return {"id": name, "file": file, "offset": offset, "text_hash": digest}


def order_of(one, seed):
    text = f"{one['file']}\0{one['offset']}".encode()
    return xxhash.xxh3_64_intdigest(b"\0".join([text, one["text_hash"], one["id"].encode()]), seed)


def oracle(documents, keys, seed):
    """Candidates of each document as sets of indices: buckets in a dictionary, hubs, the 8 that are it most often."""
    orders = [order_of(each, seed) for each in documents]
    times = defaultdict(Counter)
    for band in keys:
        buckets = defaultdict(list)
        for row, key in enumerate(band):
            buckets[key].append(row)
        for key, members in buckets.items():
            hub = min(members, key=orders.__getitem__)
            for row in members:
                if key and row != hub:
                    times[row][hub] += 1
    return {row: set(sorted(hubs, key=lambda hub: (-hubs[hub], orders[hub]))[:8]) for row, hubs in times.items()}


def candidates(folder, documents, keys, cuts, *, seed=0, tasks=1, group=1, budget=64 * MIB, joined=1, order=None):
    """The same from files; ``cuts`` are where partitions end, ``order`` is in which order documents stand there."""
    folder.mkdir(exist_ok=True)
    order = list(range(len(documents))) if order is None else list(order)
    borders = [0, *cuts, len(documents)]
    parts = [order[begin:end] for begin, end in itertools.pairwise(borders)]
    numbers, key_paths, paths = {}, [], {}
    for index, rows in enumerate(parts):
        numbers |= {(index << 32) + place: row for place, row in enumerate(rows)}
        paths[index] = folder / f"{index}.parquet"
        pq.write_table(pa.Table.from_pylist([documents[row] for row in rows], schema=SCHEMA), paths[index])
        key_paths.append(folder / f"{index}.keys")
        with open_key_writer(key_paths[-1], ["key"], len(keys), index) as writer:
            writer.add(np.array(keys, np.uint64)[:, rows])
    groups = Groups(len(parts), group)
    files = []
    for first in range(0, len(parts), joined):
        files.append(folder / f"joined-{first}.keys")
        join_key_files(key_paths[first : first + joined], files[-1])
    orders = []
    for number, path in enumerate(files):
        orders.append(folder / f"orders-{number}")
        own = {index: paths[index] for index in range(number * joined, min((number + 1) * joined, len(parts)))}
        write_orders(path, own, seed, orders[-1])
    found = []
    for number, (first, last) in enumerate(itertools.pairwise(np.linspace(0, len(keys), tasks + 1).astype(int))):
        found.append(folder / f"found-{number}")
        collide_candidates(range(first, last), files, orders, groups, found[-1], budget)
    result = defaultdict(set)
    for number, _ in enumerate(groups):
        path = folder / f"candidates-{number}"
        counts = select_candidates(found, number, groups, path, budget)
        file = ColumnFile(path)
        rows = file.read(0, len(file.rows))
        assert counts["candidates"] == rows.shape[1]
        for left, right in rows.T.tolist():
            assert right >> 32 < len(parts)
            assert numbers[right] not in result[numbers[left]]
            result[numbers[left]].add(numbers[right])
    return dict(result)


@st.composite
def collections(draw):
    """Documents, some of one id, and their keys: few values, so that buckets are large and many."""
    count, bands = draw(st.integers(1, 30)), draw(st.integers(1, 24))
    documents = [document(draw(st.sampled_from(["a", "b", f"d{row}"])), offset=row) for row in range(count)]
    values = draw(st.sampled_from([1, 2, 6, 20]))
    keys = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, values + 1, (bands, count))
    return documents, keys.tolist()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(collections(), st.data())
def test_candidates_are_those_of_the_oracle_however_they_are_found(tmp_path_factory, collection, data):
    documents, keys = collection
    count, seed = len(documents), data.draw(st.integers(0, 3))
    expected = oracle(documents, keys, seed)
    ways = {
        "cuts": sorted(data.draw(st.lists(st.integers(0, count), max_size=4))),
        "tasks": data.draw(st.integers(1, len(keys))),
        "group": data.draw(st.integers(1, 3)),
        "joined": data.draw(st.integers(1, 3)),
        # the least has several passes a band, remembers few documents, and selects in shares
        "budget": data.draw(st.sampled_from([512, 4096, 64 * MIB])),
        "order": data.draw(st.permutations(range(count))),
    }
    assert candidates(tmp_path_factory.mktemp("c"), documents, keys, seed=seed, **ways) == expected


@given(collections())
@example(([document(f"d{row}") for row in range(30)], [[1] * 30] * 24))
def test_no_document_has_more_than_eight_and_no_pair_comes_twice(collection):
    documents, keys = collection
    found = oracle(documents, keys, 0)
    assert all(len(hubs) <= 8 for hubs in found.values())
    pairs = [frozenset((row, hub)) for row, hubs in found.items() for hub in hubs]
    assert len(pairs) == len(set(pairs))


def test_equal_documents_meet_one_hub_and_one_row_is_written_for_many_bands(tmp_path):
    count, bands = 3000, 40
    documents = [document(f"d{row}", offset=row) for row in range(count)]
    keys = [[band + 1] * count for band in range(bands)]
    found = candidates(tmp_path / "c", documents, keys, [1000], tasks=2)
    hub = min(range(count), key=lambda row: order_of(documents[row], 0))
    assert found == {row: {hub} for row in range(count) if row != hub}
    assert sum(int(ColumnFile(tmp_path / "c" / f"found-{task}").rows.sum()) for task in (0, 1)) == 2 * (count - 1)


def test_many_rows_are_written_as_often_as_they_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LEAST_CHUNK_ROWS", 4)
    rng = np.random.default_rng(0)
    documents = [document(f"d{row}", offset=row) for row in range(60)]
    keys = rng.integers(0, 9, (20, 60)).tolist()
    found = candidates(tmp_path / "c", documents, keys, [7, 7, 30], budget=2048, group=2, joined=2)
    assert found == oracle(documents, keys, 0)
    assert len(ColumnFile(tmp_path / "c" / "found-0").rows) > 100


def test_rows_that_do_not_fit_are_selected_from_in_shares(tmp_path, monkeypatch):
    calls = []
    take = module._rows_of_share

    def counted(pieces, share, shares, most):
        rows = take(pieces, share, shares, most)
        calls.append((shares, rows is None))
        return rows

    monkeypatch.setattr(module, "LEAST_SELECTED", 40)
    monkeypatch.setattr(module, "_rows_of_share", counted)
    documents = [document(f"d{row}", offset=row) for row in range(60)]
    keys = np.random.default_rng(0).integers(0, 9, (20, 60)).tolist()
    # every second band has one key for all: rows of these are the same pairs again
    keys = [[7] * 60 if band % 2 else row for band, row in enumerate(keys)]
    found = candidates(tmp_path / "c", documents, keys, [30], budget=2048, tasks=10)
    assert found == oracle(documents, keys, 0)
    assert (2, True) in calls
    assert any(shares > 2 and not refused for shares, refused in calls)


def test_a_budget_that_is_far_too_small_is_refused_with_what_would_do():
    with pytest.raises(RunError, match="256 times is the limit: give more --memory, so that a task has"):
        module.hub_passes(1 << 40, 64 * MIB)


MEMORY_PROGRAM = """
    from pathlib import Path
    import numpy as np
    from gpurefine.dedup.candidates import Groups, collide_candidates, select_candidates

    folder, budget = Path(sys.argv[1]), int(sys.argv[2])
    groups = Groups(1, 1)

    def find(name, found):
        keys, orders = [folder / f"{name}.keys"], [folder / f"{name}.orders"]
        collide_candidates(range(6), keys, orders, groups, found, budget)
        return select_candidates([found, found], 0, groups, folder / "selected", budget)["candidates"]

    find("few", folder / "few.found")
    before = current_memory()
    print(find("many", folder / "many.found"), peak_memory() - before)
"""


@pytest.mark.parametrize("equal", [True, False])
def test_memory_follows_from_the_budget(tmp_path, equal):
    budget = 32 * MIB
    for name, count in (("few", 100), ("many", 400_000)):
        keys = np.random.default_rng(0).integers(1, 2 if equal else count // 3, (6, count)).astype(np.uint64)
        with open_key_writer(tmp_path / f"{name}.keys", ["key"], 6, 0) as writer:
            writer.add(keys * np.uint64(0x9E3779B97F4A7C15))
        with ColumnWriter(tmp_path / f"{name}.orders", ["order"]) as writer:
            writer.write_slice([[np.random.default_rng(1).integers(0, 1 << 62, count).astype(np.uint64)]])
    found, memory = measure(MEMORY_PROGRAM, tmp_path, budget)
    assert found > 350_000
    assert memory < 1.25 * budget


@pytest.mark.parametrize("name", ["orders-0", "found-0"])
def test_damaged_files_are_named(tmp_path, name):
    documents = [document(f"d{row}", offset=row) for row in range(20)]
    candidates(tmp_path / "c", documents, [[1] * 20], [])
    folder = tmp_path / "c"
    data = bytearray((folder / name).read_bytes())
    data[20] ^= 1
    (folder / name).write_bytes(data)
    groups, keys, orders = Groups(1, 1), [folder / "joined-0.keys"], [folder / "orders-0"]
    step = {
        "orders-0": lambda: collide_candidates(range(1), keys, orders, groups, folder / "x", MIB),
        "found-0": lambda: select_candidates([folder / "found-0"], 0, groups, folder / "x", MIB),
    }[name]
    with pytest.raises(DamagedFileError, match=name):
        step()


def test_orders_of_other_documents_are_refused(tmp_path):
    documents = [document(f"d{row}", offset=row) for row in range(20)]
    candidates(tmp_path / "c", documents, [[1] * 20], [5])
    folder = tmp_path / "c"
    pq.write_table(pa.Table.from_pylist(documents, schema=SCHEMA), folder / "longer.parquet")
    with pytest.raises(RunError, match=r"0.keys has keys of 5 documents of partition 0, but .*longer.parquet has 20"):
        write_orders(folder / "0.keys", {0: folder / "longer.parquet"}, 0, folder / "x")
    with pytest.raises(DamagedFileError, match="not the blocks"):
        collide_candidates(range(1), [folder / "joined-0.keys"], [folder / "orders-1"], Groups(2, 1), folder / "x", MIB)

"""Choosing survivors: faults, ranges, and clusters of any size; their choice is tested with the phases."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from phases import deduplicate, document, write_documents

from gpurefine.dedup.components import LABEL_SCHEMA
from gpurefine.dedup.hashing import keyed_hash
from gpurefine.dedup.members import MEMBER_SCHEMA, gather_members
from gpurefine.dedup.removals import read_removals
from gpurefine.dedup.survivors import choose, plan_choice
from gpurefine.errors import DamagedFileError, RunError
from gpurefine.write import TableWriter, read_footer

#: Counts of what has to do with old runs, where there is none.
NOTHING_OLD = {"old_clusters": 0, "old_members": 0, "old_removals": 0}
MIB = 1 << 20


@pytest.fixture
def folder(tmp_path):
    """The files of a dedup: 3 partitions of 40 documents in 20 clusters."""
    partitions = [
        [document(100 * part + row, f"text {row % 20}") for row in range(40)] for part in range(3)
    ]  # fmt: skip
    deduplicate(tmp_path, partitions)
    return tmp_path


def members(folder):
    return [folder / f"members-{number}.parquet" for number in range(3)]


def damage(path):
    """Flip a bit in the first page of a Parquet file."""
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(0)
    end = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset) + 30
    data[end] ^= 1
    path.write_bytes(data)


def test_a_keyed_hash_is_that_of_the_id_and_the_seed():
    for seed in (0, 7, 2**64 - 1):
        expected = [xxhash.xxh3_64_intdigest(name.encode(), seed) for name in ("a", "", "ä")]
        assert keyed_hash(seed, ["a", "", "ä"]).tolist() == expected
    assert keyed_hash(0, []).shape == (0,)


def test_counts_are_in_the_footers(folder):
    counts = choose(members(folder), (0, 1 << 63), folder / "c.parquet", folder / "r.parquet")
    assert counts == {"clusters": 20, "members": 120, "removals": 100} | NOTHING_OLD
    assert read_footer(folder / "c.parquet") == read_footer(folder / "r.parquet") == counts
    assert pq.read_metadata(folder / "c.parquet").num_rows == 120
    assert sum(read_footer(path)["members"] for path in members(folder)) == 120


def test_removals_of_a_partition_are_sorted_and_are_all_there(folder):
    paths = [folder / f"{number}.removals" for number in range(2)]
    for path, bounds in zip(paths, [(0, 9), (9, 1 << 63)], strict=True):
        choose(members(folder), bounds, folder / "c.parquet", path)
    tables = [read_removals(paths, partition) for partition in range(4)]
    assert sum(table.num_rows for table in tables) == 100
    assert tables[3].num_rows == read_removals([], 0).num_rows == 0
    for partition, table in enumerate(tables):
        documents = table["document"].to_pylist()
        assert documents == sorted(set(documents))
        assert {number >> 32 for number in documents} <= {partition}


@pytest.mark.parametrize("budget", [1, 1200, MIB])
def test_ranges_cover_all_roots_in_any_order_of_files(folder, budget):
    for paths in (members(folder), members(folder)[::-1]):
        ranges = plan_choice(paths, budget)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 1 << 63
        assert all(one[1] == other[0] for one, other in itertools.pairwise(ranges))
    assert len(ranges) == {1: 20, 1200: 10, MIB: 1}[budget]


@pytest.mark.parametrize(
    ("name", "message"),
    [("labels.parquet", r"labels\.parquet is damaged: .*CRC"), ("documents-1.parquet", r"cannot read .*documents-1")],
)
def test_gathering_names_a_damaged_file(folder, name, message):
    damage(folder / name)
    partitions = [(number, folder / f"documents-{number}.parquet") for number in range(3)]
    with pytest.raises(RunError, match=message):
        gather_members(folder / "labels.parquet", partitions, 0, folder / "out.parquet")
    assert not (folder / "out.parquet").exists()


def test_gathering_notices_a_partition_of_another_run(folder):
    short = [document(number, "x") for number in range(30)]
    write_documents(folder / "documents-1.parquet", short, *np.zeros((2, 30), np.uint64))
    partitions = [(number, folder / f"documents-{number}.parquet") for number in range(3)]
    with pytest.raises(RunError, match=r"labels 40 documents of partition 1, but .* has only 30"):
        gather_members(folder / "labels.parquet", partitions, 0, folder / "out.parquet")


def test_choosing_notices_lost_members(folder):
    first, *others = members(folder)
    table = pq.read_table(first)
    # partition 0 holds all roots, and two members of each cluster, side by side
    for paths, rows, message in [
        (others, [], "members-1.parquet has members of clusters without a root"),
        ([first], [0, *range(2, 40)], "cluster 0 has lost members"),
    ]:
        if rows:
            pq.write_table(table.take(rows), first)
        with pytest.raises(RunError, match=message):
            choose(paths, (0, 1 << 63), folder / "c.parquet", folder / "r.parquet")
        assert not (folder / "c.parquet").exists()
        assert not (folder / "r.parquet").exists()


def test_a_damaged_member_file_is_named(folder):
    damage(members(folder)[1])
    with pytest.raises(DamagedFileError, match=r"members-1\.parquet is damaged: .*CRC"):
        choose(members(folder), (0, 1 << 63), folder / "c.parquet", folder / "r.parquet")


def test_a_missing_member_file_is_named(folder):
    with pytest.raises(DamagedFileError, match=r"nowhere\.parquet is damaged: it is not there"):
        plan_choice([folder / "nowhere.parquet"], MIB)


def test_a_cluster_with_200_000_members_of_one_id(tmp_path):
    # all tie up to the offset: the reduction must go on row group by row group
    count = 200_000
    columns = {
        "root": np.zeros(count, np.uint64),
        "document": np.arange(count, dtype=np.uint64),
        "priority": np.zeros(count, np.uint64),
        "id": ["same"] * count,
        "url": ["http://a"] * count,
        "date": [None] * count,
        "text_hash": [bytes(16)] * count,
        "file": ["f"] * count,
        "offset": (np.arange(count) + count // 2) % count,
    }
    table = pa.table([pa.array(columns[field.name], field.type) for field in MEMBER_SCHEMA], schema=MEMBER_SCHEMA)
    path = tmp_path / "members.parquet"
    with TableWriter(path, MEMBER_SCHEMA) as writer:
        for begin in range(0, count, 10_000):
            writer._writer.write_table(table.slice(begin, 10_000))
        writer.close({"members": count, "bytes": table.nbytes})
    (bounds,) = plan_choice([path], 1)
    counts = choose([path], bounds, tmp_path / "c.parquet", tmp_path / "r.parquet")
    assert counts == {"clusters": 1, "members": count, "removals": count - 1} | NOTHING_OLD
    removed = read_removals([tmp_path / "r.parquet"], 0)
    assert set(range(count)) - set(removed["document"].to_pylist()) == {count // 2}
    assert set(removed["members"].to_pylist()) == {count}


def test_labels_of_no_edge_give_no_ranges(tmp_path):
    pq.write_table(LABEL_SCHEMA.empty_table(), tmp_path / "labels.parquet")
    write_documents(tmp_path / "d.parquet", [document(1, "x")], *np.zeros((2, 1), np.uint64))
    counts = gather_members(tmp_path / "labels.parquet", [(0, tmp_path / "d.parquet")], 0, tmp_path / "m.parquet")
    assert counts == {"members": 0, "bytes": 0}
    assert plan_choice([tmp_path / "m.parquet"], MIB) == []

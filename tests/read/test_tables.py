"""Row groups of Parquet -> documents: every row once and in order, whatever the cut, in bounded batches."""

import itertools
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpurefine.documents import DOCUMENT_SCHEMA
from gpurefine.errors import RunError
from gpurefine.read.batches import SplitCounts
from gpurefine.read.inputs import find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.read.schemas import check_columns
from gpurefine.read.splits import plan_rows
from gpurefine.read.tables import BATCH_BYTES, BATCH_ROWS, count_rows, read_table, recut, row_groups


def read(path, cut=1 << 40, **options):
    """All batches of a table that is read in partitions of some ``cut`` bytes; counts are checked."""
    (file,) = find_inputs([path])
    options = InputOptions(**options)
    others = check_columns([file], options)
    groups = row_groups(file)
    assert sum(size for _, size in groups) <= file.size
    batches, records, size = [], 0, 0
    for begin, end in plan_rows(groups, cut):
        counts = SplitCounts()
        batches += read_table(file, begin, end, options, others, counts)
        records, size = records + counts.records, size + counts.bytes
    assert records == count_rows(file) == sum(batch.num_rows for batch in batches)
    assert size == sum(size for _, size in groups)
    return batches


def rows(batches):
    return [row for batch in batches for row in batch.to_pylist()]


def written(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=40), st.integers(1, 10), st.integers(1, 3000))
@example([], 1, 1)
@example([None, ""], 1, 1)
@settings(max_examples=40)
def test_every_row_once_and_in_order_for_any_row_groups_and_cuts(tmp_path_factory, texts, group, cut):
    path = tmp_path_factory.mktemp("table") / "a.parquet"
    written(
        path, {"text": pa.array(texts, pa.string()), "n": pa.array(range(len(texts)), pa.int8())}, row_group_size=group
    )
    found = rows(read(path, cut))
    assert [(row["text"], row["n"]) for row in found] == list(zip(texts, range(len(texts)), strict=True))
    assert [(row["id"], row["file"], row["offset"]) for row in found] == [
        (f"a.parquet:{i}", "a.parquet", i) for i in range(len(texts))
    ]


@given(st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=8), st.integers(1, 5), st.integers(1, 120))
def test_recut_keeps_rows_and_bounds(sizes, most_rows, most_bytes):
    tables = [pa.table({"text": pa.array(["x" * n for n in part], pa.large_string())}) for part in sizes]
    pieces = list(recut(tables, most_rows, most_bytes))
    assert [len(text) for piece in pieces for text in piece["text"].to_pylist()] == [n for part in sizes for n in part]
    for piece in pieces:
        assert piece.num_rows == 1 or (piece.num_rows <= most_rows and piece.nbytes <= most_bytes)
    # and no two neighbours would have fitted together
    if all(len(part) == 1 for part in sizes):
        for one, other in itertools.pairwise(pieces):
            assert one.num_rows + other.num_rows > most_rows or one.nbytes + other.slice(0, 1).nbytes > most_bytes


def test_columns_of_ours_and_what_stands_in_for_them(tmp_path):
    columns = {
        "text": ["a", None, "c"],
        "id": pa.array([7, None, 2**63], pa.uint64()),
        "file": ["x.warc", None, "y.warc"],
        "offset": pa.array([5, 6, None], pa.int32()),
        "date": pa.array([1_700_000_000_123_456_789, None, 0], pa.timestamp("ns", "Europe/Berlin")),
        "language": pa.array(["en", None, "de"]).dictionary_encode(),
        "language_score": pa.array([0.5, None, 1], pa.float32()),
        "n_tokens": pa.array([1, None, 3], pa.int16()),
    }
    folder = tmp_path / "CC-MAIN-2023-06"
    folder.mkdir()
    (batch,) = read(written(folder / "t.parquet", columns))
    assert batch.schema.equals(pa.schema([*DOCUMENT_SCHEMA, pa.field("n_tokens", pa.int64())]))
    found = batch.to_pylist()
    assert [row["id"] for row in found] == ["7", "t.parquet:1", str(2**63)]
    assert [(row["file"], row["offset"]) for row in found] == [("x.warc", 5), ("t.parquet", 1), ("t.parquet", 2)]
    assert [row["date"] for row in found] == [
        datetime(2023, 11, 14, 22, 13, 20, 123456, UTC), None, datetime(1970, 1, 1, tzinfo=UTC)
    ]  # fmt: skip
    assert [row["language"] for row in found] == ["en", None, "de"]
    assert [row["n_tokens"] for row in found] == [1, None, 3]
    assert {row["dump"] for row in found} == {"CC-MAIN-2023-06"}
    assert {row["url"] for row in found} == {row["length"] for row in found} == {None}


def test_a_date_without_a_zone_is_utc(tmp_path):
    columns = {"text": ["a"], "date": pa.array([1], pa.timestamp("s"))}
    assert rows(read(written(tmp_path / "t.parquet", columns)))[0]["date"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_bytes_that_are_no_utf8_become_replacement_characters(tmp_path):
    broken = pa.array([b"caf\xe9", b"\xff\x00", None, "é".encode()])
    text = pa.Array.from_buffers(pa.string(), 4, broken.buffers(), broken.null_count)
    found = rows(read(written(tmp_path / "t.parquet", {"text": text, "url": text})))
    expected = ["caf\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}\0", None, "é"]
    assert [row["text"] for row in found] == [row["url"] for row in found] == expected


def damaged(path, **writer):
    """A table with damage in its middle."""
    written(path, {"text": [f"{i} {i * i}" for i in range(20_000)]}, use_dictionary=False, **writer)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 5000] = bytes(byte ^ 0xA5 for byte in data[middle : middle + 5000])
    path.write_bytes(data)
    return path


def test_damage_in_the_middle_names_the_file(tmp_path):
    path = damaged(tmp_path / "t.parquet", compression="zstd", write_page_checksum=True)
    with pytest.raises(RunError, match=r"cannot read \S*t\.parquet: .*--fresh"):
        read(path)


def test_damage_that_breaks_lengths_of_texts_names_the_file(tmp_path):
    path = damaged(tmp_path / "t.parquet", compression="none")
    with pytest.raises(RunError, match=r"cannot read \S*t\.parquet: .*--fresh"):
        read(path)


def test_batches_are_bounded_by_rows_and_bytes(tmp_path):
    long = "x" * (BATCH_BYTES + 1)
    texts = ["short"] * 5000 + ["y" * 400_000] * 100 + [long, "short"] * 3
    batches = read(written(tmp_path / "t.parquet", {"text": texts}, use_dictionary=False))
    assert [row["text"] for row in rows(batches)] == texts
    assert max(batch.num_rows for batch in batches) == BATCH_ROWS
    for batch in batches:
        assert batch.num_rows == 1 or batch.nbytes <= BATCH_BYTES


def test_sizes_of_row_groups_follow_their_bytes(tmp_path):
    path = tmp_path / "t.parquet"
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())]), use_dictionary=False) as writer:
        for size in (1, 1000, 10):
            writer.write_table(pa.table({"text": [f"{i}" * 10 for i in range(size)]}))
    (file,) = find_inputs([path])
    (_, one), (_, many), (_, ten) = row_groups(file)
    assert many > 20 * ten > 20 * one / 2
    assert one + many + ten > file.size - 3


@pytest.mark.slow
def test_a_hundred_thousand_row_groups(tmp_path):
    path = tmp_path / "t.parquet"
    one = pa.table({"text": ["one text"]})
    with pq.ParquetWriter(path, one.schema) as writer:
        for _ in range(100_000):
            writer.write_table(one)
    assert len(rows(read(path, 1 << 20))) == 100_000


@pytest.mark.slow
def test_a_row_group_of_3_gigabytes_takes_little_memory(tmp_path):
    """One row group, its long texts at the beginning, where a mean size would deceive."""
    program = f"""
import resource
import pyarrow as pa, pyarrow.parquet as pq
from gpurefine.read.batches import SplitCounts
from gpurefine.read.inputs import find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.read.tables import read_table
(file,) = find_inputs([{str(tmp_path / "t.parquet")!r}])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
counts = SplitCounts()
for batch in read_table(file, 0, 503_000, InputOptions(), pa.schema([]), counts):
    pass
print(counts.records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    table = pa.table({"text": ["x" * (1 << 20)] * 3000 + ["short"] * 500_000})
    schema = table.schema
    with pq.ParquetWriter(tmp_path / "t.parquet", schema, use_dictionary=False) as writer:
        writer.write_table(table, row_group_size=table.num_rows)
    assert pq.read_metadata(tmp_path / "t.parquet").num_row_groups == 1
    del table
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    records, kilobytes = map(int, done.stdout.split())
    assert records == 503_000
    assert kilobytes < 400_000

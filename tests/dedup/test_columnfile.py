"""Files of columns and key files: what is written is read, and damage is noticed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.keys import SLICES, join_key_files, slice_rows, write_key_file
from gpurefine.errors import DamagedFileError, RunError


def rows(seed, count):
    """Random key columns and document numbers."""
    return np.random.default_rng(seed).integers(0, 2**64, (3, count), dtype=np.uint64)


def write(path, columns):
    write_key_file(path, list(columns[:-1]), columns[-1], ["high", "low"])
    return path


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_a_key_file_holds_its_rows_by_the_highest_bits_in_their_order(tmp_path, count):
    columns = rows(1, count)
    file = ColumnFile(write(tmp_path / "a.keys", columns))
    assert file.columns == ("high", "low", "document")
    assert file.rows.sum() == count
    for part in range(SLICES):
        expected = columns[:, columns[0] >> np.uint64(56) == part]
        np.testing.assert_array_equal(file.read(part, part + 1), expected)
        np.testing.assert_array_equal(np.concatenate([expected[:, :0], *file.iterate(part, part + 1, 7)], 1), expected)
    np.testing.assert_array_equal(
        file.read(0, SLICES), columns[:, np.argsort(columns[0] >> np.uint64(56), kind="stable")]
    )


def test_chunks_are_bounded(tmp_path):
    file = ColumnFile(write(tmp_path / "a.keys", rows(1, 3000)))
    assert max(chunk.shape[1] for chunk in file.iterate(0, SLICES, 5)) == 5


@settings(max_examples=15, deadline=None)
@given(counts=st.lists(st.integers(0, 600), min_size=1, max_size=4))
def test_a_join_is_the_files_slice_by_slice(tmp_path_factory, counts):
    folder = tmp_path_factory.mktemp("join")
    paths = [write(folder / f"{number}.keys", rows(number, count)) for number, count in enumerate(counts)]
    join_key_files(paths, folder / "joined.keys")
    files, joined = [ColumnFile(path) for path in paths], ColumnFile(folder / "joined.keys")
    np.testing.assert_array_equal(joined.rows, slice_rows(paths))
    for part in range(SLICES):
        expected = np.concatenate([file.read(part, part + 1) for file in files], axis=1)
        np.testing.assert_array_equal(joined.read(part, part + 1), expected)


def test_every_damaged_byte_is_noticed(tmp_path):
    with ColumnWriter(tmp_path / "a", ["x", "y"]) as writer:
        writer.write_slice([[np.arange(3, dtype=np.uint64)], [np.arange(2, dtype=np.uint64), np.array([9], np.uint64)]])
        writer.write_slice([[], []])
    whole = (tmp_path / "a").read_bytes()
    damaged = tmp_path / "damaged"
    # the first eight bytes only say what the file is
    for position in range(8, len(whole)):
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(RunError, match=f"{damaged} is damaged"):
            ColumnFile(damaged).read(0, 2)


@pytest.mark.parametrize("too_long", [1, 9, 1 << 62])
def test_an_index_longer_than_the_file_is_damage(tmp_path, too_long):
    path = tmp_path / "x.keys"
    write_key_file(path, [np.arange(3, dtype=np.uint64)], np.arange(3, dtype=np.uint64), ["a"])
    data = bytearray(path.read_bytes())
    data[-24:-16] = (len(data) - 24 - 8 + too_long).to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="does not end as such a file must"):
        ColumnFile(path)


def test_a_file_that_is_cut_is_noticed(tmp_path):
    whole = write(tmp_path / "a.keys", rows(1, 100)).read_bytes()
    for size in [0, 1, 30, len(whole) // 2, len(whole) - 1]:
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(RunError, match="cut is damaged"):
            ColumnFile(tmp_path / "cut")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"cannot read .*nowhere\.keys: No such file"):
        ColumnFile(tmp_path / "nowhere.keys")


def test_a_join_of_a_damaged_or_foreign_file_leaves_nothing(tmp_path):
    good = write(tmp_path / "good.keys", rows(1, 100))
    data = bytearray(good.read_bytes())
    data[100] ^= 4
    bad = tmp_path / "bad.keys"
    bad.write_bytes(data)
    foreign = tmp_path / "foreign.keys"
    write_key_file(foreign, [rows(1, 5)[0]], rows(1, 5)[2], ["other"])
    for path, message in [(bad, "bad.keys is damaged"), (foreign, "belong to different runs")]:
        with pytest.raises(RunError, match=message):
            join_key_files([good, path], tmp_path / "joined.keys")
        assert sorted(each.name for each in tmp_path.iterdir()) == ["bad.keys", "foreign.keys", "good.keys"]


def test_columns_of_different_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="columns of"), ColumnWriter(tmp_path / "a", ["x", "y"]) as writer:
        writer.write_slice([[np.zeros(1, np.uint64)], [np.zeros(2, np.uint64)]])
    assert list(tmp_path.iterdir()) == []

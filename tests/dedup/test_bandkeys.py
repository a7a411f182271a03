"""Key files with bands: what is written and joined is read, in bounded pieces, and damage is noticed."""

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpurefine.dedup import bandkeys
from gpurefine.dedup.bandkeys import BandKeyFile, block_documents
from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.keys import SLICES, join_key_files, key_bands, open_key_writer, slice_rows
from gpurefine.errors import DamagedFileError, RunError


def random_keys(bands, documents, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, (bands, documents), dtype=np.uint64)


def write(path, keys, partition=0, batch=7):
    """A partition's key file, added in batches."""
    with open_key_writer(path, ["key"], len(keys), partition) as writer:
        for begin in range(0, keys.shape[1], batch):
            writer.add(keys[:, begin : begin + batch])
    return path


def content(path, max_rows=5):
    """Document numbers and their keys, (bands, documents), as a reader meets them."""
    file = BandKeyFile(path)
    numbers = [int(first) + row for first, count in file.runs for row in range(int(count))]
    empty = np.empty(0, np.uint64)
    pieces = [list(file.keys(band, max_rows)) for band in range(file.bands)]
    assert all(len(piece) <= max_rows for band in pieces for piece in band)
    assert file.documents == len(numbers) == file.blocks.sum()
    return numbers, np.stack([np.concatenate([empty, *band]) for band in pieces])


def test_a_block_holds_a_power_of_two_of_documents_within_its_bytes():
    assert block_documents(450) == 16_384
    assert block_documents(14) == 524_288
    assert block_documents(1) * 8 == block_documents(1 << 10) * 8 << 10 == bandkeys.BLOCK_BYTES
    assert block_documents(1 << 30) == 1


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    bands=st.integers(1, 4),
    blocks=st.tuples(st.integers(1, 9), st.integers(1, 20)),
    batch=st.integers(1, 9),
    cut=st.integers(1, 4),
)
@example(sizes=[0], bands=1, blocks=(4, 4), batch=1, cut=1)
@example(sizes=[9, 0, 9], bands=2, blocks=(4, 16), batch=9, cut=1)
def test_joined_files_hold_all_documents_in_order(tmp_path_factory, sizes, bands, blocks, batch, cut):
    folder = tmp_path_factory.mktemp("join")
    parts = [random_keys(bands, size, seed) for seed, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bandkeys, "BLOCK_BYTES", 8 * bands * blocks[0])
        paths = [write(folder / f"{number}.keys", keys, number, batch) for number, keys in enumerate(parts)]
        # written and joined with blocks of another size, and joined twice
        patch.setattr(bandkeys, "BLOCK_BYTES", 8 * bands * blocks[1])
        for name, sources in [("one", paths[:cut]), ("two", paths[cut:])]:
            if sources:
                join_key_files(sources, folder / name)
        joined = [folder / name for name in ("one", "two") if (folder / name).exists()]
        join_key_files(joined, folder / "all")
    numbers, keys = content(folder / "all")
    assert numbers == [(part << 32) + row for part, size in enumerate(sizes) for row in range(size)]
    np.testing.assert_array_equal(keys, np.concatenate(parts, axis=1))
    assert slice_rows(paths).tolist() == slice_rows([folder / "all"]).tolist() == [sum(sizes)] * bands
    largest = max(1, blocks[0], blocks[1])
    assert all(documents <= largest for documents in BandKeyFile(folder / "all").blocks)
    assert len(BandKeyFile(folder / "all").runs) <= sum(size > 0 for size in sizes) + len(
        BandKeyFile(folder / "all").blocks
    )


def test_joining_makes_of_many_short_slices_few_long_ones(tmp_path):
    paths = [write(tmp_path / f"{number}.keys", random_keys(3, 10, number), number) for number in range(40)]
    join_key_files(paths, tmp_path / "all")
    assert BandKeyFile(tmp_path / "all").blocks.tolist() == [400]


def test_the_kinds_of_key_files_are_told_apart(tmp_path):
    banded = write(tmp_path / "banded", random_keys(3, 10))
    with open_key_writer(tmp_path / "plain", ["high", "low"], 0, 5) as writer:
        writer.add(random_keys(2, 4, 1))
        writer.add(random_keys(2, 3, 2))
        assert writer.documents == 7
    assert key_bands(banded) == 3
    assert key_bands(tmp_path / "plain") == 0
    plain = ColumnFile(tmp_path / "plain").read(0, SLICES)
    order = np.argsort(plain[2])
    np.testing.assert_array_equal(plain[2][order], (5 << 32) + np.arange(7))
    np.testing.assert_array_equal(plain[:2, order], np.concatenate([random_keys(2, 4, 1), random_keys(2, 3, 2)], 1))
    for paths in ([banded, tmp_path / "plain"], [tmp_path / "plain", banded]):
        with pytest.raises(RunError, match="use --fresh to start over"):
            join_key_files(paths, tmp_path / "joined")
        with pytest.raises(RunError, match="use --fresh to start over"):
            slice_rows(paths)
        assert not (tmp_path / "joined").exists()


def test_files_with_other_bands_are_not_joined(tmp_path):
    paths = [write(tmp_path / str(bands), random_keys(bands, 5)) for bands in (2, 3)]
    with pytest.raises(RunError, match=r"3 has 3 bands, .*2 has 2: they belong to different runs"):
        join_key_files(paths, tmp_path / "joined")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["2", "3"]


def test_every_damaged_byte_is_noticed_and_the_file_named(tmp_path, monkeypatch):
    monkeypatch.setattr(bandkeys, "BLOCK_BYTES", 8 * 2 * 2)
    whole = write(tmp_path / "a.keys", random_keys(2, 3)).read_bytes()
    damaged = tmp_path / "damaged.keys"
    # the first eight bytes only say what the file is
    for position in range(8, len(whole)):
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(DamagedFileError, match=f"{damaged} is damaged") as caught:
            content(damaged)
        assert caught.value.path == damaged
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), copy.path) == (str(caught.value), damaged)
        with pytest.raises(DamagedFileError, match=f"{damaged} is damaged"):
            join_key_files([tmp_path / "a.keys", damaged], tmp_path / "joined")
        assert not (tmp_path / "joined").exists()


def test_blocks_that_do_not_fit_together_are_damage(tmp_path):
    one = [np.zeros(1, np.uint64)]
    for name, slices in {
        "a band is missing": [[2], [7], [0, 1]],
        "bands differ": [[2], [7, 8], [7], [0, 1]],
        "documents are missing": [[1], [7], [0, 2]],
        "half a run": [[1], [7], [0, 1, 5]],
        "no bands": [[1, 1], [7], [0, 1]],
    }.items():
        with ColumnWriter(tmp_path / name, ["key"]) as writer:
            for values in slices:
                writer.write_slice([[np.array(values, np.uint64)]])
        with pytest.raises(DamagedFileError, match=f"{name} is damaged"):
            BandKeyFile(tmp_path / name)
    with ColumnWriter(tmp_path / "columns", ["high", "low"]) as writer:
        writer.write_slice([one, one])
    with pytest.raises(DamagedFileError, match="it has no bands"):
        BandKeyFile(tmp_path / "columns")


def test_an_unfinished_file_leaves_nothing(tmp_path):
    for names, bands in [(["key"], 2), (["high", "low"], 0)]:
        with pytest.raises(ValueError, match="takes keys"), open_key_writer(tmp_path / "a.keys", names, bands, 0) as it:
            it.add(random_keys(3, 3))
        assert list(tmp_path.iterdir()) == []
        with open_key_writer(tmp_path / "a.keys", names, bands, 0) as writer:
            writer.close()
            # it is whole before the block ends, so that its size can be noted
            assert slice_rows([tmp_path / "a.keys"]).sum() == 0
        (tmp_path / "a.keys").unlink()

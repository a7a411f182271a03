"""Files of units: any document by its row, and no damage that is not noticed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.dedup import unitfile
from gpurefine.dedup.unitfile import UnitFile, UnitFiles, UnitWriter
from gpurefine.errors import DamagedFileError, RunError


def write(path, batches, kind=np.uint16):
    with UnitWriter(path) as writer:
        for texts in batches:
            units = np.array([unit for text in texts for unit in text], kind)
            writer.add(units, np.cumsum([0, *map(len, texts)]))
    return path


@given(
    st.lists(st.lists(st.lists(st.integers(0, 65535), max_size=9), max_size=5), max_size=4),
    st.sampled_from([np.uint16, np.uint32, np.uint64]),
)
def test_any_document_comes_back(tmp_path_factory, batches, kind):
    file = UnitFile(write(tmp_path_factory.mktemp("u") / "x.units", batches, kind))
    texts = [text for batch in batches for text in batch]
    assert file.documents == len(texts)
    for row in reversed(range(len(texts))):
        units = file.read(row)
        assert units.tolist() == texts[row]
        assert not texts[row] or units.dtype == kind
    with pytest.raises(DamagedFileError, match=rf"row {len(texts)} is asked for"):
        file.read(len(texts))
    file.close()


def test_documents_need_not_begin_at_the_first_unit(tmp_path):
    with UnitWriter(tmp_path / "x.units") as writer:
        writer.add(np.arange(10, dtype=np.uint16), np.array([3, 5, 9]))
    assert [UnitFile(tmp_path / "x.units").read(row).tolist() for row in (0, 1)] == [[3, 4], [5, 6, 7, 8]]


def test_every_damaged_byte_is_noticed(tmp_path):
    path = write(tmp_path / "x.units", [[[1, 2, 3], []], [[4, 5]]])
    whole = path.read_bytes()
    for place in range(len(unitfile.MAGIC), len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        # the checksum of the entry behind the last document says nothing
        if place in range(len(whole) - unitfile.TAIL.size - 8, len(whole) - unitfile.TAIL.size):
            continue
        with pytest.raises(DamagedFileError, match=r"x\.units is damaged"):
            [UnitFile(path).read(row) for row in range(3)]
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedFileError, match=r"x\.units is damaged"):
            UnitFile(path)
    with pytest.raises(RunError, match="cannot read"):
        UnitFile(tmp_path / "other")


def test_a_file_that_is_not_finished_bears_no_name(tmp_path):
    def stopped():
        with UnitWriter(tmp_path / "x.units") as writer:
            writer.add(np.arange(3, dtype=np.uint16), np.array([0, 3]))
            raise KeyError

    with pytest.raises(KeyError):
        stopped()
    assert not list(tmp_path.iterdir())


def test_units_of_two_kinds_are_refused(tmp_path):
    with UnitWriter(tmp_path / "x") as writer:
        writer.add(np.arange(3, dtype=np.uint16), np.array([0, 3]))
        with pytest.raises(ValueError, match="takes units of 2 bytes, not of 8"):
            writer.add(np.arange(3, dtype=np.uint64), np.array([0, 3]))


def test_few_files_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(unitfile, "OPEN_FILES", 2)
    paths = [write(tmp_path / f"{number}.units", [[[number]]]) for number in range(5)]
    with UnitFiles(paths) as files:
        for number in (0, 1, 0, 4, 2, 0, 3):
            assert files[number].read(0).tolist() == [number]
            assert len(files._open) <= 2

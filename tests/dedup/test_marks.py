"""Files of marks: what was added comes back by partition, whatever the buffer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.dedup.marks import MARK_PARTITIONS, MarkWriter, read_marks
from gpurefine.dedup.pieces import first_place
from gpurefine.errors import DamagedFileError

PARTITIONS = 2 * MARK_PARTITIONS + 5


@given(
    marks=st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, 3) | st.just((1 << 40) - 1)), max_size=60),
    buffer_bytes=st.sampled_from([1, 160, 1 << 20]),
    cut=st.integers(0, 60),
)
def test_marks_come_back_by_their_partition(tmp_path_factory, marks, buffer_bytes, cut):
    path = tmp_path_factory.mktemp("marks") / "marks"
    places = np.array([first_place(partition) + piece for partition, piece in marks], np.uint64)
    with MarkWriter(path, PARTITIONS, buffer_bytes) as writer:
        writer.add(places[:cut])
        writer.add(places[cut:])
    for group in range(3):
        found = [chunk.tolist() for chunk in read_marks([path, path], group)]
        assert all(chunk == sorted(chunk) for chunk in found)
        own = [place for place in places.tolist() if (place >> 40) // MARK_PARTITIONS == group]
        assert sorted(place for chunk in found for place in chunk) == sorted(own * 2)


def test_what_failed_leaves_no_file(tmp_path):
    writer = MarkWriter(tmp_path / "marks", 1, 100)
    writer.add(np.zeros(3, np.uint64))
    writer.__exit__(KeyError, None, None)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "marks"
    with MarkWriter(path, 1, 100) as writer:
        writer.add(np.arange(3, dtype=np.uint64))
    data = path.read_bytes()
    path.write_bytes(data[:9] + b"x" + data[10:])
    with pytest.raises(DamagedFileError, match="marks is damaged"):
        list(read_marks([path], 0))

"""The window: whatever is asked for in whatever order, it is what slicing the whole stream gives."""

from __future__ import annotations

import io

from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.read.opening import open_binary
from gpurefine.read.window import LARGEST_PIECE, FileSource, Window


class OnceSource:
    """Pieces of some bytes that pass only once, as a decompressor gives them."""

    size = None

    def __init__(self, data: bytes, piece: int) -> None:
        self._file = io.BytesIO(data)
        self._piece = piece

    def read(self) -> bytes:
        return self._file.read(self._piece)

    def seek(self, offset: int) -> bool:
        return False


DATA = bytes(range(200, 256)) + b"\r\n\r\n" * 3 + b"ab" * 40 + bytes(30) + b"tail"


@given(piece=st.integers(1, 50), steps=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90)), max_size=20))
@example(piece=1, steps=[(200, 5), (0, 5)])
def test_stream_that_passes_once(piece, steps):
    """Going back is refused by naming where the window is; everything from there on can still be had."""
    window = Window(OnceSource(DATA, piece))
    reached = 0
    for offset, length in steps:
        reached = min(max(reached, offset), len(DATA))
        assert window.move(offset) == reached
        assert window.view(reached, length) == DATA[reached : reached + length]
        reached = window.base


@given(steps=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90)), max_size=20))
@example(steps=[(150, 90), (0, 5), (199, 9)])
def test_file_can_be_entered_anywhere(steps):
    window = Window(FileSource(io.BytesIO(DATA), len(DATA)))
    for offset, length in steps:
        assert window.move(offset) == offset
        assert window.view(offset, length) == DATA[offset : offset + length]


@given(
    piece=st.integers(1, 50), at=st.integers(0, 190), values=st.sampled_from([b"\r\n", b"\0", b"ab", b"\0ab\r\n", b"x"])
)
@example(piece=3, at=len(DATA) - 34, values=b"\0")
def test_skip_stops_at_the_first_other_byte(piece, at, values):
    window = Window(OnceSource(DATA, piece))
    assert window.move(at) == min(at, len(DATA))
    expected = next((i for i in range(at, len(DATA)) if DATA[i] not in values), max(at, len(DATA)))
    assert window.skip(at, values) == expected


@given(
    piece=st.integers(1, 50),
    token=st.sampled_from([b"\r\n\r", b"ba", b"tail", b"\xff\r", b"none"]),
    at=st.integers(0, 190),
    stop=st.integers(0, 220),
)
@example(piece=1, token=b"tail", at=0, stop=220)
def test_find_is_bytes_find(piece, token, at, stop):
    window = Window(OnceSource(DATA, piece))
    window.move(max(0, at - 1))
    found = DATA.find(token, at)
    assert window.find(token, at, stop) == (found if 0 <= found < stop else None)
    if 0 < found < stop:
        assert window.view(found - 1, 1) == DATA[found - 1 : found], "the byte before is still held"


def test_search_holds_little(tmp_path):
    """A search over a file of many pieces does not collect them."""
    path = tmp_path / "zeros"
    path.write_bytes(bytes(5 * LARGEST_PIECE) + b"x")
    file, size = open_binary(str(path))
    with file:
        window = Window(FileSource(file, size))
        assert window.find(b"x", 0, size) == size - 1
        assert len(window.buffer) <= 2 * LARGEST_PIECE

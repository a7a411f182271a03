"""Files that are fetched in blocks: any reads give the bytes that are there, few are fetched in vain."""

import contextlib
import io
import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.read import ranges
from gpurefine.read.ranges import AHEAD, FIRST_BLOCK, LARGEST_BLOCK, RangeReader

DATA = random.Random(5).randbytes(300_000)


class Source:
    """Gives ranges of bytes and notes which, how many at a time, and which thread asked."""

    def __init__(self, data, delay=0.0):
        self.data, self.delay = data, delay
        self.calls, self.threads = [], set()
        self.running = 0

    def fetch(self, begin, end):
        self.running += 1
        assert self.running == 1, "one at a time"
        self.calls.append((begin, end))
        self.threads.add(threading.get_ident())
        time.sleep(self.delay)
        self.running -= 1
        assert 0 <= begin < end <= len(self.data)
        return self.data[begin:end]


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(-1, 9_000)),
            st.tuples(st.just("seek"), st.integers(0, 11_000)),
            st.tuples(st.just("back"), st.integers(-12_000, 0)),
            st.tuples(st.just("into"), st.integers(0, 9_000)),
        ),
        max_size=30,
    ),
    ahead_to=st.one_of(st.none(), st.integers(0, 12_000)),
)
def test_any_reads_are_those_of_a_file(steps, ahead_to):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "FIRST_BLOCK", 100)
        patch.setattr(ranges, "LARGEST_BLOCK", 2000)
        data = DATA[:10_000]
        oracle, source = io.BytesIO(data), Source(data)
        with RangeReader(source.fetch, len(data), ahead_to) as file:
            for what, number in steps:
                if what == "read":
                    assert file.read(number) == oracle.read(number)
                elif what == "into":
                    ours, theirs = bytearray(number), bytearray(number)
                    assert (file.readinto(ours), ours) == (oracle.readinto(theirs), theirs)
                elif what == "seek":
                    assert file.seek(number) == oracle.seek(number)
                elif number + len(data) >= 0:
                    assert file.seek(number, io.SEEK_END) == oracle.seek(number, io.SEEK_END)
                assert file.tell() == oracle.tell()


def read_through(file, size=50_000):
    pieces = []
    while piece := file.read(size):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(ranges, "FIRST_BLOCK", 1000)
    monkeypatch.setattr(ranges, "LARGEST_BLOCK", 16_000)


def test_each_byte_is_fetched_once_and_blocks_grow(small):
    source = Source(DATA)
    with RangeReader(source.fetch, len(DATA)) as file:
        assert read_through(file, 700) == DATA
    assert source.calls[0] == (0, 1000)
    assert [end for _, end in source.calls] == [begin for begin, _ in source.calls[1:]] + [len(DATA)]
    sizes = [end - begin for begin, end in source.calls[:-1]]
    assert sizes == sorted(sizes) and max(sizes) == 16_000
    assert len(source.threads) == 2, "a thread fetched ahead"


def test_a_look_at_the_beginning_fetches_little(small):
    source = Source(DATA)
    with RangeReader(source.fetch, len(DATA)) as file:
        file.read(16)
        file.read(500)
    assert source.calls == [(0, 1000)]


def test_nothing_is_fetched_in_vain_behind_a_split(small):
    source = Source(DATA)
    with RangeReader(source.fetch, len(DATA), ahead_to=200_000) as file:
        file.seek(100_000)
        assert b"".join(file.read(500) for _ in range(200)) == DATA[100_000:200_000]
    assert max(end for _, end in source.calls) == 200_000
    source.calls.clear()
    with RangeReader(source.fetch, len(DATA), ahead_to=200_000) as file:
        file.seek(190_000)
        assert file.read(20_000) == DATA[190_000:210_000], "the last record reaches beyond"


def test_fetching_goes_on_while_the_reader_works(small):
    """Waiting and working overlap: together they take less than one after the other would."""
    source = Source(DATA, delay=0.01)
    began = time.monotonic()
    with RangeReader(source.fetch, len(DATA)) as file:
        while file.read(16_000):
            time.sleep(0.01)
    taken = time.monotonic() - began
    assert len(source.calls) >= 19
    assert taken < 0.8 * 0.01 * (len(source.calls) + len(DATA) / 16_000)


def test_memory_is_bounded(small):
    """However slow the reader is, no more than the blocks ahead are fetched."""
    source = Source(DATA)
    with RangeReader(source.fetch, len(DATA)) as file:
        at = 0
        while file.read(1000):
            at += 1000
            time.sleep(0.0005)
            assert source.calls[-1][1] <= at + (AHEAD + 2) * 16_000
    assert (AHEAD + 2) * LARGEST_BLOCK <= 16 << 20 and FIRST_BLOCK <= 1 << 16


def test_errors_come_where_their_bytes_are_asked_for(small):
    def fetch(begin, end):
        if end > 150_000:
            raise RuntimeError("gone")
        return DATA[begin:end]

    read = 0
    with RangeReader(fetch, len(DATA)) as file:
        with contextlib.suppress(RuntimeError):
            while piece := file.read(1000):
                assert piece == DATA[read : read + 1000]
                read += 1000
        assert 130_000 <= read < 150_000
        # it can be tried again, and what can be had comes
        with pytest.raises(RuntimeError, match="gone"):
            file.read(20_000)
        file.seek(10)
        assert file.read(10) == DATA[10:20]


def test_a_closed_file_leaves_no_thread(small):
    before = threading.active_count()
    for _ in range(5):
        with RangeReader(Source(DATA).fetch, len(DATA)) as file:
            file.read(1000)
            for _ in range(50):
                file.read(1000)
        with pytest.raises(ValueError, match="closed"):
            file.read(1)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before

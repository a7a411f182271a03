"""Lines of plain and compressed files: the same for any splits and pieces, with their offsets and numbers."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st
from warc_tools import frame, skippable

from gpurefine.read import lines as lines_module
from gpurefine.read.lines import LineSplit, cut_lines, lines_a_byte

LONGEST = 100


def oracle(data: bytes, longest: int = LONGEST) -> list[tuple[int, int, bytes | None]]:
    """Offset, size and bytes of each line, by what a line is."""
    found, offset = [], 0
    for part in data.split(b"\n"):
        size = len(part) + (offset + len(part) < len(data))
        if size:
            found.append((offset, size, part if len(part) <= longest else None))
        offset += size
    return found


def shape(lines) -> list[tuple[int, int, bytes | None]]:
    return [(line.offset, line.size, line.data) for line in lines]


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\n\n", b"a" * 101]), max_size=12), st.integers(0, 9))
@example([b"\r\n", b"\n"], 0)
def test_pieces_of_any_size_give_the_same_lines(pieces, longest):
    found = list(cut_lines(iter(pieces), 0, longest))
    assert shape(found) == oracle(b"".join(pieces), longest)
    assert [line.index for line in found] == list(range(len(found)))


@given(st.lists(st.sampled_from([b"\n", b"ab\n", b"\r\n", b"c" * 30 + b"\n", b"d"]), max_size=12), st.integers(1, 60))
def test_splits_anywhere_have_each_line_once_with_its_number(tmp_path_factory, pieces, step):
    data = b"".join(pieces)
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes(data)
    found, numbers, read = [], [], 0
    for begin in range(0, len(data), step):
        split = LineSplit(str(path), begin, begin + step, longest=20)
        lines = list(split)
        assert all(begin <= line.offset < begin + step for line in lines)
        found += lines
        numbers += [split.number(line) for line in reversed(lines)][::-1]
        read += split.bytes
    assert shape(found) == oracle(data, 20)
    assert numbers == list(range(1, len(found) + 1))
    assert read == len(data)


TEXT = b"".join(b'{"text": "%d %s"}\n' % (number, b"x" * (number % 200)) for number in range(3000)) + b"last"
DICTIONARY = zstandard.train_dictionary(2048, TEXT.splitlines(keepends=True))
CUTS = [TEXT[at : at + 777] for at in range(0, len(TEXT), 777)]
COMPRESSED = {
    "one member": gzip.compress(TEXT),
    "members that end inside lines": b"".join(map(gzip.compress, CUTS)),
    "padding": gzip.compress(TEXT) + bytes(5000),
    "one frame": frame(TEXT),
    "frames that end inside lines": b"".join(map(frame, CUTS)) + skippable(b"an index", 0xE),
    "dictionary": skippable(DICTIONARY.as_bytes(), 0xD) + b"".join(frame(data, DICTIONARY) for data in CUTS),
}


@pytest.mark.parametrize("form", COMPRESSED)
def test_compressed_files_have_the_lines_of_the_plain_one(tmp_path, form):
    data = COMPRESSED[form]
    (tmp_path / "a").write_bytes(data)
    split = LineSplit(str(tmp_path / "a"), 0, 1, longest=LONGEST)
    lines = list(split)
    assert shape(lines) == oracle(TEXT)
    assert split.bytes == len(data)
    assert [split.number(line) for line in (lines[0], lines[-1])] == [1, 3001]
    assert list(LineSplit(str(tmp_path / "a"), 1, len(data), longest=LONGEST)) == []
    assert lines_a_byte(str(tmp_path / "a"), len(data)) * len(data) == pytest.approx(3000, rel=0.01)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(TEXT)[:-2000], "gzip data is cut off in the gzip member at byte 0"),
        (gzip.compress(TEXT) + gzip.compress(TEXT)[:2000], "gzip data is cut off in the gzip member at byte"),
        (gzip.compress(TEXT)[:-8] + bytes(8), "gzip checksum is wrong"),
        (gzip.compress(TEXT) + b"garbage", f"no gzip member begins at byte {len(gzip.compress(TEXT))}"),
        (frame(TEXT)[:-500], "zstd data is cut off in the zstd frame at byte 0"),
        (frame(TEXT)[:-4] + bytes(4), "zstd checksum is wrong"),
        (b"".join(frame(data, DICTIONARY) for data in CUTS), "needs dictionary"),
    ],
)
def test_where_a_compressed_file_breaks_off_its_last_line_says_why(tmp_path, data, reason):
    (tmp_path / "a").write_bytes(data)
    split = LineSplit(str(tmp_path / "a"), longest=LONGEST)
    *lines, last = split
    assert last.data is None and reason in last.problem
    assert not any(line.problem for line in lines)
    text = TEXT + TEXT if len(data) > len(gzip.compress(TEXT)) + 1000 else TEXT
    assert shape(lines) == oracle(text)[: len(lines)]
    assert last.offset == sum(line.size for line in lines)
    assert split.number(last) == len(lines) + 1


def test_a_line_far_behind_has_no_number_whatever_the_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_module, "NUMBERED_BYTES", 4)
    (tmp_path / "a").write_bytes(b"a\nb\nc\nd")
    for begin, expected in ((0, [1, 2, None, None]), (1, [2, None, None]), (4, [None, None])):
        split = LineSplit(str(tmp_path / "a"), begin, longest=9)
        assert [split.number(line) for line in split] == expected
    (tmp_path / "b").write_bytes(gzip.compress(b"a\nb\nc\nd"))
    split = LineSplit(str(tmp_path / "b"), longest=9)
    assert [split.number(line) for line in split] == [1, 2, 3, 4]


def test_only_the_line_that_is_asked_for_costs_a_count(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"line\n" * 1000)
    split = LineSplit(str(tmp_path / "a"), 2500, longest=9)
    lines = list(split)
    counted = []
    monkeypatch.setattr(lines_module, "_count_newlines", lambda path, end: counted.append(end) or 500)
    assert [split.number(line) for line in lines[:3]] == [501, 502, 503]
    assert counted == [2500]


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, frame])
def test_memory_is_that_of_the_longest_line_that_is_kept(tmp_path, wrap):
    size = 64 << 20
    (tmp_path / "a").write_bytes(wrap(b"short\n" + b"x" * size + b"\nlast"))
    tracemalloc.start()
    try:
        found = shape(LineSplit(str(tmp_path / "a"), longest=1 << 20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [(0, 6, b"short"), (6, size + 1, None), (size + 7, 4, b"last")]
    assert peak < 8 << 20

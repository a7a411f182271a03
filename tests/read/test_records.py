"""Records of plain WARCs: header fields, and which lengths are believed."""

from __future__ import annotations

import time

import pytest
from warc_tools import record

from gpurefine.read.records import MAX_HEADER
from gpurefine.read.warc import Damage, WarcRecord, WarcSplit

GOOD = record(0)


@pytest.fixture
def read(tmp_path):
    """A function that reads a file of the given bytes."""

    def read(data: bytes, **options) -> list[WarcRecord | Damage]:
        path = tmp_path / "test.warc"
        path.write_bytes(data)
        return list(WarcSplit(str(path), **options))

    return read


def shape(items: list[WarcRecord | Damage]) -> list[str | int]:
    """The ids of records and the lengths of damaged regions."""
    return [item.length if isinstance(item, Damage) else item.headers["warc-record-id"] for item in items]


def test_a_record_is_what_was_written(read):
    data = record(1, b"one") + record(2, b"two", kind="Revisit")
    one, two = read(data)
    assert one == WarcRecord(
        "response",
        {"warc-type": "response", "warc-record-id": "<r1>", "content-length": "47"},
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\none",
        0,
        len(record(1, b"one")),
        None,
    )
    assert (two.type, two.offset, two.offset + two.length) == ("revisit", one.length, len(data))


def test_header_fields(read):
    """Names in any case, the first of equal names, folded lines joined, bytes of two encodings, lines without colon."""
    fields = (
        b"X-Note: first\r\n\tsecond\r\n   third\r\nx-note: later\r\nX-UTF: \xc3\xa9\r\nX-LATIN: \xe9\r\n"
        b"no colon\r\nX-Url:http://a/b:c\r\nX-Separators: a\x85b\x0bc\r\n"
    )
    (item,) = read(record(1, extra=fields))
    expected = {"x-note": "first second third", "x-utf": "é", "x-latin": "é", "x-url": "http://a/b:c"}
    assert {name: item.headers[name] for name in expected} == expected
    assert item.headers["x-separators"] == "a\x85b\x0bc"
    assert set(item.headers) == {"warc-type", "warc-record-id", "content-length", "x-separators", *expected}


def test_record_without_type(read):
    (item,) = read(record(1).replace(b"WARC-Type", b"X-Type"))
    assert item.type == ""


@pytest.mark.parametrize("version", [b"WARC/0.17", b"WARC/0.18", b"WARC/1.0 ", b"WARC/1.1"])
def test_versions(read, version):
    assert shape(read(record(1).replace(b"WARC/1.0", version) + GOOD)) == ["<r1>", "<r0>"]


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n", b"", b"\r\n" * 40], ids=repr)
def test_whatever_separates_records_is_no_damage(read, end):
    data = record(1, end=end) + record(2, end=end)
    items = read(data)
    assert shape(items) == ["<r1>", "<r2>"]
    assert [(item.offset, item.length) for item in items] == [(0, len(data) // 2), (len(data) // 2, len(data) // 2)]


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"], ids=repr)
def test_bare_line_feeds(read, end):
    """A header of bare line feeds, before a whole record and before junk."""
    bare = record(1, b"text", end=end).replace(b"\r\n", b"\n", 5)
    assert b"\n\nHTTP/1.1 200 OK\r\n" in bare
    assert shape(read(bare + GOOD)) == ["<r1>", "<r0>"]
    assert shape(read(bare + b"junk\n" + GOOD)) == ["<r1>", 5, "<r0>"]


@pytest.mark.parametrize(
    "length", [0, 3, 49, 51, 400, 10**6, 10**17, 10**30, -5, "12abc", "", "+50", "٥٠", "5 0"], ids=repr
)
def test_wrong_length_costs_one_record(read, length):
    """A Content-Length that is too small, too big or no number: one damaged region, and its followers stay."""
    broken = record(1, length=length)
    assert b"\r\n\r\n<p>text" in broken
    assert shape(read(GOOD + broken + GOOD + GOOD)) == ["<r0>", len(broken), "<r0>", "<r0>"]
    assert shape(read(GOOD + broken)) == ["<r0>", len(broken)]


def test_missing_length(read):
    broken = record(1).replace(b"Content-Length", b"X-Length")
    assert shape(read(broken + GOOD)) == [len(broken), "<r0>"]


def test_length_wins_over_a_record_in_a_page(read):
    """A page that contains WARC records is one record, also when the next one is damaged, or there is none."""
    page = record(1, b"\n\n" + GOOD + GOOD)
    junk = b"junk\r\n" * 9
    assert shape(read(page + GOOD)) == ["<r1>", "<r0>"]
    assert shape(read(page)) == ["<r1>"]
    assert shape(read(page + junk + GOOD)) == ["<r1>", len(junk), "<r0>"]


def test_file_that_ends_inside_a_record(read):
    """A cut record is damage, wherever it was cut; one that only lacks the line ends is whole."""
    last = record(1, b"the last page")
    for cut in range(1, len(last)):
        expected = "<r1>" if cut >= len(last) - 4 else cut
        assert shape(read(GOOD + last[:cut])) == ["<r0>", expected], cut


def test_padding_at_the_end_is_no_damage(read):
    assert shape(read(GOOD + bytes(5000))) == ["<r0>"]
    assert shape(read(GOOD + bytes(100_000) + b"\r\n")) == ["<r0>"]


def test_damaged_regions(read):
    """Junk at the start, zeros between and over a record's start, a record whose version line is broken."""
    junk, zeros, broken = b"\xef\xbb\xbf junk\n", bytes(70_000), record(1).replace(b"WARC/1", b"WORC/1")
    assert shape(read(junk + GOOD)) == [len(junk), "<r0>"]
    assert shape(read(GOOD + zeros + GOOD)) == ["<r0>", len(zeros), "<r0>"]
    assert shape(read(GOOD + bytes(30) + record(1)[30:] + GOOD)) == ["<r0>", len(record(1)), "<r0>"]
    assert shape(read(GOOD + broken + GOOD)) == ["<r0>", len(broken), "<r0>"]


def test_large_header_is_read_and_a_larger_one_skipped(read):
    """A header of a megabyte is read; one beyond the limit is damage; neither loses the records after it."""
    large = record(1, extra=b"X-Pad: " + b"a" * 1_000_000 + b"\r\n")
    huge = record(2, extra=b"X-Pad: " + b"a" * MAX_HEADER + b"\r\n")
    assert shape(read(GOOD + large + huge + GOOD)) == ["<r0>", "<r1>", len(huge), "<r0>"]


def test_header_that_runs_into_the_next_record(read):
    """A header without its blank line ends where the next record begins."""
    cut = record(1)[:60] + b"\r\n"
    assert shape(read(GOOD + cut + GOOD)) == ["<r0>", len(cut), "<r0>"]


@pytest.mark.parametrize("following", [GOOD, b"", b"junk\r\n" + GOOD])
def test_block_beyond_the_limit_is_cut(read, following):
    """A long block keeps its first bytes and loses no follower; a wrong length is found out as for a short one."""
    data = record(1, b"x" * 5000) + following
    items = read(data, max_block=100)
    assert shape(items) == shape(read(data))
    assert (items[0].cut, len(items[0].block)) == ("too_large", 100)
    assert items[0].block == read(data)[0].block[:100]
    wrong = record(1, b"x" * 500, length=700)
    assert shape(read(wrong + GOOD + GOOD, max_block=100)) == [len(wrong), "<r0>", "<r0>"]


@pytest.mark.parametrize(
    "page",
    [
        b"WARC/1.0\nA: b\n" * 20_000,
        b"WARC/1.0\nA: " * 20_000 + b"\n\n",
        b"WARC/1.0\nContent-Length: 99990\n\n" * 20_000,
        b"WARC/1.0\nContent-Length: 2000001\n\n" * 5_000,
    ],
    ids=["no blank line", "no line start", "length below the limit", "length above the limit"],
)
def test_a_page_of_record_starts_takes_linear_time(read, page):
    """A broken record full of what looks like records is passed quickly; parsing from each to the end takes minutes."""
    begin = time.process_time()
    items = read(GOOD + record(1, page, length=5) + b"x" * 3_000_000 + b"\n" + GOOD, max_block=1 << 20)
    assert time.process_time() - begin < 15
    assert (shape(items[:1]), shape(items[-1:])) == (["<r0>"], ["<r0>"])
    assert all(isinstance(item, Damage) for item in items[1:-1])

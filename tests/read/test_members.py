"""Gzip members: one record each or many, broken ones, and where records are said to be."""

from __future__ import annotations

import random
import re
import tracemalloc

import pytest
from warc_tools import member, record

from gpurefine.read.warc import Damage, WarcRecord, WarcSplit

RECORDS = [record(number, b"page %d " % number * 30 + random.Random(number).randbytes(200)) for number in range(4)]
MEMBERS = [member(data) for data in RECORDS]


@pytest.fixture
def read(tmp_path):
    """A function that reads a file of the given bytes."""

    def read(data: bytes, **options) -> list[WarcRecord | Damage]:
        path = tmp_path / "test.warc.gz"
        path.write_bytes(data)
        return list(WarcSplit(str(path), **options))

    return read


def shape(items: list[WarcRecord | Damage]) -> list[str | tuple[int, int]]:
    """The ids of records, offset and length of damaged regions."""
    return [
        (item.offset, item.length) if isinstance(item, Damage) else item.headers["warc-record-id"] for item in items
    ]


def test_a_member_for_each_record(read):
    """Offset and length are those of the member: the bytes there, alone, give the record again."""
    data = b"".join(MEMBERS)
    items = read(data)
    assert shape(items) == ["<r0>", "<r1>", "<r2>", "<r3>"]
    for item in items:
        (again,) = read(data[item.offset : item.offset + item.length])
        assert (again.headers, again.block) == (item.headers, item.block)
    assert sum(item.length for item in items) == len(data)


def test_all_records_in_one_member(read):
    """Records are addressed by member offset + decompressed offset; an earlier member shifts them."""
    items = read(MEMBERS[0] + member(b"".join(RECORDS[1:])))
    assert shape(items) == ["<r0>", "<r1>", "<r2>", "<r3>"]
    first = len(MEMBERS[0])
    assert [item.offset - first for item in items[1:]] == [0, len(RECORDS[1]), len(RECORDS[1]) + len(RECORDS[2])]
    assert [item.length for item in items[1:]] == [len(data) for data in RECORDS[1:]]


def test_member_with_a_name_and_an_extra_field(read):
    """The optional fields of a member's header."""
    plain = MEMBERS[1]
    named = plain[:3] + b"\x0c" + plain[4:10] + b"\x04\x00abcd" + b"file.warc\0" + plain[10:]
    assert shape(read(named + MEMBERS[2])) == ["<r1>", "<r2>"]


def test_empty_members_and_padding_hold_nothing(read):
    empty = member(b"")
    assert read(empty) == []
    assert shape(read(MEMBERS[0] + empty + MEMBERS[1] + empty + bytes(4096))) == ["<r0>", "<r1>"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (MEMBERS[1][:-8] + b"\0\0\0\0" + MEMBERS[1][-4:], "checksum"),
        (MEMBERS[1][:-4] + b"\0\0\0\0", "checksum"),
        (MEMBERS[1][:-30], "broken|checksum"),
        (MEMBERS[1][:40] + bytes(len(MEMBERS[1]) - 40), "broken|checksum|cut off"),
        (bytes(len(MEMBERS[1])), "no gzip member"),
        (b"junk" * 50, "no gzip member"),
        (b"\x1f\x8b\x08 is how a member begins", "broken"),
        (member(b"no record at all\n" * 20), "no record"),
        (member(record(1, length=5)), "Content-Length"),
        (member(record(1).replace(b"Content-Length", b"X")), "Content-Length"),
    ],
)
def test_a_broken_member_is_one_damaged_region(read, broken, reason):
    """It costs the record in it, and no other; the region is exactly its bytes."""
    begin = len(MEMBERS[0])
    items = read(MEMBERS[0] + broken + MEMBERS[2] + MEMBERS[3])
    assert shape(items) == ["<r0>", (begin, len(broken)), "<r2>", "<r3>"]
    assert re.search(reason, items[1].reason), items[1].reason
    assert shape(read(broken + MEMBERS[2]))[-1] == "<r2>", "also when it is the first"


@pytest.mark.parametrize("cut", [1, 4, 9, 60, 200])
def test_file_that_ends_inside_a_member(read, cut):
    data = b"".join(MEMBERS)
    begin = sum(map(len, MEMBERS[:3]))
    items = read(data[:-cut])
    assert shape(items) == ["<r0>", "<r1>", "<r2>", (begin, len(MEMBERS[3]) - cut)]


def test_member_of_several_records_that_breaks(read):
    """Records that another one followed before the break are kept, the rest is one damaged region."""
    whole = member(b"".join(record(number, bytes(range(256)) * 99) for number in range(9)), 1)
    broken = whole[: len(whole) * 2 // 3]
    items = read(broken + MEMBERS[3])
    assert shape(items)[:2] == ["<r0>", "<r1>"]
    assert 3 < len(items) < 9
    assert shape(items)[-2:] == [(0, len(broken)), "<r3>"]


def test_wrong_length_inside_a_member_of_several_records(read):
    wrong = record(1, length=5000)
    items = read(member(RECORDS[0] + wrong + RECORDS[2] + RECORDS[3]))
    assert shape(items) == ["<r0>", (len(RECORDS[0]), len(wrong)), "<r2>", "<r3>"]


def test_whole_member_shorter_than_its_length(read):
    """An intact member holds all there was, so its block is used and marked."""
    short = member(record(1, b"page", length=500))
    items = read(short + MEMBERS[2])
    assert shape(items) == ["<r1>", "<r2>"]
    assert (items[0].cut, items[0].block[-8:], items[0].length) == ("truncated", b"\r\n\r\npage", len(short))


@pytest.mark.parametrize("followers", [[], RECORDS[:2]])
def test_block_beyond_the_limit_is_cut(read, followers):
    """Alone in its member or not, a long block keeps its first bytes and loses no follower."""
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"x" * 3_000_000
    items = read(member(record(9, b"x" * 3_000_000) + b"".join(followers)) + MEMBERS[3], max_block=1000)
    assert shape(items) == ["<r9>", "<r0>", "<r1>", "<r3>"][:: 1 if followers else 3]
    assert (items[0].cut, items[0].block) == ("too_large", block[:1000])


def test_impossible_length_of_a_bomb_costs_only_its_record(read):
    """A length beyond the limit that the member does not keep: the record is cut or damaged, what follows is read."""
    items = read(member(record(9, b"x" * 50_000, length=10**15)) + MEMBERS[3], max_block=1000)
    assert shape(items) == ["<r9>", "<r3>"]
    assert (items[0].cut, len(items[0].block)) == ("too_large", 1000)
    items = read(member(record(9, b"x" * 50_000, length=20_000)) + MEMBERS[3], max_block=1000)
    assert [type(item) for item in items] == [Damage, WarcRecord]


@pytest.mark.parametrize(
    "page", [bytes(100 << 20), random.Random(1).randbytes(20 << 20)], ids=["100 MB behind 100 kB", "20 MB"]
)
def test_memory_stays_small(read, page):
    """What is held is a few times the limit on blocks, however long the member is on either side."""
    data = member(record(1, page), 1) + MEMBERS[0]
    tracemalloc.start()
    try:
        items = read(data, max_block=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shape(items) == ["<r1>", "<r0>"]
    assert peak < 7 << 20

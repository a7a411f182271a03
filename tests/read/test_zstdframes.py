"""WARC.zst: a frame for each record with or without a dictionary, one frame for all, and broken ones."""

from __future__ import annotations

import random
import re
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from warc_tools import TORTURE, frame, member, read_splits, record, skippable, stored_frame

from gpurefine.read.warc import Damage, WarcRecord, WarcSplit

RECORDS = [record(number, b"page %d " % number * 30 + random.Random(number).randbytes(200)) for number in range(4)]
FRAMES = [frame(data) for data in RECORDS]
DICTIONARY = zstandard.train_dictionary(4096, [record(number, b"<p>page %d</p>" % number) for number in range(400)])
IDS = ["<r0>", "<r1>", "<r2>", "<r3>"]


@pytest.fixture
def read(tmp_path):
    """A function that reads a file of the given bytes, and sees that splits anywhere hold the same."""

    def read(data: bytes, **options) -> list[WarcRecord | Damage]:
        path = tmp_path / "test.warc.zst"
        path.write_bytes(data)
        items = list(WarcSplit(str(path), **options))
        if len(data) < 20_000 and not options:
            bounds = [*range(0, len(data), max(1, len(data) // 23)), len(data)]
            assert read_splits(str(path), bounds)[0] == items
        return items

    return read


def shape(items: list[WarcRecord | Damage]) -> list[str | tuple[int, int]]:
    """The ids of records, offset and length of damaged regions."""
    return [
        (item.offset, item.length) if isinstance(item, Damage) else item.headers["warc-record-id"] for item in items
    ]


def test_a_frame_for_each_record(read):
    """Offset and length are those of the frame: the bytes there, alone, give the record again."""
    data = b"".join(FRAMES)
    items = read(data)
    assert shape(items) == IDS
    for item, raw in zip(items, RECORDS, strict=True):
        there = data[item.offset : item.offset + item.length]
        assert zstandard.ZstdDecompressor().decompress(there) == raw
        assert item.block in raw
    assert sum(item.length for item in items) == len(data)


@pytest.mark.parametrize("plain", [True, False], ids=["dictionary as it is", "compressed dictionary"])
def test_a_dictionary_for_all_frames(read, plain):
    """The frame of the dictionary is no record, and records have the places of their frames behind it."""
    content = DICTIONARY.as_bytes() if plain else frame(DICTIONARY.as_bytes())
    head = skippable(content, 0xD)
    frames = [frame(data, DICTIONARY) for data in RECORDS]
    assert sum(map(len, frames)) < sum(map(len, FRAMES))
    items = read(head + b"".join(frames))
    assert shape(items) == IDS
    assert [item.block for item in items] == [item.block for item in read(b"".join(FRAMES))]
    assert items[0].offset == len(head)


def test_raw_content_as_dictionary(read):
    """Bytes that are no trained dictionary serve as one, and its frames name none."""
    content = RECORDS[0] * 3
    raw = zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    assert shape(read(skippable(content, 0xD) + b"".join(frame(data, raw) for data in RECORDS))) == IDS


@pytest.mark.parametrize(
    "broken",
    [
        DICTIONARY.as_bytes()[:8] + bytes(4000),
        frame(DICTIONARY.as_bytes())[:-20],
        frame(bytes(40 << 20)),
        b"",
    ],
    ids=["zeroed", "cut", "bomb", "empty"],
)
def test_a_broken_dictionary_costs_the_frames_that_need_it(read, broken):
    head = skippable(broken, 0xD)
    items = read(head + frame(RECORDS[0], DICTIONARY) + FRAMES[1])
    assert shape(items) == [(len(head), len(frame(RECORDS[0], DICTIONARY))), "<r1>"]
    assert f"needs dictionary {DICTIONARY.dict_id()}" in items[0].reason


def test_one_frame_for_the_whole_file(read):
    """All of it belongs to the split in which it begins; records have the places of the decompressed file."""
    items = read(frame(b"".join(RECORDS)))
    assert shape(items) == IDS
    starts = [sum(map(len, RECORDS[:number])) for number in range(4)]
    assert [item.offset for item in items] == starts
    assert [item.length for item in items] == [len(data) for data in RECORDS]


def test_a_frame_of_several_blocks_without_checksum_and_size(read):
    """What `zstd` makes of a stream: neither size nor checksum stand in the frame."""
    data = b"".join(record(number, random.Random(number).randbytes(90_000)) for number in range(5))
    parameters = zstandard.ZstdCompressionParameters.from_level(1, write_content_size=False, write_checksum=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stream = compressor.compress(data[:70_000]) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    stream += compressor.compress(data[70_000:]) + compressor.flush()
    assert zstandard.get_frame_parameters(stream).content_size in (0, zstandard.CONTENTSIZE_UNKNOWN)
    assert shape(read(stream + frame(RECORDS[3]))) == ["<r0>", "<r1>", "<r2>", "<r3>", "<r4>", "<r3>"]


def test_records_in_small_blocks_are_found(read):
    """The start of a record may be cut into blocks of a few bytes."""
    frames = [stored_frame(data, block=5) for data in RECORDS]
    assert shape(read(b"j" * 100 + b"".join(frames)))[1:] == IDS


@pytest.mark.parametrize("kind", [0, 0xD, 0xF])
def test_skippable_frames_anywhere_and_empty_frames(read, kind):
    gap = skippable(b"an index, perhaps", kind) + frame(b"") + skippable(b"", kind)
    items = read(FRAMES[0] + gap + FRAMES[1] + gap + bytes(1000))
    assert shape(items) == ["<r0>", "<r1>"]
    assert items[1].offset == len(FRAMES[0] + gap)
    assert shape(read(skippable(b"first", 0) + FRAMES[0])) == ["<r0>"]
    assert shape(read(FRAMES[0] + skippable(b"cut off", kind)[:-1])) == ["<r0>", (len(FRAMES[0]), 14)]


def huge_window(data: bytes) -> bytes:
    """A frame that asks for a window of 256 MiB."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (FRAMES[1][:-4] + b"\0\0\0\0", "zstd checksum is wrong"),
        (FRAMES[1][:-30], "zstd"),
        (FRAMES[1][:40] + bytes(len(FRAMES[1]) - 40), "zstd"),
        (bytes(len(FRAMES[1])), "no zstd frame begins here"),
        (b"junk" * 50, "no zstd frame begins here"),
        (MAGIC := b"\x28\xb5\x2f\xfd", "zstd data"),
        (MAGIC + b" is how a frame begins", "zstd data is broken|cut off|window"),
        (MAGIC + b"\xa0\x09\0\0\0\x07\0\0", "zstd data is broken"),
        (huge_window(RECORDS[1]), "a window of 256 MiB, more than the 128 MiB"),
        (frame(RECORDS[1], DICTIONARY), f"needs dictionary {DICTIONARY.dict_id()}"),
        (frame(b"no record at all\n" * 20), "no record"),
        (frame(record(1, length=5)), "Content-Length"),
        (member(b"no record"), "no zstd frame begins here"),
    ],
)
def test_a_broken_frame_is_one_damaged_region(read, broken, reason):
    """It costs the record in it, and no other; the region is exactly its bytes."""
    begin = len(FRAMES[0])
    items = read(FRAMES[0] + broken + FRAMES[2] + FRAMES[3])
    assert shape(items) == ["<r0>", (begin, len(broken)), "<r2>", "<r3>"]
    assert re.search(reason, items[1].reason), items[1].reason
    assert shape(read(broken + FRAMES[2] + FRAMES[3]))[-2:] == ["<r2>", "<r3>"], "also when it is the first"


@pytest.mark.parametrize("cut", [1, 4, 9, 60, 200])
def test_file_that_ends_inside_a_frame(read, cut):
    items = read(b"".join(FRAMES)[:-cut])
    assert shape(items) == ["<r0>", "<r1>", "<r2>", (sum(map(len, FRAMES[:3])), len(FRAMES[3]) - cut)]
    assert items[-1].reason == "zstd data is cut off"


def test_one_frame_for_all_that_breaks(read):
    """Records that another one followed before the break are kept, the rest is one damaged region."""
    whole = frame(b"".join(record(number, random.Random(number).randbytes(30_000)) for number in range(20)))
    broken = whole[: len(whole) * 2 // 3]
    items = read(broken + FRAMES[3])
    assert shape(items)[:2] == ["<r0>", "<r1>"]
    assert 8 < len(items) < 16
    assert shape(items)[-2:] == [(0, len(broken)), "<r3>"]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_flipped_bit_is_never_unnoticed(tmp_path_factory, data):
    """Frames with checksums: each record is the one that was written, or lies in a damaged region."""
    whole = bytearray(b"".join(FRAMES))
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[place // 8] ^= 1 << place % 8
    path = tmp_path_factory.getbasetemp() / "flipped.warc.zst"
    path.write_bytes(whole)
    items = list(WarcSplit(str(path)))
    starts = {sum(map(len, FRAMES[:number])): number for number in range(4)}
    for item in items:
        if isinstance(item, WarcRecord):
            assert RECORDS[starts[item.offset]].endswith(item.block + b"\r\n\r\n")
    # the bit that says that there is a checksum is the one that no checksum covers
    assert sum(isinstance(item, Damage) for item in items) <= 1
    assert len([item for item in items if isinstance(item, WarcRecord)]) >= 3


@pytest.mark.parametrize("page", [bytes(200 << 20), random.Random(1).randbytes(20 << 20)], ids=["a bomb", "20 MB"])
def test_memory_stays_small(tmp_path, page):
    """What is held is a few times the limit on blocks, however long the frame is on either side."""
    path = tmp_path / "test.warc.zst"
    path.write_bytes(frame(record(1, page)) + FRAMES[0])
    del page
    tracemalloc.start()
    try:
        items = list(WarcSplit(str(path), max_block=1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shape(items) == ["<r1>", "<r0>"]
    assert items[0].cut == "too_large"
    assert peak < 7 << 20


def test_a_file_full_of_what_looks_like_frames(tmp_path):
    """Each start costs little, whatever size it claims: no more than some seconds for a megabyte of them."""
    fake = MAGIC + b"\xa0\xff\xff\xff\x00" + (131_072 << 3).to_bytes(3, "little")
    path = tmp_path / "test.warc.zst"
    path.write_bytes(FRAMES[0] + fake * 100_000 + FRAMES[1])
    items = list(WarcSplit(str(path)))
    assert shape(items) == ["<r0>", (len(FRAMES[0]), len(fake) * 100_000), "<r1>"]


def as_frames(data: bytes) -> bytes:
    """The file of gzip members with a frame in place of each whole member, and what is no member as it is."""
    pieces, at = [], 0
    while at < len(data):
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            content = stream.decompress(data[at:])
        except zlib.error:
            stream, content = None, b""
        if stream is not None and stream.eof:
            pieces.append(frame(content))
            at = len(data) - len(stream.unused_data)
        else:
            following = data.find(b"\x1f\x8b\x08", at + 1)
            end = len(data) if following < 0 else following
            piece = data[at:end]
            pieces.append(MAGIC + piece[4:] if piece.strip(b"\0") else piece)
            at = end
    return b"".join(pieces)


GZIPPED = [path for path in sorted(TORTURE.glob("*.warc.gz")) if path.read_bytes().startswith(b"\x1f\x8b")]
GZIPPED.remove(TORTURE / "not_warc.warc.gz")


@pytest.mark.parametrize("path", GZIPPED, ids=lambda path: path.name)
def test_torture_in_frames_is_what_it_is_in_members(tmp_path, path):
    """Malformed and hostile files: the same records, and a damaged region where there was one."""
    (tmp_path / "t.warc.zst").write_bytes(as_frames(path.read_bytes()))
    limit = 1 << 20
    there = list(WarcSplit(str(path), max_block=limit))
    here = list(WarcSplit(str(tmp_path / "t.warc.zst"), max_block=limit))

    def blocks(items):
        return [item.block if isinstance(item, WarcRecord) else None for item in items]

    assert blocks(here) == blocks(there)

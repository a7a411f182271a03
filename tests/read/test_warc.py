"""WARC files as they come: made and found monsters, samples beside another reader, and damage at any place."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import fastwarc
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from warc_tools import TORTURE, frame, member, read_splits, record, stored_frame

from gpurefine.errors import InputError
from gpurefine.read.warc import Damage, WarcRecord, WarcSplit

EXPECTED = json.loads((TORTURE / "expected.json").read_text())["files"]
NO_WARC = {"not_warc.warc.gz", "warcio-example.arc.gz"}


def read(path: Path, **options) -> list[WarcRecord | Damage]:
    return list(WarcSplit(str(path), **options))


def records_of(items: list[WarcRecord | Damage], kind: str) -> list[WarcRecord]:
    return [item for item in items if isinstance(item, WarcRecord) and item.type == kind]


def damage_of(items: list[WarcRecord | Damage]) -> list[Damage]:
    return [item for item in items if isinstance(item, Damage)]


def scan(data: bytes) -> list[int]:
    """Where a plain scan finds response records: offsets in the file, for gzip those of the members.

    The oracle of what must be accounted for: it knows no framing, and no lengths.
    """
    if not data.startswith(b"\x1f\x8b"):
        return [match.start() for match in re.finditer(rb"WARC-Type: response", data)]
    found = []
    for match in re.finditer(rb"\x1f\x8b\x08", data):
        stream, text = zlib.decompressobj(31), b""
        try:
            # a few bytes at a time, so that nearly all that comes out before an error is seen
            for at in range(match.start(), len(data), 16):
                text += stream.decompress(data[at : at + 16])
                if stream.eof or len(text) > 1_000_000:
                    break
        except zlib.error:
            pass
        if text.startswith(b"WARC/"):
            found += [match.start()] * len(re.findall(rb"^WARC-Type: response", text, re.MULTILINE))
    return found


class TestTorture:
    """Files that were made to break readers; what they must give was written down when they were made."""

    @pytest.mark.parametrize("name", sorted(EXPECTED.keys() - NO_WARC))
    def test_responses(self, name):
        """As many whole response records as the file holds, or as many as are acceptable for it."""
        expected = EXPECTED[name]
        items = read(TORTURE / name)
        assert len(records_of(items, "response")) in expected.get("accept_ok", [expected["responses_ok"]])
        assert len(records_of(items, "conversion")) == expected.get("conversions", 0)

    @pytest.mark.parametrize("name", sorted(EXPECTED.keys() - NO_WARC - {"bomb_member.warc.gz"}))
    def test_every_response_is_accounted_for(self, name):
        """Each response record that a plain scan finds is a record of ours or lies in a damaged region of its own."""
        data = (TORTURE / name).read_bytes()
        items = read(TORTURE / name)
        found = scan(data)
        assert len(found) == EXPECTED[name]["responses_scan"]
        lost = [at for at in found if any(d.offset <= at < d.offset + d.length for d in damage_of(items))]
        assert len(lost) + len(records_of(items, "response")) == len(found)

    @pytest.mark.parametrize(
        ("name", "damaged"),
        [
            ("bad_crc.warc.gz", 1),
            ("zeroed_middle.warc.gz", 1),
            ("garbage_between.warc", 1),
            ("garbage_between.warc.gz", 1),
            ("truncated_gzip.warc.gz", 1),
            ("content_length_too_big.warc", 1),
            ("content_length_too_small.warc", 1),
            ("content_length_negative.warc", 1),
            ("trailing_zeros.warc.gz", 0),
            ("missing_crlf_between.warc", 0),
            ("lf_only_headers.warc", 0),
            ("huge_header.warc", 0),
            ("url_1mb.warc.gz", 0),
        ],
    )
    def test_damaged_regions(self, name, damaged):
        """One region for each damage, none for what is only unusual; with the records they cover the file."""
        path = TORTURE / name
        items = read(path)
        assert len(damage_of(items)) == damaged
        at = 0
        for item in items:
            assert item.offset == at
            at += item.length
        assert (TORTURE / name).read_bytes()[at:].strip(b"\0") == b""

    @pytest.mark.parametrize("name", sorted(name for name, expected in EXPECTED.items() if "contains" in expected))
    def test_pages_behind_the_damage(self, name):
        """The pages that must come through are in the blocks, where these are not encoded."""
        blocks = b"".join(item.block for item in records_of(read(TORTURE / name), "response"))
        encoded = {"Gzipped", "Deflated", "ChunkGzip", "Brotli", "Chunked"}
        wanted = [title for title in EXPECTED[name]["contains"] if title not in encoded]
        assert all(b"<title>%s</title>" % title.encode() in blocks for title in wanted)

    def test_a_cut_block_says_so(self):
        """100 MB behind 100 kB: cut at the limit, the page behind it is read."""
        bomb, after = read(TORTURE / "bomb_member.warc.gz", max_block=1 << 20)
        assert (bomb.cut, len(bomb.block), after.cut) == ("too_large", 1 << 20, None)

    def test_folded_and_long_header_fields(self):
        assert read(TORTURE / "folded_header.warc")[0].headers["x-note"] == "first second line"
        assert len(read(TORTURE / "huge_header.warc")[1].headers["x-pad"]) == 200_000
        assert len(read(TORTURE / "url_1mb.warc.gz")[1].headers["warc-target-uri"]) > 1 << 20

    def test_files_of_other_projects(self, shared_data):
        """Test files of four WARC libraries: the responses a scan finds are read or lie in damage."""
        folder = shared_data / "torture" / "thirdparty"
        for name, expected in json.loads((folder / "expected.json").read_text())["files"].items():
            if name in NO_WARC:
                continue
            items = read(folder / name)
            # cut in its only member; its length is two bytes short
            cut = name in {"resiliparse-clipped.warc.gz", "warcio-example-trunc.warc"}
            assert len(records_of(items, "response")) == expected["responses_scan"] - cut, name
            assert len(damage_of(items)) == (cut or name == "warcio-example-wrong-chunks.warc.gz"), name


class TestSamples:
    """Real crawls, beside fastwarc."""

    @pytest.mark.parametrize(
        ("name", "responses"), [("small", 452), ("medium_a", 440), ("medium_b", 1300), ("medium_c", 1301)]
    )
    def test_same_records_as_fastwarc(self, shared_data, name, responses):
        path = shared_data / f"sample_{name}.warc.gz"
        items = read(path)
        assert len(records_of(items, "response")) == responses
        assert damage_of(items) == []
        with open(path, "rb") as file:
            for item, theirs in zip(items, fastwarc.ArchiveIterator(file, parse_http=False), strict=True):
                assert item.headers["warc-record-id"] == theirs.record_id
                assert item.block == theirs.reader.read()
                assert item.offset == theirs.stream_pos


class TestKinds:
    """What a file is, is decided by its bytes."""

    def test_empty_file(self, tmp_path):
        (tmp_path / "empty").write_bytes(b"")
        assert read(tmp_path / "empty") == []

    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"missing\.warc\.gz"):
            read(tmp_path / "missing.warc.gz")

    @pytest.mark.parametrize(
        "data",
        [b"hello, this is a text file\n" * 50, bytes(5000), b"\x89PNG\r\n\x1a\n", b"WARC", b"WARC/1.0\r\n\r\n"],
        ids=["text", "zeros", "png", "four letters", "a version alone"],
    )
    @pytest.mark.parametrize("wrap", [bytes, member, frame])
    def test_no_warc(self, tmp_path, data, wrap):
        path = tmp_path / "some.warc.gz"
        path.write_bytes(wrap(data))
        with pytest.raises(InputError, match=r"some\.warc\.gz is no WARC"):
            read(path)

    @pytest.mark.parametrize("wrap", [member, bytes, frame], ids=["gzip", "plain", "zstd"])
    def test_arc_is_named(self, tmp_path, wrap):
        path = tmp_path / "old.arc"
        path.write_bytes(wrap(b"filedesc://old.arc 0.0.0.0 20080430204825 text/plain 76\n1 0 x\n"))
        with pytest.raises(InputError, match="ARC file"):
            read(path)

    def test_damaged_start(self, tmp_path):
        """A WARC whose first bytes are lost is still one, and what was lost is a damaged region."""
        path = tmp_path / "damaged.warc.gz"
        for wrap in (bytes, member, frame):
            first, rest = wrap(record(0)), wrap(record(1)) + wrap(record(2))
            for junk in (bytes(len(first)), b"\xff" + first[1:], b"j" * 200_000 + b"\n"):
                path.write_bytes(junk + rest)
                items = read(path)
                assert damage_of(items) == [Damage(0, len(junk), items[0].reason)]
                assert [item.headers["warc-record-id"] for item in items[1:]] == ["<r1>", "<r2>"]

    def test_damaged_start_and_a_page_of_the_other_kind(self, tmp_path):
        """The kind is not that of a WARC inside a page."""
        path = tmp_path / "damaged.warc"
        plain = record(0) + record(1, member(record(8)) * 3) + record(2) * 9
        members = member(record(0)) + member(record(1, b"\n" + record(8)), 0) + member(record(2)) * 9
        frames = frame(record(0)) + frame(record(1, b"\n" + record(8) + member(record(8)))) + frame(record(2)) * 9
        for data, ids in ((plain, 10), (members, 10), (frames, 10)):
            path.write_bytes(b"\xff" + data[1:])
            assert len(records_of(read(path), "response")) == ids

    def test_empty_ranges(self):
        path = str(TORTURE / "uncompressed.warc")
        for split in (WarcSplit(path, 10, 10), WarcSplit(path, 10**9), WarcSplit(path, 5, 100, start=100)):
            assert list(split) == []
            assert (split.first_start, split.last_end) == (None, None)

    def test_reads_from_an_address(self):
        path = TORTURE / "near_duplicates.warc.gz"
        assert list(WarcSplit(f"file://{path}")) == read(path)

    def test_bounds_of_a_whole_file(self):
        for name in (
            "trailing_zeros.warc.gz",
            "truncated_gzip.warc.gz",
            "uncompressed.warc",
            "only_gzip_header.warc.gz",
        ):
            split = WarcSplit(str(TORTURE / name))
            list(split)
            assert (split.first_start, split.last_end) == (0, (TORTURE / name).stat().st_size)


BODIES = [
    b"short",
    b"<p>line of text</p>\r\n" * 40,
    bytes(range(256)),
    b"",
    b"\n\n" + record(90) + record(91),
    b"x\n" * 77,
    member(record(92), 0) + member(record(93)),
    frame(record(94)) + frame(record(95)),
]


@pytest.mark.parametrize(
    "wrap",
    [bytes, member, lambda data: member(data, 0), frame, stored_frame],
    ids=["plain", "deflate", "stored", "zstd", "stored zstd"],
)
@settings(deadline=None, max_examples=300)
@given(
    begin=st.floats(0, 1),
    length=st.integers(0, 700),
    # what comes instead of these bytes: zeros, noise, one flipped bit, nothing, or a piece of another record
    put=st.one_of(
        st.integers(0, 700).map(bytes),
        st.binary(max_size=300),
        st.just(None),
        st.integers(0, 500).map(lambda n: record(7, b"cut")[n:]),
    ),
    cuts=st.lists(st.floats(0, 1), max_size=4),
)
@example(begin=0.0, length=1, put=b"", cuts=[])
@example(begin=0.0, length=0, put=b"WARC/1.0\nA:", cuts=[0.1])
@example(begin=0.0, length=0, put=b"\x1f\x8b\x08", cuts=[0.1])
@example(begin=0.0, length=0, put=b"\x28\xb5\x2f\xfd", cuts=[0.1])
@example(begin=0.5, length=0, put=b"\x5d\x2a\x4d\x18\xff\xff\0\0", cuts=[0.5])
@example(begin=0.5, length=0, put=b"WARC/1.0\r\nWARC-Type: response\r\n", cuts=[0.5])
def test_damage_anywhere(tmp_path_factory, wrap, begin, length, put, cuts):
    """Bytes overwritten, lost or inserted at any place: no error, all bytes accounted for, all other records read.

    And splits of the damaged file hold the same.

    An untouched record may be missing only inside a record that was touched: where a broken length happens to lead
    to another record's end, nothing tells it from a page that contains a WARC.
    """
    pieces = [wrap(record(number, body)) for number, body in enumerate(BODIES)]
    data = b"".join(pieces)
    first = int(begin * len(data))
    last = min(first + length, len(data))
    if put is None:
        assume(first < len(data))
        last, put = first + 1, bytes([data[first] ^ 1 << length % 8])
    shift = len(put) - (last - first)
    path = tmp_path_factory.getbasetemp() / "damaged.warc"
    path.write_bytes(data[:first] + put + data[last:])

    at, untouched = 0, {}
    for number, piece in enumerate(pieces):
        # the line end before a record belongs to it: it makes its start visible
        if at + len(piece) <= first:
            untouched[at] = number
        elif at - 1 >= last and at > first:
            untouched[at + shift] = number
        at += len(piece)
    assume(untouched)

    items = read(path)
    size = path.stat().st_size
    assert read_splits(str(path), sorted({0, size, *(int(cut * size) for cut in cuts)}))[0] == items
    position = 0
    for item in items:
        assert item.offset == position, "regions adjoin"
        position += item.length
    assert path.read_bytes()[position:].strip(b"\0\r\n") == b"", "only padding is left out"
    delivered = {item.offset: item for item in items if isinstance(item, WarcRecord)}
    for offset, number in untouched.items():
        if offset in delivered:
            assert delivered[offset].headers["warc-record-id"] == f"<r{number}>"
            assert delivered[offset].block.endswith(BODIES[number])
        else:
            inside = [item for item in delivered.values() if item.offset < offset < item.offset + item.length]
            assert len(inside) == 1 and inside[0].offset not in untouched

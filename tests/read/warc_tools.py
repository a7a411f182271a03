"""Writes small WARCs for the tests of the readers, and reads files split by split as a run does."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import xxhash
import zstandard

from gpurefine.read.splits import next_correction
from gpurefine.read.warc import Damage, WarcRecord, WarcSplit

TORTURE = Path(__file__).resolve().parents[1] / "torture"


def record(
    number: int,
    body: bytes = b"<p>text</p>",
    *,
    kind: str = "response",
    length: int | str | None = None,
    extra: bytes = b"",
    end: bytes = b"\r\n\r\n",
) -> bytes:
    """A record with id ``<r{number}>``; ``length`` is what Content-Length says instead of the truth."""
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <r{number}>\r\n"
        f"Content-Length: {len(block) if length is None else length}\r\n"
    )
    return header.encode() + extra + b"\r\n" + block + end


def member(data: bytes, level: int = 9) -> bytes:
    """One gzip member; level 0 stores the bytes as they are, so that what is inside can be seen from outside."""
    return gzip.compress(data, level, mtime=0)


def frame(data: bytes, dictionary: zstandard.ZstdCompressionDict | None = None, **parameters) -> bytes:
    """One zstd frame with a checksum; parameters are those of zstandard."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        9, write_checksum=True, write_dict_id=dictionary is not None, **parameters
    )
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(data)


def stored_frame(data: bytes, block: int = 128 << 10) -> bytes:
    """One zstd frame, written by hand, that holds the bytes as they are: what is inside can be seen from outside."""
    blocks = [data[at : at + block] for at in range(0, len(data), block)] or [b""]
    heads = [(len(piece) << 3 | (piece is blocks[-1])).to_bytes(3, "little") for piece in blocks]
    # a single segment with a checksum, its size in four bytes
    head = b"\x28\xb5\x2f\xfd\xa4" + len(data).to_bytes(4, "little")
    return head + b"".join(map(bytes.__add__, heads, blocks)) + xxhash.xxh64_digest(data)[:3:-1]


def skippable(content: bytes, kind: int = 0) -> bytes:
    """A frame that holds nothing for a reader."""
    return bytes([0x50 + kind]) + b"\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


def read_splits(path: str, bounds: list[int]) -> tuple[list[WarcRecord | Damage], int]:
    """All that the splits between ``bounds`` hold once they fit together, and how many were read again."""
    ranges = list(pairwise(bounds))
    splits = [WarcSplit(path, begin, end) for begin, end in ranges]
    held = [list(split) for split in splits]
    corrections = 0
    while True:
        state = [(s.begin, s.end, s.first_start, s.last_end) for s in splits]
        correction = next_correction(state)
        if correction is None:
            return [item for items in held for item in items], corrections
        index, start = correction
        splits[index] = WarcSplit(path, *ranges[index], start=start)
        held[index] = list(splits[index])
        corrections += 1
        assert corrections <= len(splits), "a split that was corrected is right"

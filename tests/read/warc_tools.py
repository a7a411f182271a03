"""Writes small WARCs for the tests of the readers, and reads files split by split as a run does."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

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

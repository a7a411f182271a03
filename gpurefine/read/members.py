"""The members of a compressed WARC: each is a stream of records of its own, usually of just one.

A member is what a compressor ends and begins anew: a member of gzip (``gzipmembers``), a frame of zstd
(``zstdframes``). One that cannot be decompressed to its end, or whose checksum is wrong, is a damaged region up to the
next member that begins with a record. The records of a member are handed on when another one of it has begun, the last
one when the member's checksum was right: a record that is the only one of a broken member is never handed on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from gpurefine.read.records import RECORD_START, Damage, WarcRecord, read_records
from gpurefine.read.window import Source, Window

#: How much of what comes out of a member is looked at to see whether a record begins there.
START_BYTES = 512


class BrokenMember(Exception):
    """A member that cannot be decompressed to its end; says why."""


class MemberSource(Source, Protocol):
    """The decompressed bytes of a member.

    ``read`` raises ``BrokenMember`` where it cannot be decompressed, is cut off or has a wrong checksum.
    """

    #: offset in the file up to which the member was decompressed; its end, once all was read
    position: int


class Compression(Protocol):
    """How the members of a file are told and decompressed."""

    #: what messages call a member
    name: str
    #: the bytes with which a member begins that can hold a record
    magic: bytes

    def begins(self, head: bytes) -> bool:
        """Whether a member begins with these bytes, as many as the magic has."""

    def open(self, window: Window, at: int) -> MemberSource:
        """The decompressed bytes of the member that begins at ``at`` in the file seen through ``window``."""

    def start(self, window: Window, at: int) -> bytes:
        """About the first ``START_BYTES`` that the member at ``at`` holds; empty if there is none to be had."""


def find_member(window: Window, at: int, stop: int, compression: Compression) -> int | None:
    """The first member in ``[at, stop)`` that begins with a plausible record, or None."""
    found = window.find(compression.magic, at, stop)
    while found is not None and not RECORD_START.match(compression.start(window, found)):
        found = window.find(compression.magic, found + 1, stop)
    return found


def read_members(
    window: Window, at: int, stop: int, max_block: int, compression: Compression
) -> Iterator[WarcRecord | Damage]:
    """Read the members and damaged regions that start in ``[at, stop)`` of a file.

    Parameters
    ----------
    window : the file
    at : where a member or damaged region begins
    stop : where the next reader takes over; the last member is finished beyond it
    max_block : bytes of a block that are kept
    compression : of the file

    Returns
    -------
    (of the generator) the offset where the last one ended; padding at the file's end is passed over.
    """
    while at < stop:
        window.move(at)
        content = window.skip(at, b"\0\r\n")
        if not window.fill(content + 1):
            return content
        if content > at or not compression.begins(window.view(at, len(compression.magic))):
            end = yield from _skip_damage(window, at, content, f"no {compression.name} begins here", compression)
        else:
            end = yield from _read_member(window, at, max_block, compression)
        at = end
    return at


def _read_member(window: Window, at: int, max_block: int, compression: Compression) -> Iterator[WarcRecord | Damage]:
    member = compression.open(window, at)
    waiting: WarcRecord | Damage | None = None
    several = False
    try:
        for item in read_records(Window(member), 0, sys.maxsize, max_block, closed=True):
            if waiting is not None:
                several = True
                yield replace(waiting, offset=at + waiting.offset)
            waiting = item
    except BrokenMember as broken:
        return (yield from _skip_damage(window, at, at + 1, str(broken), compression))
    if several:
        yield replace(waiting, offset=at + waiting.offset)
    elif waiting is not None:
        yield replace(waiting, offset=at, length=member.position - at)
    return member.position


def _skip_damage(window: Window, at: int, resume: int, reason: str, compression: Compression) -> Iterator[Damage]:
    """One damaged region from ``at`` to the next member that begins with a record, looked for from ``resume`` on."""
    window.move(resume)
    end = find_member(window, resume, sys.maxsize, compression)
    end = window.end if end is None else end
    yield Damage(at, end - at, reason)
    return end

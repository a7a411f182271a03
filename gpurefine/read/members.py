"""The gzip members of a WARC: each is a stream of records of its own, usually of just one.

A member that cannot be decompressed to its end, or whose checksum is wrong, is a damaged region up to the next member
that begins with a record. The records of a member are handed on when another one of it has begun, the last one when
the member's checksum was right: a record that is the only one of a broken member is never handed on.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace

from gpurefine.read.records import RECORD_START, Damage, WarcRecord, read_records
from gpurefine.read.window import Window

MAGIC = b"\x1f\x8b\x08"

# zlib copies what it was given beyond a member's end, so it is given little at a time
_PIECE = 1 << 14
_LARGEST_OUTPUT = 1 << 18

# compressed bytes after which the first line of a record must have come out, and how much of it is looked at
_PROBE = 1 << 11
_PROBE_OUTPUT = 256


class BrokenMember(Exception):
    """A gzip member that cannot be decompressed to its end; says why."""


class MemberSource:
    """The decompressed bytes of the gzip member that begins at ``at`` in the file seen through ``file``.

    Attributes
    ----------
    position : offset in the file up to which the member was decompressed; its end, once all was read
    """

    size = None

    def __init__(self, file: Window, at: int) -> None:
        self.position = at
        self._file = file
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def read(self) -> bytes:
        """Decompress some more; empty when the member has ended and its checksum is right.

        Raises
        ------
        BrokenMember
            if it cannot be decompressed, is cut off or has a wrong checksum
        """
        while not self._inflate.eof:
            piece = self._file.view(self.position, _PIECE)
            try:
                output = self._inflate.decompress(piece, _LARGEST_OUTPUT)
            except zlib.error as error:
                wrong_sum = "data check" in str(error) or "length check" in str(error)
                raise BrokenMember("gzip checksum is wrong" if wrong_sum else "gzip data is broken") from None
            left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self.position += len(piece) - len(left)
            self._file.move(self.position)
            if output:
                return output
            if not piece:
                raise BrokenMember("gzip data is cut off")
        return b""

    def seek(self, offset: int) -> bool:
        """A member is read once, from its start."""
        return False


def member_start(window: Window, at: int) -> bytes:
    """The first decompressed bytes of the gzip member at ``at``; empty if there is none."""
    head = window.view(at, _PROBE)
    if not head.startswith(MAGIC):
        return b""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _PROBE_OUTPUT)
    except zlib.error:
        return b""


def find_member(window: Window, at: int, stop: int) -> int | None:
    """The first gzip member in ``[at, stop)`` that begins with a plausible record, or None."""
    found = window.find(MAGIC, at, stop)
    while found is not None and not RECORD_START.match(member_start(window, found)):
        found = window.find(MAGIC, found + 1, stop)
    return found


def read_members(window: Window, at: int, stop: int, max_block: int) -> Iterator[WarcRecord | Damage]:
    """Read the gzip members and damaged regions that start in ``[at, stop)`` of a file.

    Parameters
    ----------
    window : the file
    at : where a member or damaged region begins
    stop : where the next reader takes over; the last member is finished beyond it
    max_block : bytes of a block that are kept

    Returns
    -------
    (of the generator) the offset where the last one ended; padding at the file's end is passed over.
    """
    while at < stop:
        window.move(at)
        content = window.skip(at, b"\0\r\n")
        if not window.fill(content + 1):
            return content
        if content > at or window.view(at, len(MAGIC)) != MAGIC:
            end = yield from _skip_damage(window, at, content, "no gzip member begins here")
        else:
            end = yield from _read_member(window, at, max_block)
        at = end
    return at


def _read_member(window: Window, at: int, max_block: int) -> Iterator[WarcRecord | Damage]:
    member = MemberSource(window, at)
    waiting: WarcRecord | Damage | None = None
    several = False
    try:
        for item in read_records(Window(member), 0, sys.maxsize, max_block, closed=True):
            if waiting is not None:
                several = True
                yield replace(waiting, offset=at + waiting.offset)
            waiting = item
    except BrokenMember as broken:
        return (yield from _skip_damage(window, at, at + 1, str(broken)))
    if several:
        yield replace(waiting, offset=at + waiting.offset)
    elif waiting is not None:
        yield replace(waiting, offset=at, length=member.position - at)
    return member.position


def _skip_damage(window: Window, at: int, resume: int, reason: str) -> Iterator[Damage]:
    """One damaged region from ``at`` to the next member that begins with a record, looked for from ``resume`` on."""
    window.move(resume)
    end = find_member(window, resume, sys.maxsize)
    end = window.end if end is None else end
    yield Damage(at, end - at, reason)
    return end

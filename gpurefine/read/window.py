"""A byte stream seen through a window: what lies under the readers of records and of gzip members.

Readers ask for bytes by their offset in the stream; the window holds what they still need and no more. A file can
be entered anywhere; the decompressed bytes of a gzip member pass only once.
"""

from __future__ import annotations

from typing import BinaryIO, Protocol

#: A file is read in pieces that grow from the first to the second size while they are read one after the other.
FIRST_PIECE = 1 << 14
LARGEST_PIECE = 1 << 20


class Source(Protocol):
    """Where a window's bytes come from."""

    #: bytes of the whole stream, None where that is known only at its end
    size: int | None

    def read(self) -> bytes:
        """The next piece of the stream; empty at its end."""

    def seek(self, offset: int) -> bool:
        """Go to ``offset``; False where the stream cannot be entered there."""


class FileSource:
    """The pieces of an open file of ``size`` bytes."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self._file = file
        self._piece = FIRST_PIECE

    def read(self) -> bytes:
        piece = self._file.read(self._piece)
        self._piece = min(2 * self._piece, LARGEST_PIECE)
        return piece

    def seek(self, offset: int) -> bool:
        self._file.seek(offset)
        self._piece = FIRST_PIECE
        return True


class Window:
    """The stretch of a stream that is held in memory.

    Attributes
    ----------
    buffer : the bytes that are held
    base, end : offsets in the stream where they begin and end
    ended : the stream ends at ``end``
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.buffer = bytearray()
        self.base = 0
        self.ended = False

    @property
    def end(self) -> int:
        return self.base + len(self.buffer)

    def fill(self, end: int) -> bool:
        """Hold the stream up to offset ``end``; False if it is shorter."""
        while self.end < end and not self.ended:
            piece = self.source.read()
            self.buffer += piece
            self.ended = not piece
        return self.end >= end

    def view(self, begin: int, length: int) -> bytes:
        """A copy of ``length`` bytes from offset ``begin`` on; fewer where the stream ends."""
        self.fill(begin + length)
        return bytes(memoryview(self.buffer)[begin - self.base : begin - self.base + length])

    def move(self, offset: int) -> int:
        """Forget what lies before ``offset``.

        Returns
        -------
        The first offset that can be had now: ``offset``, or a later one where the source cannot go back, or the end of
        a stream that is shorter.
        """
        if not self.base <= offset <= self.end and self.source.seek(offset):
            self.buffer.clear()
            self.base = offset
            self.ended = False
        while self.end < offset and not self.ended:
            self.base = self.end
            self.buffer.clear()
            self.fill(self.base + 1)
        passed = min(offset, self.end) - self.base
        if passed > 0:
            del self.buffer[:passed]
            self.base += passed
        return self.base

    def skip(self, at: int, values: bytes) -> int:
        """The first offset from ``at`` on whose byte is not one of ``values``, or the end of the stream."""
        step = 16
        while self.fill(at + 1):
            piece = self.view(at, step)
            rest = piece.lstrip(values)
            at += len(piece) - len(rest)
            if rest:
                return at
            self.move(at)
            step = FIRST_PIECE
        return at

    def find(self, token: bytes, at: int, stop: int) -> int | None:
        """The offset of the first ``token`` that begins in ``[at, stop)``, or None.

        What was searched in vain is forgotten; the byte before the token stays.
        """
        while at < stop:
            self.fill(at + len(token))
            found = self.buffer.find(token, at - self.base)
            if found >= 0:
                return self.base + found if self.base + found < stop else None
            if self.ended:
                return None
            at = max(at, self.end - len(token) + 1)
            self.move(max(self.base, at - 1))
            self.fill(self.end + 1)
        return None

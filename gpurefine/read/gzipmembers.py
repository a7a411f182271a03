"""Gzip members, as ``members`` reads them: the form in which nearly all WARC files come."""

from __future__ import annotations

import zlib

from gpurefine.read.members import START_BYTES, BrokenMember
from gpurefine.read.window import Window

# zlib copies what it was given beyond a member's end, so it is given little at a time
_PIECE = 1 << 14
_LARGEST_OUTPUT = 1 << 18

# compressed bytes after which the first line of a record must have come out
_PROBE = 1 << 11


class GzipMember:
    """The decompressed bytes of the gzip member that begins at ``at`` in the file seen through ``file``."""

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


class Gzip:
    """The compression of a file of gzip members."""

    name = "gzip member"
    magic = b"\x1f\x8b\x08"

    def begins(self, head: bytes) -> bool:
        return head == self.magic

    def open(self, window: Window, at: int) -> GzipMember:
        return GzipMember(window, at)

    def start(self, window: Window, at: int) -> bytes:
        head = window.view(at, _PROBE)
        if not head.startswith(self.magic):
            return b""
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, START_BYTES)
        except zlib.error:
            return b""

"""The lines of a text file, plain or compressed: what lies under the reader of JSON lines.

A line ends with a newline and nothing else, which JSON never holds as it is. So a plain file can be entered anywhere: a
split has the lines that begin in it. The bytes of a compressed file pass only once, so that it is read as a whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from gpurefine.read.kinds import begun_compression
from gpurefine.read.members import BrokenMember, Compression
from gpurefine.read.opening import Place, open_binary
from gpurefine.read.window import FileSource, Window

#: In a plain file a line that begins behind this many bytes has no number: those before it are counted for each split
#: in which there is something to say of a line. It is a rule of offsets, so that it is the same for any splits.
NUMBERED_BYTES = 1 << 30

_COUNT_PIECE = 1 << 20
_PADDING = b"\0\r\n"


@dataclass(frozen=True)
class Line:
    """A line of a file, or what there is of the one in which a compressed file breaks off.

    Attributes
    ----------
    offset : of its first byte, in the decompressed file
    index : 0, 1, ... in its split
    size : bytes with the newline
    data : the bytes without the newline; None for a line that is too long, or broken off
    problem : why the file breaks off in it
    """

    offset: int
    index: int
    size: int
    data: bytes | None
    problem: str | None = None


class LineSplit:
    """The lines of a plain file that begin in a byte range, or all lines of a compressed one. Iterate over it once.

    Parameters
    ----------
    path : local file, a URL that fsspec can open, or a ``Place``
    begin, end : range of bytes of a plain file, None ends it where the file ends. All of a compressed file belongs to a
        split with ``begin`` 0, nothing to others
    longest : bytes that a line may have. Memory is bounded by about twice as much

    Attributes
    ----------
    bytes : of the file that were read, once iterated

    Raises
    ------
    InputError
        on iteration, if the file cannot be opened
    """

    def __init__(self, path: str | Place, begin: int = 0, end: int | None = None, *, longest: int) -> None:
        self.path, self.begin, self.end, self.longest = path, begin, end, longest
        self.bytes = 0
        self._compressed = False
        self._first = 0
        self._before: int | None = None

    def __iter__(self) -> Iterator[Line]:
        # what does not begin with the file is a part of a plain one
        file, size = open_binary(self.path, self.end if self.begin else None)
        with file:
            window = Window(FileSource(file, size))
            compression = begun_compression(window)
            self._compressed = compression is not None
            if compression is None:
                yield from self._plain(window, size)
            elif self.begin == 0:
                yield from cut_lines(_decompressed(window, compression), 0, self.longest)
                self.bytes = size

    def _plain(self, window: Window, size: int) -> Iterator[Line]:
        end = size if self.end is None else min(self.end, size)
        if self.begin >= end:
            return
        start = 0
        if self.begin:
            window.move(self.begin - 1)
            newline = window.find(b"\n", self.begin - 1, end - 1)
            if newline is None:
                return
            start = newline + 1
        self._first = start
        for line in cut_lines(_rest(window, start), start, self.longest):
            if line.offset >= end:
                return
            self.bytes = line.offset + line.size - start
            yield line

    def number(self, line: Line) -> int | None:
        """The number of a line in its file, from 1 on; None for one far behind in a plain file.

        The lines before the split are counted when the first number is asked for.
        """
        if not self._compressed and line.offset >= NUMBERED_BYTES:
            return None
        if self._before is None:
            self._before = _count_newlines(self.path, self._first)
        return self._before + line.index + 1


def lines_a_byte(path: str | Place, size: int) -> float:
    """Lines in a byte of the file as it is stored, going by its first ``size`` bytes; an estimate."""
    file, whole = open_binary(path)
    with file:
        window = Window(FileSource(file, whole))
        compression = begun_compression(window)
        pieces = _rest(window, 0) if compression is None else _decompressed(window, compression)
        count = 0
        with contextlib.suppress(BrokenMember):
            for piece in pieces:
                count += piece.count(b"\n")
                if window.base >= size:
                    break
        return count / max(1, window.base)


def cut_lines(pieces: Iterator[bytes], offset: int, longest: int) -> Iterator[Line]:
    """The lines of a stream of bytes; where it raises ``BrokenMember``, the line that it breaks off is the last one.

    Parameters
    ----------
    pieces : one behind the other, of any sizes
    offset : of the first piece in the file
    longest : of a longer line no more is held than this and a piece
    """
    begun: list[bytes] = []
    size = index = 0

    def line(ending: int, problem: str | None = None) -> Line:
        data = b"".join(begun) if problem is None and size <= longest else None
        return Line(offset, index, size + ending, data, problem)

    try:
        for piece in pieces:
            *whole, rest = piece.split(b"\n")
            for part in whole:
                begun.append(part)
                size += len(part)
                yield line(1)
                offset, index, size = offset + size + 1, index + 1, 0
                begun.clear()
            size += len(rest)
            begun.append(rest)
            if size > longest:
                begun.clear()
    except BrokenMember as broken:
        yield line(0, str(broken))
        return
    if size:
        yield line(0)


def _rest(window: Window, at: int) -> Iterator[bytes]:
    """The pieces of a file from ``at`` on."""
    window.move(at)
    while window.fill(at + 1):
        piece = window.view(at, window.end - at)
        at += len(piece)
        window.move(at)
        yield piece


def _decompressed(window: Window, compression: Compression) -> Iterator[bytes]:
    """What the members of a file hold, one behind the other. Raises ``BrokenMember`` where it breaks off."""
    at = window.skip(0, _PADDING)
    while window.fill(at + 1):
        if not compression.begins(window.view(at, len(compression.magic))):
            raise BrokenMember(f"no {compression.name} begins at byte {at} of the file")
        member = compression.open(window, at)
        try:
            while piece := member.read():
                yield piece
        except BrokenMember as broken:
            raise BrokenMember(f"{broken} in the {compression.name} at byte {at} of the file") from None
        at = window.skip(window.move(member.position), _PADDING)


def _count_newlines(path: str | Place, end: int) -> int:
    """Newlines before an offset of a plain file."""
    file, _ = open_binary(path, end)
    count = at = 0
    with file:
        while at < end and (piece := file.read(min(_COUNT_PIECE, end - at))):
            count += piece.count(b"\n")
            at += len(piece)
    return count

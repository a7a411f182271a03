"""WARC files: a byte range of a file -> its records, in order, and the damaged regions between them.

This is where reading begins; what becomes of a record is decided after it. Nothing in a file makes this fail, hang or
hold more than a few blocks: what cannot be read is a ``Damage``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from gpurefine.errors import InputError
from gpurefine.read.gzipmembers import Gzip
from gpurefine.read.members import Compression, find_member, read_members
from gpurefine.read.opening import Place, open_binary
from gpurefine.read.records import (
    MAX_BLOCK,
    RECORD_START,
    Damage,
    WarcRecord,
    find_record,
    read_records,
)
from gpurefine.read.window import FileSource, Window
from gpurefine.read.zstdframes import Zstd, first_frame, read_dictionary

__all__ = ["MAX_BLOCK", "Damage", "WarcRecord", "WarcSplit"]

#: A file without a record in its first bytes, this many, is not read as a WARC.
HEAD = 16 << 20

_PROBE = 256


class WarcSplit:
    """The records of a WARC that start in a byte range. Iterate over it once.

    A split owns what starts in ``[begin, end)``: gzip members, zstd frames, records of a plain file, damaged regions.
    It reads beyond ``end`` to finish the last one. A split that does not begin at 0 is read from the first place in it
    that looks like a record start, which may be inside a page that contains a WARC: compare ``last_end`` of one split
    with ``first_start`` of the next (``gpurefine.read.splits.next_correction``) and read again from the right
    ``start``. The records and damaged regions of all splits are then those of the whole file, whatever the boundaries.

    Parameters
    ----------
    path : local file, a URL that fsspec can open, or a ``Place``; plain, gzip or zstd, which its first bytes decide
        and not its name
    begin, end : range of bytes; None ends it where the file ends
    start : where to start instead of searching; at or beyond ``end`` the split is empty
    max_block : bytes of a record's block that are kept. About three times as much memory is held at most

    Attributes
    ----------
    first_start : once iterated, the offset at which the first member, record or damaged region began; None if the split
        holds none
    last_end : once iterated, the offset at which the last one ended, where the next one starts; the file's size after
        the last of all; None if the split holds none

    Raises
    ------
    InputError
        on iteration, if the file cannot be opened or is no WARC. An empty file is a WARC without records.
    """

    def __init__(
        self,
        path: str | Place,
        begin: int = 0,
        end: int | None = None,
        *,
        start: int | None = None,
        max_block: int = MAX_BLOCK,
    ) -> None:
        self.path = path
        self.begin = begin
        self.end = end
        self.start = 0 if begin == 0 and start is None else start
        self.max_block = max_block
        self.first_start: int | None = None
        self.last_end: int | None = None

    def __iter__(self) -> Iterator[WarcRecord | Damage]:
        file, size = open_binary(self.path, self.end)
        with file:
            end = size if self.end is None else min(self.end, size)
            at = self.start
            if (self.begin if at is None else at) >= end:
                return
            window = Window(FileSource(file, size))
            compression = compression_of(window, self.path, self.max_block)
            find, read = readers(compression)
            if at is None:
                window.move(self.begin - 1)
                at = find(window, self.begin, end)
            if at is None:
                return
            self.first_start = at
            self.last_end = yield from read(window, at, end, self.max_block)


def compression_of(window: Window, path: str | Place, max_block: int = MAX_BLOCK) -> Compression | None:
    """How a WARC is compressed, seen from its start; None for a plain one.

    Raises
    ------
    InputError
        naming the file where it is none
    """
    known = [Gzip(), Zstd(read_dictionary(window))]
    begun = next((each for each in known if each.begins(window.view(0, len(each.magic)))), None)
    start = window.view(0, _PROBE) if begun is None else begun.start(window, window.move(first_frame(window, HEAD)))
    plausible = RECORD_START.match(start) is not None
    if begun is not None and plausible:
        return begun
    window.move(0)
    if plausible and all(isinstance(item, WarcRecord) for item in islice(read_records(window, 0, HEAD, max_block), 2)):
        return None
    # The first records are damaged, or the file is no WARC. Pages contain WARCs of other kinds, so that the first
    # one found proves nothing: the kind is the one that makes more of the file readable.
    readable = {each: _readable(window, *readers(each), max_block) for each in (None, *known)}
    best = max(readable.values())
    found = [each for each, amount in readable.items() if amount == best]
    if len(found) == 1:
        return found[0]
    # a start that cannot be decompressed may be all there is
    if plausible or (begun is not None and not start):
        return begun
    if start.startswith(b"filedesc:"):
        raise InputError(f"{path} is an ARC file, the format before WARC: convert it, as 'warcio recompress' does")
    raise InputError(
        f"{path} is no WARC: its first {HEAD >> 20} MiB hold no record; expected WARC, WET or JSON lines (plain, gzip "
        "or zstd), or Parquet"
    )


def readers(compression: Compression | None) -> tuple[Callable[..., int | None], Callable[..., Iterator]]:
    """What finds and what reads the records of a file with this compression, called as those of a plain one."""
    if compression is None:
        return find_record, read_records
    return partial(find_member, compression=compression), partial(read_members, compression=compression)


def _readable(
    window: Window, find: Callable[..., int | None], read: Callable[..., Iterator], max_block: int
) -> tuple[int, int]:
    """Bytes of those records in the file's head that another record follows at once, and bytes of all records."""
    window.move(0)
    at = find(window, 0, HEAD)
    items = [] if at is None else read(window, at, HEAD, max_block)
    followed = total = last = 0
    for item in items:
        length = item.length if isinstance(item, WarcRecord) else 0
        followed += last if length else 0
        total += length
        last = length
    return followed, total

"""WARC records in a stream of bytes: a plain WARC file, or what one gzip member holds.

Framing is ISO 28500: a version line, header fields, a blank line, Content-Length bytes of block, two line ends.
Real files break each of these. A record is believed when its block ends where its length says, that is before two
line ends, a further record or the end of the stream; what cannot be believed is passed over up to the next plausible
record start and becomes one damaged region. Where a record or region ends depends on the bytes from its start on and
on nothing else, so that a file can be read from any of these boundaries.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from gpurefine.read.window import Window

#: A longer header is damage. Crawlers write URLs of a megabyte.
MAX_HEADER = 2 << 20

#: Bytes of a block that are kept, by default.
MAX_BLOCK = 64 << 20

#: A plausible record start: a version line and the name of a field. Files exist for versions 0.17, 0.18, 1.0 and 1.1.
RECORD_START = re.compile(rb"WARC/\d\.\d{1,3}[ \t]{0,8}\r?\n[!-9;-~]{1,100}[ \t]{0,8}:")
_START_BYTES = 256

# Where a record is searched for, it begins a line or follows zeroed bytes. A header with such a start in it was cut:
# without this a page full of record starts would be parsed from each of them to the end of the longest header.
_FOUND_START = re.compile(rb"(?<=[\n\0])" + RECORD_START.pattern)
_HEADER_END = re.compile(rb"\n\r?\n|[\n\0]WARC/\d")
_FOLDED = re.compile(rb"\r?\n[ \t]+")
_LINE_ENDS = b"\r\n"
_PADDING = b"\0\r\n"
_ENDLESS = sys.maxsize


@dataclass(frozen=True)
class WarcRecord:
    """One record of a WARC.

    Attributes
    ----------
    type : ``WARC-Type`` in lower case (``response``, ``request``, ...), empty when missing
    headers : WARC header fields; names in lower case, the first of equal names, folded lines joined by a blank,
        values decoded as UTF-8 or else as latin-1
    block : the record's block; for a ``response`` the HTTP message
    offset, length : bytes of the file. In a gzip member of its own: the member's start and compressed length. In a
        plain file: the record with the line ends that follow it. In a gzip member of several records the file has no
        position for each: member offset + offset in the decompressed member, and decompressed length
    cut : None for a whole block; ``truncated`` when an intact gzip member held fewer than Content-Length bytes;
        ``too_large`` when only the first ``max_block`` bytes were kept
    """

    type: str
    headers: dict[str, str]
    block: bytes
    offset: int
    length: int
    cut: str | None = None


@dataclass(frozen=True)
class Damage:
    """A region of the file, ``length`` bytes from ``offset`` on, that holds no readable record; one removal.

    Inside an intact gzip member of several records it is addressed as these are. A broken gzip member of several
    records is a region of the file from the member's start on, though those of its records that came before the
    break were handed on.
    """

    offset: int
    length: int
    reason: str


def is_record_start(window: Window, at: int) -> bool:
    """Whether a record plausibly begins at offset ``at``."""
    window.fill(at + _START_BYTES)
    return RECORD_START.match(window.buffer, at - window.base) is not None


def find_record(window: Window, at: int, stop: int) -> int | None:
    """The first plausible record start in ``[at, stop)`` that begins a line, or None.

    The byte before ``at`` must be held, or no record is found at ``at`` itself.
    """
    found = window.find(b"WARC/", at, stop)
    while found is not None:
        window.fill(found + _START_BYTES)
        if _FOUND_START.match(window.buffer, found - window.base):
            return found
        found = window.find(b"WARC/", found + 1, stop)
    return None


def read_records(
    window: Window, at: int, stop: int, max_block: int, *, closed: bool = False
) -> Iterator[WarcRecord | Damage]:
    """Read what starts in ``[at, stop)``; all offsets are those of the stream.

    Parameters
    ----------
    window : the stream
    at : where a record or damaged region begins
    stop : where the next reader takes over; the last record is finished beyond it
    max_block : bytes of a block that are kept
    closed : the stream is a gzip member, whose end is known to be right. A last block that is shorter than its
        Content-Length is then all there was, while in a plain file the rest is missing.

    Returns
    -------
    (of the generator) the offset where the last one ended; padding at the stream's end is passed over.
    """
    while at < stop:
        window.move(at)
        head = window.skip(at, _LINE_ENDS)
        content = window.skip(head, _PADDING)
        if not window.fill(content + 1):
            return content
        found = "zeroed bytes" if content > head else _read_record(window, head, max_block, closed)
        if isinstance(found, str):
            before = window.move(max(head, content - 1))
            end = find_record(window, before + 1, _ENDLESS)
            end = window.end if end is None else end
            yield Damage(at, end - at, found)
        else:
            headers, block, cut, end = found
            end = window.skip(end, _LINE_ENDS)
            yield WarcRecord(headers.get("warc-type", "").lower(), headers, block, at, end - at, cut)
        at = end
    return at


def _read_record(
    window: Window, at: int, max_block: int, closed: bool
) -> tuple[dict[str, str], bytes, str | None, int] | str:
    """Header fields, block, cut and the block's end; or why there is no readable record at ``at``."""
    if not is_record_start(window, at):
        return "no record begins here"
    begin = _header_end(window, at)
    if begin is None:
        return "the record's header does not end"
    header = window.view(at, begin - at)
    headers = _parse_header(header)
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) <= 18):
        return "Content-Length is missing, no number or impossibly large"
    gaps = (b"\r\n\r\n",) if header.endswith(b"\r\n") else (b"\r\n\r\n", b"\n\n")
    block = _read_block(window, begin, int(length), max_block, closed, gaps)
    return block if isinstance(block, str) else (headers, *block)


def _header_end(window: Window, at: int) -> int | None:
    """Where the header that begins at ``at`` ends and the block begins; None if it is too long or broken off."""
    limit = at + MAX_HEADER
    searched, reach = at, at + 1
    while searched < limit:
        more = window.fill(reach)
        match = _HEADER_END.search(window.buffer, searched - window.base, min(limit, window.end) - window.base)
        if match:
            return window.base + match.end() if match.group().endswith(b"\n") else None
        if not more:
            break
        # the next piece of the stream may complete what stands at the end of this one
        searched, reach = max(at, window.end - 8), window.end + 1
    return None


def _parse_header(header: bytes) -> dict[str, str]:
    if b"\n " in header or b"\n\t" in header:
        header = _FOLDED.sub(b" ", header)
    fields: dict[str, str] = {}
    for line in header.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(_decode(name).strip().lower(), _decode(value).strip())
    return fields


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _read_block(
    window: Window, begin: int, length: int, max_block: int, closed: bool, gaps: tuple[bytes, ...]
) -> tuple[bytes, str | None, int] | str:
    """The block, how it was cut, and its end; or why its length cannot be believed. No more than needed is read."""
    end = begin + length
    size = window.source.size
    if size is not None and end > size:
        return "Content-Length reaches beyond the end of the file"
    wrong = "Content-Length does not lead to the end of a record"
    if length <= max_block:
        if not window.fill(end):
            return _read_rest(window, begin, closed)
        return (window.view(begin, length), None, end) if _is_record_end(window, end, gaps) else wrong
    if size is not None:
        # look at the end before reading millions of bytes that a wrong length claims
        window.move(end)
        if not _is_record_end(window, end, gaps):
            return wrong
        window.move(begin)
        block = window.view(begin, max_block)
        window.move(end)
        return block, "too_large", end
    block = window.view(begin, max_block)
    if len(block) < max_block:
        return _read_rest(window, begin, closed)
    if window.move(end) < end:
        return block, "too_large", window.end
    return (block, "too_large", end) if _is_record_end(window, end, gaps) else wrong


def _read_rest(window: Window, begin: int, closed: bool) -> tuple[bytes, str, int] | str:
    """The block from ``begin`` on of a record that is longer than the stream."""
    if not closed:
        return "the file ends inside the record"
    if find_record(window, begin, _ENDLESS) is not None:
        return "Content-Length reaches into the next record"
    return window.view(begin, window.end - begin).removesuffix(b"\r\n\r\n"), "truncated", window.end


def _is_record_end(window: Window, at: int, gaps: tuple[bytes, ...]) -> bool:
    """Whether a block plausibly ends at ``at``: before a gap, a version line or the end of the stream."""
    following = window.view(at, 64)
    content = following.lstrip(_LINE_ENDS)
    return following.startswith(gaps) or not content or content.startswith(b"WARC/")

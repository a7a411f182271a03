"""An HTTP response as a WARC holds it -> status, headers, and the body without its transfer and content codings.

Servers and crawlers break every rule of HTTP, and crawls hold bodies that were decoded already while the header still
names the coding. So what the bytes are counts more than what the header says, and what can be read of a broken stream
is used. Nothing is decoded beyond a limit: a few bytes of a bomb cost no more memory than a large page.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import brotli
import zstandard

#: A longer head (status line and headers) is no head. Servers send cookies and policies of many kilobytes.
MAX_HEAD = 2 << 20

#: Codings that are undone, one inside the other, at most. ``chunked`` does not count.
MAX_LAYERS = 2

#: A broken stream is used if it gave at least this many bytes before it broke.
MIN_BROKEN = 1024

# Compressed bytes are fed in pieces of _IN bytes, and what they decode to is handed on in pieces of at most _OUT. zstd
# cannot be told to stop, but makes no more than 128 KiB of 4 bytes: its pieces are smaller.
_IN = 4096
_IN_ZSTD = 64
_OUT = 64 << 10
_MAX_MEMBERS = 64
_ZSTD_WINDOW = 8 << 20  # RFC 8878, 3.1.1.1.2: what a decoder should support, and browsers do not exceed

_STATUS_LINE = re.compile(rb"[\r\n\t ]{0,16}(?:HTTP(?:/\d(?:\.\d)?)?|ICY)[ \t]+(\d{3})(?!\d)[^\n]*+(?:\n|\Z)", re.I)
_HEADER = re.compile(rb"([^\s:<>\"]{1,256})[ \t]*+:[ \t]*+(.*)", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[ \t]{0,16}0{0,16}([0-9a-fA-F]{1,8})[ \t]{0,256}(?:;[^\n]{0,4096})?\r?\n")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")

# Headers whose lines add up; of others the first one counts.
_LISTS = frozenset({"content-encoding", "transfer-encoding"})


@dataclass(frozen=True)
class HttpResponse:
    """A response.

    Attributes
    ----------
    status : three-digit code
    headers : names in lower case, values as latin-1 without white space around them; of equal names the first, but
        Content-Encoding and Transfer-Encoding joined by a comma
    body : as sent, codings included
    """

    status: int
    headers: dict[str, str]
    body: bytes


class BodyError(Exception):
    """A body that cannot be had.

    Attributes
    ----------
    reason : ``damaged`` or ``too_large``
    detail : what is wrong with a damaged one
    size : bytes known of one that is too large
    """

    def __init__(self, reason: str, *, detail: str | None = None, size: int | None = None) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail
        self.size = size


def parse_response(block: bytes) -> HttpResponse | None:
    """Read the HTTP response in the block of a ``response`` record.

    Tolerated: bare line feeds, folded and nonsensical header lines, no headers, HTTP/2 status lines, ``ICY 200``, a
    missing reason, interim responses (status 100 to 199) before the real one, a missing blank line before markup.

    Returns
    -------
    None if there is no status line, or the head does not end within 2 MiB.
    """
    at = 0
    while True:
        line = _STATUS_LINE.match(block, at)
        if line is None:
            return None
        status = int(line[1])
        headers, at = _read_headers(block, line.end())
        if at >= line.end() + MAX_HEAD:
            return None
        if not 100 <= status < 200 or not _STATUS_LINE.match(block, at):
            return HttpResponse(status, headers, block[at:])


def _read_headers(block: bytes, at: int) -> tuple[dict[str, str], int]:
    """The header fields from ``at`` on, and where the body begins."""
    stop = min(len(block), at + MAX_HEAD)
    lines: list[list[bytes]] = []
    while at < stop:
        end = block.find(b"\n", at, stop)
        end = stop if end < 0 else end
        line = block[at:end].rstrip(b"\r")
        if line.startswith(b"<"):
            break
        at = min(end + 1, len(block))
        if not line.strip():
            break
        if line[:1] in b" \t" and lines:
            lines[-1].append(line.strip())
        else:
            lines.append([line])
    values: dict[str, list[str]] = {}
    for line in lines:
        field = _HEADER.match(b" ".join(line))
        if field:
            values.setdefault(field[1].decode("latin-1").lower(), []).append(field[2].decode("latin-1").strip())
    return {name: ",".join(found) if name in _LISTS else found[0] for name, found in values.items()}, at


def decode_body(response: HttpResponse, limit: int) -> bytes:
    """Undo the chunks and at most two content codings of a body.

    ``chunked`` is undone when the body has that form. Of gzip, deflate (zlib or raw), br and zstd, a coding that was
    declared but is not there is ignored. A stream that breaks off gives what decoded before, if that is 1 KiB.

    Parameters
    ----------
    response : the response
    limit : bytes that a body may have, before decoding and after each layer

    Raises
    ------
    BodyError
        ``damaged`` or ``too_large``
    """
    body = response.body
    if len(body) > limit:
        raise BodyError("too_large", size=len(body))
    # Content codings were applied first, then transfer codings, each in the order of its list (RFC 9112, 6.1).
    codings = _codings(response, "content-encoding") + _codings(response, "transfer-encoding")
    if "chunked" in codings:
        body = _join_chunks(body)
    layers = [coding for coding in codings if coding in _DECODERS]
    if len(layers) > MAX_LAYERS:
        raise BodyError("damaged", detail=f"more than {MAX_LAYERS} content codings are declared")
    for coding in reversed(layers):
        body = _undo(coding, body, limit)
    return body


def looks_like_text(data: bytes) -> bool:
    """Whether the first 1,024 bytes hold no byte that only binary data have (WHATWG MIME Sniffing, 3)."""
    return not _BINARY.search(data, 0, 1024)


def _codings(response: HttpResponse, header: str) -> list[str]:
    value = response.headers.get(header, "")
    return [coding.strip().lower().removeprefix("x-") for coding in value.split(",")] if value else []


def _join_chunks(body: bytes) -> bytes:
    """The content of a chunked body (RFC 9112, 7.1); the body itself when it does not begin like one."""
    size = _CHUNK_SIZE.match(body)
    if size is None:
        return body
    content = bytearray()
    broken = None
    while size is not None:
        length = int(size[1], 16)
        if not length:
            return bytes(content)
        begin, end = size.end(), size.end() + length
        content += memoryview(body)[begin:end]
        if end > len(body):
            broken = "it breaks off inside a chunk"
            break
        end += 2 if body.startswith(b"\r\n", end) else body.startswith(b"\n", end)
        size = _CHUNK_SIZE.match(body, end)
        broken = "a chunk has no size" if size is None and end < len(body) else None
    if broken and len(content) < MIN_BROKEN:
        raise BodyError("damaged", detail=f"chunked: {broken}")
    return bytes(content)


class _BrokenError(Exception):
    """A compressed stream that is none or ends before its end."""


class _Feed:
    """Compressed bytes in pieces; from the offset ``careful`` on, byte by byte."""

    def __init__(self, data: bytes, careful: int) -> None:
        self.data = data
        self.careful = careful
        self.last = 0  # where the last piece began
        self.at = 0

    def next(self, size: int = _IN) -> bytes:
        """The next piece, empty at the end."""
        self.last = self.at
        self.at += 1 if self.at >= self.careful else size
        return self.data[self.last : self.at]

    def give_back(self, unused: bytes) -> None:
        """Put the end of the last piece back."""
        self.at = min(self.at, len(self.data)) - len(unused)


def _undo(coding: str, data: bytes, limit: int) -> bytes:
    mark, decoder = _DECODERS[coding]
    if not data or not data.startswith(mark):
        return data
    feed = _Feed(data, len(data))
    output, error = _run(decoder, feed, limit)
    if error and feed.last < len(data):
        # what the failing piece decodes to before it fails
        output, error = _run(decoder, _Feed(data, feed.last), limit)
    if error and looks_like_text(data):
        return data
    if error and len(output) < MIN_BROKEN:
        raise BodyError("damaged", detail=f"{coding}: {error}")
    return bytes(output)


def _run(decoder: Callable[[_Feed], Iterator[bytes]], feed: _Feed, limit: int) -> tuple[bytearray, Exception | None]:
    """What a stream decodes to, and the error that ended it before its end."""
    output = bytearray()
    try:
        for piece in decoder(feed):
            output += piece
            if len(output) > limit:
                raise BodyError("too_large", size=len(output))
    except (zlib.error, brotli.error, zstandard.ZstdError, _BrokenError) as error:
        return output, error
    return output, None


def _gunzip(feed: _Feed) -> Iterator[bytes]:
    """The members of a gzip stream; what follows the last one is no gzip and ignored, as browsers do."""
    for _ in range(_MAX_MEMBERS):
        yield from _inflate(feed, 31)
        if not feed.data.startswith(b"\x1f\x8b", feed.at):
            return


def _inflate_any(feed: _Feed) -> Iterator[bytes]:
    """``deflate``: a zlib stream as the standard says, or the raw one that some servers send."""
    data = feed.data
    wrapped = len(data) > 1 and data[0] & 15 == 8 and (data[0] * 256 + data[1]) % 31 == 0
    if not wrapped and looks_like_text(data):
        raise _BrokenError("no deflate stream")
    yield from _inflate(feed, 15 if wrapped else -15)


def _inflate(feed: _Feed, window_bits: int) -> Iterator[bytes]:
    decoder = zlib.decompressobj(window_bits)
    while piece := feed.next():
        output = b""
        while (piece or len(output) == _OUT) and not decoder.eof:
            output = decoder.decompress(piece, _OUT)
            piece = decoder.unconsumed_tail
            yield output
        if decoder.eof:
            feed.give_back(decoder.unused_data)
            return
    raise _BrokenError("the stream breaks off")


def _unbrotli(feed: _Feed) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    while piece := feed.next():
        yield decoder.process(piece, output_buffer_limit=_OUT)
        while not decoder.can_accept_more_data():
            yield decoder.process(b"", output_buffer_limit=_OUT)
        if decoder.is_finished():
            return
    raise _BrokenError("the stream breaks off")


def _unzstd(feed: _Feed) -> Iterator[bytes]:
    """The frames of a zstd stream; what follows the last one is ignored."""
    for _ in range(_MAX_MEMBERS):
        decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        while not decoder.eof:
            piece = feed.next(_IN_ZSTD)
            if not piece:
                raise _BrokenError("the stream breaks off")
            yield decoder.decompress(piece)
        feed.give_back(decoder.unused_data)
        if not feed.data.startswith(b"\x28\xb5\x2f\xfd", feed.at):
            return


# coding -> the bytes that it begins with, and its decoder. br and deflate have no mark of their own.
_DECODERS: dict[str, tuple[bytes, Callable[[_Feed], Iterator[bytes]]]] = {
    "gzip": (b"\x1f\x8b", _gunzip),
    "deflate": (b"", _inflate_any),
    "br": (b"", _unbrotli),
    "zstd": (b"\x28\xb5\x2f\xfd", _unzstd),
}

"""Records of the demo crawl: pages -> bytes of a WARC, each record a gzip member of its own.

The last step of making the crawl. Own code instead of a WARC library, because half of the point of this file is what
a library refuses to write: broken status lines, members with zeroed bytes, junk between records.
"""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: When the first page was "fetched"; each further one a minute later.
FIRST_DATE = datetime(2024, 3, 1, 6, 0, tzinfo=UTC)

#: Bytes that belong to no record, as a disk fault leaves them between two members.
JUNK = b"\x17\x2a junk between two records, neither gzip nor WARC \x9c\xfe" * 12

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Page:
    """A response record to be written, and what a run of the preset should make of it.

    Attributes
    ----------
    url : its address; pages have their own, except where equal addresses are what they show
    reason : ``"kept"``, or the removal as ``"stage:rule"``
    body : of the HTTP response, as it is sent (encoded, compressed, chunked)
    status : code and phrase of the status line
    content_type : of the HTTP header, "" for none
    headers : further lines of the HTTP header
    warc_headers : further lines of the WARC header
    http : the whole HTTP block instead of one made of the fields above
    zeroed : the middle of its gzip member is overwritten with zero bytes, so that its URL is lost as well
    group : pages of one group have the same text, nearly the same, or the same address, and one of them is kept
    """

    url: str
    reason: str
    body: bytes
    status: str = "200 OK"
    content_type: str = HTML
    headers: tuple[str, ...] = ()
    warc_headers: tuple[str, ...] = ()
    http: bytes | None = None
    zeroed: bool = False
    group: str | None = None


def warc_bytes(pages: Iterable[Page]) -> bytes:
    """A WARC of these pages in their order, with the records around them that a crawler writes.

    A ``warcinfo`` record comes first; every tenth page has a ``request`` and a ``metadata`` record, and every fortieth
    is followed by a ``revisit``. Junk lies behind the fiftieth page. The bytes depend on the pages and on zlib alone.
    """
    parts = [_member("warcinfo", "", FIRST_DATE, "application/warc-fields", b"software: gpurefine demo crawl\r\n")]
    for number, page in enumerate(pages, start=1):
        date = FIRST_DATE + timedelta(minutes=number)
        if number % 10 == 0:
            request = f"GET / HTTP/1.1\r\nHost: {number}.example\r\n\r\n".encode()
            parts.append(_member("request", page.url, date, "application/http; msgtype=request", request))
        parts.append(_response(page, date))
        if number % 10 == 0:
            parts.append(_member("metadata", page.url, date, "application/warc-fields", b"fetchTimeMs: 120\r\n"))
        if number % 40 == 0:
            revisit = b"HTTP/1.1 304 Not Modified\r\n\r\n"
            later = date + timedelta(days=1)
            parts.append(_member("revisit", page.url, later, "application/http; msgtype=response", revisit))
        if number == 50:
            parts.append(JUNK)
    return b"".join(parts)


def http_block(page: Page) -> bytes:
    """The HTTP response of a page: status line, headers, body."""
    if page.http is not None:
        return page.http
    lines = [f"HTTP/1.1 {page.status}"]
    if page.content_type:
        lines.append(f"Content-Type: {page.content_type}")
    lines += [*page.headers, f"Content-Length: {len(page.body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + page.body


def chunked(body: bytes, size: int = 700) -> bytes:
    """A body in HTTP's chunked transfer coding."""
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def gzip_member(data: bytes) -> bytes:
    """A gzip member without a time and without the operating system, which versions of Python fill in differently."""
    member = gzip.compress(data, 9, mtime=0)
    return member[:9] + b"\xff" + member[10:]


def _response(page: Page, date: datetime) -> bytes:
    content_type = "application/http; msgtype=response"
    member = _member("response", page.url, date, content_type, http_block(page), page.warc_headers)
    if page.zeroed:
        middle = len(member) // 2
        member = member[: middle - 80] + bytes(160) + member[middle + 80 :]
    return member


def _member(
    kind: str, url: str, date: datetime, content_type: str, block: bytes, further: tuple[str, ...] = ()
) -> bytes:
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {url} {date.isoformat()}")
    lines = ["WARC/1.0", f"WARC-Type: {kind}"]
    if url:
        lines.append(f"WARC-Target-URI: {url}")
    lines += [
        f"WARC-Date: {date:%Y-%m-%dT%H:%M:%SZ}",
        f"WARC-Record-ID: <urn:uuid:{identity}>",
        *further,
        f"Content-Type: {content_type}",
        f"Content-Length: {len(block)}",
    ]
    return gzip_member("\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n")

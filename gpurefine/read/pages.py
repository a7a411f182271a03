"""A ``response`` record -> a page that goes on, or a removal that says why not. Here reading ends.

The rules, in the order in which they name a removal (all ``read:...``):

========= ============================================================== ============ ==============
rule      hits when                                                      value, limit evidence
========= ============================================================== ============ ==============
damaged   no HTTP head with a status line                                             what is wrong
status    the status is not 200                                          status
type      the media type is not wanted                                                the media type
too_large the body is larger than the limit, before or after decoding    bytes
damaged   the body's coding is broken, and gives less than 1 KiB                      what is wrong
empty     the body has no bytes
type      no media type is declared and the body is no HTML, or it is                 both types
          binary data whatever is declared
charset   more than 1 % of the text is U+FFFD                            share        encoding
========= ============================================================== ============ ==============

RefinedWeb 3.1 reads raw WARC and names none of this; the order is ours. Common Crawl holds only status 200.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from gpurefine.read.charset import decode_html, replacement_share
from gpurefine.read.http import BodyError, HttpResponse, decode_body, parse_response

if TYPE_CHECKING:
    from gpurefine.read.records import Damage, WarcRecord

#: A page may have this share of U+FFFD.
MAX_REPLACEMENTS = 0.01

#: Binary data have a larger share of control characters at their beginning (random bytes 10 %), or of NUL bytes.
MAX_CONTROLS = 0.02
MAX_NULS = 0.1
_CONTROL_CHARACTERS = 4096

#: Bytes in which HTML must show itself when no media type was declared.
SNIFF_BYTES = 1024

_EVIDENCE_CHARACTERS = 200

_HTML = re.compile(rb"(?:\s++|(?><!--.*?-->))*+<(?:!doctype html|html)", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile("[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_CHARSET = re.compile(r"[;,\s]\s*+charset\s*+=\s*+[\"']?+\s*+([^\s\"';,]++)", re.IGNORECASE)
_ISO_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_ARC_DATE = re.compile("[0-9]{14}")
_DUMP = re.compile(r"CC-(?:MAIN|NEWS)-[0-9]{4}-[0-9]{2}")
_SEGMENT = re.compile(r"/segments/([0-9]+\.[0-9]+)/")

# Media types that say that the server did not know (WHATWG MIME Sniffing, 7).
_UNKNOWN_TYPES = frozenset({"unknown/unknown", "application/unknown", "*/*"})

# How files begin that servers send as text/html, by the same standard, section 6, and the formats' own documents.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\0\0\1\0", "image/x-icon"),
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"PK\3\4", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\x7fELF", "application/x-executable"),
    (b"OggS\0", "application/ogg"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
)


@dataclass(frozen=True)
class Page:
    """What a server sent for a URL at a time.

    Attributes
    ----------
    id : the WARC-Record-ID as it stands there, angle brackets included, or None
    url : the WARC-Target-URI without angle brackets around it, or None
    date : UTC, or None if there is none or a bad one
    offset, length : the record's place in the file, in bytes
    html : the decoded page; it can be written as UTF-8 and holds no NUL
    truncated : the crawler cut the page, or the record is shorter than it says
    """

    id: str | None
    url: str | None
    date: datetime | None
    offset: int
    length: int
    html: str
    truncated: bool


@dataclass(frozen=True)
class ReadRemoval:
    """A record or damaged region that gave no page: which rule, the value that it measured, its limit, the evidence."""

    id: str | None
    url: str | None
    offset: int
    length: int
    rule: str
    value: float | None = None
    limit: float | None = None
    evidence: str | None = None


class _Refusal(NamedTuple):
    rule: str
    value: float | None = None
    limit: float | None = None
    evidence: str | None = None


def judge_record(record: WarcRecord, *, mime: Collection[str], max_body: int) -> Page | ReadRemoval:
    """Make a page of a ``response`` record, or say why it gives none.

    Parameters
    ----------
    record : the record
    mime : the media types that are pages, in lower case
    max_body : bytes that a body may have, before its codings are undone and after
    """
    headers = record.headers
    identity = headers.get("warc-record-id") or None
    url = bare_url(headers.get("warc-target-uri") or headers.get("uri") or "")
    html = _read_html(record, mime, max_body)
    if isinstance(html, _Refusal):
        evidence = None if html.evidence is None else clean_evidence(html.evidence)
        return ReadRemoval(identity, url, record.offset, record.length, html.rule, html.value, html.limit, evidence)
    date = parse_date(headers.get("warc-date") or headers.get("archive-date") or "")
    truncated = "warc-truncated" in headers or record.cut == "truncated"
    return Page(identity, url, date, record.offset, record.length, html, truncated)


def judge_damage(damage: Damage) -> ReadRemoval:
    """The removal that a damaged region of the file is."""
    return ReadRemoval(None, None, damage.offset, damage.length, "damaged", evidence=clean_evidence(damage.reason))


def dump_and_segment(path: str) -> tuple[str | None, str | None]:
    """Common Crawl's names in the path of an input file; None for what the path does not say.

    Returns
    -------
    The dump (``CC-MAIN-2023-06``) and the segment (``1674764494826.88``).
    """
    dump, segment = _DUMP.search(path), _SEGMENT.search(path)
    return dump and dump[0], segment and segment[1]


def parse_date(text: str) -> datetime | None:
    """A WARC-Date (ISO 8601 with seconds, UTC unless it says otherwise) or the 14 digits of old ARC files, in UTC.

    None for anything else, a date without a time included: it names no moment.
    """
    try:
        if _ARC_DATE.fullmatch(text):
            return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        if not _ISO_DATE.fullmatch(text):
            return None
        date = datetime.fromisoformat(text)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def clean_evidence(text: str) -> str:
    """Make a string from the web fit for a report: at most 200 characters, ``?`` for each that cannot be printed."""
    return "".join(c if c.isprintable() else "?" for c in text[:_EVIDENCE_CHARACTERS])


def bare_url(url: str) -> str | None:
    """A WARC-Target-URI without the angle brackets that some writers put around it; None for an empty one."""
    url = url[1:-1] if url.startswith("<") and url.endswith(">") else url
    return url or None


def _read_html(record: WarcRecord, mime: Collection[str], max_body: int) -> str | _Refusal:
    response = parse_response(record.block)
    if response is None:
        return _no_response(record)
    if response.status != 200:
        return _Refusal("status", value=float(response.status))
    declared = _declared_type(record, response)
    if declared and declared not in mime:
        return _Refusal("type", evidence=declared)
    if record.cut == "too_large":
        return _Refusal("too_large", value=float(len(record.block)), limit=float(max_body))
    try:
        body = decode_body(response, max_body)
    except BodyError as error:
        if error.reason == "too_large":
            return _Refusal("too_large", value=float(error.size), limit=float(max_body))
        return _Refusal("damaged", evidence=error.detail)
    if not body:
        return _Refusal("empty")
    if not declared and not ("text/html" in mime and _shows_html(body)):
        return _Refusal("type", evidence="no media type, and no HTML at the beginning")
    charset = _CHARSET.search(response.headers.get("content-type", "")[:1024])
    return _read_text(body, declared or "text/html", charset and charset[1])


def _no_response(record: WarcRecord) -> _Refusal:
    """A block without a status line: damaged HTTP, or what Heritrix writes for DNS look-ups and FTP."""
    kind = media_type(record.headers.get("content-type", ""))
    if kind and kind != "application/http":
        return _Refusal("type", evidence=kind)
    return _Refusal("damaged", evidence="no HTTP head")


def _declared_type(record: WarcRecord, response: HttpResponse) -> str | None:
    """What the crawler found, else what the server said, else None."""
    identified = media_type(record.headers.get("warc-identified-payload-type", ""))
    return identified or media_type(response.headers.get("content-type", ""))


def media_type(header: str) -> str | None:
    """The media type of a Content-Type in lower case, however it is delimited; None where it is none or unknown."""
    words = re.split(r"[;,\s]", header[:1024].strip(), maxsplit=1)
    kind = words[0].lower()
    return kind if "/" in kind and kind not in _UNKNOWN_TYPES else None


def _shows_html(body: bytes) -> bool:
    """Whether markup begins in the first bytes, after a byte order mark, white space and comments."""
    # without NUL, UTF-16 reads like ASCII
    head = body[:SNIFF_BYTES].lstrip(b"\xef\xbb\xbf\xff\xfe").replace(b"\0", b"")
    return _HTML.match(head) is not None


def _read_text(body: bytes, declared: str, charset: str | None) -> str | _Refusal:
    for signature, kind in _SIGNATURES:
        if body.startswith(signature):
            return _Refusal("type", evidence=f"{kind} served as {declared}")
    text, encoding = decode_html(body, charset)
    binary = _Refusal("type", evidence=f"binary data served as {declared}")
    if not encoding.startswith(("utf-16", "utf-32")) and body.count(0) > MAX_NULS * len(body):
        return binary
    beginning = text[:_CONTROL_CHARACTERS]
    if len(_CONTROL.findall(beginning)) > MAX_CONTROLS * len(beginning):
        return binary
    share = replacement_share(text)
    if share > MAX_REPLACEMENTS:
        return _Refusal("charset", value=share, limit=MAX_REPLACEMENTS, evidence=encoding)
    return text

"""A ``conversion`` record of a WET file -> a text that goes on, or a removal that says why not.

A WET file is a WARC in which a crawler has put the plain text of each page instead of the page; Common Crawl has one
for each of its WARC files. Its texts enter a run behind ``extract``, tidied as extraction tidies its own.

The rules, in the order in which they name a removal (all ``read:...``, as those of ``pages``):

========= ============================================================== ============ ==============
rule      hits when                                                      value, limit evidence
========= ============================================================== ============ ==============
type      the record is not plain text                                                the media type
too_large the block is larger than the limit                             bytes
charset   more than 1 % of the text is U+FFFD                            share        encoding
empty     nothing is left of the text
========= ============================================================== ============ ==============
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gpurefine.read.charset import replacement_share
from gpurefine.read.pages import MAX_REPLACEMENTS, ReadRemoval, bare_url, clean_evidence, media_type, parse_date
from gpurefine.read.records import WarcRecord

PLAIN_TEXT = "text/plain"


@dataclass(frozen=True)
class PageText:
    """The text of a page, as ``pages.Page`` is the page.

    Attributes
    ----------
    id, url, date, offset, length, truncated : as of a page
    text : tidied; it can be written as UTF-8 and holds no NUL
    """

    id: str | None
    url: str | None
    date: datetime | None
    offset: int
    length: int
    text: str
    truncated: bool


def judge_conversion(record: WarcRecord, *, max_body: int, tidy: Callable[[str], str]) -> PageText | ReadRemoval:
    """Make a text of a ``conversion`` record, or say why it gives none.

    Parameters
    ----------
    record : the record
    max_body : bytes that its block may have
    tidy : the clean-up of extraction
    """
    headers = record.headers
    identity = headers.get("warc-record-id") or None
    url = bare_url(headers.get("warc-target-uri") or "")

    def removal(rule: str, value: float | None = None, limit: float | None = None, evidence: str | None = None):
        return ReadRemoval(identity, url, record.offset, record.length, rule, value, limit, evidence)

    kind = media_type(headers.get("content-type", ""))
    if kind not in (None, PLAIN_TEXT):
        return removal("type", evidence=clean_evidence(kind))
    if record.cut == "too_large" or len(record.block) > max_body:
        return removal("too_large", float(len(record.block)), float(max_body))
    # by definition of the format; a byte order mark is none of the text
    text = record.block.decode("utf-8", "replace").replace("\0", "").lstrip("\ufeff")
    share = replacement_share(text)
    if share > MAX_REPLACEMENTS:
        return removal("charset", share, MAX_REPLACEMENTS, "utf-8")
    text = tidy(text)
    if not text:
        return removal("empty")
    date = parse_date(headers.get("warc-date") or "")
    truncated = "warc-truncated" in headers or record.cut == "truncated"
    return PageText(identity, url, date, record.offset, record.length, text, truncated)

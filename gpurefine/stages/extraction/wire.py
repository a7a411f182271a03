"""What the two sides of a guarded extraction say to each other: settings once, then one page in, one answer out.

The settings travel as JSON on the child's command line. A request is the length of the page (8 bytes, little endian)
and its UTF-8 bytes. An answer is its kind (1 byte), the length of what follows (8 bytes) and UTF-8 bytes. Nothing is
unpickled: a page may have taken over the child.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from gpurefine.stages.extraction.extractors import ExtractorOptions

REQUEST_HEAD = struct.Struct("<Q")
ANSWER_HEAD = struct.Struct("<BQ")

#: A longer answer is not believed; no text of a page below the size limits comes near.
LONGEST_ANSWER = 1 << 28


@dataclass(frozen=True)
class GuardSettings:
    """What a child is told.

    Attributes
    ----------
    extractor : its maker, ``package.module:function``, see ``extractors.py``
    options : options for the maker
    bare_domains, join_bullets : options of ``tidy``
    time_limit_s : processor seconds a page may take
    memory_limit_bytes : address space of a child
    """

    extractor: str
    options: ExtractorOptions = field(default_factory=ExtractorOptions)
    bare_domains: bool = False
    join_bullets: bool = False
    time_limit_s: float = 60.0
    memory_limit_bytes: int = 4 << 30


class Kind(IntEnum):
    """What an answer is, and what its bytes hold."""

    READY = 1  #: the child has locked itself in and waits for pages; why it does not accelerate, if it was asked to
    UNABLE = 2  #: the child could not start; why
    TEXT = 3  #: the text of the page
    EMPTY = 4  #: the page has no text; nothing
    FAILED = 5  #: the extractor raised an exception; its name and message
    MEMORY = 6  #: the page needs more memory than it may have; nothing
    STOCK_TEXT = 7  #: the text of the page, of which the accelerated extractor had none, by the extractor as it is
    STOCK_EMPTY = 8  #: the accelerated extractor failed on the page, and the extractor as it is found no text; nothing


def request(page: bytes | memoryview) -> list[bytes | memoryview]:
    """The parts of a request, in the order in which they are to be written."""
    return [REQUEST_HEAD.pack(len(page)), page]


def answer(kind: Kind, text: str = "") -> bytes:
    """An answer; a text that is too long to be believed becomes a failure."""
    data = text.encode("utf-8", "replace")
    if len(data) > LONGEST_ANSWER:
        return answer(Kind.FAILED, f"text of {len(data)} bytes")
    return ANSWER_HEAD.pack(kind, len(data)) + data

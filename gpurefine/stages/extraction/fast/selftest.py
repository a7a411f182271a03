"""Before accelerated extraction is used in a process: it must agree with the stock code there on some pages."""

from __future__ import annotations

from typing import Any

from lxml import etree
from trafilatura import utils
from trafilatura.settings import Extractor

from gpurefine.stages.extraction.fast.accelerate import extract_alone
from gpurefine.stages.extraction.fast.patching import Patches
from gpurefine.stages.extraction.fast.sample_pages import sample_pages

#: So many of the sample pages must give a text, or the test would show nothing.
LEAST_TEXTS = 8
_CLOSED = ("noscript", "title", "textarea", "object", "iframe", "svg", "p")
_ESCAPED = ("noscript", "title", "textarea", "object", "svg", "p")


class DifferenceError(AssertionError):
    """Accelerated extraction is not what the stock code gives, or the parser not what it must be."""


def check(patches: Patches, settings: Extractor) -> None:
    """Compare texts under some settings, and under these with trafilatura's balance. The patches are in afterwards.

    Raises
    ------
    DifferenceError
        saying what differs
    """
    balanced = Extractor(output_format="txt", comments=settings.comments, tables=settings.tables)
    pages = sample_pages()
    fast = [_texts(pages, each) for each in (settings, balanced)]
    patches.use_stock()
    try:
        _check_parser()
        stock = [_texts(pages, each) for each in (settings, balanced)]
    finally:
        patches.use_fast()
    for number, texts in enumerate(zip(*fast, *stock, strict=True)):
        if texts[:2] != texts[2:]:
            raise DifferenceError(f"the text of sample page {number} differs")
    if sum(text is not None for text in stock[0]) < LEAST_TEXTS:
        raise DifferenceError("the sample pages give too few texts")


def _texts(pages: list[str], settings: Extractor) -> list[Any]:
    return [extract_alone(page, settings) for page in pages]


def _check_parser() -> None:
    """What the bound of ``readability`` rests on: a tag that closes itself ends, and text of these is unescaped."""
    for tag in _CLOSED:
        _expect(f"<div><{tag}/><b>x</b> &lt;</div>", "x <", tag)
    for tag in _ESCAPED:
        _expect(f"<div><{tag}>&lt;y&amp;</{tag}><b>x</b> &lt;</div>", "<y&x <", tag)


def _expect(page: str, text: str, tag: str) -> None:
    found = etree.tostring(utils.fromstring_bytes(page), method="text", encoding="unicode")
    if found != text:
        raise DifferenceError(f"the parser reads <{tag}> as {found!r}, not as {text!r}")

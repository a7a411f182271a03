"""Patch: trafilatura's second opinion, its copy of readability, is asked only where it could win.

trafilatura prefers the other text by rules on lengths and elements. Why no text differs: readability only removes and
regroups, in the order of the text, and white space is collapsed; a part of a text is never longer than the text. So the
length of a tree bounds what it can return, and where the rules are against every text up to that bound, it does not go
on: before it begins, when it has removed what is unlikely, and when it has chosen an article. The bound is given up
where serialising and parsing again could lengthen a text.

For precision nobody reads the tree afterwards, so readability may spoil the original instead of a copy, if there is
nothing around it: a copy is always alone, and an element that is removed fails where it is the root.
"""

from __future__ import annotations

import re
from copy import copy
from typing import Any

from lxml import etree, html
from trafilatura import core, external, readability_lxml, utils

from gpurefine.stages.extraction.fast.patching import Patches

#: What a serialiser may write longer than it is.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
#: Elements whose text is not unescaped when it is parsed again.
_RAW_TEXT = ("noembed", "noframes", "plaintext", "xmp")
_HAS_TEXT = etree.XPath("boolean(.//p//text())")
#: Text that readability puts into each frame with a video.
_FRAME_TEXT = len("VIDEO")


def is_shorter(tree: Any, limit: int) -> bool:
    """Whether no text that readability makes of a tree has more characters than ``limit``; False if it is not sure."""
    text = etree.tostring(tree, method="text", encoding="unicode", with_tail=False)
    frames = _FRAME_TEXT * sum(1 for _ in tree.iter("iframe"))
    # most of what is too long is so by far: white space is collapsed only where that could matter
    if len(text) + frames > limit and len(" ".join(text.split())) + frames > limit:
        return False
    return not _CONTROL.search(text) and next(tree.iter(*_RAW_TEXT), None) is None


class _Page:
    """The page at hand: whether the second opinion is known to lose, and against which lengths it would.

    ``without_code`` says that the raw tree has no scripts and styles any more.

    Parameters
    ----------
    body, text : what trafilatura itself extracted
    options : its options
    """

    def __init__(self, body: Any, text: str, options: Any) -> None:
        self.lost = self.without_code = False
        size = len(text)
        self._limit = -1
        if size and options.focus != "recall":
            has_text = _HAS_TEXT(body) and len(body.findall(".//table")) <= len(body.findall(".//p"))
            self._limit = 2 * size if has_text else min(2 * size, 2 * options.min_extracted_size)

    def loses(self, tree: Any) -> bool:
        """Whether trafilatura prefers its own text, whatever readability returns for this tree."""
        self.lost = self.lost or (self._limit >= 0 and is_shorter(tree, self._limit))
        return self.lost


class _LostError(Exception):
    """Readability need not go on."""


class _Document(readability_lxml.Document):
    """Readability that stops where what is left of the page is known to lose."""

    __slots__ = ("page",)

    def __init__(self, tree: Any, page: _Page) -> None:
        super().__init__(tree, min_text_length=25)
        self.page = page

    def remove_unlikely_candidates(self) -> None:
        super().remove_unlikely_candidates()
        self._stop_if_lost(self.doc)

    def get_article(self, *arguments: Any) -> Any:
        article = super().get_article(*arguments)
        self._stop_if_lost(article)
        return article

    def _stop_if_lost(self, tree: Any) -> None:
        if self.page.loses(tree):
            raise _LostError


def _without_code(tree: Any) -> None:
    """Readability's first step, which may as well be taken before."""
    etree.strip_elements(tree, "script", "style", "fencedframe", with_tail=False)


def _stands_alone(tree: Any) -> bool:
    """Whether an element is all of its document."""
    return tree.getparent() is None and tree.getprevious() is None and tree.getnext() is None


def patch(patches: Patches) -> None:
    """Put it in."""
    stock_compare, stock_try = core.compare_extraction, external.try_readability
    stock_discard = external.OVERALL_DISCARD_XPATH
    at_hand: list[_Page] = []

    def compare_extraction(cleaned: Any, raw: Any, body: Any, text: str, options: Any) -> Any:
        page = _Page(body, text, options)
        if options.focus == "precision":
            _without_code(raw)
            page.without_code = True
            page.loses(raw)
        at_hand.append(page)
        try:
            return stock_compare(cleaned, raw, body, text, options)
        finally:
            at_hand.clear()

    def discard(tree: Any) -> list[Any]:
        # nothing need be pruned from a tree that nobody will read
        if at_hand and at_hand[-1].lost:
            return []
        return [element for find in stock_discard for element in find(tree)]

    def try_readability(tree: Any) -> Any:
        if not at_hand:
            return stock_try(tree)
        page = at_hand[-1]
        summary = None
        if not page.lost:
            if not page.without_code:
                _without_code(tree)
            try:
                if not page.loses(tree):
                    summary = utils.fromstring_bytes(_Document(tree, page).summary())
            except _LostError:
                pass
            except Exception as error:
                external.LOGGER.warning("readability_lxml failed: %s", error)
        # what the stock function returns when it fails: empty, so never preferred
        return html.HtmlElement() if summary is None else summary

    def extract_and_compare(cleaned: Any, backup: Any, tree: Any, options: Any) -> Any:
        body, text = core.extract_content(cleaned, options)
        if options.fast:
            return body, text
        tree = tree if options.focus == "precision" and _stands_alone(tree) else copy(tree)
        return core.compare_extraction(backup, tree, body, text, options)

    patches.put(external, "OVERALL_DISCARD_XPATH", [discard])
    patches.put(external, "try_readability", try_readability)
    patches.put(core, "compare_extraction", compare_extraction)
    patches.put(core, "_extract_and_compare", extract_and_compare)

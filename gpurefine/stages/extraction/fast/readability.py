"""Patch: trafilatura's second opinion, its copy of readability, is asked only where it could win.

trafilatura prefers the other text by rules on lengths and elements. Why no text differs: readability only removes and
regroups, in the order of the text, and white space is collapsed; a part of a text is never longer than the text. So the
length of the whole tree bounds what it can return, and where the rules are against every text up to that bound, it is
not run. The bound is given up where serialising and parsing again could lengthen a text.

For precision nobody reads the tree afterwards, so readability may spoil the original instead of a copy, if there is
nothing around it: a copy is always alone, and an element that is removed fails where it is the root.
"""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass
from typing import Any

from lxml import etree, html
from trafilatura import core, external, readability_lxml
from trafilatura.utils import trim

from gpurefine.stages.extraction.fast.patching import Patches

#: What a serialiser may write longer than it is.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
#: Elements whose text is not unescaped when it is parsed again.
_RAW_TEXT = ("noembed", "noframes", "plaintext", "xmp")
#: Text that readability puts into each frame with a video.
_FRAME_TEXT = len("VIDEO")


def longest_text(tree: Any) -> int | None:
    """No text that readability makes of the tree has more characters; None if that cannot be said."""
    if next(tree.iter(*_RAW_TEXT), None) is not None:
        return None
    text = etree.tostring(tree, method="text", encoding="unicode", with_tail=False)
    if _CONTROL.search(text):
        return None
    return len(trim(text)) + _FRAME_TEXT * sum(1 for _ in tree.iter("iframe"))


@dataclass
class _Page:
    """The page at hand: what was extracted of it, and whether the second opinion is known to lose."""

    body: Any
    text: str
    options: Any
    lost: bool = False

    def loses(self, tree: Any) -> bool:
        """Whether trafilatura prefers its own text, whatever readability returns for this tree."""
        size = len(self.text)
        if size == 0 or self.options.focus == "recall":
            return False
        bound = longest_text(tree)
        if bound is None or bound > 2 * size:
            return False
        if bound <= 2 * self.options.min_extracted_size:
            return True
        has_text = bool(self.body.xpath(".//p//text()"))
        return has_text and len(self.body.findall(".//table")) <= len(self.body.findall(".//p"))


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
            page.lost = page.loses(raw)
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
        if at_hand:
            page = at_hand[-1]
            if not page.lost:
                _without_code(tree)
                page.lost = page.loses(tree)
                if not page.lost:
                    # its next step, after which the bound is lower
                    readability_lxml.Document(tree).remove_unlikely_candidates()
                    page.lost = page.loses(tree)
            if page.lost:
                # what the stock function returns when it fails: empty, so never preferred
                return html.HtmlElement()
        return stock_try(tree)

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

"""Patch: tests of link density that have a known answer are not made, and in a round a link's text is read once.

Why no text differs: an element without a ``ref`` (a link, in trafilatura's tags) is never too dense, and the second of
two equal rounds over a tree can only repeat the first if nothing was deleted in between. A round tests all elements
before it deletes any, so a link has the same text for each element around it.
"""

from __future__ import annotations

from typing import Any

from trafilatura import htmlprocessing, main_extractor
from trafilatura.utils import trim

from gpurefine.stages.extraction.fast.patching import Patches


class _Deletions:
    """How many elements were deleted, and how many before each kind of round that deleted none."""

    def __init__(self) -> None:
        self.count = 0
        self.clean: dict[tuple[str, bool, bool], int] = {}


def patch(patches: Patches) -> None:
    """Put it in."""
    stock_test, stock_round = htmlprocessing.link_density_test, htmlprocessing.delete_by_link_density
    stock_delete, stock_sections = htmlprocessing.delete_element, main_extractor.prune_unwanted_sections
    stock_info = htmlprocessing.collect_link_info
    deletions = _Deletions()
    rounds: list[dict[Any, str]] = []

    def collect_link_info(links: list[Any]) -> tuple[int, int, int, list[str]]:
        if not rounds:
            return stock_info(links)
        read, texts = rounds[-1], []
        for link in links:
            text = read.get(link)
            if text is None:
                text = read[link] = trim(link.text_content())
            if text:
                texts.append(text)
        lengths = [len(text) for text in texts]
        return sum(lengths), len(texts), sum(length < 10 for length in lengths), texts

    def delete_element(element: Any, keep_tail: bool = True) -> None:
        deletions.count += 1
        stock_delete(element, keep_tail)

    def link_density_test(element: Any, favor_precision: bool = False) -> tuple[Any, Any]:
        if next(element.iterdescendants("ref"), None) is None:
            return False, False
        return stock_test(element, favor_precision)

    def delete_by_link_density(
        subtree: Any, tagname: str, backtracking: bool = False, favor_precision: bool = False
    ) -> Any:
        kind = (tagname, backtracking, favor_precision)
        if deletions.clean.get(kind) == deletions.count:
            return subtree
        before = deletions.count
        rounds.append({})
        try:
            stock_round(subtree, tagname, backtracking, favor_precision)
        finally:
            rounds.clear()
        if deletions.count == before:
            deletions.clean[kind] = before
        return subtree

    def prune_unwanted_sections(*arguments: Any, **options: Any) -> Any:
        # both rounds happen inside one call, on one tree
        deletions.clean.clear()
        return stock_sections(*arguments, **options)

    patches.put(htmlprocessing, "collect_link_info", collect_link_info)
    patches.put(htmlprocessing, "delete_element", delete_element)
    patches.put(htmlprocessing, "link_density_test", link_density_test)
    patches.put(main_extractor, "delete_by_link_density", delete_by_link_density)
    patches.put(main_extractor, "prune_unwanted_sections", prune_unwanted_sections)

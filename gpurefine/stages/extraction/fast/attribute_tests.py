"""Patch: the XPath lists of trafilatura answered by walks in Python (``walk``), several lists by one walk.

Why no text differs: each callable returns the elements that the XPath would return, in document order. Where one walk
serves several lists, their callers ask in that order and only delete elements in between: that makes no element match
that did not before, and deleting something inside a part that is already cut off changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trafilatura import core, external, main_extractor, xpaths

from gpurefine.stages.extraction.fast.patching import Patches
from gpurefine.stages.extraction.fast.walk import Scan, Table

Find = Callable[[Any], list[Any]]


class _Lists:
    """Lists of XPath expressions by name, in one table. ``notes`` are those of all walks that serve several lists."""

    def __init__(self, lists: dict[str, Any]) -> None:
        self.notes: list[_Noted] = []
        self._numbers: dict[str, range] = {}
        texts: list[str] = []
        for name, expressions in lists.items():
            self._numbers[name] = range(len(texts), len(texts) + len(expressions))
            texts += [expression.path for expression in expressions]
        self._table = Table(texts)

    def scan(self, *names: str) -> Scan:
        """One walk for these lists."""
        return Scan(self._table, [number for name in names for number in self._numbers[name]])

    def together(self, *names: str) -> list[Find]:
        """A callable for each list. The first one walks for all, the others answer from its notes on that tree."""
        scan, noted = self.scan(*names), _Noted()
        self.notes.append(noted)
        masks = [self._mask(name) for name in names]

        def lead(tree: Any) -> list[Any]:
            noted.tree, noted.found = tree, list(scan.walk(tree))
            return [element for element, bits in noted.found if bits & masks[0]]

        def follow(mask: int) -> Find:
            def find(tree: Any) -> list[Any]:
                found = noted.found if noted.tree is tree else scan.walk(tree)
                return [element for element, bits in found if bits & mask]

            return find

        return [lead, *map(follow, masks[1:])]

    def _mask(self, name: str) -> int:
        mask = 0
        for number in self._numbers[name]:
            mask |= self._table.bits[number]
        return mask


class _Noted:
    """What the last walk found, and in which tree."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Let go of the tree."""
        self.tree: Any = None
        self.found: list[tuple[Any, int]] = []


def patch(patches: Patches) -> None:
    """Put it in. Raises UnsupportedError for an expression that is not understood."""
    frames = {f"frame {number}": [each] for number, each in enumerate(xpaths.BODY_XPATH)}
    lists = _Lists(
        {
            "raw": xpaths.RAW_TREE_PRUNE_XPATH,
            "comments and lists": xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH,
            "comments": xpaths.REMOVE_COMMENTS_XPATH,
            "overall": xpaths.OVERALL_DISCARD_XPATH,
            "images": xpaths.DISCARD_IMAGE_ELEMENTS,
            "teasers": xpaths.TEASER_DISCARD_XPATH,
            "precision": xpaths.PRECISION_DISCARD_XPATH,
            **frames,
        }
    )
    raw, comments_and_lists = lists.together("raw", "comments and lists")
    patches.put(core, "RAW_TREE_PRUNE_XPATH", [raw])
    patches.put(core, "REMOVE_COMMENTS_AND_LISTS_XPATH", [comments_and_lists])
    patches.put(core, "REMOVE_COMMENTS_XPATH", lists.together("comments"))
    overall, images, teasers, precision = lists.together("overall", "images", "teasers", "precision")
    patches.put(main_extractor, "OVERALL_DISCARD_XPATH", [overall])
    patches.put(main_extractor, "DISCARD_IMAGE_ELEMENTS", [images])
    patches.put(main_extractor, "TEASER_DISCARD_XPATH", [teasers])
    patches.put(main_extractor, "PRECISION_DISCARD_XPATH", [precision])
    patches.put(external, "OVERALL_DISCARD_XPATH", lists.together("overall"))
    # only the first match counts there, and a failed attempt changes the tree: nothing is remembered between attempts
    patches.put(main_extractor, "BODY_XPATH", [lists.scan(name).first for name in frames])
    for noted in lists.notes:
        patches.at_end(noted.forget)

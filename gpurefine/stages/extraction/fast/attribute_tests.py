"""Patch: the XPath lists of trafilatura answered by walks in Python (``walk``), several lists by one walk.

Why no text differs: each callable returns the elements that the XPath would return, in document order. Where one walk
serves several lists, their callers ask in that order and only delete elements in between: that makes no element match
that did not before, and deleting something inside a part that is already cut off changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trafilatura import core, external, main_extractor, xpaths

from gpurefine.stages.extraction.fast.expressions import UnsupportedError, looks_below, parse
from gpurefine.stages.extraction.fast.patching import Patches
from gpurefine.stages.extraction.fast.walk import Scan, Table

Find = Callable[[Any], list[Any]]


class _Lists:
    """Lists of XPath expressions by name, in one table. ``notes`` are those of all walks that serve several lists."""

    def __init__(self, lists: dict[str, Any]) -> None:
        self.notes: list[_Noted] = []
        self._numbers: dict[str, range] = {}
        self._texts: list[str] = []
        for name, expressions in lists.items():
            self._numbers[name] = range(len(self._texts), len(self._texts) + len(expressions))
            self._texts += [expression.path for expression in expressions]
        self._table = Table(self._texts)

    def scan(self, *names: str) -> Scan:
        """One walk for these lists."""
        return Scan(self._table, [number for name in names for number in self._numbers[name]])

    def together(self, *names: str) -> list[Find]:
        """A callable for each list. The first one walks for all, the others answer from its notes on that tree.

        Raises UnsupportedError if what matches one of the others could change when something is deleted.
        """
        for number in (number for name in names[1:] for number in self._numbers[name]):
            if any(looks_below(each) for path in parse(self._texts[number]) for each in path.predicates):
                raise UnsupportedError(f"it looks at descendants: {self._texts[number]}")
        scan, noted = self.scan(*names), _Noted()
        self.notes.append(noted)
        masks = [self._mask(name) for name in names]

        def lead(tree: Any) -> list[Any]:
            noted.tree, noted.found = tree, scan.walk(tree)
            return [element for element, bits in noted.found if bits & masks[0]]

        def follow(mask: int) -> Find:
            def find(tree: Any) -> list[Any]:
                found = noted.found if noted.tree is tree else scan.walk(tree)
                return [element for element, bits in found if bits & mask]

            return find

        return [lead, *map(follow, masks[1:])]

    def one_behind_the_other(self, all_of: str, *first_of: str) -> list[Find]:
        """A callable for all matches of a list, and one for the first match of each further list, or nothing.

        They are asked in turn, the further ones until one of them matches, and their callers only change a tree
        that they were given matches of. So the first walk answers for those behind it until something was found.
        """
        names = [all_of, *first_of]
        scans, noted = [self.scan(*names[number:]) for number in range(len(names))], _Noted()
        self.notes.append(noted)

        def finder(number: int) -> Find:
            scan, mask = scans[number], self._mask(names[number])

            def find(tree: Any) -> list[Any]:
                if number == 0 or noted.tree is not tree:
                    noted.tree, noted.found = tree, scan.walk(tree)
                matches = [element for element, bits in noted.found if bits & mask]
                if matches:
                    noted.forget()
                return matches if number == 0 else matches[:1]

            return find

        return list(map(finder, range(len(names))))

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
    comments, *bodies = lists.one_behind_the_other("comments", *frames)
    patches.put(core, "REMOVE_COMMENTS_XPATH", [comments])
    overall, images, teasers, precision = lists.together("overall", "images", "teasers", "precision")
    patches.put(main_extractor, "OVERALL_DISCARD_XPATH", [overall])
    patches.put(main_extractor, "DISCARD_IMAGE_ELEMENTS", [images])
    patches.put(main_extractor, "TEASER_DISCARD_XPATH", [teasers])
    patches.put(main_extractor, "PRECISION_DISCARD_XPATH", [precision])
    patches.put(external, "OVERALL_DISCARD_XPATH", lists.together("overall"))
    patches.put(main_extractor, "BODY_XPATH", bodies)
    for noted in lists.notes:
        patches.at_end(noted.forget)

"""Patch: what justext, trafilatura's last resort, computes again and again is remembered.

Why no text differs: the set of stop words is a function of the one tuple of words that trafilatura hands over each
time (justext's own memory of it hashes the whole tuple at each call), and a paragraph's text is a function of its
pieces, of which there are only ever more.
"""

from __future__ import annotations

from typing import Any

import justext.core
import justext.paragraph

from gpurefine.stages.extraction.fast.patching import Patches


class _Paragraph(justext.paragraph.Paragraph):
    """A paragraph that remembers its text, which is asked for some ten times; its XPath, which nobody asks for, is
    not made.
    """

    def __init__(self, path: Any) -> None:
        self.dom_path, self.text_nodes, self.class_type = path.dom, [], ""
        self.chars_count_in_links = self.tags_count = 0
        self._known = (-1, "")

    @property
    def text(self) -> str:
        pieces = len(self.text_nodes)
        if self._known[0] != pieces:
            self._known = (pieces, super().text)
        return self._known[1]


def patch(patches: Patches) -> None:
    """Put it in."""
    stock_define = justext.core.define_stoplist
    last: list[Any] = [None, None]

    def define_stoplist(words: Any) -> Any:
        if last[0] is not words:
            last[:] = words, stock_define(words)
        return last[1]

    patches.put(justext.core, "define_stoplist", define_stoplist)
    patches.put(justext.core, "Paragraph", _Paragraph)

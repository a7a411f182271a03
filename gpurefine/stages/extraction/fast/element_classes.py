"""Patch: the Python class of an lxml element is chosen in C.

lxml.html asks a Python method for the class of every element that Python sees. Why no text differs: trafilatura uses
nothing of what the special classes add (forms, inputs, labels), so one class for all elements is enough.
"""

from __future__ import annotations

from typing import Any

from lxml import etree, html
from trafilatura import utils

from gpurefine.stages.extraction.fast.patching import Patches


class _ParserClasses:
    """A parser's choice of classes, which can be set and not asked for, as an attribute."""

    def __init__(self, parser: Any, lookup: Any) -> None:
        self._parser, self._lookup = parser, lookup

    @property
    def lookup(self) -> Any:
        return self._lookup

    @lookup.setter
    def lookup(self, lookup: Any) -> None:
        self._lookup = lookup
        self._parser.set_element_class_lookup(lookup)


def patch(patches: Patches) -> None:
    """Put it in."""
    one_class = etree.ElementDefaultClassLookup(
        element=html.HtmlElement, comment=html.HtmlComment, pi=html.HtmlProcessingInstruction, entity=html.HtmlEntity
    )
    patches.put(_ParserClasses(utils.HTML_PARSER, html.HtmlElementClassLookup()), "lookup", one_class)

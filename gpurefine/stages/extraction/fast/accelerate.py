"""trafilatura in this process, accelerated where the installed versions were compared and agree in a test of their own.

Two kinds of pages are left to the stock code, and both are rare. A page with references to characters that XML forbids:
lxml fails when such a text is moved, so it depends on the order of all steps how far trafilatura gets. And a page of
which the accelerated code has no text, or on which it fails: so nothing is lost by a fault of the patches.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from gpurefine.stages.extraction.fast.patching import Patches

#: Modules whose functions are replaced, or on which it rests that no text differs.
MODULES = (
    "trafilatura.core",
    "trafilatura.external",
    "trafilatura.htmlprocessing",
    "trafilatura.main_extractor",
    "trafilatura.utils",
    "trafilatura.readability_lxml",
    "trafilatura.settings",
    "trafilatura.xpaths",
    "trafilatura.xml",
    "trafilatura.baseline",
    "trafilatura.deduplication",
    "justext.core",
    "justext.paragraph",
    "justext.utils",
    "lxml.html",
)

#: ``fingerprint()`` of the versions with which ``benchmarks/extract_equal.py`` found no difference.
TESTED = {
    "06650af837ad1b59": "trafilatura 2.3.1, justext 3.0.2, lxml 6.1.3 with libxml2 2.14.6, Python 3.11",
}


#: References to the characters that XML forbids, of those that libxml2 resolves.
_FORBIDDEN = re.compile(
    r"&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01]|6553[45])(?![0-9])"
    r"|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]|[fF]{3}[eEfF])(?![0-9a-fA-F]))"
)


def is_regular(html: str) -> bool:
    """Whether the reasons why no text differs hold for a page; if not, it is for the stock code."""
    return _FORBIDDEN.search(html) is None


@cache
def fingerprint() -> str:
    """The sources of ``MODULES`` and the versions of lxml, libxml2 and Python, as 16 hexadecimal digits."""
    from lxml import etree

    digest = hashlib.sha256(repr((etree.LXML_VERSION, etree.LIBXML_VERSION, sys.version_info[:2])).encode())
    for name in MODULES:
        digest.update(Path(str(importlib.import_module(name).__file__)).read_bytes())
    return digest.hexdigest()[:16]


def why_stock() -> str | None:
    """Why the installed versions are left as they are; None if they were compared. Imports them, changes nothing."""
    try:
        found = fingerprint()
    except OSError as error:
        return f"the sources of trafilatura, justext and lxml cannot be read ({error})"
    if found in TESTED:
        return None
    return f"these versions of trafilatura, justext, lxml and Python were not compared (fingerprint {found})"


def patch_functions() -> dict[str, Callable[[Patches], None]]:
    """The patches in their order, by name."""
    from gpurefine.stages.extraction.fast import (
        attribute_tests,
        characters,
        cleaning,
        element_classes,
        link_density,
        paragraphs,
        readability,
    )

    modules = (attribute_tests, element_classes, readability, link_density, paragraphs, characters, cleaning)
    return {module.__name__.rpartition(".")[2]: module.patch for module in modules}


def apply_patches() -> Patches:
    """Put all patches in, untested. Raises what a patch raises that does not fit; then none is in."""
    patches = Patches()
    try:
        for patch in patch_functions().values():
            patch(patches)
    except BaseException:
        patches.use_stock()
        raise
    return patches


def extract_alone(html: str, settings: Any) -> str | None:
    """The text of a page by trafilatura, whatever pages came before.

    The store of seen strings, for ``deduplicate``, is one for the process: it is emptied for each page. All other
    caches of trafilatura remember pure functions.
    """
    import trafilatura
    from trafilatura.deduplication import LRU_TEST

    LRU_TEST.clear()
    return trafilatura.extract(html, options=settings)


class Trafilatura:
    """Pages to texts by trafilatura, with one set of options for all.

    Attributes
    ----------
    why_stock : why the stock code is used although acceleration was asked for; None if it is not, or was not
    by_stock : whether the stock code answered for the accelerated one, which failed or had no text where there is one
    before_retry : called before a page is given to the stock code as well, which is a page of its own to time limits

    Parameters
    ----------
    settings : ``trafilatura.settings.Extractor``
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.why_stock: str | None = None
        self.by_stock = False
        self.before_retry: Callable[[], None] = lambda: None
        self._patches: Patches | None = None

    def accelerate(self) -> None:
        """Put the patches in, for this process; where they do not fit, nothing changes and ``why_stock`` says why.

        A page or two was extracted before, so that all modules are there. Reads source files.
        """
        self.why_stock = why_stock()
        if self.why_stock is not None:
            return
        from gpurefine.stages.extraction.fast.selftest import check

        patches = None
        try:
            patches = apply_patches()
            check(patches, self.settings)
            patches.forget_page()
        except Exception as error:
            if patches is not None:
                patches.use_stock()
            self.why_stock = f"{type(error).__name__}: {error}"
        else:
            self._patches = patches

    def __call__(self, html: str) -> str | None:
        """The text of a page, None if there is none. Raises what trafilatura raises."""
        self.by_stock = False
        if self._patches is None:
            return extract_alone(html, self.settings)
        if not is_regular(html):
            return self._by_stock_code(html)
        failed, text = False, None
        try:
            text = extract_alone(html, self.settings)
        except MemoryError:
            raise
        except Exception:
            failed = True
        finally:
            self._patches.forget_page()
        if not text:
            self.before_retry()
            text = self._by_stock_code(html)
            self.by_stock = failed or bool(text)
        return text

    def _by_stock_code(self, html: str) -> str | None:
        assert self._patches is not None
        self._patches.use_stock()
        try:
            return extract_alone(html, self.settings)
        finally:
            self._patches.use_fast()

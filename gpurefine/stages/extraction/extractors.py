"""The extractors, behind one interface: options in, a function from HTML to text out.

A *maker* takes the options of the ``extract`` stage and returns ``extract(html: str) -> str | None``. It imports the
library and extracts a page or two, so that everything which is read or imported at first use is there: afterwards the
child process may open no file. Imports of the libraries are inside the makers, because the parent needs none of them.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass

from gpurefine.errors import ResourceError

Extractor = Callable[[str], str | None]


@dataclass(frozen=True)
class ExtractorOptions:
    """Options of the ``extract`` stage that an extractor gets; each uses those that it knows."""

    favor: str = "precision"
    include_comments: bool = False
    include_tables: bool = True
    deduplicate: str = "off"
    accelerate: bool = True


def make_trafilatura(options: ExtractorOptions) -> Extractor:
    """The main content by trafilatura as plain text (RefinedWeb 3.1; the options are datatrove's and its own).

    Of trafilatura's settings file, ``MAX_FILE_SIZE``, ``MIN_FILE_SIZE`` and ``EXTRACTION_TIMEOUT`` concern downloads,
    compressed bytes and its command line; none applies to a decoded page. ``MAX_TREE_SIZE`` is empty by default: no
    limit. Nothing here fetches anything.
    """
    from trafilatura.settings import Extractor as TrafilaturaOptions

    from gpurefine.stages.extraction.fast.accelerate import Trafilatura

    settings = TrafilaturaOptions(
        output_format="txt",
        fast=False,
        precision=options.favor == "precision",
        recall=options.favor == "recall",
        comments=options.include_comments,
        formatting=False,
        links=False,
        images=False,
        tables=options.include_tables,
        dedup=options.deduplicate == "page",
        with_metadata=False,
    )

    extract = Trafilatura(settings)
    for page in WARM_UP_PAGES:
        extract(page)
    if options.accelerate:
        extract.accelerate()
    return extract


def make_resiliparse(options: ExtractorOptions) -> Extractor:
    """The main content by resiliparse without alternative texts (DataComp-LM's extractor)."""
    from resiliparse.extract.html2text import extract_plain_text

    def extract(html: str) -> str | None:
        return extract_plain_text(html, main_content=True, alt_texts=False, comments=options.include_comments)

    for page in WARM_UP_PAGES:
        extract(page)
    return extract


@dataclass(frozen=True)
class KnownExtractor:
    """Where an extractor is made, the packages that decide what it returns, and how to get them."""

    maker: str
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    install: str


KNOWN = {
    "trafilatura": KnownExtractor(
        f"{__name__}:make_trafilatura",
        ("trafilatura", "lxml.etree"),
        ("trafilatura", "lxml", "justext"),
        "pip install trafilatura lxml_html_clean",
    ),
    "resiliparse": KnownExtractor(
        f"{__name__}:make_resiliparse",
        ("resiliparse.extract.html2text",),
        ("resiliparse",),
        'pip install "gpurefine[resiliparse]"',
    ),
}


def versions(name: str) -> dict[str, str]:
    """Versions of everything that decides what an extractor returns.

    Parameters
    ----------
    name : a key of ``KNOWN``

    Raises
    ------
    ResourceError
        if a package cannot be imported
    """
    known = KNOWN[name]
    try:
        for module in known.modules:
            importlib.import_module(module)
        found = {package: importlib.metadata.version(package) for package in known.packages}
    except ImportError as error:
        raise ResourceError(
            f"the extractor {name} cannot be imported ({error}); install it with: {known.install}"
        ) from error
    if "lxml" in found:
        etree = importlib.import_module("lxml.etree")
        found["libxml2"] = ".".join(map(str, etree.LIBXML_VERSION))
    return found


def load(maker: str, options: ExtractorOptions) -> Extractor:
    """The extractor of a maker that is named as ``package.module:function``."""
    module, _, function = maker.partition(":")
    return getattr(importlib.import_module(module), function)(options)


_PROSE = "The river rises in the hills behind the town and reaches the sea after nine days. " * 8

#: Together they lead through the main extractor, its fallbacks (readability, stop lists) and the parser's second try.
WARM_UP_PAGES = (
    f"<html><body><article><h1>A</h1><p>{_PROSE}</p><p>{_PROSE}</p><ul><li>{_PROSE}</li></ul>"
    "<table><tr><td>a</td><td>b</td></tr></table></article></body></html>",
    "<html><body><a href='/x'>a</a><p>b</p><div>caf\u00e9 \u4e2d\u6587\u3002 \x85 \ufffe</div></body></html>",
    f"<?xml version='1.0' encoding='utf-8'?><html><body><div>{_PROSE}<br/>{_PROSE}</div></body></html>",
    "no markup",
)

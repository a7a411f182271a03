"""The demo crawl: a WARC of some 300 pages that shows what the ``refinedweb`` preset removes, and its block list.

``gpurefine demo`` writes it and refines it; the end-to-end tests compare what was removed with ``expected_reasons``.
Its texts are written for it and used for no rule's own tests.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from gpurefine.demo import damaged, ordinary, rejected, repeated
from gpurefine.demo.prose import english_articles
from gpurefine.demo.records import Page, warc_bytes

WARC_NAME = "demo-crawl.warc.gz"
LISTS_NAME = "lists"

#: English articles without any trick to them; with the harmless ones among the other pages about half of all stays.
KEPT_ARTICLES = 130

#: Removals without an address: junk between two records.
JUNK_REGIONS = 1


def write_demo_crawl(folder: Path) -> tuple[Path, Path]:
    """Write the crawl, the same bytes each time.

    Parameters
    ----------
    folder : made where it is missing

    Returns
    -------
    the WARC, and the folder of the block list (for ``urls.blocklist``)
    """
    lists = folder / LISTS_NAME
    for name, content in ordinary.block_lists().items():
        path = lists / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    warc = folder / WARC_NAME
    warc.write_bytes(warc_bytes(demo_pages()))
    return warc, lists


def demo_pages() -> list[Page]:
    """All pages in the order of the WARC, which mixes the kinds."""
    articles = english_articles()
    pages = [
        *ordinary.kept_pages(articles, KEPT_ARTICLES),
        *ordinary.duplicate_pages(articles),
        *ordinary.near_duplicate_pages(articles),
        *ordinary.foreign_pages(),
        *ordinary.judged_url_pages(articles),
        *damaged.unreadable_pages(articles),
        *damaged.textless_pages(),
        *damaged.encoded_pages(articles),
        *damaged.hostile_pages(articles),
        *rejected.repetitive_pages(articles),
        *rejected.odd_pages(articles),
        *rejected.flagged_pages(articles),
        *repeated.cut_pages(articles),
        repeated.passage_page(),
        *repeated.revisited_pages(articles),
    ]
    return sorted(pages, key=lambda page: hashlib.sha256(page.url.encode()).digest())


def expected_reasons() -> dict[str, str]:
    """What the preset with the demo's block list makes of each page, by URL: ``kept`` or ``stage:rule``.

    Two kinds of pages are not in it: those whose gzip member is broken, which are removed as ``read:damaged`` without
    their URL, and those whose text, or nearly that, or whose URL several have, of which one is kept: see
    ``duplicate_groups``.
    """
    return {page.url: page.reason for page in demo_pages() if not page.zeroed and page.group is None}


def duplicate_groups() -> dict[str, list[str]]:
    """URLs of the pages that have one text, nearly one, or one URL, by the name of their group; one of each is kept."""
    groups: dict[str, list[str]] = {}
    for page in demo_pages():
        if page.group is not None:
            groups.setdefault(page.group, []).append(page.url)
    return groups


def expected_counts() -> Counter[str]:
    """Records by ``kept`` or reason for removal, as a run counts them; junk between two records is a record too."""
    pages = demo_pages()
    counts = Counter(page.reason for page in pages)
    counts["read:damaged"] += JUNK_REGIONS
    for reason in {page.group: page.reason for page in pages if page.group is not None}.values():
        counts[reason] -= 1
        counts["kept"] += 1
    return counts

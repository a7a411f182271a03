"""Pages of the demo crawl for the dedups behind MinHash: a passage that several pages have, and an address seen twice.

The pages differ in everything else, so that MinHash takes none of them for the copy of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gpurefine.demo import templates
from gpurefine.demo.ordinary import KEPT
from gpurefine.demo.prose import Article, read_texts
from gpurefine.demo.records import Page

SHORT = "dedup.substring:short"
SAME_URL = "dedup.url:duplicate"

#: Pages with the passage that keep what else they say.
CUT_PAGES = 4

#: How often the address that was crawled more than once is in the crawl. One of its pages is kept.
VISITS = 2

_SITE = "https://letters.example"


def cut_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Articles that lose a passage which all of them have: at the beginning, in the middle and at the end of a text.

    On every other page the passage has no commas: punctuation hides no copy.
    """
    for number in range(CUT_PAGES):
        article = next(articles)
        first, second, *rest = article.paragraphs
        said = shared_passage() if number % 2 else shared_passage().replace(",", "")
        places = (
            (said, first, second, *rest),
            (first, f"{second} {said} {rest[0]}", *rest[1:]),
            (*article.paragraphs, said),
        )
        page = replace(article, paragraphs=places[number % len(places)])
        yield Page(f"{_SITE}/{number + 1}", KEPT, templates.plain(page).encode())


def passage_page() -> Page:
    """A page of which hardly anything is left when the passage is cut."""
    return Page(f"{_SITE}/about", SHORT, templates.page_of_lines("About", [f"Hello. {shared_passage()}"]).encode())


def revisited_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """One address that was crawled more than once and said something else each time."""
    url = "https://today.example/front-page"
    for _ in range(VISITS):
        yield Page(url, SAME_URL, templates.blog(next(articles)).encode(), group="front-page")


def shared_passage() -> str:
    """The passage that pages have in common: 60 tokens or more."""
    return read_texts("passages").paragraphs[0]

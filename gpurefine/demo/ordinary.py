"""Ordinary pages of the demo crawl: English articles that stay, copies of some, other languages, refused addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from gpurefine.demo import templates
from gpurefine.demo.prose import MONTHS, Article, foreign_article
from gpurefine.demo.records import Page

KEPT = "kept"
DUPLICATE = "dedup.minhash:duplicate"

#: (language, how its pages are encoded and declared); one page each. An empty header leaves it to the meta element.
FOREIGN_PAGES = (
    *[("german", "utf-8")] * 7, *[("german", "windows-1252")] * 2, *[("french", "utf-8")] * 7,
    *[("french", "iso-8859-1")] * 2, *[("spanish", "utf-8")] * 6, *[("russian", "utf-8")] * 4,
    *[("russian", "windows-1251")] * 3, *[("japanese", "utf-8")] * 4, *[("japanese", "shift_jis")] * 2,
    *[("japanese", "euc-jp")] * 1, *[("arabic", "utf-8")] * 4, *[("arabic", "utf-16")] * 1,
    *[("chinese", "utf-8")] * 5, *[("chinese", "gb18030")] * 3,
)  # fmt: skip

LANGUAGE_CODES = {
    "german": "de", "french": "fr", "spanish": "es", "russian": "ru", "japanese": "ja", "arabic": "ar", "chinese": "zh",
}  # fmt: skip

#: Groups of pages with one text: their sizes. One page of each group is kept.
DUPLICATE_GROUPS = (2, 3, 5)

#: Groups of pages whose texts differ in one sentence at the end: their sizes. One page of each group is kept.
NEAR_DUPLICATE_GROUPS = (2, 4)

#: Addresses and what refuses them. "kept" are the near misses: a word or a path that is not enough.
JUDGED_URLS = (
    ("https://adult-site.example/gallery/1", "urls:blocklist"),
    ("https://videos.mirror.adult-site.example/", "urls:blocklist"),
    ("http://www.secure-login-bank.example/verify?account=1", "urls:blocklist"),
    ("https://parcel-tracking.example/claim/", "urls:blocklist"),
    ("https://games-portal.example/casino/roulette.html", "urls:blocklist"),
    ("https://games-portal.example/chess/opening.html", KEPT),
    ("https://not-adult-site.example/gallery/1", KEPT),
    ("https://bonga.cams.example/watch", "urls:strict"),
    ("https://media.example/thumb-zilla/page2.html", "urls:strict"),
    ("https://films.example/xxx/new", "urls:hard"),
    ("https://www.some-porn-page.example/", "urls:hard"),
    ("https://girls.example/webcam/escort-agency", "urls:soft"),
    ("https://pictures.example/naughty?show=babes", "urls:soft"),
    ("https://harbour.example/webcam/pier", KEPT),
    ("https://en.wikipedia.org/wiki/Demo_crawl_page", "urls:curated"),
    ("https://old.reddit.com/r/democrawl/comments/1", "urls:curated"),
    ("https://stackoverflow.com/questions/0/demo-crawl", "urls:curated"),
)

_NO_LETTERS = re.compile(r"[^a-z0-9]+")


def kept_pages(articles: Iterator[Article], count: int) -> Iterator[Page]:
    """English articles in all templates, on a few sites."""
    for number in range(count):
        article = next(articles)
        template = templates.ORDINARY[number % len(templates.ORDINARY)]
        url = f"https://{_site(article)}/{number + 1}/{_slug(article.title)}"
        yield Page(url, KEPT, template(article, "en").encode())


def duplicate_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Groups of pages that have one text, under different addresses and in different templates."""
    for size in DUPLICATE_GROUPS:
        article = next(articles)
        for copy in range(size):
            template = templates.SAME_TEXT[copy % len(templates.SAME_TEXT)]
            url = f"https://copies{copy}.example/of-{size}/{_slug(article.title)}"
            yield Page(url, DUPLICATE, template(article, "en").encode(), group=f"copies-{size}")


def near_duplicate_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Groups of pages that reprint one article, each with a sentence of its own at the end."""
    for size in NEAR_DUPLICATE_GROUPS:
        article = next(articles)
        for copy in range(size):
            source = f"This article was first printed in the paper of {MONTHS[copy]}, and we thank those who sent it."
            reprint = replace(article, paragraphs=(*article.paragraphs, source))
            url = f"https://reprints{copy}.example/of-{size}/{_slug(article.title)}"
            yield Page(url, DUPLICATE, templates.plain(reprint, "en").encode(), group=f"reprints-{size}")


def foreign_pages() -> Iterator[Page]:
    """Pages in seven languages and their old charsets, which stand in a meta element only."""
    for number, (language, charset) in enumerate(FOREIGN_PAGES):
        code = LANGUAGE_CODES[language]
        template = (templates.plain, templates.blog, templates.news)[number % 3]
        html = template(foreign_article(language, number), code).replace('charset="utf-8"', f'charset="{charset}"')
        url = f"https://{code}.journal.example/{number + 1}/{charset}"
        header = "text/html; charset=utf-8" if charset == "utf-8" else "text/html"
        yield Page(url, "language:other", html.encode(charset), content_type=header)


def judged_url_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Good articles at addresses that the ``urls`` stage refuses, and at some that it only seems to."""
    for url, reason in JUDGED_URLS:
        yield Page(url, reason, templates.plain(next(articles)).encode())


def block_lists() -> dict[str, str]:
    """A block list in the layout of UT1: relative path -> content."""
    return {
        "adult/domains": "adult-site.example\nanother-adult-site.example\n",
        "phishing/domains": "secure-login-bank.example\nparcel-tracking.example\n",
        "gambling/urls": "games-portal.example/casino\n",
    }


def _site(article: Article) -> str:
    """The site of an article: a few dozen, so that sites have one to ten pages."""
    return f"www.{_slug(article.title.split(' ')[-1])}-messenger.example"


def _slug(title: str) -> str:
    return _NO_LETTERS.sub("-", title.lower()).strip("-")

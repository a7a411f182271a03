"""HTML around the articles of the demo crawl: the navigation, banners, counters and footers that extraction removes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from gpurefine.demo.prose import Article

Template = Callable[[Article, str], str]

_NAVIGATION = '<nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li><li><a href="/about">About us</a>'
_NAVIGATION += '</li><li><a href="/contact">Contact</a></li></ul></nav>'
_COOKIES = (
    '<div class="cookie-banner" id="cookie-consent" role="dialog"><p>We use cookies to make this site work and to count'
    " visits. <button>Accept all</button> <button>Settings</button></p></div>"
)
_FOOTER = '<footer><p>All rights reserved. <a href="/imprint">Imprint</a> <a href="/privacy">Privacy</a></p></footer>'


def paragraphs_of(article: Article) -> str:
    """The paragraphs of an article as HTML."""
    return "\n".join(f"<p>{escape(paragraph, quote=False)}</p>" for paragraph in article.paragraphs)


def page_of_lines(title: str, lines: Sequence[str], language: str = "en") -> str:
    """A page whose extracted text is these lines and no heading; the lines are HTML."""
    body = "\n".join(f"<p>{line}</p>" for line in lines)
    return _document(title, f"<article>{body}</article>", language)


def plain(article: Article, language: str = "en") -> str:
    """A page of a heading and paragraphs."""
    heading = f"<h1>{escape(article.title, quote=False)}</h1>"
    return _document(article.title, f"<article>{heading}\n{paragraphs_of(article)}</article>", language)


def blog(article: Article, language: str = "en") -> str:
    """A blog: navigation, share buttons, a sidebar of other posts, comments below."""
    others = "".join(f'<li><a href="/post/{number}">Another post</a></li>' for number in range(6))
    body = (
        f'{_NAVIGATION}{_COOKIES}<main><article class="post"><h1>{escape(article.title, quote=False)}</h1>\n'
        f'{paragraphs_of(article)}<div class="share-buttons"><a href="#">Share</a> <a href="#">Post</a></div></article>'
        f'</main><aside class="sidebar"><h3>Recent posts</h3><ul>{others}</ul></aside>'
        '<section class="comments" id="comments"><h3>Comments</h3><div class="comment"><p>Lovely, thank you.</p></div>'
        f'<div class="comment"><p>We have one of these at home.</p></div></section>{_FOOTER}'
    )
    return _document(article.title, body, language)


def news(article: Article, language: str = "en") -> str:
    """A newspaper: cookie banner, teasers with read-more links, a newsletter form."""
    teasers = "".join(
        f'<div class="teaser"><h4><a href="/{number}">Elsewhere in the valley</a></h4>'
        f'<a href="/{number}" class="more">Read more...</a></div>'
        for number in range(4)
    )
    body = (
        f'{_COOKIES}<header class="site-header"><a href="/">The Valley Messenger</a>{_NAVIGATION}</header>'
        f'<main id="main"><article><h1>{escape(article.title, quote=False)}</h1>\n{paragraphs_of(article)}</article>'
        f'</main><aside class="related">{teasers}</aside><form class="newsletter"><label>Your address</label>'
        f'<input name="mail"><button>Subscribe</button></form>{_FOOTER}'
    )
    return _document(article.title, body, language)


def tables(article: Article, language: str = "en") -> str:
    """A page of the last century: layout by tables, upper-case tags, nothing closed that need not be."""
    paragraphs = "\n".join(f"<P>{escape(paragraph, quote=False)}" for paragraph in article.paragraphs)
    return (
        f'<HTML LANG={language}><HEAD><TITLE>{escape(article.title)}</TITLE></HEAD><BODY BGCOLOR="#ffffcc">'
        '<TABLE WIDTH="100%" BORDER=0><TR><TD WIDTH=120 VALIGN=top><A HREF="index.htm">Home</A><BR>'
        '<A HREF="links.htm">Links</A><BR><A HREF="guest.htm">Guestbook</A></TD><TD VALIGN=top>'
        f"<H1>{escape(article.title, quote=False)}</H1>\n{paragraphs}</TD></TR></TABLE>"
        "<HR><CENTER><FONT SIZE=1>Best viewed at 800 x 600</FONT></CENTER></BODY></HTML>"
    )


def counted(article: Article, language: str = "en") -> str:
    """A social page: counters of likes and shares stand between the paragraphs, where extraction keeps them."""
    first, *rest = (f"<p>{escape(paragraph, quote=False)}</p>" for paragraph in article.paragraphs)
    body = (
        f'{_NAVIGATION}<div id="content"><article><h1>{escape(article.title, quote=False)}</h1>\n{first}<p>12 likes</p>'
        f"{''.join(rest)}<p>3 shares</p></article></div>{_FOOTER}"
    )
    return _document(article.title, body, language)


#: Templates in which the extracted text of an article is the same.
SAME_TEXT: tuple[Template, ...] = (plain, blog, news)

#: All templates of ordinary pages.
ORDINARY: tuple[Template, ...] = (plain, blog, news, tables, counted)


def _document(title: str, body: str, language: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body { margin: 2em }</style><script>window.visits = 1;</script></head>"
        f"<body>{body}</body></html>\n"
    )

"""Pages of the demo crawl that cannot be read or hold no text, and hostile ones that must come through unharmed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from gpurefine.demo import templates
from gpurefine.demo.ordinary import KEPT
from gpurefine.demo.prose import Article, read_texts
from gpurefine.demo.records import HTML, Page, chunked, gzip_member

#: Beyond the reader's limit of 20 MiB.
TOO_LARGE = (20 << 20) + 4096

_SITE = "https://broken.example"
_TRICKS = "https://tricks.example"


def unreadable_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Pages that end in the reader: all rules of ``read``."""
    html = templates.plain(next(articles)).encode()
    for status in ("301 Moved Permanently", "403 Forbidden", "404 Not Found", "500 Internal Server Error"):
        yield Page(f"{_SITE}/status/{status[:3]}", "read:status", html, status=status)
    for kind in ("image/png", "application/pdf", "application/json", "text/plain"):
        yield Page(f"{_SITE}/type/{kind}", "read:type", html, content_type=kind)
    identified = ("WARC-Identified-Payload-Type: application/zip",)
    yield Page(f"{_SITE}/type/identified", "read:type", html, warc_headers=identified)
    # text that was once decoded with the wrong charset and saved with replacement characters
    for number in (1, 2):
        lost = templates.plain(next(articles)).replace("e", "\ufffd").encode()
        yield Page(f"{_SITE}/charset/{number}", "read:charset", lost)
    yield Page(f"{_SITE}/no-status-line", "read:damaged", b"", http=b"<html><body><p>No HTTP at all here.</p>")
    # magic bytes of gzip, then a stream that ends before the first kibibyte is out
    cut = gzip_member(html)[:60]
    yield Page(f"{_SITE}/cut-gzip", "read:damaged", cut, headers=("Content-Encoding: gzip",))
    for number in (1, 2):
        zeroed = templates.blog(next(articles)).encode()
        yield Page(f"{_SITE}/zeroed/{number}", "read:damaged", zeroed, zeroed=True)
    yield Page(f"{_SITE}/too-large", "read:too_large", b"<html><body>" + b"<p>" * (TOO_LARGE // 3))
    bomb = gzip_member(b"<html><body>" + b" " * TOO_LARGE)
    yield Page(f"{_SITE}/gzip-bomb", "read:too_large", bomb, headers=("Content-Encoding: gzip",))
    for number in (1, 2):
        yield Page(f"{_SITE}/empty/{number}", "read:empty", b"")


def textless_pages() -> Iterator[Page]:
    """Pages that end in ``extract``, by their size or because there is no text, and in ``language``.

    Not shown: ``extract:failed``, ``timeout``, ``memory`` and ``crash``, for which no page is known that does it on
    every machine.
    """
    attributes = " ".join(f"data-a{number}={number}" for number in range(1_200))
    head = "<!DOCTYPE html><html><head><title>Shapes</title></head><body>"
    too_large = [f"{head}<p {attributes}>Many attributes.</p>", f"{head}{'<b></b>' * 100_010}<p>Many tags.</p>"]
    for number, html in enumerate(too_large, start=1):
        yield Page(f"{_SITE}/extract/too-large/{number}", "extract:too_large", html.encode())
    empty = [
        f"{head}<nav><ul><li><a href=/a>Home</a></li><li><a href=/b>Shop</a></li></ul></nav></body></html>",
        f"{head}<div id=app></div><script>var state = {'[1, 2, 3], ' * 80}null;</script></body></html>",
        "<html><frameset cols='20%,80%'><frame src=menu.htm><frame src=main.htm></frameset></html>",
        f"{head}<!-- {'a comment and nothing else ' * 40}--></body></html>",
    ]
    for number, html in enumerate(empty, start=1):
        yield Page(f"{_SITE}/extract/empty/{number}", "extract:empty", html.encode())
    mixed = read_texts("mixed")
    for number, paragraph in enumerate(mixed.paragraphs, start=1):
        html = templates.page_of_lines(mixed.titles[0], [paragraph])
        yield Page(f"https://mixed.example/{number}", "language:score", html.encode())
    for number in (1, 2):
        squares = [[(row * 37 + column * 11) ** 2 * number % 9973 for column in range(18)] for row in range(9)]
        rows = [" ".join(map(str, row)) for row in squares]
        html = templates.page_of_lines("Tables of squares", rows)
        yield Page(f"https://numbers.example/{number}", "language:empty", html.encode())


def encoded_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Good articles in transfer and content codings and in odd charsets; all stay."""
    html = [templates.news(next(articles)).encode() for _ in range(6)]
    raw_deflate = zlib.compress(html[3], 9)[2:-4]
    codings = [
        ("chunked", chunked(html[0]), ("Transfer-Encoding: chunked",)),
        ("gzip", gzip_member(html[1]), ("Content-Encoding: gzip",)),
        ("deflate", zlib.compress(html[2], 9), ("Content-Encoding: deflate",)),
        ("raw-deflate", raw_deflate, ("Content-Encoding: deflate",)),
        ("both", chunked(gzip_member(html[4])), ("Transfer-Encoding: chunked", "Content-Encoding: gzip")),
        # as in Common Crawl: the header is still there, the body was decoded already
        ("already-decoded", html[5], ("Content-Encoding: gzip",)),
    ]
    for name, body, headers in codings:
        yield Page(f"https://codings.example/{name}", KEPT, body, headers=headers)
    # the last two need no declaration; a page that declares iso-8859-1 is read as windows-1252, as browsers do
    for label, charset in (("iso-8859-1", "windows-1252"), ("", "utf-16"), ("", "utf-8-sig")):
        html = _with_paragraph(next(articles), "A caf\u00e9 on the corner has the rest \u2013 ask there.")
        body = html.replace('<meta charset="utf-8">', "").encode(charset)
        header = f"text/html; charset={label}" if label else "text/html"
        yield Page(f"https://codings.example/charset/{charset}", KEPT, body, content_type=header)


def hostile_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Good articles inside markup that is broken or means harm; all stay, and nothing of it may take effect."""
    script = "<script>alert(1)</script>"
    quoted = _with_paragraph(next(articles), "A visitor wrote &lt;script&gt;alert('x')&lt;/script&gt; {{7*7}} =1+1.")
    yield _trick(f"?q={script}&p='--", quoted.replace("<title>", f"<title>{script}"))
    unclosed = _plain(articles).replace("</p>", "").replace("</article></body></html>", "<div><b><i>")
    yield _trick("unclosed", unclosed)
    deep = _plain(articles).replace("<article>", "<div>" * 150 + "<article>")
    yield _trick("deep", deep)
    # entities that would grow to gigabytes, and one that would read a file of this machine
    entities = '<!DOCTYPE html [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/'
    entities += 'hostname">]>'
    bomb = _with_paragraph(next(articles), "The end: &b; &c; and so on.").replace("<!DOCTYPE html>", entities)
    yield _trick("entities", bomb)
    yield _trick("nul", _plain(articles).replace("the ", "t\0he "))
    yield _trick("long-attribute", _plain(articles).replace("<article>", f'<article data-x="{"x" * 99_999}">'))
    yield _trick("many-entities", _with_paragraph(next(articles), "&amp;lt;" * 40 + "&nbsp;" * 200))
    hidden = "<style>p { display: none }</style><noscript>Please switch it on.</noscript><template>Unused</template>"
    yield _trick("style", _plain(articles).replace("<article>", f"<article>{hidden}"))
    reversed_text = "Call \u202egnp.exe\u202c and z\u200be\u200br\u200co."
    yield _trick("bidirectional", _with_paragraph(next(articles), reversed_text))
    refresh = '<meta http-equiv="refresh" content="0; url=http://a.example/"><base href="http://a.example/">'
    yield _trick("refresh", _plain(articles).replace("<head>", f"<head>{refresh}"))
    links = "See https://example.com/a?b=c for more, www.example.com as well."
    yield _trick("links", _with_paragraph(next(articles), links))
    yield _trick("long-query?" + "&".join(f"key{number}=value{number}" for number in range(150)), _plain(articles))
    yield Page("http://user:secret@TRICKS.example:8080/a/../b#fragment", KEPT, _plain(articles).encode())
    yield Page("https://b\u00fccher.example/stra\u00dfe?q=\u00fc", KEPT, _plain(articles).encode())
    yield Page("http://192.0.2.7/", KEPT, _plain(articles).encode(), content_type="")


def _trick(path: str, html: str) -> Page:
    return Page(f"{_TRICKS}/{path}", KEPT, html.encode(), content_type=HTML)


def _plain(articles: Iterator[Article]) -> str:
    return templates.plain(next(articles))


def _with_paragraph(article: Article, html: str) -> str:
    """A page of an article with one more paragraph, given as HTML."""
    return templates.plain(article).replace("</article>", f"<p>{html}</p></article>")

"""Small pages on which stock and accelerated extraction must agree before the latter is used: each leads through code
that a patch replaces.
"""

from __future__ import annotations

_SENTENCE = "The old harbour was rebuilt in {0} after the storm, and its {0} stone steps still lead down to the water. "
_LINKS = "<ul>" + "".join(f"<li><a href='/{number}'>Link number {number}</a></li>" for number in range(12)) + "</ul>"


def _page(inner: str) -> str:
    return f"<html><head><title>Page</title></head><body>{inner}</body></html>"


def _paragraphs(count: int, first: int = 0) -> str:
    return "".join("<p>" + (_SENTENCE * 3).format(1800 + first + number) + "</p>" for number in range(count))


def sample_pages() -> list[str]:
    """The pages."""
    mixed = "".join(
        f"<p>Nur Text {number}: \u00e4\u00f6\u00fc \u4e2d\u6587\uff0c\u6d4b\u8bd5\u3002 {_SENTENCE}</p>"
        for number in range(5)
    )
    return [
        _page(f"<div class='post-content' id='x1'>{_paragraphs(6)}</div><div id='sidebar'>{_LINKS}</div>"),
        _page(
            f"<nav class='menu'>{_LINKS}</nav><article><h1>Title</h1>{_paragraphs(4)}<div id='comments' "
            f"class='comment-list'><p>Nice.</p></div>{_paragraphs(2, 9)}</article><footer>c</footer>"
        ),
        # which attribute is the first in the source decides for tests of several
        _page(
            f"<main><div class='bottom x' id='a'>{_paragraphs(2)}</div>tail one<div id='a2' class='bottom'>"
            f"{_paragraphs(2, 5)}</div>tail two<p style='x' id='hidden-1'>kept?</p><p id='hidden-2' style='y'>gone?</p>"
            f"{_paragraphs(3, 20)}</main>"
        ),
        _page(
            f"<section class='Teaser box'>{_paragraphs(1)}</section><div class='text'>{_paragraphs(3)}<table><tr><th>a"
            f"</th><td>b</td></tr><tr><td colspan='2'>{_SENTENCE}</td></tr></table></div>"
        ),
        _page(
            f"<div><div class='entry Cookie-Notice' id='pr'>{_paragraphs(2)}</div><span style='display: none'>no</span>"
            "<div aria-hidden='true'>no</div><div class=' hidden '>no</div>x<div role='Navigation'>no</div>y</div>"
            f"{_paragraphs(2, 30)}"
        ),
        # too short for the main extractor: readability and justext
        _page("short <b>text</b><br>another line<noscript>please enable</noscript><a href='x'>one</a>"),
        _page(f"<td>{_SENTENCE}</td><div>{'<div class=w>' * 30}{_paragraphs(3)}{'</div>' * 30}</div>"),
        _page(
            f"<div class='infinite-scroll'>{_paragraphs(2)}</div><div class='elementor-share-buttons'>s</div><form>"
            f"<div id='main'>{_paragraphs(3, 3)}<svg><svg/></svg><object><object></object></object><object>kept"
            "</object></div></form>"
        ),
        _page(
            f"<div class='content'>{mixed}<ul><li>eins<ul><li>zwei</li></ul></li><li>drei</li></ul><blockquote>q "
            "<code>c()</code></blockquote><pre>a\n  b</pre></div>"
        ),
        _page(
            f"<iframe src='https://www.youtube.com/x'></iframe><div class='article-body'><q>{_SENTENCE}</q>{_LINKS}"
            f"</div>{_LINKS}"
        ),
        "<p>no html at all",
        _page(""),
        _page("x" * 300),
        _page(f"bad\x01char<p>{_SENTENCE * 5}</p>&#1;&#x85;"),
    ]

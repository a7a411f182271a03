"""Web pages changed at random in their structure: what a fuzzer of extraction gives to it.

A page is taken apart into tags and runs of text. Parts are left out, doubled, moved, taken from other pages, wrapped in
elements, renamed; attributes get words that extractors look for; texts get entities and characters that parsers and
regular expressions treat in ways of their own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from trafilatura import xpaths

PARTS = re.compile(r"<[^>]*>|[^<]+|<")
TAGS = (
    "a", "article", "aside", "b", "blockquote", "body", "br", "button", "center", "code", "col", "dd", "del",
    "details", "dialog", "div", "dl", "dt", "em", "embed", "fieldset", "figcaption", "figure", "font", "footer",
    "form", "frame", "h1", "h2", "h3", "h6", "head", "header", "hr", "html", "i", "iframe", "img", "input", "ins",
    "kbd", "label", "legend", "li", "link", "main", "map", "math", "meta", "nav", "noembed", "noscript", "object",
    "ol", "optgroup", "option", "p", "picture", "plaintext", "pre", "q", "rp", "rt", "ruby", "s", "samp", "script",
    "section", "select", "small", "source", "span", "strong", "style", "sub", "summary", "sup", "svg", "table",
    "tbody", "td", "template", "textarea", "tfoot", "th", "thead", "time", "title", "tr", "track", "u", "ul", "var",
    "video", "wbr", "xmp", "unknown-element",
)  # fmt: skip
#: Words of the expressions by which trafilatura finds and discards parts.
WORDS = sorted(
    {
        word
        for value in vars(xpaths).values() if isinstance(value, list)
        for expression in value
        for word in re.findall(r"[\w-]{2,}", getattr(expression, "path", ""))
    }
)  # fmt: skip
ATTRIBUTES = ("class", "id", "role", "style", "aria-hidden", "data-testid", "itemprop", "href", "rel", "name", "lang")
VALUES = ("display:none", "display: none;", "true", "hidden", " hidden ", "", "x", "/a", "#", "javascript:void(0)")
ODD = (
    "\u00a0", "\u00ad", "\u2028", "\u3000", "\ufeff", "\ufffe", "\uffff", "\x01", "\x0b", "\x0c", "\x1f", "\x7f",
    "\x85", "\u0130", "\u017f", "\u212a", "\u00df", "\U0001f600", "\u202e", "\u4e2d\u6587\uff0c", "\r", "\t", "\n\n",
)  # fmt: skip
ENTITIES = (
    "&nbsp;", "&amp;lt;p&amp;gt;", "&lt;div&gt;", "&#1;", "&#x85;", "&#0;", "&#xD800;", "&#1114112;", "&bogus;", "&amp",
    "&", "&shy;", "&#8203;", "&quot;", "&copy", "&#x1F600;",
)  # fmt: skip
WRAPPERS = (
    "<!-- {} -->", "<![CDATA[{}]]>", "<?xml {}?>", "<noscript>{}</noscript>", "<xmp>{}</xmp>", "<svg>{}</svg>",
    "<table><tr><td>{}</td></tr></table>", "<form>{}</form>", "<pre>{}</pre>", "<p>{}", "<td>{}", "<body>{}</body>",
)  # fmt: skip


def mutate(page: str, others: Sequence[str], generator: random.Random) -> str:
    """A page with up to a dozen changes; ``others`` are pages to take parts from."""
    parts = PARTS.findall(page)
    for _ in range(generator.choice((1, 1, 2, 3, 5, 8, 12))):
        if not parts:
            parts = ["<p>", "nothing was left"]
        generator.choice(CHANGES)(parts, others, generator)
    return "".join(parts)


def _slice(parts: list[str], generator: random.Random) -> tuple[int, int]:
    begin = generator.randrange(len(parts))
    return begin, min(len(parts), begin + int(generator.paretovariate(0.7)))


def _leave_out(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    begin, end = _slice(parts, generator)
    del parts[begin:end]


def _leave_out_a_tag(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    tags = [place for place, part in enumerate(parts) if part.startswith("<")]
    if tags:
        del parts[generator.choice(tags)]


def _double(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    begin, end = _slice(parts, generator)
    end = min(end, begin + 500)
    at = generator.randrange(len(parts) + 1)
    parts[at:at] = parts[begin:end] * generator.choice((1, 1, 2, 4))


def _move(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    begin, end = _slice(parts, generator)
    moved = parts[begin:end]
    del parts[begin:end]
    at = generator.randrange(len(parts) + 1)
    parts[at:at] = moved


def _take_from_another(parts: list[str], others: Sequence[str], generator: random.Random) -> None:
    other = PARTS.findall(generator.choice(others)) if others else []
    if other:
        begin, end = _slice(other, generator)
        at = generator.randrange(len(parts) + 1)
        parts[at:at] = other[begin : min(end, begin + 2000)]


def _wrap(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    begin, end = _slice(parts, generator)
    if generator.random() < 0.5:
        before, after = generator.choice(WRAPPERS).split("{}")
    else:
        tag = generator.choice(TAGS)
        before, after = f"<{tag}{_attribute(generator)}>", f"</{tag}>"
    parts[begin:end] = [*([before] * generator.choice((1, 1, 1, 20))), *parts[begin:end], after]


def _rename(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    name = generator.choice(TAGS)
    at = generator.randrange(len(parts))
    old = re.match(r"</?([a-zA-Z][\w-]*)", parts[at])
    for place in range(at, len(parts)) if old and generator.random() < 0.3 else (at,):
        if old:
            parts[place] = re.sub(rf"^(</?){re.escape(old[1])}\b", rf"\g<1>{name}", parts[place])


def _attribute(generator: random.Random) -> str:
    words = [generator.choice(WORDS) for _ in range(generator.choice((1, 1, 2, 3)))]
    change = generator.choice((str, str, str, str.upper, str.title, str.capitalize))
    value = generator.choice((" ", "-", "_", "", "  ", "\n", "/")).join(map(change, words))
    if generator.random() < 0.1:
        value = generator.choice(VALUES)
    if generator.random() < 0.1:
        at = generator.randrange(len(value) + 1)
        value = value[:at] + generator.choice(ODD) + value[at:]
    quote = generator.choice(('"', '"', "'", ""))
    return f" {generator.choice(ATTRIBUTES)}={quote}{value}{quote}"


def _give_attribute(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    opening = [place for place, part in enumerate(parts) if re.match(r"<[a-zA-Z]", part) and part.endswith(">")]
    for _number in range(generator.choice((1, 1, 3, 10)) if opening else 0):
        at = generator.choice(opening)
        tag = re.match(r"<[a-zA-Z][\w-]*", parts[at])
        if tag and generator.random() < 0.5:
            parts[at] = tag[0] + _attribute(generator) + parts[at][tag.end() :]
        else:
            parts[at] = parts[at][:-1].rstrip("/") + _attribute(generator) + ">"


def _spoil_text(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    texts = [place for place, part in enumerate(parts) if not part.startswith("<")]
    for _number in range(generator.choice((1, 3, 10)) if texts else 0):
        at = generator.choice(texts)
        place = generator.randrange(len(parts[at]) + 1)
        parts[at] = parts[at][:place] + generator.choice((*ODD, *ENTITIES)) + parts[at][place:]


def _spoil_a_character(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    at = generator.randrange(len(parts))
    place = generator.randrange(len(parts[at]) or 1)
    parts[at] = parts[at][:place] + generator.choice(("", "<", ">", "'", '"', "/", "=", " ")) + parts[at][place + 1 :]


def _cut_off(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    if generator.random() < 0.3:
        del parts[generator.randrange(len(parts)) + 1 :]


def _add_links(parts: list[str], _: Sequence[str], generator: random.Random) -> None:
    link = (
        f"<{generator.choice(('li', 'p', 'div', 'td', 'span'))}><a href='/x'>{'word ' * generator.randrange(1, 12)}</a>"
    )
    at = generator.randrange(len(parts) + 1)
    parts[at:at] = [link] * generator.choice((1, 5, 30))


CHANGES: tuple[Callable[[list[str], Sequence[str], random.Random], None], ...] = (
    _leave_out, _leave_out_a_tag, _double, _move, _take_from_another, _wrap, _rename, _give_attribute, _give_attribute,
    _spoil_text, _spoil_a_character, _cut_off, _add_links,
)  # fmt: skip

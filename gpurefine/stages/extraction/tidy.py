"""Clean-up of a page's text, the last thing ``extract`` does: line ends, URLs, blanks, empty lines.

RefinedWeb (arXiv 2306.01116, section 3.1) removes all URLs and caps newlines at two in a row; what counts as a URL and
what goes with it is our reading. Every step takes time linear in the text, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_LINE_ENDS = ("\r\n", "\r", "\u0085", "\u2028", "\u2029")
_NEWLINES = re.compile("\n{3,}")
_BLANKS = " \t"

#: The mark of a list item whose text came on the next line; before another mark it is an empty item.
_LONE_BULLET = re.compile(r"^-\n(?=[^\n-])", re.MULTILINE)

#: Closing marks at the end of a URL: the writer's, not the URL's.
_CLOSING = ".,;:!?)]}'\""

#: ``www.`` begins one only at the beginning of a word: "awww.cute" is none.
_URL = re.compile(r"(?:[hH][tT][tT][pP][sS]?://|[fF][tT][pP]://|(?<![A-Za-z0-9])[wW][wW][wW]\.)[^\s<>\"]*")

#: Labels joined by dots, with port and path; not inside a longer name, a path or a mail address. The quantifiers are
#: possessive, so that a run which fails is not read again from its middle.
_HOST = re.compile(r"(?<![\w@./-])([A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++)(?![\w@])(?::[0-9]++)?+(?:[/?#][^\s<>\"]*+)?+")

#: Top-level domains by which a bare host name is known. Those that are English words or common endings of file names
#: (in, is, it, me, no, so, to, us, name, py, sh) are left out: "end.It" is a missing blank, hardly a host in Italy.
TOP_LEVEL_DOMAINS = frozenset([
    "com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "mobi", "io", "ai", "tv", "cc", "xyz", "dev",
    "ae", "ar", "au", "bg", "br", "ca", "ch", "cl", "cn", "co", "cz", "de", "dk", "es", "eu", "fi", "fr", "gr", "hk",
    "hu", "ie", "il", "ir", "jp", "ke", "kr", "kz", "lk", "mx", "ng", "nl", "nz", "pe", "ph", "pk", "pl", "pt", "ro",
    "ru", "sa", "se", "sg", "sk", "th", "tr", "tw", "ua", "uk", "vn", "za",
])  # fmt: skip


def tidy(text: str, bare_domains: bool = False, join_bullets: bool = False) -> str:
    r"""Text with ``\n`` as its only line end, without URLs, trailing blanks and more than two newlines in a row.

    A URL begins with ``http://``, ``https://``, ``ftp://`` or ``www.`` (any case) and goes on up to white space, ``<``,
    ``>`` or ``"``; closing marks at its end stay in the text, blanks and tabs before it go too. A line of nothing but
    URLs goes with its newline. A second time changes nothing more (unless ``bare_domains``).

    Parameters
    ----------
    text : what the extractor returned
    bare_domains : also remove host names without a scheme, as in ``example.com/path``, if their top-level domain is in
        ``TOP_LEVEL_DOMAINS``, and IPv4 addresses
    join_bullets : put a ``-`` that stands alone on its line before the text of the next line

    Returns
    -------
    The text without outer white space; empty if nothing is left
    """
    for line_end in _LINE_ENDS:
        text = text.replace(line_end, "\n")
    lines = text.split("\n")
    if bare_domains or "://" in text or "www." in text.lower():
        lines = [left for line in lines if (left := _without_urls(line, bare_domains)) is not None]
    text = _NEWLINES.sub("\n\n", "\n".join([line.rstrip() for line in lines])).strip()
    return _LONE_BULLET.sub("- ", text) if join_bullets else text


def _without_urls(line: str, bare_domains: bool) -> str | None:
    """The line without its URLs; None if it held nothing else."""
    if "." not in line and ":" not in line:
        return line
    left = _delete(line, _URL, _is_url)
    if bare_domains:
        left = _delete(left, _HOST, _is_host)
    return None if left != line and not left.strip() else left


def _delete(line: str, pattern: re.Pattern[str], confirmed: Callable[[str, re.Match[str]], bool]) -> str:
    """Delete the confirmed matches, each with the blanks before it and without the closing marks at its end."""
    pieces, position = [], 0
    for match in pattern.finditer(line):
        address = match.group().rstrip(_CLOSING)
        if confirmed(address, match):
            pieces.append(line[position : match.start()].rstrip(_BLANKS))
            position = match.start() + len(address)
    return "".join([*pieces, line[position:]])


def _is_url(address: str, match: re.Match[str]) -> bool:
    return len(address) > len("www")  # not the "www." that a sentence ends in


def _is_host(address: str, match: re.Match[str]) -> bool:
    labels = match.group(1).lower().split(".")
    if labels[-1] in TOP_LEVEL_DOMAINS:
        return True
    return len(labels) == 4 and all(label.isdecimal() and len(label) <= 3 and int(label) <= 255 for label in labels)

"""What the URL rules look at: the host, its parent domains, the decoded text of a URL and its words.

The splitting is by the letter of RFC 3986's generic form and never fails: a URL without ``//`` after an optional scheme
has an empty host, and its text is still there to be searched. All functions take time linear in their input.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

import idna

#: Longest name in the DNS (RFC 1035), without the final dot. A longer host names no machine and no list holds one.
LONGEST_HOST = 253

_AUTHORITY = re.compile(r"(?:[a-z][a-z0-9+.\-]*:)?//([^/?#]*)", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


class UrlParts(NamedTuple):
    """The parts of one URL.

    Attributes
    ----------
    host : without user and port, lower case, no final dot, IDNA in its ASCII form; empty where there is none
    path : from the first slash after the host to the query, percent-decoded once, lower case
    body : the URL without scheme and fragment, percent-decoded once, lower case
    """

    host: str
    path: str
    body: str


def split_url(url: str) -> UrlParts:
    """The parts of a URL; bytes that are not UTF-8 after percent-decoding are dropped."""
    url = url.partition("#")[0]
    found = _AUTHORITY.match(url)
    if found is None:
        return UrlParts("", "", _decoded(url))
    rest = url[found.end() :]
    return UrlParts(
        host_of(found[1]),
        _decoded(rest.partition("?")[0]),
        _decoded(found[1] + rest),
    )


def host_of(authority: str) -> str:
    """The host of ``user:password@host:port`` in the form that lists are compared in."""
    host = authority.rpartition("@")[2]
    host = host[: host.find("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
    host = host.lower()
    if not host.isascii():
        host = _to_ascii(host)
    return host.removesuffix(".")


def parents(host: str) -> list[str]:
    """The host and each suffix of it at a label boundary that has at least two labels; an IP address has only itself.

    Of a host longer than ``LONGEST_HOST`` only the suffixes that a list could hold are given.
    """
    if not host:
        return []
    if host.startswith("[") or _IPV4.fullmatch(host):
        return [host]
    start, last = 0, host.rfind(".")
    if len(host) > LONGEST_HOST:
        start = host.find(".", len(host) - LONGEST_HOST - 1) + 1
        if start == 0 or start > last:
            return []
    suffixes = [host[start:]]
    while (dot := host.find(".", start)) not in (-1, last):
        start = dot + 1
        suffixes.append(host[start:])
    return suffixes


def url_words(body: str) -> list[str]:
    """Maximal runs of letters or digits; an underscore separates words as a hyphen does."""
    return _WORD.findall(body)


def _decoded(text: str) -> str:
    return (unquote(text, errors="ignore") if "%" in text else text).lower()


def _to_ascii(host: str) -> str:
    """UTS 46 and IDNA 2008; a host that has no such form stays as it is."""
    if len(host) > LONGEST_HOST:
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (UnicodeError, ValueError, IndexError):
        return host

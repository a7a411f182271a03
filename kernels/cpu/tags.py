"""Start tags and attributes of HTML pages, counted in one reading of their bytes without a parser."""

from __future__ import annotations

import numba
import numpy as np

LESS, GREATER, SLASH, BANG, QUESTION = (np.uint8(ord(sign)) for sign in "<>/!?")
_EQUALS, _DASH = np.uint8(ord("=")), np.uint8(ord("-"))
_QUOTES = (np.uint8(ord('"')), np.uint8(ord("'")))
_A, _Z = np.uint8(ord("a")), np.uint8(ord("z"))
_LOWER = np.uint8(0x20)


def packed(name: str) -> np.uint64:
    """A tag name of up to eight letters as one number, the first letter lowest."""
    return np.uint64(int.from_bytes(name.encode("ascii"), "little"))


#: Elements whose content is text up to their end tag: a ``<`` in it opens nothing (HTML, parsing of raw text).
_RAW_TEXT = tuple(map(packed, ["script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"]))


@numba.njit(cache=True, nogil=True)
def count_tags(data, offsets):
    """Start tags of HTML pages, and attributes on the tag of each page that has most of them.

    A start tag is ``<`` and an ASCII letter. Attributes are told apart as HTML's tokenizer does: names end at white
    space, ``/``, ``=`` or ``>``, values may be quoted. Content of comments, scripts and other raw text is no markup.
    The two counts differ from a parser's on malformed pages, where nested script escapes are counted as markup.

    Parameters
    ----------
    data : uint8, UTF-8
    offsets : int64, (pages + 1,); page p is ``data[offsets[p]:offsets[p + 1]]``

    Returns
    -------
    start_tags, attributes : int64, (pages,)
    """
    pages = len(offsets) - 1
    start_tags = np.zeros(pages, np.int64)
    attributes = np.zeros(pages, np.int64)
    for page in range(pages):
        html = data[offsets[page] : offsets[page + 1]]
        at = 0
        while at < len(html):
            if html[at] != LESS:
                at += 1
            elif is_letter(html, at + 1):
                start_tags[page] += 1
                name, at = tag_name(html, at + 1)
                count, at = tag_attributes(html, at)
                attributes[page] = max(attributes[page], count)
                if html[at - 2] != SLASH and is_raw_text(name):  # libxml2 closes <script/> at once
                    at = end_of_raw_text(html, at, name)
            elif opens_comment(html, at):
                at = end_of_comment(html, at + 2)
            else:
                at += 1
    return start_tags, attributes


@numba.njit(cache=True, nogil=True)
def is_letter(html, at):
    return at < len(html) and _A <= (html[at] | _LOWER) <= _Z


@numba.njit(cache=True, nogil=True)
def is_space(byte):
    return byte == 0x20 or (0x09 <= byte <= 0x0D and byte != 0x0B)


@numba.njit(cache=True, nogil=True)
def tag_name(html, at):
    """The name that begins at ``at``, packed (0 if longer than eight bytes), and where it ends."""
    name = np.uint64(0)
    begin = at
    while at < len(html) and not is_space(html[at]) and html[at] != SLASH and html[at] != GREATER:
        if at - begin < 8:
            name |= np.uint64(html[at] | _LOWER) << np.uint64(8 * (at - begin))
        at += 1
    return (name if at - begin <= 8 else np.uint64(0)), at


@numba.njit(cache=True, nogil=True)
def tag_attributes(html, at):
    """How many attributes stand between ``at`` (behind the tag's name) and the end of the tag, and where that is."""
    count = 0
    while at < len(html):
        if html[at] == GREATER:
            return count, at + 1
        if is_space(html[at]) or html[at] == SLASH:
            at += 1
            continue
        count += 1
        at += 1  # a name may begin with "="
        while at < len(html) and not (
            is_space(html[at]) or html[at] == SLASH or html[at] == _EQUALS or html[at] == GREATER
        ):
            at += 1
        value = at
        while value < len(html) and is_space(html[value]):
            value += 1
        if value < len(html) and html[value] == _EQUALS:
            at = _end_of_value(html, value + 1)
    return count, at


@numba.njit(cache=True, nogil=True)
def _end_of_value(html, at):
    """Where the attribute value ends whose ``=`` stands before ``at``."""
    while at < len(html) and is_space(html[at]):
        at += 1
    if at < len(html) and (html[at] == _QUOTES[0] or html[at] == _QUOTES[1]):
        quote = html[at]
        at += 1
        while at < len(html) and html[at] != quote:
            at += 1
        return at + 1
    while at < len(html) and not is_space(html[at]) and html[at] != GREATER:
        at += 1
    return at


@numba.njit(cache=True, nogil=True)
def is_raw_text(name):
    for raw in _RAW_TEXT:  # noqa: SIM110 -- Numba compiles this loop, not any()
        if name == raw:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def end_of_raw_text(html, at, name):
    """Where the end tag of the raw text begins that starts at ``at``; the end of the page if there is none."""
    while at + 2 < len(html):
        if html[at] == LESS and html[at + 1] == SLASH and is_letter(html, at + 2):
            end_name, _ = tag_name(html, at + 2)
            if end_name == name:
                return at
        at += 1
    return len(html)


@numba.njit(cache=True, nogil=True)
def opens_comment(html, at):
    """Whether the ``<`` at ``at`` begins a comment."""
    return at + 3 < len(html) and html[at + 1] == BANG and html[at + 2] == _DASH and html[at + 3] == _DASH


@numba.njit(cache=True, nogil=True)
def end_of_comment(html, at):
    """Where the text goes on after a comment whose first ``--`` stands at ``at``: behind ``-->`` or ``--!>``."""
    while at + 2 < len(html):
        if html[at] == _DASH and html[at + 1] == _DASH:
            if html[at + 2] == GREATER:
                return at + 3
            if html[at + 2] == BANG and at + 3 < len(html) and html[at + 3] == GREATER:
                return at + 4
        at += 1
    return len(html)

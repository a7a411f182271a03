"""What a reader would see of HTML pages, roughly: their bytes outside tags, in one reading without a parser."""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.tags import (
    BANG,
    GREATER,
    LESS,
    QUESTION,
    SLASH,
    end_of_comment,
    end_of_raw_text,
    is_letter,
    is_raw_text,
    is_space,
    opens_comment,
    packed,
    tag_attributes,
    tag_name,
)

#: sha256 of the modules whose functions are compiled into the kernels below: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "6573b97558cf5e201e2267067e24f50717bbebcd05f7e5eb4db67632ea5f7da2"

#: Elements that hold what is not read as part of a page: what is shown without scripts, lists to choose from, drawings.
_ASIDE = tuple(map(packed, ["noscript", "template", "select", "svg"]))
_BLANK, _LINE = np.uint8(0x20), np.uint8(0x0A)


@numba.njit(cache=True, nogil=True)
def visible_text(data, offsets):
    """Text between the tags of HTML pages, without scripts, styles, titles, comments and lists to choose from.

    A line is a run between two tags or comments, with white space collapsed; there are no empty ones. Character
    references stay as they are. What is cut off or malformed may be told apart otherwise than by a parser.

    Parameters
    ----------
    data : uint8, UTF-8
    offsets : int64, (pages + 1,); page p is ``data[offsets[p]:offsets[p + 1]]``

    Returns
    -------
    text : uint8, UTF-8
    text_offsets : int64, (pages + 1,), from 0
    """
    pages = len(offsets) - 1
    text = np.empty(offsets[pages] - offsets[0], np.uint8)
    text_offsets = np.zeros(pages + 1, np.int64)
    filled = 0
    for page in range(pages):
        filled = _visible_text_of(data[offsets[page] : offsets[page + 1]], text, filled)
        text_offsets[page + 1] = filled
    return text[:filled], text_offsets


@numba.njit(cache=True, nogil=True)
def _visible_text_of(html, text, first):
    """Write the text of a page from ``first`` on; returns where it ends."""
    unclosed = np.zeros(len(_ASIDE), np.bool_)
    filled = first
    waiting = _LINE  # what is written before the next byte that is no white space
    at = 0
    while at < len(html):
        after = _behind_markup(html, at, unclosed) if html[at] == LESS else at
        if after > at:
            waiting = _LINE
            at = after
            continue
        if is_space(html[at]):
            waiting = waiting or _BLANK
        else:
            if waiting and filled > first:
                text[filled] = waiting
                filled += 1
            waiting = np.uint8(0)
            text[filled] = html[at]
            filled += 1
        at += 1
    return filled


@numba.njit(cache=True, nogil=True)
def _behind_markup(html, at, unclosed):
    """Where the text goes on behind the markup that ``<`` at ``at`` opens; ``at`` if it opens none.

    ``unclosed`` notes which elements of ``_ASIDE`` have no end tag any more, so that it is looked for once.
    """
    if is_letter(html, at + 1):
        name, end = tag_name(html, at + 1)
        _, end = tag_attributes(html, end)
        if html[end - 2] == SLASH:  # libxml2 closes <script/> at once
            return end
        if is_raw_text(name):
            return end_of_raw_text(html, end, name)
        for number, aside in enumerate(_ASIDE):
            if name == aside and not unclosed[number]:
                close = end_of_raw_text(html, end, name)
                if close < len(html):
                    return close
                unclosed[number] = True
        return end
    if opens_comment(html, at):
        return end_of_comment(html, at + 2)
    if at + 1 < len(html) and (html[at + 1] == SLASH or html[at + 1] == BANG or html[at + 1] == QUESTION):
        while at < len(html) and html[at] != GREATER:
            at += 1
        return min(at + 1, len(html))
    return at

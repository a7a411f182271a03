"""From tokens of normalised text back to the characters of the text as it was, for spans that are taken out of it.

A byte-level token is some bytes, and the tokens of a text are its bytes one after another, so that the number of a
token gives a place in the text that was tokenised. Where that was normalised, the text is normalised once more to see
which of its characters wrote the bytes in question: nothing is kept for the others, whatever the length of the text.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.grouping import read_only
from gpurefine.kernels.cpu.normalise import ASCII_DROPPED, BLANK, DROPPED, SAME, is_whole
from gpurefine.kernels.scalar import decode_utf8

#: sha256 of the modules whose functions are compiled into the kernels below. Numba keeps machine code for as long as
#: the text of this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py
COMPILED_FROM = "020fa0ab276148680d7cb7011b85741f471d6678eb151c61650586e4cf90022f"

_SPACE = np.uint8(0x20)


def bytes_before(tokens: np.ndarray, token_bytes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How many bytes the tokens before each place have.

    Parameters
    ----------
    tokens : uint16, (m,)
    token_bytes : uint8, (ids,), bytes of each token; all of ``tokens`` are below ``ids``
    places : int64, (k,), rising or equal, from 0 to m

    Returns
    -------
    int64, (k,): the bytes of ``tokens[: places[i]]``
    """
    out = np.empty(places.size, np.int64)
    _bytes_before(*read_only(tokens, token_bytes, places), out)
    return out


@numba.njit(cache=True, nogil=True)
def _bytes_before(tokens, token_bytes, places, out):
    token, bytes_so_far = 0, 0
    for index in range(places.size):
        while token < places[index]:
            bytes_so_far += token_bytes[tokens[token]]
            token += 1
        out[index] = bytes_so_far


def characters_at(data: np.ndarray, begin: int, end: int, wanted: np.ndarray) -> np.ndarray:
    """Which character of a text a byte belongs to.

    Parameters
    ----------
    data : uint8, UTF-8
    begin, end : the text is ``data[begin:end]``
    wanted : int64, (k,), rising or equal, positions in the text

    Returns
    -------
    int64, (k,): for each the number of a character, counted from 0 at ``begin``
    """
    out = np.empty(wanted.size, np.int64)
    _characters_at(*read_only(data[begin:end], wanted), out)
    return out


@numba.njit(cache=True, nogil=True)
def _characters_at(text, wanted, out):
    position, character = 0, -1
    for index in range(wanted.size):
        while position <= wanted[index]:
            character += (text[position] & 0xC0) != 0x80
            position += 1
        out[index] = character


def characters_of_normalised(
    data: np.ndarray,
    begin: int,
    end: int,
    ascii_map: np.ndarray,
    place: np.ndarray,
    replacements: np.ndarray,
    wanted: np.ndarray,
) -> np.ndarray:
    """Which character of a text wrote a byte of the normalised text.

    Parameters
    ----------
    data : uint8, UTF-8; a byte that is none counts as a character
    begin, end : the text is ``data[begin:end]``
    ascii_map, place, replacements : as for ``normalise_text``
    wanted : int64, (k,), rising or equal, positions in the normalised text

    Returns
    -------
    int64, (k,): for each the number of a character, counted from 0 at ``begin``; of those that became one blank the
    first
    """
    out = np.full(wanted.size, -1, np.int64)
    _characters_of_normalised(*read_only(data), begin, end, *read_only(ascii_map, place, replacements, wanted), out)
    return out


@numba.njit(inline="always")
def _bytes_of_replacement(replacements, index, after_blank):
    """Bytes that a replacement comes to, and whether the last of them is a blank; a blank behind a blank is none."""
    count = 0
    for step in range(1, replacements[index] + 1):
        blank = replacements[index + step] == _SPACE
        count += not (blank and after_blank)
        after_blank = blank
    return count, after_blank


@numba.njit(cache=True, nogil=True)
def _characters_of_normalised(data, begin, end, ascii_map, place, replacements, wanted, out):
    position, character, found = begin, 0, 0
    written, after_blank = 0, True
    while position < end and found < wanted.size:
        count, length = 0, 1
        if data[position] < 0x80:
            new = ascii_map[data[position]]
            index = BLANK if new == _SPACE else (DROPPED if new == ASCII_DROPPED else SAME)
        elif is_whole(data, position, end):
            code_point, length = decode_utf8(data, position)
            index = np.int64(place[code_point])
        else:
            index = SAME
        if index == SAME:
            count, after_blank = length, False
        elif index == BLANK:
            count, after_blank = np.int64(not after_blank), True
        elif index != DROPPED:
            count, after_blank = _bytes_of_replacement(replacements, index, after_blank)
        written += count
        while found < wanted.size and wanted[found] < written:
            out[found] = character
            found += 1
        position += length
        character += 1

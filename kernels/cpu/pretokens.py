"""Where GPT-2's pattern cuts a text (Radford et al. 2019), as a state machine over UTF-8 bytes::

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

The pieces are called pre-tokens. They follow each other without a gap, so that the end of each is all there is to find.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.scalar import decode_utf8, eight_bytes

#: Classes of a code point in the pattern: categories L and N, white space (``\\s``), all others.
PATTERN_LETTER, PATTERN_NUMBER, PATTERN_SPACE, PATTERN_OTHER = 0, 1, 2, 3

_BLANK, _APOSTROPHE = np.uint8(ord(" ")), np.uint8(ord("'"))
_D, _E, _L, _M, _R, _S, _T, _V = (np.uint8(ord(letter)) for letter in "delmrstv")

_ONE, _7, _56 = np.uint64(1), np.uint64(7), np.uint64(56)
_EVERY, _HIGH, _LOW_7, _CASE = (np.uint64(0x0101010101010101 * byte) for byte in (0x01, 0x80, 0x7F, 0x20))
_FROM_A = np.uint64(0x0101010101010101 * (0x80 - ord("a")))
_ABOVE_Z = np.uint64(0x0101010101010101 * (0x7F - ord("z")))


@numba.njit(inline="always")
def _no_letters(value):
    """The highest bit of each of eight packed bytes (uint64) that is no ASCII letter."""
    lower = (value | _CASE) & _LOW_7
    return ~(lower + _FROM_A & ~(lower + _ABOVE_Z) & ~value) & _HIGH


@numba.njit(inline="always")
def _bytes_before(marks):
    """Bytes below the lowest one whose highest bit is set; 8 if there is none."""
    return np.int64(((marks - _ONE & ~marks & _HIGH) >> _7) * _EVERY >> _56)


@numba.njit(inline="always")
def _class(data, position, end, classes):
    """Class of the character at ``position``, and where it ends; one that is cut off counts as other up to ``end``."""
    first = data[position]
    if first < 0x80:
        return classes[first], position + 1
    if position + 2 + (first >= 0xE0) + (first >= 0xF0) > end:
        return np.uint8(PATTERN_OTHER), end
    code_point, length = decode_utf8(data, position)
    return classes[code_point], position + length


@numba.njit(nogil=True)
def _end_of_run(data, position, end, classes, kind):
    """Where the run of characters of one class ends that goes on at ``position``."""
    while position < end:
        found, after = _class(data, position, end, classes)
        if found != kind:
            break
        position = after
    return position


@numba.njit(nogil=True)
def _end_of_white_space(data, position, end, classes):
    """Where the pre-token of white space ends: before its last character if something follows it."""
    last = position
    at = position
    while at < end:
        found, after = _class(data, at, end, classes)
        if found != PATTERN_SPACE:
            return last if last > position else at
        last, at = at, after
    return end


@numba.njit(nogil=True)
def _any_pretoken_end(data, position, end, classes):
    """As ``pretoken_end``, a character at a time."""
    first = data[position]
    if first == _APOSTROPHE and position + 1 < end:
        second = data[position + 1]
        if second in (_S, _T, _M, _D):
            return position + 2
        if position + 2 < end:
            third = data[position + 2]
            if (third == _E and second in (_R, _V)) or (third == _L and second == _L):
                return position + 3
    kind, after = _class(data, position, end, classes)
    if first == _BLANK and after < end:
        next_kind, next_after = _class(data, after, end, classes)
        if next_kind != PATTERN_SPACE:
            kind, after = next_kind, next_after
    if kind == PATTERN_SPACE:
        return _end_of_white_space(data, position, end, classes)
    return _end_of_run(data, after, end, classes, kind)


@numba.njit(inline="always")
def pretoken_end(data, position, end, classes):
    """Where a pre-token ends.

    Parameters
    ----------
    data : uint8, UTF-8; other bytes are read safely
    position, end : the pre-token begins at ``position``, the text ends at ``end``, which is larger
    classes : uint8, (0x110000,), ``PATTERN_LETTER`` and so on of each code point

    Returns
    -------
    int64, above ``position`` and at most ``end``
    """
    if position + 16 > data.size:
        return _any_pretoken_end(data, position, end, classes)
    low, high = eight_bytes(data, position), eight_bytes(data, position + 8)
    blank = np.int64(data[position] == _BLANK)
    length = _bytes_before(_no_letters(low) & ~(np.uint64(blank) << _7))
    length += _bytes_before(_no_letters(high)) & -np.int64(length == 8)
    length = min(length, end - position)
    if length == blank:
        return _any_pretoken_end(data, position, end, classes)
    position += length
    if position < end and (data[position] >= 0x80 or length == 16):
        return _end_of_run(data, position, end, classes, PATTERN_LETTER)
    return position

"""Integer functions of one item each, for all kernels.

They are declared ``inline="always"`` so that any kernel can take them in, one for a GPU too, and hold to unsigned
integers, because Numba turns a mixture of signed and unsigned 64-bit integers into floating point.

The class bits say what a table of code point classes (uint8, (0x110000,)) holds for each code point.
"""

from __future__ import annotations

import numba
import numpy as np

#: Class bits of a code point: letter (category L), white space (as ``str.isspace``), symbol (categories P, S, C),
#: upper case (as ``str.isupper``), decimal digit (category Nd), and a mark that opens a list item.
LETTER, WHITE_SPACE, SYMBOL, UPPER_CASE, DECIMAL_DIGIT, BULLET = 1, 2, 4, 8, 16, 32


@numba.njit(inline="always")
def mix64(value):
    """Spread the bits of a uint64 over all of it: a bijection, so different values stay different."""
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(32))


@numba.njit(inline="always")
def decode_utf8(data, position):
    """Code point (uint32) at a byte position of valid UTF-8 (uint8 array), and its length in bytes.

    Bytes that are no UTF-8 give some code point too, never one beyond the last, so that a table is not overrun.
    """
    first = np.uint32(data[position])
    if first < 0x80:
        return first, 1
    second = np.uint32(data[position + 1]) & np.uint32(63)
    if first < 0xE0:
        return (first & np.uint32(31)) << np.uint32(6) | second, 2
    third = np.uint32(data[position + 2]) & np.uint32(63)
    if first < 0xF0:
        return (first & np.uint32(15)) << np.uint32(12) | second << np.uint32(6) | third, 3
    fourth = np.uint32(data[position + 3]) & np.uint32(63)
    code_point = (first & np.uint32(7)) << np.uint32(18) | second << np.uint32(12) | third << np.uint32(6) | fourth
    return min(code_point, np.uint32(0x10FFFF)), 4


@numba.njit(inline="always")
def eight_bytes(data, position):
    """Eight bytes from ``position`` on as one uint64, the first lowest; compiled to a single load."""
    begin = np.uint64(position)
    value = np.uint64(0)
    for index in range(8):
        value |= np.uint64(data[begin + np.uint64(index)]) << np.uint64(8 * index)
    return value


@numba.njit(inline="always")
def hash_bytes(data, begin, end):
    """64-bit hash of the bytes [begin, end) of a uint8 array; what is behind ``end`` is not read."""
    value = mix64(np.uint64(end - begin))
    position = begin
    while end - position >= 8:
        value = mix64(value ^ eight_bytes(data, position))
        position += 8
    rest = np.uint64(0)
    while position < end:
        rest = rest << np.uint64(8) | np.uint64(data[position])
        position += 1
    return mix64(value ^ rest)

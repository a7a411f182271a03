"""GPT-2 tokens of a text column: cut into pre-tokens, their tokens from a table, new ones encoded.

Each pre-token is byte-pair encoded by itself (Radford et al. 2019). Few words make up most of a text, so a table
remembers what became of the pre-tokens seen before. A line of the table is one cache line of 64 bytes and needs nothing
elsewhere: the pre-token itself (31 bytes and its length) and its tokens (15 and their number). What does not fit a line
is encoded each time. A new pre-token takes the place of an older one where there is no free line near its own, so the
table stays as small as it began, and what it holds decides about time alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from gpurefine.kernels.cpu.bytepairs import NONE, SCANNED, fill_pairs, merge_scanning, merge_with_heap
from gpurefine.kernels.cpu.grouping import read_only
from gpurefine.kernels.cpu.pretokens import pretoken_end
from gpurefine.kernels.scalar import eight_bytes

#: sha256 of the modules whose functions are compiled into the kernel below. Numba keeps machine code for as long as the
#: text of this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "d4c28f82ef63e2601274e1597e405f327a24a20199fee9a8cfec084b20b819c1"

#: Bytes of the longest token of a vocabulary.
LONGEST_TOKEN = SCANNED
#: Bytes of the longest pre-token, and most tokens, that a line of the table holds.
LINE_BYTES, LINE_TOKENS = 31, 15
#: A line of the table in words of 64 bits: four for the pre-token, four for the tokens.
LINE = 8
#: Lines that are looked at for a pre-token, from its own on.
PROBES = 4

#: ``_LOW_BYTES[24 + n]`` selects the lowest n bytes of eight, for n from -24 to 31.
_LOW_BYTES = np.array([(1 << 8 * min(max(n, 0), 8)) - 1 for n in range(-24, 32)], np.uint64)

_ZERO, _ONE, _16, _32, _48, _56 = (np.uint64(value) for value in (0, 1, 16, 32, 48, 56))
_LOW_16 = np.uint64(0xFFFF)
_FACTORS = tuple(
    np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
)


@numba.njit(inline="always")
def _packed(data, position, length):
    """At most 31 bytes and their number as four uint64, the number highest; of different bytes they differ."""
    count = np.uint64(length) << _56
    if position + 32 <= data.size:
        one = eight_bytes(data, position) & _LOW_BYTES[24 + length]
        two = eight_bytes(data, position + 8) & _LOW_BYTES[16 + length]
        if length <= 16:
            return one, two, _ZERO, count
        three = eight_bytes(data, position + 16) & _LOW_BYTES[8 + length]
        four = eight_bytes(data, position + 24) & _LOW_BYTES[length]
        return one, two, three, four | count
    one = two = three = four = _ZERO
    for index in range(length):
        byte = np.uint64(data[position + index]) << np.uint64(8 * (index & 7))
        if index < 8:
            one |= byte
        elif index < 16:
            two |= byte
        elif index < 24:
            three |= byte
        else:
            four |= byte
    return one, two, three, four | count


@numba.njit(inline="always")
def _find(table, one, two, three, four):
    """Line of a pre-token and whether it is there; if not, the line to put it in."""
    mixed = one * _FACTORS[0] ^ two * _FACTORS[1] ^ three * _FACTORS[2] ^ four * _FACTORS[3]
    mixed = (mixed ^ mixed >> _32) * _FACTORS[0]
    own = (mixed >> _32) * np.uint64(table.shape[0] - (PROBES - 1)) >> _32
    line = own
    for _ in range(PROBES):
        if (table[line, 0] ^ one) | (table[line, 1] ^ two) | (table[line, 2] ^ three) | (
            table[line, 3] ^ four
        ) == _ZERO:
            return line, True
        if table[line, 3] == _ZERO:  # a length is never 0
            return line, False
        line += _ONE
    return own, False


@numba.njit(nogil=True)
def _remember(table, line, one, two, three, four, ids, count):
    """Write a pre-token and its tokens into a line."""
    table[line, 0], table[line, 1], table[line, 2], table[line, 3] = one, two, three, four
    table[line, 4] = np.uint64(count)
    for word in range(5, LINE):
        table[line, word] = _ZERO
    for index in range(count):
        place = index + 1
        table[line, 4 + (place >> 2)] |= np.uint64(ids[index]) << np.uint64(16 * (place & 3))


@numba.njit(inline="always")
def _write_line(table, line, out, filled):
    """Tokens of a line to ``out``, of which up to three more than the line has are overwritten; their number."""
    packed = table[line, 4]
    count = np.int64(packed & _LOW_16)
    out[filled] = np.uint16(packed >> _16)
    out[filled + 1] = np.uint16(packed >> _32)
    out[filled + 2] = np.uint16(packed >> _48)
    for place in range(4, count + 1):
        out[filled + place - 1] = np.uint16(table[line, 4 + (place >> 2)] >> np.uint64(16 * (place & 3)))
    return count


@numba.njit(nogil=True)
def _merge(data, begin, end, byte_ids, byte_pairs, pairs, ids, ranks):
    """Tokens of a piece of any length, in front of the array that is returned with their number."""
    if end - begin <= SCANNED:
        return ids, merge_scanning(data, begin, end, byte_ids, byte_pairs, pairs, ids, ranks, 1)
    return merge_with_heap(data, begin, end, byte_ids, pairs)


@numba.njit(nogil=True, cache=True)
def _gpt2_tokens(data, offsets, classes, byte_ids, byte_pairs, pairs, table, out, ends):
    writing = out.size > 0
    ids, ranks = np.empty(SCANNED, np.uint32), np.empty(SCANNED, np.uint32)
    filled = 0
    for document in range(offsets.size - 1):
        position, end = offsets[document], offsets[document + 1]
        while position < end:
            after = pretoken_end(data, position, end, classes)
            length = after - position
            one = two = three = four = line = _ZERO
            if length <= LINE_BYTES:
                one, two, three, four = _packed(data, position, length)
                line, known = _find(table, one, two, three, four)
                if known:
                    if writing:
                        filled += _write_line(table, line, out, filled)
                    else:
                        filled += np.int64(table[line, 4] & _LOW_16)
                    position = after
                    continue
            found, count = _merge(data, position, after, byte_ids, byte_pairs, pairs, ids, ranks)
            if length <= LINE_BYTES and count <= LINE_TOKENS:
                _remember(table, line, one, two, three, four, found, count)
            if writing:
                for index in range(count):
                    out[filled + index] = found[index]
            filled += count
            position = after
        ends[document] = filled


@numba.njit(nogil=True, cache=True)
def _pair_table(left, right, merged):
    slots = 8
    while slots < 2 * left.size:
        slots *= 2
    pairs = np.empty(slots, np.uint64)
    fill_pairs(pairs, left, right, merged)
    return pairs


class BytePairs(NamedTuple):
    """A byte-level vocabulary as the kernel reads it.

    ``byte_ids``, uint16, (256,): id of each single byte; ``byte_pairs``, uint16, (65536,): id of the token of two
    bytes, 65535 for none; ``pairs``, uint64, (slots,): hash table of all pairs of tokens that make a token.
    """

    byte_ids: np.ndarray
    byte_pairs: np.ndarray
    pairs: np.ndarray


def byte_pairs(byte_ids: np.ndarray, left: np.ndarray, right: np.ndarray, merged: np.ndarray) -> BytePairs:
    """The tables of a vocabulary.

    Parameters
    ----------
    byte_ids : uint16, (256,), id of each single byte
    left, right, merged : uint16, (n,), two tokens and the one that their bytes make; no pair twice, ids below 65535
    """
    two_bytes = np.full((256, 256), NONE, np.uint16)
    byte_of = np.full(1 << 16, -1, np.int32)
    byte_of[byte_ids] = np.arange(256)
    bytes_only = (byte_of[left] >= 0) & (byte_of[right] >= 0)
    two_bytes[byte_of[left[bytes_only]], byte_of[right[bytes_only]]] = merged[bytes_only]
    return BytePairs(*read_only(byte_ids, two_bytes.ravel(), _pair_table(*read_only(left, right, merged))))


@numba.njit(nogil=True, cache=True)
def _last_pairs(data, offsets, byte_ids, byte_pairs, pairs, out):
    ids, ranks = np.empty(SCANNED, np.uint32), np.empty(SCANNED, np.uint32)
    for piece in range(offsets.size - 1):
        begin, end = offsets[piece], offsets[piece + 1]
        if merge_scanning(data, begin, end, byte_ids, byte_pairs, pairs, ids, ranks, 2) == 2:
            out[piece, 0], out[piece, 1] = ids[0], ids[1]


def last_pairs(data: np.ndarray, offsets: np.ndarray, vocabulary: BytePairs) -> np.ndarray:
    """The two tokens that are left when a piece of text is merged but for the last time.

    Parameters
    ----------
    data : uint8
    offsets : int64, (pieces + 1,); piece p is ``data[offsets[p]:offsets[p + 1]]``, 2 to ``LONGEST_TOKEN`` bytes, which
        are not cut into pre-tokens
    vocabulary : from ``byte_pairs``

    Returns
    -------
    uint16, (pieces, 2); 65535 where merging ends with more than two
    """
    out = np.full((offsets.size - 1, 2), NONE, np.uint16)
    _last_pairs(*read_only(data, offsets, *vocabulary), out)
    return out


def empty_lines(words: int) -> np.ndarray:
    """A table that remembers up to ``words`` pre-tokens: uint64, (lines, 8), each line in one cache line."""
    lines = words + PROBES - 1
    memory = np.zeros(LINE * (lines + 1), np.uint64)
    skipped = -memory.ctypes.data % 64 // 8
    return memory[skipped : skipped + LINE * lines].reshape(lines, LINE)


def gpt2_tokens(
    data: np.ndarray, offsets: np.ndarray, classes: np.ndarray, vocabulary: BytePairs, lines: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each document. Any bytes are read safely; only UTF-8 is cut as GPT-2 cuts it. Runs without the GIL.

    Parameters
    ----------
    data : uint8
    offsets : int64, (documents + 1,), rising, within ``data``; document d is ``data[offsets[d]:offsets[d + 1]]``
    classes : uint8, (0x110000,), class of each code point (``kernels.cpu.pretokens``)
    vocabulary : from ``byte_pairs``
    lines : from ``empty_lines``, written; not for two threads at a time

    Returns
    -------
    tokens : uint16, (m,), at most one for each byte
    offsets : int64, (documents + 1,); tokens of document d are ``tokens[offsets[d]:offsets[d + 1]]``
    """
    # a line is written with three tokens at least, whatever it has
    out = np.empty(int(offsets[-1] - offsets[0]) + 3, np.uint16)
    token_offsets = np.zeros(offsets.size, np.int64)
    _gpt2_tokens(*read_only(data, offsets, classes, *vocabulary), lines, out, token_offsets[1:])
    return out[: token_offsets[-1]], token_offsets


def count_gpt2_tokens(
    data: np.ndarray, offsets: np.ndarray, classes: np.ndarray, vocabulary: BytePairs, lines: np.ndarray
) -> np.ndarray:
    """Number of tokens of each document: int64, (documents,). For the parameters see ``gpt2_tokens``."""
    ends = np.zeros(offsets.size, np.int64)
    _gpt2_tokens(*read_only(data, offsets, classes, *vocabulary), lines, np.empty(0, np.uint16), ends[1:])
    return np.diff(ends)

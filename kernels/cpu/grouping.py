"""Equal items of one document by a hash table that is cleared in no time: the common part of the text statistics.

Items are known by 64-bit keys. The table holds, for each slot, a generation (upper 32 bits) and the position of the
first item with a key (lower 32 bits): a slot of an older generation is empty, so the next question starts with a clean
table by counting the generation up.

Lines, paragraphs and words enter as 64-bit hashes; n-grams of words are known by numbers, which adds no chance. Two
different texts of one document share a hash with a probability of some 2**-64 a pair. A page written against the hashes
(polynomials modulo 2**64 are among them) can make unequal items look equal, and so look more repetitive than it is, to
its own loss and nobody else's. A page written to crowd the table meets ``MOST_PROBES``, which a table at most a quarter
full does not reach by chance, so that time stays linear.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

#: Bytes of the prefix that tells where an n-gram of five or more words cannot be repeated.
PREFIX = 16

#: Odd base of the polynomial hash over bytes.
BASE = np.uint64(0x9E3779B97F4A7C15)

#: Powers of BASE that are kept; longer words are rare and their powers are computed.
POWERS = 128

#: Slots that are looked at before a key counts as the last one seen.
MOST_PROBES = np.uint64(256)

_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


def read_only(*arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays as such that cannot be written to: Numba compiles anew for each combination of those that can."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


@numba.njit(nogil=True)
def powers_of_base():
    """uint64, (POWERS,): BASE to the power 0, 1, 2 ..."""
    powers = np.ones(POWERS, np.uint64)
    for exponent in range(1, POWERS):
        powers[exponent] = powers[exponent - 1] * BASE
    return powers


@numba.njit(nogil=True)
def _long_power(exponent):
    result, square = _ONE, BASE
    while exponent:
        if exponent & 1:
            result *= square
        square *= square
        exponent >>= 1
    return result


@numba.njit(inline="always")
def extend_hash(value, byte):
    """The hash (uint64) of some bytes with one more byte after them."""
    return value * BASE + np.uint64(byte) + _ONE


@numba.njit(inline="always")
def span_hash(before, after, length, powers):
    """Hash of ``length`` bytes, from the running hash of all bytes before them and after them (uint64)."""
    power = powers[length] if length < POWERS else _long_power(length)
    return after - before * power


@numba.njit(nogil=True)
def table_mask(items):
    """Mask of the smallest part of a table that ``items`` items fill to a quarter at most, to stay in the cache."""
    size = 64
    while size < 4 * items:
        size *= 2
    return np.uint64(size - 1)


@numba.njit(inline="always")
def first_position(table, mask, generation, keys, key, position):
    """Position of the first item with this key; ``position`` itself when it is new, and then it is recorded.

    Parameters
    ----------
    table, mask, generation : the table, how much of it is in use, and the uint64 number of this question
    keys : uint64, key of each recorded position; written here
    key, position : uint64 and int64 of the item
    """
    slot = (key ^ key >> _32) * BASE >> _32 & mask
    probes = _ZERO
    while True:
        # No branch on whether the slot is taken, which no processor can predict: masks choose, and what is already
        # there is written again. A loop with a second way out would be compiled to branches, three times as slow.
        entry = table[slot]
        taken = _ZERO - np.uint64(entry >> _32 == generation)
        first = entry & _LOW_32 & taken | np.uint64(position) & ~taken
        probes += _ONE
        go_on = taken & (_ZERO - np.uint64(probes < MOST_PROBES))
        if (keys[first] ^ key) & go_on == _ZERO:
            table[slot] = generation << _32 | first
            keys[first] = key
            break
        slot = (slot + _ONE) & mask
    return np.int64(first)


class Scratch(NamedTuple):
    """Working memory for one document, reused for the next; untouched parts of it never become resident.

    ``line_*`` and ``paragraph_*`` hold a hash and the characters of each item. ``packed`` has the words' bytes without
    anything between them; ``running`` (hash), ``bytes`` and ``characters`` at i sum up the words before word i, and
    ``kinds`` at i + 1 unites the classes of its characters, with SYMBOL for "not all are symbols". ``word_first`` and
    ``first`` are positions of the first equal word and n-gram, ``word_counts`` and ``counts`` belong to those;
    ``candidates`` are positions still looked at.
    """

    line_hashes: np.ndarray
    line_characters: np.ndarray
    paragraph_hashes: np.ndarray
    paragraph_characters: np.ndarray
    packed: np.ndarray
    running: np.ndarray
    bytes: np.ndarray
    characters: np.ndarray
    kinds: np.ndarray
    word_hashes: np.ndarray
    word_first: np.ndarray
    word_counts: np.ndarray
    first: np.ndarray
    counts: np.ndarray
    candidates: np.ndarray
    prefix_seen: np.ndarray
    keys: np.ndarray
    table: np.ndarray


@numba.njit(nogil=True)
def new_scratch(size, items):
    """Working memory for documents of at most ``size`` bytes with at most ``items`` lines and ``items`` words."""
    items += 2
    slots = np.int64(table_mask(items)) + 1
    return Scratch(
        np.empty(items, np.uint64), np.empty(items, np.int64), np.empty(items, np.uint64), np.empty(items, np.int64),
        np.empty(size + PREFIX, np.uint8), np.empty(items, np.uint64), np.empty(items, np.int64),
        np.empty(items, np.int64), np.empty(items, np.uint8), np.empty(items, np.uint64),
        np.empty(items, np.int64), np.empty(items, np.int64), np.empty(items, np.int64), np.empty(items, np.int64),
        np.empty(items, np.int64), np.empty(2 * slots, np.uint8), np.empty(items, np.uint64),
        np.zeros(slots, np.uint64),
    )  # fmt: skip


@numba.njit(nogil=True)
def fitting_scratch(scratch, size, words):
    """``scratch`` if it serves a document of ``size`` bytes with ``words`` given words (-1: to be found), else more."""
    # between two lines stands a byte, and between two words that are found
    items = max(size // 2 + 2, words)
    if size + PREFIX <= scratch.packed.size and items + 2 <= scratch.running.size:
        return scratch
    return new_scratch(max(scratch.packed.size, 2 * size), max(scratch.running.size, 2 * items))

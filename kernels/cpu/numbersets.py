"""A growing set of document numbers, and the rank of each number in it: bitmaps of 4,096 numbers behind a hash table.

Documents of a partition have consecutive numbers, so the set of all that have a duplicate is dense in some places and
empty elsewhere. A bitmap for each of these places costs a bit a number, and a look-up touches three or four cache
lines however many numbers there are. The caller keeps the arrays:

    slots : uint32, a power of two and at least twice ``ids``; 0 or one more than a bitmap's index, found by hashing
    ids : uint64, (bitmaps,), number // 4096
    words : uint64, (bitmaps, 64), a bit a number
    word_ranks : uint16, (bitmaps, 64), members of the same bitmap in the words before
    bases : uint32, (bitmaps,), members of the bitmaps with smaller ids
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint16, uint32, uint64

from gpurefine.kernels.cpu.components import root_of
from gpurefine.kernels.scalar import mix64

#: sha256 of the modules whose functions are compiled into the kernels below. Numba keeps machine code for as long as
#: the text of this file is the same, so a change there must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "3ffb895d139b276ca483403e015e0bb186d4e7f673e380a54207c06bd2199e20"

#: Binary logarithm of the numbers a bitmap stands for.
BITMAP_BITS = 12
WORDS = 1 << BITMAP_BITS - 6


@njit(nogil=True, cache=True, inline="always")
def _population(word):
    """How many bits are set in a uint64."""
    word -= (word >> uint64(1)) & uint64(0x5555555555555555)
    word = (word & uint64(0x3333333333333333)) + ((word >> uint64(2)) & uint64(0x3333333333333333))
    word = (word + (word >> uint64(4))) & uint64(0x0F0F0F0F0F0F0F0F)
    return (word * uint64(0x0101010101010101)) >> uint64(56)


@njit(nogil=True, cache=True, inline="always")
def _slot_of(bitmap_id, slots, ids):
    """The slot of a bitmap, or the free one where it would stand."""
    mask = uint64(slots.size - 1)
    slot = mix64(bitmap_id) & mask
    while slots[slot] != 0 and ids[slots[slot] - uint32(1)] != bitmap_id:
        slot = (slot + uint64(1)) & mask
    return slot


@njit(nogil=True, cache=True)
def enter_numbers(left, right, slots, ids, words, filled):
    """Enter both ends of edges into the set, without those of edges from a number to itself.

    Parameters
    ----------
    left, right : uint64, (edges,)
    slots, ids, words : see above; free bitmaps are zero
    filled : bitmaps in use

    Returns
    -------
    done : edges that were entered; fewer than there are when ``ids`` is full: go on with the next in larger arrays
    filled : bitmaps in use now
    """
    for edge in range(left.size):
        if left[edge] == right[edge]:
            continue
        for number in (left[edge], right[edge]):
            bitmap_id = number >> uint64(BITMAP_BITS)
            slot = _slot_of(bitmap_id, slots, ids)
            if slots[slot] == 0:
                if filled == ids.size:
                    return edge, filled
                ids[filled] = bitmap_id
                filled += 1
                slots[slot] = filled
            bit = number & uint64((1 << BITMAP_BITS) - 1)
            words[slots[slot] - uint32(1), bit >> uint64(6)] |= uint64(1) << (bit & uint64(63))
    return left.size, filled


@njit(nogil=True, cache=True)
def place_bitmaps(slots, ids, filled):
    """Enter the first ``filled`` bitmaps into zeroed ``slots``."""
    for index in range(filled):
        slots[_slot_of(ids[index], slots, ids)] = index + 1


@njit(nogil=True, cache=True)
def count_members(words, filled):
    """Numbers in the set, that is bits in the first ``filled`` bitmaps."""
    members = 0
    for index in range(filled):
        for word in range(WORDS):
            members += np.int64(_population(words[index, word]))
    return members


@njit(nogil=True, cache=True)
def rank_members(order, words, word_ranks, bases):
    """Fill in the ranks; ``order`` (integers, (bitmaps,)) sorts the bitmaps by id."""
    members = uint32(0)
    for place in range(order.size):
        index = order[place]
        bases[index] = members
        inside = uint16(0)
        for word in range(WORDS):
            word_ranks[index, word] = inside
            inside += uint16(_population(words[index, word]))
        members += uint32(inside)


@njit(nogil=True, cache=True, inline="always")
def _rank(number, slots, ids, words, word_ranks, bases):
    """How many numbers of the set are smaller; ``number`` is in the set."""
    index = slots[_slot_of(number >> uint64(BITMAP_BITS), slots, ids)] - uint32(1)
    bit = number & uint64((1 << BITMAP_BITS) - 1)
    word = bit >> uint64(6)
    below = words[index, word] & ((uint64(1) << (bit & uint64(63))) - uint64(1))
    return bases[index] + uint32(word_ranks[index, word]) + uint32(_population(below))


@njit(nogil=True, cache=True)
def unite_numbers(left, right, slots, ids, words, word_ranks, bases, parent):
    """Join the components of each edge's two ends.

    Parameters
    ----------
    left, right : uint64, (edges,); the set holds them, but for edges from a number to itself
    slots, ids, words, word_ranks, bases : see above
    parent : uint32, (members,), ``arange`` before the first edge, by rank; changed in place as by ``unite``
    """
    for edge in range(left.size):
        if left[edge] == right[edge]:
            continue
        one = root_of(_rank(left[edge], slots, ids, words, word_ranks, bases), parent)
        other = root_of(_rank(right[edge], slots, ids, words, word_ranks, bases), parent)
        if one < other:
            parent[other] = one
        elif other < one:
            parent[one] = other


@njit(nogil=True, cache=True)
def list_members(order, ids, words, numbers):
    """Write the set in ascending order to ``numbers``, uint64, (members,); ``order`` sorts the bitmaps by id."""
    filled = 0
    for place in range(order.size):
        index = order[place]
        begin = ids[index] << uint64(BITMAP_BITS)
        for word in range(WORDS):
            rest = words[index, word]
            while rest != 0:
                lowest = rest & (~rest + uint64(1))
                numbers[filled] = begin + uint64(64 * word) + _population(lowest - uint64(1))
                filled += 1
                rest ^= lowest

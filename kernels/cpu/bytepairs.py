"""Byte-pair encoding of one piece of text: of all neighbours that make a token together, the pair with the lowest id.

A token's id is its rank: pairs are merged in the order of the ids they merge to, of equals the leftmost first, until no
two neighbours make a token (Sennrich et al. 2016, on bytes as in GPT-2, Radford et al. 2019).
"""

from __future__ import annotations

import numba
import numpy as np

#: What ``merged_id`` says of two tokens that do not make one; above all ids.
NONE = np.uint32(0xFFFF)

#: Bytes up to which looking at all pairs for the best one is quicker than keeping them in a heap; at most 256.
SCANNED = 128

_FREE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_ONE, _8, _16, _32, _48 = (np.uint64(value) for value in (1, 8, 16, 32, 48))
_8_OF_32 = np.uint32(8)
_LOW_16 = np.uint64(0xFFFF)
_LOW_48 = np.uint64(0xFFFF_FFFF_FFFF)


@numba.njit(nogil=True)
def fill_pairs(pairs, left, right, merged):
    """Enter pairs of token ids into an open hash table.

    Parameters
    ----------
    pairs : uint64, (slots,), written; slots is a power of two and more than the pairs
    left, right, merged : uint16, (n,), the two tokens and the one that they make; no pair twice
    """
    mask = np.uint64(pairs.size - 1)
    pairs[:] = _FREE
    for index in range(left.size):
        key = np.uint64(left[index]) << _16 | np.uint64(right[index])
        slot = key * _FACTOR >> _32 & mask
        while pairs[slot] != _FREE:
            slot = slot + _ONE & mask
        pairs[slot] = key << _16 | np.uint64(merged[index])


@numba.njit(inline="always")
def merged_id(pairs, left, right):
    """Id (uint32) of the token that two tokens (uint32) make, or ``NONE``."""
    mask = np.uint64(pairs.size - 1)
    key = np.uint64(left) << _16 | np.uint64(right)
    slot = key * _FACTOR >> _32 & mask
    entry = pairs[slot]
    while entry >> _16 != key and entry != _FREE:
        slot = slot + _ONE & mask
        entry = pairs[slot]
    return np.uint32(entry & _LOW_16)  # the low bits of a free slot are NONE


@numba.njit(nogil=True)
def merge_scanning(data, begin, end, byte_ids, byte_pairs, pairs, ids, ranks, fewest):
    """Tokens of the bytes [begin, end), at most 256, in a time that grows with the square of their number.

    Parameters
    ----------
    data : uint8
    byte_ids : uint16, (256,), id of each single byte
    byte_pairs : uint16, (65536,), at 256 * first + second the id of the token of these two bytes, or ``NONE``
    pairs : uint64, (slots,), from ``fill_pairs``
    ids, ranks : uint32, at least end - begin; ids is the result, ranks is for own use
    fewest : no more is merged when so many tokens are left; 1 for all there is

    Returns
    -------
    number of tokens
    """
    count = end - begin
    for index in range(count):
        ids[index] = byte_ids[data[begin + index]]
    # a rank leaves its low byte to the position, so that the least number is the best pair and tells where it is:
    # a loop without branches, for all lanes of the processor
    for index in range(count - 1):
        two = np.uint64(data[begin + index]) << _8 | np.uint64(data[begin + index + 1])
        ranks[index] = np.uint32(byte_pairs[two]) << _8_OF_32
    while count > fewest:
        best = NONE << _8_OF_32
        for index in range(count - 1):
            best = min(best, ranks[index] | np.uint32(index))
        if best >= NONE << _8_OF_32:
            break
        at, best = np.int64(best & np.uint32(0xFF)), best >> _8_OF_32
        count -= 1
        ids[at] = best
        for index in range(at + 1, count):
            ids[index] = ids[index + 1]
            ranks[index - 1] = ranks[index]
        if at > 0:
            ranks[at - 1] = merged_id(pairs, ids[at - 1], best) << _8_OF_32
        if at < count - 1:
            ranks[at] = merged_id(pairs, best, ids[at + 1]) << _8_OF_32
    return count


@numba.njit(nogil=True)
def merge_with_heap(data, begin, end, byte_ids, pairs):
    """Tokens of n bytes in a time of n log n, with some 40 bytes of memory for each.

    Parameters
    ----------
    data, byte_ids, pairs : as in ``merge_scanning``
    begin, end : the bytes are ``data[begin:end]``

    Returns
    -------
    ids : uint32, (n,), the tokens in front
    count : number of tokens
    """
    size = end - begin
    ids, ranks = np.empty(size, np.uint32), np.empty(size, np.uint32)
    before, after = np.empty(size, np.int64), np.empty(size, np.int64)
    # each merge takes an entry out and puts two in at most
    heap, entries = np.empty(2 * size, np.uint64), 0
    for index in range(size):
        ids[index] = byte_ids[data[begin + index]]
        before[index], after[index] = index - 1, index + 1
    for index in range(size - 1):
        entries = _set_rank(heap, entries, ranks, index, merged_id(pairs, ids[index], ids[index + 1]))
    ranks[size - 1] = NONE
    while entries:
        top = heap[0]
        entries = _take_top(heap, entries)
        rank, at = np.uint32(top >> _48), np.int64(top & _LOW_48)
        if ranks[at] != rank:  # the entry of a pair that is no more
            continue
        gone = after[at]
        beyond = after[gone]
        ids[at], after[at] = rank, beyond
        ranks[at], ranks[gone] = NONE, NONE
        if beyond < size:
            before[beyond] = at
            entries = _set_rank(heap, entries, ranks, at, merged_id(pairs, rank, ids[beyond]))
        if before[at] >= 0:
            entries = _set_rank(heap, entries, ranks, before[at], merged_id(pairs, ids[before[at]], rank))
    count, at = 0, 0
    while at < size:
        ids[count] = ids[at]
        count += 1
        at = after[at]
    return ids, count


@numba.njit(nogil=True)
def _set_rank(heap, entries, ranks, at, rank):
    """Note the rank of the pair that begins at ``at``; returns the new number of entries."""
    ranks[at] = rank
    if rank == NONE:
        return entries
    entry = np.uint64(rank) << _48 | np.uint64(at)
    child = entries
    while child > 0:
        parent = (child - 1) >> 1
        if heap[parent] <= entry:
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = entry
    return entries + 1


@numba.njit(nogil=True)
def _take_top(heap, entries):
    """Drop the least entry; returns the new number of entries."""
    entries -= 1
    entry = heap[entries]
    hole, child = 0, 1
    while child < entries:
        if child + 1 < entries and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[hole] = heap[child]
        hole, child = child, 2 * child + 1
    heap[hole] = entry
    return entries

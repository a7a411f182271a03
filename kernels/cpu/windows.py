"""Windows of tokens that occur once are dropped before anything is stored: two filters of 2-bit counters.

Every window of ``length`` tokens of a document has a 64-bit hash, rolled along. The first filter counts all hashes, up
to two; the second, on other bits of the hash, counts those that the first says occur twice. What both say occurs twice
is emitted with a second hash. A filter never says "once" of what occurs twice.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint8, uint64

from gpurefine.kernels.scalar import mix64

#: sha256 of the modules whose functions are compiled into the kernels below: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "8b4a474348ab9123a19e3609f02159be8f5727c0d875a03a1810d32327e3ef72"

#: Base of the first hash, a polynomial modulo 2**64, and of the second, one modulo 2**61 - 1: no text has two windows
#: that collide in both by the structure of one of the rings.
BASE = np.uint64(0x9E3779B97F4A7C15)
SECOND_BASE = np.uint64(0x17A3_59E7)
PRIME = np.uint64((1 << 61) - 1)
#: Hashes that are made before counters are looked at, so that their cache misses overlap.
CHUNK = 1024


@njit(nogil=True, cache=True, inline="always")
def reduced(value):
    """A uint64 modulo 2**61 - 1."""
    value = (value & PRIME) + (value >> uint64(61))
    return value - PRIME if value >= PRIME else value


@njit(nogil=True, cache=True, inline="always")
def times(one, small):
    """A number below 2**63 that is the product of two uint64 modulo 2**61 - 1.

    ``one`` is below 2**62, ``small`` below 2**29.
    """
    low, high = (one & uint64(0xFFFFFFFF)) * small, (one >> uint64(32)) * small
    return low + (high >> uint64(29)) + ((high & uint64((1 << 29) - 1)) << uint64(32))


@njit(nogil=True, cache=True, inline="always")
def second_hash(tokens, begin, end):
    """Second hash of the tokens ``begin`` .. ``end - 1``."""
    value = uint64(0)
    for place in range(begin, end):
        value = times(value, SECOND_BASE) + (uint64(tokens[place]) + uint64(1))
        # not below the prime yet, but below 2**62
        value = (value & PRIME) + (value >> uint64(61))
    return reduced(value)


@njit(nogil=True, cache=True, inline="always")
def next_second_hash(value, leaving, entering, second_top):
    """Second hash of the next window, from that of a window, the token that leaves it and the one that enters."""
    gone = reduced(times(second_top, uint64(leaving) + uint64(1)))
    return reduced(times(value, SECOND_BASE) + (uint64(entering) + uint64(1)) + (PRIME - gone))


@njit(nogil=True, cache=True)
def hash_windows(tokens, begin, count, length, top, out):
    """First hashes (uint64, into ``out``) of the windows that begin at ``begin`` .. ``begin + count - 1``."""
    value = uint64(0)
    for place in range(begin, begin + length):
        value = value * BASE + (uint64(tokens[place]) + uint64(1))
    out[0] = mix64(value)
    for number in range(1, count):
        place = begin + number
        value = value * BASE + (uint64(tokens[place + length - 1]) + uint64(1))
        value -= top * (uint64(tokens[place - 1]) + uint64(1))
        out[number] = mix64(value)


@njit(nogil=True, cache=True, inline="always")
def _twice(table, slot):
    return (table[slot >> uint64(2)] >> uint8((slot & uint64(3)) << uint64(1))) & uint8(3) >= 2


@njit(nogil=True, cache=True)
def count_windows(tokens, first, starts, document, length, top, group, group_bits, before, table, slot_bits):
    """Count the windows of one group in a filter.

    Parameters
    ----------
    tokens : uint16, (m,), tokens that follow each other in a file
    first : number of the first of them there
    starts : int64, (documents + 1,), from 0: where documents begin in the file; no window crosses one
    document : that ``first`` belongs to, or one before
    length : tokens of a window
    top : of ``window_tops``
    group, group_bits : only windows whose hash begins with the ``group_bits`` bits of ``group`` are counted
    before : uint8, the filter of the round before; windows that occur once by it are not counted; (0,) for none
    table : uint8, (2**slot_bits / 4,), four counters a byte, changed in place
    slot_bits : 2 or more; the first filter takes the bits of a hash behind those of the group, the second the lowest

    Returns
    -------
    Number of windows that ``before`` let through
    """
    hashes = np.empty(CHUNK, np.uint64)
    end = first + tokens.size
    shift, mask = uint64(64 - slot_bits), uint64((1 << slot_bits) - 1)
    passed = 0
    while document < starts.size - 1 and starts[document] < end:
        low = max(starts[document], first)
        high = min(starts[document + 1], end) - length + 1
        for begin in range(low, high, CHUNK):
            count = min(CHUNK, high - begin)
            hash_windows(tokens, begin - first, count, length, top, hashes)
            for number in range(count):
                value = hashes[number]
                if group_bits and value >> uint64(64 - group_bits) != uint64(group):
                    continue
                slot = (value << uint64(group_bits)) >> shift
                if before.size:
                    if not _twice(before, slot):
                        continue
                    passed += 1
                    slot = value & mask
                byte = table[slot >> uint64(2)]
                bit = uint8((slot & uint64(3)) << uint64(1))
                if (byte >> bit) & uint8(3) < 2:
                    table[slot >> uint64(2)] = byte + (uint8(1) << bit)
        document += 1
    return passed


@njit(nogil=True, cache=True)
def emit_windows(
    tokens,
    first,
    begin_at,
    starts,
    document,
    length,
    top,
    second_top,
    group,
    group_bits,
    one,
    two,
    slot_bits,
    high_out,
    low_out,
    places,
):
    """List the windows of a group that both filters let through.

    Parameters
    ----------
    tokens, first, starts, document, length, top, group, group_bits, slot_bits : as of ``count_windows``
    begin_at : number of the first window to look at
    second_top : of ``window_tops``
    one, two : uint8, the filters
    high_out, low_out : uint64, get both hashes of each window; room for ``CHUNK`` or more
    places : int64, as long, get its number in the file

    Returns
    -------
    filled : windows that were written
    next : where to go on when there was no room for a further chunk; ``first + m`` when all are done
    """
    hashes = np.empty(CHUNK, np.uint64)
    end = first + tokens.size
    shift, mask = uint64(64 - slot_bits), uint64((1 << slot_bits) - 1)
    filled = 0
    while document < starts.size - 1 and starts[document] < end:
        low = max(starts[document], begin_at)
        high = min(starts[document + 1], end) - length + 1
        for begin in range(low, high, CHUNK):
            if filled + CHUNK > places.size:
                return filled, begin
            count = min(CHUNK, high - begin)
            hash_windows(tokens, begin - first, count, length, top, hashes)
            at = np.int64(-1)
            second = uint64(0)
            for number in range(count):
                value = hashes[number]
                if group_bits and value >> uint64(64 - group_bits) != uint64(group):
                    continue
                slot = (value << uint64(group_bits)) >> shift
                if not (_twice(one, slot) and _twice(two, value & mask)):
                    continue
                place = begin - first + number
                if at < 0 or place - at > length:
                    second = second_hash(tokens, place, place + length)
                    at = place
                while at < place:
                    second = next_second_hash(second, tokens[at], tokens[at + length], second_top)
                    at += 1
                high_out[filled], low_out[filled], places[filled] = value, second, begin + number
                filled += 1
        document += 1
    return filled, end


def window_tops(length: int) -> tuple[np.uint64, np.uint64]:
    """What the token that leaves a window was multiplied by, in both hashes: the bases to the power of ``length``."""
    return np.uint64(pow(int(BASE), length, 1 << 64)), np.uint64(pow(int(SECOND_BASE), length, int(PRIME)))

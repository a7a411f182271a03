"""Candidates among documents with equal keys of one band: each document and the hub of its key, for all bands.

The hub of a key is the document that has it and the least order, a number that depends on the document alone. So who is
a candidate of whom depends on neither the order of the rows nor on how they are cut. Two passes of the same keys
through an open hash table, nothing is sorted: the first finds the hubs, the second lists the others with their hub.
Documents that meet the same hub in one band after the other give one row with a count, so a million equal documents
cost a million rows, not one a band.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from gpurefine.kernels.cpu.collisions import scaled
from gpurefine.kernels.scalar import mix64

#: sha256 of the modules whose functions are compiled into the kernels below: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "a4cf86fa7cda53140ad16b7715e94503a96f8073a3773b86e7ab27c1ee3bd816"

#: Set on the position of a hub whose key has been seen on a second document.
SHARED = np.uint64(1 << 63)


@njit(nogil=True, cache=True, inline="always")
def _slot_of(key, table, salt, part, parts):
    """Where a key is or would be in the table; -1 if it is of another part, or no key."""
    if key == 0:
        return np.int64(-1)
    mixed = mix64(key ^ uint64(salt))
    if parts > 1:
        if scaled(mixed, uint64(parts)) != uint64(part):
            return np.int64(-1)
        # what is left of the fraction is as even inside the part as the whole was
        mixed *= uint64(parts)
    slot = np.int64(scaled(mixed, uint64(table.shape[0])))
    while table[slot, 0] != 0 and table[slot, 0] != key:
        slot += 1
        if slot == table.shape[0]:
            slot = 0
    return slot


@njit(nogil=True, cache=True)
def enter_hubs(keys, orders, first, table, room, salt, part, parts):
    """Enter keys of one band into the table: of each key the hub, and whether several documents have it.

    Parameters
    ----------
    keys : uint64, (n,), of the documents at positions ``first`` .. ``first + n - 1``; 0 is no key
    orders : uint64, (n,), of these documents; of equal ones the first position is less
    first : position of the first key, positions stay below 2**63
    table : uint64, (slots, 3): key, order and position of the hub; zeroed before the first keys of a band and part, the
        caller keeps it from call to call; fewer than 2**32 slots
    room : how many new keys the table may still take; keep it below the free slots, or a search would not end
    salt : any number; it moves keys between slots and parts and changes no result
    part, parts : only keys of this one of ``parts`` equal shares are entered; parts is below 2**32

    Returns
    -------
    Number of new keys in the table; -1 when ``room`` was too small, the table is then of no more use
    """
    entered = 0
    for row in range(keys.size):
        slot = _slot_of(keys[row], table, salt, part, parts)
        if slot < 0:
            continue
        position = uint64(first + row)
        if table[slot, 0] == 0:
            if entered == room:
                return -1
            table[slot, 0], table[slot, 1], table[slot, 2] = keys[row], orders[row], position
            entered += 1
            continue
        hub = table[slot, 2] & ~SHARED
        if orders[row] < table[slot, 1] or (orders[row] == table[slot, 1] and position < hub):
            table[slot, 1], hub = orders[row], position
        table[slot, 2] = hub | SHARED
    return entered


@njit(nogil=True, cache=True)
def list_candidates(keys, first, table, salt, part, parts, last, times, out, filled):
    """List the documents that are no hub of their key, each with the hub.

    Parameters
    ----------
    keys, first, table, salt, part, parts : as ``enter_hubs`` left and was given them
    last : uint64, (documents, 2), hub and order that each of the first documents met last; kept for all bands
    times : int64, (documents,), in how many bands running it was met, 0 before the first band. What ``last`` says is
        listed when another hub is met; what is left after the last band is for the caller to list
    out : uint64, (4, capacity): position, position of its hub, order of the hub, in how many bands; written from column
        ``filled`` on, there must be room for n

    Returns
    -------
    Where the next column goes
    """
    for row in range(keys.size):
        slot = _slot_of(keys[row], table, salt, part, parts)
        if slot < 0 or table[slot, 2] & SHARED == 0:
            continue
        position, hub, order = uint64(first + row), table[slot, 2] & ~SHARED, table[slot, 1]
        if hub == position:
            continue
        count = uint64(1)
        if position < uint64(times.size):
            before, before_order = last[position, 0], last[position, 1]
            count = uint64(times[position])
            if count and before == hub:
                times[position] += 1
                continue
            last[position, 0], last[position, 1], times[position] = hub, order, 1
            hub, order = before, before_order
        if count:
            out[0, filled], out[1, filled], out[2, filled], out[3, filled] = position, hub, order, count
            filled += 1
    return filled

"""Copies among pieces of texts: which rows of a stream of (key, order, place) leave because their key came before.

Two passes of the same rows through an open hash table, nothing is sorted: the first enters each distinct key with the
row that stays, the second lists the rows that leave. A million copies of one key take one slot.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from gpurefine.kernels.cpu.collisions import EMPTY, SHARED, scaled
from gpurefine.kernels.scalar import mix64

#: sha256 of the modules whose functions are compiled into the kernels below: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "a4cf86fa7cda53140ad16b7715e94503a96f8073a3773b86e7ab27c1ee3bd816"


@njit(nogil=True, cache=True, inline="always")
def _slot_of(high, low, table_keys, table_places, salt, part, parts):
    """Where a key is or would be in the table; -1 if it is of another part."""
    mixed = mix64(mix64(uint64(salt) ^ high) ^ low)
    if parts > 1:
        if scaled(mixed, uint64(parts)) != uint64(part):
            return np.int64(-1)
        # what is left of the fraction is as even inside the part as the whole was
        mixed *= uint64(parts)
    slot = np.int64(scaled(mixed, uint64(table_places.size)))
    while table_places[slot] != EMPTY and (table_keys[slot, 0] != high or table_keys[slot, 1] != low):
        slot += 1
        if slot == table_places.size:
            slot = 0
    return slot


@njit(nogil=True, cache=True)
def enter_copies(high, low, orders, places, table_keys, table_orders, table_places, room, salt, part, parts):
    """Enter rows into the table: of each key the row with the least (order, place), and whether it has several.

    Parameters
    ----------
    high, low : uint64, (n,), the key of each row
    orders : uint64, (n,), or (0,) if all are equal
    places : uint64, (n,), below 2**63 - 1
    table_keys : uint64, (slots, 2); the caller keeps the table from call to call
    table_orders : uint64, (slots,), or (0,) as ``orders``
    table_places : uint64, (slots,), ``EMPTY`` before the first call; fewer than 2**32 slots
    room : how many new keys the table may still take; keep it below the free slots, or a search would not end
    salt : any number; it moves keys between slots and parts and changes no result
    part, parts : only keys of this one of ``parts`` equal shares are entered; parts is below 2**32

    Returns
    -------
    Number of new keys in the table; -1 when ``room`` was too small, the table is then of no more use
    """
    ordered, entered = orders.size > 0, 0
    for row in range(places.size):
        slot = _slot_of(high[row], low[row], table_keys, table_places, salt, part, parts)
        if slot < 0:
            continue
        if table_places[slot] == EMPTY:
            if entered == room:
                return -1
            table_keys[slot, 0], table_keys[slot, 1] = high[row], low[row]
            table_places[slot] = places[row]
            if ordered:
                table_orders[slot] = orders[row]
            entered += 1
            continue
        least = table_places[slot] & ~SHARED
        if ordered and orders[row] != table_orders[slot]:
            better = orders[row] < table_orders[slot]
        else:
            better = places[row] < least
        if better:
            least = places[row]
            if ordered:
                table_orders[slot] = orders[row]
        table_places[slot] = least | SHARED
    return entered


@njit(nogil=True, cache=True)
def list_copies(high, low, places, table_keys, table_places, keep_one, salt, part, parts, out):
    """Places of rows whose key has several rows, all of them or all but the one that stays.

    Parameters
    ----------
    high, low, places : the rows that were entered, or some of them
    table_keys, table_places, salt, part, parts : as ``enter_copies`` left and was given them
    keep_one : whether the row with the least (order, place) is left out
    out : uint64, with room for n

    Returns
    -------
    How many places were written to ``out``, in the order of the rows
    """
    filled = 0
    for row in range(places.size):
        slot = _slot_of(high[row], low[row], table_keys, table_places, salt, part, parts)
        if slot < 0 or table_places[slot] & SHARED == 0:
            continue
        if keep_one and table_places[slot] & ~SHARED == places[row]:
            continue
        out[filled] = places[row]
        filled += 1
    return filled

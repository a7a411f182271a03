"""Equal keys to edges: an open hash table over a stream of (key, document) rows, nothing is sorted.

The table holds one document for each distinct key, the first that came. Each later document of the key yields one edge
from that first one, so n documents with one key cost n - 1 edges and one slot, however many they are.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from gpurefine.kernels.scalar import mix64

#: sha256 of the modules whose functions are compiled into the kernel below. Numba keeps machine code for as long as the
#: text of this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "8b4a474348ab9123a19e3609f02159be8f5727c0d875a03a1810d32327e3ef72"

#: Marks a free slot: no document number is so large, with ``SHARED`` or without.
EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
#: Set on the document of a slot whose key has been seen on a second document.
SHARED = np.uint64(1 << 63)


@njit(nogil=True, cache=True, inline="always")
def scaled(fraction, n):
    """``fraction * n / 2**64`` for a uint64 ``fraction`` and ``n`` below 2**32: the high word of a 128-bit product."""
    low_half = (fraction & uint64(0xFFFFFFFF)) * n
    return ((fraction >> uint64(32)) * n + (low_half >> uint64(32))) >> uint64(32)


@njit(nogil=True, cache=True)
def link_equal_keys(
    keys, documents, table_keys, table_documents, room, salt, part, parts, left, right, filled, enter=True
):
    """Enter rows into the table and append an edge for each that meets another document with its key.

    Parameters
    ----------
    keys : uint64, (columns, n); rows are equal when all columns are
    documents : uint64, (n,), below 2**63 - 1
    table_keys : uint64, (slots, columns); the caller keeps it from call to call
    table_documents : uint64, (slots,), ``EMPTY`` before the first call; fewer than 2**32 slots
    room : how many new keys the table may still take; keep it below the free slots, or a search would not end
    salt : any number; it moves keys between slots and parts but changes no edge. An unknown one keeps pages that were
        made to meet in one place of the table from slowing it down
    part, parts : only the keys of this one of ``parts`` equal shares of all keys are entered; parts is below 2**32
    left, right : uint64; edges are written from index ``filled`` on, there must be room for n
    enter : whether keys that the table does not have are entered; if not, they are passed over

    Returns
    -------
    filled : where the next edge goes
    entered : new keys in the table; -1 when ``room`` was too small, the table is then of no more use
    shared : keys of the table that got their second document
    """
    columns, slots = table_keys.shape[1], uint64(table_documents.size)
    entered, shared = 0, 0
    for row in range(documents.size):
        mixed = uint64(salt)
        for column in range(columns):
            mixed = mix64(mixed ^ keys[column, row])
        if parts > 1:
            if scaled(mixed, uint64(parts)) != uint64(part):
                continue
            # what is left of the fraction is as even inside the part as the whole was
            mixed *= uint64(parts)
        slot = np.int64(scaled(mixed, slots))
        while True:
            holder = table_documents[slot]
            if holder == EMPTY:
                if not enter:
                    break
                if entered == room:
                    return filled, -1, shared
                for column in range(columns):
                    table_keys[slot, column] = keys[column, row]
                table_documents[slot] = documents[row]
                entered += 1
                break
            equal = True
            for column in range(columns):
                equal &= table_keys[slot, column] == keys[column, row]
            if equal:
                first = holder & ~SHARED
                if first != documents[row]:
                    left[filled], right[filled] = first, documents[row]
                    filled += 1
                    if holder == first:
                        table_documents[slot] = first | SHARED
                        shared += 1
                break
            slot += 1
            if slot == table_documents.size:
                slot = 0
    return filled, entered, shared

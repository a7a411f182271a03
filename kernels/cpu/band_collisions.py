"""Equal keys of one band to edges of a spanning forest: an open hash table over a stream of keys, nothing is sorted.

A document is known by its position in the band, which is the same in all bands. A table of parents says which
documents the bands before have connected already, so two documents with the same text yield one edge, not one a band.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint32, uint64

from gpurefine.kernels.cpu.collisions import scaled
from gpurefine.kernels.cpu.components import root_of
from gpurefine.kernels.scalar import mix64

#: sha256 of the modules whose functions are compiled into the kernel below. Numba keeps machine code for as long as the
#: text of this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "ab9177274080b8f8310406757d4835f78a1c9077dc63c6bb585d6ed51744fa6b"

#: Keys whose places in the table are fetched before the first of them is looked up: the waits for memory overlap.
AHEAD = 64
#: Set on the position of a slot whose key has been seen on a second document.
SHARED = np.uint64(1 << 63)


@njit(nogil=True, cache=True, inline="always")
def _connected(one, other, parent):
    """Whether two positions were connected already; from now on they are. Unknown where the table does not reach."""
    if one >= uint64(parent.size) or other >= uint64(parent.size):
        return False
    one_root, other_root = root_of(uint32(one), parent), root_of(uint32(other), parent)
    if one_root == other_root:
        return True
    if one_root < other_root:
        parent[other_root] = one_root
    else:
        parent[one_root] = other_root
    return False


@njit(nogil=True, cache=True)
def link_band_keys(keys, first, table, room, salt, part, parts, parent, left, right, filled, enter=True):
    """Enter keys of one band into the table and append an edge for each that connects two documents anew.

    Parameters
    ----------
    keys : uint64, (n,), of the documents at positions ``first`` .. ``first + n - 1``; 0 is no key
    first : position of the first key, positions stay below 2**63
    table : uint64, (slots, 2), a key and the position of its first document; zeroed before the first keys of a band,
        the caller keeps it from call to call; fewer than 2**32 slots
    room : how many new keys the table may still take; keep it below the free slots, or a search would not end
    salt : any number; it moves keys between slots and parts but changes no edge. An unknown one keeps pages that were
        made to meet in one place of the table from slowing it down
    part, parts : only the keys of this one of ``parts`` equal shares of all keys are entered; parts is below 2**32
    parent : uint32, (documents,), ``arange`` before the first band and kept for all; an edge to a document beyond its
        end is always appended
    left, right : uint64; edges between positions are written from index ``filled`` on, there must be room for n
    enter : whether keys that the table does not have are entered; if not, they are passed over

    Returns
    -------
    filled : where the next edge goes
    entered : new keys in the table; -1 when ``room`` was too small, the table is then of no more use
    shared : keys of the table that got their second document
    """
    slots = uint64(table.shape[0])
    ahead = np.empty(AHEAD + 1, np.int64)
    entered, shared = 0, 0
    for begin in range(0, keys.size, AHEAD):
        count = min(AHEAD, keys.size - begin)
        fetched = uint64(0)
        for index in range(count):
            key = keys[begin + index]
            mixed = mix64(key ^ uint64(salt))
            ahead[index] = -1
            if key == 0:
                continue
            if parts > 1:
                if scaled(mixed, uint64(parts)) != uint64(part):
                    continue
                # what is left of the fraction is as even inside the part as the whole was
                mixed *= uint64(parts)
            slot = np.int64(scaled(mixed, slots))
            ahead[index] = slot
            fetched ^= table[slot, 0]
        # written, so that the fetching is not left out as useless
        ahead[AHEAD] = np.int64(fetched)
        for index in range(count):
            slot = ahead[index]
            if slot < 0:
                continue
            key, position = keys[begin + index], uint64(first) + uint64(begin + index)
            while table[slot, 0] != key and table[slot, 0] != 0:
                slot += 1
                if slot == table.shape[0]:
                    slot = 0
            if table[slot, 0] == 0:
                if not enter:
                    continue
                if entered == room:
                    return filled, -1, shared
                table[slot, 0], table[slot, 1] = key, position
                entered += 1
                continue
            holder = table[slot, 1]
            centre = holder & ~SHARED
            if holder == centre:
                table[slot, 1] = centre | SHARED
                shared += 1
            if not _connected(centre, position, parent):
                left[filled], right[filled] = centre, position
                filled += 1
    return filled, entered, shared

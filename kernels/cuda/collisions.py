"""Band keys to edges on a CUDA device: sorts the keys of a band and launches the kernels in collisions.cu.

It finds what ``gpurefine.kernels.cpu.band_collisions`` finds: edges of a spanning forest of the documents that share a
key. They may be other edges; the components are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurefine.kernels.cuda.device import check_array, kernel, launch

if TYPE_CHECKING:
    import cupy

#: Bytes on the device for each key while ``link_band_keys`` works: key, position, sorted key and position, and what
#: CuPy's radix sort takes (a copy of keys and places, twice).
BYTES_A_KEY = 72


def link_band_keys(
    keys: cupy.ndarray, positions: cupy.ndarray, parent: cupy.ndarray
) -> tuple[cupy.ndarray, cupy.ndarray, int]:
    """Join documents with equal keys in one band. Waits for the device.

    Parameters
    ----------
    keys : uint64, (n,), on the device; 0 is no key
    positions : uint32, (n,), the position of each key's document, an index into ``parent``
    parent : uint32, (documents,), ``arange`` before the first band and kept for all; changed in place

    Returns
    -------
    left, right : uint32, (edges,), positions of documents that were not connected before
    shared : keys that several documents have

    Raises
    ------
    ValueError
        if arrays are not as described; the positions themselves are not looked at
    MemoryError
        if the device has not some ``BYTES_A_KEY`` bytes a key. CuPy before 14.1.1 did not tell when its sort lacked
        memory, and went on with keys in a wrong order
    """
    import cupy

    check_array("keys", keys, "uint64")
    check_array("positions", positions, "uint32")
    check_array("parent", parent, "uint32")
    if keys.size != positions.size:
        raise ValueError(f"{keys.size} keys and {positions.size} positions: there must be as many")
    # stable, so that the first position of a run is its least; for these numbers CuPy takes a radix sort
    order = cupy.argsort(keys, kind="stable")
    sorted_keys, sorted_positions = keys[order], positions[order]
    del order
    joined, first = cupy.empty(keys.size, cupy.uint8), cupy.empty(keys.size, cupy.uint32)
    shared = cupy.zeros(1, cupy.uint64)
    launch(
        kernel("collisions", "link_runs"), keys.size, sorted_keys, sorted_positions, keys.size, parent, joined, first,
        shared,
    )  # fmt: skip
    edges = cupy.flatnonzero(joined)
    return first[edges], sorted_positions[edges], int(shared[0])


def take_share(keys: cupy.ndarray, salt: int, share: int, shares: int) -> cupy.ndarray:
    """Places of the keys that belong to one of some equal shares of all keys; equal keys belong to one.

    Parameters
    ----------
    keys : uint64, (n,), on the device; 0, which is no key, belongs to none
    salt : below 2**63; it moves keys between the shares
    share, shares : the one that is taken, and how many there are, below 2**31

    Returns
    -------
    int64, rising indices of ``keys``
    """
    import cupy

    check_array("keys", keys, "uint64")
    taken = cupy.empty(keys.size, cupy.uint8)
    launch(kernel("collisions", "take_share"), keys.size, keys, keys.size, salt, share, shares, taken)
    return cupy.flatnonzero(taken)

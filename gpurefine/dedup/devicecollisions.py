"""Collisions and clusters on a CUDA device: ``collide_bands`` and ``connect`` once more, for GPU workers.

Key files are read as on a CPU; a band's keys are sorted on the device, and documents with equal keys joined there. The
forest may have other edges than the CPU's; the components, and so the labels, are the same. What does not fit the
device's memory is tried in more passes, then left to the CPU, with a warning in the worker's log: both functions return
None for that.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gpurefine.dedup.bandcollisions import Numbers, open_band_files
from gpurefine.dedup.bandkeys import BandKeyFile
from gpurefine.dedup.linking import EdgeWriter, chunk_rows
from gpurefine.kernels.cuda.collisions import BYTES_A_KEY, link_band_keys, take_share
from gpurefine.kernels.cuda.components import flatten, unite
from gpurefine.kernels.cuda.device import device_memory, to_device, to_host

if TYPE_CHECKING:
    import cupy

_log = logging.getLogger(__name__)

#: Share of the device's memory that a task plans with; if it is not there, the task tries in more passes.
MEMORY_SHARE = 0.7
#: Bytes for each document of the table of parents.
PARENT_BYTES = 4
#: Passes beyond which a band is left to the CPU.
MOST_PASSES = 64
#: Bytes on the device for each edge while clusters are found: its ends, and these sorted and ranked.
BYTES_AN_EDGE = 96


def collide_bands_on_device(
    bands: range, key_paths: Sequence[Path], out_path: Path, budget: int
) -> dict[str, int] | None:
    """Find the collisions in some bands and write a spanning forest of them as edges.

    Parameters
    ----------
    bands, key_paths, out_path : as in ``bandcollisions.collide_bands``
    budget : bytes of the host's memory, for chunks of keys and edges

    Returns
    -------
    ``rows``, ``edges`` and ``shared`` as ``collide_bands`` counts them; None if the device's memory does not do it in
    ``MOST_PASSES`` passes, and then nothing is written

    Raises
    ------
    DamagedFileError
        if a key file is damaged
    """
    files = open_band_files(key_paths, bands)
    documents = sum(file.documents for file in files)
    passes = _passes(documents)
    while passes <= MOST_PASSES and documents < 1 << 32:
        try:
            return _collide(bands, files, documents, passes, out_path, budget)
        except MemoryError:
            _log.warning(
                "bands %d to %d with %d documents: the GPU's memory does not do for %d passes, trying twice as many",
                bands.start, bands.stop - 1, documents, passes,
            )  # fmt: skip
            passes *= 2
    _log.warning(
        "bands %d to %d with %d documents: the GPU's memory does not do, they are compared on the CPU",
        bands.start, bands.stop - 1, documents,
    )  # fmt: skip
    return None


def _passes(documents: int) -> int:
    """How often a band is read, so that its keys fit beside the table of parents."""
    room = max(1, int(device_memory() * MEMORY_SHARE) - PARENT_BYTES * documents)
    return max(1, -(-BYTES_A_KEY * documents // room))


def _collide(
    bands: range, files: Sequence[BandKeyFile], documents: int, passes: int, out_path: Path, budget: int
) -> dict[str, int]:
    import cupy

    rows = chunk_rows(1, budget)
    parent = cupy.arange(documents, dtype=cupy.uint32)
    # one for all passes: it decides which keys a pass takes
    salt = secrets.randbits(63)
    counts = {"rows": documents * len(bands), "edges": 0, "shared": 0}
    with EdgeWriter(out_path, rows, Numbers(files).translate) as edges:
        for band in bands:
            for share in range(passes):
                left, right, shared = link_band_keys(*_band(files, band, rows, salt, share, passes), parent)
                edges.add(to_host(left), to_host(right))
                counts["shared"] += shared
    counts["edges"] = edges.written
    return counts


def _band(
    files: Sequence[BandKeyFile], band: int, rows: int, salt: int, share: int, shares: int
) -> tuple[cupy.ndarray, cupy.ndarray]:
    """Keys of one share of a band, and their documents' positions, on the device; chunk by chunk."""
    import cupy

    keys, positions, first = [cupy.empty(0, cupy.uint64)], [cupy.empty(0, cupy.uint32)], 0
    for file in files:
        for chunk in file.keys(band, rows):
            piece = to_device(chunk)
            if shares == 1:
                places = cupy.arange(first, first + len(chunk), dtype=cupy.uint32)
            else:
                taken = take_share(piece, salt, share, shares)
                piece, places = piece[taken], (taken + first).astype(cupy.uint32)
            keys.append(piece)
            positions.append(places)
            first += len(chunk)
    return cupy.concatenate(keys), cupy.concatenate(positions)


def components_on_device(edges: Iterable[np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray, int] | None:
    """The connected components of edges between numbered documents.

    Parameters
    ----------
    edges : yields chunks of edges, uint64 (2, n) each, between any numbers
    most : documents that the host has memory for

    Returns
    -------
    numbers : uint64, (documents,), those that an edge joins to another, rising
    parent : uint32, (documents,), for each one the place in ``numbers`` of the least one of its component
    components : how many
    None if the edges do not fit the device's memory, or the documents the host's
    """
    try:
        found = _components(edges, most)
    except MemoryError:
        found = None
    if found is None:
        _log.warning("the clusters' edges do not fit the GPU's memory, they are connected on the CPU")
    return found


def _components(edges: Iterable[np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray, int] | None:
    import cupy

    room = int(device_memory() * MEMORY_SHARE)
    chunks = []
    for chunk in edges:
        room -= BYTES_AN_EDGE * chunk.shape[1]
        if room < 0:
            return None
        chunks.append(to_device(np.ascontiguousarray(chunk[:, chunk[0] != chunk[1]])))
    if not chunks:
        return np.empty(0, np.uint64), np.empty(0, np.uint32), 0
    left, right = (cupy.concatenate([chunk[end] for chunk in chunks]) for end in (0, 1))
    chunks.clear()
    numbers = cupy.unique(cupy.concatenate([left, right]))
    if numbers.size > min(most, 1 << 32):
        return None
    parent = cupy.arange(numbers.size, dtype=cupy.uint32)
    ends = (cupy.searchsorted(numbers, end).astype(cupy.uint32) for end in (left, right))
    unite(*ends, parent)
    components = flatten(parent)
    return to_host(numbers), to_host(parent), components

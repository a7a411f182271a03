"""Edges to clusters: the connected components of all collisions (RefinedWeb G.3.1), found by union-find.

Only documents that have an edge are held: their sorted numbers (8 bytes) and a parent for each (4 bytes). This is the
one table of a run that grows with the number of duplicates; it is stated before it is made. Edges are streamed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.errors import RunError
from gpurefine.kernels import flatten, merge_sorted, unite
from gpurefine.write import TableWriter

#: Sorted by document; root is the least document number of the component.
LABEL_SCHEMA = pa.schema([pa.field("document", pa.uint64(), False), pa.field("root", pa.uint64(), False)])

BYTES_A_DOCUMENT = 12
#: Edges that are worked on at a time; with the writing of the labels some 90 MiB.
CHUNK_EDGES = 1 << 18
LABEL_ROWS = 1 << 20


def connect_bytes(documents: int) -> int:
    """Memory of the table for the components.

    Parameters
    ----------
    documents : how many have an edge; never more than the sums of ``edges`` and ``shared`` that ``collide`` counted,
        and as many if no document has two keys
    """
    return BYTES_A_DOCUMENT * documents


def connect(edge_paths: Sequence[Path], out_path: Path, budget: int) -> dict[str, int]:
    """Find the connected components and write a label for each document that has an edge.

    Parameters
    ----------
    edge_paths : edge files of all collide tasks; their order changes nothing
    out_path : Parquet file of ``LABEL_SCHEMA``, with the counts in its footer
    budget : bytes for the table of documents and parents

    Returns
    -------
    ``documents`` with an edge and ``clusters``

    Raises
    ------
    RunError
        if the table is above the budget, there are 2**32 documents with an edge, or a file is damaged
    """
    numbers = _documents_with_edges(edge_paths, budget)
    parent = np.arange(len(numbers), dtype=np.uint32)
    for edges in _edges(edge_paths):
        unite(*_places(numbers, edges), parent)
    clusters = int(flatten(parent))
    counts = {"documents": len(numbers), "clusters": clusters}
    with TableWriter(out_path, LABEL_SCHEMA) as writer:
        for begin in range(0, len(numbers), LABEL_ROWS):
            part = slice(begin, begin + LABEL_ROWS)
            writer.write(pa.table([numbers[part], numbers[parent[part]]], schema=LABEL_SCHEMA))
        writer.close(counts)
    return counts


def _edges(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """All edges in chunks of shape (2, n), without those from a document to itself."""
    for path in paths:
        file = ColumnFile(path)
        for chunk in file.iterate(0, len(file.rows), CHUNK_EDGES):
            yield chunk[:, chunk[0] != chunk[1]]


def _documents_with_edges(edge_paths: Sequence[Path], budget: int) -> np.ndarray:
    """Sorted numbers of all documents that have an edge, never with a second array of that size."""
    numbers = np.empty(0, np.uint64)
    pending: list[np.ndarray] = []
    pending_rows = 0
    for edges in _edges(edge_paths):
        ends = _distinct(edges)
        new = ends[~_contained(ends, numbers)]
        if len(new):
            pending.append(new)
            pending_rows += len(new)
        # waiting until a share has gathered keeps the merging linear; the parents' 4 bytes are not yet taken
        if pending_rows > max(CHUNK_EDGES, len(numbers) // 16):
            _merge(numbers, pending, budget)
            pending, pending_rows = [], 0
    _merge(numbers, pending, budget)
    return numbers


def _distinct(values: np.ndarray) -> np.ndarray:
    """Sorted different values; for integers in any order a sort is many times as fast as ``np.unique``."""
    ordered = np.sort(values, axis=None)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]]


def _places(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Index in ``numbers`` of each value; searched in ascending order, which stays in the cache."""
    flat = values.ravel()
    order = np.argsort(flat)
    places = np.empty(len(flat), np.int64)
    places[order] = np.searchsorted(numbers, flat[order])
    return places.reshape(values.shape)


def _contained(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    if not len(numbers):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(numbers, values), len(numbers) - 1)
    return numbers[places] == values


def _merge(numbers: np.ndarray, pending: list[np.ndarray], budget: int) -> None:
    """Merge new numbers into the sorted ones, which grow in place."""
    if not pending:
        return
    new = _distinct(np.concatenate(pending))
    filled, size = len(numbers), len(numbers) + len(new)
    if size > 1 << 32:
        raise RunError(f"{size} documents have a duplicate, at most 2**32 can be connected: run the dumps one by one")
    if connect_bytes(size) > budget:
        raise RunError(
            f"{size} documents or more have a duplicate; to connect them takes {connect_bytes(size):,} bytes, but "
            f"the budget is {budget:,}: give more --memory and run the same command again"
        )
    # realloc moves pages, it does not copy large arrays; nobody else holds a view of this one
    numbers.resize(size, refcheck=False)
    merge_sorted(numbers, filled, new)

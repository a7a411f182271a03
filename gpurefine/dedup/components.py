"""Edges to clusters: the connected components of all collisions (RefinedWeb G.3.1), found by union-find.

Only documents that have an edge are held: a bit for each in a set, then a parent (4 bytes) and its number (8 bytes).
This is the one table of a run that grows with the number of duplicates; it is stated before it is made. Edges are
streamed twice, first to learn which documents there are: each has its place by its number, so the order of edges
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.devicecollisions import components_on_device
from gpurefine.dedup.rowgroups import SEARCHED_ROW_GROUP_BYTES
from gpurefine.errors import RunError
from gpurefine.kernels import (
    BITMAP_BITS,
    count_members,
    enter_numbers,
    flatten,
    list_members,
    place_bitmaps,
    rank_members,
    unite_numbers,
)
from gpurefine.write import TableWriter

#: Sorted by document; root is the least document number of the component.
LABEL_SCHEMA = pa.schema([pa.field("document", pa.uint64(), False), pa.field("root", pa.uint64(), False)])

BYTES_A_DOCUMENT = 12
#: A bitmap with its id, ranks and slots, for each 4,096 neighbouring numbers with a document that has an edge.
BYTES_A_BITMAP = (1 << BITMAP_BITS) // 8 + 8 + (1 << BITMAP_BITS) // 64 * 2 + 4 + 16
#: Edges that are worked on at a time; with the writing of the labels some 24 MiB.
CHUNK_EDGES = 1 << 18
LABEL_ROWS = 1 << 16
LEAST_BITMAPS = 64


def connect_bytes(documents: int, bitmaps: int = 0) -> int:
    """Memory of the tables for the components.

    Parameters
    ----------
    documents : how many have an edge; never more than the sums of ``edges`` and ``shared`` that ``collide`` counted,
        and as many if no document has two keys
    bitmaps : runs of 4,096 document numbers in which one has an edge; a bitmap for every 4,096 documents of the
        collection, but one for each partition at least, is the most there can be: a sixth of a byte a document
    """
    return BYTES_A_DOCUMENT * documents + BYTES_A_BITMAP * bitmaps


def connect(edge_paths: Sequence[Path], out_path: Path, budget: int, on_device: bool = False) -> dict[str, int]:
    """Find the connected components and write a label for each document that has an edge.

    Parameters
    ----------
    edge_paths : edge files of all collide tasks; their order changes nothing
    out_path : Parquet file of ``LABEL_SCHEMA``, with the counts in its footer
    budget : bytes for the tables of documents and parents
    on_device : find them on the worker's GPU; if its memory does not do, on the CPU all the same

    Returns
    -------
    ``documents`` with an edge and ``clusters``

    Raises
    ------
    RunError
        if the tables are above the budget or there are 2**32 documents with an edge
    DamagedFileError
        if an edge file is damaged
    """
    found = components_on_device(_edges(edge_paths), budget // BYTES_A_DOCUMENT) if on_device else None
    numbers, parent, clusters = _components(edge_paths, budget) if found is None else found
    counts = {"documents": len(numbers), "clusters": clusters}
    with TableWriter(out_path, LABEL_SCHEMA, SEARCHED_ROW_GROUP_BYTES) as writer:
        for begin in range(0, len(numbers), LABEL_ROWS):
            part = slice(begin, begin + LABEL_ROWS)
            writer.write(pa.table([numbers[part], numbers[parent[part]]], schema=LABEL_SCHEMA))
        writer.close(counts)
    return counts


def _components(edge_paths: Sequence[Path], budget: int) -> tuple[np.ndarray, np.ndarray, int]:
    """As ``components_on_device``, within the budget."""
    documents = _DocumentSet(budget)
    for left, right in _edges(edge_paths):
        documents.enter(left, right)
    documents.finish()
    parent = np.arange(documents.members, dtype=np.uint32)
    for left, right in _edges(edge_paths):
        documents.unite(left, right, parent)
    clusters = int(flatten(parent))
    return documents.numbers(), parent, clusters


def _edges(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """All edges in chunks of shape (2, n)."""
    for path in paths:
        file = ColumnFile(path)
        yield from file.iterate(0, len(file.rows), CHUNK_EDGES)


class _DocumentSet:
    """The documents that have an edge, and after ``finish`` the place of each among them.

    Attributes
    ----------
    members : documents, after ``finish``
    """

    def __init__(self, budget: int) -> None:
        self._budget, self._filled = budget, 0
        self._ids = np.zeros(LEAST_BITMAPS, np.uint64)
        self._words = np.zeros((LEAST_BITMAPS, (1 << BITMAP_BITS) // 64), np.uint64)
        self._slots = np.zeros(2 * LEAST_BITMAPS, np.uint32)

    def enter(self, left: np.ndarray, right: np.ndarray) -> None:
        """Take the ends of some edges."""
        while True:
            done, self._filled = enter_numbers(left, right, self._slots, self._ids, self._words, self._filled)
            if done == len(left):
                return
            left, right = left[done:], right[done:]
            self._grow()

    def finish(self) -> None:
        """All ends are there: give each its place."""
        self.members = int(count_members(self._words, self._filled))
        if self.members > 1 << 32:
            raise RunError(
                f"{self.members} documents have a duplicate, at most 2**32 can be connected: run the dumps one by one"
            )
        self._check(self.members, self._filled)
        self._order = np.argsort(self._ids[: self._filled])
        self._word_ranks = np.zeros(self._words.shape, np.uint16)
        self._bases = np.zeros(len(self._ids), np.uint32)
        rank_members(self._order, self._words, self._word_ranks, self._bases)

    def unite(self, left: np.ndarray, right: np.ndarray, parent: np.ndarray) -> None:
        """Join the components of the ends of some edges."""
        unite_numbers(
            left, right, self._slots, self._ids, self._words, self._word_ranks, self._bases, parent
        )  # fmt: skip

    def numbers(self) -> np.ndarray:
        """The documents in ascending order, uint64, (members,)."""
        numbers = np.empty(self.members, np.uint64)
        list_members(self._order, self._ids, self._words, numbers)
        return numbers

    def _grow(self) -> None:
        bitmaps = len(self._ids) + max(LEAST_BITMAPS, len(self._ids) // 4)
        # there is a document in each bitmap; the bits are counted only when all are there
        self._check(self._filled, self._filled)
        # realloc moves pages, it does not copy large arrays; nobody else holds a view of these
        self._ids.resize(bitmaps, refcheck=False)
        self._words.resize((bitmaps, self._words.shape[1]), refcheck=False)
        if 2 * bitmaps > len(self._slots):
            self._slots = np.zeros(2 * len(self._slots), np.uint32)
            place_bitmaps(self._slots, self._ids, self._filled)

    def _check(self, documents: int, bitmaps: int) -> None:
        needed = connect_bytes(documents, bitmaps)
        if needed > self._budget:
            raise RunError(
                f"{documents} documents or more have a duplicate; to connect them takes {needed:,} bytes, but the "
                f"budget is {self._budget:,}: give more --memory and run the same command again"
            )

"""Marks to spans: what of each document leaves, found a few partitions at a time.

Marks of all tasks meet here: one bit a piece says whether it is marked, so a piece that is marked often costs no more,
and the order of tasks changes nothing. The spans of a partition are what its documents are edited by.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.marks import MARK_PARTITIONS, read_marks
from gpurefine.dedup.pieces import PLACE_BITS, Spans, first_place
from gpurefine.kernels import list_spans, mark_pieces

SPAN_COLUMNS = ("row", "first", "last")


def find_spans(
    mark_paths: Sequence[Path],
    group: int,
    partitions: Sequence[int],
    starts: Sequence[np.ndarray],
    again: Sequence[np.ndarray],
    length: int,
    out_path: Path,
    budget: int,
) -> dict[str, int]:
    """Write the spans of neighbouring partitions.

    Parameters
    ----------
    mark_paths : what all collide tasks wrote
    group : the slice of the marks that has these partitions
    partitions : their indices, rising by one
    starts : int64, (documents + 1,), first piece of each document, for each partition
    again : uint64, further places that are marked, for each partition
    length : pieces that a mark covers
    out_path : ``ColumnFile`` with ``SPAN_COLUMNS``, a slice for each partition
    budget : bytes for the bits; marks are read again for as many partitions as do not fit

    Returns
    -------
    ``spans``, ``documents`` (with one or more) and ``pieces`` (in spans)
    """
    counts = {"spans": 0, "documents": 0, "pieces": 0}
    with ColumnWriter(out_path, SPAN_COLUMNS) as writer:
        for first, last in _fitting(starts, budget):
            bits = _marked(mark_paths, group, partitions[first:last], starts[first:last])
            for number in range(first, last):
                own = bits[number - first]
                mark_pieces(again[number] - np.uint64(first_place(partitions[number])), own)
                rows, bounds = _spans(own, starts[number], length)
                writer.write_slice([[rows], [bounds[:, 0]], [bounds[:, 1]]])
                counts["spans"] += len(rows)
                counts["documents"] += len(np.unique(rows))
                counts["pieces"] += int((bounds[:, 1] - bounds[:, 0]).sum())
    return counts


def span_slice(paths: Sequence[str], partition: int) -> tuple[Path, int]:
    """The file and the slice there that has the spans of a partition; ``paths``: all files, in order."""
    return Path(paths[partition // MARK_PARTITIONS]), partition % MARK_PARTITIONS


def read_spans(path: Path, part: int) -> tuple[np.ndarray, np.ndarray]:
    """The spans of one partition.

    Parameters
    ----------
    path, part : what ``find_spans`` wrote, and the slice

    Returns
    -------
    rows : int64, (k,), the document of each span, as a row of its partition; rising
    bounds : int64, (k, 2), as in ``Spans``
    """
    rows, first, last = ColumnFile(path).read(part, part + 1).astype(np.int64)
    return rows, np.stack([first, last], axis=1)


def spans_of_rows(rows: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, Spans]:
    """Documents that have spans, int64, rising, and the spans of these."""
    documents, counts = np.unique(rows, return_counts=True)
    return documents, Spans(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), bounds)


def _fitting(starts: Sequence[np.ndarray], budget: int) -> list[tuple[int, int]]:
    """Ranges of partitions whose bits fit the budget, at least one partition each."""
    ranges, first, filled = [], 0, 0
    for number, own in enumerate(starts):
        size = int(own[-1]) // 8 + 1
        if number > first and filled + size > budget:
            ranges.append((first, number))
            first, filled = number, 0
        filled += size
    return [*ranges, (first, len(starts))] if len(starts) else []


def _marked(
    mark_paths: Sequence[Path], group: int, partitions: Sequence[int], starts: Sequence[np.ndarray]
) -> list[np.ndarray]:
    bits = [np.zeros(int(own[-1]) // 8 + 1, np.uint8) for own in starts]
    borders = np.array([first_place(number) for number in (*partitions, partitions[-1] + 1)], np.uint64)
    within = np.uint64((1 << PLACE_BITS) - 1)
    for places in read_marks(mark_paths, group):
        ends = np.searchsorted(places, borders)
        for number, own in enumerate(bits):
            mark_pieces(places[ends[number] : ends[number + 1]] & within, own)
    return bits


def _spans(bits: np.ndarray, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    none = np.empty(0, np.int64), np.empty((0, 2), np.int64)
    count = list_spans(bits, starts, length, *none)
    if not count:
        return none
    rows, bounds = np.empty(count, np.int64), np.empty((count, 2), np.int64)
    list_spans(bits, starts, length, rows, bounds)
    return rows, bounds

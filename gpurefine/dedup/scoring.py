"""Candidates to scores: the Jaccard and edit similarity of each pair, whatever threshold will be asked for.

What texts are compared by was written by their partitions, and is read here by position: no text is read or moved. The
Jaccard similarity is that of the two sets of 32-bit shingles, exactly. The edit similarity is 1 - distance / length of
the longer one, in units, for pairs of a Jaccard similarity of ``FLOOR`` or more: it takes longer, and no threshold
below can be asked for. Scores are kept with the run, so that clusters at another threshold follow from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.rowgroups import SEARCHED_ROW_GROUP_BYTES
from gpurefine.dedup.unitfile import UnitFiles
from gpurefine.documents import ROW_BITS
from gpurefine.kernels import count_shared, edit_distances, shingle_hashes, sort_sets
from gpurefine.write import TableWriter

#: Least threshold of the Jaccard similarity. Band keys find few of the pairs below.
FLOOR = 0.5
#: Words of 64 units that are worked on for the edit distance of a pair, some seconds; beyond, it has none.
MOST_STEPS = 1 << 30
#: Pairs that are scored at a time, and memory for each unit of their documents.
CHUNK_PAIRS, UNIT_BYTES = 1 << 11, 64
#: Units are their own numbers where there are no more than this many.
DIRECT_UNITS = 1 << 16

#: A document, its candidate, their similarities. ``edit`` is null where it was not measured: the Jaccard similarity is
#: below ``FLOOR``, it would take too long, or it was not asked for.
SCORE_SCHEMA = pa.schema(
    [
        pa.field("left", pa.uint64(), False),
        pa.field("right", pa.uint64(), False),
        pa.field("jaccard", pa.float64(), False),
        pa.field("edit", pa.float64()),
    ]
)


def score_candidates(
    candidates_path: Path, unit_paths: Sequence[Path], n: int, edit: bool, out_path: Path, budget: int
) -> dict[str, int]:
    """Score the candidates of some documents.

    Parameters
    ----------
    candidates_path : what ``select_candidates`` wrote
    unit_paths : unit files of partitions 0, 1, ...
    n : units a shingle
    edit : whether edit similarities are measured
    out_path : Parquet file of ``SCORE_SCHEMA``
    budget : bytes; two documents that do not fit are scored all the same

    Returns
    -------
    ``scored`` pairs, and ``unmeasured`` ones, which would have taken too long. They are in the footer

    Raises
    ------
    DamagedFileError
        if a file is damaged
    """
    counts = {"scored": 0, "unmeasured": 0}
    matches = np.zeros(DIRECT_UNITS, np.uint64)
    with UnitFiles(unit_paths) as units, TableWriter(out_path, SCORE_SCHEMA, SEARCHED_ROW_GROUP_BYTES) as writer:
        for left, right in _pairs(ColumnFile(candidates_path), units, budget // UNIT_BYTES):
            jaccard, edits = _score(left, right, units, n, matches if edit else None)
            writer.write(pa.table([left, right, jaccard, edits], schema=SCORE_SCHEMA))
            counts["scored"] += len(left)
            if edit:
                counts["unmeasured"] += int((edits.is_null().to_numpy(False) & (jaccard >= FLOOR)).sum())
        writer.close(counts)
    return counts


def _pairs(candidates: ColumnFile, units: UnitFiles, most_units: int) -> Iterator[np.ndarray]:
    """Candidates in pieces whose documents have so many units, at least one pair each: uint64, (2, n)."""
    for pairs in candidates.iterate(0, len(candidates.rows), CHUNK_PAIRS):
        if not pairs.size:
            continue
        documents, places = np.unique(pairs, return_inverse=True)
        sizes = np.array([_size(units, document) for document in documents.tolist()])
        # a document of several pairs counts for each of them
        ends = np.cumsum(sizes[places.reshape(2, -1)].sum(axis=0))
        begin = 0
        while begin < pairs.shape[1]:
            before = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + most_units, "right")))
            yield pairs[:, begin:end]
            begin = end


def _size(units: UnitFiles, document: int) -> int:
    file = units[document >> ROW_BITS]
    begin, end, _ = file.bounds(document & ((1 << ROW_BITS) - 1))
    return (end - begin) // file.units.itemsize


def _score(
    left: np.ndarray, right: np.ndarray, files: UnitFiles, n: int, matches: np.ndarray | None
) -> tuple[np.ndarray, pa.Array]:
    documents, places = np.unique(np.stack([left, right]), return_inverse=True)
    one, other = places.reshape(2, -1)
    texts = [files[document >> ROW_BITS].read(document & ((1 << ROW_BITS) - 1)) for document in documents.tolist()]
    units, starts = np.concatenate(texts), np.cumsum([0, *map(len, texts)])
    jaccard = jaccard_similarities(units, starts, one, other, n)
    edits = np.full(len(left), np.nan)
    if matches is not None:
        near = np.flatnonzero(jaccard >= FLOOR)
        edits[near] = edit_similarities(units, starts, one[near], other[near], matches)
    return jaccard, pa.array(edits, from_pandas=True)


def jaccard_similarities(
    units: np.ndarray, starts: np.ndarray, left: np.ndarray, right: np.ndarray, n: int
) -> np.ndarray:
    """Jaccard similarities of pairs of documents.

    Parameters
    ----------
    units : unsigned integers
    starts : int64, (documents + 1,); document i has ``units[starts[i]:starts[i + 1]]``
    left, right : int64, (pairs,), the documents of each pair
    n : units a shingle

    Returns
    -------
    float64, (pairs,): size of the intersection over that of the union of the sets of shingles; 0 for two empty ones
    """
    hashes, begins = shingle_hashes(units, starts, n)
    sizes = np.empty(len(starts) - 1, np.int64)
    sort_sets(hashes, begins, sizes)
    shared = count_shared(hashes, begins, sizes, left, right)
    return shared / np.maximum(1, sizes[left] + sizes[right] - shared)


def edit_similarities(
    units: np.ndarray, starts: np.ndarray, left: np.ndarray, right: np.ndarray, matches: np.ndarray
) -> np.ndarray:
    """Edit similarities of pairs of documents: 1 - distance / length of the longer one (Lee et al., section 4.2).

    Parameters
    ----------
    units, starts, left, right : as of ``jaccard_similarities``
    matches : uint64, (``DIRECT_UNITS``,), zeros

    Returns
    -------
    float64, (pairs,): 1 for two empty ones; NaN where it would take more than ``MOST_STEPS``
    """
    if units.dtype.itemsize > 2:
        known, units = np.unique(units, return_inverse=True)
        matches = matches if len(known) <= len(matches) else np.zeros(len(known), np.uint64)
    distances = edit_distances(units, starts, left, right, matches, MOST_STEPS)
    sizes = np.diff(starts)
    longest = np.maximum(sizes[left], sizes[right])
    similarities = np.ones(len(left))
    np.divide(longest - distances, longest, out=similarities, where=longest > 0)
    return np.where(distances < 0, np.nan, similarities)

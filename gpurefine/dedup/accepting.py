"""Scores to clusters at a threshold: pairs that are similar enough are edges, and tell why their documents are members.

What a run does once can be done again at another threshold: the scores and the metadata of all documents that have a
candidate stay with it, and no text is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpurefine.dedup.columnfile import ColumnWriter
from gpurefine.dedup.members import WRITE_ROWS
from gpurefine.dedup.rowgroups import SEARCHED_ROW_GROUP_BYTES, row_groups
from gpurefine.dedup.scoring import FLOOR, SCORE_SCHEMA
from gpurefine.write import TableWriter

#: Greatest similarities of a member to those it was compared with, where they are above the thresholds.
SIMILARITIES = [pa.field("jaccard", pa.float64()), pa.field("edit", pa.float64())]
EVIDENCE_SCHEMA = pa.schema([pa.field("document", pa.uint64(), False), *SIMILARITIES])


@dataclass(frozen=True)
class Thresholds:
    """What two documents must exceed to be duplicates.

    Attributes
    ----------
    jaccard : of the Jaccard similarity of their sets of shingles, ``FLOOR`` or more
    edit : of their edit similarity; None where it does not count
    """

    jaccard: float
    edit: float | None = None

    def accept(self, jaccard: pa.ChunkedArray, edit: pa.ChunkedArray) -> pa.ChunkedArray:
        """Whether pairs of such similarities are duplicates; an edit similarity that was not measured is no reason."""
        similar = pc.greater(jaccard, pa.scalar(self.jaccard))
        if self.edit is None:
            return similar
        return pc.and_(similar, pc.fill_null(pc.greater(edit, pa.scalar(self.edit)), True))


def threshold_problem(name: str, value: float) -> str | None:
    """One sentence if a threshold cannot be asked for, else None.

    Parameters
    ----------
    name : ``jaccard`` or ``edit``
    value : the threshold
    """
    least = FLOOR if name == "jaccard" else 0.0
    if least <= value <= 1.0:
        return None
    return f"{name} is {value}, and must be from {least} to 1: pairs below are not scored"


def accept(scores_path: Path, thresholds: Thresholds, evidence_path: Path, edges_path: Path) -> dict[str, int]:
    """Find the pairs that are similar enough.

    Parameters
    ----------
    scores_path : what ``score_candidates`` wrote
    thresholds : what is enough
    evidence_path : Parquet file of ``EVIDENCE_SCHEMA``, a row for each end of a pair, in runs sorted by document; it is
        whole before the edges are
    edges_path : edge file (``ColumnFile`` with columns left, right) of document numbers

    Returns
    -------
    ``edges`` written

    Raises
    ------
    DamagedFileError
        if the scores are damaged
    """
    edges = 0
    with (
        ColumnWriter(edges_path, ["left", "right"]) as edge_writer,
        TableWriter(evidence_path, EVIDENCE_SCHEMA, SEARCHED_ROW_GROUP_BYTES) as writer,
    ):
        for scores in row_groups(scores_path, SCORE_SCHEMA.names):
            near = scores.filter(thresholds.accept(scores["jaccard"], scores["edit"]))
            edge_writer.write_slice([[np.asarray(near[side])] for side in ("left", "right")])
            edges += near.num_rows
            ends = [near.select([side, "jaccard", "edit"]).rename_columns(EVIDENCE_SCHEMA.names)
                    for side in ("left", "right")]  # fmt: skip
            run = pa.concat_tables(ends).cast(EVIDENCE_SCHEMA).sort_by("document")
            for begin in range(0, run.num_rows, WRITE_ROWS):
                writer.write(run.slice(begin, WRITE_ROWS))
        writer.close({"edges": edges})
    return {"edges": edges}


def label_members(
    labels_path: Path, known_path: Path, evidence_paths: Sequence[Path], out_path: Path
) -> dict[str, int]:
    """Write the members of clusters that are among some documents, with what made them members.

    Parameters
    ----------
    labels_path : what ``connect`` made of the accepted edges
    known_path : what ``gather_members`` wrote of documents with candidates, of some neighbouring partitions
    evidence_paths : of all tasks of ``accept``
    out_path : a Parquet file as of ``gather_members``, with the columns of ``SIMILARITIES`` too

    Returns
    -------
    ``members`` written and their ``bytes`` in memory; they are in the footer

    Raises
    ------
    DamagedFileError
        if a file is damaged
    """
    documents = _column(known_path, "document")
    span = (int(documents.min()), int(documents.max()) + 1) if len(documents) else (0, 0)
    labelled, roots = _column(labels_path, "document", span), _column(labels_path, "root", span)
    similarities = best_similarities(labelled, evidence_paths, span)
    counts = {"members": 0, "bytes": 0}
    known_schema = pq.read_schema(known_path).remove_metadata()
    schema = pa.schema([*known_schema, *SIMILARITIES])
    with TableWriter(out_path, schema, SEARCHED_ROW_GROUP_BYTES) as writer:
        for known in row_groups(known_path, known_schema.names):
            numbers = np.asarray(known["document"])
            places = np.searchsorted(labelled, numbers)
            there = np.flatnonzero(labelled[np.minimum(places, len(labelled) - 1)] == numbers) if len(labelled) else []
            order = np.argsort(roots[places[there]], kind="stable")
            rows, of_rows = np.asarray(there, np.int64)[order], places[there][order]
            members = known.take(pa.array(rows))
            members = members.set_column(0, known_schema.field("root"), pa.array(roots[of_rows]))
            for field, values in zip(SIMILARITIES, similarities, strict=True):
                members = members.append_column(field, values.take(pa.array(of_rows)))
            counts["members"] += members.num_rows
            counts["bytes"] += members.nbytes
            for begin in range(0, members.num_rows, WRITE_ROWS):
                writer.write(members.slice(begin, WRITE_ROWS))
        writer.close(counts)
    return counts


def best_similarities(
    documents: np.ndarray, evidence_paths: Sequence[Path], span: tuple[int, int]
) -> tuple[pa.Array, pa.Array]:
    """The greatest Jaccard similarity that made each document a member, and the edit similarity of that pair.

    Parameters
    ----------
    documents : uint64, (n,), rising
    evidence_paths : what ``accept`` wrote
    span : first number of a document, and the one behind the last

    Returns
    -------
    float64, (n,) each; of equal Jaccard similarities the one with the greater edit similarity, null where none is known
    """
    best = np.full((2, len(documents)), -1.0)
    for path in evidence_paths:
        for table in row_groups(path, EVIDENCE_SCHEMA.names, "document", *span):
            numbers = np.asarray(table["document"])
            places = np.searchsorted(documents, numbers)
            found = np.stack([np.asarray(pc.fill_null(table[field.name], -1.0)) for field in SIMILARITIES])
            # the last row of a document is its best one
            order = np.lexsort((found[1], found[0], places))
            places, found = places[order], found[:, order]
            last = np.flatnonzero(np.r_[places[1:] != places[:-1], True])
            places, found = places[last], found[:, last]
            held = best[:, places]
            better = (found[0] > held[0]) | ((found[0] == held[0]) & (found[1] > held[1]))
            best[:, places[better]] = found[:, better]
    return pa.array(best[0], mask=best[0] < 0), pa.array(best[1], mask=best[1] < 0)


def _column(path: Path, name: str, span: tuple[int, int] | None = None) -> np.ndarray:
    """A column of a table, of documents in a range or of all."""
    groups = row_groups(path, [name]) if span is None else row_groups(path, ["document", name], "document", *span)
    return np.concatenate([np.empty(0, np.uint64), *(np.asarray(group[name]) for group in groups)])

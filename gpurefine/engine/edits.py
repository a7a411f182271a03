"""What the last dedup said of documents, applied as they are loaded: removals, or spans that are taken out of texts.

This is the first thing that happens to a partition of a later step. Both are found by the row of a document in the file
of the step before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpurefine.dedup.pieces import Edit, Spans
from gpurefine.dedup.removals import read_removals
from gpurefine.dedup.spanfiles import read_spans, spans_of_rows
from gpurefine.documents import REMOVED_SCHEMA, ROW_BITS, TEXT, Batch
from gpurefine.engine.chain import removal_table
from gpurefine.frames import arrow_array, take, to_arrow, to_host_frame
from gpurefine.stages.base import SpanStage

#: A span that a dedup found in a document: its first character and the one behind its last, in code points of the text
#: as the stage met it, whether the document left for it, and the characters themselves.
SPAN_SCHEMA = pa.schema(
    [
        pa.field("id", TEXT),
        pa.field("file", TEXT),
        pa.field("offset", pa.int64()),
        pa.field("stage", TEXT),
        pa.field("first", pa.int64()),
        pa.field("last", pa.int64()),
        pa.field("document_removed", pa.bool_()),
        pa.field("text", TEXT),
    ]
)


#: Rules of a document of which another one stays: one of this run, or of an old run, which is the evidence.
DUPLICATE, AGAINST = "duplicate", "against"


@dataclass
class Loaded:
    """Documents on their way into a step.

    Attributes
    ----------
    batch : those that go on
    removed : rows of ``REMOVED_SCHEMA`` for those that do not
    spans : rows of ``SPAN_SCHEMA``
    edited : documents that have spans
    """

    batch: Batch
    removed: pa.Table
    spans: pa.Table
    edited: int = 0


def unchanged(batch: Batch, removed: pa.Table | None = None) -> Loaded:
    """A batch of which a dedup said nothing."""
    return Loaded(batch, REMOVED_SCHEMA.empty_table() if removed is None else removed, SPAN_SCHEMA.empty_table())


class Removals:
    """The removals of the last dedup that concern one partition.

    Parameters
    ----------
    name : of the dedup stage
    paths : all tables of removals
    source : the partition
    keep_text : whether removals carry texts
    threshold : of the similarity that a verified dedup tells instead of the size of the cluster
    """

    def __init__(
        self, name: str, paths: Sequence[str], source: int, keep_text: bool, threshold: float | None = None
    ) -> None:
        self._name, self._keep_text = name, keep_text
        self._measure, self._limit = ("members", 1.0) if threshold is None else ("similarity", threshold)
        self._table = read_removals([Path(path) for path in paths], source)
        documents = np.asarray(self._table["document"], dtype=np.uint64)
        self._rows = (documents & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)

    def apply(self, batch: Batch, first_row: int) -> Loaded:
        """The batch, which starts at ``first_row``, without the removed documents."""
        low, high = np.searchsorted(self._rows, [first_row, first_row + len(batch)])
        gone = np.zeros(len(batch), bool)
        gone[self._rows[low:high] - first_row] = True
        cut = self._table.slice(low, high - low)
        said = {
            "stage": pa.repeat(self._name, len(cut)),
            "rule": pc.if_else(pc.is_valid(cut["run"]), AGAINST, DUPLICATE),
            "value": cut[self._measure],
            "limit": pa.repeat(self._limit, len(cut)),
            "cluster": cut["cluster"],
            "survivor": cut["survivor"],
            "evidence": cut["run"],
        }
        return unchanged(batch.keep(~gone), removal_table(batch, gone, said, self._keep_text))


class SpanEdits:
    """The spans that the last dedup found in the documents of one partition.

    Parameters
    ----------
    stage, tool : the dedup stage and what it keeps open
    path, part : the file of spans and the partition's slice there
    keep_text : whether spans and removals carry texts
    annotate : tell the spans and change nothing
    """

    def __init__(self, stage: SpanStage, tool: Any, path: Path, part: int, keep_text: bool, annotate: bool) -> None:
        self._stage, self._tool, self._keep_text, self._annotate = stage, tool, keep_text, annotate
        self._rows, self._bounds = read_spans(path, part)

    def apply(self, batch: Batch, first_row: int) -> Loaded:
        """The batch, which starts at ``first_row``, without its spans as the stage has it."""
        low, high = np.searchsorted(self._rows, [first_row, first_row + len(batch)])
        if low == high:
            return unchanged(batch)
        documents, spans = spans_of_rows(self._rows[low:high] - first_row, self._bounds[low:high])
        touched = np.zeros(len(batch), bool)
        touched[documents] = True
        # texts are edited on the host: few documents have spans
        edited = Batch(to_host_frame(take(batch.frame, touched)))
        edit = self._stage.edit(edited, spans, self._tool)
        leaves = np.array([rule is not None for rule in edit.rules]) & (not self._annotate)
        told = span_table(self._stage.name, edited, spans, edit, leaves, self._keep_text)
        if self._annotate:
            return Loaded(batch, REMOVED_SCHEMA.empty_table(), told, len(documents))
        gone = np.zeros(len(batch), bool)
        gone[documents[leaves]] = True
        removed = removal_table(batch, gone, self._said(edit, leaves), self._keep_text)
        return Loaded(_with_texts(batch, touched, edit.texts).keep(~gone), removed, told, len(documents))

    def _said(self, edit: Edit, leaves: np.ndarray) -> dict[str, pa.Array]:
        return {
            "stage": pa.repeat(self._stage.name, int(leaves.sum())),
            "rule": pa.array([rule for rule, gone in zip(edit.rules, leaves, strict=True) if gone], TEXT),
            "value": pa.array(edit.values[leaves], pa.float64(), from_pandas=True),
            "limit": pa.array(edit.limits[leaves], pa.float64(), from_pandas=True),
        }


def span_table(name: str, batch: Batch, spans: Spans, edit: Edit, leaves: np.ndarray, keep_text: bool) -> pa.Table:
    """Rows of ``SPAN_SCHEMA``.

    Parameters
    ----------
    name : of the stage
    batch : n documents with spans, as they were
    spans, edit : of these
    leaves : bool, (n,), whether the document is removed
    keep_text : whether the characters of spans are told
    """
    documents = np.repeat(np.arange(len(batch)), np.diff(spans.starts))
    places = to_arrow(batch.frame, pa.schema([SPAN_SCHEMA.field(each) for each in ("id", "file", "offset")]))
    columns = places.take(pa.array(documents))
    said = {
        "stage": pa.array([name] * len(documents), TEXT),
        "first": pa.array(edit.characters[:, 0], pa.int64()),
        "last": pa.array(edit.characters[:, 1], pa.int64()),
        "document_removed": pa.array(leaves[documents]),
        "text": _characters(batch, documents, edit.characters) if keep_text else pa.nulls(len(documents), TEXT),
    }
    made = {**dict(zip(columns.column_names, columns.columns, strict=True)), **said}
    return pa.table([made[field.name] for field in SPAN_SCHEMA], schema=SPAN_SCHEMA)


def _characters(batch: Batch, documents: np.ndarray, characters: np.ndarray) -> pa.Array:
    """The characters of each span."""
    texts = arrow_array(batch.frame["text"]).to_pylist()
    return pa.array(
        [(texts[document] or "")[first:last] for document, (first, last) in zip(documents, characters, strict=True)],
        TEXT,
    )


def _with_texts(batch: Batch, touched: np.ndarray, texts: pa.Array) -> Batch:
    """The batch with other texts in some rows."""
    old = arrow_array(batch.frame["text"]).cast(TEXT)
    return batch.with_columns(text=pc.replace_with_mask(old, pa.array(touched), texts.cast(TEXT)))

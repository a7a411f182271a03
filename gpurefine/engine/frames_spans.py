"""The dedups that look inside documents, over the partitions of a frame: emit -> collide -> spans -> edit.

They are those of a run, in a scratch folder that lives as long as one call. Keys, or tokens, are written there. The
spans are held in memory, and each partition is edited by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from gpurefine.dedup.collisions import CollisionTask
from gpurefine.dedup.keys import slice_rows
from gpurefine.dedup.marks import MARK_PARTITIONS
from gpurefine.dedup.piececollisions import collide_pieces, plan_pieces
from gpurefine.dedup.piecekeys import PieceKeyWriter, copies_inside, document_starts
from gpurefine.dedup.pieces import Edit, Spans
from gpurefine.dedup.spanfiles import find_spans, read_spans, span_slice, spans_of_rows
from gpurefine.dedup.tokenfile import TokenFile, TokenWriter
from gpurefine.dedup.windows import collide_windows, plan_windows
from gpurefine.documents import TEXT, Batch
from gpurefine.engine.emit import has_order, pieces_of
from gpurefine.engine.frames_emit import SCOPE, Columns, Emitted, ToolPool, checked_pieces, keys_path, with_scope
from gpurefine.engine.frames_input import text_array
from gpurefine.engine.frames_phases import Runner
from gpurefine.frames import arrow_array, assign, to_host_frame
from gpurefine.stages.base import SpanStage

if TYPE_CHECKING:
    import pandas as pd

    from gpurefine.frames import Frame

#: The columns that a frame has more than it had.
NEW_COLUMNS = ("keep", "reason", "spans", "edited")

#: Characters of a text, first and the one behind the last, in code points.
SPANS = pa.list_(pa.struct([pa.field("first", pa.int64()), pa.field("last", pa.int64())]))


@dataclass(frozen=True)
class FoundSpans:
    """The spans of a partition: rows, int64, (k,), and bounds, int64, (k, 2), as ``spanfiles.read_spans`` has them."""

    rows: np.ndarray
    bounds: np.ndarray


def emit_pieces(
    frame: Frame, columns: Columns, stage: SpanStage, seed: int, partition: int, folder: Path, pool: ToolPool
) -> Emitted:
    """Write the pieces of a partition.

    Parameters
    ----------
    frame : the partition
    columns : which of its columns are read; without an id, rows are named by their position in the partition
    stage, seed : the kind, and the seed of what stays
    partition : its number, from 0
    folder : where its files go
    pool : the stage's tools

    Raises
    ------
    InputError
        if a column does not hold what it should
    """
    checksum, row = xxhash.xxh3_64(), 0
    path, pieces_path = keys_path(folder, partition), _pieces_path(folder, partition)
    if stage.of_tokens:
        writer: TokenWriter | PieceKeyWriter = TokenWriter(path, has_order(stage), stage.scope is not None)
    else:
        writer = PieceKeyWriter(path, pieces_path, partition, has_order(stage))
    with pool.tools() as tools, writer:
        for part, texts, ids in checked_pieces(frame, columns, checksum):
            batch = with_scope(_batch(part, texts, ids, columns, row), part, columns)
            row += len(batch)
            for pieces, order in pieces_of(stage, batch, seed, tools.tool(stage), SCOPE):
                if stage.of_tokens:
                    writer.add(pieces.tokens, pieces.starts, order, pieces.salts)
                else:
                    writer.add(pieces, order)
    return Emitted(len(frame), checksum.intdigest())


def find_frame_spans(
    stage: SpanStage, emitted: Sequence[Emitted], folder: Path, run: Runner, budget: int, tasks: int
) -> list[FoundSpans]:
    """All phases after ``emit_pieces``.

    Parameters
    ----------
    stage : the kind
    emitted : what ``emit_pieces`` returned for partitions 0, 1, ...
    folder : the scratch folder
    run : makes the calls of a phase
    budget : bytes for a call
    tasks : calls that may run at a time

    Returns
    -------
    The spans of each partition
    """
    count = len(emitted)
    paths = [keys_path(folder, number) for number in range(count)]
    keep_one = stage.keep != "none"
    if stage.of_tokens:
        groups = plan_windows(sum(TokenFile(path).tokens for path in paths), budget, tasks)
        marks = [folder / f"marks-{number:06d}" for number in range(len(groups))]
        run(
            [
                (
                    collide_windows,
                    (group, paths, range(count), stage.key_length, keep_one, mark, _scratch(mark), budget, count),
                )
                for group, mark in zip(groups, marks, strict=True)
            ]
        )
    else:
        planned = plan_pieces(slice_rows(paths), has_order(stage), budget, tasks)
        marks = [folder / f"marks-{number:06d}" for number in range(len(planned))]
        run(
            [
                (collide_pieces, (CollisionTask(task.first, task.last), paths, mark, count, keep_one, budget))
                for task, mark in zip(planned, marks, strict=True)
            ]
        )
    groups_of = [range(first, min(first + MARK_PARTITIONS, count)) for first in range(0, count, MARK_PARTITIONS)]
    found = [folder / f"spans-{number:06d}" for number in range(len(groups_of))]
    run(
        [
            (_spans_of_group, (folder, stage.of_tokens, marks, number, group, stage.key_length, path, budget))
            for number, (group, path) in enumerate(zip(groups_of, found, strict=True))
        ]
    )
    return [FoundSpans(*read_spans(*span_slice([str(path) for path in found], number))) for number in range(count)]


def _spans_of_group(
    folder: Path, of_tokens: bool, marks: list[Path], number: int, group: range, length: int, path: Path, budget: int
) -> None:
    if of_tokens:
        starts = [TokenFile(keys_path(folder, each)).document_starts() for each in group]
        again = [np.empty(0, np.uint64) for _ in group]
    else:
        starts = [document_starts(_pieces_path(folder, each)) for each in group]
        again = [copies_inside(_pieces_path(folder, each)) for each in group]
    find_spans(marks, number, group, starts, again, length, path, budget)


def edit_partition(frame: Frame, columns: Columns, stage: SpanStage, found: FoundSpans, pool: ToolPool) -> Frame:
    """A partition with the columns of ``NEW_COLUMNS``.

    Parameters
    ----------
    frame : the partition
    columns, stage, pool : as of ``emit_pieces``
    found : its spans
    """
    texts, reasons, spans = [pa.array([], TEXT)], [pa.array([], TEXT)], [pa.array([], SPANS)]
    row = 0
    with pool.tools() as tools:
        for part, own, ids in checked_pieces(frame, columns):
            batch = _batch(part, own, ids, columns, row)
            low, high = np.searchsorted(found.rows, [row, row + len(batch)])
            documents, of_rows = spans_of_rows(found.rows[low:high] - row, found.bounds[low:high])
            edited = _edited(stage, batch, documents, of_rows, tools.tool(stage))
            for column, values in zip((texts, reasons, spans), edited, strict=True):
                column.append(values)
            row += len(batch)
    reason = pa.concat_arrays(reasons)
    return assign(
        frame,
        {
            "keep": np.asarray(reason.is_null()),
            "reason": reason,
            "spans": pa.concat_arrays(spans),
            "edited": pa.concat_arrays(texts),
        },
    )


def _edited(
    stage: SpanStage, batch: Batch, documents: np.ndarray, spans: Spans, tool: Any
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Text, reason and spans of each row of a batch."""
    texts = arrow_array(batch.frame["text"]).cast(TEXT)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if not len(documents):
        return texts, pa.nulls(len(batch), TEXT), pa.array([[]] * len(batch), SPANS)
    touched = np.zeros(len(batch), bool)
    touched[documents] = True
    edit: Edit = stage.edit(batch.keep(touched), spans, tool)
    mask = pa.array(touched)
    reasons = pa.array([None if rule is None else f"{stage.name}:{rule}" for rule in edit.rules], TEXT)
    counts = np.zeros(len(batch), np.int64)
    counts[documents] = np.diff(spans.starts)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    bounds = pa.StructArray.from_arrays(
        [pa.array(edit.characters[:, 0], pa.int64()), pa.array(edit.characters[:, 1], pa.int64())], ["first", "last"]
    )
    return (
        pc.replace_with_mask(texts, mask, edit.texts.cast(TEXT)),
        pc.replace_with_mask(pa.nulls(len(batch), TEXT), mask, reasons),
        pa.ListArray.from_arrays(offsets, bounds).cast(SPANS),
    )


def _batch(part: Frame, texts: Frame, ids: pd.Series | None, columns: Columns, row: int) -> Batch:
    """Documents of some rows of a frame, on the host, with what decides which copy stays."""
    named = arrow_array(ids) if ids is not None else pa.array(np.arange(row, row + len(part))).cast(TEXT)
    batch = Batch(to_host_frame(texts)).with_columns(id=named)
    if columns.url is not None:
        batch = batch.with_columns(url=text_array(part[columns.url], columns.url, "url"))
    return batch


def _pieces_path(folder: Path, partition: int) -> Path:
    return folder / f"{partition:06d}.pieces"


def _scratch(mark: Path) -> Path:
    return mark.with_name(f"{mark.name}-windows")

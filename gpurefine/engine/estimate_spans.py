"""What a dedup inside documents will write, read and hold, estimated from a sample of texts. For ``gpurefine plan``."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gpurefine.dedup.keys import SLICES
from gpurefine.dedup.piececollisions import plan_pieces
from gpurefine.dedup.windows import READS, plan_windows
from gpurefine.documents import Batch
from gpurefine.engine.emit import has_order
from gpurefine.engine.phases import JOINED_KEY_FILE
from gpurefine.engine.run import Prepared
from gpurefine.engine.tools import StageTools
from gpurefine.frames import from_arrow
from gpurefine.read.batches import SplitCounts
from gpurefine.read.inputs import InputFile
from gpurefine.read.jsonl import read_lines
from gpurefine.read.tables import count_rows, read_table
from gpurefine.stages.base import SpanStage

#: Texts that are looked at, of the first table.
SAMPLE_TEXTS = 4096
#: Bytes of a token in a file.
TOKEN_BYTES = 2
#: Share of windows that is assumed to have copies, for the room that they take.
ASSUMED_COPIES = 0.25
#: Pieces of a web page, where there are no texts yet to be looked at.
ASSUMED_TOKENS, ASSUMED_LINES = 700, 25


@dataclass(frozen=True)
class SpanEstimate:
    """What a dedup inside documents is estimated at.

    Attributes
    ----------
    lines : what the plan says of it
    work_bytes : bytes a document in ``work/``
    """

    lines: tuple[str, ...]
    work_bytes: int


def estimate_spans(prepared: Prepared, stage: SpanStage, documents: int, partitions: int, budget: int) -> SpanEstimate:
    """Bytes and tasks of one dedup.

    Parameters
    ----------
    prepared : the run
    stage : the dedup
    documents, partitions : at most, of the step before
    budget : bytes of a task
    """
    pieces, whence = pieces_a_document(prepared, stage)
    unit = "tokens" if stage.of_tokens else "pieces"
    head = f"  {stage.name}: some {pieces:,.1f} {unit} a document ({whence}): "
    if stage.of_tokens:
        return _windows(stage, head, pieces, documents, budget, prepared.workers)
    return _stored_keys(stage, head, pieces, documents, partitions, budget, prepared.workers)


def _windows(stage: SpanStage, head: str, tokens: float, documents: int, budget: int, workers: int) -> SpanEstimate:
    groups = plan_windows(round(tokens * documents), budget, workers)
    token_bytes = TOKEN_BYTES * tokens + 8 + (8 if has_order(stage) else 0) + (0 if stage.scope is None else 16)
    window_bytes = 32 if has_order(stage) else 24
    reads = READS * len(groups)
    windows = max(0.0, tokens - stage.key_length + 1)
    passed = passing_share(windows * documents / len(groups) / (1 << groups[0].slot_bits)) * windows
    line = (
        f"{head}{token_bytes:,.0f} bytes a document, written once, then read {reads} times ({READS} times by each of "
        f"{len(groups)} collide tasks); of each window with a copy, and of some {passed:.1f} others a document, "
        f"{window_bytes} bytes more, written once and read twice, and 8 for each that leaves"
    )
    return SpanEstimate((line,), round(token_bytes + window_bytes * ASSUMED_COPIES * tokens))


def passing_share(load: float) -> float:
    """Share of the windows that occur once which both filters let through: each meets another one in both.

    ``load`` is windows for each slot of the first filter; those it lets through are the load of the second.
    """
    first = 1 - math.exp(-load)
    return first * (1 - math.exp(-load * first))


def _stored_keys(
    stage: SpanStage, head: str, pieces: float, documents: int, partitions: int, budget: int, workers: int
) -> SpanEstimate:
    row_bytes = 32 if has_order(stage) else 24
    key_bytes = row_bytes * pieces + 8
    rows = np.full(SLICES, int(-(-documents * pieces // SLICES)), np.int64)
    tasks = plan_pieces(rows, has_order(stage), budget, workers)
    reads = 2 * max((task.passes for task in tasks), default=1)
    joined = partitions > 1 and key_bytes * documents / partitions < JOINED_KEY_FILE / 2
    times = "twice (small files are joined)" if joined else "once"
    line = (
        f"{head}{key_bytes:,.0f} bytes of keys a document, written {times}, then read {reads} times; "
        f"collide tasks: {len(tasks)}"
    )
    return SpanEstimate((line,), round(key_bytes * (2 if joined else 1)))


def pieces_a_document(prepared: Prepared, stage: SpanStage) -> tuple[float, str]:
    """Mean pieces a document, and where the number is from."""
    texts = sample_texts(prepared)
    counted = 0
    found = 0
    tools = StageTools(prepared.resources, prepared.provided)
    try:
        for batch in texts:
            starts = stage.pieces(batch, tools.tool(stage)).starts
            counted, found = counted + len(starts) - 1, found + int(starts[-1])
    finally:
        tools.teardown()
    if counted:
        return found / counted, f"as in {counted:,} of the first"
    return (ASSUMED_TOKENS if stage.of_tokens else ASSUMED_LINES), "assumed"


def sample_texts(prepared: Prepared, texts: int = SAMPLE_TEXTS) -> Iterator[Batch]:
    """So many of the first texts of the first table or file of lines that has some; none of WARC files."""
    left = texts
    for file in prepared.inputs:
        with contextlib.closing(_first_documents(file, texts, prepared)) as tables:
            for table in tables:
                yield Batch(from_arrow(table.slice(0, left)))
                left -= table.num_rows
                if left <= 0:
                    return
        if left < texts:
            return


def _first_documents(file: InputFile, rows: int, prepared: Prepared) -> Iterator[pa.Table]:
    """Documents of the beginning of a file that has texts; more than so many may come."""
    given = prepared.pipeline.input, prepared.others, SplitCounts()
    if file.kind == "parquet":
        yield from read_table(file, 0, min(rows, count_rows(file)), *given)
    elif file.kind == "jsonl":
        yield from (batch.pages for batch in read_lines(file, 0, file.size, *given) if batch.pages.num_rows)

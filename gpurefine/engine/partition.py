"""One task of a run: a partition through a step. This runs on a worker; it takes paths and returns counts.

    read or load -> apply the last dedup's removals -> map stages -> write kept, removed, stats, keys

The file of kept documents is written last and names its siblings with their sizes, so a partition is done exactly
when that file is whole and its siblings are there.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpurefine.config import OutputOptions
from gpurefine.dedup.hashing import text_digests
from gpurefine.dedup.policies import TEXT_LENGTH, best_column, text_lengths
from gpurefine.dedup.spanfiles import span_slice
from gpurefine.documents import DOCUMENT_SCHEMA, REFINED_SCHEMA, REMOVED_SCHEMA, Batch
from gpurefine.engine.chain import STATS_SCHEMA, run_chain
from gpurefine.engine.edits import SPAN_SCHEMA, Loaded, Removals, SpanEdits, unchanged
from gpurefine.engine.emit import KeyCollector, device_tables, read_documents
from gpurefine.engine.fitting import in_fitting_pieces
from gpurefine.engine.plan import Partition, Step
from gpurefine.engine.reading import read_input, stages_for
from gpurefine.engine.store import RunStore
from gpurefine.engine.tools import StageTools
from gpurefine.errors import RunError
from gpurefine.frames import from_arrow, text_buffers, to_arrow
from gpurefine.read.batches import SplitCounts
from gpurefine.read.inputs import InputFile
from gpurefine.read.options import InputOptions
from gpurefine.read.parts import Part
from gpurefine.stages.base import SpanStage
from gpurefine.write import TableWriter, read_footer

#: Kept documents of a step that a dedup follows also carry the hash of their text, for ties between survivors.
TEXT_HASH = pa.field("text_hash", pa.binary(16))

NO_OTHERS = pa.schema([])


@dataclass(frozen=True)
class PartitionTask:
    """All that a worker must know to process one partition.

    Attributes
    ----------
    root : the run directory
    fingerprint : of the run; stands in the footers, so that files of another run are never taken for done
    step, partition : what to do
    file : the input file of a partition of step 0
    removal_paths : tables of removals, or files of spans, that the dedup before this step left
    input, output, annotate, seed : of the pipeline
    others : columns that documents have beside those of ``DOCUMENT_SCHEMA``, from tables
    part : the part of the crawl that is refined, None for all of it
    on_device : whether batches are frames on the worker's GPU
    """

    root: str
    fingerprint: str
    step: Step
    partition: Partition
    file: InputFile | None
    removal_paths: tuple[str, ...]
    input: InputOptions
    output: OutputOptions
    annotate: bool
    seed: int
    others: pa.Schema = NO_OTHERS
    part: Part | None = None
    on_device: bool = False


@dataclass
class Counts:
    """What a partition held and what became of it; the footer of its file of kept documents.

    ``records`` = ``kept`` + all of ``removed``. Bytes are of UTF-8 text, seconds of wall time. Spans are those that the
    dedup before found, span documents have one or more. ``noted`` is what stages counted beside removals.
    """

    fingerprint: str
    step: int
    partition: int
    start: int | None = None
    records: int = 0
    kept: int = 0
    removed: dict[str, int] | None = None
    skipped: dict[str, int] | None = None
    noted: dict[str, int] | None = None
    truncated: int = 0
    input_bytes: int = 0
    text_bytes: int = 0
    tokens: int = 0
    span_documents: int = 0
    spans: int = 0
    span_characters: int = 0
    first_start: int | None = None
    last_end: int | None = None
    siblings: dict[str, int] | None = None
    seconds: float = 0.0
    peak_memory: int = 0


def done(task: PartitionTask) -> dict[str, Any] | None:
    """The counts of a partition that is finished already, else None."""
    store = RunStore(task.root)
    path = store.documents(task.step.index, task.partition.index, task.step.last)
    counts = read_footer(path)
    if counts is None or counts.get("fingerprint") != task.fingerprint or counts.get("start") != task.partition.start:
        return None
    for name, size in counts["siblings"].items():
        sibling = store.root / name
        if not sibling.exists() or sibling.stat().st_size != size:
            return None
    return counts


def process_partition(task: PartitionTask, tools: StageTools) -> dict[str, Any]:
    """Process one partition of a step and write its files.

    Returns
    -------
    The fields of ``Counts``.

    Raises
    ------
    RunError
        when kept + removed is not the number of records read
    """
    began = time.monotonic()
    store, step = RunStore(task.root), task.step
    stages = stages_for(step.map_stages, task.file)
    counts = Counts(task.fingerprint, step.index, task.partition.index, task.partition.start)
    removed: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    paths = {"removed": store.removed(step.index, task.partition.index)}
    if task.output.stats:
        paths["stats"] = store.stats(step.index, task.partition.index)
    if isinstance(step.dedup_before, SpanStage):
        paths["spans"] = store.spans(step.index, task.partition.index)
    with contextlib.ExitStack() as stack:
        kept_path = store.documents(step.index, task.partition.index, step.last)
        kept_writer = stack.enter_context(TableWriter(kept_path, kept_schema(task)))
        removed_writer = stack.enter_context(TableWriter(paths["removed"], REMOVED_SCHEMA))
        stats_writer = stack.enter_context(TableWriter(paths["stats"], STATS_SCHEMA)) if "stats" in paths else None
        spans_writer = stack.enter_context(TableWriter(paths["spans"], SPAN_SCHEMA)) if "spans" in paths else None
        keys = stack.enter_context(KeyCollector(step.emits, store, step.index, task.partition.index, task.seed, tools))
        for loaded in _batches(task, counts, tools):
            if spans_writer is not None:
                spans_writer.write(loaded.spans)
                _count_spans(counts, loaded)
            result = run_chain(
                stages,
                tools,
                loaded.batch,
                annotate=task.annotate,
                stats=task.output.stats,
                removed_text=task.output.removed_text,
            )
            for table in (loaded.removed, *result.removed):
                removed_writer.write(table)
                _count_rules(removed, table)
            noted.update(result.noted)
            for table in result.stats if stats_writer is not None else ():
                stats_writer.write(table)
            if len(result.kept):
                keys.add(result.kept)
                write_kept(kept_writer, result.kept, step, task, tools, counts)
        counts.kept, counts.removed = kept_writer.rows, dict(sorted(removed.items()))
        counts.noted = dict(sorted(noted.items()))
        _check_conservation(counts)
        siblings = {paths["removed"]: removed_writer.close({"fingerprint": task.fingerprint})}
        for name, writer in (("stats", stats_writer), ("spans", spans_writer)):
            if writer is not None:
                siblings[paths[name]] = writer.close({"fingerprint": task.fingerprint})
        keys.close()
        siblings |= {path: path.stat().st_size for path in keys.paths}
        counts.siblings = {str(path.relative_to(store.root)): size for path, size in siblings.items()}
        counts.seconds = round(time.monotonic() - began, 3)
        counts.peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        kept_writer.close(asdict(counts))
    return asdict(counts)


def _batches(task: PartitionTask, counts: Counts, tools: StageTools) -> Iterator[Loaded]:
    """Batches that enter the map stages, each with the removals made before them."""
    if task.file is None:
        yield from _load(task, counts, tools)
        return
    split = SplitCounts()
    yield from read_input(task, task.file, split)
    counts.records, counts.truncated, counts.input_bytes = split.records, split.truncated, split.bytes
    counts.skipped = dict(sorted(split.skipped.items()))
    counts.first_start, counts.last_end = split.first_start, split.last_end


def _load(task: PartitionTask, counts: Counts, tools: StageTools) -> Iterator[Loaded]:
    store = RunStore(task.root)
    for source in task.partition.sources:
        path = store.documents(task.step.index - 1, source, last=False)
        said = _said_of(task, source, tools)
        row = 0
        tables = read_documents(path, task.fingerprint, _document_schema(task))
        for table in device_tables(tables) if task.on_device else tables:
            counts.records += table.num_rows
            batch = Batch(from_arrow(table, task.on_device))
            yield unchanged(batch) if said is None else said.apply(batch, row)
            row += table.num_rows
        counts.input_bytes += path.stat().st_size


def _said_of(task: PartitionTask, source: int, tools: StageTools) -> Removals | SpanEdits | None:
    """What the last dedup said of a partition of the step before."""
    dedup = task.step.dedup_before
    if isinstance(dedup, SpanStage):
        path, part = span_slice(task.removal_paths, source)
        return SpanEdits(dedup, tools.tool(dedup), path, part, task.output.removed_text, task.annotate)
    # in annotate mode clusters/ tells the duplicates, and all of them go on
    if dedup is None or task.annotate:
        return None
    threshold = None if dedup.thresholds is None else dedup.thresholds.jaccard
    return Removals(dedup.name, task.removal_paths, source, task.output.removed_text, threshold)


def _document_schema(task: PartitionTask) -> pa.Schema:
    """Columns of documents between two steps."""
    return pa.schema([*DOCUMENT_SCHEMA, *task.others])


def kept_schema(task: PartitionTask) -> pa.Schema:
    """Columns of what the task writes."""
    if task.step.last:
        return pa.schema([*REFINED_SCHEMA, *(field for field in task.others if field.name != "n_tokens")])
    documents = _document_schema(task)
    dedup = task.step.dedup_after
    if dedup is None or isinstance(dedup, SpanStage):
        return documents
    asked_for = [TEXT_LENGTH] if best_column(dedup.keep) == TEXT_LENGTH.name else []
    return pa.schema([*documents, TEXT_HASH, *asked_for])


def write_kept(
    writer: TableWriter, batch: Batch, step: Step, task: PartitionTask, tools: StageTools, counts: Counts
) -> None:
    frame = batch.frame
    _, offsets = text_buffers(frame["text"])
    counts.text_bytes += int(offsets[-1] - offsets[0])
    # a column that the frame does not have is null: n_tokens where none are counted, and the hash until it is made
    table = to_arrow(frame, kept_schema(task))
    if step.last and task.output.tokens:
        counted = in_fitting_pieces(lambda piece: tools.tokenizer().count(*text_buffers(piece.frame["text"])), batch)
        tokens = pa.array(np.concatenate(list(counted)), pa.int64())
        counts.tokens += pc.sum(tokens).as_py()
        table = _replace(table, "n_tokens", tokens)
    elif TEXT_HASH.name in table.column_names:
        table = _replace(table, TEXT_HASH.name, text_digests(frame["text"]))
        if TEXT_LENGTH.name in table.column_names:
            table = _replace(table, TEXT_LENGTH.name, text_lengths(table["text"]))
    writer.write(table)


def _replace(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), values)


def _count_spans(counts: Counts, loaded: Loaded) -> None:
    counts.span_documents += loaded.edited
    counts.spans += len(loaded.spans)
    counts.span_characters += pc.sum(pc.subtract(loaded.spans["last"], loaded.spans["first"])).as_py() or 0


def _count_rules(removed: Counter[str], table: pa.Table) -> None:
    for stage, rule in zip(table["stage"].to_pylist(), table["rule"].to_pylist(), strict=True):
        removed[f"{stage}:{rule}"] += 1


def _check_conservation(counts: Counts) -> None:
    removed = sum((counts.removed or {}).values())
    if counts.kept + removed != counts.records:
        raise RunError(
            f"partition {counts.partition} of step {counts.step}: {counts.records} records were read, but "
            f"{counts.kept} kept and {removed} removed; please report this, it must never happen"
        )

"""What a run will need, estimated before it starts: steps, partitions, memory, disk, hours. For ``gpurefine plan``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gpurefine.dedup.candidates import hub_passes
from gpurefine.dedup.collisions import BAND_TASKS, CollisionTask, plan_collisions
from gpurefine.dedup.components import BYTES_A_DOCUMENT as LABEL_BYTES
from gpurefine.dedup.keys import SLICES
from gpurefine.engine.estimate_sample import disk_lines, memory_lines, size_said, time_lines, time_said
from gpurefine.engine.estimate_spans import estimate_spans
from gpurefine.engine.estimate_verify import estimate_verification
from gpurefine.engine.phases import joined_bytes
from gpurefine.engine.plan import MIDDLE_PARTITION, REFINED_FILE, cut_steps, first_partitions, task_memory
from gpurefine.engine.run import Prepared
from gpurefine.engine.sampling import Samples
from gpurefine.read.batches import DOCUMENT_TYPES
from gpurefine.read.extents import row_groups_of
from gpurefine.read.inputs import InputFile
from gpurefine.read.kinds import WITH_TEXTS, Kind
from gpurefine.read.lines import lines_a_byte
from gpurefine.read.parts import parse_part
from gpurefine.read.tables import count_rows
from gpurefine.read.warc import WarcRecord, WarcSplit
from gpurefine.stages.base import DedupStage, SpanStage
from gpurefine.workers import Backend

#: The beginning of the first input is read to learn how large a record is.
SAMPLE_BYTES = 4 << 20

#: Assumptions where nothing is measured: seconds of CPU a page, bytes of Parquet a document that is in work/.
SECONDS_A_PAGE = 0.020
BYTES_A_DOCUMENT = 2_500
#: Of an id in the tables that are kept beside keys; those of WARC files are random numbers.
BYTES_AN_ID = 30
#: Of an edge in an edge file; a collide task writes one a document at most.
BYTES_AN_EDGE = 16


def estimate_lines(
    prepared: Prepared, backend: Backend, samples: Samples | None = None, folder: Path | None = None
) -> Iterator[str]:
    """The plan of a checked run, a line each.

    Parameters
    ----------
    prepared : the run
    backend : on which it would be
    samples : what was measured of its inputs; None: rates and sizes are assumed
    folder : where it would write, default the current directory
    """
    pipeline, inputs = prepared.pipeline, prepared.inputs
    size = sum(file.size for file in inputs)
    parts = 1 if pipeline.input.part is None else parse_part(pipeline.input.part)[1]
    pages, texts = (
        estimate_records([file for file in inputs if (file.kind in WITH_TEXTS) == with_texts]) // parts
        for with_texts in (False, True)
    )
    records = pages + texts
    budget = task_memory(prepared.memory, prepared.workers)
    yield f"{pipeline.name}: {pipeline.description.strip()}"
    extracts = any(file.kind not in WITH_TEXTS for file in inputs)
    page = "page" if extracts else "document"
    unit = f"some {pages:,} pages (going by the beginnings of files)" if extracts else f"{texts:,} documents"
    if extracts and texts:
        unit += f" and {texts:,} documents"
    child = ", an extraction child each" if extracts else ""
    yield f"input: {len(inputs)} files, {size_said(size)}, {unit}"
    yield f"backend: {backend.note}"
    gpus = f", {len(backend.devices)} GPU processes" if backend.gpu else ""
    yield f"workers: {prepared.workers} CPU processes{child}{gpus}; memory budget {size_said(prepared.memory)}"
    steps = cut_steps(pipeline, backend.gpu)
    if samples is not None:
        yield from time_lines(prepared, samples, pages, texts, steps)
    elif extracts:
        yield (
            f"time: extraction on CPU decides: some {SECONDS_A_PAGE * 1000:.0f} ms a page (assumed, not measured), so "
            f"about {time_said(pages * SECONDS_A_PAGE / prepared.workers)} with these workers; a GPU would not shorten "
            "it"
        )
    count, largest = 1, 0
    for step in steps:
        place = " (on GPUs)" if step.device == "GPU" else ""
        names = ", ".join(stage.name for stage in step.map_stages)
        if step.index == 0:
            count = len(first_partitions(inputs, prepared.split_size, row_groups_of(inputs)))
            read = ", ".join(filter(None, ["read", names]))
            yield f"step 0: {read}: {count} partitions of up to {size_said(prepared.split_size)}{place}"
        elif step.follows:
            yield f"step {step.index}: {names}: a partition as soon as it is there{place}"
        else:
            target = REFINED_FILE if step.last else MIDDLE_PARTITION
            before = f"apply {step.dedup_before.name}" if step.dedup_before else "join files"
            done = ", ".join(filter(None, [before, names]))
            yield f"step {step.index}: {done}: files of up to {size_said(target)}{place}"
        if isinstance(step.dedup_after, SpanStage):
            estimate = estimate_spans(prepared, step.dedup_after, records, max(1, count), budget)
            yield from estimate.lines
            largest = max(largest, estimate.work_bytes)
        elif step.dedup_after is not None:
            tasks = _collide_tasks(step.dedup_after, records, budget, prepared.workers)
            yield from _dedup_lines(step.dedup_after, records, max(1, count), budget, prepared.memory, tasks)
            yield from _other_runs_lines(prepared, step.dedup_after, records, tasks)
            # joined key files stand beside those they were made of
            work_bytes = 2 * _key_bytes(step.dedup_after) + BYTES_AN_EDGE * len(tasks)
            if step.dedup_after.thresholds is not None:
                verification = estimate_verification(prepared, step.dedup_after, len(tasks))
                yield verification.line
                work_bytes += verification.work_bytes
            largest = max(largest, work_bytes)
    if samples is not None:
        yield from disk_lines(samples, pages, texts, largest, Path.cwd() if folder is None else folder)
        yield from memory_lines(prepared, samples)
    else:
        parts = f"{BYTES_A_DOCUMENT:,} bytes of text" + (f", up to {largest:,} of keys and edges" if largest else "")
        disk = size_said(records * (BYTES_A_DOCUMENT + largest))
        yield f"disk: some {disk} in work/ while it runs, if every {page} were kept ({parts} each)"
    for stage in pipeline.stages:
        text = stage.warning()
        if text is not None:
            yield f"warning: {stage.name}: {text}"
    for stage, what in prepared.provided.items():
        for name, value in what.items():
            yield f"uses {stage} {name}: {value}"


def estimate_records(inputs: Sequence[InputFile]) -> int:
    """Records in all inputs: rows of tables; of each other kind, by what the beginnings of some of its files hold."""
    files: dict[Kind, list[InputFile]] = {}
    for file in inputs:
        if file.size:
            files.setdefault(file.kind, []).append(file)
    rows = sum(count_rows(file) for file in files.pop("parquet", ()))
    return rows + round(
        sum(_records_a_byte(of_kind) * sum(file.size for file in of_kind) for of_kind in files.values())
    )


def _records_a_byte(files: Sequence[InputFile]) -> float:
    """Records in a byte of files of one kind that have no rows, going by the first, the middle and the last one."""
    chosen = [files[place] for place in sorted({0, len(files) // 2, len(files) - 1})]
    looked_at = sum(file.size for file in chosen)
    return sum(_records_at_the_beginning(file) * file.size for file in chosen) / looked_at


def _records_at_the_beginning(file: InputFile) -> float:
    """Records in a byte of a file's beginning."""
    end = min(SAMPLE_BYTES, file.size)
    if file.kind == "jsonl":
        return lines_a_byte(file.place, end)
    split = WarcSplit(file.place, 0, end, max_block=1 << 16)
    wanted = DOCUMENT_TYPES[file.kind]
    found = sum(isinstance(item, WarcRecord) and item.type == wanted for item in split)
    return found / max(1, split.last_end or end)


def _collide_tasks(dedup: DedupStage, documents: int, budget: int, workers: int) -> list[CollisionTask]:
    """The tasks of a dedup of so many documents, as a run plans them."""
    bands = dedup.key_bands
    slices = bands or SLICES
    rows = np.full(slices, documents if bands else -(-documents // slices), np.int64)
    return plan_collisions(rows, len(dedup.key_columns), budget, bands, max(BAND_TASKS, workers))


def _dedup_lines(
    dedup: DedupStage, documents: int, partitions: int, budget: int, memory: int, tasks: list[CollisionTask]
) -> Iterator[str]:
    """What a dedup of at most so many documents writes, reads and holds."""
    key_bytes = _key_bytes(dedup)
    passes = max((task.passes for task in tasks), default=1)
    if dedup.thresholds is not None:
        # once for the hubs, once for those that have them
        passes = 2 * hub_passes(documents, budget)
    joined = partitions > 1 and key_bytes * documents / partitions < joined_bytes(dedup) / 2
    times = "once" if passes == 1 else f"{passes} times"
    yield (
        f"  {dedup.name}: {key_bytes:,} bytes of keys a document, at most {size_said(documents * key_bytes)}; written "
        f"{'twice (small files are joined)' if joined else 'once'}, then read {times}"
    )
    yield (
        f"  {dedup.name}: collide tasks: {len(tasks)}, of up to {size_said(budget)} each (half of the memory budget "
        f"over the workers, but {size_said(task_memory(0, 1))} at least); connecting takes {LABEL_BYTES} bytes for "
        f"each document with a duplicate, at most {size_said(documents * LABEL_BYTES)} of "
        f"{size_said(task_memory(memory, 1))}"
    )


def _other_runs_lines(
    prepared: Prepared, dedup: DedupStage, documents: int, tasks: list[CollisionTask]
) -> Iterator[str]:
    """What a dedup reads of the keys of old runs, and what it leaves for later ones."""
    olds = prepared.old_keys.get(dedup.name, ())
    if olds:
        passes = max((task.passes for task in tasks), default=1)
        runs = f"{len(olds)} old run{'s' if len(olds) > 1 else ''}"
        yield (
            f"  {dedup.name}: compared with {sum(old.documents for old in olds):,} documents of {runs}: "
            f"{size_said(sum(old.key_bytes() for old in olds))} of their keys are read "
            f"{'once' if passes == 1 else f'{passes} times'}, on CPUs"
        )
    if prepared.pipeline.output.keep_keys:
        kept = _key_bytes(dedup) + BYTES_AN_ID
        yield (
            f"  {dedup.name}: its keys are kept for later runs: {kept:,} bytes a document with its id, at most "
            f"{size_said(documents * kept)} in keys/"
        )


def _key_bytes(dedup: DedupStage) -> int:
    """Bytes of a document's keys in a key file."""
    return 8 * (dedup.key_bands or len(dedup.key_columns) + 1)

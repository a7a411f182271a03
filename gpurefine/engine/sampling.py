"""What a run does to some of its inputs, measured before it starts: for ``gpurefine plan``.

Records from the beginning, the middle and the end of the inputs go through the stages of the first step, in this
process and into a scratch folder, just as a worker takes them. So rates, shares and sizes are those of this machine on
these inputs, as far as what is looked at is like the rest.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gpurefine.documents import REMOVED_SCHEMA
from gpurefine.engine.chain import run_chain
from gpurefine.engine.emit import KeyCollector
from gpurefine.engine.partition import Counts, PartitionTask, kept_schema, write_kept
from gpurefine.engine.plan import Partition, Step, cut_steps, first_partitions
from gpurefine.engine.reading import read_input, stages_for
from gpurefine.engine.run import Prepared
from gpurefine.engine.store import RunStore
from gpurefine.engine.tools import StageTools
from gpurefine.read.batches import SplitCounts
from gpurefine.read.extents import row_groups_of
from gpurefine.read.inputs import InputFile
from gpurefine.read.kinds import WITH_TEXTS
from gpurefine.stages.extract import Extract
from gpurefine.write import TableWriter

#: Seconds for the sample of pages, and for that of texts.
BUDGET = 6.0
#: Bytes of input in a piece of the sample; some dozens of pages, and a batch is never much more.
PIECE_BYTES = 1 << 20
#: Records that warm up models and machine code.
WARM_UP = 4


@dataclass
class Sample:
    """What was measured on records of one sort.

    Attributes
    ----------
    files : how many were looked into
    records, kept : read, and left behind the first step's stages
    seconds : of one process, without warming up
    work_bytes : of the documents that were kept, as they lie in ``work/``
    removed_bytes : of what is written of those that were removed
    child_memory : bytes that the extraction's child process had at most; 0 without one
    """

    files: int = 0
    records: int = 0
    kept: int = 0
    seconds: float = 0.0
    work_bytes: int = 0
    removed_bytes: int = 0
    child_memory: int = 0


@dataclass
class Samples:
    """Samples of pages and of texts, each None where there are no such inputs, and the memory of this process.

    Attributes
    ----------
    stages : names of those that the records went through
    memory : bytes that this process had at most, as a worker will have
    """

    pages: Sample | None = None
    texts: Sample | None = None
    stages: Sequence[str] = field(default_factory=list)
    memory: int = 0


def take_samples(prepared: Prepared, gpu: bool = False, budget: float = BUDGET) -> Samples:
    """Measure.

    Parameters
    ----------
    prepared : a checked run
    gpu : whether its steps are cut for GPU workers; what these do is not measured
    budget : seconds for each sort of records; a batch that was begun is finished
    """
    step = cut_steps(prepared.pipeline, gpu)[0]
    found = Samples(stages=[stage.name for stage in step.map_stages])
    tools = StageTools(prepared.resources, prepared.provided)
    try:
        for name in ("pages", "texts"):
            files = [file for file in prepared.inputs if file.size and (file.kind in WITH_TEXTS) == (name == "texts")]
            if files:
                setattr(found, name, _sample(prepared, step, files, tools, budget))
    finally:
        tools.teardown()
    found.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def _sample(prepared: Prepared, step: Step, files: Sequence[InputFile], tools: StageTools, budget: float) -> Sample:
    """One sort of records."""
    pieces = spread_pieces(files)
    sample, warm = Sample(files=len({file.path for file, _ in pieces})), False
    for number, (file, partition) in enumerate(pieces):
        left = budget - sample.seconds
        if left <= 0:
            break
        with tempfile.TemporaryDirectory(prefix="gpurefine-sample-") as folder:
            task = PartitionTask(
                folder, "sample", step, partition, file, (), prepared.pipeline.input, prepared.pipeline.output,
                prepared.pipeline.annotate, prepared.pipeline.seed, prepared.others,
            )  # fmt: skip
            warm = _run_piece(task, tools, sample, left / (len(pieces) - number), warm)
    for stage in step.map_stages:
        if isinstance(stage, Extract) and (guard := tools.tool(stage)).child_process is not None:
            sample.child_memory = peak_memory_of(guard.child_process)
    return sample


def spread_pieces(files: Sequence[InputFile]) -> list[tuple[InputFile, Partition]]:
    """Small pieces from the beginning, the middle and the end of the files, in order of where little is read first.

    A file that cannot be cut is one piece, read from its beginning.
    """
    chosen = sorted({0, len(files) // 2, len(files) - 1})
    found = []
    for place in chosen:
        file = files[place]
        partitions = first_partitions([file], PIECE_BYTES, row_groups_of([file]))
        # of one file three pieces, of several one each
        shares = (0.5, 0.0, 0.9) if len(chosen) == 1 else ((0.0, 0.5, 0.9)[chosen.index(place)],)
        picked = dict.fromkeys(int(share * len(partitions)) for share in shares)
        found += [(file, partitions[number]) for number in picked if partitions]
    return found


def _run_piece(task: PartitionTask, tools: StageTools, sample: Sample, budget: float, warm: bool) -> bool:
    """Take a piece through the step, for so many seconds; returns whether all is warm."""
    store, step, file = RunStore(task.root), task.step, task.file
    stages = stages_for(step.map_stages, file)
    counts, split = Counts(task.fingerprint, step.index, 0), SplitCounts()
    kept_path, removed_path = store.documents(step.index, 0, step.last), store.removed(step.index, 0)
    options = {"annotate": task.annotate, "stats": task.output.stats, "removed_text": task.output.removed_text}
    with ExitStack() as stack:
        kept_writer = stack.enter_context(TableWriter(kept_path, kept_schema(task)))
        removed_writer = stack.enter_context(TableWriter(removed_path, REMOVED_SCHEMA))
        keys = stack.enter_context(KeyCollector(step.emits, store, step.index, 0, task.seed, tools))
        began = time.perf_counter()
        warming = 0.0
        assert file is not None
        for loaded in read_input(task, file, split):
            if not warm and len(loaded.batch):
                warming -= time.perf_counter()
                result = run_chain(stages, tools, loaded.batch.keep(np.arange(len(loaded.batch)) < WARM_UP), **options)
                if len(result.kept):
                    keys.add(result.kept)
                warming += time.perf_counter()
                warm = True
            result = run_chain(stages, tools, loaded.batch, **options)
            sample.records += len(loaded.batch) + len(loaded.removed)
            sample.kept += len(result.kept)
            for table in (loaded.removed, *result.removed):
                removed_writer.write(table)
            if len(result.kept):
                keys.add(result.kept)
                write_kept(kept_writer, result.kept, step, task, tools, counts)
            if time.perf_counter() - began - warming >= budget:
                break
        sample.work_bytes += kept_writer.close({})
        sample.removed_bytes += removed_writer.close({})
        keys.close()
        sample.seconds += time.perf_counter() - began - warming
    return warm


def peak_memory_of(process: int) -> int:
    """Bytes that a process has had at most; 0 where that is not told."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)

"""The way of a partition through steps that take it up one after another: which job comes after which.

The steps behind the first of a flow follow it (``Step.follows``), so that GPU workers begin on a partition while CPU
workers extract the next ones. At the end of a flow stand the keys of its dedup, if they are a job of their own. What an
earlier try has done is passed over. A follower that is done leaves nothing of the documents that it took up.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from gpurefine.engine.context import RunContext
from gpurefine.engine.deduplicate import removal_paths
from gpurefine.engine.emit import empty_documents
from gpurefine.engine.jobs import Job
from gpurefine.engine.partition import PartitionTask, done, process_partition
from gpurefine.engine.phases import keys_job
from gpurefine.engine.plan import Partition, Step
from gpurefine.engine.spans import span_paths
from gpurefine.errors import RunError
from gpurefine.read.kinds import OF_RECORDS
from gpurefine.read.parts import Part
from gpurefine.read.splits import next_correction
from gpurefine.stages.base import SpanStage


def partition_task(context: RunContext, step: Step, partition: Partition) -> PartitionTask:
    """What a worker must know of a partition."""
    return PartitionTask(
        root=str(context.store.root),
        fingerprint=context.fingerprint,
        step=step,
        partition=partition,
        file=context.inputs[partition.file] if step.index == 0 else None,
        removal_paths=_said_before(context, step),
        input=context.pipeline.input,
        output=context.pipeline.output,
        annotate=context.pipeline.annotate,
        seed=context.pipeline.seed,
        others=context.others,
        part=Part.of(context.pipeline.input.part, context.pipeline.seed),
        on_device=context.keeps_on_device(step.device),
    )


def _said_before(context: RunContext, step: Step) -> tuple[str, ...]:
    """Files of what the dedup before a step found."""
    if step.dedup_before is None:
        return ()
    paths = span_paths if isinstance(step.dedup_before, SpanStage) else removal_paths
    return paths(context.store, step.index - 1)


def partition_job(context: RunContext, task: PartitionTask) -> Job:
    """A partition's way through a step."""
    partition = task.partition
    again = "" if partition.start is None else f"-from-{partition.start}"
    name = f"step {task.step.index} partition {partition.index}{again}"
    return Job(name, process_partition, (task,), needs_tools=True, device=context.place(task.step.device))


class Flow:
    """The steps that take up the partitions of the first of them.

    Parameters
    ----------
    context : the run
    steps : the first, and those that follow it
    partitions : of the first; a follower has one for each
    """

    def __init__(self, context: RunContext, steps: Sequence[Step], partitions: Sequence[Partition]) -> None:
        self._context, self._steps = context, steps
        self._splits = _Splits(context, partitions) if steps[0].index == 0 else None

    def after(self, partition: int, step: int, counts: dict[str, Any]) -> Iterator[Job]:
        """The jobs that may be run now that a partition went through a step.

        Parameters
        ----------
        partition, step : their indices
        counts : of the partition
        """
        if step > self._steps[0].index:
            self._let_go(partition, step - 1)
        ready = [partition]
        if self._splits is not None and step == 0:
            ready = self._splits.settled(partition, counts)
        for index in ready:
            job = self._next(index, step)
            if job is not None:
                yield job

    def _next(self, partition: int, step: int) -> Job | None:
        for later in self._steps:
            if later.index > step:
                task = partition_task(self._context, later, Partition(partition, sources=(partition,)))
                if done(task) is None:
                    return partition_job(self._context, task)
                self._let_go(partition, later.index - 1)
        last = self._steps[-1]
        if last.keys_device is None or self._context.store.keys(last.index, partition).exists():
            return None
        return keys_job(self._context, last, partition)

    def _let_go(self, partition: int, step: int) -> None:
        """The documents of a partition as a step left them, now that the one behind it has them."""
        if not self._context.pipeline.output.keep_work:
            empty_documents(self._context.store.documents(step, partition, last=False))


class _Splits:
    """Which splits of WARC files are settled: all before them in their file are there and fit together.

    One that is not may have to be read again (``read.splits``), so nothing may be built on it.
    """

    def __init__(self, context: RunContext, partitions: Sequence[Partition]) -> None:
        self._of_file: dict[int, list[Partition]] = {}
        self._speculative = [file.kind in OF_RECORDS for file in context.inputs]
        for partition in partitions:
            self._of_file.setdefault(partition.file, []).append(partition)
        self._file_of = {partition.index: partition.file for partition in partitions}
        self._bounds: dict[int, tuple[int | None, int | None]] = {}
        self._settled: dict[int, int] = {}

    def settled(self, partition: int, counts: dict[str, Any]) -> list[int]:
        """Partitions that are settled now and were not before."""
        file = self._file_of[partition]
        if not self._speculative[file]:
            return [partition]
        self._bounds[partition] = counts["first_start"], counts["last_end"]
        splits = self._of_file[file]
        before = self._settled.get(file, 0)
        here = before
        while here < len(splits) and splits[here].index in self._bounds:
            here += 1
        while here > before and next_correction(
            [(split.begin, split.end, *self._bounds[split.index]) for split in splits[:here]]
        ):
            here -= 1
        self._settled[file] = here
        return [split.index for split in splits[before:here]]


def room_on_disk(context: RunContext, running: int, largest: int) -> bool:
    """Whether a further partition may be begun: what it and those in flight may write is free.

    Parameters
    ----------
    running : partitions in flight
    largest : bytes of the largest partition as it is read; it hardly writes more

    Raises
    ------
    RunError
        if not even one partition fits
    """
    free, needed = shutil.disk_usage(context.store.root).free, largest * (running + 1)
    if free < needed and not running:
        raise RunError(
            f"{context.store.root}: {free:,} bytes are free on this disk, and a partition may need {needed:,}: "
            "make room, then the same command goes on"
        )
    return free >= needed

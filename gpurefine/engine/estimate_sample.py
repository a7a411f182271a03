"""What the samples of ``sampling`` say of a whole run: time, share kept, memory, disk. For ``gpurefine plan``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from gpurefine.engine.plan import Step
from gpurefine.engine.run import Prepared
from gpurefine.engine.sampling import Sample, Samples
from gpurefine.machine import available_cores, available_memory
from gpurefine.stages.base import DedupStage

#: Seconds of CPU a document of 2 KB from its keys to its removal, on the machine of benchmarks/results/scale.md: the
#: phases of a dedup are not part of the sample.
DEDUP_SECONDS = {"dedup.minhash": 0.35e-3, "dedup.substring": 0.25e-3}
OTHER_DEDUP_SECONDS = 0.05e-3
#: A text that is edited or compared once more goes through a step of its own.
LATER_STEP_SECONDS = 0.1e-3


def kept_records(samples: Samples, pages: int, texts: int) -> int:
    """How many of so many pages and texts go on behind the first step's stages, if all are like the samples."""
    return round(_share(samples.pages) * pages + _share(samples.texts) * texts)


def _share(sample: Sample | None) -> float:
    return sample.kept / sample.records if sample is not None and sample.records else 1.0


def time_lines(prepared: Prepared, samples: Samples, pages: int, texts: int, steps: Sequence[Step]) -> Iterator[str]:
    """How long a run will take, and by what that is said.

    Parameters
    ----------
    prepared : the run
    samples : of it
    pages, texts : records of each sort
    steps : of the run
    """
    processes = max(1, min(prepared.workers, available_cores()))
    seconds = 0.0
    for sample, count, word in ((samples.pages, pages, "page"), (samples.texts, texts, "document")):
        if sample is None or not sample.records:
            continue
        each = sample.seconds / sample.records
        files = "1 file" if sample.files == 1 else f"{sample.files} files"
        yield (
            f"measured: {1000 * each:.2f} ms a {word} in one process here, on {sample.records:,} {word}s of {files}, "
            f"through {', '.join(['read', *samples.stages])}; {_share(sample):.1%} of them go on behind these"
        )
        seconds += each * count / processes
    if not seconds:
        return
    kept = kept_records(samples, pages, texts)
    dedups = [step.dedup_after for step in steps if step.dedup_after is not None]
    later = sum(map(_dedup_seconds, dedups)) + LATER_STEP_SECONDS * (len(steps) - 1)
    more = f", and some {time_said(kept * later / processes)} for the rest (assumed, not measured)" if dedups else ""
    cores = f" on {processes} cores" if processes < prepared.workers else ""
    yield f"time: about {time_said(seconds)} for step 0 with these workers{cores}{more}"


def _dedup_seconds(stage: DedupStage) -> float:
    return DEDUP_SECONDS.get(stage.kind, OTHER_DEDUP_SECONDS)


def memory_lines(prepared: Prepared, samples: Samples) -> Iterator[str]:
    """What worker processes hold beside what is planned for tables, and a warning if that is more than is free."""
    child = max((each.child_memory for each in (samples.pages, samples.texts) if each is not None), default=0)
    needed, free = prepared.workers * (samples.memory + child), available_memory()
    with_child = f" and its extraction child {size_said(child)}" if child else ""
    yield (
        f"memory: a process had {size_said(samples.memory)}{with_child}: some {size_said(needed)} for these workers "
        f"while they extract and filter; {size_said(free)} are free"
    )
    if needed > free:
        yield (
            f"warning: {prepared.workers} workers need more memory than is free: give --workers "
            f"{max(1, free // (samples.memory + child))} or fewer"
        )


def disk_lines(samples: Samples, pages: int, texts: int, work_bytes: int, folder: Path) -> Iterator[str]:
    """Bytes that a run will have on the disk at a time, and a warning if that is more than is free.

    Parameters
    ----------
    samples, pages, texts : as of ``time_lines``
    work_bytes : of a document, for keys and what else a dedup writes
    folder : where the run will be
    """
    documents = removed = 0.0
    for sample, count in ((samples.pages, pages), (samples.texts, texts)):
        if sample is not None and sample.records:
            documents += sample.work_bytes / sample.records * count
            removed += sample.removed_bytes / sample.records * count
    keys = kept_records(samples, pages, texts) * work_bytes
    # a step's documents stand beside those of the step before until it is done
    needed = round(2 * documents + removed + keys)
    free = shutil.disk_usage(folder).free
    yield (
        f"disk: some {size_said(needed)} at most at a time, going by the sample: {size_said(documents)} of documents, "
        f"twice between two steps, {size_said(removed)} of removals, {size_said(keys)} of keys; {size_said(free)} are "
        f"free at {folder}"
    )
    if needed > free:
        yield f"warning: that is {size_said(needed - free)} more than is free there: choose another disk"


def size_said(count: float) -> str:
    """``512 B``, ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def time_said(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``, ``4.2 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"

"""A run: its steps one after another, each from the footers of the one before, each state in the manifest.

A run that was stopped at any moment goes on here: a partition or dedup phase whose files are whole is not done again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from gpurefine.engine.context import RunContext
from gpurefine.engine.deduplicate import DedupRun, removals_are_there
from gpurefine.engine.flow import Flow, partition_job, partition_task, room_on_disk
from gpurefine.engine.jobs import Job, run_jobs
from gpurefine.engine.partition import done, process_partition
from gpurefine.engine.phases import Phases
from gpurefine.engine.plan import (
    MIDDLE_PARTITION,
    REFINED_FILE,
    Partition,
    Step,
    cut_steps,
    first_partitions,
    flow_of,
    input_bytes,
    next_partitions,
)
from gpurefine.engine.progress import StepProgress
from gpurefine.engine.seen import write_seen_lists
from gpurefine.engine.spans import SpanRun, spans_are_there
from gpurefine.engine.store import RunStore
from gpurefine.engine.summary import Tally, summarise
from gpurefine.errors import RunError
from gpurefine.read.extents import row_groups_of
from gpurefine.read.kinds import OF_RECORDS
from gpurefine.read.splits import next_correction
from gpurefine.stages.base import SpanStage


def execute(context: RunContext, manifest: dict[str, Any]) -> None:
    """Run all steps that are not done, write ``summary.json`` and finish the manifest."""
    steps = cut_steps(context.pipeline, manifest["gpu"])
    records: list[dict[str, Any]] = manifest.setdefault("steps", [])
    for step in steps:
        flow = flow_of(steps, step.index)
        if len(records) <= step.index:
            records.extend(_plan_flow(context, flow, records))
            context.store.write_manifest(manifest)
        record = records[step.index]
        if record["state"] == "planned":
            _run_step(context, flow, manifest)
        if step.dedup_after is not None and not _has_removals(context, step, records):
            _run_dedup(context, step, manifest)
        if step.index > 0 and not context.pipeline.output.keep_work:
            # the documents that this step has taken up
            _remove_work(context.store, step.index - 1)
    write_seen_lists(context)
    # what workers left that were killed in this run
    context.store.clean_unfinished()
    # the summary first: a run that says it is complete is not looked at again
    summarise(context.store, context.pipeline, manifest)
    manifest["state"] = "complete"
    context.store.write_manifest(manifest)


def _has_removals(context: RunContext, step: Step, records: list[dict[str, Any]]) -> bool:
    """Whether the dedup after a step is done, and what it found is there until the next step has applied it."""
    state = records[step.index]["dedup"]
    if state["state"] != "done":
        return False
    if len(records) > step.index + 1 and records[step.index + 1]["state"] == "done":
        return True
    if isinstance(step.dedup_after, SpanStage):
        return spans_are_there(context.store, step.index, len(records[step.index]["partitions"]))
    return removals_are_there(context.store, step.index, state)


def _plan_flow(context: RunContext, flow: Sequence[Step], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Plan a step and those that follow it, which have its partitions."""
    if flow[0].index == 0:
        partitions = first_partitions(context.inputs, context.split_size, row_groups_of(context.inputs))
    else:
        before = records[flow[0].index - 1]
        target = REFINED_FILE if flow[-1].last else MIDDLE_PARTITION
        partitions = next_partitions(before["kept_bytes"], target)
    taken_up = [Partition(partition.index, sources=(partition.index,)) for partition in partitions]
    return [
        {
            "index": step.index,
            "stages": [stage.name for stage in step.map_stages],
            "device": step.device,
            "applies": step.dedup_before.name if step.dedup_before else None,
            "emits": step.dedup_after.name if step.dedup_after else None,
            "partitions": [asdict(partition) for partition in (taken_up if step.follows else partitions)],
            "state": "planned",
            "dedup": {"state": "planned"} if step.dedup_after else None,
        }
        for step in flow
    ]


def _run_step(context: RunContext, flow: Sequence[Step], manifest: dict[str, Any]) -> None:
    """Run the first step of a flow; those that follow it are run meanwhile, as far as they can be."""
    step = flow[0]
    record = manifest["steps"][step.index]
    began = time.monotonic()
    partitions = [Partition(**{**entry, "sources": tuple(entry["sources"])}) for entry in record["partitions"]]
    if step.index == 0:
        sizes = input_bytes(partitions, [file.size for file in context.inputs])
        largest = min(context.split_size, max(file.size for file in context.inputs))
    else:
        before = manifest["steps"][step.index - 1]["kept_bytes"]
        sizes = [sum(before[source] for source in partition.sources) for partition in partitions]
        largest = max(sizes, default=0)
    tally = _process(context, flow, partitions, sizes, largest)
    if step.index == 0:
        _correct_splits(context, step, partitions, tally, manifest)
    _check_step(step, manifest, tally)
    record["counts"] = tally.total()
    record["seconds"] = round(time.monotonic() - began, 3)
    record["kept_rows"] = tally.kept
    record["kept_bytes"] = [
        context.store.documents(step.index, index, step.last).stat().st_size for index in range(len(partitions))
    ]
    record["state"] = "done"
    context.store.write_manifest(manifest)


def _process(
    context: RunContext, flow: Sequence[Step], partitions: Sequence[Partition], sizes: Sequence[int], largest: int
) -> Tally:
    """Counts of all partitions of the first step, of those that were done before and of those done now.

    ``sizes`` are the bytes of the partitions as they are read, ``largest`` is what the largest may have of them.
    """
    step, tally = flow[0], Tally(len(partitions))
    title = ", ".join(filter(None, ["read" if step.index == 0 else "", *(stage.name for stage in step.map_stages)]))
    followers = Flow(context, flow, partitions)

    def follow(job: Job, counts: dict[str, Any]) -> Iterator[Job]:
        if job.function is process_partition:
            (task,) = job.arguments
            yield from followers.after(task.partition.index, task.step.index, counts)

    with StepProgress(title or "write", len(partitions), sum(sizes), quiet=context.quiet) as progress:

        def todo() -> Iterator[Job]:
            for partition in partitions:
                task = partition_task(context, step, partition)
                found = done(task)
                if found is None:
                    yield partition_job(context, task)
                else:
                    tally.add(found)
                    progress.advance(size=sizes[partition.index], timed=False)
                    yield from followers.after(partition.index, step.index, found)

        def may_begin(running: int) -> bool:
            return room_on_disk(context, running, largest)

        for job, counts in run_jobs(context.client, context.run_key, todo(), follow, may_begin):
            if job.function is process_partition and job.arguments[0].step.index == step.index:
                tally.add(counts)
                progress.advance(counts["records"], counts["kept"], sizes[counts["partition"]])
    return tally


def _correct_splits(
    context: RunContext, step: Step, partitions: list[Partition], tally: Tally, manifest: dict[str, Any]
) -> None:
    """Read splits again that a page with a WARC in it had fooled, until all splits of a file fit together.

    ``partitions``, ``tally`` and the manifest are changed in place.
    """
    of_file: dict[int, list[int]] = {}
    for partition in partitions:
        if context.inputs[partition.file].kind in OF_RECORDS:
            of_file.setdefault(partition.file, []).append(partition.index)
    for indices in of_file.values():
        while True:
            wrong = next_correction([(partitions[i].begin, partitions[i].end, *tally.bounds[i]) for i in indices])
            if wrong is None:
                break
            index = indices[wrong[0]]
            before = done(partition_task(context, step, partitions[index]))
            partitions[index] = replace(partitions[index], start=wrong[1])
            # the right start is on record before it is used, so that a stopped run does not look for it again
            manifest["steps"][step.index]["partitions"][index] = asdict(partitions[index])
            context.store.write_manifest(manifest)
            task = partition_task(context, step, partitions[index])
            counts = next(run_jobs(context.client, context.run_key, [partition_job(context, task)]))[1]
            assert before is not None
            tally.take_back(before)
            tally.add(counts)


def _check_step(step: Step, manifest: dict[str, Any], tally: Tally) -> None:
    """Conservation between steps: every partition is done, and what it read is what the step before kept."""
    missing = sum(kept < 0 for kept in tally.kept)
    if missing:
        raise RunError(f"step {step.index}: {missing} of {len(tally.kept)} partitions are not done; please report this")
    if step.index > 0:
        read, kept = tally.total()["records"], sum(manifest["steps"][step.index - 1]["kept_rows"])
        if read != kept:
            raise RunError(
                f"step {step.index} read {read} documents, but the step before kept {kept}; "
                "please report this, it must never happen"
            )


def _run_dedup(context: RunContext, step: Step, manifest: dict[str, Any]) -> None:
    record = manifest["steps"][step.index]
    began = time.monotonic()
    assert step.dedup_after is not None
    phases = Phases(context, step, step.dedup_after, len(record["partitions"]))
    run = SpanRun(phases) if isinstance(step.dedup_after, SpanStage) else DedupRun(phases)
    state = record["dedup"]
    found = run.find(state, lambda: context.store.write_manifest(manifest))
    state.update(found, state="done", seconds=round(time.monotonic() - began, 3))
    context.store.write_manifest(manifest)


def _remove_work(store: RunStore, step: int) -> None:
    for folder in (f"documents-{step}", f"keys-{step}", f"dedup-{step}"):
        shutil.rmtree(store.work / folder, ignore_errors=True)

"""A dedup of a Dask frame: phases as tasks of its scheduler, decisions joined to its partitions when it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.dataframe as dd
import numpy as np
import pyarrow as pa
from dask.delayed import Delayed, delayed

from gpurefine.engine.frames_emit import Columns, Emitted, ToolPool, checksum_of, emit
from gpurefine.engine.frames_phases import DECISION_SCHEMA, Call, call_in, find, join_decisions, scratch_folder
from gpurefine.engine.frames_spans import FoundSpans, edit_partition, emit_pieces, find_frame_spans
from gpurefine.engine.plan import task_memory
from gpurefine.errors import InputError, RunError
from gpurefine.machine import available_cores
from gpurefine.stages.base import SpanStage

if TYPE_CHECKING:
    from gpurefine.engine.frames_dedup import Task
    from gpurefine.frames import Frame


def deduplicate_dask(frame: dd.DataFrame, task: Task) -> dd.DataFrame:
    """Find the duplicates now; the result is lazy. See ``gpurefine.deduplicate``."""
    if not isinstance(frame, dd.DataFrame):
        raise InputError(f"expected a pandas, cuDF or Dask DataFrame, found a {type(frame).__name__}")
    if isinstance(task.stage, SpanStage):
        return _edit_dask(frame, task, task.stage)
    with scratch_folder(task.scratch) as folder:

        def run(calls: Sequence[Call]) -> list[Any]:
            # one call has nothing to run beside; it spares the start of processes, and the way to a worker
            if len(calls) == 1:
                return [call_in(folder, *calls[0])]
            return _compute([delayed(call_in, pure=False)(folder, *call) for call in calls])

        emitted = _compute(_emits(frame, task, folder))
        share, alone = task_memory(task.memory, _tasks_at_a_time()), task_memory(task.memory, 1)
        decisions = find(task.stage, task.seed, emitted, folder, run, share, alone)
    parts = [
        delayed(_joined, pure=False)(part, index, members, each, task.columns, task.reason)
        for index, (part, members, each) in enumerate(
            zip(frame.to_delayed(optimize_graph=False), decisions, emitted, strict=True)
        )
    ]
    meta = join_decisions(frame._meta, DECISION_SCHEMA.empty_table(), task.reason)
    return dd.from_delayed(parts, meta=meta, divisions=frame.divisions, verify_meta=False)


def _edit_dask(frame: dd.DataFrame, task: Task, stage: SpanStage) -> dd.DataFrame:
    """Find the spans now; texts are edited when the result is computed."""
    pool = delayed(ToolPool, pure=False)(*task.pool_arguments)
    with scratch_folder(task.scratch) as folder:

        def run(calls: Sequence[Call]) -> list[Any]:
            return _compute([delayed(call_in, pure=False)(folder, *call) for call in calls])

        emitted = _compute(
            [
                delayed(call_in, pure=False)(
                    folder, emit_pieces, (part, task.columns, stage, task.seed, index, folder, pool)
                )
                for index, part in enumerate(_narrow_partitions(frame, task.columns.needed))
            ]
        )
        tasks = _tasks_at_a_time()
        found = find_frame_spans(stage, emitted, folder, run, task_memory(task.memory, tasks), tasks)
    parts = [
        delayed(_edited, pure=False)(part, index, each, of_part, task.columns, stage, pool)
        for index, (part, of_part, each) in enumerate(
            zip(frame.to_delayed(optimize_graph=False), found, emitted, strict=True)
        )
    ]
    nothing = FoundSpans(np.empty(0, np.int64), np.empty((0, 2), np.int64))
    meta = edit_partition(frame._meta, task.columns, stage, nothing, ToolPool(*task.pool_arguments))
    return dd.from_delayed(parts, meta=meta, divisions=frame.divisions, verify_meta=False)


def _edited(
    part: Frame, index: int, emitted: Emitted, found: FoundSpans, columns: Columns, stage: SpanStage, pool: ToolPool
) -> Frame:
    _check_same(part, index, emitted, columns)
    return edit_partition(part, columns, stage, found, pool)


def _emits(frame: dd.DataFrame, task: Task, folder: Path) -> list[Delayed]:
    # one pool for all tasks of a process; a copy of it for each other process
    pool = delayed(ToolPool, pure=False)(*task.pool_arguments)
    return [
        delayed(call_in, pure=False)(folder, emit, (part, task.columns, task.stage, index, folder, pool))
        for index, part in enumerate(_narrow_partitions(frame, task.columns.needed))
    ]


def _narrow_partitions(frame: dd.DataFrame, columns: list[Any]) -> list[Delayed]:
    """The partitions with these columns only, so that no more is read from files than these."""
    narrow = frame[columns]
    # a full optimisation would also join small partitions of files
    parts = narrow.simplify().to_delayed(optimize_graph=False)
    return parts if len(parts) == frame.npartitions else narrow.to_delayed(optimize_graph=False)


def _joined(part: Frame, index: int, members: pa.Table, emitted: Emitted, columns: Columns, reason: str) -> Frame:
    _check_same(part, index, emitted, columns)
    return join_decisions(part, members, reason)


def _check_same(part: Frame, index: int, emitted: Emitted, columns: Columns) -> None:
    if len(part) != emitted.rows or checksum_of(part, columns) != emitted.checksum:
        raise RunError(
            f"partition {index} of the frame has not the rows, in the order, that it had when its keys were made: "
            "give a frame that comes out the same each time, or call persist() on it first"
        )


def _compute(tasks: Sequence[Delayed]) -> list[Any]:
    return list(dask.compute(*tasks))


def _tasks_at_a_time() -> int:
    """How many tasks the scheduler in use may run at a time, or more."""
    from distributed import get_client

    try:
        return max(1, sum(get_client().nthreads().values()))
    except ValueError:
        return dask.config.get("num_workers", None) or available_cores()

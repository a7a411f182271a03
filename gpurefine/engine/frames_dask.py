"""A dedup of a Dask frame: phases as tasks of its scheduler, decisions joined to its partitions when it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.dataframe as dd
import pyarrow as pa
from dask.delayed import Delayed, delayed

from gpurefine.engine.frames_emit import Columns, Emitted, ToolPool, checksum_of, emit
from gpurefine.engine.frames_phases import DECISION_SCHEMA, Call, call_in, find, join_decisions, scratch_folder
from gpurefine.engine.plan import task_memory
from gpurefine.errors import InputError, RunError
from gpurefine.workers import available_cores

if TYPE_CHECKING:
    from gpurefine.engine.frames_dedup import Task
    from gpurefine.frames import Frame


def deduplicate_dask(frame: dd.DataFrame, task: Task) -> dd.DataFrame:
    """Find the duplicates now; the result is lazy. See ``gpurefine.deduplicate``."""
    if not isinstance(frame, dd.DataFrame):
        raise InputError(f"expected a pandas, cuDF or Dask DataFrame, found a {type(frame).__name__}")
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
    if len(part) != emitted.rows or checksum_of(part, columns) != emitted.checksum:
        raise RunError(
            f"partition {index} of the frame has not the rows, in the order, that it had when its keys were made: "
            "give a frame that comes out the same each time, or call persist() on it first"
        )
    return join_decisions(part, members, reason)


def _compute(tasks: Sequence[Delayed]) -> list[Any]:
    return list(dask.compute(*tasks))


def _tasks_at_a_time() -> int:
    """How many tasks the scheduler in use may run at a time, or more."""
    from distributed import get_client

    try:
        return max(1, sum(get_client().nthreads().values()))
    except ValueError:
        return dask.config.get("num_workers", None) or available_cores()

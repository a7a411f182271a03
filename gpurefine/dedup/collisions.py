"""Keys to edges: documents with equal keys collide.

A task takes some slices of all key files. Slice by slice, the keys go through a hash table that holds the first
document of each distinct key; every further document of a key gives one edge, so a million equal pages cost a million
edges and no memory. A slice with more rows than the table has room for is read several times, each time for another
share of its keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.errors import RunError
from gpurefine.kernels import EMPTY, link_equal_keys

#: The table is never fuller than this share of its slots: beyond, searches grow long.
LOAD = 0.75
#: A table is never smaller: the shares of keys that a pass takes differ from their mean, in small tables by much.
LEAST_SLOTS = 1024
#: Rows that are read at a time, at most and at least.
CHUNK_ROWS = 1 << 18
LEAST_CHUNK_ROWS = 1 << 8


@dataclass(frozen=True)
class CollisionTask:
    """Slices ``first`` .. ``last - 1`` of all key files, each read ``passes`` times."""

    first: int
    last: int
    passes: int = 1


def bytes_a_key(key_columns: int) -> float:
    """Memory that a task needs for each row of its largest slice in one pass: 32 bytes for two key columns.

    They are the keys and the document number, over ``LOAD``. Chunks and edges take an eighth of the budget besides.
    """
    return 8 * (key_columns + 1) / LOAD


def plan_collisions(rows_per_slice: np.ndarray, key_columns: int, budget: int) -> list[CollisionTask]:
    """Cut the slices into tasks that fit the budget.

    Parameters
    ----------
    rows_per_slice : int64, (slices,), over all key files
    key_columns : how many columns a key has
    budget : bytes a task may use for keys, table and edges

    Returns
    -------
    Tasks in slice order that cover every slice with rows once: as many neighbours as the budget holds at once, or one
    slice in several passes, each of which reads it all. Slices of one task follow each other through one table, so
    a task of several needs less than the budget; it bounds how long a task takes. Empty slices may be left out.
    """
    capacity = _table_rows(key_columns, budget)
    tasks: list[CollisionTask] = []
    filled = 0
    for part, rows in enumerate(int(rows) for rows in rows_per_slice):
        if rows > capacity:
            tasks.append(CollisionTask(part, part + 1, -(-rows // capacity)))
            filled = capacity
        elif rows and (not tasks or filled + rows > capacity):
            tasks.append(CollisionTask(part, part + 1))
            filled = rows
        elif rows:
            tasks[-1] = CollisionTask(tasks[-1].first, part + 1)
            filled += rows
    return tasks


def collide(task: CollisionTask, key_paths: Sequence[Path], out_path: Path, budget: int) -> dict[str, int]:
    """Find the collisions of a task and write them as edges.

    Parameters
    ----------
    task : one of ``plan_collisions``
    key_paths : all key files
    out_path : edge file (``ColumnFile`` with columns left, right): for each key the first document that has it, in
        the order of ``key_paths``, and each further one
    budget : bytes, as it was planned with

    Returns
    -------
    ``rows`` read (once a row), ``edges`` written, ``shared`` keys that several documents have

    Raises
    ------
    RunError
        if a key file is damaged, or its keys are so uneven that the planned passes do not hold them
    """
    files = [ColumnFile(path) for path in key_paths]
    key_columns = len(files[0].columns) - 1 if files else 1
    rows = sum((file.rows[task.first : task.last] for file in files), np.zeros(task.last - task.first, np.int64))
    # the table is sized by the slices, not by the budget: many small tasks need not clear much memory
    slots = _slots(int(rows.max(initial=0)), task.passes)
    table = _Table(np.empty((slots, key_columns), np.uint64), np.empty(slots, np.uint64), secrets.randbits(64))
    chunk_rows = _chunk_rows(key_columns, budget)
    counts = {"rows": int(rows.sum()), "edges": 0, "shared": 0}
    with ColumnWriter(out_path, ["left", "right"]) as writer:
        edges = _EdgeBuffer(writer, chunk_rows)
        for part in range(task.first, task.last):
            part_slots = _slots(int(rows[part - task.first]), task.passes)
            for share in range(task.passes):
                counts["shared"] += table.link(files, part, part_slots, share, task.passes, chunk_rows, edges)
        edges.flush()
    counts["edges"] = edges.written
    return counts


def _table_rows(key_columns: int, budget: int) -> int:
    """Rows whose table takes what the chunks leave of the budget."""
    rest = budget - _chunk_rows(key_columns, budget) * _chunk_row_bytes(key_columns)
    return max(int(LEAST_SLOTS * LOAD), int(rest / bytes_a_key(key_columns)))


def _chunk_row_bytes(key_columns: int) -> int:
    # one chunk is read while the last is not yet given back, and edges wait for twice a chunk
    return 2 * 8 * (key_columns + 1) + 2 * 16


def _chunk_rows(key_columns: int, budget: int) -> int:
    return max(LEAST_CHUNK_ROWS, min(CHUNK_ROWS, budget // 8 // _chunk_row_bytes(key_columns)))


def _slots(rows: int, passes: int) -> int:
    return max(LEAST_SLOTS, int(-(-rows // passes) / LOAD) + 1)


class _EdgeBuffer:
    """Edges on their way to the file, two columns of twice a chunk."""

    def __init__(self, writer: ColumnWriter, chunk_rows: int) -> None:
        self.writer, self.chunk_rows = writer, chunk_rows
        self.left, self.right = np.empty(2 * chunk_rows, np.uint64), np.empty(2 * chunk_rows, np.uint64)
        self.filled = self.written = 0

    def flush(self) -> None:
        if self.filled:
            self.writer.write_slice([[self.left[: self.filled]], [self.right[: self.filled]]])
            self.written += self.filled
            self.filled = 0

    def flush_if_short(self) -> None:
        if self.filled > self.chunk_rows:
            self.flush()


@dataclass
class _Table:
    keys: np.ndarray
    documents: np.ndarray
    salt: int

    def link(
        self,
        files: Sequence[ColumnFile],
        part: int,
        slots: int,
        share: int,
        shares: int,
        chunk_rows: int,
        edges: _EdgeBuffer,
    ) -> int:
        """Put one share of one slice's keys through the table; returns how many keys several documents have."""
        keys, documents = self.keys[:slots], self.documents[:slots]
        documents[:] = EMPTY
        room, shared = slots - 1, 0
        for file in files:
            for chunk in file.iterate(part, part + 1, chunk_rows):
                edges.flush_if_short()
                edges.filled, entered, again = link_equal_keys(
                    chunk[:-1], chunk[-1], keys, documents, room, np.uint64(self.salt), share, shares,
                    edges.left, edges.right, edges.filled,
                )  # fmt: skip
                if entered < 0:
                    raise RunError(
                        f"slice {part} has more distinct keys in one of {shares} passes than the {slots} that were "
                        "planned for, so its keys are not well mixed; give more --memory"
                    )
                room -= entered
                shared += again
        return shared

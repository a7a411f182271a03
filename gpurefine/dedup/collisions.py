"""Keys to edges: documents with equal keys collide.

A task takes some slices or bands of all key files. Slice by slice, the keys go through a hash table that holds the
first document of each distinct key; every further document of a key gives one edge, so a million equal pages cost a
million edges and no memory. A slice with more rows than the table has room for is read several times, each time for
another share of its keys. Kinds with bands have their own tables: see ``bandcollisions``.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpurefine.dedup.bandcollisions import band_table_rows, collide_bands
from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.devicecollisions import collide_bands_on_device
from gpurefine.dedup.keys import key_bands, slice_rows
from gpurefine.dedup.linking import EdgeWriter, bytes_a_key, chunk_rows, slots_for, table_rows
from gpurefine.dedup.oldkeys import OldKeyFile
from gpurefine.errors import RunError
from gpurefine.kernels import EMPTY, link_equal_keys

#: Tasks into which the bands of a large collection are cut: few, because each writes a spanning forest of its own.
BAND_TASKS = 32
#: A task of bands has no fewer keys, unless all bands have.
LEAST_TASK_KEYS = 1 << 20
#: A task that would read its keys more often than this is refused.
MOST_PASSES = 256


@dataclass(frozen=True)
class CollisionTask:
    """Slices or bands ``first`` .. ``last - 1`` of all key files.

    Each is read ``passes`` times, and more often where the budget of ``collide`` asks for it.
    """

    first: int
    last: int
    passes: int = 1


def plan_collisions(
    rows_per_slice: np.ndarray, key_columns: int, budget: int, bands: int = 0, tasks: int = BAND_TASKS
) -> list[CollisionTask]:
    """Cut the slices or bands into tasks that fit the budget.

    Parameters
    ----------
    rows_per_slice : int64, (slices,) or (bands,), over all key files, as ``slice_rows`` counts them
    key_columns : how many columns a key has
    budget : bytes a task may use for keys, table and edges
    bands : keys a document; 0 for a kind without bands
    tasks : how many tasks of bands there should be, at most

    Returns
    -------
    Tasks in order that cover every slice with rows once; empty slices may be left out. Without bands: as many
    neighbours as the budget holds at once, or one slice in several passes, each of which reads it all. Slices of one
    task follow each other through one table, so a task of several needs less than the budget; it bounds how long a
    task takes. With bands: neighbours in some ``tasks`` equal parts, since fewer tasks write fewer edges.

    Raises
    ------
    RunError
        if the budget is so small that a slice would be read more than ``MOST_PASSES`` times
    """
    if bands:
        return _plan_bands(int(rows_per_slice.max(initial=0)), bands, budget, tasks)
    capacity = table_rows(key_columns, budget)
    planned: list[CollisionTask] = []
    filled = 0
    for part, rows in enumerate(int(rows) for rows in rows_per_slice):
        if rows > capacity:
            planned.append(CollisionTask(part, part + 1, _passes(rows, key_columns, budget, banded=False)))
            filled = capacity
        elif rows and (not planned or filled + rows > capacity):
            planned.append(CollisionTask(part, part + 1))
            filled = rows
        elif rows:
            planned[-1] = CollisionTask(planned[-1].first, part + 1)
            filled += rows
    return planned


def _plan_bands(documents: int, bands: int, budget: int, tasks: int) -> list[CollisionTask]:
    if not documents:
        return []
    passes = _passes(documents, 1, budget, banded=True)
    count = max(1, min(tasks, bands, documents * bands // LEAST_TASK_KEYS))
    borders = [number * bands // count for number in range(count + 1)]
    return [CollisionTask(first, last, passes) for first, last in itertools.pairwise(borders)]


def _passes(rows: int, key_columns: int, budget: int, *, banded: bool, old_rows: int = 0) -> int:
    """How often a slice or band must be read. Raises RunError if that is too often."""
    capacity = band_table_rows(rows + old_rows, budget) if banded else table_rows(key_columns, budget)
    passes = max(1, -(-rows // capacity))
    if passes > MOST_PASSES:
        least = int(rows * bytes_a_key(key_columns) / MOST_PASSES * 1.75)
        raise RunError(
            f"{rows:,} keys of one {'band' if banded else 'slice'} would have to be read {passes:,} times within the "
            f"{budget:,} bytes of a task, {MOST_PASSES} times is the limit: give more --memory, so that a task has "
            f"{least:,} bytes or more"
        )
    return passes


def collide(
    task: CollisionTask,
    key_paths: Sequence[Path],
    out_path: Path,
    budget: int,
    on_device: bool = False,
    old: Sequence[OldKeyFile] = (),
) -> dict[str, int]:
    """Find the collisions of a task and write them as edges.

    Parameters
    ----------
    task : one of ``plan_collisions``
    key_paths : all key files
    out_path : edge file (``ColumnFile`` with columns left, right): for each key the first document that has it, in
        the order of ``key_paths``, and each further one
    budget : bytes, as it was planned with
    on_device : find those of bands on the worker's GPU; if its memory does not do, on the CPU all the same
    old : key files of old runs, which are compared on the CPU: their documents collide with those of ``key_paths``, and
        not with each other

    Returns
    -------
    ``rows`` read (once a row), ``edges`` written, ``shared`` keys that several documents have

    Raises
    ------
    RunError
        if a slice's keys are so uneven that the passes do not hold them, or the budget is far too small
    DamagedFileError
        if a key file is damaged
    """
    banded = bool(key_paths) and key_bands(key_paths[0]) > 0
    if banded and on_device and not old:
        found = collide_bands_on_device(range(task.first, task.last), key_paths, out_path, budget)
        if found is not None:
            return found
    rows = slice_rows(key_paths)[task.first : task.last]
    old_rows = slice_rows([each.path for each in old])[task.first : task.last]
    files = [] if banded else [ColumnFile(path) for path in key_paths]
    key_columns = len(files[0].columns) - 1 if files else 1
    largest = int(rows.max(initial=0))
    passes = max(
        task.passes, _passes(largest, key_columns, budget, banded=banded, old_rows=int(old_rows.max(initial=0)))
    )
    if banded:
        return collide_bands(range(task.first, task.last), passes, key_paths, out_path, budget, old)
    old_files = [(ColumnFile(each.path), each.shift) for each in old]
    # the table is sized by the slices, not by the budget: many small tasks need not clear much memory
    slots = slots_for(largest, passes)
    table = _Table(np.empty((slots, key_columns), np.uint64), np.empty(slots, np.uint64), secrets.randbits(64))
    chunk = chunk_rows(key_columns, budget)
    counts = {"rows": int(rows.sum() + old_rows.sum()), "edges": 0, "shared": 0}
    with EdgeWriter(out_path, chunk) as edges:
        for part, part_rows in enumerate(rows.tolist(), task.first):
            part_slots = slots_for(part_rows, passes)
            for share in range(passes):
                counts["shared"] += table.link(files, old_files, part, part_slots, share, passes, chunk, edges)
    counts["edges"] = edges.written
    return counts


@dataclass
class _Table:
    keys: np.ndarray
    documents: np.ndarray
    salt: int

    def link(
        self,
        files: Sequence[ColumnFile],
        old_files: Sequence[tuple[ColumnFile, int]],
        part: int,
        slots: int,
        share: int,
        shares: int,
        chunk: int,
        edges: EdgeWriter,
    ) -> int:
        """Put one share of one slice's keys through the table; returns how many keys several documents have."""
        keys, documents = self.keys[:slots], self.documents[:slots]
        documents[:] = EMPTY
        room, shared = slots - 1, 0
        for number, (file, shift) in enumerate([*((file, 0) for file in files), *old_files]):
            for rows in file.iterate(part, part + 1, chunk):
                edges.make_room()
                edges.filled, entered, again = link_equal_keys(
                    rows[:-1], rows[-1] + np.uint64(shift), keys, documents, room, np.uint64(self.salt), share, shares,
                    edges.left, edges.right, edges.filled, number < len(files),
                )  # fmt: skip
                if entered < 0:
                    raise RunError(
                        f"slice {part} has more distinct keys in one of {shares} passes than the {slots} that were "
                        "planned for, so its keys are not well mixed; give more --memory"
                    )
                room -= entered
                shared += again
        return shared

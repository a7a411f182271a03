"""Equal keys of pieces to marks: the places of the copies that leave.

A task takes some slices of all key files. Slice by slice the keys go through a hash table twice: once to find which key
has several pieces, and which of them stays where one does, once to list the others. A slice with more keys than the
table has room for is read more often, each time for another share of its keys. How many distinct keys there are is not
known before, a billion pieces may have one, so a share that does not fit is halved.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpurefine.dedup.collisions import MOST_PASSES, CollisionTask
from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.linking import CHUNK_ROWS, LEAST_CHUNK_ROWS, LEAST_SLOTS, LOAD
from gpurefine.dedup.marks import MarkWriter
from gpurefine.errors import RunError
from gpurefine.kernels import EMPTY, enter_copies, list_copies

#: A slice is read no more often at first, whatever its rows; shares that do not fit are halved.
FIRST_SHARES = 16
#: Parts of the budget: marks that wait to be written, and chunks of rows; the table has the rest.
MARKS_PART, CHUNK_PART = 4, 8


def plan_pieces(rows_per_slice: np.ndarray, ordered: bool, budget: int, tasks: int) -> list[CollisionTask]:
    """Cut the slices of key files into tasks that fit the budget.

    Parameters
    ----------
    rows_per_slice : int64, (slices,), over all key files
    ordered : whether rows have an order
    budget : bytes a task may use
    tasks : how many there should be at least, if there are slices enough

    Returns
    -------
    Tasks in order that cover every slice with rows once, neighbours of about the same number of rows; ``passes`` is how
    often a slice is read if all its keys are different
    """
    goal = max(1, min(_table_rows(ordered, budget), -(-int(rows_per_slice.sum()) // max(1, tasks))))
    planned: list[CollisionTask] = []
    filled = 0
    for part, rows in enumerate(rows_per_slice.tolist()):
        if not rows:
            continue
        passes = _passes(rows, ordered, budget)
        if planned and filled + rows <= goal:
            planned[-1] = CollisionTask(planned[-1].first, part + 1, 1)
            filled += rows
        else:
            planned.append(CollisionTask(part, part + 1, passes))
            filled = rows
    return planned


def collide_pieces(
    task: CollisionTask, key_paths: Sequence[Path], out_path: Path, partitions: int, keep_one: bool, budget: int
) -> dict[str, int]:
    """Find the copies of a task and write their places.

    Parameters
    ----------
    task : one of ``plan_pieces``
    key_paths : all key files, with the columns of ``piecekeys.piece_columns`` and a last one of places
    out_path : the marks (``MarkWriter``)
    partitions : of the step whose pieces these are
    keep_one : whether the piece with the least (order, place) of a key stays
    budget : bytes, as it was planned with

    Returns
    -------
    ``rows`` and ``marks``

    Raises
    ------
    RunError
        if the budget is so small that a slice would be read more than ``MOST_PASSES`` times
    DamagedFileError
        if a key file is damaged
    """
    files = [ColumnFile(path) for path in key_paths]
    counts = {"rows": 0, "marks": 0}
    with MarkWriter(out_path, partitions, budget // MARKS_PART) as marks:
        for part in range(task.first, task.last):
            rows = sum(int(file.rows[part]) for file in files)
            counts["rows"] += rows
            counts["marks"] += mark_copies(files, part, marks, keep_one, budget) if rows else 0
    return counts


def mark_copies(files: Sequence[ColumnFile], part: int, marks: MarkWriter, keep_one: bool, budget: int) -> int:
    """Mark the copies of one slice of several files.

    Parameters
    ----------
    files : with columns high, low, order if there is one, and places
    part : the slice
    marks : gets the places
    keep_one, budget : as of ``collide_pieces``

    Returns
    -------
    Number of marks
    """
    ordered = len(files[0].columns) == 4
    rows = sum(int(file.rows[part]) for file in files)
    table = _Table.of(max(LEAST_SLOTS, int(min(rows, _table_rows(ordered, budget)) / LOAD) + 1), ordered)
    shares = min(FIRST_SHARES, _passes(rows, ordered, budget))
    todo, found = [(share, shares) for share in range(shares)], 0
    while todo:
        share, shares = todo.pop()
        marked = _mark_share(files, part, share, shares, table, _chunk_rows(ordered, budget), marks, keep_one)
        if marked is None:
            _check_passes(2 * shares, budget)
            todo += [(2 * share, 2 * shares), (2 * share + 1, 2 * shares)]
        else:
            found += marked
    return found


def _mark_share(
    files: Sequence[ColumnFile],
    part: int,
    share: int,
    shares: int,
    table: _Table,
    chunk: int,
    marks: MarkWriter,
    keep_one: bool,
) -> int | None:
    """Mark the copies of a share of the keys; None if they do not fit into the table."""
    table.places[:] = EMPTY
    room = len(table.places) - 1
    none = np.empty(0, np.uint64)
    for file in files:
        for rows in file.iterate(part, part + 1, chunk):
            orders = rows[2] if len(rows) == 4 else none
            entered = enter_copies(
                rows[0], rows[1], orders, rows[-1], table.keys, table.orders, table.places,
                room, table.salt, share, shares,
            )  # fmt: skip
            if entered < 0:
                return None
            room -= entered
    found = 0
    for file in files:
        for rows in file.iterate(part, part + 1, chunk):
            out = np.empty(rows.shape[1], np.uint64)
            listed = list_copies(
                rows[0], rows[1], rows[-1], table.keys, table.places, keep_one, table.salt, share, shares, out
            )
            marks.add(out[:listed])
            found += listed
    return found


@dataclass
class _Table:
    keys: np.ndarray
    orders: np.ndarray
    places: np.ndarray
    salt: np.uint64

    @staticmethod
    def of(slots: int, ordered: bool) -> _Table:
        return _Table(
            np.empty((slots, 2), np.uint64),
            np.empty(slots if ordered else 0, np.uint64),
            np.empty(slots, np.uint64),
            np.uint64(secrets.randbits(64)),
        )


def _row_bytes(ordered: bool) -> int:
    return 32 if ordered else 24


def _chunk_rows(ordered: bool, budget: int) -> int:
    # one chunk is read while the last is not yet given back, and its marks wait
    return max(LEAST_CHUNK_ROWS, min(CHUNK_ROWS, budget // CHUNK_PART // (2 * _row_bytes(ordered) + 16)))


def _table_rows(ordered: bool, budget: int) -> int:
    rest = budget - budget // MARKS_PART - budget // CHUNK_PART
    return max(int(LEAST_SLOTS * LOAD), int(rest * LOAD / _row_bytes(ordered)))


def _passes(rows: int, ordered: bool, budget: int) -> int:
    return max(1, -(-rows // _table_rows(ordered, budget)))


def _check_passes(passes: int, budget: int) -> None:
    """Raise RunError if a slice would be read so often."""
    if passes > MOST_PASSES:
        least = budget * passes // MOST_PASSES
        raise RunError(
            f"the keys of one slice would have to be read {passes:,} times or more within the {budget:,} bytes of a "
            f"task, {MOST_PASSES} times is the limit: give more --memory, so that a task has {least:,} bytes or more"
        )

"""Band keys to candidates: for each document at most 8 others that it is compared with, whatever the partitioning.

The documents that have one key in one band are a *bucket*. Its *hub* is the one with the least order (``orders``), and
every other one has the hub as a candidate. Of its candidates a document keeps the 8 that are its hub in most bands, of
equal ones those with the least order.

Buckets, orders and counts depend on the documents alone: not on their numbers, the partitions, the order of files, the
tasks, their memory or any threshold. So neither do the candidates. A pair is a candidate in one direction only, since a
hub's order is less, so n documents have at most 8 n comparisons, be they 100,000 pages of one template, and a bucket of
any size is streamed: the table holds a hub a key, no members. The more similar two documents are, the more bands they
share, and the more of these are without a hub of their own from elsewhere; so what a template makes alike costs a page
a comparison or a few, and its true copy, which shares its other bands too, is among the 8.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpurefine.dedup.bandcollisions import Numbers, open_band_files
from gpurefine.dedup.bandkeys import BandKeyFile
from gpurefine.dedup.collisions import MOST_PASSES
from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.linking import CHUNK_ROWS, LEAST_CHUNK_ROWS, LEAST_SLOTS, LOAD
from gpurefine.documents import ROW_BITS
from gpurefine.errors import DamagedFileError, RunError
from gpurefine.kernels import enter_hubs, list_candidates

#: Candidates of a document.
CANDIDATES = 8
#: Columns of what a collide task finds: a document, its hub, the hub's order, in how many bands.
FOUND_COLUMNS = ("left", "right", "order", "bands")
#: Parts of the budget of a collide task: what documents met last, and rows that wait; the table has the rest.
REMEMBERED_PART, CHUNK_PART = 4, 4
#: Memory for a slot, a remembered document, a row that is read and listed, a row that is selected from.
SLOT_BYTES, REMEMBERED_BYTES, ROW_BYTES, SELECTED_BYTES = 24, 24, 192, 192
#: Rows that are selected from at a time whatever the budget: no document has more than there are bands.
LEAST_SELECTED = 1 << 17


@dataclass(frozen=True)
class Groups:
    """Neighbouring partitions that are looked after together.

    Attributes
    ----------
    partitions : of the step
    size : partitions of a group
    """

    partitions: int
    size: int

    def __iter__(self) -> Iterator[range]:
        for first in range(0, self.partitions, self.size):
            yield range(first, min(first + self.size, self.partitions))

    def borders(self) -> np.ndarray:
        """First document number of each group, and the one behind the last: uint64."""
        firsts = [group.start for group in self] + [self.partitions]
        return np.array(firsts, np.uint64) << np.uint64(ROW_BITS)


def collide_candidates(
    bands: range, key_paths: Sequence[Path], order_paths: Sequence[Path], groups: Groups, out_path: Path, budget: int
) -> dict[str, int]:
    """Find the candidates in some bands.

    Parameters
    ----------
    bands : adjacent ones
    key_paths : all key files, with bands
    order_paths : what ``write_orders`` wrote for each
    groups : of partitions, each of which has a slice of what waits whenever it is written
    out_path : ``ColumnFile`` with ``FOUND_COLUMNS``
    budget : bytes for the table, what is remembered, and rows

    Returns
    -------
    ``rows`` read (once a row), ``found`` rows written

    Raises
    ------
    RunError
        if a band would be read more than ``MOST_PASSES`` times
    DamagedFileError
        if a file is damaged
    """
    files = open_band_files(key_paths, bands)
    orders = [_orders_beside(file, path) for file, path in zip(files, order_paths, strict=True)]
    documents = sum(file.documents for file in files)
    passes, chunk = hub_passes(documents, budget), _chunk_rows(budget)
    table = np.empty((max(LEAST_SLOTS, int(-(-documents // passes) / LOAD) + 1), 3), np.uint64)
    remembered = min(documents, budget // REMEMBERED_PART // REMEMBERED_BYTES)
    last, times = np.zeros((remembered, 2), np.uint64), np.zeros(remembered, np.int64)
    # one for all passes: it decides which keys a pass takes
    salt = np.uint64(secrets.randbits(64))
    with _FoundWriter(out_path, groups, chunk, Numbers(files).translate) as found:
        for band in bands:
            for share in range(passes):
                _enter(files, orders, band, (share, passes), chunk, table, salt)
                first = 0
                for file in files:
                    for keys in file.keys(band, chunk):
                        found.make_room()
                        found.filled = list_candidates(
                            keys, first, table, salt, share, passes, last, times, found.rows, found.filled
                        )
                        first += len(keys)
        for begin in range(0, remembered, chunk):
            found.make_room()
            rows = np.flatnonzero(times[begin : begin + chunk]) + begin
            found.add(np.stack([rows.astype(np.uint64), last[rows, 0], last[rows, 1], times[rows].astype(np.uint64)]))
    return {"rows": documents * len(bands), "found": found.written}


def _orders_beside(file: BandKeyFile, path: Path) -> ColumnFile:
    orders = ColumnFile(path)
    if not np.array_equal(orders.rows, file.blocks):
        raise DamagedFileError(path, f"its slices are not the blocks of {file.path}")
    return orders


def _enter(
    files: Sequence[BandKeyFile],
    orders: Sequence[ColumnFile],
    band: int,
    part: tuple[int, int],
    chunk: int,
    table: np.ndarray,
    salt: np.uint64,
) -> None:
    """Find the hubs of one share of one band's keys."""
    table[:] = 0
    room, first = len(table) - 1, 0
    for file, beside in zip(files, orders, strict=True):
        # both are cut alike, at blocks and at so many rows
        pairs = zip(file.keys(band, chunk), beside.iterate(0, len(beside.rows), chunk), strict=True)
        for keys, (ranks,) in pairs:
            entered = enter_hubs(keys, ranks, first, table, room, salt, *part)
            if entered < 0:
                raise RunError(
                    f"band {band} has more distinct keys in one of {part[1]} passes than the {len(table)} that were "
                    "planned for, so its keys are not well mixed; give more --memory"
                )
            room -= entered
            first += len(keys)


def _chunk_rows(budget: int) -> int:
    return max(LEAST_CHUNK_ROWS, min(CHUNK_ROWS, budget // CHUNK_PART // ROW_BYTES))


def hub_passes(documents: int, budget: int) -> int:
    """In how many passes the hubs of a band of so many keys are found. Raises RunError if these are too many."""
    rest = budget - budget // REMEMBERED_PART - budget // CHUNK_PART
    passes = max(1, -(-documents // max(1, int(rest * LOAD / SLOT_BYTES))))
    if passes > MOST_PASSES:
        least = budget * passes // MOST_PASSES
        raise RunError(
            f"{documents:,} keys of one band would have to be read {passes:,} times within the {budget:,} bytes of a "
            f"task, {MOST_PASSES} times is the limit: give more --memory, so that a task has {least:,} bytes or more"
        )
    return passes


class _FoundWriter:
    """Rows of ``FOUND_COLUMNS`` on their way to the file, positions until then.

    Attributes
    ----------
    rows : uint64, (4, capacity); the next one goes to column ``filled``
    written : rows that are in the file
    """

    def __init__(self, path: Path, groups: Groups, chunk: int, number: Callable[[np.ndarray], np.ndarray]) -> None:
        self._writer, self._chunk, self._number = ColumnWriter(path, FOUND_COLUMNS), chunk, number
        self._borders = groups.borders()
        self.rows = np.empty((len(FOUND_COLUMNS), 2 * chunk), np.uint64)
        self.filled = self.written = 0

    def make_room(self) -> None:
        """See to it that a row for each of a chunk fits."""
        if self.filled > self._chunk:
            self._flush()

    def add(self, rows: np.ndarray) -> None:
        """Take rows, at most a chunk, for which there is room."""
        self.rows[:, self.filled : self.filled + rows.shape[1]] = rows
        self.filled += rows.shape[1]

    def _flush(self) -> None:
        if not self.filled:
            return
        rows = self.rows[:, : self.filled]
        rows[0], rows[1] = self._number(rows[0]), self._number(rows[1])
        groups = np.searchsorted(self._borders, rows[0], "right") - 1
        order = np.argsort(groups, kind="stable")
        ends = np.searchsorted(groups[order], np.arange(len(self._borders) - 1), "right")
        for begin, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
            self._writer.write_slice([[column[order[begin:end]]] for column in rows])
        self.written += self.filled
        self.filled = 0

    def __enter__(self) -> _FoundWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._flush()
        self._writer.__exit__(kind, *rest)


def select_candidates(
    found_paths: Sequence[Path], group: int, groups: Groups, out_path: Path, budget: int
) -> dict[str, int]:
    """Choose the candidates of the documents of a group of partitions.

    Parameters
    ----------
    found_paths : what all tasks of ``collide_candidates`` wrote
    group : its number among the ``groups``
    groups : of these tasks
    out_path : ``ColumnFile`` with columns left (a document) and right (its candidate), at most 8 rows a document
    budget : bytes

    Returns
    -------
    ``candidates``: rows written

    Raises
    ------
    DamagedFileError
        if a file is damaged
    """
    count = len(list(groups))
    files = [ColumnFile(path) for path in found_paths]
    most = max(LEAST_SELECTED, budget // SELECTED_BYTES)
    # what one task finds are different pairs for the most part, what several find may be the same ones
    shares = max(1, -(-max((int(file.rows[group::count].sum()) for file in files), default=0) // most))
    todo, written = [(share, shares) for share in range(shares)], 0
    with ColumnWriter(out_path, ["left", "right"]) as writer:
        while todo:
            share, shares = todo.pop()
            pieces = (piece for file in files for piece in file.iterate(group, len(file.rows), CHUNK_ROWS, count))
            rows = _rows_of_share(pieces, share, shares, most)
            if rows is None:
                todo += [(share, 2 * shares), (share + shares, 2 * shares)]
                continue
            left, right = best_candidates(rows)
            writer.write_slice([[left], [right]])
            written += len(left)
    return {"candidates": written}


def _rows_of_share(pieces: Iterable[np.ndarray], share: int, shares: int, most: int) -> np.ndarray | None:
    """The rows of some documents, each pair once; None if there are more than ``most``."""
    held = np.empty((len(FOUND_COLUMNS), 0), np.uint64)
    waiting: list[np.ndarray] = []
    for piece in pieces:
        # the rows of a document are all in one share
        waiting.append(piece[:, piece[0] % np.uint64(shares) == share] if shares > 1 else piece)
        if held.shape[1] + sum(each.shape[1] for each in waiting) > most:
            held, waiting = _once(np.concatenate([held, *waiting], axis=1)), []
            # half of the room is for what comes, so that it is not sorted for a few rows
            if held.shape[1] > most // 2:
                return None
    return _once(np.concatenate([held, *waiting], axis=1))


def _once(rows: np.ndarray) -> np.ndarray:
    """Each pair of ``left`` and ``right`` once, with the sum of its bands, sorted by both."""
    rows = rows[:, np.lexsort((rows[1], rows[0]))]
    if not rows.shape[1]:
        return rows
    begins = np.flatnonzero(np.r_[True, (rows[:2, 1:] != rows[:2, :-1]).any(axis=0)])
    return np.concatenate([rows[:3, begins], np.add.reduceat(rows[3], begins)[None]])


def best_candidates(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each document the candidates that were found in most bands, of equal ones those with the least order.

    Parameters
    ----------
    rows : uint64, (4, n), of ``FOUND_COLUMNS``, each pair once

    Returns
    -------
    left, right : uint64, sorted by left; at most ``CANDIDATES`` rows of each
    """
    left, right, order, bands = rows
    ranking = np.lexsort((right, order, ~bands, left))
    left, right = left[ranking], right[ranking]
    rank = np.arange(len(left)) - np.searchsorted(left, left, "left")
    return left[rank < CANDIDATES], right[rank < CANDIDATES]

"""Repeated windows of tokens, found out of core: filters of counters first, then exact comparison of what is left.

A task takes one group of windows, those whose hash begins with certain bits, and reads all tokens three times: to count
every window in a first filter, to count those that it lets through in a second one, and to emit what both let through
with a second hash (Bloom 1970, with counters of two bits). Nothing is stored of the windows that the filters drop, and
equal windows among the rest are those that are equal in both hashes. Scopes are mixed into both hashes of what is
emitted: the filters know of none, so they let through what has copies in other scopes alone, and that is all it costs.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.dedup.keys import SLICE_BITS, write_key_file
from gpurefine.dedup.marks import MarkWriter
from gpurefine.dedup.piececollisions import MARKS_PART, mark_copies
from gpurefine.dedup.piecekeys import piece_columns
from gpurefine.dedup.pieces import first_place
from gpurefine.dedup.tokenfile import TokenFile
from gpurefine.errors import RunError
from gpurefine.kernels import WINDOW_CHUNK, count_windows, emit_windows, window_tops
from gpurefine.kernels.cuda.device import to_device, to_host

if TYPE_CHECKING:
    from gpurefine.kernels.sides import Array

_log = logging.getLogger(__name__)

#: A group has no fewer tokens, unless all are fewer.
LEAST_GROUP_TOKENS = 1 << 22
#: Slots of a filter for each window: fewer let more through that occur once.
SLOTS_A_WINDOW = 2
LEAST_SLOT_BITS = 12
#: Windows of a group, at most, for each slice of a scratch file, as long as there are few: a part of them is emitted,
#: whose table fits a cache.
SLICE_WINDOW_BITS = 17
#: Rows that are sorted into slices at a time, at least, as far as the budget allows, and the share of a group's windows
#: no more than needed for long slices, since memory that is used again is quicker than new.
SORTED_ROWS, SORTED_SHARE_BITS = 1 << 18, 5
#: Slices of tokens that a device looks at together, which it needs to be busy: 128 MiB.
DEVICE_SLICES = 64
#: Windows that are emitted at a time, for each slice of tokens that is looked at.
EMITTED_ROWS = 1 << 16
#: How often a group reads all tokens.
READS = 3
#: Groups beyond which a run is refused: each reads all tokens.
MOST_GROUPS = 1 << 12


class WindowGroup(NamedTuple):
    """Windows whose hash begins with the ``bits`` bits of ``number``; ``slot_bits``: a filter has 2 to this slots."""

    number: int
    bits: int
    slot_bits: int


def plan_windows(tokens: int, budget: int, workers: int) -> list[WindowGroup]:
    """Cut the windows into groups whose filters fit the budget, as many as there are workers or more.

    Parameters
    ----------
    tokens : of all documents; no more windows are there
    budget : bytes a task may use
    workers : tasks that run at a time

    Raises
    ------
    RunError
        if there would be more than ``MOST_GROUPS``
    """
    most_bits = max(LEAST_SLOT_BITS, _slot_bits_in(budget // 2))
    wanted = min(workers, max(1, tokens // LEAST_GROUP_TOKENS))
    needed = -(-tokens * SLOTS_A_WINDOW // (1 << most_bits))
    bits = max(0, max(wanted, needed) - 1).bit_length()
    if 1 << bits > MOST_GROUPS:
        least = 4 * tokens * SLOTS_A_WINDOW // 4 // MOST_GROUPS * 4
        raise RunError(
            f"{tokens:,} tokens would have to be read by {1 << bits:,} tasks within the {budget:,} bytes of a task, "
            f"{MOST_GROUPS:,} is the limit: give more --memory, so that a task has {least:,} bytes or more"
        )
    windows = max(1, tokens >> bits)
    slot_bits = min(most_bits, max(LEAST_SLOT_BITS, (windows * SLOTS_A_WINDOW - 1).bit_length()))
    return [WindowGroup(number, bits, slot_bits) for number in range(1 << bits)]


def _slot_bits_in(size: int) -> int:
    """Bits of the slots of two filters that take ``size`` bytes together, at 2 bits a slot."""
    return (size * 2).bit_length() - 1


def collide_windows(
    group: WindowGroup,
    token_paths: Sequence[Path],
    partitions: Sequence[int],
    length: int,
    keep_one: bool,
    out_path: Path,
    scratch: Path,
    budget: int,
    all_partitions: int,
    on_device: bool = False,
) -> dict[str, int]:
    """Find the repeated windows of a group and write the places of those that leave.

    Parameters
    ----------
    group : one of ``plan_windows``
    token_paths, partitions : all files of tokens, and the partition of each
    length : tokens of a window
    keep_one : whether of equal windows the one with the least (order, place) stays
    out_path : the marks (``MarkWriter``)
    scratch : folder for what the filters let through; it is deleted
    budget : bytes
    all_partitions : of the step
    on_device : look through the tokens on the worker's GPU; if its memory does not do, on the CPU all the same

    Returns
    -------
    ``emitted`` (windows that passed the filters) and ``marks``

    Raises
    ------
    RunError
        if the budget is far too small
    DamagedFileError
        if a file of tokens is damaged
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        paths, emitted = _emit_there(group, token_paths, partitions, length, keep_one, scratch, budget, on_device)
        files = [ColumnFile(path) for path in paths]
        found = 0
        with MarkWriter(out_path, all_partitions, budget // MARKS_PART) as marks:
            for part in range(1 << _slice_bits(group) if files else 0):
                if any(file.rows[part] for file in files):
                    found += mark_copies(files, part, marks, keep_one, budget)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {"emitted": emitted, "marks": found}


def _slice_bits(group: WindowGroup) -> int:
    return min(SLICE_BITS, max(0, _window_bits(group) - SLICE_WINDOW_BITS))


def _window_bits(group: WindowGroup) -> int:
    """Bits of the number of windows that the group was planned for."""
    return group.slot_bits - (SLOTS_A_WINDOW - 1).bit_length()


def _emit_there(
    group: WindowGroup,
    token_paths: Sequence[Path],
    partitions: Sequence[int],
    length: int,
    keep_one: bool,
    scratch: Path,
    budget: int,
    on_device: bool,
) -> tuple[list[Path], int]:
    if on_device:
        try:
            return _emit(group, token_paths, partitions, length, keep_one, scratch, budget, to_device, DEVICE_SLICES)
        except MemoryError:
            _log.warning(
                "windows of group %d: the GPU's memory does not do, they are looked at on the CPU", group.number
            )
    return _emit(group, token_paths, partitions, length, keep_one, scratch, budget, np.asarray, 1)


def _emit(
    group: WindowGroup,
    token_paths: Sequence[Path],
    partitions: Sequence[int],
    length: int,
    keep_one: bool,
    scratch: Path,
    budget: int,
    put: Callable[[np.ndarray], Array],
    slices: int,
) -> tuple[list[Path], int]:
    """Files of the windows that pass both filters, and their number.

    ``put`` brings arrays to where the windows are looked at, ``slices`` of tokens at a time.
    """
    top, second_top = window_tops(length)
    none = put(np.empty(0, np.uint8))
    first, second = (put(np.zeros(1 << (group.slot_bits - 2), np.uint8)) for _ in range(2))
    for before, table in ((none, first), (first, second)):
        for path in token_paths:
            file = TokenFile(path)
            starts = file.document_starts()
            starts_there = put(starts)
            for begin, tokens in file.blocks(length - 1, slices):
                document = int(np.searchsorted(starts, begin, "right")) - 1
                count_windows(
                    put(tokens), begin, starts_there, max(0, document), length, top, group.number, group.bits, before,
                    table, group.slot_bits,
                )  # fmt: skip
    sink = _Sink(scratch, keep_one and _has_orders(token_paths), group, budget, put, slices * EMITTED_ROWS)
    for path, partition in zip(token_paths, partitions, strict=True):
        file = TokenFile(path)
        documents = _Documents(partition, file.document_starts(), file.orders(), file.salts())
        starts = documents.starts
        starts_there = put(starts)
        for begin, tokens in file.blocks(length - 1, slices):
            document = max(0, int(np.searchsorted(starts, begin, "right")) - 1)
            tokens_there, at, end = put(tokens), begin, begin + len(tokens)
            while at < end:
                filled, at = emit_windows(
                    tokens_there, begin, at, starts_there, document, length, top, second_top, group.number, group.bits,
                    first, second, group.slot_bits, *sink.arrays,
                )  # fmt: skip
                sink.take(filled, group.bits, documents)
    sink.flush()
    return sink.paths, sink.emitted


def _has_orders(token_paths: Sequence[Path]) -> bool:
    return any(len(TokenFile(path).orders()) for path in token_paths)


class _Documents(NamedTuple):
    """What a file of tokens says of its documents: see ``TokenFile``."""

    partition: int
    starts: np.ndarray
    orders: np.ndarray
    salts: np.ndarray


class _Sink:
    """Windows on their way to scratch files."""

    def __init__(
        self,
        folder: Path,
        ordered: bool,
        group: WindowGroup,
        budget: int,
        put: Callable[[np.ndarray], Array],
        room: int,
    ) -> None:
        self._folder, self._names = folder, piece_columns(ordered)
        self._ordered, self._slice_bits = ordered, _slice_bits(group)
        chunk = max(2 * WINDOW_CHUNK, budget // 16 // 24 // 4)
        kinds = (np.uint64, np.uint64, np.int64)
        self.arrays = tuple(put(np.empty(min(chunk, room), kind)) for kind in kinds)
        # columns and their order while they are sorted
        enough = max(SORTED_ROWS, 1 << _window_bits(group) >> SORTED_SHARE_BITS)
        self._most = max(WINDOW_CHUNK, min(enough, budget // 4 // (3 * 32)))
        self._rows: list[np.ndarray] = []
        self._held = self.emitted = 0
        self.paths: list[Path] = []

    def take(self, filled: int, bits: int, documents: _Documents) -> None:
        if not filled:
            return
        high, low, places = (to_host(column[:filled]) for column in self.arrays)
        # the bits that all windows of the group share go last, so that the slices are even
        turned = high << np.uint64(bits) | (high >> np.uint64(64 - bits) if bits else np.uint64(0))
        columns = [turned, low.copy()]
        scoped = documents.salts.size > 0
        if self._ordered or scoped:
            rows = np.searchsorted(documents.starts, places, "right") - 1
        if scoped:
            columns = [column ^ salts[rows] for column, salts in zip(columns, documents.salts, strict=True)]
        if self._ordered:
            columns.append(documents.orders[rows])
        columns.append(places.astype(np.uint64) + np.uint64(first_place(documents.partition)))
        self._rows.append(np.stack(columns))
        self._held += filled
        self.emitted += filled
        if self._held >= self._most:
            self.flush()

    def flush(self) -> None:
        if self._held:
            rows = np.concatenate(self._rows, axis=1)
            self._rows, self._held = [], 0
            self.paths.append(self._folder / f"windows-{len(self.paths):06d}")
            write_key_file(self.paths[-1], list(rows[:-1]), rows[-1], self._names, self._slice_bits, durable=False)

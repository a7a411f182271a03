"""Files of marks: the places of pieces that leave, on their way from collide tasks to the spans of documents.

A place names a piece of a step's documents (see ``pieces``). Marks come in any order; they wait in memory, and whenever
there are enough of them they are sorted and written, a slice for each 64 neighbouring partitions, so that whoever looks
after some partitions reads their slices and nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.pieces import first_place

#: Partitions whose marks are in one slice.
MARK_PARTITIONS = 64
#: The one column; the number of slices of a run is in its name, as the reader must know it.
COLUMN = "place/{}"
#: Marks that are read at a time (2 MiB).
READ_ROWS = 1 << 18


class MarkWriter:
    """Writes one file of marks; it bears its name only when it is closed or the ``with`` block ends well.

    Parameters
    ----------
    path : final name
    partitions : of the step whose pieces are marked
    buffer_bytes : of memory for marks that wait, twice that while they are sorted
    """

    def __init__(self, path: Path, partitions: int, buffer_bytes: int) -> None:
        groups = -(-partitions // MARK_PARTITIONS)
        self._borders = np.array([first_place(group * MARK_PARTITIONS) for group in range(groups + 1)], np.uint64)
        self._writer = ColumnWriter(path, [COLUMN.format(groups)])
        self._most = max(1, buffer_bytes // 16)
        self._pending: list[np.ndarray] = []
        self._count = 0

    def add(self, places: np.ndarray) -> None:
        """Take some places, uint64, in any order; they are kept, so do not change them."""
        if len(places):
            self._pending.append(places)
            self._count += len(places)
        if self._count >= self._most:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if not self._count:
            return
        places = np.concatenate(self._pending)
        self._pending, self._count = [], 0
        places.sort()
        for begin, end in itertools.pairwise(np.searchsorted(places, self._borders)):
            self._writer.write_slice([[places[begin:end]]])

    def __enter__(self) -> MarkWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._writer.discard()


def read_marks(paths: Sequence[Path], group: int) -> Iterator[np.ndarray]:
    """The marks of the partitions ``64 group`` .. ``64 group + 63``.

    Parameters
    ----------
    paths : what ``MarkWriter`` wrote
    group : below the number of groups of the step

    Yields
    ------
    uint64, rising inside each piece; a place may come again

    Raises
    ------
    DamagedFileError
        if a file is damaged
    """
    for path in paths:
        file = ColumnFile(path)
        groups = int(file.columns[0].rpartition("/")[2])
        for places in file.iterate(group, len(file.rows), READ_ROWS, groups):
            yield places[0]

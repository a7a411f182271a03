"""What collide tasks of both kinds share: how large tables and chunks are, and edges on their way to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from gpurefine.dedup.columnfile import ColumnWriter

#: A table is never fuller than this share of its slots: beyond, searches grow long.
LOAD = 0.75
#: A table is never smaller: the shares of keys that a pass takes differ from their mean, in small tables by much.
LEAST_SLOTS = 1024
#: Rows that are read at a time, at most and at least.
CHUNK_ROWS = 1 << 18
LEAST_CHUNK_ROWS = 1 << 8
#: Edges whose documents are looked up at a time.
NUMBERED_ROWS = 1 << 14


def bytes_a_key(key_columns: int) -> float:
    """Memory that a task needs for each row of its largest slice or band in one pass: 32 bytes for two key columns.

    They are the keys and the document number, over ``LOAD``. Chunks and edges take an eighth of the budget besides,
    and for a kind with bands the table of what is connected already takes 4 bytes a document, a quarter at most.
    """
    return 8 * (key_columns + 1) / LOAD


def chunk_rows(key_columns: int, budget: int) -> int:
    """Rows that are read at a time within an eighth of the budget."""
    return max(LEAST_CHUNK_ROWS, min(CHUNK_ROWS, budget // 8 // chunk_row_bytes(key_columns)))


def chunk_row_bytes(key_columns: int) -> int:
    """Memory of each row of a chunk."""
    # one chunk is read while the last is not yet given back, and edges wait for twice a chunk
    return 2 * 8 * (key_columns + 1) + 2 * 16


def table_rows(key_columns: int, budget: int) -> int:
    """Rows whose table takes what the chunks leave of the budget."""
    rest = budget - chunk_rows(key_columns, budget) * chunk_row_bytes(key_columns)
    return max(int(LEAST_SLOTS * LOAD), int(rest / bytes_a_key(key_columns)))


def slots_for(rows: int, passes: int) -> int:
    """Slots of a table that takes the keys of so many rows in so many passes."""
    return max(LEAST_SLOTS, int(-(-rows // passes) / LOAD) + 1)


class EdgeWriter:
    """Edges on their way to the file, two columns of twice a chunk.

    Parameters
    ----------
    path : the edge file
    chunk : at most so many edges are added at a time
    number : gives the document numbers (uint64) of what stands in ``left`` and ``right``; None if these are numbers

    Attributes
    ----------
    left, right : uint64; the next edge goes to index ``filled``
    written : edges that are in the file
    """

    def __init__(self, path: Path, chunk: int, number: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        self._writer, self._chunk, self._number = ColumnWriter(path, ["left", "right"]), chunk, number
        self.left, self.right = np.empty(2 * chunk, np.uint64), np.empty(2 * chunk, np.uint64)
        self.filled = self.written = 0

    def make_room(self) -> None:
        """See to it that an edge for each row of a chunk fits."""
        if self.filled > self._chunk:
            self.flush()

    def add(self, left: np.ndarray, right: np.ndarray) -> None:
        """Take the ends of any number of edges."""
        for begin in range(0, len(left), self._chunk):
            self.make_room()
            piece = slice(begin, begin + self._chunk)
            end = self.filled + len(left[piece])
            self.left[self.filled : end], self.right[self.filled : end] = left[piece], right[piece]
            self.filled = end

    def flush(self) -> None:
        """Write what waits."""
        if self.filled:
            self._writer.write_slice([self._numbered(self.left), self._numbered(self.right)])
            self.written += self.filled
            self.filled = 0

    def _numbered(self, values: np.ndarray) -> Iterator[np.ndarray]:
        for begin in range(0, self.filled, NUMBERED_ROWS):
            piece = values[begin : min(begin + NUMBERED_ROWS, self.filled)]
            yield piece if self._number is None else self._number(piece)

    def __enter__(self) -> EdgeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        self._writer.__exit__(kind, error, trace)

"""Key files of pieces: what a partition hands to the collisions of a kind that looks inside documents.

Beside the keys, in slices as ``keys`` has them, stands a file of pieces: how many each document has, so that places
can be turned into documents again, and those that leave because their own document has them before.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.keys import write_key_file
from gpurefine.dedup.pieces import Pieces, first_place

#: Slices of a file of pieces: pieces of each document, and places of copies inside one document.
COUNTS, AGAIN = 0, 1


def piece_columns(ordered: bool) -> tuple[str, ...]:
    """Columns of a key file of pieces, but for the last, which has the places."""
    return ("high", "low", "order") if ordered else ("high", "low")


class PieceKeyWriter:
    """Writes the key file of a partition and its file of pieces.

    All keys are held until it is closed: 24 or 32 bytes a piece.

    Parameters
    ----------
    path : the key file
    pieces_path : the file of pieces; it is there before the key file is
    partition : its index; places follow from it and from the order of the documents
    ordered : whether documents have an order, by which one of several copies stays
    """

    def __init__(self, path: Path, pieces_path: Path, partition: int, ordered: bool) -> None:
        self.path, self.pieces_path = Path(path), Path(pieces_path)
        self._names, self._next = piece_columns(ordered), first_place(partition)
        self._rows: list[np.ndarray] = [np.empty((len(self._names) + 1, 0), np.uint64)]
        self._counts = [np.empty(0, np.uint64)]
        self._again = [np.empty(0, np.uint64)]
        self._closed = False

    def add(self, pieces: Pieces, order: np.ndarray | None) -> None:
        """Take the pieces of the next documents; ``order``: uint64, (documents,), where they have one."""
        assert pieces.keys is not None
        counts = np.diff(pieces.starts)
        places = np.arange(int(counts.sum()), dtype=np.uint64) + np.uint64(self._next)
        self._next += len(places)
        self._counts.append(counts.astype(np.uint64))
        columns = [*pieces.keys, *([] if order is None else [np.repeat(order, counts)]), places]
        compared = np.ones(len(places), bool) if pieces.compared is None else pieces.compared.copy()
        if pieces.again is not None:
            self._again.append(places[pieces.again])
            compared &= ~pieces.again
        self._rows.append(np.stack(columns)[:, compared])

    def close(self) -> None:
        """Write the files."""
        if self._closed:
            return
        with ColumnWriter(self.pieces_path, ["values"]) as writer:
            writer.write_slice([self._counts])
            writer.write_slice([self._again])
        rows = np.concatenate(self._rows, axis=1)
        self._rows.clear()
        write_key_file(self.path, list(rows[:-1]), rows[-1], self._names)
        self._closed = True

    def __enter__(self) -> PieceKeyWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()


def document_starts(pieces_path: Path) -> np.ndarray:
    """First piece of each document of a partition, int64, (documents + 1,), from 0."""
    counts = ColumnFile(pieces_path).read(COUNTS, COUNTS + 1)[0]
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def copies_inside(pieces_path: Path) -> np.ndarray:
    """Places of the pieces that their own document has before, uint64, rising."""
    return ColumnFile(pieces_path).read(AGAIN, AGAIN + 1)[0]

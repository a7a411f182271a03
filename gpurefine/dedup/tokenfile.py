"""Files of tokens: what a partition hands to the search for repeated windows of tokens.

Tokens are written as they are, 2 bytes each, since the hashes of all windows would take four times as much. They lie in
slices of whole words of four tokens, each with a checksum; behind them stand how many tokens each document has, its
order, and its scope.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.errors import DamagedFileError

#: Tokens of a slice of the file (2 MiB); the last one is shorter.
SLICE_TOKENS = 1 << 20
#: Tokens of a word of the file.
WORD_TOKENS = 4
#: Slices behind those of tokens: counts, orders and salts.
BEHIND_TOKENS = 3


class TokenWriter:
    """Writes the tokens of a partition's documents; the file bears its name only when it is closed.

    What is held until then is up to 32 bytes a document, and one slice.

    Parameters
    ----------
    path : the file's name
    ordered : whether documents have an order, by which one of several copies stays
    scoped : whether documents have scopes
    """

    def __init__(self, path: Path, ordered: bool, scoped: bool = False) -> None:
        self._writer = ColumnWriter(path, ["value"])
        self._ordered, self._scoped = ordered, scoped
        self._pending: list[np.ndarray] = []
        self._waiting = self._tokens = 0
        self._counts: list[np.ndarray] = []
        self._orders: list[np.ndarray] = []
        self._salts: list[np.ndarray] = []
        self._closed = False

    def add(
        self, tokens: np.ndarray, starts: np.ndarray, order: np.ndarray | None, salts: np.ndarray | None = None
    ) -> None:
        """Take the next documents.

        Parameters
        ----------
        tokens : uint16, (m,)
        starts : int64, (n + 1,), from 0; document i has the tokens ``starts[i]`` .. ``starts[i + 1] - 1``
        order : uint64, (n,), if documents have one
        salts : uint64, (2, n), hashes of their scopes; None if all are null
        """
        self._counts.append(np.diff(starts).astype(np.uint64))
        if order is not None:
            self._orders.append(order)
        if self._scoped:
            self._salts.append(np.zeros((2, len(starts) - 1), np.uint64) if salts is None else salts)
        self._pending.append(tokens)
        self._waiting += len(tokens)
        if self._waiting >= SLICE_TOKENS:
            self._flush()

    def _flush(self, last: bool = False) -> None:
        tokens = np.concatenate([np.empty(0, np.uint16), *self._pending])
        whole = len(tokens) if last else len(tokens) // SLICE_TOKENS * SLICE_TOKENS
        for begin in range(0, whole, SLICE_TOKENS):
            piece = tokens[begin : min(begin + SLICE_TOKENS, whole)]
            padding = -len(piece) % WORD_TOKENS
            self._writer.write_slice([[np.concatenate([piece, np.zeros(padding, np.uint16)]).view(np.uint64)]])
        self._tokens += whole
        self._pending = [tokens[whole:].copy()]
        self._waiting = len(tokens) - whole

    def close(self) -> None:
        """Finish the file."""
        if self._closed:
            return
        self._flush(last=True)
        self._writer.write_slice([self._counts])
        self._writer.write_slice([self._orders])
        self._writer.write_slice([[np.concatenate([np.empty((2, 0), np.uint64), *self._salts], axis=1).ravel()]])
        self._writer.close()
        self._closed = True

    def __enter__(self) -> TokenWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._writer.discard()


class TokenFile:
    """A file that ``TokenWriter`` wrote; of its content only the index is held.

    Attributes
    ----------
    path : the file
    tokens : how many there are

    Raises
    ------
    RunError
        if the file cannot be read
    DamagedFileError
        here or later, if it is not what was written
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = ColumnFile(path)
        if len(self._file.rows) < BEHIND_TOKENS:
            raise DamagedFileError(self.path, "it is no file of tokens")
        self._slices = len(self._file.rows) - BEHIND_TOKENS
        self.tokens = int(self.document_starts()[-1])

    def document_starts(self) -> np.ndarray:
        """First token of each document, int64, (documents + 1,), from 0."""
        counts = self._file.read(self._slices, self._slices + 1)[0]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def orders(self) -> np.ndarray:
        """Orders of the documents, uint64, (documents,), or (0,) where they have none."""
        return self._file.read(self._slices + 1, self._slices + 2)[0]

    def salts(self) -> np.ndarray:
        """Hashes of the documents' scopes, uint64, (2, documents), or (2, 0) where they have none."""
        return self._file.read(self._slices + 2, self._slices + 3)[0].reshape(2, -1)

    def blocks(self, overlap: int, slices: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        """All tokens, some at a time; each block begins with the last ``overlap`` tokens of the one before.

        A block has so many ``slices``. A wrong checksum is noticed before the block that has it is given.

        Yields
        ------
        Number of the first token in the file, and tokens (uint16)
        """
        carried, position = np.empty(0, np.uint16), 0
        for number in range(0, self._slices, slices):
            # only the last slice of a file has fewer tokens, and padding
            words = self._file.read(number, min(number + slices, self._slices))[0]
            own = words.view(np.uint16)[: self.tokens - position]
            block = np.concatenate([carried, own])
            yield position - len(carried), block
            position += len(own)
            carried = block[len(block) - min(overlap, len(block)) :].copy()

"""Files of tokens: what a partition hands to the collisions of windows, two bytes a token.

A file is written in blocks of documents, and a document longer than a block goes on in the next. So neither the length
of a document nor their number decides how much is held at a time. It is a ``ColumnFile`` of one column with three
slices a block, its tokens, four to a word, the number of tokens of each document that begins in it, and the order
numbers of these, if they have any; a last slice tells how many tokens there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter

#: Tokens and documents of a block, at most.
BLOCK_TOKENS = 1 << 18
BLOCK_DOCUMENTS = 1 << 15

TOKEN = np.dtype("<u2")
WORD = np.dtype("<u8")
#: Slices of a block: its tokens, tokens a document, order numbers.
TOKENS, COUNTS, ORDERS, BLOCK_SLICES = 0, 1, 2, 3


class TokenWriter:
    """Writes the tokens of a partition; the file bears its name only when it is closed or the ``with`` block ends well.

    Parameters
    ----------
    path : final name
    ordered : whether documents have an order, by which one of several copies stays
    """

    def __init__(self, path: Path, ordered: bool) -> None:
        self._writer = ColumnWriter(path, ["ordered" if ordered else "unordered"])
        self._ordered = ordered
        self._tokens = _Waiting(TOKEN)
        self._counts = _Waiting(WORD)
        self._orders = _Waiting(WORD)
        self._written = 0
        self._closed = False

    def add(self, tokens: np.ndarray, starts: np.ndarray, order: np.ndarray | None = None) -> None:
        """Take the next documents.

        Parameters
        ----------
        tokens : uint16, (m,)
        starts : int64, (documents + 1,), from 0; the tokens of document i are ``starts[i]`` .. ``starts[i + 1] - 1``
        order : uint64, (documents,), in a file with an order, else None
        """
        documents = len(starts) - 1
        if (0 if order is None else len(order)) != (documents if self._ordered else 0):
            raise ValueError(f"{documents} documents of a file that is ordered: {self._ordered} have the order {order}")
        begin = 0
        while begin < documents:
            end = self._fitting(starts, begin)
            self._counts.add(np.diff(starts[begin : end + 1]))
            if order is not None:
                self._orders.add(order[begin:end])
            self._take(tokens[starts[begin] : starts[end]])
            begin = end

    def close(self) -> None:
        """Finish the file."""
        if self._closed:
            return
        if self._counts.size or self._tokens.size:
            self._write_block(self._tokens.size)
        self._writer.write_slice([[np.array([self._written], WORD)]])
        self._writer.close()
        self._closed = True

    def _fitting(self, starts: np.ndarray, begin: int) -> int:
        """The document behind the next ones that the block has room for: one at least, which may be too long for it."""
        if self._counts.size >= BLOCK_DOCUMENTS:
            self._write_block(self._tokens.size)
        room = BLOCK_TOKENS - self._tokens.size
        end = int(np.searchsorted(starts, starts[begin] + room, "right")) - 1
        return max(begin + 1, min(end, begin + BLOCK_DOCUMENTS - self._counts.size, len(starts) - 1))

    def _take(self, tokens: np.ndarray) -> None:
        self._tokens.add(tokens)
        while self._tokens.size >= BLOCK_TOKENS:
            self._write_block(BLOCK_TOKENS)

    def _write_block(self, size: int) -> None:
        tokens = self._tokens.take(size)
        self._written += size
        padded = np.zeros(-(-size // 4) * 4, TOKEN)
        padded[:size] = tokens
        self._writer.write_slice([[padded.view(WORD)]])
        self._writer.write_slice([[self._counts.take(self._counts.size)]])
        self._writer.write_slice([[self._orders.take(self._orders.size)]])

    def __enter__(self) -> TokenWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._writer.discard()


class _Waiting:
    """Numbers that wait for their block, copied so that the arrays they came in can go."""

    def __init__(self, dtype: np.dtype) -> None:
        self._pieces: list[np.ndarray] = []
        self._dtype = dtype
        self.size = 0

    def add(self, values: np.ndarray) -> None:
        self._pieces.append(np.array(values, self._dtype))
        self.size += len(values)

    def take(self, size: int) -> np.ndarray:
        """The first ``size`` numbers, which wait no longer."""
        values = np.concatenate([np.empty(0, self._dtype), *self._pieces])
        self._pieces, self.size = [values[size:]], len(values) - size
        return values[:size]


@dataclass
class TokenBlock:
    """Some tokens of a file, cut so that each window of tokens lies in one block.

    Attributes
    ----------
    first : number in the file of the first token
    tokens : uint16, (m,)
    starts : int64, (k + 1,), from 0; what lies between two is a document, or a part of one that goes on in other blocks
    orders : uint64, (k,), order numbers of the documents, or (0,) in a file without
    """

    first: int
    tokens: np.ndarray
    starts: np.ndarray
    orders: np.ndarray


class TokenFile:
    """A file that ``TokenWriter`` wrote; only its index is held in memory.

    Attributes
    ----------
    tokens : how many there are
    ordered : whether documents have an order

    Raises
    ------
    RunError
        if the file cannot be read
    DamagedFileError
        here or later, if it is not what was written
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = ColumnFile(self.path)
        self.ordered = self._file.columns == ("ordered",)
        self._blocks = len(self._file.rows) // BLOCK_SLICES
        self.tokens = int(self._file.read(self._blocks * BLOCK_SLICES, len(self._file.rows))[0, 0])

    def document_starts(self) -> np.ndarray:
        """First token of each document, int64, (documents + 1,), from 0."""
        counts = [self._read(block, COUNTS) for block in range(self._blocks)]
        return np.cumsum(np.concatenate([np.zeros(1, WORD), *counts]), dtype=np.int64)

    def blocks(self, length: int) -> Iterator[TokenBlock]:
        """All tokens. A document that goes on in the next block begins there with its last ``length - 1`` tokens.

        So each window of ``length`` tokens is in one block, and in no second one.
        """
        carried, left = np.empty(0, TOKEN), 0
        order = np.empty(0, WORD)
        begin = 0
        for block in range(self._blocks):
            size = min(BLOCK_TOKENS, int(self._file.rows[block * BLOCK_SLICES]) * 4, self.tokens - begin)
            raise NotImplementedError(size, carried, left, order)

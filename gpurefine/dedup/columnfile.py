"""A file of uint64 columns in slices: what key files and edge files are made of.

A slice lies in one piece, column after column, so that a task reads the slices it wants and nothing else, and in
chunks as small as its memory. Each column of each slice has a checksum, verified whenever it is read.

    magic | slice 0: column 0, column 1, ... | slice 1 | ... | index | length and checksum of the index | magic

All numbers are little-endian. The index holds the column names (JSON), rows a slice and the checksums.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xxhash

from gpurefine.errors import DamagedFileError, RunError
from gpurefine.write import finish, temporary_path

MAGIC = b"GPRCOLS1"
TAIL = struct.Struct("<QQ8s")
HEAD = struct.Struct("<QQ")
WORD = np.dtype("<u8")


class ColumnWriter:
    """Writes one file slice by slice; it bears its name only when it is closed or the ``with`` block ends well.

    Parameters
    ----------
    path : final name
    columns : names of the columns
    durable : whether the file must outlive the machine's failure; scratch files of one job need not
    """

    def __init__(self, path: Path, columns: Sequence[str], durable: bool = True) -> None:
        self.path, self.columns, self._durable = Path(path), tuple(columns), durable
        self._rows: list[int] = []
        self._checksums: list[int] = []
        self._temporary = temporary_path(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("wb")
        self._file.write(MAGIC)

    def write_slice(self, columns: Sequence[Iterable[np.ndarray]]) -> None:
        """Append the next slice.

        Parameters
        ----------
        columns : for each column its values in one or more pieces (uint64, 1-d); each column as many in all
        """
        counts = []
        for pieces in columns:
            checksum, count = xxhash.xxh3_64(), 0
            for piece in pieces:
                data = np.ascontiguousarray(piece, WORD)
                checksum.update(data)
                self._file.write(data)
                count += len(data)
            self._checksums.append(checksum.intdigest())
            counts.append(count)
        if len(counts) != len(self.columns) or len(set(counts)) != 1:
            raise ValueError(f"a slice of {self.columns} was given columns of {counts} rows")
        self._rows.append(counts[0])

    def close(self) -> None:
        """Finish the file; nothing can be written any more."""
        if self._file.closed:
            return
        names = json.dumps(list(self.columns)).encode()
        index = HEAD.pack(len(names), len(self._rows)) + names
        index += np.array(self._rows, WORD).tobytes() + np.array(self._checksums, WORD).tobytes()
        self._file.write(index + TAIL.pack(len(index), xxhash.xxh3_64_intdigest(index), MAGIC))
        self._file.close()
        if self._durable:
            finish(self._temporary, self.path)
        else:
            self._temporary.replace(self.path)

    def discard(self) -> None:
        """Delete what is unfinished; a file that was closed stays."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> ColumnWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.discard()


class ColumnFile:
    """A file that ``ColumnWriter`` wrote; only its index is held in memory.

    Attributes
    ----------
    columns : names of the columns
    rows : int64, (slices,), rows of each slice
    index : the bytes of its index, which tell all that is in it by names, rows and checksums

    Raises
    ------
    RunError
        if the file cannot be read
    DamagedFileError
        here or later, if it is not what was written
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                self._read_index(file)
        except OSError as error:
            raise RunError(f"cannot read {self.path}: {error.strerror}; run the same command again") from None

    def iterate(self, first: int, last: int, max_rows: int, step: int = 1) -> Iterator[np.ndarray]:
        """The rows of slices ``range(first, last, step)`` in chunks; a chunk never spans two slices.

        A wrong checksum is noticed at a slice's last chunk: keep nothing of it before the iteration has gone past.

        Yields
        ------
        uint64, (columns, n) with n at most ``max_rows``
        """
        with self.path.open("rb") as file:
            for part in range(first, last, step):
                rows = int(self.rows[part])
                checksums = [xxhash.xxh3_64() for _ in self.columns]
                for begin in range(0, rows, max_rows):
                    chunk = np.empty((len(self.columns), min(max_rows, rows - begin)), WORD)
                    for column, checksum in enumerate(checksums):
                        file.seek(self._offset(part, column) + begin * WORD.itemsize)
                        self._read(file, chunk[column], checksum)
                    if begin + chunk.shape[1] == rows:
                        self._verify(part, checksums)
                    yield chunk

    def column(self, part: int, column: int, max_rows: int) -> Iterator[np.ndarray]:
        """One column of one slice in pieces of at most ``max_rows``, uint64."""
        rows, checksum = int(self.rows[part]), xxhash.xxh3_64()
        with self.path.open("rb") as file:
            file.seek(self._offset(part, column))
            for begin in range(0, rows, max_rows):
                piece = np.empty(min(max_rows, rows - begin), WORD)
                self._read(file, piece, checksum)
                yield piece
        self._verify_column(part, column, checksum)

    def mapped(self) -> list[np.ndarray]:
        """All slices as they lie in the file, mapped into memory: uint64, (columns, rows) each. Nothing is verified."""
        words = int(self._begins[-1] - self._begins[0]) // WORD.itemsize
        if not words:
            return [np.empty((len(self.columns), 0), WORD) for _ in self.rows]
        data = np.memmap(self.path, WORD, "r", offset=len(MAGIC), shape=(words,))
        borders = (self._begins - len(MAGIC)) // WORD.itemsize
        return [
            data[begin:end].reshape(len(self.columns), -1) if begin < end else np.empty((len(self.columns), 0), WORD)
            for begin, end in itertools.pairwise(borders)
        ]

    def read(self, first: int, last: int) -> np.ndarray:
        """The rows of slices ``first`` .. ``last - 1`` at once: uint64, (columns, n)."""
        largest = max(1, int(self.rows[first:last].max(initial=0)))
        chunks = list(self.iterate(first, last, largest))
        return np.concatenate([np.empty((len(self.columns), 0), np.uint64), *chunks], axis=1)

    def _read_index(self, file: BinaryIO) -> None:
        size = file.seek(0, 2)
        if size < len(MAGIC) + TAIL.size:
            raise DamagedFileError(self.path, f"it has {size} bytes")
        file.seek(size - TAIL.size)
        length, checksum, magic = TAIL.unpack(file.read(TAIL.size))
        if magic != MAGIC or length > size - TAIL.size - len(MAGIC):
            raise DamagedFileError(self.path, "it does not end as such a file must")
        file.seek(size - TAIL.size - length)
        index = file.read(length)
        if xxhash.xxh3_64_intdigest(index) != checksum:
            raise DamagedFileError(self.path, "the checksum of its index is wrong")
        self.index = index
        name_bytes, slices = HEAD.unpack_from(index)
        self.columns = tuple(json.loads(index[HEAD.size : HEAD.size + name_bytes]))
        numbers = np.frombuffer(index, WORD, offset=HEAD.size + name_bytes)
        self.rows = numbers[:slices].astype(np.int64)
        self._checksums = numbers[slices:].astype(np.uint64).reshape(slices, len(self.columns))
        self._begins = len(MAGIC) + np.r_[0, np.cumsum(self.rows)] * len(self.columns) * WORD.itemsize
        if self._begins[-1] + length + TAIL.size != size:
            raise DamagedFileError(self.path, f"it has {size} bytes")

    def _offset(self, part: int, column: int) -> int:
        return int(self._begins[part]) + column * int(self.rows[part]) * WORD.itemsize

    def _read(self, file: BinaryIO, values: np.ndarray, checksum: xxhash.xxh3_64) -> None:
        if file.readinto(values) != values.nbytes:
            raise DamagedFileError(self.path, "it ends too early")
        checksum.update(values)

    def _verify(self, part: int, checksums: Sequence[xxhash.xxh3_64]) -> None:
        for column, checksum in enumerate(checksums):
            self._verify_column(part, column, checksum)

    def _verify_column(self, part: int, column: int, checksum: xxhash.xxh3_64) -> None:
        if checksum.intdigest() != int(self._checksums[part, column]):
            raise DamagedFileError(self.path, f"the checksum of slice {part}, column {self.columns[column]!r} is wrong")

"""Key files of kinds with bands: ``[band][document]``, 8 bytes a key, for MinHash some 3.6 KB a document.

The band is the natural bucket and the document is the position, so no document number stands beside a key. Documents
come in blocks, so that a partition of any size is written in bounded memory:

    slice 0: the number of bands | block 0: slice of band 0, band 1, ..., slice of runs | block 1 | ...

In the slice of band b stands the key of each document of the block; the slice of runs says which documents these are,
as two values for each run of consecutive numbers: the first number and how many. A collide task reads, in each block,
the slices of its bands, which lie side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.documents import ROW_BITS
from gpurefine.errors import DamagedFileError, RunError

#: Names of the columns of such a file; key files without bands have two or more.
BAND_COLUMNS = ("key",)

#: Keys of about this many bytes are held until they are written as one block.
BLOCK_BYTES = 64 << 20

#: Keys that are copied at a time when files are joined (2 MiB).
JOIN_KEYS = 1 << 18


def block_documents(bands: int) -> int:
    """Documents of a full block: the power of two whose keys take at most ``BLOCK_BYTES``; 16,384 for 450 bands."""
    return 1 << max(0, (BLOCK_BYTES // (8 * bands)).bit_length() - 1)


class BandKeyWriter:
    """Writes the key file of a partition; it bears its name only when it is closed or the ``with`` block ends well.

    Parameters
    ----------
    path : the file's name
    bands : keys a document
    partition : its index; document numbers follow from it and from the order of the documents
    """

    def __init__(self, path: Path, bands: int, partition: int) -> None:
        self.bands, self.partition, self.documents = bands, partition, 0
        self._writer = ColumnWriter(path, BAND_COLUMNS)
        self._writer.write_slice([[np.array([bands])]])
        self._block = block_documents(bands)
        self._pending: list[np.ndarray] = []
        self._waiting = 0

    def add(self, keys: np.ndarray) -> None:
        """Take the keys of the next n documents, uint64, (bands, n); they are kept for a while, so do not change them.

        ``gpurefine.dedup.keys.NO_KEY`` in all bands stands for a document that collides with none.
        """
        if len(keys) != self.bands:
            raise ValueError(f"{self._writer.path} takes keys of {self.bands} bands, not of {len(keys)}")
        begin = 0
        while begin < keys.shape[1]:
            piece = keys[:, begin : begin + self._block - self._waiting]
            self._pending.append(piece)
            self._waiting += piece.shape[1]
            begin += piece.shape[1]
            if self._waiting == self._block:
                self._write_block()

    def close(self) -> None:
        """Write what is held and finish the file."""
        if self._waiting:
            self._write_block()
        self._writer.close()

    def _write_block(self) -> None:
        for band in range(self.bands):
            self._writer.write_slice([[piece[band] for piece in self._pending]])
        first = (self.partition << ROW_BITS) + self.documents
        self._writer.write_slice([[np.array([first, self._waiting], np.uint64)]])
        self.documents += self._waiting
        self._pending, self._waiting = [], 0

    def __enter__(self) -> BandKeyWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._writer.discard()


class BandKeyFile:
    """A key file with bands.

    Attributes
    ----------
    bands : keys a document
    blocks : int64, (blocks,), documents of each block
    runs : uint64, (runs, 2), first document number and number of documents, in the order of the keys in each band

    Raises
    ------
    RunError
        if the file cannot be read
    DamagedFileError
        here or later, if it is not what was written
    """

    def __init__(self, path: Path) -> None:
        self.file = ColumnFile(path)
        self.path = self.file.path
        if self.file.columns != BAND_COLUMNS or not len(self.file.rows) or self.file.rows[0] != 1:
            raise DamagedFileError(self.path, "it has no bands")
        self.bands = int(self.file.read(0, 1)[0, 0])
        blocks, rest = divmod(len(self.file.rows) - 1, self.bands + 1)
        rows = self.file.rows[1 : len(self.file.rows) - rest].reshape(blocks, self.bands + 1)
        self.blocks = rows[:, 0].copy()
        fits = not rest and (rows[:, :-1] == self.blocks[:, None]).all() and not (rows[:, -1] % 2).any()
        if fits:
            runs = [np.empty(0, np.uint64), *self._slices(self.bands, JOIN_KEYS)]
            self.runs = np.concatenate(runs).reshape(-1, 2)
        if not fits or self.runs[:, 1].sum() != self.blocks.sum():
            raise DamagedFileError(self.path, "its blocks do not fit together")

    @property
    def documents(self) -> int:
        """Documents in the file."""
        return int(self.blocks.sum())

    def keys(self, band: int, max_rows: int) -> Iterator[np.ndarray]:
        """The keys of one band in the order of ``runs``, in pieces of at most ``max_rows``: uint64, (n,).

        A wrong checksum is noticed at the end of a block: keep nothing of it before the iteration has gone past.
        """
        return self._slices(band, max_rows)

    def block_keys(self, block: int, band: int, max_rows: int) -> Iterator[np.ndarray]:
        """The keys of one band of one block in pieces of at most ``max_rows``: uint64, (n,)."""
        return self.file.column(1 + block * (self.bands + 1) + band, 0, max_rows)

    def block_runs(self, block: int) -> np.ndarray:
        """The part of ``runs`` that belongs to a block."""
        part = (block + 1) * (self.bands + 1)
        return self.file.read(part, part + 1)[0].reshape(-1, 2)

    def _slices(self, place: int, max_rows: int) -> Iterator[np.ndarray]:
        """The slice at a place of each block."""
        for chunk in self.file.iterate(1 + place, len(self.file.rows), max_rows, self.bands + 1):
            yield chunk[0]


def join_band_key_files(paths: Sequence[Path], path: Path) -> None:
    """Write one file with the documents of several in the order of ``paths``; neighbouring blocks become one.

    Memory is bounded by ``JOIN_KEYS``, not by the files.

    Raises
    ------
    RunError
        if a file has another number of bands
    DamagedFileError
        if one is damaged
    """
    files = [BandKeyFile(each) for each in paths]
    bands = files[0].bands
    for file in files:
        if file.bands != bands:
            raise RunError(
                f"{file.path} has {file.bands} bands, {files[0].path} has {bands}: they belong to different runs, "
                "use --fresh to start over"
            )
    with ColumnWriter(path, BAND_COLUMNS) as writer:
        writer.write_slice([[np.array([bands])]])
        for group in _joined_blocks(files, block_documents(bands)):
            for band in range(bands):
                writer.write_slice([_pieces(group, band)])
            runs = [file.block_runs(block) for file, block in group]
            writer.write_slice([[_merge_runs(np.concatenate(runs)).ravel()]])


def _joined_blocks(files: Sequence[BandKeyFile], most: int) -> Iterator[list[tuple[BandKeyFile, int]]]:
    """Neighbouring blocks in groups of at most ``most`` documents; a larger block stays as it is."""
    group: list[tuple[BandKeyFile, int]] = []
    filled = 0
    for file in files:
        for block, documents in enumerate(file.blocks.tolist()):
            if group and filled + documents > most:
                yield group
                group, filled = [], 0
            group.append((file, block))
            filled += documents
    if group:
        yield group


def _pieces(group: Sequence[tuple[BandKeyFile, int]], band: int) -> Iterator[np.ndarray]:
    for file, block in group:
        yield from file.block_keys(block, band, JOIN_KEYS)


def _merge_runs(runs: np.ndarray) -> np.ndarray:
    """The same documents in as few runs as there can be."""
    ends = runs[:, 0] + runs[:, 1]
    begins = np.flatnonzero(np.r_[True, runs[1:, 0] != ends[:-1]])
    return np.stack([runs[begins, 0], np.add.reduceat(runs[:, 1], begins)], axis=1)

"""Key files: what a partition hands to the collisions. Keys and document numbers travel, text never does.

Each partition writes one file. For a kind with bands it is that of ``bandkeys``, a slice of it for each band. Other
kinds have one key of one or more columns a document, and their file is cut into slices by the highest bits of the first
column. Either way equal keys are in equal slices, so a collide task reads its slices of all files and nothing else. The
files of neighbouring partitions are joined while a slice is too short to be worth a read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gpurefine.dedup.bandkeys import BAND_COLUMNS, BandKeyFile, BandKeyWriter, join_band_key_files
from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.documents import document_numbers
from gpurefine.errors import RunError

SLICE_BITS = 8
SLICES = 1 << SLICE_BITS

#: What stands in every band, or in all of several columns, of a document that has no key and so collides with none; no
#: key has this value in a band.
NO_KEY = np.uint64(0)

#: Rows that are copied at a time when files are joined (2 MiB).
JOIN_ROWS = 1 << 18


def open_key_writer(path: Path, names: Sequence[str], bands: int, partition: int) -> KeyWriter | BandKeyWriter:
    """What writes the key file of a partition; both have ``add``, ``close`` and ``with``, and number the documents.

    Parameters
    ----------
    path : the file's name
    names : names of the key columns
    bands : keys a document, one in each band; 0 for a kind without bands
    partition : its index
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return BandKeyWriter(path, bands, partition) if bands else KeyWriter(path, names, partition)


class KeyWriter:
    """Writes the key file of a partition for a kind without bands, as ``BandKeyWriter`` does for one with bands.

    All keys are held until it is closed: 8 bytes a column and document.

    Parameters
    ----------
    path : the file's name
    names : names of the key columns
    partition : its index; document numbers follow from it and from the order of the documents
    """

    def __init__(self, path: Path, names: Sequence[str], partition: int) -> None:
        self.path, self.names, self.partition = Path(path), tuple(names), partition
        self._pending: list[np.ndarray] = []
        self._closed = False

    @property
    def documents(self) -> int:
        """Documents that were added."""
        return sum(keys.shape[1] for keys in self._pending)

    def add(self, keys: np.ndarray) -> None:
        """Take the keys of the next n documents, uint64, (columns, n); they are kept, so do not change them."""
        if len(keys) != len(self.names):
            raise ValueError(f"{self.path} takes keys of {len(self.names)} columns, not of {len(keys)}")
        self._pending.append(keys)

    def close(self) -> None:
        """Write the file."""
        if not self._closed:
            empty = np.empty((len(self.names), 0), np.uint64)
            keys = np.concatenate([empty, *self._pending], axis=1)
            numbers = document_numbers(self.partition, keys.shape[1])
            there = (keys != NO_KEY).any(axis=0)
            # a single column may well be 0, be it a number that nobody hashed
            if len(keys) > 1 and not there.all():
                keys, numbers = keys[:, there], numbers[there]
            write_key_file(self.path, list(keys), numbers, self.names)
            self._closed = True

    def __enter__(self) -> KeyWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()


def write_key_file(
    path: Path,
    keys: Sequence[np.ndarray],
    documents: np.ndarray,
    names: Sequence[str],
    slice_bits: int = SLICE_BITS,
    durable: bool = True,
) -> None:
    """Write the keys of a partition; equal slices keep the order of the rows.

    Parameters
    ----------
    path : the file's name
    keys : one uint64 array (n,) for each key column, the first one well mixed: its highest bits pick the slice
    documents : uint64, (n,), a number for each row
    names : names of the key columns
    slice_bits : how many bits pick the slice, at most ``SLICE_BITS``; a file that others are joined with has them all
    durable : as of ``ColumnWriter``
    """
    slices = (keys[0] >> np.uint64(64 - SLICE_BITS) >> np.uint64(SLICE_BITS - slice_bits)).astype(np.uint8)
    order = np.argsort(slices, kind="stable")
    ends = np.cumsum(np.bincount(slices, minlength=1 << slice_bits))
    columns = [values[order] for values in (*keys, documents)]
    with ColumnWriter(path, [*names, "document"], durable) as writer:
        for begin, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
            writer.write_slice([[values[begin:end]] for values in columns])


def join_key_files(paths: Sequence[Path], path: Path) -> None:
    """Write one key file with the rows of several, slice by slice, in the order of ``paths``; with bands or without.

    Memory is bounded by ``JOIN_ROWS``, not by the files. Raises RunError if one is damaged or of another kind.
    """
    if all(key_bands(each) for each in paths):
        join_band_key_files(paths, path)
        return
    files = [ColumnFile(each) for each in paths]
    for file in files:
        if file.columns != files[0].columns or len(file.rows) != len(files[0].rows):
            raise RunError(
                f"{file.path} has columns {file.columns} in {len(file.rows)} slices, {files[0].path} has "
                f"{files[0].columns} in {len(files[0].rows)}: they belong to different runs, use --fresh to start over"
            )
    with ColumnWriter(path, files[0].columns) as writer:
        for part in range(len(files[0].rows)):
            writer.write_slice([_pieces(files, part, column) for column in range(len(files[0].columns))])


def _pieces(files: Sequence[ColumnFile], part: int, column: int) -> Iterator[np.ndarray]:
    for file in files:
        yield from file.column(part, column, JOIN_ROWS)


def key_bands(path: Path) -> int:
    """Bands of a key file; 0 if its kind has none."""
    return BandKeyFile(path).bands if ColumnFile(path).columns == BAND_COLUMNS else 0


def slice_rows(paths: Sequence[Path]) -> np.ndarray:
    """Rows of each slice, or of each band, over several key files: int64, (slices,) or (bands,); none if no file."""
    total = np.zeros(0, np.int64)
    for number, path in enumerate(paths):
        file = ColumnFile(path)
        if file.columns == BAND_COLUMNS:
            banded = BandKeyFile(path)
            rows = np.full(banded.bands, banded.documents, np.int64)
        else:
            rows = file.rows
        if number and len(rows) != len(total):
            raise RunError(f"{path} has keys of another kind than {paths[0]}, use --fresh to start over")
        total = rows if number == 0 else total + rows
    return total

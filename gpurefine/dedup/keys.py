"""Key files: what a partition hands to the collisions. Keys and document numbers travel, text never does.

Each partition writes one file, cut into slices by the highest bits of the first key column. Equal keys are in equal
slices, so a collide task reads its slices of all files and nothing else. The files of neighbouring partitions are
joined while a slice is too short to be worth a read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.errors import RunError

SLICE_BITS = 8
SLICES = 1 << SLICE_BITS

#: What stands in every band of a document that has no key and so collides with none; no key has this value.
NO_KEY = np.uint64(0)

#: Rows that are copied at a time when files are joined (2 MiB).
JOIN_ROWS = 1 << 18


def write_key_file(path: Path, keys: Sequence[np.ndarray], documents: np.ndarray, names: Sequence[str]) -> None:
    """Write the keys of a partition; equal slices keep the order of the rows.

    Parameters
    ----------
    path : the file's name
    keys : one uint64 array (n,) for each key column, the first one well mixed: its highest bits pick the slice
    documents : uint64, (n,), a number for each row
    names : names of the key columns
    """
    slices = (keys[0] >> np.uint64(64 - SLICE_BITS)).astype(np.uint8)
    order = np.argsort(slices, kind="stable")
    ends = np.cumsum(np.bincount(slices, minlength=SLICES))
    columns = [values[order] for values in (*keys, documents)]
    with ColumnWriter(path, [*names, "document"]) as writer:
        for begin, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
            writer.write_slice([[values[begin:end]] for values in columns])


def join_key_files(paths: Sequence[Path], path: Path) -> None:
    """Write one key file with the rows of several, slice by slice, in the order of ``paths``.

    Memory is bounded by ``JOIN_ROWS``, not by the files. Raises RunError if one is damaged or of another kind.
    """
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


def slice_rows(paths: Sequence[Path]) -> np.ndarray:
    """Rows of each slice over several key files: int64, (slices,)."""
    total = np.zeros(SLICES, np.int64)
    for path in paths:
        total += ColumnFile(path).rows
    return total

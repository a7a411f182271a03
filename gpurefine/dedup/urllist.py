"""Lists of URLs that a run leaves for later ones: sorted 128-bit hashes in a file that is searched where it lies.

A list is a ``columnfile`` of two columns, the halves of the hashes, cut into slices by their highest bits and sorted;
16 bytes a URL. The names of the columns say how the URLs were normalised. A reader maps the file into memory: of a list
of 10^8 URLs (1.6 GB) only the pages that are looked at take memory, and all processes of a machine share them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.rowgroups import row_groups
from gpurefine.dedup.urlkeys import url_hashes
from gpurefine.errors import GpurefineError, InputError
from gpurefine.frames import from_arrow

#: The folder of a run directory that holds its lists.
FOLDER = "seen_urls"

#: The highest bits of a hash pick its slice: few enough that a batch is looked up quickly in a hundred lists, enough
#: that one slice of 10**9 URLs is sorted in half a gigabyte.
SLICE_BITS = 6
SLICES = 1 << SLICE_BITS

#: Bytes that sorting takes for a hash: gathered in pieces, as a whole, keys of the sort, indices, sorted, each once.
SORT_BYTES = 80
#: Hashes that are read at a time where a list is verified (1 MiB).
VERIFY_ROWS = 1 << 16


class UrlList:
    """A list that is searched.

    Parameters
    ----------
    path : what ``write_url_list`` wrote
    """

    def __init__(self, path: Path) -> None:
        self._slices = ColumnFile(path).mapped()

    def __len__(self) -> int:
        return sum(part.shape[1] for part in self._slices)

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Which hashes (uint64, (2, n): high and low halves) stand in the list: bool, (n,)."""
        found = np.zeros(hashes.shape[1], bool)
        slices = slice_of(hashes[0])
        for part in np.unique(slices).tolist():
            rows = np.flatnonzero(slices == part)
            found[rows] = _contains(self._slices[part], hashes[:, rows])
        return found


def _contains(listed: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Which of ``hashes`` are columns of ``listed``, sorted; both uint64, (2, n)."""
    first = np.searchsorted(listed[0], hashes[0], "left")
    last = np.searchsorted(listed[0], hashes[0], "right")
    found = np.zeros(hashes.shape[1], bool)
    # URLs of one high half and different low halves are as good as never met, so this is one turn
    for step in range(int((last - first).max(initial=0))):
        rows = np.flatnonzero(first + step < last)
        found[rows] |= listed[1][first[rows] + step] == hashes[1][rows]
    return found


def slice_of(high: np.ndarray) -> np.ndarray:
    """The slice of each hash by its high half: int64, (n,)."""
    return (high >> np.uint64(64 - SLICE_BITS)).astype(np.int64)


def list_path(run: Path, normalise: str | None) -> Path:
    """Where a run directory has the list of URLs that were normalised so."""
    return run / FOLDER / f"{normalise or 'recorded'}.urls"


def list_columns(normalise: str | None) -> tuple[str, str]:
    """Names of the columns of a list of URLs that were normalised so."""
    prefix = "url" if normalise is None else f"url_{normalise}"
    return f"{prefix}_high", f"{prefix}_low"


def write_url_list(refined: Sequence[Path], normalise: str | None, path: Path, budget: int) -> dict[str, int]:
    """Write the list of the URLs of documents; a document without a URL is in no list.

    Parameters
    ----------
    refined : Parquet files with a column ``url``; it is read as often as the budget demands
    normalise : as ``dedup.url`` has it
    path : of the list, which does not depend on the order of the files or on the budget
    budget : bytes that may be used; one slice is sorted in any case

    Returns
    -------
    ``urls`` in the list

    Raises
    ------
    RunError
        if a file cannot be read, or the list cannot be written
    """
    rows = sum(pq.read_metadata(file).num_rows for file in refined)
    # hashes are spread evenly, and what stands often in one row group is held once
    together = max(1, SLICES * budget // (SORT_BYTES * rows + 1))
    urls = 0
    with ColumnWriter(path, list_columns(normalise)) as writer:
        for first in range(0, SLICES, together):
            last = min(first + together, SLICES)
            pieces = [np.empty((2, 0), np.uint64)]
            for hashes in _hashes(refined, normalise):
                slices = slice_of(hashes[0])
                pieces.append(_sorted_once(hashes[:, (first <= slices) & (slices < last)]))
            whole = _sorted_once(np.concatenate(pieces, axis=1))
            borders = np.searchsorted(slice_of(whole[0]), np.arange(first, last + 1))
            for begin, end in itertools.pairwise(borders):
                writer.write_slice([[column[begin:end]] for column in whole])
            urls += whole.shape[1]
    return {"urls": urls}


def _hashes(refined: Iterable[Path], normalise: str | None) -> Iterator[np.ndarray]:
    for path in refined:
        for table in row_groups(path, ["url"]):
            yield url_hashes(from_arrow(pa.table({"url": table["url"]}))["url"], normalise, skip_missing=True)


def _sorted_once(hashes: np.ndarray) -> np.ndarray:
    """Columns of ``hashes`` in ascending order, each once."""
    ordered = hashes[:, np.lexsort(hashes[::-1])]
    new = np.ones(ordered.shape[1], bool)
    new[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    return ordered[:, new]


def check_url_list(path: Path, normalise: str | None) -> str:
    """See that a file is a whole list of URLs that were normalised so, which reads all of it once a process.

    Returns
    -------
    SHA-256 (hexadecimal) of the checksums of all that is in it

    Raises
    ------
    InputError
        if it is not, in one sentence
    """
    try:
        status = path.stat()
        columns, digest = _verified(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InputError(f"cannot read the list of URLs {path}: {error.strerror}; name a file that is there") from None
    except GpurefineError as error:
        what = getattr(error, "what", None) or str(error)
        raise InputError(
            f"{path} is no list of URLs or damaged ({what}): write it again by its run (write_seen: true), or leave it "
            "out of 'seen'"
        ) from None
    if columns != list_columns(normalise):
        known = {list_columns(each): f"normalise: {each or 'null'}" for each in (None, "c4")}
        found = known.get(columns, f"columns {', '.join(columns)}")
        raise InputError(
            f"{path} is a list of another kind ({found}, expected normalise: {normalise or 'null'}): "
            "set 'normalise' as the run had it that wrote the list, or name another list"
        )
    return digest


@lru_cache(maxsize=1024)
def _verified(path: Path, size: int, changed: int) -> tuple[tuple[str, ...], str]:
    """Columns and SHA-256 of a list whose checksums are right; ``size`` and ``changed`` tell a file that is new."""
    file = ColumnFile(path)
    for _ in file.iterate(0, len(file.rows), VERIFY_ROWS):
        pass
    return file.columns, hashlib.sha256(file.index).hexdigest()

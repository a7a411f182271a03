"""Band keys to edges: documents with equal keys in one band collide.

A task takes adjacent bands. Band after band, the keys of all documents go through one hash table that holds the first
document of each distinct key. Documents of equal text collide in every band, so the task remembers in a union-find what
it has connected and writes a spanning forest: for n documents at most n - 1 edges, however many bands it has. A band
with more documents than the table has room for is read several times, each time for another share of its keys.

Keys of old runs come after those of the run's own documents. They are looked up and not entered: only edges that a
document of this run has are of interest, and the table need not grow with the old runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gpurefine.dedup.bandkeys import BandKeyFile
from gpurefine.dedup.linking import EdgeWriter, chunk_rows, slots_for, table_rows
from gpurefine.dedup.oldkeys import OldKeyFile
from gpurefine.errors import DamagedFileError, RunError
from gpurefine.kernels import link_band_keys

#: The table of parents, 4 bytes a document, takes at most one such part of the budget. Of documents beyond it nothing
#: is remembered: their edges are all written.
FOREST_SHARE = 4


def forest_documents(documents: int, budget: int) -> int:
    """Documents whose connections a task remembers."""
    return min(documents, budget // FOREST_SHARE // 4, 1 << 32)


def band_table_rows(documents: int, budget: int) -> int:
    """Documents of a band whose keys go through the table in one pass, of so many with those of old runs."""
    return table_rows(1, budget - 4 * forest_documents(documents, budget))


def collide_bands(
    bands: range,
    passes: int,
    key_paths: Sequence[Path],
    out_path: Path,
    budget: int,
    old: Sequence[OldKeyFile] = (),
) -> dict[str, int]:
    """Find the collisions in some bands and write a spanning forest of them as edges.

    Parameters
    ----------
    bands : adjacent ones
    passes : how often each band is read
    key_paths : all key files, with bands
    out_path : edge file (``ColumnFile`` with columns left, right) of document numbers
    budget : bytes for the table, the forest, keys and edges; the indexes of the key files, 24 bytes a slice (with 450
        bands some 0.7 bytes a document), come on top
    old : key files of old runs, whose documents collide only with those of ``key_paths``

    Returns
    -------
    ``rows`` read (once a row), ``edges`` written, ``shared`` keys that several documents have

    Raises
    ------
    RunError
        if a band's keys are so uneven that the passes do not hold them
    DamagedFileError
        if a key file is damaged
    """
    files = open_band_files(key_paths, bands)
    old_files = open_band_files([each.path for each in old], bands)
    own = sum(file.documents for file in files)
    documents = own + sum(file.documents for file in old_files)
    numbers = Numbers([*files, *old_files], [0] * len(files) + [each.shift for each in old])
    rows = chunk_rows(1, budget)
    table = np.empty((slots_for(own, passes), 2), np.uint64)
    parent = np.arange(forest_documents(documents, budget), dtype=np.uint32)
    # one for all passes: it decides which keys a pass takes
    salt = np.uint64(secrets.randbits(64))
    counts = {"rows": documents * len(bands), "edges": 0, "shared": 0}
    with EdgeWriter(out_path, rows, numbers.translate) as edges:
        for band in bands:
            for share in range(passes):
                table[:] = 0
                counts["shared"] += _link(files, old_files, band, (share, passes), rows, table, salt, parent, edges)
    counts["edges"] = edges.written
    return counts


def open_band_files(key_paths: Sequence[Path], bands: range) -> list[BandKeyFile]:
    """Key files that have these bands. Raises DamagedFileError for one that has not."""
    files = [BandKeyFile(path) for path in key_paths]
    for file in files:
        if file.bands < bands.stop:
            raise DamagedFileError(file.path, f"it has {file.bands} bands, not {bands.stop} or more")
    return files


def _link(
    files: Sequence[BandKeyFile],
    old_files: Sequence[BandKeyFile],
    band: int,
    part: tuple[int, int],
    rows: int,
    table: np.ndarray,
    salt: np.uint64,
    parent: np.ndarray,
    edges: EdgeWriter,
) -> int:
    """Put one share of one band's keys through the empty table; returns how many keys several documents have."""
    room, shared, first = len(table) - 1, 0, 0
    for number, file in enumerate([*files, *old_files]):
        for keys in file.keys(band, rows):
            edges.make_room()
            edges.filled, entered, again = link_band_keys(
                keys, first, table, room, salt, *part, parent, edges.left, edges.right, edges.filled,
                number < len(files),
            )  # fmt: skip
            if entered < 0:
                raise RunError(
                    f"band {band} has more distinct keys in one of {part[1]} passes than the {len(table)} that were "
                    "planned for, so its keys are not well mixed; give more --memory"
                )
            room -= entered
            shared += again
            first += len(keys)
    return shared


class Numbers:
    """Document numbers of the positions in a band over all files.

    Parameters
    ----------
    files : key files in the order of the positions
    shifts : what is added to the document numbers of each file; by default nothing
    """

    def __init__(self, files: Sequence[BandKeyFile], shifts: Sequence[int] | None = None) -> None:
        added = [np.array([shift, 0], np.uint64) for shift in shifts or [0] * len(files)]
        shifted = (file.runs + shift for file, shift in zip(files, added, strict=True))
        runs = np.concatenate([np.empty((0, 2), np.uint64), *shifted])
        self._begins = np.r_[np.uint64(0), np.cumsum(runs[:, 1])]
        # a position and the number there differ by the same amount in a whole run
        self._shifts = runs[:, 0] - self._begins[:-1]

    def translate(self, positions: np.ndarray) -> np.ndarray:
        """Numbers of some positions, both uint64."""
        return positions + self._shifts[np.searchsorted(self._begins, positions, "right") - 1]

"""Files of units: what the texts of a partition are compared by, document by document, for those that are compared.

Units are tokens, words or characters of the texts as they are shingled. Which documents are compared with which is
known only when all keys are there, so a document is found by its row, in two reads, without an index in memory:

    magic | units of document 0, 1, ... | where each begins, its checksum | kind of units, documents, checksum | magic

All numbers are little-endian.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from gpurefine.errors import DamagedFileError, RunError
from gpurefine.write import finish, temporary_path

MAGIC = b"GPRUNIT1"
#: Bytes of a unit, documents, where the entries begin, checksum of these three.
TAIL = struct.Struct("<QQQQ8s")
CHECKED = struct.Struct("<QQQ")
#: Where a document begins in the file, and its checksum.
ENTRY = np.dtype([("begin", "<u8"), ("checksum", "<u8")])
#: Files that are open at a time.
OPEN_FILES = 64


class UnitWriter:
    """Writes the units of a partition's documents; the file bears its name only when it is closed.

    What is held until then is 16 bytes a document.

    Parameters
    ----------
    path : the file's name
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._temporary = temporary_path(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("wb")
        self._file.write(MAGIC)
        self._position, self._documents, self._item_bytes = len(MAGIC), 0, 0
        self._entries: list[np.ndarray] = []

    def add(self, units: np.ndarray, starts: np.ndarray) -> None:
        """Take the next documents.

        Parameters
        ----------
        units : unsigned integers, of one type in all calls
        starts : int64, (n + 1,); document i has ``units[starts[i]:starts[i + 1]]``
        """
        data = np.ascontiguousarray(units[starts[0] : starts[-1]])
        if self._item_bytes not in (0, data.itemsize):
            raise ValueError(f"{self.path} takes units of {self._item_bytes} bytes, not of {data.itemsize}")
        self._item_bytes = data.itemsize
        ends = (starts - starts[0]) * data.itemsize
        view = memoryview(data.view(np.uint8))
        entries = np.empty(len(starts) - 1, ENTRY)
        entries["begin"] = ends[:-1] + self._position
        # the row is the seed, so that a document is not taken for another one
        entries["checksum"] = [
            xxhash.xxh3_64_intdigest(view[begin:end], self._documents + row)
            for row, (begin, end) in enumerate(itertools.pairwise(ends.tolist()))
        ]
        self._entries.append(entries)
        self._file.write(view)
        self._position += data.nbytes
        self._documents += len(entries)

    def close(self) -> None:
        """Finish the file."""
        if self._file.closed:
            return
        for entries in self._entries:
            self._file.write(entries.tobytes())
        self._file.write(np.array([(self._position, 0)], ENTRY).tobytes())
        checked = self._item_bytes or 1, self._documents, self._position
        self._file.write(TAIL.pack(*checked, xxhash.xxh3_64_intdigest(CHECKED.pack(*checked)), MAGIC))
        self._file.close()
        finish(self._temporary, self.path)

    def __enter__(self) -> UnitWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


class UnitFile:
    """A file that ``UnitWriter`` wrote; nothing of its content is held.

    Attributes
    ----------
    path : the file
    documents : how many it has
    units : type of the units

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
            self._descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise RunError(f"cannot read {self.path}: {error.strerror}; run the same command again") from None
        size = os.fstat(self._descriptor).st_size
        tail = os.pread(self._descriptor, TAIL.size, max(0, size - TAIL.size))
        if len(tail) < TAIL.size:
            raise DamagedFileError(self.path, f"it has {size} bytes")
        item_bytes, self.documents, self._entries_begin, checksum, magic = TAIL.unpack(tail)
        checked = CHECKED.pack(item_bytes, self.documents, self._entries_begin)
        if magic != MAGIC or checksum != xxhash.xxh3_64_intdigest(checked):
            raise DamagedFileError(self.path, "it does not end as such a file must")
        if self._entries_begin + (self.documents + 1) * ENTRY.itemsize + TAIL.size != size:
            raise DamagedFileError(self.path, f"it has {size} bytes")
        self.units = np.dtype(f"<u{item_bytes}")

    def bounds(self, row: int) -> tuple[int, int, int]:
        """First byte and the one behind the last of a document, and its checksum."""
        if row >= self.documents:
            raise DamagedFileError(self.path, f"it has {self.documents} documents, and row {row} is asked for")
        place = self._entries_begin + row * ENTRY.itemsize
        entries = np.frombuffer(os.pread(self._descriptor, 2 * ENTRY.itemsize, place), ENTRY)
        begin, end = entries["begin"].tolist() if len(entries) == 2 else (0, 0)
        if not len(MAGIC) <= begin <= end <= self._entries_begin:
            raise DamagedFileError(self.path, f"what it says of row {row} cannot be")
        return begin, end, int(entries["checksum"][0])

    def read(self, row: int) -> np.ndarray:
        """The units of a document: (m,)."""
        begin, end, checksum = self.bounds(row)
        units = np.empty((end - begin) // self.units.itemsize, self.units)
        if units.nbytes != end - begin or (
            units.nbytes and os.preadv(self._descriptor, [units.view(np.uint8)], begin) != units.nbytes
        ):
            raise DamagedFileError(self.path, f"row {row} ends too early")
        if xxhash.xxh3_64_intdigest(units, row) != checksum:
            raise DamagedFileError(self.path, f"the checksum of row {row} is wrong")
        return units

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class UnitFiles:
    """The unit files of all partitions, few of them open at a time.

    Parameters
    ----------
    paths : of partitions 0, 1, ...
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: OrderedDict[int, UnitFile] = OrderedDict()

    def __getitem__(self, partition: int) -> UnitFile:
        if partition not in self._open:
            if len(self._open) == OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            self._open[partition] = UnitFile(self._paths[partition])
        self._open.move_to_end(partition)
        return self._open[partition]

    def __enter__(self) -> UnitFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

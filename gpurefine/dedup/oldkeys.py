"""Keys that old runs have left, found and checked: see ``keptkeys`` for what there is.

All that can be known without reading the keys is checked before a run begins: what decides them, the sizes of files,
and the checksums of their indexes. What is in them is verified where it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import xxhash

from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.documents import ROW_BITS
from gpurefine.errors import DamagedFileError
from gpurefine.write import read_counts

#: The folder of a run directory, and the file in it that tells of the others.
FOLDER, INDEX = "keys", "keys.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class OldKeyFile:
    """A key file of an old run.

    Attributes
    ----------
    path : the file
    shift : what is added to its document numbers
    """

    path: Path
    shift: int


@dataclass(frozen=True)
class OldKeys:
    """The keys that a run has kept of one dedup.

    Attributes
    ----------
    run : the run directory, as it was named
    folder : where they are
    checksum : sha256 (hexadecimal) of their index, and so of all that is in them
    fingerprint : of all that decided in that run, which does not depend on its partitions
    settings : what decides the keys
    partitions, documents : how many
    key_files, member_files : names of the files
    runs : directory of each run that ``keptkeys.MEMBERS_SCHEMA`` names, by its fingerprint
    first : number that the first partition has in a later run
    """

    run: str
    folder: Path
    checksum: str
    fingerprint: str
    settings: Mapping[str, Any]
    partitions: int
    documents: int
    key_files: tuple[str, ...]
    member_files: tuple[str, ...]
    runs: Mapping[str, str]
    first: int = 0

    @property
    def shift(self) -> int:
        """What a later run adds to the document numbers."""
        return self.first << ROW_BITS

    def shifted_files(self) -> list[OldKeyFile]:
        """The key files for ``collide``."""
        return [OldKeyFile(self.folder / name, self.shift) for name in self.key_files]

    def key_bytes(self) -> int:
        """Size of the key files."""
        return sum((self.folder / name).stat().st_size for name in self.key_files)


def keys_folder(run: Path, stage: str) -> Path:
    """Where a run directory has the keys of the stage of this name."""
    return run / FOLDER / quote(stage, safe="").replace(".", "%2E", stage.startswith("."))


def index_checksum(path: Path) -> str:
    """Checksum of a key file's index, which has the checksums of all that is in the file."""
    return xxhash.xxh3_128_hexdigest(ColumnFile(path).index)


def read_old_keys(run: str, stage: str) -> OldKeys:
    """What a run has kept of the keys of a stage. The indexes of all files are verified, their contents where read.

    Raises
    ------
    FileNotFoundError
        if it has kept none
    GpurefineError
        if a file is not what was written, in a sentence that ends with what it is
    """
    folder = keys_folder(Path(run), stage)
    data = (folder / INDEX).read_bytes()
    try:
        index = json.loads(data)
        if index["format"] != FORMAT_VERSION:
            raise ValueError(f"it is of format {index['format']}, this version reads {FORMAT_VERSION}")
        found = OldKeys(
            run=run,
            folder=folder,
            checksum=hashlib.sha256(data).hexdigest(),
            fingerprint=index["run"],
            settings=index["settings"],
            partitions=index["partitions"],
            documents=index["documents"],
            key_files=tuple(entry["name"] for entry in index["key_files"]),
            member_files=tuple(entry["name"] for entry in index["member_files"]),
            runs=index["runs"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(folder / INDEX, str(error)) from None
    for entry in index["key_files"]:
        _check(folder / entry["name"], entry, index_checksum)
    for entry in index["member_files"]:
        _check(folder / entry["name"], entry, _footer_checksum)
    return found


def _footer_checksum(path: Path) -> str | None:
    return read_counts(path).get("checksum")


def _check(path: Path, entry: Mapping[str, Any], checksum: Callable[[Path], str | None]) -> None:
    """Raise DamagedFileError unless a file is what the index says of it."""
    if not path.exists():
        raise DamagedFileError(path, "it is not there")
    if path.stat().st_size != entry["bytes"]:
        raise DamagedFileError(path, f"it has {path.stat().st_size:,} bytes, not {entry['bytes']:,}")
    if checksum(path) != entry["checksum"]:
        raise DamagedFileError(path, "it is another file than the run has left")

"""Where the results of a run are read from: a local run directory, or one in an object store."""

from __future__ import annotations

import os
from typing import Any, Protocol

import pyarrow.dataset as ds

from gpurefine.engine.objectfolder import ObjectFolder
from gpurefine.engine.publish import read_manifest
from gpurefine.engine.store import RunStore
from gpurefine.errors import InputError
from gpurefine.read.opening import is_url

#: Parquet that is checked page by page: zstd alone lets many a flipped bit through.
CHECKED_PARQUET = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


class ResultFolder(Protocol):
    """A run directory, for reading."""

    #: the path or URL
    name: str

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, None if there is none. Raises OutputError if it cannot be read."""

    def summary(self) -> bytes:
        """The content of ``summary.json`` of a complete run."""

    def has(self, folder: str) -> bool:
        """Whether a folder of results has Parquet files."""

    def dataset(self, folder: str, **options: Any) -> ds.Dataset:
        """The Parquet files of a folder that has some; ``options`` are of ``pyarrow.dataset.dataset``."""

    def local(self) -> RunStore:
        """The directory, if it is local. Raises InputError if it is not."""


class LocalResults:
    """A run directory of this machine."""

    def __init__(self, path: str | os.PathLike) -> None:
        self._store = RunStore(path)
        self.name = str(self._store.root)

    def manifest(self) -> dict[str, Any] | None:
        return self._store.read_manifest()

    def summary(self) -> bytes:
        return self._store.summary_path.read_bytes()

    def has(self, folder: str) -> bool:
        return any((self._store.root / folder).glob("part-*.parquet"))

    def dataset(self, folder: str, **options: Any) -> ds.Dataset:
        return ds.dataset(self._store.root / folder, format=CHECKED_PARQUET, **options)

    def local(self) -> RunStore:
        return self._store


class RemoteResults:
    """A run directory in an object store. Raises OutputError if the store cannot be used."""

    def __init__(self, url: str) -> None:
        self._folder = ObjectFolder(url)
        self.name = self._folder.url

    def manifest(self) -> dict[str, Any] | None:
        return read_manifest(self._folder)

    def summary(self) -> bytes:
        data = self._folder.read("summary.json")
        if data is None:
            raise InputError(f"{self.name} has no summary.json, which a complete run has: use --fresh to start over")
        return data

    def has(self, folder: str) -> bool:
        return any(name.startswith(f"{folder}/") and name.endswith(".parquet") for name in self._folder.sizes())

    def dataset(self, folder: str, **options: Any) -> ds.Dataset:
        return self._folder.dataset(folder, format=CHECKED_PARQUET, **options)

    def local(self) -> RunStore:
        raise InputError(f"{self.name} is not on this machine, and scores are read locally: copy it here first")


def open_results(place: str | os.PathLike) -> ResultFolder:
    """The results at a path or URL."""
    return RemoteResults(os.fspath(place)) if is_url(place) else LocalResults(place)

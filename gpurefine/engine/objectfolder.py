"""A folder of an object store, or of whatever fsspec reaches: whole files in, whole files out, each try repeated.

A put is atomic there: a file appears whole or not at all. Nothing can be renamed or locked, so a run does its work in
a local directory and puts its results here (``publish``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.dataset as ds
from fsspec.core import url_to_fs
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from gpurefine.errors import OutputError
from gpurefine.read.opening import EXTRAS

#: Tries of each call, and the longest wait between two, in seconds.
TRIES, LONGEST_WAIT = 7, 60.0
#: Deletions are sent so many at a time.
DELETED_AT_A_TIME = 1_000

Answer = TypeVar("Answer")


def passes(error: BaseException) -> bool:
    """Whether an error may be gone at the next try."""
    lasting = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    return isinstance(error, OSError | TimeoutError) and not isinstance(error, lasting)


class ObjectFolder:
    """A folder by its URL; names of files are below it, with slashes.

    Credentials and endpoints are those of the protocol's package: for ``s3`` the AWS configuration and environment.

    Parameters
    ----------
    url : such as ``s3://bucket/folder``

    Raises
    ------
    OutputError
        here, if there is no such protocol or its package is not installed; of every method, if the store refuses
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        protocol = url.partition("://")[0]
        try:
            self.system, self._base = url_to_fs(self.url)
        except ImportError as error:
            extra = EXTRAS.get(protocol)
            install = f"pip install 'gpurefine[{extra}]'" if extra else "install the package that it names"
            raise OutputError(f"cannot use {url}: {error}; {install}") from None
        except ValueError as error:
            raise OutputError(f"cannot use {url}: {error}; use s3://, another protocol of fsspec, or a path") from None
        if protocol == "memory":
            raise OutputError(f"{url} ends with this process: choose a folder that lasts")

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it is not there."""
        try:
            return self._tried(self.system.cat_file, self._path(name))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a small file whole."""
        self._try(self.system.pipe_file, self._path(name), data)

    def put(self, source: Path, name: str) -> int:
        """Put a local file there; returns its size in bytes, which the store has confirmed."""
        path, size = self._path(name), source.stat().st_size

        def once() -> int:
            self.system.put_file(str(source), path)
            self.system.invalidate_cache()
            found = self.system.size(path)
            if found != size:
                raise OSError(f"it has {found} bytes there and {size} here")
            return size

        return self._try(once)

    def sizes(self) -> dict[str, int]:
        """Size of every file below the folder, by name."""

        def once() -> dict[str, dict[str, Any]]:
            self.system.invalidate_cache()
            return self.system.find(self._base, detail=True)

        try:
            found = self._tried(once)
        except FileNotFoundError:
            return {}
        return {path[len(self._base) :].lstrip("/"): entry["size"] for path, entry in found.items()}

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that are gone already are no error."""
        paths = [self._path(name) for name in names]
        for begin in range(0, len(paths), DELETED_AT_A_TIME):
            self._try(self.system.rm, paths[begin : begin + DELETED_AT_A_TIME])

    def dataset(self, folder: str, **options: Any) -> ds.Dataset:
        """The Parquet files of a folder, which has some; ``options`` are of ``pyarrow.dataset.dataset``."""
        self.system.invalidate_cache()
        return ds.dataset(self._path(folder), filesystem=self.system, **options)

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _try(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call something that needs the folder to be there."""
        try:
            return self._tried(call, *arguments)
        except FileNotFoundError as error:
            raise OutputError(f"cannot use {self.url}: {_told(error)}{self._mend(error)}") from error

    def _tried(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call again while that may help. Raises FileNotFoundError, or OutputError for all else."""
        tries = Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT),
            retry=retry_if_exception(passes),
            reraise=True,
        )
        try:
            return tries(call, *arguments)
        except FileNotFoundError:
            raise
        except (OSError, TimeoutError, ValueError) as error:
            raise OutputError(f"cannot use {self.url}: {_told(error)}{self._mend(error)}") from error
        except Exception as error:
            # packages of object stores raise errors of their own, as for credentials that are not there
            if type(error).__module__.partition(".")[0] not in ("botocore", "aiobotocore", "aiohttp"):
                raise
            raise OutputError(f"cannot use {self.url}: {_told(error)}{self._mend(error)}") from error

    def _mend(self, error: BaseException) -> str:
        if passes(error):
            return f" (tried {TRIES} times); give the same command again when it can be reached"
        return "; see that the bucket is there and that your credentials may write to it"


def _told(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__

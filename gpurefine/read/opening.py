"""Where the bytes of an input come from: local files, and what fsspec finds for a URL.

Every reader opens its input here. A file behind a URL is read in blocks (``ranges``), each of which is fetched again
while that may help (``faults``). A file that is not what it was when the run looked at it first is an error.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, cast

from fsspec.config import conf
from fsspec.core import url_to_fs
from fsspec.spec import AbstractFileSystem

from gpurefine.errors import InputError
from gpurefine.read.faults import CutTransferError, call_again, sentence
from gpurefine.read.ranges import RangeReader

#: The packages that fsspec needs for a protocol, by our extras.
EXTRAS = {"s3": "s3", "s3a": "s3", "http": "http", "https": "http"}
#: Connections of a process to S3: one for each file that is looked at at a time.
CONNECTIONS = 32
_HTTP = ("http", "https")
_LOCAL = ("file://", "local://")
#: Seconds for a connection, and between two pieces of a transfer.
_CONNECT, _STALL = 30, 60


@dataclass(frozen=True)
class Place:
    """Where an input is, and what it was when the run looked at it first; all that a worker needs to open it.

    Attributes
    ----------
    path : local path or URL
    storage : options of the URL's file system
    size : bytes; None if it was not looked at yet
    tag : what the place calls this version of the file (its ETag, or date), None where it says nothing
    """

    path: str
    storage: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None
    tag: str | None = None

    def __str__(self) -> str:
        return self.path


def is_url(path: object) -> bool:
    """Whether a place is named by a URL of fsspec's and not by a path of this machine."""
    return "://" in str(path) and not str(path).startswith(_LOCAL)


def local_path(path: str) -> str:
    """The path that a ``file://`` URL means, or the path as it is."""
    protocol = next((start for start in _LOCAL if path.startswith(start)), None)
    return path if protocol is None else path[len(protocol) :]


def open_binary(place: str | Place, ahead_to: int | None = None) -> tuple[BinaryIO, int]:
    """Open a local file or, for a path with ``://``, what fsspec finds there.

    Parameters
    ----------
    ahead_to : of a URL, nothing from this byte on is fetched before it is asked for

    Returns
    -------
    The file, open for reading, and its size in bytes.

    Raises
    ------
    InputError
        if it cannot be opened, or is not what it was; of the file's methods, if it cannot be read on
    """
    place = place if isinstance(place, Place) else Place(place)
    try:
        if is_url(place.path):
            file, size, tag = _open_url(place, ahead_to)
        else:
            file, tag = open(local_path(place.path), "rb", buffering=0), None  # noqa: SIM115 - the caller closes it
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InputError(f"cannot read the input {place}: {error.strerror or error}") from error
    if place.size is not None and (size, tag) != (place.size, place.tag):
        file.close()
        raise InputError(sentence(place.path, ValueError(), "changed", 1))
    return file, size


def file_system(url: str, storage: Mapping[str, Any]) -> tuple[AbstractFileSystem, str]:
    """What reads a URL, and what the URL is called there.

    Raises
    ------
    InputError
        if there is no such protocol, its package is missing, or it does not take these options
    """
    protocol = url.partition("://")[0]
    options = dict(storage)
    try:
        if protocol in _HTTP:
            options = _http_options(options)
        elif EXTRAS.get(protocol) == "s3":
            options = _s3_options(options)
        return url_to_fs(url, **options)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        install = f"pip install 'gpurefine[{extra}]'" if extra else "install the package that it names"
        raise InputError(f"cannot read {url}: {error}; {install}") from None
    except (ValueError, TypeError) as error:
        mend = "see the options of input.storage" if storage else "use s3://, https:// or a path"
        raise InputError(f"cannot read {url}: {error}; {mend}") from None


def _http_options(storage: dict[str, Any]) -> dict[str, Any]:
    """Options with which files come as they are: not decompressed on their way, and not waited for without end."""
    import aiohttp

    # what the environment says, as FSSPEC_HTTPS, is added to and not replaced
    given = [conf.get("http", {}), conf.get("https", {}), storage]
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_STALL)
    client: dict[str, Any] = {"timeout": timeout, "auto_decompress": False}
    headers: dict[str, str] = {"Accept-Encoding": "identity"}
    for each in given:
        client |= each.get("client_kwargs", {})
        headers |= each.get("headers", {})
    return {**storage, "client_kwargs": client, "headers": headers}


def _s3_options(storage: dict[str, Any]) -> dict[str, Any]:
    """Options with which files can be looked at beside each other; ten connections is what botocore has."""
    client: dict[str, Any] = {"max_pool_connections": CONNECTIONS}
    for each in (conf.get("s3", {}), storage):
        client |= each.get("config_kwargs", {})
    return {**storage, "config_kwargs": client}


def look_at(url: str, storage: Mapping[str, Any]) -> dict[str, Any]:
    """What a place says of a file, of fsspec's ``info``.

    Raises
    ------
    FileNotFoundError
        if it is not there
    InputError
        if the place cannot be read
    """
    system, name = file_system(url, storage)
    return call_again(lambda: system.info(name), url, looking=True)


def tag_of(info: Mapping[str, Any]) -> str | None:
    """What a place calls a version of a file, by what ``info`` says of it; None if it says nothing that lasts."""
    tag = next((info[name] for name in ("ETag", "etag") if info.get(name)), None)
    if tag is not None and not str(tag).startswith("W/"):
        return str(tag)
    date = next((info[name] for name in ("Last-Modified", "LastModified", "mtime") if info.get(name)), None)
    return date.isoformat() if isinstance(date, datetime) else None if date is None else str(date)


def _open_url(place: Place, ahead_to: int | None) -> tuple[BinaryIO, int, str | None]:
    """The file, its size and its tag. Raises FileNotFoundError, or InputError."""
    system, name = file_system(place.path, place.storage)
    looking, stopped = place.size is None, threading.Event()

    def begin() -> tuple[Any, Mapping[str, Any]]:
        # what was listed a while ago may have changed
        system.invalidate_cache()
        if place.path.startswith(_HTTP):
            info = system.info(name)
            options = {"size": info["size"], "headers": _unless_changed(system, tag_of(info))}
            return (system.open(name, "rb", cache_type="none", **options) if info["size"] else None), info
        file = system.open(name, "rb", cache_type="none")
        return file, getattr(file, "details", None) or system.info(name)

    file, info = call_again(begin, place.path, looking=looking)
    size = info.get("size")
    if size is None:
        raise InputError(f"cannot read {place}: its server does not tell its size; fetch it, and name the file here")

    def fetch_once(start: int, end: int) -> bytes:
        file.seek(start)
        data = file.read(end - start)
        if len(data) != end - start:
            raise CutTransferError(f"{len(data)} of {end - start} bytes came from byte {start} on")
        return data

    def fetch(start: int, end: int) -> bytes:
        return call_again(lambda: fetch_once(start, end), place.path, looking=looking, stopped=stopped)

    return cast(BinaryIO, RangeReader(fetch, size, ahead_to, stopped)), size, tag_of(info)


def _unless_changed(system: AbstractFileSystem, tag: str | None) -> dict[str, str]:
    """Headers with which a server sends no part of a file that is another one now."""
    headers = dict(getattr(system, "kwargs", {}).get("headers", {}))
    return {**headers, "If-Match": tag} if tag is not None and tag.startswith('"') else headers

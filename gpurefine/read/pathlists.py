"""Lists of inputs: text files with one path a line, such as the ``warc.paths.gz`` of Common Crawl."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gpurefine.errors import InputError
from gpurefine.read.opening import Place, is_url, local_path, open_binary

#: How the name of a list ends.
LIST_ENDINGS = (".paths", ".paths.gz")

_GZIP_MAGIC = b"\x1f\x8b"


def is_list(path: str) -> bool:
    """Whether a path or URL names a list, by how it ends."""
    return (urlsplit(path).path if is_url(path) else path).endswith(LIST_ENDINGS)


def read_list(path: str, prefix: str | None, storage: Mapping[str, Any]) -> list[str]:
    """The paths that a list names, in its order; blank lines are none.

    Parameters
    ----------
    path : of the list, or its URL
    prefix : stands before relative paths: a folder or a URL. None for the folder of a list on this machine
    storage : options of the URL's file system

    Raises
    ------
    InputError
        if the list cannot be read, or holds relative paths and there is nothing to put before them
    """
    file, _ = open_binary(Place(path, storage))
    with file:
        data = file.read()
    try:
        text = gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged ({error}): fetch or write this list again") from None
    # a path of this machine may be no UTF-8
    lines = (line.strip() for line in io.StringIO(text.decode("utf-8-sig", "surrogateescape")))
    return [_joined(line, path, prefix) for line in lines if line]


def _joined(entry: str, path: str, prefix: str | None) -> str:
    if "://" in entry or os.path.isabs(entry):
        return entry
    if prefix is None and is_url(path):
        raise InputError(
            f"{path} names relative paths, such as {entry}: say what stands before them, as with --set "
            "input.prefix=https://data.commoncrawl.org/ for a list of Common Crawl"
        )
    before = os.path.dirname(os.path.abspath(local_path(path))) if prefix is None else prefix
    return f"{before.rstrip('/')}/{entry}"

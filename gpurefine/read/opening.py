"""Where the bytes of an input come from: local files, and what fsspec finds for a URL."""

from __future__ import annotations

import os
from typing import BinaryIO

from gpurefine.errors import InputError


def open_binary(path: str) -> tuple[BinaryIO, int]:
    """Open a local file or, for a path with ``://``, what fsspec finds there.

    Returns
    -------
    The file, open for reading, and its size in bytes.

    Raises
    ------
    InputError
        if it cannot be opened
    """
    try:
        if "://" in path:
            import fsspec

            system, name = fsspec.core.url_to_fs(path)
            return system.open(name, "rb"), system.size(name)
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
        return file, os.fstat(file.fileno()).st_size
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"cannot read the input {path}: {getattr(error, 'strerror', None) or error}") from error

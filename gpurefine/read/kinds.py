"""What a file is, told by how it begins and not by its name."""

from __future__ import annotations

from typing import Literal

from gpurefine.read.opening import open_binary

Kind = Literal["warc", "parquet"]

PARQUET_MAGIC = b"PAR1"


def kind_of(path: str) -> Kind:
    """The kind of an input: Parquet by its magic, everything else is read as WARC.

    Raises
    ------
    InputError
        if it cannot be opened
    """
    file, _ = open_binary(path)
    with file:
        return "parquet" if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC else "warc"

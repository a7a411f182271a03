"""Where inputs can be cut into partitions: for ``engine.plan``, which reads no files."""

from __future__ import annotations

from collections.abc import Sequence

from gpurefine.read.inputs import InputFile
from gpurefine.read.kinds import begun_compression
from gpurefine.read.opening import Place, open_binary
from gpurefine.read.tables import row_groups
from gpurefine.read.window import FileSource, Window


def row_groups_of(inputs: Sequence[InputFile]) -> dict[int, Sequence[tuple[int, int]]]:
    """Rows and bytes of the row groups of inputs that are cut between rows, by the number of the input.

    These are tables. A compressed file of JSON lines is one row here, since it is read from its beginning to its end.
    Others are cut at any byte.
    """
    found: dict[int, Sequence[tuple[int, int]]] = {}
    for number, file in enumerate(inputs):
        if file.kind == "parquet":
            found[number] = row_groups(file)
        elif file.kind == "jsonl" and _is_compressed(file.place):
            found[number] = [(1, file.size)]
    return found


def _is_compressed(place: Place) -> bool:
    file, size = open_binary(place)
    with file:
        return begun_compression(Window(FileSource(file, size))) is not None

"""A partition of a frame to its key file and the metadata of its rows: the first phase of a dedup of frames.

Columns of a user's frame are checked here, value by value, and become Arrow strings.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import xxhash

from gpurefine.dedup.hashing import text_digests
from gpurefine.dedup.keys import open_key_writer
from gpurefine.dedup.members import METADATA
from gpurefine.documents import TEXT, Batch
from gpurefine.engine.tools import StageTools
from gpurefine.errors import InputError
from gpurefine.frames import from_arrow, text_buffers
from gpurefine.resources.cache import Resources
from gpurefine.stages.base import DedupStage
from gpurefine.write import TableWriter

METADATA_SCHEMA = pa.schema(METADATA)

#: What a column holds whose strings cannot be read.
NOT_UNICODE = "text that is not valid Unicode"

#: Rows that are looked at a time; few, because columns of Python strings are copied.
BATCH_ROWS = 256


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a frame that a dedup reads.

    Attributes
    ----------
    text : of strings; null counts as empty
    id : of strings or whole numbers without nulls; None names each row by its position in the whole frame
    ties : those of url, date, file and offset that the frame has; they decide between members of one id
    """

    text: Hashable
    id: Hashable | None = None
    ties: tuple[str, ...] = ()

    @property
    def needed(self) -> list[Hashable]:
        """All of them, each once."""
        names = [self.text, *self.ties] if self.id is None else [self.text, self.id, *self.ties]
        return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Emitted:
    """What ``emit`` found in a partition: its rows, and the checksum of their texts and ids in their order."""

    rows: int
    checksum: int


class ToolPool:
    """Tools of stages for tasks that may run in threads: each is used by one task at a time, then by the next.

    A copy that travels to another process starts with nothing open. What was opened is closed with the pool.
    """

    def __init__(self, resources: Resources, provided: dict[str, dict[str, str]]) -> None:
        self.resources, self.provided = resources, provided
        self._idle: list[StageTools] = []

    @contextlib.contextmanager
    def tools(self) -> Iterator[StageTools]:
        """Tools that nobody else has until the block ends."""
        try:
            tools = self._idle.pop()
        except IndexError:
            tools = StageTools(self.resources, self.provided)
        try:
            yield tools
        finally:
            self._idle.append(tools)

    def __reduce__(self) -> tuple[Any, ...]:
        return ToolPool, (self.resources, self.provided)

    def __del__(self) -> None:
        for tools in self._idle:
            tools.teardown()


def emit(
    frame: pd.DataFrame, columns: Columns, stage: DedupStage, partition: int, folder: Path, pool: ToolPool
) -> Emitted:
    """Write keys and metadata of a partition.

    Parameters
    ----------
    frame : the partition
    columns : which of its columns are read
    stage : the kind of dedup
    partition : its number, from 0
    folder : where its two files go (``keys_path``, ``rows_path``)
    pool : the stage's tools

    Raises
    ------
    InputError
        if a column does not hold what it should
    """
    checksum = xxhash.xxh3_64()
    with (
        pool.tools() as tools,
        open_key_writer(keys_path(folder, partition), stage.key_columns, stage.key_bands, partition) as keys,
        TableWriter(rows_path(folder, partition), METADATA_SCHEMA) as writer,
    ):
        for part, batch in _batches(frame, columns):
            _update(checksum, batch)
            keys.add(stage.keys(batch, tools.tool(stage)))
            writer.write(_metadata(part, columns, batch))
        writer.close({})
    return Emitted(len(frame), checksum.intdigest())


def checksum_of(frame: pd.DataFrame, columns: Columns) -> int:
    """The checksum that ``emit`` returns."""
    checksum = xxhash.xxh3_64()
    for _, batch in _batches(frame, columns):
        _update(checksum, batch)
    return checksum.intdigest()


def _ids(column: pd.Series, name: Hashable) -> pa.Array:
    array = _strings(column, name, "id", numbers=True)
    if array.null_count:
        raise InputError(
            f"column {name!r} has a row without an id: fill it, name another column with id=, or drop this one and "
            "rows are named by their position"
        )
    return array


def _batches(frame: pd.DataFrame, columns: Columns) -> Iterator[tuple[pd.DataFrame, Batch]]:
    """Some rows of a frame at a time, and their texts (and ids, if they have any) as a batch."""
    for begin in range(0, len(frame), BATCH_ROWS):
        part = frame.iloc[begin : begin + BATCH_ROWS]
        arrays = {"text": _strings(part[columns.text], columns.text, "text", numbers=False)}
        if columns.id is not None:
            arrays["id"] = _ids(part[columns.id], columns.id)
        yield part, Batch(from_arrow(pa.table(arrays)))


def _metadata(part: pd.DataFrame, columns: Columns, batch: Batch) -> pa.Table:
    """What the choice of survivors asks for; ids that are positions are filled in later, and nothing else matters."""
    values: dict[str, pa.Array] = {}
    if columns.id is not None:
        values["text_hash"] = text_digests(batch.frame["text"])
        values["id"] = pa.array(batch.frame["id"])
        for name in columns.ties:
            values[name] = pa.array(part[name], from_pandas=True).cast(METADATA_SCHEMA.field(name).type, safe=False)
    arrays = [values.get(field.name, pa.nulls(len(part), field.type)) for field in METADATA]
    return pa.table(arrays, schema=METADATA_SCHEMA)


def _update(checksum: xxhash.xxh3_64, batch: Batch) -> None:
    """Go on with a checksum over the next rows."""
    for name in batch.frame.columns:
        data, offsets = text_buffers(batch.frame[name])
        checksum.update(np.diff(offsets))
        checksum.update(data[offsets[0] : offsets[-1]])


def _strings(column: pd.Series, name: Hashable, parameter: str, *, numbers: bool) -> pa.Array:
    """A column as Arrow large_string, null where a value is missing; integers become strings if they may be there.

    Raises InputError for other values, which names the column and the parameter of ``deduplicate`` that chose it.
    """
    try:
        array = pa.array(column, from_pandas=True)
    except UnicodeError:
        raise _not_strings(name, NOT_UNICODE, parameter) from None
    except pa.ArrowException:
        raise _not_strings(name, "values of several types", parameter) from None
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    string = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    # whether a column of objects holds numbers would depend on which of its rows are looked at
    number = numbers and pa.types.is_integer(kind) and not pd.api.types.is_object_dtype(column.dtype)
    if not (string or number or pa.types.is_null(kind)):
        raise _not_strings(name, str(kind), parameter)
    # cast first: the chunks together may be longer than offsets of 32 bits reach
    array = array.cast(TEXT)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    try:
        # Arrow takes any bytes for strings without a look at them
        array.validate(full=True)
    except pa.ArrowInvalid:
        raise _not_strings(name, NOT_UNICODE, parameter) from None
    return array


def _not_strings(name: Hashable, what: str, parameter: str) -> InputError:
    return InputError(
        f"column {name!r} holds {what}, expected strings: convert it, or name another column with {parameter}="
    )


def keys_path(folder: Path, partition: int) -> Path:
    """The key file of a partition."""
    return folder / f"{partition:06d}.keys"


def rows_path(folder: Path, partition: int) -> Path:
    """The metadata of a partition's rows."""
    return folder / f"rows-{partition:06d}.parquet"

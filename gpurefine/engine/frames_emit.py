"""A partition of a frame to its key file and the metadata of its rows: the first phase of a dedup of frames.

Keys of a cuDF partition are made on its device, if the kind has kernels for it; what else is kept of a row is small, or
is made in the host's memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import xxhash

from gpurefine.dedup.hashing import text_digests
from gpurefine.dedup.keys import open_key_writer
from gpurefine.dedup.members import METADATA
from gpurefine.dedup.policies import has_rank, sort_keys, text_lengths
from gpurefine.dedup.unitfile import UnitWriter
from gpurefine.documents import Batch
from gpurefine.engine.emit import keys_in_pieces
from gpurefine.engine.frames_input import check_device_texts, pieces, text_array, texts_of
from gpurefine.engine.tools import StageTools
from gpurefine.errors import InputError
from gpurefine.frames import arrow_array, from_arrow, is_device_frame, row_hashes, text_buffers, to_host_frame
from gpurefine.resources.cache import Resources
from gpurefine.stages.base import DedupStage
from gpurefine.write import TableWriter

if TYPE_CHECKING:
    import pandas as pd

    from gpurefine.frames import Column, Frame

METADATA_SCHEMA = pa.schema(METADATA)

#: What a policy compares, as ``sort_keys`` gives it.
BEST = pa.field("best", pa.uint64())
#: What parts documents, in the batches that keys are made of.
SCOPE = "scope"


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a frame that a dedup reads.

    Attributes
    ----------
    key : of strings, which the keys are made of; null counts as empty
    source : which column of a document that is, ``text`` or ``url``; also the parameter that chose it
    id : of strings or whole numbers without nulls; None names each row by its position in the whole frame
    ties : those of url, date, file and offset that the frame has; they decide between members of one id, the last
        two also what is first
    text : of texts, which decide between them too; None if there are none
    scope : what parts documents; None if nothing does
    url : of URLs, for a kind that needs them beside ``key``; else None
    best : of numbers or times, whose greatest survives; None if no policy looks at one
    best_type : in which these are compared, whatever a partition has: one with nulls may have floats for integers
    """

    key: Hashable
    source: str = "text"
    id: Hashable | None = None
    ties: tuple[str, ...] = ()
    text: Hashable | None = None
    scope: Hashable | None = None
    best: Hashable | None = None
    best_type: pa.DataType | None = None
    url: Hashable | None = None

    @property
    def needed(self) -> list[Hashable]:
        """All of them, each once."""
        optional = (self.id, self.text, self.scope, self.best, self.url)
        names = [self.key, *self.ties, *(each for each in optional if each is not None)]
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


def emit(frame: Frame, columns: Columns, stage: DedupStage, partition: int, folder: Path, pool: ToolPool) -> Emitted:
    """Write keys and metadata of a partition.

    Parameters
    ----------
    frame : the partition
    columns : which of its columns are read
    stage : the kind of dedup
    partition : its number, from 0
    folder : where its files go (``keys_path``, ``rows_path``, and ``units_path`` where similarities are verified)
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
        TableWriter(rows_path(folder, partition), rows_schema(stage)) as writer,
        _unit_writer(stage, partition, folder) as units,
    ):
        for part, texts, ids in checked_pieces(frame, columns, checksum):
            batch = Batch(texts if stage.on_gpu else to_host_frame(texts))
            for piece in keys_in_pieces(stage, with_scope(batch, part, columns), tools.tool(stage), SCOPE, units):
                keys.add(piece)
            metadata = _metadata(part, columns, batch, ids)
            best = _best(part, columns, batch, stage)
            writer.write(metadata if best is None else metadata.append_column(BEST, best))
        writer.close({})
    return Emitted(len(frame), checksum.intdigest())


def _unit_writer(
    stage: DedupStage, partition: int, folder: Path
) -> contextlib.AbstractContextManager[UnitWriter | None]:
    return contextlib.nullcontext() if stage.thresholds is None else UnitWriter(units_path(folder, partition))


def rows_schema(stage: DedupStage) -> pa.Schema:
    """Columns of what ``emit`` keeps of each row."""
    return METADATA_SCHEMA.append(BEST) if has_rank(stage.keep) else METADATA_SCHEMA


def checked_pieces(
    frame: Frame, columns: Columns, checksum: xxhash.xxh3_64 | None = None
) -> Iterator[tuple[Frame, Frame, pd.Series | None]]:
    """Some rows of a frame at a time: all columns, those that the keys are made of under their name in documents, ids.

    Parameters
    ----------
    frame, columns : the partition, and which of its columns are read
    checksum : goes over the texts and ids

    Raises
    ------
    InputError
        if a column does not hold what it should
    """
    for part, texts, ids in _pieces(frame, columns):
        check_device_texts(texts, columns.key, columns.source)
        if checksum is not None:
            _update(checksum, texts, ids)
        texts.columns = [columns.source]
        yield part, texts, ids


def with_scope(batch: Batch, part: Frame, columns: Columns) -> Batch:
    """A batch with the column ``SCOPE`` of some rows of a frame, if documents have scopes."""
    if columns.scope is None:
        return batch
    column = part[columns.scope]
    if pa.types.is_boolean(arrow_array(column.head(0)).type):
        values = arrow_array(column)
    else:
        values = text_array(column, columns.scope, "scope", numbers=True)
    return batch.with_columns(**{SCOPE: values})


def _best(part: Frame, columns: Columns, batch: Batch, stage: DedupStage) -> pa.Array | None:
    """Of each row the number that the policy compares, greatest is best; None for a policy without one."""
    if stage.keep == "longest":
        return sort_keys(text_lengths(arrow_array(_texts(part, columns, batch))))
    if columns.best is None:
        return None
    values = arrow_array(part[columns.best])
    try:
        return sort_keys(values.cast(columns.best_type, safe=False))
    except pa.ArrowException:
        raise InputError(
            f"column {columns.best!r} holds {values.type} in some rows, expected {columns.best_type} as in others: "
            "convert it, or name another one with keep="
        ) from None


def checksum_of(frame: Frame, columns: Columns) -> int:
    """The checksum that ``emit`` returns."""
    checksum = xxhash.xxh3_64()
    for _, texts, ids in _pieces(frame, columns):
        _update(checksum, texts, ids)
    return checksum.intdigest()


def _ids(column: Column, name: Hashable) -> pa.Array:
    array = text_array(column, name, "id", numbers=True)
    if array.null_count:
        raise InputError(
            f"column {name!r} has a row without an id: fill it, name another column with id=, or drop this one and "
            "rows are named by their position"
        )
    return array


def _pieces(frame: Frame, columns: Columns) -> Iterator[tuple[Frame, Frame, pd.Series | None]]:
    """Some rows of a frame at a time; their texts as a frame, on a device as they lie there; their ids on the host."""
    for part in pieces(frame, columns.key):
        ids = None if columns.id is None else from_arrow(pa.table({"id": _ids(part[columns.id], columns.id)}))["id"]
        yield part, texts_of(part, columns.key, columns.source), ids


def _metadata(part: Frame, columns: Columns, batch: Batch, ids: pd.Series | None) -> pa.Table:
    """What the choice of survivors asks for; ids that are positions are filled in later, and nothing else matters."""
    values: dict[str, pa.Array] = {}
    if ids is not None:
        if columns.text is not None:
            values["text_hash"] = text_digests(_texts(part, columns, batch))
        values["id"] = arrow_array(ids)
        if columns.source == "url":
            values["url"] = arrow_array(batch.frame["url"])
    for name in columns.ties:
        values[name] = arrow_array(part[name]).cast(METADATA_SCHEMA.field(name).type, safe=False)
    arrays = [values.get(field.name, pa.nulls(len(part), field.type)) for field in METADATA]
    return pa.table(arrays, schema=METADATA_SCHEMA)


def _texts(part: Frame, columns: Columns, batch: Batch) -> Column:
    if columns.source == "text":
        return batch.frame["text"]
    texts = texts_of(part, columns.text, "text")
    check_device_texts(texts, columns.text, "text")
    return texts["text"]


def _update(checksum: xxhash.xxh3_64, texts: Frame, ids: pd.Series | None) -> None:
    """Go on with a checksum over the next rows; it is compared with one of a frame of the same kind only."""
    columns = [texts["text"]] if ids is None else [texts["text"], ids]
    for column in columns:
        if is_device_frame(column):
            checksum.update(row_hashes(column))
        else:
            data, offsets = text_buffers(column)
            checksum.update(np.diff(offsets))
            checksum.update(data[offsets[0] : offsets[-1]])


def keys_path(folder: Path, partition: int) -> Path:
    """The key file of a partition."""
    return folder / f"{partition:06d}.keys"


def units_path(folder: Path, partition: int) -> Path:
    """What the texts of a partition are compared by."""
    return folder / f"{partition:06d}.units"


def documents_path(folder: Path, partition: int) -> Path:
    """The metadata of a partition's rows, with names and positions."""
    return folder / f"documents-{partition:06d}.parquet"


def rows_path(folder: Path, partition: int) -> Path:
    """The metadata of a partition's rows."""
    return folder / f"rows-{partition:06d}.parquet"

"""Keys of a partition's documents for the dedup after its step, collected as the documents are written.

Where keys are a job of their own, and where a key file turns out to be damaged, they are made from those documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.dedup.keys import open_key_writer
from gpurefine.dedup.scopes import scoped_keys
from gpurefine.devices import BATCH_TEXT
from gpurefine.documents import DOCUMENT_SCHEMA, Batch
from gpurefine.engine.fitting import in_fitting_pieces
from gpurefine.engine.store import RunStore
from gpurefine.engine.tools import StageTools
from gpurefine.errors import RunError
from gpurefine.frames import from_arrow
from gpurefine.stages.base import DedupStage
from gpurefine.write import TableWriter, read_footer

#: In the footer of a file whose documents were let go, because the step behind has them.
TAKEN_UP = "taken_up"

#: Rows of a batch when documents are loaded from Parquet.
BATCH_ROWS = 1024


def read_documents(path: Path, fingerprint: str, schema: pa.Schema = DOCUMENT_SCHEMA) -> Iterator[pa.Table]:
    """Documents that a step wrote, in pieces with the columns of ``schema``.

    Raises RunError naming the file if it is not what was written.

    Pages have checksums, but Parquet's own description of the columns has none: a flipped bit in a name loses a column.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            footer = read_footer(path) or {}
            if footer.get("fingerprint") != fingerprint:
                raise ValueError("it belongs to another run")
            if footer.get(TAKEN_UP):
                raise ValueError("its documents went on to a step whose file is gone")
            # row groups have some megabytes; a batch over several of them could hold a thousand very long documents
            for group in range(file.num_row_groups):
                for rows in file.iter_batches(BATCH_ROWS, row_groups=[group]):
                    documents = pa.Table.from_batches([rows]).select(schema.names)
                    if not documents.schema.equals(schema):
                        raise ValueError("its columns are not those of documents")
                    yield documents
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise RunError(f"cannot read {path}: {error}; it is not what was written, use --fresh to start over") from None


def empty_documents(path: Path) -> None:
    """Empty a file of documents that the step behind has taken up. Its counts stay, so its partition is still done."""
    footer = read_footer(path) or {}
    if footer and TAKEN_UP not in footer:
        with TableWriter(path, pq.read_schema(path).remove_metadata()) as writer:
            writer.close(footer | {TAKEN_UP: True})


class KeyCollector:
    """Keys of the kept documents, numbered by their row in the file of kept documents; without a dedup, of none.

    Used with ``with``; the file at ``path`` is there after ``close`` or at the end.
    """

    def __init__(self, dedup: DedupStage | None, partition: int, tools: StageTools, path: Path) -> None:
        self._dedup, self._tools = dedup, tools
        self._writer = None if dedup is None else open_key_writer(path, dedup.key_columns, dedup.key_bands, partition)

    def add(self, batch: Batch) -> None:
        """Take the keys of the next documents."""
        if self._dedup is not None and self._writer is not None:
            for keys in keys_in_pieces(self._dedup, batch, self._tools.tool(self._dedup)):
                self._writer.add(keys)

    def close(self) -> None:
        """Write what is held and finish the file."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> KeyCollector:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)


def keys_in_pieces(dedup: DedupStage, batch: Batch, tool: Any, scope: str | None = None) -> Iterator[np.ndarray]:
    """Keys of a batch, mixed with its scopes, uint64 (columns or bands, n) each, in pieces that fit where it lies.

    The scope is the column ``scope`` of the batch, by default that of the stage. Documents without it have null there.
    """
    column = scope or dedup.scope

    def keys(piece: Batch) -> np.ndarray:
        values = piece.frame[column] if column in piece.frame.columns else None
        return scoped_keys(dedup.keys(piece, tool), values, dedup.key_bands)

    return in_fitting_pieces(keys, batch)


def emit_keys(
    root: str,
    step: int,
    partition: int,
    fingerprint: str,
    dedup: DedupStage,
    schema: pa.Schema,
    on_device: bool,
    tools: StageTools,
) -> dict[str, int]:
    """Write the key file of a partition from the documents that it left; returns how many these are.

    ``schema`` has the columns of a document that its keys need.
    """
    store, documents = RunStore(root), 0
    with KeyCollector(dedup, partition, tools, store.keys(step, partition)) as keys:
        tables = read_documents(store.documents(step, partition, last=False), fingerprint, schema)
        for table in device_tables(tables) if on_device else tables:
            keys.add(Batch(from_arrow(table, on_device)))
            documents += table.num_rows
    return {"documents": documents}


def device_tables(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in pieces of about ``devices.BATCH_TEXT`` bytes."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        if waiting and size + table.nbytes > BATCH_TEXT:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
        waiting.append(table)
        size += table.nbytes
    if waiting:
        yield pa.concat_tables(waiting)

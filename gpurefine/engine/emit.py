"""Keys of a partition's documents for the dedup after its step, collected as the documents are written.

Where keys are a job of their own, and where a key file turns out to be damaged, they are made from those documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.dedup.bandkeys import BandKeyWriter
from gpurefine.dedup.keys import KeyWriter, open_key_writer
from gpurefine.dedup.piecekeys import PieceKeyWriter
from gpurefine.dedup.pieces import Pieces
from gpurefine.dedup.scopes import scope_hashes, scoped_keys
from gpurefine.dedup.tokenfile import TokenWriter
from gpurefine.dedup.unitfile import UnitWriter
from gpurefine.devices import BATCH_TEXT
from gpurefine.documents import DOCUMENT_SCHEMA, Batch
from gpurefine.engine.fitting import in_fitting_pieces
from gpurefine.engine.store import RunStore
from gpurefine.engine.tools import StageTools
from gpurefine.errors import RunError
from gpurefine.frames import from_arrow, to_host_frame
from gpurefine.stages.base import DedupStage, SpanStage
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


def emitted_files(dedup: DedupStage, store: RunStore, step: int, partition: int) -> tuple[Path, ...]:
    """What a partition of a step leaves for the dedup behind it; the key file comes last."""
    keys = store.keys(step, partition)
    if dedup.thresholds is not None:
        return store.units(step, partition), keys
    return (store.pieces(step, partition), keys) if isinstance(dedup, SpanStage) and not dedup.of_tokens else (keys,)


class KeyCollector:
    """Keys of the kept documents, numbered by their row in the file of kept documents; without a dedup, of none.

    Used with ``with``; the files at ``paths`` are there after ``close`` or at the end.

    Parameters
    ----------
    dedup : the stage behind the step
    store, step, partition : where
    seed : of the pipeline
    tools : what the worker keeps open
    """

    def __init__(
        self, dedup: DedupStage | None, store: RunStore, step: int, partition: int, seed: int, tools: StageTools
    ):
        self._dedup, self._tools, self._seed = dedup, tools, seed
        self.paths = () if dedup is None else emitted_files(dedup, store, step, partition)
        self._units: UnitWriter | None = None
        self._writer: KeyWriter | BandKeyWriter | PieceKeyWriter | TokenWriter | None = None
        if dedup is None:
            return
        key_path = self.paths[-1]
        if not isinstance(dedup, SpanStage):
            self._writer = open_key_writer(key_path, dedup.key_columns, dedup.key_bands, partition)
            if dedup.thresholds is not None:
                self._units = UnitWriter(self.paths[0])
        elif dedup.of_tokens:
            self._writer = TokenWriter(key_path, has_order(dedup), dedup.scope is not None)
        else:
            self._writer = PieceKeyWriter(key_path, self.paths[0], partition, has_order(dedup))

    def add(self, batch: Batch) -> None:
        """Take the keys of the next documents."""
        if self._writer is None or self._dedup is None:
            return
        tool = self._tools.tool(self._dedup)
        if isinstance(self._dedup, SpanStage):
            for pieces, order in pieces_of(self._dedup, batch, self._seed, tool):
                if self._dedup.of_tokens:
                    self._writer.add(pieces.tokens, pieces.starts, order, pieces.salts)
                else:
                    self._writer.add(pieces, order)
            return
        for keys in keys_in_pieces(self._dedup, batch, tool, units=self._units):
            self._writer.add(keys)

    def close(self) -> None:
        """Write what is held and finish the file."""
        if self._units is not None:
            self._units.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> KeyCollector:
        return self

    def __exit__(self, *error: Any) -> None:
        for writer in (self._units, self._writer):
            if writer is not None:
                writer.__exit__(*error)


def keys_in_pieces(
    dedup: DedupStage, batch: Batch, tool: Any, scope: str | None = None, units: UnitWriter | None = None
) -> Iterator[np.ndarray]:
    """Keys of a batch, mixed with its scopes, uint64 (columns or bands, n) each, in pieces that fit where it lies.

    The scope is the column ``scope`` of the batch, by default that of the stage. Documents without it have null there.
    Units of the texts go to ``units``, where there is one.
    """
    column = scope or dedup.scope

    def keys(piece: Batch) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        values = piece.frame[column] if column in piece.frame.columns else None
        found, *compared = (dedup.keys(piece, tool),) if units is None else dedup.keys_and_units(piece, tool)
        return scoped_keys(found, values, dedup.key_bands), tuple(compared)

    for found, compared in in_fitting_pieces(keys, batch):
        if units is not None:
            units.add(*compared)
        yield found


def has_order(dedup: SpanStage) -> bool:
    """Whether documents have an order by which one of several copies stays."""
    return dedup.keep not in ("none", "first")


def pieces_of(
    dedup: SpanStage, batch: Batch, seed: int, tool: Any, scope: str | None = None
) -> Iterator[tuple[Pieces, np.ndarray | None]]:
    """Pieces of a batch with its scopes, and the order of its documents, as many as fit at a time.

    The scope is the column ``scope`` of the batch, by default that of the stage. Documents without it have null there.
    Keys are mixed with it; tokens, which have none yet, come with what their hashes are to be mixed with.
    """
    column = scope or dedup.scope

    def pieces(part: Batch) -> tuple[Pieces, np.ndarray | None]:
        part = part if dedup.on_gpu else Batch(to_host_frame(part.frame))
        found = dedup.pieces(part, tool)
        if column in part.frame.columns:
            salts = scope_hashes(part.frame[column], 2)
            if found.keys is None:
                found = replace(found, salts=salts)
            else:
                found = replace(found, keys=found.keys ^ np.repeat(salts, np.diff(found.starts), axis=1))
        return found, dedup.owner_order(part, seed) if has_order(dedup) else None

    return in_fitting_pieces(pieces, batch)


def emit_keys(
    root: str,
    step: int,
    partition: int,
    fingerprint: str,
    dedup: DedupStage,
    schema: pa.Schema,
    seed: int,
    on_device: bool,
    tools: StageTools,
) -> dict[str, int]:
    """Write the key file of a partition from the documents that it left; returns how many these are.

    ``schema`` has the columns of a document that its keys need; ``seed`` is the pipeline's.
    """
    store, documents = RunStore(root), 0
    with KeyCollector(dedup, store, step, partition, seed, tools) as keys:
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

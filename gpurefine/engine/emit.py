"""Keys of a partition's documents for the dedup after its step, collected as the documents are written.

A key file that turns out to be damaged is made again from those documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.dedup.keys import write_key_file
from gpurefine.documents import DOCUMENT_SCHEMA, Batch, document_numbers
from gpurefine.engine.store import RunStore
from gpurefine.engine.tools import StageTools
from gpurefine.errors import RunError
from gpurefine.frames import from_arrow
from gpurefine.stages.base import DedupStage
from gpurefine.write import read_footer

#: Rows of a batch when documents are loaded from Parquet.
BATCH_ROWS = 1024


def read_documents(path: Path, fingerprint: str, schema: pa.Schema = DOCUMENT_SCHEMA) -> Iterator[pa.Table]:
    """Documents that a step wrote, in pieces with the columns of ``schema``.

    Raises RunError naming the file if it is not what was written.

    Pages have checksums, but Parquet's own description of the columns has none: a flipped bit in a name loses a column.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if (read_footer(path) or {}).get("fingerprint") != fingerprint:
                raise ValueError("it belongs to another run")
            # row groups have some megabytes; a batch over several of them could hold a thousand very long documents
            for group in range(file.num_row_groups):
                for rows in file.iter_batches(BATCH_ROWS, row_groups=[group]):
                    documents = pa.Table.from_batches([rows]).select(schema.names)
                    if not documents.schema.equals(schema):
                        raise ValueError("its columns are not those of documents")
                    yield documents
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise RunError(f"cannot read {path}: {error}; it is not what was written, use --fresh to start over") from None


class KeyCollector:
    """Keys of the kept documents, numbered by their row in the file of kept documents; without a dedup, of none."""

    def __init__(self, dedup: DedupStage | None, partition: int, tools: StageTools) -> None:
        self._dedup, self._partition, self._tools = dedup, partition, tools
        self._keys: list[np.ndarray] = []

    def add(self, batch: Batch) -> None:
        """Take the keys of the next documents."""
        if self._dedup is not None:
            self._keys.append(self._dedup.keys(batch, self._tools.tool(self._dedup)))

    def write(self, path: Path) -> None:
        """Write the key file."""
        assert self._dedup is not None
        names = self._dedup.key_columns
        columns = [
            np.concatenate([keys[i] for keys in self._keys]) if self._keys else np.zeros(0, np.uint64)
            for i in range(len(names))
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_key_file(path, columns, document_numbers(self._partition, len(columns[0])), names)


def emit_again(
    root: str, step: int, partition: int, fingerprint: str, dedup: DedupStage, tools: StageTools
) -> dict[str, int]:
    """Write the key file of a partition from the documents that it left; returns how many these are."""
    store, keys, documents = RunStore(root), KeyCollector(dedup, partition, tools), 0
    for table in read_documents(store.documents(step, partition, last=False), fingerprint):
        keys.add(Batch(from_arrow(table)))
        documents += table.num_rows
    keys.write(store.keys(step, partition))
    return {"documents": documents}

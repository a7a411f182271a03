"""Orders of documents: numbers that depend on a document alone, by which a verified dedup picks whom to compare.

Number and partition of a document depend on how a run was cut, so they may not decide. Its order is a keyed hash of
what tells it from all others. Orders lie beside a key file with bands, in its blocks, so that both are read in step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from gpurefine.dedup.bandkeys import BandKeyFile
from gpurefine.dedup.columnfile import ColumnWriter
from gpurefine.documents import ROW_BITS
from gpurefine.errors import RunError

#: What the order of a document is made of: its id, and what tells documents of one id apart.
ORDER_COLUMNS = ("id", "file", "offset", "text_hash")
READ_ROWS = 1 << 15


def document_orders(documents: pa.Table, seed: int) -> np.ndarray:
    """Orders of documents.

    Parameters
    ----------
    documents : with ``ORDER_COLUMNS``, each of which may be null
    seed : of the pipeline

    Returns
    -------
    uint64, (n,): xxh3_64 of file, offset, text hash and id under the seed. Documents that agree in all of these have
    one order, and nothing tells them apart; others with probability 2**-64
    """
    hashed = xxhash.xxh3_64_intdigest
    columns = [documents[name].to_pylist() for name in ("file", "offset", "text_hash", "id")]
    return np.fromiter(
        (
            hashed(b"\0".join([f"{file}\0{offset}".encode(), digest or b"", (name or "").encode()]), seed)
            for file, offset, digest, name in zip(*columns, strict=True)
        ),
        np.uint64,
        documents.num_rows,
    )


def write_orders(key_path: Path, documents: Mapping[int, Path], seed: int, out_path: Path) -> dict[str, int]:
    """Write the orders of the documents of a key file.

    Parameters
    ----------
    key_path : key file with bands
    documents : partition -> Parquet file of its documents, for the partitions that the key file has
    seed : of the pipeline
    out_path : ``ColumnFile`` with a column ``order``: a slice for each block of the key file, in the order of its keys

    Returns
    -------
    ``documents``

    Raises
    ------
    RunError
        if the documents are not those of the key file
    DamagedFileError
        if the key file is damaged
    """
    keys = BandKeyFile(key_path)
    partitions = (keys.runs[:, 0] >> np.uint64(ROW_BITS)).astype(np.int64)
    stream = _Stream(_orders(keys, documents[partition], partition, seed) for partition in dict.fromkeys(partitions))
    with ColumnWriter(out_path, ["order"]) as writer:
        for rows in keys.blocks.tolist():
            writer.write_slice([stream.take(rows)])
        stream.finish()
    return {"documents": keys.documents}


def _orders(keys: BandKeyFile, path: Path, partition: int, seed: int) -> Iterator[np.ndarray]:
    """Orders of all documents of a partition, which a key file has from the first to the last."""
    of_partition = keys.runs[keys.runs[:, 0] >> np.uint64(ROW_BITS) == partition]
    rows = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(READ_ROWS, columns=list(ORDER_COLUMNS), use_threads=False):
                rows += len(batch)
                yield document_orders(pa.Table.from_batches([batch]), seed)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise RunError(f"cannot read {path}: {error}; it is not what was written, use --fresh to start over") from None
    if rows != of_partition[:, 1].sum():
        raise RunError(
            f"{keys.path} has keys of {of_partition[:, 1].sum()} documents of partition {partition}, but {path} has "
            f"{rows}: they belong to different runs, use --fresh to start over"
        )


class _Stream:
    """Arrays that follow each other, taken in pieces of other lengths."""

    def __init__(self, sources: Iterator[Iterator[np.ndarray]]) -> None:
        self._arrays = (array for source in sources for array in source)
        self._rest = np.empty(0, np.uint64)

    def take(self, count: int) -> Iterator[np.ndarray]:
        """The next ``count`` values in one or more arrays; fewer at the end."""
        while count:
            if not len(self._rest):
                rest = next(self._arrays, None)
                if rest is None:
                    return
                self._rest = rest
            piece, self._rest = self._rest[:count], self._rest[count:]
            count -= len(piece)
            yield piece

    def finish(self) -> None:
        """Go to the end of the sources, which see there whether all was as it should be."""
        for _ in self._arrays:
            pass

"""What choosing a survivor needs to know of each member of a cluster, gathered from the documents' metadata.

A member's priority is a keyed hash of its id, so the choice is random, as in RefinedWeb ("randomly remove all but
one"), and yet depends on the members and the seed alone. Members are written in runs sorted by root, so that the
members of some clusters are found without reading all. Text is never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.dedup.hashing import keyed_hash
from gpurefine.dedup.policies import RANK, ranks
from gpurefine.dedup.rowgroups import SEARCHED_ROW_GROUP_BYTES, row_groups
from gpurefine.documents import ROW_BITS, TEXT
from gpurefine.errors import RunError
from gpurefine.write import TableWriter

#: What is read of each document.
METADATA = [
    pa.field("id", TEXT),
    pa.field("url", TEXT),
    pa.field("date", pa.timestamp("us", tz="UTC")),
    pa.field("text_hash", pa.binary(16)),
    pa.field("file", TEXT),
    pa.field("offset", pa.int64()),
]
MEMBER_SCHEMA = pa.schema(
    [
        pa.field("root", pa.uint64(), False),
        pa.field("document", pa.uint64(), False),
        pa.field("priority", pa.uint64(), False),
        *METADATA,
    ]
)

#: A run is sorted and written when it has grown to this in memory; sorting takes as much again.
RUN_BYTES = 16 << 20
READ_ROWS = 1 << 15
WRITE_ROWS = 1 << 12


def gather_members(
    labels_path: Path,
    partitions: Sequence[tuple[int, Path]],
    seed: int,
    out_path: Path,
    run_bytes: int = RUN_BYTES,
    best: str | None = None,
) -> dict[str, int]:
    """Write the members of all clusters that are documents of some partitions.

    Parameters
    ----------
    labels_path : what ``connect`` wrote
    partitions : index and Parquet file (with the columns of ``METADATA`` and ``best``) of each partition
    seed : 0 .. 2**64 - 1, of the random choice
    out_path : Parquet file of ``member_schema``, in runs sorted by root; the counts are in its footer
    run_bytes : bytes of members that are held and sorted at a time
    best : the column of the documents by which members are ranked, if the policy has one (``policies.best_column``)

    Returns
    -------
    ``members`` written and their ``bytes`` in memory

    Raises
    ------
    RunError
        if a partition cannot be read or a label has no document
    DamagedFileError
        if the labels are damaged
    """
    counts = {"members": 0, "bytes": 0}
    with TableWriter(out_path, member_schema(best is not None), SEARCHED_ROW_GROUP_BYTES) as writer:
        pending: list[pa.Table] = []
        pending_bytes = 0
        for members in _members(labels_path, partitions, seed, best):
            counts["members"] += members.num_rows
            counts["bytes"] += members.nbytes
            pending.append(members)
            pending_bytes += members.nbytes
            if pending_bytes > run_bytes:
                write_sorted_run(writer, pending)
                pending, pending_bytes = [], 0
        write_sorted_run(writer, pending)
        writer.close(counts)
    return counts


def _members(
    labels_path: Path, partitions: Sequence[tuple[int, Path]], seed: int, best: str | None
) -> Iterator[pa.Table]:
    schema = member_schema(best is not None)
    for index, path in partitions:
        begin = index << ROW_BITS
        groups = row_groups(labels_path, ["document", "root"], "document", begin, begin + (1 << ROW_BITS))
        labels = [(np.asarray(group["document"]), np.asarray(group["root"])) for group in groups]
        if not labels:
            continue
        documents, roots = (np.concatenate(columns) for columns in zip(*labels, strict=True))
        rows, taken = (documents - np.uint64(begin)).astype(np.int64), 0
        for first, metadata in _metadata(path, best):
            low, high = np.searchsorted(rows, [first, first + metadata.num_rows])
            if low == high:
                continue
            chosen = metadata.take(pa.array(rows[low:high] - first))
            priority = keyed_hash(seed, chosen["id"].to_pylist())
            yield pa.table([roots[low:high], documents[low:high], priority, *chosen.columns], schema=schema)
            taken += high - low
        if taken != len(rows):
            raise RunError(
                f"{labels_path} labels {len(rows)} documents of partition {index}, but {path} has only {taken} of "
                "them: they belong to different runs, use --fresh to start over"
            )


def member_schema(ranked: bool) -> pa.Schema:
    """Columns of members; ``ranked`` under a policy that compares a column of the documents."""
    return MEMBER_SCHEMA.append(RANK) if ranked else MEMBER_SCHEMA


def _metadata(path: Path, best: str | None) -> Iterator[tuple[int, pa.Table]]:
    """Metadata of a partition's documents, and their ranks, in pieces, each with the row it begins with."""
    names = [field.name for field in METADATA]
    read = list(dict.fromkeys([*names, *([best] if best else [])]))
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            row = 0
            for batch in file.iter_batches(READ_ROWS, columns=read, use_threads=False):
                table = pa.Table.from_batches([batch]).select(names).cast(pa.schema(METADATA))
                yield row, table if best is None else table.append_column(RANK, ranks(batch.column(best)))
                row += table.num_rows
    except (OSError, KeyError, pa.ArrowException) as error:
        raise RunError(f"cannot read {path}: {error}; it is not what was written, use --fresh to start over") from None


def write_sorted_run(writer: TableWriter, pending: list[pa.Table]) -> None:
    """Write members as one run, sorted by root."""
    if not pending:
        return
    members = pa.concat_tables(pending)
    # stable, so that equal input gives equal files
    order = np.argsort(np.asarray(members["root"]), kind="stable")
    for begin in range(0, len(order), WRITE_ROWS):
        writer.write(members.take(pa.array(order[begin : begin + WRITE_ROWS])))

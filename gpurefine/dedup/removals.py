"""Tables of removals: which documents the choice of survivors lets go, for the step that applies them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from gpurefine.dedup.members import RUN_BYTES
from gpurefine.dedup.rowgroups import SEARCHED_ROW_GROUP_BYTES, row_groups
from gpurefine.documents import ROW_BITS, TEXT
from gpurefine.write import TableWriter

#: members counts the whole cluster, its survivor included, with those documents of old runs that others collide with;
#: similarity is of a verified dedup, else null; run as in ``survivors.CLUSTER_SCHEMA``.
REMOVAL_SCHEMA = pa.schema(
    [
        pa.field("document", pa.uint64(), False),
        pa.field("cluster", TEXT),
        pa.field("survivor", TEXT),
        pa.field("members", pa.int64()),
        pa.field("similarity", pa.float64()),
        pa.field("run", TEXT),
    ]
)
WRITE_ROWS = 1 << 14


def read_removals(removal_paths: Sequence[Path], partition: int) -> pa.Table:
    """The removals of one partition's documents.

    Parameters
    ----------
    removal_paths : what all tasks of ``choose`` wrote
    partition : its index

    Returns
    -------
    Table of ``REMOVAL_SCHEMA`` sorted by document, in one chunk
    """
    begin = partition << ROW_BITS
    tables = [
        table
        for path in removal_paths
        for table in row_groups(path, REMOVAL_SCHEMA.names, "document", begin, begin + (1 << ROW_BITS))
    ]
    removals = pa.concat_tables([REMOVAL_SCHEMA.empty_table(), *tables])
    return removals.sort_by("document").combine_chunks()


class RemovalWriter:
    """Removals on their way to their file, sorted by document a run at a time.

    Parameters
    ----------
    path : Parquet file of ``REMOVAL_SCHEMA``
    """

    def __init__(self, path: Path) -> None:
        self._writer = TableWriter(path, REMOVAL_SCHEMA, SEARCHED_ROW_GROUP_BYTES)
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0

    def add(self, removals: pa.Table) -> None:
        """Take rows of ``REMOVAL_SCHEMA``."""
        self._pending.append(removals)
        self._pending_bytes += removals.nbytes
        if self._pending_bytes > RUN_BYTES:
            self._write_run()

    def close(self, footer: dict[str, int]) -> None:
        """Write what is held and finish the file with these counts in its footer."""
        self._write_run()
        self._writer.close(footer)

    def _write_run(self) -> None:
        if self._pending:
            run = pa.concat_tables(self._pending).sort_by("document")
            for begin in range(0, run.num_rows, WRITE_ROWS):
                self._writer.write(run.slice(begin, WRITE_ROWS))
            self._pending, self._pending_bytes = [], 0

    def __enter__(self) -> RemovalWriter:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)

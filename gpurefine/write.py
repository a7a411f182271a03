"""Tables and small files that appear under their final name only whole.

Everything a run leaves behind goes through here: a temporary name beside the final one, flush, rename. Parquet files
are zstd-compressed with checksummed pages, and carry our counts in their footer.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.errors import DamagedFileError

#: Key of our JSON in a Parquet footer.
FOOTER_KEY = b"gpurefine"

#: Rows are gathered to row groups of about this many bytes before they are written.
ROW_GROUP_BYTES = 16 << 20

TEMPORARY_MARK = ".unfinished-"


def temporary_path(path: Path) -> Path:
    """Where a file is written until it is whole: beside it, hidden, its own for each process."""
    return path.with_name(f"{TEMPORARY_MARK}{os.getpid()}-{path.name}")


def finish(temporary: Path, path: Path) -> None:
    """Flush a whole file to disk and give it its final name."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a small file whole."""
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(data)
        finish(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """Write plain data as readable JSON, whole."""
    write_bytes(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())


def remove_unfinished(folder: Path) -> None:
    """Delete what killed processes left half-written below ``folder``."""
    for path in folder.rglob(f"{TEMPORARY_MARK}*"):
        path.unlink(missing_ok=True)


class TableWriter:
    """Writes one Parquet file in pieces; it bears its name only after ``close``.

    Use it as a context manager: leaving it by an exception deletes the unfinished file.

    Parameters
    ----------
    path : final name
    schema : of the table
    row_group_bytes : rows are gathered to row groups of about so many bytes in memory
    """

    def __init__(self, path: Path, schema: pa.Schema, row_group_bytes: int = ROW_GROUP_BYTES) -> None:
        self.path, self.schema, self._row_group_bytes = path, schema, row_group_bytes
        self.rows = 0
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._temporary = temporary_path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            self._temporary, schema, compression="zstd", write_page_checksum=True, store_schema=True
        )

    def write(self, table: pa.Table) -> None:
        """Append rows; they reach the disk when a row group is full."""
        self.rows += table.num_rows
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        if self._pending_bytes >= self._row_group_bytes:
            self._write_pending()

    def close(self, footer: dict[str, Any]) -> int:
        """Finish the file with ``footer`` (plain data) and return its size in bytes."""
        self._write_pending()
        self._writer.add_key_value_metadata({FOOTER_KEY: json.dumps(footer)})
        self._writer.close()
        finish(self._temporary, self.path)
        return self.path.stat().st_size

    def _write_pending(self) -> None:
        if self._pending:
            self._writer.write_table(pa.concat_tables(self._pending))
            self._pending, self._pending_bytes = [], 0

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # closing may fail for the same reason as the writing did (a full disk); the first error is the one to tell
            with contextlib.suppress(Exception):
                self._writer.close()
            self._temporary.unlink(missing_ok=True)


def read_footer(path: Path) -> dict[str, Any] | None:
    """Our counts from a Parquet footer; None if the file is not there, not whole or not ours."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
        return json.loads(metadata[FOOTER_KEY])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return None


def read_counts(path: Path) -> dict[str, Any]:
    """Our counts from a Parquet footer. Raises DamagedFileError if the file is not there, not whole or not ours."""
    counts = read_footer(path)
    if counts is None:
        raise DamagedFileError(path, "it is not there, or has no counts in its footer")
    return counts

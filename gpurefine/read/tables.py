"""Tables (Parquet) as input: a range of rows -> batches of documents.

A table has texts already, so it enters a run behind ``extract``. A partition is a range of rows; unlike a split of a
WARC it cannot begin in the wrong place. ``columns.py`` says which column is what.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpurefine.documents import DOCUMENT_SCHEMA, TEXT
from gpurefine.errors import InputError, RunError
from gpurefine.read.batches import SplitCounts
from gpurefine.read.columns import ColumnMap, map_columns
from gpurefine.read.inputs import InputFile
from gpurefine.read.opening import Place, is_url, local_path, open_binary
from gpurefine.read.options import InputOptions
from gpurefine.read.parts import OTHER_PARTS, Part

#: Rows that are decoded at a time. Their sizes are not known before, so that few rows keep memory bounded.
READ_ROWS = 64
#: Bytes of compressed file that are held of each column.
READ_BUFFER = 1 << 20
#: A batch is handed on at this many rows or before it exceeds these bytes; one row may be larger.
BATCH_ROWS = 1024
BATCH_BYTES = 16 << 20


@contextlib.contextmanager
def opened_table(place: Place) -> Iterator[str | BinaryIO]:
    """What Parquet's reader takes: the path of a local file, which it maps and reads fastest, or what a URL names."""
    if not is_url(place.path):
        yield local_path(place.path)
        return
    file, _ = open_binary(place)
    with file:
        yield file


def count_rows(file: InputFile) -> int:
    """Rows of a table, by its footer."""
    return _metadata(file).num_rows


def row_groups(file: InputFile) -> list[tuple[int, int]]:
    """Rows of each row group, and bytes of the file that it takes.

    The bytes are estimated by uncompressed sizes (or rows, where a writer told none); their sum is at most the file's.
    """
    return _row_groups(_metadata(file), file.size)


def _metadata(file: InputFile) -> pq.FileMetaData:
    with opened_table(file.place) as source:
        return pq.read_metadata(source)


def _row_groups(metadata: pq.FileMetaData, size: int) -> list[tuple[int, int]]:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    rows = [group.num_rows for group in groups]
    weights = [group.total_byte_size if group.num_rows else 0 for group in groups]
    if any(weight <= 0 < count for weight, count in zip(weights, rows, strict=True)):
        weights = rows
    total = max(1, sum(weights))
    return [(count, size * weight // total) for count, weight in zip(rows, weights, strict=True)]


def read_table(
    file: InputFile,
    begin: int,
    end: int,
    options: InputOptions,
    others: pa.Schema,
    counts: SplitCounts,
    part: Part | None = None,
) -> Iterator[pa.Table]:
    """Read the rows ``[begin, end)`` of a table, in order.

    Parameters
    ----------
    file : the input file
    begin, end : numbers of rows
    options : which columns hold text, id and URL
    others : what ``check_columns`` returned for all files of the run
    counts : records, bytes and skipped rows are filled while the iterator runs
    part : only its rows are read on, by their ids

    Returns
    -------
    Tables of ``DOCUMENT_SCHEMA`` and ``others`` of up to ``BATCH_ROWS`` rows. A row without an id is called FILE:ROW,
    and one without file and offset has the file's name and the row. A null text stays null. Bytes of the columns of a
    document that are no UTF-8 become U+FFFD.

    Raises
    ------
    RunError
        if the file cannot be read to its end, naming it
    """
    try:
        with (
            opened_table(file.place) as opened,
            pq.ParquetFile(opened, buffer_size=READ_BUFFER, page_checksum_verification=True) as source,
        ):
            columns = map_columns(source.schema_arrow, options, file.path)
            documents = _Documents(file, options, columns, others, begin)
            made = map(documents.make, _rows(source, begin, end, file.size, counts))
            for table in recut(made if part is None else _rows_of_part(made, part, counts)):
                counts.records += table.num_rows
                yield table
    except (OSError, ValueError, InputError, pa.ArrowException) as error:
        raise RunError(
            f"cannot read {file.path}: {error}; put it right and give the same command, or leave it out and use --fresh"
        ) from None


def _rows(source: pq.ParquetFile, begin: int, end: int, size: int, counts: SplitCounts) -> Iterator[pa.RecordBatch]:
    """The rows ``[begin, end)`` of a file of ``size`` bytes, a few at a time; ``counts.bytes`` is their share of it."""
    chosen, first = [], 0
    row = 0
    for index, (rows, bytes_) in enumerate(_row_groups(source.metadata, size)):
        low, high = max(begin - row, 0), min(end - row, rows)
        if low < high:
            first = first if chosen else row
            chosen.append(index)
            counts.bytes += bytes_ * high // rows - bytes_ * low // rows
        row += rows
    row = first
    for batch in source.iter_batches(READ_ROWS, row_groups=chosen, use_threads=False):
        low, high = max(begin - row, 0), min(end - row, len(batch))
        if low < high:
            yield batch.slice(low, high - low)
        row += len(batch)
        if row >= end:
            return


def _rows_of_part(tables: Iterable[pa.Table], part: Part, counts: SplitCounts) -> Iterator[pa.Table]:
    for table in tables:
        members = part.members(table["id"].to_pylist())
        counts.skipped[OTHER_PARTS] += len(members) - int(members.sum())
        yield table.filter(pa.array(members))


def recut(tables: Iterable[pa.Table], rows: int = BATCH_ROWS, size: int = BATCH_BYTES) -> Iterator[pa.Table]:
    """The same rows in tables of at most ``rows`` rows and ``size`` bytes, or of one row that is larger."""
    pending: list[pa.Table] = []
    pending_rows = pending_bytes = 0
    for table in tables:
        for piece in _pieces(table, rows, size):
            if pending and (pending_rows + piece.num_rows > rows or pending_bytes + piece.nbytes > size):
                yield pa.concat_tables(pending).combine_chunks()
                pending, pending_rows, pending_bytes = [], 0, 0
            pending.append(piece)
            pending_rows, pending_bytes = pending_rows + piece.num_rows, pending_bytes + piece.nbytes
    if pending:
        yield pa.concat_tables(pending).combine_chunks()


def _pieces(table: pa.Table, rows: int, size: int) -> Iterator[pa.Table]:
    """The table, halved until each piece is small enough or one row."""
    if table.num_rows <= 1 or (table.num_rows <= rows and table.nbytes <= size):
        if table.num_rows:
            yield table
        return
    half = table.num_rows // 2
    yield from _pieces(table.slice(0, half), rows, size)
    yield from _pieces(table.slice(half), rows, size)


class _Documents:
    """Makes documents of the rows of one table, which come in order."""

    def __init__(
        self, file: InputFile, options: InputOptions, columns: ColumnMap, others: pa.Schema, first_row: int
    ) -> None:
        self._file, self._columns, self._others, self._row = file, columns, others, first_row
        # what stands in for a column that the table does not have
        self._defaults = {"dump": file.dump or options.dump, "segment": file.segment}

    def make(self, rows: pa.RecordBatch) -> pa.Table:
        """Documents of the next rows."""
        count, numbers = len(rows), range(self._row, self._row + len(rows))
        self._row += count
        values = {field.name: self._column(rows, field) for field in DOCUMENT_SCHEMA}
        if values["id"].null_count:
            made = pa.array([f"{self._file.name}:{number}" for number in numbers], TEXT)
            values["id"] = pc.coalesce(values["id"], made)
        unplaced = pc.or_(values["file"].is_null(), values["offset"].is_null())
        if pc.any(unplaced).as_py():
            values["file"] = pc.if_else(unplaced, pa.scalar(self._file.name, TEXT), values["file"])
            values["offset"] = pc.if_else(unplaced, pa.array(numbers, pa.int64()), values["offset"])
        for field in self._others:
            theirs = self._columns.others.get(field.name)
            column = pa.nulls(count, field.type) if theirs is None else rows.column(theirs)
            values[field.name] = column if column.type == field.type else column.cast(field.type)
        schema = pa.schema([*DOCUMENT_SCHEMA, *self._others])
        return pa.table([values[name] for name in schema.names], schema=schema)

    def _column(self, rows: pa.RecordBatch, field: pa.Field) -> pa.Array:
        """One column of ours."""
        theirs = self._columns.taken.get(field.name)
        if theirs is None:
            return pa.repeat(pa.scalar(self._defaults.get(field.name), field.type), len(rows))
        column = rows.column(theirs)
        # nanoseconds, which pandas writes, are cut to the microseconds of our dates
        nanoseconds = pa.types.is_timestamp(column.type) and column.type.unit == "ns"
        column = column.cast(field.type, safe=not nanoseconds)
        return _valid_text(column) if field.type == TEXT else column


def _valid_text(column: pa.Array) -> pa.Array:
    """The column with U+FFFD for bytes that are no UTF-8: writers of Parquet need not check them."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.large_binary()).to_pylist()
        return pa.array([None if value is None else value.decode("utf-8", "replace") for value in values], TEXT)
    return column

"""Part of a Parquet file by a range of one of its columns, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpurefine.errors import DamagedFileError, RunError

#: Size of a row group in a file of which parts are looked for: so much is read to find a single row.
SEARCHED_ROW_GROUP_BYTES = 1 << 20


def row_groups(
    path: Path, columns: Sequence[str], by: str | None = None, first: int = 0, last: int = 1 << 63
) -> Iterator[pa.Table]:
    """The rows with ``first <= by < last``, in file order, a table for each row group that has some.

    Row groups whose statistics lie outside the range are not read, so a file that is sorted by the column, or written
    in sorted runs, costs little more than the rows asked for.

    Parameters
    ----------
    path : Parquet file
    columns : which columns to read; ``by`` must be one of them
    by : a uint64 column without nulls and below 2**63; None reads all rows

    Raises
    ------
    RunError
        if the file cannot be read
    DamagedFileError
        if it is no whole Parquet file or a page's checksum is wrong
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            place = file.schema_arrow.get_field_index(by) if by else -1
            for group in range(file.num_row_groups):
                if by and not _overlaps(file.metadata.row_group(group).column(place).statistics, first, last):
                    continue
                table = file.read_row_group(group, columns=list(columns), use_threads=False)
                if by:
                    values = table[by]
                    low, high = pa.scalar(first, values.type), pa.scalar(last, values.type)
                    table = table.filter(pc.and_(pc.greater_equal(values, low), pc.less(values, high)))
                if table.num_rows:
                    yield table
    except (OSError, pa.ArrowException) as error:
        # Arrow gives a wrong checksum as an OSError too, but one that the system knows nothing of
        if isinstance(error, OSError) and error.errno is not None:
            raise RunError(f"cannot read {path}: {error}; use --fresh to start over") from None
        raise DamagedFileError(path, str(error).rstrip(".")) from None


def _overlaps(statistics: pq.Statistics | None, first: int, last: int) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    return statistics.min < last and statistics.max >= first

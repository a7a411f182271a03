"""Ids and positions of the rows of a frame, which are known only when all partitions were counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpurefine.documents import TEXT
from gpurefine.engine.frames_emit import METADATA_SCHEMA, documents_path, rows_path
from gpurefine.write import TableWriter


def name_rows(starts: Mapping[int, int], folder: Path) -> None:
    """Fill in the offsets of some partitions, and the ids where there are none; what was emitted stays as it is.

    Parameters
    ----------
    starts : partition -> position of its first row in the whole frame
    folder : the scratch folder
    """
    for partition, start in starts.items():
        _name_rows(partition, start, folder)


def _name_rows(partition: int, start: int, folder: Path) -> None:
    """Fill in what only the position in the whole frame tells: the offset, and the id where there is none."""
    with (
        pq.ParquetFile(rows_path(folder, partition), page_checksum_verification=True) as file,
        TableWriter(documents_path(folder, partition), file.schema_arrow.remove_metadata()) as writer,
    ):
        for rows in file.iter_batches(use_threads=False):
            table = pa.Table.from_batches([rows])
            positions = pa.array(np.arange(start, start + len(rows)))
            start += len(rows)
            for name, values in (("id", positions.cast(TEXT)), ("offset", positions)):
                place = table.schema.get_field_index(name)
                table = table.set_column(place, METADATA_SCHEMA.field(name), pc.coalesce(table[name], values))
            writer.write(table)
        writer.close({})

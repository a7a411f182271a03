"""The only place that knows frames from arrays: text columns <-> (bytes, offsets), Arrow tables <-> frames.

Frames here are pandas frames whose columns are Arrow-backed; kernels get plain arrays and never see a frame.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa


def from_arrow(table: pa.Table) -> pd.DataFrame:
    """A frame over the buffers of ``table``, without a copy of its text."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema`` from ``frame`` as a table of just these types; a column that is missing is null."""
    columns = []
    for field in schema:
        if field.name in frame.columns and len(frame):
            columns.append(pa.array(frame[field.name], from_pandas=True).cast(field.type))
        else:
            columns.append(pa.nulls(len(frame), field.type))
    return pa.table(columns, schema=schema)


def string_column(values: Iterable[str | None]) -> pd.Series:
    """A text column (Arrow large_string) from Python strings; None is null."""
    return pd.Series(pd.array(pa.array(values, pa.large_string()), dtype=pd.ArrowDtype(pa.large_string())))


def strings(column: pd.Series) -> list[str | None]:
    """The values of a text column as Python strings; null is None."""
    return pa.array(column, pa.large_string(), from_pandas=True).to_pylist()


def number_column(values: np.ndarray) -> pd.Series:
    """A column (Arrow float64) from float64 numbers; NaN is null."""
    return pd.Series(pd.array(pa.array(values, pa.float64(), from_pandas=True), pd.ArrowDtype(pa.float64())))


def text_buffers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 bytes of a text column and where each value begins, without a copy where it is one chunk.

    Parameters
    ----------
    column : n values, Arrow string or large_string; null counts as empty

    Returns
    -------
    data : uint8, (bytes,), read-only
    offsets : int64, (n + 1,); value i is ``data[offsets[i]:offsets[i + 1]]``
    """
    array = pa.array(column, from_pandas=True)
    # cast first: the chunks together may be longer than offsets of 32 bits reach
    if not pa.types.is_large_string(array.type):
        array = array.cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    if array.null_count:
        array = array.fill_null("")
    _, offsets, data = array.buffers()
    if len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    starts = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return (np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)), starts

"""The only place that knows frames from arrays: text columns <-> (bytes, offsets), Arrow tables <-> frames.

Frames are pandas frames whose columns are Arrow-backed, or cuDF frames, which lie on a CUDA device; kernels get plain
arrays of the same side and never see a frame. What differs between the two libraries is here and nowhere else, and
cuDF is imported by nothing else. A frame of one kind never becomes one of the other by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    import cudf
    import cupy
    import pylibcudf

    Frame = pd.DataFrame | cudf.DataFrame
    Column = pd.Series | cudf.Series
    Array = np.ndarray | cupy.ndarray


def is_device_frame(frame: Any) -> bool:
    """Whether a frame or a column is one of cuDF's; imports nothing."""
    return type(frame).__module__.partition(".")[0] == "cudf"


def from_arrow(table: pa.Table, on_device: bool = False) -> Frame:
    """A pandas frame over the buffers of ``table``, without a copy of its text; or a cuDF frame, with a copy of all."""
    if not on_device:
        return table.to_pandas(types_mapper=pd.ArrowDtype)
    import cudf

    return cudf.DataFrame.from_arrow(table)


def unfit_for_device(schema: pa.Schema) -> list[str]:
    """Names of columns that cuDF may not hold: it has numbers, truth values, text, times, and lists and structs."""
    return [field.name for field in schema if not _fits_device(field.type)]


def _fits_device(type: pa.DataType) -> bool:
    if pa.types.is_list(type):
        return _fits_device(type.value_type)
    if pa.types.is_struct(type):
        return all(_fits_device(field.type) for field in type)
    simple = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_float32, pa.types.is_float64, pa.types.is_string)
    times = (pa.types.is_large_string, pa.types.is_timestamp, pa.types.is_duration)
    return any(is_one(type) for is_one in simple + times)


def to_arrow(frame: Frame, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema`` from ``frame`` as a table of just these types; a column that is missing is null."""
    columns = []
    for field in schema:
        if field.name in frame.columns and len(frame):
            columns.append(arrow_array(frame[field.name]).cast(field.type))
        else:
            columns.append(pa.nulls(len(frame), field.type))
    return pa.table(columns, schema=schema)


def arrow_array(column: Column) -> pa.Array | pa.ChunkedArray:
    """The values of a column in the host's memory; a missing value of whatever kind is null."""
    return column.to_arrow() if is_device_frame(column) else pa.array(column, from_pandas=True)


def to_host_frame(frame: Frame) -> pd.DataFrame:
    """A pandas frame with the rows and columns of a frame of either kind, and an index from 0 on if it is cuDF's."""
    return from_arrow(_table(frame)) if is_device_frame(frame) else frame


def to_device_frame(frame: Frame) -> cudf.DataFrame:
    """A cuDF frame with the rows and columns of a frame of either kind, and an index from 0 on if it is pandas'."""
    return frame if is_device_frame(frame) else from_arrow(_table(frame), on_device=True)


def schema_frame(frame: Frame) -> pd.DataFrame:
    """A pandas frame with the columns and types of a frame; it has no rows if the frame is cuDF's."""
    if not is_device_frame(frame):
        return frame
    empty = from_arrow(_table(frame.head(0)))
    empty.columns = list(frame.columns)
    return empty


def _table(frame: Frame) -> pa.Table:
    """The columns of a frame, whose names become strings, as a table; its index stays behind."""
    return pa.table([arrow_array(frame[name]) for name in frame.columns], names=[str(name) for name in frame.columns])


def take(frame: Frame, mask: np.ndarray) -> Frame:
    """The rows where ``mask`` (bool, (n,), of NumPy whatever the frame) is true, with an index from 0 on."""
    return frame[mask].reset_index(drop=True)


def concat(frames: Sequence[Frame]) -> Frame:
    """Frames of one kind, one below the other, with an index from 0 on."""
    if is_device_frame(frames[0]):
        import cudf

        return cudf.concat(list(frames), ignore_index=True)
    return pd.concat(frames, ignore_index=True)


def assign(frame: Frame, columns: Mapping[str, Any]) -> Frame:
    """A frame with columns added or replaced, row by row whatever its index is.

    Parameters
    ----------
    frame : n rows
    columns : for each name n values: an Arrow array (null is a missing value), or a NumPy array. For a pandas frame
        also a pandas column with the frame's index

    Returns
    -------
    A frame of the same kind with the same index
    """
    if not is_device_frame(frame):
        return frame.assign(
            **{
                name: pd.arrays.ArrowExtensionArray(values)
                if isinstance(values, pa.Array | pa.ChunkedArray)
                else values
                for name, values in columns.items()
            }
        )
    import cudf

    def column(values: pa.Array | np.ndarray) -> Any:
        if isinstance(values, np.ndarray):
            return values
        made = cudf.Series.from_arrow(values)
        made.index = frame.index  # cuDF would look for each row by its label
        return made

    return frame.assign(**{name: column(values) for name, values in columns.items()})


def string_column(values: Iterable[str | None]) -> pd.Series:
    """A text column (Arrow large_string) from Python strings; None is null."""
    return pd.Series(pd.array(pa.array(values, pa.large_string()), dtype=pd.ArrowDtype(pa.large_string())))


def strings(column: Column) -> list[str | None]:
    """The values of a text column as Python strings; null is None."""
    return arrow_array(column).cast(pa.large_string()).to_pylist()


def number_column(values: np.ndarray) -> pd.Series:
    """A column (Arrow float64) from float64 numbers; NaN is null."""
    return pd.Series(pd.array(pa.array(values, pa.float64(), from_pandas=True), pd.ArrowDtype(pa.float64())))


def text_buffers(column: Column) -> tuple[Array, Array]:
    """The UTF-8 bytes of a text column and where each value begins, on the side where the column is.

    A column in one chunk is not copied; one with nulls is. Of a cuDF column only the offsets are copied, as they are
    widened where they have 32 bits.

    Parameters
    ----------
    column : n strings; null counts as empty

    Returns
    -------
    data : uint8, (bytes,), not to be written to; a CuPy array for a column of cuDF
    offsets : int64, (n + 1,), the first may be above 0; value i is ``data[offsets[i]:offsets[i + 1]]``
    """
    if is_device_frame(column):
        return _device_text_buffers(column)
    array = arrow_array(column)
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


def host_text_buffers(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """As ``text_buffers``, always in the host's memory; of a cuDF column just its own bytes are copied there."""
    data, offsets = text_buffers(column)
    if not is_device_frame(column):
        return data, offsets
    starts = offsets.get()
    return data[int(starts[0]) : int(starts[-1])].get(), starts - starts[0]


def text_offsets(column: cudf.Series) -> np.ndarray:
    """int64, (n + 1,): where each string of a cuDF column begins, as it lies there, on the host; copies no text.

    A null may have bytes, which ``text_buffers`` leaves out.
    """
    return np.zeros(1, np.int64) if len(column) == 0 else _device_offsets(_pylibcudf_strings(column)).get()


def row_hashes(column: cudf.Series) -> np.ndarray:
    """uint64, (n,): a hash of each value of a cuDF column, made on the device; equal columns have equal ones."""
    return column.hash_values(method="xxhash64").to_numpy()


def _device_text_buffers(column: cudf.Series) -> tuple[cupy.ndarray, cupy.ndarray]:
    """What ``text_buffers`` returns for cuDF, whose strings lie as Arrow's do: bytes, and offsets as a child column.

    Of cuDF only public names are used: ``Series.to_pylibcudf`` (documented as always without a copy), and of the
    ``pylibcudf.Column`` that it gives ``size``, ``offset``, ``data``, ``child`` and ``type().typestr``. What ``data``
    returns has the CUDA array interface and keeps the memory alive, also when cuDF moves the column elsewhere.
    Series.values and Series.to_cupy refuse strings, and the interface of cuDF's own buffers counts as a write, which
    copies a buffer that is shared. CuPy and cuDF both work on the legacy default stream, so in the order of calls.
    """
    import cupy

    if column.null_count:
        column = column.fillna("")  # rows that are null may have bytes
    if len(column) == 0:
        return cupy.zeros(0, cupy.uint8), cupy.zeros(1, cupy.int64)
    texts = _pylibcudf_strings(column)
    data = cupy.zeros(0, cupy.uint8) if texts.data() is None else cupy.asarray(texts.data())
    return data, _device_offsets(texts)


def _device_offsets(texts: pylibcudf.Column) -> cupy.ndarray:
    """int64, (n + 1,): where the strings of a column begin, and the last ends."""
    import cupy

    offsets = texts.child(0)
    width = int(offsets.type().typestr[-1])
    first = (texts.offset() + offsets.offset()) * width
    starts = cupy.asarray(offsets.data())[first : first + (texts.size() + 1) * width]
    return starts.view(f"int{8 * width}").astype(cupy.int64)


def _pylibcudf_strings(column: cudf.Series) -> pylibcudf.Column:
    """A text column with its memory on the device."""
    texts, _ = column.to_pylibcudf()
    if texts.data() is None or texts.child(0).data() is None:
        # cuDF has moved it to the host to make room, and brings it back for any work on it
        column.str.byte_count()
        texts, _ = column.to_pylibcudf()
    return texts

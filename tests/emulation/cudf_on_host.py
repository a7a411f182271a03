"""A stand-in for the few parts of cuDF that ``gpurefine.frames`` uses, with Arrow columns in the host's memory.

It is as strict as cuDF where it matters: nothing of it becomes a pandas, NumPy or Arrow object by itself, iterating is
a TypeError, and buffers of text are arrays of ``cupy_on_host``. Text has offsets of 32 or of 64 bits, as the Arrow
array had that it was made from; a slice keeps the buffers of the whole; nulls may have bytes; a column may have been
moved to the host ("spilled"), which any work on it undoes.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import xxhash
from cupy_on_host import DeviceArray

NOT_IMPLICITLY = "Implicit conversion to a host {} is not allowed. Consider using .to_{}()"


def _whole(array):
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return array.cast(pa.string()) if pa.types.is_null(array.type) else array


class _OnDevice:
    """What a frame and a column refuse alike."""

    def __array__(self, *_, **__):
        raise TypeError(NOT_IMPLICITLY.format("NumPy array", "numpy"))

    def __arrow_array__(self, type=None):
        raise TypeError(NOT_IMPLICITLY.format("PyArrow object", "arrow"))

    def __iter__(self):
        raise TypeError(f"{type(self).__name__} object is not iterable. Consider using .to_arrow()")


class _Buffer(DeviceArray):
    """Bytes of a column, with what CuPy needs to take them as they are."""


class _Column:
    """As pylibcudf.Column: the same memory with another surface."""

    def __init__(self, series):
        self._series, self._array = series, series._values

    def size(self):
        return len(self._array)

    def offset(self):
        return self._array.offset

    def data(self):
        return self._buffer(2)

    def type(self):
        raise NotImplementedError("No array interface typestr for DataType STRING")

    def child(self, index):
        assert index == 0
        width = 8 if pa.types.is_large_string(self._array.type) else 4
        kind = SimpleNamespace(typestr=f"<i{width}")
        return SimpleNamespace(data=lambda: self._buffer(1), offset=lambda: 0, type=lambda: kind)

    def _buffer(self, number):
        buffer = None if self._series._memory["spilled"] else self._array.buffers()[number]
        return None if buffer is None else _Buffer(np.frombuffer(buffer, np.uint8))


class Series(_OnDevice):
    """A column."""

    ndim = 1

    def __init__(self, values, index, memory=None):
        self._values, self.index = values, index
        self._memory = memory if memory is not None else {"spilled": False}

    @classmethod
    def from_arrow(cls, array):
        if not isinstance(array, pa.Array | pa.ChunkedArray):
            raise TypeError("array should be PyArrow array or chunked array")
        values = _whole(array)
        return cls(values, pd.RangeIndex(len(values)))

    def to_arrow(self):
        self._memory["spilled"] = False
        return self._values.cast(pa.large_string()) if pa.types.is_string(self._values.type) else self._values

    def to_pylibcudf(self):
        if not (pa.types.is_string(self._values.type) or pa.types.is_large_string(self._values.type)):
            raise NotImplementedError("the stand-in shows the memory of strings only")
        return _Column(self), {"index": self.index}

    @property
    def null_count(self):
        return self._values.null_count

    @property
    def str(self):
        def byte_count():
            self._memory["spilled"] = False

        return SimpleNamespace(byte_count=byte_count)

    def hash_values(self, method="murmur3"):
        assert method == "xxhash64"
        self._memory["spilled"] = False
        texts = self._values.to_pylist()
        hashes = [2**64 - 1 if text is None else xxhash.xxh64_intdigest(text.encode()) for text in texts]
        return Series(pa.array(hashes, pa.uint64()), self.index)

    def to_numpy(self):
        return self._values.to_numpy()

    def fillna(self, value):
        return Series(_whole(self._values.fill_null(value)), self.index)

    def head(self, n=5):
        return Series(self._values.slice(0, n), self.index[:n], self._memory)

    def __len__(self):
        return len(self._values)


class DataFrame(_OnDevice):
    """Columns of one length with an index, which is pandas' here."""

    ndim = 2
    groupby = merge = mean = None  # by these Dask knows a frame

    def __init__(self, columns, index):
        self._data, self.index = dict(columns), index

    @classmethod
    def from_arrow(cls, table):
        if not isinstance(table, pa.Table):
            raise TypeError(f"data must be a pyarrow.Table, not {type(table).__name__}")
        index = pd.RangeIndex(len(table))
        return cls({name: Series(_whole(table[name]), index) for name in table.column_names}, index)

    @property
    def columns(self):
        return pd.Index(list(self._data))

    @columns.setter
    def columns(self, names):
        self._data = dict(zip(names, self._data.values(), strict=True))

    @property
    def dtypes(self):
        return pd.Series({name: pd.ArrowDtype(column._values.type) for name, column in self._data.items()})

    def __len__(self):
        return len(self.index)

    def __getitem__(self, key):
        if isinstance(key, list):
            return DataFrame({name: self._data[name] for name in key}, self.index)
        if isinstance(key, np.ndarray):
            if key.dtype != bool or len(key) != len(self):
                raise IndexError("a mask has a truth value for each row")
            return self._rows(lambda values: values.filter(pa.array(key)), self.index[key])
        return Series(self._data[key]._values, self.index, self._data[key]._memory)

    def __setitem__(self, name, value):
        if isinstance(value, Series):
            if not value.index.equals(self.index):
                raise ValueError("Cannot align indices with non-unique values")
            values = value._values
        elif isinstance(value, np.ndarray) and value.dtype != object:
            values = pa.array(value)
        else:
            raise TypeError(f"the stand-in for cuDF takes no {type(value)} for a column")
        if len(values) != len(self):
            raise ValueError("Length of values does not match index length")
        self._data[name] = Series(values, self.index)

    def assign(self, **columns):
        made = DataFrame(self._data, self.index)
        for name, value in columns.items():
            made[name] = value
        return made

    @property
    def iloc(self):
        return _Rows(self)

    def head(self, n=5):
        return self.iloc[:n]

    def reset_index(self, *, drop):
        assert drop
        return DataFrame(self._data, pd.RangeIndex(len(self)))

    def to_arrow(self, preserve_index=None):
        assert preserve_index is False
        return pa.table({str(name): column.to_arrow() for name, column in self._data.items()})

    def to_pandas(self):
        columns = {name: pd.arrays.ArrowExtensionArray(each.to_arrow()) for name, each in self._data.items()}
        return pd.DataFrame(columns, index=self.index)

    def _rows(self, rows, index):
        memory = {name: column._memory for name, column in self._data.items()}
        return DataFrame({name: Series(rows(self._data[name]._values), index, memory[name]) for name in memory}, index)


class _Rows:
    def __init__(self, frame):
        self._frame = frame

    def __getitem__(self, rows):
        assert isinstance(rows, slice), "the stand-in takes ranges of rows only"
        begin, end, _ = rows.indices(len(self._frame))
        return self._frame._rows(lambda values: values.slice(begin, max(end - begin, 0)), self._frame.index[rows])


def concat(frames, ignore_index=False):
    if not all(isinstance(each, DataFrame) for each in frames):
        raise TypeError("cannot concatenate objects of other types than cuDF's")
    indexes = [each.index for each in frames]
    index = pd.RangeIndex(sum(map(len, frames))) if ignore_index else indexes[0].append(indexes[1:])
    names = frames[0].columns
    columns = {name: pa.chunked_array([each[name]._values for each in frames]) for name in names}
    return DataFrame({name: Series(_whole(values), index) for name, values in columns.items()}, index)


def from_pandas(frame):
    """A frame of the stand-in with the rows, columns and index of a pandas frame; strings keep their offsets' width."""
    columns = {name: Series(_whole(pa.array(frame[name], from_pandas=True)), frame.index) for name in frame.columns}
    return DataFrame(columns, frame.index)


Series.__module__, DataFrame.__module__ = "cudf.core.series", "cudf.core.dataframe"


def install(monkeypatch):
    """Put the stand-in in the place of cuDF."""
    cudf = ModuleType("cudf")
    cudf.DataFrame, cudf.Series, cudf.concat, cudf.from_pandas = DataFrame, Series, concat, from_pandas
    monkeypatch.setitem(sys.modules, "cudf", cudf)
    return cudf


def install_in_dask(monkeypatch):
    """Make frames of the stand-in partitions of Dask's frames, as ``dask_cudf`` does for cuDF."""
    import dask.dataframe as dd
    from dask._dispatch import get_collection_type
    from dask.dataframe.dispatch import concat_dispatch, get_parallel_type, make_meta_dispatch

    monkeypatch.setitem(sys.modules, "dask_cudf", ModuleType("dask_cudf"))  # Dask imports it when it meets such a frame
    get_collection_type.register(DataFrame, lambda _: dd.DataFrame)
    get_parallel_type.register(DataFrame, lambda _: dd.DataFrame)
    make_meta_dispatch.register(DataFrame, lambda frame, index=None: frame.head(0))
    concat_dispatch.register(
        DataFrame, lambda frames, *_, ignore_index=False, **__: concat(frames, ignore_index=ignore_index)
    )

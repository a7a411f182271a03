"""What a user gives to ``deduplicate`` and ``annotate``: a frame of a known kind, its columns, and what these hold.

Names and types are checked before anything is done, values as rows are reached. What is wrong is an InputError of one
sentence that names the column and the parameter that chose it.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gpurefine.devices import BATCH_TEXT
from gpurefine.documents import TEXT
from gpurefine.errors import InputError
from gpurefine.frames import arrow_array, from_arrow, is_device_frame, schema_frame, text_buffers, text_offsets
from gpurefine.kernels.cuda.utf8 import valid_utf8

if TYPE_CHECKING:
    from gpurefine.frames import Column, Frame

#: What a column holds whose strings cannot be read.
NOT_UNICODE = "text that is not valid Unicode"

#: Rows that are looked at a time; few, because columns of Python strings are copied.
BATCH_ROWS = 256


def in_memory(frame: Any) -> bool:
    """Whether a frame is of pandas or cuDF, not of Dask."""
    return isinstance(frame, pd.DataFrame) or (is_device_frame(frame) and getattr(frame, "ndim", 0) == 2)


def schema_of(frame: Any) -> pd.DataFrame:
    """A pandas frame that has the columns and types of ``frame``. Raises InputError for what is no frame."""
    if in_memory(frame):
        return schema_frame(frame)
    # only a frame of Dask has it, and Dask is not imported for another
    meta = getattr(frame, "_meta", None)
    if not in_memory(meta):
        found = f"{type(frame).__module__.split('.')[0]} {type(frame).__name__}"
        raise InputError(f"expected a pandas, cuDF or Dask DataFrame, found a {found}")
    return schema_frame(meta)


def check_column(schema: pd.DataFrame, name: Hashable, parameter: str) -> None:
    """Raise InputError if the frame has not just one column of this name."""
    there = list(schema.columns)
    if there.count(name) != 1:
        problem = "has no column" if name not in there else "has more than one column"
        shown = ", ".join(map(repr, there[:20])) + (" ..." if len(there) > 20 else "")
        raise InputError(f"the frame {problem} {name!r}, its columns are {shown}: name one with {parameter}=")


def check_text_column(schema: pd.DataFrame, name: Hashable, parameter: str) -> None:
    """Raise InputError if the frame has no such column, or one of numbers; other values are checked as they come."""
    check_column(schema, name, parameter)
    if _is_numeric(schema[name].dtype):
        raise InputError(
            f"column {name!r} holds {schema[name].dtype}, expected strings: name another with {parameter}="
        )


def check_new_columns(schema: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise InputError if the frame has a column of a name that one will get."""
    taken = [name for name in names if name in schema.columns]
    if taken:
        raise InputError(f"the frame already has a column {taken[0]!r}, which is added here: drop or rename it")


def _is_numeric(dtype: Any) -> bool:
    try:
        return pd.api.types.is_numeric_dtype(dtype)
    except NotImplementedError:
        # what pandas says of views of strings, which are checked where values are
        return False


def pieces(frame: Frame, text: Hashable) -> Iterator[Frame]:
    """Some rows of a frame at a time: few of a pandas frame, and of a cuDF frame as many as have some text."""
    column = frame[text]
    if has_device_texts(column):
        cuts = byte_cuts(text_offsets(column), BATCH_TEXT)
    else:
        cuts = [*range(0, len(frame), BATCH_ROWS), len(frame)]
    for begin, end in itertools.pairwise(cuts):
        yield frame.iloc[begin:end]


def byte_cuts(offsets: np.ndarray, most: int) -> list[int]:
    """Where to cut rows into ranges of up to ``most`` bytes, at least one row each: 0, ..., their number."""
    cuts, rows = [0], len(offsets) - 1
    while cuts[-1] < rows:
        end = int(np.searchsorted(offsets, offsets[cuts[-1]] + most, "right")) - 1
        cuts.append(min(max(end, cuts[-1] + 1), rows))
    return cuts


def has_device_texts(column: Column) -> bool:
    """Whether a column is one of cuDF's with strings, which kernels can read where they lie."""
    return is_device_frame(column) and _is_string(arrow_array(column.head(0)).type)


def texts_of(part: Frame, name: Hashable, parameter: str) -> Frame:
    """The texts of some rows as a frame with a column ``text``: strings on a device where they lie, else on the host.

    The latter are checked as ``text_array`` says; the former are by ``check_device_texts``.
    """
    if not has_device_texts(part[name]):
        return from_arrow(pa.table({"text": text_array(part[name], name, parameter)}))
    texts = part[[name]].reset_index(drop=True)
    texts.columns = ["text"]
    return texts


def check_device_texts(texts: Frame, name: Hashable, parameter: str) -> None:
    """Raise InputError if strings of ``texts_of`` that lie on a device are no Unicode: cuDF takes any bytes."""
    if is_device_frame(texts) and not valid_utf8(*text_buffers(texts["text"])):
        raise _not_strings(name, NOT_UNICODE, parameter)


def text_array(column: Column, name: Hashable, parameter: str, *, numbers: bool = False) -> pa.Array:
    """A column as Arrow large_string, null where a value is missing; integers become strings if they may be there.

    Raises InputError for other values, which names the column and the parameter that chose it.
    """
    try:
        array = arrow_array(column)
    except UnicodeError:
        raise _not_strings(name, NOT_UNICODE, parameter) from None
    except pa.ArrowException:
        raise _not_strings(name, "values of several types", parameter) from None
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    # whether a column of objects holds numbers would depend on which of its rows are looked at
    number = numbers and pa.types.is_integer(kind) and not _of_objects(column)
    if not (_is_string(kind) or number or pa.types.is_null(kind)):
        raise _not_strings(name, str(kind), parameter)
    # cast first: the chunks together may be longer than offsets of 32 bits reach
    array = array.cast(TEXT)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    try:
        # Arrow takes any bytes for strings without a look at them
        array.validate(full=True)
    except pa.ArrowInvalid:
        raise _not_strings(name, NOT_UNICODE, parameter) from None
    return array


def _of_objects(column: Column) -> bool:
    return isinstance(column, pd.Series) and pd.api.types.is_object_dtype(column.dtype)


def _is_string(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _not_strings(name: Hashable, what: str, parameter: str) -> InputError:
    return InputError(
        f"column {name!r} holds {what}, expected strings: convert it, or name another column with {parameter}="
    )

"""The columns of all inputs together, by footers of tables and beginnings of JSON lines, before a run starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.documents import TEXT
from gpurefine.errors import InputError
from gpurefine.read.columns import ColumnMap, is_text, map_columns
from gpurefine.read.inputs import InputFile
from gpurefine.read.jsonsample import REST, sample_file, type_of
from gpurefine.read.jsonvalues import JSON_TEXT
from gpurefine.read.options import InputOptions
from gpurefine.read.tables import opened_table

#: Files of which the columns are looked at beside each other.
LOOKS_AT_ONCE = 16

#: Metadata of a field of strings that are JSON text.
OF_JSON = {b"gpurefine": b"json"}


class _Types:
    """Types of columns by name, as file after file tells them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[pa.DataType, str]] = {}
        # of JSON lines: they are inferred from what all files hold, not file by file
        self._values: dict[str, tuple[set[str], str]] = {}

    def of_table(self, name: str, kind: pa.DataType, path: str) -> None:
        """A column of a table, of this type."""
        before, where = self._found.get(name, (kind, path))
        both = _common_type(before, kind)
        if both is None:
            raise InputError(
                f"the column '{name}' is {_said(before)} in {where} and {_said(kind)} in {path}: "
                "give it one type, or refine the files apart"
            )
        self._found[name] = both, path if both != before else where

    def of_lines(self, name: str, values: set[str], path: str) -> None:
        """A key of JSON lines, with such values."""
        self._found.setdefault(name, (pa.null(), path))
        self._values.setdefault(name, (set(), path))[0].update(values)

    def schema(self) -> pa.Schema:
        """All columns, in order of appearance."""
        for name, (values, path) in self._values.items():
            kind, (before, where) = type_of(values), self._found[name]
            if kind == JSON_TEXT and is_text(before):
                self._found[name] = kind, where
            elif not (pa.types.is_int64(kind) and (pa.types.is_integer(before) or pa.types.is_float64(before))):
                self.of_table(name, kind, path)
        return pa.schema([self._field(name, kind) for name, (kind, _) in self._found.items()])

    def _field(self, name: str, kind: pa.DataType) -> pa.Field:
        if kind == JSON_TEXT or (pa.types.is_null(kind) and name in self._values):
            return pa.field(name, TEXT, metadata=OF_JSON)
        return pa.field(name, kind)


def check_columns(files: Sequence[InputFile], options: InputOptions, needed: Collection[str] = ()) -> pa.Schema:
    """Look at the columns of all inputs, so that one that cannot be used is refused before the run starts.

    Parameters
    ----------
    files : the inputs; WARC and WET files have no columns and are passed over
    options : which columns hold text, id and URL
    needed : columns of ours without which the run would do nothing, beside the text

    Returns
    -------
    The columns that documents have beside those of ``DOCUMENT_SCHEMA``, of all files together, in order of appearance.
    With JSON lines among the files ``REST`` is the last. Fields of JSON text have ``OF_JSON`` as metadata.

    Raises
    ------
    InputError
        naming the file that is no whole Parquet file, holds no JSON lines or lacks the text or a needed column, or two
        files with a column of different types
    """
    types = _Types()
    with_columns = [file for file in files if file.kind in ("parquet", "jsonl")]
    # a file in an object store answers late, so that many are asked at once
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        looked = list(pool.map(partial(_look, options=options), with_columns))
    for file, (schema, found) in zip(with_columns, looked, strict=True):
        # a file without lines has no columns, and misses none
        columns = _mapped(file, schema, options, needed) if schema.names or found is None else ColumnMap({}, {})
        for name, theirs in columns.others.items():
            if found is not None:
                types.of_lines(name, found[theirs], file.path)
            else:
                kind = pa.int64() if name == "n_tokens" else _kept_type(schema.field(theirs).type)
                types.of_table(name, kind, file.path)
    schema = types.schema()
    if not any(file.kind == "jsonl" for file in files):
        return schema
    if REST in schema.names:
        raise InputError(
            f"a column of the inputs is called '{REST}', as what JSON lines hold beside columns: rename it"
        )
    return schema.append(pa.field(REST, TEXT, metadata=OF_JSON))


def _look(file: InputFile, options: InputOptions) -> tuple[pa.Schema, dict[str, set[str]] | None]:
    """The columns of a file; of JSON lines also what was found of their values."""
    if file.kind == "jsonl":
        sample = sample_file(file, options)
        return sample.schema(options), sample.found
    try:
        with opened_table(file.place) as source:
            return pq.read_schema(source), None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{file.path} is damaged or no whole Parquet file ({error}): write it again, or leave it out"
        ) from None


def _mapped(file: InputFile, schema: pa.Schema, options: InputOptions, needed: Collection[str]) -> ColumnMap:
    """What each column of a file is, none of the needed ones missing."""
    columns = map_columns(schema, options, file.path)
    missing = next((name for name in needed if name not in columns.taken), None)
    if missing is not None:
        shown = ", ".join(schema.names[:12]) + (", ..." if len(schema.names) > 12 else "")
        raise InputError(
            f"{file.path} has no column '{missing}' of strings, which is what is compared; it has {shown}: "
            f"choose one by --set input.{missing}_column=NAME"
        )
    return columns


def _kept_type(kind: pa.DataType) -> pa.DataType:
    """The type in which a column of a table travels: coded values are written out, views become plain."""
    if pa.types.is_dictionary(kind):
        return _kept_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def _said(kind: pa.DataType) -> str:
    return "of mixed values" if kind == JSON_TEXT else str(kind)


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type of a column that is ``one`` in some files and ``other`` in others, None if there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    # pandas and Polars write the same strings with offsets of different width
    return pa.large_string() if is_text(one) and is_text(other) else None

"""Which column of a table is what: those with the names of a document's are taken as these, all others are kept.

Looked at once before a run starts, for all its inputs (``schemas``), and again where a table is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from gpurefine.dedup.policies import TEXT_LENGTH
from gpurefine.documents import DOCUMENT_SCHEMA, REFINED_SCHEMA, TEXT
from gpurefine.errors import InputError
from gpurefine.read.options import InputOptions

#: A column with the name of one of ours that cannot be taken for it is kept under its name with this before it.
RENAMED = "input_"
#: Names that only our own columns bear in files of documents.
OUR_NAMES = frozenset([*REFINED_SCHEMA.names, "text_hash", TEXT_LENGTH.name])


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds strings, in whatever form."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_text_or_integer(kind: pa.DataType) -> bool:
    return is_text(kind) or pa.types.is_integer(kind)


#: Which types of a table's column are taken for a column of ours; a column of nulls always is.
FITTING: dict[str, Callable[[pa.DataType], bool]] = {
    **{field.name: is_text for field in DOCUMENT_SCHEMA if field.type == TEXT},
    "id": _is_text_or_integer,
    "date": pa.types.is_timestamp,
    "offset": pa.types.is_integer,
    "length": pa.types.is_integer,
    "language_score": pa.types.is_floating,
    "n_tokens": pa.types.is_integer,
}


@dataclass(frozen=True)
class ColumnMap:
    """Which column of a table is what.

    Attributes
    ----------
    taken : column of a document -> column of the table
    others : name in ``refined/`` -> column of the table
    """

    taken: dict[str, str]
    others: dict[str, str]


def map_columns(schema: pa.Schema, options: InputOptions, path: str) -> ColumnMap:
    """Say which column of a table is what.

    ``file`` and ``offset`` are taken together or not at all: one without the other says nothing of where a record
    came from. ``n_tokens`` stands among the others, since no stage reads it.

    Parameters
    ----------
    schema : of the table
    options : which columns hold text, id and URL
    path : names the table in errors

    Raises
    ------
    InputError
        when there is no text column, a column that the options name is missing or of a wrong type, or two columns
        would have one name
    """
    names = schema.names
    chosen = {name: name for name in DOCUMENT_SCHEMA.names}
    chosen |= {"text": options.text_column, "id": options.id_column, "url": options.url_column}
    for ours, theirs in chosen.items():
        _check_chosen(ours, theirs, schema, path)
    taken = {
        ours: theirs for ours, theirs in chosen.items() if theirs in names and _fits(ours, schema.field(theirs).type)
    }
    if not {"file", "offset"} <= taken.keys():
        taken.pop("file", None)
        taken.pop("offset", None)
    others: dict[str, str] = {}
    for field in schema:
        theirs = known_as = field.name
        if theirs in taken.values():
            continue
        if theirs in OUR_NAMES and not (theirs == "n_tokens" and _fits(theirs, field.type)):
            known_as = f"{RENAMED}{theirs}"
        if known_as in others or (known_as != theirs and known_as in names):
            raise InputError(f"{path} has two columns that would both be called '{known_as}': rename one of them")
        others[known_as] = theirs
    return ColumnMap(taken, others)


def _fits(ours: str, kind: pa.DataType) -> bool:
    return FITTING[ours](kind) or pa.types.is_null(kind)


def _check_chosen(ours: str, theirs: str, schema: pa.Schema, path: str) -> None:
    """See that a column is there and fits: the text always, others where the options name one."""
    count = schema.names.count(theirs)
    if count > 1:
        raise InputError(f"{path} has {count} columns called '{theirs}': rename all but one")
    if ours != "text" and ours == theirs:
        return
    option = f"--set input.{ours}_column=NAME"
    if not count:
        shown = ", ".join(schema.names[:12]) + (", ..." if len(schema.names) > 12 else "")
        raise InputError(f"{path} has no column '{theirs}'; it has {shown or 'none'}: choose one by {option}")
    kind = schema.field(theirs).type
    if not _fits(ours, kind):
        wanted = "strings or integers" if ours == "id" else "strings"
        raise InputError(f"{path}: the column '{theirs}' must hold {wanted}, found {kind}: choose another by {option}")

"""The beginnings of files of JSON lines -> the types of their columns: looked at before a run starts.

What the keys of a file's first lines hold decides which column is what. From then on types are kept to: a value that
does not fit makes its line a removal, and keys that were not seen travel in one column, ``REST``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from gpurefine.documents import TEXT
from gpurefine.errors import InputError
from gpurefine.read.inputs import InputFile
from gpurefine.read.jsonvalues import DATE_TYPE, JSON_TEXT, BrokenLine, parse_object
from gpurefine.read.lines import LineSplit
from gpurefine.read.options import InputOptions
from gpurefine.read.pages import parse_date

#: Lines that begin in the first bytes of a file, this many, decide.
SAMPLE_BYTES = 1 << 20

#: Keys of one file that become columns, in order of appearance; others travel in ``REST``.
MOST_COLUMNS = 256

#: The column of what has none of its own: an object as JSON text, null where there is nothing.
REST = "input_rest"

#: What is found of a value. An integer that float64 would round is ``wide`` as well, one beyond int64 ``huge``.
BOOL, INTEGER, WIDE, HUGE, NUMBER, STRING, OTHER = "boolean", "integer", "wide", "huge", "number", "string", "other"


@dataclass
class Sample:
    """What the first lines of a file hold.

    Attributes
    ----------
    found : by key what its values are found to be, nulls left out
    dates : whether each string called ``date`` is a date with a time
    """

    found: dict[str, set[str]] = field(default_factory=dict)
    dates: bool = True

    def schema(self, options: InputOptions) -> pa.Schema:
        """The columns that the file has. A key of which only nulls were seen is a column of nulls."""
        return pa.schema([pa.field(key, self._type(key, options)) for key in self.found])

    def _type(self, key: str, options: InputOptions) -> pa.DataType:
        found = self.found[key]
        if key == options.text_column and STRING in found:
            # what holds something else is a broken line
            return TEXT
        if key == options.id_column and found and found <= {STRING, INTEGER, WIDE, HUGE}:
            return TEXT
        if key == "date" and found == {STRING} and self.dates:
            return DATE_TYPE
        if key == "language_score" and found and found <= {INTEGER, NUMBER}:
            return pa.float64()
        return type_of(found)


def type_of(found: Collection[str]) -> pa.DataType:
    """The type of a column with such values: of nulls, if there are none; ``JSON_TEXT`` if no other holds them all."""
    if not found:
        return pa.null()
    for kind, fitting in (
        (pa.bool_(), {BOOL}),
        (pa.int64(), {INTEGER, WIDE}),
        (pa.float64(), {INTEGER, NUMBER}),
        (TEXT, {STRING}),
    ):
        if fitting.issuperset(found):
            return kind
    return JSON_TEXT


def sample_file(file: InputFile, options: InputOptions) -> Sample:
    """Look at the first lines of a file; those that are no objects are passed over, as is where it breaks off.

    Raises
    ------
    InputError
        if it cannot be opened, or none of several lines is an object
    """
    sample = Sample()
    objects = broken = 0
    for line in LineSplit(file.place, longest=options.max_body):
        if line.offset >= SAMPLE_BYTES or line.problem is not None:
            break
        if line.data is not None and not line.data.strip():
            continue
        try:
            values = parse_object(line.data or b"")
        except BrokenLine:
            broken += 1
            continue
        objects += 1
        for key, value in values.items():
            _note(sample, key, value)
    if broken and not objects:
        raise InputError(
            f"{file.path} holds no JSON lines: none of the {broken} lines in its first {SAMPLE_BYTES >> 20} MiB is an "
            'object; expected one object a line, such as {"text": "..."}'
        )
    return sample


def _note(sample: Sample, key: str, value: Any) -> None:
    if key not in sample.found:
        if len(sample.found) == MOST_COLUMNS or not _is_name(key):
            return
        sample.found[key] = set()
    sample.found[key] |= _kinds(value)
    if key == "date" and isinstance(value, str):
        sample.dates = sample.dates and parse_date(value) is not None


def _is_name(key: str) -> bool:
    """Whether a column can be called so; half a character or nothing is no name."""
    return bool(key) and not any("\ud800" <= character <= "\udfff" for character in key)


def _kinds(value: Any) -> set[str]:
    if value is None:
        return set()
    if isinstance(value, bool):
        return {BOOL}
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            return {HUGE}
        return {INTEGER} if int(float(value)) == value else {INTEGER, WIDE}
    return {{float: NUMBER, str: STRING}.get(type(value), OTHER)}

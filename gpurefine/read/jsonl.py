"""JSON lines as input: the lines of a split -> batches of documents, and removals of lines that are none.

Lines have texts already, so they enter a run behind ``extract``. What their keys are to us is said by ``columns``, as
for tables, going by the file's beginning (``jsonsample``).

The rules, in the order in which they name a removal (all ``read:...``):

========= ================================================================= ============ ==================
rule      hits when                                                         value, limit evidence
========= ================================================================= ============ ==================
damaged   a compressed file breaks off here; nothing behind it is read                   line and reason
too_large the line is longer than a body may be                             bytes        line
line      it is no object, has no text, or a value that its column does not              line and reason
          hold
========= ================================================================= ============ ==================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gpurefine.documents import DOCUMENT_SCHEMA
from gpurefine.read.batches import ReadBatch, SplitCounts, made_id, removed_table
from gpurefine.read.columns import OUR_NAMES, is_text, map_columns
from gpurefine.read.inputs import InputFile
from gpurefine.read.jsonsample import REST, sample_file
from gpurefine.read.jsonvalues import (
    JSON_TEXT,
    BrokenLine,
    as_identity,
    converter,
    json_text,
    parse_object,
)
from gpurefine.read.lines import Line, LineSplit
from gpurefine.read.options import InputOptions
from gpurefine.read.pages import ReadRemoval, clean_evidence
from gpurefine.read.parts import OTHER_PARTS, Part
from gpurefine.read.schemas import OF_JSON

#: A batch is handed on at this many lines or this many bytes of them, whichever comes first.
BATCH_LINES = 1024
BATCH_BYTES = 16 << 20

#: Our columns that are filled by a key even where the file's beginning had none of that name. Places are not: they are
#: taken whole or not at all.
_MAY_COME_LATE = ("dump", "segment", "date", "language", "language_score")


def read_lines(
    file: InputFile,
    begin: int,
    end: int,
    options: InputOptions,
    others: pa.Schema,
    counts: SplitCounts,
    part: Part | None = None,
) -> Iterator[ReadBatch]:
    """Read the lines that begin in ``[begin, end)`` of a file of JSON lines, or all of a compressed one.

    Parameters
    ----------
    file : the input file
    begin, end : the split, byte offsets; all of a compressed file belongs to the one with ``begin`` 0
    options : which columns hold text, id and URL, and how long a line may be
    others : what ``check_columns`` returned for all files of the run
    counts : filled while the iterator runs; blank lines are no records
    part : only its lines are read on, by their ids

    Returns
    -------
    Batches of ``DOCUMENT_SCHEMA`` and ``others``. Offsets and lengths are of lines in the decompressed file. A line
    without an id is called FILE:OFFSET. A null text stays null.
    """
    split = LineSplit(file.place, begin, end, longest=options.max_body)
    documents: _Documents | None = None
    rows: list[dict[str, Any]] = []
    removed: list[ReadRemoval] = []
    size = 0
    for line in split:
        if line.data is not None and not line.data.strip():
            continue
        documents = documents or _Documents(file, options, others)
        judged = documents.judge(line, split)
        identity = judged.id if isinstance(judged, ReadRemoval) else judged["id"]
        if part is not None and not part.has(identity or made_id(file, line.offset)):
            counts.skipped[OTHER_PARTS] += 1
            continue
        counts.records += 1
        if isinstance(judged, ReadRemoval):
            removed.append(judged)
        else:
            rows.append(judged)
            size += line.size
        if len(rows) + len(removed) >= BATCH_LINES or size >= BATCH_BYTES:
            yield ReadBatch(documents.table(rows), removed_table(removed, file))
            rows, removed, size = [], [], 0
    if documents is not None and (rows or removed):
        yield ReadBatch(documents.table(rows), removed_table(removed, file))
    counts.bytes = split.bytes


@dataclass(frozen=True)
class _Place:
    """Where the value of a key goes: into which column, and how."""

    name: str
    convert: Callable[[Any], Any]
    expected: str


class _Documents:
    """Makes documents of the lines of one file."""

    def __init__(self, file: InputFile, options: InputOptions, others: pa.Schema) -> None:
        self._file, self._options = file, options
        self._schema = pa.schema([*DOCUMENT_SCHEMA, *others])
        self._defaults = {"dump": file.dump or options.dump, "segment": file.segment}
        self._places = _places(file, options, others)

    def judge(self, line: Line, split: LineSplit) -> dict[str, Any] | ReadRemoval:
        """The values of a line by column, or a removal."""
        if line.problem is not None:
            return self._removal(line, split, "damaged", f"{line.problem}, and nothing behind it is read")
        if line.data is None:
            return self._removal(line, split, "too_large")
        values: dict[str, Any] = {}
        try:
            found = parse_object(line.data)
            if self._options.text_column not in found:
                raise BrokenLine(f"no key '{self._options.text_column}'")
            self._fill(values, found)
        except BrokenLine as broken:
            return self._removal(line, split, "line", str(broken), values)
        values.setdefault("id", made_id(self._file, line.offset))
        if not {"file", "offset"} <= values.keys():
            values |= {"file": self._file.name, "offset": line.offset, "length": values.get("length", line.size)}
        return values

    def _fill(self, values: dict[str, Any], found: Mapping[str, Any]) -> None:
        rest = {}
        for key, value in found.items():
            place = self._places.get(key)
            if place is None:
                rest[key] = value
            elif value is not None:
                try:
                    values[place.name] = place.convert(value)
                except BrokenLine as misfit:
                    raise BrokenLine(f"'{key}' holds {misfit}, expected {place.expected}") from None
        if rest:
            values[REST] = json_text(rest)

    def _removal(
        self, line: Line, split: LineSplit, rule: str, reason: str = "", values: Mapping[str, Any] | None = None
    ) -> ReadRemoval:
        number = split.number(line)
        place = f"byte {line.offset}" if number is None else f"line {number}"
        evidence = clean_evidence(f"{place}: {reason}" if reason else place)
        sizes = (float(line.size), float(self._options.max_body)) if rule == "too_large" else (None, None)
        known = values or {}
        return ReadRemoval(known.get("id"), known.get("url"), line.offset, line.size, rule, *sizes, evidence)

    def table(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Documents of lines, in their order."""
        columns = []
        for field in self._schema:
            default = self._defaults.get(field.name)
            values = [row.get(field.name, default) for row in rows]
            columns.append(pa.array(values, field.type))
        return pa.table(columns, schema=self._schema)


def _places(file: InputFile, options: InputOptions, others: pa.Schema) -> dict[str, _Place]:
    """Where the value of each key goes; others go into ``REST``."""
    schema = sample_file(file, options).schema(options)
    chosen = (options.text_column, options.id_column, options.url_column)
    for name in dict.fromkeys((*chosen, *_MAY_COME_LATE)):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.null()))
    columns = map_columns(schema, options, file.path)
    places = {key: _place(DOCUMENT_SCHEMA.field(name)) for name, key in columns.taken.items()}
    places |= {key: _place(others.field(name)) for name, key in columns.others.items()}
    # keys that only other files' beginnings have; what is called as one of ours is not looked for a second time
    for field in others:
        if field.name not in columns.others and field.name not in OUR_NAMES | {REST}:
            places.setdefault(field.name, _place(field))
    return places


def _place(field: pa.Field) -> _Place:
    if field.name == "id":
        return _Place("id", as_identity, "a string or an integer")
    kind = JSON_TEXT if field.metadata == OF_JSON else field.type
    expected = "a date such as 2024-01-31T12:00:00Z" if pa.types.is_timestamp(kind) else str(kind)
    return _Place(field.name, converter(kind), "a string" if is_text(kind) else expected)

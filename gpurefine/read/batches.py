"""Splits of WARC and WET files -> batches of pages or texts, and removals: what feeds the first step of a run.

A split may begin inside a record; the reader says where its first record began and its last one ended, and the run
checks that neighbouring splits fit together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from gpurefine.documents import DOCUMENT_SCHEMA, PAGE_SCHEMA, REMOVED_SCHEMA
from gpurefine.read.conversions import PageText, judge_conversion
from gpurefine.read.http import MAX_HEAD
from gpurefine.read.inputs import InputFile
from gpurefine.read.kinds import Kind
from gpurefine.read.options import InputOptions
from gpurefine.read.pages import Page, ReadRemoval, judge_damage, judge_record
from gpurefine.read.parts import OTHER_PARTS, Part
from gpurefine.read.warc import MAX_BLOCK, Damage, WarcRecord, WarcSplit

#: A batch is handed on at this many records or this many characters of HTML, whichever comes first.
BATCH_RECORDS = 256
BATCH_CHARACTERS = 16 << 20

#: The type of the records that are documents, by the kind of the file.
DOCUMENT_TYPES: Mapping[Kind, str] = {"warc": "response", "wet": "conversion"}


@dataclass
class ReadBatch:
    """Some records of a split, in order: what goes on, and removals of the reader.

    Attributes
    ----------
    pages : of ``PAGE_SCHEMA``, or of ``DOCUMENT_SCHEMA`` where they are texts already
    removed : of ``REMOVED_SCHEMA``
    """

    pages: pa.Table
    removed: pa.Table


@dataclass
class SplitCounts:
    """What a split held; complete when its iterator is exhausted.

    Attributes
    ----------
    records : response records (of a WET file conversion records; rows, lines) and damaged regions: what kept +
        removed must add up to
    skipped : records of other types, by type, and records and damaged regions of other parts
    truncated : pages that the crawler marked as truncated; used as they are
    bytes : bytes of the file that were read
    first_start, last_end : offsets in the file where the first record began and the last ended, None if none
    """

    records: int = 0
    truncated: int = 0
    bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    first_start: int | None = None
    last_end: int | None = None


def read_batches(
    file: InputFile,
    begin: int,
    end: int,
    start: int | None,
    options: InputOptions,
    counts: SplitCounts,
    part: Part | None = None,
    tidy: Callable[[str], str] = str,
) -> Iterator[ReadBatch]:
    """Read the records that start in ``[begin, end)`` of a WARC or WET file.

    Parameters
    ----------
    file : the input file, of kind ``warc`` or ``wet``
    begin, end : the split, byte offsets
    start : where its first record is known to begin, or None to look for it
    options : media types and size limit
    counts : filled while the iterator runs
    part : only its records are judged; others, damaged regions among them, are skipped
    tidy : the clean-up of extraction, for texts of a WET file
    """
    wanted = DOCUMENT_TYPES[file.kind]
    max_block = max(MAX_BLOCK, MAX_HEAD + options.max_body)
    split = WarcSplit(file.place, begin, end, start=start, max_block=max_block)
    pages: list[Page | PageText] = []
    removed: list[ReadRemoval] = []
    characters = 0
    for item in split:
        if not isinstance(item, Damage) and item.type != wanted:
            counts.skipped[item.type or "unknown"] += 1
            continue
        if part is not None and not part.has(_id_of(item, file)):
            counts.skipped[OTHER_PARTS] += 1
            continue
        counts.records += 1
        if isinstance(item, Damage):
            judged: Page | PageText | ReadRemoval = judge_damage(item)
        elif wanted == "conversion":
            judged = judge_conversion(item, max_body=options.max_body, tidy=tidy)
        else:
            judged = judge_record(item, mime=options.mime, max_body=options.max_body)
        if isinstance(judged, ReadRemoval):
            removed.append(judged)
        else:
            pages.append(judged)
            counts.truncated += judged.truncated
            characters += len(_content(judged))
        if len(pages) + len(removed) >= BATCH_RECORDS or characters >= BATCH_CHARACTERS:
            yield _batch(pages, removed, file, options)
            pages, removed, characters = [], [], 0
    if pages or removed:
        yield _batch(pages, removed, file, options)
    counts.first_start, counts.last_end = split.first_start, split.last_end
    if split.first_start is not None and split.last_end is not None:
        counts.bytes = split.last_end - split.first_start


def _content(page: Page | PageText) -> str:
    return page.text if isinstance(page, PageText) else page.html


def _batch(
    pages: Sequence[Page | PageText], removed: Sequence[ReadRemoval], file: InputFile, options: InputOptions
) -> ReadBatch:
    return ReadBatch(_page_table(pages, file, options), removed_table(removed, file))


def _page_table(pages: Sequence[Page | PageText], file: InputFile, options: InputOptions) -> pa.Table:
    schema = DOCUMENT_SCHEMA if file.kind == "wet" else PAGE_SCHEMA
    columns = {
        "id": [page.id or made_id(file, page.offset) for page in pages],
        "url": [page.url for page in pages],
        "dump": [file.dump or options.dump] * len(pages),
        "segment": [file.segment] * len(pages),
        "date": [page.date for page in pages],
        "file": [file.name] * len(pages),
        "offset": [page.offset for page in pages],
        "length": [page.length for page in pages],
        "text" if file.kind == "wet" else "html": [_content(page) for page in pages],
    }
    return _table(columns, schema, len(pages))


def removed_table(removed: Sequence[ReadRemoval], file: InputFile) -> pa.Table:
    """Rows of ``removed/`` of what the reader of a file removed."""
    columns = {
        "id": [removal.id or made_id(file, removal.offset) for removal in removed],
        "url": [removal.url for removal in removed],
        "file": [file.name] * len(removed),
        "offset": [removal.offset for removal in removed],
        "length": [removal.length for removal in removed],
        "stage": ["read"] * len(removed),
        "rule": [removal.rule for removal in removed],
        "value": [removal.value for removal in removed],
        "limit": [removal.limit for removal in removed],
        "evidence": [removal.evidence for removal in removed],
    }
    return _table(columns, REMOVED_SCHEMA, len(removed))


def _table(columns: Mapping[str, list], schema: pa.Schema, rows: int) -> pa.Table:
    """A table of a schema; a column that is missing is null."""
    values = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(rows, f.type) for f in schema]
    return pa.table(values, schema=schema)


def _id_of(item: WarcRecord | Damage, file: InputFile) -> str:
    """The id that what becomes of a record or damaged region will bear."""
    own = None if isinstance(item, Damage) else item.headers.get("warc-record-id")
    return own or made_id(file, item.offset)


def made_id(file: InputFile, offset: int) -> str:
    """The id of a record or line without one of its own."""
    return f"{file.name}:{offset}"

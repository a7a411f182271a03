"""Splits of input files -> batches of pages and removals: what feeds the first step of a run.

A split may begin inside a record; the reader says where its first record began and its last one ended, and the run
checks that neighbouring splits fit together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from gpurefine.documents import PAGE_SCHEMA, REMOVED_SCHEMA
from gpurefine.read.http import MAX_HEAD
from gpurefine.read.inputs import InputFile
from gpurefine.read.options import InputOptions
from gpurefine.read.pages import Page, ReadRemoval, judge_damage, judge_record
from gpurefine.read.parts import OTHER_PARTS, Part
from gpurefine.read.warc import MAX_BLOCK, Damage, WarcRecord, WarcSplit

#: A batch is handed on at this many records or this many characters of HTML, whichever comes first.
BATCH_RECORDS = 256
BATCH_CHARACTERS = 16 << 20


@dataclass
class ReadBatch:
    """Some records of a split, in order: pages that go on, and removals of the reader."""

    pages: pa.Table
    removed: pa.Table


@dataclass
class SplitCounts:
    """What a split held; complete when its iterator is exhausted.

    Attributes
    ----------
    records : response records and damaged regions: what kept + removed must add up to
    skipped : records of other types, by type, and responses and damaged regions of other parts
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
) -> Iterator[ReadBatch]:
    """Read the records that start in ``[begin, end)`` of a WARC.

    Parameters
    ----------
    file : the input file
    begin, end : the split, byte offsets
    start : where its first record is known to begin, or None to look for it
    options : media types and size limit
    counts : filled while the iterator runs
    part : only its records are judged; others, damaged regions among them, are skipped
    """
    max_block = max(MAX_BLOCK, MAX_HEAD + options.max_body)
    split = WarcSplit(file.path, begin, end, start=start, max_block=max_block)
    pages: list[Page] = []
    removed: list[ReadRemoval] = []
    characters = 0
    for item in split:
        if not isinstance(item, Damage) and item.type != "response":
            counts.skipped[item.type or "unknown"] += 1
            continue
        if part is not None and not part.has(_id_of(item, file)):
            counts.skipped[OTHER_PARTS] += 1
            continue
        counts.records += 1
        if isinstance(item, Damage):
            judged: Page | ReadRemoval = judge_damage(item)
        else:
            judged = judge_record(item, mime=options.mime, max_body=options.max_body)
        if isinstance(judged, Page):
            pages.append(judged)
            counts.truncated += judged.truncated
            characters += len(judged.html)
        else:
            removed.append(judged)
        if len(pages) + len(removed) >= BATCH_RECORDS or characters >= BATCH_CHARACTERS:
            yield _batch(pages, removed, file, options)
            pages, removed, characters = [], [], 0
    if pages or removed:
        yield _batch(pages, removed, file, options)
    counts.first_start, counts.last_end = split.first_start, split.last_end
    if split.first_start is not None and split.last_end is not None:
        counts.bytes = split.last_end - split.first_start


def _batch(pages: list[Page], removed: list[ReadRemoval], file: InputFile, options: InputOptions) -> ReadBatch:
    return ReadBatch(_page_table(pages, file, options), _removed_table(removed, file))


def _page_table(pages: list[Page], file: InputFile, options: InputOptions) -> pa.Table:
    columns = {
        "id": [page.id or _made_id(file, page.offset) for page in pages],
        "url": [page.url for page in pages],
        "dump": [file.dump or options.dump] * len(pages),
        "segment": [file.segment] * len(pages),
        "date": [page.date for page in pages],
        "file": [file.name] * len(pages),
        "offset": [page.offset for page in pages],
        "length": [page.length for page in pages],
        "html": [page.html for page in pages],
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in PAGE_SCHEMA], schema=PAGE_SCHEMA)


def _removed_table(removed: list[ReadRemoval], file: InputFile) -> pa.Table:
    columns = {
        "id": [removal.id or _made_id(file, removal.offset) for removal in removed],
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
    return pa.table(
        [
            pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(len(removed), f.type)
            for f in REMOVED_SCHEMA
        ],
        schema=REMOVED_SCHEMA,
    )


def _id_of(item: WarcRecord | Damage, file: InputFile) -> str:
    """The id that what becomes of a record or damaged region will bear."""
    own = None if isinstance(item, Damage) else item.headers.get("warc-record-id")
    return own or _made_id(file, item.offset)


def _made_id(file: InputFile, offset: int) -> str:
    """The id of a record without a WARC-Record-ID."""
    return f"{file.name}:{offset}"

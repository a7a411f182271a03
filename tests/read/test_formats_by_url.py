"""Files of every format through a URL: the same columns, partitions and documents as of the local file."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warc_tools import frame, member, record

from gpurefine.engine.estimate import estimate_records
from gpurefine.engine.plan import first_partitions
from gpurefine.read.batches import SplitCounts, read_batches
from gpurefine.read.extents import row_groups_of
from gpurefine.read.inputs import InputFile, find_inputs
from gpurefine.read.jsonl import read_lines
from gpurefine.read.kinds import kind_of
from gpurefine.read.options import InputOptions
from gpurefine.read.schemas import check_columns
from gpurefine.read.tables import read_table

OBJECTS = [{"id": f"d{number}", "text": "text " * number, "n": number} for number in range(300)]
LINES = b"".join(json.dumps(each).encode() + b"\n" for each in OBJECTS) + b"broken\n"
PAGES = [record(number, kind=kind) for number in range(60) for kind in ("response", "conversion")]


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(OBJECTS), sink, row_group_size=50)
    return sink.getvalue()


FILES = {
    "a.warc.gz": b"".join(map(member, PAGES)),
    "a.warc.zst": b"".join(map(frame, PAGES)),
    "a.warc.wet.gz": b"".join(map(member, PAGES[1:])),
    "a.jsonl": LINES,
    "a.jsonl.gz": gzip.compress(LINES),
    "a.jsonl.zst": frame(LINES),
    "a.parquet": parquet(),
}


def all_of(file: InputFile) -> list[dict]:
    """Documents and removals of all partitions of a file of some size, checked to be read in more than one."""
    options = InputOptions(mime=("text/html",))
    others = check_columns([file], options)
    partitions = first_partitions([file], file.size // 5 + 1, row_groups_of([file]))
    found: list[dict] = [{"columns": str(others), "records": estimate_records([file])}]
    for each in partitions:
        counts = SplitCounts()
        if file.kind == "parquet":
            tables = [*read_table(file, each.begin, each.end, options, others, counts)]
        else:
            read = (
                read_lines(file, each.begin, each.end, options, others, counts)
                if file.kind == "jsonl"
                else read_batches(file, each.begin, each.end, each.start, options, counts)
            )
            tables = [table for batch in read for table in (batch.pages, batch.removed)]
        found += [row for table in tables for row in table.to_pylist()]
        found.append({"counts": counts})
    assert len(partitions) == 1 if ".jsonl." in file.name else len(partitions) > 3
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_file_through_a_url_is_the_file(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    url = f"file://{tmp_path / name}"
    (local,) = find_inputs([tmp_path / name])
    assert kind_of(url) == local.kind
    there = all_of(local)
    assert len(there) > 60
    assert all_of(replace(local, path=url)) == there

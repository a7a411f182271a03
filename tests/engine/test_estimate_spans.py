"""What ``plan`` says of dedups inside documents, against what runs write."""

import gzip
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpurefine
from gpurefine.dedup.columnfile import ColumnFile
from gpurefine.engine.estimate import estimate_lines
from gpurefine.engine.estimate_spans import passing_share
from gpurefine.engine.run import prepare
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.workers import Backend


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    generator = np.random.default_rng(1)
    words = [f"w{number}" for number in range(3000)]
    texts = [" ".join(generator.choice(words, generator.integers(20, 300))) for _ in range(400)]
    path = tmp_path_factory.mktemp("estimate") / "texts.parquet"
    pq.write_table(pa.table({"text": [text + f"\nline of {len(text)}" * (len(text) % 2) for text in texts]}), path)
    return path


def planned(pipeline, table):
    lines = estimate_lines(prepare(pipeline, [str(table)], workers=1), Backend(False, False, (), "on CPUs"))
    line = next(line for line in lines if " bytes" in line and pipeline.stages[0].name in line and "written" in line)
    return line, float(re.search(r"([\d,]+) bytes (of keys )?a document", line)[1].replace(",", ""))


@pytest.mark.parametrize("kind", ["substring", "line_stage:Lines"])
def test_bytes_of_key_files_are_what_plan_says(table, scheduler, tmp_path, kind):
    pipeline = dedup_pipeline(kind, ["output.keep_work=true"])
    line, bytes_a_document = planned(pipeline, table)
    assert "as in 400 of the first" in line
    run = gpurefine.run(pipeline, str(table), tmp_path / "run", scheduler=scheduler, quiet=True)
    files = list((run.store.work / "keys-0").iterdir())
    content = sum(int(ColumnFile(path).rows.sum()) * len(ColumnFile(path).columns) * 8 for path in files)
    assert bytes_a_document == pytest.approx(content / 400, rel=0.1)


@pytest.mark.parametrize("name", ["texts.jsonl", "texts.jsonl.gz"])
def test_json_lines_are_sampled_as_tables_are(table, tmp_path, name):
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in pq.read_table(table).to_pylist())
    (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
    pipeline = dedup_pipeline("substring", [])
    assert planned(pipeline, tmp_path / name) == planned(pipeline, table)


def test_share_of_single_windows_that_pass_is_that_of_a_simulation():
    generator = np.random.default_rng(1)
    for load in (0.25, 0.4, 0.5):
        slots = 1 << 20
        windows = round(load * slots)
        one, two = generator.integers(0, slots, (2, windows))
        passed = np.bincount(one, minlength=slots)[one] > 1
        through = passed & (np.bincount(two[passed], minlength=slots)[two] > 1)
        assert passing_share(load) == pytest.approx(through.mean(), rel=0.1)

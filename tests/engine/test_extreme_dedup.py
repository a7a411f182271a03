"""Inputs at the edge, for every kind of dedup: within a small budget, to the end, and with the right answer."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpurefine
from gpurefine.engine.tables import dedup_pipeline

MIB = 1 << 20
KINDS = ("exact", "minhash", "substring", "url", "paragraph", "line", "sentences")
PARAMETERS = {"minhash": {"bands": 4, "rows": 5}, "sentences": {"length": 1}}


def write_texts(path, texts, rows):
    """Texts over and over, to so many rows; ids and URLs are different."""
    with pq.ParquetWriter(
        path, pa.schema({"id": pa.string(), "url": pa.string(), "text": pa.large_string()})
    ) as writer:
        for first in range(0, rows, 100_000):
            numbers = range(first, min(first + 100_000, rows))
            columns = [[f"d{number}" for number in numbers], [f"http://a.example/{number}" for number in numbers]]
            texts_of = pa.array(texts, pa.large_string()).take(pa.array([number % len(texts) for number in numbers]))
            writer.write_table(pa.table([*columns, texts_of], schema=writer.schema))
    return path


def refine(kind, table, output, scheduler):
    pipeline = dedup_pipeline(kind, ["output.removed_text=false"], **PARAMETERS.get(kind, {}))
    return gpurefine.run(pipeline, str(table), output, scheduler=scheduler, memory=64 * MIB, quiet=True)


def words(count, seed=1):
    generator = np.random.default_rng(seed)
    return " ".join(f"{chr(97 + number % 26)}{number}" for number in generator.integers(0, 1 << 30, count))


@pytest.mark.parametrize("kind", KINDS)
def test_one_token_a_hundred_thousand_times(kind, scheduler, tmp_path):
    same = "and " * 100_000
    table = write_texts(tmp_path / "t.parquet", [same, words(200, 2), words(200, 3)], 3)
    kept = refine(kind, table, tmp_path / "run", scheduler).refined(columns=["id"])["id"].tolist()
    assert kept == (["d1", "d2"] if kind == "substring" else ["d0", "d1", "d2"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_document_of_a_hundred_megabytes(kind, scheduler, tmp_path):
    long = words(10_500_000)
    assert len(long) > 100_000_000
    table = write_texts(tmp_path / "t.parquet", [long, words(200, 2), words(200, 3)], 3)
    run = refine(kind, table, tmp_path / "run", scheduler)
    assert run.refined(columns=["id"])["id"].tolist() == ["d0", "d1", "d2"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_million_equal_documents(kind, scheduler, tmp_path):
    table = write_texts(tmp_path / "t.parquet", [words(60)], 1_000_000)
    run = refine(kind, table, tmp_path / "run", scheduler)
    left = {"exact": 1, "minhash": 1, "substring": 0, "url": 1_000_000, "paragraph": 0, "line": 1, "sentences": 1}
    assert run.summary()["kept"] == left[kind]
    print(kind, [step["peak_memory"] // MIB for step in run.summary()["steps"]])

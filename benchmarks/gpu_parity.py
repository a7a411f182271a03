"""Are results on a GPU those on CPUs, bit for bit? Filters and MinHash on tables of texts. Needs a GPU, CuPy and cuDF.

    python benchmarks/gpu_parity.py TABLE.parquet... [--workers 8] [--set dedup.minhash.bands=14] [--out FILE.md]

First, in this process, batch by batch: the statistics of repetition and quality, GPT-2 token counts and all band keys
of a cuDF frame against those of a pandas frame. Then two whole runs of repetition, quality, lines and MinHash, one with
``--backend gpu`` and one with ``--backend cpu``, and all columns of all rows of their tables (refined, removed, stats,
clusters) against each other. Floats are compared by their bits. Any difference is told, and ends it with status 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from device import describe_device, open_cupy
from machine import describe, markdown, publish

import gpurefine
from gpurefine import frames
from gpurefine.config import Pipeline, pipeline_from_data
from gpurefine.documents import Batch
from gpurefine.kernels.cuda.device import to_host
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import gpt2_tokenizer
from gpurefine.text.statistics import StatisticsOptions, statistics

#: Columns that identify a row of any of the tables.
IDENTITY = ("file", "offset", "id", "member", "stage", "rule")
#: Rows of a batch in this process.
ROWS = 2000


def pipeline(overrides: list[str]) -> Pipeline:
    """The filters on texts and MinHash, with all that can be compared written out."""
    data = {
        "name": "parity",
        "output": {"stats": True, "tokens": True},
        "stages": ["repetition", "quality", "lines", "dedup.minhash"],
    }
    return pipeline_from_data(data, overrides)


def batches(paths: list[str]) -> Iterator[pa.Table]:
    """Texts, some at a time."""
    for path in paths:
        for rows in pq.ParquetFile(path).iter_batches(ROWS, columns=["text"]):
            yield pa.Table.from_batches([rows])


def measured(table: pa.Table, on_device: bool, chosen: Pipeline, tools: list) -> dict[str, np.ndarray]:
    """What the stages measure on a frame of one side; all of it comes to the host."""
    batch = Batch(frames.from_arrow(table, on_device))
    found = {f"statistics {name}": values for name, values in statistics(batch, StatisticsOptions()).items()}
    tokenizer, minhash = tools
    found["GPT-2 token counts"] = to_host(tokenizer.count(*frames.text_buffers(batch.frame["text"])))
    found["band keys"] = chosen.stages[-1].keys(batch, minhash)
    return found


def differing_batches(paths: list[str], chosen: Pipeline) -> tuple[int, list[str]]:
    """Number of values that were compared, and a sentence for each kind of value that differs in a batch."""
    resources = default_resources(offline=True)
    tools = {side: [gpt2_tokenizer(resources), chosen.stages[-1].open(resources)] for side in (True, False)}
    compared, wrong = 0, []
    for number, table in enumerate(batches(paths)):
        ours, expected = (measured(table, side, chosen, tools[side]) for side in (True, False))
        for name, values in expected.items():
            compared += values.size
            if values.dtype != ours[name].dtype or not np.array_equal(values, ours[name]):
                wrong.append(f"batch {number}: {name} differ")
    return compared, wrong


def differing_columns(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Columns that are not the same to the bit once rows are sorted; all of them if there are other rows or columns."""
    if list(one.columns) != list(other.columns) or len(one) != len(other):
        return ["(other rows or columns)"]
    keys = [name for name in IDENTITY if name in one.columns]
    ours, theirs = (table.sort_values(keys, ignore_index=True) if keys else table for table in (one, other))
    return [name for name in ours.columns if not same(ours[name], theirs[name])]


def same(one: pd.Series, other: pd.Series) -> bool:
    """Whether two columns are equal in type, in what is missing, and in all values: floats in all bits."""
    ours, theirs = (pa.array(column, from_pandas=False) for column in (one, other))
    if ours.type != theirs.type:
        return False
    if pa.types.is_floating(ours.type):
        ours, theirs = (pa.Array.from_pandas(bits(column)) for column in (one, other))
    return ours.equals(theirs)


def bits(column: pd.Series) -> pd.Series:
    """Floats as the integers of their bits; missing ones are missing."""
    numbers = pd.Series(column.to_numpy(np.float64, na_value=0.0).view(np.int64), dtype="int64[pyarrow]")
    return numbers.mask(column.isna().to_numpy(bool) & ~is_nan(column))


def is_nan(column: pd.Series) -> np.ndarray:
    """Where a column holds the number NaN, which is not a missing value."""
    return np.isnan(column.to_numpy(np.float64, na_value=0.0))


def main() -> int:
    """Compare batches, then runs; print what was compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="+")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--out", type=Path, help="write the table to this file")
    options = parser.parse_args()
    opened = open_cupy()
    if opened is None:
        return 2
    chosen = pipeline(options.overrides)
    compared, wrong = differing_batches(options.table, chosen)
    rows = [["batches", f"{compared:,} values", ", ".join(wrong) or "none"]]
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            gpurefine.run(chosen, options.table, Path(folder) / backend, backend=backend, workers=options.workers)
            for backend in ("gpu", "cpu")
        ]
        for name in ("refined", "removed", "stats", "clusters"):
            ours, expected = (getattr(run, name)() for run in runs)
            found = differing_columns(ours, expected)
            wrong += found
            rows.append([f"{name}/", f"{len(expected):,} rows", ", ".join(found) or "none"])
    lines = [
        f"# Results on {opened[1]} and on CPUs",
        "",
        *describe(),
        "",
        describe_device(),
        "",
        *markdown(["what", "compared", "differences"], rows),
        "",
    ]
    publish(lines, options.out)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Texts of crawls as Parquet, and what dedup needs of the cache: what gpu.sh takes to a machine with a GPU.

    python benchmarks/gpu_sample.py CRAWL.warc.gz... [--out .gpu-sample] [--workers 2]

All pages that trafilatura finds text on, in all languages, so that what filters and dedup find is still in it. The
table has their id, url, date and text, and about a tenth of the crawl's bytes. The folder also gets the GPT-2
vocabulary, as a cache of models for GPUREFINE_CACHE.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.resources.cache import Resources, default_resources
from gpurefine.resources.models import fetch_models, model_path

VOCABULARY = "gpt2-vocab.bpe"
COLUMNS = ["id", "url", "date", "text"]
FILE_ROWS = 1000


def write_sample(crawls: list[str], folder: Path, workers: int) -> int:
    """Extract the texts into ``folder``; returns how many there are."""
    pipeline = pipeline_from_data({"name": "sample", "output": {"tokens": False}, "stages": ["extract"]})
    with tempfile.TemporaryDirectory() as scratch:
        run = gpurefine.run(pipeline, crawls, Path(scratch) / "run", workers=workers, backend="cpu")
        table = ds.dataset(Path(run.path) / "refined").to_table(columns=COLUMNS)
    folder.mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(range(0, table.num_rows, FILE_ROWS)):
        pq.write_table(
            table.slice(first, FILE_ROWS),
            folder / f"part-{number:03d}.parquet",
            compression="zstd", compression_level=19, row_group_size=FILE_ROWS // 2,
        )  # fmt: skip
    return table.num_rows


def copy_vocabulary(folder: Path) -> None:
    """The GPT-2 vocabulary from this user's cache into a cache of its own."""
    resources = default_resources()
    fetch_models(resources, [VOCABULARY])
    target = Resources(folder / "cache").cache / "models"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model_path(VOCABULARY, resources), target / VOCABULARY)


def main() -> None:
    """Make the sample and tell its size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("crawl", nargs="+")
    parser.add_argument("--out", type=Path, default=Path(".gpu-sample"))
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    rows = write_sample(options.crawl, options.out, options.workers)
    copy_vocabulary(options.out)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{rows:,} texts, {size / 1e6:.1f} MB in {options.out}")


if __name__ == "__main__":
    main()

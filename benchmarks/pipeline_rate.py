"""Whole first step of the preset against a bare pool that only calls trafilatura, on the same pages, in turns.

    python benchmarks/pipeline_rate.py CRAWL.warc.gz... [--rounds 5] [--workers 2] [--out FILE.md]

A round runs (1) read + urls + extract + language through the engine, with its partitions, removals and Parquet files,
and (2) a multiprocessing pool of as many processes that calls trafilatura with the same options on the same decoded
pages, which it holds in memory. Start-up of workers and pool is outside both times. The ratio is documents a second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bare import extract
from machine import describe, markdown

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine.run import prepare
from gpurefine.read.batches import SplitCounts, read_batches
from gpurefine.read.inputs import find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.workers import open_client


def pages(paths: list[str]) -> list[str]:
    """Decoded HTML of all pages that enter extraction."""
    found = []
    for file in find_inputs(paths):
        for batch in read_batches(file, 0, file.size, None, InputOptions(), SplitCounts()):
            found += batch.pages["html"].to_pylist()
    return found


def pool_seconds(pool, html: list[str]) -> float:
    """Wall seconds of the pool for all pages."""
    began = time.perf_counter()
    pool.map(extract, html, chunksize=8)
    return time.perf_counter() - began


def engine_seconds(pipeline, paths: list[str], client, workers: int) -> float:
    """Wall seconds of the first step."""
    folder = tempfile.mkdtemp()
    try:
        run = gpurefine.run(
            pipeline, paths, f"{folder}/run", scheduler=client.scheduler.address, workers=workers, quiet=True
        )
        return run.summary()["steps"][0]["seconds"]
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--blocklist", default="off", help="a folder in UT1 layout, or 'ut1' for the fetched list")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    stages = [{"urls": {"blocklist": options.blocklist}}, "extract", "language"]
    pipeline = pipeline_from_data({"name": "rate", "output": {"tokens": False}, "stages": stages})
    prepare(pipeline, options.warc)
    html = pages(options.warc)
    rows = []
    with (
        open_client(options.workers, None, Path(tempfile.mkdtemp())) as client,
        multiprocessing.get_context("spawn").Pool(options.workers) as pool,
    ):
        pool.map(extract, html[:20] * options.workers)
        engine_seconds(pipeline, options.warc, client, options.workers)
        for _ in range(options.rounds):
            bare = pool_seconds(pool, html)
            ours = engine_seconds(pipeline, options.warc, client, options.workers)
            rows.append((len(html) / ours, len(html) / bare, bare / ours))
            print(f"engine {rows[-1][0]:.1f} pages/s, bare pool {rows[-1][1]:.1f}, ratio {rows[-1][2]:.3f}", flush=True)
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    lines = [
        f"{len(html)} pages, {options.workers} processes, {options.rounds} rounds in turns; pages/s",
        "",
        *markdown(
            ["", "read + urls + extract + language", "bare pool", "ratio"],
            [
                ["median", f"{medians[0]:.1f}", f"{medians[1]:.1f}", f"**{medians[2]:.3f}**"],
                ["least", *(f"{min(column):.3g}" for column in zip(*rows, strict=True))],
                ["most", *(f"{max(column):.3g}" for column in zip(*rows, strict=True))],
            ],
        ),
    ]
    text = "\n".join(["# First step against a bare trafilatura pool", "", *describe(), "", *lines, ""])
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()

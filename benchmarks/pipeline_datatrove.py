"""Whole pipelines from WARC to survivors on the same records, in turns: our presets, datatrove, bare trafilatura.

    python benchmarks/pipeline_datatrove.py CRAWL.warc.gz... [--datatrove VENV/bin/python] [--workers 2] [--rounds 5]
        [--shards 16] [--pages N] [--out FILE.md]

The records are laid into ``--shards`` files of about as many records each, since datatrove gives whole files to its
tasks. A round runs (1) a pool of processes that holds the decoded pages and only calls trafilatura, (2) the preset
``refinedweb`` from its first step to its last, (3) ``refinedweb-fast``, and (4) datatrove's reader, URL filter,
trafilatura, language filter, two Gopher filters and MinHash (``datatrove_side.py``), each with so many processes, the
order turned in each round; without ``--datatrove`` it is left out. Start-up of interpreters, workers and the pool, and
the opening of lists, is outside the time of each. Documents a second are records with a page over wall seconds.
gpurefine compares 9,000 hashes a document and cuts substrings, datatrove compares 112 hashes, so it has less to do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from bare import extract
from machine import describe, markdown, publish
from pipeline_rate import pages

import gpurefine
from gpurefine.read.inputs import find_inputs
from gpurefine.read.warc import WarcRecord, WarcSplit
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import model_path
from gpurefine.workers import open_client

#: What is run, in the order of the table.
NAMES = ("bare trafilatura pool", "refinedweb", "refinedweb-fast", "datatrove")


def lay_out(paths: list[str], folder: Path, shards: int, most: int = 1 << 62) -> list[str]:
    """The records of some files, at most so many, in so many others, each member as it is."""
    folder.mkdir()
    names = [folder / f"shard-{number:03}.warc.gz" for number in range(shards)]
    files = [name.open("wb") for name in names]
    for number, (data, item) in enumerate(islice(_pages_of(paths), most)):
        files[number % shards].write(data[item.offset : item.offset + item.length])
    for each in files:
        each.close()
    return [str(name) for name in names]


def _pages_of(paths: list[str]) -> Iterator[tuple[bytes, WarcRecord]]:
    """A file's bytes and a response record in it, of all files."""
    for file in find_inputs(paths):
        data = Path(file.path).read_bytes()
        for item in WarcSplit(file.path, 0, file.size):
            if isinstance(item, WarcRecord) and item.type == "response":
                yield data, item


def engine_seconds(preset: str, paths: list[str], scheduler: str, workers: int) -> tuple[float, int]:
    """Seconds of all steps and dedups of a run, and documents kept."""
    folder = tempfile.mkdtemp()
    try:
        run = gpurefine.run(preset, paths, f"{folder}/run", scheduler=scheduler, workers=workers, quiet=True)
        summary = run.summary()
        dedups = sum(step["dedup"]["seconds"] for step in summary["steps"] if step["dedup"])
        return sum(step["seconds"] for step in summary["steps"]) + dedups, summary["kept"]
    finally:
        shutil.rmtree(folder)


def datatrove_seconds(python: str, shards: Path, workers: int) -> tuple[float, int, dict[str, str]]:
    """Seconds of all its steps, documents kept, and its versions."""
    side = Path(__file__).with_name("datatrove_side.py")
    model = str(model_path("lid.176.ftz", default_resources()))
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(side), str(shards), folder, "--workers", str(workers), "--model", model]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"datatrove failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout[done.stdout.rindex('{"seconds"') :])
    return told["seconds"], told["kept"], told["versions"]


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", nargs="+")
    parser.add_argument("--datatrove", metavar="PYTHON", help="an interpreter that has datatrove")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--pages", type=int, default=1 << 62, help="of the files' first pages, at most")
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    try:
        rates, kept, versions, count = rounds_of(options, scratch)
    finally:
        shutil.rmtree(scratch)
    rows = []
    for name in rates:
        ratios = sorted(own / bare for own, bare in zip(rates[name], rates[NAMES[0]], strict=True))
        others = sorted(own / theirs for own, theirs in zip(rates[name], rates.get(NAMES[3], []), strict=False))
        rows.append(
            [
                name,
                f"{statistics.median(rates[name]):.1f} ({min(rates[name]):.1f} to {max(rates[name]):.1f})",
                *(
                    f"**{statistics.median(each):.2f}** ({each[0]:.2f} to {each[-1]:.2f})"
                    for each in (ratios, others)
                    if each
                ),
                f"{kept[name]:,}" if name in kept else "",
            ]
        )
    files = ", ".join(Path(path).name for path in options.warc)
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    how = f"{options.workers} processes, {options.rounds} rounds in turns."
    how += f" datatrove's environment: {told}." if told else ""
    lines = [f"# {Path(__file__).stem}", "", *describe(), ""]
    lines += [f"{count:,} pages of {files} in {options.shards} files; {how}", ""]
    head = ["", "pages/s, median (range)", "times bare trafilatura", *(["times datatrove"] if told else [])]
    head.append("documents kept")
    publish([*lines, *markdown(head, rows), ""], options.out)


def rounds_of(
    options: argparse.Namespace, scratch: Path
) -> tuple[dict[str, list[float]], dict[str, int], dict[str, str], int]:
    """Rates by name, documents kept, versions of datatrove's environment, and how many pages there are."""
    paths = lay_out(options.warc, scratch / "shards", options.shards, options.pages)
    html = pages(paths)
    names = NAMES if options.datatrove else NAMES[:3]
    rates: dict[str, list[float]] = {name: [] for name in names}
    kept: dict[str, int] = {}
    versions: dict[str, str] = {}
    with (
        open_client(options.workers, None, scratch) as client,
        multiprocessing.get_context("spawn").Pool(options.workers) as pool,
    ):
        scheduler = client.scheduler.address

        def bare() -> float:
            began = time.perf_counter()
            pool.map(extract, html, chunksize=8)
            return time.perf_counter() - began

        def preset(name: str) -> Callable[[], float]:
            def run() -> float:
                seconds, kept[name] = engine_seconds(name, paths, scheduler, options.workers)
                return seconds

            return run

        def datatrove() -> float:
            seconds, kept["datatrove"], told = datatrove_seconds(options.datatrove, scratch / "shards", options.workers)
            versions.update(told)
            return seconds

        runs = dict(zip(NAMES, (bare, preset(NAMES[1]), preset(NAMES[2]), datatrove), strict=True))
        pool.map(extract, html[:20] * options.workers)
        preset(NAMES[1])()
        for number in range(options.rounds):
            for place in range(len(names)):
                name = names[(place + number) % len(names)]
                rates[name].append(len(html) / runs[name]())
                print(f"round {number}: {name} {rates[name][-1]:.1f} pages/s", flush=True)
    return rates, kept, versions, len(html)


if __name__ == "__main__":
    main()

"""The guarded stage ``extract`` against a bare pool of one process that only calls trafilatura, in turns.

    python benchmarks/guard_rate.py CRAWL.warc.gz [--pages 200] [--rounds 5] [--out FILE.md]

Both get the same decoded pages and options. The stage counts sizes, sends pages one by one through a pipe, tidies the
texts and builds frames; the pool gets eight pages at a time and returns lengths. Start-up and warm-up are outside both
times. Processor time is that of parent and child together.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from bare import extract
from fastwarc.warc import ArchiveIterator, WarcRecordType
from machine import describe, markdown

from gpurefine.documents import Batch
from gpurefine.frames import string_column
from gpurefine.stages.base import Resources
from gpurefine.stages.extract import Extract
from gpurefine.stages.extraction.guard import Guard

BATCH = 256


def read_pages(path: str, count: int) -> list[str]:
    """The first pages of a WARC that are UTF-8, which is enough of a charset ladder for a benchmark."""
    pages: list[str] = []
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            try:
                pages.append(record.reader.read().decode("utf-8").replace("\0", ""))
            except UnicodeDecodeError:
                continue
            if len(pages) == count:
                break
    return pages


def processor_seconds(process: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], object], processes: list[int]) -> tuple[float, float]:
    """Wall and processor seconds of ``work``, summed over processes."""
    before, began = sum(map(processor_seconds, processes)), time.perf_counter()
    work()
    return time.perf_counter() - began, sum(map(processor_seconds, processes)) - before


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()

    pages = read_pages(options.warc, options.pages)
    stage = Extract()
    guard = stage.open(Resources(Path("unused")))
    batches = [
        Batch(pd.DataFrame({"html": string_column(pages[at : at + BATCH])})) for at in range(0, len(pages), BATCH)
    ]
    rounds: list[tuple[tuple[float, float], tuple[float, float]]] = []
    with multiprocessing.get_context("spawn").Pool(1, logging.disable, [logging.CRITICAL]) as pool:
        contestants = (
            (lambda: pool.map(extract, pages, chunksize=8), pool.apply(os.getpid)),
            (lambda: [stage.apply(batch, guard) for batch in batches], warm_child(stage, guard, batches[0])),
        )
        pool.map(extract, pages[:20])
        for number in range(options.rounds):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            times = {who: timed(contestants[who][0], [os.getpid(), contestants[who][1]]) for who in order}
            rounds.append((times[0], times[1]))
    guard.close()
    sizes = f"{len(pages)} pages of {Path(options.warc).name}, {sum(map(len, pages)) / 1e6:.1f} M characters"
    how = f"{sizes}; {options.rounds} rounds in turns; child processes started: {guard.starts}."
    lines = [*describe(), "", how, "", *table(rounds, len(pages))]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join([f"# {Path(__file__).stem}", "", *lines, ""]))


def warm_child(stage: Extract, guard: Guard, batch: Batch) -> int | None:
    """Extract a few pages and return the child's process number."""
    stage.apply(Batch(batch.frame.head(20)), guard)
    return guard.child_process


def table(rounds: list[tuple[tuple[float, float], tuple[float, float]]], pages: int) -> list[str]:
    """Medians, and the range of the ratio over the rounds."""
    rows = []
    for column, name in enumerate(("wall", "processor")):
        bare, guarded = ([times[who][column] for times in rounds] for who in (0, 1))
        ratios = sorted(b / g for b, g in zip(bare, guarded, strict=True))
        rows.append(
            [
                name,
                f"{1e3 * statistics.median(bare) / pages:.2f}",
                f"{1e3 * statistics.median(guarded) / pages:.2f}",
                f"{100 * statistics.median(ratios):.1f} % ({100 * ratios[0]:.1f} to {100 * ratios[-1]:.1f})",
            ]
        )
    return markdown(["time", "bare pool, ms a page", "guarded stage, ms a page", "rate of the guarded stage"], rows)


if __name__ == "__main__":
    main()

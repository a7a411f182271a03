"""How much faster accelerated extraction is than the stock code, on each of some files; and what its child costs.

    python benchmarks/extract_rate.py CRAWL.warc.gz... [--pages 400] [--rounds 5] [--out FILE.md]

In one process all sides extract the same decoded pages, each round in the other order. A side begins a round with cold
memos, those of the patches and those of trafilatura, which else would be warm from the same pages for whoever comes
second. *Bare* is a call of ``trafilatura.extract``
with options as arguments, as its documentation shows it and ``bare.py`` has it; *stock* is the same code as the stage
calls it without acceleration, with its options made once. Ratios are of processor time; every text is compared. Of a
guarded child, fresh each time: processor time until it is ready, and its peak memory after the first file's pages.
"""

from __future__ import annotations

import argparse
import logging
import signal
import statistics
import time
from itertools import islice
from pathlib import Path

import trafilatura
from bare import extract as bare
from extract_equal import TURN, answer, read_pages, settings
from guard_rate import processor_seconds
from machine import describe, markdown, publish
from trafilatura.meta import reset_caches

from gpurefine.resources.cache import default_resources
from gpurefine.stages.extract import Extract
from gpurefine.stages.extraction.fast.accelerate import apply_patches, is_regular


def one_round(pages: list[str], fast_first: bool) -> tuple[float, float, float, int]:
    """Seconds of the bare call, the stock and the accelerated code, and how many texts differ."""
    chosen = settings("precision")
    seconds, texts = {}, {}
    for side in ("fast", "stock", "bare") if fast_first else ("bare", "stock", "fast"):
        reset_caches()
        patches = apply_patches() if side == "fast" else None
        began = time.process_time()
        texts[side] = [bare(page) if side == "bare" else answer(page, chosen) for page in pages]
        seconds[side] = time.process_time() - began
        if patches is not None:
            patches.use_stock()
    different = sum(one != other for one, other in zip(texts["fast"], texts["stock"], strict=True))
    return seconds["bare"], seconds["stock"], seconds["fast"], different


def child_costs(pages: list[str], accelerate: bool) -> tuple[float, float, float]:
    """Processor seconds of a child until it is ready, and its peak memory in MiB then and after the pages."""
    guard = Extract(accelerate=accelerate).open(default_resources())
    guard.extract([b"<p>x"])
    child = guard.child_process
    ready, memory = processor_seconds(child), _peak(child)
    guard.extract([page.encode() for page in pages])
    after = _peak(child)
    guard.close()
    return ready, memory, after


def _peak(process: int | None) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", nargs="+")
    parser.add_argument("--pages", type=int, default=1_000_000, help="of each file, at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, lambda *_: None)
    rows, first = [], None
    for path in options.warc:
        pages = list(islice(read_pages([path], 1, 0, 1), options.pages))
        first = first or pages
        regular = [page for page in pages if is_regular(page)]
        for page in regular[:TURN]:
            trafilatura.extract(page, options=settings("precision"))
        rounds = [one_round(regular, number % 2 == 0) for number in range(options.rounds)]
        ratios = [sorted(each[side] / each[2] for each in rounds) for side in (0, 1)]
        rows.append(
            [
                Path(path).name,
                f"{len(regular):,}",
                f"{len(pages) - len(regular):,}",
                *(f"{1e3 * statistics.median(each[side] for each in rounds) / len(regular):.2f}" for side in range(3)),
                *(f"**{statistics.median(each):.2f}** ({each[0]:.2f} to {each[-1]:.2f})" for each in ratios),
                f"{sum(different for *_, different in rounds):,}",
            ]
        )
    head = ["file", "pages", "left to stock", "bare, ms a page", "stock, ms", "accelerated, ms"]
    head += ["bare / accelerated (range)", "stock / accelerated (range)", "texts that differ"]
    lines = [f"# {Path(__file__).stem}", "", *describe(), "", f"{options.rounds} rounds.", "", *markdown(head, rows)]
    costs = []
    for name, accelerate in (("stock", False), ("accelerated", True)):
        found = [child_costs(first or [], accelerate) for _ in range(3)]
        ready, memory, after = (statistics.median(each[place] for each in found) for place in range(3))
        costs.append([name, f"{ready:.2f}", f"{memory:.0f}", f"{after:.0f}"])
    head = ["child", "seconds until ready", "peak MiB then", "after the first file"]
    publish([*lines, "", *markdown(head, costs), ""], options.out)


if __name__ == "__main__":
    main()

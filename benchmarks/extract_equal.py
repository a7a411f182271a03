"""Is the text of accelerated extraction that of the stock code? Every page, in one process, under several options.

    python benchmarks/extract_equal.py CRAWL.warc.gz... [--every 1] [--options all] [--jobs 2] [--out FILE.md]
    python benchmarks/extract_equal.py CRAWL.warc.gz... --fuzz 60 [--seed 0] [--differences FOLDER]

Texts, and the types of exceptions, must be equal; what the retry by the stock code would hide counts as a difference.
Pages that a run leaves to the stock code at once are counted apart.
With ``--fuzz`` the pages are changed at random (``mutations.py``) for so many minutes. Pages that differ are written
to a folder. The times of both sides are of this comparison, with warm memos; ``extract_rate.py`` measures the rate.
Ends with status 1 if a page differs.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import multiprocessing
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import trafilatura
from machine import describe, markdown, publish
from mutations import mutate
from trafilatura.deduplication import LRU_TEST
from trafilatura.settings import Extractor

from gpurefine.read.batches import SplitCounts, read_batches
from gpurefine.read.inputs import find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.stages.extraction.fast.accelerate import apply_patches, is_regular, why_stock
from gpurefine.stages.extraction.fast.patching import Patches

#: Options of the stage; the first are its default.
OPTIONS: dict[str, dict[str, Any]] = {
    "precision": {"precision": True, "tables": True},
    "balanced": {"tables": True},
    "recall": {"recall": True, "tables": True},
    "comments": {"precision": True, "tables": True, "comments": True},
    "no tables": {"precision": True, "tables": False},
    "dedup": {"precision": True, "tables": True, "dedup": True},
}
#: What is told of them.
COUNTED = ("pages", "without text", "characters", "left to stock", "too slow", "different")
#: Pages that are extracted by one side before it is the other's turn.
TURN = 20
#: Seconds that a page may take; beyond, it is left out.
LIMIT = 60


class TooSlowError(Exception):
    """A page took longer than ``LIMIT``."""


def settings(name: str) -> Extractor:
    """The settings of trafilatura for one of ``OPTIONS``."""
    return Extractor(**{"output_format": "txt", "comments": False} | OPTIONS[name])


def answer(page: str, options: Extractor) -> str | None:
    """The text of a page, or what was raised."""
    LRU_TEST.clear()
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        return trafilatura.extract(page, options=options)
    except TooSlowError:
        return "too slow"
    except Exception as error:
        return f"raised {type(error).__name__}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Comparison:
    """Compares pages and counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self._patches: Patches | None = None

    def compare(self, pages: Sequence[str], option: str) -> None:
        """Extract some pages by both sides, in turns that begin with the one or the other."""
        self.counts["left to stock"] += len(pages) - len(pages := [page for page in pages if is_regular(page)])
        if not pages:
            return
        if self._patches is None:
            signal.signal(signal.SIGALRM, _too_slow)
            answer(pages[0], settings(option))  # imports
            self._patches = apply_patches()
        sides = {"stock": self._patches.use_stock, "fast": self._patches.use_fast}
        order = list(sides) if self.counts["pages"] // TURN % 2 else list(sides)[::-1]
        texts, chosen = {}, settings(option)
        for side in order:
            sides[side]()
            began = time.process_time()
            texts[side] = [answer(page, chosen) for page in pages]
            self.seconds[side] += time.process_time() - began
        for page, stock, fast in zip(pages, texts["stock"], texts["fast"], strict=True):
            self.counts["pages"] += 1
            self.counts["characters"] += len(stock or "")
            self.counts["without text"] += not stock
            if "too slow" in (stock, fast):
                self.counts["too slow"] += 1
            elif stock != fast:
                self.counts["different"] += 1
                self._folder.mkdir(parents=True, exist_ok=True)
                name = hashlib.sha256(page.encode("utf-8", "surrogatepass")).hexdigest()[:16]
                (self._folder / f"{option.replace(' ', '_')}-{name}.html").write_text(page, "utf-8", "surrogatepass")


def _too_slow(*_: object) -> None:
    raise TooSlowError


def read_pages(paths: Sequence[str], every: int, job: int, jobs: int) -> Iterator[str]:
    """Every so many pages, as a run decodes them; of these each ``jobs``-th from the ``job``-th on."""
    number = 0
    for file in find_inputs(paths):
        for batch in read_batches(file, 0, file.size, None, InputOptions(), SplitCounts()):
            for html in batch.pages["html"].to_pylist():
                if number % (every * jobs) == job * every:
                    yield html
                number += 1


def in_turns(pages: Iterator[str]) -> Iterator[list[str]]:
    """``TURN`` pages at a time."""
    turn: list[str] = []
    for page in pages:
        turn.append(page)
        if len(turn) == TURN:
            yield turn
            turn = []
    if turn:
        yield turn


def fuzzed(pages: Sequence[str], seed: int, minutes: float) -> Iterator[str]:
    """Changed pages, without end until the time is over."""
    generator, end = random.Random(seed), time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        yield mutate(generator.choice(pages), pages, generator)


def work(task: tuple[argparse.Namespace, int]) -> dict[str, tuple[Counter[str], Counter[str]]]:
    """One process's share: counts and seconds by option."""
    options, job = task
    logging.disable(logging.CRITICAL)
    names = list(OPTIONS) if options.options == "all" else options.options.split(",")
    comparisons = {name: Comparison(options.differences) for name in names}
    pages = read_pages(options.warc, options.every, job, options.jobs)
    if options.fuzz:
        whole = [page for page in pages if len(page) < 200_000]
        pages = fuzzed(whole, options.seed * 1000 + job, options.fuzz)
    patches: Patches | None = None
    for number, turn in enumerate(in_turns(pages)):
        # a fuzzer looks for what is rare: a page under one option each
        for name in [names[number % len(names)]] if options.fuzz else names:
            comparison = comparisons[name]
            comparison._patches = patches or comparison._patches
            comparison.compare(turn, name)
            patches = comparison._patches
    return {name: (comparison.counts, comparison.seconds) for name, comparison in comparisons.items()}


def main() -> int:
    """Compare and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take every so many pages")
    parser.add_argument("--options", default="precision", help=f"all, or some of: {', '.join(OPTIONS)}")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--fuzz", type=float, default=0, help="change pages at random for so many minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--differences", type=Path, default=Path("differences"), help="folder for pages that differ")
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()
    if why_stock() is not None:
        print(f"note: {why_stock()}", file=sys.stderr)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        results = pool.map(work, [(options, job) for job in range(options.jobs)])
    rows, different = [], 0
    for name in results[0]:
        counts, seconds = (sum((result[name][part] for result in results), Counter()) for part in (0, 1))
        different += counts["different"]
        ratio = f"{seconds['stock'] / seconds['fast']:.2f}" if seconds["fast"] else ""
        figures = [f"{counts[what]:,}" for what in COUNTED]
        rows.append([name, *figures, ratio])
    files = ", ".join(Path(path).name for path in options.warc)
    how = f"{options.fuzz:g} minutes of pages changed at random, seed {options.seed}" if options.fuzz else "all pages"
    how = how if options.every == 1 else f"{how}, every {options.every}th"
    head = ["options", *COUNTED, "stock / accelerated"]
    lines = [f"# {Path(__file__).stem}", "", *describe(), "", f"{files}: {how}.", "", *markdown(head, rows), ""]
    publish(lines, options.out)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

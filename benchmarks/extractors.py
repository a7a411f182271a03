"""resiliparse beside trafilatura: how fast, how far they agree on the text by type of page, and what a preset keeps.

    python benchmarks/extractors.py CRAWL.warc.gz... [--out FILE.md]

Both are run as the stage ``extract`` runs them, in a guarded child, page by page; times are processor time of child and
parent. Words are runs of letters and digits, lower case, each Chinese or Japanese character one of its own; *found in
the other* is the share of one text's words, as often as they are there, that the other text has too. A page's type is
told by its HTML: where most of its visible text stands. Last, the preset ``refinedweb`` with both extractors, without
its deduplication, which depends on all documents.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lxml.html
import numpy as np
from extract_equal import read_pages
from guard_rate import processor_seconds
from machine import describe, markdown, publish

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.documents import Batch
from gpurefine.frames import string_column
from gpurefine.resources.cache import default_resources
from gpurefine.stages.extract import Extract
from gpurefine.stages.language import Language, has_letters, identify

EXTRACTORS = ("trafilatura", "resiliparse")
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
#: Characters that a paragraph has at least to be prose.
PROSE = 80


@dataclass
class Page:
    """A page's type, its language by trafilatura's text, and the words of both texts."""

    kind: str
    language: str | None
    words: dict[str, Counter[str]]


def kind_of(html: str) -> str:
    """Where most of a page's visible text stands: in prose, links, lists and tables, or elsewhere."""
    try:
        tree = lxml.html.fromstring(html.encode("utf-8", "replace"), parser=lxml.html.HTMLParser(encoding="utf-8"))
    except (ValueError, lxml.etree.LxmlError):
        return "not HTML"
    for element in tree.xpath("//*[self::script or self::style or self::noscript or self::head][parent::*]"):
        element.drop_tree()
    whole = len(" ".join(tree.itertext()).split())
    if whole < 50:
        return "fewer than 50 words"

    def share(expression: str, least: int = 0) -> float:
        texts = (" ".join(element.itertext()) for element in tree.xpath(expression))
        return sum(len(text.split()) for text in texts if len(text) >= least) / whole

    shares = {
        "prose": share("//p", PROSE),
        "links": share("//a"),
        "lists and tables": share("//li[not(.//li)]|//td[not(.//td)]"),
    }
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= 0.4 else "mixed"


def texts_of(extractor: str, pages: Sequence[str]) -> tuple[list[str], float]:
    """The texts, empty where there is none, and processor seconds a page."""
    stage = Extract(**{"with": extractor})
    guard = stage.open(default_resources())
    stage.apply(Batch(string_column(pages[:10]).to_frame("html")), guard)
    processes = [os.getpid(), guard.child_process]
    before = sum(map(processor_seconds, processes))
    found: list[str] = []
    for begin in range(0, len(pages), 256):
        outcome = stage.apply(Batch(string_column(pages[begin : begin + 256]).to_frame("html")), guard)
        found += [text if isinstance(text, str) else "" for text in outcome.batch.frame["text"]]
    seconds = sum(map(processor_seconds, processes)) - before
    guard.close()
    return found, seconds / len(pages)


def agreement(pages: Sequence[Page]) -> list[str]:
    """Cells of a row: how many, those with no text, and the medians and means of what is found in the other text."""
    one, other = EXTRACTORS
    both = [page for page in pages if page.words[one] and page.words[other]]
    cells = [f"{len(pages):,}", *(f"{sum(not page.words[name] for page in pages):,}" for name in EXTRACTORS)]
    for name, against in ((one, other), (other, one)):
        shares = [(page.words[name] & page.words[against]).total() / page.words[name].total() for page in both]
        cells.append(f"{np.median(shares):.1%} ({np.mean(shares):.1%})" if shares else "")
    lengths = [page.words[other].total() / page.words[one].total() for page in both]
    return [*cells, f"{np.median(lengths):.2f}" if lengths else ""]


def kept_by(extractor: str, paths: Sequence[str], folder: str) -> tuple[dict[str, int], set[str]]:
    """Records left after each stage of ``refinedweb`` up to its dedups, and the ids of documents that are kept."""
    data = gpurefine.load_pipeline("refinedweb").as_data()
    stages = [stage for stage in data["stages"] if not next(iter(stage)).startswith("dedup.")]
    for stage in stages:
        if "extract" in stage:
            stage["extract"] = {"with": extractor}
    pipeline = pipeline_from_data({"name": f"refinedweb with {extractor}", "input": data["input"], "stages": stages})
    run = gpurefine.run(pipeline, list(paths), f"{folder}/{extractor}", quiet=True)
    return {entry["stage"]: entry["left"] for entry in run.summary()["waterfall"]}, set(
        run.refined(columns=["id"])["id"]
    )


def main() -> None:
    """Extract, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", nargs="+")
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()
    html = list(read_pages(options.warc, 1, 0, 1))
    texts, rates = {}, []
    for name in EXTRACTORS:
        texts[name], seconds = texts_of(name, html)
        rates.append([name, f"{1e3 * seconds:.2f}", f"{sum(map(len, texts[name])) / len(html):,.0f}"])
    model = Language().open(default_resources())
    pages = []
    for number, page in enumerate(html):
        text = texts[EXTRACTORS[0]][number]
        words = {name: Counter(WORD.findall(texts[name][number].lower())) for name in EXTRACTORS}
        pages.append(Page(kind_of(page), identify(model, text)[0] if has_letters(text) else None, words))
    kinds, languages = defaultdict(list), defaultdict(list)
    for page in pages:
        kinds[page.kind].append(page)
        languages[page.language or "none"].append(page)
    frequent = sorted(languages, key=lambda name: -len(languages[name]))[:6]
    head = ["pages", "number", *(f"no text: {name}" for name in EXTRACTORS)]
    head += ["of trafilatura's words in the other: median (mean)", "of resiliparse's: median (mean)"]
    head += ["length, resiliparse / trafilatura"]
    rows = [[name, *agreement(kinds[name])] for name in sorted(kinds, key=lambda name: -len(kinds[name]))]
    rows += [[f"language {name}", *agreement(languages[name])] for name in frequent] + [["all", *agreement(pages)]]
    with tempfile.TemporaryDirectory() as folder:
        (left, ids), (other_left, other_ids) = (kept_by(name, options.warc, folder) for name in EXTRACTORS)
    stages = [[stage, f"{left[stage]:,}", f"{other_left[stage]:,}"] for stage in left]
    publish(
        [
            f"# {Path(__file__).stem}", "", *describe(), "",
            f"{len(html):,} pages of {', '.join(Path(path).name for path in options.warc)}.", "",
            *markdown(["extractor", "processor ms a page", "characters a page"], rates), "", *markdown(head, rows), "",
            "Documents left by the preset refinedweb, without its deduplication:", "",
            *markdown(["after", *EXTRACTORS], stages), "",
            f"Kept with both: {len(ids & other_ids):,}; with trafilatura alone {len(ids - other_ids):,}, "
            f"with resiliparse alone {len(other_ids - ids):,}.", "",
        ],
        options.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()

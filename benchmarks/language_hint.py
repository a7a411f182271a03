"""What a hint of the language before extraction saves and what it loses, by its form and threshold.

    python benchmarks/language_hint.py --choose A.warc.gz... --check B.warc.gz... [--every 1] [--out FILE.md]

Each page is extracted as a run does it, and its language identified from the extracted text: pages of a language with a
score of 0.65 or more are those that a pipeline would keep. Each form of the hint gives a page a share of each language;
the pages whose share is below a threshold are spared. *Saved* is the time of their extraction, less that of
the hint on all pages, as a part of the extraction of all; *lost* are those of them that would have been kept. Form and
threshold are chosen on some files and checked on others. Pages are looked at one by one, which costs more than the
batches of a run.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
from machine import describe, markdown, publish

from gpurefine.documents import Batch
from gpurefine.frames import from_arrow, text_buffers
from gpurefine.kernels import visible_text
from gpurefine.read.batches import SplitCounts, read_batches
from gpurefine.read.inputs import InputFile, find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.resources.cache import default_resources
from gpurefine.stages.extract import Extract
from gpurefine.stages.language import LABEL_PREFIX, Language, has_letters, identify, model_input
from gpurefine.stages.language_hint import LanguageHint, running_sample, spread_sample

TARGETS = ("en", "zh", "de")
THRESHOLDS = (0.003, 0.01, 0.02, 0.05, 0.1)
DEFAULT = LanguageHint()
LEAST_SCORE = Language().min_score
SCRIPTS_AND_TAGS = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
DECLARED = re.compile(r"<html\b[^>]*?\blang\s*=\s*[\"']?([a-z]+)", re.IGNORECASE)


@dataclass
class Page:
    """What is known of a page; shares by form and language."""

    url: str
    seconds: float
    language: str | None
    text: str
    declared: str | None
    shares: dict[str, dict[str, float]] = field(default_factory=dict)


class Hints:
    """The forms of the hint: what is given to the model of a page."""

    def __init__(self) -> None:
        self.model = DEFAULT.open(default_resources())
        self.seconds: Counter[str] = Counter()
        self.forms: dict[str, Callable[[str], dict[str, float]]] = {
            "first 20,000 characters outside tags, by a regular expression": self._by_pattern,
            "first 2,000 characters": lambda html: self._shares(_visible(html)[:2000]),
            "spread (four stretches, 2,000)": lambda html: self._shares(self._spread(html)),
            "running text (runs of 40, 2,000)": lambda html: self._shares(self._running(html) or self._spread(html)),
            "spread, then running text (the stage)": self._both,
        }

    def look(self, html: str) -> dict[str, dict[str, float]]:
        """Shares of all languages by all forms; the time of each is added to ``seconds``."""
        found = {}
        for name, form in self.forms.items():
            began = time.process_time()
            found[name] = form(html)
            self.seconds[name] += time.process_time() - began
        return found

    def _shares(self, text: str) -> dict[str, float]:
        if not has_letters(text):
            return {}
        labels, scores = self.model.predict(model_input(unescape(text)), k=-1)
        return dict(zip((label.removeprefix(LABEL_PREFIX) for label in labels), map(float, scores), strict=True))

    def _by_pattern(self, html: str) -> dict[str, float]:
        return self._shares(" ".join(unescape(SCRIPTS_AND_TAGS.sub(" ", html)).split())[:20_000])

    def _spread(self, html: str) -> str:
        return spread_sample(_visible(html), DEFAULT.characters)

    def _running(self, html: str) -> str:
        return running_sample(_visible(html), DEFAULT.run, DEFAULT.characters)

    def _both(self, html: str) -> dict[str, float]:
        visible = _visible(html)
        shares = self._shares(spread_sample(visible, DEFAULT.characters))
        if shares.get("en", 0) < DEFAULT.min_share:  # English is wanted: the second look is for the others only
            running = self._shares(running_sample(visible, DEFAULT.run, DEFAULT.characters))
            shares = {label: max(share, running.get(label, 0)) for label, share in shares.items()}
        return shares


def _visible(html: str) -> str:
    text, _ = visible_text(*text_buffers(from_arrow(pa.table({"html": pa.array([html], pa.large_string())}))["html"]))
    return text.tobytes().decode("utf-8", "replace")


def read_pages(file: InputFile, every: int, hints: Hints) -> list[Page]:
    """Every so many pages of a file, extracted and looked at."""
    stage, language = Extract(), Language().open(default_resources())
    guard, found, number = stage.open(default_resources()), [], 0
    for batch in read_batches(file, 0, file.size, None, InputOptions(), SplitCounts()):
        for row in range(len(batch.pages)):
            number += 1
            if (number - 1) % every:
                continue
            page = batch.pages.slice(row, 1)
            html = page["html"][0].as_py()
            began = time.perf_counter()
            text = stage.apply(Batch(from_arrow(page)), guard).batch.frame["text"].iloc[0]
            seconds = time.perf_counter() - began
            text = text if isinstance(text, str) else ""
            label, score = identify(language, text) if has_letters(text) else (None, 0.0)
            declared = DECLARED.search(html[:5000])
            found.append(
                Page(
                    page["url"][0].as_py() or "",
                    seconds,
                    label if score >= LEAST_SCORE else None,
                    text,
                    declared.group(1).lower() if declared else None,
                    hints.look(html),
                )
            )
    guard.close()
    return found


def table(pages: Sequence[Page], hints: Hints, looked_at: int) -> list[str]:
    """A row a form, a column a language and threshold: saved and lost."""
    rows = []
    all_seconds = sum(page.seconds for page in pages)
    for form in hints.forms:
        cost = hints.seconds[form] / looked_at * len(pages)
        for target in TARGETS:
            cells = []
            for threshold in THRESHOLDS:
                spared = [page for page in pages if (shares := page.shares[form]) and shares.get(target, 0) < threshold]
                lost = sum(page.language == target for page in spared)
                saved = (sum(page.seconds for page in spared) - cost) / all_seconds
                cells.append(f"{saved:.0%}, {lost}")
            kept = sum(page.language == target for page in pages)
            rows.append([form, f"{1e3 * cost / len(pages):.2f}", f"{target} ({kept:,})", *cells])
    return markdown(["form", "ms a page", "wanted (pages)", *(f"below {each}" for each in THRESHOLDS)], rows)


def declared_table(pages: Sequence[Page]) -> list[str]:
    """What ``html lang`` says of pages, beside their language."""
    rows = []
    for target in TARGETS:
        own = [page for page in pages if page.language == target]
        others = [page for page in pages if page.language not in (target, None)]
        counts = [
            sum(page.declared == target for page in own), sum(page.declared is None for page in own),
            sum(page.declared not in (target, None) for page in own), sum(page.declared == target for page in others),
        ]  # fmt: skip
        rows.append(
            [target, *(f"{count:,} of {len(own):,}" for count in counts[:3]), f"{counts[3]:,} of {len(others):,}"]
        )
    head = ["language", "its pages that say so", "say nothing", "say another", "other pages that say it"]
    return markdown(head, rows)


def lost_pages(pages: Sequence[Page], form: str) -> list[str]:
    """The pages that the stage's default would lose, for a reader."""
    found = []
    for target in TARGETS:
        for page in pages:
            share = page.shares[form].get(target, 0) if page.shares[form] else 1.0
            if page.language == target and share < DEFAULT.min_share:
                start = " ".join(page.text.split())[:160]
                found.append(f"- {target}, share {share:.4f}, {len(page.text)} characters, {page.url}: {start}")
    return found or ["- none"]


def main() -> None:
    """Read, look and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choose", nargs="+", required=True, help="WARC files to choose by")
    parser.add_argument("--check", nargs="+", required=True, help="WARC files on which the choice is checked")
    parser.add_argument("--every", type=int, default=1, help="take every so many pages of files of more than 100 MB")
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()
    hints = Hints()
    hints.look("<p>warm up, please")
    hints.seconds.clear()
    lines = [f"# {Path(__file__).stem}", "", *describe()]
    sets = {}
    for title, names in (("Chosen on", options.choose), ("Checked on", options.check)):
        sets[title] = []
        for file in find_inputs(names):
            sets[title] += read_pages(file, options.every if file.size > 100 << 20 else 1, hints)
    looked_at = sum(map(len, sets.values()))
    form = list(hints.forms)[-1]
    for (title, pages), names in zip(sets.items(), (options.choose, options.check), strict=True):
        mean = 1e3 * np.mean([page.seconds for page in pages])
        files = ", ".join(Path(name).name for name in names)
        lines += ["", f"## {title} {files}", ""]
        lines += [f"{len(pages):,} pages, {mean:.1f} ms of extraction each. Saved, and pages lost:", ""]
        lines += table(pages, hints, looked_at)
        lines += ["", "What `html lang` says:", "", *declared_table(pages)]
        lines += ["", f"Lost by the stage's default ({DEFAULT.min_share}):", "", *lost_pages(pages, form)]
    publish([*lines, ""], options.out)


if __name__ == "__main__":
    main()

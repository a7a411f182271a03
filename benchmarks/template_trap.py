"""Pages of one template with different content: what MinHash makes of them without verification and with it.

    python benchmarks/template_trap.py [--pages 100000] [--workers 2] [--write benchmarks/results/template_trap.md]

A page is a chat as an application prints it: rules, system prompt and footer, the same on all pages, and a question and
an answer of its own. Six of seven 5-grams are the template's, so two pages have a Jaccard similarity of some 0.75,
where 450 bands of 20 rows join three pairs in four, and all pages become one cluster. Every 20th page is a copy of an
earlier one, of whose own words one in twenty was drawn anew: these are the duplicates, with a similarity above 0.9.

The program ends with status 1 if verified pages collapse, copies are lost, or a page has more than 8 comparisons.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from machine import describe, markdown, publish

import gpurefine
from gpurefine.engine.tables import dedup_pipeline

#: Words of the template, in four pieces, and of a page's own, in three between them.
TEMPLATE_PIECES, OWN_PIECES = (60, 40, 40, 40), (10, 12, 10)
#: Distinct words that pages draw from.
VOCABULARY = 1 << 17
#: Pages to each copy, and the share of its own words that a copy draws anew.
SPACING, REDRAWN = 20, 0.05
#: Comparisons of a page, at most.
MOST_COMPARISONS = 8


@dataclass(frozen=True)
class Trap:
    """What a dedup left of the pages.

    Attributes
    ----------
    removed : pages
    largest : pages of the largest cluster
    false : removed pages that are nobody's copy
    lost : copies that are in no cluster with their base
    comparisons : pairs that were scored
    seconds : of the whole run
    """

    removed: int
    largest: int
    false: int
    lost: int
    comparisons: int
    seconds: float


def pages(count: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of pages, and the number of the page that each is a copy of, its own for all others."""
    rng = np.random.default_rng(seed)
    template = [" ".join(f"t{piece}word{word}" for word in range(words)) for piece, words in enumerate(TEMPLATE_PIECES)]
    own = rng.integers(0, VOCABULARY, (count, sum(OWN_PIECES)))
    base = np.arange(count)
    for page in range(SPACING - 1, count, SPACING):
        base[page] = page - rng.integers(1, SPACING)
        redrawn = rng.random(own.shape[1]) < REDRAWN
        own[page] = np.where(redrawn, own[page], own[base[page]])
    cuts = np.cumsum(OWN_PIECES)[:-1]
    texts = []
    for words in own:
        parts = [" ".join(f"w{word}" for word in piece) for piece in np.split(words, cuts)]
        texts.append(
            "\n".join([template[0], *(line for pair in zip(parts, template[1:], strict=True) for line in pair)])
        )
    return texts, base


def dedup(table: Path, base: np.ndarray, output: Path, *overrides: str, **options: object) -> Trap:
    """Run MinHash over the pages of a table and look at what it left."""
    began = time.monotonic()
    run = gpurefine.run(dedup_pipeline("minhash", overrides), table, output, quiet=True, **options)
    seconds = time.monotonic() - began
    clusters = run.clusters()
    cluster = dict(zip(clusters["member"].astype(int), clusters["cluster"], strict=True))
    copies = np.flatnonzero(base != np.arange(len(base))).tolist()
    families = {*copies, *base[copies].tolist()}
    removed = run.removed()["id"].astype(int).tolist()
    return Trap(
        removed=len(removed),
        largest=int(clusters.groupby("cluster").size().max()) if len(clusters) else 1,
        false=sum(page not in families for page in removed),
        lost=sum(cluster.get(page, page) != cluster.get(base[page]) for page in copies),
        comparisons=len(run.scores()) if any("verify=j" in each for each in overrides) else 0,
        seconds=seconds,
    )


def write_table(path: Path, texts: list[str]) -> None:
    """The pages as a table whose ids are their numbers."""
    ids = [str(number) for number in range(len(texts))]
    pq.write_table(pa.table({"id": ids, "text": texts}), path, row_group_size=5_000)


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="file for the table, as Markdown")
    options = parser.parse_args()
    texts, base = pages(options.pages)
    copies = int((base != np.arange(len(base))).sum())
    ways = {"none": [], "jaccard": ["verify=jaccard"], "jaccard+edit": ["verify=jaccard+edit"]}
    rows, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "pages.parquet"
        write_table(table, texts)
        for name, overrides in ways.items():
            found = dedup(
                table, base, Path(folder) / name, *overrides, workers=options.workers, partition_bytes=4 << 20
            )
            rows.append([name, *map(str, (found.removed, found.largest, found.false, found.lost)),
                         f"{found.comparisons / len(texts):.2f}", f"{found.seconds:.0f}"])  # fmt: skip
            if overrides:
                failed |= found.false > 0 or found.lost > copies // 100
                failed |= found.comparisons >= MOST_COMPARISONS * len(texts)
    head = ["verify", "removed", "largest cluster", "removed that are no copies", "copies lost",
            "comparisons a page", "seconds"]  # fmt: skip
    lines = ["# Pages of one template", "", *describe(), "",
             f"{len(texts):,} pages, {copies:,} of them copies; 450 x 20, GPT-2 5-grams, thresholds 0.8; "
             f"{options.workers} workers.", "", *markdown(head, rows), ""]  # fmt: skip
    publish(lines, options.write)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

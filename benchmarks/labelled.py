"""MinHash on texts whose duplicates are known: what is found, what is missed, and what the formula foretells.

    python benchmarks/labelled.py LABELS [--shingle gpt2-5 word-5] [--show 5] [--write benchmarks/results/labelled.md]

LABELS is a folder with four Parquet files (id, text, cluster):

- news_articles_1000: news with 10 planted pairs;
- medium_text: texts of crawled pages; cluster80 are the components at a Jaccard similarity of 0.8 or more, all pairs
  compared; words or single Chinese, Japanese and Korean characters, 5-grams;
- graded_edits: base texts and randomly edited variants of each (base, edit, j5: the same similarity to the base);
- extractors_181: 181 pages, each as 9 extraction programs see it; the cluster is the page.

Clusters are those of ``gpurefine.deduplicate``. Similarities come by another road than the program's: Python's Unicode
for normalising, tiktoken for GPT-2, sets of tuples instead of hashes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from machine import describe, markdown, publish
from truth import (
    adjusted_rand_index,
    by_bin,
    components,
    gpt2_encoder,
    jaccard,
    label_words,
    labels,
    match_probability,
    normalised,
    pair_counts,
    pairs_of,
    shingle_sets,
    similar_pairs,
)

import gpurefine
from gpurefine.dedup.minhash import MinHash
from gpurefine.documents import Batch
from gpurefine.frames import from_arrow, strings, text_buffers
from gpurefine.resources.cache import default_resources
from gpurefine.stages.base import DedupStage

#: Bands and rows: RefinedWeb's, FineWeb's, NeMo Curator's.
SETTINGS = [(450, 20), (14, 8), (20, 13)]
#: The same with similarities verified, at thresholds of 0.8.
VERIFIED = [(450, 20, "jaccard"), (450, 20, "jaccard+edit"), (14, 8, "jaccard"), (14, 8, "jaccard+edit")]
#: Other families of hash functions that the formula is compared with.
FAMILIES = 20
#: Bins of similarity, finest where the curves are steep.
EDGES = np.array([0, 0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0 + 1e-9])


@dataclass
class Labelled:
    """A set of texts with its truth, and the sets of shingles that are hashed."""

    frame: pd.DataFrame
    texts: list[str]
    true: np.ndarray
    sets: list[frozenset]

    def similarity(self, pairs: list[tuple[int, int]]) -> np.ndarray:
        """Jaccard similarity of pairs of texts."""
        return np.array([jaccard(self.sets[one], self.sets[other]) for one, other in pairs], np.float64)


def load(path: Path, cluster: str, shingle: str) -> Labelled:
    """Read a set; ``cluster`` is the column of the truth."""
    frame = from_arrow(pq.read_table(path))
    texts = [text or "" for text in strings(frame["text"])]
    return Labelled(frame, texts, labels(frame[cluster]), exact_sets(texts, shingle))


def exact_sets(texts: list[str], shingle: str) -> list[frozenset]:
    """Sets of 5 consecutive units of the normalised texts."""
    if shingle == "word-5":
        return shingle_sets(texts, lambda text: normalised(text).split())
    encode = gpt2_encoder()
    return shingle_sets(texts, lambda text: encode(normalised(text)))


def clusters(frame: pd.DataFrame, stage: DedupStage) -> np.ndarray:
    """Our clusters as labels; a document without a duplicate is alone."""
    parameters = stage.model_dump(include={"bands", "rows", "shingle", "verify"})
    found = gpurefine.deduplicate(frame[["id", "text"]], "minhash", **parameters)["cluster"]
    return labels((row,) if pd.isna(name) else name for row, name in enumerate(found))


def name_of(stage: DedupStage) -> str:
    """What a column is called."""
    return f"{stage.bands} x {stage.rows}{'' if stage.verify == 'none' else f', {stage.verify}'}"


def news_rows(news: Labelled, stages: list[DedupStage]) -> list[list[str]]:
    """Planted pairs found, and what else was joined."""
    counts = [pair_counts(clusters(news.frame, stage), news.true) for stage in stages]
    return [
        ["news articles: planted pairs found", *(f"{both} of {true}" for both, _, true in counts)],
        ["news articles: other pairs joined", *(str(found - both) for both, found, _ in counts)],
    ]


def page_rows(pages: Labelled, stages: list[DedupStage], show: int) -> list[list[str]]:
    """Crawled pages: pairs of one cluster, and what those are that differ from the truth."""
    order = ("removed", "precision", "recall", "ari", "wrong", "words", "missed", "precision here", "recall here")
    rows = {name: [name] for name in order}
    words = shingle_sets(pages.texts, label_words)
    true = pairs_of(pages.true)
    here = pairs_of(components(len(pages.sets), similar_pairs(pages.sets, 0.8)))
    for stage in stages:
        cluster = clusters(pages.frame, stage)
        found = pairs_of(cluster)
        wrong, missed = sorted(found - true), sorted(true - found)
        by_words = np.array([jaccard(words[one], words[other]) for one, other in wrong], np.float64)
        rows["removed"].append(str(len(cluster) - len(set(cluster.tolist()))))
        rows["precision"].append(f"{len(found & true) / max(len(found), 1):.4f}")
        rows["recall"].append(f"{len(found & true) / len(true):.4f}")
        rows["ari"].append(f"{adjusted_rand_index(cluster, pages.true):.4f}")
        rows["wrong"].append(by_bin(pages.similarity(wrong)))
        rows["words"].append(by_bin(by_words))
        rows["missed"].append(by_bin(pages.similarity(missed)))
        rows["precision here"].append(f"{len(found & here) / max(len(found), 1):.4f}")
        rows["recall here"].append(f"{len(found & here) / len(here):.4f}")
        for kind, pairs in (("joined, not in the truth", wrong), ("in the truth, not joined", missed)):
            show_pairs(pages, pairs[:show], f"{name_of(stage)}, {kind}")
    removable = len(pages.true) - len(set(pages.true.tolist()))
    names = {
        "removed": f"crawled pages: removed ({removable} by the truth)",
        "precision": f"crawled pages: precision of pairs ({len(true)} true ones)",
        "recall": "crawled pages: recall of pairs",
        "ari": "crawled pages: adjusted Rand index",
        "wrong": "pairs beyond the truth, by similarity of what is hashed",
        "words": "the same by the similarity of the truth",
        "missed": "pairs missed, by similarity of what is hashed",
        "precision here": f"precision, where the truth is 0.8 of what is hashed ({len(here)} pairs)",
        "recall here": "recall, where the truth is 0.8 of what is hashed",
    }
    return [[names[name], *cells[1:]] for name, cells in rows.items()]


def show_pairs(pages: Labelled, pairs: list[tuple[int, int]], title: str) -> None:
    """Print what two texts of a pair look like."""
    for pair in pairs:
        print(f"\n{title}; similarity {pages.similarity([pair])[0]:.3f}")
        for row in pair:
            print(f"  {pages.frame['id'][row]} ({len(pages.texts[row])} characters): {pages.texts[row][:300]!r}")


def extractor_rows(pages: Labelled, stages: list[DedupStage]) -> list[list[str]]:
    """Clusters beside pages, each seen by several extraction programs."""
    true = sorted(pairs_of(pages.true))
    near = {pair for pair, value in zip(true, pages.similarity(true), strict=True) if value >= 0.8}
    rows = [["adjusted Rand index"], ["precision of pairs"], ["recall of pairs"], ["recall of pairs"]]
    rows = [[f"extractors: {row[0]}"] for row in rows]
    rows[2][0] += f" ({len(true)} of one page)"
    rows[3][0] += f" of similarity 0.8 or more ({len(near)})"
    for stage in stages:
        cluster = clusters(pages.frame, stage)
        both, found, all_true = pair_counts(cluster, pages.true)
        rows[0].append(f"{adjusted_rand_index(cluster, pages.true):.4f}")
        rows[1].append(f"{both / max(found, 1):.4f}")
        rows[2].append(f"{both / all_true:.4f}")
        rows[3].append(f"{len(near & pairs_of(cluster)) / len(near):.4f}")
    return rows


def graded_table(edits: Labelled, stages: list[DedupStage]) -> list[str]:
    """Share of (base, variant) pairs with an equal key in some band, by similarity, beside the formula's."""
    pairs = base_pairs(edits)
    similarity, j5 = edits.similarity(pairs), edits.frame["j5"].to_numpy(np.float64)[[row for _, row in pairs]]
    bins = np.digitize(similarity, EDGES) - 1
    head = ["similarity", "pairs", "mean", "mean in words"]
    caught, foretold = [], []
    for stage in stages:
        keys = band_keys(edits, stage)
        caught.append(np.array([bool((keys[:, one] == keys[:, other]).any()) for one, other in pairs]))
        foretold.append(match_probability(similarity, stage.bands, stage.rows))
        head.append(f"{stage.bands} x {stage.rows}: caught (formula), deviations")
    rows = []
    for number in [*np.unique(bins), None]:
        here = bins == number if number is not None else np.ones(len(pairs), bool)
        name = "all" if number is None else f"{EDGES[number]:g} to {min(EDGES[number + 1], 1):g}"
        row = [name, str(here.sum()), f"{similarity[here].mean():.3f}", f"{j5[here].mean():.3f}"]
        for hit, chance in zip(caught, foretold, strict=True):
            row.append(compared(hit[here], chance[here]))
        rows.append(row)
    return markdown(head, rows)


def compared(hit: np.ndarray, chance: np.ndarray) -> str:
    """Share that was caught, the formula's, and by how many standard deviations they differ."""
    deviation = np.sqrt((chance * (1 - chance)).sum())
    off = f", {(hit.sum() - chance.sum()) / deviation:+.1f}" if deviation > 0.05 else ""
    return f"{100 * hit.mean():.1f} % ({100 * chance.mean():.1f} %){off}"


def other_families(edits: Labelled, bands: int, rows: int, shingle: str) -> str:
    """Mean deviation of the whole set from the formula with other hash functions, which one family leaves to chance."""
    pairs = base_pairs(edits)
    chance = match_probability(edits.similarity(pairs), bands, rows)
    deviations = []
    for seed in range(2, 2 + FAMILIES):
        keys = band_keys(edits, MinHash(bands=bands, rows=rows, shingle=shingle, hash_seed=seed))
        hits = sum(bool((keys[:, one] == keys[:, other]).any()) for one, other in pairs)
        deviations.append((hits - chance.sum()) / np.sqrt((chance * (1 - chance)).sum()))
    error = np.std(deviations, ddof=1) / np.sqrt(FAMILIES)
    return f"{bands} x {rows}: {np.mean(deviations):+.2f} (standard error {error:.2f})"


def base_pairs(edits: Labelled) -> list[tuple[int, int]]:
    """Rows of each variant's base and of the variant."""
    row_of = {name: row for row, name in enumerate(edits.frame["id"])}
    return [(row_of[base], row) for row, base in enumerate(edits.frame["base"]) if row_of[base] != row]


def band_keys(edits: Labelled, stage: DedupStage) -> np.ndarray:
    """The keys that the stage emits; documents are compared pair by pair."""
    resources = default_resources()
    stage.provide(resources)
    return stage.keys(Batch(edits.frame), stage.open(resources))


def largest_difference(edits: Labelled, stage: MinHash) -> float:
    """Largest difference of a similarity by the sets and by the 32-bit shingles that are hashed."""
    shingles, starts = stage.open(default_resources()).shingler.shingles(*text_buffers(edits.frame["text"]))
    hashed = [frozenset(shingles[first:last].tolist()) for first, last in pairwise(starts)]
    pairs = base_pairs(edits)
    return float(np.abs(edits.similarity(pairs) - [jaccard(hashed[a], hashed[b]) for a, b in pairs]).max())


def section(folder: Path, shingle: str, show: int) -> list[str]:
    """All measures with one kind of shingle, as Markdown."""
    stages = [MinHash(bands=bands, rows=rows, shingle=shingle) for bands, rows in SETTINGS]
    verified = [MinHash(bands=bands, rows=rows, shingle=shingle, verify=verify) for bands, rows, verify in VERIFIED]
    news, pages, edits, extractors = (
        load(folder / f"{name}.parquet", column, shingle)
        for name, column in (
            ("news_articles_1000", "cluster"),
            ("medium_text", "cluster80"),
            ("graded_edits", "base"),
            ("extractors_181", "cluster"),
        )
    )
    tables = []
    for some in (stages, verified):
        rows = news_rows(news, some) + page_rows(pages, some, show) + extractor_rows(extractors, some)
        tables += [*markdown(["bands x rows", *map(name_of, some)], rows), ""]
    return [
        f"## Shingles `{shingle}`",
        "",
        *tables,
        "Share of pairs (base, variant) caught by an equal key in some band, beside the formula's, and their "
        "difference in standard deviations:",
        "",
        *graded_table(edits, stages),
        "",
        f"Over all pairs and {FAMILIES} other families of hash functions, mean difference in standard deviations: "
        + "; ".join(other_families(edits, bands, rows, shingle) for bands, rows in SETTINGS)
        + ".",
        "",
        "Largest difference of a pair's similarity by the 32-bit shingles that are hashed and by Python's sets: "
        f"{largest_difference(edits, stages[0]):.4f}.",
        "",
    ]


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, help="folder with the four Parquet files")
    parser.add_argument("--shingle", nargs="+", default=["gpt2-5"], choices=["gpt2-5", "word-5"])
    parser.add_argument("--show", type=int, default=0, help="print so many pairs that differ from the truth")
    parser.add_argument("--write", type=Path, help="file for the tables, as Markdown")
    options = parser.parse_args()
    lines = ["# MinHash on labelled texts", "", *describe(), ""]
    for shingle in options.shingle:
        lines += section(options.labels, shingle, options.show)
    publish(lines, options.write)


if __name__ == "__main__":
    main()

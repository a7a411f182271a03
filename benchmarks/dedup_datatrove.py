"""MinHash of datatrove and of gpurefine on the same documents: rates from texts to survivors, and the duplicates found.

    python benchmarks/dedup_datatrove.py TEXTS.parquet [--language en] [--limit 3000] [--rounds 3] [--write FILE.md]

Both read the Parquet file (id, text), find clusters at 14 bands of 8 rows over 5 consecutive words, and write the
survivors as Parquet. datatrove runs its four steps (signature, buckets, cluster, filter) in its local executor, one
task at a time in this process, as shipped and with white space instead of spaCy as words. All are run in each round,
one after the other, after a first run on a few documents; processor time is that of this process and its children.
Ratios are formed in a round, the median is shown.

Needs ``pip install 'gpurefine[bench]'`` (datatrove and spaCy).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig
from datatrove.utils.word_tokenizers import WordTokenizer
from loguru import logger
from machine import describe, markdown, publish
from truth import by_bin, jaccard, labels, normalised, pairs_of, shingle_sets

import gpurefine
from gpurefine.frames import from_arrow

BANDS, ROWS = 14, 8
#: Documents of the first run, which loads spaCy and compiled kernels.
WARM_UP = 50
#: Ours runs this often in a round: once is short for the clock.
PASSES = 3

Run = Callable[[Path, Path], np.ndarray]


class WhiteSpace(WordTokenizer):
    """Words as runs without white space; a text is one sentence, since MinHash asks for words only."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def theirs(texts: Path, folder: Path, words: str | WordTokenizer = "eng_Latn", numbers: bool = True) -> np.ndarray:
    """Datatrove's four steps.

    Parameters
    ----------
    texts : a folder with one Parquet file
    folder : for all that is written
    words : its language, or a splitter
    numbers : make all numbers equal, as is its default

    Returns
    -------
    int64, (n,): label of the cluster of each document
    """
    # xxhash is its default; with xxhash 4 that path fails, because it hands it a str
    hashes = HashConfig(hash_fc="xxhash" if int(version("xxhash").split(".")[0]) < 4 else "sha1")
    config = MinhashConfig(5, BANDS, ROWS, norm_config=TextNormConfig(norm_numbers=numbers), hash_config=hashes)
    paths = {name: str(folder / name) for name in ("signatures", "buckets", "clusters", "kept", "removed")}
    steps = [
        ([ParquetReader(str(texts)), MinhashDedupSignature(paths["signatures"], config, language=words)], 1),
        ([MinhashDedupBuckets(paths["signatures"], paths["buckets"], config=config)], BANDS),
        ([MinhashDedupCluster(paths["buckets"], paths["clusters"], config=config, save_cluster_id=True)], 1),
        (
            [
                ParquetReader(str(texts)),
                MinhashDedupFilter(
                    paths["clusters"], exclusion_writer=ParquetWriter(paths["removed"]), load_cluster_ids=True
                ),
                ParquetWriter(paths["kept"]),
            ],
            1,
        ),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(folder / f"log{number}")).run()
    cluster = {}
    for name in ("kept", "removed"):
        for path in sorted(Path(paths[name]).glob("*.parquet")):
            for row in pq.read_table(path, columns=["id", "metadata"]).to_pylist():
                # where nothing is to be removed, its filter names no clusters
                cluster[row["id"]] = row["metadata"].get("minhash_cluster_id", -1)
    ids = pq.read_table(texts)["id"].to_pylist()
    return labels((row,) if cluster[name] < 0 else cluster[name] for row, name in enumerate(ids))


def ours(texts: Path, folder: Path, **parameters: object) -> np.ndarray:
    """The same with ``gpurefine.deduplicate``; parameters of ``dedup.minhash``."""
    table = pq.read_table(texts)
    frame = from_arrow(table)
    found = gpurefine.deduplicate(frame, "minhash", **parameters)
    kept = table.filter(pa.array(found["keep"].to_numpy(dtype=bool)))
    pq.write_table(kept, folder / "kept.parquet")
    return labels((row,) if pd.isna(name) else name for row, name in enumerate(found["cluster"]))


def seconds(run: Run, texts: Path, passes: int = 1) -> tuple[float, np.ndarray]:
    """Processor seconds of one pass, children included, and what it found."""
    before, found = os.times(), None
    for _ in range(passes):
        with tempfile.TemporaryDirectory() as folder:
            found = run(texts, Path(folder))
    return sum(after - begin for begin, after in zip(before[:4], os.times()[:4], strict=True)) / passes, found


def agreement(name: str, one: np.ndarray, other: np.ndarray, sets: list[frozenset]) -> list[str]:
    """A row of the second table: how two clusterings differ."""
    first, second = pairs_of(one), pairs_of(other)
    groups = [
        {frozenset(np.flatnonzero(cluster == label).tolist()) for label in set(cluster[[i for p in pairs for i in p]])}
        for cluster, pairs in ((one, first), (other, second))
    ]
    removed = [len(cluster) - len(set(cluster.tolist())) for cluster in (one, other)]
    differing = [
        by_bin(np.array([jaccard(sets[a], sets[b]) for a, b in pairs], np.float64))
        for pairs in (first - second, second - first)
    ]
    return [
        name,
        f"{removed[0]} / {removed[1]}",
        f"{len(first & second) / max(len(first | second), 1):.3f}",
        f"{len(groups[0] & groups[1])} of {len(groups[0])} / {len(groups[1])}",
        *differing,
    ]


def write_input(texts: Path, folder: Path, language: str | None, limit: int) -> list[str]:
    """The documents that both read, as one Parquet file in a folder of its own; returns their texts."""
    table = pq.read_table(texts)
    if language:
        table = table.filter(pc.equal(table["lang"], language))
    table = table.filter(pc.greater(pc.utf8_length(pc.coalesce(table["text"], "")), 0)).slice(0, limit)
    folder.mkdir()
    pq.write_table(table.select(["id", "text"]), folder / "texts.parquet")
    return table["text"].to_pylist()


def measure(
    runs: dict[str, Run], few: Path, documents: Path, count: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    """Documents a second in each round, and clusters, by the names of ``runs``."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    found = {}
    for run in runs.values():
        seconds(run, few)
    for _ in range(rounds):
        for name, run in runs.items():
            taken, found[name] = seconds(run, documents, PASSES if name.startswith("gpurefine") else 1)
            rates[name].append(count / taken)
            print(f"{name}: {rates[name][-1]:,.0f} documents/s", flush=True)
    return rates, found


def rate_table(rates: dict[str, list[float]]) -> list[str]:
    """Rates, and how much slower each is than the first."""
    first, *_ = rates.values()
    rows = []
    for name, values in rates.items():
        ratios = sorted(a / b for a, b in zip(first, values, strict=True))
        ratio = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})" if values is not first else ""
        rows.append([name, f"{statistics.median(values):,.0f}", ratio])
    return markdown(["program", "documents/s a core", "the first is faster by"], rows)


def agreement_table(ours_found: np.ndarray, others: dict[str, np.ndarray], texts: list[str]) -> list[str]:
    """Clusters of ours beside those of others."""
    sets = shingle_sets(texts, lambda text: normalised(text).split())
    head = ["beside", "removed: ours / theirs", "common share of all pairs", "clusters equal, of ours / theirs"]
    head += ["pairs only ours, by similarity", "pairs only theirs"]
    return markdown(head, [agreement(name, ours_found, other, sets) for name, other in others.items()])


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="Parquet file with the columns id and text (and lang)")
    parser.add_argument("--language", help="only rows with this lang")
    parser.add_argument("--limit", type=int, default=3000, help="only the first so many documents")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="file for the result, as Markdown")
    options = parser.parse_args()
    logger.disable("datatrove")
    words, split = partial(ours, bands=BANDS, rows=ROWS, shingle="word-5"), WhiteSpace()
    runs: dict[str, Run] = {
        "gpurefine, 14 x 8, words": words,
        "datatrove, 14 x 8, its words (spaCy)": theirs,
        "datatrove, 14 x 8, white-space words": partial(theirs, words=split),
        "gpurefine, 450 x 20, GPT-2 tokens": partial(ours, bands=450, rows=20, shingle="gpt2-5"),
    }
    with tempfile.TemporaryDirectory() as folder:
        few, documents = Path(folder) / "few", Path(folder) / "all"
        write_input(options.texts, few, options.language, WARM_UP)
        texts = write_input(options.texts, documents, options.language, options.limit)
        rates, found = measure(runs, few, documents, len(texts), options.rounds)
        found["numbers"] = seconds(partial(theirs, words=split, numbers=False), documents)[1]
        found["seed"] = seconds(partial(words, hash_seed=2), documents)[1]

    first, shipped, white, tokens = runs
    others = {
        "datatrove as shipped": found[shipped],
        "datatrove, white-space words": found[white],
        "datatrove, white-space words, numbers as they are": found["numbers"],
        "ours with other hash functions": found["seed"],
        "ours, 450 x 20, GPT-2 tokens": found[tokens],
    }
    size = sum(len(text.encode()) for text in texts) / len(texts)
    lines = [
        "# MinHash dedup beside datatrove's",
        "",
        describe()[0].removesuffix(".") + f", spaCy {version('spacy')}, xxhash {version('xxhash')}.",
        "",
        f"{len(texts)} documents{' of language ' + options.language if options.language else ''}, {size:,.0f} bytes "
        f"each; {options.rounds} rounds; processor time of one core, Parquet to Parquet.",
        "",
        *rate_table(rates),
        "",
        "Duplicates found by ours (14 x 8, words) beside others':",
        "",
        *agreement_table(found[first], others, texts),
        "",
    ]
    publish(lines, options.write)


if __name__ == "__main__":
    main()

"""Does MinHash dedup stay linear, and its memory flat? ``gpurefine dedup minhash`` on 10^5 and 10^6 documents.

    python benchmarks/scale.py [--documents 100000 1000000] [--memory 1GiB] [--workers 2] [--write FILE.md]

The documents are those of ``generated.py``, 2 KB on average, one in twenty a copy of an earlier one with a known share
of its words drawn anew. They are written as Parquet files first (some 0.7 KB of disk a document; a run writes about
4.5 KB a document more), outside all times. Of each run: the seconds of its steps, processor time, the largest resident
memory of a worker and of all processes together (every 50 ms), key files, and what was found of what was planted.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import generated
import numpy as np
import psutil
import pyarrow.dataset as ds
from machine import describe, markdown, publish
from truth import gpt2_encoder, jaccard, match_probability, pairs_in, shingle_sets

SEED = 20_231
#: Copies of each rate whose similarity to their base is computed, for the formula.
SAMPLE = 100


@dataclass
class Watched:
    """What a run took: seconds by the wall and of processors, largest resident bytes, largest size of key files."""

    wall: float
    processor: float
    worker: int
    together: int
    key_bytes: int


def watch(command: list[str], work: Path) -> Watched:
    """Run a command and look at its processes, and at the key files in ``work``, until it ends."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = together = key_bytes = looks = 0
    driver = psutil.Popen(command, stdout=subprocess.DEVNULL)
    while driver.poll() is None:
        sizes = [_resident(process) for process in [driver, *_children(driver)]]
        worker, together = max([worker, *sizes[1:]]), max(together, sum(sizes))
        if looks % 10 == 0:
            key_bytes = max(key_bytes, _bytes_under(work, "*.keys"))
        looks += 1
        time.sleep(0.05)
    if driver.returncode:
        raise SystemExit(f"the run failed with {driver.returncode}: {' '.join(command)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Watched(time.perf_counter() - began, processor, worker, together, key_bytes)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def _bytes_under(folder: Path, pattern: str) -> int:
    total = 0
    for path in folder.rglob(pattern):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def found_labels(run: Path, count: int) -> np.ndarray:
    """For each document the least number of its cluster: int64, (count,)."""
    table = ds.dataset(run / "clusters").to_table(columns=["cluster", "member"])
    label = np.arange(count)
    if table.num_rows:
        members = np.array([int(name[1:]) for name in table["member"].to_pylist()], np.int64)
        names = np.unique(table["cluster"].to_numpy(), return_inverse=True)[1]
        least = np.full(names.max() + 1, count)
        np.minimum.at(least, names, members)
        label[members] = least[names]
    return label


def expected_share(copies: np.ndarray, base: np.ndarray, bands: int, rows: int) -> tuple[float, float]:
    """Mean similarity of copies to their bases, and the share of them that the formula says is found directly."""
    encode = gpt2_encoder()

    def shingles(indices: np.ndarray) -> list[frozenset]:
        parts = [generated.generate(SEED, int(index), 1) for index in indices]
        texts = [part.data.tobytes().decode().replace(".", " ") for part in parts]
        return shingle_sets((" ".join(text.split()) for text in texts), encode)

    pairs = zip(shingles(copies), shingles(base[copies]), strict=True)
    similarity = np.array([jaccard(one, other) for one, other in pairs])
    return float(similarity.mean()), float(match_probability(similarity, bands, rows).mean())


def truth_rows(label: np.ndarray, base: np.ndarray, rate: np.ndarray) -> list[list[str]]:
    """Of the copies of each rate: how many, how similar, found, found by the formula."""
    rows = []
    for value in np.unique(rate[~np.isnan(rate)]):
        copies = np.flatnonzero(rate == value)
        similarity, chance = expected_share(copies[:SAMPLE], base, 450, 20)
        found = (label[copies] == label[base[copies]]).mean()
        name = f"{100 * value:g} % of words"
        rows.append([name, f"{len(copies):,}", f"{similarity:.3f}", f"{100 * found:.2f} %", f"{100 * chance:.1f} %"])
    return rows


def false_pairs(label: np.ndarray, base: np.ndarray) -> int:
    """Pairs in one cluster of ours that are of different families."""
    both = np.unique(np.stack([label, base]), axis=1, return_counts=True)[1]
    return pairs_in(np.unique(label, return_counts=True)[1]) - pairs_in(both)


def measure(count: int, options: argparse.Namespace, folder: Path) -> tuple[dict[str, float], list[list[str]], str]:
    """Generate, run, compare; figures by name, the rows of the truth, and what ``--plan`` says of key files."""
    texts, run = folder / "texts", folder / "run"
    texts.mkdir(parents=True)
    generated.write_parts(texts, SEED, count)
    command = [sys.executable, "-m", "gpurefine", "dedup", "minhash", f"{texts}/*.parquet"]
    command += ["--memory", options.memory, "--workers", str(options.workers)]
    planned = subprocess.run([*command, "--plan"], check=True, capture_output=True, text=True).stdout
    watched = watch([*command, "-o", str(run), "--quiet"], run)
    summary = json.loads((run / "summary.json").read_text())
    steps = summary["steps"]
    base, rate, _ = generated.families(SEED, 0, count)
    label = found_labels(run, count)
    figures = {
        "documents": count,
        "text": summary["input_bytes"],
        "steps": sum(step["seconds"] for step in steps) + sum(s["dedup"]["seconds"] for s in steps if s["dedup"]),
        "wall": watched.wall,
        "processor": watched.processor,
        "summary peak": max(step["peak_memory"] for step in steps),
        "worker": watched.worker,
        "together": watched.together,
        "keys": watched.key_bytes,
        "removed": summary["records"] - summary["kept"],
        "false": false_pairs(label, base),
    }
    rows = truth_rows(label, base, rate)
    shutil.rmtree(folder)
    return figures, rows, next(line.strip() for line in planned.splitlines() if "of keys" in line)


def figure_rows(runs: list[dict[str, float]]) -> list[list[str]]:
    """One row a figure, one column a run, and the last run's share of the first's."""
    kinds = [
        ("seconds of all steps", "steps", 1, ".1f"),
        ("documents/s", "documents/s", 1, ",.0f"),
        ("milliseconds a document", "steps a document", 1e3, ".3f"),
        ("processor milliseconds a document, with start-up", "processor a document", 1e3, ".3f"),
        ("wall seconds, with start-up", "wall", 1, ".1f"),
        ("largest worker by summary.json, MiB", "summary peak", 2**-20, ".0f"),
        ("largest worker, MiB", "worker", 2**-20, ".0f"),
        ("all processes together, MiB", "together", 2**-20, ".0f"),
        ("key files, bytes a document", "keys a document", 1, ",.1f"),
        ("documents removed", "removed", 1, ",.0f"),
        ("pairs of one cluster that are no copies of each other", "false", 1, ".0f"),
    ]
    for run in runs:
        run["documents/s"] = run["documents"] / run["steps"]
        for name in ("steps", "processor", "keys"):
            run[f"{name} a document"] = run[name] / run["documents"]
    rows = []
    for title, name, scale, form in kinds:
        ratio = f"{runs[-1][name] / runs[0][name]:.3f}" if runs[0][name] else ""
        rows.append([title, *(format(run[name] * scale, form) for run in runs), ratio])
    return rows


def main() -> None:
    """Run all sizes, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to write; default the folder of temporary files")
    parser.add_argument("--write", type=Path, help="file for the result, as Markdown")
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        # compiles what is not compiled yet
        measure(1_000, options, Path(folder) / "first")
        for count in options.documents:
            figures, truth, planned = measure(count, options, Path(folder) / str(count))
            runs.append(figures)
            print(count, figures, flush=True)
    lines = [
        "# MinHash dedup at two sizes",
        "",
        *describe(),
        "",
        f"`gpurefine dedup minhash` (450 x 20, GPT-2 5-grams), --memory {options.memory} --workers {options.workers}.",
        "",
        *markdown(["", *(f"{count:,} documents" for count in options.documents), "last / first"], figure_rows(runs)),
        "",
        f"`--plan` for {options.documents[-1]:,}: {planned}.",
        "",
        f"Copies among the {options.documents[-1]:,}, by the share of their words that was drawn anew:",
        "",
        *markdown(["edited", "copies", "mean similarity", "in the cluster of their base", "by the formula"], truth),
        "",
    ]
    publish(lines, options.write)


if __name__ == "__main__":
    main()

"""Does dedup stay linear, and its memory flat? ``gpurefine dedup KIND`` on 10^5 and 10^6 documents.

    python benchmarks/scale.py [minhash|substring] [--documents 100000 1000000] [--memory 1GiB] [--workers 2]
                               [--write FILE.md]

The documents are those of ``generated.py``, 2 KB on average, one in twenty a copy of an earlier one with a known share
of its words drawn anew. They are written as Parquet files first (some 0.7 KB of disk a document; a run writes about
4.5 KB a document more), outside all times. Of each run: the seconds of its steps, processor time, the largest resident
memory of a worker and of all processes together (every 50 ms), bytes of key files, bytes that its processes wrote and
read while collisions were looked for, beside what ``--plan`` said, and what was found of what was planted.
"""

from __future__ import annotations

import argparse
import json
import re
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
#: What was found that is not there, and the table of what is.
FALSE = {
    "minhash": "pairs of one cluster that are no copies of each other",
    "substring": "documents with a span that are nobody's copy",
}
TRUTH = {
    "minhash": ["edited", "copies", "mean similarity", "in the cluster of their base", "by the formula"],
    "substring": ["edited", "copies", "characters in spans", "tokens in shared windows", "with one and not the other"],
}
SETTINGS = {"minhash": "450 x 20, GPT-2 5-grams", "substring": "50 GPT-2 tokens"}
#: Copies of each rate whose similarity to their base is computed, for the formula.
SAMPLE = 100


@dataclass
class Watched:
    """What a run took: seconds by the wall and of processors, largest resident bytes, largest size of key files, and
    bytes that all processes read and wrote from the first file of the dedup's phases to the first behind collide.
    """

    wall: float
    processor: float
    worker: int
    together: int
    key_bytes: int
    read: int
    written: int


def watch(command: list[str], work: Path) -> Watched:
    """Run a command and look at its processes, and at the key files in ``work``, until it ends."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = together = key_bytes = looks = 0
    transfers = _Transfers(work / "work" / "dedup-0")
    driver = psutil.Popen(command, stdout=subprocess.DEVNULL)
    while driver.poll() is None:
        processes = [driver, *_children(driver)]
        sizes = [_resident(process) for process in processes]
        transfers.look(processes)
        worker, together = max([worker, *sizes[1:]]), max(together, sum(sizes))
        if looks % 10 == 0:
            key_bytes = max(key_bytes, _bytes_under(work, "*.keys"))
        looks += 1
        time.sleep(0.05)
    if driver.returncode:
        raise SystemExit(f"the run failed with {driver.returncode}: {' '.join(command)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall = time.perf_counter() - began
    return Watched(wall, processor, worker, together, key_bytes, *transfers.between())


class _Transfers:
    """Bytes that processes read and wrote while collisions were looked for, counted by the system, caches included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._totals: dict[int, tuple[int, int]] = {}
        self._begin = self._end = (0, 0)
        self._begun = self._ended = False

    def look(self, processes: list[psutil.Process]) -> None:
        self._ended = self._ended or any(any(self._folder.glob(f"*{name}*")) for name in ("labels", "spans"))
        if self._ended:
            return
        for process in processes:
            try:
                counters = process.io_counters()
            except psutil.Error:
                continue
            self._totals[process.pid] = (counters.read_chars, counters.write_chars)
        self._end = tuple(sum(values) for values in zip(*self._totals.values(), strict=True))
        self._begun = self._begun or self._folder.exists()
        if not self._begun:
            self._begin = self._end

    def between(self) -> tuple[int, int]:
        return self._end[0] - self._begin[0], self._end[1] - self._begin[1]


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


def covered_characters(run: Path, count: int) -> np.ndarray:
    """Characters in spans of each document: int64, (count,)."""
    table = ds.dataset(run / "spans").to_table(columns=["id", "first", "last"])
    covered = np.zeros(count, np.int64)
    documents = np.array([int(name[1:]) for name in table["id"].to_pylist()], np.int64)
    np.add.at(covered, documents, table["last"].to_numpy() - table["first"].to_numpy())
    return covered


def shared_share(copy: int, base: int, length: int = 50) -> float:
    """Share of a document's tokens in windows of ``length`` that its base has too, by sets of windows."""
    encode = gpt2_encoder()
    rows = []
    for index in (copy, base):
        text = generated.generate(SEED, index, 1).data.tobytes().decode().replace(".", " ")
        rows.append(encode(" ".join(text.split())))
    known = {tuple(rows[1][place : place + length]) for place in range(len(rows[1]) - length + 1)}
    covered = np.zeros(len(rows[0]), bool)
    for place in range(len(rows[0]) - length + 1):
        if tuple(rows[0][place : place + length]) in known:
            covered[place : place + length] = True
    return float(covered.mean())


def span_rows(covered: np.ndarray, base: np.ndarray, rate: np.ndarray) -> list[list[str]]:
    """Of some copies of each rate in families of two: share of text in spans, found and by sets of windows."""
    alone = np.bincount(base, minlength=len(base))[base] == 2
    rows = []
    for value in np.unique(rate[~np.isnan(rate)]):
        copies = np.flatnonzero((rate == value) & alone)[:SAMPLE]
        if not len(copies):
            continue
        sizes = np.array([int(generated.generate(SEED, int(index), 1).offsets[-1]) for index in copies])
        found = covered[copies] / sizes
        true = np.array([shared_share(int(index), int(base[index])) for index in copies])
        name = f"{100 * value:g} % of words"
        wrong = int(((found > 0) != (true > 0)).sum())
        rows.append([name, f"{len(copies):,}", f"{100 * found.mean():.2f} %", f"{100 * true.mean():.2f} %", f"{wrong}"])
    return rows


def measure(count: int, options: argparse.Namespace, folder: Path) -> tuple[dict[str, float], list[list[str]], str]:
    """Generate, run, compare; figures by name, the rows of the truth, and what ``--plan`` says of key files."""
    texts, run = folder / "texts", folder / "run"
    texts.mkdir(parents=True)
    generated.write_parts(texts, SEED, count)
    command = [sys.executable, "-m", "gpurefine", "dedup", options.kind, f"{texts}/*.parquet"]
    command += ["--memory", options.memory, "--workers", str(options.workers)]
    planned = subprocess.run([*command, "--plan"], check=True, capture_output=True, text=True).stdout
    watched = watch([*command, "-o", str(run), "--quiet"], run)
    summary = json.loads((run / "summary.json").read_text())
    steps = summary["steps"]
    base, rate, _ = generated.families(SEED, 0, count)
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
        "read": watched.read,
        "written": watched.written,
        "marks": sum(step["dedup"].get("marks", 0) for step in steps if step["dedup"]),
        "removed": summary["records"] - summary["kept"],
    }
    if options.kind == "minhash":
        label = found_labels(run, count)
        figures["false"], rows = false_pairs(label, base), truth_rows(label, base, rate)
    else:
        covered = covered_characters(run, count)
        strangers = np.bincount(base, minlength=count)[base] == 1
        figures["false"], rows = int((covered[strangers] > 0).sum()), span_rows(covered, base, rate)
    shutil.rmtree(folder)
    line = next(line.strip() for line in planned.splitlines() if "a document" in line and "written" in line)
    figures |= planned_bytes(line, figures["marks"] / count)
    return figures, rows, line


def planned_bytes(line: str, marks: float) -> dict[str, float]:
    """Bytes a document that a line of ``--plan`` says will be in key files, read, and written while colliding.

    ``marks`` are windows with a copy, a document: that they cost bytes is in the plan, their number is in the text.
    """
    keys = _number(re.search(r"([\d,]+) bytes (?:of keys )?a document", line)[1])
    times = _number(re.search(r"then read (once|\d+)", line)[1].replace("once", "1"))
    found = re.search(r"with a copy, and of some ([\d.]+) others a document, (\d+) bytes more", line)
    stored = int(found[2]) * (marks + _number(found[1])) if found else 0.0
    return {"planned keys": keys, "planned read": keys * times + 2 * stored, "planned written": stored + 8 * marks}


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def figure_rows(kind: str, runs: list[dict[str, float]]) -> list[list[str]]:
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
        ("... by the plan", "planned keys", 1, ",.1f"),
        ("read while colliding, bytes a document", "read a document", 1, ",.1f"),
        ("... by the plan", "planned read", 1, ",.1f"),
        ("written while colliding, bytes a document", "written a document", 1, ",.1f"),
        ("... by the plan", "planned written", 1, ",.1f"),
        ("documents removed", "removed", 1, ",.0f"),
        (FALSE[kind], "false", 1, ".0f"),
    ]
    for run in runs:
        run["documents/s"] = run["documents"] / run["steps"]
        for name in ("steps", "processor", "keys", "read", "written"):
            run[f"{name} a document"] = run[name] / run["documents"]
    rows = []
    for title, name, scale, form in kinds:
        ratio = f"{runs[-1][name] / runs[0][name]:.3f}" if runs[0][name] else ""
        rows.append([title, *(format(run[name] * scale, form) for run in runs), ratio])
    return rows


def exponent(runs: list[dict[str, float]], figure: str) -> float:
    """Of documents, in figure = constant * documents ** exponent: the slope of a line through the logarithms."""
    documents, seconds = (np.log([run[name] for run in runs]) for name in ("documents", figure))
    return float(np.polyfit(documents, seconds, 1)[0]) if len(runs) > 1 else float("nan")


def main() -> None:
    """Run all sizes, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", default="minhash", choices=list(TRUTH))
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
        f"# `gpurefine dedup {options.kind}` at two sizes",
        "",
        *describe(),
        "",
        f"`gpurefine dedup {options.kind}` ({SETTINGS[options.kind]}), --memory {options.memory} "
        f"--workers {options.workers}. Seconds grow with documents to the power of {exponent(runs, 'steps'):.3f}, "
        f"seconds of processors to that of {exponent(runs, 'processor'):.3f}.",
        "",
        *markdown(
            ["", *(f"{count:,} documents" for count in options.documents), "last / first"],
            figure_rows(options.kind, runs),
        ),
        "",
        f"`--plan` for {options.documents[-1]:,}: {planned}.",
        "",
        f"Copies among the {options.documents[-1]:,}, by the share of their words that was drawn anew:",
        "",
        *markdown(TRUTH[options.kind], truth),
        "",
    ]
    publish(lines, options.write)


if __name__ == "__main__":
    main()

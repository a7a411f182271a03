"""How fast are repeated windows of tokens found, against a suffix array and a scan of its neighbours?

    pip install pydivsufsort
    python benchmarks/substring_rate.py [--texts TEXTS.parquet] [--tokens 20000000] [--budgets 64 1024] [--out RESULT]

Ours is ``collide_windows`` over all groups one after the other, from files of tokens to files of marks, scratch files
included. The other is the classical way: the suffix array of the stream of tokens, two bytes each, by divsufsort, and
a scan that compares each suffix with the one before it over a window; it has its tokens in memory and leaves its marks
there. Both run on one core and must mark the same windows. Processor time of this process (user and system), and time
on the wall, medians of the rounds; kernels are compiled before. Ours
holds to its budget; the other needs 10 bytes a token and more.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from machine import describe, markdown, publish
from numba import njit
from pydivsufsort import divsufsort

from gpurefine.dedup.marks import read_marks
from gpurefine.dedup.tokenfile import TokenFile, TokenWriter
from gpurefine.dedup.windows import collide_windows, plan_windows
from gpurefine.frames import from_arrow, text_buffers
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import gpt2_tokenizer
from gpurefine.text.origins import comparable_tokens
from gpurefine.text.unicode import Punctuation

#: Documents that are written to a file of tokens at a time.
BATCH = 1000
MIB = 1 << 20


@dataclass
class Stream:
    """Tokens of documents.

    Attributes
    ----------
    name : what the table calls it
    tokens : uint16, (m,)
    starts : int64, (n + 1,), from 0
    """

    name: str
    tokens: np.ndarray
    starts: np.ndarray


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="Parquet file with a column text")
    parser.add_argument("--tokens", type=int, default=20_000_000, help="of the synthetic stream")
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budgets", type=int, nargs="+", default=[64, 1024], help="MiB")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    streams = [synthetic(options.tokens)]
    if options.texts:
        streams += [of_texts(options.texts, None), of_texts(options.texts, "blank")]
    rows = []
    compile_kernels(options.length)
    for stream in streams:
        for budget in options.budgets:
            rows.append(compare(stream, options.length, budget, options.rounds))
    head = ["text", "10^6 tokens", "marked", "budget, MiB", "groups"]
    head += ["ours, 10^6/s", "suffix array, 10^6/s", "ratio", "ours, wall s", "suffix array, wall s", "ratio"]
    lines = ["# substring_rate", "", *describe(), ""]
    lines += [f"Windows of {options.length} tokens, one core; tokens a second of processor time, medians of "]
    lines[-1] += f"{options.rounds} rounds in turns; the ratio is the median of those within a round. Ours reads and "
    lines[-1] += "writes files, the other has its arrays in memory. Both marked the same windows."
    publish([*lines, "", *markdown(head, rows), ""], options.out)


def of_texts(path: Path, punctuation: Punctuation | None) -> Stream:
    """GPT-2 tokens of the texts of a Parquet file, of the texts as they are or normalised."""
    data, offsets = text_buffers(from_arrow(pq.read_table(path, columns=["text"]))["text"])
    tokens, starts = comparable_tokens(data, offsets, gpt2_tokenizer(default_resources()), punctuation)
    return Stream(f"{path.stem}, {'normalised' if punctuation else 'raw'}", tokens, starts)


def synthetic(tokens: int) -> Stream:
    """Documents of 100 to 1,500 tokens as frequent as words are, some 5 % of them copies of 200 tokens."""
    random = np.random.default_rng(3)
    starts = np.concatenate([[0], np.cumsum(random.integers(100, 1500, max(1, tokens // 800)))]).astype(np.int64)
    stream = np.minimum(random.zipf(1.2, starts[-1]), 50_000).astype(np.uint16)
    for source, target in random.integers(0, max(1, len(stream) - 300), (len(stream) // 4000, 2)):
        stream[target : target + 200] = stream[source : source + 200]
    return Stream("synthetic", stream, starts)


def compile_kernels(length: int) -> None:
    """Both ways once on a small stream."""
    compare(synthetic(100_000), length, 64, 1)


def compare(stream: Stream, length: int, budget: int, rounds: int) -> list[str]:
    """One row of the table; ``budget`` in MiB."""
    measured = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            own, *own_times = timed(by_windows, write(stream, Path(folder)), length, budget * MIB)
            own = marked(own)
        other, *other_times = timed(by_suffix_array, stream, length)
        other = np.flatnonzero(other)
        if not np.array_equal(own, other):
            raise SystemExit(f"{stream.name}: {len(own)} windows marked by ours, {len(other)} by the suffix array")
        measured.append((*own_times, *other_times, other_times[0] / own_times[0], other_times[1] / own_times[1]))
    medians = [statistics.median(column) for column in zip(*measured, strict=True)]
    own_cpu, own_wall, other_cpu, other_wall, ratio, wall_ratio = medians
    count = len(stream.tokens)
    groups = len(plan_windows(count, budget * MIB, 1))
    cells = [stream.name, f"{count / 1e6:.1f}", f"{len(own) / count:.3f}", f"{budget}", f"{groups}"]
    cells += [f"{count / 1e6 / seconds:.1f}" for seconds in (own_cpu, other_cpu)]
    return [*cells, f"{ratio:.1f}", f"{own_wall:.2f}", f"{other_wall:.2f}", f"{wall_ratio:.1f}"]


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    """What a call returns, its processor time and its time on the wall in seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work(*arguments)
    return result, time.process_time() - cpu, time.perf_counter() - wall


def write(stream: Stream, folder: Path) -> Path:
    """The file of the stream's tokens."""
    path = folder / "tokens"
    with TokenWriter(path, ordered=False) as writer:
        for first in range(0, len(stream.starts) - 1, BATCH):
            starts = stream.starts[first : first + BATCH + 1]
            writer.add(stream.tokens[starts[0] : starts[-1]], starts - starts[0], None)
    return path


def by_windows(path: Path, length: int, budget: int) -> list[Path]:
    """Files of the marks of all groups."""
    out = []
    for group in plan_windows(TokenFile(path).tokens, budget, 1):
        out.append(path.with_name(f"marks-{group.number}"))
        collide_windows(group, [path], [0], length, False, out[-1], path.with_name("scratch"), budget, 1)
    return out


def marked(paths: list[Path]) -> np.ndarray:
    """Numbers of the marked windows, rising."""
    return np.sort(np.concatenate([np.empty(0, np.uint64), *read_marks(paths, 0)])).astype(np.int64)


def by_suffix_array(stream: Stream, length: int) -> np.ndarray:
    """Bool, (m,): whether the window that begins at a token occurs elsewhere, by the order of all suffixes."""
    order = divsufsort(stream.tokens.astype(">u2").tobytes())
    order = order[order % 2 == 0] // 2
    marks = np.zeros(len(stream.tokens), np.bool_)
    scan(stream.tokens, order, np.repeat(stream.starts[1:], np.diff(stream.starts)), length, marks)
    return marks


@njit(nogil=True)
def scan(tokens, order, ends, length, marks):
    """Mark the neighbours in the order of suffixes that are equal over a window inside their documents."""
    before = -1
    for place in order:
        if place + length > ends[place]:
            # such a suffix may lie between two equal windows
            continue
        if before >= 0:
            equal = 0
            while equal < length and tokens[before + equal] == tokens[place + equal]:
                equal += 1
            if equal == length:
                marks[before] = marks[place] = True
        before = place


if __name__ == "__main__":
    main()

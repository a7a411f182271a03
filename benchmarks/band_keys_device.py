"""How near is the CUDA kernel of band keys to what the device can do, and to cuDF's minhash? Needs a GPU and CuPy.

    python benchmarks/band_keys_device.py [--documents 20000] [--shingles 600] [--rounds 9] [--cudf] [--out FILE.md]

First the keys of ragged documents are compared with the CPU's, to the bit; a difference ends the program with status 1.
Then, in each round in turns:

- ``limit``: integer_limit.cu, which makes the same multiply-adds and minima on registers alone;
- our kernel in several shapes, from shingle hashes to band keys on the device, with the launcher's checks; where the
  functions are few, documents are 16 times as many;
- ``cuDF`` (with ``--cudf``): ``Series.str.minhash`` with the same 9,000 hash functions on texts of as many shingles,
  which it hashes itself (5 characters), and our kernel on those hashes. It writes signatures and no band keys.

An evaluation is one hash function on one shingle, padding not counted. Times lie between events on the device, medians
over the rounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from device import Contender, median_seconds, mixed_numbers, open_cupy, rates, rates_page
from machine import publish

from gpurefine import kernels
from gpurefine.dedup.permutations import permutations
from gpurefine.kernels.cuda import minhash
from gpurefine.kernels.cuda.source import compiler_options

UNIT = "evaluations"
SHAPES = ((450, 20), (450, 9), (20, 13), (9, 13), (14, 8))
RAGGED = (0, 1, 3, 4, 5, 0, 31, 33, 255, 256, 257, 600, 2047, 2048, 2049, 5001, 0)
#: Characters of a shingle of cuDF's, and the most documents it gets: its signatures take 36 KB each.
WIDTH, MOST_SIGNATURES = 5, 4000


def band_keys_run(cupy: ModuleType, shape: tuple[int, int], shingles, offsets) -> tuple[Callable[[], None], object]:
    """A function that computes band keys of documents on the device, and the array that it puts them into."""
    family = permutations(1, *shape)
    out = cupy.zeros((shape[0], offsets.size - 1), cupy.uint64)
    tables = cupy.asarray(family.multipliers), cupy.asarray(family.increments)
    return lambda: minhash.band_keys(shingles, offsets, *tables, *shape, out), out


def differing(cupy: ModuleType, repeats: int) -> list[str]:
    """A sentence for each shape whose keys are not those of the CPU."""
    offsets = np.cumsum([0, *RAGGED * repeats], dtype=np.int64)
    shingles = np.random.default_rng(7).integers(0, 1 << 32, offsets[-1], dtype=np.uint32)
    found = []
    for bands, rows in SHAPES:
        run, out = band_keys_run(cupy, (bands, rows), cupy.asarray(shingles), cupy.asarray(offsets))
        run()
        family = permutations(1, bands, rows)
        expected = np.empty((bands, offsets.size - 1), np.uint64)
        kernels.band_keys(shingles, offsets, family.multipliers, family.increments, bands, rows, expected)
        wrong = int((cupy.asnumpy(out) != expected).any(axis=0).sum())
        if wrong:
            found.append(f"{bands} bands of {rows} rows: {wrong} of {offsets.size - 1} documents have other keys")
    return found


def limit(cupy: ModuleType, turns: int) -> Contender:
    """The instructions of the hot loop on all multiprocessors, with sizes as for RefinedWeb's shape."""
    sizes = minhash.choose_sizes(450, 20)
    macros = {name: sizes.macros()[name] for name in ("PER_THREAD", "THREADS", "BLOCKS")}
    source = Path(__file__).with_name("integer_limit.cu").read_text("utf-8")
    kernel = cupy.RawKernel(source, "integer_limit", compiler_options(macros))
    blocks = cupy.cuda.Device().attributes["MultiProcessorCount"] * sizes.blocks
    threads = blocks * sizes.threads
    functions, out = mixed_numbers(cupy, threads + 2 * sizes.per_thread), cupy.zeros(threads, cupy.uint32)
    numbers = [cupy.uint32(number) for number in (0x9E3779B9, 0x7F4A7C15, 0xF39CC060, 0x5CEDC835, turns)]
    return Contender(
        "limit",
        lambda: kernel((blocks,), (sizes.threads,), (functions, out, *numbers)),
        threads * sizes.per_thread * 4 * turns,
        UNIT,
    )


def ours(cupy: ModuleType, documents: int, shingles: int) -> list[Contender]:
    """Our kernel in all shapes, on documents of equal length."""
    found = []
    for bands, rows in SHAPES:
        many = documents * (16 if bands * rows < 1000 else 1)
        offsets = cupy.arange(many + 1, dtype=cupy.int64) * shingles
        run, _ = band_keys_run(cupy, (bands, rows), mixed_numbers(cupy, many * shingles), offsets)
        name = f"{bands} x {rows}, {many:,} documents"
        found.append(Contender(name, run, many * shingles * bands * rows, UNIT, limit="limit"))
    return found


def cudf_and_ours(cupy: ModuleType, documents: int, shingles: int) -> list[Contender]:
    """``Series.str.minhash`` of cuDF on random texts, and our kernel on the same shingle hashes."""
    import cudf

    documents = min(documents, MOST_SIGNATURES)
    family = permutations(1, 450, 20)
    letters = np.random.default_rng(9).integers(97, 123, (documents, shingles + WIDTH - 1), dtype=np.uint8)
    texts = cudf.Series([row.tobytes().decode() for row in letters])
    multipliers, increments = cudf.Series(family.multipliers[:9000]), cudf.Series(family.increments[:9000])
    hashes = texts.str.hash_character_ngrams(WIDTH, as_list=True).list.leaves.values
    offsets = cupy.arange(documents + 1, dtype=cupy.int64) * shingles
    evaluations = documents * shingles * 9000
    run, _ = band_keys_run(cupy, (450, 20), hashes, offsets)
    return [
        Contender(
            f"cuDF, 9,000, {documents:,} documents",
            lambda: texts.str.minhash(0, multipliers, increments, WIDTH),
            evaluations, UNIT, limit="limit",
        ),
        Contender(f"450 x 20, {documents:,} of their documents", run, evaluations, UNIT, limit="limit"),
    ]  # fmt: skip


def main() -> int:
    """Compare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=20000)
    parser.add_argument("--shingles", type=int, default=600, help="shingles a document")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turns", type=int, default=20000, help="turns of the limit's loop")
    parser.add_argument("--repeats", type=int, default=20, help="how often the ragged documents are compared")
    parser.add_argument("--cudf", action="store_true", help="measure cuDF too")
    parser.add_argument("--out", type=Path, help="write the table to this file")
    options = parser.parse_args()
    opened = open_cupy()
    if opened is None:
        return 2
    cupy, name = opened
    if wrong := differing(cupy, options.repeats):
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    contenders = [limit(cupy, options.turns), *ours(cupy, options.documents, options.shingles)]
    if options.cudf:
        contenders += cudf_and_ours(cupy, options.documents, options.shingles)
    table = rates(contenders, median_seconds(cupy, contenders, options.rounds))
    compared = len(RAGGED) * options.repeats
    told = (
        f"{options.shingles} shingles a document, {options.rounds} rounds. In each shape the keys of {compared} other "
        "documents, of 0 to 5,001 shingles, were those of the CPU."
    )
    publish(rates_page(f"Band keys on {name}", told, table), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

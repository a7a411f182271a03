"""How many hash evaluations a second does the MinHash kernel make, against rensa and datasketch?

    python benchmarks/minhash_rate.py [--rounds 9] [--out FILE.md]

9,000 hash functions on one core, for documents of 20 to 2,000 shingles. An evaluation is one hash function on one
shingle. Ours goes from shingle hashes to 450 folded band keys; the others make signatures and no band keys.

- ``rensa``: an ``RMinHash`` for each document, which hashes each shingle's string too; ``rensa, hashed`` is its bulk
  function on 64-bit hashes that are ready, in one buffer, as ours are. RMinHash is a fast similarity sketch (Dahlgaard,
  Knudsen and Thorup 2017): it fills its slots from few hashes of a shingle, evaluates functions for what stays empty,
  and its time for a long document depends on the shingles alone. It is counted as if it evaluated all of them.
- ``datasketch``: a ``MinHash`` for each document with shared permutations, ``update_batch`` with each shingle's bytes.

Processor time of this process, all threads; everyone is timed in each round, in turns, and the table has medians over
the rounds, of rates and of ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# the others' threads would wait for one another on one core; read when their modules are loaded
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from machine import describe, markdown

from gpurefine.dedup.permutations import permutations
from gpurefine.kernels import band_keys

BANDS, ROWS = 450, 20
FUNCTIONS = BANDS * ROWS
LENGTHS = (20, 100, 500, 2000)

#: Shingles a call; who is slow gets fewer.
SHINGLES, FEW_SHINGLES = 60_000, 6_000


def ours(hashes: np.ndarray, length: int) -> Callable[[], object]:
    """Work from shingle hashes to band keys."""
    family = permutations(1, BANDS, ROWS)
    offsets = np.arange(0, len(hashes) + 1, length)
    out = np.empty((BANDS, len(offsets) - 1), np.uint64)
    return lambda: band_keys(hashes, offsets, family.multipliers, family.increments, BANDS, ROWS, out)


def rensa_strings(hashes: np.ndarray, length: int) -> Callable[[], object]:
    """One ``RMinHash`` object for each document, updated with its strings."""
    from rensa import RMinHash

    documents = [[f"{number:08x}" for number in part] for part in hashes.reshape(-1, length)]

    def work() -> None:
        for document in documents:
            sketch = RMinHash(num_perm=FUNCTIONS, seed=42)
            sketch.update(document)
            sketch.digest()

    return work


def rensa_hashed(hashes: np.ndarray, length: int) -> Callable[[], object]:
    """Rensa's bulk function on hashes that are ready."""
    from rensa import RMinHash

    wide = hashes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    offsets = np.arange(0, len(hashes) + 1, length, dtype=np.uint64)
    return lambda: RMinHash.digest_matrix_from_flat_token_hashes(wide, offsets, FUNCTIONS, 42)


def datasketch_bytes(hashes: np.ndarray, length: int) -> Callable[[], object]:
    """One ``MinHash`` object for each document, with shared permutations, updated with its bytes at once."""
    from datasketch import MinHash

    first = MinHash(num_perm=FUNCTIONS)
    scheme = {"scheme": first.scheme} if hasattr(first, "scheme") else {}
    documents = [[b"%08x" % number for number in part] for part in hashes.reshape(-1, length)]

    def work() -> None:
        for document in documents:
            MinHash(num_perm=FUNCTIONS, permutations=first.permutations, **scheme).update_batch(document)

    return work


#: Name -> the package it needs, how its work is made, shingles a call.
CONTESTANTS = {
    "ours": ("gpurefine", ours, SHINGLES),
    "rensa": ("rensa", rensa_strings, SHINGLES),
    "rensa, hashed": ("rensa", rensa_hashed, SHINGLES),
    "datasketch": ("datasketch", datasketch_bytes, FEW_SHINGLES),
}


def installed(package: str) -> bool:
    """Whether a package is here."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def rates(length: int, names: list[str], rounds: int) -> dict[str, list[float]]:
    """Evaluations a second of each contestant in each round."""
    hashes = np.random.default_rng(7).integers(0, 2**32, SHINGLES, dtype=np.uint32)
    works = {}
    for name in names:
        _, make, shingles = CONTESTANTS[name]
        works[name] = make(hashes[:shingles], length)
        works[name]()
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            begin = time.process_time()
            works[name]()
            found[name].append(CONTESTANTS[name][2] * FUNCTIONS / (time.process_time() - begin))
    return found


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="write the result there as well")
    options = parser.parse_args()
    names = [name for name, (package, _, _) in CONTESTANTS.items() if installed(package)]
    rows = []
    for length in LENGTHS:
        found = rates(length, names, options.rounds)
        cells = [f"{statistics.median(found[name]) / 1e9:.1f}" for name in names]
        for name in names[1:]:
            cells.append(f"{statistics.median(a / b for a, b in zip(found['ours'], found[name], strict=True)):.1f}")
        rows.append([str(length), *cells])
    head = ["shingles a document", *(f"{name}, 10^9/s" for name in names), *(f"ours / {name}" for name in names[1:])]
    others = ", ".join(f"{package} {version(package)}" for package in ("rensa", "datasketch") if installed(package))
    how = (
        f"{FUNCTIONS} hash functions, one core; evaluations a second of processor time, medians of {options.rounds} "
        f"rounds in turns; ours with the fold into {BANDS} band keys, the others without. `rensa` and `datasketch` "
        "hash strings too, `rensa, hashed` and ours begin with hashes. rensa's sketch does not evaluate every function "
        f"on every shingle and is counted as if it did. Others: {others or 'none installed'}."
    )
    lines = [*describe(), "", how, "", *markdown(head, rows)]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join([f"# {Path(__file__).stem}", "", *lines, ""]))


if __name__ == "__main__":
    main()

"""How fast are sort-and-run over band keys and union-find over edges on a GPU? Needs a GPU and CuPy.

    python benchmarks/links_device.py [--keys 100000000] [--edges 100000000] [--rounds 5] [--out FILE.md]

First components of small graphs and of small bands are compared with the CPU's; a difference ends the program with
status 1. Then kernels and limits take turns: the limit of sort-and-run is CuPy's sort of the keys alone, that of
union-find one read of each end of an edge at random places, which nothing that looks at both can do without.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from device import Contender, median_seconds, mixed_numbers, open_cupy, rates, rates_page
from machine import publish

from gpurefine import kernels
from gpurefine.kernels.cuda import collisions, components
from gpurefine.kernels.cuda.device import to_device

#: Of this many keys of a band one repeats another.
SPACING = 20


def differing() -> list[str]:
    """A sentence for each graph or band whose components are not the CPU's."""
    draw = np.random.default_rng(5)
    found = []
    for nodes, edges in ((1, 0), (1, 3), (100, 60), (5000, 4000), (5000, 40_000)):
        left, right = draw.integers(0, nodes, (2, edges), dtype=np.uint32)
        expected = np.arange(nodes, dtype=np.uint32)
        kernels.unite(left, right, expected)
        count = kernels.flatten(expected)
        parent = to_device(np.arange(nodes, dtype=np.uint32))
        joined = components.unite(to_device(left), to_device(right), parent)
        same_count = components.flatten(parent) == count and int(joined.sum()) == nodes - count
        if not same_count or not np.array_equal(parent.get(), expected):
            found.append(f"union-find: components of {nodes} nodes and {edges} edges differ from the CPU's")
    for documents, different in ((1, 1), (3000, 50), (3000, 2900), (4096, 4096)):
        keys = draw.integers(0, different, documents, dtype=np.uint64)  # key 0 is no key
        parent = to_device(np.arange(documents, dtype=np.uint32))
        collisions.link_band_keys(to_device(keys), to_device(np.arange(documents, dtype=np.uint32)), parent)
        components.flatten(parent)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        expected = np.where(keys == 0, np.arange(documents), first[which])
        if not np.array_equal(parent.get(), expected):
            found.append(f"sort-and-run: components of {documents} keys of {different} values are wrong")
    return found


def band(cupy: ModuleType, count: int) -> Any:
    """Keys of a band: irregular 64-bit numbers, of which one in ``SPACING`` is another one's again."""
    low = mixed_numbers(cupy, count).astype(cupy.uint64)
    keys = low << cupy.uint64(32) | low[::-1]
    keys[: count - 1 : SPACING] = keys[1::SPACING]
    return keys


def contenders(cupy: ModuleType, key_count: int, edge_count: int) -> list[Contender]:
    """Limits and kernels."""
    keys, positions = band(cupy, key_count), cupy.arange(key_count, dtype=cupy.uint32)
    parent = cupy.empty(key_count, cupy.uint32)

    def link() -> None:
        parent[:] = positions
        collisions.link_band_keys(keys, positions, parent)

    nodes = max(1, edge_count // 2)
    identity, roots = cupy.arange(nodes, dtype=cupy.uint32), cupy.empty(nodes, cupy.uint32)
    ends = mixed_numbers(cupy, 2 * edge_count) % cupy.uint32(nodes)
    left, right = ends[:edge_count].copy(), ends[edge_count:].copy()
    heads = cupy.arange(edge_count, dtype=cupy.uint32) % cupy.uint32(nodes)
    graphs = {"random edges": (left, right), "families of four": (heads // cupy.uint32(4) * cupy.uint32(4), heads)}

    def read() -> None:
        identity[left]
        identity[right]

    found = [
        Contender("sort", lambda: cupy.sort(keys), key_count, "keys"),
        Contender("sort-and-run", link, key_count, "keys", limit="sort"),
        Contender("reads at random", read, edge_count, "edges"),
    ]
    for name, (one, other) in graphs.items():

        def join(one: Any = one, other: Any = other) -> None:
            roots[:] = identity
            components.unite(one, other, roots)
            components.flatten(roots)

        found.append(Contender(f"union-find, {name}", join, edge_count, "edges", limit="reads at random"))
    return found


def main() -> int:
    """Compare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=100_000_000)
    parser.add_argument("--edges", type=int, default=100_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the table to this file")
    options = parser.parse_args()
    opened = open_cupy()
    if opened is None:
        return 2
    cupy, name = opened
    if wrong := differing():
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    measured = contenders(cupy, options.keys, options.edges)
    table = rates(measured, median_seconds(cupy, measured, options.rounds))
    told = (
        f"{options.keys:,} keys of a band, of which one in {SPACING} is another one's; {options.edges:,} edges between "
        f"{max(1, options.edges // 2):,} nodes; {options.rounds} rounds in turns. Components of small graphs and bands "
        "were the CPU's."
    )
    publish(rates_page(f"Sort-and-run and union-find on {name}", told, table), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

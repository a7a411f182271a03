"""Connected components against the golden clusters and a search that walks the graph."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.kernels import flatten, unite

GOLDEN = [
    case
    for line in (Path(__file__).parents[1] / "golden" / "clusters.jsonl").read_text("utf-8").splitlines()
    if (case := json.loads(line))["rule"] == "clusters"
]
graphs = st.integers(1, 30).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40))
)


def roots(documents, edges):
    """Root of each document, and the number of components, by the kernels."""
    parent = np.arange(documents, dtype=np.uint32)
    ends = np.array(edges, np.int64).reshape(-1, 2)
    unite(ends[:, 0], ends[:, 1], parent)
    return parent, flatten(parent)


def walked(documents, edges):
    """Sorted components, found by walking."""
    left, components = set(range(documents)), []
    while left:
        component, border = set(), {min(left)}
        while border:
            component |= border
            border = {b for edge in edges for a, b in (edge, edge[::-1]) if a in border} - component
        components.append(sorted(component))
        left -= component
    return components


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_golden_clusters(case):
    parent, count = roots(**case["input"])
    clusters = [np.flatnonzero(parent == root).tolist() for root in np.unique(parent)]
    assert clusters == case["expected"]["clusters"]
    assert count == case["expected"]["kept"]
    assert case["input"]["documents"] - count == case["expected"]["removed"]


@given(graph=graphs, order=st.randoms())
@example(graph=(30, [(i + 1, i) for i in range(29)]), order=None)
def test_the_root_is_the_least_document_in_any_order_of_edges(graph, order):
    documents, edges = graph
    expected = walked(documents, edges)
    for _ in range(2):
        parent, count = roots(documents, edges)
        assert count == len(expected)
        assert parent.tolist() == [next(c[0] for c in expected if document in c) for document in range(documents)]
        edges = [edge[::-1] for edge in edges]
        if order is not None:
            order.shuffle(edges)


def test_a_long_chain_is_flattened():
    # the worst order: each edge hangs the chain below a new root
    n = 100_000
    parent, count = roots(n, [(i, i - 1) for i in range(n - 1, 0, -1)])
    assert count == 1
    assert not parent.any()

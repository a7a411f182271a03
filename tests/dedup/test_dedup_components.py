"""Edge files to labels: against a walk, the memory it states, and damage."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory import measure

from gpurefine.dedup import components
from gpurefine.dedup.columnfile import ColumnWriter
from gpurefine.dedup.components import connect, connect_bytes
from gpurefine.errors import RunError
from gpurefine.write import read_footer

GOLDEN = [
    case
    for line in (Path(__file__).parents[1] / "golden" / "clusters.jsonl").read_text("utf-8").splitlines()
    if (case := json.loads(line))["rule"] in ("clusters", "clusters_from_bands")
]
MIB = 1 << 20


def write_edges(path, edges):
    with ColumnWriter(path, ["left", "right"]) as writer:
        for begin in range(0, len(edges), 5):
            left, right = np.array(edges[begin : begin + 5], np.uint64).T
            writer.write_slice([[left], [right]])
    return path


def labels(folder, *edge_lists, budget=MIB):
    """Labels {document: root} by ``connect``; the file must be sorted and its footer must hold the counts."""
    folder.mkdir(exist_ok=True)
    paths = [write_edges(folder / f"{number}.edges", edges) for number, edges in enumerate(edge_lists)]
    counts = connect(paths, folder / "labels.parquet", budget)
    table = pq.read_table(folder / "labels.parquet")
    found = dict(zip(table["document"].to_pylist(), table["root"].to_pylist(), strict=True))
    assert list(found) == sorted(found)
    assert counts == read_footer(folder / "labels.parquet")
    assert counts == {"documents": len(found), "clusters": len(set(found.values()))}
    return found


def walked(edges):
    """Labels {document: least document of the component} by repeated relaxation."""
    found = {document: document for edge in edges for document in edge if edge[0] != edge[1]}
    for _ in found:
        for one, other in edges:
            if one != other:
                found[one] = found[other] = min(found[one], found[other])
    return found


numbers = st.integers(0, 12) | st.integers(0, 5).map(lambda row: (3 << 32) + row) | st.just((1 << 63) - 2)


@settings(max_examples=40, deadline=None)
@given(
    edges=st.lists(st.tuples(numbers, numbers), max_size=40), cut=st.integers(0, 40), chunk=st.sampled_from([1, 3, 99])
)
@example(edges=[], cut=0, chunk=1)
@example(edges=[(7, 7)], cut=0, chunk=1)
def test_labels_are_the_least_documents_however_the_edges_are_cut(edges, cut, chunk):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(components, "CHUNK_EDGES", chunk)
        assert labels(Path(folder), edges[:cut], edges[cut:]) == walked(edges)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_golden_clusters(tmp_path, case):
    if case["rule"] == "clusters":
        documents, edges, expected = *case["input"].values(), case["expected"]["clusters"]
    else:
        documents, expected = len(case["input"]), case["expected"]
        edges = [
            (one, other)
            for other, keys in enumerate(case["input"])
            for one in range(other)
            if set(keys) & set(case["input"][one])
        ]
    found = labels(tmp_path, edges)
    roots = {}
    for document in range(documents):
        roots.setdefault(found.get(document, document), []).append(document)
    assert list(roots.values()) == expected


def test_more_documents_than_the_budget_holds_are_refused(tmp_path):
    edges = [(0, document) for document in range(1, 100)]
    assert labels(tmp_path / "enough", edges, budget=connect_bytes(100, 1)) == dict.fromkeys(range(100), 0)
    with pytest.raises(RunError, match=r"100 documents or more .* takes 1,868 bytes, .* 1,867: give more --memory"):
        labels(tmp_path / "short", edges, budget=connect_bytes(100, 1) - 1)
    assert not (tmp_path / "short" / "labels.parquet").exists()


def test_documents_far_apart_are_refused_before_they_take_more_than_the_budget(tmp_path):
    # a bitmap for each document, which no run of usual partitions comes near
    edges = [(number << 32, number << 40) for number in range(1, 1000)]
    far = {document for edge in edges for document in edge}
    assert len(labels(tmp_path / "enough", edges, budget=connect_bytes(len(far), len(far)))) == len(far)
    with pytest.raises(RunError, match=r"documents or more have a duplicate"):
        labels(tmp_path / "short", edges, budget=connect_bytes(500, 500))


def test_a_damaged_edge_file_is_named(tmp_path):
    path = write_edges(tmp_path / "a.edges", [(1, 2)])
    data = bytearray(path.read_bytes())
    data[9] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"a\.edges is damaged"):
        connect([path], tmp_path / "labels.parquet", MIB)
    assert not (tmp_path / "labels.parquet").exists()


MEASURE = """
    from gpurefine.dedup.components import connect

    small, large, out = sys.argv[1:]
    connect([small], Path(out), 1 << 30)
    before = current_memory()
    counts = connect([large], Path(out), 1 << 30)
    print(peak_memory() - before, counts["documents"])
"""


@pytest.mark.slow
def test_memory_is_twelve_bytes_a_document_and_some_room_to_work(tmp_path):
    small = write_edges(tmp_path / "small", [(0, 1)])
    pairs = np.random.default_rng(0).permutation(20_000_000).astype(np.uint64).reshape(2, -1)
    with ColumnWriter(tmp_path / "large", ["left", "right"]) as writer:
        writer.write_slice([[pairs[0]], [pairs[1]]])
    growth, documents = measure(MEASURE, small, tmp_path / "large", tmp_path / "labels.parquet")
    assert documents == 20_000_000
    assert growth < connect_bytes(documents, documents >> 12) + 40 * MIB

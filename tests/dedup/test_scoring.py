"""Scores of candidates, what is accepted of them, and members at any threshold, against Python's sets and tables."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurefine.dedup import scoring
from gpurefine.dedup.accepting import Thresholds, accept, best_similarities, label_members, threshold_problem
from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.components import connect
from gpurefine.dedup.members import MEMBER_SCHEMA
from gpurefine.dedup.scoring import score_candidates
from gpurefine.dedup.unitfile import UnitWriter
from gpurefine.write import TableWriter

MIB = 1 << 20


def textbook_distance(one, other):
    row = list(range(len(other) + 1))
    for number, unit in enumerate(one, 1):
        above, row = row, [number]
        for place, also in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[place] + 1, above[place - 1] + (unit != also)))
    return row[-1]


def shingles(text, n):
    return {tuple(text[place : place + n]) for place in range(max(1, len(text) - n + 1))} if text else set()


def jaccard_of(one, other, n):
    one, other = shingles(one, n), shingles(other, n)
    return len(one & other) / max(1, len(one | other))


def edit_of(one, other):
    longest = max(len(one), len(other))
    return (longest - textbook_distance(one, other)) / longest


def scores(folder, partitions, pairs, *, n=2, kind=np.uint16, edit=True, budget=MIB):
    """Scored pairs as {(left, right): (jaccard, edit)}."""
    units = []
    for number, texts in enumerate(partitions):
        units.append(folder / f"{number}.units")
        with UnitWriter(units[-1]) as writer:
            flat = np.array([unit for text in texts for unit in text], kind)
            writer.add(flat, np.cumsum([0, *map(len, texts)]))
    with ColumnWriter(folder / "candidates", ["left", "right"]) as writer:
        for half in (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]):
            writer.write_slice([[np.array([pair[side] for pair in half], np.uint64)] for side in (0, 1)])
    counts = score_candidates(folder / "candidates", units, n, edit, folder / "scores.parquet", budget)
    rows = pq.read_table(folder / "scores.parquet").to_pylist()
    assert counts["scored"] == len(rows) == len(pairs)
    return {(row["left"], row["right"]): (row["jaccard"], row["edit"]) for row in rows}


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), max_size=4), min_size=1, max_size=3),
    st.integers(1, 3),
    st.sampled_from([np.uint16, np.uint32, np.uint64]),
    st.sampled_from([64, MIB]),
)
def test_scores_are_those_of_sets_and_tables(tmp_path_factory, partitions, n, kind, budget):
    numbers = [(part << 32) + row for part, texts in enumerate(partitions) for row in range(len(texts))]
    texts = {number: partitions[number >> 32][number & 0xFFFFFFFF] for number in numbers}
    pairs = list(itertools.permutations(numbers, 2))
    found = scores(tmp_path_factory.mktemp("s"), partitions, pairs, n=n, kind=kind, budget=budget)
    for (left, right), (jaccard, edit) in found.items():
        expected = jaccard_of(texts[left], texts[right], n)
        assert jaccard == expected
        assert edit == (edit_of(texts[left], texts[right]) if expected >= 0.5 else None)


def test_edit_similarities_are_measured_where_they_are_asked_for_and_do_not_take_too_long(tmp_path, monkeypatch):
    texts = [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 9, 5, 6, 7, 8]]
    assert scores(tmp_path, [texts], [(0, 1)], n=1, edit=False) == {(0, 1): (7 / 9, None)}
    assert scores(tmp_path, [texts], [(0, 1)], n=1) == {(0, 1): (7 / 9, 7 / 8)}
    monkeypatch.setattr(scoring, "MOST_STEPS", 0)
    assert scores(tmp_path, [texts], [(0, 1)], n=1) == {(0, 1): (7 / 9, None)}
    counts = score_candidates(tmp_path / "candidates", [tmp_path / "0.units"], 1, True, tmp_path / "again", MIB)
    assert counts == {"scored": 1, "unmeasured": 1}


def test_more_kinds_of_units_than_have_numbers_of_their_own(tmp_path):
    one = list(range(70_000))
    other = [number + (number == 40_000) * 10**9 for number in one]
    ((jaccard, edit),) = scores(tmp_path, [[one, other]], [(0, 1)], n=1, kind=np.uint32).values()
    assert edit == 69_999 / 70_000
    # of so many shingles some have one 32-bit hash
    assert jaccard == pytest.approx(69_999 / 70_001, abs=1e-7)


def write_scores(path, rows):
    columns = zip(*rows, strict=True) if rows else [[]] * 4
    with TableWriter(path, scoring.SCORE_SCHEMA) as writer:
        writer.write(pa.table([list(column) for column in columns], schema=scoring.SCORE_SCHEMA))
        writer.close({})


similarity = st.sampled_from([0.5, 0.6, 0.8, 0.9, 1.0])
edges = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), similarity, st.none() | similarity).filter(
        lambda row: row[0] != row[1]
    ),
    max_size=12,
)


@given(st.lists(edges, min_size=1, max_size=3), similarity, st.none() | similarity)
def test_what_is_accepted_and_who_is_a_member_why(tmp_path_factory, files, jaccard, edit):
    folder = tmp_path_factory.mktemp("a")
    thresholds = Thresholds(jaccard, edit)
    near = [
        row for rows in files for row in rows if row[2] > jaccard and (edit is None or row[3] is None or row[3] > edit)
    ]
    edge_paths, evidence = ([folder / f"{name}-{number}" for number in range(len(files))] for name in ("e", "v"))
    for number, rows in enumerate(files):
        write_scores(folder / f"s-{number}", rows)
        accept(folder / f"s-{number}", thresholds, evidence[number], edge_paths[number])
    found = [pair for path in edge_paths for part in ColumnFile(path).iterate(0, len(ColumnFile(path).rows), 99)
             for pair in part.T.tolist()]  # fmt: skip
    assert sorted(map(tuple, found)) == sorted(row[:2] for row in near)
    connect(edge_paths, folder / "labels", MIB)
    # two files of documents; some of them have no pair that is similar enough
    best, members = {}, []
    for number, documents in enumerate(([3, 0, 1, 2, 4], [9, 8, 5, 6, 7])):
        known = pa.Table.from_pylist(
            [{"root": 0, "document": each, "priority": 7 * each, "id": str(each)} for each in documents],
            schema=pa.schema([field.with_nullable(True) for field in MEMBER_SCHEMA]),
        ).cast(MEMBER_SCHEMA)
        with TableWriter(folder / f"k-{number}", MEMBER_SCHEMA) as writer:
            writer.write(known)
            writer.close({})
        counts = label_members(folder / "labels", folder / f"k-{number}", evidence, folder / f"m-{number}")
        rows = pq.read_table(folder / f"m-{number}").to_pylist()
        assert counts["members"] == len(rows)
        assert [row["root"] for row in rows] == sorted(row["root"] for row in rows)
        members += rows
    for left, right, one, other in near:
        for end in (left, right):
            best[end] = max(best.get(end, (0, -1)), (one, -1 if other is None else other))
    assert {row["document"]: (row["jaccard"], -1 if row["edit"] is None else row["edit"]) for row in members} == best
    assert all(row["id"] == str(row["document"]) and row["priority"] == 7 * row["document"] for row in members)
    labels = {row["document"]: row["root"] for row in pq.read_table(folder / "labels").to_pylist()}
    assert {row["document"]: row["root"] for row in members} == labels


def test_thresholds_below_what_is_scored_are_told():
    assert threshold_problem("jaccard", 0.5) is None
    assert threshold_problem("edit", 0.0) is None
    assert "from 0.5 to 1" in threshold_problem("jaccard", 0.49)
    assert "from 0.0 to 1" in threshold_problem("edit", 1.01)
    assert "jaccard is nan" in threshold_problem("jaccard", math.nan)


def test_no_evidence_is_no_similarity():
    found = best_similarities(np.array([4], np.uint64), [], (0, 9))
    assert [values.to_pylist() for values in found] == [[None], [None]]

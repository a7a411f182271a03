"""Spans of marked pieces, against sets of pieces."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.kernels import list_spans, mark_pieces


def spans_by_sets(marked, sizes, length):
    """(document, first, last) of each run of covered pieces."""
    found, begin = [], 0
    for document, size in enumerate(sizes):
        own = [piece - begin for piece in marked if begin <= piece < begin + size]
        covered = {piece for mark in own for piece in range(mark, min(mark + length, size))}
        run = []
        for piece in range(size + 1):
            if piece in covered:
                run.append(piece)
            elif run:
                found.append((document, run[0], run[-1] + 1))
                run = []
        begin += size
    return found


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    marks=st.lists(st.integers(0, 239), max_size=30),
    length=st.integers(1, 12),
)
def test_spans_are_the_runs_of_covered_pieces(sizes, marks, length):
    pieces = sum(sizes)
    marked = [mark for mark in marks if mark < pieces]
    bits = np.zeros(pieces // 8 + 1, np.uint8)
    mark_pieces(np.array(marked, np.uint64), bits)
    starts = np.cumsum([0, *sizes])
    count = list_spans(bits, starts, length, np.empty(0, np.int64), np.empty((0, 2), np.int64))
    documents, bounds = np.empty(count, np.int64), np.empty((count, 2), np.int64)
    if count:
        assert list_spans(bits, starts, length, documents, bounds) == count
    found = [(document, *bound) for document, bound in zip(documents.tolist(), bounds.tolist(), strict=True)]
    assert found == spans_by_sets(marked, sizes, length)

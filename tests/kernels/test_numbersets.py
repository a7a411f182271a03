"""Sets of document numbers with ranks, against Python's sets and sorting."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.kernels import (
    BITMAP_BITS,
    count_members,
    enter_numbers,
    flatten,
    list_members,
    place_bitmaps,
    rank_members,
    unite_numbers,
)

WORDS = 1 << BITMAP_BITS - 6
near = st.integers(0, 200) | st.integers(4090, 4100)
numbers = near | near.map(lambda row: (7 << 32) + row) | st.integers(0, (1 << 63) - 2)
edge_lists = st.lists(st.tuples(numbers, numbers), max_size=60)


class NumberSet:
    """The arrays that a caller keeps, here as short as they can be."""

    def __init__(self, edges):
        self.left, self.right = np.array(edges, np.uint64).reshape(-1, 2).T.copy()
        self.ids, self.words, self.slots = (
            np.zeros(1, np.uint64),
            np.zeros((1, WORDS), np.uint64),
            np.zeros(2, np.uint32),
        )
        begin = self.filled = 0
        while begin < len(edges):
            done, self.filled = enter_numbers(
                self.left[begin:], self.right[begin:], self.slots, self.ids, self.words, self.filled
            )
            begin += done
            if begin < len(edges):
                assert self.filled == len(self.ids)
                self.grow()
        self.members = count_members(self.words, self.filled)
        self.order = np.argsort(self.ids[: self.filled])
        self.word_ranks, self.bases = np.zeros(self.words.shape, np.uint16), np.zeros(len(self.ids), np.uint32)
        rank_members(self.order, self.words, self.word_ranks, self.bases)

    def grow(self):
        size = 2 * len(self.ids)
        self.ids, self.words = np.resize(self.ids, size), np.resize(self.words, (size, WORDS))
        self.ids[self.filled :], self.words[self.filled :] = 0, 0
        self.slots = np.zeros(2 * size, np.uint32)
        place_bitmaps(self.slots, self.ids, self.filled)

    def listed(self):
        found = np.empty(self.members, np.uint64)
        list_members(self.order, self.ids, self.words, found)
        return found.tolist()


@given(edges=edge_lists)
@example(edges=[])
@example(edges=[(5, 5)])
@example(edges=[(0, 63), (64, 4095), (4096, (1 << 63) - 2)])
def test_the_set_holds_both_ends_of_all_edges_in_order(edges):
    expected = {number for edge in edges for number in edge if edge[0] != edge[1]}
    assert NumberSet(edges).listed() == sorted(expected)


@given(edges=edge_lists)
@example(edges=[(3, 2), (2, 1), (4095, 4096), (4096, 1)])
def test_edges_unite_the_places_of_their_ends(edges):
    found = NumberSet(edges)
    documents = found.listed()
    parent = np.arange(len(documents), dtype=np.uint32)
    unite_numbers(
        found.left, found.right, found.slots, found.ids, found.words, found.word_ranks, found.bases, parent
    )  # fmt: skip
    flatten(parent)
    root = {document: document for document in documents}
    for _ in documents:
        for one, other in edges:
            if one != other:
                root[one] = root[other] = min(root[one], root[other])
    assert [documents[place] for place in parent] == [root[document] for document in documents]


def test_a_full_bitmap():
    # every bit of every word: 4,096 members, the largest rank inside a bitmap
    begin = 9 << BITMAP_BITS
    full = NumberSet([(begin + number, begin + number + 1) for number in range((1 << BITMAP_BITS) - 1)])
    assert full.filled == 1
    assert full.listed() == list(range(begin, begin + (1 << BITMAP_BITS)))

"""Equal keys to edges, against a dictionary."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.kernels import EMPTY, link_equal_keys

LARGEST = (1 << 63) - 2
pairs = st.tuples(st.sampled_from([0, 1, 2**64 - 1, 7]), st.sampled_from([0, 5]), st.integers(0, 9) | st.just(LARGEST))


class Table:
    """The arrays that a caller keeps between calls."""

    def __init__(self, columns, slots=64):
        self.keys, self.documents = np.empty((slots, columns), np.uint64), np.full(slots, EMPTY)
        self.room, self.shared, self.edges = slots - 1, 0, []

    def link(self, rows, part=0, parts=1, salt=3):
        """Enter rows of (key columns..., document)."""
        block = np.array(rows, np.uint64).reshape(len(rows), self.keys.shape[1] + 1).T.copy()
        left, right = np.empty((2, len(rows)), np.uint64)
        filled, entered, shared = link_equal_keys(
            block[:-1], block[-1], self.keys, self.documents, self.room, np.uint64(salt), part, parts, left, right, 0
        )
        self.room -= entered
        self.shared += shared
        self.edges += zip(left[:filled].tolist(), right[:filled].tolist(), strict=True)
        return entered


def brute_force(rows):
    """Edges from the first document of each key, and how many keys several documents have."""
    first, edges, shared = {}, [], set()
    for *key, document in rows:
        centre = first.setdefault(tuple(key), document)
        if centre != document:
            edges.append((centre, document))
            shared.add(tuple(key))
    return edges, len(shared)


@given(rows=st.lists(pairs, max_size=40), cut=st.integers(0, 40), salt=st.integers(0, 2**64 - 1))
@example(rows=[(0, 0, LARGEST), (0, 0, 0), (0, 0, LARGEST)], cut=1, salt=0)
def test_edges_go_from_the_first_document_of_a_key_to_each_further_one(rows, cut, salt):
    table = Table(columns=2)
    table.link(rows[:cut], salt=salt)
    table.link(rows[cut:], salt=salt)
    assert (table.edges, table.shared) == brute_force(rows)


@given(rows=st.lists(pairs, max_size=40), parts=st.integers(1, 5))
def test_parts_share_the_keys_out(rows, parts):
    tables = [Table(columns=2) for _ in range(parts)]
    entered = sum(table.link(rows, part, parts) for part, table in enumerate(tables))
    assert entered == len({row[:-1] for row in rows})
    assert sorted(edge for table in tables for edge in table.edges) == sorted(brute_force(rows)[0])


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_every_column_belongs_to_the_key(columns):
    rows = [(*(int(column == other) for other in range(columns)), column) for column in range(columns)]
    table = Table(columns)
    assert table.link([*rows, *rows]) == columns
    assert table.edges == []
    table.link([(*row[:-1], 99) for row in rows])
    assert table.edges == [(column, 99) for column in range(columns)]


def test_a_table_without_room_says_so_but_still_knows_its_keys():
    table = Table(columns=1, slots=4)
    assert table.link([(key, key) for key in range(3)]) == 3
    assert table.link([(key, 9) for key in range(3)]) == 0
    assert table.link([(3, 3)]) == -1


def test_parts_are_even():
    rows = [(key, key) for key in range(1000)]
    entered = [Table(columns=1, slots=1024).link(rows, part, 4) for part in range(4)]
    assert sum(entered) == 1000
    assert min(entered) > 180

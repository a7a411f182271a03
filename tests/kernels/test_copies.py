"""Copies among rows of (key, order, place), against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.kernels import EMPTY, enter_copies, list_copies

LARGEST = (1 << 63) - 2
keys = st.tuples(st.sampled_from([0, 1, 2**64 - 1]), st.sampled_from([0, 5, 2**64 - 1]))
rows = st.lists(st.tuples(keys, st.sampled_from([0, 3, 2**64 - 1])), max_size=40)


def columns(found, step=7):
    """high, low, order, place of rows; places are not in the order of the rows."""
    n = len(found)
    places = [LARGEST - (number * step) % 41 for number in range(n)]
    high, low = np.array([key for key, _ in found], np.uint64).reshape(n, 2).T
    return high.copy(), low.copy(), np.array([order for _, order in found], np.uint64), np.array(places, np.uint64)


def copies(found, places, ordered, keep_one):
    """Places that leave, by a dictionary."""
    of_key = {}
    for (key, order), place in zip(found, places.tolist(), strict=True):
        of_key.setdefault(key, []).append((order if ordered else 0, place))
    gone = {place for each in of_key.values() if len(each) > 1 for _, place in each}
    return gone - ({min(each)[1] for each in of_key.values()} if keep_one else set())


@given(
    found=rows, ordered=st.booleans(), keep_one=st.booleans(), parts=st.integers(1, 4), salt=st.integers(0, 2**64 - 1)
)
def test_places_of_copies_are_those_of_a_dictionary(found, ordered, keep_one, parts, salt):
    high, low, orders, places = columns(found)
    orders = orders if ordered else np.empty(0, np.uint64)
    slots, gone = 16, []
    for part in range(parts):
        table = np.empty((slots, 2), np.uint64), np.empty(slots if ordered else 0, np.uint64), np.full(slots, EMPTY)
        half, end = len(found) // 2, len(found)
        room = slots - 1
        for piece in (slice(0, half), slice(half, end)):
            entered = enter_copies(
                high[piece], low[piece], orders[piece], places[piece], *table, room, np.uint64(salt), part, parts
            )
            assert entered >= 0
            room -= entered
        out = np.empty(end, np.uint64)
        listed = list_copies(high, low, places, table[0], table[2], keep_one, np.uint64(salt), part, parts, out)
        gone += out[:listed].tolist()
    assert len(gone) == len(set(gone))
    assert set(gone) == copies(found, places, ordered, keep_one)


def test_a_full_table_is_told():
    high = np.arange(5, dtype=np.uint64)
    none = np.empty(0, np.uint64)
    table = np.empty((4, 2), np.uint64), none, np.full(4, EMPTY)
    assert enter_copies(high, high, none, high, *table, 3, np.uint64(1), 0, 1) == -1


@pytest.mark.parametrize("count", [100_000])
def test_many_copies_of_one_key_take_one_slot(count):
    same, places, none = np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64), np.empty(0, np.uint64)
    table = np.empty((2, 2), np.uint64), none, np.full(2, EMPTY)
    assert enter_copies(same, same, none, places, *table, 1, np.uint64(1), 0, 1) == 1
    out = np.empty(count, np.uint64)
    assert list_copies(same, same, places, table[0], table[2], True, np.uint64(1), 0, 1, out) == count - 1
    assert out[0] == 1

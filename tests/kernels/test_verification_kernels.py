"""Edit distance, shared members and hubs of keys, against the textbook's table, Python's sets and a dictionary."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.kernels import count_shared, edit_distances, enter_hubs, list_candidates, sort_sets

GOLDEN = [
    case
    for line in (Path(__file__).parents[1] / "golden" / "presets_dedup.jsonl").read_text("utf-8").splitlines()
    if (case := json.loads(line))["rule"] == "lee_edit_similarity"
]
MOST = 1 << 30


def textbook_distance(one, other):
    """Rows of the table of distances between beginnings."""
    row = list(range(len(other) + 1))
    for number, unit in enumerate(one, 1):
        above, row = row, [number]
        for place, also in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[place] + 1, above[place - 1] + (unit != also)))
    return row[-1]


def distances(pairs, most=MOST):
    units = np.array([unit for pair in pairs for text in pair for unit in text], np.uint16)
    starts = np.cumsum([0, *(len(text) for pair in pairs for text in pair)])
    matches = np.zeros(1 << 16, np.uint64)
    left = np.arange(0, 2 * len(pairs), 2)
    found = edit_distances(units, starts, left, left + 1, matches, most)
    assert not matches.any()
    return found.tolist()


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_golden_edit_similarities(case):
    known = {}
    one, other = ([known.setdefault(word, len(known)) for word in case["input"][side]] for side in "ab")
    (distance,) = distances([(one, other)])
    assert distance == case["expected"]["edit_distance"]
    similarity = 1 - distance / max(len(one), len(other))
    assert similarity == pytest.approx(case["expected"]["similarity"])


@st.composite
def edited_pairs(draw):
    """Texts over few or many units, the second one often an edit of the first; lengths around those of words."""
    unit = st.integers(0, draw(st.sampled_from([1, 3, 65535])))
    length = draw(st.sampled_from([0, 1, 5, 63, 64, 65, 127, 128, 129, 150]))
    one = draw(st.lists(unit, min_size=length, max_size=length))
    if draw(st.booleans()):
        return one, draw(st.lists(unit, max_size=140))
    other = list(one)
    for place in draw(st.lists(st.integers(0, 160), max_size=12)):
        place = min(place, len(other))
        other[place : place + draw(st.integers(0, 2))] = draw(st.lists(unit, max_size=2))
    return one, other


@given(st.lists(edited_pairs(), min_size=1, max_size=3))
@example([([1] * 64, [1] * 65), ([], []), ([7], []), ([1, 2] * 64, [2, 1] * 64)])
def test_edit_distances_are_those_of_the_textbook(pairs):
    assert distances(pairs) == [textbook_distance(*pair) for pair in pairs]


def test_a_pair_that_takes_too_long_has_no_distance():
    one, other = list(range(130)), list(range(1000, 1130))
    assert distances([(one, other)], most=3 * 130) == [130]
    assert distances([(one, other)], most=3 * 130 - 1) == [-1]
    # what both have at their beginning and end is no work
    assert distances([([9] * 500 + one + [8] * 500, [9] * 500 + other + [8] * 500)], most=3 * 130) == [130]


@given(st.lists(st.lists(st.integers(0, 30), max_size=20), min_size=1, max_size=6), st.data())
def test_sets_and_what_they_share(documents, data):
    hashes = np.array([value for document in documents for value in document], np.uint32)
    starts = np.cumsum([0, *map(len, documents)])
    sizes = np.empty(len(documents), np.int64)
    sort_sets(hashes, starts, sizes)
    sets = [set(document) for document in documents]
    kept = [hashes[begin : begin + size].tolist() for begin, size in zip(starts, sizes, strict=False)]
    assert kept == [sorted(each) for each in sets]
    number = st.integers(0, len(documents) - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=8))
    left, right = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    assert count_shared(hashes, starts, sizes, left, right).tolist() == [len(sets[a] & sets[b]) for a, b in pairs]


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=9, max_size=9), min_size=1, max_size=12),
    st.permutations(range(9)),
    st.integers(1, 3),
    st.integers(0, 9),
    st.integers(0, 2**64 - 1),
)
def test_hubs_and_how_often_each_is_met(bands, orders, parts, remembered, salt):
    orders = np.array(orders, np.uint64)
    last, times = np.zeros((remembered, 2), np.uint64), np.zeros(remembered, np.int64)
    out, filled = np.zeros((4, 200), np.uint64), 0
    expected = {}
    for keys in bands:
        for part in range(parts):
            table, room = np.zeros((16, 3), np.uint64), 15
            # in two pieces, as chunks of a file
            for begin, end in ((0, 4), (4, 9)):
                piece = np.array(keys[begin:end], np.uint64)
                entered = enter_hubs(piece, orders[begin:end], begin, table, room, np.uint64(salt), part, parts)
                assert entered >= 0
                room -= entered
            piece = np.array(keys, np.uint64)
            filled = list_candidates(piece, 0, table, np.uint64(salt), part, parts, last, times, out, filled)
        for key in set(keys) - {0}:
            members = [row for row, own in enumerate(keys) if own == key]
            hub = min(members, key=lambda row: orders[row])
            for row in members:
                if row != hub:
                    expected[row, hub] = expected.get((row, hub), 0) + 1
    found = {}
    rows = [tuple(row) for row in out[:, :filled].T.tolist()]
    rows += [(row, *last[row].tolist(), int(times[row])) for row in range(remembered) if times[row]]
    for row, hub, order, count in rows:
        assert order == orders[hub]
        found[row, hub] = found.get((row, hub), 0) + count
    assert found == expected


def test_hubs_that_do_not_fit_are_told():
    keys, table = np.arange(1, 9, dtype=np.uint64), np.zeros((16, 3), np.uint64)
    assert enter_hubs(keys, keys, 0, table, 7, np.uint64(0), 0, 1) == -1

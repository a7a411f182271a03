"""Measures of a clustering that the benchmarks use."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

CLUSTERINGS = st.integers(2, 9).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 3), min_size=size, max_size=size)] * 2)
)


@pytest.fixture(scope="module")
def truth(benchmark_module):
    return benchmark_module("truth")


def test_rand_index_of_a_worked_example(truth):
    # 3 + 3 documents against 2 + 2 + 2: pairs 6 and 3, both 2; by chance 6 * 3 / 15 = 1.2
    found, true = truth.labels("aaabbb"), truth.labels("xxyyzz")
    assert truth.pair_counts(found, true) == (2, 6, 3)
    assert truth.adjusted_rand_index(found, true) == pytest.approx((2 - 1.2) / (4.5 - 1.2))


@given(CLUSTERINGS)
@example(([0, 1, 2], [0, 1, 2]))
@example(([0, 0, 0], [0, 1, 2]))
def test_rand_index_is_the_definition_over_all_pairs(truth, both):
    one, other = both
    pairs = list(combinations(range(len(one)), 2))
    together = [{pair for pair in pairs if label[pair[0]] == label[pair[1]]} for label in both]
    common, first, second = len(together[0] & together[1]), len(together[0]), len(together[1])
    chance = first * second / comb(len(one), 2)
    most = (first + second) / 2
    expected = 1.0 if together[0] == together[1] else (common - chance) / (most - chance)
    labels = truth.labels(one), truth.labels(other)
    assert truth.adjusted_rand_index(*labels) == pytest.approx(expected)
    assert truth.pairs_of(labels[0]) == together[0]


def test_components_join_chains(truth):
    assert truth.components(6, [(4, 1), (2, 4), (5, 3)]).tolist() == [0, 1, 1, 2, 1, 2]


@given(st.lists(st.frozensets(st.integers(0, 12), max_size=10), max_size=12), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
@example([frozenset(range(10)), frozenset(range(8))], 0.8)
def test_similar_pairs_are_those_of_all_comparisons(truth, sets, least):
    every = [
        (one, other)
        for one, other in combinations(range(len(sets)), 2)
        if sets[one] | sets[other] and len(sets[one] & sets[other]) / len(sets[one] | sets[other]) >= least
    ]
    assert sorted(truth.similar_pairs(sets, least)) == every


def test_similarity_by_hand(truth):
    one, other = (truth.shingle_set(text.split(), 2) for text in ("a b c d", "x b c d"))
    assert truth.jaccard(one, other) == pytest.approx(2 / 4)
    assert truth.shingle_set(["a"], 5) == {("a",)} and truth.shingle_set([], 5) == frozenset()
    assert truth.label_words("It's 漢字 カナ") == ["it", "s", "漢", "字", "カ", "ナ"]
    assert truth.normalised("Café — don't\tΣΑΣ≠x") == "cafe don t σασ x"
    assert truth.match_probability(np.array([0.0, 0.75, 0.8, 1.0]), 450, 20) == pytest.approx(
        [0, 0.7605, 0.9946, 1], abs=5e-5
    )

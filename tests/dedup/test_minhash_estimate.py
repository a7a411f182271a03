"""Whether minima and band keys do what the theory of MinHash says: on sets of known similarity, and on real texts."""

import numpy as np
import pandas as pd
import pytest

from gpurefine.dedup.permutations import permutations
from gpurefine.frames import string_column, text_buffers
from gpurefine.kernels import band_keys, minima, shingle_hashes
from gpurefine.text.shingles import Shingler

SIMILARITIES = (0.05, 0.1, 0.5, 0.8, 0.95)
#: Shingles of a set -> pairs of sets; the slow test takes twenty times as many.
PAIRS = {5: 60, 50: 60, 500: 40, 5000: 12, 50_000: 2}

#: Between these of a standard normal variable lie 99 %.
QUANTILE_99 = 2.5758


def shingle_pairs(size, similarity, pairs, first=0):
    """Pairs of sets of ``size`` shingles of the nearest possible similarity: shingles, offsets, the similarity itself.

    Set 2i and set 2i + 1 share shingles. Shingles are hashes of the numbers from ``first`` on, so they are as regular
    before hashing as token ids; nothing is drawn.
    """
    shared = min(max(round(2 * size * similarity / (1 + similarity)), 1), size - 1)
    union = 2 * size - shared
    numbers = first + np.arange(pairs * union, dtype=np.uint32)
    hashes = shingle_hashes(numbers, np.array([0, len(numbers)]), 1)[0].reshape(pairs, union)
    sets = np.stack([hashes[:, :size], hashes[:, union - size :]], 1)
    return sets.ravel(), np.arange(0, sets.size + 1, size), shared / union


def check_estimate(size, similarity, pairs):
    """The mean estimate of 9,000 functions is within four of its standard errors."""
    family = permutations(1, 450, 20)
    shingles, offsets, exact = shingle_pairs(size, similarity, pairs)
    signatures = minima(shingles, offsets, family.multipliers, family.increments, 450, 20)
    estimates = (signatures[0::2] == signatures[1::2]).mean((1, 2))
    error = np.sqrt(exact * (1 - exact) / 9000 / pairs)
    assert abs(estimates.mean() - exact) < 4 * error, (exact, estimates.mean(), error)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("size", PAIRS)
def test_share_of_equal_minima_is_the_similarity(size, similarity):
    check_estimate(size, similarity, PAIRS[size])


@pytest.mark.slow
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("size", PAIRS)
def test_share_of_equal_minima_is_the_similarity_of_many_pairs(size, similarity):
    check_estimate(size, similarity, 20 * PAIRS[size])


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 50, 500])
@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.8])
def test_estimates_scatter_as_those_of_independent_functions(size, similarity):
    pairs = 1000
    family = permutations(1, 450, 20)
    shingles, offsets, exact = shingle_pairs(size, similarity, pairs)
    signatures = minima(shingles, offsets, family.multipliers, family.increments, 450, 20)
    estimates = (signatures[0::2] == signatures[1::2]).mean((1, 2))
    # a standard deviation of 1,000 values is known to 2.2 %
    assert 0.9 < estimates.std() / np.sqrt(exact * (1 - exact) / 9000) < 1.1


@pytest.mark.parametrize(
    ("bands", "rows", "similarity"),
    [(14, 8, 0.5), (14, 8, 0.7), (14, 8, 0.9), (20, 13, 0.7), (20, 13, 0.8), (450, 20, 0.7), (450, 20, 0.75)],
)
def test_bands_agree_and_pairs_collide_as_often_as_the_formula_says(bands, rows, similarity):
    pairs = 600
    family = permutations(1, bands, rows)
    shingles, offsets, exact = shingle_pairs(100, similarity, pairs)
    keys = np.empty((bands, 2 * pairs), np.uint64)
    band_keys(shingles, offsets, family.multipliers, family.increments, bands, rows, keys)
    equal = keys[:, 0::2] == keys[:, 1::2]
    expected = exact**rows
    assert abs(equal.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / equal.size)
    collides = 1 - (1 - exact**rows) ** bands
    assert abs(equal.any(0).mean() - collides) < 4 * np.sqrt(collides * (1 - collides) / pairs)


def test_band_keys_are_equal_just_where_all_minima_of_the_band_are():
    family = permutations(5, 20, 3)
    shingles, offsets, _ = shingle_pairs(40, 0.8, 50)
    keys = np.empty((20, 100), np.uint64)
    band_keys(shingles, offsets, family.multipliers, family.increments, 20, 3, keys)
    signatures = minima(shingles, offsets, family.multipliers, family.increments, 20, 3)
    agree = (signatures[0::2] == signatures[1::2]).all(1)
    assert 0.3 < agree.mean() < 0.7
    assert np.array_equal(keys[:, 0::2] == keys[:, 1::2], agree.T)


def jaccard(left, right):
    """Exact similarity of two documents' shingles as sets of hashes."""
    left, right = set(left.tolist()), set(right.tolist())
    return len(left & right) / len(left | right)


@pytest.fixture(scope="session")
def edited_texts(shared_data):
    """Real texts and edits of them: hashes of word 5-grams, starts, and pairs (edit, text it was made of) of rows."""
    frame = pd.read_parquet(shared_data / "labels" / "graded_edits.parquet")
    hashes, starts = Shingler("word", 5).shingles(*text_buffers(string_column(frame["text"])))
    row_of = {name: row for row, name in enumerate(frame["id"])}
    pairs = [(row, row_of[base]) for row, base in enumerate(frame["base"]) if base in row_of and row_of[base] != row]
    return hashes, starts, np.array(pairs)


@pytest.mark.parametrize(("bands", "rows"), [(450, 20), (14, 8), (20, 13)])
def test_curve_on_real_texts(edited_texts, bands, rows):
    hashes, starts, pairs = edited_texts
    documents = np.split(hashes, starts[1:-1])
    assert len(pairs) > 1000
    exact = np.array([jaccard(documents[row], documents[base]) for row, base in pairs])
    predicted = 1 - (1 - exact**rows) ** bands
    hits = []
    for seed in range(1, 9):
        family = permutations(seed, bands, rows)
        keys = np.empty((bands, len(documents)), np.uint64)
        band_keys(hashes, starts, family.multipliers, family.increments, bands, rows, keys)
        hits.append((keys[:, pairs[:, 0]] == keys[:, pairs[:, 1]]).any(0))
        assert_as_predicted(hits[-1:], predicted)
    hits = np.array(hits)
    assert_as_predicted(hits, predicted)
    for tenth in range(11):
        inside = np.floor(exact * 10) == tenth
        assert_as_predicted(hits[:, inside], predicted[inside])


def assert_as_predicted(hits, predicted):
    """Hits of each pair under some seeds: their number is within the 99 % interval of the predicted probabilities."""
    expected = predicted.sum() * len(hits)
    deviation = np.sqrt((predicted * (1 - predicted)).sum() * len(hits))
    assert abs(np.sum(hits) - expected) <= QUANTILE_99 * deviation + 1e-6, (np.sum(hits), expected, deviation)

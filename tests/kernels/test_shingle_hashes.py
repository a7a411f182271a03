"""Units and shingle hashes against Python, and whether the hashes are mixed well enough for MinHash."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from minhash_oracle import shingle_hash

from gpurefine.kernels import character_units, minima, shingle_hashes, word_units
from gpurefine.text.characters import character_classes

texts_of_words = st.lists(st.text(st.sampled_from("a bé\x1c\u2003\n漢😀") | st.characters(codec="utf-8")), max_size=6)


def buffers(texts, before=b""):
    """UTF-8 of texts as bytes and offsets, which begin behind ``before``."""
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(before + b"".join(encoded), np.uint8)
    return data, np.cumsum([len(before), *map(len, encoded)])


def cut(values, starts):
    """The values of each text as lists."""
    return [part.tolist() for part in np.split(values, starts[1:-1])] if len(starts) > 1 else []


@given(
    texts=st.lists(st.lists(st.integers(0, 2**16 - 1), max_size=12), max_size=6),
    n=st.integers(1, 8),
    kind=st.sampled_from([np.uint16, np.uint32, np.uint64]),
)
@example(texts=[[], [1], [1, 2, 3, 4], [1, 2, 3, 4, 5], [0] * 7], n=5, kind=np.uint16)
def test_shingles_are_hashes_of_runs_of_units(texts, n, kind):
    offsets = np.cumsum([0, *map(len, texts)])
    units = np.array([unit for text in texts for unit in text], kind)
    hashes, starts = shingle_hashes(units, offsets, n)
    assert hashes.dtype == np.uint32 and starts.dtype == np.int64 and starts[-1] == len(hashes)
    expected = [
        [shingle_hash(text[first : first + n]) for first in range(max(len(text) - n + 1, 1))] if text else []
        for text in texts
    ]
    assert cut(hashes, starts) == expected


@given(texts=texts_of_words)
@example(texts=["", " ", "a", " a  bé\n", "漢 漢😀", "a\x1cb\x85c"])
def test_words_are_runs_without_white_space_as_python_splits(texts):
    units, starts = word_units(*buffers(texts, b"before "), character_classes())
    words = [text.split() for text in texts]
    assert np.diff(starts).tolist() == list(map(len, words))
    # one number for each different word, and different ones
    numbers = {}
    for word, unit in zip([word for text in words for word in text], units.tolist(), strict=True):
        assert numbers.setdefault(word, unit) == unit
    assert len(set(numbers.values())) == len(numbers)


@given(texts=texts_of_words)
@example(texts=["", "a", "é", "漢\n", "😀\U0010ffff\0"])
def test_characters_are_code_points(texts):
    assert cut(*character_units(*buffers(texts, "é".encode()))) == [list(map(ord, text)) for text in texts]


def test_each_bit_of_a_unit_changes_half_of_the_bits():
    base = np.arange(2000, dtype=np.uint64) * np.uint64(37)
    rows = np.stack([base, base + np.uint64(1), base % np.uint64(9), base % np.uint64(2), base // np.uint64(3)], 1)
    offsets = np.arange(0, rows.size + 1, 5)
    plain = shingle_hashes(rows.ravel(), offsets, 5)[0]
    for unit in range(5):
        for bit in (0, 1, 7, 15, 16, 40, 63):
            changed = rows.copy()
            changed[:, unit] ^= np.uint64(1 << bit)
            difference = shingle_hashes(changed.ravel(), offsets, 5)[0] ^ plain
            for output in range(32):
                # of 2,000 fair coins half are heads, plus or minus 5 standard deviations of 22.4
                assert abs(int((difference >> output & 1).sum()) - 1000) < 112


def spread(mixed, sets=100, shared=3, own=3, functions=9008):
    """Standard deviation of the estimated similarity of small sets of neighbouring numbers, over that of fair coins.

    ``mixed`` makes shingles of the numbers. Two sets have ``shared`` numbers in common and ``own`` each.
    """
    rng = np.random.default_rng(1)
    multipliers, increments = rng.integers(0, 2**32, (2, functions), dtype=np.uint32)
    offsets = np.array([0, shared + own, 2 * (shared + own)])
    estimates = []
    for number in range(sets):
        units = mixed(1000 * number + rng.permutation(shared + 2 * own).astype(np.uint32))
        pair = np.concatenate([units[: shared + own], units[:shared], units[shared + own :]])
        left, right = minima(pair, offsets, multipliers | np.uint32(1), increments, 1, functions)
        estimates.append(float((left == right).mean()))
    similarity = shared / (shared + 2 * own)
    return np.std(estimates) / np.sqrt(similarity * (1 - similarity) / functions)


def test_estimates_for_short_texts_scatter_as_those_of_independent_hash_functions_do():
    """And those from the numbers themselves do not: the reason for the last step of the hash."""
    assert 0.75 < spread(lambda units: shingle_hashes(units, np.array([0, len(units)]), 1)[0]) < 1.25
    assert spread(lambda units: units) > 3


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_no_texts_have_no_shingles(dtype):
    hashes, starts = shingle_hashes(np.zeros(0, dtype), np.zeros(1, np.int64), 5)
    assert len(hashes) == 0 and starts.tolist() == [0]

"""Band keys and minima against the definition on Python's whole numbers."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from minhash_oracle import band_key, document_keys, shingle_hash, signature

from gpurefine.kernels import LANES, band_keys, minima
from gpurefine.kernels.minhashing import finish_key

SHAPES = [(1, 1), (3, 2), (1, 10), (10, 1), (14, 8), (5, 3), (16, 2), (17, 5)]


def tables(bands, rows, seed=3):
    """Hash functions as the kernels take them, and the same as pairs in the order of the signature."""
    functions = bands * rows
    rng = np.random.default_rng(seed)
    multipliers, increments = rng.integers(0, 2**32, (2, -(-functions // LANES) * LANES), dtype=np.uint32)
    multipliers |= np.uint32(1)
    places = [row * bands + band for band in range(bands) for row in range(rows)]
    return multipliers, increments, [(int(multipliers[place]), int(increments[place])) for place in places]


def keys_of(documents, multipliers, increments, bands, rows):
    """Keys of documents given as lists of shingles: (documents, bands)."""
    offsets = np.cumsum([0, *map(len, documents)])
    shingles = np.array([shingle for document in documents for shingle in document], np.uint32)
    keys = np.full((bands, len(documents)), 77, np.uint64)
    band_keys(shingles, offsets, multipliers, increments, bands, rows, keys)
    return keys.T


# twenty documents are more than two groups that are written together
ragged = st.lists(st.integers(0, 40), max_size=20)


@given(lengths=ragged, shape=st.sampled_from(SHAPES), seed=st.integers(0, 99))
@example(lengths=list(range(41)), shape=(3, 2), seed=0)
@example(lengths=[0, 0, 1, 0], shape=(14, 8), seed=0)
@settings(max_examples=60)
def test_keys_are_those_of_the_definition(lengths, shape, seed):
    rng = np.random.default_rng(seed)
    documents = [rng.integers(0, 2**32, length).tolist() for length in lengths]
    multipliers, increments, functions = tables(*shape, seed)
    expected = [document_keys(document, functions, *shape) for document in documents]
    assert keys_of(documents, multipliers, increments, *shape).tolist() == expected


@pytest.mark.parametrize("shape", [(450, 20), (20, 13)])
def test_keys_of_large_shapes(shape):
    documents = [[], [5], [2**32 - 1, 0, 7], list(range(0, 2**32, 2**26 + 9))]
    multipliers, increments, functions = tables(*shape)
    expected = [document_keys(document, functions, *shape) for document in documents]
    assert keys_of(documents, multipliers, increments, *shape).tolist() == expected


@pytest.mark.parametrize("length", [2047, 2048, 2049, 4096, 5000])
def test_a_long_document_is_taken_in_chunks(length):
    shingles = np.random.default_rng(length).integers(0, 2**32, length, dtype=np.uint32)
    multipliers, increments, _ = tables(3, 5)
    with np.errstate(over="ignore"):
        expected = np.array([(a * shingles + b).min() for a, b in zip(multipliers, increments, strict=True)])
    found = minima(shingles, np.array([0, length]), multipliers, increments, 3, 5)
    assert found.shape == (1, 5, 3) and found.dtype == np.uint32
    assert np.array_equal(found.ravel(), expected[:15])


@given(lengths=ragged, shape=st.sampled_from(SHAPES))
@settings(max_examples=30)
def test_minima_are_those_that_are_folded(lengths, shape):
    bands, rows = shape
    offsets = np.cumsum([0, *lengths])
    shingles = np.random.default_rng(1).integers(0, 2**32, offsets[-1], dtype=np.uint32)
    multipliers, increments, functions = tables(*shape)
    found = minima(shingles, offsets, multipliers, increments, bands, rows)
    assert found.shape == (len(lengths), rows, bands)
    for document, length in enumerate(lengths):
        own = shingles[offsets[document] : offsets[document + 1]].tolist()
        expected = signature(own, functions) if length else [2**32 - 1] * (bands * rows)
        assert found[document].T.ravel().tolist() == expected


def test_repeated_shingles_and_their_order_change_nothing():
    multipliers, increments, _ = tables(14, 8)
    shingles = list(range(3, 2**32, 2**27 + 5))
    keys = keys_of([shingles, shingles[::-1], shingles * 3, shingles + shingles[:5]], multipliers, increments, 14, 8)
    assert np.all(keys == keys[0])


def test_keys_depend_on_nothing_around_the_document():
    multipliers, increments, _ = tables(17, 5)
    documents = [list(range(i, 2**32, 2**28 + 77 * i + 1)) for i in range(1, 12)]
    together = keys_of(documents, multipliers, increments, 17, 5)
    for document, keys in zip(documents, together, strict=True):
        assert np.array_equal(keys_of([document], multipliers, increments, 17, 5)[0], keys)


def test_offsets_may_begin_anywhere_and_keys_go_into_any_columns():
    multipliers, increments, _ = tables(14, 8)
    shingles = np.random.default_rng(5).integers(0, 2**32, 60, dtype=np.uint32)
    offsets = np.array([0, 11, 30, 30, 52, 60])
    whole = np.zeros((14, 5), np.uint64)
    band_keys(shingles, offsets, multipliers, increments, 14, 8, whole)
    parts = np.zeros((14, 5), np.uint64)
    for first, last in ((0, 1), (1, 4), (4, 5)):
        band_keys(shingles, offsets[first : last + 1], multipliers, increments, 14, 8, parts[:, first:last])
    assert np.array_equal(whole, parts)


def test_equal_minima_in_two_bands_have_two_keys_and_none_is_0():
    multipliers, increments = np.full((2, 64), 9, np.uint32)
    keys = keys_of([[1, 2, 3]], multipliers, increments, 32, 2)[0]
    assert len(set(keys.tolist())) == 32 and 0 not in keys
    assert keys[31] == band_key(31, [18, 18])
    assert finish_key(np.uint64(0)) == 1


def test_keys_of_version_1_do_not_change():
    """Worked out by the oracle once; whoever has to change these numbers raises ``FAMILY_VERSION``."""
    from gpurefine.dedup.permutations import FAMILY_VERSION, permutations

    family = permutations(1, 3, 5)
    shingles = [shingle_hash(range(first, first + 5)) for first in range(10)]
    assert shingles[:3] == [2728240303, 3688590340, 1080941220]
    keys = keys_of([shingles], family.multipliers, family.increments, 3, 5)[0].tolist()
    assert keys == [0x79E241870ACA581D, 0xED62AA39690D274E, 0x6D28881C644266EF]
    assert FAMILY_VERSION == 1


@pytest.mark.parametrize(
    ("offsets", "size", "bands", "shape", "message"),
    [
        ([0, 2], 15, 3, (3, 1), "padded to a multiple"),
        ([0, 2], 16, 17, (17, 1), "entries"),
        ([0, 9], 16, 3, (3, 1), "within the shingles"),
        ([-1, 2], 16, 3, (3, 1), "begin at 0"),
        ([0, 3, 1, 4], 16, 3, (3, 3), "not fall"),
        ([0, 2], 16, 3, (2, 1), "row for each band"),
        ([0, 2], 16, 3, (3, 2), "column for each document"),
        ([0, 2], 16, 0, (0, 1), "row for each band"),
        ([0, 9, 2], 16, 3, (3, 2), "not fall"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(offsets, size, bands, shape, message):
    functions = np.ones(size, np.uint32)
    with pytest.raises(ValueError, match=message):
        band_keys(np.zeros(4, np.uint32), np.array(offsets), functions, functions, bands, 1, np.zeros(shape, np.uint64))

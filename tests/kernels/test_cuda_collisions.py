"""Sort-and-run collisions of the CUDA kernels: the same documents connected as by the CPU's hash table."""

import cuda_on_host
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpurefine.kernels import flatten, link_band_keys
from gpurefine.kernels.cuda import collisions
from gpurefine.kernels.cuda.device import to_device


def on_cpu(bands):
    """Components of the documents, edges of the forest, and shared keys of all bands."""
    documents = bands.shape[1]
    parent = np.arange(documents, dtype=np.uint32)
    left, right = np.zeros((2, documents * len(bands) + 1), np.uint64)
    filled = shared = 0
    for keys in bands:
        table = np.zeros((4 * documents + 8, 2), np.uint64)
        filled, _, again = link_band_keys(
            keys, 0, table, len(table) - 1, np.uint64(5), 0, 1, parent, left, right, filled
        )
        shared += again
    flatten(parent)
    return parent, filled, shared


def on_device(bands, shares=1):
    documents = bands.shape[1]
    parent = to_device(np.arange(documents, dtype=np.uint32))
    edges, shared = [], 0
    for keys in bands:
        keys = to_device(keys)
        for share in range(shares):
            if shares == 1:
                places = to_device(np.arange(documents))
            else:
                places = collisions.take_share(keys, 12345, share, shares)
            left, right, again = collisions.link_band_keys(keys[places], places.astype("uint32"), parent)
            edges.append(np.stack([left.get(), right.get()]))
            shared += again
    edges = np.concatenate(edges, axis=1)
    joined = np.arange(documents, dtype=np.uint32)
    for left, right in edges.T:  # the edges alone say what the parents say
        one, other = joined[left], joined[right]
        joined[joined == max(one, other)] = min(one, other)
    return joined, edges.shape[1], shared


def check(bands, shares=1):
    expected, found = on_cpu(bands), on_device(bands, shares)
    assert np.array_equal(found[0], expected[0])
    assert found[1:] == expected[1:]


@given(
    st.integers(1, 30).flatmap(
        lambda documents: st.lists(
            st.lists(st.integers(0, 6), min_size=documents, max_size=documents), min_size=1, max_size=3
        )
    ),
    st.sampled_from([1, 3]),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([[0]], 1)
@example([[0, 0, 5, 5]], 1)
@example([[1, 1, 1, 1, 1, 1, 1], [2, 2, 0, 0, 3, 3, 1]], 3)
def test_documents_are_connected_as_on_the_cpu(cuda, bands, shares):
    cuda(order="mixed")
    # well mixed, with the highest bit: 0 stays 0
    keys = np.array(bands, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    check(keys, shares)


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_long_runs_and_their_borders(cuda, order):
    """Runs of every length around powers of two, between keys that stand alone."""
    cuda(order=order, multiprocessors=1)
    lengths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 1, 100]
    keys = np.repeat(np.arange(1, len(lengths) + 1, dtype=np.uint64) << np.uint64(58), lengths)
    check(np.random.default_rng(1).permutation(keys)[None])


@pytest.mark.parametrize("order", ["rising", "mixed"])
def test_the_first_document_of_a_key_is_the_centre_of_a_star(cuda, order):
    """So that many equal documents make no long way, and the search for a run's first place is right to one."""
    cuda(order=order)
    drawn = np.random.default_rng(6).integers(0, 9, 300, dtype=np.uint64)
    for keys in (np.sort(drawn), drawn, np.ones(70, np.uint64)):
        parent = to_device(np.arange(keys.size, dtype=np.uint32))
        positions = to_device(np.arange(keys.size, dtype=np.uint32))
        left, right, shared = collisions.link_band_keys(to_device(keys), positions, parent)
        values, first, which = np.unique(keys, return_index=True, return_inverse=True)
        further = np.flatnonzero((keys != 0) & (first[which] != np.arange(keys.size)))
        expected = sorted(zip(first[which][further].tolist(), further.tolist(), strict=True))
        assert sorted(zip(left.get().tolist(), right.get().tolist(), strict=True)) == expected
        assert shared == np.count_nonzero(values)  # each is there twice


def test_all_equal_and_all_different_and_none(cuda):
    cuda(multiprocessors=1)
    check(np.full((2, 5000), 2**64 - 1, np.uint64))
    check(np.arange(1, 401, dtype=np.uint64)[None] * np.uint64(2**50))
    check(np.zeros((1, 50), np.uint64))
    check(np.zeros((1, 0), np.uint64))


def test_nothing_is_read_or_written_out_of_bounds(emulated, programs):
    """Runs at both ends of the keys, of lengths at which the search for their beginning steps beyond it."""
    emulated(extra_options=cuda_on_host.sanitizers(programs))
    for length in (2, 3, 5, 9, 17, 40):
        keys = np.repeat(np.array([1, 2**63], np.uint64), [length, length + 1])
        check(np.stack([keys, keys[::-1]]), shares=2)


def test_shares_are_a_partition_of_the_keys_and_even(cuda):
    cuda()
    keys = np.random.default_rng(2).integers(1, 2**63, 4000, dtype=np.uint64)
    keys[::10] = 0
    parts = [collisions.take_share(to_device(keys), 7, share, 5).get() for share in range(5)]
    assert sorted(np.concatenate(parts).tolist()) == np.flatnonzero(keys).tolist()
    assert all(600 < len(part) < 840 for part in parts)
    other = collisions.take_share(to_device(keys), 8, 0, 5).get()
    assert not np.array_equal(other, parts[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": np.zeros(3, np.int64)}, "keys must be one row of uint64"),
        ({"positions": np.zeros(3, np.int64)}, "positions must be one row of uint32"),
        ({"keys": np.zeros(2, np.uint64)}, "2 keys and 3 positions"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(cuda, change, message):
    cuda()
    arrays = {"keys": np.zeros(3, np.uint64), "positions": np.zeros(3, np.uint32), "parent": np.zeros(3, np.uint32)}
    with pytest.raises(ValueError, match=message):
        collisions.link_band_keys(**{name: to_device(array) for name, array in (arrays | change).items()})

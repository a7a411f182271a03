"""The hash table of the text statistics: exact, cleared by counting up, and linear on keys that crowd it."""

import numba
import numpy as np
import pytest

from gpurefine.kernels.cpu.grouping import (
    BASE,
    MOST_PROBES,
    POWERS,
    first_position,
    powers_of_base,
    span_hash,
    table_mask,
)


@numba.njit
def first_positions(keys, table, generation):
    """For each key the position of the first equal one, as the table says."""
    recorded = np.empty(keys.size, np.uint64)
    found = np.empty(keys.size, np.int64)
    mask = table_mask(keys.size)
    for position in range(keys.size):
        found[position] = first_position(table, mask, generation, recorded, keys[position], position)
    return found


def table_for(items):
    return np.zeros(int(table_mask(items)) + 1, np.uint64)


@pytest.mark.parametrize("items", [1, 15, 16, 17, 5000])
def test_finds_the_first_equal_key_in_every_generation(items):
    rng = np.random.default_rng(items)
    table = table_for(items)
    for generation in (1, 2, 2**32 - 1):
        keys = rng.integers(0, max(1, items // 3), items).astype(np.uint64)
        keys[rng.random(items) < 0.5] *= np.uint64(0x9E3779B97F4A7C15)
        first = {}
        expected = [first.setdefault(int(key), position) for position, key in enumerate(keys)]
        assert first_positions(keys, table, np.uint64(generation)).tolist() == expected


def crowding_keys(count):
    """Different keys that all want the same slot of every table: made by undoing the slot function."""
    inverse = np.uint64(pow(int(BASE), -1, 2**64))
    products = np.arange(count, dtype=np.uint64) + (np.uint64(12345) << np.uint64(32))
    keys = products * inverse
    return keys ^ keys >> np.uint64(32)


def test_keys_made_to_crowd_one_slot_are_told_apart_up_to_a_bound():
    """Without the bound, 50,000 keys would take more than 10**9 steps, and a long page would never end."""
    keys = crowding_keys(50_000)
    assert len(np.unique(keys)) == len(keys)
    found = first_positions(keys, table_for(len(keys)), np.uint64(1))
    bound = int(MOST_PROBES)
    assert found[: bound - 1].tolist() == list(range(bound - 1))
    assert (found[bound:] == bound - 1).all()


def test_span_hash_depends_on_the_bytes_alone():
    def running(data):
        value = 0
        for byte in data:
            value = (value * int(BASE) + byte + 1) % 2**64
        return np.uint64(value)

    powers = powers_of_base()
    for size in (0, 1, POWERS - 1, POWERS, POWERS + 1, 1000):
        word = bytes(range(200)) * 5
        alone = span_hash(np.uint64(0), running(word[:size]), size, powers)
        later = span_hash(running(b"before"), running(b"before" + word[:size]), size, powers)
        assert alone == later

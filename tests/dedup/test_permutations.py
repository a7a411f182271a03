"""Hash functions from a seed, against the same arithmetic on Python's whole numbers."""

import numpy as np
import pytest

from gpurefine.dedup.permutations import permutations

M32, M64 = 1 << 32, 1 << 64


def split_mix(value):
    """The output function of SplitMix64."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % M64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % M64
    return value ^ value >> 31


def hash_function(seed, number):
    """Multiplier and increment of a seed's hash function of this number."""
    word = split_mix((split_mix(seed) + (number + 1) * 0x9E3779B97F4A7C15) % M64)
    return word // M32 | 1, word % M32


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
@pytest.mark.parametrize(("bands", "rows"), [(1, 1), (3, 5), (14, 8), (16, 1), (450, 20)])
def test_function_of_a_row_and_band_is_the_one_of_its_number_in_the_signature(seed, bands, rows):
    family = permutations(seed, bands, rows)
    assert (family.bands, family.rows) == (bands, rows)
    assert family.multipliers.dtype == family.increments.dtype == np.uint32
    for row in range(rows):
        for band in range(bands):
            place = row * bands + band
            drawn = int(family.multipliers[place]), int(family.increments[place])
            assert drawn == hash_function(seed, band * rows + row)


@pytest.mark.parametrize(("bands", "rows"), [(1, 1), (3, 5), (17, 1), (450, 20)])
def test_tables_end_at_a_whole_vector(bands, rows):
    family = permutations(1, bands, rows)
    assert len(family.multipliers) == len(family.increments)
    assert len(family.multipliers) % 16 == 0 and 0 <= len(family.multipliers) - bands * rows < 16


def test_bands_of_a_small_table_are_the_first_of_a_larger_one():
    small, large = permutations(7, 14, 8), permutations(7, 450, 8)
    for name in ("multipliers", "increments"):
        first = getattr(small, name)[: 14 * 8].reshape(8, 14)
        assert np.array_equal(first, getattr(large, name).reshape(8, 450)[:, :14])


def test_functions_are_permutations_and_all_different():
    family = permutations(1, 450, 20)
    assert np.all(family.multipliers % 2 == 1)
    assert len(set(zip(family.multipliers.tolist(), family.increments.tolist(), strict=True))) == len(
        family.multipliers
    )
    # a low bit that were always the same would make a sum of 9,000 far off 4,500 (standard deviation 47)
    for bit in range(1, 32):
        assert abs(int((family.multipliers[:9000] >> bit & 1).sum()) - 4500) < 5 * 47
        assert abs(int((family.increments[:9000] >> bit & 1).sum()) - 4500) < 5 * 47


def test_mixer_gives_the_published_stream():
    """SplitMix64 of state 1234567, as its test vectors have it: the counter is the state, its step the same."""
    first = [split_mix((1234567 + number * 0x9E3779B97F4A7C15) % M64) for number in (1, 2, 3)]
    assert first == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_another_seed_has_other_functions():
    assert not np.any(permutations(1, 20, 13).increments == permutations(2, 20, 13).increments)


@pytest.mark.parametrize(("seed", "bands", "rows"), [(-1, 1, 1), (2**64, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_numbers_out_of_range_are_refused(seed, bands, rows):
    with pytest.raises(ValueError, match="at least 1"):
        permutations(seed, bands, rows)

"""Integer arithmetic of MinHash on one item each, for the kernels of any device: shingle hashes and band keys.

A key must be the same number on every device, so what is here is all there is to it. Hash function i of a shingle x is
``a[i] * x + b[i]`` modulo 2**32; it needs no function of its own.
"""

from __future__ import annotations

import numba
import numpy as np

#: Odd, with irregular bits: the second multiplier of MurmurHash3's 64-bit finaliser, and 2**64 over the golden ratio.
_MULTIPLIER, _GOLDEN = 0xFF51AFD7ED558CCD, 0x9E3779B97F4A7C15


@numba.njit(inline="always")
def fold(value, word):
    """Take one more uint64 into a running uint64: a bijection of either while the other stays the same.

    A high bit of a word reaches all others only after two folds more.
    """
    value = (value ^ word) * np.uint64(_MULTIPLIER)
    return value ^ (value >> np.uint64(32))


@numba.njit(inline="always")
def begin_key(band):
    """What the key of a band (from 0) begins with, so that equal minima of two bands make two keys."""
    return (np.uint64(band) + np.uint64(1)) * np.uint64(_GOLDEN)


@numba.njit(inline="always")
def finish_key(value):
    """The key of a band (uint64) from its folded minima; never 0, which says that there is none."""
    value = fold(fold(value, np.uint64(0)), np.uint64(0))
    return value | np.uint64(value == np.uint64(0))


@numba.njit(inline="always")
def begin_shingle():
    """What the hash of a shingle begins with."""
    return np.uint64(_GOLDEN)


@numba.njit(inline="always")
def finish_shingle(value):
    """The hash of a shingle (uint32) from its folded units.

    All 32 bits depend on all units. A hash function of the form ``a * x + b`` needs that: on regular numbers such as
    token ids, the estimates of short texts would scatter several times as much as those of independent functions.
    """
    return np.uint32(fold(fold(value, np.uint64(0)), np.uint64(0)) >> np.uint64(32))

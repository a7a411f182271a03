"""The hash functions of MinHash, drawn from a seed: h(x) = (a * x + b) mod 2**32 with a odd.

An odd a makes h a permutation of the 32-bit numbers, so of a set of shingles each is as likely as any other to have the
least hash, if the shingles are well mixed, and two sets agree in it with the probability of their Jaccard similarity
(Broder 1997, "On the resemblance and containment of documents"). ``rows`` functions make a band (Indyk and Motwani
1998, "Approximate nearest neighbors"); RefinedWeb G.3.1 takes 450 bands of 20 rows, as Lee et al. 2021 do.

The functions are numbered through the signature, band by band, and function k of a seed is the same one whatever the
number of bands, so the bands of a smaller table are the first of a larger one with as many rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpurefine.kernels import LANES

#: Counts the changes of anything that decides a band key of given units: the functions drawn here, the hashes of
#: shingles and the folding of minima. A run is not continued with keys of another version.
FAMILY_VERSION = 1

#: 2**64 over the golden ratio, odd: the step of the counter.
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Permutations:
    """Hash functions for so many bands of so many rows, as the kernels take them.

    Attributes
    ----------
    multipliers, increments : uint32, (functions,): a and b of the function of a row and band at ``row * bands + band``;
        what is behind bands * rows is padding
    bands, rows : the shape
    """

    multipliers: np.ndarray
    increments: np.ndarray
    bands: int
    rows: int


def permutations(seed: int, bands: int, rows: int) -> Permutations:
    """Draw the hash functions of a seed.

    Function k, that is row ``k % rows`` of band ``k // rows``, takes one 64-bit word of a counter that is mixed:
    ``mix(mix(seed) + (k + 1) * step)``, modulo 2**64. Its high half with the lowest bit set is a, its low half is b.

    Parameters
    ----------
    seed : 0 .. 2**64 - 1
    bands, rows : at least 1

    Raises
    ------
    ValueError
        if a number is out of its range
    """
    if not 0 <= seed < 1 << 64 or bands < 1 or rows < 1:
        raise ValueError(
            f"seed {seed}, {bands} bands of {rows} rows: a seed has 64 bits, bands and rows are at least 1"
        )
    functions = bands * rows
    place = np.arange(-(-functions // LANES) * LANES, dtype=np.uint64)
    row, band = place // np.uint64(bands), place % np.uint64(bands)
    number = np.where(place < functions, band * np.uint64(rows) + row, place)
    words = _mix(_mix(np.array([seed], np.uint64)) + (number + np.uint64(1)) * _STEP)
    multipliers = (words >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
    return Permutations(multipliers, words.astype(np.uint32), bands, rows)


def _mix(words: np.ndarray) -> np.ndarray:
    """Spread the bits of uint64 words: the output function of SplitMix64 (Steele, Lea and Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))

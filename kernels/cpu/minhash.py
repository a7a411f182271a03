"""Shingle hashes to band keys in one kernel: minima of all hash functions, folded band by band; no signature leaves it.

The minima of one document (36 KB for 9,000 functions) live in one scratch array of a call. A table of hash functions
is flat, ``[row][band]``, padded at its end to a multiple of ``LANES``: the vectors of the hot loop know no bands, so
small shapes waste nothing, and the fold goes through bands in vectors, row after row.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.lanes import LANES, lower_minima
from gpurefine.kernels.minhashing import begin_key, finish_key, fold

#: sha256 of the modules whose functions are compiled into the kernels below. Numba keeps machine code for as long as
#: the text of this file is the same, so a change in one must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "1a1e5fea1d46bbf972186b1ae1ccded6fb2d95a6306925ebc0a76b24352dddfa"

#: The key of a document without shingles in any band; a real key is never 0.
NO_KEY = np.uint64(0)

#: Shingles that pass over all hash functions at a time, so that a long document's stay in the processor's cache.
_CHUNK = 2048
#: Documents whose keys are written together: a band's keys of eight fill a cache line.
_GROUP = 8


@numba.njit(nogil=True)
def _check(shingles, offsets, multipliers, increments, functions):
    """Refuse arrays that do not fit, because nothing behind looks at bounds."""
    if multipliers.size != increments.size or multipliers.size < functions or multipliers.size % LANES:
        raise ValueError("a table of hash functions needs bands * rows entries, padded to a multiple of LANES")
    if offsets.size == 0 or offsets[0] < 0 or offsets[-1] > shingles.size:
        raise ValueError("offsets must begin at 0 or above and end within the shingles")
    for document in range(offsets.size - 1):
        if offsets[document] > offsets[document + 1]:
            raise ValueError("offsets must not fall")


@numba.njit(nogil=True)
def _all_minima(shingles, begin, end, multipliers, increments, lowest):
    """The minimum of each hash function over the shingles [begin, end), into ``lowest``."""
    lowest[:] = np.uint32(0xFFFFFFFF)
    for chunk in range(begin, end, _CHUNK):
        chunk_end = min(chunk + _CHUNK, end)
        for first in range(0, lowest.size, LANES):
            lower_minima(multipliers, increments, lowest, first, shingles, chunk, chunk_end)


@numba.njit(nogil=True)
def _fold_bands(lowest, bands, rows, keys):
    """The key of each band from its minima, two rows at a time: the earlier one in the low half of a word."""
    for band in range(bands):
        keys[band] = begin_key(band)
    for row in range(0, rows - 1, 2):
        low, high = lowest[row * bands : (row + 1) * bands], lowest[(row + 1) * bands : (row + 2) * bands]
        for band in range(bands):
            keys[band] = fold(keys[band], np.uint64(high[band]) << np.uint64(32) | np.uint64(low[band]))
    if rows % 2:
        low = lowest[(rows - 1) * bands : rows * bands]
        for band in range(bands):
            keys[band] = fold(keys[band], np.uint64(low[band]))
    for band in range(bands):
        keys[band] = finish_key(keys[band])


@numba.njit(nogil=True, cache=True)
def band_keys(shingles, offsets, multipliers, increments, bands, rows, out):
    """The key of each band of each document: a 64-bit hash of the band's number and of its ``rows`` minima.

    Two documents have the same key in a band when they agree in all its minima, which happens with the ``rows``-th
    power of their Jaccard similarity (Broder 1997; banding: Indyk and Motwani 1998, Lee et al. 2021), or by chance with
    probability 2**-64.

    Parameters
    ----------
    shingles : uint32, hashes of the shingles, well mixed (``shingle_hashes``); repeated ones change nothing
    offsets : int64, (n + 1,); document i has ``shingles[offsets[i]:offsets[i + 1]]``
    multipliers, increments : uint32, (functions,); function i is ``(multipliers[i] * x + increments[i]) % 2**32``.
        Function ``row * bands + band`` is the one of that row and band; the rest is padding to a multiple of ``LANES``
    bands, rows : the shape; at most ``functions`` in all
    out : uint64, (bands, n), of any strides; ``NO_KEY`` in all bands of a document without shingles

    Raises
    ------
    ValueError
        if sizes do not fit together
    """
    documents = offsets.size - 1
    if bands < 1 or rows < 1 or out.shape[0] != bands or out.shape[1] != documents:
        raise ValueError("out needs a row for each band and a column for each document")
    _check(shingles, offsets, multipliers, increments, bands * rows)
    lowest = np.empty(multipliers.size, np.uint32)
    keys = np.empty((_GROUP, bands), np.uint64)
    for first in range(0, documents, _GROUP):
        group = min(_GROUP, documents - first)
        for index in range(group):
            begin, end = offsets[first + index], offsets[first + index + 1]
            if begin == end:
                keys[index] = NO_KEY
            else:
                _all_minima(shingles, begin, end, multipliers, increments, lowest)
                _fold_bands(lowest, bands, rows, keys[index])
        for band in range(bands):
            for index in range(group):
                out[band, first + index] = keys[index, band]


@numba.njit(nogil=True, cache=True)
def minima(shingles, offsets, multipliers, increments, bands, rows):
    """The signatures themselves, which no stage keeps: for estimates of similarity.

    Parameters
    ----------
    shingles, offsets, multipliers, increments, bands, rows : as in ``band_keys``

    Returns
    -------
    uint32, (n, rows, bands): the minima of each document; 2**32 - 1 where it has no shingles

    Raises
    ------
    ValueError
        if sizes do not fit together
    """
    functions = bands * rows
    _check(shingles, offsets, multipliers, increments, functions)
    signatures = np.empty((offsets.size - 1, rows, bands), np.uint32)
    lowest = np.empty(multipliers.size, np.uint32)
    for document in range(offsets.size - 1):
        _all_minima(shingles, offsets[document], offsets[document + 1], multipliers, increments, lowest)
        signatures[document] = lowest[:functions].reshape(rows, bands)
    return signatures

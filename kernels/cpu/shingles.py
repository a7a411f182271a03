"""Text or tokens to shingle hashes: units of a text as numbers, then n consecutive units as one 32-bit hash."""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.minhashing import begin_shingle, finish_shingle, fold
from gpurefine.kernels.scalar import WHITE_SPACE, decode_utf8, hash_bytes

#: sha256 of the modules whose functions are compiled into the kernels below. Numba keeps machine code for as long as
#: the text of this file is the same, so a change in one must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "d0f074058a4f73577819048c9d941fea240db3ba3afc6cf187ff7cd10df791ad"


@numba.njit(nogil=True, cache=True)
def word_units(data, offsets, classes):
    """Words of each text, hashed.

    Parameters
    ----------
    data : uint8, valid UTF-8
    offsets : int64, (n + 1,); text i is ``data[offsets[i]:offsets[i + 1]]``
    classes : uint8, (0x110000,), class bits of code points; a word is a maximal run without ``WHITE_SPACE``

    Returns
    -------
    units : uint64, a 64-bit hash of each word's bytes
    starts : int64, (n + 1,); text i has ``units[starts[i]:starts[i + 1]]``
    """
    units = np.empty((offsets[-1] - offsets[0] + offsets.size) // 2, np.uint64)
    starts = np.empty(offsets.size, np.int64)
    words = starts[0] = 0
    for text in range(offsets.size - 1):
        position = begin = offsets[text]
        end = offsets[text + 1]
        while position < end:
            code_point, length = decode_utf8(data, position)
            if classes[code_point] & WHITE_SPACE:
                if begin < position:
                    units[words] = hash_bytes(data, begin, position)
                    words += 1
                begin = position + length
            position += length
        if begin < end:
            units[words] = hash_bytes(data, begin, end)
            words += 1
        starts[text + 1] = words
    return units[:words], starts


@numba.njit(nogil=True, cache=True)
def character_units(data, offsets):
    """Code points of each text.

    Parameters
    ----------
    data, offsets : as in ``word_units``

    Returns
    -------
    units : uint32, code points
    starts : int64, (n + 1,); text i has ``units[starts[i]:starts[i + 1]]``
    """
    units = np.empty(offsets[-1] - offsets[0], np.uint32)
    starts = np.empty(offsets.size, np.int64)
    characters = starts[0] = 0
    for text in range(offsets.size - 1):
        position = offsets[text]
        while position < offsets[text + 1]:
            units[characters], length = decode_utf8(data, position)
            position += length
            characters += 1
        starts[text + 1] = characters
    return units[:characters], starts


@numba.njit(nogil=True, cache=True)
def shingle_hashes(units, offsets, n):
    """The hash of each run of n consecutive units; of fewer units, but at least one, all are one shingle.

    Parameters
    ----------
    units : unsigned integers, the units of all texts
    offsets : int64, (texts + 1,); text i has ``units[offsets[i]:offsets[i + 1]]``
    n : units a shingle, at least 1

    Returns
    -------
    hashes : uint32, well mixed; repeated shingles are repeated
    starts : int64, (texts + 1,); text i has ``hashes[starts[i]:starts[i + 1]]``
    """
    starts = np.empty(offsets.size, np.int64)
    starts[0] = 0
    for text in range(offsets.size - 1):
        size = offsets[text + 1] - offsets[text]
        starts[text + 1] = starts[text] + (max(size - n, 0) + 1 if size else 0)
    hashes = np.empty(starts[-1], np.uint32)
    for text in range(offsets.size - 1):
        length = min(n, offsets[text + 1] - offsets[text])
        begin = offsets[text]
        for shingle in range(starts[text], starts[text + 1]):
            value = begin_shingle()
            for unit in range(begin, begin + length):
                value = fold(value, np.uint64(units[unit]))
            hashes[shingle] = finish_shingle(value)
            begin += 1
    return hashes, starts

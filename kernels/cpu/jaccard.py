"""Jaccard similarity of pairs of documents: sizes of the intersection and the union of their sets of shingles."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def sort_sets(hashes, starts, sizes):
    """Make a sorted set of the shingles of each document, in place.

    Parameters
    ----------
    hashes : unsigned integers; those of document i begin at ``starts[i]``, and afterwards its set does
    starts : int64, (documents + 1,)
    sizes : int64, (documents,), gets how many different shingles each document has
    """
    for document in range(starts.size - 1):
        own = hashes[starts[document] : starts[document + 1]]
        own.sort()
        size = 0
        for place in range(own.size):
            if place == 0 or own[place] != own[size - 1]:
                own[size] = own[place]
                size += 1
        sizes[document] = size


@njit(nogil=True, cache=True)
def count_shared(hashes, starts, sizes, left, right):
    """Members that the sets of two documents share, pair by pair.

    Parameters
    ----------
    hashes, starts, sizes : what ``sort_sets`` left
    left, right : int64, (pairs,), the documents of each pair

    Returns
    -------
    int64, (pairs,); the union has ``sizes[left] + sizes[right]`` less this
    """
    shared = np.zeros(left.size, np.int64)
    for pair in range(left.size):
        one, other = starts[left[pair]], starts[right[pair]]
        one_end, other_end = one + sizes[left[pair]], other + sizes[right[pair]]
        found = 0
        while one < one_end and other < other_end:
            a, b = hashes[one], hashes[other]
            found += a == b
            one += a <= b
            other += b <= a
        shared[pair] = found
    return shared

"""Repeated n-grams of one document's words, as the Gopher repetition rules count them (Rae et al. 2021, table A1).

``top_ngrams`` compares words one by one: an n-gram is known by the (n - 1)-gram it begins with and its last word, so
that its key is exact once the words are, and only n-grams that begin with a repeated (n - 1)-gram are looked at.

``extra_ngrams`` compares n-grams joined without anything between the words, so that their keys must not depend on
where words end: they are hashes of bytes, and n-grams whose first 16 bytes occur once are passed over.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.grouping import PREFIX, first_position, span_hash, table_mask
from gpurefine.kernels.scalar import eight_bytes, mix64

#: Sizes for which the most frequent n-gram is counted, and those for which all repeated ones are.
TOP_SIZES = (2, 3, 4)
EXTRA_SIZES = (5, 6, 7, 8, 9, 10)

_32 = np.uint64(32)


@numba.njit(nogil=True)
def count_words(words, scratch, generation):
    """The first equal word of each word and how often it occurs; returns how many n-grams to look at: all."""
    table, keys, mask = scratch.table, scratch.keys, table_mask(words)
    word_first, word_counts, candidates = scratch.word_first, scratch.word_counts, scratch.candidates
    for word in range(words):
        first = first_position(table, mask, generation, keys, scratch.word_hashes[word], word)
        word_first[word] = first
        word_counts[word] = 0
        word_counts[first] += 1
        candidates[word] = word
    scratch.first[:words] = word_first[:words]
    scratch.counts[:words] = word_counts[:words]
    return words


@numba.njit(nogil=True)
def count_ngrams(words, n, candidates, scratch, generation):
    """Go from (n - 1)-grams to n-grams: the positions where one may be repeated, the first equal one, how often.

    The positions are left in ``scratch.candidates``, in order; returns how many there are.
    """
    table, keys, positions = scratch.table, scratch.keys, scratch.candidates
    first, counts, word_first, word_counts = scratch.first, scratch.counts, scratch.word_first, scratch.word_counts
    left = 0
    for index in range(candidates):
        position = positions[index]
        last = position + n - 1
        if last >= words:
            break
        positions[left] = position
        left += (counts[first[position]] > 1) & (word_counts[word_first[last]] > 1)
    mask = table_mask(left)
    for index in range(left):
        position = positions[index]
        key = np.uint64(first[position]) << _32 | np.uint64(word_first[position + n - 1])
        found = first_position(table, mask, generation, keys, key, position)
        first[position] = found
        counts[position] = 0
        counts[found] += 1
    return left


@numba.njit(nogil=True)
def top_ngrams(words, scratch, generation, row):
    """Count and characters (of its words) of the most frequent 2-, 3- and 4-gram, the first of equals, into ``row``."""
    candidates = count_words(words, scratch, generation)
    for n in TOP_SIZES:
        generation += np.uint64(1)
        candidates = count_ngrams(words, n, candidates, scratch, generation)
        top, top_position = min(1, max(0, words - n + 1)), 0
        for index in range(candidates):
            position = scratch.candidates[index]
            if scratch.counts[scratch.first[position]] > top:
                top, top_position = scratch.counts[scratch.first[position]], position
        if top:
            row[2 * (n - 2)] = top
            row[2 * (n - 2) + 1] = scratch.characters[top_position + n] - scratch.characters[top_position]


@numba.njit(nogil=True)
def _repeatable(words, scratch):
    """Positions where an n-gram of five or more words may be equal to another; returns how many.

    Equal n-grams of 16 bytes or more have their first 16 bytes in common, which are counted (in a table without keys,
    that can only err towards looking); shorter ones are always looked at.
    """
    mask = np.uint64(2 * np.int64(table_mask(words)) + 1)
    seen = scratch.prefix_seen
    seen[: np.int64(mask) + 1] = 0
    for position in range(words - 4):
        begin = scratch.bytes[position]
        prefix = mix64(eight_bytes(scratch.packed, begin)) ^ eight_bytes(scratch.packed, begin + 8)
        slot = mix64(prefix) & mask
        scratch.first[position] = np.int64(slot)
        seen[slot] = min(seen[slot] + 1, 2)
    left = 0
    for position in range(words - 4):
        scratch.candidates[left] = position
        short = scratch.bytes[position + 5] - scratch.bytes[position] < PREFIX
        left += short | (seen[scratch.first[position]] > 1)
    return left


@numba.njit(nogil=True)
def extra_ngrams(words, powers, scratch, generation, row):
    """Characters in n-grams (n = 5 to 10) that were seen before, into ``row``.

    From left to right; what is found again is stepped over, so that no character counts twice, and nothing inside it is
    remembered.
    """
    candidates = _repeatable(words, scratch)
    mask = table_mask(candidates)
    for n in EXTRA_SIZES:
        generation += np.uint64(1)
        free = 0
        for index in range(candidates):
            position = scratch.candidates[index]
            end = position + n
            if position < free or end > words:
                continue
            length = scratch.bytes[end] - scratch.bytes[position]
            key = span_hash(scratch.running[position], scratch.running[end], length, powers)
            if first_position(scratch.table, mask, generation, scratch.keys, key, position) != position:
                row[n - 5] += scratch.characters[end] - scratch.characters[position]
                free = end

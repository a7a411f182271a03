"""Counts of repetition with the first copies included, as DCLM counts them: the other reading of Gopher's table A1.

A second pass that only pipelines with ``count: all`` or ``tie: longest`` pay for.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.grouping import (
    first_position,
    fitting_scratch,
    new_scratch,
    powers_of_base,
    read_only,
    table_mask,
)
from gpurefine.kernels.cpu.lines import strip
from gpurefine.kernels.cpu.ngrams import EXTRA_SIZES, TOP_SIZES, count_ngrams, count_words
from gpurefine.kernels.cpu.words import WORD_FIELDS, count_kinds, find_words, stop_word_table, take_words
from gpurefine.kernels.scalar import hash_bytes

#: sha256 of the modules whose functions are compiled into the kernel below. Numba keeps machine code for as long as the
#: text of this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "98f3b5994e4bc536028857ee7dbff7e3d8da7adcf449e45a7ae1a04ebbe04c81"

#: Columns of the result. Lines and paragraphs are stripped, empty ones dropped; "repeated" ones occur twice or more and
#: are counted with all their copies. ``longest_n``: characters of the words of the longest of the most frequent
#: n-grams. ``repeated_n``: characters of the words that lie in an n-gram that occurs twice or more.
ALL_COPIES_FIELDS = (
    "lines", "line_characters", "repeated_lines", "repeated_line_characters",
    "paragraphs", "paragraph_characters", "repeated_paragraphs", "repeated_paragraph_characters",
    "longest_2", "longest_3", "longest_4",
    "repeated_5", "repeated_6", "repeated_7", "repeated_8", "repeated_9", "repeated_10",
)  # fmt: skip

_LINES, _PARAGRAPHS = ALL_COPIES_FIELDS.index("lines"), ALL_COPIES_FIELDS.index("paragraphs")
_LONGEST, _REPEATED = ALL_COPIES_FIELDS.index("longest_2"), ALL_COPIES_FIELDS.index("repeated_5")

#: Questions put to the table for one document: lines, paragraphs, words, n-grams of 2 to 10 words.
_QUESTIONS = 12

_NEWLINE = 10
_ONE = np.uint64(1)


@numba.njit(nogil=True)
def _split(data, begin, end, separator, classes, scratch):
    """Hashes and characters of the stripped items between runs of at least ``separator`` newlines; returns how many."""
    items = 0
    position = begin
    while position < end:
        item_begin, newlines = position, 0
        while position < end and newlines < separator:
            newlines = newlines + 1 if data[position] == _NEWLINE else 0
            position += 1
        item_begin, item_end = strip(data, item_begin, position, classes)
        if item_begin == item_end:
            continue
        characters = 0
        for byte in data[item_begin:item_end]:
            characters += byte & 0xC0 != 0x80
        scratch.line_hashes[items] = hash_bytes(data, item_begin, item_end)
        scratch.line_characters[items] = characters
        items += 1
    return items


@numba.njit(nogil=True)
def _repeated_items(items, scratch, generation, row):
    """Items and their characters, and the same of those that occur twice or more, into ``row``."""
    mask = table_mask(items)
    for item in range(items):
        key = scratch.line_hashes[item]
        first = first_position(scratch.table, mask, generation, scratch.keys, key, item)
        scratch.first[item], scratch.counts[item] = first, 0
        scratch.counts[first] += 1
    row[0] = items
    for item in range(items):
        row[1] += scratch.line_characters[item]
        if scratch.counts[scratch.first[item]] > 1:
            row[2] += 1
            row[3] += scratch.line_characters[item]


@numba.njit(nogil=True)
def _longest_of_top(words, n, candidates, scratch):
    """Characters of the longest n-gram among the most frequent ones."""
    top = longest = 0
    for index in range(candidates):
        top = max(top, scratch.counts[scratch.first[scratch.candidates[index]]])
    if top < 2:
        for position in range(words - n + 1):
            longest = max(longest, scratch.characters[position + n] - scratch.characters[position])
        return longest
    for index in range(candidates):
        position = scratch.candidates[index]
        if scratch.counts[scratch.first[position]] == top:
            longest = max(longest, scratch.characters[position + n] - scratch.characters[position])
    return longest


@numba.njit(nogil=True)
def _repeated_ngrams(words, scratch, generation, row):
    candidates = count_words(words, scratch, generation)
    for n in range(TOP_SIZES[0], EXTRA_SIZES[-1] + 1):
        generation += _ONE
        candidates = count_ngrams(words, n, candidates, scratch, generation)
        if n <= TOP_SIZES[-1]:
            row[_LONGEST + n - TOP_SIZES[0]] = _longest_of_top(words, n, candidates, scratch)
            continue
        covered = 0
        for index in range(candidates):
            position = scratch.candidates[index]
            if scratch.counts[scratch.first[position]] > 1:
                begin = max(position, covered)
                covered = position + n
                row[_REPEATED + n - EXTRA_SIZES[0]] += scratch.characters[covered] - scratch.characters[begin]


@numba.njit(nogil=True, cache=True)
def _all_copies_statistics(data, offsets, classes, begins, ends, word_offsets, out):
    given = word_offsets.size > 0
    powers = powers_of_base()
    no_stop_words = stop_word_table(np.zeros(0, np.uint64))
    last_seen = np.zeros(no_stop_words.size, np.int64)
    unused = np.zeros(len(WORD_FIELDS), np.int64)
    scratch = new_scratch(1 << 12, 1 << 11)
    generation = _ONE
    for document in range(offsets.size - 1):
        begin, end = offsets[document], offsets[document + 1]
        words = word_offsets[document + 1] - word_offsets[document] if given else -1
        scratch = fitting_scratch(scratch, end - begin, words)
        row = out[document]
        lines = _split(data, begin, end, 1, classes, scratch)
        _repeated_items(lines, scratch, generation, row[_LINES:])
        paragraphs = _split(data, begin, end, 2, classes, scratch)
        _repeated_items(paragraphs, scratch, generation + _ONE, row[_PARAGRAPHS:])
        if given:
            take_words(data, begins, ends, word_offsets[document], words, classes, scratch)
        else:
            words = find_words(data, begin, end, classes, scratch)
        count_kinds(words, powers, no_stop_words, last_seen, document + 1, scratch, unused)
        _repeated_ngrams(words, scratch, generation + np.uint64(2), row)
        generation += np.uint64(_QUESTIONS)


def all_copies_statistics(
    data: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    words: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Count all of ``ALL_COPIES_FIELDS`` for each document; parameters as in ``stats.text_statistics``.

    Returns
    -------
    int64, (documents, len(ALL_COPIES_FIELDS))
    """
    begins, ends, word_offsets = words if words is not None else (np.zeros(0, np.int64),) * 3
    out = np.zeros((offsets.size - 1, len(ALL_COPIES_FIELDS)), np.int64)
    _all_copies_statistics(*read_only(data, offsets, classes, begins, ends, word_offsets), out)
    return out

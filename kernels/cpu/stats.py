"""All counts that the repetition and quality rules need, in one pass over the bytes of a text column.

Each document is read once for lines, paragraphs and marks (``lines``), its words are found, hashed and their kinds
counted (``words``), and repeated n-grams are counted on the hashes (``ngrams``); all three put their questions to one
hash table (``grouping``). Everything is an integer; the stages form the fractions. Definitions are those of Gopher (Rae
et al. 2021, A.1.1 and table A1), counted as datatrove does: without the first copy of what is repeated.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.grouping import (
    extend_hash,
    first_position,
    fitting_scratch,
    new_scratch,
    powers_of_base,
    read_only,
    span_hash,
    table_mask,
)
from gpurefine.kernels.cpu.lines import LINE_FIELDS, mark_table, read_lines
from gpurefine.kernels.cpu.ngrams import extra_ngrams, top_ngrams
from gpurefine.kernels.cpu.words import WORD_FIELDS, count_kinds, find_words, stop_word_table, take_words

#: sha256 of the modules whose functions are compiled into the kernel below. Numba keeps machine code for as long as the
#: text of this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "98f3b5994e4bc536028857ee7dbff7e3d8da7adcf449e45a7ae1a04ebbe04c81"

#: Columns of the result; see ``LINE_FIELDS`` and ``WORD_FIELDS`` for the first and the third group. "Extra" items are
#: copies of an earlier one. ``top_n`` is how often the most frequent n-gram occurs (of equals, the first) and the
#: characters of its words; ``extra_n`` the characters in n-grams that are copies of an earlier one.
FIELDS = (
    *LINE_FIELDS,
    "lines", "extra_lines", "extra_line_characters",
    "paragraphs", "extra_paragraphs", "extra_paragraph_characters",
    *WORD_FIELDS,
    "top_2", "top_2_characters", "top_3", "top_3_characters", "top_4", "top_4_characters",
    "extra_5", "extra_6", "extra_7", "extra_8", "extra_9", "extra_10",
)  # fmt: skip

_LINES, _PARAGRAPHS = FIELDS.index("lines"), FIELDS.index("paragraphs")
_WORDS, _TOP, _EXTRA = FIELDS.index("words"), FIELDS.index("top_2"), FIELDS.index("extra_5")

#: Questions put to the table for one document: lines, paragraphs, words, three top n-grams, six repeated n-grams. Their
#: numbers have 32 bits, enough for 350 million documents a call.
_QUESTIONS = 12


@numba.njit(nogil=True)
def _extra_copies(hashes, characters, items, scratch, generation, row):
    """Items, copies of an earlier item, and the characters of those copies, into ``row``."""
    mask = table_mask(items)
    row[0] = items
    for item in range(items):
        if first_position(scratch.table, mask, generation, scratch.keys, hashes[item], item) != item:
            row[1] += 1
            row[2] += characters[item]


@numba.njit(nogil=True, cache=True)
def _text_statistics(data, offsets, classes, stop_word_hashes, begins, ends, word_offsets, out):
    given = word_offsets.size > 0
    powers, marks = powers_of_base(), mark_table()
    stop_words = stop_word_table(stop_word_hashes)
    last_seen = np.zeros(stop_words.size, np.int64)
    scratch = new_scratch(1 << 12, 1 << 11)
    generation = np.uint64(1)
    for document in range(offsets.size - 1):
        begin, end = offsets[document], offsets[document + 1]
        words = word_offsets[document + 1] - word_offsets[document] if given else -1
        scratch = fitting_scratch(scratch, end - begin, words)
        row = out[document]
        lines, paragraphs = read_lines(data, begin, end, classes, marks, scratch, row)
        _extra_copies(scratch.line_hashes, scratch.line_characters, lines, scratch, generation, row[_LINES:])
        _extra_copies(
            scratch.paragraph_hashes, scratch.paragraph_characters, paragraphs, scratch,
            generation + np.uint64(1), row[_PARAGRAPHS:],
        )  # fmt: skip
        if given:
            take_words(data, begins, ends, word_offsets[document], words, classes, scratch)
        else:
            words = find_words(data, begin, end, classes, scratch)
        count_kinds(words, powers, stop_words, last_seen, document + 1, scratch, row[_WORDS:])
        top_ngrams(words, scratch, generation + np.uint64(2), row[_TOP:])
        extra_ngrams(words, powers, scratch, generation + np.uint64(5), row[_EXTRA:])
        generation += np.uint64(_QUESTIONS)


@numba.njit(nogil=True, cache=True)
def word_hashes(data, offsets):
    """Hashes of words as the statistics know them, for ``stop_word_hashes``.

    Parameters
    ----------
    data : uint8, UTF-8 of all words
    offsets : int64, (n + 1,)

    Returns
    -------
    uint64, (n,)
    """
    powers = powers_of_base()
    hashes = np.empty(offsets.size - 1, np.uint64)
    for word in range(offsets.size - 1):
        running = np.uint64(0)
        for position in range(offsets[word], offsets[word + 1]):
            running = extend_hash(running, data[position])
        hashes[word] = span_hash(np.uint64(0), running, offsets[word + 1] - offsets[word], powers)
    return hashes


def text_statistics(
    data: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    stop_word_hashes: np.ndarray,
    words: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Count all of ``FIELDS`` for each document; time and memory are linear in the bytes. Runs without the GIL.

    Parameters
    ----------
    data : uint8, valid UTF-8
    offsets : int64, (documents + 1,); document d is ``data[offsets[d]:offsets[d + 1]]``
    classes : uint8, (0x110000,), class bits of each code point (``kernels.scalar``)
    stop_word_hashes : uint64, different ones, from ``word_hashes``
    words : None for maximal runs of characters that are not white space; else begins and ends in ``data`` (int64,
        (words,)) of words that are not empty and do not overlap, in order, and int64, (documents + 1,), where each
        document's words begin in those

    Returns
    -------
    int64, (documents, len(FIELDS))
    """
    begins, ends, word_offsets = words if words is not None else (np.zeros(0, np.int64),) * 3
    out = np.zeros((offsets.size - 1, len(FIELDS)), np.int64)
    _text_statistics(*read_only(data, offsets, classes, stop_word_hashes, begins, ends, word_offsets), out)
    return out

"""Words of one document for the text statistics: where they are, their hashes, and the kinds of their characters."""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.grouping import PREFIX, extend_hash, span_hash
from gpurefine.kernels.scalar import LETTER, SYMBOL, WHITE_SPACE, decode_utf8, mix64

#: What ``read_words`` counts. Characters are code points of words; a plain word has a character outside the categories
#: P, S and C; an alphabetic word has a letter; stop words are the different ones that occur.
WORD_FIELDS = ("words", "word_characters", "plain_words", "plain_characters", "alphabetic_words", "stop_words")

_WORDS, _WORD_CHARACTERS, _PLAIN_WORDS, _PLAIN_CHARACTERS, _ALPHABETIC_WORDS, _STOP_WORDS = range(len(WORD_FIELDS))

_ONE = np.uint64(1)


@numba.njit(nogil=True)
def stop_word_table(hashes):
    """The hashes (uint64, 0 is none) in a table at most a quarter full: uint64, a power of two."""
    size = 16
    while size < 4 * hashes.size:
        size *= 2
    table = np.zeros(size, np.uint64)
    for word_hash in hashes:
        slot = mix64(word_hash) & np.uint64(size - 1)
        while table[slot]:
            slot = (slot + _ONE) & np.uint64(size - 1)
        table[slot] = word_hash
    return table


@numba.njit(nogil=True)
def _is_new_stop_word(word_hash, stop_words, last_seen, document):
    """Whether the word is a stop word that ``document`` (a number above 0) had not shown before; and note it."""
    mask = np.uint64(stop_words.size - 1)
    slot = mix64(word_hash) & mask
    while stop_words[slot]:
        if stop_words[slot] == word_hash:
            new = last_seen[slot] != document
            last_seen[slot] = document
            return new
        slot = (slot + _ONE) & mask
    return False


@numba.njit(nogil=True)
def find_words(data, begin, end, classes, scratch):
    """Spans of the maximal runs of characters that are not white space; returns how many.

    Written without a branch for begin and end of a word, which no processor can predict.
    """
    begins, ends = scratch.begins, scratch.ends
    begun = ended = 0
    inside = False
    position = begin
    while position < end:
        code_point, length = np.uint32(data[np.uint64(position)]), 1
        if code_point >= 0x80:
            code_point, length = decode_utf8(data, position)
        visible = classes[code_point] & WHITE_SPACE == 0
        begins[np.uint64(begun)] = ends[np.uint64(ended)] = position
        begun += visible & (not inside)
        ended += inside & (not visible)
        inside = visible
        position += length
    ends[ended] = end
    return begun


@numba.njit(nogil=True)
def take_words(begins, ends, first, words, scratch):
    """Take the spans of the words of this document from those given for all documents."""
    for word in range(words):
        scratch.begins[word], scratch.ends[word] = begins[first + word], ends[first + word]


@numba.njit(nogil=True)
def read_words(data, words, classes, powers, stop_words, last_seen, document, scratch, row):
    """Hash the words, count their kinds, and put their bytes together without what is between them."""
    running = np.uint64(0)
    total_bytes = total_characters = 0
    packed = scratch.packed
    scratch.running[0], scratch.bytes[0], scratch.characters[0] = running, 0, 0
    for word in range(words):
        before, kinds, characters = running, np.uint8(0), 0
        position, end = scratch.begins[word], scratch.ends[word]
        length = end - position
        while position < end:
            code_point, size = np.uint32(data[np.uint64(position)]), 1
            if code_point >= 0x80:
                code_point, size = decode_utf8(data, position)
            kinds |= classes[code_point] ^ np.uint8(SYMBOL)
            characters += 1
            for _ in range(size):
                byte = data[np.uint64(position)]
                running = extend_hash(running, byte)
                packed[np.uint64(total_bytes)] = byte
                total_bytes += 1
                position += 1
        total_characters += characters
        word_hash = span_hash(before, running, length, powers)
        scratch.word_hashes[word] = word_hash
        scratch.running[word + 1], scratch.bytes[word + 1] = running, total_bytes
        scratch.characters[word + 1] = total_characters
        if kinds & SYMBOL:
            row[_PLAIN_WORDS] += 1
            row[_PLAIN_CHARACTERS] += characters
        row[_ALPHABETIC_WORDS] += kinds & LETTER != 0
        row[_STOP_WORDS] += _is_new_stop_word(word_hash, stop_words, last_seen, document)
    row[_WORDS], row[_WORD_CHARACTERS] = words, total_characters
    scratch.packed[total_bytes : total_bytes + PREFIX] = 0

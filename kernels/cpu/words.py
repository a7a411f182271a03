"""Words of one document for the text statistics: where they are, their hashes, and the kinds of their characters."""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.grouping import PREFIX, extend_hash, span_hash
from gpurefine.kernels.scalar import LETTER, SYMBOL, WHITE_SPACE, decode_utf8, mix64

#: What ``count_kinds`` counts. Characters are code points of words; a plain word has a character outside the categories
#: P, S and C; an alphabetic word has a letter; stop words are the different ones that occur.
WORD_FIELDS = ("words", "word_characters", "plain_words", "plain_characters", "alphabetic_words", "stop_words")

_WORDS, _WORD_CHARACTERS, _PLAIN_WORDS, _PLAIN_CHARACTERS, _ALPHABETIC_WORDS, _STOP_WORDS = range(len(WORD_FIELDS))

_ZERO, _ONE = np.uint64(0), np.uint64(1)


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
    """Take in the maximal runs of characters that are not white space; returns how many.

    Written without a branch on where a word begins or ends, which no processor can predict: what belongs behind the
    last word begun so far is written again with each character, and masks (all bits or none) choose.
    """
    packed, kinds = scratch.packed, scratch.kinds
    running, sizes, characters = scratch.running, scratch.bytes, scratch.characters
    words, total_bytes, total_characters, inside, value, kind = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, np.uint8(0)
    running[0], sizes[0], characters[0] = _ZERO, 0, 0
    position, behind = np.uint64(begin), np.uint64(end)
    while position < behind:
        code_point, length = np.uint32(data[position]), _ONE
        if code_point >= 0x80:
            code_point, size = decode_utf8(data, position)
            length = np.uint64(size)
        character_class = classes[code_point]
        visible = np.uint64(character_class & WHITE_SPACE == 0)
        begun = visible & (inside ^ _ONE)
        words += begun
        mask = _ZERO - visible
        kind = kind & np.uint8(begun - _ONE) | (character_class ^ np.uint8(SYMBOL)) & np.uint8(mask)
        for _ in range(length):
            byte = data[position]
            value = extend_hash(value, byte) & mask | value & ~mask
            packed[total_bytes] = byte
            total_bytes += visible
            position += _ONE
        total_characters += visible
        running[words], kinds[words] = value, kind
        sizes[words], characters[words] = np.int64(total_bytes), np.int64(total_characters)
        inside = visible
    return np.int64(words)


@numba.njit(nogil=True)
def take_words(data, begins, ends, first, words, classes, scratch):
    """Take in the given words ``first`` to ``first + words`` of all documents'."""
    total_bytes = total_characters = 0
    value = np.uint64(0)
    scratch.running[0], scratch.bytes[0], scratch.characters[0] = value, 0, 0
    for word in range(words):
        kind = np.uint8(0)
        position = begins[first + word]
        while position < ends[first + word]:
            code_point, length = decode_utf8(data, position)
            kind |= classes[code_point] ^ np.uint8(SYMBOL)
            total_characters += 1
            for _ in range(length):
                value = extend_hash(value, data[position])
                scratch.packed[total_bytes] = data[position]
                total_bytes += 1
                position += 1
        scratch.running[word + 1], scratch.bytes[word + 1] = value, total_bytes
        scratch.characters[word + 1], scratch.kinds[word + 1] = total_characters, kind


@numba.njit(nogil=True)
def count_kinds(words, powers, stop_words, last_seen, document, scratch, row):
    """Hash each word that was taken in, and count the kinds of words into ``row``."""
    plain_words = plain_characters = alphabetic_words = different_stop_words = 0
    for word in range(words):
        length = scratch.bytes[word + 1] - scratch.bytes[word]
        word_hash = span_hash(scratch.running[word], scratch.running[word + 1], length, powers)
        scratch.word_hashes[word] = word_hash
        plain = scratch.kinds[word + 1] & SYMBOL != 0
        plain_words += plain
        plain_characters += (scratch.characters[word + 1] - scratch.characters[word]) * plain
        alphabetic_words += scratch.kinds[word + 1] & LETTER != 0
        different_stop_words += _is_new_stop_word(word_hash, stop_words, last_seen, document)
    row[_WORDS], row[_WORD_CHARACTERS] = words, scratch.characters[words]
    row[_PLAIN_WORDS], row[_PLAIN_CHARACTERS] = plain_words, plain_characters
    row[_ALPHABETIC_WORDS], row[_STOP_WORDS] = alphabetic_words, different_stop_words
    # what is read behind the last word must not depend on the text before
    scratch.packed[scratch.bytes[words] : scratch.bytes[words] + PREFIX] = 0

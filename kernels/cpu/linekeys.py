"""Keys of lines: each line of each text stripped, its characters replaced, and the SHA-1 or MD5 of what comes out.

It takes what is to be replaced as tables, so that it does what Python's ``strip`` and ``lower`` do, and what else can
be said of one code point after the other. Nothing is written down but keys: replaced characters go into the block of 64
bytes that is hashed next.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.digests import INITIAL_STATE, md5_block, sha1_block
from gpurefine.kernels.cpu.grouping import read_only
from gpurefine.kernels.cpu.normalise import ASCII_DROPPED, DROPPED, SAME, is_whole
from gpurefine.kernels.scalar import decode_utf8

#: sha256 of the modules whose functions are compiled in below. Numba keeps machine code for as long as the text of
#: this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "b5feb3c506f8d8dfc62652344d04ea79b93a09d3a0eddacf3ad7ac19e6cccd54"

#: Bits of a code point: white space; a letter with a case; what stands between letters of a word without ending it.
#: The last two are Unicode's Cased and Case_Ignorable; what has both has the last alone.
STRIPPED, CASED, CASE_IGNORABLE = 1, 2, 4

#: The longest replacement in bytes.
LONGEST_REPLACEMENT = 32

#: Capital sigma, whose lower case depends on what stands around it, and that lower case at the end of a word.
_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C2

_BLOCK = 64


@numba.njit(cache=True, nogil=True)
def count_lines(data, offsets, starts):
    """Count the lines of each text: one more than its newlines; an empty text has none.

    Parameters
    ----------
    data : uint8, UTF-8
    offsets : int64, (n + 1,); text i is ``data[offsets[i]:offsets[i + 1]]``
    starts : int64, (n + 1,), written: the lines of text i are ``starts[i]`` .. ``starts[i + 1] - 1``
    """
    starts[0] = 0
    for text in range(offsets.size - 1):
        begin, end = offsets[text], offsets[text + 1]
        lines = np.int64(end > begin)
        for position in range(begin, end):
            lines += data[position] == 10
        starts[text + 1] = starts[text] + lines


def line_keys(
    data: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    classes: np.ndarray,
    ascii_map: np.ndarray,
    place: np.ndarray,
    replacements: np.ndarray,
    md5: bool,
    keys: np.ndarray,
    visible: np.ndarray,
) -> None:
    """Hash each line after it was stripped and its characters were replaced. Runs without the GIL.

    Parameters
    ----------
    data, offsets, starts : as in ``count_lines``
    classes : uint8, (0x110000,): sums of ``STRIPPED``, ``CASED`` and ``CASE_IGNORABLE``
    ascii_map : uint8, (128,): what an ASCII character becomes, or ``normalise.ASCII_DROPPED``
    place : uint32, (0x110000,): ``normalise.SAME``, ``normalise.DROPPED`` or an index into ``replacements``
    replacements : uint8; at an index the length of a replacement, at most ``LONGEST_REPLACEMENT``, and then its bytes.
        A capital sigma at the end of a word becomes the final small one, whatever stands here
    md5 : whether the hash is MD5, not SHA-1
    keys : uint64, (2, lines), written: the first and the second eight bytes of the digest, the first byte highest
    visible : bool, (lines,), written: whether anything is left of the line when it is stripped
    """
    tables = read_only(data, offsets, starts, classes, ascii_map, place, replacements)
    _line_keys(*tables, md5, keys, visible)


@numba.njit(cache=True, nogil=True)
def _line_keys(data, offsets, starts, classes, ascii_map, place, replacements, md5, keys, visible):
    state, words = np.empty(5, np.uint32), np.empty(80, np.uint32)
    block = np.empty(_BLOCK + LONGEST_REPLACEMENT, np.uint8)
    for text in range(offsets.size - 1):
        begin, text_end = offsets[text], offsets[text + 1]
        for line in range(starts[text], starts[text + 1]):
            end = begin
            while end < text_end and data[end] != 10:
                end += 1
            first, last = _strip(data, begin, end, classes)
            visible[line] = first < last
            _digest(data, first, last, classes, ascii_map, place, replacements, md5, state, block, words)
            keys[0, line], keys[1, line] = _halves(state, md5)
            begin = end + 1


@numba.njit(nogil=True)
def _strip(data, begin, end, classes):
    """The span without white space at its ends."""
    while begin < end:
        code_point, length = _code_point(data, begin, end)
        if not classes[code_point] & STRIPPED:
            break
        begin += length
    while end > begin:
        last = _last_code_point(data, begin, end)
        code_point, _ = _code_point(data, last, end)
        if not classes[code_point] & STRIPPED:
            break
        end = last
    return begin, end


@numba.njit(nogil=True)
def _code_point(data, position, end):
    """Code point and length of the character at a position; of a byte that is no UTF-8 the last one, which is none."""
    if data[position] >= 0x80 and not is_whole(data, position, end):
        return np.uint32(0x10FFFF), 1
    return decode_utf8(data, position)


@numba.njit(nogil=True)
def _last_code_point(data, begin, end):
    """Where the character begins that ends at ``end``."""
    last = end - 1
    while last > begin and end - last < 4 and data[last] & 0xC0 == 0x80:
        last -= 1
    return last if last + _code_point(data, last, end)[1] == end else end - 1


@numba.njit(nogil=True)
def _ends_word(data, begin, position, end, classes):
    """Whether the capital sigma at a position ends a word (Unicode 3.13, Final_Sigma), as ``str.lower`` has it.

    A letter with a case stands before it and none behind, but for what does not end a word. The search ends at the next
    sigma at the latest, so that all of a text take linear time.
    """
    at, seen = position, 0
    while at > begin:
        at = _last_code_point(data, begin, at)
        seen = classes[_code_point(data, at, position)[0]]
        if not seen & CASE_IGNORABLE:
            break
    if not seen & CASED:
        return False
    at, seen = position + 2, 0
    while at < end:
        code_point, length = _code_point(data, at, end)
        seen = classes[code_point]
        if not seen & CASE_IGNORABLE:
            break
        at += length
    return not seen & CASED


@numba.njit(nogil=True)
def _digest(data, begin, end, classes, ascii_map, place, replacements, md5, state, block, words):
    """The state of the hash over a span with its characters replaced."""
    state[:] = INITIAL_STATE
    position, filled, before = begin, 0, 0
    while position < end:
        byte = data[position]
        if byte < 0x80:
            new = ascii_map[byte]
            block[filled] = new
            filled += new != ASCII_DROPPED
            position += 1
        elif not is_whole(data, position, end):
            # no UTF-8: it stays
            block[filled] = byte
            filled += 1
            position += 1
        else:
            code_point, length = decode_utf8(data, position)
            index = place[code_point]
            if code_point == _SIGMA and _ends_word(data, begin, position, end, classes):
                block[filled], block[filled + 1] = 0xC0 | _FINAL_SIGMA >> 6, 0x80 | _FINAL_SIGMA & 63
                filled += 2
            elif index == SAME:
                for step in range(length):
                    block[filled + step] = data[position + step]
                filled += length
            elif index != DROPPED:
                new_length = np.int64(replacements[index])
                for step in range(new_length):
                    block[filled + step] = replacements[index + 1 + step]
                filled += new_length
            position += length
        if filled >= _BLOCK:
            _take_block(md5, state, block, words)
            before += _BLOCK
            filled -= _BLOCK
            for step in range(filled):
                block[step] = block[_BLOCK + step]
    _finish(md5, before + filled, filled, state, block, words)


@numba.njit(nogil=True)
def _finish(md5, size, filled, state, block, words):
    """Take the last block or two: what is in the block, a bit, and the size in bits."""
    block[filled] = 0x80
    filled += 1
    if filled > _BLOCK - 8:
        block[filled:_BLOCK] = 0
        _take_block(md5, state, block, words)
        filled = 0
    block[filled : _BLOCK - 8] = 0
    bits = np.uint64(8 * size)
    for index in range(8):
        shift = 8 * index if md5 else 56 - 8 * index
        block[_BLOCK - 8 + index] = (bits >> np.uint64(shift)) & np.uint64(0xFF)
    _take_block(md5, state, block, words)


@numba.njit(nogil=True)
def _take_block(md5, state, block, words):
    if md5:
        md5_block(state, block, words)
    else:
        sha1_block(state, block, words)


@numba.njit(nogil=True)
def _halves(state, md5):
    """The first sixteen bytes of a digest as two numbers, the first byte highest."""
    halves = (np.uint64(0), np.uint64(0))
    for half in range(2):
        value = np.uint64(0)
        for word in state[2 * half : 2 * half + 2]:
            for index in range(4):
                shift = np.uint32(8 * index if md5 else 24 - 8 * index)
                value = value << np.uint64(8) | np.uint64((word >> shift) & np.uint32(0xFF))
        halves = (halves[1], value)
    return halves

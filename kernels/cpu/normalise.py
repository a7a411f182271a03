"""Text to normalised text over UTF-8 bytes, by one table from code points to replacements."""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.cpu.grouping import read_only
from gpurefine.kernels.scalar import decode_utf8

#: sha256 of the modules whose functions are compiled into the kernel below. Numba keeps machine code for as long as the
#: text of this file is the same, so a change in one of those must show here: see tests/kernels/test_kernel_cache.py.
COMPILED_FROM = "16096ad3e0a8a56ab216a856233f73581a93085455422cf777e1c944ef0e926c"

#: What a code point becomes: itself, nothing, one blank; or where its replacement stands, from ``BLANK + 1`` on.
SAME, DROPPED, BLANK = 0, 1, 2

#: In the table of ASCII characters: dropped. A blank there is a blank, any other value is the new character.
ASCII_DROPPED = 0xFF

_SPACE = np.uint8(0x20)


@numba.njit(inline="always")
def is_whole(data, position, end):
    """Whether the byte beyond ASCII at ``position`` leads the bytes of one code point, all of them before ``end``."""
    first = data[position]
    length = 2 if first < 0xE0 else (3 if first < 0xF0 else 4)
    if first < 0xC0 or position + length > end:
        return False
    whole = True
    for step in range(1, length):
        whole &= (data[position + step] & 0xC0) == 0x80
    return whole


def normalise_text(
    data: np.ndarray,
    offsets: np.ndarray,
    ascii_map: np.ndarray,
    place: np.ndarray,
    replacements: np.ndarray,
    out: np.ndarray,
    out_offsets: np.ndarray,
) -> int:
    """Replace each code point; blanks that follow each other become one, those at the ends go. Runs without the GIL.

    Parameters
    ----------
    data : uint8, UTF-8; of other bytes those that are no UTF-8 stay as they are
    offsets : int64, (n + 1,); document i is ``data[offsets[i]:offsets[i + 1]]``
    ascii_map : uint8, (128,), see ``ASCII_DROPPED``
    place : uint32, (0x110000,): ``SAME``, ``DROPPED``, ``BLANK`` or an index into ``replacements``
    replacements : uint8; at an index the length of a replacement and then its bytes, blanks among them
    out : uint8, where the text goes; it must be large enough
    out_offsets : int64, (n + 1,), written from 0 on

    Returns
    -------
    How many bytes were written.
    """
    return _normalise_text(*read_only(data, offsets, ascii_map, place, replacements), out, out_offsets)


@numba.njit(cache=True, nogil=True)
def _normalise_text(data, offsets, ascii_map, place, replacements, out, out_offsets):
    at = 0
    out_offsets[0] = 0
    for document in range(offsets.size - 1):
        position, end, begin = offsets[document], offsets[document + 1], at
        after_blank = True  # swallows blanks at the beginning, too
        while position < end:
            byte = data[position]
            if byte < 0x80:
                position += 1
                new = ascii_map[byte]
                if new == _SPACE:
                    if not after_blank:
                        out[at] = _SPACE
                        at += 1
                    after_blank = True
                elif new != ASCII_DROPPED:
                    out[at] = new
                    at += 1
                    after_blank = False
                continue
            if not is_whole(data, position, end):
                # no UTF-8: the byte stays, so that a text never grows by more than valid ones can
                out[at] = byte
                at += 1
                position += 1
                after_blank = False
                continue
            code_point, length = decode_utf8(data, position)
            index = place[code_point]
            if index == SAME:
                for step in range(length):
                    out[at + step] = data[position + step]
                at += length
                after_blank = False
            elif index == BLANK:
                if not after_blank:
                    out[at] = _SPACE
                    at += 1
                after_blank = True
            elif index != DROPPED:
                for step in range(1, replacements[index] + 1):
                    new = replacements[index + step]
                    if new != _SPACE or not after_blank:
                        out[at] = new
                        at += 1
                    after_blank = new == _SPACE
            position += length
        if at > begin and out[at - 1] == _SPACE:
            at -= 1
        out_offsets[document + 1] = at
    return at

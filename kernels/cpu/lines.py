"""Lines, paragraphs and marks of one document: the part of the text statistics that reads every byte.

A line's parts are counted into a row of integers, in the order of ``LINE_FIELDS``.
"""

from __future__ import annotations

import numba
import numpy as np

from gpurefine.kernels.scalar import BULLET, WHITE_SPACE, decode_utf8, hash_bytes, mix64

#: What ``read_lines`` counts. Marks: ``#``; ``...`` and the one-character ellipsis; ``. . .``; none overlaps itself.
#: Newline lines are split at newlines, blank ones count, and a newline at the end opens none; visible lines are those
#: that are not blank, and the other three look at a visible line without white space at its ends.
LINE_FIELDS = (
    "characters", "number_signs", "ellipses", "spaced_ellipses",
    "newline_lines", "visible_lines", "bullet_lines", "ellipsis_lines", "spaced_ellipsis_lines",
)  # fmt: skip

(
    _CHARACTERS, _NUMBER_SIGNS, _ELLIPSES, _SPACED_ELLIPSES,
    _NEWLINE_LINES, _VISIBLE_LINES, _BULLET_LINES, _ELLIPSIS_LINES, _SPACED_ELLIPSIS_LINES,
) = range(len(LINE_FIELDS))  # fmt: skip

_ONE, _THREE = np.uint64(1), np.uint64(3)
_DOT, _NEWLINE, _BLANK, _NUMBER_SIGN = 46, 10, 32, 35


@numba.njit(nogil=True)
def strip(data, begin, end, classes):
    """The span without white space at its ends."""
    while begin < end:
        code_point, length = decode_utf8(data, begin)
        if not classes[code_point] & WHITE_SPACE:
            break
        begin += length
    while end > begin:
        last = end - 1
        while data[last] & 0xC0 == 0x80:
            last -= 1
        code_point, _ = decode_utf8(data, last)
        if not classes[code_point] & WHITE_SPACE:
            break
        end = last
    return begin, end


@numba.njit(nogil=True)
def _judge_line(data, begin, end, classes, row):
    """Count the line [begin, end) if it is visible, and how it begins and ends."""
    begin, end = strip(data, begin, end, classes)
    if begin == end:
        return
    row[_VISIBLE_LINES] += 1
    code_point, _ = decode_utf8(data, begin)
    row[_BULLET_LINES] += classes[code_point] & BULLET != 0
    if end - begin < 3:
        return
    last, middle, first = data[end - 1], data[end - 2], data[end - 3]
    dots = last == _DOT and middle == _DOT and first == _DOT
    row[_ELLIPSIS_LINES] += dots or (first == 0xE2 and middle == 0x80 and last == 0xA6)
    if end - begin >= 5 and last == _DOT and middle == _BLANK and first == _DOT:
        row[_SPACED_ELLIPSIS_LINES] += data[end - 4] == _BLANK and data[end - 5] == _DOT


@numba.njit(nogil=True)
def _read_line(data, begin, document_end, marks, row):
    """Read from ``begin`` to the newline or the end, counting marks; returns the end and the characters read."""
    characters = dots = spaced = 0
    position = begin
    while position < document_end:
        byte = data[np.uint64(position)]
        # most bytes are none of the four that are looked for: one test for all
        if marks[byte] or dots or spaced:
            if byte == _NEWLINE:
                break
            if byte == _DOT:
                dots += 1
                spaced = spaced + 1 if spaced & 1 == 0 else 1
            else:
                dots = 0
                spaced = spaced + 1 if byte == _BLANK and spaced & 1 else 0
            if dots == 3:
                row[_ELLIPSES] += 1
                dots = 0
            if spaced == 5:
                row[_SPACED_ELLIPSES] += 1
                spaced = 0
            if byte == _NUMBER_SIGN:
                row[_NUMBER_SIGNS] += 1
            elif byte == 0xE2 and data[position + 1] == 0x80 and data[position + 2] == 0xA6:
                row[_ELLIPSES] += 1
        characters += byte & 0xC0 != 0x80
        position += 1
    return position, characters


@numba.njit(nogil=True)
def mark_table():
    """uint8, (256,): 1 for the bytes that ``read_lines`` looks for: newline, ``#``, dot, first byte of an ellipsis."""
    marks = np.zeros(256, np.uint8)
    for byte in (_NEWLINE, _NUMBER_SIGN, _DOT, 0xE2):
        marks[byte] = 1
    return marks


@numba.njit(nogil=True)
def read_lines(data, begin, end, classes, marks, scratch, row):
    """Count characters, marks and visible lines; fill in hashes and lengths of lines and paragraphs, return how many.

    Lines are what is left when the text is split at runs of newlines, paragraphs at runs of two or more, so that a text
    that begins or ends with such a run has an empty first or last item.
    """
    lines = paragraphs = paragraph_characters = 0
    paragraph_hash = _ONE
    position = begin
    while True:
        line_begin = position
        position, characters = _read_line(data, position, end, marks, row)
        line_hash = hash_bytes(data, line_begin, position)
        _judge_line(data, line_begin, position, classes, row)
        newlines = 0
        while position < end and data[position] == _NEWLINE:
            newlines += 1
            position += 1
        scratch.line_hashes[lines], scratch.line_characters[lines] = line_hash, characters
        lines += 1
        paragraph_hash = mix64(paragraph_hash * _THREE + line_hash)
        paragraph_characters += characters
        row[_CHARACTERS] += characters + newlines
        row[_NEWLINE_LINES] += newlines
        if newlines == 1:
            paragraph_characters += 1
        else:
            scratch.paragraph_hashes[paragraphs] = paragraph_hash
            scratch.paragraph_characters[paragraphs] = paragraph_characters
            paragraphs += 1
            paragraph_hash, paragraph_characters = _ONE, 0
        if newlines == 0:
            break
    row[_NEWLINE_LINES] += end > begin and data[end - 1] != _NEWLINE
    return lines, paragraphs

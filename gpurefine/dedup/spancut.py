"""Spans of characters of one text: trimmed, grown by accents, shrunk to words, and cut out of it.

Spans are int64, (k, 2): first character and the one behind the last, in order, and they do not overlap. An empty one
stands for nothing; what takes all from a span leaves an empty one, so that their number stays.
"""

from __future__ import annotations

import functools

import numpy as np

from gpurefine.kernels.cpu.normalise import BLANK, DROPPED
from gpurefine.text.origins import apart
from gpurefine.text.unicode import NormalisationTable, normalisation_table

#: Newlines that may follow each other where a span was cut out.
MOST_NEWLINES = 2


def trimmed(text: str, spans: np.ndarray) -> np.ndarray:
    """Spans of a text without the white space at their ends."""
    out = spans.copy()
    for row, (first, last) in enumerate(spans.tolist()):
        characters = text[first:last]
        first += len(characters) - len(characters.lstrip())
        out[row] = first, first + len(characters.strip())
    return out


def with_marks(text: str, spans: np.ndarray) -> np.ndarray:
    """Spans of a text with the nonspacing marks behind them, so that no accent is left without its letter."""
    out = spans.copy()
    some = np.flatnonzero(spans[:, 0] < spans[:, 1])
    ends = np.append(spans[some, 0], len(text))[1:]  # where the next begins, so that no mark is looked at twice
    for row, end in zip(some.tolist(), ends.tolist(), strict=True):
        last = int(spans[row, 1])
        while last < end and _is_mark(text[last]):
            last += 1
        out[row, 1] = last
    return apart(out)


def whole_words(text: str, spans: np.ndarray) -> np.ndarray:
    """Spans of a text without the words of which they have only a part, and from a word's beginning to a word's end.

    A word is a run of characters that are neither white space nor punctuation nor symbols.
    """
    out = spans.copy()
    for row, (first, last) in enumerate(spans.tolist()):
        if first > 0 and _is_of_word(text[first - 1]):
            while first < last and _is_of_word(text[first]):
                first += 1
        if last < len(text) and _is_of_word(text[last]):
            while first < last and _is_of_word(text[last - 1]):
                last -= 1
        while first < last and not _is_of_word(text[first]):
            first += 1
        while first < last and not _is_of_word(text[last - 1]):
            last -= 1
        out[row] = first, last
    return out


def cut(text: str, spans: np.ndarray) -> str:
    """A text without its spans; only where they were is anything else changed.

    White space that stood before and behind a cut becomes one blank, or, if newlines are in it, as many of them, two at
    most. White space on one side alone stays as it is, but for that which the cut has brought to an end of the text.
    """
    spans = spans[spans[:, 0] < spans[:, 1]]
    if not len(spans):
        return text
    edges = [0, *spans.ravel().tolist(), len(text)]
    left: list[str] = []
    blanks: list[str] = []  # white space since the last other character that is left
    for number, (first, last) in enumerate(zip(edges[::2], edges[1::2], strict=True)):
        piece = text[first:last]
        words = piece.strip()
        if not words:
            blanks.append(piece)
            continue
        begin = len(piece) - len(piece.lstrip())
        blanks.append(piece[:begin])
        if left or number == 0:
            left.append(_met(blanks))
        left.append(words)
        blanks = [piece[begin + len(words) :]]
    if len(blanks) == 1:  # no cut came after the last words
        left += blanks
    return "".join(left)


def _met(blanks: list[str]) -> str:
    """What becomes of white space that met where spans were cut out between it."""
    some = [each for each in blanks if each]
    if len(some) < 2:
        return "".join(some)
    newlines = sum(each.count("\n") for each in some)
    return "\n" * min(newlines, MOST_NEWLINES) if newlines else " "


@functools.cache
def _table() -> NormalisationTable:
    return normalisation_table("blank")


def _is_mark(character: str) -> bool:
    return bool(_table().place[ord(character)] == DROPPED)


def _is_of_word(character: str) -> bool:
    table = _table()
    place = int(table.place[ord(character)])
    if place <= BLANK:
        return place != BLANK
    length = int(table.replacements[place])
    return bool(table.replacements[place + 1 : place + 1 + length].tobytes().strip())

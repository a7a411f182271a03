"""What Unicode says of code points, in one fixed version, for everything that decides a key of a dedup.

Python's own tables differ between its versions, and a key must not. The version is 16.0, that of tiktoken's regular
expressions. The file beside this module is made by docs/make_unicode.py.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np

from gpurefine.kernels.cpu.normalise import ASCII_DROPPED, BLANK, DROPPED, SAME
from gpurefine.kernels.cpu.pretokens import PATTERN_LETTER, PATTERN_NUMBER, PATTERN_OTHER, PATTERN_SPACE

CODE_POINTS = 0x110000

Punctuation = Literal["blank", "delete"]

#: ``str.isspace`` knows four control characters more than the property White_Space.
_MORE_BLANKS = range(0x1C, 0x20)

#: Hangul syllables and the letters they are composed of: first ones, and how many vowels and finals (Unicode 3.12).
_HANGUL = range(0xAC00, 0xD7A4)
_LEADS, _VOWELS, _TAILS = 0x1100, 0x1161, 0x11A7
_VOWEL_COUNT, _TAIL_COUNT = 21, 28


@dataclass(frozen=True)
class NormalisationTable:
    """What ``kernels.normalise_text`` needs.

    Attributes
    ----------
    ascii_map : uint8, (128,)
    place : uint32, (0x110000,)
    replacements : uint8
    growth : a code point beyond ASCII becomes at most this many times as many bytes; ASCII never grows
    """

    ascii_map: np.ndarray
    place: np.ndarray
    replacements: np.ndarray
    growth: int


def _text() -> str:
    return files("gpurefine.text").joinpath("unicode-16.txt").read_text("utf-8")


def unicode_checksum() -> str:
    """sha256 of the file, for manifests."""
    return hashlib.sha256(_text().encode()).hexdigest()


def _entries(marks: str) -> Iterator[tuple[str, int, int, list[str]]]:
    """Lines of the file with one of these marks: mark, first and last code point, and what follows."""
    for line in _text().splitlines():
        if line[0] in marks:
            mark, run, *rest = line.split()
            first, _, last = run.partition("-")
            yield mark, int(first, 16), int(last or first, 16), rest


@functools.cache
def gpt2_classes() -> np.ndarray:
    """Class of every code point in GPT-2's pattern.

    Returns
    -------
    uint8, (0x110000,), read-only: ``PATTERN_LETTER`` (``\\p{L}``), ``PATTERN_NUMBER`` (``\\p{N}``), ``PATTERN_SPACE``
    (``\\s``) or ``PATTERN_OTHER`` of ``gpurefine.kernels.cpu.pretokens``
    """
    table = np.full(CODE_POINTS, PATTERN_OTHER, np.uint8)
    classes = {"L": PATTERN_LETTER, "N": PATTERN_NUMBER, "S": PATTERN_SPACE}
    for mark, first, last, _ in _entries("LNS"):
        table[first : last + 1] = classes[mark]
    table.flags.writeable = False
    return table


@functools.cache
def normalisation_table(punctuation: Punctuation) -> NormalisationTable:
    """What each code point becomes when a text is normalised (RefinedWeb G.3.1).

    Single lower case, NFD, marks (Mn) dropped, punctuation and symbols (P, S) blanks or dropped, white space (as
    ``str.isspace``) blanks. Because marks are dropped, the order in which NFD puts them cannot matter, so a table by
    code point gives what the operations on the whole text give. Lower case does not look at context: a capital sigma at
    the end of a word becomes the ordinary small one.

    Parameters
    ----------
    punctuation : ``blank`` or ``delete``
    """
    place = np.full(CODE_POINTS, SAME, np.uint32)
    replacements = bytearray(BLANK + 1)
    mark_of_punctuation = {"blank": BLANK, "delete": DROPPED}[punctuation]
    for mark, first, last, _ in _entries("MPS"):
        place[first : last + 1] = {"M": DROPPED, "P": mark_of_punctuation, "S": BLANK}[mark]
    place[_MORE_BLANKS.start : _MORE_BLANKS.stop] = BLANK
    growth = 1
    for code_point, new in _replacements(" " if punctuation == "blank" else ""):
        place[code_point] = len(replacements)
        replacements += bytes([len(new)]) + new
        growth = max(growth, -(-len(new) // len(chr(code_point).encode())))
    return NormalisationTable(
        _read_only(_ascii_map(place, replacements)),
        _read_only(place),
        _read_only(np.frombuffer(bytes(replacements), np.uint8)),
        growth,
    )


def _replacements(punctuation: str) -> Iterator[tuple[int, bytes]]:
    for _, first, last, parts in _entries("="):
        if len(parts) == 1:
            target = int(parts[0], 16)
            yield from ((code, chr(code - first + target).encode()) for code in range(first, last + 1))
        else:
            yield first, "".join(punctuation if part == "P" else chr(int(part, 16)) for part in parts).encode()
    for code in _HANGUL:
        rest, tail = divmod(code - _HANGUL.start, _TAIL_COUNT)
        lead, vowel = divmod(rest, _VOWEL_COUNT)
        letters = chr(_LEADS + lead) + chr(_VOWELS + vowel) + (chr(_TAILS + tail) if tail else "")
        yield code, letters.encode()


def _ascii_map(place: np.ndarray, replacements: bytearray) -> np.ndarray:
    table = np.arange(128, dtype=np.uint8)
    for code in range(128):
        index = int(place[code])
        if index > BLANK:
            # a capital letter, which becomes one other ASCII character
            table[code] = replacements[index + 1]
        elif index != SAME:
            table[code] = ord(" ") if index == BLANK else ASCII_DROPPED
    return table


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array

"""How lines are compared, as tables for ``kernels.line_keys``: what each code point becomes.

The tables come from Python's own ``str.lower`` and ``unicodedata``, as they do in the programs whose rules these are,
so newly assigned characters differ between Python versions; the stages put a checksum of them into the run's manifest,
and a run is not continued with other tables.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpurefine.kernels import CASE_IGNORABLE, CASED, STRIPPED, line_keys
from gpurefine.kernels.cpu.normalise import ASCII_DROPPED, BLANK, DROPPED, SAME

if TYPE_CHECKING:
    from gpurefine.kernels.sides import Array

CODE_POINTS = 0x110000

#: Where characters are assigned, but for private use: planes 0 to 3 without surrogates, and a part of plane 14.
_ASSIGNED = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000))


@dataclass(frozen=True)
class LineTable:
    """What ``kernels.line_keys`` needs, all read-only.

    Attributes
    ----------
    classes : uint8, (0x110000,)
    ascii_map : uint8, (128,)
    place : uint32, (0x110000,)
    replacements : uint8
    """

    classes: np.ndarray
    ascii_map: np.ndarray
    place: np.ndarray
    replacements: np.ndarray


@functools.cache
def line_table(becomes: Callable[[str], str]) -> LineTable:
    """The tables of a rule; takes up to a second once a process.

    Parameters
    ----------
    becomes : what a text becomes when it is stripped already. It looks at one code point after the other, but that it
        makes a capital sigma at the end of a word the final small one, as ``str.lower`` does
    """
    place = np.full(CODE_POINTS, SAME, np.uint32)
    replacements = bytearray(BLANK + 1)
    places: dict[str, int] = {"": DROPPED}
    for code_points in _ASSIGNED:
        for code_point in code_points:
            character = chr(code_point)
            new = becomes(character)
            if new == character:
                continue
            if new not in places:
                places[new] = len(replacements)
                replacements += bytes([len(new.encode())]) + new.encode()
            place[code_point] = places[new]
    ascii_map = [ord(becomes(chr(code_point)) or chr(ASCII_DROPPED)) for code_point in range(128)]
    table = LineTable(_classes(), np.array(ascii_map, np.uint8), place, np.frombuffer(bytes(replacements), np.uint8))
    for array in (table.ascii_map, table.place):
        array.flags.writeable = False
    return table


@functools.cache
def _classes() -> np.ndarray:
    """Classes of code points; which letters have a case is learned from what a sigma beside them becomes."""
    table = np.zeros(CODE_POINTS, np.uint8)
    for code_points in _ASSIGNED:
        for character in map(chr, code_points):
            bits = STRIPPED if character.isspace() else 0
            if ("A" + character + "\u03a3").lower()[-1] == "\u03c2":
                bits |= CASED if (character + "\u03a3").lower()[-1] == "\u03c2" else CASE_IGNORABLE
            table[ord(character)] = bits
    table.flags.writeable = False
    return table


def table_checksum(table: LineTable) -> str:
    """sha256 of the tables of a rule, for manifests."""
    arrays = (table.classes, table.ascii_map, table.place, table.replacements)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def digests_of_lines(
    data: Array, offsets: Array, table: LineTable, md5: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The SHA-1 or MD5 of each line of each text, stripped and with its characters replaced.

    Parameters
    ----------
    data : uint8, (bytes,), UTF-8; on the host or on a device
    offsets : int64, (n + 1,); text i is ``data[offsets[i]:offsets[i + 1]]``; its lines are what ``split`` at newlines
        gives, but that an empty text has none
    table : from ``line_table``
    md5 : whether the digest is MD5, not SHA-1

    Returns
    -------
    keys : uint64, (2, lines), on the host: the first and the second eight bytes of a digest, the first byte highest
    starts : int64, (n + 1,), on the host; the lines of text i are ``starts[i]`` .. ``starts[i + 1] - 1``
    visible : bool, (lines,), on the host: whether a line has anything but white space
    """
    return line_keys(data, offsets, table.classes, table.ascii_map, table.place, table.replacements, md5)

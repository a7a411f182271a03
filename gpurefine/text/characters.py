"""Classes of all Unicode code points as one table, for the text statistics and the line rules.

The table comes from Python's ``unicodedata``, so newly assigned characters differ between Python versions; the
stages that use it put its checksum into the run's manifest, and a run is not continued with another table.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata

import numpy as np

from gpurefine.kernels.scalar import BULLET, DECIMAL_DIGIT, LETTER, SYMBOL, UPPER_CASE, WHITE_SPACE

CODE_POINTS = 0x110000

#: First code point of planes 4 to 13, which Unicode leaves unassigned; only a part of plane 14 is assigned, and planes
#: 15 and 16 are private use. What is not assigned is of category C, as private use is.
_UNASSIGNED, _PLANE_14, _PLANE_14_END = 0x40000, 0xE0000, 0xE1000

_CLASS_OF_CATEGORY = {"L": LETTER, "P": SYMBOL, "S": SYMBOL, "C": SYMBOL}


@functools.cache
def character_classes() -> np.ndarray:
    """Class bits of every code point; takes some 0.1 s once a process.

    Returns
    -------
    uint8, (0x110000,), read-only: sums of the bits LETTER (category L), WHITE_SPACE (``str.isspace``), SYMBOL
    (categories P, S and C, so also what is not assigned), UPPER_CASE (``str.isupper``), DECIMAL_DIGIT (category Nd)
    """
    table = np.full(CODE_POINTS, SYMBOL, np.uint8)
    for first, end in ((0, _UNASSIGNED), (_PLANE_14, _PLANE_14_END)):
        characters = [chr(code_point) for code_point in range(first, end)]
        categories = [unicodedata.category(character) for character in characters]
        bits = {category: _CLASS_OF_CATEGORY.get(category[0], 0) for category in set(categories)}
        bits["Nd"] = DECIMAL_DIGIT
        table[first:end] = [bits[category] for category in categories]
        table[first:end] |= np.array([character.isspace() for character in characters]) * np.uint8(WHITE_SPACE)
        table[first:end] |= np.array([character.isupper() for character in characters]) * np.uint8(UPPER_CASE)
    table.flags.writeable = False
    return table


@functools.lru_cache(maxsize=8)
def classes_with_bullets(bullets: tuple[str, ...]) -> np.ndarray:
    """``character_classes()`` with the bit BULLET at the given characters.

    Parameters
    ----------
    bullets : single characters that open an item of a list

    Returns
    -------
    uint8, (0x110000,), read-only
    """
    table = character_classes().copy()
    for bullet in bullets:
        table[ord(bullet)] |= BULLET
    table.flags.writeable = False
    return table


def classes_checksum() -> str:
    """sha256 of the table, for the manifest."""
    return hashlib.sha256(character_classes().tobytes()).hexdigest()

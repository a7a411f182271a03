"""The table of character classes against ``unicodedata``, code point by code point."""

import sys
import unicodedata

import numpy as np

from gpurefine.kernels.scalar import BULLET, DECIMAL_DIGIT, LETTER, SYMBOL, UPPER_CASE, WHITE_SPACE
from gpurefine.text.characters import character_classes, classes_checksum, classes_with_bullets


def test_every_code_point():
    characters = [chr(code_point) for code_point in range(sys.maxunicode + 1)]
    categories = [unicodedata.category(character) for character in characters]
    table = character_classes()
    assert table.shape == (sys.maxunicode + 1,) and table.dtype == np.uint8
    assert ((table & LETTER != 0) == [category[0] == "L" for category in categories]).all()
    assert ((table & SYMBOL != 0) == [category[0] in "PSC" for category in categories]).all()
    assert ((table & DECIMAL_DIGIT != 0) == [category == "Nd" for category in categories]).all()
    assert ((table & WHITE_SPACE != 0) == [character.isspace() for character in characters]).all()
    assert ((table & UPPER_CASE != 0) == [character.isupper() for character in characters]).all()
    assert not (table & BULLET).any()


def test_bullets_are_added_to_a_copy():
    table = classes_with_bullets(("*", "●"))
    assert np.flatnonzero(table & BULLET).tolist() == sorted(map(ord, "*●"))
    assert (table & ~np.uint8(BULLET) == character_classes()).all()


def test_the_table_cannot_be_changed():
    assert not character_classes().flags.writeable and not classes_with_bullets(("*",)).flags.writeable
    assert classes_checksum() == classes_checksum()

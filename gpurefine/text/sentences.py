"""Sentences of a text, by the marks that end them; and how a sentence is compared."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

#: A mark that ends a sentence, what closes behind it, and the white space up to the next. The marks of Chinese and
#: Japanese need none.
_END = re.compile(
    r"[.!?\u2026]+[\"'\u2019\u201d\u00bb)\]]*(?:\s+|$)|[\u3002\uff01\uff1f]+[\u300d\u300f\u201d\uff09]*\s*"
)
_NUMBER = re.compile(r"\d+")


def sentence_borders(text: str) -> list[int]:
    """Where the sentences of a text begin, in code points, and its length; white space behind a sentence is its own.

    A sentence ends with ``.``, ``!``, ``?`` or an ellipsis before white space, or with a full-width mark. There is no
    list of abbreviations, so "Dr. Smith" is cut; a newline ends nothing. A text of white space has no sentence.
    """
    if not text.strip():
        return [0]
    borders = [0, *(match.end() for match in _END.finditer(text))]
    if text[borders[-1] :].strip():
        borders.append(len(text))
    else:
        borders[-1] = len(text)
    return borders


def count_sentences(text: str) -> int:
    """How many sentences a text has; see ``sentence_borders``."""
    return len(sentence_borders(text)) - 1


def comparable_sentence(text: str) -> str:
    """Lower case, without accents and punctuation, numbers as 0, single blanks."""
    plain = unicodedata.normalize("NFD", text.lower()).translate(without_categories("Mn", "P", "S"))
    return " ".join(_NUMBER.sub("0", plain).split())


@cache
def without_categories(*categories: str) -> dict[int, None]:
    """For ``str.translate``: takes out the characters of Unicode categories, by whole name or first letter."""
    return {
        code_point: None
        for code_point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code_point)).startswith(categories)
    }

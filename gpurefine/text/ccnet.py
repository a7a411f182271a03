"""How CCNet compares lines (Wenzek et al., arXiv 1911.00359; the released code, where the paper differs)."""

from __future__ import annotations

import re
import unicodedata

from gpurefine.text.sentences import without_categories

#: The typographic and full-width marks that the code removes.
MARKS = (
    "\uff0c\u3002\u3001\u201e\u201d\u201c\u00ab\u00bb\uff11\u300d\u300c\u300a\u300b\u00b4\u2236\uff1a\uff1f\uff01"
    "\uff08\uff09\uff1b\u2013\u2014\uff0e\uff5e\u2019\u2026\u2501\u3008\u3009\u3010\u3011\uff05\u25ba"
)
_GONE = dict.fromkeys([*map(ord, MARKS), *range(32), *range(127, 160)])
_DIGIT = re.compile(r"\d")


def comparable_line(line: str) -> str:
    """As the code has it: stripped, lower case, digits of any script to 0, 34 marks and control characters removed.

    Accents, ASCII punctuation and inner blanks stay.
    """
    return comparable_characters(line.strip())


def comparable_line_of_the_paper(line: str) -> str:
    """As section 3.2 has it: also without accents, and without all punctuation of Unicode."""
    return comparable_characters_of_the_paper(line.strip())


def comparable_characters(text: str) -> str:
    """What ``comparable_line`` makes of a line that is stripped."""
    return _DIGIT.sub("0", text.lower()).translate(_GONE)


def comparable_characters_of_the_paper(text: str) -> str:
    """What ``comparable_line_of_the_paper`` makes of a line that is stripped; NFD is that of each character."""
    parts = (unicodedata.normalize("NFD", character) for character in comparable_characters(text))
    return "".join(parts).translate(without_categories("Mn", "P"))

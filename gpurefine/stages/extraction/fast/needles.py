"""What an attribute string must contain for a test to be true: short literals that are quick to look for.

Class and id strings are split into words, and only words in which some *needle* lies lead to real tests. A needle is
lower case, without white space and of ASCII, so that lower-casing a string of ASCII and splitting it loses none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]

from gpurefine.stages.extraction.fast.expressions import AttributeTest

#: A memo holds so many strings before it begins anew, and none that is longer, so that hostile pages cannot make it
#: grow: 11 MB of ASCII, 42 MB of the widest characters.
MOST_REMEMBERED = 20_000
LONGEST_REMEMBERED = 500


def needles(test: AttributeTest) -> set[str] | None:
    """Strings of which every string that passes the test contains one, in some case; None if there are no such.

    Of a regular expression: its longest run of literals that must be there, or the union over a group's branches.
    """
    if test.kind == "any":
        return None
    if test.kind == "regex":
        found = _of_sequence(parser.parse(test.literal)) or {""}
    else:
        found = {test.literal if test.table is None or _folds_case(test.table) else ""}
    found = {each.strip().lower() for each in found}
    useless = any(len(each) < 2 or re.search(r"\s", each) or not each.isascii() for each in found)
    return None if useless else found


def _folds_case(table: dict[int, int]) -> bool:
    """Whether a table only turns letters into their lower case, so that a lower-cased string has them all."""
    return all(chr(old).lower() == chr(new) for old, new in table.items())


def _of_sequence(sequence: Iterable[tuple[object, object]]) -> set[str] | None:
    best: set[str] | None = None
    run = ""
    for operation, argument in [*sequence, (None, None)]:
        if operation is constants.LITERAL:
            run += chr(argument)  # type: ignore[arg-type]
            continue
        options: list[set[str] | None] = [{run}] if run else []
        run = ""
        if operation is constants.SUBPATTERN:
            options.append(_of_sequence(argument[3]))  # type: ignore[index]
        elif operation is constants.BRANCH:
            branches = [_of_sequence(each) for each in argument[1]]  # type: ignore[index]
            options.append(None if None in branches else set().union(*branches))  # type: ignore[arg-type]
        for option in options:
            if option and (best is None or min(map(len, option)) > min(map(len, best))):
                best = option
    return best


def remember(memo: dict[str, int], string: str, bits: int) -> int:
    """Note the verdict on a string within the limits of a memo; returns the verdict."""
    if len(string) <= LONGEST_REMEMBERED:
        if len(memo) >= MOST_REMEMBERED:
            memo.clear()
        memo[string] = bits
    return bits


class WordBits(dict[str, int]):
    """A lower-case word -> bits of the tests that might be true because of it, never too few.

    Parameters
    ----------
    hints : needles, and the bits of the tests that each belongs to
    """

    def __init__(self, hints: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self._heads: dict[str, list[tuple[str, int]]] = {}
        firsts: dict[str, set[str]] = {}
        for needle, bits in hints:
            self._heads.setdefault(needle[:2], []).append((needle, bits))
            firsts.setdefault(needle[0], set()).add(re.escape(needle[1:]))
        branches = (f"{re.escape(first)}(?:{'|'.join(sorted(rest))})" for first, rest in sorted(firsts.items()))
        self._search = re.compile("|".join(branches)).search if hints else lambda word: None

    def __missing__(self, word: str) -> int:
        bits = 0
        if self._search(word):
            for place in range(len(word) - 1):
                for needle, own in self._heads.get(word[place : place + 2], ()):
                    if word.startswith(needle, place):
                        bits |= own
        return remember(self, word, bits)

"""What an attribute string must contain for a test to be true: short literals that are quick to look for.

Only class and id strings in which some *needle* lies lead to real tests. A needle is lower case, without white space
and of ASCII, so that lower-casing a string of ASCII loses none, and strings can be searched together, a line each.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]

from gpurefine.stages.extraction.fast.expressions import AttributeTest


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


def proofs(test: AttributeTest) -> set[str]:
    """Of the needles of a test, those of which a string in lower case only needs one to pass the test."""
    if test.kind == "contains":
        whole = {test.literal}
    elif test.kind == "regex":
        sequence = list(parser.parse(test.literal))
        branches = sequence[0][1][1] if len(sequence) == 1 and sequence[0][0] is constants.BRANCH else [sequence]
        literals = (branch for branch in branches if all(operation is constants.LITERAL for operation, _ in branch))
        whole = {"".join(chr(argument) for _, argument in branch) for branch in literals}
    else:
        whole = set()
    return whole & (needles(test) or set())


class Needles:
    """The needles of many tests, looked for in many strings at once.

    Parameters
    ----------
    tests : by attribute, the bit and the test of each
    """

    def __init__(self, tests: Mapping[str, Sequence[tuple[int, AttributeTest]]]) -> None:
        self._of: dict[str, dict[str, tuple[int, int]]] = {}
        for attribute, each in tests.items():
            for bit, test in each:
                sure = proofs(test)
                for needle in needles(test) or ():
                    owners = self._of.setdefault(needle, {})
                    maybe, proven = owners.get(attribute, (0, 0))
                    owners[attribute] = (maybe | bit, proven | (bit if needle in sure else 0))
        # a needle that holds another one is looked for only where that one was found
        roots = [needle for needle in self._of if not any(other in needle for other in self._of if other != needle)]
        self._trees = [(root, [needle for needle in self._of if root in needle]) for root in roots]

    def search(self, strings: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
        """Look for all needles in some strings together, since a search costs more to begin than to go on.

        Parameters
        ----------
        strings : attribute and lower-case value of each

        Returns
        -------
        of each: bits of the tests that may be true, never too few, and of those that are if the value was in lower case
        """
        # no needle holds the separator, so none is found across two strings
        together = "\n".join(string for _, string in strings)
        starts = list(accumulate((len(string) + 1 for _, string in strings), initial=0))
        maybe, proven = [0] * len(strings), [0] * len(strings)
        likely = {needle for root, needles in self._trees if root in together for needle in needles}
        for needle in likely:
            owners, at = self._of[needle], together.find(needle)
            while at >= 0:
                place = bisect_right(starts, at) - 1
                own = owners.get(strings[place][0])
                if own is not None:
                    maybe[place] |= own[0]
                    proven[place] |= own[1]
                at = together.find(needle, starts[place + 1])
        return list(zip(maybe, proven, strict=True))

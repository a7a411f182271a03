"""Many XPath expressions answered in one walk over a tree, with the verdict on each attribute string remembered.

Three levels keep the regular expressions rare: a string seen before costs a look-up; a new one is split into words, and
only words with a needle raise suspicion; only then are the suspected tests asked. Words of style sheets repeat on all
pages of a site, whole strings on one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gpurefine.stages.extraction.fast.expressions import Attribute, AttributeTest, OneOf, UnsupportedError, holds, parse
from gpurefine.stages.extraction.fast.needles import WordBits, needles, remember


class _Verdicts(dict[str, int]):
    """An attribute string -> bits of the tests that it passes.

    Parameters
    ----------
    tests : bit and test of each
    words : bits by word
    """

    def __init__(self, tests: Sequence[tuple[int, AttributeTest]], words: WordBits) -> None:
        super().__init__()
        self._tests, self._words = tests, words
        self._without_needles = 0
        for bit, test in tests:
            self._without_needles |= bit if needles(test) is None else 0

    def __missing__(self, value: str) -> int:
        bits, maybe = 0, self._without_needles
        if value.isascii():
            for word in value.lower().split():
                maybe |= self._words[word]
        else:
            # case folding beyond ASCII: every test is asked
            maybe = -1
        if maybe:
            for bit, test in self._tests:
                if maybe & bit and not bits & bit and test.passes(value):
                    bits |= bit
        return remember(self, value, bits)


class Table:
    """Expressions, one bit for each side of each, so that a string is judged once for all that ask about it.

    The low bits of a verdict are the tests of that attribute alone. Those of a union such as ``@id|@class`` follow in
    a block for each union; they count only if the attribute is the first of the union on its element.

    Parameters
    ----------
    texts : XPath expressions

    Attributes
    ----------
    bits : of each text
    tags : of each bit: the tags an element may have, None for any
    always : of each bit: whether the tag alone decides
    further : bits with the predicates behind their first one
    verdicts : by attribute
    shifts : where the blocks of unions begin

    Raises
    ------
    UnsupportedError
        for an expression that is not understood
    """

    def __init__(self, texts: Sequence[str]) -> None:
        paths = [(number, path) for number, text in enumerate(texts) for path in parse(text)]
        self.bits = [0] * len(texts)
        self.tags = [path.tags for _, path in paths]
        self.always = [not path.predicates for _, path in paths]
        further = ((1 << place, path.predicates[1:]) for place, (_, path) in enumerate(paths))
        self.further = [(bit, predicates) for bit, predicates in further if predicates]
        tests: dict[str, list[tuple[int, AttributeTest]]] = {}
        unions: dict[frozenset[str], int] = {}
        for place, (number, path) in enumerate(paths):
            self.bits[number] |= 1 << place
            for attribute in _attributes(path.predicates):
                shift = 0
                if len(attribute.names) > 1:
                    shift = unions.setdefault(frozenset(attribute.names), len(paths) * (len(unions) + 1))
                for name in attribute.names:
                    tests.setdefault(name, []).append((1 << place << shift, attribute.test))
        words = WordBits(_hints(tests))
        self.verdicts = {name: _Verdicts(each, words) for name, each in tests.items()}
        self._unions = list(unions.items())
        self.shifts = [shift for _, shift in self._unions]

    def of_several(self, element: Any, present: Sequence[str]) -> int:
        """Bits of an element with several of the tested attributes, which stand in ``present`` in source order."""
        bits = 0
        for name in present:
            bits |= self.verdicts[name][element.get(name)]
        if self.shifts and bits >> self.shifts[0]:
            bits &= (1 << self.shifts[0]) - 1
            for names, shift in self._unions:
                first = next((name for name in present if name in names), None)
                if first is not None:
                    bits |= self.verdicts[first][element.get(first)] >> shift
        return bits


def _attributes(predicates: Sequence[Any]) -> Sequence[Attribute]:
    """The tests that the first predicate joins by ``or``."""
    if not predicates:
        return ()
    parts = predicates[0].of if isinstance(predicates[0], OneOf) else (predicates[0],)
    if not all(isinstance(part, Attribute) for part in parts):
        raise UnsupportedError("a first predicate that is no test of attributes")
    return parts


def _hints(tests: dict[str, list[tuple[int, AttributeTest]]]) -> list[tuple[str, int]]:
    """Needles and the bits of the tests that each belongs to."""
    found: dict[str, int] = {}
    for each in tests.values():
        for bit, test in each:
            for needle in needles(test) or ():
                found[needle] = found.get(needle, 0) | bit
    return sorted(found.items())


class Scan:
    """A walk for some expressions of a table.

    Parameters
    ----------
    table : the expressions
    numbers : of the texts that are looked for
    """

    def __init__(self, table: Table, numbers: Sequence[int]) -> None:
        self._table, self._mask = table, 0
        for number in numbers:
            self._mask |= table.bits[number]
        places = [place for place in range(len(table.tags)) if self._mask >> place & 1]
        tags = [table.tags[place] for place in places]
        self._names = ("*",) if None in tags else tuple(sorted(frozenset().union(*tags)))  # type: ignore[arg-type]
        self._any_tag = sum(1 << place for place in places if table.tags[place] is None)
        self._allowed: dict[str, int] = {}
        self._always: dict[str, int] = {}
        for place in places:
            for tag in table.tags[place] or ():
                self._allowed[tag] = self._allowed.get(tag, self._any_tag) | 1 << place
                if table.always[place]:
                    self._always[tag] = self._always.get(tag, 0) | 1 << place
        self._further = [(bit, predicates) for bit, predicates in table.further if bit & self._mask]

    def walk(self, root: Any) -> Iterator[tuple[Any, int]]:
        """The descendants that match, in document order, each with the bits of what it matches."""
        table, mask, further = self._table, self._mask, self._further
        verdicts, of_several, shifts = table.verdicts, table.of_several, table.shifts
        allowed, any_tag, always = self._allowed, self._any_tag, self._always
        for element in root.iterdescendants(*self._names):
            bits = 0
            names = element.keys()
            if names:
                present = [name for name in names if name in verdicts]
                if len(present) == 1:
                    name = present[0]
                    found = bits = verdicts[name][element.get(name)]
                    if found:
                        # the only tested attribute is the first of every union
                        for shift in shifts:
                            bits |= found >> shift
                        bits &= mask
                elif present:
                    bits = of_several(element, present) & mask
                if bits:
                    bits &= allowed.get(element.tag, any_tag)
                    for bit, predicates in further:
                        if bits & bit and not all(holds(each, element) for each in predicates):
                            bits &= ~bit
            if always and element.tag in always:
                bits |= always[element.tag]
            if bits:
                yield element, bits

    def first(self, root: Any) -> list[Any]:
        """The first match in document order, or nothing."""
        for element, _ in self.walk(root):
            return [element]
        return []

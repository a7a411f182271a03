"""Many XPath expressions answered in one walk over a tree, with the verdict on each attribute string remembered.

Three levels keep the regular expressions rare: a string seen before costs a look-up; the new ones of a walk are
searched together for needles; only those with a needle raise suspicion, and then only the suspected tests are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gpurefine.stages.extraction.fast.expressions import Attribute, AttributeTest, OneOf, UnsupportedError, holds, parse
from gpurefine.stages.extraction.fast.needles import Needles, needles

#: A memo holds so many strings from one walk to the next, and none that is longer, so that hostile pages cannot make it
#: grow: 11 MB of ASCII, 42 MB of the widest characters.
MOST_REMEMBERED = 20_000
LONGEST_REMEMBERED = 500

#: Tested attributes of an element, in source order: name and value.
Values = Sequence[tuple[str, str]]


class _Verdicts(dict[str, int]):
    """A string of one attribute -> bits of the tests that it passes.

    Parameters
    ----------
    tests : bit and test of each
    """

    def __init__(self, tests: Sequence[tuple[int, AttributeTest]]) -> None:
        super().__init__()
        self._passes: dict[int, list[Callable[[str], bool]]] = {}
        self._without_needles = 0
        for bit, test in tests:
            self._passes.setdefault(bit, []).append(test.passes)
            self._without_needles |= bit if needles(test) is None else 0
        self._all = sum(self._passes)
        self._long: list[str] = []

    def forget(self) -> None:
        """Come back to the limits."""
        if len(self) > MOST_REMEMBERED:
            self.clear()
        for value in self._long:
            self.pop(value, None)
        self._long.clear()

    def judge(self, value: str, maybe: int, proven: int) -> None:
        """Note the bits of a string; ``maybe`` and ``proven`` are those of ``Needles.search``."""
        if value.isascii():
            maybe |= self._without_needles
            # what was proven, was for the string in lower case
            bits = proven if value.islower() else 0
        else:
            # case folding beyond ASCII: every test is asked
            maybe, bits = self._all, 0
        maybe &= ~bits
        while maybe:
            bit = maybe & -maybe
            maybe ^= bit
            if any(passes(value) for passes in self._passes[bit]):
                bits |= bit
        self[value] = bits
        if len(value) > LONGEST_REMEMBERED:
            self._long.append(value)


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
        self._needles = Needles(tests)
        self.verdicts = {name: _Verdicts(each) for name, each in tests.items()}
        self._unions = list(unions.items())
        self.shifts = [shift for _, shift in self._unions]

    def learn(self, elements: Iterable[Values]) -> None:
        """Judge the new strings of some elements together; the verdicts stay at least until the next walk."""
        new = list({pair for values in elements for pair in values if pair[1] not in self.verdicts[pair[0]]})
        if new:
            found = self._needles.search([(name, value.lower()) for name, value in new])
            for (name, value), (maybe, proven) in zip(new, found, strict=True):
                self.verdicts[name].judge(value, maybe, proven)

    def bits_of(self, values: Values) -> int:
        """Bits of an element."""
        bits = 0
        for name, value in values:
            bits |= self.verdicts[name][value]
        if self.shifts and bits >> self.shifts[0]:
            bits &= (1 << self.shifts[0]) - 1
            for names, shift in self._unions:
                first = next(((name, value) for name, value in values if name in names), None)
                if first is not None:
                    bits |= self.verdicts[first[0]][first[1]] >> shift
        return bits


def _attributes(predicates: Sequence[Any]) -> Sequence[Attribute]:
    """The tests that the first predicate joins by ``or``."""
    if not predicates:
        return ()
    parts = predicates[0].of if isinstance(predicates[0], OneOf) else (predicates[0],)
    if not all(isinstance(part, Attribute) for part in parts):
        raise UnsupportedError("a first predicate that is no test of attributes")
    return parts


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
        # what a verdict may hold of these: the tests alone and their blocks of unions
        self._wanted = self._mask | sum(self._mask << shift for shift in table.shifts)
        self._further = [(bit, predicates) for bit, predicates in table.further if bit & self._mask]

    def walk(self, root: Any) -> list[tuple[Any, int]]:
        """The descendants that match, in document order, each with the bits of what it matches."""
        verdicts, always, wanted = self._table.verdicts, self._always, self._wanted
        for memo in verdicts.values():
            memo.forget()
        known = {name: memo.get for name, memo in verdicts.items()}
        suspects: list[Any] = []
        for element in root.iterdescendants(*self._names):
            for name in element.keys():  # noqa: SIM118 - an element iterates over its children
                look_up = known.get(name)
                # a string that is not known is one to look at
                if look_up is not None and look_up(element.get(name), -1) & wanted:
                    suspects.append(element)
                    break
            else:
                if always and element.tag in always:
                    suspects.append(element)
        found = [(element, [pair for pair in element.items() if pair[0] in verdicts]) for element in suspects]
        self._table.learn(values for _, values in found)
        return [(element, bits) for element, values in found if (bits := self._bits(element, values))]

    def _bits(self, element: Any, values: Values) -> int:
        """What an element matches."""
        bits = self._table.bits_of(values) & self._mask
        tag = element.tag
        if bits:
            bits &= self._allowed.get(tag, self._any_tag)
            for bit, predicates in self._further:
                if bits & bit and not all(holds(each, element) for each in predicates):
                    bits &= ~bit
        return bits | self._always.get(tag, 0)

"""XPath expressions that test attributes, parsed into functions of attribute strings.

trafilatura's expressions look like ``.//*[self::div or ...][re:test(@class, '...') or contains(@id, '...') or ...]``.
lxml answers each ``re:test`` by building Python objects for the attribute and its element, thousands on a page. Here
the text of the installed expressions is parsed, so a changed list of words is followed by itself, and an expression
outside this small grammar is refused, which leaves the stock code in place.

What is kept of XPath 1.0 and lxml's EXSLT:

- a missing attribute is the empty string to a function, so a test that the empty string passes is refused;
- ``@a = 'v'`` and a bare ``@a`` are false without the attribute;
- ``f(@id|@class, ...)`` takes the first of both in the order of the source;
- ``.//*`` are the descendants, never the context node, in document order;
- ``re:test`` is ``re.search`` with ``re.UNICODE``, and ``re.IGNORECASE`` for the flag ``i``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:('[^']*'|\"[^\"]*\")|(\.//\*)|(\.//[a-z][a-z0-9]*)|((?:re:|self::)?@?[A-Za-z][\w-]*|@[A-Za-z][\w-]*)"
    r"|([()\[\],|=])|(\d+))"
)
_FUNCTIONS = {"re:test": "regex", "contains": "contains", "starts-with": "prefix"}


class UnsupportedError(ValueError):
    """The expression is outside the grammar."""


@dataclass(frozen=True)
class AttributeTest:
    """One test of an attribute string.

    Attributes
    ----------
    kind : ``regex``, ``contains``, ``prefix``, ``equal`` or ``any`` (the attribute is there)
    literal : what it is tested with
    table : of ``str.translate``, applied before; None for none
    flags : of the regular expression
    passes : the test itself
    """

    kind: str
    literal: str
    table: dict[int, int] | None = None
    flags: int = 0
    passes: Callable[[str], bool] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "passes", _predicate(self.kind, self.literal, self.table, self.flags))


def _predicate(kind: str, literal: str, table: dict[int, int] | None, flags: int) -> Callable[[str], bool]:
    if table is not None:
        plain = _predicate(kind, literal, None, flags)
        return lambda value: plain(value.translate(table))
    if kind == "regex":
        search = re.compile(literal, re.UNICODE | flags).search
        return lambda value: search(value) is not None
    if kind == "contains":
        return lambda value: literal in value
    if kind == "prefix":
        return lambda value: value.startswith(literal)
    return literal.__eq__ if kind == "equal" else lambda value: True


@dataclass(frozen=True)
class Attribute:
    """A test of the first of some attributes that an element has."""

    names: tuple[str, ...]
    test: AttributeTest


@dataclass(frozen=True)
class Tag:
    """The element has this tag (``self::``), or with ``below`` a descendant of it."""

    name: str
    below: bool = False


@dataclass(frozen=True)
class Not:
    """The opposite of an expression."""

    of: Any


@dataclass(frozen=True)
class OneOf:
    """One of the expressions holds."""

    of: tuple[Any, ...]


@dataclass(frozen=True)
class All:
    """All of the expressions hold."""

    of: tuple[Any, ...]


@dataclass(frozen=True)
class Path:
    """One side of an XPath: descendants with one of the tags (None: any) for which all predicates hold."""

    tags: frozenset[str] | None
    predicates: tuple[Any, ...]


def parse(text: str) -> list[Path]:
    """The sides of a whole XPath expression, which ``|`` joins. Raises UnsupportedError."""
    parser = _Parser(text)
    paths = [parser.path()]
    while parser.accept("|"):
        paths.append(parser.path())
    parser.end()
    if any(path.tags is None and not path.predicates for path in paths):
        raise UnsupportedError(text)
    return paths


def holds(expression: Any, element: Any) -> bool:
    """Evaluate a predicate on an element: the slow way, for second predicates of the few that pass the first."""
    if isinstance(expression, OneOf):
        return any(holds(part, element) for part in expression.of)
    if isinstance(expression, All):
        return all(holds(part, element) for part in expression.of)
    if isinstance(expression, Not):
        return not holds(expression.of, element)
    if isinstance(expression, Tag):
        return element.find(f".//{expression.name}") is not None if expression.below else element.tag == expression.name
    values = (value for name, value in element.items() if name in expression.names)
    value = next(values, None)
    return value is not None and expression.test.passes(value)


def looks_below(expression: Any) -> bool:
    """Whether a predicate asks for descendants, so that it may come true or false when some are deleted."""
    if isinstance(expression, OneOf | All):
        return any(map(looks_below, expression.of))
    if isinstance(expression, Not):
        return looks_below(expression.of)
    return isinstance(expression, Tag) and expression.below


def _tokens(text: str) -> list[str]:
    position, found, text = 0, [], text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnsupportedError(text[position : position + 40])
        found.append(match[0].strip())
        position = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._tokens, self._at = _tokens(text), 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise UnsupportedError("it ends too early")
        self._at += 1
        return token

    def accept(self, token: str) -> bool:
        if self._peek() == token:
            self._at += 1
            return True
        return False

    def _expect(self, *tokens: str) -> None:
        for token in tokens:
            if not self.accept(token):
                raise UnsupportedError(f"{self._peek()} instead of {token}")

    def end(self) -> None:
        if self._peek():
            raise UnsupportedError(self._peek())

    def path(self) -> Path:
        """A final ``[1]`` says only that the caller wants the first match, which callers of walks see to."""
        wrapped = self.accept("(")
        start = self._next()
        if not start.startswith(".//"):
            raise UnsupportedError(start)
        tags = None if start == ".//*" else frozenset([start[3:]])
        predicates: list[Any] = []
        while self.accept("["):
            if self.accept("1"):
                self._expect("]")
                break
            predicates.append(self._disjunction())
            self._expect("]")
        if wrapped:
            self._expect(")", "[", "1", "]")
        only = _tags_alone(predicates[0]) if predicates and tags is None else None
        if only is not None:
            tags, predicates = only, predicates[1:]
        return Path(tags, tuple(predicates))

    def _disjunction(self) -> Any:
        parts = [self._conjunction()]
        while self.accept("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else OneOf(tuple(parts))

    def _conjunction(self) -> Any:
        parts = [self._atom()]
        while self.accept("and"):
            parts.append(self._atom())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _atom(self) -> Any:
        token = self._next()
        if token == "(":
            inner = self._disjunction()
            self._expect(")")
            return inner
        if token == "not":
            return self._negation()
        if token.startswith("self::"):
            return Tag(token[len("self::") :])
        if token.startswith("@"):
            names = (token[1:],)
            return Attribute(
                names, AttributeTest("equal", self._literal()) if self.accept("=") else AttributeTest("any", "")
            )
        if token in _FUNCTIONS:
            return self._function(_FUNCTIONS[token])
        raise UnsupportedError(token)

    def _negation(self) -> Not:
        self._expect("(")
        if self._peek().startswith(".//") and self._peek() != ".//*":
            inner: Any = Tag(self._next()[3:], below=True)
        else:
            inner = self._disjunction()
        self._expect(")")
        return Not(inner)

    def _function(self, kind: str) -> Attribute:
        self._expect("(")
        table = None
        if self.accept("translate"):
            self._expect("(")
            names = self._names()
            self._expect(",")
            old = self._literal()
            self._expect(",")
            new = self._literal()
            self._expect(")")
            if len(old) != len(new) or len(set(old)) != len(old):
                raise UnsupportedError("translate")
            table = str.maketrans(old, new)
        else:
            names = self._names()
        self._expect(",")
        literal, flags = self._literal(), 0
        if kind == "regex" and self.accept(","):
            if self._literal() != "i":
                raise UnsupportedError("flags")
            flags = re.IGNORECASE
        self._expect(")")
        test = AttributeTest(kind, literal, table, flags)
        if test.passes(""):
            raise UnsupportedError("true for a missing attribute")
        return Attribute(names, test)

    def _names(self) -> tuple[str, ...]:
        found = [self._name()]
        while self.accept("|"):
            found.append(self._name())
        return tuple(found)

    def _name(self) -> str:
        token = self._next()
        if not token.startswith("@"):
            raise UnsupportedError(token)
        return token[1:]

    def _literal(self) -> str:
        token = self._next()
        if token[0] not in "'\"":
            raise UnsupportedError(token)
        return token[1:-1]


def _tags_alone(expression: Any) -> frozenset[str] | None:
    """The tags of ``self::a or self::b ...``, else None."""
    parts = expression.of if isinstance(expression, OneOf) else (expression,)
    if all(isinstance(part, Tag) and not part.below for part in parts):
        return frozenset(part.name for part in parts)
    return None

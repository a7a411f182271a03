"""Line rules of RefinedWeb (arXiv 2306.01116, appendix G.2): which lines of a text are furniture of the page.

Each line is judged alone. A line of capitals, of digits, of one word, or a counter (``3 likes``) is discarded; from a
short line a pattern (``read more``, ``sign in``) is cut. The stage ``lines`` weighs the outcome against the document.

*Punctuation* is all of Unicode's categories P, S and C here, as in a symbol word of the quality rules. *Any case* means
that ``fold`` makes the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import category

from gpurefine.text.languages import LinePatterns

KEEP, BLANK, EDIT = "keep", "blank", "edit"
UPPERCASE, NUMERIC, COUNTER, ONE_WORD = "uppercase", "numeric", "counter", "one_word"

#: The blanks and punctuation of ASCII.
_ASCII_MARKS = "".join(chr(code) for code in range(0x80) if not chr(code).isalnum())
#: Lines of fewer characters are searched for patterns before their words are counted; it decides nothing but the speed.
_SHORT = 100
_NOT_A_CAPITAL = bytes(byte for byte in range(0x80) if not (0x41 <= byte <= 0x5A or byte == 0x0A))


@dataclass(frozen=True)
class LineRules:
    """Line rules made ready; see ``line_rules``.

    Attributes
    ----------
    max_uppercase : share of upper-case characters above which a line is discarded
    max_edit_words : words of the longest line that is edited
    numeric_extra : characters that count as digits
    counter : matches a folded counter without the punctuation around it; None for no nouns
    noun_starts : how its nouns begin, all to the length ``noun_start``
    anywhere, suffix, prefix : folded patterns, the longest first
    edit_words : strings without blanks, one of which is in every line that has a pattern
    """

    max_uppercase: float
    max_edit_words: int
    numeric_extra: frozenset[str]
    counter: re.Pattern[str] | None
    noun_starts: frozenset[str]
    noun_start: int
    anywhere: tuple[str, ...]
    suffix: tuple[str, ...]
    prefix: tuple[str, ...]
    edit_words: tuple[str, ...]


class JudgedLine(NamedTuple):
    """What becomes of a line: the action, the line afterwards (None: discarded), the words that went and it had."""

    action: str
    line: str | None
    removed_words: int
    words: int


class JudgedText(NamedTuple):
    """What becomes of a text: one action a line, the words that went, and the text afterwards."""

    actions: list[str]
    removed_words: int
    text: str


def line_rules(
    patterns: LinePatterns, max_uppercase: float = 0.5, max_edit_words: int = 10, numeric_extra: str = ""
) -> LineRules:
    """Make line rules ready from the patterns of a language.

    Parameters
    ----------
    patterns : counter nouns, and the patterns cut anywhere, at the end and at the beginning of a line
    max_uppercase : share of a line's characters; more upper-case ones discard it
    max_edit_words : lines of more words are not edited
    numeric_extra : characters that may stand between the digits of a numeric line
    """
    nouns = _longest_first([noun for pair in patterns.counters for noun in pair])
    first_words = [noun.split()[0] for noun in nouns]
    noun_start = min([3, *map(len, first_words)])
    edits = [_longest_first(listed) for listed in (patterns.anywhere, patterns.suffix, patterns.prefix)]
    return LineRules(
        max_uppercase=max_uppercase,
        max_edit_words=max_edit_words,
        numeric_extra=frozenset(numeric_extra),
        counter=_counter_pattern(nouns),
        noun_starts=frozenset(word[:noun_start] for word in first_words),
        noun_start=noun_start,
        anywhere=edits[0],
        suffix=edits[1],
        prefix=edits[2],
        edit_words=_longest_words(sum(edits, ())),
    )


def judge_text(text: str, rules: LineRules, whole: bool = False) -> JudgedText:
    r"""Judge every line of a text and apply what was found.

    Parameters
    ----------
    text : lines end in ``\n``
    whole : count all words of an edited line as removed (G.2), not only those that were cut (3.2)

    Returns
    -------
    Actions by line; removed words; the text without discarded lines, with edited ones, at most two newlines in a row
    and no outer white space
    """
    actions, left, removed_words, changed = [], [], 0, False
    for line, capitals in zip(text.split("\n"), _capitals_by_line(text), strict=True):
        stripped = line.strip()
        judged = _judge(stripped, capitals, rules) if stripped else None
        if judged is None:
            actions.append(KEEP if stripped else BLANK)
            left.append(line)
            continue
        changed = True
        actions.append(judged.action)
        removed_words += judged.words if whole else judged.removed_words
        if judged.line is not None:
            left.append(judged.line)
    return JudgedText(actions, removed_words, _capped("\n".join(left) if changed else text))


def judge_line(line: str, rules: LineRules) -> JudgedLine:
    """Judge one line; ``line`` has no newline."""
    stripped = line.strip()
    if not stripped:
        return JudgedLine(BLANK, line, 0, 0)
    judged = _judge(stripped, sum(map(str.isupper, stripped)), rules)
    return judged or JudgedLine(KEEP, line, 0, len(stripped.split()))


def fold(text: str) -> str:
    """The text in lower case, character by character: the length stays."""
    # U+0130 is the only character whose lower case is two characters
    return text.replace("\u0130", "i").lower()


def _judge(line: str, capitals: int, rules: LineRules) -> JudgedLine | None:
    """Judge a stripped line that is not empty; None if it stays. The tests that decide most lines come cheap."""
    if capitals / len(line) > rules.max_uppercase:
        return _discarded(UPPERCASE, line)
    first = line[0]
    if (first.isdecimal() or first in rules.numeric_extra) and _is_numeric(line, rules.numeric_extra):
        return _discarded(NUMERIC, line)
    if (not first.isalpha() or fold(line[: rules.noun_start]) in rules.noun_starts) and _is_counter(line, rules):
        return _discarded(COUNTER, line)
    if " " not in line and len(line.split()) == 1:
        return JudgedLine(ONE_WORD, None, 1, 1)
    return _edited(line, rules)


def _discarded(action: str, line: str) -> JudgedLine:
    words = len(line.split())
    return JudgedLine(action, None, words, words)


def _capitals_by_line(text: str) -> list[int]:
    """Number of upper-case characters (``str.isupper``) in each line."""
    # all but capitals, newlines and what is not ASCII is deleted from the bytes first: this leaves little to look at
    rest = text.encode().translate(None, _NOT_A_CAPITAL)
    if rest.isascii():
        return [len(line) for line in rest.split(b"\n")]
    return [len(line) if line.isascii() else sum(map(str.isupper, line)) for line in rest.decode().split("\n")]


def _is_numeric(line: str, extra: frozenset[str]) -> bool:
    """Whether every character but white space is a decimal digit; one of ``extra`` may stand in for some of them."""
    if not extra:
        return "".join(line.split()).isdecimal()
    rest = [character for character in line if character not in extra and not character.isspace()]
    return bool(rest) and all(map(str.isdecimal, rest))


def _counter_pattern(nouns: tuple[str, ...]) -> re.Pattern[str] | None:
    if not nouns:
        return None
    noun = f"(?:{'|'.join(map(re.escape, nouns))})"
    number = r"\d[\d.,]*+ ?[kmb]?"
    return re.compile(f"{number} ?{noun}|{noun} ?[:(]? ?{number}")


def _is_counter(line: str, rules: LineRules) -> bool:
    line = _stripped_of_punctuation(line)
    if rules.counter is None or not line:
        return False
    if not line[0].isdecimal() and fold(line[: rules.noun_start]) not in rules.noun_starts:
        return False
    return rules.counter.fullmatch(fold(" ".join(line.split()))) is not None


def _edited(line: str, rules: LineRules) -> JudgedLine | None:
    """The line without its patterns, its words joined by single blanks; None if it is too long or has none."""
    if len(line) < _SHORT and not _has_any(fold(line), rules.edit_words):
        return None
    words = line.split(None, rules.max_edit_words)
    if len(words) > rules.max_edit_words:
        return None
    line = " ".join(words)
    rest = _without_anywhere(line, rules.anywhere)
    rest = _without_suffix(rest, rules.suffix)
    rest = _without_prefix(rest, rules.prefix)
    if rest == line:
        return None
    left = rest.split()
    return JudgedLine(EDIT, " ".join(left) or None, len(words) - len(left), len(words))


def _without_anywhere(line: str, patterns: tuple[str, ...]) -> str:
    for pattern in patterns:
        folded, pieces, position, begin = fold(line), [], 0, 0
        while (begin := folded.find(pattern, begin)) >= 0:
            end = begin + len(pattern)
            if _is_whole(line, begin, end):
                pieces.append(line[position:begin])
                position = begin = end
            else:
                begin += 1
        line = "".join([*pieces, line[position:]])
    return line


def _without_suffix(line: str, patterns: tuple[str, ...]) -> str:
    folded = fold(line)
    for pattern in patterns:
        begin = folded.rfind(pattern)
        end = begin + len(pattern)
        if begin >= 0 and _is_whole(line, begin, end) and all(map(_is_blank_or_punctuation, line[end:])):
            return line[:begin]
    return line


def _without_prefix(line: str, patterns: tuple[str, ...]) -> str:
    folded = fold(line)
    for pattern in patterns:
        begin = folded.find(pattern)
        end = begin + len(pattern)
        if begin >= 0 and _is_whole(line, begin, end) and all(map(_is_blank_or_punctuation, line[:begin])):
            while end < len(line) and _is_blank_or_punctuation(line[end]):
                end += 1
            return line[end:]
    return line


def _is_whole(line: str, begin: int, end: int) -> bool:
    """Whether no letter, mark or number touches ``line[begin:end]``."""
    return not (begin > 0 and category(line[begin - 1])[0] in "LMN") and not (
        end < len(line) and category(line[end])[0] in "LMN"
    )


def _has_any(text: str, parts: tuple[str, ...]) -> bool:
    for part in parts:  # noqa: SIM110 - any() takes four times as long
        if part in text:
            return True
    return False


def _stripped_of_punctuation(line: str) -> str:
    line = line.strip(_ASCII_MARKS)  # nearly all of them, and fast
    if line and line[0].isalnum() and line[-1].isalnum():
        return line
    begin, end = 0, len(line)
    while begin < end and _is_blank_or_punctuation(line[begin]):
        begin += 1
    while begin < end and _is_blank_or_punctuation(line[end - 1]):
        end -= 1
    return line[begin:end]


def _is_blank_or_punctuation(character: str) -> bool:
    return not character.isalnum() and (category(character)[0] in "PSC" or character.isspace())


def _longest_first(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns folded, their blanks collapsed, in an order that does not hang on the list's."""
    folded = {" ".join(fold(pattern).split()) for pattern in patterns} - {""}
    return tuple(sorted(folded, key=lambda pattern: (-len(pattern), pattern)))


def _longest_words(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The longest word of each pattern, less those that hold another one."""
    words = {max(pattern.split(), key=len) for pattern in patterns}
    return tuple(sorted(word for word in words if not any(other in word for other in words - {word})))


def _capped(text: str) -> str:
    return (re.sub("\n{3,}", "\n\n", text) if "\n\n\n" in text else text).strip()

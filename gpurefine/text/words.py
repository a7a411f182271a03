"""Where the words of a text are, for the definitions that need more than white space.

White-space words are found by the statistics kernel itself; the others are found here, in Python, and handed to it as
spans. What counts as a word decides more than any limit: with spaCy each punctuation mark is a word.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pandas as pd
import regex

from gpurefine.errors import ResourceError
from gpurefine.frames import host_text_buffers

#: ``whitespace``: maximal runs of characters that are not white space. ``uax29``: the word segments of Unicode Standard
#: Annex 29 that begin with a letter or digit (DCLM). ``spacy``: the tokens of spaCy's blank pipeline (datatrove).
WordKind = Literal["whitespace", "uax29", "spacy"]

_WHITE_SPACE_WORD = regex.compile(r"[^\s\x1c-\x1f]+")

#: spaCy takes a time that grows with the square of a run of visible characters; no word is as long as this.
_OVERLONG_RUN = regex.compile(r"[^\s\x1c-\x1f]{500,}+")


def _uax29_segment() -> regex.Pattern:
    """One segment between two default word boundaries of UAX 29; its rules are named as there.

    The ``regex`` package's own word mode is no match: it also breaks and joins at apostrophes before vowels.
    """
    names = {
        "extend": "Extend Format ZWJ",
        "letter": "ALetter Hebrew_Letter",
        "hebrew": "Hebrew_Letter",
        "in_letters": "MidLetter MidNumLet Single_Quote",
        "digit": "Numeric",
        "in_digits": "MidNum MidNumLet Single_Quote",
        "katakana": "Katakana",
        "connector": "ExtendNumLet",
        "flag": "Regional_Indicator",
        "newline": "CR LF Newline",
        "blank": "WSegSpace",
        "quote": "Double_Quote",
        "apostrophe": "Single_Quote",
    }
    sets = {name: "".join(rf"\p{{WB={value}}}" for value in values.split()) for name, values in names.items()}
    sets = {name: f"[{values}]" for name, values in sets.items()}
    # possessive throughout: nothing that was matched is ever given back, so time is linear whatever the text
    more = sets["extend"] + "*+"  # WB4
    one = {name: expression + more for name, expression in sets.items()}
    letters = (  # WB5 to WB7c, but the apostrophe that ends a Hebrew word
        f"(?:{one['hebrew']}{one['quote']}(?={sets['hebrew']})"
        f"|{one['letter']}(?:{one['in_letters']}(?={sets['letter']}))?+)++"
    )
    digits = f"(?:{one['digit']}(?:{one['in_digits']}(?={sets['digit']}))?+)++"  # WB8, WB11, WB12
    part = f"(?:(?:{letters}|{digits})++|(?:{one['katakana']})++)"  # WB9, WB10, WB13
    connectors = f"(?:{one['connector']})"
    word = f"(?:{part}|{connectors}++(?:{part})?+)(?:{connectors}++{part})*+{connectors}*+"  # WB13a, WB13b
    hebrew_end = f"(?:(?<={sets['hebrew']}{sets['extend']}*){one['apostrophe']})?+"  # WB7a
    emoji = rf"(?:(?<=\p{{WB=ZWJ}})\p{{Extended_Pictographic}}{more})*+"  # WB3c
    newline = rf"\r\n|{sets['newline']}"  # WB3 to WB3b
    blanks = f"{sets['blank']}++{more}"  # WB3d
    flags = f"{one['flag']}{one['flag']}"  # WB15, WB16
    return regex.compile(f"(?s){newline}|{blanks}|(?:{word}{hebrew_end}|{flags}|.{more}){emoji}")


_UAX29_SEGMENT = _uax29_segment()


def word_spans(column: pd.Series, kind: WordKind, language: str = "en") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spans of all words of a text column.

    Parameters
    ----------
    column : n texts (Arrow string or large_string); null counts as empty
    kind : what a word is
    language : code of the spaCy pipeline; the other kinds know no language

    Returns
    -------
    begins, ends : int64, (words,), byte positions in the column's ``host_text_buffers``; in order, without overlap
    document_offsets : int64, (n + 1,), the words of text i are ``document_offsets[i]`` to ``document_offsets[i + 1]``

    Raises
    ------
    ResourceError
        if spaCy or its pipeline for the language is not there
    """
    spans_of = _spans_of(kind, language)
    data, offsets = host_text_buffers(column)
    counts = np.zeros(len(offsets), np.int64)
    begins, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for index in range(len(offsets) - 1):
        encoded = data[offsets[index] : offsets[index + 1]]
        spans = np.array(list(spans_of(encoded.tobytes().decode())), np.int64).reshape(-1, 2)
        # byte position of each character, and of the end
        positions = np.append(np.flatnonzero(encoded & 0xC0 != 0x80), len(encoded)) + offsets[index]
        begins.append(positions[spans[:, 0]])
        ends.append(positions[spans[:, 1]])
        counts[index + 1] = len(spans)
    return np.concatenate(begins), np.concatenate(ends), np.cumsum(counts)


def check_words(kind: WordKind, language: str) -> None:
    """Raise ``ResourceError`` if words of this kind cannot be found here."""
    _spans_of(kind, language)


def _spans_of(kind: WordKind, language: str) -> Callable[[str], Iterator[tuple[int, int]]]:
    """The function that yields (begin, end) of each word of a text, in characters."""
    if kind == "whitespace":
        return lambda text: (match.span() for match in _WHITE_SPACE_WORD.finditer(text))
    if kind == "uax29":
        return _uax29_spans
    return functools.partial(_spacy_spans, _spacy_tokenizer(language))


def _uax29_spans(text: str) -> Iterator[tuple[int, int]]:
    for segment in _UAX29_SEGMENT.finditer(text):
        if text[segment.start()].isalnum():
            yield segment.span()


@functools.lru_cache(maxsize=4)
def _spacy_tokenizer(language: str):
    try:
        import spacy
    except ImportError:
        raise ResourceError(
            "words: spacy needs the spaCy package, which is not installed: pip install 'gpurefine[spacy]'"
        ) from None
    try:
        return spacy.blank(language).tokenizer
    except ImportError as error:
        raise ResourceError(f"spaCy has no blank pipeline for language '{language}': {error}") from None


def _spacy_spans(tokenizer: Callable, text: str) -> Iterator[tuple[int, int]]:
    """Tokens without white space at their ends; tokens of nothing else are no words, overlong runs are one each."""
    begin = 0
    for run in _OVERLONG_RUN.finditer(text):
        yield from _spacy_tokens(tokenizer, text, begin, run.start())
        yield run.span()
        begin = run.end()
    yield from _spacy_tokens(tokenizer, text, begin, len(text))


def _spacy_tokens(tokenizer: Callable, text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for token in tokenizer(text[begin:end]):
        stripped = token.text.strip()
        if stripped:
            first = begin + token.idx + token.text.index(stripped)
            yield first, first + len(stripped)

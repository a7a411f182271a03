"""Tokens back to characters, against a map that is kept for every byte, with Python's tables and tiktoken."""

import functools
import itertools
import unicodedata

import numpy as np
import pytest
from gpt2_oracle import encode, encoding, gpt2_ranks
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpurefine.frames import string_column, text_buffers
from gpurefine.text.gpt2 import Gpt2Tokenizer
from gpurefine.text.origins import apart, comparable_tokens, span_characters

PUNCTUATION = ["blank", "delete", None]

#: Letters with and without marks, composed and not, syllables of three letters, signs that are letters when taken
#: apart, white space of all kinds, characters that tokens split.
TEXTS = st.lists(
    st.sampled_from(
        ["the ", "The", " house", " Häuser", "e\u0301", " Cafe\u0301", "각힣", "中文，", "\U0001f600", "≠", "½", "ΣΑΣ",
         "İ", "!", "...", "'s", " don't", "\n\n", "  ", "\t", "\u00a0", "\u3000", "\u200b", "\x00", "42", " x y z"]
    )
    | st.characters(exclude_categories=("Cs", "Cn", "Co"), exclude_characters="\U0001171e")
).map("".join)  # fmt: skip


@functools.cache
def tokenizer():
    return Gpt2Tokenizer(gpt2_ranks())


@functools.cache
def oracle():
    return encoding(gpt2_ranks())


def origins(text, punctuation):
    """Bytes that are compared, and the number of the character that each of them comes from."""
    if punctuation is None:
        pairs = list(enumerate(text))
    else:
        sign = " " if punctuation == "blank" else ""
        pairs = []
        for number, character in enumerate(text):
            for part in unicodedata.normalize("NFD", character.lower()):
                kind = unicodedata.category(part)
                part = "" if kind == "Mn" else sign if kind[0] in "PS" else " " if part.isspace() else part
                if part and not (part == " " and (not pairs or pairs[-1][1] == " ")):
                    pairs.append((number, part))
        if pairs and pairs[-1][1] == " ":
            pairs.pop()
    both = [(byte, number) for number, part in pairs for byte in part.encode()]
    return bytes(byte for byte, _ in both), [number for _, number in both]


def characters_of(text, spans, punctuation):
    """What ``span_characters`` should say of one text."""
    compared, numbers = origins(text, punctuation)
    sizes = [len(oracle().decode_single_token_bytes(token)) for token in encode(oracle(), compared.decode())]
    ends = [0, *itertools.accumulate(sizes)]
    assert ends[-1] == len(compared)
    found, behind = [], 0
    for first, last in spans:
        inside = range(ends[first], ends[last])
        if punctuation is not None:
            inside = [place for place in inside if compared[place] != ord(" ")]
        begin, end = (numbers[inside[0]], numbers[inside[-1]] + 1) if inside else (behind, behind)
        begin = max(begin, behind)
        behind = max(begin, end)
        found.append([begin, behind])
    return found


def found_characters(texts, spans, punctuation):
    data, offsets = text_buffers(string_column(texts))
    starts = np.cumsum([0, *map(len, spans)])
    bounds = np.array([span for each in spans for span in each], np.int64).reshape(-1, 2)
    found = span_characters(data, offsets, starts, bounds, tokenizer(), punctuation)
    assert found.dtype == np.int64
    return [found[begin:end].tolist() for begin, end in itertools.pairwise(starts)]


@st.composite
def texts_with_spans(draw):
    punctuation = draw(st.sampled_from(PUNCTUATION))
    texts = draw(st.lists(TEXTS, max_size=4))
    spans = []
    for text in texts:
        tokens = len(encode(oracle(), origins(text, punctuation)[0].decode()))
        edges = sorted(draw(st.lists(st.integers(0, tokens), max_size=8)))
        pairs = zip(edges[::2], edges[1::2], strict=False)
        spans.append([[first, last] for first, last in pairs if first < last])
    return texts, spans, punctuation


@given(case=texts_with_spans())
@settings(max_examples=300)
@example(case=(["Cafe\u0301 au lait", "", "각각"], [[[0, 2]], [], [[0, 1], [2, 4]]], "blank"))
@example(case=(["a  \u3000 \n中"], [[[1, 2], [3, 4]]], None))
def test_the_characters_of_spans(case):
    texts, spans, punctuation = case
    wanted = [characters_of(text, own, punctuation) for text, own in zip(texts, spans, strict=True)]
    assert found_characters(texts, spans, punctuation) == wanted


@given(texts=st.lists(TEXTS, max_size=4), punctuation=st.sampled_from(PUNCTUATION))
def test_tokens_are_those_of_the_text_that_is_compared(texts, punctuation):
    data, offsets = text_buffers(string_column(texts))
    tokens, starts = comparable_tokens(data, offsets, tokenizer(), punctuation)
    found = [tokens[begin:end].tolist() for begin, end in itertools.pairwise(starts)]
    assert found == [encode(oracle(), origins(text, punctuation)[0].decode()) for text in texts]


def test_spans_by_hand():
    # the| rain| in| time: signs between belong to the span, those around do not
    text = "«The  RÄIN, in» Time!"
    assert found_characters([text], [[[0, 2]]], "blank") == [[[1, 10]]]
    assert found_characters([text], [[[1, 4]]], "blank") == [[[6, 20]]]


def test_all_spans_of_a_shared_character_are_apart():
    # a syllable becomes three letters of three bytes, which are several tokens each
    (spans,) = found_characters(["각"], [[[0, 1], [2, 3], [4, 5]]], "blank")
    assert spans == [[0, 1], [1, 1], [1, 1]]


def test_a_text_that_is_not_that_of_its_spans_is_refused():
    with pytest.raises(ValueError, match="a span ends with token 9 of a text that has 2: give the text"):
        found_characters(["two words"], [[[0, 9]]], "blank")


def test_apart():
    spans = np.array([[0, 4], [3, 6], [5, 6], [6, 9], [2, 3]])
    assert apart(spans).tolist() == [[0, 4], [4, 6], [6, 6], [6, 9], [9, 9]]
    assert apart(np.empty((0, 2), np.int64)).shape == (0, 2)


def test_time_grows_with_the_text_and_not_with_text_times_spans():
    text = "Some words — and more of them, one after another. " * 40_000  # 2 MB, 360,000 tokens
    spans = [[first, first + 2] for first in range(0, 360_000, 3)]
    (found,) = found_characters([text], [spans], "blank")
    assert found[0] == [0, 10] and len(found) == 120_000
    for first, last in found[::5_000]:
        assert text[first].strip() and text[last - 1].strip() and 0 < last - first < 20

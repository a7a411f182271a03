"""Spans of words by each definition."""

import importlib.util
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.errors import ResourceError
from gpurefine.frames import string_column, text_buffers
from gpurefine.text.words import word_spans

TEXTS = st.text(max_size=40) | st.text("aé1_. ,:'\"\u2019\n\r\t\u200d\u0301日アא\u3000\x1c\U0001f468", max_size=20)


def words_of(texts, kind, **given):
    """The words themselves, by way of their spans."""
    column = string_column(texts)
    data, _ = text_buffers(column)
    begins, ends, offsets = word_spans(column, kind, **given)
    assert len(offsets) == len(texts) + 1 and offsets[0] == 0 and offsets[-1] == len(begins) == len(ends)
    words = [data[begin:end].tobytes().decode() for begin, end in zip(begins, ends, strict=True)]
    return [words[first:end] for first, end in itertools.pairwise(offsets)]


@given(st.lists(TEXTS, max_size=4))
def test_white_space_words_are_those_of_split(texts):
    assert words_of(texts, "whitespace") == [text.split() for text in texts]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("can't stop", ["can't", "stop"]),
        ("'I wonder' l'homme o’clock", ["I", "wonder", "l'homme", "o’clock"]),
        ("3.14 1,000 a.b. 1-2 x:y", ["3.14", "1,000", "a.b", "1", "2", "x:y"]),
        ("snake_case _private a_1 1_", ["snake_case", "a_1", "1_"]),
        ("e\u0301tat na\u00efve a\u200db", ["e\u0301tat", "na\u00efve", "a\u200db"]),
        ("日本語 カタカナ アa ア_a", ["日", "本", "語", "カタカナ", "ア", "a", "ア_a"]),
        ("נ\"א א' א'ב א\" ב", ['נ"א', "א'", "א'ב", "א", "ב"]),
        ("a\r\nb -- … #tag 🇩🇪x", ["a", "b", "tag", "x"]),
        ("", []),
        ("½ ²", ["½", "²"]),
    ],
)
def test_uax29_words(text, words):
    """By hand from the rules of UAX 29; the same came from the uniseg package 0.10.1."""
    assert words_of([text, text], "uax29") == [words, words]


@given(st.lists(TEXTS, max_size=4))
def test_uax29_spans_lie_in_order_and_begin_with_a_letter_or_digit(texts):
    column = string_column(texts)
    begins, ends, _ = word_spans(column, "uax29")
    assert (begins < ends).all() and (ends[:-1] <= begins[1:]).all()
    assert all(word[0].isalnum() for words in words_of(texts, "uax29") for word in words)


@pytest.mark.parametrize("piece", ["a", "a.", "א'", 'א"', "\u0301", "_", "1,", "'", "\u200d", "ア", "\U0001f468\u200d"])
def test_uax29_takes_linear_time_on_hostile_text(piece):
    assert len(words_of([piece * (200_000 // len(piece))], "uax29")[0]) <= 1


def test_missing_text_has_no_words():
    for kind in ("whitespace", "uax29"):
        assert words_of(["a", None, "", "b"], kind) == [["a"], [], [], ["b"]]


def test_a_slice_of_a_column():
    column = string_column(["été a", "b ç", "d"])[1:]
    data, _ = text_buffers(column)
    begins, ends, offsets = word_spans(column, "whitespace")
    assert [data[b:e].tobytes().decode() for b, e in zip(begins, ends, strict=True)] == ["b", "ç", "d"]
    assert offsets.tolist() == [0, 2, 3]


@pytest.mark.skipif(importlib.util.find_spec("spacy") is None, reason="spaCy is not installed")
def test_spacy_words_are_its_tokens():
    assert words_of(["Hello, wörld!  \n It's  ", ""], "spacy") == [["Hello", ",", "wörld", "!", "It", "'s"], []]
    run = "(" * 20_000  # spaCy alone takes minutes for it
    assert words_of([f"a, {run}\n(b)"], "spacy") == [["a", ",", run, "(", "b", ")"]]
    with pytest.raises(ResourceError, match="xx-unknown"):
        words_of(["a"], "spacy", language="xx-unknown")


@pytest.mark.skipif(importlib.util.find_spec("spacy") is not None, reason="spaCy is installed")
def test_the_sentence_without_spacy_names_the_extra():
    with pytest.raises(ResourceError, match=r"pip install 'gpurefine\[spacy\]'"):
        words_of(["a"], "spacy")

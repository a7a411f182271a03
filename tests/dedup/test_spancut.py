"""Spans of one text, cut out of it, trimmed, grown and shrunk, against regular expressions and single characters."""

import itertools
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.dedup.spancut import cut, trimmed, whole_words, with_marks

#: No text of these tests has it: it stands for a span that is gone.
GONE = "\ue000"

WHITE = [" ", "  ", "\n", "\n\n\n", "\r\n", "\t", "\u00a0", " \n "]
TEXTS = st.lists(
    st.sampled_from([*WHITE, "word", "e\u0301", "don't", ".", "-", "≠", "é", "中文", "ab", "\u0301", "7"])
).map("".join)


def array(spans):
    return np.array(spans, np.int64).reshape(-1, 2)


@st.composite
def texts_with_spans(draw):
    text = draw(TEXTS)
    edges = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return text, list(map(list, zip(edges[::2], edges[1::2], strict=False)))


def cut_by_pattern(text, spans):
    for first, last in reversed(spans):
        text = text[:first] + GONE * (first < last) + text[last:]

    def meet(found):
        if found.start() == 0 or found.end() == len(text):
            return ""
        some = [each for each in found[0].split(GONE) if each]
        if len(some) < 2:
            return "".join(some)
        return "\n" * min(2, found[0].count("\n")) or " "

    return re.sub(rf"\s*{GONE}[\s{GONE}]*", meet, text)


@given(case=texts_with_spans())
@example(case=("a b", []))
@example(case=("  a  ", [[2, 2]]))
@example(case=("  a b  ", [[2, 3]]))
@example(case=("a \n b", [[2, 2], [2, 3]]))
def test_cut(case):
    text, spans = case
    assert cut(text, array(spans)) == cut_by_pattern(text, spans)


@given(case=texts_with_spans())
def test_only_white_space_at_cuts_is_touched(case):
    text, spans = case
    left = cut(text, array(spans))
    kept = [character for number, character in enumerate(text) if not any(a <= number < b for a, b in spans)]
    assert left.split() == "".join(GONE if each.isspace() else each for each in kept).replace(GONE, " ").split()
    if all(first == last for first, last in spans):
        assert left == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("One. [gone] Two.", "One. Two."),
        ("One.[gone]Two.", "One.Two."),
        ("One. [gone]! Two.", "One. ! Two."),
        ("One.\n[gone]\nTwo.", "One.\n\nTwo."),
        ("One.\n\n\n[gone]\n\nTwo.", "One.\n\nTwo."),
        ("One. [gone]\nTwo.", "One.\nTwo."),
        ("One.\n\n\n[gone]Two.", "One.\n\n\nTwo."),
        ("[gone] \n Two.", "Two."),
        ("One. \n [gone]", "One."),
        ("[gone]", ""),
        (" [gone] [gone] ", ""),
        ("One. [gone], [gone] Two.", "One. , Two."),
        ("One. [gone] [gone] Two.", "One. Two."),
        ("  One.   Two. [gone] Three.\n\n\nFour.  ", "  One.   Two. Three.\n\n\nFour.  "),
    ],
)
def test_white_space_where_spans_were(text, wanted):
    spans = [[found.start(), found.end()] for found in re.finditer(r"\[gone\]", text)]
    assert cut(text, array(spans)) == wanted


@given(case=texts_with_spans())
def test_trimmed(case):
    text, spans = case
    for (first, last), (begin, end) in zip(spans, trimmed(text, array(spans)), strict=True):
        assert first <= begin <= end <= last
        assert text[begin:end] == text[first:last].strip()


@given(case=texts_with_spans())
def test_marks_stay_with_their_letters(case):
    text, spans = case
    found = with_marks(text, array(spans)).tolist()
    gone = {place for span in spans for place in range(*span)}
    for place, character in enumerate(text):
        if unicodedata.category(character) == "Mn" and place - 1 in gone:
            gone.add(place)
    assert {place for span in found for place in range(*span)} == gone
    # none overlaps another, and only ends have moved
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))
    assert [span[0] for span in found if span[0] < span[1]] == [span[0] for span in spans if span[0] < span[1]]


def is_of_word(character):
    return not character.isspace() and unicodedata.category(character)[0] not in "PS" and character != "≠"


@given(case=texts_with_spans())
def test_whole_words(case):
    text, spans = case
    edges = [0, *(place for place in range(1, len(text)) if is_of_word(text[place - 1]) != is_of_word(text[place]))]
    words = [(a, b) for a, b in zip(edges, [*edges[1:], len(text)], strict=True) if text and is_of_word(text[a])]
    for (first, last), (begin, end) in zip(spans, whole_words(text, array(spans)), strict=True):
        inside = [word for word in words if first <= word[0] and word[1] <= last]
        if inside:
            assert [begin, end] == [inside[0][0], inside[-1][1]]
        else:
            assert begin == end and first <= begin <= last


def test_spans_of_no_text():
    for change in (trimmed, with_marks, whole_words):
        assert change("a text", array([])).shape == (0, 2)
    assert cut("a text", array([])) == "a text"


def test_the_examples_of_the_page(request):
    page = (request.config.rootpath / "docs" / "substring.md").read_text("utf-8")
    examples = re.findall(r"^\| `([^`]*\[[^`]+\][^`]*)` \| `([^`]*)` \|$", page, re.MULTILINE)
    assert len(examples) == 4
    for before, wanted in examples:
        before, wanted = before.replace("\\n", "\n"), wanted.replace("\\n", "\n")
        first, last = before.index("["), before.index("]") - 1
        assert cut(before.replace("[", "").replace("]", ""), array([[first, last]])) == wanted

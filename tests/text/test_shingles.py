"""Shingles of texts: sets of n consecutive units, against Python's sets and golden values."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.frames import string_column, text_buffers
from gpurefine.resources import models
from gpurefine.resources.cache import default_resources
from gpurefine.text.gpt2 import Gpt2Tokenizer
from gpurefine.text.normalise import normalise
from gpurefine.text.shingles import Shingler, parse_shingle

GOLDEN = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "golden" / "shingles.jsonl").read_text("utf-8").splitlines()
]
texts = st.lists(st.text(st.sampled_from("ab cé.\u2003\n\x1c漢") | st.characters(codec="utf-8")), max_size=5)


def cases(rule):
    return [pytest.param(case, id=case["id"]) for case in GOLDEN if case["rule"] == rule]


@pytest.fixture(scope="session")
def tokenizer():
    resources = default_resources()
    models.fetch_models(resources, ["gpt2-vocab.bpe"])
    path = models.model_path("gpt2-vocab.bpe", resources)
    return Gpt2Tokenizer(models.merge_ranks(path.read_text("utf-8")))


def shingles_of(shingler, column):
    """Shingle hashes of each text as lists."""
    hashes, starts = shingler.shingles(*text_buffers(string_column(column)))
    assert hashes.dtype == np.uint32 and starts.dtype == np.int64 and len(starts) == len(column) + 1
    return [hashes[begin:end].tolist() for begin, end in itertools.pairwise(starts)]


def runs(units, n):
    """Every n consecutive units; fewer units are one shingle of all, none have none."""
    return [tuple(units[first : first + n]) for first in range(max(len(units) - n + 1, 1))] if len(units) else []


def assert_same_structure(found, expected):
    """Equal shingles have equal hashes and different ones different hashes, in all texts together."""
    assert list(map(len, found)) == list(map(len, expected))
    pairs = {pair for text in zip(found, expected, strict=True) for pair in zip(*text, strict=True)}
    assert len(pairs) == len({number for number, _ in pairs}) == len({shingle for _, shingle in pairs})


@pytest.mark.parametrize("case", cases("gpt2_shingles"))
def test_golden_shingles(case, tokenizer):
    shingler = Shingler("gpt2", case["parameters"]["n"], tokenizer=tokenizer)
    expected = case["expected"]
    assert_same_structure(shingles_of(shingler, [case["input"]]), [list(map(tuple, expected["shingles"]))])
    assert shingles_of(shingler, [case["input"]]) == shingles_of(shingler, [expected["normalised"]])


def test_golden_shingles_of_all_texts_together(tokenizer):
    golden = [case.values[0] for case in cases("gpt2_shingles")]
    found = shingles_of(Shingler("gpt2", 5, tokenizer=tokenizer), [case["input"] for case in golden])
    assert_same_structure(found, [list(map(tuple, case["expected"]["shingles"])) for case in golden])


@pytest.mark.parametrize("case", cases("jaccard"))
def test_golden_similarities(case, tokenizer):
    shingler = Shingler("gpt2", case["parameters"]["n"], tokenizer=tokenizer)
    left, right = map(set, shingles_of(shingler, case["input"]))
    assert [len(left & right), len(left | right)] == case["expected"]


@given(texts=texts, n=st.integers(1, 6))
@example(texts=["", " ", "a", "a b", "a b a b", "a  b\na\x1cb"], n=2)
def test_words_of_the_text_as_it_is(texts, n):
    expected = [runs(text.split(), n) for text in texts]
    assert_same_structure(shingles_of(Shingler("word", n, normalise=False), texts), expected)


@given(texts=texts, n=st.integers(1, 6))
@example(texts=["", "a", "é", "漢字漢字", "aaaa"], n=3)
def test_characters_of_the_text_as_it_is(texts, n):
    expected = [runs(text, n) for text in texts]
    assert_same_structure(shingles_of(Shingler("char", n, normalise=False), texts), expected)


@given(texts=texts)
@example(texts=["Élan, vital!", "elan vital", "ELAN\u2003\n(vital)", "elan\x1cvital", "élan", "..."])
def test_words_of_normalised_text(texts):
    data, offsets = normalise(*text_buffers(string_column(texts)))
    normalised = [data[begin:end].tobytes().decode() for begin, end in itertools.pairwise(offsets)]
    found = shingles_of(Shingler("word", 2), texts)
    assert_same_structure(found, [runs(text.split(" ") if text else [], 2) for text in normalised])
    assert found == shingles_of(Shingler("word", 2, normalise=False), normalised)


def test_case_accents_and_punctuation_do_not_matter_unless_the_text_is_taken_as_it_is():
    same = ["Élan, vital!", "elan vital", "ELAN\u2003\n(vital)"]
    for unit in ("word", "char"):
        assert len(set(map(tuple, shingles_of(Shingler(unit, 3), same)))) == 1
        assert len(set(map(tuple, shingles_of(Shingler(unit, 3, normalise=False), same)))) == 3


def test_punctuation_may_be_deleted():
    found = shingles_of(Shingler("word", 2, punctuation="delete"), ["don't stop", "dont stop", "don t stop"])
    assert found[0] == found[1] != found[2]
    found = shingles_of(Shingler("word", 2), ["don't stop", "dont stop", "don t stop"])
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize("unit", ["gpt2", "word", "char"])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_text_has_the_same_shingles_wherever_it_stands(unit, normalise, tokenizer):
    shingler = Shingler(unit, 3, normalise=normalise, tokenizer=tokenizer)
    column = ["", "Énormous words, and some.", "a", "", "words and some more 漢字", " ", "a"]
    data, offsets = text_buffers(string_column(column))
    together = shingles_of(shingler, column)
    assert together == [shingles_of(shingler, [text])[0] for text in column]
    hashes, starts = shingler.shingles(data, offsets[2:6])
    assert [hashes[b:e].tolist() for b, e in itertools.pairwise(starts)] == together[2:5]
    assert [len(found) == 0 for found in together] == [not text.strip() for text in column] or not normalise


@pytest.mark.parametrize("unit", ["gpt2", "word", "char"])
def test_no_texts(unit, tokenizer):
    hashes, starts = Shingler(unit, 5, tokenizer=tokenizer).shingles(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    assert len(hashes) == 0 and starts.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "expected"), [("gpt2-5", ("gpt2", 5)), ("word-1", ("word", 1)), ("char-100", ("char", 100))]
)
def test_names_of_shingles(name, expected):
    assert parse_shingle(name) == expected


@pytest.mark.parametrize(
    "name",
    ["", "gpt2", "gpt2-0", "gpt2--1", "gpt-5", "word-101", "word-9999", "Word-5", "word-5 ", "char-٥"],
)
def test_unknown_names_of_shingles_are_refused_with_what_is_known(name):
    with pytest.raises(ValueError, match=r"give gpt2-N, word-N or char-N with N from 1 to 100"):
        parse_shingle(name)


def test_gpt2_needs_a_tokenizer():
    with pytest.raises(ValueError, match="tokenizer"):
        Shingler("gpt2", 5)
    with pytest.raises(ValueError, match="word-0"):
        Shingler("word", 0)

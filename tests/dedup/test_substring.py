"""The stage ``dedup.substring``: golden values, planted copies, what each mode makes of spans.

Spans are found by a dictionary of all windows, so that only the stage is tested here.
"""

import functools
import itertools
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from window_oracle import duplicate_spans

from gpurefine.config import pipeline_from_data
from gpurefine.dedup.pieces import Spans
from gpurefine.dedup.substring import Substring
from gpurefine.documents import TEXT, Batch
from gpurefine.frames import string_column, text_buffers
from gpurefine.resources.cache import default_resources
from gpurefine.text.normalise import normalise

GOLDEN = Path(__file__).parents[1] / "golden" / "substring.jsonl"


def golden(rule):
    entries = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]
    return [pytest.param(entry, id=entry["id"]) for entry in entries if entry["rule"] == rule]


@functools.cache
def tokenizer():
    Substring().provide(default_resources())
    return Substring().open(default_resources())


def batch_of(texts):
    return Batch(pd.DataFrame({"text": string_column(texts)}))


def tokens_of(stage, texts):
    pieces = stage.pieces(batch_of(texts), tokenizer())
    assert pieces.keys is None and pieces.tokens.dtype == np.uint16 and pieces.starts.dtype == np.int64
    return [pieces.tokens[first:last].tolist() for first, last in itertools.pairwise(pieces.starts)]


def edit(stage, texts, spans):
    """``Substring.edit`` of the documents that have spans: text, rule, value, limit and characters of each document."""
    rows = [row for row, own in enumerate(spans) if own]
    starts = np.cumsum([0, *(len(spans[row]) for row in rows)])
    bounds = np.array([span for own in spans for span in own], np.int64).reshape(-1, 2)
    made = stage.edit(batch_of([texts[row] for row in rows]), Spans(starts, bounds), tokenizer())
    assert made.texts.type == TEXT and made.values.dtype == made.limits.dtype == np.float64
    told = [(text, None, np.nan, np.nan, []) for text in texts]
    for number, row in enumerate(rows):
        characters = made.characters[starts[number] : starts[number + 1]].tolist()
        measured = made.values[number], made.limits[number]
        told[row] = (made.texts[number].as_py(), made.rules[number], *measured, characters)
    return told


def found_and_edited(stage, texts):
    return edit(stage, texts, duplicate_spans(tokens_of(stage, texts), stage.length))


@pytest.mark.parametrize("entry", golden("cut"))
def test_golden_cuts(entry):
    parameters = {name: entry["parameters"][name] for name in ("length", "min_left")}
    stage = Substring(**parameters)
    spans = duplicate_spans(tokens_of(stage, entry["input"]), stage.length)
    assert spans == [document["token_spans"] for document in entry["expected"]]
    told = edit(stage, entry["input"], spans)
    for text, document, (left, rule, _, _, characters) in zip(entry["input"], entry["expected"], told, strict=True):
        assert characters == document["character_spans"]
        assert rule == ("short" if document["text"] is None else None)
        assert left == (text if document["text"] is None else document["text"])


def one_token_a_character(count):
    """A text whose letters and digits are tokens one by one, so that spans of tokens are spans of characters."""
    return ("a1" * count)[:count]


@pytest.mark.parametrize("entry", golden("apply_spans"))
def test_golden_decisions(entry):
    stage, spans = Substring(**entry["parameters"]), entry["input"]["spans"]
    text = one_token_a_character(entry["input"]["characters"])
    ((left, rule, *_, characters),) = edit(stage, [text], [spans])
    assert characters == spans
    changed = stage.on_match if spans and stage.on_match in ("cut", "mask") else "keep"
    assert ("drop" if rule else changed) == entry["expected"]
    gone = sum(last - first for first, last in spans) if entry["expected"] == "cut" else 0
    assert len(left) == len(text) - gone


@pytest.mark.parametrize("entry", golden("duplicate_spans"))
def test_the_oracle_of_these_tests_has_the_golden_spans(entry):
    assert duplicate_spans(entry["input"], entry["parameters"]["length"]) == entry["expected"]


#: Each is one token behind a blank.
WORDS = ["river", "barn", "house", "answer", "spring", "market", "winter", "garden", "letter", "window", "summer"]
DRESSED = {"river": "RIVER,", "barn": "“barn”", "house": "ho\u0308use", "spring": "Spring\n", "market": "M\u00c4RKET"}


def prose(seed, words):
    """Words between two of "village", in an order that no other seed has."""
    return " ".join(["village", *random.Random(seed).choices(WORDS, k=words - 2), "village"])


def in_other_dress(text):
    """The same words, once they are normalised."""
    return " ".join(DRESSED.get(word, word) for word in text.split())


@pytest.mark.parametrize("words", [49, 50, 51, 300])
@pytest.mark.parametrize("normalised", [True, False])
def test_planted_copies_are_cut_exactly_and_shorter_ones_not_at_all(words, normalised):
    shared = prose("shared", words)
    copy = in_other_dress(shared) if normalised else shared
    texts = [
        f"Document one begins: {shared}, and goes on until its end.",
        f"Nothing (alike) here!\n\n {copy}\n\n\n{prose('own', 90)}",
        prose("alone", 300),
        f"A third, {shared}",
    ]
    told = found_and_edited(Substring(normalise=normalised), texts)
    if words < 50:
        assert [left for left, *_ in told] == texts
        assert all(characters == [] for *_, characters in told)
        return
    assert told[0][0] == "Document one begins: , and goes on until its end."
    assert told[1][0] == f"Nothing (alike) here!\n\n{prose('own', 90)}"
    assert told[2][0] == texts[2] and told[2][4] == []
    assert told[3][:4] == (texts[3], "short", len("A third,"), 20)
    for text, characters, span in zip(texts, [told[0][4], told[1][4]], [shared, copy], strict=False):
        assert [text[first:last] for first, last in characters] == [span]


@pytest.mark.parametrize("normalised", [False, True])
def test_labelled_spans_of_real_texts(shared_data, normalised):
    """Every planted span of 50 tokens or more is found, and nothing of a shorter one."""
    labels = shared_data / "labels"
    table = pq.read_table(labels / "substr_docs.parquet")
    rows = {name: row for row, name in enumerate(table["id"].to_pylist())}
    texts, stage = table["text"].to_pylist(), Substring(normalise=normalised, on_match="mask")
    told = found_and_edited(stage, texts)
    checked = exact = 0
    for planted in json.loads((labels / "substr_spans.json").read_text("utf-8")):
        words = planted["span"].strip()
        (tokens,) = tokens_of(stage, [f"x {words}"])
        count = len(tokens) - 1
        assert normalised or count == planted["tokens"]
        for name, character in zip(planted["docs"], planted["chars"], strict=True):
            text, characters = texts[rows[name]], told[rows[name]][4]
            first, last = (text.index(words, character), text.index(words, character) + len(words))
            touching = [span for span in characters if span[0] < last and first < span[1]]
            if count < 50:
                assert touching == []
                continue
            # the ends that normalising leaves: a sign at an end belongs to no token
            covered = in_letters(text, first, last) if normalised else (first, last)
            assert any(span[0] <= covered[0] and covered[1] <= span[1] for span in touching)
            checked, exact = checked + 1, exact + ([*covered] in touching)
    # in one document a planted span touches one that the page itself repeats
    assert exact == checked - 1 and checked == {False: 58, True: 39}[normalised]


def in_letters(text, first, last):
    """A range of a text without signs and white space at its ends."""
    while not text[first].isalnum():
        first += 1
    while not text[last - 1].isalnum():
        last -= 1
    return first, last


def test_values_and_limits():
    text, spans = one_token_a_character(100), [[10, 30], [50, 60]]

    def said(**parameters):
        ((left, *rest, characters),) = edit(Substring(**parameters), [text], [spans])
        assert characters == spans and left in (text, text[:10] + text[30:50] + text[60:])
        return left != text, *rest

    assert said() == (True, None, 70, 20)
    assert said(min_left=71) == (False, "short", 70, 71)
    assert said(on_match="mask", min_left=70) == (False, None, 70, 70)
    assert said(on_match="mask", min_left=71) == (False, "short", 70, 71)
    assert said(on_match="drop_partial") == (False, "partial", 0.3, 0.2)
    assert said(on_match="drop_partial", max_duplicated=0.3) == (False, None, 0.3, 0.3)
    assert said(on_match="drop_any") == (False, "any", 2, 0)


def test_a_limit_of_none_lets_all_of_a_text_go():
    text = one_token_a_character(60)
    assert edit(Substring(min_left=0), [text], [[[0, 60]]]) == [("", None, 0, 0, [[0, 60]])]


def test_snap_shrinks_spans_to_words():
    # un|believ|able| stories| about| mice; the span begins and ends inside a word
    text = "Unbelievable “stories” about mice!"
    (tokens,) = tokens_of(Substring(), [text])
    spans = [[1, len(tokens) - 1]]
    ((_, _, _, _, characters),) = edit(Substring(on_match="mask"), [text], [spans])
    assert text[slice(*characters[0])] == "believable “stories” about"
    ((left, _, _, _, characters),) = edit(Substring(snap="word", min_left=0), [text], [spans])
    assert text[slice(*characters[0])] == "stories” about"
    assert left == "Unbelievable “ mice!"


@pytest.mark.parametrize("normalised", [True, False])
def test_an_accent_goes_with_its_letter(normalised):
    text = "The old cafe\u0301 is closed."
    # the| old| caf|e| ...: the mark is in no token of normalised text, and a token of its own in the text as it is
    tokens = tokens_of(Substring(normalise=normalised), ["The old cafe"])[0]
    stage = Substring(normalise=normalised, min_left=0)
    ((left, _, _, _, characters),) = edit(stage, [text], [[[1, len(tokens)]]])
    assert (left, characters) == ("The is closed.", [[4, 13]])


@pytest.mark.parametrize("on_match", ["cut", "mask", "drop_partial", "drop_any"])
def test_a_document_of_whose_spans_nothing_is_left_stays_as_it_is(on_match):
    stage = Substring(on_match=on_match, snap="word", max_duplicated=0, min_left=100)
    ((left, rule, value, limit, characters),) = edit(stage, ["abcdefghijklmnop"], [[[1, 3]]])
    assert (left, rule) == ("abcdefghijklmnop", None) and np.isnan([value, limit]).all()
    assert characters[0][0] == characters[0][1]


def test_spans_of_white_space_alone_have_no_characters():
    text = "One." + "\n \n" * 40 + "Two."
    ((left, rule, *_, characters),) = edit(Substring(normalise=False, on_match="drop_any"), [text], [[[3, 20]]])
    assert (left, rule) == (text, None) and characters[0][0] == characters[0][1]


def test_tokens_are_those_of_normalised_text_and_depend_on_each_text_alone():
    texts = ["Ångström, naïve café: 100 %!", None, "", "...", "中文，标点。", "a b " * 500]
    stage = Substring()
    data, offsets = normalise(*text_buffers(string_column(texts)))
    wanted, ends = tokenizer().tokens(data, offsets)
    found = tokens_of(stage, texts)
    assert found == [wanted[first:last].tolist() for first, last in itertools.pairwise(ends)]
    assert found[1] == found[2] == found[3] == []
    assert [tokens_of(stage, [text]) for text in texts] == [[own] for own in found]
    assert tokens_of(stage, []) == []
    assert (
        len(
            {
                str(tokens_of(Substring(**each), ["I don't"]))
                for each in ({}, {"normalise": False}, {"punctuation": "delete"})
            }
        )
        == 3
    )


def test_tokens_of_a_cudf_frame_come_to_the_host(cudf):
    texts = ["One, two — THREE.", None, "", "Ångström " * 300]
    frame = cudf.from_pandas(batch_of(texts).frame)
    pieces, wanted = (Substring().pieces(batch, tokenizer()) for batch in (Batch(frame), batch_of(texts)))
    assert type(pieces.tokens) is type(pieces.starts) is np.ndarray
    np.testing.assert_array_equal(pieces.tokens, wanted.tokens)
    np.testing.assert_array_equal(pieces.starts, wanted.starts)


def test_parameters_by_the_names_of_a_configuration():
    data = {
        "name": "mine",
        "stages": [{"dedup.substring": {"length": 51, "passes": 2, "on_match": "mask", "snap": None}}],
    }
    stage = pipeline_from_data(data).stages[0]
    assert (stage.length, stage.passes, stage.on_match, stage.keep) == (51, 2, "mask", "none")
    assert {"length": 51, "passes": 2}.items() <= stage.model_dump(by_alias=True).items()
    default = Substring()
    assert (default.length, default.min_left, default.passes, default.normalise) == (50, 20, 1, True)
    assert set(default.provide(default_resources())) == {"unicode_sha256", "vocabulary", "vocabulary_sha256"}


@pytest.mark.parametrize(
    "wrong",
    [{"length": 1}, {"on_match": "drop"}, {"min_left": -1}, {"max_duplicated": 1.1}, {"snap": "line"}, {"passes": 0},
     {"keep": "longest"}, {"scope": "text"}],
    ids=str,
)  # fmt: skip
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        Substring(**wrong)


def test_a_warning_of_passes_that_change_nothing():
    assert "use passes=1" in Substring(on_match="mask", passes=2).warning()
    assert Substring(passes=2).warning() is Substring(on_match="mask").warning() is None


@pytest.mark.slow
def test_a_document_of_100_mb():
    text = "Some words — and more of them, one after another. " * 1_900_000
    tokens = Substring().pieces(batch_of([text]), tokenizer()).tokens.size
    spans = [[first, first + 60] for first in range(0, tokens - 60, 90)]
    ((left, rule, value, _, characters),) = edit(Substring(), [text], [spans])
    assert rule is None and value == len(left) < len(text) / 2 and len(characters) == len(spans)

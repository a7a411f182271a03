"""Normalised text against the operations on whole strings, and against Python's tables where these are old enough."""

import itertools
import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.frames import string_column, text_buffers
from gpurefine.text.normalise import normalise
from gpurefine.text.unicode import normalisation_table, unicode_checksum

GOLDEN = Path(__file__).parents[1] / "golden" / "normalise.jsonl"
SURROGATES = range(0xD800, 0xE000)

#: A mark in the tables of older Pythons, a letter now.
CHANGED = 0x1171E

#: What this Python knows; a later Unicode assigns more.
ASSIGNED = [
    chr(code)
    for code in range(0x110000)
    if code not in SURROGATES and code != CHANGED and unicodedata.category(chr(code)) not in ("Cn", "Co")
]


def normalised(texts, punctuation="blank"):
    data, offsets = normalise(*text_buffers(string_column(texts)), punctuation)
    whole = data.tobytes()
    return [whole[begin:end].decode() for begin, end in itertools.pairwise(offsets)]


def oracle(text, punctuation="blank"):
    """The five steps, each on the whole text."""
    # one by one: lower case of a whole string looks at what follows a capital sigma
    text = "".join(character.lower() for character in text)
    text = unicodedata.normalize("NFD", text)
    text = "".join(character for character in text if unicodedata.category(character) != "Mn")
    sign = " " if punctuation == "blank" else ""
    text = "".join(sign if unicodedata.category(character)[0] in "PS" else character for character in text)
    return " ".join(text.split())


def golden():
    return [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("entry", golden(), ids=lambda entry: entry["id"])
def test_golden_values(entry):
    assert normalised([entry["input"]], **entry["parameters"]) == [entry["expected"]]


@pytest.mark.parametrize("punctuation", ["blank", "delete"])
def test_every_code_point_that_python_knows(punctuation):
    for pattern in ("{}", "a{}b", "{0}{0} {0}"):
        texts = [pattern.format(character) for character in ASSIGNED]
        found = normalised(texts, punctuation)
        wrong = [
            (f"{ord(character):X}", text)
            for character, text, whole in zip(ASSIGNED, found, texts, strict=True)
            if text != oracle(whole, punctuation)
        ]
        assert wrong == []


def test_code_points_that_are_newer_than_some_pythons_or_not_assigned():
    # Garay capital letter (16.0) with its small one, Kirat Rai sign (15.0 and 16.0), what is private or not assigned
    assert normalised(["\U00010d50", "x\U00016d6dy", "\ue000", "\u0378", "\U0010ffff", "\x00"]) == [
        "\U00010d70", "x y", "\ue000", "\u0378", "\U0010ffff", "\x00",
    ]  # fmt: skip


STRANGE = st.text(
    st.sampled_from("aZ .,-!\t\n\u00a0\u3000\x1c\x00\u0301\u0327ÅéßİΣςø각힣中，。\u200b\u00ad\U0001f600\U0001d15e½①")
    | st.characters(exclude_categories=("Cs",))
)


@given(st.lists(STRANGE, max_size=5), st.sampled_from(["blank", "delete"]))
@example([], "blank")
@example(["", " ", "\u0301", "e\u0301\u0327"], "delete")
def test_texts_of_any_kind(texts, punctuation):
    known = ["".join(c for c in text if unicodedata.category(c) != "Cn" and ord(c) != CHANGED) for text in texts]
    found = normalised(known, punctuation)
    assert found == [oracle(text, punctuation) for text in known]
    assert normalised(found, punctuation) == found


@given(st.lists(st.binary(max_size=12), max_size=5))
@example([b"\xf0", b"\xf0", b"\xea\xb0"])
@example([b"\xea\xb0\x81", b"\xea", b"ab"])
def test_bytes_that_are_no_utf_8_do_no_harm(texts):
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.r_[0, np.cumsum([len(text) for text in texts])].astype(np.int64)
    whole, ends = normalise(data, offsets)
    for number, text in enumerate(texts):
        alone, _ = normalise(np.frombuffer(text, np.uint8), np.array([0, len(text)]))
        assert whole[ends[number] : ends[number + 1]].tobytes() == alone.tobytes()


def test_documents_in_the_middle_of_a_buffer():
    data, offsets = text_buffers(string_column(["One!", "Two, ÉTÉ", "", "각"]))
    whole, ends = normalise(data, offsets[1:])
    assert ends.tolist() == [0, 7, 7, 16]
    assert whole.tobytes().decode() == "two ete각".replace("각", unicodedata.normalize("NFD", "각"))


def test_real_texts(shared_data):
    texts = pq.read_table(shared_data / "labels" / "medium_text.parquet")["text"].to_pylist()
    assert normalised(texts) == [oracle(text) for text in texts]


def test_the_table_is_fixed_and_read_only():
    table = normalisation_table("blank")
    assert table.growth == 3
    assert not any(array.flags.writeable for array in (table.ascii_map, table.place, table.replacements))
    # keys of a dedup depend on this file: change it only together with a note in the changelog
    assert unicode_checksum() == "42fd70481fbf2d91916221afe80ef59551a2bba680c8789781f835c37b39dbd0"

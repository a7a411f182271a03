"""Keys of lines against Python's strings and hashlib, on the CPU and, to the bit, on a device."""

import hashlib
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpurefine import kernels
from gpurefine.text.ccnet import MARKS, comparable_characters, comparable_characters_of_the_paper
from gpurefine.text.linetables import digests_of_lines, line_table, table_checksum


def lower(text):
    return text.lower()


def folded(text):
    """CCNet's rule in other words."""
    kept = (character for character in text.lower() if unicodedata.category(character) != "Cc")
    return "".join(re.sub(r"\d", "0", character) for character in kept if character not in MARKS or character == "１")


def bare(text):
    """The rule of CCNet's paper in other words."""
    parts = (part for character in folded(text) for part in unicodedata.normalize("NFD", character))
    return "".join(part for part in parts if not unicodedata.category(part).startswith(("Mn", "P")))


#: The rule, the same in other words, whether the hash is MD5.
RULES = [
    pytest.param(str.lower, lower, True, id="lower-md5"),
    pytest.param(comparable_characters, folded, False, id="ccnet-sha1"),
    pytest.param(comparable_characters_of_the_paper, bare, False, id="paper-sha1"),
]

#: Letters with and without a case, what does not end a word, white space, digits, marks, and what changes its length.
CHARACTERS = (
    "aAz Σσς'.:’\u0301\u0345ʰͅǅİẞéÉ中가ａ１٣9\t\n\r\x0b\x85\u00a0\u3000\u200d\x00\x7f–„،!^\U0001d7d8\U00010400\U0010ffff"
)
lines = st.text(st.sampled_from(CHARACTERS), max_size=12) | st.text(st.sampled_from("aΣ' \n"), max_size=150)


def by_hashlib(texts, becomes, md5):
    """Keys, first lines, which lines are visible."""
    digest = hashlib.md5 if md5 else hashlib.sha1
    keys, starts, visible = [], [0], []
    for text in texts:
        own = text.split("\n") if text else []
        for line in own:
            found = digest(becomes(line.strip()).encode()).digest()
            keys.append((int.from_bytes(found[:8], "big"), int.from_bytes(found[8:16], "big")))
            visible.append(bool(line.strip()))
        starts.append(starts[-1] + len(own))
    return keys, starts, visible


def joined(texts, before=b"", behind=b""):
    """Texts as one array, and offsets, which begin behind ``before``."""
    texts = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return np.frombuffer(before + b"".join(texts) + behind, np.uint8), np.cumsum([len(before), *map(len, texts)])


def found(texts, rule, md5, place=lambda array: array, **around):
    keys, starts, visible = digests_of_lines(*map(place, joined(texts, **around)), line_table(rule), md5)
    return list(zip(*keys.tolist(), strict=True)), starts.tolist(), visible.tolist()


@pytest.mark.parametrize(("rule", "becomes", "md5"), RULES)
@settings(max_examples=80)
@given(texts=st.lists(lines, max_size=5))
@example(texts=["", "\n", "a\n", "\n\na", "Σ", "ΑΣ", "ΑΣΣ", "ΑΣ'Σ' Α'Σ’\n'Σ", "Σ\u0345", "\u0345Σ\u0345Α"])
def test_lines_are_those_of_strings_and_hashlib(rule, becomes, md5, texts):
    assert found(texts, rule, md5) == by_hashlib(texts, becomes, md5)
    # bytes around the texts belong to none
    assert found(texts, rule, md5, before=b"A\n", behind=b"a") == by_hashlib(texts, becomes, md5)


@pytest.mark.parametrize(("rule", "becomes", "md5"), RULES)
def test_every_code_point_alone_and_beside_a_sigma(rule, becomes, md5):
    # of ideographs, syllables and what is not assigned a few
    codes = {*range(0x3400), *range(0xA000, 0xAC00), *range(0xF900, 0x13000), *range(0x1C000, 0x20000)}
    codes |= {*range(0xE0000, 0xE0200), *range(0x3400, 0x110000, 211)} - {10, *range(0xD800, 0xE000)}
    texts = ["\n".join(f"{each}\nA{each}Σ{each}\n{each}Σa" for each in map(chr, codes - {10}))]
    assert found(texts, rule, md5) == by_hashlib(texts, becomes, md5)


@pytest.mark.parametrize(("rule", "becomes", "md5"), RULES)
def test_every_length_of_a_line(rule, becomes, md5):
    # characters that cross the end of a block in each way
    texts = [letter * length for letter in ("x", "é", "中", "\U00010400", "İ", "가") for length in range(140)]
    assert found(texts, rule, md5) == by_hashlib(texts, becomes, md5)


def test_digests_of_both_kinds_are_those_that_their_standards_print():
    keys, _, _ = digests_of_lines(*joined(["abc"]), line_table(str.lower), md5=False)
    assert f"{keys[0, 0]:016x}{keys[1, 0]:016x}" == "a9993e364706816aba3e25717850c26c"
    keys, _, _ = digests_of_lines(*joined(["abc"]), line_table(str.lower), md5=True)
    assert f"{keys[0, 0]:016x}{keys[1, 0]:016x}" == "900150983cd24fb0d6963f7d28e17f72"


@given(texts=st.lists(st.binary(max_size=30), max_size=4))
@example(
    texts=[
        b"\xe3",
        b"\x80\x80a\xe3\x80",
        b"\xce\xa3\xcc",
        b"\xf0\x9f\x98",
        b"\x80\x80\x80\x80\x80\xce\xa3\x81\x81\x81\x81",
    ]
)
def test_bytes_that_are_no_utf8_stay_and_do_no_harm(texts):
    keys, starts, _ = found(texts, str.lower, True)
    assert starts == np.cumsum([0, *(text.count(b"\n") + 1 if text else 0 for text in texts)]).tolist()
    own = [line for text in texts if text for line in text.split(b"\n")]
    for line, key in zip(own, keys, strict=True):
        if all(byte >= 0x80 for byte in line) and not any(0xC2 <= byte < 0xF5 for byte in line):
            assert key[0].to_bytes(8, "big") == hashlib.md5(line).digest()[:8]


def test_a_long_run_that_does_not_end_a_word_is_read_once():
    # quadratic time would be hours
    text = "AΣ" + "'" * 3_000_000 + "Σ" + "'" * 3_000_000
    assert found([text], str.lower, True) == by_hashlib([text], lower, True)


def test_tables_can_not_be_written_to_and_differ():
    tables = [line_table(rule.values[0]) for rule in RULES]
    assert len({table_checksum(table) for table in tables}) == 3
    for table in tables:
        for array in (table.classes, table.ascii_map, table.place, table.replacements):
            assert not array.flags.writeable


def test_the_bits_of_classes_are_apart():
    assert len({kernels.STRIPPED, kernels.CASED, kernels.CASE_IGNORABLE, 0}) == 4

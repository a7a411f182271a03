"""Keys of lines against Python's strings and hashlib."""

import hashlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from line_oracle import RULES, by_hashlib, found, joined, lines, lower

from gpurefine import kernels
from gpurefine.text.linetables import digests_of_lines, line_table, table_checksum


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

"""Keys of lines by Python's strings and hashlib, and texts that are hard to get right."""

import hashlib
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import strategies as st

from gpurefine.text.ccnet import MARKS, comparable_characters, comparable_characters_of_the_paper
from gpurefine.text.linetables import digests_of_lines, line_table


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

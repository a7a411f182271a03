"""GPT-2 tokens against tiktoken on the same vocabulary: any text, any code point, any size of the table."""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from gpt2_oracle import assert_equal_tokens, encode, encoding, gpt2_ranks, single_bytes
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from gpurefine.frames import string_column, text_buffers
from gpurefine.text.gpt2 import Gpt2Tokenizer
from gpurefine.text.normalise import normalise

GOLDEN = Path(__file__).parents[1] / "golden" / "shingles.jsonl"

RANKS = gpt2_ranks()
ORACLE = encoding(RANKS)
TOKENIZER = Gpt2Tokenizer(RANKS)
#: Tables so small that nearly every word takes the place of another.
SMALL = {words: Gpt2Tokenizer(RANKS, words) for words in (1, 2, 8)}

#: Pieces that meet every branch of the pattern, at the ends of words, lines and of the packed bytes.
PIECES = st.sampled_from(
    ["'", "'s", "'t", "'m", "'d", "'re", "'ve", "'ll", "'S", "'r", "'v", "'l", "''", "n't", "\u2019s", "a", "b", "the",
     "The", "word", "words1", "x1y2", "0", "12", "1234567890", "\u00b2", "\u00bd", "\u2167", "\u0663", ".", ",", "...",
     "!?", "---", "caf\u00e9", "na\u00efve", "\u00df", "\u01c5", "\u0259", "слово", "的", "中文字", "カタカナ",
     "한국어", "नमस्ते", "ไทย", "العربية", "עברית", "\U0001f44d", "\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea",
     "e\u0301", "\u0301", "\u200d", "\u200b", "\u00ad", "\ufeff", "\ufffd", "\ue000", "\U00010348", "\U0010ffff",
     "abcdefg", "abcdefgh", "abcdefghijklmno", "abcdefghijklmnop", "Donaudampfschifffahrtsgesellschaft",
     " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\x0b", "\x0c", "\x85", "\xa0", "\u1680", "\u2003", "\u2028",
     "\u2029", "\u202f", "\u205f", "\u3000", "\x1c", "\x1f", "\x00", "\x7f", "\u180e"]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=20).map("".join)
BATCHES = st.lists(TEXTS | st.text(), min_size=1, max_size=5)


def tokens_of(tokenizer, text):
    data = np.frombuffer(text.encode(), np.uint8)
    tokens, offsets = tokenizer.tokens(data, np.array([0, data.size]))
    assert offsets.tolist() == [0, len(tokens)]
    return tokens.tolist()


@settings(max_examples=500)
@given(BATCHES)
@example(["", "a", ""])
@example(["'", " '", "''s", " 's", "'s's", "it's we'll they've I'd 'r 'v 'l x'"])
@example([" ", "  ", "  a", " \n a", "a \n", "a\u3000\u3000b", "\u3000", " \u3000", "\n \n1"])
@example(["a" * length for length in range(1, 70)])
@example(
    [" " + "a" * length + mark for length in (6, 7, 8, 14, 15, 16, 29, 30, 31, 32) for mark in (" ", "é", "1", "")]
)
@example(["é" * length + "e" * rest for length in (3, 7, 15, 16) for rest in (0, 1)])
def test_any_text_gives_the_tokens_of_tiktoken(batch):
    assert_equal_tokens(TOKENIZER, ORACLE, batch)


@given(BATCHES, st.sampled_from(sorted(SMALL)))
def test_a_tiny_table_gives_the_same_tokens(batch, words):
    assert_equal_tokens(SMALL[words], ORACLE, batch)


def test_tokens_of_vocabulary_words_alone():
    texts = [text for token in RANKS if (text := token.decode("utf-8", "ignore")).encode() == token]
    assert len(texts) > 49_000
    assert_equal_tokens(TOKENIZER, ORACLE, texts)


CASES = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["rule"] == "gpt2_shingles"], ids=lambda case: case["id"]
)
def test_golden_ids(case):
    assert tokens_of(TOKENIZER, case["expected"]["normalised"]) == case["expected"]["ids"]


def merges_across_cuts():
    """A vocabulary that shows where texts are cut: before a cut there is no merge with the byte behind it."""
    ranks = single_bytes()
    for first in b"a1. \n":
        ranks |= {bytes([first, byte]): len(ranks) + byte for byte in range(256)}
    return ranks


def test_every_code_point_is_of_tiktokens_class():
    """The table of classes, and the Unicode version behind it, against those in tiktoken."""
    ranks = merges_across_cuts()
    oracle, tokenizer = encoding(ranks), Gpt2Tokenizer(ranks)
    points = [point for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    differing = []
    for first in range(0, len(points), 256):
        texts = [f"a{chr(point)}1{chr(point)}.{chr(point)} {chr(point)}\n" for point in points[first : first + 256]]
        if tokens_of(tokenizer, "".join(texts)) != oracle.encode_ordinary("".join(texts)):
            differing += [text for text in texts if tokens_of(tokenizer, text) != oracle.encode_ordinary(text)]
    assert [f"U+{ord(text[1]):04X}" for text in differing] == []


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "-" * 1_000_000,
        "ab" * 200_000 + "c" * 129,
        "".join(chr(97 + number) for number in np.random.default_rng(7).integers(0, 26, 300_000)),
        "中" * 100_000,
        "x" + " " * 1_200_000 + "y",
        "x" + "\n" * 1_000_001,
        "1" * 300_000 + "é",
        "'" * 300_000 + "s",
    ],
    ids=lambda text: text[:3].encode("unicode_escape").decode(),
)
def test_huge_pieces(text):
    assert tokens_of(TOKENIZER, text) == encode(ORACLE, text)


def test_offsets_may_begin_anywhere():
    data = np.frombuffer(b"ab cd's 12", np.uint8)
    tokens, offsets = TOKENIZER.tokens(data, np.array([3, 3, 5, 9]))
    assert offsets.tolist() == [0, 0, 1, 3]
    assert tokens.tolist() == encode(ORACLE, "cd") + encode(ORACLE, "'s 1")
    assert TOKENIZER.count(data, np.array([3, 3, 5, 9])).tolist() == [0, 1, 2]


@pytest.mark.parametrize("offsets", [[0], [0, 0, 0], [5]])
def test_nothing_to_do(offsets):
    data = np.frombuffer(b"hello", np.uint8)
    tokens, found = TOKENIZER.tokens(data, np.array(offsets))
    assert (tokens.tolist(), found.tolist()) == ([], [0] * len(offsets))
    assert TOKENIZER.count(data[:0], np.zeros(1, np.int64)).tolist() == []


@pytest.mark.parametrize(
    ("data", "offsets"),
    [
        (np.zeros(3, np.uint8), np.zeros(0, np.int64)),
        (np.zeros(3, np.uint8), np.array([0, 4])),
        (np.zeros(3, np.uint8), np.array([-1, 2])),
        (np.zeros(3, np.uint8), np.array([0, 3, 2])),
        (np.zeros(3, np.uint8), np.array([0, 5, 3])),
        (np.zeros(3, np.int8), np.array([0, 3])),
        (np.zeros((3, 1), np.uint8), np.array([0, 3])),
        (np.zeros(3, np.uint8), np.array([0, 3], np.int32)),
    ],
)
def test_wrong_buffers_are_refused(data, offsets):
    for work in (TOKENIZER.tokens, TOKENIZER.count):
        with pytest.raises(ValueError, match="text to tokens: "):
            work(data, offsets)


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        (single_bytes() | {b"ab": 65_535}, "from 0 to 65534"),
        (single_bytes() | {b"ab": -1}, "from 0 to 65534"),
        (single_bytes() | {b"ab": 7}, "different"),
        ({b"a": 0}, "256 single bytes"),
        (single_bytes() | {b"abc": 300}, "b'abc'"),
        (single_bytes() | {b"ab": 300, b"bc": 299, b"abcd": 302, b"cd": 298, b"bcd": 290}, None),
        (single_bytes() | {b"a" * 129: 300}, "at most 128 bytes"),
        (single_bytes() | {b"ab": 300, b"bc": 299, b"abc": 301, b"abcd": 302, b"cd": 298}, None),
    ],
)
def test_vocabularies(ranks, message):
    if message is None:
        assert_equal_tokens(Gpt2Tokenizer(ranks, 4), encoding(ranks), ["abcd", "abc bcd", "xabcabcd"])
    else:
        with pytest.raises(ValueError, match=message):
            Gpt2Tokenizer(ranks, 4)


@settings(max_examples=60)
@given(st.permutations([b"bc", b"ab", b"aa", b"abc", b"aaa", b"ca", b"bcab", b" a", b" ab", b"cab"]), st.data())
def test_any_vocabulary(tokens, data):
    ranks = single_bytes() | {token: 256 + rank for rank, token in enumerate(tokens)}
    try:
        tokenizer = Gpt2Tokenizer(ranks, 2)
    except ValueError:  # a token to which its own bytes are not merged
        reject()
    batch = data.draw(st.lists(st.text("abc ", max_size=12), min_size=1))
    assert_equal_tokens(tokenizer, encoding(ranks), batch)


def test_words_below_one_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        Gpt2Tokenizer(single_bytes(), 0)
    with pytest.raises(ValueError, match="0 words"):
        TOKENIZER.fresh(0)


def test_a_fresh_one_shares_no_memory():
    texts = ["the words of one", "and of another text"]
    first = Gpt2Tokenizer(RANKS, 2)
    assert_equal_tokens(first, ORACLE, texts)
    memory = first._lines.copy()
    assert_equal_tokens(first.fresh(4), ORACLE, [*texts, "and more of them"])
    assert (first._lines == memory).all()
    assert (first.token_bytes == first.fresh().token_bytes).all()


def parts(samples, normalised, limit=None):
    texts = pq.read_table(samples / "labels" / "medium_text.parquet", columns=["text"])["text"].to_pylist()[:limit]
    if normalised:
        data, offsets = normalise(*text_buffers(string_column(texts)))
        texts = [data[begin:end].tobytes().decode() for begin, end in itertools.pairwise(offsets)]
    return texts


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("limit", [200, pytest.param(None, marks=pytest.mark.slow)])
def test_real_texts(shared_data, normalised, limit):
    texts = parts(shared_data, normalised, limit)
    assert_equal_tokens(Gpt2Tokenizer(RANKS), ORACLE, texts)
    assert_equal_tokens(Gpt2Tokenizer(RANKS, 1000), ORACLE, texts)

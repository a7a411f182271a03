"""The text statistics against an oracle in plain Python that follows the definitions and imports nothing of ours."""

import re
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpurefine.frames import string_column, text_buffers
from gpurefine.kernels import ALL_COPIES_FIELDS, FIELDS, all_copies_statistics, text_statistics, word_hashes
from gpurefine.kernels.cpu import stats
from gpurefine.text.characters import classes_with_bullets

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with", "für")
BULLETS = ("•", "-")


def extra(items):
    """Items, copies of an earlier item, characters of those."""
    seen, copies, characters = set(), 0, 0
    for item in items:
        if item in seen:
            copies, characters = copies + 1, characters + len(item)
        seen.add(item)
    return len(items), copies, characters


def top_first(words, n):
    """Count and word characters of the most frequent n-gram; of equals, the one that occurs first."""
    ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    if not ngrams:
        return 0, 0
    counts = Counter(ngrams)
    most = max(counts.values())
    return most, len("".join(next(ngram for ngram in ngrams if counts[ngram] == most)))


def extra_ngrams(words, n):
    seen, characters, position = set(), 0, 0
    while position + n <= len(words):
        key = "".join(words[position : position + n])
        if key in seen:
            characters += len(key)
            position += n
        else:
            seen.add(key)
            position += 1
    return characters


def oracle(text, words):
    newline_lines = (text[:-1] if text.endswith("\n") else text).split("\n") if text else []
    visible = [line.strip() for line in text.split("\n") if line.strip()]
    plain = [word for word in words if any(unicodedata.category(c)[0] not in "PSC" for c in word)]
    expected = {
        "characters": len(text),
        "number_signs": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "spaced_ellipses": text.count(". . ."),
        "newline_lines": len(newline_lines),
        "visible_lines": len(visible),
        "bullet_lines": sum(line[0] in BULLETS for line in visible),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in visible),
        "spaced_ellipsis_lines": sum(line.endswith(". . .") for line in visible),
        "words": len(words),
        "word_characters": sum(map(len, words)),
        "plain_words": len(plain),
        "plain_characters": sum(map(len, plain)),
        "alphabetic_words": sum(any(unicodedata.category(c)[0] == "L" for c in word) for word in words),
        "stop_words": len(set(words) & set(STOP_WORDS)),
    }
    for prefix, separator in (("line", r"\n+"), ("paragraph", r"\n{2,}")):
        keys = (f"{prefix}s", f"extra_{prefix}s", f"extra_{prefix}_characters")
        expected.update(zip(keys, extra(re.split(separator, text)), strict=True))
    for n in (2, 3, 4):
        expected[f"top_{n}"], expected[f"top_{n}_characters"] = top_first(words, n)
    for n in range(5, 11):
        expected[f"extra_{n}"] = extra_ngrams(words, n)
    return expected


def all_copies_oracle(text, words):
    expected = {}
    for prefix, separator in (("line", "\n"), ("paragraph", "\n\n")):
        items = [item.strip() for item in text.split(separator) if item.strip()]
        repeated = [item for item in items if items.count(item) > 1]
        expected[f"{prefix}s"], expected[f"{prefix}_characters"] = len(items), sum(map(len, items))
        expected[f"repeated_{prefix}s"], expected[f"repeated_{prefix}_characters"] = (
            len(repeated),
            sum(map(len, repeated)),
        )
    for n in range(2, 11):
        ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        counts = Counter(ngrams)
        if n < 5:
            most = max(counts.values(), default=0)
            longest = (len("".join(ngram)) for ngram, count in counts.items() if count == most)
            expected[f"longest_{n}"] = max(longest, default=0)
        else:
            inside = {i + k for i, ngram in enumerate(ngrams) if counts[ngram] > 1 for k in range(n)}
            expected[f"repeated_{n}"] = sum(len(words[i]) for i in inside)
    return expected


def buffers(texts):
    return text_buffers(string_column(texts))


def measured(texts, words=None):
    hashes = word_hashes(*buffers(STOP_WORDS))
    table = text_statistics(*buffers(texts), classes_with_bullets(BULLETS), hashes, words)
    return [dict(zip(FIELDS, row.tolist(), strict=True)) for row in table]


def all_copies_measured(texts, words=None):
    table = all_copies_statistics(*buffers(texts), classes_with_bullets(BULLETS), words)
    return [dict(zip(ALL_COPIES_FIELDS, row.tolist(), strict=True)) for row in table]


# few different pieces, so that everything repeats; all kinds of white space, marks, scripts, and combining marks
PIECES = st.sampled_from(
    [
        *"aabbcAé1٣#.-•…日本ア", *STOP_WORDS, "word", "ab", "ba", "e\u0301", "\u0301", "नि", "\U0001f600",
        "\U00020000", "$", "\u200d", "\ue000", "\u0378", "\x00", "...", ". . .", ". .", "#tag", "x" * 40,
        *"     \n\n\t\r", "\n\n", "\n\n\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u2003",
        "\u2028", "\u3000",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=80).map("".join) | st.lists(
    st.sampled_from(["a", "b", "ab", " ", " ", "\n"]), max_size=120
).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS | st.text(max_size=30), max_size=4))
@example(["ab c d e f x a bc d e f"])  # equal when joined without blanks
@example(["", "\n", "\n\n", "\na", "a\n", "a\n\n", "\n\na", " ", "a\n \na"])
@example([". . . . . ......", "...\n…\n. . .\n....", "# \n..\n.\n. . ."])
@example(["x y z w x y q r z w s t u v"])  # a tie: the first
def test_equals_the_oracle(texts):
    assert measured(texts) == [oracle(text, text.split()) for text in texts]
    assert all_copies_measured(texts) == [all_copies_oracle(text, text.split()) for text in texts]


def spans_of(texts, divided):
    """Byte spans of the given words (character spans of each text) in the column's buffers."""
    begins, ends, offsets, base = [], [], [0], 0
    for text, spans in zip(texts, divided, strict=True):
        begins += [base + len(text[:begin].encode()) for begin, _ in spans]
        ends += [base + len(text[:end].encode()) for _, end in spans]
        offsets.append(len(begins))
        base += len(text.encode())
    return np.array(begins, np.int64), np.array(ends, np.int64), np.array(offsets, np.int64)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, max_size=3), st.sampled_from([r"\w+|[^\w\s]", r"(?s).", r"\w+", r"\S+ \S+", r"$^"]))
@example(["abcabcabc" * 20], r"(?s).")
def test_words_that_are_given(texts, pattern):
    divided = [[match.span() for match in re.finditer(pattern, text)] for text in texts]
    words = spans_of(texts, divided)
    lists = [[text[begin:end] for begin, end in spans] for text, spans in zip(texts, divided, strict=True)]
    assert measured(texts, words) == [oracle(text, words) for text, words in zip(texts, lists, strict=True)]
    expected = [all_copies_oracle(text, words) for text, words in zip(texts, lists, strict=True)]
    assert all_copies_measured(texts, words) == expected


@pytest.mark.parametrize("n", [5, 10])
def test_long_texts_with_repeats(n):
    """Long enough for the prefix filter to pass over most positions, with copies at every distance."""
    rng = np.random.default_rng(n)
    vocabulary = [f"word{i}" for i in range(40)] + list("abcdefg")
    words = list(rng.choice(vocabulary, 1500))
    for _ in range(20):
        length, source, target = rng.integers(n, 30), *rng.integers(0, 1400, 2)
        words[target : target + length] = words[source : source + length]
    text = " ".join(words)
    assert measured([text]) == [oracle(text, words)]
    assert all_copies_measured([text]) == [all_copies_oracle(text, words)]


def test_documents_do_not_depend_on_their_neighbours():
    texts = ["a b a b\n\na b", "the " * 5000, "", "x\n" * 3000, "a b a b\n\na b", "日本 " * 10]
    together = measured(texts)
    assert together == [measured([text])[0] for text in texts]
    assert together[0] == together[4]


def test_no_documents():
    assert measured([]) == []
    assert all_copies_measured([]) == []


def test_bytes_that_are_no_utf8_are_survived():
    """The reader lets none through; if one came, it must not crash the worker."""
    rng = np.random.default_rng(1)
    data = rng.integers(0x70, 0x100, 5000).astype(np.uint8)
    offsets = np.array([0, 0, 1, 2, 100, 4000, 5000], np.int64)
    data = np.append(data, np.zeros(8, np.uint8))  # Arrow pads its buffers
    table = text_statistics(data, offsets, classes_with_bullets(BULLETS), np.zeros(0, np.uint64))
    assert (table[:, FIELDS.index("characters")] <= np.diff(offsets)).all()
    assert len(all_copies_statistics(data, offsets, classes_with_bullets(BULLETS))) == 6


def test_one_compilation_serves_arrays_of_any_origin():
    hashes = word_hashes(*buffers(STOP_WORDS))
    for arrays in (buffers(["a"]), buffers([]), buffers(["", ""]), (np.zeros(3, np.uint8), np.array([0, 3]))):
        text_statistics(*arrays, classes_with_bullets(BULLETS), hashes)
        text_statistics(*arrays, classes_with_bullets(BULLETS).copy(), np.zeros(0, np.uint64))
    assert len(stats._text_statistics.signatures) == 1


def test_one_line_of_5_megabytes():
    text = "lorem ipsum dolor sit amet " * 190_000
    counts = measured([text, "after it"])
    assert counts[0]["characters"] == len(text) > 5_000_000
    assert (counts[0]["words"], counts[0]["visible_lines"]) == (950_000, 1)
    assert counts[0]["top_2"] == 190_000
    assert counts[0]["extra_10"] == sum(map(len, text.split())) - 44  # all but the first ten words
    assert counts[1]["words"] == 2


def test_one_word_of_5_megabytes():
    counts = measured(["é" * 2_500_000 + "\u3000" + "é" * 2_500_000])[0]
    assert (counts["words"], counts["word_characters"], counts["top_2"]) == (2, 5_000_000, 1)


def test_200_000_different_words():
    words = [f"w{i}" for i in range(200_000)]
    counts = measured([" ".join(words)])[0]
    assert (counts["words"], counts["top_2"], counts["extra_5"]) == (200_000, 1, 0)
    doubled = measured([" ".join(words + words)])[0]
    assert doubled["extra_5"] == doubled["extra_10"] == sum(map(len, words))


def test_stop_words_are_different_ones_of_many():
    many = [f"s{i}" for i in range(300)]
    text = " ".join(many[:200] * 3 + ["S1", "s", "s300"])
    table = text_statistics(*buffers([text, "s5", ""]), classes_with_bullets(BULLETS), word_hashes(*buffers(many)))
    assert table[:, FIELDS.index("stop_words")].tolist() == [200, 1, 0]

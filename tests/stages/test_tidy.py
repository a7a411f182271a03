"""Clean-up of extracted text: golden values, a slow oracle, hostile text."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.stages.extraction.tidy import tidy

GOLDEN = Path(__file__).parents[1] / "golden" / "format.jsonl"
ENTRIES = [json.loads(line) for line in GOLDEN.open(encoding="utf-8")]

#: Text of the pieces at which the rules can go wrong.
PIECES = st.lists(
    st.sampled_from([
        *"aA.,:;)('\"<> \t\n\r\v/@-1", "http://", "https://", "ftp://", "www.", "WWW.", "HTTP:", "\r\n", "\u2028",
        "\u0085", "\u00a0", "\n\n\n", "example.com", "10.0.0.1", "é", "://", "w", "http", "x",
    ]),
    max_size=30,
).map("".join)  # fmt: skip


def oracle(text: str) -> str:
    """The clean-up read off its definition, one character at a time."""
    for end in ("\r\n", "\r", "\u0085", "\u2028", "\u2029"):
        text = text.replace(end, "\n")
    lines = []
    for line in text.split("\n"):
        left, position, removed = "", 0, False
        while position < len(line):
            length = url_length(line, position)
            if length:
                while left and left[-1] in " \t":
                    left = left[:-1]
                position += length
                removed = True
            else:
                left += line[position]
                position += 1
        if not (removed and left.strip() == ""):
            lines.append(left)
    while any(line != line.rstrip() for line in lines):
        lines = [line.rstrip() for line in lines]
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip()


def url_length(line: str, position: int) -> int:
    text, before = line[position:], line[:position][-1:]
    for start in ("http://", "https://", "ftp://", "www."):
        if start == "www." and before.isascii() and before.isalnum():
            continue
        if text[: len(start)].lower() == start:
            end = len(start)
            while end < len(text) and not text[end].isspace() and text[end] not in '<>"':
                end += 1
            while text[end - 1] in ".,;:!?)]}'\"":
                end -= 1
            return end if end >= len(start) else 0
    return 0


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["id"] for entry in ENTRIES])
def test_golden(entry):
    assert entry["rule"] == "tidy"
    assert tidy(entry["input"], **entry["parameters"]) == entry["expected"]


@given(PIECES)
@example("www http://x.<b>")
@example("httphttp://x://y")
@example("so www. And")
@example("a http:// b")
@example("x \thttp://a.) \t www.b\n\n\n\n")
@example("awww.b www.c")
def test_equals_its_definition(text):
    assert tidy(text) == oracle(text)


@given(PIECES)
@example("www http://x.<b>")
@example("http\nwww.\u2028://x")
def test_twice_is_once(text):
    assert tidy(tidy(text)) == tidy(text)


@given(st.text())
def test_any_text(text):
    tidied = tidy(text)
    assert tidied == tidied.strip() and "\n\n\n" not in tidied and "\r" not in tidied
    assert tidy(tidied) == tidied
    tidy(text, bare_domains=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see example.com/path now", "see now"),
        ("see Example.COM.", "see."),
        ("ask me@example.com or a.b@example.com/x", "ask me@example.com or a.b@example.com/x"),
        ("host 127.0.0.1:8080/x up", "host up"),
        ("at 192.168.1.256 or 1.2.3", "at 192.168.1.256 or 1.2.3"),
        ("the end.It begins. e.g. this", "the end.It begins. e.g. this"),
        ("(sub.example.co.uk?q=(1))", "())"),
        ("one\nexample.org\ntwo http://x.org", "one\ntwo"),
        ("file.txt and /usr/example.com", "file.txt and /usr/example.com"),
        ("example.comé", "example.comé"),
    ],
)
def test_bare_domains(text, expected):
    assert tidy(text, bare_domains=True) == expected


@pytest.mark.parametrize("bare_domains", [False, True])
@pytest.mark.parametrize(
    "piece",
    ["http://", ".", " ", "(", "www.", "http:// ", " \t", "\n", "\r", "a.", "a.com", "a.com ", "1.", "www. ", "http",
     "w", ")", "http://)", "a-", "\u2028 ", "é"],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece, bare_domains):
    text = piece * (5_000_000 // len(piece)) + "x"
    start = time.process_time()
    tidy("x" + text, bare_domains)
    assert time.process_time() - start < (3 if bare_domains else 1.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-\nflour\n-\neggs", "- flour\n- eggs"),
        ("- \nflour", "- flour"),
        ("-\n-\nflour", "-\n- flour"),
        ("-\n\nflour", "-\n\nflour"),
        ("a -\nflour", "a -\nflour"),
        ("flour\n-", "flour\n-"),
    ],
)
def test_a_lone_bullet_joins_the_text_of_its_item(text, expected):
    assert tidy(text, join_bullets=True) == expected
    assert tidy(expected, join_bullets=True) == expected
    assert "- " not in tidy(text)


@pytest.mark.parametrize("text", ["awww.cute", "newww.foo.com is no address", "1www.2"])
def test_www_inside_a_word_is_no_url(text):
    assert tidy(text) == text

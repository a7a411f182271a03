"""Hosts, parent domains and words of URLs: golden values, an oracle over labels, and URLs made to hurt."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.text.urlparts import LONGEST_HOST, host_of, parents, split_url, url_words

GOLDEN = [json.loads(line) for line in (Path(__file__).parents[1] / "golden" / "url.jsonl").open(encoding="utf-8")]


@pytest.mark.parametrize("case", [case for case in GOLDEN if case["rule"] == "parents"], ids=lambda case: case["id"])
def test_parents_are_the_golden_ones(case):
    assert parents(case["input"]) == case["expected"]


@pytest.mark.parametrize("case", [case for case in GOLDEN if case["rule"] == "url_words"], ids=lambda case: case["id"])
def test_words_are_the_golden_ones(case):
    assert url_words(split_url(case["input"]).body) == case["expected"]


def parents_by_labels(host: str) -> list[str]:
    """Every suffix of at least two labels, the host first, written as the definition says it."""
    labels = host.split(".")
    suffixes = [".".join(labels[first:]) for first in range(max(1, len(labels) - 1))]
    return [suffix for suffix in suffixes if len(suffix) <= LONGEST_HOST]


@given(st.lists(st.text("ab-", min_size=1, max_size=70), min_size=1, max_size=12).map(".".join))
@example("localhost")
@example("x" * 300 + ".com")
@example("x" * 249 + ".com")
@example(".".join(["abcdefg"] * 60))
def test_parents_are_the_suffixes_at_label_boundaries(host):
    expected = parents_by_labels(host)
    assert parents(host) == ([] if len(host) > LONGEST_HOST and "." not in host else expected)


@pytest.mark.parametrize(
    ("url", "host", "path", "body"),
    [
        ("HTTP://User:Pw@WWW.Example.COM.:8080/A%2Fb?Q=1#frag", "www.example.com", "/a/b", None),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example", "/", "b\u00fccher.example/"),
        ("//example.com/x", "example.com", "/x", "example.com/x"),
        ("http://[2001:DB8::1]:80/", "[2001:db8::1]", "/", "[2001:db8::1]:80/"),
        ("http://a@b@example.com?x", "example.com", "", "a@b@example.com?x"),
        ("http://example.com#http://other.com/", "example.com", "", "example.com"),
        ("example.com/?u=http://other.com/", "", "", "example.com/?u=http://other.com/"),
        ("mailto:someone@example.com", "", "", "mailto:someone@example.com"),
        ("http:///path", "", "/path", "/path"),
        ("http://example.com/%E4%zz%41", "example.com", "/%zza", "example.com/%zza"),
        ("http://example.com/%2541", "example.com", "/%41", "example.com/%41"),
        ("http://\u202eexample.com/", "\u202eexample.com", "/", "\u202eexample.com/"),
        ("", "", "", ""),
    ],
)
def test_parts(url, host, path, body):
    parts = split_url(url)
    assert (parts.host, parts.path) == (host, path)
    if body is not None:
        assert parts.body == body


def test_host_that_has_no_ascii_form_stays_as_it_is():
    assert host_of("\u00fc" * 80 + ".Example") == "\u00fc" * 80 + ".example"


@given(st.text(max_size=200))
@example("http://%")
@example("http://[")
def test_no_url_fails(url):
    parts = split_url(url)
    parents(parts.host)
    assert all(word.isalnum() for word in url_words(parts.body))


@pytest.mark.parametrize(
    "url",
    [
        "http://" + "a." * 500_000,
        "http://" + "\u00fc" * 1_000_000,
        "http://" + "@" * 1_000_000,
        "http://example.com/" + "%" * 1_000_000,
        "http://example.com/" + "%e4\u00e4" * 250_000,
        "http://example.com" + "/a" * 500_000,
        "x" * 1_000_000,
        ":" * 1_000_000,
    ],
    ids=["labels", "unicode host", "users", "percents", "broken escapes", "slashes", "no scheme", "colons"],
)
def test_a_megabyte_takes_linear_time(url):
    begin = time.process_time()
    parts = split_url(url)
    names = parents(parts.host)
    url_words(parts.body)
    assert sum(map(len, names)) <= 130 * LONGEST_HOST
    assert time.process_time() - begin < 5

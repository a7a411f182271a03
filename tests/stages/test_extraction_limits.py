"""Sizes of pages: counted right where the number is known, never too few where libxml2 finds more."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from gpurefine.frames import string_column, text_buffers
from gpurefine.stages.extraction.limits import page_sizes


def sizes(*pages: str) -> list[tuple[int, int, int]]:
    """(bytes, start tags, attributes) of each page."""
    counted = page_sizes(*text_buffers(string_column(pages)))
    assert {counts.dtype for counts in vars(counted).values()} <= {np.dtype(np.int64)}
    return list(zip(*(counts.tolist() for counts in vars(counted).values()), strict=True))


@pytest.mark.parametrize(
    ("html", "start_tags", "attributes"),
    [
        ("", 0, 0),
        ("<", 0, 0),
        ("no < tag <3 </p> <!doctype html> <?php a b ?>", 0, 0),
        ("<p>", 1, 0),
        ("<p", 1, 0),
        ("<P CLASS=x>x<b>y</b></P>", 2, 1),
        ("<a b c d>", 1, 3),
        ("<a b=1 c='2 3' d=\"4 > 5\" e>", 1, 4),
        ("<a b = 1 c\n=\t'2' / d>", 1, 3),
        ("<a b='1'c='2'>", 1, 2),
        ("<a/b/c>", 1, 2),
        ("<a b=/c/d>", 1, 1),
        ("<a =b =>", 1, 1),
        ("<a =b c =>", 1, 2),
        ("<a b=><i c d>", 2, 2),
        ("<a b='never closed > <i c d>", 1, 1),
        ("<br/><img src=x /><i>", 3, 1),
        ("<!-- <p a b c> --><i d>", 1, 1),
        ("<!--><p a b>", 1, 2),
        ("<!-- <i> --!><p a b>", 1, 2),
        ("<!-- never closed <p a b>", 0, 0),
        ("<script>if (a<b && c>d) '<p a b c>'</script ><p a>", 2, 1),
        ("<script src='a'/><p a b>", 2, 2),
        ("<STYLE><p a b></sTyLe><i c>", 2, 1),
        ("<title><p></titles><p a></title><i>", 2, 0),
        ("<textarea><p a b></textarea", 1, 0),
        ("<scripts><p>", 2, 0),
        ("<verylongname><verylongnames a>", 2, 1),
        ("é<p é=é>é</p>", 1, 1),
    ],
)
def test_counts(html, start_tags, attributes):
    """Each way to write a tag, an attribute, a comment and raw text."""
    assert sizes(html) == [(len(html.encode()), start_tags, attributes)]


def test_pages_of_a_batch_are_apart():
    """What one page leaves open does not swallow the next one; null counts as empty."""
    pages = ["<a b='", "<p>", "<script>", "<i c>", "<!--", "<b>"]
    counted = page_sizes(*text_buffers(string_column([*pages, None])))
    assert counted.start_tags.tolist() == [1, 1, 1, 1, 0, 1, 0]
    assert sizes() == []


SPACES = st.sampled_from([" ", "\n", "\t ", "  "])
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True)
VALUES = st.sampled_from(["", "=x", "=''", "='a > b'", '="<p c>"', " = x.y", "='é'"])
RAW_TEXT = st.sampled_from([
    "<!-- <p a> -->", "<script>a<b</script>", "<style a>p > q</style>", "text", "</p>", "1 < 2", "&lt;p&gt;",
])  # fmt: skip


@st.composite
def tags(draw):
    """A start tag and how many attributes it has."""
    attributes = draw(st.lists(st.tuples(SPACES, NAMES, VALUES), max_size=6))
    name = draw(st.sampled_from(["a", "p", "div", "h1", "custom-element"]))
    return f"<{name}" + "".join(map("".join, attributes)) + draw(st.sampled_from([">", " >", "\n>"])), len(attributes)


@given(st.lists(tags() | RAW_TEXT.map(lambda text: (text, None)), max_size=20))
@example([("<p a='x > y'>", 1), ("<style a>p > q</style>", None)])
def test_counts_of_pages_built_from_parts(parts):
    """On a well-formed page the counts are those it was built from."""
    html = "".join(text for text, _ in parts)
    raw = [text for text, count in parts if count is None and text.startswith(("<script", "<style"))]
    counts = [count for _, count in parts if count is not None] + [int("style a" in text) for text in raw]
    assert sizes(html) == [(len(html.encode()), len(counts), max(counts, default=0))]


SOUP = ["<p", "<a", "<i ", "<script", "<style>", "<title>", "</script>", "</style>", "</title>", "<div ", ">", "/>",
        "/", "=", "'", '"', " ", "\n", "a", "b", "c1", "d-e", "x=1", "<", "</p>", "-->", "!", "&amp;", "é"]  # fmt: skip


@given(st.lists(st.sampled_from(SOUP), max_size=40).map("".join))
@example("<p a='b' c=\"d\"e f/g =h>")
@example("<script/><p a b>")
def test_never_fewer_attributes_than_libxml2(soup):
    """Whatever the soup, no element that libxml2 builds has more attributes than were counted."""
    tree = etree.HTML("<html><body>" + soup)
    most = max((len(element.attrib) for element in tree.iter(etree.Element)), default=0)
    assert sizes(soup)[0][2] >= most


def test_linear_in_the_page():
    """Pages made to be slow to scan are counted in milliseconds a megabyte."""
    million = 1_000_000
    pages = [
        "<" * million,
        "<p" * million,
        "<!--" * million,
        "<script" * million,
        "<p a='" * million,
        "</script>" * million,
    ]
    sizes("<p>")  # compiles
    begin = time.process_time()
    counted = sizes(*pages, "<p " + "a " * million + ">", "<script>" + "</scrip" * million)
    assert time.process_time() - begin < 2
    assert counted[6][1:] == (1, million)

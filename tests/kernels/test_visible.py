"""Text between tags: pages put together from parts whose text is known, and anything at all."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.frames import string_column, text_buffers
from gpurefine.kernels import visible_text


def visible(*pages):
    text, offsets = visible_text(*text_buffers(string_column(pages)))
    assert text.dtype == np.uint8 and offsets.dtype == np.int64 and len(offsets) == len(pages) + 1
    assert offsets[0] == 0 and offsets[-1] == len(text)
    return [text[begin:end].tobytes().decode() for begin, end in itertools.pairwise(offsets)]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        (" \n\t", ""),
        ("plain  words\n here ", "plain words here"),
        ("1 < 2 <3 <", "1 < 2 <3 <"),
        ("<p>one<p>two", "one\ntwo"),
        ("<p> one <b>two</b>, three </p>", "one\ntwo\n, three"),
        ("a<br/>b<BR>c", "a\nb\nc"),
        ("<!doctype html><?xml a?>x</ >y</p", "x\ny"),
        ("<a title='1 > 2' href=x>link</a>", "link"),
        ("a<!-- b > c -->d<!-->e", "a\nd\ne"),
        ("<title>t</title><style>s</style><SCRIPT>if (a<b) '</p>'</Script >x", "x"),
        ("<script/>x", "x"),
        ("<script>all the rest", ""),
        ("<noscript>no</noscript>a<select><option>b</select>c<svg><text>d</text></svg>e", "a\nc\ne"),
        ("<noscript>not closed <p>x<noscript>y", "not closed\nx\ny"),
        ("ä&amp;ö\u3000ü", "ä&amp;ö\u3000ü"),
        ("<p a='never closed>x</p>", ""),
    ],
)  # fmt: skip
def test_text_of_a_page(html, text):
    assert visible(html) == [text]


words = st.text(st.characters(exclude_characters="<>&", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
names = st.sampled_from(["p", "DIV", "a", "h1", "td", "strong", "article-part"])
values = st.text("abc >'/ä=", max_size=6).map(lambda value: '"' + value + '"')
opening = st.builds(
    lambda name, pairs: f"<{name}" + "".join(f" {key}={value}" for key, value in pairs) + ">",
    names, st.lists(st.tuples(st.sampled_from(["href", "data-x"]), values), max_size=3),
)  # fmt: skip
comments = st.text("ab >!é", max_size=8).map(lambda text: f"<!-- {text} -->")
unread = st.builds(
    lambda name, text: f"<{name}>{text}</{name}>",
    st.sampled_from(["script", "STYLE", "title", "noscript", "select", "svg", "textarea", "template"]),
    st.text("ab '\"é", max_size=12),
)
parts = st.lists(
    st.one_of(
        words.map(lambda text: (text, True)),
        st.one_of(opening, names.map(lambda name: f"</{name}>"), comments, unread).map(lambda text: (text, False)),
    ),
    max_size=12,
)


@given(st.lists(parts, max_size=4))
def test_text_of_pages_made_of_known_parts(pages):
    want = []
    for page in pages:
        runs = [""]
        for text, is_text in page:
            if is_text:
                runs[-1] += text
            else:
                runs.append("")
        # of white space only that of ASCII is collapsed
        lines = (" ".join(word for word in run.replace("\x0c", " ").split(" ") if word) for run in runs)
        want.append("\n".join(filter(None, lines)))
    assert visible(*("".join(text for text, _ in page) for page in pages)) == want


@given(st.lists(st.text("<>/!-?'\"= asvgcript\n", max_size=30), min_size=2, max_size=5))
@example(["<", "b"])
@example(["<a b='", "'>c"])
@example(["<!--", "-->"])
@example(["</", ">"])
def test_a_page_is_read_to_its_end_and_no_further(pages):
    assert visible(*pages) == [visible(page)[0] for page in pages]
    for page, text in zip(pages, visible(*pages), strict=True):
        assert len(text) <= len(page)
        rest = iter(page)
        assert all(character in rest for character in text if not character.isspace())


def test_tags_that_are_never_closed_cost_one_look_ahead():
    count = 200_000
    (text,) = visible("<noscript>" * count + "x")
    assert text == "x"

"""Walks over a tree against lxml's own XPath: the expressions of trafilatura, and others of the grammar."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree, html
from trafilatura import xpaths

from gpurefine.stages.extraction.fast import walk
from gpurefine.stages.extraction.fast.attribute_tests import _Lists
from gpurefine.stages.extraction.fast.expressions import AttributeTest, UnsupportedError, parse
from gpurefine.stages.extraction.fast.needles import Needles, needles, proofs
from gpurefine.stages.extraction.fast.walk import Scan, Table

LISTS = ["BODY_XPATH", "COMMENTS_XPATH", "REMOVE_COMMENTS_XPATH", "REMOVE_COMMENTS_AND_LISTS_XPATH",
         "RAW_TREE_PRUNE_XPATH", "OVERALL_DISCARD_XPATH", "TEASER_DISCARD_XPATH", "PRECISION_DISCARD_XPATH",
         "DISCARD_IMAGE_ELEMENTS", "COMMENTS_DISCARD_XPATH"]  # fmt: skip
TEXTS = [expression.path for name in LISTS for expression in getattr(xpaths, name)]
OTHERS = [
    ".//*[@id='a']",
    ".//p[@class]",
    ".//*[self::div or self::p][re:test(@id|@class, '^x', 'i') or starts-with(@role, 'nav')]",
    ".//*[contains(translate(@class, 'ABCX', 'abcx'), 'ax')][not(.//p)]",
    ".//*[@class='a' or @id='b'][self::div or @role='main']",
    ".//div[re:test(@class|@id|@role, 'a[bx]+|footer')][not(@id='x' and @class)]",
    "(.//*[contains(@id|@class, 'content')])[1]",
    ".//span|.//*[contains(@style, 'none')]",
]
NAMESPACES = {"re": "http://exslt.org/regular-expressions"}

words = st.sampled_from([
    "content", "post-content", "Content", "comment", "comments-list", "footer", "FOOTER", "share", "nav", "sidebar",
    "bottom", "ad", "ad-x", "teaser", "hidden", "article", "main", "body", "text", "related", "cookie", "İ", "ſ", "ß",
    "ax", "AX", "abx", "x", "a", "b", "display:none", "display: none;", "true", "premium", "author", "entry",
])  # fmt: skip
strings = st.builds(lambda by, some: by.join(some), st.sampled_from([" ", "-", "", "\n"]), st.lists(words, max_size=3))
names = ["class", "id", "role", "style", "aria-hidden", "data-testid", "data-lp-replacement-content", "href"]
attributes = st.lists(st.tuples(st.sampled_from(names), strings), max_size=3, unique_by=lambda pair: pair[0])
tags = st.sampled_from(
    ["div", "p", "section", "span", "ul", "li", "article", "main", "td", "a", "form", "figure", "link"]
)
nodes = st.recursive(
    st.tuples(tags, attributes, st.just([])),
    lambda children: st.tuples(tags, attributes, st.lists(children, max_size=4)),
    max_leaves=20,
)


def tree_of(node):
    tag, pairs, children = node
    element = html.HtmlElement()
    element.tag = tag
    for name, value in pairs:
        element.set(name, value)
    for child in children:
        element.append(etree.Comment("c") if child is None else tree_of(child))
    return element


@given(node=nodes)
@example(
    ("div", [], [("div", [("id", "bottom"), ("class", "x")], []), ("div", [("class", "x"), ("id", "bottom")], [])])
)
def test_walks_find_what_xpath_finds(node):
    root = tree_of(node)
    table = Table(TEXTS)
    together = Scan(table, range(len(TEXTS))).walk(root)
    for number, text in enumerate(TEXTS):
        stock = etree.XPath(text, namespaces=NAMESPACES)(root)
        alone = [element for element, _ in Scan(table, [number]).walk(root)]
        beside_others = [element for element, bits in together if bits & table.bits[number]]
        if number < len(xpaths.BODY_XPATH):
            # of these trafilatura looks at the first match only, and some ask for no more
            alone, beside_others, stock = alone[:1], beside_others[:1], stock[:1]
        assert alone == beside_others == stock


@given(node=nodes)
@pytest.mark.parametrize("text", OTHERS)
def test_other_expressions_of_the_grammar(text, node):
    root = tree_of(node)
    stock = etree.XPath(text, namespaces=NAMESPACES)(root)
    found = [element for element, _ in Scan(Table([text]), [0]).walk(root)]
    assert (found[:1] if text.endswith("[1]") else found) == stock


@pytest.mark.parametrize(
    "text",
    ["//p", ".//*", ".//*[@a='b'", ".//*[last()]", ".//*[re:test(@a, 'x', 'g')]", ".//*[contains(@class, '')]",
     ".//*[re:test(@class, 'a*')]", ".//*[contains(text(), 'a')]", ".//p/..", ".//*[not(@class)]", ".//*[position()=1]",
     ".//*[translate(@a, 'ab', 'c')='x']", ".//p[1][@class='a']", "(.//p[1][@class])[1]"],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text):
    with pytest.raises(UnsupportedError):
        Table([text])


def test_a_list_that_looks_at_descendants_follows_no_other():
    lists = _Lists({"one": [etree.XPath(".//p")], "other": [etree.XPath(".//div[@class='a'][not(.//p) or @id='x']")]})
    with pytest.raises(UnsupportedError, match="descendants"):
        lists.together("one", "other")
    lists.together("other", "one")


tests_of_expressions = [
    part.test
    for text in TEXTS + OTHERS
    for path in parse(text)
    for predicate in path.predicates[:1]
    for part in (predicate.of if hasattr(predicate, "of") and isinstance(predicate.of, tuple) else (predicate,))
    if hasattr(part, "test")
]


@given(value=strings, test=st.sampled_from(tests_of_expressions))
def test_a_string_that_passes_has_a_needle(value, test):
    found = needles(test)
    if found is not None and value.isascii() and test.passes(value):
        assert any(needle in word for needle in found for word in value.lower().split())


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("comment", {"comment"}),
        ("(?:foo|barbar)x", {"foo", "barbar"}),
        ("a|bcd", None),
        ("a.c?defg", {"defg"}),
        ("x*", None),
        ("two words", None),
        ("(?:abc)?", None),
        ("[ab]cd", {"cd"}),
    ],
)
def test_needles_of_patterns(pattern, found):
    assert needles(AttributeTest("regex", pattern)) == found


@given(values=st.lists(st.tuples(st.sampled_from(["class", "id"]), strings), min_size=1, max_size=5), data=st.data())
def test_needles_of_many_strings_at_once(values, data):
    """What is found of a test: never too little, and what is proven is true."""
    some = data.draw(st.lists(st.sampled_from(tests_of_expressions), min_size=1, max_size=4))
    tests = {"class": [(1 << place, test) for place, test in enumerate(some)], "id": [(1, some[0])]}
    found = Needles(tests).search([(name, value.lower()) for name, value in values])
    for (name, value), (maybe, proven) in zip(values, found, strict=True):
        for bit, test in tests[name]:
            if needles(test) is not None and value.isascii():
                assert maybe & bit or not test.passes(value)
                assert not proven & bit or test.passes(value.lower())
        assert proven | maybe == maybe < 1 << len(tests[name])


@pytest.mark.parametrize(
    ("kind", "literal", "found"),
    [
        ("contains", "comment", {"comment"}),
        ("contains", "Comment", set()),
        ("regex", "comment", {"comment"}),
        ("regex", "footer|^nav|ad |share|men[uU]", {"footer", "share"}),
        ("prefix", "comment", set()),
        ("equal", "comment", set()),
    ],
)
def test_needles_that_prove(kind, literal, found):
    assert proofs(AttributeTest(kind, literal)) == found


def test_memos_of_hostile_attributes_are_bounded(monkeypatch):
    """Neither many strings nor long ones make them grow beyond a page, and the verdicts stay right."""
    monkeypatch.setattr(walk, "MOST_REMEMBERED", 50)
    table = Table([".//*[contains(@class, 'link')]"])
    scan, memo = Scan(table, [0]), table.verdicts["class"]
    for turn in range(5):
        values = [f"{turn} word{number} link{number}"[: 20 if number % 2 else 9] for number in range(30)]
        values += ["long " * 200 + f"link {turn}"]
        root = tree_of(("div", [], [("div", [("class", value)], []) for value in values]))
        assert [element for element, _ in scan.walk(root)] == [each for each in root if "link" in each.get("class")]
        assert len(memo) <= 50 + len(values)
    scan.walk(tree_of(("div", [], [])))
    assert len(memo) <= 50
    assert max(map(len, memo), default=0) <= walk.LONGEST_REMEMBERED

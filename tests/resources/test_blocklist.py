"""The compiled block list: lookups against a set of strings, refused entries, files written by many at once."""

import io
import threading
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.resources.blocklist import (
    UNSORTED,
    Blocklist,
    ListFile,
    compile_list,
    entry_key,
    folder_digest,
    is_list,
    open_list,
    url_keys,
    write_list,
)
from gpurefine.resources.suffixes import SuffixRules, public_suffixes

FEW = SuffixRules(frozenset({"com", "co.uk"}), frozenset({"ck"}), frozenset({"www.ck"}))


def list_of(contents: dict[str, list[str]]) -> list[ListFile]:
    return [ListFile(*name.split("/"), io.BytesIO("\n".join(entries).encode())) for name, entries in contents.items()]


def compiled(contents: dict[str, list[str]]) -> Blocklist:
    return Blocklist(*compile_list("test", list_of(contents), FEW))


HOSTS = st.text("ab.", min_size=3, max_size=6).filter(lambda host: "." in host.strip("."))


@given(
    st.dictionaries(st.sampled_from(["x/domains", "y/domains", "z/domains"]), st.lists(HOSTS, max_size=8), max_size=3),
    st.lists(HOSTS, max_size=20),
    st.sets(st.sampled_from("xyz")),
)
@example({"x/domains": ["a.b", "a.b"], "y/domains": ["a.b"]}, ["a.b", "b.a"], {"y"})
@example({}, ["a.b"], {"x"})
def test_find_is_membership_in_the_chosen_categories(contents, keys, chosen):
    blocklist = compiled(contents)
    listed = {
        (entry_key(entry, FEW), name[0]) for name, entries in contents.items() for entry in entries if name[0] in chosen
    }
    found = blocklist.find(keys, blocklist.chosen(chosen))
    for key, category in zip(keys, found, strict=True):
        categories = {name for entry, name in listed if entry == key}
        assert (category in categories) if categories else category is None


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        (".example.com", "example.com"),
        ("http://example.com/", "example.com"),
        ("10.1.2.3", "10.1.2.3"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("www.example.com/A%20b/", "example.com/a b"),
        ("example.com/a?x=1", "example.com/a"),
        ("example.com/a//b", "example.com/a//b"),
        ("www.ck", "www.ck"),
        ("com", None),
        ("co.uk", None),
        ("anything.ck", None),
        ("localhost", None),
        ("/path", None),
        ("a." * 200 + "com", None),
    ],
)
def test_entries_become_keys_or_are_refused(entry, key):
    assert entry_key(entry, FEW) == key


def test_real_suffixes():
    rules = public_suffixes()
    assert all(map(rules.covers, ["com", "co.uk", "github.io", "anything.ck", "xn--p1ai", "porn"]))
    assert not any(map(rules.covers, ["example.com", "example.co.uk", "www.ck", "[::1]", "10.1.2.3"]))


def test_what_is_refused_is_counted_and_named():
    summary, hashes, _ = compile_list("t", list_of({"x/domains": ["# a comment", "", "com", "a.com", "sex"]}), FEW)
    assert (summary.refused, summary.refused_examples, summary.domains) == (2, ["com", "sex"], {"x": 1})
    assert len(hashes) == 1


def test_expressions_are_noted_and_not_used():
    summary, hashes, _ = compile_list("t", list_of({"x/expressions": [".*"], "x/domains": ["a.com"]}), FEW)
    assert summary.ignored == ["x/expressions"]
    assert len(hashes) == 1


def test_lines_of_windows_and_bytes_that_are_not_utf8():
    file = ListFile("x", "domains", io.BytesIO(b"a.com\r\n\xff\xfe.com\r\nb.com"))
    blocklist = Blocklist(*compile_list("t", [file], FEW))
    assert blocklist.find(["a.com", "b.com", "c.com"], blocklist.chosen("x")) == ["x", "x", None]


def test_an_entry_without_category_always_counts():
    blocklist = compiled({f"{UNSORTED}/domains": ["a.com"], "x/domains": ["b.com"]})
    assert blocklist.find(["a.com", "b.com"], blocklist.chosen(["y"])) == [UNSORTED, None]


@given(st.text("ab/", max_size=12), st.integers(0, 30))
@example("/a//b/", 30)
@example("/", 30)
def test_url_keys_are_the_prefixes_at_slashes(path, longest):
    path = "/" + path
    expected = [path[:end] for end in range(1, len(path) + 1) if end == len(path) or path[end] == "/"]
    assert list(url_keys("www.h.com", path, longest)) == ["h.com" + p for p in expected if 5 + len(p) <= longest]


def test_the_digest_depends_on_contents_and_not_on_order():
    contents = {"x/domains": ["a.com"], "y/urls": ["b.com/c"]}
    digest = compile_list("t", list_of(contents), FEW)[0].sha256
    backwards = dict(reversed(contents.items()))
    assert folder_digest(list_of(contents)) == folder_digest(list_of(backwards)) == digest
    assert folder_digest(list_of({"x/domains": ["a.com"], "z/urls": ["b.com/c"]})) != digest


def test_written_and_opened(tmp_path):
    parts = compile_list("t", list_of({"x/domains": ["b.com", "a.com"], "y/urls": ["a.com/b"]}), FEW)
    write_list(tmp_path / "list", *parts)
    blocklist = open_list(tmp_path / "list")
    assert isinstance(blocklist.hashes, np.memmap)
    assert blocklist.summary == parts[0]
    assert blocklist.find(["a.com", "a.com/b"], blocklist.chosen("xy")) == ["x", "y"]
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


def test_many_writers_leave_one_whole_list(tmp_path):
    parts = compile_list("t", list_of({"x/domains": ["a.com"]}), FEW)
    failures = []

    def write():
        try:
            write_list(tmp_path / "list", *parts)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert is_list(tmp_path / "list")
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


def test_a_list_cut_short_is_not_opened(tmp_path):
    write_list(tmp_path / "list", *compile_list("t", list_of({"x/domains": ["a.com", "b.com"]}), FEW))
    whole = (tmp_path / "list" / "hashes.npy").read_bytes()
    (tmp_path / "list" / "hashes.npy").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match=r"\w"):
        open_list(tmp_path / "list")


def test_too_many_categories():
    with pytest.raises(ValueError, match="256 categories"):
        compiled({f"c{number}/domains": ["a.com"] for number in range(257)})


@pytest.mark.slow
def test_four_million_entries_open_at_once(tmp_path):
    entries = io.BytesIO(b"".join(b"host%d.example.com\n" % number for number in range(4_600_000)))
    write_list(tmp_path / "list", *compile_list("t", [ListFile("x", "domains", entries)], FEW))
    begin = time.perf_counter()
    blocklist = open_list(tmp_path / "list")
    assert blocklist.find(["host4599999.example.com", "none.example.com"], frozenset({0})) == ["x", None]
    assert time.perf_counter() - begin < 0.1

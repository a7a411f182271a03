"""URL keys, lists of URLs and parts against plain Python: dictionaries, sets and sorted lists."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurefine.dedup.columnfile import ColumnFile, ColumnWriter
from gpurefine.dedup.keys import open_key_writer
from gpurefine.dedup.seen import find_list
from gpurefine.dedup.urlkeys import c4_url, url_hashes
from gpurefine.dedup.urllist import SLICES, UrlList, check_url_list, list_columns, list_path, write_url_list
from gpurefine.errors import InputError
from gpurefine.frames import from_arrow
from gpurefine.read.parts import Part, parse_part

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "urldedup.jsonl"
CASES = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]

URLS = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["http://a", "https://www.a/", "a", "http://www."]))


def column(values):
    return from_arrow(pa.table({"url": pa.array(values, pa.large_string())}))["url"]


def digest(url):
    return xxhash.xxh3_128_digest(url.encode())


def as_digests(hashes):
    return [int(high).to_bytes(8, "big") + int(low).to_bytes(8, "big") for high, low in hashes.T]


@pytest.mark.parametrize("case", [case for case in CASES if case["rule"] == "normalise_url"], ids=lambda c: c["id"])
def test_golden_urls(case):
    assert case["parameters"] == {"normalise": "c4"}
    assert c4_url(case["input"]) == case["expected"]


@given(st.text(st.sampled_from("htps:/w.?a&=utm_refdx\n"), max_size=30) | st.text(max_size=20))
def test_c4_rule_is_that_of_its_authors(url):
    expected = re.sub(r"https?:\/\/(www\.)?", "", url)
    expected = re.sub(r"\?(utm_|ref|feed).*", "", expected)
    assert c4_url(url) == expected.rstrip("/")


@pytest.mark.parametrize("normalise", [None, "c4"])
@given(urls=st.lists(URLS, max_size=20))
def test_hashes(normalise, urls):
    named = [None if url is None else c4_url(url) if normalise else url for url in urls]
    found = as_digests(url_hashes(column(urls), normalise))
    assert found == [digest(name) if name else bytes(16) for name in named]
    there = as_digests(url_hashes(column(urls), normalise, skip_missing=True))
    assert there == [digest(name) for name in named if name]


def write_refined(folder, urls, files, row_group):
    paths = []
    for number in range(files):
        paths.append(folder / f"part-{number}.parquet")
        table = pa.table({"url": pa.array(urls[number::files], pa.large_string())})
        pq.write_table(table, paths[-1], row_group_size=row_group)
    return paths


@settings(max_examples=25)
@given(urls=st.lists(URLS, max_size=60), others=st.lists(URLS, max_size=20), files=st.integers(1, 3), data=st.data())
def test_a_list_has_each_url_once_in_order_and_is_searched(tmp_path_factory, urls, others, files, data):
    folder = tmp_path_factory.mktemp("lists")
    budget = data.draw(st.sampled_from([1, 300, 3000, 1 << 20]))
    paths = write_refined(folder, urls, files, data.draw(st.sampled_from([1, 7, 100])))
    counts = write_url_list(paths, None, folder / "a.urls", budget)
    expected = sorted({digest(url) for url in urls if url})
    assert as_digests(ColumnFile(folder / "a.urls").read(0, SLICES)) == expected
    listed = UrlList(folder / "a.urls")
    assert counts == {"urls": len(expected)} == {"urls": len(listed)}
    asked = urls + others
    assert listed.contains(url_hashes(column(asked), None)).tolist() == [bool(url) and url in urls for url in asked]
    # neither files nor budget decide anything
    write_url_list(write_refined(folder, urls[::-1], 1, 3), None, folder / "b.urls", 1 << 20)
    assert (folder / "b.urls").read_bytes() == (folder / "a.urls").read_bytes()


def test_equal_high_halves(tmp_path):
    """What XXH3 hardly ever does: URLs that differ in the low half only."""
    rows = np.array([[5, 5, 5, 6], [1, 3, 9, 3]], np.uint64)
    with ColumnWriter(tmp_path / "a.urls", list_columns(None)) as writer:
        writer.write_slice(list(zip(rows, strict=False)))
        for _ in range(SLICES - 1):
            writer.write_slice([[rows[0, :0]], [rows[0, :0]]])
    asked = np.array([[5, 5, 5, 5, 6, 6, 4], [1, 2, 3, 9, 3, 9, 1]], np.uint64)
    expected = [True, False, True, True, True, False, False]
    assert UrlList(tmp_path / "a.urls").contains(asked).tolist() == expected


def test_documents_without_a_key_are_not_in_the_key_file_and_the_numbers_of_others_stay(tmp_path):
    with open_key_writer(tmp_path / "keys", ["high", "low"], 0, 3) as writer:
        writer.add(np.array([[0, 7 << 60, 0], [0, 1, 2]], np.uint64))
        writer.add(np.array([[0, 9], [0, 0]], np.uint64))
    found = ColumnFile(tmp_path / "keys").read(0, 256).T.tolist()
    assert sorted(found) == sorted([[7 << 60, 1, 3 << 32 | 1], [0, 2, 3 << 32 | 2], [9, 0, 3 << 32 | 4]])


def test_lists_that_cannot_be_used(tmp_path):
    paths = write_refined(tmp_path, [f"http://a/{number}" for number in range(1000)], 1, 100)
    run = tmp_path / "run"
    with pytest.raises(InputError, match="no run and no list"):
        find_list(str(run), None)
    run.mkdir()
    with pytest.raises(InputError, match=r"has no list of URLs seen_urls/recorded\.urls: .*write_seen: true"):
        find_list(str(run), None)
    write_url_list(paths, "c4", list_path(run, "c4"), 1 << 20)
    with pytest.raises(InputError, match=r"recorded\.urls, only c4\.urls"):
        find_list(str(run), None)
    found = find_list(str(run), "c4")
    assert find_list(str(found), "c4") == found
    assert len(check_url_list(found, "c4")) == hashlib.sha256().digest_size * 2
    with pytest.raises(InputError, match=r"list of another kind .*normalise: c4, expected normalise: null"):
        check_url_list(found, None)
    data = bytearray(found.read_bytes())
    for place in (100, len(data) - 100, len(data) - 30):
        broken = tmp_path / f"{place}.urls"
        data[place] ^= 1
        broken.write_bytes(data)
        data[place] ^= 1
        with pytest.raises(InputError, match=r"no list of URLs or damaged \(.*checksum") as told:
            check_url_list(broken, "c4")
        assert str(told.value).count("\n") == 0
    (tmp_path / "short.urls").write_bytes(data[:-5])
    (tmp_path / "empty.urls").touch()
    for name in ("short.urls", "empty.urls"):
        with pytest.raises(InputError, match="no list of URLs or damaged"):
            check_url_list(tmp_path / name, "c4")
    with pytest.raises(InputError, match="cannot read the list"):
        check_url_list(tmp_path / "none.urls", "c4")


def test_a_changed_list_has_another_digest(tmp_path):
    digests = set()
    for number in range(3):
        paths = write_refined(tmp_path, [f"http://a/{number}", "b"], 1, 10)
        write_url_list(paths, None, tmp_path / "a.urls", 1 << 20)
        digests.add(check_url_list(tmp_path / "a.urls", None))
    assert len(digests) == 3


@given(ids=st.lists(st.text(max_size=8), max_size=30), count=st.integers(1, 9), seed=st.integers(0, 2**64 - 1))
def test_each_record_is_in_one_part_that_its_id_and_the_seed_tell(ids, count, seed):
    parts = [Part.of(f"{number}/{count}", seed) for number in range(1, count + 1)]
    members = np.array([part.members(ids) for part in parts])
    hashes = [xxhash.xxh3_64_intdigest(f"part {name}".encode(), seed) for name in ids]
    assert members.shape == (count, len(ids))
    assert np.argmax(members, axis=0).tolist() == [value % count for value in hashes]
    assert (members.sum(axis=0) == 1).all()
    assert [parts[0].has(name) for name in ids] == members[0].tolist()


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/3", "1.0/3", "²/3"])
def test_no_part(text):
    with pytest.raises(ValueError, match="is no part"):
        parse_part(text)


def test_parts_are_of_about_one_size():
    ids = [f"<urn:uuid:{number}>" for number in range(20_000)]
    sizes = pd.Series([Part.of(f"{number}/10", 0).members(ids).sum() for number in range(1, 11)])
    assert sizes.sum() == 20_000
    # a standard deviation is 42
    assert sizes.between(1800, 2200).all()

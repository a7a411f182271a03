"""Whole dedups against a dictionary: survivors, clusters, and what must not change them."""

import random
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phases import MIB, Ways, deduplicate, document

from gpurefine.dedup.exact import Exact
from gpurefine.dedup.hashing import text_hashes
from gpurefine.documents import Batch
from gpurefine.frames import string_column

DATES = [None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2023, 2, 3, 4, 5, 6, 7, UTC)]


def brute_force(documents, seed):
    """Removals {(file, offset): (cluster, survivor, members)} and the sorted members of all clusters."""
    groups = {}
    for each in documents:
        groups.setdefault(each["text"], []).append(each)
    removed, clusters = {}, []
    for text, members in groups.items():
        if len(members) < 2:
            continue
        digest = xxhash.xxh3_128_digest(text.encode())

        def order(each, digest=digest):
            null_first = [(each[name] is not None, each[name] or 0) for name in ("url", "date")]
            priority = xxhash.xxh3_64_intdigest(each["id"].encode(), seed)
            return priority, *null_first, digest, each["file"], each["offset"]

        best = min(members, key=order)
        for each in members:
            clusters.append((best["id"], each["id"], best["id"], each["file"], each["offset"], "exact", None))
            if each is not best:
                removed[each["file"], each["offset"]] = (best["id"], best["id"], len(members))
    return removed, sorted(clusters)


@st.composite
def collections(draw):
    """Some documents with few different texts, ids, urls and dates, cut into partitions."""
    values = draw(st.lists(st.tuples(
        st.sampled_from(["", "a", "b", "c", "ä"]), st.integers(0, 6), st.sampled_from([None, "u", "v"]),
        st.sampled_from(DATES), st.sampled_from(["x", "y"]),
    ), max_size=30))  # fmt: skip
    documents = [
        document(number, text, id=f"id-{name}", url=url, date=date, file=file)
        for number, (text, name, url, date, file) in enumerate(values)
    ]
    order = draw(st.permutations(documents))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return [order[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]


ways = st.builds(
    Ways,
    slices_a_task=st.sampled_from([None, 256, 100]),
    passes=st.integers(1, 3),
    joined=st.integers(1, 3),
    gathered=st.integers(1, 3),
    budget=st.sampled_from([10_000, 64 * MIB]),
    run_bytes=st.sampled_from([1, 64 * MIB]),
    choice_budget=st.sampled_from([1, 3000, 64 * MIB]),
)
EQUAL_TWICE = [[document(1, "a", id="i"), document(2, "a", id="i")], [], [document(0, "a", id="i")]]


@settings(max_examples=40, deadline=None)
@given(partitions=collections(), ways=ways, seed=st.integers(0, 2**64 - 1))
@example(partitions=[[]], ways=Ways(), seed=0)
@example(partitions=EQUAL_TWICE, ways=Ways(choice_budget=1), seed=3)
@example(partitions=[[document(0, "a"), document(1, "b")]], ways=Ways(), seed=0)
def test_survivors_and_clusters_are_those_of_a_dictionary(partitions, ways, seed):
    with TemporaryDirectory() as folder:
        result = deduplicate(Path(folder), partitions, seed, ways)
    documents = [each for part in partitions for each in part]
    removed, clusters = brute_force(documents, seed)
    assert result.removed == removed
    assert sorted(tuple(row.values()) for row in result.clusters) == clusters
    assert result.counts["rows"] == len(documents)
    assert result.counts["connected"]["documents"] == result.counts["edges"] + result.counts["shared"] == len(clusters)


def test_the_seed_chooses(tmp_path):
    partitions = [[document(number, f"text {number % 20}") for number in range(60)]]
    survivors = [set(deduplicate(tmp_path / str(seed), partitions, seed).removed) for seed in range(2)]
    assert survivors[0] != survivors[1]
    assert len(survivors[0]) == len(survivors[1]) == 40


def test_a_repeated_id_goes_by_url_then_date_then_file_then_offset(tmp_path):
    late = datetime(2024, 1, 1, tzinfo=UTC)
    steps = [
        {"url": None, "date": None, "file": "a", "offset": 1},
        {"url": None, "date": None, "file": "a", "offset": 2},
        {"url": None, "date": None, "file": "b", "offset": 0},
        {"url": None, "date": DATES[1], "file": "a", "offset": 0},
        {"url": None, "date": late, "file": "a", "offset": 3},
        {"url": "http://a", "date": None, "file": "a", "offset": 4},
        {"url": "http://b", "date": None, "file": "a", "offset": 5},
    ]
    for first in range(len(steps) - 1):
        documents = [document(0, "same", id="again", **step) for step in reversed(steps[first:])]
        removed = deduplicate(tmp_path / str(first), [documents]).removed
        assert set(removed) == {(step["file"], step["offset"]) for step in steps[first + 1 :]}
        assert set(removed.values()) == {("again", "again", len(steps) - first)}


def test_collisions_of_many_equal_and_many_different_texts_in_passes_and_ranges(tmp_path):
    numbers = list(range(6000))
    random.Random(1).shuffle(numbers)
    documents = [document(number, "boilerplate" if number % 3 else f"page {number % 999}") for number in numbers]
    partitions = [documents[begin : begin + 500] for begin in range(0, len(documents), 500)]
    tiny = Ways(budget=30_000, run_bytes=50_000, choice_budget=20_000, joined=4, gathered=5)
    result = deduplicate(tmp_path / "tiny", partitions, 7, tiny)
    assert result.counts["ranges"] > 3
    assert result.removed == deduplicate(tmp_path / "roomy", partitions, 7).removed == brute_force(documents, 7)[0]


def test_hashes_are_those_of_the_bytes():
    texts = ["", "a", "Grüße \U0001f600", None, "x" * 1000]
    high, low = text_hashes(string_column(texts))
    for text, one, other in zip(texts, high, low, strict=True):
        assert (int(one) << 64) + int(other) == xxhash.xxh3_128_intdigest((text or "").encode())


def test_exact_keys_are_the_halves_of_the_text_hash():
    texts = string_column(["a", "b", "a"])
    stage = Exact()
    keys = stage.keys(Batch(pd.DataFrame({"text": texts})))
    assert stage.name == "dedup.exact"
    assert len(keys) == len(stage.key_columns) == 2
    for key, half in zip(keys, text_hashes(texts), strict=True):
        np.testing.assert_array_equal(key, half)
        assert key[0] == key[2] != key[1]

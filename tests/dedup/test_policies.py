"""Policies and scopes against plain Python over all members of each cluster, whatever order, partitions and budgets."""

import datetime
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phases import MIB, Ways, deduplicate, document

from gpurefine.dedup.keys import NO_KEY
from gpurefine.dedup.policies import ranks, sort_keys, text_lengths
from gpurefine.dedup.scopes import scope_hashes, scoped_keys

UTC = datetime.UTC
DATES = [None, datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.datetime(2023, 2, 3, 4, 5, 6, 7, UTC)]
OTHERS = (pa.field("score", pa.float64()), pa.field("rank_of", pa.uint64()), pa.field("language", pa.large_string()))
POLICIES = ["random", "first", "newest", "best:score", "best:rank_of", "best:date", "best:offset"]


# --- the oracle: nothing of ours


def greatest_first(value):
    """What comes first is greatest; null and NaN come last."""
    if value is None or value != value:
        return (1,)
    if isinstance(value, datetime.datetime):
        value = (value - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(microseconds=1)
    return 0, -value


def leading(each, keep):
    column = {"newest": "date", "random": None, "first": None}.get(keep, keep.removeprefix("best:"))
    if keep == "first":
        return each["file"], each["offset"]
    return () if column is None else greatest_first(each[column])


def brute_force(documents, seed, keep, scope):
    groups = {}
    for each in documents:
        groups.setdefault((each["text"], scope and (each[scope] is None, each[scope])), []).append(each)
    removed, clusters = {}, []
    for (text, _), members in groups.items():
        if len(members) < 2:
            continue
        digest = xxhash.xxh3_128_digest(text.encode())

        def order(each, digest=digest):
            null_first = [(each[name] is not None, each[name] or 0) for name in ("url", "date")]
            priority = xxhash.xxh3_64_intdigest(each["id"].encode(), seed)
            return leading(each, keep), priority, *null_first, digest, each["file"], each["offset"]

        best = min(members, key=order)
        for each in members:
            clusters.append((best["id"], each["id"], best["id"], each["file"], each["offset"], "exact", None))
            if each is not best:
                removed[each["file"], each["offset"]] = (best["id"], best["id"], len(members))
    return removed, sorted(clusters)


# --- whole dedups


@st.composite
def collections(draw):
    values = draw(st.lists(st.tuples(
        st.sampled_from(["", "a", "b"]), st.integers(0, 20), st.sampled_from(DATES), st.sampled_from(["x", "y"]),
        st.sampled_from([None, math.nan, -math.inf, -1.5, -0.0, 0.0, 2.0, math.inf]),
        st.sampled_from([None, 0, 1, 2**64 - 1]), st.sampled_from([None, "", "en", "de"]),
    ), max_size=30))  # fmt: skip
    documents = [
        document(number, text, id=f"id-{name}", date=date, file=file, score=score, rank_of=rank, language=language)
        for number, (text, name, date, file, score, rank, language) in enumerate(values)
    ]
    order = draw(st.permutations(documents))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return [order[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]


ways = st.builds(
    Ways,
    slices_a_task=st.sampled_from([None, 100]),
    joined=st.integers(1, 3),
    gathered=st.integers(1, 3),
    budget=st.sampled_from([10_000, 64 * MIB]),
    run_bytes=st.sampled_from([1, 64 * MIB]),
    choice_budget=st.sampled_from([1, 3000, 64 * MIB]),
)


@settings(max_examples=50, deadline=None)
@given(
    partitions=collections(),
    ways=ways,
    seed=st.integers(0, 2**64 - 1),
    keep=st.sampled_from(POLICIES),
    scope=st.sampled_from([None, "language", "offset", "rank_of"]),
)
@example(partitions=[[]], ways=Ways(), seed=0, keep="first", scope="language")
def test_survivors_and_clusters_are_those_of_plain_python(partitions, ways, seed, keep, scope):
    with TemporaryDirectory() as folder:
        result = deduplicate(Path(folder), partitions, seed, ways, keep, scope, OTHERS)
    removed, clusters = brute_force([each for part in partitions for each in part], seed, keep, scope)
    assert result.removed == removed
    assert sorted(tuple(row.values()) for row in result.clusters) == clusters


@pytest.mark.parametrize("keep", ["first", "best:score"])
def test_a_great_cluster_is_held_in_pieces(tmp_path, keep):
    # more members than are held before they are reduced, and all of them equal but in what is not the policy's
    others = (pa.field("score", pa.float64()),)
    numbers = np.random.default_rng(1).permutation(40_000).tolist()
    documents = [document(number, "same", score=1.0) for number in numbers]
    partitions = [documents[:15_000], documents[15_000:]]
    removed = deduplicate(tmp_path, partitions, 5, Ways(run_bytes=1 << 20), keep, None, others).removed
    assert removed == brute_force(documents, 5, keep, None)[0]


# --- numbers that compare

values_of = {
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.int8(): st.integers(-(2**7), 2**7 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.timestamp("us"): st.datetimes(),
    pa.date32(): st.dates(),
    pa.date64(): st.dates(),
}


@pytest.mark.parametrize("kind", values_of, ids=str)
def test_sort_keys_compare_as_the_values_do(kind):
    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.none() | values_of[kind], max_size=8))
    def check(values):
        keys = sort_keys(pa.array(values, kind)).to_pylist()
        for one, other in ((a, b) for a in range(len(values)) for b in range(len(values))):
            missing = values[one] is None or values[one] != values[one]
            assert (keys[one] is None) == missing
            if keys[one] is not None and keys[other] is not None:
                assert (keys[one] < keys[other]) == (values[one] < values[other])
                assert (keys[one] == keys[other]) == (values[one] == values[other])

    check()


def test_the_least_value_comes_before_null():
    assert ranks(pa.array([0, None, 2**64 - 1], pa.uint64())).to_pylist() == [2**64 - 1, None, 0]


def test_the_length_of_a_text_is_its_code_points():
    texts = ["", "abc", "äöü", "e\u0301", "\U0001f600", None]
    assert text_lengths(pa.array(texts, pa.large_string())).to_pylist() == [len(text or "") for text in texts]


# --- keys of scopes


def column(values, kind):
    return pd.Series(pd.array(pa.array(values, kind), dtype=pd.ArrowDtype(kind)))


@pytest.mark.parametrize("values", [["a", "b", None, "", "a"], [1, -1, None, 0, 1], [True, False, None, False, True]])
def test_hashes_of_scopes_are_those_of_the_values(values):
    hashed = scope_hashes(column(values, pa.array(values).type), 2)

    def text(value):
        return str(value).lower() if isinstance(value, bool) else str(value)

    for seed in range(2):
        expected = [0 if each is None else xxhash.xxh3_64_intdigest(text(each).encode(), seed) for each in values]
        assert hashed[seed].tolist() == expected


def test_bytes_that_are_no_text_part_documents_too():
    offsets = np.array([0, 1, 2], np.int32)
    broken = pa.Array.from_buffers(pa.string(), 2, [None, *(pa.py_buffer(each) for each in (offsets, b"\xff\xfe"))])
    one, other = scope_hashes(pd.Series(pd.array(broken, dtype=pd.ArrowDtype(pa.string()))), 1)[0]
    assert one != other


@pytest.mark.parametrize("bands", [0, 3])
def test_a_document_without_a_key_has_none_in_any_scope(bands):
    scopes = column(["x", "x", "y", None], pa.large_string())
    salt = xxhash.xxh3_64_intdigest(b"x", 0)
    # the second document's first key would come out as none
    keys = np.array([[0, salt, 0, 7], [0, 5, 0, 8], [0, 6, 0, 0]], np.uint64)
    before = keys.copy()
    mixed = scoped_keys(keys, scopes, bands)
    assert (mixed[:, [0, 2]] == NO_KEY).all()
    np.testing.assert_array_equal(mixed[:, 3], keys[:, 3] if not bands else [7, 8, 0])
    assert mixed[0, 1] == (1 if bands else 0)
    assert mixed[1, 1] == 5 ^ (salt if bands else xxhash.xxh3_64_intdigest(b"x", 1))
    np.testing.assert_array_equal(keys, before)
    assert scoped_keys(keys, None, bands) is keys

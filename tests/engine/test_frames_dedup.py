"""deduplicate() on pandas and Dask frames against brute force over all pairs."""

from __future__ import annotations

import doctest

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xxhash
from banded_stage import word_of_band
from dask.delayed import delayed
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gpurefine
from gpurefine.engine import frames_dask, frames_dedup, frames_input
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import RunError

NEW = ["keep", "reason", "cluster", "survivor"]
TEXT = pd.ArrowDtype(pa.large_string())
BANDED = "banded_stage:Words"

TEXTS = ["one page", "another page", "one page", None, "", "one page", "alone", "another page"]

texts = st.lists(st.sampled_from(["a", "b", "a b", "b a c", "c d", "é", " a", "", None]), max_size=12)


# --- the oracle: nothing of ours


def equal_texts(one, other):
    return (one or "") == (other or "")


def share_a_word(one, other):
    return any(
        word_of_band(one, band) is not None and word_of_band(one, band) == word_of_band(other, band)
        for band in range(3)
    )


def brute_force(texts, ids, seed, collide, name):
    """(keep, reason, cluster, survivor) of each row: components of all pairs, least keyed hash, then position."""
    clusters = [{row} for row in range(len(texts))]
    for one in range(len(texts)):
        for other in range(one):
            if collide(texts[one], texts[other]) and clusters[one] is not clusters[other]:
                clusters[one] |= clusters[other]
                for row in clusters[other]:
                    clusters[row] = clusters[one]
    expected = []
    for row, cluster in enumerate(clusters):
        survivor = min(cluster, key=lambda row: (xxhash.xxh3_64_intdigest(ids[row].encode(), seed), row))
        gone = survivor != row
        expected.append(
            (
                not gone,
                f"{name}:duplicate" if gone else None,
                ids[survivor] if len(cluster) > 1 else None,
                ids[survivor] if gone else None,
            )
        )
    return expected


def decisions(frame):
    return [tuple(None if value is pd.NA else value for value in row) for row in frame[NEW].itertuples(index=False)]


def cut(frame, borders):
    """A Dask frame with a partition between any two borders, be they equal."""
    parts = [frame.iloc[begin:end] for begin, end in zip([0, *borders], [*borders, len(frame)], strict=True)]
    return dd.from_delayed([delayed(part) for part in parts], meta=frame.iloc[:0], verify_meta=False)


# --- decisions


@pytest.mark.parametrize(
    ("kind", "name", "collide"), [("exact", "dedup.exact", equal_texts), (BANDED, "Words", share_a_word)]
)
@given(texts=texts, seed=st.integers(0, 2**64 - 1), borders=st.lists(st.integers(0, 12), max_size=4))
@example(texts=["a b", "c d", "c b"], seed=0, borders=[0, 0, 2, 3])
@settings(max_examples=12)
def test_decisions_are_those_of_brute_force_whatever_the_partitions(kind, name, collide, texts, seed, borders):
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object)})
    expected = brute_force(texts, [str(row) for row in range(len(texts))], seed, collide, name)
    assert decisions(gpurefine.deduplicate(frame, kind, seed=seed)) == expected
    parts = cut(frame, sorted(min(border, len(texts)) for border in borders))
    with dask.config.set(scheduler="synchronous"):
        assert decisions(gpurefine.deduplicate(parts, kind, seed=seed).compute()) == expected


@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(-1, 2)), max_size=8), seed=st.integers(0, 9))
@settings(max_examples=15)
def test_ids_decide_and_position_decides_between_equal_ids(rows, seed):
    frame = pd.DataFrame(
        {
            "text": pd.Series([text for text, _ in rows], dtype="str"),
            "name": np.array([name for _, name in rows], np.int64),
        }
    )
    marked = gpurefine.deduplicate(frame, "exact", id="name", seed=seed)
    ids = [str(name) for _, name in rows]
    assert decisions(marked) == brute_force(list(frame["text"]), ids, seed, equal_texts, "dedup.exact")


def test_a_column_called_id_holds_the_ids():
    frame = pd.DataFrame({"text": TEXTS, "id": list("hgfedcba")})
    expected = brute_force(TEXTS, list("hgfedcba"), 0, equal_texts, "dedup.exact")
    assert decisions(gpurefine.deduplicate(frame, "exact")) == expected
    assert decisions(gpurefine.deduplicate(frame.rename(columns={"id": "key"}), "exact", id="key")) == expected


@pytest.mark.parametrize(
    ("column", "values", "survivor"),
    [
        ("url", ["http://b", "http://a", "http://c"], 1),
        ("url", ["http://b", "http://a", None], 2),
        ("date", pd.to_datetime(["2023-01-02", "2023-01-03", "2023-01-01"]), 2),
        ("date", pd.to_datetime(["2023-01-02", "2023-01-03", "2023-01-01"]).tz_localize("Europe/Paris"), 2),
        ("file", ["b", "c", "a"], 2),
        ("offset", [7, 3, 5], 1),
        ("offset", ["7", "3", "5"], 0),
    ],
)
def test_between_equal_ids_the_columns_decide_that_decide_in_a_run(column, values, survivor):
    frame = pd.DataFrame({"text": ["same"] * 3, "id": ["x"] * 3, "file": "f", "offset": 0}).assign(**{column: values})
    for marked in (
        gpurefine.deduplicate(frame, "exact"),
        gpurefine.deduplicate(dd.from_pandas(frame, npartitions=3), "exact").compute(scheduler="synchronous"),
    ):
        assert np.flatnonzero(marked["keep"]).tolist() == [survivor]


def test_a_column_of_several_types_decides_nothing():
    frame = pd.DataFrame({"text": ["same"] * 3, "id": ["x"] * 3, "url": ["http://b", "http://a", 1]})
    assert gpurefine.deduplicate(frame, "exact")["keep"].tolist() == [True, False, False]


def test_a_file_without_offsets_decides_nothing():
    frame = pd.DataFrame({"text": ["same"] * 3, "id": ["x"] * 3, "file": list("cba")})
    assert gpurefine.deduplicate(frame, "exact")["keep"].tolist() == [True, False, False]


def test_a_run_over_the_same_documents_decides_the_same(tmp_path, scheduler):
    generator = np.random.default_rng(10)
    count = 300
    frame = pd.DataFrame(
        {
            "text": generator.choice(["", *(f"text {number}" for number in range(60))], count),
            # ids that repeat, and URLs and dates that repeat among them
            "id": generator.choice([f"<urn:uuid:{number}>" for number in range(40)], count),
            "url": generator.choice(["http://a", "http://b", None], count),
            "date": pd.to_datetime(generator.choice(["2023-01-01", "2023-02-01"], count), utc=True),
            "file": generator.choice(["one.warc.gz", "two.warc.gz"], count),
            "offset": generator.permutation(count),
        }
    ).astype({"url": "str"})
    frame.iloc[:100].to_parquet(tmp_path / "b.parquet")
    frame.iloc[100:].to_parquet(tmp_path / "a.parquet")
    inputs = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pipeline = dedup_pipeline("exact", ["seed=5"])
    run = gpurefine.run(pipeline, inputs, tmp_path / "run", scheduler=scheduler, quiet=True)
    marked = gpurefine.deduplicate(dd.from_pandas(frame, npartitions=4), "exact", seed=5).compute()

    gone, place = marked[~marked["keep"]], ["file", "offset"]
    assert len(gone) > 200
    reasons = run.removed()["stage"] + ":" + run.removed()["rule"]
    removed = run.removed().assign(reason=reasons)[[*place, "reason", "cluster", "survivor"]]
    assert rows_of(removed) == rows_of(gone[[*place, "reason", "cluster", "survivor"]])
    assert rows_of(run.refined()[place]) == rows_of(marked[marked["keep"]][place])
    members = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "run" / "clusters").iterdir())])
    assert rows_of(members[[*place, "cluster"]]) == rows_of(marked[marked["cluster"].notna()][[*place, "cluster"]])


def rows_of(frame):
    return sorted(frame.itertuples(index=False, name=None))


def test_a_survivor_has_a_cluster_and_no_survivor():
    marked = gpurefine.deduplicate(pd.DataFrame({"text": ["x", "x", "y"], "id": ["a", "b", "c"]}), "exact")
    (kept,) = marked[marked["cluster"].notna() & marked["keep"]].itertuples()
    (gone,) = marked[~marked["keep"]].itertuples()
    assert kept.cluster == gone.cluster == gone.survivor == kept.id
    assert kept.survivor is pd.NA and kept.reason is pd.NA
    assert gone.reason == "dedup.exact:duplicate"


# --- the frame comes back as it was


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(8),
        pd.RangeIndex(100, 84, -2, name="number"),
        pd.Index(list("zyxwvuts")),
        pd.Index([1, 1, 1, 2, 2, 3, 3, 1]),
        pd.MultiIndex.from_product([["a", "b"], range(4)], names=["letter", "number"]),
        pd.date_range("2023-01-01", periods=8),
    ],
    ids=["range", "steps", "strings", "duplicates", "levels", "dates"],
)
def test_any_index_comes_back(index):
    frame = pd.DataFrame({"n": range(8), "text": TEXTS}, index=index)
    before = frame.copy(deep=True)
    marked = gpurefine.deduplicate(frame, "exact")
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(marked.drop(columns=NEW), frame, check_exact=True)
    assert list(marked.columns) == ["n", "text", *NEW]
    assert decisions(marked) == brute_force(TEXTS, list("01234567"), 0, equal_texts, "dedup.exact")
    assert marked[NEW].dtypes.to_dict() == {"keep": np.dtype(bool), "reason": TEXT, "cluster": TEXT, "survivor": TEXT}


@pytest.mark.parametrize(
    "dtype",
    [
        object,
        "str",
        "string",
        pd.StringDtype("python"),
        pd.ArrowDtype(pa.string()),
        pd.ArrowDtype(pa.large_string()),
        pd.ArrowDtype(pa.string_view()),
        pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())),
        "category",
    ],
    ids=str,
)
def test_any_type_of_strings_comes_back(dtype):
    frame = pd.DataFrame({"text": pd.Series(TEXTS, dtype=dtype)})
    marked = gpurefine.deduplicate(frame, "exact")
    assert marked["text"].dtype == frame["text"].dtype
    assert decisions(marked) == brute_force(TEXTS, list("01234567"), 0, equal_texts, "dedup.exact")


def test_chunks_and_slices_of_arrow_strings():
    chunks = pa.chunked_array([TEXTS[:3], [], TEXTS[3:], ["cut off"]], pa.string())
    frame = pd.DataFrame({"text": pd.Series(pd.arrays.ArrowExtensionArray(chunks))}).iloc[1:-1]
    expected = brute_force(TEXTS[1:], list("0123456"), 0, equal_texts, "dedup.exact")
    assert decisions(gpurefine.deduplicate(frame, "exact")) == expected


def test_more_rows_than_are_looked_at_at_a_time():
    texts = [f"text {number % 300}" for number in range(2 * frames_input.BATCH_ROWS + 17)]
    marked = gpurefine.deduplicate(pd.DataFrame({"text": texts}), "exact")
    ids = [str(number) for number in range(len(texts))]
    assert decisions(marked) == brute_force(texts, ids, 0, equal_texts, "dedup.exact")


def test_a_frame_without_rows():
    marked = gpurefine.deduplicate(pd.DataFrame({"text": pd.Series([], dtype="str")}), "exact")
    assert len(marked) == 0 and marked["keep"].dtype == bool and marked["cluster"].dtype == TEXT


def test_columns_need_not_be_strings():
    frame = pd.DataFrame([[1, "x"], [2, "x"]])
    assert gpurefine.deduplicate(frame, "exact", text=1)["keep"].sum() == 1


# --- Dask


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_dask_gives_what_pandas_gives_with_the_same_partitions(partitions):
    frame = pd.DataFrame(
        {"text": [f"text {number % 23}" for number in range(60)], "n": range(60)}, index=range(0, 120, 2)
    )
    parts = dd.from_pandas(frame, npartitions=partitions)
    marked = gpurefine.deduplicate(parts, "exact", seed=3)
    assert (marked.npartitions, marked.divisions) == (parts.npartitions, parts.divisions)
    assert marked.known_divisions
    computed = marked.compute()
    expected = gpurefine.deduplicate(parts.compute(), "exact", seed=3)
    pd.testing.assert_frame_equal(computed, expected, check_exact=True)
    pd.testing.assert_frame_equal(marked._meta, computed.iloc[:0])
    sizes = [marked.get_partition(number).compute().shape[0] for number in range(partitions)]
    assert sizes == list(parts.map_partitions(len).compute())
    # and it is a frame as any other
    assert len(marked[marked["keep"]]) == 23
    assert marked["cluster"].nunique().compute() == 23


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_partitions_of_files_are_read_by_the_columns_needed(tmp_path):
    frame = pd.DataFrame({"text": [f"text {number % 5}" for number in range(40)], "wide": "w", "url": "u", "id": "i"})
    dd.from_pandas(frame, npartitions=4).to_parquet(tmp_path / "frame")
    parts = dd.read_parquet(tmp_path / "frame")
    found = dask.compute(frames_dask._narrow_partitions(parts, ["text", "id"]))[0]
    assert [list(part.columns) for part in found] == [["text", "id"]] * 4
    marked = gpurefine.deduplicate(parts, "exact")
    assert marked.npartitions == 4 and marked["keep"].compute().sum() == 5


@pytest.mark.parametrize(("scheduler", "workers"), [("threads", 2), ("processes", 1)])
def test_schedulers_give_the_same(scheduler, workers, tmp_path):
    texts = [f"text {number % 7}" for number in range(40)]
    frame = pd.DataFrame({"text": texts})
    with dask.config.set(scheduler=scheduler, num_workers=workers):
        marked = gpurefine.deduplicate(cut(frame, [10, 10, 30]), "exact", scratch=tmp_path).compute()
    assert decisions(marked) == decisions(gpurefine.deduplicate(frame, "exact"))
    assert list(tmp_path.iterdir()) == []


def test_a_client_in_use_gives_the_same(scheduler, tmp_path):
    from distributed import Client

    frame = pd.DataFrame({"text": [f"text {number % 7}" for number in range(40)]})
    with Client(scheduler, set_as_default=True):
        marked = gpurefine.deduplicate(cut(frame, [10, 30]), "exact", scratch=tmp_path).compute()
    assert decisions(marked) == decisions(gpurefine.deduplicate(frame, "exact"))
    assert list(tmp_path.iterdir()) == []


def test_threads_do_not_share_tools_and_close_them(tmp_path):
    frame = pd.DataFrame({"text": ["a b"] * 40})
    log = tmp_path / "log"
    with dask.config.set(scheduler="threads", num_workers=4):
        marked = gpurefine.deduplicate(cut(frame, list(range(4, 40, 4))), BANDED, log=str(log)).compute()
    assert marked["keep"].sum() == 1
    lines = log.read_text().split()
    assert 1 <= lines.count("open") <= 4 and lines.count("close") == lines.count("open")


@pytest.mark.parametrize("change", ["order", "rows", "texts"])
def test_a_frame_that_comes_out_differently_is_refused(change):
    calls = []

    def part():
        calls.append(1)
        changed = len(calls) > 1
        if changed and change == "rows":
            return pd.DataFrame({"text": ["x", "x", "y", "z"]})
        if changed and change == "order":
            return pd.DataFrame({"text": ["x", "y", "x"]})
        return pd.DataFrame({"text": ["x", "x", "Y" if changed else "y"]})

    frame = dd.from_delayed([delayed(part)()], meta=pd.DataFrame({"text": pd.Series([], dtype="str")}))
    with dask.config.set(scheduler="synchronous"):
        marked = gpurefine.deduplicate(frame, "exact")
        with pytest.raises(RunError, match=r"partition 0 .* call persist\(\)"):
            marked.compute()


# --- docs


def test_the_example_in_the_docstring_is_true():
    test = doctest.DocTestFinder().find(gpurefine.deduplicate, globs={"pd": pd, "gpurefine": gpurefine})
    results = doctest.DocTestRunner().run(test[0])
    assert results.attempted == 4 and results.failed == 0


def test_it_is_public():
    assert "deduplicate" in gpurefine.__all__ and gpurefine.deduplicate is frames_dedup.deduplicate

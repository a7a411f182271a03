"""deduplicate() and annotate() on frames of cuDF, whole and in partitions of Dask, against the same on pandas."""

from __future__ import annotations

import itertools

import dask
import dask.dataframe as dd
import device_stage
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dask.delayed import delayed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_frames_minhash import planted

import gpurefine
from gpurefine.engine import frames_input
from gpurefine.errors import ConfigError, InputError, RunError
from gpurefine.frames import is_device_frame

ALIKE, SIZE = "device_stage:Alike", "device_stage:Size"
TEXT = pd.ArrowDtype(pa.large_string())

TEXTS = ["one page", "another page", "one page", None, "", "zwölf", "alone", "another page", "\U0001f642" * 9]

one_frame = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)


@pytest.fixture(autouse=True)
def seen():
    """What the stages of ``device_stage`` note."""
    device_stage.SEEN.clear()
    device_stage.TAKEN.clear()
    return device_stage.SEEN


@pytest.fixture
def dask_cudf(request, cudf, monkeypatch):
    """A function that makes a Dask frame of cuDF partitions, between any two borders, of a pandas frame."""
    if "emulated" in request.node.callspec.id:
        import cudf_on_host

        cudf_on_host.install_in_dask(monkeypatch)
    else:
        pytest.importorskip("dask_cudf", reason="dask-cudf is not here")

    def make(frame, borders, divisions=None):
        whole = cudf.from_pandas(frame)
        parts = [whole.iloc[begin:end] for begin, end in itertools.pairwise([0, *borders, len(frame)])]
        return dd.from_delayed(
            [delayed(part) for part in parts], meta=whole.iloc[:0], divisions=divisions, verify_meta=False
        )

    with dask.config.set(scheduler="synchronous"):
        yield make


def to_pandas(frame):
    """A cuDF frame as pandas would have it, with the types of the columns that are added."""
    assert is_device_frame(frame)
    pandas = frame.to_pandas()
    new = {name: pd.ArrowDtype(pa.float64()) for name in pandas.columns if ":" in str(name)}
    new |= {name: TEXT for name in ("reason", "cluster", "survivor") if name in pandas.columns}
    return pandas.astype({"keep": bool, "text": TEXT, **new})


def in_arrow(frame):
    return frame.astype({"text": TEXT})


# --- deduplicate


@pytest.mark.parametrize("kind", ["exact", ALIKE, "banded_stage:Words"])
@one_frame
@given(
    texts=st.lists(st.sampled_from(["a", "b", "a b", "é", "", None]), max_size=9),
    borders=st.lists(st.integers(0, 9), max_size=3),
    seed=st.integers(0, 9),
)
def test_a_cudf_frame_gets_the_decisions_of_pandas(cudf, dask_cudf, kind, texts, borders, seed):
    frame = pd.DataFrame({"text": pd.array(texts, TEXT), "n": range(len(texts))})
    expected = gpurefine.deduplicate(frame, kind, seed=seed)
    pd.testing.assert_frame_equal(
        to_pandas(gpurefine.deduplicate(cudf.from_pandas(frame), kind, seed=seed)), expected, check_dtype=False
    )
    parts = dask_cudf(frame, sorted(min(border, len(texts)) for border in borders))
    marked = gpurefine.deduplicate(parts, kind, seed=seed).compute()
    pd.testing.assert_frame_equal(to_pandas(marked), expected, check_dtype=False)


@pytest.mark.parametrize("index", [pd.Index([5, 5, 1, 1, 1, 0, 9, 8, 7], name="i"), pd.Index(list("zyxwvutsr"))])
def test_index_ids_and_ties_as_with_pandas(cudf, index):
    frame = pd.DataFrame(
        {
            "text": pd.array(TEXTS, TEXT),
            "id": [1, 1, 1, 2, 2, 3, 3, 1, 1],
            "date": pd.to_datetime(["2023-01-02", "2023-01-03", "2023-01-01", *["2023-01-01"] * 6]),
            "url": list("cbacbacba"),
        },
        index=index,
    )
    given = cudf.from_pandas(frame)
    marked = gpurefine.deduplicate(given, "exact", seed=3)
    assert list(given.columns) == list(frame.columns)
    expected = in_arrow(gpurefine.deduplicate(frame, "exact", seed=3))
    pd.testing.assert_frame_equal(to_pandas(marked), expected, check_dtype=False)
    assert (~expected["keep"]).sum() == 3


def test_keys_are_made_on_the_device_in_pieces_of_some_bytes(cudf, seen, monkeypatch):
    monkeypatch.setattr(frames_input, "BATCH_TEXT", 20)
    frame = pd.DataFrame({"text": pd.array(TEXTS, TEXT)})
    marked = gpurefine.deduplicate(cudf.from_pandas(frame), ALIKE)
    # 8 + 12 | 8 + 0 + 0 + 6 + 5 | 12 | 36 bytes
    assert seen == [("device", 2), ("device", 5), ("device", 1), ("device", 1)]
    expected = in_arrow(gpurefine.deduplicate(frame, ALIKE))
    pd.testing.assert_frame_equal(to_pandas(marked), expected, check_dtype=False)


@pytest.mark.parametrize("room", [0, 7, 20, 60])
def test_what_the_device_has_no_memory_for_is_halved_and_then_done_on_the_cpu(cudf, seen, room):
    frame = pd.DataFrame({"text": pd.array(TEXTS, TEXT)})
    marked = gpurefine.deduplicate(cudf.from_pandas(frame), ALIKE, room=room)
    on_host = [rows for side, rows in seen if side == "host"]
    sizes = [len((text or "").encode()) for text in TEXTS]
    assert on_host == [1] * sum(size > room for size in sizes)
    expected = in_arrow(gpurefine.deduplicate(frame, ALIKE))
    pd.testing.assert_frame_equal(to_pandas(marked), expected, check_dtype=False)


def test_a_pandas_frame_that_has_no_memory_is_no_matter_of_the_device(monkeypatch):
    monkeypatch.setattr(device_stage, "lengths", lambda *_: (_ for _ in ()).throw(MemoryError("no room")))
    with pytest.raises(MemoryError):
        gpurefine.deduplicate(pd.DataFrame({"text": ["x", "y"]}), ALIKE)
    with pytest.raises(MemoryError):
        gpurefine.annotate(pd.DataFrame({"text": ["x", "y"]}), [SIZE], measures=False)


def test_dask_cudf_keeps_partitions_and_divisions_and_may_be_persisted(cudf, dask_cudf):
    frame = pd.DataFrame({"text": pd.array(TEXTS, TEXT)}, index=range(0, 90, 10))
    parts = dask_cudf(frame, [2, 6], divisions=(0, 20, 60, 80))
    for each in (parts, parts.persist()):
        marked = gpurefine.deduplicate(each, "exact", seed=1)
        assert marked.divisions == (0, 20, 60, 80) and is_device_frame(marked._meta)
        assert list(marked._meta.columns) == ["text", "keep", "reason", "cluster", "survivor"]
        expected = gpurefine.deduplicate(frame, "exact", seed=1)
        pd.testing.assert_frame_equal(to_pandas(marked.compute()), expected, check_dtype=False)
        (first,) = dask.compute(marked.to_delayed()[0])
        assert len(first) == 2 and is_device_frame(first)


def test_partitions_that_come_out_differently_are_refused(cudf, dask_cudf):
    calls = []

    def part():
        calls.append(1)
        return cudf.from_pandas(pd.DataFrame({"text": ["x", "x", "Y" if len(calls) > 1 else "y"]}))

    parts = dd.from_delayed([delayed(part)()], meta=cudf.from_pandas(pd.DataFrame({"text": ["x"]})).iloc[:0])
    marked = gpurefine.deduplicate(parts, "exact")
    with pytest.raises(RunError, match=r"partition 0 .* call persist\(\)"):
        marked.compute()


# --- annotate


@one_frame
@given(texts=st.lists(st.sampled_from(["a", "sign in", "some words of text", "é", "", None]), max_size=9))
def test_stages_of_both_devices_mark_as_with_pandas(cudf, dask_cudf, texts):
    frame = pd.DataFrame({"text": pd.array(texts, TEXT)}, index=range(7, 7 + len(texts)))
    stages = [{SIZE: {"room": 20}}, {"lines": {"max_flagged": 1}}, {SIZE: {"as": "again", "most": 3, "room": 5}}]
    expected = gpurefine.annotate(frame, stages)
    pd.testing.assert_frame_equal(to_pandas(gpurefine.annotate(cudf.from_pandas(frame), stages)), expected)
    parts = dask_cudf(frame, [len(texts) // 2])
    pd.testing.assert_frame_equal(to_pandas(gpurefine.annotate(parts, stages).compute()), expected)


def test_each_stage_works_where_it_can(cudf, seen, monkeypatch):
    monkeypatch.setattr(frames_input, "BATCH_TEXT", 30)
    frame = pd.DataFrame({"text": pd.array(["one", "two two two two two", "three three three"], TEXT)})
    gpurefine.annotate(cudf.from_pandas(frame), [SIZE, "lines", {SIZE: {"as": "again"}}], measures=False)
    # two pieces, by both stages; lines leaves all of them text
    assert seen == [("device", 2), ("device", 2), ("device", 1), ("device", 1)]
    seen.clear()
    gpurefine.annotate(cudf.from_pandas(frame), [{SIZE: {"room": 18}}], measures=False)
    assert seen == [("device", 2), ("device", 1), ("device", 1), ("host", 1), ("device", 1)]


def test_a_device_that_fails_where_the_cpu_does_not_is_told(cudf):
    frame = cudf.from_pandas(pd.DataFrame({"text": ["one", "two"]}))
    with pytest.raises(RunError, match=r"'Size' failed on a GPU with RuntimeError: cudaErrorUnknown.*not on the CPU"):
        gpurefine.annotate(frame, [{SIZE: {"broken": True}}], measures=False)


def test_dask_cudf_is_annotated_lazily_with_its_partitions(cudf, dask_cudf):
    frame = pd.DataFrame({"text": pd.array(TEXTS, TEXT)}, index=range(0, 90, 10))
    marked = gpurefine.annotate(dask_cudf(frame, [2, 6], divisions=(0, 20, 60, 80)), [SIZE])
    assert marked.divisions == (0, 20, 60, 80) and is_device_frame(marked._meta)
    assert list(marked._meta.columns) == ["text", "keep", "reason", "Size:bytes"]
    pd.testing.assert_frame_equal(to_pandas(marked.compute()), gpurefine.annotate(frame, [SIZE]))


# --- what is asked of a frame

GOOD = {"text": ["x", "y"], "n": [1, 2]}


@pytest.mark.parametrize(
    ("columns", "arguments", "sentence"),
    [
        (GOOD, {"text": "page"}, r"no column 'page', its columns are 'text', 'n': .*text="),
        (GOOD, {"text": "n"}, r"column 'n' holds int64.*, expected strings.*text="),
        ({"text": [["x"], ["y"]]}, {}, r"column 'text' holds .*list.*, expected strings"),
        ({**GOOD, "keep": [True, False]}, {}, r"already has a column 'keep'"),
        ({**GOOD, "id": ["x", None]}, {}, r"column 'id' has a row without an id"),
    ],
)
def test_bad_columns_get_one_sentence(cudf, columns, arguments, sentence):
    frame = cudf.DataFrame.from_arrow(pa.table(columns))
    with pytest.raises(InputError, match=sentence):
        gpurefine.deduplicate(frame, "exact", **arguments)
    if "id" not in columns:
        with pytest.raises(InputError, match=sentence):
            gpurefine.annotate(frame, [SIZE], **arguments)


def test_bytes_that_are_no_text_are_refused_though_cudf_takes_them(cudf):
    texts = pa.array([b"fine", b"a\xe3"]).view(pa.string())
    frame = cudf.DataFrame.from_arrow(pa.table({"text": texts}))
    for check in (lambda: gpurefine.deduplicate(frame, ALIKE), lambda: gpurefine.annotate(frame, [SIZE])):
        with pytest.raises(InputError, match=r"column 'text' holds text that is not valid Unicode.*text="):
            check()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_any_type_of_strings(cudf, kind):
    table = pa.table({"text": pa.array(TEXTS, kind)})
    expected = gpurefine.deduplicate(pd.DataFrame({"text": TEXTS}), "exact")
    marked = gpurefine.deduplicate(cudf.DataFrame.from_arrow(table), "exact")
    pd.testing.assert_frame_equal(to_pandas(marked), in_arrow(expected), check_dtype=False)
    marked = gpurefine.annotate(cudf.DataFrame.from_arrow(table), [SIZE])
    assert to_pandas(marked)["Size:bytes"].tolist() == [len((text or "").encode()) for text in TEXTS]


def test_a_column_alone_is_no_frame(cudf):
    column = cudf.from_pandas(pd.DataFrame(GOOD))["text"]
    with pytest.raises(InputError, match="found a cudf Series"):
        gpurefine.deduplicate(column, "exact")
    with pytest.raises(InputError, match="found a cudf Series"):
        gpurefine.annotate(column, [SIZE])


@pytest.mark.parametrize("empty", [{"text": pa.array([], pa.string())}, {"text": pa.nulls(3)}])
def test_frames_without_texts(cudf, empty):
    frame = cudf.DataFrame.from_arrow(pa.table(empty))
    rows = len(pa.table(empty))
    assert to_pandas(gpurefine.deduplicate(frame, ALIKE))["keep"].tolist() == [True, False, False][:rows]
    assert to_pandas(gpurefine.annotate(frame, [SIZE]))["Size:bytes"].tolist() == [0.0] * rows


def test_dedups_are_refused_on_a_device_too(cudf):
    with pytest.raises(ConfigError, match="needs all rows"):
        gpurefine.annotate(cudf.from_pandas(pd.DataFrame(GOOD)), ["dedup.exact"])


@given(sizes=st.lists(st.integers(0, 40), max_size=20), most=st.integers(1, 60))
def test_rows_are_cut_by_bytes(sizes, most):
    offsets = np.concatenate([[3], 3 + np.cumsum(sizes)]).astype(np.int64)
    cuts = frames_input.byte_cuts(offsets, most)
    assert cuts[0] == 0 and cuts[-1] == len(sizes)
    for begin, end in itertools.pairwise(cuts):
        assert end > begin and (sum(sizes[begin:end]) <= most or end == begin + 1)
        # no range could have had the next row too
        assert end == len(sizes) or sum(sizes[begin : end + 1]) > most


# --- the stages that have kernels for a device


@pytest.mark.parametrize("shingle", ["word-5", "char-24", "gpt2-5"])
def test_near_copies_by_the_kernels_of_a_device(cudf, shingle):
    texts = planted(originals=4, copies=3)[0]
    frame = pd.DataFrame({"text": pd.array([*texts, "", None, "é"], TEXT)})
    parameters = {"bands": 14, "rows": 8, "shingle": shingle, "seed": 2}
    expected = gpurefine.deduplicate(frame, "minhash", **parameters)
    assert expected["keep"].sum() == 4 + 3
    marked = gpurefine.deduplicate(cudf.from_pandas(frame), "minhash", **parameters)
    pd.testing.assert_frame_equal(to_pandas(marked), expected, check_dtype=False)


@pytest.mark.parametrize("shingle", ["word-2", "gpt2-5"])
def test_units_of_a_device_are_compared_as_those_of_the_cpu(cudf, shingle):
    texts = planted(originals=4, copies=3)[0]
    words = texts[0].split()
    # halves that changed places: similar in shingles, not in edits
    texts.append(" ".join(words[60:] + words[:60]))
    frame = pd.DataFrame({"text": pd.array([*texts, "", None, "é"], TEXT)})
    parameters = {"bands": 40, "rows": 3, "shingle": shingle, "jaccard": 0.7}
    assert gpurefine.deduplicate(frame, "minhash", verify="jaccard", **parameters)["keep"].sum() == 4 + 3
    expected = gpurefine.deduplicate(frame, "minhash", verify="jaccard+edit", **parameters)
    assert expected["keep"].sum() == 4 + 1 + 3
    marked = gpurefine.deduplicate(cudf.from_pandas(frame), "minhash", verify="jaccard+edit", **parameters)
    pd.testing.assert_frame_equal(to_pandas(marked), expected, check_dtype=False)


def test_quality_and_repetition_by_the_kernels_of_a_device(cudf):
    prose = "The old house on the hill has been empty for years, and nobody in the village will talk of it.\n"
    texts = [*TEXTS, prose * 3, "buy now " * 40, prose + "• ...\n\n" * 9, "#" * 30, "ſ… Ⅻ 12 \u3000 x" * 5]
    frame = pd.DataFrame({"text": pd.array(texts, TEXT)})
    stages = ["repetition", "quality"]
    expected = gpurefine.annotate(frame, stages)
    assert expected.shape[1] > 20 and expected["reason"].nunique() > 3
    pd.testing.assert_frame_equal(to_pandas(gpurefine.annotate(cudf.from_pandas(frame), stages)), expected)

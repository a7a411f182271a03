"""What differs between pandas and cuDF: each function on both, and text buffers against Python's own encoding."""

import inspect
import itertools
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpurefine import frames
from gpurefine.kernels.cuda.device import on_device

TEXTS = ["one", None, "", "zwölf", "\U0001f642", "a\nb"]
TABLE = pa.table({"text": pa.array(TEXTS, pa.large_string()), "n": pa.array([1, 2, 3, 4, None, 6], pa.int64())})


@pytest.fixture(params=["pandas", "emulated", pytest.param("device", marks=pytest.mark.gpu)])
def side(request, cudf_of):
    """Whether frames are to lie on a device, where there is cuDF or its stand-in."""
    if request.param != "pandas":
        cudf_of(request.param)
    return request.param != "pandas"


def rows(frame):
    """The rows of a frame of either kind, and its index."""
    frame = frames.to_host_frame(frame) if frames.is_device_frame(frame) else frame
    return [list(frames.arrow_array(frame[name]).to_pylist()) for name in frame.columns], frame.index.tolist()


def texts_of(data, offsets):
    """Texts of buffers of either side."""
    if on_device(data):
        data, offsets = data.get(), offsets.get()
    assert data.dtype == np.uint8 and offsets.dtype == np.int64
    return [bytes(data[begin:end]).decode() for begin, end in itertools.pairwise(offsets)]


def test_a_table_comes_back(side):
    frame = frames.from_arrow(TABLE, side)
    assert frames.is_device_frame(frame) == frames.is_device_frame(frame["text"]) == side
    assert frames.to_arrow(frame, TABLE.schema) == TABLE
    wider = pa.schema([pa.field("url", pa.large_string()), *TABLE.schema])
    assert frames.to_arrow(frame, wider)["url"].null_count == len(TABLE)
    assert frames.to_arrow(frames.take(frame, np.zeros(6, bool)), TABLE.schema) == TABLE[:0]
    assert frames.strings(frame["text"]) == TEXTS


def test_frames_move_between_devices(cudf):
    host = frames.from_arrow(TABLE)
    device = frames.to_device_frame(host)
    assert isinstance(device, cudf.DataFrame) and frames.to_device_frame(device) is device
    assert frames.to_host_frame(host) is host
    assert frames.to_arrow(frames.to_host_frame(device), TABLE.schema) == TABLE


def test_nothing_moves_by_itself(cudf):
    frame = frames.from_arrow(TABLE, on_device=True)
    for convert in (np.asarray, pa.array, list):
        with pytest.raises(TypeError):
            convert(frame["text"])


def test_rows_are_taken_and_joined_with_a_fresh_index(side):
    frame = frames.from_arrow(TABLE, side)
    mask = np.array([True, False, False, True, False, True])
    taken = frames.take(frame, mask)
    assert rows(taken) == ([["one", "zwölf", "a\nb"], [1, 4, 6]], [0, 1, 2])
    joined = frames.concat([taken, frames.take(frame, ~mask)])
    assert rows(joined) == ([["one", "zwölf", "a\nb", None, "", "\U0001f642"], [1, 4, 6, 2, 3, None]], [*range(6)])


def test_columns_are_assigned_by_position(side):
    frame = frames.from_arrow(TABLE, side)
    frame.index = pd.Index([7, 7, 3, 1, 1, 0])
    keep = np.array([True, False] * 3)
    more = frames.assign(
        frame,
        {"keep": keep, "n": pa.array([None, 2.5, 3, 4, 5, 6]), "said": pa.chunked_array([["x", None], ["y"] * 4])},
    )
    assert list(more.columns) == ["text", "n", "keep", "said"] and list(frame.columns) == ["text", "n"]
    assert frames.is_device_frame(more) == side
    values, _ = rows(more)
    assert values[1:] == [[None, 2.5, 3, 4, 5, 6], keep.tolist(), ["x", None, "y", "y", "y", "y"]]
    assert (more.to_pandas() if side else more).index.tolist() == [7, 7, 3, 1, 1, 0]


def test_columns_and_types_without_rows(side):
    frame = frames.from_arrow(TABLE.append_column("day", pa.array([None] * 6, pa.timestamp("us", "UTC"))), side)
    schema = frames.schema_frame(frame)
    assert isinstance(schema, pd.DataFrame) and list(schema.columns) == ["text", "n", "day"]
    assert pd.api.types.is_string_dtype(schema["text"].dtype) and pd.api.types.is_integer_dtype(schema["n"].dtype)
    assert pd.api.types.is_datetime64_any_dtype(schema["day"].dtype)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.none() | st.text(max_size=3), max_size=6), begin=st.integers(0, 6), end=st.integers(0, 6))
def test_buffers_of_texts(side, kind, texts, begin, end):
    frame = frames.from_arrow(pa.table({"text": pa.array(texts, kind)}), side)
    column = frame.iloc[begin:end]["text"]
    expected = [text or "" for text in texts[begin:end]]
    data, offsets = frames.text_buffers(column)
    assert on_device(data) == on_device(offsets) == side
    assert texts_of(data, offsets) == expected
    on_host = frames.host_text_buffers(column)
    assert isinstance(on_host[0], np.ndarray)
    assert texts_of(*on_host) == expected


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_where_texts_begin(cudf, kind, monkeypatch):
    column = frames.from_arrow(pa.table({"text": pa.array(["no", *TEXTS], kind)}), True).iloc[1:]["text"]
    monkeypatch.setattr(cudf.Series, "fillna", lambda *_: pytest.fail("text with nulls was copied"))
    offsets = frames.text_offsets(column)
    assert isinstance(offsets, np.ndarray) and offsets.dtype == np.int64
    assert np.diff(offsets).tolist() == [len((text or "").encode()) for text in TEXTS]
    assert frames.text_offsets(column.head(0)).tolist() == [0]


def test_a_column_in_chunks_has_one_buffer():
    frame = frames.from_arrow(pa.table({"text": pa.chunked_array([["a", None], ["bc"]], pa.string())}))
    assert texts_of(*frames.text_buffers(frame["text"])) == ["a", "", "bc"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_is_not_copied_on_the_device(cudf, kind):
    column = frames.from_arrow(pa.table({"text": pa.array(["one", "two", "three"], kind)}), True)["text"]
    address = column.to_pylibcudf()[0].data().__cuda_array_interface__["data"][0]
    data, _ = frames.text_buffers(column)
    assert data.__cuda_array_interface__["data"][0] == address


def test_nulls_with_bytes_are_empty(side):
    offsets = pa.py_buffer(np.array([0, 1, 3, 4], np.int32))
    texts = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), offsets, pa.py_buffer(b"abbc")])
    frame = frames.from_arrow(pa.table({"text": texts}), side)
    assert texts_of(*frames.text_buffers(frame["text"])) == ["a", "", "c"]


def test_a_column_that_was_moved_to_the_host_comes_back(emulated, monkeypatch):
    import cudf_on_host

    emulated()
    cudf_on_host.install(monkeypatch)
    column = frames.from_arrow(pa.table({"text": ["one", "two"]}), True)["text"]
    column._memory["spilled"] = True
    assert texts_of(*frames.text_buffers(column)) == ["one", "two"]


def test_only_frames_imports_cudf(request):
    sources = (request.config.rootpath / "gpurefine").rglob("*.py")
    importing = [
        path.name for path in sources if re.search(r"^\s*(import|from) (cudf|dask_cudf)\b", path.read_text(), re.M)
    ]
    assert set(importing) <= {"frames.py"}, importing


def test_each_function_says_on_which_device_it_ran(request):
    page = (request.config.rootpath / "benchmarks" / "results" / "frames_devices.md").read_text()
    told = re.findall(r"^\| (\w+) \| (.+) \|$", page, re.M)[1:]
    public = [
        name for name, each in vars(frames).items() if inspect.isfunction(each) and each.__module__ == frames.__name__
    ]
    assert sorted(name for name, _ in told) == sorted(name for name in public if not name.startswith("_"))
    # a device is named with the date of its run
    assert all(re.fullmatch(r"never run|pandas only|.+, \d{4}-\d\d-\d\d", device) for _, device in told)
